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
    from core.intensity import PeriodEnergy
    from core.plant import Plant, Point, Unit


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
    by_point = [await slots.energy(connection, point_ids[point.id], bounds) for point in points]
    outputs = await output.sums(connection, unit.id, indicator.output, bounds)
    site = plant.sites[unit.site]
    rules = limits.of_indicator(indicator.id)
    now_us = to_us(now)
    found = []
    for row, (begin, _) in enumerate(bounds):
        energies = [
            (point, energies[row]) for point, energies in zip(points, by_point, strict=True)
        ]
        combined = intensity.combine(unit, indicator, energies, outputs[row], now_us)
        place = (site.jurisdiction, site.timezone, begin)
        found.append(intensity.figures(unit, indicator, combined, rules, place, _inputs(energies)))
    return found


def _inputs(energies: Sequence[tuple[Point, PeriodEnergy]]) -> dict[str, Any]:
    return {
        "points": {
            point.id: {
                "energy": None if energy.energy_e6 is None else decimals.show_e6(energy.energy_e6),
                "unit": point.energy_unit,
                "sign": point.sign,
                "measured_us": energy.measured_us,
            }
            for point, energy in energies
        }
    }
