"""One Modbus connection, asked one question at a time. The only module that knows pymodbus.

It can read and nothing else: no request of another function can be built here. An answer that
belongs to an earlier question is never taken for the next one's: on TCP the transaction number
tells, on RTU the first answer of a unit that let a question time out is thrown away.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.framer import FramerSocket
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from core.errors import Retryable
from edge.registers import BIT_FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable


# pymodbus logs each failure that this package already reports in one sentence.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

READS: Final = (1, 2, 3, 4)
CONNECT_S: Final = 60.0  # pymodbus' own deadline, above every device's
MOST_SILENT: Final = 2  # questions in a row without an answer: then the connection is renewed
STALE_S: Final = 60.0  # how long a late answer may be on its way
RECONNECT_S: Final = 1.0  # between two tries to connect: a dead line fails at once in between
SILENCE_CHARS: Final = 3.5  # between frames, Modbus over Serial Line 1.02, 2.5.1.1
LEAST_SILENCE_S: Final = 0.00175  # the same for fast lines
BITS_PER_CHAR: Final = 11

ILLEGAL_ADDRESS: Final = 2  # Modbus Application Protocol 1.1b3, section 7
ILLEGAL_VALUE: Final = 3
_EXCEPTIONS: Final = {
    1: "does not know the function",
    2: "has no such register",
    3: "refuses the number of registers",
    4: "failed",
    5: "asks for time",
    6: "is busy",
    8: "has a memory error",
    10: "gateway has no path to it",
    11: "behind the gateway did not answer",
}


class Framing(StrEnum):
    """How a question goes over the line."""

    TCP = "tcp"
    RTU_TCP = "rtu-tcp"
    SERIAL = "serial"


@dataclass(frozen=True, slots=True)
class Route:
    """How a line is reached: a host and its port, or a serial port and its settings."""

    framing: Framing
    host: str
    port: int = 502
    baud_rate: int = 9_600
    parity: str = "N"
    stop_bits: int = 1
    echo: bool = False
    pause_s: float = 0.0

    @property
    def line(self) -> str:
        """Return the line's name: one master at a time may use it."""
        kind = "serial" if self.framing is Framing.SERIAL else "tcp"
        return f"{kind} {self.host}" + ("" if kind == "serial" else f":{self.port}")

    @property
    def silence_s(self) -> float:
        """Return how long the line must be silent before a question."""
        if self.framing is not Framing.SERIAL:
            return self.pause_s
        chars_s = SILENCE_CHARS * BITS_PER_CHAR / self.baud_rate
        return max(chars_s, LEAST_SILENCE_S, self.pause_s)


_CLOSED: Final = {
    Framing.TCP: "can not be connected to",
    Framing.RTU_TCP: "can not be connected to",
    Framing.SERIAL: "can not be opened: see its path, who else has it open, and its rights",
}


class Refused(Exception):  # noqa: N818 - an answer, not a failure of the line
    """The meter answered a read with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(_EXCEPTIONS.get(code, f"answered with exception {code}"))
        self.code = code


class Ask:
    """One question; built once and asked again and again."""

    __slots__ = ("answer_bytes", "function", "question", "unit_id")

    def __init__(self, unit_id: int, function: int, address: int, count: int) -> None:
        if function not in READS:
            raise ValueError(f"function {function} is no read")
        self.unit_id = unit_id
        self.function = function
        self.answer_bytes = -(-count // 8) if function in BIT_FUNCTIONS else 2 * count
        self.question = _Question(unit_id, function, address, count)


class Bus:
    """A connection that opens itself; lines with several devices give each the same bus."""

    def __init__(self, route: Route, monotonic: Callable[[], float]) -> None:
        self._route = route
        self._monotonic = monotonic
        self._client: AsyncModbusTcpClient | AsyncModbusSerialClient | None = None
        self._silent = 0
        self._stale_until: dict[int, float] = {}
        self._spoke_s = monotonic()
        self._try_s = monotonic()
        self._wait_s = route.silence_s
        self._is_rtu = route.framing is not Framing.TCP
        self._answer: asyncio.Future[ModbusPDU] | None = None
        self._expired = False
        self._until_s: float | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self.users = 0

    def begin(self, most_s: float) -> None:
        """Give all reads until `end` one deadline; a read beyond it raises TimeoutError.

        One alarm serves many polls: it looks again when it goes off, instead of being set and
        taken back each time, and an asyncio.timeout costs ten times that.
        """
        loop = asyncio.get_running_loop()
        self._until_s = until_s = loop.time() + most_s
        if self._alarm is None or self._alarm.when() > until_s:
            self._set_alarm(loop, until_s)

    def end(self) -> None:
        """Let the deadline go."""
        self._until_s = None
        self._expired = False

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, at_s: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = loop.call_at(at_s, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the question under way, or the next one, where its deadline has come."""
        self._alarm = None
        if self._until_s is None:
            return
        if loop.time() < self._until_s:
            self._set_alarm(loop, self._until_s)
            return
        self._expired = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(TimeoutError())

    async def read(self, ask: Ask) -> bytes:
        """Return the data of one answer; raises Refused, Retryable, TimeoutError.

        The caller sets the deadline by `begin`; after a question without an answer it says so by
        `silent`.
        """
        client = self._client
        if client is None or not client.connected:
            async with asyncio.timeout_at(self._until_s):
                client = await self._connected()
        found = await self._asked(client, ask)
        if self._stale_until and self._stale_until.pop(ask.unit_id, 0.0) > self._monotonic():
            found = await self._asked(client, ask)
        self._silent = 0
        if isinstance(found, ExceptionResponse):
            raise Refused(found.exception_code)
        if not isinstance(found, _Data) or found.function_code != ask.function:
            raise Retryable("answered another question")
        data = found.data
        if len(data) != ask.answer_bytes:
            raise Retryable(f"answered {len(data)} bytes where {ask.answer_bytes} were asked for")
        return data

    async def _asked(
        self, client: AsyncModbusTcpClient | AsyncModbusSerialClient, ask: Ask
    ) -> ModbusPDU:
        """Ask and wait, until the deadline.

        This is what pymodbus' own `execute` does, without its lock, retries and deadline: a bus
        asks one question at a time and has a deadline of its own. Its wait_for costs more than the
        rest of a read together, and before Python 3.12 swallows a cancellation that comes with the
        answer.
        """
        if self._wait_s:
            left_s = self._spoke_s + self._wait_s - self._monotonic()
            if left_s > 0:
                await asyncio.sleep(left_s)
        if self._expired:
            raise TimeoutError
        question = ask.question
        manager = client.ctx
        question.transaction_id = manager.getNextTID()
        manager.recv_buffer = b""
        answer: asyncio.Future[ModbusPDU] = asyncio.get_running_loop().create_future()
        manager.response_future = self._answer = answer
        try:
            manager.pdu_send(question)
            return await answer
        except ModbusException as error:
            raise Retryable(_sentence(error)) from error
        finally:
            self._answer = None
            if self._wait_s:
                self._spoke_s = self._monotonic()

    def silent(self, unit_id: int) -> None:
        """Take note that a unit let a question time out; a line that is all silent is renewed."""
        self._silent += 1
        if self._is_rtu:
            self._stale_until[unit_id] = self._monotonic() + STALE_S
        if self._silent >= MOST_SILENT or self.users <= 1:
            self.close()

    def close(self) -> None:
        """Let the connection go; the next question opens it again."""
        client, self._client = self._client, None
        self._silent = 0
        if client is not None:
            client.close()

    def _hung_up(self, connected: bool) -> None:  # noqa: FBT001 - pymodbus calls it
        """End the question under way with the connection: pymodbus would wait for its deadline."""
        answer = self._answer
        if not connected and answer is not None and not answer.done():
            answer.set_exception(ConnectionException("hung up"))

    async def _connected(self) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
        self.close()
        if self.users > 1 and self._monotonic() < self._try_s:
            raise Retryable(_CLOSED[self._route.framing])
        self._client = client = _client(self._route, self._hung_up)
        self._try_s = self._monotonic() + RECONNECT_S
        if not await client.connect():
            self.close()
            raise Retryable(_CLOSED[self._route.framing])
        self._try_s = self._monotonic()
        return client


def _client(
    route: Route, changed: Callable[[bool], None]
) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
    client: AsyncModbusTcpClient | AsyncModbusSerialClient
    if route.framing is Framing.SERIAL:
        client = AsyncModbusSerialClient(
            route.host,
            framer=FramerType.RTU,
            baudrate=route.baud_rate,
            parity=route.parity,
            stopbits=route.stop_bits,
            handle_local_echo=route.echo,
            reconnect_delay=0,  # the agent's back-off decides when to try again
            timeout=CONNECT_S,
            retries=0,
            trace_connect=changed,
        )
    else:
        client = AsyncModbusTcpClient(
            route.host,
            port=route.port,
            framer=FramerType.SOCKET if route.framing is Framing.TCP else FramerType.RTU,
            reconnect_delay=0,
            timeout=CONNECT_S,
            retries=0,
            trace_connect=changed,
        )
    for kind in _DATA:
        client.register(kind)
    if route.framing is Framing.TCP:
        client.ctx.framer = _Framer(client.ctx.framer.decoder)
    return client


class _Question(ModbusPDU):
    """A read request whose bytes are fixed."""

    def __init__(self, unit_id: int, function: int, address: int, count: int) -> None:
        super().__init__(dev_id=unit_id, address=address, count=count)
        self.function_code = function
        self._body = address.to_bytes(2, "big") + count.to_bytes(2, "big")
        self.after_number = bytes((0, 0, 0, 6, unit_id, function)) + self._body

    def encode(self) -> bytes:
        """Return the request after its function code."""
        return self._body


class _Data(ModbusPDU):
    """An answer to a read, its data as bytes: pymodbus would unpack each register by itself.

    It leaves out what a read's answer does not use, since one is made for every block, and tells
    itself in one word, since pymodbus asks for that even where it logs nothing.
    """

    rtu_byte_count_pos = 2
    data = b""

    def __init__(self) -> None:
        self.dev_id = self.transaction_id = 0

    def __str__(self) -> str:
        return "data"

    def decode(self, data: bytes) -> None:
        """Take the answer after its function code."""
        if not data or len(data) != data[0] + 1:
            raise ValueError("the byte count is not what came")
        self.data = data[1:]


class _Framer(FramerSocket):
    """Modbus TCP frames by two fixed structs; what is out of the ordinary is left to pymodbus."""

    def buildFrame(self, message: ModbusPDU) -> bytes:  # noqa: N802 - pymodbus' name
        """Return the bytes of a question."""
        if isinstance(message, _Question):
            return message.transaction_id.to_bytes(2, "big") + message.after_number
        return super().buildFrame(message)

    def handleFrame(  # noqa: N802 - pymodbus' name
        self, data: bytes, exp_devid: int, exp_tid: int
    ) -> tuple[int, ModbusPDU | None]:
        """Return how many bytes were used, and the answer once it is whole."""
        if len(data) > _HEAD.size:
            number, protocol, length, unit_id, function, size = _HEAD.unpack_from(data)
            whole = len(data) == length + 6 == size + _HEAD.size and not protocol
            if whole and number == exp_tid and unit_id == exp_devid and function in _BY_FUNCTION:
                found = _BY_FUNCTION[function]()
                found.data = data[_HEAD.size :]
                found.dev_id, found.transaction_id = unit_id, number
                return len(data), found
        used, answer = super().handleFrame(data, exp_devid, exp_tid)
        return used, answer


class _Coils(_Data):
    function_code = 1


class _DiscreteInputs(_Data):
    function_code = 2


class _HoldingRegisters(_Data):
    function_code = 3


class _InputRegisters(_Data):
    function_code = 4


_DATA: Final = (_Coils, _DiscreteInputs, _HoldingRegisters, _InputRegisters)
_BY_FUNCTION: Final[dict[int, type[_Data]]] = {kind.function_code: kind for kind in _DATA}
_HEAD: Final = struct.Struct(">HHHBBB")  # number, protocol, length, unit, function, byte count


def _sentence(error: Exception) -> str:
    return str(error).removeprefix("Modbus Error: ").strip() or type(error).__name__
