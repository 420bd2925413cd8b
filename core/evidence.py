"""What a figure was computed from: its inputs, so that it explains itself (design 5, invariant 7).

Every point with the energy it gave and the factors used, the output with its base grade, what
facts gave to either half, the parameters that go before all factors, and the even path to a target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core import decimals, intensity, limits, periods
from core.clock import from_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.byfacts import Told
    from core.facts import PeriodOutput
    from core.indicators import Indicator
    from core.intensity import Intensity, PeriodEnergy
    from core.plant import Point


def inputs(
    indicator: Indicator,
    energies: Sequence[tuple[Point, Sequence[PeriodEnergy]]],
    produced: PeriodOutput | None,
    combined: Intensity,
    told: Told,
) -> dict[str, Any]:
    """Return what a figure was computed from, as JSON keeps it."""
    found: dict[str, Any] = {
        "points": {point.id: _metered(indicator, point, parts, told) for point, parts in energies},
        **combined.told,
    }
    base = indicator.base_grade
    if base is not None and produced is not None and "denominator" not in combined.told:
        found["output"] = {
            "mass": decimals.show_e6(int(produced.mass_e6)),
            "base_grade": base.grade,
            "reference": decimals.show(base.reference),
            "facts_without_grade": produced.ungraded,
        }
    if indicator.role_factors:
        found["parameters"] = {
            role: {**factor.item(), "formula_version": indicator.formula_version}
            for role, factor in sorted(indicator.role_factors.items())
        }
    if indicator.against is not None:
        found["path"] = _path(indicator, told.scope.begin_us, told.scope.zone)
    return found


def _path(indicator: Indicator, start_us: int, zone: str) -> list[dict[str, Any]]:
    """Return where an even path to each trajectory stands at the end of the period's year.

    An aid to read the figure, not a limit: the sources state no path (domain notes 1.3, G13).
    """
    year = from_us(start_us).astimezone(periods.zone(zone)).year
    return [
        {
            "limit": limit.id,
            "year": year,
            "change": decimals.show(limit.trajectory.even_change(limit.value, year)),
            "unit": limit.unit,
            "indicative": True,
        }
        for limit in limits.of_indicator(indicator.id)
        if limit.trajectory is not None
        and limit.trajectory.base_year < year <= limit.trajectory.end_year
    ]


def _metered(
    indicator: Indicator, point: Point, parts: Sequence[PeriodEnergy], told: Told
) -> dict[str, Any]:
    known = [part.energy_e6 for part in parts if part.energy_e6 is not None]
    item: dict[str, Any] = {
        "energy": decimals.show_e6(sum(known)) if known else None,
        "unit": point.energy_unit,
        "sign": point.sign,
        "measured_us": sum(part.measured_us for part in parts),
    }
    if indicator.in_coal_equivalent:
        item["carrier"] = point.carrier
        item["factors"] = [_factor(indicator, point, part, told) for part in parts]
    return item


def _factor(
    indicator: Indicator, point: Point, part: PeriodEnergy, told: Told
) -> dict[str, Any] | None:
    used = intensity.factor(indicator, point, part.start_us, told.measured(point))
    if used is None:
        return None
    energy = part.energy_e6
    return {**used.item(), "energy": None if energy is None else decimals.show_e6(energy)}
