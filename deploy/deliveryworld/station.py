"""The program of a schedule that decides and tells, life after life: real alerting, real notifiers.

Put together as ingest does it: what fails for a while begins anew, and a kill ends all of it at
once, at whatever step it is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg

from core.errors import Retryable
from deploy.deliveryworld import script
from deploy.faultworld.process import Process
from ingest import notifier
from ingest.alerting import Alerting

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from deploy.deliveryworld.fortune import Fortune
    from deploy.deliveryworld.script import Script
    from deploy.faultworld.clock import VirtualLoop
    from deploy.faultworld.ledger import Ledger, LedgerPool
    from ingest.channels import Channel

REST_S: Final = 300.0  # once nothing more happens in the plant
BACK_OFF_S: Final = 0.5
DOWN_S: Final = 8.0
_OUT: Final = (psycopg.OperationalError, psycopg.InterfaceError, Retryable)


@dataclass(frozen=True, slots=True)
class Given:
    """What every station works with."""

    ledger: Ledger
    script: Script
    channels: Sequence[Channel]
    fortune: Fortune
    loop: VirtualLoop
    look_s: float  # between two looks at a unit's figures


class Station:
    """One place for the program over all its lives."""

    def __init__(self, name: str, given: Given) -> None:
        self.name = name
        self.life: Process | None = None
        self.retired = False
        self.seen_s = float("-inf")  # the instant of the last look that covered all units
        self._given = given
        self._lives = 0

    def start(self) -> None:
        """Begin a life."""
        self._lives += 1
        life = Process(f"{self.name}#{self._lives}", self._given.loop)
        self.life = life
        life.start(self._live(life))

    def fall(self) -> None:
        """Die at this very step, open transactions included; `supervise` sees to the rest."""
        if self.life is not None:
            self.life.die()
            self._given.ledger.drop(self.life)

    def up(self) -> bool:
        """Tell whether it lives."""
        return self.life is not None and self.life.alive

    async def supervise(self) -> None:
        """Bury what has died and start it anew, unless another station has taken over."""
        draws = self._given.fortune.stream(f"restarts of {self.name}")
        while True:
            life = self.life
            assert life is not None, "a station is started before it is supervised"  # noqa: S101 - a belief
            await life.over.wait()
            self.fall()
            await life.buried()
            if life.failure is not None:
                raise life.failure
            if self.retired:
                await asyncio.Event().wait()
            await asyncio.sleep(0.2 + draws.random() * DOWN_S)
            self.start()

    async def _live(self, life: Process) -> None:
        given = self._given
        pool = given.ledger.pool(life)
        alerting = Alerting(given.channels, known=script.rules())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._again(life, lambda: self._decide(pool, alerting)))
            for each in notifier.of_all(pool, given.channels, given.loop.now):  # type: ignore[arg-type]  # lends connections as the real pool does
                tasks.create_task(self._again(life, each.run))

    async def _again(self, life: Process, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run work for ever; where the store is out it begins anew."""
        while True:
            try:
                await work()
            except _OUT as error:
                self._given.fortune.note(f"{life.name} begins anew: {type(error).__name__}")
            await asyncio.sleep(BACK_OFF_S)

    async def _decide(self, pool: LedgerPool, alerting: Alerting) -> None:
        """Look at every unit again and again, each in a transaction of its own."""
        given = self._given
        while True:
            began_s = given.loop.time()
            for unit in given.script.plant.units.values():
                at_s = given.loop.time()
                seen = [
                    found
                    for each in given.script.episodes
                    if each.unit == unit.id
                    for found in each.seen(at_s)
                ]
                async with pool.connection() as link:
                    plant, now = given.script.plant, given.loop.now()
                    await alerting.judge(link, plant, unit, seen, now)
            self.seen_s = began_s
            over = began_s > given.script.end_s + script.SETTLE_S
            await asyncio.sleep(REST_S if over else given.look_s)
