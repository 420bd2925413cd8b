"""Storing batches: ours against COPY of the same rows and against ON CONFLICT, and two writers.

All methods write the same number of rows of the same instants into the same table, each for
points of its own, batch after batch in turn. Ours is the whole of what a batch costs: the rows with
their duplicates ruled out, the marks of touched slots, one commit.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.clock import to_us
from deploy.benches import servers
from deploy.benches.measured import Measured
from store import connection, partitions, readings, slots
from store.readings import Rows, Watermarks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from psycopg import AsyncConnection

NAMES: Final = ("store.vs_copy", "store.vs_on_conflict", "ingest.two_writers")
PAIRS: Final = 9
BATCHES: Final = 10  # a sample and method
POINTS: Final = 1_000
SECONDS: Final = 10  # of readings in a batch: 10 000 rows
SECOND_US: Final = 1_000_000
NOW: Final = datetime(2026, 11, 21, 8, tzinfo=UTC)
WRITERS_BATCHES: Final = 60
METHODS: Final = ("ours", "copy", "on conflict")


class Stream:
    """Batches of one method: 1 000 counters that report every second, in order of time."""

    def __init__(self, first_point: int, points: int = POINTS) -> None:
        self._points = np.arange(first_point, first_point + points, dtype=np.int64)
        self._second = 0
        self._random = np.random.default_rng(first_point)
        self._level = np.zeros(points)

    def batch(self) -> Rows:
        """Return the next rows, as they arrive: second by second, all points each."""
        start_us = to_us(NOW) - 3600 * SECOND_US + self._second * SECOND_US
        self._second += SECONDS
        rise = self._random.integers(0, 21, (SECONDS, len(self._points)))
        level = self._level + np.cumsum(rise, axis=0)
        self._level = level[-1]
        times = start_us + np.arange(SECONDS, dtype=np.int64) * SECOND_US
        return Rows(
            np.tile(self._points, SECONDS),
            np.repeat(times, len(self._points)),
            level.reshape(-1),
            np.zeros(level.size, np.int16),
        )


class Ours:
    """The ledger's own way."""

    def __init__(self, most_points: int) -> None:
        self._marks = Watermarks.empty()
        self._intervals = np.zeros(most_points, np.int64)
        self._metered = np.ones(most_points, np.bool_)

    async def __call__(self, link: AsyncConnection[Any], rows: Rows) -> None:
        """Store a batch as ingest does."""
        done = await readings.write(link, rows, NOW, self._marks, self._intervals)
        await slots.touch_rows(link, done.new, self._metered)
        await link.commit()
        self._marks.advance(done.new, to_us(NOW))


async def copied(link: AsyncConnection[Any], rows: Rows) -> None:
    """Store a batch by COPY alone: a row that is there already would spoil it."""
    await readings.copy_rows(link, rows, NOW)
    await link.commit()


async def on_conflict(link: AsyncConnection[Any], rows: Rows) -> None:
    """Store a batch as most systems do."""
    await readings.insert_rows(link, rows, NOW)
    await link.commit()


def measure() -> list[Measured]:
    """Run all methods on one server."""
    with servers.database() as url:
        single = asyncio.run(_single(url))
        ratios = [_two_writers(url, number) for number in range(3)]
    rate = ratios[0][1]
    two = Measured(
        "ingest.two_writers",
        "ratio",
        1.6,
        tuple(ratio for ratio, _ in ratios),
        beside=(("rows/s of two", rate),),
    )
    return [*single, two]


async def _single(url: str) -> list[Measured]:
    pool = await connection.open_pool(url, application="danhao bench", most=1)
    streams = {name: Stream(1 + place * POINTS) for place, name in enumerate(METHODS)}
    ways: dict[str, Callable[[AsyncConnection[Any], Rows], Awaitable[None]]] = {
        "ours": Ours(len(METHODS) * POINTS + 1),
        "copy": copied,
        "on conflict": on_conflict,
    }
    took: dict[str, list[float]] = {name: [] for name in METHODS}
    client: dict[str, float] = dict.fromkeys(METHODS, 0.0)
    server: dict[str, float] = dict.fromkeys(METHODS, 0.0)
    try:
        async with pool.connection() as link:
            pid = link.info.backend_pid
            await partitions.make_for(link, np.array([to_us(NOW) - 3600 * SECOND_US]), NOW)
            await link.commit()
            for pair in range(-1, PAIRS):  # the first is for warming up
                spent = dict.fromkeys(METHODS, 0.0)
                for _ in range(BATCHES):
                    for name in METHODS:
                        rows = streams[name].batch()
                        began, own, theirs = (
                            time.perf_counter(),
                            time.process_time(),
                            servers.cpu_s(pid),
                        )
                        await ways[name](link, rows)
                        spent[name] += time.perf_counter() - began
                        if pair >= 0:
                            client[name] += time.process_time() - own
                            server[name] += servers.cpu_s(pid) - theirs
                if pair >= 0:
                    for name in METHODS:
                        took[name].append(spent[name])
    finally:
        await pool.close()
    millions = PAIRS * BATCHES * POINTS * SECONDS / 1e6
    beside = tuple(
        row
        for name in METHODS
        for row in (
            (f"{name} rows/s", millions * 1e6 / sum(took[name])),
            (f"{name} client s/M", client[name] / millions),
            (f"{name} server s/M", server[name] / millions),
        )
    )

    def against(name: str) -> tuple[float, ...]:
        return tuple(b / a for a, b in zip(took["ours"], took[name], strict=True))

    return [
        Measured("store.vs_copy", "ratio", 0.8, against("copy"), beside=beside),
        Measured("store.vs_on_conflict", "ratio", 1.8, against("on conflict")),
    ]


def _two_writers(url: str, number: int) -> tuple[float, float]:
    """Return how many times faster two processes write than one, and rows/s of the two."""
    context = multiprocessing.get_context("spawn")
    base = 100_000 * (number + 1)
    with ProcessPoolExecutor(2, mp_context=context) as workers:
        list(workers.map(_ready, range(2)))
        alone = workers.submit(_writer, url, base).result()
        both = list(workers.map(_writer, [url, url], [base + POINTS, base + 2 * POINTS]))
    rows = WRITERS_BATCHES * POINTS * SECONDS
    spread = max(end for _, end in both) - min(begin for begin, _ in both)
    return 2 * (alone[1] - alone[0]) / spread, 2 * rows / spread


def _ready(_: int) -> int:
    return os.getpid()


def _writer(url: str, first_point: int) -> tuple[float, float]:
    """Write batches from this process; return the monotonic instants of begin and end."""
    return asyncio.run(_written(url, first_point))


async def _written(url: str, first_point: int) -> tuple[float, float]:
    pool = await connection.open_pool(url, application="danhao bench", most=1)
    stream, way = Stream(first_point), Ours(first_point + POINTS)
    batches = [stream.batch() for _ in range(WRITERS_BATCHES)]
    try:
        async with pool.connection() as link:
            began = time.monotonic()
            for rows in batches:
                await way(link, rows)
            return began, time.monotonic()
    finally:
        await pool.close()
