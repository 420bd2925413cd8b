"""One ingest worker: subscriber, writer, calculator, evaluator, plant watcher, lease keeper.

One worker at a time writes; a second one waits for its lease (10 s after the first is gone, at
once after a clean stop). Promise: a clean stop takes under two seconds; what the calculator or
the evaluator cannot do now is tried again and never holds up the readings.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg_pool import PoolTimeout

from core.errors import Misconfigured, Retryable
from core.plant import Plant
from ingest import declared as declarations
from ingest.alerting import Alerting
from ingest.calculator import Calculator
from ingest.evaluator import Evaluator
from ingest.latest import Latest
from ingest.notifier import Notifier
from ingest.receipts import Receipts
from ingest.source import Bounds
from ingest.subscriber import Subscriber
from ingest.writer import Hooks, Writer
from store import agents, connection, migrate, plants, readings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from ingest.config import Settings
    from ingest.declared import Declared
    from ingest.source import Publish
    from store.connection import Pool
    from store.readings import Rows

log = logging.getLogger(__name__)

LEASE_LIFE: Final = timedelta(seconds=10)
LEASE_RENEWAL_S: Final = 3.0
WATCH_S: Final = 1.0  # a changed plant is seen within two seconds (design 4.3)
FLUSH_S: Final = 0.5  # of what points show now
REPORT_S: Final = 60.0
MOST_BACK_OFF_S: Final = 30.0
_RESTART_S: Final = 1.0
_OUT: Final = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, Retryable)


class Service:
    """One worker; `run` until cancelled, or until the lease is lost."""

    def __init__(self, settings: Settings, pool: Pool, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._pool = pool
        self._clock = clock
        self._worker = uuid.uuid4()
        self._lease_ends = float("-inf")  # of the monotonic clock
        self._loaded = plants.Loaded(Plant(), {}, {})
        self._declared: Declared = declarations.build(self._loaded.plant, {}, clock())
        self._latest = Latest()
        self._wake = asyncio.Event()
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Wait for the lease, then work; returns when another worker has taken the lease."""
        await self._wait_for_lease()
        try:
            await self._work()
        finally:
            with contextlib.suppress(*_OUT, TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._release()

    async def _work(self) -> None:
        await self._load()
        async with self._pool.connection() as link:
            self._receipts = Receipts(await plants.store_id(link))
            self._latest.take(_sorted(await readings.newest(link)), self._declared)
        calculator = Calculator(self._pool, self._plants, self._clock)
        alerting = Alerting(self._settings.channels)
        evaluator = Evaluator(self._pool, self._plants, self._clock, alerting)
        subscriber = self._subscriber()
        writer = self._writer(subscriber, calculator)
        # A calculator that reads marks while holding the gate never misses a reading.
        calculator.gate = writer.gate
        self._wake.set()  # marks of a former life may wait
        async with asyncio.TaskGroup() as group:
            group.create_task(subscriber.run())
            group.create_task(writer.run())
            group.create_task(self._again("calculator", lambda: calculator.run(self._wake)))
            group.create_task(self._again("evaluator", evaluator.run))
            for channel in self._settings.channels:
                notifier = Notifier(self._pool, channel, self._clock)
                group.create_task(self._again(f"channel {channel.name}", notifier.run))
            group.create_task(self._again("plant watcher", self._watch))
            group.create_task(self._again("latest readings", self._flush))
            group.create_task(self._report(writer, subscriber))
            group.create_task(self._tell_ready(subscriber))
            await self._keep_lease()
            raise Retryable("another worker has taken the lease")

    def _subscriber(self) -> Subscriber:
        return Subscriber(
            self._settings.mqtt,
            self._outgoing,
            most_bytes=self._settings.ingest.backlog_mib << 20,
        )

    def _writer(self, subscriber: Subscriber, calculator: Calculator) -> Writer:
        def committed(new: Rows) -> None:
            calculator.committed(new.point_id, new.ts_us, new.value, new.quality)
            self._latest.take(new, self._declared)
            if len(new):
                self._wake.set()

        ingest = self._settings.ingest
        return Writer(
            self._pool,
            subscriber,
            self._receipts,
            lambda: self._declared,
            self._clock,
            Hooks(committed, calculator.forget, self._holds_lease, self._renew),
            Bounds(ingest.batch_messages, ingest.batch_kib << 10, ingest.batch_ms / 1000),
        )

    async def _outgoing(self, publish: Publish) -> None:
        """On every connection: tell all agents again what is durable, then what is new."""
        async with self._pool.connection() as link:
            self._receipts.durable(await agents.newest_epochs(link))
        await self._receipts.run(publish)

    def _plants(self) -> tuple[Plant, Mapping[str, int]]:
        return self._loaded.plant, self._loaded.ids

    async def _load(self) -> None:
        async with self._pool.connection() as link:
            self._loaded = await plants.load(link)
        self._declared = declarations.build(self._loaded.plant, self._loaded.ids, self._clock())

    async def _tell_ready(self, subscriber: Subscriber) -> None:
        await subscriber.connected.wait()
        self.ready.set()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            await self._renew()

    async def _renew(self) -> bool:
        """Read the declaration anew where it changed; tell whether it did."""
        async with self._pool.connection() as link:
            versions = await plants.versions(link)
        if versions == self._loaded.versions:
            return False
        await self._load()
        self._wake.set()
        log.info("the plant changed: %d points", len(self._loaded.plant.points))
        return True

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            rows, rate_kw = self._latest.drain()
            if not len(rows):
                continue
            try:
                async with self._pool.connection() as link:
                    await readings.write_latest(link, rows, rate_kw)
            except BaseException:
                self._latest.again(rows)
                raise

    async def _report(self, writer: Writer, subscriber: Subscriber) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            log.info(
                "%s received=%d backlog=%d pauses=%d connections=%d receipts=%d",
                writer.counters,
                subscriber.received,
                subscriber.backlog,
                subscriber.pauses,
                subscriber.connections,
                self._receipts.published,
            )

    async def _again(self, name: str, work: Callable[[], Awaitable[Any]]) -> None:
        """Run work for ever; what it raises is logged and it begins anew, after a while."""
        back_off_s = 0.2
        while True:
            began = time.monotonic()
            try:
                await work()
            except _OUT as error:
                log.warning("%s: %s", name, str(error).partition("\n")[0])
            except Exception:
                log.exception("%s failed and is tried again", name)
            if time.monotonic() - began > MOST_BACK_OFF_S:
                back_off_s = 0.2
            self._wake.set()  # marks that a pass had taken are there again
            await asyncio.sleep(back_off_s)
            back_off_s = min(2 * back_off_s, MOST_BACK_OFF_S)

    # -- the lease -------------------------------------------------------------------------------

    def _holds_lease(self) -> bool:
        return time.monotonic() < self._lease_ends

    async def _take_lease(self) -> bool:
        asked = time.monotonic()
        async with self._pool.connection() as link:
            held = await agents.lease(link, self._worker, LEASE_LIFE)
        self._lease_ends = asked + LEASE_LIFE.total_seconds() if held else float("-inf")
        return held

    async def _wait_for_lease(self) -> None:
        waits = False
        while not await self._take_lease():
            if not waits:
                log.info("another worker holds the lease on the agents: waiting")
            waits = True
            await asyncio.sleep(LEASE_RENEWAL_S / 3)

    async def _keep_lease(self) -> None:
        """Renew the lease; returns when another worker has it."""
        while True:
            await asyncio.sleep(LEASE_RENEWAL_S)
            try:
                if not await self._take_lease():
                    return
            except _OUT as error:
                log.warning("the lease is not renewed: %s", str(error).partition("\n")[0])

    async def _release(self) -> None:
        self._lease_ends = float("-inf")
        async with self._pool.connection() as link:
            await agents.release(link, self._worker)


async def run(settings: Settings, clock: Callable[[], datetime]) -> None:
    """Serve until cancelled; raises Misconfigured where no waiting will help."""
    pool = await connection.open_pool(settings.database.url, application="danhao ingest", least=2)
    try:
        async with pool.connection() as link:
            missing = await migrate.pending(link)
        if missing:
            raise Misconfigured(
                f"the database lacks {', '.join(missing)}: run `danhao db migrate` first"
            )
        while True:
            try:
                await Service(settings, pool, clock).run()
            except (ExceptionGroup, *_OUT) as error:
                log.warning("the worker begins anew: %s", _passing(error))
            await asyncio.sleep(_RESTART_S)
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await pool.close(timeout=0.5)


def _passing(error: Exception) -> str:
    """Say what went wrong where it may pass; else raise what will not."""
    if not isinstance(error, ExceptionGroup):
        return str(error).partition("\n")[0]
    first: Exception | None = error.subgroup(Misconfigured)
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    if first is not None:
        raise first
    _, others = error.split(_OUT)
    if others is not None:
        raise others
    return "; ".join(str(each).partition("\n")[0] for each in error.exceptions)


def _sorted(rows: Rows) -> Rows:
    return rows.take(rows.point_id.argsort(kind="stable"))
