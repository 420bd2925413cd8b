"""From MQTT to committed against the same store fed from memory.

The envelopes of an agent wait in the broker first, so that sending them is not measured; then the
subscriber and the writer of ingest take them in. The floor stores the same number of readings of
other points in batches of the same size, decoded already.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
import numpy as np

from core import plant as plants
from core.clock import to_us, utc_now
from deploy.benches import load, servers
from deploy.benches.measured import Measured
from deploy.benches.store import Ours
from ingest import config, declared
from ingest.receipts import Receipts
from ingest.subscriber import Subscriber, everything
from ingest.writer import Hooks, Writer
from store import connection
from store import plants as stored
from store.readings import Rows

if TYPE_CHECKING:
    from ingest.source import Publish
    from store.connection import Pool

NAMES: Final = ("ingest.vs_store",)
PAIRS: Final = 7
MESSAGES: Final = 400  # of a sample, 500 readings each
POINTS: Final = 1_000
GOAL: Final = 0.6
SECOND_US: Final = 1_000_000
LIMIT_S: Final = 120.0
NAME: Final = "bench-road"
_POLL_S: Final = 0.02
TOPIC: Final = "danhao/v1/s-0/gw-0/readings"


def measure() -> list[Measured]:
    """Run pairs of both, one after the other."""
    with servers.database() as url, servers.mosquitto() as (port, broker):
        return [asyncio.run(_measure(url, port, broker))]


async def _measure(url: str, port: int, broker: int) -> Measured:
    offered = load.Load(1, 2, POINTS, to_us(utc_now()) // SECOND_US * SECOND_US - 3600 * SECOND_US)
    pool = await connection.open_pool(url, application="danhao bench")
    try:
        async with pool.connection() as link:
            await stored.apply(link, plants.parse(offered.plant(0), "road.toml"), utc_now())
            loaded = await stored.load(link)
        tables = declared.build(loaded.plant, loaded.ids, utc_now())
        road = _Road(pool, port, tables)
        floor = _Floor(pool, tables, offered.names(0, 1))
        ratios: list[float] = []
        spent = cpu = 0.0
        for pair in range(-1, PAIRS):  # the first is for warming up
            at_us = offered.start_us + (pair + 1) * 300 * SECOND_US
            began = time.process_time()
            by_road = await road.took(at_us, offered.names(0, 0), (pair + 1) * MESSAGES)
            used = time.process_time() - began
            from_memory = await floor.took(at_us)
            if pair >= 0:
                ratios.append(from_memory / by_road)
                spent, cpu = spent + by_road, cpu + used
    finally:
        await pool.close()
    readings = PAIRS * MESSAGES * load.MOST_ROWS
    beside = (
        ("readings/s", readings / spent),
        ("ingest and publishing s/M", cpu / readings * 1e6),
        ("broker s/M", servers.cpu_s(broker) / (readings + MESSAGES * load.MOST_ROWS) * 1e6),
    )
    return Measured("ingest.vs_store", "ratio", GOAL, tuple(ratios), beside=beside)


def _counts(second: int) -> list[int]:
    """Return what the registers of one envelope show."""
    return [1_000 + second * (number % 7 + 1) for number in range(load.MOST_ROWS)]


class _Road:
    """Envelopes that wait in the broker, and ingest's own way from there to the commit."""

    def __init__(self, pool: Pool, port: int, tables: declared.Declared) -> None:
        self._pool = pool
        self._port = port
        self._tables = tables

    async def took(self, at_us: int, names: list[str], sequence: int) -> float:
        """Return the seconds from connecting to the last commit."""
        await self._fill(at_us, names, sequence)
        subscriber = Subscriber(
            config.Mqtt(url=f"mqtt://127.0.0.1:{self._port}"), _silent, reads=everything(NAME)
        )
        done = asyncio.Event()
        taken = 0

        def committed(new: Rows, _marks: Any) -> None:
            nonlocal taken
            taken += len(new)
            if taken >= MESSAGES * load.MOST_ROWS:
                done.set()

        writer = Writer(
            self._pool,
            subscriber,
            Receipts("bench"),
            lambda: self._tables,
            utc_now,
            Hooks(committed),
        )
        began = time.perf_counter()
        works = [asyncio.ensure_future(subscriber.run()), asyncio.ensure_future(writer.run())]
        try:
            async with asyncio.timeout(LIMIT_S):
                await done.wait()
                took = time.perf_counter() - began
                # Until the rest is acknowledged too, else the broker sends it again.
                while writer.counters.messages < MESSAGES:  # noqa: ASYNC110 - it sets no event
                    await asyncio.sleep(_POLL_S)
            return took
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)

    async def _fill(self, at_us: int, names: list[str], sequence: int) -> None:
        """Have the broker keep the envelopes in a session that nobody reads yet."""
        session = aiomqtt.Client("127.0.0.1", self._port, identifier=NAME, clean_session=False)
        async with session:
            await session.subscribe([(each, 1) for each in everything(NAME).filters])
        async with aiomqtt.Client("127.0.0.1", self._port, identifier="bench-sender") as sender:
            for number in range(MESSAGES):
                second, part = divmod(number, POINTS // load.MOST_ROWS)
                payload = load.envelope(
                    "gw-0",
                    sequence + number + 1,
                    at_us + second * SECOND_US,
                    names[part * load.MOST_ROWS : (part + 1) * load.MOST_ROWS],
                    _counts(second),
                )
                await sender.publish(TOPIC, payload, qos=1)


class _Floor:
    """The same number of readings in memory, and the store's own way to the commit."""

    def __init__(self, pool: Pool, tables: declared.Declared, names: list[str]) -> None:
        self._pool = pool
        self._points = np.array(sorted(tables.ids[name] for name in names), np.int64)
        self._store = Ours(len(tables.counter))

    async def took(self, at_us: int) -> float:
        """Return the seconds that the batches take."""
        seconds = MESSAGES * load.MOST_ROWS // POINTS
        together = 20  # of seconds: as many readings as ingest takes into a batch
        batches = [self._rows(at_us, first, together) for first in range(0, seconds, together)]
        async with self._pool.connection() as link:
            began = time.perf_counter()
            for rows in batches:
                await self._store(link, rows)
            return time.perf_counter() - began

    def _rows(self, at_us: int, first: int, seconds: int) -> Rows:
        numbers = np.arange(first, first + seconds, dtype=np.int64)
        pace = np.arange(len(self._points), dtype=np.int64) % 7 + 1
        return Rows(
            np.tile(self._points, seconds),
            np.repeat(at_us + numbers * SECOND_US, len(self._points)),
            (1_000 + numbers[:, None] * pace[None, :]).reshape(-1).astype(np.float64),
            np.zeros(seconds * len(self._points), np.int16),
        )


async def _silent(_: Publish) -> None:
    """Publish nothing: what is measured ends with the commit and its acknowledgements."""
    await asyncio.Event().wait()
