"""Viewers of the live stream for benches: as many connections as asked, in a process of their own.

Every viewer reads its answer as it comes; one of them also unpacks it, and since all are sent the
same blocks, its reading tells of each block when what it shows was measured.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from core.clock import utc_now

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

MOST_AT_ONCE: Final = 50  # connections being opened
CONNECT_S: Final = 20.0
_MEASURED: Final = re.compile(rb'"measured_at":"([^"]+)"')


@dataclass(slots=True)
class Seen:
    """What the viewers saw while it was counted."""

    bytes: int = 0
    plain_bytes: int = 0
    refused: int = 0
    resyncs: int = 0
    delays_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Crowd:
    counting: bool = False
    seen: Seen = field(default_factory=Seen)
    arrivals: list[tuple[int, float]] = field(default_factory=list)
    measured_s: dict[int, float] = field(default_factory=dict)


def run(address: str, secret: str, viewers: int, pipe: Connection) -> None:
    """Watch until told to stop: says when all are connected, counts from `count` to `stop`."""
    asyncio.run(_watch(address, secret, viewers, pipe))


async def _watch(address: str, secret: str, viewers: int, pipe: Connection) -> None:
    crowd, gate, connected = _Crowd(), asyncio.Semaphore(MOST_AT_ONCE), asyncio.Semaphore(0)
    tasks = [
        asyncio.create_task(_view(crowd, address, secret, gate, connected, reads=number == 0))
        for number in range(viewers)
    ]
    for _ in tasks:
        await connected.acquire()
    pipe.send("connected")
    await asyncio.to_thread(pipe.recv)
    crowd.counting = True
    await asyncio.to_thread(pipe.recv)
    crowd.counting = False
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    seen = crowd.seen
    seen.delays_s = [
        at - crowd.measured_s[block] for block, at in crowd.arrivals if block in crowd.measured_s
    ]
    pipe.send(seen)


async def _view(
    crowd: _Crowd,
    address: str,
    secret: str,
    gate: asyncio.Semaphore,
    connected: asyncio.Semaphore,
    *,
    reads: bool,
) -> None:
    place = urlsplit(address)
    asked = (
        f"GET /api/v1/live HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {secret}\r\n"
        "Accept-Encoding: gzip\r\n\r\n"
    )
    try:
        async with gate, asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            writer.write(asked.encode())
            head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            crowd.seen.refused += 1
            return
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        crowd.seen.refused += 1
        return
    finally:
        connected.release()
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if reads else None
    try:
        while size := int(await reader.readline() or b"0", 16):
            block = await reader.readexactly(size)
            await reader.readexactly(2)
            _hear(
                crowd,
                block,
                utc_now().timestamp(),
                None if unpack is None else unpack.decompress(block),
            )
    finally:
        writer.close()


def _hear(crowd: _Crowd, block: bytes, at: float, plain: bytes | None) -> None:
    name = hash(block)
    if plain is not None:
        told = _MEASURED.findall(plain)
        if told:
            crowd.measured_s[name] = max(_instant(each) for each in set(told))
    if crowd.counting:
        crowd.seen.bytes += len(block)
        crowd.arrivals.append((name, at))
        if plain is not None:
            crowd.seen.plain_bytes += len(plain)
            crowd.seen.resyncs += plain.count(b"event: resync")


def _instant(text: bytes) -> float:
    return datetime.fromisoformat(text.decode()).timestamp()
