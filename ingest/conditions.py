"""Watches what else than limits people must hear of, beside the evaluator, one worker at a time.

A pass looks (ingest.sights, ingest.foreseeing) at what is due, outside any write; then the alerts
of each condition that move are stepped, some in a transaction: state, history and notifications of
an alert are there together or not at all (ingest.alerting). Promise: a pass is bounded, and what it
leaves is judged by the next one; what was not looked at, or failed, changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg_pool import PoolTimeout

from core import alerts as rules
from core import conditionfile, decimals, periods
from core.alerts import Alert, Finding, State
from core.clock import to_us
from core.conditions import Seen, SubjectKind, Watch
from ingest import sights as looks
from ingest.alerting import Sight
from ingest.asking import DAY, Asking
from ingest.foreseeing import Forecasts, Qualities
from ingest.sights import Points
from store import alerts, watched
from store.alerts import Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from core.conditions import Condition, Subject
    from core.plant import Plant
    from ingest.alerting import Alerting
    from store.alerts import Kept

log = logging.getLogger(__name__)

PASS_S: Final = 30.0  # a silence of half an hour is told a minute later at most
MOST_STEPS: Final = 1_000  # alerts that one pass moves of one condition, each told: some seconds
MOST_TOGETHER: Final = 100  # of them in one transaction: whoever acknowledges one waits for it
FORGET: Final = timedelta(days=40)  # counters that nobody has counted since
# What changes by the day, or costs more, is looked at less often.
EVERY: Final[Mapping[Watch, timedelta]] = {
    Watch.COMPLETENESS: timedelta(minutes=5),
    Watch.METER_FINDINGS: timedelta(minutes=5),
    Watch.METER_VERIFICATION: timedelta(minutes=15),
    Watch.BOUND_HITS: timedelta(minutes=5),
    Watch.REPORT_AGE: timedelta(minutes=1),
}
UTC_ZONE: Final = "UTC"
OUT: Final = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)


@dataclass(slots=True)
class Counters:
    """What the watcher did since it began."""

    passes: int = 0
    seen: int = 0
    moved: int = 0
    left: int = 0  # alerts that a pass had no room for
    failed: int = 0  # looks that went wrong


@dataclass(slots=True)
class _Memory:
    points: Points = field(default_factory=Points)
    forecasts: Forecasts = field(default_factory=Forecasts)
    qualities: Qualities = field(default_factory=Qualities)
    looked_at: dict[Watch, datetime] = field(default_factory=dict)
    forgot_at: datetime | None = None


class Watcher:
    """Looks and judges; `hears` tells whether readings can reach us at all now."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        plants: Callable[[], tuple[Plant, Mapping[str, int]]],
        clock: Callable[[], datetime],
        alerting: Alerting,
        hears: Callable[[], bool],
        known: Mapping[str, Condition] | None = None,
    ) -> None:
        self._pool = pool
        self._plants = plants
        self._clock = clock
        self._alerting = alerting
        self._hears = hears
        self._conditions = tuple((conditionfile.catalogue() if known is None else known).values())
        self._heard_since: datetime | None = None
        self._memory = _Memory()
        self.counters = Counters()

    async def run(self) -> None:
        """Watch for ever, a pass every PASS_S."""
        while True:
            await self.step()
            await asyncio.sleep(PASS_S)

    async def step(self) -> int:
        """Look at what is due and judge it; return how many alerts moved."""
        now = self._clock()
        if not self._hears():
            self._heard_since = None
        elif self._heard_since is None:
            self._heard_since = now
        plant, ids = self._plants()
        moved = 0
        told = self._alerting.channel_names
        for watch, group in self._due(now).items():
            try:
                async with self._pool.connection() as connection:
                    asking = Asking(connection, plant, ids, now, self._heard_since, told)
                    found = await self._look(asking, watch, group)
                for condition, seen in found:
                    moved += await self._judge(plant, condition, seen, now)
            except OUT:
                raise
            except Exception:
                # One watch that cannot be looked at must not blind the others.
                self.counters.failed += 1
                log.exception("what conditions watch as %s could not be looked at", watch)
        await self._forget(now)
        self.counters.passes += 1
        self.counters.moved += moved
        return moved

    def _due(self, now: datetime) -> dict[Watch, list[Condition]]:
        """Return the conditions whose watch is due, by their watch, in their order."""
        looked_at = self._memory.looked_at
        due: dict[Watch, list[Condition]] = {}
        for one in self._conditions:
            last = looked_at.get(one.watch)
            if last is None or now - last >= EVERY.get(one.watch, timedelta(0)):
                due.setdefault(one.watch, []).append(one)
        self._memory.looked_at |= dict.fromkeys(due, now)
        return due

    async def _look(
        self, asking: Asking, watch: Watch, group: Sequence[Condition]
    ) -> list[tuple[Condition, list[Seen]]]:
        """Return what was seen for each condition of a watch, which is looked at once."""
        memory = self._memory
        seen: list[Seen] | None
        if watch is Watch.FORECAST:
            wanted = [one.period for one in group if one.period is not None]
            await memory.forecasts.advance(asking, wanted)
            found = [(one, memory.forecasts.look(asking, one)) for one in group]
        else:
            if watch is Watch.QUALITY:
                await memory.qualities.advance(asking)
                seen = memory.qualities.look(asking)
            elif watch is Watch.POINT_SILENCE:
                seen = await memory.points.look(asking)
            else:
                seen = await looks.LOOKS[watch](asking)
            found = [] if seen is None else [(one, seen) for one in group]
        self.counters.seen += sum(len(own) for _, own in found)
        return found

    async def _forget(self, now: datetime) -> None:
        """Drop counters that nobody counts any more, once a day."""
        last = self._memory.forgot_at
        if last is None or now - last >= DAY:
            self._memory.forgot_at = now
            async with self._pool.connection() as connection:
                await watched.forget(connection, now - FORGET)

    async def _judge(
        self, plant: Plant, condition: Condition, seen: Sequence[Seen], now: datetime
    ) -> int:
        """Step the alerts of one condition by what was seen; return how many moved."""
        async with self._pool.connection() as connection:
            standing = await alerts.standing(connection, condition.id)
        sights = {
            one.subject: (_find(condition, one, standing.get(one.subject), plant, now), one)
            for one in seen
        }
        for subject in standing.keys() - sights.keys():
            sights[subject] = (Finding.WITHIN, Seen(subject, None))
        moving = [
            (finding, one)
            for subject, (finding, one) in sights.items()
            for before in [standing.get(subject, Alert())]
            if _is_declared(subject, plant)
            and rules.watch(before, finding, now, condition.rule) != before
        ]
        self.counters.left += max(0, len(moving) - MOST_STEPS)
        moved = 0
        for first in range(0, min(len(moving), MOST_STEPS), MOST_TOGETHER):
            part = moving[first : first + MOST_TOGETHER][: MOST_STEPS - first]
            async with self._pool.connection() as connection:
                if not await watched.alone(connection):
                    return moved
                moved += await self._move(connection, plant, condition, part, now)
        return moved

    async def _move(
        self,
        connection: AsyncConnection[Any],
        plant: Plant,
        condition: Condition,
        moving: Sequence[tuple[Finding, Seen]],
        now: datetime,
    ) -> int:
        """Step some alerts in the caller's transaction; return how many moved."""
        subjects = [one.subject for _, one in moving]
        kept = await alerts.about(connection, condition.id, subjects)
        moved = 0
        for finding, one in moving:
            known = kept.get(one.subject)
            figure = _figure(condition, one, finding, known, plant, now)
            sight = Sight(finding, condition.rule, figure)
            about = Watched(condition.id, one.subject)
            stepped = await self._alerting.watch(connection, plant, about, known, sight, now)
            moved += stepped is not None
        return moved


def _find(
    condition: Condition, seen: Seen, before: Alert | None, plant: Plant, now: datetime
) -> Finding:
    if seen.is_told and before is not None and before.state is State.PENDING:
        return Finding.WITHIN
    site = plant.sites.get(seen.subject.site or "")
    return condition.judge(seen.value, now, UTC_ZONE if site is None else site.timezone)


def _is_declared(subject: Subject, plant: Plant) -> bool:
    unit, site = subject.unit, subject.site
    return (unit is None or unit in plant.units) and (site is None or site in plant.sites)


def _figure(
    condition: Condition,
    seen: Seen,
    finding: Finding,
    known: Kept | None,
    plant: Plant,
    now: datetime,
) -> dict[str, Any]:
    """Return what the alert's item shows; that it is over is told by the sentence that it was."""
    if finding is Finding.EXCEEDS or known is None:
        sentence = condition.say(seen, called(seen.subject, plant))
        facts = dict(seen.facts)
    else:
        sentence, facts = known.figure["sentence"], known.figure["facts"]
    return {
        "value": decimals.show_known(seen.value),
        "value_unit": condition.watching.measure.value,
        "raise_at": decimals.show(condition.raise_at),
        "clear_at": decimals.show(condition.clear_at),
        "sentence": sentence,
        "facts": facts,
        "computed_at": periods.render_utc(to_us(now)),
    }


def called(subject: Subject, plant: Plant) -> dict[str, str]:
    """Return a subject's name in each language, its id where it has none."""
    if subject.kind is SubjectKind.SITE:
        return dict(plant.sites[subject.id].name)
    unit = plant.units.get(subject.unit or "")
    if unit is None:
        return {"zh": subject.id, "en": subject.id}
    if subject.kind is SubjectKind.UNIT:
        return dict(unit.name)
    key = subject.id.rpartition(".")[2]
    return {language: f"{name} {key}" for language, name in unit.name.items()}
