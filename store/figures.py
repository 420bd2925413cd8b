"""A unit's figures of any periods: slots and facts through the core's pure functions.

Where slots and facts come from is a source: the store (`Stored`), the store as it was known at an
instant (store.asof), or what was just computed again. What is made of them is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from core import decimals, intensity, limits
from core.clock import to_us
from store import output, slotsums

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.indicators import Indicator
    from core.intensity import PeriodEnergy, PeriodOutput
    from core.plant import Plant, Point, Unit

# Of each point the parts of one period, cut where its factor to coal equivalent changes.
Energies = list[tuple["Point", list["PeriodEnergy"]]]


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
    source: Source, plant: Plant, asked: Sequence[Asked], now: datetime
) -> list[list[dict[str, Any]]]:
    """Return the figures of all periods asked for, from one question to each half of the source."""
    counted = [plant.counted(each.unit.id, each.indicator.counts) for each in asked]
    cuts = [
        [
            [(point, intensity.spans(each.indicator, point, *bound)) for point in points]
            for bound in each.bounds
        ]
        for each, points in zip(asked, counted, strict=True)
    ]
    # The same span is asked for by several indicators: once is enough.
    spans = dict.fromkeys(
        (point.id, begin, end)
        for periods in cuts
        for period in periods
        for point, parts in period
        for begin, end in parts
    )
    found = dict(zip(spans, await source.energies(list(spans)), strict=True))
    outputs = iter(await source.outputs([span for each in asked for span in _outputs(each)]))
    now_us = to_us(now)
    results: list[list[dict[str, Any]]] = []
    for each, periods in zip(asked, cuts, strict=True):
        item: list[dict[str, Any]] = []
        for bound, period in zip(each.bounds, periods, strict=True):
            energies = [
                (point, [found[point.id, begin, end] for begin, end in parts])
                for point, parts in period
            ]
            item.append(_figures(plant, each, bound[0], energies, next(outputs), now_us))
        results.append(item)
    return results


def _outputs(each: Asked) -> Iterator[output.Span]:
    base = each.indicator.base_grade
    grade = None if base is None else base.grade
    for begin, end in each.bounds:
        yield output.Span(each.unit.id, each.indicator.output, grade, begin, end)


def _figures(
    plant: Plant,
    each: Asked,
    start_us: int,
    energies: Energies,
    produced: PeriodOutput | None,
    now_us: int,
) -> dict[str, Any]:
    combined = intensity.combine(each.unit, each.indicator, energies, produced, now_us)
    site = plant.sites[each.unit.site]
    return intensity.figures(
        each.unit,
        each.indicator,
        combined,
        limits.of_indicator(each.indicator.id),
        (site.jurisdiction, site.timezone, start_us),
        _inputs(each.indicator, energies, produced),
    )


def _inputs(
    indicator: Indicator, energies: Energies, produced: PeriodOutput | None
) -> dict[str, Any]:
    """Return what a figure was computed from, with the factors and base grade it used."""
    inputs: dict[str, Any] = {
        "points": {point.id: _metered(indicator, point, parts) for point, parts in energies}
    }
    base = indicator.base_grade
    if base is not None and produced is not None:
        inputs["output"] = {
            "mass": decimals.show_e6(produced.mass_e6),
            "base_grade": base.grade,
            "reference": decimals.show(base.reference),
            "facts_without_grade": produced.ungraded,
        }
    return inputs


def _metered(indicator: Indicator, point: Point, parts: Sequence[PeriodEnergy]) -> dict[str, Any]:
    known = [part.energy_e6 for part in parts if part.energy_e6 is not None]
    item: dict[str, Any] = {
        "energy": decimals.show_e6(sum(known)) if known else None,
        "unit": point.energy_unit,
        "sign": point.sign,
        "measured_us": sum(part.measured_us for part in parts),
    }
    if indicator.in_coal_equivalent:
        item["carrier"] = point.carrier
        item["factors"] = [_factor(indicator, point, part) for part in parts]
    return item


def _factor(indicator: Indicator, point: Point, part: PeriodEnergy) -> dict[str, Any] | None:
    used = intensity.factor(indicator, point, part.start_us)
    if used is None:
        return None
    energy = part.energy_e6
    return {**used.item(), "energy": None if energy is None else decimals.show_e6(energy)}
