"""Driver: register blocks of one Modbus TCP meter. The only module that knows pymodbus.

Reads by functions 3 and 4 and never writes. A poll has one deadline for connecting and all blocks;
after a failure of the connection it is closed, so a late answer is never taken for the next one's.
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse

from core.clock import to_us
from core.quality import Quality
from core.reading import Reading
from edge import registers
from edge.driver import Polled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from edge.registers import Block, Quantity, RegisterMap, Value

ILLEGAL_ADDRESS: Final = 2  # Modbus Application Protocol 1.1b3, section 7
_EXCEPTIONS: Final = {
    1: "does not know the function",
    2: "has no such register",
    3: "refuses the number of registers",
    4: "failed",
    5: "asks for time",
    6: "is busy",
    10: "gateway has no path to it",
    11: "behind the gateway did not answer",
}

# pymodbus logs each failure that this module already reports in one sentence.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


class _RefusedError(Exception):
    """The meter answered a read with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(_EXCEPTIONS.get(code, f"answered with exception {code}"))
        self.code = code


class ModbusMeter:
    """One meter: `points` are its quantities by point id."""

    def __init__(  # noqa: PLR0913 - one argument for each fact about a meter
        self,
        name: str,
        *,
        host: str,
        port: int,
        unit_id: int,
        timeout_s: float,
        meter: RegisterMap,
        points: Mapping[str, Quantity],
        clock: Callable[[], datetime],
        most_doubt_s: float = math.inf,
    ) -> None:
        self._name = name
        self._host, self._port, self._unit_id = host, port, unit_id
        self._most_doubt_us = most_doubt_s * 1e6
        self._late = 0
        self._timeout_s = timeout_s
        self._clock = clock
        self._client: AsyncModbusTcpClient | None = None
        # Two points may show one quantity: blocks carry points, not quantities.
        named = [replace(quantity, name=point) for point, quantity in points.items()]
        self._counters = frozenset(point for point, q in points.items() if q.counter)
        self._reads = _compiled(registers.plan_blocks(named, meter.most_registers, meter.most_gap))

    @property
    def name(self) -> str:
        """Return the device's name."""
        return self._name

    @property
    def counters(self) -> frozenset[str]:
        """Return the points whose values are counts."""
        return self._counters

    @property
    def blocks(self) -> int:
        """Return how many reads a poll makes."""
        return len(self._reads)

    async def poll(self) -> Polled:
        """Read every block once within the deadline; see Driver."""
        found: list[Reading] = []
        faults: list[str] = []
        self._late = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                client = await self._connected()
                for read in tuple(self._reads):
                    await self._read(client, read, found, faults)
        except TimeoutError:
            faults.append(f"did not answer within {self._timeout_s:g} s")
            await self.close()
        except (ModbusException, OSError, ValueError) as error:
            faults.append(_sentence(error))
            await self.close()
        told = tuple(f"{self._where()} {fault}" for fault in faults)
        return Polled(found, told, self._late)

    async def close(self) -> None:
        """Let the connection go."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is not None and self._client.connected:
            return self._client
        await self.close()
        client = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,  # the agent's back-off decides when to try again
        )
        self._client = client
        if not await client.connect():
            raise ConnectionError("cannot be connected to")
        return client

    async def _read(
        self,
        client: AsyncModbusTcpClient,
        read: _Read,
        found: list[Reading],
        faults: list[str],
    ) -> None:
        asked_us = to_us(self._clock())
        try:
            words = await self._words(client, read.block)
        except _RefusedError as refusal:
            parts = registers.plan_blocks(read.block.quantities, most_gap=0)
            if refusal.code != ILLEGAL_ADDRESS or len(parts) == 1:
                faults.append(f"{refusal}: {read.block.count} from {read.block.address}")
                return
            # It refuses to be read across registers that it does not have: ask without gaps,
            # from now on.
            position = self._reads.index(read)
            self._reads[position : position + 1] = smaller = _compiled(parts)
            for part in smaller:
                await self._read(client, part, found, faults)
            return
        # The meter looked at its register somewhere between question and answer: half-way is
        # wrong by at most half of that. A count whose instant is in more doubt than allowed is
        # left out; the next one carries its energy, at a rate that is right.
        answered_us = to_us(self._clock())
        measured_us = (asked_us + answered_us) // 2
        is_late = answered_us - asked_us > 2 * self._most_doubt_us
        for point, value in read.decode(words).items():
            if is_late and point in self._counters:
                self._late += 1
                continue
            quality = Quality.BAD if value is None else Quality.GOOD
            found.append(Reading(point, measured_us, value, quality))

    async def _words(self, client: AsyncModbusTcpClient, block: Block) -> Sequence[int]:
        ask = client.read_holding_registers if block.function == 3 else client.read_input_registers  # noqa: PLR2004 - function codes
        answer = await ask(block.address, count=block.count, device_id=self._unit_id)
        if isinstance(answer, ExceptionResponse):
            raise _RefusedError(answer.exception_code)
        return answer.registers

    def _where(self) -> str:
        return f"{self._name} ({self._host}:{self._port}, unit {self._unit_id})"


class _Read:
    """A block and its decoder."""

    __slots__ = ("block", "decode")

    def __init__(self, block: Block) -> None:
        self.block = block
        self.decode: Callable[[Sequence[int]], dict[str, Value]] = registers.block_decoder(block)


def _compiled(blocks: Sequence[Block]) -> list[_Read]:
    return [_Read(block) for block in blocks]


def _sentence(error: Exception) -> str:
    if isinstance(error, ModbusException):
        return f"broke off: {error.string}"
    return str(error)
