"""One round of work: everything that runs for one share of the sites, until that share changes.

Memory of a round (newest readings, open slots, receipts) is thrown away with it, for what it knows
is sure only as long as its sites were this worker's without a break. Promise: what the calculator
or the evaluator cannot do now is tried again and never holds up the readings.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psycopg
from psycopg_pool import PoolTimeout

from core import names
from core.errors import Retryable
from ingest import crew, notifier
from ingest.alerting import Alerting
from ingest.calculator import Calculator
from ingest.casewatch import CaseWatch
from ingest.conditions import Watcher
from ingest.evaluator import Evaluator
from ingest.latest import Latest
from ingest.mending import Mender
from ingest.receipts import Receipts
from ingest.source import Bounds
from ingest.subscriber import Subscriber, everything, of_sites
from ingest.writer import Hooks, Writer
from store import agents, plants, policies, readings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from ingest.config import Settings
    from ingest.leases import Leases
    from ingest.plantwatch import PlantWatch
    from ingest.source import Publish
    from ingest.subscriber import Reads
    from store.connection import Pool
    from store.readings import Rows

    Work = Coroutine[Any, Any, None]

log = logging.getLogger(__name__)

FLUSH_S: Final = 0.5  # of what points show now
FLUSH_SHARE: Final = 4.0  # a flush is followed by a pause of so many times its length
MOST_FLUSH_S: Final = 10.0
REPORT_S: Final = 60.0
MOST_BACK_OFF_S: Final = 30.0
OUT: Final = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, Retryable)


class Round:
    """The work on one share of the sites; `run` returns when the share has changed."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        clock: Callable[[], datetime],
        leases: Leases,
        watch: PlantWatch,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._clock = clock
        self._leases = leases
        self._watch = watch
        self._share = leases.share
        self._latest = Latest()
        self._wake = watch.wake
        self._receipts = Receipts("")
        self._subscriber: Subscriber | None = None

    async def run(self, ready: asyncio.Event) -> None:
        """Work until the share changes; `ready` is set once the broker is connected."""
        await self._watch.load()
        calculator = Calculator(
            self._pool,
            self._watch.plants,
            self._clock,
            fence=self._leases.fence,
            holds=self._leases.holds,
            renew=self._watch.renew,
        )
        async with self._pool.connection() as link:
            self._receipts = Receipts(await plants.store_id(link))
            newest = await readings.newest(link)
            self._latest.take(_sorted(newest.take(self._ours(newest))), self._watch.declared)
            await calculator.start(link)
        self._wake.set()  # marks of a former life may wait
        works = [self._leases.until(self._share), *self._works(calculator, ready)]
        await crew.until_one_ends(works)
        log.info("the sites of this worker have changed: its work begins anew")

    def _works(self, calculator: Calculator, ready: asyncio.Event) -> list[Work]:
        works = [
            self._again("calculator", lambda: calculator.run(self._wake)),
            self._again("plant watcher", self._watch.run),
            self._again("latest readings", self._flush),
            self._again("dead letters", Mender(self._pool, self._clock).run),
        ]
        if self._share.for_all:
            works += self._works_for_all()
        reads = self._reads()
        if not reads.filters:
            ready.set()
            return works
        subscriber = Subscriber(
            self._settings.mqtt,
            self._outgoing,
            reads=reads,
            allowed=self._leases.valid,
            most_bytes=self._settings.ingest.backlog_mib << 20,
        )
        writer = self._writer(subscriber, calculator)
        # A calculator that reads marks while holding the gate never misses a reading.
        calculator.gate = writer.gate
        self._subscriber = subscriber
        return [
            *works,
            subscriber.run(),
            writer.run(),
            self._report(writer, subscriber),
            _tell_ready(subscriber, ready),
        ]

    def _works_for_all(self) -> list[Work]:
        """Return what one worker does for all: figures of units, alerts, policies of the store."""
        alerting = Alerting(self._settings.channels)
        evaluator = Evaluator(self._pool, self._watch.plants, self._clock, alerting)
        watcher = Watcher(
            self._pool,
            self._watch.plants,
            self._clock,
            alerting,
            self._hears,
            self._settings.conditions,
        )
        channels = self._settings.channels
        casewatch = CaseWatch(self._pool, channels, self._watch.plants, self._clock)
        notifiers = notifier.of_all(self._pool, channels, self._clock)
        return [
            self._again("evaluator", evaluator.run),
            self._again("announcements", evaluator.announce),
            self._again("conditions", watcher.run),
            self._again("policies", self._run_policies),
            self._again("cases", casewatch.run),
            *(
                self._again(f"channel {channel.name}", each.run)
                for channel, each in zip(channels, notifiers, strict=True)
            ),
        ]

    def _hears(self) -> bool:
        """Tell whether readings can reach us; one without sites hears by the other workers."""
        return self._subscriber is None or self._subscriber.connected.is_set()

    def _reads(self) -> Reads:
        share, name = self._share, self._settings.mqtt.client_id
        if share.alone:
            return everything(name)
        return of_sites(share.sites, name, share.number or 0, first=share.for_all)

    def _writer(self, subscriber: Subscriber, calculator: Calculator) -> Writer:
        def committed(new: Rows, marks: Sequence[int]) -> None:
            calculator.committed(new, marks)
            self._latest.take(new, self._watch.declared)
            if len(new):
                self._wake.set()

        ingest, share = self._settings.ingest, self._share
        return Writer(
            self._pool,
            subscriber,
            self._receipts,
            lambda: self._watch.declared,
            self._clock,
            Hooks(
                committed,
                calculator.forget,
                self._leases.valid,
                self._watch.renew,
                self._leases.fence,
                lambda site: share.alone or site in share.sites,
            ),
            Bounds(ingest.batch_messages, ingest.batch_kib << 10, ingest.batch_ms / 1000),
        )

    async def _outgoing(self, publish: Publish) -> None:
        """On every connection: tell all agents again what is durable, then what is new."""
        async with self._pool.connection() as link:
            epochs = await agents.newest_epochs(link)
        self._receipts.durable(
            {each: state for each, state in epochs.items() if self._leases.holds(each.site)}
        )
        await self._receipts.run(publish)

    def _ours(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows are of points of our sites."""
        mine = [
            number
            for number, point in self._watch.declared.names.items()
            if self._leases.holds(names.site_of(point))
        ]
        return np.isin(rows.point_id, mine)

    async def _flush(self) -> None:
        pause_s = FLUSH_S
        while True:
            await asyncio.sleep(pause_s)
            rows, rate_kw = self._latest.drain()
            pause_s = FLUSH_S
            if not len(rows):
                continue
            began = time.monotonic()
            try:
                async with self._pool.connection() as link:
                    await readings.write_latest(link, rows, rate_kw)
            except BaseException:
                self._latest.again(rows)
                raise
            # What very many points show now is worth less than their readings.
            pause_s = min(max(FLUSH_S, FLUSH_SHARE * (time.monotonic() - began)), MOST_FLUSH_S)

    async def _run_policies(self) -> None:
        while True:
            for each in await policies.run(self._pool, self._settings.keep, self._clock()):
                if each.error is None:
                    log.info("policy %s: %s", each.policy, each.did)
                else:
                    log.error("policy %s failed: %s", each.policy, each.error)
            await asyncio.sleep(policies.EVERY.total_seconds())

    async def _report(self, writer: Writer, subscriber: Subscriber) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            log.info(
                "%s %s received=%d backlog=%d pauses=%d connections=%d receipts=%d",
                writer.counters,
                writer.gaps.report(),
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
            except OUT as error:
                log.warning("%s: %s", name, str(error).partition("\n")[0])
            except Exception:
                log.exception("%s failed and is tried again", name)
            if time.monotonic() - began > MOST_BACK_OFF_S:
                back_off_s = 0.2
            self._wake.set()  # marks that a pass had taken are there again
            await asyncio.sleep(back_off_s)
            back_off_s = min(2 * back_off_s, MOST_BACK_OFF_S)


async def _tell_ready(subscriber: Subscriber, ready: asyncio.Event) -> None:
    await subscriber.connected.wait()
    ready.set()
    await asyncio.Event().wait()  # a work that ends would end the round


def _sorted(rows: Rows) -> Rows:
    return rows.take(rows.point_id.argsort(kind="stable"))
