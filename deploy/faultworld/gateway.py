"""An agent of the simulation: its meters, the real outbox, the real publisher, life after life."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final

from core.clock import to_us
from core.errors import Misconfigured, Retryable
from deploy.faultworld.process import Process
from deploy.faultworld.schedule import Kind
from edge import config as configuration
from edge.clockwatch import ClockWatch
from edge.linksettings import Identity
from edge.outbox import Outbox
from edge.outboxstate import inspect
from edge.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.reading import Reading
    from deploy.faultworld.book import Book, Life
    from deploy.faultworld.broker import Broker
    from deploy.faultworld.client import Network
    from deploy.faultworld.clock import VirtualLoop
    from deploy.faultworld.disk import Disk
    from deploy.faultworld.meters import Meters
    from deploy.faultworld.schedule import Schedule
    from edge.config import Configuration

POLL_S: Final = 2.0
MOST_PENDING: Final = 4  # polls in one envelope
KEEP_US: Final = 400 * 86_400_000_000
ROOM_BYTES: Final = 1 << 20
SMALL_BYTES: Final = 700  # some four envelopes
TRIM_S: Final = 15.0
DOWN_S: Final = 12.0
_EDGE: Final = """
site = "{site}"
agent = "{agent}"
[broker]
url = "mqtt://127.0.0.1:1"
[[device]]
name = "m1"
host = "127.0.0.1"
model = "acrel_adw300"
[device.points]
"{site}.line-1.plain" = "import_active_energy"
"""


def configure(folder: Path, site: str, agent: str) -> Configuration:
    """Return an agent's configuration; of its meters and addresses nothing is used."""
    path = folder / f"{agent}.toml"
    path.write_text(_EDGE.format(site=site, agent=agent), "utf-8")
    return configuration.load(path)


class Gateway:
    """One agent over all its lives."""

    def __init__(
        self,
        config: Configuration,
        meters: Meters,
        disk: Disk,
        book: Book,
        world: Surroundings,
        about_to_keep: Callable[[Gateway, Outbox], None],
    ) -> None:
        self.agent = config.settings.agent
        self.client = f"{config.settings.site}.{self.agent}"
        self.disk = disk
        self.life: Process | None = None
        self.outbox: Outbox | None = None
        self.lost_before = 0  # readings that spoiled files had reported as dropped
        self.lives = 0
        self._config = config
        self._meters = meters
        self._book = book
        self._world = world
        self._about_to_keep = about_to_keep
        small = Kind.OUTBOX_SMALL in world.schedule.kinds
        self._most_bytes = SMALL_BYTES if small else ROOM_BYTES

    def start(self) -> None:
        """Begin a life."""
        self.lives += 1
        life = Process(f"{self.agent}#{self.lives}", self._world.loop)
        self.life = life
        self.disk.belongs_to(life)
        self._world.network.belongs_to(self.client, life)
        life.start(self._live(life))

    async def kill(self) -> None:
        """End this life as kill -9 does, at whatever step it is."""
        life = self.life
        if life is None:
            return
        life.die()
        self.disk.abandon()
        self._world.broker.cut(self.client)
        await life.buried()
        if self.outbox is not None:
            self.outbox.close()  # gives back the lock of the file, which the system does for a kill
            self.outbox = None

    async def supervise(self) -> None:
        """Bury what has died by itself and start it anew, for ever."""
        draws = self._world.schedule.stream(f"restarts of {self.agent}")
        while True:
            life = self.life
            if life is not None:
                await life.over.wait()
                await self.kill()
                if life.failure is not None:
                    if not isinstance(life.failure, Retryable | Misconfigured):
                        raise life.failure
                    self._world.schedule.note(
                        f"{life.name} gives up: {type(life.failure).__name__}"
                    )
            await asyncio.sleep(0.2 + draws.random() * DOWN_S)
            self.start()

    def fall(self) -> None:
        """Die at this very step; `supervise` sees to the rest."""
        if self.life is not None:
            self.life.die()
            self.disk.abandon()

    def up(self) -> bool:
        """Tell whether the agent runs with its outbox open."""
        return self.life is not None and self.life.alive and self.outbox is not None

    def ended_with(self) -> tuple[int, Life]:
        """Return how many readings the file says were dropped unreceived, and whose it is.

        A spoiled file says nothing, and is nobody's.
        """
        try:
            stands, _ = inspect(self.disk.path)
        except sqlite3.DatabaseError:
            return 0, (self.agent, "")
        return stands.lost_readings, (self.agent, stands.epoch)

    async def _live(self, life: Process) -> None:
        self.outbox = outbox = Outbox(self.disk.path, most_bytes=self._most_bytes, keep_us=KEEP_US)
        self._book.read(self._named(outbox), self.disk.path)
        publisher = self._publisher(outbox)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(publisher.run())
            tasks.create_task(self._poll(life, outbox, publisher))
            tasks.create_task(self._trim(life, outbox))

    def _publisher(self, outbox: Outbox) -> Publisher:
        loop, settings = self._world.loop, self._config.settings
        draws = self._world.schedule.stream(f"patience of {self.agent}")
        watch = ClockWatch(wall=loop.now, monotonic=loop.time, synchronised=lambda: True)
        return Publisher(
            Identity(settings.site, settings.agent),
            self._config.destinations[0],
            outbox,
            watch=watch,
            monotonic=loop.time,
            rand=draws.random,
        )

    def _named(self, outbox: Outbox) -> Life:
        return self.agent, outbox.epoch

    async def _poll(self, life: Process, outbox: Outbox, publisher: Publisher) -> None:
        """Read the meters as the plant's time goes by; what was missed is missed."""
        draws = self._world.schedule.stream(f"polls of {self.agent}")
        waiting: list[Reading] = []
        polls = len(self._meters.instants_us)
        number = int(self._world.loop.time() / POLL_S)
        while number < polls or waiting:
            await asyncio.sleep(max(0.0, (number + 1) * POLL_S - self._world.loop.time()))
            await life.thawed()
            if number < polls:
                waiting += self._meters.poll(self.agent, number)
            number += 1
            if len(waiting) < draws.randrange(2 * MOST_PENDING) and number < polls:
                continue
            if self._keep(outbox, waiting):
                waiting.clear()
                publisher.wake()

    def _keep(self, outbox: Outbox, waiting: list[Reading]) -> bool:
        """Keep readings as one envelope; tell whether the disk took it."""
        self._book.offered(waiting)
        self._about_to_keep(self, outbox)
        counters = self._meters.counters(self.agent)
        try:
            sequence = outbox.append(waiting, to_us(self._world.loop.now()), counters)
        except Retryable:
            return False
        self._book.kept(self._named(outbox), sequence, waiting)
        self._world.schedule.note(f"{self.agent} keeps {sequence} of {outbox.epoch}")
        return True

    async def _trim(self, life: Process, outbox: Outbox) -> None:
        while True:
            await asyncio.sleep(TRIM_S)
            await life.thawed()
            try:
                outbox.trim(to_us(self._world.loop.now()))
            except Retryable:
                self._world.schedule.note(f"{self.agent} does not trim")


class Surroundings:
    """What every program of one schedule has around it."""

    def __init__(
        self, schedule: Schedule, loop: VirtualLoop, broker: Broker, network: Network
    ) -> None:
        self.schedule = schedule
        self.loop = loop
        self.broker = broker
        self.network = network
