"""What data conditions see that costs more than a question: forecasts, and the score of a day.

Promise: a unit is foreseen, a site's day is scored, once an hour at most, a few of them a pass, the
algebra in a thread; what was not looked at yet, or is too old, is unknown.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from core import indicators, limits, qualityrules, qualityscore
from core.clock import to_us
from core.conditions import Seen, Subject, SubjectKind
from core.facts import DAY_US
from store import forecasts, quality, watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from core.conditions import Condition
    from core.periods import Period
    from core.plant import Unit
    from core.qualityscore import Score
    from ingest.asking import Asking

AGAIN: Final = timedelta(hours=1)
STALE: Final = timedelta(hours=6)  # older than this an outlook is no longer one
MOST_FORESEEN: Final = 4  # figures of a pass: half a second of algebra each where days are new
MOST_SCORED: Final = 1  # sites of a pass: a hundred points are 10,000 look-ups
FORESEEN: Final[Mapping[str, Mapping[str, str]]] = {
    "month": {"zh": "本月", "en": "month"},
    "year": {"zh": "全年", "en": "year"},
}

Figure = tuple[str, str, str]  # unit, indicator, period


@dataclass(frozen=True, slots=True)
class _Outlook:
    """The outlooks on limits that hold, as JSON carries them, and when they were computed."""

    at: datetime
    period_start: str
    rows: tuple[Mapping[str, Any], ...]


@dataclass(slots=True)
class Forecasts:
    """The newest outlook of each unit, indicator and period that a condition asks for."""

    _known: dict[Figure, _Outlook] = field(default_factory=dict)
    _exceeded: set[tuple[str, str, str, str]] = field(default_factory=set)

    async def advance(self, asking: Asking, wanted: Iterable[Period]) -> int:
        """Foresee the figures that have waited longest; return how many."""
        figures = {
            (unit.id, name, period.value): (unit, period)
            for period in set(wanted)
            for unit in asking.plant.units.values()
            for name in _foreseeable(unit)
        }
        self._known = {key: one for key, one in self._known.items() if key in figures}
        self._exceeded = await watched.exceeded(asking.connection)
        due = [
            key
            for key in figures
            if key not in self._known or asking.now - self._known[key].at >= AGAIN
        ]
        due.sort(key=lambda key: self._known[key].at if key in self._known else _NEVER)
        for key in due[:MOST_FORESEEN]:
            unit, period = figures[key]
            asked = forecasts.Question(unit, indicators.find(key[1]), period, asking.now)
            link, plant, ids = asking.connection, asking.plant, asking.point_ids
            # Whatever comes of it, the others have their turn before it is tried again.
            self._known[key] = _Outlook(asking.now, "", ())
            item = await asyncio.to_thread((await forecasts.now(link, plant, ids, asked)).item)
            self._known[key] = _Outlook(asking.now, item["period_start"], tuple(item["limits"]))
        return min(len(due), MOST_FORESEEN)

    def look(self, asking: Asking, condition: Condition) -> list[Seen]:
        """Return the chance of each unit to end beyond a limit of the condition's force.

        What is beyond it already is told by the alert about the limit: a forecast adds nothing.
        """
        assert condition.period is not None, "checked where it was read"  # noqa: S101 - a belief
        return [
            self._worst(unit, condition, condition.period.value, asking.now)
            for unit in asking.plant.units.values()
            if any(True for _ in _foreseeable(unit))
        ]

    def _worst(self, unit: Unit, condition: Condition, period: str, now: datetime) -> Seen:
        """Return the likeliest excess of a unit; unknown where nothing is foreseen lately."""
        found: list[tuple[float, str, _Outlook, Mapping[str, Any]]] = []
        for name in _foreseeable(unit):
            known = self._known.get((unit.id, name, period))
            if known is None or now - known.at > STALE:
                continue
            found += [
                (row["chance_exceeds"], name, known, row)
                for row in known.rows
                if row["force"] == condition.force and row["chance_exceeds"] is not None
            ]
        told = [
            one for one in found if (unit.id, one[1], period, one[3]["limit"]) in self._exceeded
        ]
        left = [one for one in found if one not in told]
        subject = Subject(SubjectKind.UNIT, unit.id)
        if not left:
            return Seen(subject, None, is_told=bool(told))
        chance, name, known, row = max(left, key=lambda each: (each[0], each[1]))
        limit, indicator = limits.catalogue().get(row["limit"]), indicators.catalogue()[name]
        return Seen(
            subject,
            Decimal(str(chance)),
            words={
                "limit": row["limit"] if limit is None else dict(limit.name),
                "indicator": dict(indicator.name),
                "period": FORESEEN[period],
                "middle": f"{_rounded(row['value'])} {row['unit']}",
                "limit_value": f"{_rounded(row['limit_value'])} {row['unit']}",
            },
            facts={
                "indicator": name,
                "period": period,
                "period_start": known.period_start,
                "limit": row["limit"],
                "limit_value": row["limit_value"],
                "value": row["value"],
                "unit": row["unit"],
                "chance": chance,
            },
        )


@dataclass(slots=True)
class Qualities:
    """The score of each site's newest whole day."""

    _known: dict[str, tuple[datetime, Score | None]] = field(default_factory=dict)

    async def advance(self, asking: Asking) -> int:
        """Score the sites that have waited longest; return how many."""
        plant = asking.plant
        self._known = {site: one for site, one in self._known.items() if site in plant.sites}
        due = [
            site
            for site in plant.sites
            if site not in self._known or asking.now - self._known[site][0] >= AGAIN
        ]
        due.sort(key=lambda site: self._known[site][0] if site in self._known else _NEVER)
        for site in due[:MOST_SCORED]:
            end_us = to_us(asking.midnight(site))
            asked = quality.Asked(
                plant,
                plant.sites[site],
                asking.point_ids,
                (end_us - DAY_US, end_us),
                to_us(asking.now),
            )
            self._known[site] = (asking.now, None)
            seen = await quality.gather(asking.connection, asked)
            score = await asyncio.to_thread(qualityscore.score, seen, qualityrules.shipped())
            self._known[site] = (asking.now, score)
        return min(len(due), MOST_SCORED)

    def look(self, asking: Asking) -> list[Seen]:
        """Return each site's score, with its weakest index."""
        return [
            _scored(site, self._known.get(site), asking.now) for site in sorted(asking.plant.sites)
        ]


def _scored(site: str, known: tuple[datetime, Score | None] | None, now: datetime) -> Seen:
    subject = Subject(SubjectKind.SITE, site)
    score = None if known is None or now - known[0] > STALE else known[1]
    value = None if score is None else score.value
    # Of a day without any reading silence and completeness tell.
    if score is None or value is None or not any(point.slots for point in score.seen.points):
        return Seen(subject, None)
    shares = {index: share for index, share in score.indices.items() if share is not None}
    weakest = min(shares, key=lambda index: shares[index])
    return Seen(
        subject,
        Decimal(round(value * 100)) / 10_000,
        words={"index": dict(qualityrules.INDEX_NAMES[weakest])},
        facts={"index": weakest.value, "findings": len(score.findings)},
    )


def _foreseeable(unit: Unit) -> Iterator[str]:
    known = indicators.catalogue()
    return (name for name in unit.indicators if name in known and known[name].computes)


def _rounded(text: str | None) -> str:
    return "—" if text is None else f"{Decimal(text):.1f}"


_NEVER: Final = datetime.min.replace(tzinfo=UTC)
