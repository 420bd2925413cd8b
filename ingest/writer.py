"""The writer: batches of arrivals to commits, commits to acknowledgements and receipts.

Promise (design 5.2): nothing is acknowledged or receipted before its commit; a batch that the
database could not take is kept and tried again until it can; one message that it can never take
becomes a dead letter and holds up nobody.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolTimeout

from core.clock import to_us
from core.errors import Rejected, Retryable
from core.progress import Progress
from ingest import batch as batches
from ingest import senders
from ingest.gaps import Gaps
from ingest.source import Bounds
from store import agents, readings
from store import senders as kept_senders

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.wire import Status
    from ingest.batch import Batch, Committed
    from ingest.declared import Declared
    from ingest.receipts import Receipts
    from ingest.source import Arrival, Source
    from store.connection import Pool
    from store.readings import Rows, Watermarks

log = logging.getLogger(__name__)

MOST_BACK_OFF_S: Final = 5.0
MOST_LOST_RACES: Final = 5  # in a row, for one batch
_FIRST_BACK_OFF_S: Final = 0.1
_OUT: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    PoolTimeout,
    Retryable,
)


@dataclass(slots=True)
class Counters:
    """What the writer did since it began; `new + same + refused` readings make `readings`."""

    batches: int = 0
    messages: int = 0
    readings: int = 0
    new: int = 0
    same: int = 0
    conflicts: int = 0
    overlaps: int = 0
    dead_letters: int = 0
    facts: int = 0
    retries: int = 0
    lost_races: int = 0
    strays: int = 0

    def __str__(self) -> str:
        return " ".join(f"{each.name}={getattr(self, each.name)}" for each in fields(self))


async def _nothing_new() -> bool:
    return False


async def _alone(_connection: AsyncConnection[Any], _sites: Collection[str]) -> None:
    return


@dataclass(frozen=True, slots=True)
class Hooks:
    """What others hear and say: new rows after their commit, a failure, and may we write now.

    `renew` is asked when something undeclared arrives; it tells whether the declaration it read
    anew is another one. `fence` is asked in the transaction itself, right before its commit, and
    raises Retryable where somebody was put in our place at one of the sites meanwhile. `reads`
    tells whether we read a site's messages at all: a copy that a broker sends us all the same, from
    a session that should be over, is left to the worker that reads it.
    """

    committed: Callable[[Rows, Sequence[int]], None] = lambda _new, _marks: None
    failed: Callable[[], None] = lambda: None
    may_write: Callable[[], bool] = lambda: True
    renew: Callable[[], Awaitable[bool]] = _nothing_new
    fence: Callable[[AsyncConnection[Any], Collection[str]], Awaitable[None]] = _alone
    reads: Callable[[str], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class _Judged:
    """A batch, and the declaration that it was judged by."""

    declared: Declared
    batch: Batch


class Writer:
    """One worker's way into the ledger.

    `gate` is held from before a commit until `Hooks.committed` has run: who reads marks of touched
    slots while holding it finds all their readings handed over.
    """

    def __init__(
        self,
        pool: Pool,
        source: Source,
        receipts: Receipts,
        declared: Callable[[], Declared],
        clock: Callable[[], datetime],
        hooks: Hooks | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._pool = pool
        self._source = source
        self._receipts = receipts
        self._declared = declared
        self._clock = clock
        self._hooks = hooks or Hooks()
        self._bounds = bounds or Bounds()
        self._marks: Watermarks | None = None
        self._senders = senders.Senders()
        self.gate = asyncio.Lock()
        self.counters = Counters()
        self.gaps = Gaps()

    async def run(self) -> None:
        """Write for ever; every error of the database that may pass is waited out.

        While the store takes one batch the next one is taken and judged: one, so that memory is
        bounded and nothing overtakes.
        """
        ahead = asyncio.create_task(self._next())
        try:
            while True:
                judged = await ahead
                ahead = asyncio.create_task(self._next())
                await self._store(judged)
        finally:
            ahead.cancel()  # its messages are not settled: they come again
            await asyncio.gather(ahead, return_exceptions=True)

    async def write(self, arrivals: Sequence[Arrival]) -> None:
        """Make arrivals durable, settle them, and tell their senders."""
        await self._store(self._judge(arrivals))

    async def _next(self) -> _Judged:
        return self._judge(await self._source.take(self._bounds))

    def _judge(self, arrivals: Sequence[Arrival]) -> _Judged:
        arrivals, declared = self._without_strays(arrivals), self._declared()
        return _Judged(declared, batches.admit(arrivals, declared, self._clock()))

    def _still(self, judged: _Judged) -> Batch:
        """Return the batch by what is declared and ours now, not when it was judged ahead."""
        arrivals = self._without_strays(judged.batch.arrivals)
        if judged.declared is self._declared() and len(arrivals) == len(judged.batch.arrivals):
            return judged.batch
        return batches.admit(arrivals, self._declared(), self._clock())

    async def _store(self, judged: _Judged) -> None:
        batch = self._still(judged)
        arrivals = batch.arrivals
        if not arrivals:
            return
        try:
            if batch.undeclared and await self._renewed():
                batch = batches.admit(arrivals, self._declared(), self._clock())
            done = await self._persist(batch)
        except psycopg.DataError as error:
            await self._isolate(arrivals, error)
        except Rejected as error:
            log.warning("the store does not take a batch: %s", error)
            await self._in_parts(await self._renewed_batch(arrivals))
        else:
            await self._after(batch, done)

    async def _renewed_batch(self, arrivals: Sequence[Arrival]) -> Batch:
        await self._renewed()  # how far back readings are kept may have changed
        return batches.admit(arrivals, self._declared(), self._clock())

    async def _in_parts(self, batch: Batch) -> None:
        """Store in several transactions what does not go into one; letters of what never will.

        The last part settles the arrivals, so all of it is durable by then.
        """
        try:
            done = await self._persist(batch)
        except Rejected as error:
            if not batches.one_day(batch):
                for part in batches.cut(batch):
                    await self._in_parts(part)
                return
            batch = batches.refuse_rows(batch, error, self._declared())
            done = await self._persist(batch)
        await self._after(batch, done)

    def _without_strays(self, arrivals: Sequence[Arrival]) -> Sequence[Arrival]:
        strays = [each for each in arrivals if not self._hooks.reads(batches.site_in(each.topic))]
        if not strays:
            return arrivals
        for each in strays:  # our copy only: whoever reads the site has its own
            each.settle()
        self.counters.strays += len(strays)
        return [each for each in arrivals if self._hooks.reads(batches.site_in(each.topic))]

    async def _renewed(self) -> bool:
        """Look whether what is unknown here has been declared a moment ago."""
        try:
            return await self._hooks.renew()
        except _OUT as error:
            log.warning("the declaration is not read anew: %s", error)
            return False

    async def _isolate(self, arrivals: Sequence[Arrival], error: psycopg.DataError) -> None:
        """Find the message that the database cannot hold; the others are not to suffer for it."""
        if len(arrivals) > 1:
            middle = len(arrivals) // 2
            await self.write(arrivals[:middle])
            await self.write(arrivals[middle:])
            return
        log.error("a message of %s cannot be stored: %s", arrivals[0].topic, error)
        batch = batches.refuse(arrivals[0], (str(error) or "no reason").splitlines()[0])
        await self._after(batch, await self._persist(batch))

    async def _persist(self, batch: Batch) -> Committed:
        """Commit a batch, however long the database is out."""
        back_off_s = _FIRST_BACK_OFF_S
        while True:
            try:
                return await self._commit(batch)
            except _OUT as error:
                self.counters.retries += 1
                # The commit may have happened unseen: what memory holds is no longer sure.
                self._marks = None
                self._senders = senders.Senders()
                self._hooks.failed()
                log.warning("a batch waits %.1f s for the database: %s", back_off_s, error)
            await asyncio.sleep(back_off_s)
            back_off_s = min(2 * back_off_s, MOST_BACK_OFF_S)

    async def _commit(self, batch: Batch) -> Committed:
        for _ in range(MOST_LOST_RACES):
            if not self._hooks.may_write():
                raise Retryable("another worker holds the lease on the agents")
            marks = self._marks or await self._load_marks()
            try:
                return await self._transaction(batch, marks)
            except (pg.UniqueViolation, readings.LostRaceError):
                # Somebody else wrote newer rows than our marks know: ask them all, slowly.
                self.counters.lost_races += 1
                self._marks = None
            try:
                return await self._transaction(batch, None)
            except readings.LostRaceError:
                self.counters.lost_races += 1
        raise Retryable("another writer stores the same readings at the same moment")

    async def _transaction(self, batch: Batch, marks: Watermarks | None) -> Committed:
        declared, now = self._declared(), self._clock()
        async with self._pool.connection() as connection:
            done = await batches.write(connection, batch, declared, marks, now)
            day = now.toordinal()
            fresh = self._senders.fresh(batch.topics, batch.row_topic, batch.rows.point_id, day)
            if fresh:
                await kept_senders.learn(connection, senders.by_agent(fresh), now)
            await self._hooks.fence(connection, batch.sites.intersection(declared.plant.sites))
            async with self.gate:
                await connection.commit()
                self._hooks.committed(done.stored.new, done.marks)
        self._senders.learned(fresh, day)
        if self._marks is not None:
            self._marks.advance(done.stored.new, to_us(now))
        return done

    async def _load_marks(self) -> Watermarks:
        async with self._pool.connection() as connection:
            self._marks = await readings.load_watermarks(connection, self._clock())
        return self._marks

    async def _after(self, batch: Batch, done: Committed) -> None:
        for arrival in batch.arrivals:
            arrival.settle()
        self.gaps.take(done.gaps)
        self._receipts.durable(done.progress)
        for (site, source), ids in batch.fact_receipts.items():
            self._receipts.facts(site, source, ids)
        self._count(batch, done)
        if batch.statuses:
            await self._tell_again(batch.statuses)

    async def _tell_again(self, reports: Mapping[tuple[str, str], Status]) -> None:
        """Publish the receipts of agents that reported; one that is not told asks again."""
        try:
            async with self._pool.connection() as connection:
                epochs = await agents.newest_epochs(connection, list(reports))
            for (site, agent), report in reports.items():
                # A store put back may know nothing of this outbox: only its id says "send again".
                epochs.setdefault(agents.Epoch(site, agent, report.epoch), Progress())
            self._receipts.durable(epochs, reports, self._clock())
        except _OUT as error:
            log.warning("receipts are not repeated: %s", error)

    def _count(self, batch: Batch, done: Committed) -> None:
        counters = self.counters
        counters.batches += 1
        counters.messages += len(batch.arrivals)
        counters.readings += len(batch.rows)
        counters.new += len(done.stored.new)
        counters.conflicts += len(done.stored.conflicts)
        counters.overlaps += len(done.stored.overlaps)
        counters.same += (
            len(batch.rows)
            - len(done.stored.new)
            - len(done.stored.conflicts)
            - len(done.stored.overlaps)
        )
        counters.dead_letters += done.letters
        counters.facts += done.facts
        counters.strays += batch.strays
