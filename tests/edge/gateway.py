"""A Modbus gateway for tests, written apart from pymodbus: units that answer, late, never, rubbish.

It speaks TCP or RTU frames on a socket or on one end of a pseudo terminal, and keeps every byte
that a master sent.
"""

from __future__ import annotations

import asyncio
import os
import random
import struct
import time
import tty
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

RTU_REQUEST_BYTES = 8


@dataclass
class Unit:
    """One meter: registers, bits, and its manners."""

    words: dict[int, int] = field(default_factory=dict)
    bits: frozenset[int] = frozenset()
    delay_s: float = 0.0
    silent: bool = False
    garbage: bool = False
    known: frozenset[int] | None = None
    most: int = 125
    exception: int = 0
    drop: int = 0  # so many questions are left unanswered
    asked: list[tuple[float, int, int, int]] = field(default_factory=list)

    def show(self, address: int, *words: int) -> None:
        self.words.update({address + i: word for i, word in enumerate(words)})

    def pdu(self, function: int, address: int, count: int) -> bytes:
        """Return the answer to a read."""
        if function > 4:
            return bytes([function | 0x80, 1])
        asked = range(address, address + count)
        if self.exception:
            return bytes([function | 0x80, self.exception])
        if self.known is not None and not self.known.issuperset(asked):
            return bytes([function | 0x80, 2])
        if count > self.most and function > 2:
            return bytes([function | 0x80, 3])
        if function <= 2:
            data = bytearray(-(-count // 8))
            for position, bit in enumerate(asked):
                data[position // 8] |= (bit in self.bits) << position % 8
            return bytes([function, len(data), *data])
        words = [self.words.get(register, 0) for register in asked]
        return struct.pack(f">BB{count}H", function, 2 * count, *words)


class Gateway:
    """Units behind one line; `received` is everything that came."""

    def __init__(self, units: dict[int, Unit], *, rtu: bool = False) -> None:
        self.units = units
        self.rtu = rtu
        self.received = bytearray()
        self.port = 0
        self.connections = 0
        self.echo = False
        self._answers: set[asyncio.Task[None]] = set()
        self._random = random.Random(1)  # noqa: S311 - rubbish, not a secret

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Gateway]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await self._end()
            await server.wait_closed()

    @asynccontextmanager
    async def on_a_terminal(self) -> AsyncIterator[str]:
        """Serve one end of a pseudo terminal; yields the path of the other, a serial port."""
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        path = os.ttyname(theirs)
        held = bytearray()
        loop = asyncio.get_running_loop()

        def send(data: bytes) -> None:
            os.write(ours, data)

        def ready() -> None:
            with suppress(OSError):
                held.extend(os.read(ours, 4_096))
            while (frame := self._frame(held)) is not None:
                self._take(frame, send)

        loop.add_reader(ours, ready)
        try:
            yield path
        finally:
            loop.remove_reader(ours)
            await self._end()
            os.close(ours)
            os.close(theirs)

    async def _end(self) -> None:
        for task in self._answers:
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        held = bytearray()

        def send(data: bytes) -> None:
            if not writer.is_closing():
                writer.write(data)

        task = asyncio.current_task()
        assert task is not None
        self._answers.add(task)
        try:
            while data := await reader.read(4_096):
                held.extend(data)
                while (frame := self._frame(held)) is not None:
                    self._take(frame, send)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._answers.discard(task)
            writer.close()

    def _frame(self, held: bytearray) -> bytes | None:
        size = RTU_REQUEST_BYTES
        if not self.rtu:
            size = 6 + int.from_bytes(held[4:6], "big") if len(held) > 6 else 12
        if len(held) < size:
            return None
        frame = bytes(held[:size])
        del held[:size]
        self.received.extend(frame)
        return frame

    def _take(self, frame: bytes, send: Callable[[bytes], None]) -> None:
        head, body = (b"", frame[:-2]) if self.rtu else (frame[:4], frame[6:])
        unit_id, function = body[0], body[1]
        address, count = struct.unpack(">HH", body[2:6])
        unit = self.units.get(unit_id)
        if self.echo:
            send(frame)
        if unit is None:
            return
        unit.asked.append((time.monotonic(), function, address, count))
        if unit.drop:
            unit.drop -= 1
            return
        if unit.silent:
            return
        if unit.garbage:
            send(self._random.randbytes(40))
            return
        answer = bytes([unit_id]) + unit.pdu(function, address, count)
        whole = (
            answer + crc16(answer) if self.rtu else head + len(answer).to_bytes(2, "big") + answer
        )
        if not unit.delay_s:
            send(whole)
            return
        task = asyncio.create_task(self._later(unit.delay_s, whole, send))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _later(self, delay_s: float, data: bytes, send: Callable[[bytes], None]) -> None:
        await asyncio.sleep(delay_s)
        send(data)

    def functions(self) -> set[int]:
        """Return every function code that came."""
        codes = set()
        held = bytes(self.received)
        while held:
            size = RTU_REQUEST_BYTES if self.rtu else 6 + int.from_bytes(held[4:6], "big")
            codes.add(held[1] if self.rtu else held[7])
            held = held[size:]
        return codes


def crc16(data: bytes) -> bytes:
    """Return the check of an RTU frame, low byte first (Modbus over Serial Line 1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")
