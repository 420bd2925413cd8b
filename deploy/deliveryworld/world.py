"""One schedule of the delivery of alerts, from its first exceedance to quiet, and its judgement.

    with Simulation(url, folder) as simulation:
        outcome = simulation.run(fortune.draw(seed))

Promise: a fortune is a schedule; played again, it takes the same steps, and its trace has one
digest.
"""

from __future__ import annotations

import asyncio
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self
from unittest import mock

from core.clock import from_us
from deploy.deliveryworld import check, receivers, script
from deploy.deliveryworld.fortune import EVERY_S, PACE_S, Fortune, Trouble, Walk
from deploy.deliveryworld.receivers import Receiver
from deploy.deliveryworld.station import Given, Station
from deploy.faultworld import clock
from deploy.faultworld.ledger import Ledger
from deploy.faultworld.schedule import Kind
from ingest import notifier, outgoing
from ingest.channels import Webhook
from store import connection, deliveryimage, ledgerimage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from random import Random

    from psycopg import Connection

    from deploy.deliveryworld.check import Outcome
    from deploy.faultworld.clock import VirtualLoop

PAUSE_S: Final = 5.0  # of the notifier: each look costs the simulation three statements
CALM_S: Final = 30.0  # the same, once nothing goes wrong any more
LEISURE_S: Final = 30.0  # of a walk, in which a place of each idle look would be a schedule
DECIDE_S: Final = 12.0
LOOK_S: Final = 30.0
QUIET_S: Final = 4 * 3_600.0  # virtual: what needs longer to settle hangs
DAY_S: Final = 86_400.0
MOST_DIGESTS: Final = 4  # what a dead receiver's digest does not take waits for the second's
DOWN_S: Final = 600.0
FROZEN_S: Final = (8.0, 60.0)  # longer than a lease: another station takes over
OUT_S: Final = 30.0
ESCALATE_AFTER_S: Final = (60, 300, 900)
RATES: Final = (2, 5, 10, 100)


class Simulation:
    """A database and a folder in which schedules run one after the other."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder

    def __enter__(self) -> Self:
        self._link = connection.connect(self._url, "danhao delivery, checker")
        self._link.autocommit = True
        ledgerimage.install_clock(self._link)
        ledgerimage.set_clock(self._link, from_us(clock.BEGIN_US))
        ledgerimage.hurry(self._link)
        deliveryimage.open_history(self._link)
        self._ledger = Ledger(self._url)
        self._trust = outgoing.trusted(None)
        (self._folder / "secret").write_text(receivers.SECRET)
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.close()
        self._link.close()

    def run(self, fortune: Fortune) -> Outcome:
        """Play a fortune and judge what came of it."""
        deliveryimage.clear(self._link)
        folder = self._folder / "inboxes"
        folder.mkdir()
        try:
            with ExitStack() as stack:
                pause_s = LEISURE_S if isinstance(fortune, Walk) else PAUSE_S
                stack.enter_context(mock.patch.object(notifier, "PAUSE_S", pause_s))
                # The certificates of this machine, read once: each life of a program reads them.
                trust = mock.patch.object(outgoing, "trusted", return_value=self._trust)
                stack.enter_context(trust)
                work = lambda loop: self._go(loop, fortune, folder)  # noqa: E731
                return clock.run(fortune.stream("threads"), work)
        finally:
            shutil.rmtree(folder)

    async def _go(self, loop: VirtualLoop, fortune: Fortune, folder: Path) -> Outcome:
        fortune.begin(loop.time)
        self._ledger.begin(fortune, loop)
        with ExitStack() as stack:
            world = World(self._link, self._ledger, fortune, loop)
            world.open(folder, self._folder / "secret", stack)
            return await world.run()


class World:
    """Everything of one schedule."""

    def __init__(
        self,
        link: Connection[Any],
        ledger: Ledger,
        fortune: Fortune,
        loop: VirtualLoop,
    ) -> None:
        self.link = link
        self.ledger = ledger
        self.fortune = fortune
        walking = isinstance(fortune, Walk)
        self.script = script.draw(fortune.stream("script"), 1 if walking else script.MOST_UNITS)
        self._look_s = LEISURE_S if walking else DECIDE_S
        self.loop = loop
        self.faults: list[str] = []
        self.receivers: dict[str, Receiver] = {}
        self.channels: list[Webhook] = []
        self.stations: list[Station] = []
        self._watching: list[asyncio.Task[None]] = []

    def open(self, folder: Path, secret: Path, stack: ExitStack) -> None:
        """Open the receivers and declare a channel for each."""
        draws = self.fortune.stream("channels")
        for name in ("city", "duty", "province"):
            receiver = Receiver(name, folder, self.fortune, self.loop)
            stack.callback(receiver.close)
            self.receivers[name] = receiver
            self.channels.append(_channel(name, receiver.url, secret, draws))
        stack.enter_context(receivers.mounted(self.receivers))
        self._burden(draws)

    def _burden(self, draws: Random) -> None:
        """Lay on what lasts: a receiver that never comes back, one that refuses a unit."""
        for trouble in (Trouble.RECEIVER_DEAD, Trouble.RECEIVER_PICKY):
            name = draws.choice(("city", "province"))
            unit = draws.choice(sorted(self.script.plant.units))
            if trouble not in self.fortune.troubles:
                continue
            if trouble is Trouble.RECEIVER_DEAD:
                self.receivers[name].dead = True
            else:
                self.receivers[name].refuses = f'"{unit}"'.encode()
            self.fortune.befell(trouble, name)

    async def run(self) -> Outcome:
        """Live through the schedule, come to rest, and be judged."""
        self.add_station()
        try:
            async with asyncio.timeout(script.LENGTH_S):
                await self._beside(self._rage())
        except TimeoutError:
            pass
        self.fortune.calm = True
        self.fortune.note("calm")
        notifier.PAUSE_S = CALM_S  # type: ignore[misc]  # the simulation has put it there for the run
        for each in self.receivers.values():
            each.down_until = each.ill_until = float("-inf")
        try:
            for _ in range(MOST_DIGESTS):
                async with asyncio.timeout(QUIET_S):
                    await self._beside(self._quiet())
                if not check.held(self):
                    break
                self.loop.leap(DAY_S)  # to the next hour of every digest
            self.fortune.note("quiet")
        except TimeoutError:
            self.faults.append(f"no rest: {check.unrest(self)}")
        finally:
            await self._end()
        return check.judge(self)

    def add_station(self) -> None:
        """Start a program that decides and tells."""
        given = Given(
            self.ledger, self.script, self.channels, self.fortune, self.loop, self._look_s
        )
        station = Station(f"station-{len(self.stations) + 1}", given)
        self.stations.append(station)
        station.start()
        self._watching.append(self.loop.create_task(station.supervise()))

    async def _beside(self, work: Any) -> None:
        """Run work until it ends; a program's own failure ends it, too."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                watching = [task, *self._watching]
                await asyncio.wait(watching, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                for each in self._watching:
                    if each.done():
                        each.result()
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _rage(self) -> None:
        """Let everything that comes by itself happen, each in its own time."""
        happenings: dict[Kind | Trouble, Callable[[Random], Awaitable[str | None]]] = {
            Kind.INGEST_KILLED: self._kill,
            Kind.INGEST_STALLED: self._freeze,
            Kind.STORE_OUT: self._store_out,
            Trouble.RECEIVER_DOWN: self._take_down,
            Trouble.RECEIVER_ILL: self._make_ill,
        }
        async with asyncio.TaskGroup() as tasks:
            for what, happening in happenings.items():
                if what in self.fortune.kinds or what in self.fortune.troubles:
                    tasks.create_task(self._often(what, happening))
            tasks.create_task(asyncio.sleep(script.LENGTH_S))

    async def _often(
        self, what: Kind | Trouble, happening: Callable[[Random], Awaitable[str | None]]
    ) -> None:
        draws = self.fortune.stream(f"times of {what}")
        pace_s = PACE_S[what] if isinstance(what, Kind) else EVERY_S[what]
        while True:
            await asyncio.sleep(draws.expovariate(self.fortune.strength / pace_s))
            where = await happening(draws)
            if where is None:
                continue
            if isinstance(what, Kind):
                self.fortune.happened(what, where)
            else:
                self.fortune.befell(what, where)

    async def _kill(self, draws: Random) -> str | None:
        station = draws.choice(self.stations)
        if not station.up() or station.retired:
            return None
        station.fall()
        return station.name

    async def _freeze(self, draws: Random) -> str | None:
        """Freeze the station at work; another takes over, and then the first wakes up."""
        station = self.stations[-1]
        if station.life is None or not station.up():
            return None
        seconds = draws.uniform(*FROZEN_S)
        station.retired = True
        station.life.freeze(seconds)
        # Whoever takes over ends what the frozen one has open (store.leases.bury).
        self.ledger.drop(station.life)
        self.add_station()
        self.loop.call_later(seconds + draws.random() * FROZEN_S[0], station.fall)
        return f"{station.name} for {seconds:.1f} s"

    async def _store_out(self, draws: Random) -> str:
        seconds = draws.random() * OUT_S
        self.ledger.go_out(seconds)
        return f"for {seconds:.1f} s"

    async def _take_down(self, draws: Random) -> str:
        receiver = self.receivers[draws.choice(sorted(self.receivers))]
        seconds = draws.random() * DOWN_S
        receiver.down_until = self.loop.time() + seconds
        return f"{receiver.name} for {seconds:.1f} s"

    async def _make_ill(self, draws: Random) -> str:
        receiver = self.receivers[draws.choice(sorted(self.receivers))]
        seconds = draws.random() * DOWN_S
        receiver.ill_until = self.loop.time() + seconds
        return f"{receiver.name} for {seconds:.1f} s"

    async def _quiet(self) -> None:
        """Return once everything was decided and nothing waits that could be told."""
        while True:
            await asyncio.sleep(LOOK_S)
            decided = self.stations[-1].seen_s > self.script.end_s + script.SETTLE_S
            if decided and not check.unrest(self):
                return

    async def _end(self) -> None:
        for each in self._watching:
            each.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        for station in self.stations:
            station.fall()
            if station.life is not None:
                await station.life.buried()


def _channel(name: str, url: str, secret: Path, draws: Random) -> Webhook:
    """Declare a channel; `duty` is the second of the two others and told of nothing by itself."""
    second = name == "duty"
    # The drill begins at 08:00 of the plant's day: some digests come while it lasts.
    digest = draws.choice((None, "08:05", "08:25", "07:00"))
    return Webhook.model_validate(
        {
            "name": name,
            "url": url,
            "secret_file": secret,
            "jurisdiction": "cn-gs" if second else "cn-qh",
            "least_severity": 0 if second else draws.choice((0, 0, 2)),
            "escalate_to": None if second else "duty",
            "escalate_after_s": draws.choice(ESCALATE_AFTER_S),
            "digest": digest,
            "most_per_10_min": draws.choice(RATES),
        }
    )
