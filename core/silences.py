"""Silences: who asked that alerts be kept quiet, over what, why, and until when. Pure.

Every silence has an end, a reason and a name. A planned outage, a start-up and force majeure are
of a site or a unit and carry the number of a document; an operator shelves one alert. Promise: what
a closed period found, and what is serious, is told whatever is silenced.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from uuid import UUID

    from core.plant import Plant

MOST_SHELVED: Final = timedelta(days=7)  # longer is no "not now" but a wrong rule
MOST_OUTAGE: Final = timedelta(days=92)  # a quarter: then somebody looks at it again
MOST_AHEAD: Final = timedelta(days=366)  # a yearly plan of outages
MOST_BACK: Final = timedelta(days=7)  # entered when people are back at their desks
MOST_OUTAGES: Final = 100  # of one site, running or to come
MOST_SEVERITY: Final = 2  # what is serious (3) or formal (4) is told always
MOST_REASON_CHARS: Final = 500
MOST_DOCUMENT_CHARS: Final = 100


class SilenceKind(StrEnum):
    """Why alerts are kept quiet (domain 3.5)."""

    SHELVED = "shelved"
    PLANNED_OUTAGE = "planned_outage"
    START_UP = "start_up"
    FORCE_MAJEURE = "force_majeure"


OUTAGES: Final = frozenset(SilenceKind) - {SilenceKind.SHELVED}


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence, half-open in time: of one alert, of a unit with all below it, or of a site.

    `site` is None where the shelved alert belongs to the store itself; `ended_at` is when somebody
    ended it before its time.
    """

    id: UUID
    kind: SilenceKind
    site: str | None
    unit: str | None
    alert: UUID | None
    from_at: datetime
    until_at: datetime
    reason: str
    document: str | None
    created_at: datetime
    created_by: str
    created_role: str
    ended_at: datetime | None = None
    ended_by: str | None = None

    def in_force(self, at: datetime) -> bool:
        """Tell whether it quiets anything at this instant."""
        ended = self.ended_at is not None and self.ended_at <= at
        return self.from_at <= at < self.until_at and not ended


@dataclass(frozen=True, slots=True)
class Place:
    """Where an alert belongs, and how grave it is; `unit` is that of its point, too.

    `finding` tells that a closed period found it.
    """

    alert: UUID
    site: str | None
    unit: str | None
    severity: int
    finding: bool = False


def may_quiet(place: Place) -> bool:
    """Tell whether any silence may keep this alert from those who must know."""
    return place.severity <= MOST_SEVERITY and not place.finding


def quieting(
    silences: Iterable[Silence], place: Place, plant: Plant, at: datetime
) -> Silence | None:
    """Return the silence over an alert that lasts longest, None where there is none."""
    if not may_quiet(place):
        return None
    over = [each for each in silences if each.in_force(at) and _covers(each, place, plant)]
    return max(over, key=lambda each: (each.until_at, str(each.id)), default=None)


def _covers(silence: Silence, place: Place, plant: Plant) -> bool:
    if silence.alert is not None:
        return silence.alert == place.alert
    if silence.site is None or silence.site != place.site:
        return False
    return silence.unit is None or silence.unit in _with_parents(place.unit, plant)


def _with_parents(unit: str | None, plant: Plant) -> Iterator[str]:
    """Yield a unit and those it is a part of; parents lead in no circle (core.relations)."""
    while unit is not None:
        yield unit
        declared = plant.units.get(unit)
        unit = None if declared is None else declared.parent


def shelving_problems(now: datetime, until: datetime) -> list[tuple[str, str]]:
    """Return what is wrong with the end of a shelving: the field, and what to do."""
    if until <= now:
        return [("until", "lies in the past: name an end that is still to come")]
    if until - now > MOST_SHELVED:
        return [("until", f"is more than {MOST_SHELVED.days} days ahead: name an earlier end")]
    return []


def outage_problems(now: datetime, start: datetime, until: datetime) -> list[tuple[str, str]]:
    """Return everything that is wrong with the span of an outage: the field, and what to do."""
    found = []
    if start < now - MOST_BACK:
        found.append(("from", f"lies more than {MOST_BACK.days} days back: what was told is told"))
    if start > now + MOST_AHEAD:
        found.append(("from", f"is more than {MOST_AHEAD.days} days ahead: declare it later"))
    if until <= max(start, now):
        found.append(("until", "must lie after `from` and still be to come"))
    elif until - start > MOST_OUTAGE:
        message = f"makes it longer than {MOST_OUTAGE.days} days: declare the rest when it comes"
        found.append(("until", message))
    return found
