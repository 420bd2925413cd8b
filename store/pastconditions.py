"""What data conditions would have been found to be over a past span: read, nothing written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from core import indicators, pastwatch
from core.conditions import Watch
from core.errors import Misconfigured
from core.pastfindings import Calendar
from core.periods import SLOT_US, Period
from core.rehearsal import Looks
from core.rehearsed import Watched
from store import pastslots
from store.rehearsals import MOST_ROWS, Past

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import AsyncConnection

    from core.conditions import Condition
    from core.plant import Plant, Point, Unit
    from core.rehearsal import Codes
    from store.plants import Loaded
    from store.rehearsals import Told

_WHY: Final = {
    Watch.FORECAST: "forecasts are computed when they are asked for and stored nowhere",
    Watch.QUALITY: "a day's score also counts dead letters, clocks and facts, not only slots",
}
_NO_HISTORY: Final = "the store knows of it what is so now, and keeps no history"


async def of_condition(
    connection: AsyncConnection[object],
    loaded: Loaded,
    condition: Condition,
    span_us: tuple[int, int],
    units: frozenset[str] | None = None,
    told: Told | None = None,
) -> Past:
    """Return what a condition was found to be at the end of every slot of a span.

    Raises Misconfigured for one that slots do not tell of.
    """
    check(condition)
    watched: list[Watched] = []
    found: list[Codes] = []
    calendars: dict[str, Calendar] = {}
    done, slots = 0, (span_us[1] - span_us[0]) // SLOT_US
    chosen = [unit for unit in loaded.plant.units.values() if units is None or unit.id in units]
    for part in _sliced(loaded.plant, chosen, condition.watch, slots):
        numbers = {
            point.id: loaded.ids[point.id]
            for _, points in part
            for point in points
            if point.id in loaded.ids
        }
        table = await pastslots.read(connection, list(numbers.values()), span_us)
        for unit, points in part:
            past = table.past([numbers.get(point.id, -1) for point in points], ())
            zone = loaded.plant.sites[unit.site].timezone
            if zone not in calendars:
                calendars[zone] = Calendar.of(Period.DAY, zone, span_us)
            calendar = calendars[zone]
            if condition.watch is Watch.POINT_SILENCE:
                gaps = [point.max_gap_us for point in points]
                codes = pastwatch.silences(condition, past.measured_us, gaps)
                watched += [Watched(point.id, condition.id, zone) for point in points]
            else:
                codes = pastwatch.days(condition, past.measured_us, calendar)[:, None]
                watched.append(Watched(unit.id, condition.id, zone))
            found.append(pastwatch.scheduled(condition, codes, calendar.at_us, zone))
        done += len(part)
        if told is not None:
            told(done, len(chosen))
    return Past(watched, _looks(found, span_us), is_periodic=False)


def check(condition: Condition) -> None:
    """Raise Misconfigured for a condition whose past slots do not tell."""
    if condition.watch not in pastwatch.IN_SLOTS:
        why = _WHY.get(condition.watch, _NO_HISTORY)
        can = " and ".join(pastwatch.IN_SLOTS)
        raise Misconfigured(
            f"{condition.id} watches {condition.watch}, which cannot be rehearsed: {why}; rehearse"
            f" a condition on {can}, or a rule of limits"
        )


def _sliced(
    plant: Plant, units: list[Unit], watch: Watch, slots: int
) -> Iterator[list[tuple[Unit, list[Point]]]]:
    """Yield units with the points that tell, as many at once as may be read together."""
    part: list[tuple[Unit, list[Point]]] = []
    rows = 0
    for unit in units:
        points = _points(plant, unit, watch)
        if not points:
            continue
        if part and rows + len(points) * slots > MOST_ROWS:
            yield part
            part, rows = [], 0
        part.append((unit, points))
        rows += len(points) * slots
    if part:
        yield part


def _points(plant: Plant, unit: Unit, watch: Watch) -> list[Point]:
    """Return the unit's points that slots tell of; of whole days, those that its figures count."""
    own = [point for point in plant.points_of(unit.id) if point.energy_unit is not None]
    if watch is not Watch.COMPLETENESS:
        return own
    known = [indicators.catalogue().get(name) for name in unit.indicators]
    counted = {
        point.id for one in known if one is not None for point in plant.counted(unit.id, one.counts)
    }
    return [point for point in own if point.id in counted]


def _looks(found: list[Codes], span_us: tuple[int, int]) -> Looks:
    """Put findings side by side; a condition has no periods, only a present."""
    at_us = np.arange(span_us[0] + SLOT_US, span_us[1] + 1, SLOT_US, dtype=np.int64)
    codes = np.concatenate([np.zeros((len(at_us), 0), np.int8), *found], axis=1)
    present = np.full((len(at_us), 1), span_us[0], np.int64)
    calendar = np.zeros(codes.shape[1], np.int64)
    return Looks(at_us, codes, present, present < 0, calendar, span_us[1])
