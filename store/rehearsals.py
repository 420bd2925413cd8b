"""What past periods would have been found to be while they ran: slots and facts of a span, read.

Slots come in slices of units, MOST_ROWS of them at once; what is kept of them is a byte for each
look of an alert. Figures of the common kind are judged in columns at the end of every slot
(core.pastfindings), all others by the functions of the live path (store.figures) every hour, over
sums kept in memory. Promise: nothing is written; a look knows no fact and no slot behind it.
What came late counts where it was measured: a rehearsal knows what the store knows now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import alerts, indicators, limits, pastfindings, rehearsal, verdicts
from core.clock import from_us
from core.intensity import PeriodEnergy
from core.limits import LimitKind
from core.pastfindings import Calendar
from core.periods import SLOT_US
from core.rehearsal import Looks
from core.rehearsed import Watched
from core.verdicts import Held
from store import figures, pastslots, slotsums
from store.figures import Asked
from store.pastslots import Remembered, Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from psycopg import AsyncConnection

    from core.exactmath import Bools
    from core.indicators import Indicator
    from core.limits import Force, Limit
    from core.pastfindings import Recipe, Standings
    from core.periods import Period
    from core.plant import Plant, Unit
    from core.rehearsal import Codes
    from store.plants import Loaded

    Told = Callable[[int, int], None]  # how many units are done, of how many

MOST_ROWS: Final = 500_000  # slots of one statement: some 20 MB as columns
MOST_LOOKS: Final = 200_000  # of figures that are not made in columns: some minutes
HOUR_US: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Series:
    """Alerts of one figure: a unit's indicator against limits of one force."""

    unit: Unit
    indicator: Indicator
    rows: tuple[Limit, ...]
    calendar: Calendar
    zone: str
    made: Recipe | None  # None: asked of the live path, look by look
    standings: Sequence[Standings]


@dataclass(slots=True)
class Past:
    """What a rehearsal plays: the looks, and what each of their alerts stands for."""

    watched: list[Watched]
    looks: Looks
    hourly: int = 0  # alerts that were looked at every `every_us`, not at the end of every slot
    every_us: int = SLOT_US
    is_periodic: bool = True  # periods close and prove rings right or wrong


@dataclass(frozen=True, slots=True)
class Chosen:
    """Of which alerts the past is asked: limits of a force in periods of a kind, over a span."""

    force: Force
    period: Period
    span_us: tuple[int, int]  # on slots
    units: frozenset[str] | None = None  # None: all


async def of_limits(
    connection: AsyncConnection[Any], loaded: Loaded, chosen: Chosen, told: Told | None = None
) -> Past:
    """Return what running and closed periods were found to be in a span.

    Of one consistent state of the store, where the caller's transaction is repeatable read.
    """
    series = list(series_of(loaded.plant, chosen))
    found: dict[int, Codes] = {}
    rest = [place for place, one in enumerate(series) if one.made is None]
    every_us = spacing(len(rest), chosen.span_us) if rest else SLOT_US
    for places in _sliced(loaded.plant, series, chosen.span_us):
        part = [series[place] for place in places]
        if part[0].made is None:
            codes = await one_by_one(connection, loaded, part, chosen.span_us, every_us)
        else:
            codes = await in_columns(connection, loaded, part, chosen.span_us)
        found |= zip(places, codes, strict=True)
        if told is not None:
            told(len(found), len(series))
    return Past(
        [Watched(one.unit.id, row.id, one.zone) for one in series for row in one.rows],
        _looks(series, [found[place] for place in range(len(series))], chosen.span_us),
        sum(len(series[place].rows) for place in rest),
        every_us,
    )


def series_of(plant: Plant, chosen: Chosen) -> Iterator[Series]:
    """Yield the figures that limits of the force hold for in some period of the span."""
    calendars: dict[str, Calendar] = {}
    for unit in plant.units.values():
        if chosen.units is not None and unit.id not in chosen.units:
            continue
        site = plant.sites[unit.site]
        calendar = calendars.get(site.timezone)
        if calendar is None:
            calendar = Calendar.of(chosen.period, site.timezone, chosen.span_us)
            calendars[site.timezone] = calendar
        bounds = [bound for bound, _ in calendar.runs()]
        for name in unit.indicators:
            indicator = indicators.catalogue().get(name)
            if indicator is None or not indicator.has(chosen.period):
                continue
            rows = tuple(
                row
                for row in limits.of_indicator(name)
                if row.force is chosen.force
                and row.kind is LimitKind.LIMIT
                and any(Held(site, unit, indicator, bound).part(row) for bound in bounds)
            )
            if rows:
                made, standings = _recipe(plant, unit, indicator, rows, bounds, chosen.span_us)
                yield Series(unit, indicator, rows, calendar, site.timezone, made, standings)


def _recipe(
    plant: Plant,
    unit: Unit,
    indicator: Indicator,
    rows: Sequence[Limit],
    bounds: Sequence[tuple[int, int]],
    span_us: tuple[int, int],
) -> tuple[Recipe | None, Sequence[Standings]]:
    """Return how a figure is made in columns, and where its limits stand; None and () if not so."""
    made = pastfindings.recipe(plant, unit, indicator, (bounds[0][0], span_us[1]))
    if made is None:
        return None, ()
    found = [pastfindings.standings(made, rows, bound) for bound in bounds]
    known = [one for one in found if one is not None]
    return (made, known) if len(known) == len(found) else (None, ())


def _sliced(
    plant: Plant, series: Sequence[Series], span_us: tuple[int, int]
) -> Iterator[list[int]]:
    """Yield figures whose points' slots are read together: of one way, those of a unit together."""
    ways: dict[bool, dict[str, list[int]]] = {True: {}, False: {}}
    for place, one in enumerate(series):
        ways[one.made is not None].setdefault(one.unit.id, []).append(place)
    for by_unit in ways.values():
        part: list[int] = []
        rows = 0
        for unit, own in by_unit.items():
            begin_us = min(int(series[place].calendar.start_us[0]) for place in own)
            more = len(plant.points_of(unit)) * ((span_us[1] - begin_us) // SLOT_US)
            if part and rows + more > MOST_ROWS:
                yield part
                part, rows = [], 0
            part += own
            rows += more
        if part:
            yield part


async def in_columns(
    connection: AsyncConnection[Any],
    loaded: Loaded,
    series: Sequence[Series],
    span_us: tuple[int, int],
) -> list[Codes]:
    """Return the findings of figures of the common kind at the end of every slot."""
    firsts = {
        (loaded.ids[point.id], int(one.calendar.start_us[0]))
        for one in series
        if one.made is not None
        for point in one.made.points
        if point.id in loaded.ids
    }
    slots = await pastslots.read(connection, sorted({number for number, _ in firsts}), span_us)
    spans = [(number, first, span_us[0]) for number, first in sorted(firsts)]
    before = dict(zip(spans, await slotsums.energies(connection, spans), strict=True))
    facts = await pastslots.facts_of(
        connection,
        {one.unit.id for one in series},
        {kind for one in series for kind in one.indicator.output},
        (min(int(one.calendar.start_us[0]) for one in series), span_us[1]),
    )
    found: list[Codes] = []
    for one in series:
        assert one.made is not None  # noqa: S101 - the caller chose those that have a recipe
        first = int(one.calendar.start_us[0])
        own = [loaded.ids.get(point.id, -1) for point in one.made.points]
        none = PeriodEnergy(first, span_us[0], None, 0, 0, 0)
        past = slots.past(own, [before.get((each, first, span_us[0]), none) for each in own])
        booked = pastslots.booked(one.indicator, facts.get(one.unit.id, ()))
        found.append(pastfindings.findings(one.made, one.standings, one.calendar, past, booked))
    return found


async def one_by_one(
    connection: AsyncConnection[Any],
    loaded: Loaded,
    series: Sequence[Series],
    span_us: tuple[int, int],
    every_us: int,
) -> list[Codes]:
    """Return the findings of figures of any kind; between two looks the first one's goes on."""
    since_us = min(int(one.calendar.start_us[0]) for one in series)
    source = await _remembered(connection, loaded, series, (since_us, span_us[1]))
    at_us = series[0].calendar.at_us
    found = [np.full((len(at_us), len(one.rows)), rehearsal.UNKNOWN, np.int8) for one in series]
    due = np.stack([one.calendar.closed | (at_us % every_us == 0) for one in series])
    for look in np.flatnonzero(due.any(axis=0)).tolist():
        asked = np.flatnonzero(due[:, look]).tolist()
        source.until_us = int(at_us[look])
        judged = await _judged(source, loaded.plant, [series[place] for place in asked], look)
        for place, codes in zip(asked, judged, strict=True):
            found[place][look] = codes
    return [
        _held_on(one.calendar, looked, codes)
        for one, looked, codes in zip(series, due, found, strict=True)
    ]


async def _remembered(
    connection: AsyncConnection[Any],
    loaded: Loaded,
    series: Sequence[Series],
    span_us: tuple[int, int],
) -> Remembered:
    points = {
        point.id: loaded.ids[point.id]
        for one in series
        for point in loaded.plant.counted(one.unit.id, one.indicator.counts)
        if point.id in loaded.ids
    }
    table = await pastslots.read(connection, list(points.values()), span_us)
    past = table.past(list(points.values()), ())
    sums = {point: Sums(span_us[0], past, row) for row, point in enumerate(points)}
    instants = await pastslots.instants_of(connection, {one.unit.id for one in series})
    return Remembered(connection, sums, instants)


async def _judged(
    source: Remembered, plant: Plant, series: Sequence[Series], look: int
) -> list[list[int]]:
    """Return the finding of each figure's limits at one look."""
    bounds = [(int(one.calendar.start_us[look]), int(one.calendar.end_us[look])) for one in series]
    asked = [
        Asked(one.unit, one.indicator, [bound]) for one, bound in zip(series, bounds, strict=True)
    ]
    rows: dict[str, dict[str, Limit]] = {}
    for one in series:
        rows.setdefault(one.indicator.id, {}).update({row.id: row for row in one.rows})
    made = await figures.intensities(
        source, plant, asked, from_us(source.until_us), lambda name: list(rows[name].values())
    )
    found: list[list[int]] = []
    for one, bound, known in zip(series, bounds, made, strict=True):
        held = Held(plant.sites[one.unit.site], one.unit, one.indicator, bound)
        stands = [verdicts.standing(held, row, known) for row in one.rows]
        found.append(
            [
                rehearsal.UNKNOWN if each is None else rehearsal.code(alerts.finding(each.verdict))
                for each in stands
            ]
        )
    return found


def _held_on(calendar: Calendar, looked: Bools, codes: Codes) -> Codes:
    """Let each finding go on until the next look, within its period."""
    last = np.maximum.accumulate(np.where(looked, np.arange(len(looked)), -1))
    same = (last >= 0) & (calendar.start_us[last] == calendar.start_us)
    found: Codes = np.where(same[:, None], codes[last], rehearsal.UNKNOWN).astype(np.int8)
    return found


def spacing(count: int, span_us: tuple[int, int]) -> int:
    """Return the time between two looks at so many figures: an hour, or as many as it takes."""
    hours = -((span_us[0] - span_us[1]) // HOUR_US)
    return HOUR_US * max(1, -(-count * hours // MOST_LOOKS))


def _looks(series: Sequence[Series], found: Sequence[Codes], span_us: tuple[int, int]) -> Looks:
    """Put the findings of all figures side by side."""
    at_us = np.arange(span_us[0] + SLOT_US, span_us[1] + 1, SLOT_US, dtype=np.int64)
    zones = {one.zone: one.calendar for one in series}
    column = {zone: number for number, zone in enumerate(zones)}
    none = np.zeros((len(at_us), 0), np.int64)
    return Looks(
        at_us,
        np.concatenate([none.astype(np.int8), *found], axis=1),
        np.column_stack([none, *(one.start_us for one in zones.values())]),
        np.column_stack([none > 0, *(one.closed for one in zones.values())]),
        np.array([column[one.zone] for one in series for _ in one.rows], np.int64),
        span_us[1],
    )
