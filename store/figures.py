"""A unit's figures of any periods: slots and facts through the core's pure functions.

Where slots and facts come from is a source: the store (`Stored`), the store as it was known at an
instant (store.asof), or what was just computed again. What is made of them is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from core import byfacts, evidence, intensity, limits, periods, verdicts
from core.byfacts import Told
from core.clock import to_us
from core.facts import Scope
from core.verdicts import Held
from store import output, slotsums

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.facts import Answers
    from core.indicators import Indicator
    from core.intensity import Intensity, PeriodEnergy, PeriodOutput
    from core.limits import Limit
    from core.plant import Plant, Point, Unit

    LimitsOf = Callable[[str], Sequence[Limit]]  # the limits of an indicator

# Of each point the parts of one period, cut where its factor to coal equivalent changes.
Energies = list[tuple["Point", list["PeriodEnergy"]]]
Bound = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """Periods [start, end) of a unit whose figures are wanted."""

    unit: Unit
    indicator: Indicator
    bounds: Sequence[tuple[int, int]]


class Source(Protocol):
    """Where energies and outputs come from."""

    async def energies(self, spans: Sequence[tuple[str, int, int]]) -> list[PeriodEnergy]:
        """Return the energy of each (point, begin, end); the bounds lie on slots or between."""
        ...

    async def outputs(self, spans: Sequence[output.Span]) -> list[PeriodOutput | None]:
        """Return the output of each span."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """Energies from stored slots, outputs from stored facts."""

    connection: AsyncConnection[Any]
    point_ids: Mapping[str, int]

    async def energies(self, spans: Sequence[tuple[str, int, int]]) -> list[PeriodEnergy]:
        """Return sums over stored slots; a slot belongs to the span in which it begins."""
        numbered = [(self.point_ids[point], begin, end) for point, begin, end in spans]
        return await slotsums.energies(self.connection, numbered)

    async def outputs(self, spans: Sequence[output.Span]) -> list[PeriodOutput | None]:
        """Return sums over the newest revisions of stored facts."""
        return await output.sums_of(self.connection, spans)


async def compute(
    connection: AsyncConnection[Any],
    plant: Plant,
    point_ids: Mapping[str, int],
    unit: Unit,
    indicator: Indicator,
    bounds: Sequence[tuple[int, int]],
    now: datetime,
) -> list[dict[str, Any]]:
    """Return the figures of each period [start, end): energy, output, intensity, verdicts."""
    source = Stored(connection, point_ids)
    return (await compute_all(source, plant, [Asked(unit, indicator, bounds)], now))[0]


async def compute_all(
    source: Source,
    plant: Plant,
    asked: Sequence[Asked],
    now: datetime,
    limits_of: LimitsOf = limits.of_indicator,
) -> list[list[dict[str, Any]]]:
    """Return the figures of all periods asked for, from one question to each half of the source.

    Facts come first: heating values measured of a day's fuel cut a period for its meters. Parts of
    a period in which a limit stands elsewhere are computed beside it (core.verdicts).
    """
    made = await _computed(source, plant, _with_parts(plant, asked, limits_of), now)
    return [
        _figures(plant, each, one, limits_of(each.indicator.id))
        for each, one in zip(asked, made, strict=True)
    ]


async def intensities(
    source: Source,
    plant: Plant,
    asked: Sequence[Asked],
    now: datetime,
    limits_of: LimitsOf = limits.of_indicator,
) -> list[dict[Bound, Intensity]]:
    """Return the same figures unrounded, with those of the parts that verdicts on them need."""
    made = await _computed(source, plant, _with_parts(plant, asked, limits_of), now)
    return [{bound: one.found for bound, one in each.items()} for each in made]


async def _computed(
    source: Source, plant: Plant, asked: Sequence[Asked], now: datetime
) -> list[dict[Bound, Made]]:
    now_us = to_us(now)
    wanted = [wanted_of(plant, each, now_us) for each in asked]
    answers = await _answers(source, [period for each in wanted for period in each])
    wanted = [[period.settled(answers) for period in each] for each in wanted]
    # An open period that counts stock ends where it was last taken: what else it asks, ends there.
    ended = [period for each in wanted for period in each if period.is_ended]
    answers |= await _answers(source, ended)
    told = {id(period): Told(period.scope, answers) for each in wanted for period in each}
    cuts = [[period.cuts(told[id(period)]) for period in each] for each in wanted]
    spans = dict.fromkeys(
        (point.id, begin, end)
        for each in cuts
        for period in each
        for point, parts in period
        for begin, end in parts
    )
    found = dict(zip(spans, await source.energies(list(spans)), strict=True))
    results: list[dict[Bound, Made]] = []
    for each, parted in zip(wanted, cuts, strict=True):
        made: dict[Bound, Made] = {}
        for period, points in zip(each, parted, strict=True):
            energies = [
                (point, [found[point.id, begin, end] for begin, end in parts])
                for point, parts in points
            ]
            made[period.bound] = period.made(energies, told[id(period)], now_us)
        results.append(made)
    return results


async def _answers(
    source: Source, periods: Sequence[Wanted]
) -> dict[output.Span, PeriodOutput | None]:
    """Return the answers to all questions of periods, from one question to the source."""
    # The same span is asked for by several indicators: once is enough.
    asked = list(dict.fromkeys(one for period in periods for one in period.questions()))
    return dict(zip(asked, await source.outputs(asked), strict=True)) if asked else {}


@dataclass(frozen=True, slots=True)
class Made:
    """What was computed of one span, and from what."""

    found: Intensity
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One period of a unit and indicator: what it asks for, and what is made of the answers."""

    unit: Unit
    indicator: Indicator
    points: Sequence[Point]
    scope: Scope
    bound: Bound

    @property
    def is_ended(self) -> bool:
        """Tell whether it is open and its figure ends with the last stock-taking."""
        return self.scope.end_us < self.bound[1]

    @property
    def span(self) -> Bound:
        """Return begin and end of its figure."""
        return self.scope.begin_us, self.scope.end_us

    def settled(self, answers: Answers) -> Wanted:
        """Return the period with the span that its figure has."""
        scope = byfacts.settled(self.unit, self.indicator, self.scope, answers)
        return self if scope is self.scope else replace(self, scope=scope)

    def questions(self) -> list[output.Span]:
        """Return its questions to facts."""
        return byfacts.questions(self.unit, self.indicator, self.points, self.scope)

    def cuts(self, told: Told) -> list[tuple[Point, list[Bound]]]:
        """Return the parts of the period in which each point has one factor."""
        if not self.indicator.in_coal_equivalent:
            return [(point, [self.span]) for point in self.points]
        return [
            (point, intensity.spans(self.indicator, point, *self.span, told.measured(point)))
            for point in self.points
        ]

    def produced(self, told: Told) -> PeriodOutput | None:
        """Return the output that its facts tell."""
        return told.answers.get(self.indicator.output_span(self.scope))

    def made(self, energies: Energies, told: Told, now_us: int) -> Made:
        """Return the figure and what it rests on."""
        produced = self.produced(told)
        found = intensity.combine(self.unit, self.indicator, energies, produced, now_us, told)
        inputs = evidence.inputs(self.indicator, energies, produced, found, told)
        if self.is_ended:
            inputs["until"] = periods.render(self.scope.end_us, self.scope.zone)
        return Made(found, inputs)


def wanted_of(plant: Plant, each: Asked, now_us: int) -> list[Wanted]:
    """Return each period asked for, with the points that the indicator counts."""
    points = plant.counted(each.unit.id, each.indicator.counts)
    zone = plant.sites[each.unit.site].timezone
    return [
        Wanted(
            each.unit,
            each.indicator,
            points,
            Scope(each.unit.id, each.indicator.product, begin_us, end_us, zone, now_us),
            (begin_us, end_us),
        )
        for begin_us, end_us in each.bounds
    ]


def _with_parts(plant: Plant, asked: Sequence[Asked], limits_of: LimitsOf) -> list[Asked]:
    """Ask also for the parts of periods that verdicts need."""
    found: list[Asked] = []
    for each in asked:
        rows = limits_of(each.indicator.id)
        parts = {
            part
            for bound in each.bounds
            for part in verdicts.parts(_held(plant, each, bound), rows)
        }
        more = sorted(parts - set(each.bounds))
        found.append(Asked(each.unit, each.indicator, [*each.bounds, *more]))
    return found


def _held(plant: Plant, each: Asked, bound: Bound) -> Held:
    return Held(plant.sites[each.unit.site], each.unit, each.indicator, bound)


def _figures(
    plant: Plant, each: Asked, made: Mapping[Bound, Made], rows: Sequence[Limit]
) -> list[dict[str, Any]]:
    known = {span: one.found for span, one in made.items()}
    return [
        verdicts.figures(_held(plant, each, bound), known, rows, made[bound].inputs)
        for bound in each.bounds
    ]
