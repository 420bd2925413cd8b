"""Meters for the edge's benches: a process of its own that answers reads as fast as it can.

Every port is one meter of many registers; it counts the questions it got, so that a bench can say
how many blocks a poll took.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

REGISTERS: Final = 65_536 + 125
_HEAD: Final = struct.Struct(">HHHBBHH")


class Meters:
    """The meters' ports, and a line to their process."""

    def __init__(self, ports: list[int], line: Connection) -> None:
        self.ports = ports
        self._line = line

    def questions(self) -> int:
        """Return how many reads came since the last time this was asked."""
        self._line.send("questions")
        found: int = self._line.recv()
        return found


@contextmanager
def serving(count: int, words: bytes) -> Iterator[Meters]:
    """Serve meters that all show the same registers, from address 0 on."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_run, args=(count, words, theirs), daemon=True)
    process.start()
    try:
        yield Meters(ours.recv(), ours)
    finally:
        process.terminate()
        process.join()


class _Meter(asyncio.Protocol):
    """One connection: whole requests in, answers out."""

    questions = 0

    def __init__(self, words: bytes) -> None:
        self._words = words
        self._held = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server's always is
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole question."""
        self._held += data
        while len(self._held) >= _HEAD.size:
            number, _, _, unit, function, address, count = _HEAD.unpack_from(self._held)
            self._held = self._held[_HEAD.size :]
            shown = self._words[2 * address : 2 * (address + count)]
            body = bytes([unit, function, 2 * count]) + shown
            _Meter.questions += 1
            if self._transport is not None:
                self._transport.write(struct.pack(">HHH", number, 0, len(body)) + body)


def _run(count: int, words: bytes, line: Connection) -> None:
    asyncio.run(_serve(count, words, line))


async def _serve(count: int, words: bytes, line: Connection) -> None:
    loop = asyncio.get_running_loop()
    held = words.ljust(2 * REGISTERS, b"\0")
    servers = [await loop.create_server(lambda: _Meter(held), "127.0.0.1", 0) for _ in range(count)]
    line.send([server.sockets[0].getsockname()[1] for server in servers])
    while True:
        await asyncio.to_thread(line.recv)
        line.send(_Meter.questions)
        _Meter.questions = 0
