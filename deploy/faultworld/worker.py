"""An ingest worker of the simulation: the real writer, receipts and calculator, life after life.

Put together as the service does it. Two workers take over from one another by a lease; one that
was frozen wakes up with everything in hand and does not know yet that it was replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

import psycopg

from core.errors import Retryable
from deploy.faultworld import meters
from deploy.faultworld.process import Process
from deploy.faultworld.source import CLIENT, BrokerSource
from ingest.calculator import Calculator
from ingest.leases import Leases, Share
from ingest.receipts import Receipts
from ingest.source import Bounds
from ingest.writer import Hooks, Writer
from store import agents, plants

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deploy.faultworld.gateway import Surroundings
    from deploy.faultworld.ledger import Ledger, LedgerPool
    from ingest.declared import Declared
    from ingest.source import Publish
    from store.plants import Loaded
    from store.readings import Rows

NOTHING: Final = Share()
LOOK_S: Final = 10.0  # for marks from elsewhere
BACK_OFF_S: Final = 0.5
DOWN_S: Final = 8.0
_OUT: Final = (psycopg.OperationalError, psycopg.InterfaceError, Retryable)


@dataclass(frozen=True, slots=True)
class Store:
    """The store of a simulation: its ledger, and what is declared in it."""

    ledger: Ledger
    loaded: Loaded
    declared: Declared


class Worker:
    """One place for a worker over all its lives."""

    def __init__(
        self,
        name: str,
        store: Store,
        told: Callable[[str, bytes], None],
        world: Surroundings,
    ) -> None:
        self.name = name
        self.life: Process | None = None
        self.working = False
        self.lives = 0
        self._store = store
        self._told = told
        self._world = world

    def start(self) -> None:
        """Begin a life."""
        self.lives += 1
        life = Process(f"{self.name}#{self.lives}", self._world.loop)
        self.life = life
        life.start(self._live(life))

    async def kill(self) -> None:
        """End this life as kill -9 does, at whatever step it is."""
        life = self.life
        if life is None:
            return
        self.fall()
        if self.working:
            self._world.broker.cut(CLIENT)
        self.working = False
        await life.buried()

    def fall(self) -> None:
        """Die at this very step, open transactions included; `supervise` sees to the rest."""
        if self.life is not None:
            self.life.die()
            self._store.ledger.drop(self.life)

    def up(self) -> bool:
        """Tell whether the worker runs, at work or waiting for its turn."""
        return self.life is not None and self.life.alive

    async def supervise(self) -> None:
        """Bury what has died by itself and start it anew, for ever."""
        draws = self._world.schedule.stream(f"restarts of {self.name}")
        while True:
            life = self.life
            if life is not None:
                await life.over.wait()
                await self.kill()
                if life.failure is not None:
                    raise life.failure
            await asyncio.sleep(0.2 + draws.random() * DOWN_S)
            self.start()

    async def _live(self, life: Process) -> None:
        """Keep leases, and work round after round on what they give, as the service does."""
        pool = self._store.ledger.pool(life)
        draws = self._world.schedule.stream("names of workers")
        worker = UUID(int=draws.getrandbits(128))
        self._store.ledger.names[worker] = life
        leases = Leases(pool, worker)  # type: ignore[arg-type]  # lends connections as the real pool does
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(leases.keep())
            tasks.create_task(self._rounds(life, pool, leases))

    async def _rounds(self, life: Process, pool: LedgerPool, leases: Leases) -> None:
        while True:
            await leases.until(NOTHING)
            share = leases.share
            if meters.SITE in share.sites:
                self.working = True
                work = _Work(life, pool, self._store, leases, self._told, self._world)
                try:
                    await work.run(share)
                except* _OUT:
                    self._world.schedule.note(f"{life.name} begins anew")
                finally:
                    self.working = False
                await asyncio.sleep(BACK_OFF_S)
            else:
                await leases.until(share)
            with contextlib.suppress(*_OUT):
                await leases.give_up()


class _Work:
    """What one worker does in one round: from getting the site to losing it."""

    def __init__(
        self,
        life: Process,
        pool: LedgerPool,
        store: Store,
        leases: Leases,
        told: Callable[[str, bytes], None],
        world: Surroundings,
    ) -> None:
        self._life = life
        self._pool = pool
        self._store = store
        self._leases = leases
        self._told = told
        self._world = world
        self._wake = asyncio.Event()

    async def run(self, share: Share) -> None:
        """Work as long as the share covers what the leases say; raises what store or broker do."""
        world = self._world
        plant, ids = self._store.loaded.plant, self._store.loaded.ids
        calculator = Calculator(
            self._pool,  # type: ignore[arg-type]  # as above
            lambda: (plant, ids),
            world.loop.now,
            fence=self._leases.fence,
            holds=self._leases.holds,
        )
        async with self._pool.connection() as link:
            self._receipts = Receipts(await plants.store_id(link))
            await calculator.start(link)
        source = BrokerSource(world.broker, self._life, world.schedule, self._outgoing)
        writer = self._writer(source, calculator)
        calculator.gate = writer.gate
        self._wake.set()
        async with asyncio.TaskGroup() as tasks:
            working = [
                tasks.create_task(source.run()),
                tasks.create_task(writer.run()),
                tasks.create_task(self._calculate(calculator)),
            ]
            await self._leases.until(share)
            for task in working:
                task.cancel()

    def _writer(self, source: BrokerSource, calculator: Calculator) -> Writer:
        def committed(new: Rows, marks: Sequence[int]) -> None:
            calculator.committed(new, marks)
            if len(new):
                self._wake.set()

        return Writer(
            self._pool,  # type: ignore[arg-type]  # as above
            source,
            self._receipts,
            lambda: self._store.declared,
            self._world.loop.now,
            Hooks(committed, calculator.forget, self._leases.valid, fence=self._leases.fence),
            Bounds(messages=8, wait_s=0.1),
        )

    async def _outgoing(self, publish: Publish) -> None:
        """On every connection: tell all agents again what is durable, then what is new."""

        async def checked(topic: str, payload: bytes, *, retain: bool) -> None:
            await self._life.thawed()
            self._told(topic, payload)
            await publish(topic, payload, retain=retain)

        async with self._pool.connection() as link:
            self._receipts.durable(await agents.newest_epochs(link))
        await self._receipts.run(checked)

    async def _calculate(self, calculator: Calculator) -> None:
        while True:
            try:
                try:
                    async with asyncio.timeout(LOOK_S):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()
                while await calculator.step():
                    pass
            except _OUT:
                self._wake.set()
                await asyncio.sleep(BACK_OFF_S)
