"""One RS-485 line: a serial port, or a serial server over TCP; one owner, and meters take turns.

`turn` gives the line to one meter at a time, in the order in which they asked. Bytes that arrive
unasked wait in a bounded buffer until `discard`. A line that is gone is opened again at the next
turn, at most every `RETRY_S`; TCP that says nothing for too many questions is opened afresh, since
a serial server that lost power leaves a connection that only looks alive.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import serial

MOST_UNREAD_BYTES: Final = 4_096  # some twenty of the longest frames; babble beyond it is dropped
MOST_SILENT_QUESTIONS: Final = 5
CONNECT_S: Final = 3.0
RETRY_S: Final = 5.0
_CHUNK_BYTES: Final = 1_024


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """A serial port as DL/T 645 wants it unless told otherwise: 2400 baud, even parity."""

    path: str
    baud_rate: int = 2_400
    parity: str = "even"
    stop_bits: int = 1

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """A serial server that passes bytes through."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Port(asyncio.Protocol):
    """An open port: bytes out, and what came in since the last look."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._arrived = asyncio.Event()
        self._gone: Exception | None = None
        self._write: Callable[[bytes], None] = self._unopened
        self._close: Callable[[], None] = lambda: None
        self.dropped_bytes = 0

    @property
    def is_open(self) -> bool:
        """Tell whether the other side is still there, as far as is known."""
        return self._gone is None

    def bind(self, write: Callable[[bytes], None], close: Callable[[], None]) -> None:
        """Take what writes and closes where no transport of asyncio does."""
        self._write, self._close = write, close

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a TCP transport; see asyncio.Protocol."""
        stream = cast("asyncio.Transport", transport)
        self.bind(stream.write, stream.abort)

    def data_received(self, data: bytes) -> None:
        """Keep what came; see asyncio.Protocol."""
        self._received += data
        excess = len(self._received) - MOST_UNREAD_BYTES
        if excess > 0:
            del self._received[:excess]
            self.dropped_bytes += excess
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end; see asyncio.Protocol."""
        self._gone = exc or ConnectionError("the line was closed at the other end")
        self._arrived.set()

    def send(self, data: bytes) -> None:
        """Write bytes; raises OSError where the port is gone."""
        if self._gone is not None:
            raise self._gone
        self._write(data)

    async def receive(self) -> bytes:
        """Return what came, waiting for the first byte; raises OSError when the port is gone."""
        while not self._received:
            if self._gone is not None:
                raise self._gone
            self._arrived.clear()
            await self._arrived.wait()
        received = bytes(self._received)
        self._received.clear()
        return received

    def discard(self) -> int:
        """Forget what came unasked; returns how many bytes."""
        unasked = len(self._received)
        self._received.clear()
        return unasked

    def close(self) -> None:
        """Let the port go."""
        if self._gone is None:
            self._gone = ConnectionError("the line was closed")
            self._close()

    def _unopened(self, data: bytes) -> None:
        raise ConnectionError(f"the line is not open: {len(data)} bytes were not sent")


class Line:
    """One line and its port, which is opened when the first meter wants it."""

    def __init__(
        self, settings: SerialSettings | TcpSettings, opener: Callable[[], Awaitable[Port]]
    ) -> None:
        self.settings = settings
        self._opener = opener
        self._port: Port | None = None
        self._turn = asyncio.Lock()
        self._failed: tuple[float, str] | None = None
        self._silent = 0
        self.openings = 0
        self.unasked_bytes = 0

    def __str__(self) -> str:
        return str(self.settings)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold the line for one meter; a lock serves in the order of asking."""
        async with self._turn:
            yield

    async def port(self) -> Port:
        """Return the open port; raises OSError in a sentence where it cannot be had."""
        if self._port is not None and self._port.is_open:
            return self._port
        now = asyncio.get_running_loop().time()
        if self._failed is not None and now < self._failed[0] + RETRY_S:
            raise ConnectionError(self._failed[1])
        await self.close()
        try:
            async with asyncio.timeout(CONNECT_S):
                self._port = await self._opener()
        except TimeoutError as error:
            self._failed = now, f"cannot be opened: no answer within {CONNECT_S:g} s"
            raise ConnectionError(self._failed[1]) from error
        except OSError as error:
            self._failed = now, f"cannot be opened: {error.strerror or error}"
            raise ConnectionError(self._failed[1]) from error
        self._failed = None
        self._silent = 0
        self.openings += 1
        return self._port

    def heard(self, *, anything: bool) -> None:
        """Note whether a question brought any byte; see MOST_SILENT_QUESTIONS."""
        self._silent = 0 if anything else self._silent + 1
        if self._silent >= MOST_SILENT_QUESTIONS and isinstance(self.settings, TcpSettings):
            self._silent = 0
            if self._port is not None:
                self._port.close()

    async def close(self) -> None:
        """Let the port go; the next turn opens it again."""
        port, self._port = self._port, None
        if port is not None:
            port.close()
            await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn


def line(settings: SerialSettings | TcpSettings) -> Line:
    """Return a line of these settings; nothing is opened yet."""
    if isinstance(settings, TcpSettings):
        return Line(settings, lambda: open_tcp(settings))
    return Line(settings, lambda: open_serial(settings))


async def open_tcp(settings: TcpSettings) -> Port:
    """Connect to a serial server."""
    loop = asyncio.get_running_loop()
    _, port = await loop.create_connection(Port, settings.host, settings.port)
    return port


async def open_serial(settings: SerialSettings) -> Port:
    """Open a serial port for this process alone; raises OSError where it cannot be had."""
    import serial  # noqa: PLC0415 - an agent without serial lines does not load it

    try:
        opened = serial.Serial(
            settings.path,
            settings.baud_rate,
            parity={"none": "N", "even": "E", "odd": "O"}[settings.parity],
            stopbits=settings.stop_bits,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
    except serial.SerialException as error:
        raise OSError(error.errno or 0, _reason(error)) from error
    return _serial_port(opened)


def _reason(error: serial.SerialException) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def _serial_port(opened: serial.Serial) -> Port:
    port = Port()
    loop = asyncio.get_running_loop()
    number = opened.fileno()

    def readable() -> None:
        try:
            data = os.read(number, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            lose(error)
            return
        if data:
            port.data_received(data)
        else:
            lose(ConnectionError("the serial port is gone: is its adapter unplugged?"))

    def lose(error: Exception) -> None:
        close()
        port.connection_lost(error)

    def close() -> None:
        loop.remove_reader(number)
        with suppress(OSError):
            opened.close()

    def write(data: bytes) -> None:
        written = os.write(number, data)
        if written != len(data):
            raise ConnectionError(f"took {written} of {len(data)} bytes")

    port.bind(write, close)
    loop.add_reader(number, readable)
    return port
