"""The real PostgreSQL under simulated misfortune: statements and commits that fail on cue.

psycopg's asynchronous connection is driven as it is, but every wait for the server blocks, so the
server takes no virtual time but what a schedule adds, and its answers come in one order. A
connection that breaks is rolled back by the server at once; a commit may happen and its answer be
lost. What would wait for another transaction's lock is told so after a few milliseconds.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg import AsyncConnection, conninfo, pq, waiting

from core.clock import from_us
from deploy.faultworld.clock import BEGIN_US
from deploy.faultworld.meters import DAYS_US
from deploy.faultworld.process import KilledError
from deploy.faultworld.schedule import Kind
from store import connection as connections
from store import ledgerimage, partitions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from random import Random
    from uuid import UUID

    from psycopg.abc import PQGen

    from deploy.faultworld.clock import VirtualLoop
    from deploy.faultworld.process import Process
    from deploy.faultworld.schedule import Schedule

RV = TypeVar("RV")

MOST_CONNECTIONS: Final = 12  # two workers, each a writer, a calculator and who tells receipts
LOCK_MS: Final = 5
OUT_S: Final = 20.0
FROZEN_S: Final = (2.0, 50.0)  # either side of a lease
_SLOW_S: Final = 3.0
_ANSWER_S: Final = 0.004
_PAUSES: Final = 0.3  # of all statements let others run meanwhile
_INTERVAL_S: Final = 0.1


class _Connection(AsyncConnection[Any]):
    """A connection that breaks when its ledger says so."""

    ledger: Ledger
    process: Process | None = None
    broken = False
    committing = False

    async def wait(
        self,
        gen: PQGen[RV],
        interval: float = _INTERVAL_S,
        timeout: float | None = None,  # noqa: ASYNC109 - as psycopg has it
    ) -> RV:
        """Let the server work, with what may befall on either side of it."""
        if self.process is None:
            return waiting.wait(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        await self.ledger.before(self, self.process)
        result = waiting.wait(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        self.ledger.after(self, self.process)
        return result

    async def commit(self) -> None:
        """Commit; costs nothing where no transaction is open, as with the real one."""
        if self.pgconn.transaction_status == pq.TransactionStatus.IDLE:
            return
        self.committing = True
        try:
            await super().commit()
        finally:
            self.committing = False

    def reset(self) -> bool:
        """Undo what is open, as the server does for a client that is gone; tell whether it is."""
        if self.pgconn.transaction_status != pq.TransactionStatus.IDLE:
            self.pgconn.exec_(b"ROLLBACK")
        return self.pgconn.transaction_status == pq.TransactionStatus.IDLE


class Ledger:
    """One database and its connections, kept over many schedules."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stock: list[_Connection] = []
        self._lent: list[_Connection] = []
        self._schedule: Schedule | None = None
        self._loop: VirtualLoop | None = None
        self._out_until = 0.0
        self.names: dict[UUID, Process] = {}  # of workers, as the leases know them

    def begin(self, schedule: Schedule, loop: VirtualLoop) -> None:
        """Serve a schedule's programs."""
        self._schedule, self._loop, self._out_until = schedule, loop, 0.0
        self.names.clear()

    def close(self) -> None:
        """Let the connections go."""
        for each in self._stock:
            each.pgconn.finish()
        self._stock.clear()

    def go_out(self, seconds: float) -> None:
        """Be unreachable for so long."""
        if self._loop is not None:
            self._out_until = self._loop.time() + seconds

    def pool(self, process: Process) -> LedgerPool:
        """Return the pool of one program."""
        return LedgerPool(self, process)

    def take(self, process: Process) -> _Connection:
        """Hand out a connection that nobody uses."""
        found = self._stock.pop() if self._stock else self._open()
        found.process, found.broken, found.committing = process, False, False
        self._lent.append(found)
        return found

    def give_back(self, used: _Connection) -> None:
        """Take a connection back, whatever state it is in."""
        used.process = None
        self._lent.remove(used)
        if used.reset() and len(self._stock) < MOST_CONNECTIONS:
            self._stock.append(used)
        else:
            used.pgconn.finish()

    def drop(self, process: Process) -> None:
        """Undo what a dead program has open, as the server does."""
        for each in self._lent:
            if each.process is process:
                each.broken = True
                each.reset()

    async def before(self, used: _Connection, process: Process) -> None:
        """Pass the way to the server."""
        assert self._schedule is not None  # noqa: S101 - begin() came first
        assert self._loop is not None  # noqa: S101 - as above
        schedule = self._schedule
        await process.thawed()
        draws = schedule.stream(f"ledger of {process.name}")
        if schedule.hit(Kind.STATEMENT_SLOW, process.name):
            await asyncio.sleep(draws.random() * _SLOW_S)
            await process.thawed()
        elif draws.random() < _PAUSES:
            await asyncio.sleep(draws.random() * _ANSWER_S)
            await process.thawed()
        if used.committing and schedule.hit(Kind.INGEST_STALLED_IN_WRITE, process.name):
            process.freeze(draws.uniform(*FROZEN_S))
            await process.thawed()
        if schedule.hit(Kind.INGEST_KILLED_IN_WRITE, f"{process.name} before a statement"):
            used.reset()
            process.die()
            raise KilledError(process.name)
        kind = Kind.COMMIT_FAILED if used.committing else Kind.STATEMENT_FAILED
        out = self._loop.time() < self._out_until
        if used.broken or out or schedule.hit(kind, process.name):
            self._break(used)

    def after(self, used: _Connection, process: Process) -> None:
        """Pass the way back from the server."""
        assert self._schedule is not None  # noqa: S101 - begin() came first
        if not used.committing:
            return
        if self._schedule.hit(Kind.COMMIT_ANSWER_LOST, process.name):
            self._break(used)
        if self._schedule.hit(Kind.INGEST_KILLED_IN_WRITE, f"{process.name} after a commit"):
            process.die()
            raise KilledError(process.name)

    def _break(self, used: _Connection) -> None:
        used.broken = True
        used.reset()
        raise psycopg.OperationalError("the simulated connection to the server is lost")

    def _open(self) -> _Connection:
        parameters = connections.parameters(self._url, "danhao faults")
        parameters["options"] += (
            f" -c lock_timeout={LOCK_MS} -c synchronous_commit=off"
            f" -c search_path={ledgerimage.CLOCK_PATH}"
        )
        text = conninfo.make_conninfo(self._url, **parameters)
        opened = waiting.wait_conn(_Connection._connect_gen(text), interval=_INTERVAL_S)  # noqa: SLF001 - without its event loop there is no other way in
        assert isinstance(opened, _Connection)  # noqa: S101 - the class that was asked
        opened.ledger = self
        # What the store's modules learn once a connection is learned here, or a schedule's steps
        # would depend on what ran before it.
        for _ in range(2):
            _driven(self._learn(opened))
        return opened

    async def _learn(self, opened: _Connection) -> None:
        await partitions.make_for(opened, DAYS_US, from_us(BEGIN_US))
        await opened.commit()


class LedgerPool:
    """What the programs take for their pool of connections."""

    def __init__(self, ledger: Ledger, process: Process) -> None:
        self._ledger = ledger
        self._process = process

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[_Connection]:  # noqa: ARG002, ASYNC109 - as psycopg_pool has it
        """Lend a connection; commit at the end of the block, undo everything where it fails."""
        await self._process.thawed()
        used = self._ledger.take(self._process)
        try:
            yield used
            await used.commit()
        finally:
            self._ledger.give_back(used)


def _driven(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing but the server, outside of any loop."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something else")


def jitter(draws: Random, most_s: float) -> float:
    """Return a time between nothing and `most_s`."""
    return draws.random() * most_s
