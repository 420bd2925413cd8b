"""A unit's figures of any periods: stored slots and facts through the core's pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core import decimals, intensity, limits
from core.clock import to_us
from store import output, slots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.indicators import Indicator
    from core.intensity import PeriodEnergy, PeriodOutput
    from core.plant import Plant, Point, Unit

# Of each point the parts of one period, cut where its factor to coal equivalent changes.
Energies = list[tuple["Point", list["PeriodEnergy"]]]


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
    points = plant.counted(unit.id, indicator.counts)
    by_point = [
        await _parts(connection, indicator, point, point_ids[point.id], bounds) for point in points
    ]
    base = indicator.base_grade
    outputs = await output.sums(
        connection, unit.id, indicator.output, bounds, None if base is None else base.grade
    )
    site = plant.sites[unit.site]
    rules = limits.of_indicator(indicator.id)
    now_us = to_us(now)
    found = []
    for row, (begin, _) in enumerate(bounds):
        energies = [(point, parts[row]) for point, parts in zip(points, by_point, strict=True)]
        combined = intensity.combine(unit, indicator, energies, outputs[row], now_us)
        place = (site.jurisdiction, site.timezone, begin)
        inputs = _inputs(indicator, energies, outputs[row])
        found.append(intensity.figures(unit, indicator, combined, rules, place, inputs))
    return found


async def _parts(
    connection: AsyncConnection[Any],
    indicator: Indicator,
    point: Point,
    point_id: int,
    bounds: Sequence[tuple[int, int]],
) -> list[list[PeriodEnergy]]:
    """Return a point's energy of each period in parts that have one factor each."""
    cut = [intensity.spans(indicator, point, begin, end) for begin, end in bounds]
    flat = [span for spans in cut for span in spans]
    energies = iter(await slots.energy(connection, point_id, flat))
    return [[next(energies) for _ in spans] for spans in cut]


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
