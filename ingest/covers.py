"""What keeps alerts from being told now: a silence over them, or an alert that they stand behind.

Promise: of one alert or of all that wait the answer is the same; nothing is decided here that is
not in core.silences, core.dependencies and the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from core import conditionfile, dependencies, silences
from core.alerts import State
from core.dependencies import Kin
from core.folding import Cover, CoverKind, Standing
from store import folds, senders
from store import silences as stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.conditions import Subject, Watch
    from core.dependencies import Above, Behind, Rules
    from core.plant import Plant
    from core.silences import Place, Silence
    from store.alerts import Kept
    from store.folds import Waiting

_RAISED: Final = frozenset({State.FIRING, State.CLEARING})


@dataclass(frozen=True, slots=True)
class Covers:
    """Finds what covers alerts; `rules` say what stands behind what, `watches` what is watched."""

    rules: Rules
    watches: Mapping[str, Watch]

    def watch(self, condition: str | None) -> Watch | None:
        """Return what a condition watches, None of a limit and of what is no condition any more."""
        return None if condition is None else self.watches.get(condition)

    async def of_one(
        self, connection: AsyncConnection[Any], plant: Plant, kept: Kept, now: datetime
    ) -> Cover | None:
        """Return what keeps one alert back, as the caller's transaction sees it."""
        raised = kept.alert.state in _RAISED
        one = folds.Waiting(
            Standing(),
            folds.place_of(kept),
            kept.condition,
            kept.subject,
            raised,
            kept.alert.raised_at,
        )
        over = await stored.over(connection, one.place, now)
        (causes,) = await self._causes(connection, [one], plant)
        found = await self._above(connection, now, causes) if causes else []
        return self._cover(one, plant, over, _by_subject(found), causes, now)

    async def of_all(
        self,
        connection: AsyncConnection[Any],
        plant: Plant,
        waiting: Sequence[Waiting],
        in_force: Sequence[Silence],
        now: datetime,
    ) -> list[Cover | None]:
        """Return what keeps each of these back now."""
        causes = await self._causes(connection, waiting, plant)
        found = _by_subject(await self._above(connection, now) if any(causes) else [])
        over = _Over(in_force)
        return [
            self._cover(one, plant, over.of(one.place), found, causes[number], now)
            for number, one in enumerate(waiting)
        ]

    def _cover(
        self,
        one: Waiting,
        plant: Plant,
        over: Iterable[Silence],
        above: Mapping[Subject, Sequence[Above]],
        causes: frozenset[Subject],
        now: datetime,
    ) -> Cover | None:
        silence = silences.quieting(over, one.place, plant, now)
        if silence is not None:
            kind = CoverKind(silence.kind.value)
            return Cover(kind, silence.until_at, silence=silence.id)
        rule = self._rule(one)
        if rule is None or one.raised_at is None:
            return None
        mine = [
            each
            for subject in causes & above.keys()
            for each in above[subject]
            if each.alert != one.place.alert
        ]
        return dependencies.cover(rule, one.raised_at, one.place.severity, mine, now)

    def _rule(self, one: Waiting) -> Behind | None:
        watch = self.watch(one.condition)
        return None if watch is None else self.rules.behind.get(watch)

    async def _causes(
        self, connection: AsyncConnection[Any], waiting: Sequence[Waiting], plant: Plant
    ) -> list[frozenset[Subject]]:
        """Return what may be the cause of each; nothing where it stands behind nothing."""
        subjects = [one.subject if self._rule(one) is not None else None for one in waiting]
        points = {
            point
            for subject in subjects
            if subject is not None
            for point in dependencies.points_of(plant, subject)
        }
        kin = Kin(plant, await senders.of_points(connection, sorted(points)))
        return [frozenset() if each is None else kin.above(each) for each in subjects]

    async def _above(
        self,
        connection: AsyncConnection[Any],
        now: datetime,
        subjects: frozenset[Subject] | None = None,
    ) -> list[Above]:
        parents = self.rules.parents
        watches = {name: watch for name, watch in self.watches.items() if watch in parents}
        since = now - self.rules.longest_linger
        return await folds.above(connection, watches, since, subjects)


class _Over:
    """Silences by what they are over, so that many alerts find theirs quickly."""

    def __init__(self, in_force: Iterable[Silence]) -> None:
        self._of: dict[object, list[Silence]] = {}
        for each in in_force:
            self._of.setdefault(each.alert or each.site, []).append(each)

    def of(self, place: Place) -> list[Silence]:
        found = self._of.get(place.alert, [])
        return found + self._of.get(place.site, []) if place.site is not None else found


def _by_subject(found: Iterable[Above]) -> dict[Subject, list[Above]]:
    by_subject: dict[Subject, list[Above]] = {}
    for each in found:
        by_subject.setdefault(each.subject, []).append(each)
    return by_subject


@lru_cache(maxsize=1)
def shipped() -> Covers:
    """Return covers by the shipped rules and conditions."""
    watches = {name: each.watch for name, each in conditionfile.catalogue().items()}
    return Covers(dependencies.rules(), watches)
