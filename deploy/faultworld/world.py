"""One schedule from its first poll to quiet: programs, broker, disks, ledger, and the bad fortune.

    with Simulation(url, folder) as simulation:
        outcome = simulation.run(seed)

Promise: a seed is a schedule; run again, it takes the same steps, and its trace has one digest.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from unittest import mock

import psycopg

from core import plant as plants
from core import wire
from core.clock import from_us
from deploy.faultworld import book as books
from deploy.faultworld import chaos, check, clock, leaseclock, meters, schedule
from deploy.faultworld.book import Book
from deploy.faultworld.broker import Broker
from deploy.faultworld.client import Network
from deploy.faultworld.disk import Disks
from deploy.faultworld.gateway import POLL_S, Gateway, Surroundings, configure
from deploy.faultworld.ledger import Ledger
from deploy.faultworld.worker import Store, Worker
from edge import outboxfile
from ingest import declared
from store import connection, ledgerimage
from store import plants as stored

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from deploy.faultworld.book import Key
    from deploy.faultworld.check import Outcome
    from deploy.faultworld.clock import VirtualLoop
    from deploy.faultworld.schedule import Kind, Schedule
    from edge.config import Configuration
    from edge.outbox import Outbox
    from store.ledgerimage import Image

QUIET_S: Final = 1_200.0  # virtual: a program that needs longer to settle hangs
LOOK_S: Final = 5.0
SETTLE_S: Final = 40.0  # an agent asks for its receipt every 30 s
WORKERS: Final = 2
THOROUGH: Final = 200  # schedules after which the tables give back their room


class Simulation:
    """A database and a folder in which schedules run one after the other."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._runs = 0

    def __enter__(self) -> Self:
        self._link = connection.connect(self._url, "danhao faults, checker")
        self._link.autocommit = True
        ledgerimage.install_clock(self._link)
        ledgerimage.hurry(self._link)
        self._ledger = Ledger(self._url)
        self._store = self._declare()
        self._configurations = [
            configure(self._folder, meters.SITE, agent) for agent in meters.AGENTS
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.close()
        self._link.close()

    def run(self, seed: int, only: frozenset[Kind] | None = None) -> Outcome:
        """Run the schedule of a seed, with its own kinds of fault or these only, and judge it."""
        drawn = schedule.draw(seed, only)
        ledgerimage.clear(self._link, thoroughly=self._runs % THOROUGH == 0)
        self._runs += 1
        folder = self._folder / "outboxes"
        folder.mkdir()
        try:
            with ExitStack() as stack:
                stack.enter_context(_repeatable(drawn))
                work = lambda loop: self._go(loop, drawn, folder)  # noqa: E731
                return clock.run(drawn.stream("threads"), work)
        finally:
            shutil.rmtree(folder)

    async def _go(self, loop: VirtualLoop, drawn: Schedule, folder: Path) -> Outcome:
        drawn.begin(loop.time)
        self._ledger.begin(drawn, loop)
        world = World(Parts(self._link, self._store, self._configurations), drawn, loop, folder)
        return await world.run()

    def _declare(self) -> Store:
        plant = plants.parse(meters.PLANT, "plant.toml")
        now = from_us(clock.BEGIN_US)

        async def declare() -> stored.Loaded:
            kwargs = connection.parameters(self._url, "danhao faults")
            async with await psycopg.AsyncConnection.connect(self._url, **kwargs) as link:
                await stored.apply(link, plant, now)
                return await stored.load(link)

        loaded = asyncio.run(declare())
        return Store(self._ledger, loaded, declared.build(loaded.plant, loaded.ids, now))


@dataclass(frozen=True, slots=True)
class Parts:
    """What outlives a schedule."""

    link: psycopg.Connection[Any]
    store: Store
    configurations: list[Configuration]


class World:
    """Everything of one schedule."""

    def __init__(self, parts: Parts, drawn: Schedule, loop: VirtualLoop, folder: Path) -> None:
        self.schedule = drawn
        self.loop = loop
        self.link = parts.link
        self.ledger = parts.store.ledger
        self.store = parts.store
        self.book = Book()
        self.broker = Broker(drawn, loop)
        self.meters = meters.draw(drawn.stream("meters"), drawn.polls)
        self.length_s = drawn.polls * POLL_S
        self.faults: list[str] = []
        self.receipts = 0
        self.store_id = ""  # of the store put back last
        self.undone: set[Key] = set()  # by a restore
        self.owed: set[Key] = set()  # of that, what an outbox held when it heard of the new store
        self.unpaid: set[Key] = set()  # owed, and gone before that store had it
        self._verified: set[Key] = set()
        self._image: Image | None = None
        self._disks = Disks(drawn)
        self._network = Network(self.broker, drawn)
        around = Surroundings(drawn, loop, self.broker, self._network)
        self.gateways = [
            Gateway(
                config,
                self.meters,
                self._disks.at(folder / f"{config.settings.agent}.sqlite"),
                self.book,
                around,
                self._about_to_keep,
            )
            for config in parts.configurations
        ]
        self.workers = [
            Worker(f"ingest-{number}", parts.store, self._told, around)
            for number in range(1, WORKERS + 1)
        ]

    async def run(self) -> Outcome:
        """Live through the schedule, come to rest, and be judged."""
        leases = leaseclock.mounted(self.ledger, self.link, self.loop)
        with self._disks.mounted(), self._network.mounted(), leases:
            programs: list[Gateway | Worker] = [*self.gateways, *self.workers]
            for each in programs:
                each.start()
            watching = [self.loop.create_task(each.supervise()) for each in programs]
            try:
                await self._first_of(watching, chaos.rage(self), self.length_s)
                await self._first_of(watching, self._until(self.length_s), self.length_s)
                self.schedule.calm = True
                self.schedule.note("calm")
                quiet = await self._first_of(watching, self._quiet(), QUIET_S)
                self.schedule.note("quiet" if quiet else "no rest")
                if not quiet:
                    self.faults.append(self._unrest())
                return check.judge(self)
            finally:
                await self._end(watching)

    def back_up(self) -> bool:
        """Keep the store as it is now, the first time; tell whether this was that time."""
        if self._image is not None:
            return False
        self._image = ledgerimage.take(self.link)
        return True

    def restore(self) -> None:
        """Put the kept store back, and note what it lacks of the one before."""
        if self._image is None:
            return
        before = {(point, at) for point, at, _, _ in ledgerimage.readings(self.link)}
        gone = self.owed - before
        for gateway in self.gateways:
            gone -= books.keys_in(gateway.disk.path)
        self.unpaid |= gone
        self.owed.clear()
        self.store_id = ledgerimage.put_back(self.link, self._image)
        self._verified.clear()
        self.undone |= before - {(point, at) for point, at, _, _ in ledgerimage.readings(self.link)}

    async def _first_of(
        self,
        watching: list[asyncio.Task[None]],
        work: Coroutine[Any, Any, None],
        most_s: float,
    ) -> bool:
        """Run work for at most so long; a program's own failure ends it. Tell whether it ended."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait(
                (task, *watching), timeout=most_s, return_when=asyncio.FIRST_COMPLETED
            )
            for each in watching:
                if each.done():
                    each.result()
            done = task.done()
            if done:
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return done

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self.loop.time()))

    async def _quiet(self) -> None:
        """Return once nothing waits anywhere."""
        since = None
        while True:
            await asyncio.sleep(LOOK_S)
            if not self._settled():
                since = None
                continue
            since = self.loop.time() if since is None else since
            if self.loop.time() - since >= SETTLE_S and ledgerimage.marks(self.link) == 0:
                return

    def _settled(self) -> bool:
        if not self.broker.idle or not any(worker.working for worker in self.workers):
            return False
        if self.loop.time() < self.length_s + POLL_S:
            return False
        for gateway in self.gateways:
            if not gateway.up() or gateway.outbox is None or gateway.outbox.state().depth:
                return False
        return True

    def _unrest(self) -> str:
        depths = [
            None if gateway.outbox is None else gateway.outbox.state().depth
            for gateway in self.gateways
        ]
        working = [worker.name for worker in self.workers if worker.working]
        return (
            f"no rest after {QUIET_S:.0f} s: outboxes hold {depths}, at work {working},"
            f" {ledgerimage.marks(self.link)} marks, broker idle {self.broker.idle}"
        )

    def _told(self, topic: str, payload: bytes) -> None:
        """Check a receipt at the very moment it goes out: what it covers is committed."""
        if b'"committed"' not in payload:
            return
        receipt = wire.Receipt.from_json(payload)
        self.receipts += 1
        agent = topic.split("/")[3]
        covered = check.covered(self, agent, receipt)
        wanted = sorted(
            key for keys in covered.values() for key in keys if key not in self._verified
        )
        if not wanted:
            return
        absent = set(ledgerimage.absent(self.link, wanted))
        self._verified.update(key for key in wanted if key not in absent)
        for sequence, keys in sorted(covered.items()):
            if keys & absent and check.still_held(self, agent, receipt.epoch, sequence):
                self.faults.append(
                    f"a receipt covers {sequence} of {agent} {receipt.epoch} before its commit"
                )

    def _about_to_keep(self, gateway: Gateway, outbox: Outbox) -> None:
        """Note what an outbox owes a restored store, before it may drop anything for room.

        What it drops before it hears of that store, nobody can bring back (docs/faults.md).
        """
        if self.undone and outbox.outlet("main").progress.store == self.store_id:
            self.owed |= self.undone & books.keys_in(gateway.disk.path)

    @property
    def verified(self) -> set[Key]:
        """Return the readings that a receipt of the present store spoke of."""
        return self._verified

    async def _end(self, watching: list[asyncio.Task[None]]) -> None:
        for each in watching:
            each.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        for gateway in self.gateways:
            await gateway.kill()
        for worker in self.workers:
            await worker.kill()


def _repeatable(drawn: Schedule) -> Any:
    """Return a context in which what programs draw by themselves is drawn from the seed."""
    stack = ExitStack()
    epochs = drawn.stream("epochs")

    def new_epoch() -> str:
        return f"{epochs.getrandbits(64):016x}"

    stack.enter_context(mock.patch.object(outboxfile, "new_epoch", new_epoch))
    state = random.getstate()
    random.seed(f"{drawn.seed}/programs")
    stack.callback(random.setstate, state)
    return stack
