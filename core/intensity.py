"""Specific energy consumption (单耗) and its verdicts: exact fractions from slots to the law.

Energy is the signed sum of the unit's own points of the indicator; output the facts of the same
period; intensity their ratio. U is twice the combined standard uncertainty, accuracies taken as
standard uncertainties of independent meters. Verdicts use unrounded figures (design 4.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from core import decimals, flags, units
from core.flags import Flag
from core.limits import Comparison, Limit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from core.indicators import Indicator
    from core.plant import Point, Unit

COVERAGE_FACTOR = 2


class Verdict(StrEnum):
    """The finding on one figure against one limit."""

    WITHIN = "within"
    EXCEEDS = "exceeds"
    INDETERMINATE = "indeterminate"
    INCOMPLETE = "incomplete"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class PeriodEnergy:
    """Energy of one point in one period, summed from slots; `energy_e6` None: nothing is known."""

    start_us: int
    end_us: int
    energy_e6: int | None
    estimated_e6: int
    measured_us: int
    flags: int

    def completeness(self, now_us: int) -> Fraction:
        """Return measured time over the period's length, its elapsed length while it is open."""
        length = min(self.end_us, max(now_us, self.start_us)) - self.start_us
        return Fraction(min(self.measured_us, length), length) if length > 0 else Fraction(0)


@dataclass(frozen=True, slots=True)
class Intensity:
    """A unit's figures of one period, unrounded; None where unknown.

    `energy`, `estimated` in the indicator's energy unit; `output` in its output unit; `value` and
    `uncertainty` in the indicator's unit.
    """

    energy: Fraction | None
    estimated: Fraction
    output: Fraction | None
    value: Fraction | None
    uncertainty: Fraction | None
    completeness: Fraction
    flags: int


def combine(
    unit: Unit,
    indicator: Indicator,
    energies: Sequence[tuple[Point, PeriodEnergy]],
    output_e6: int | None,
    now_us: int,
) -> Intensity:
    """Return a unit's energy over output of one period from its points' energies.

    `energies` holds every point that the indicator counts; one unknown point makes the sum
    unknown. Completeness is the least of the points'.
    """
    found = 0
    amounts: list[tuple[Point, Fraction]] = []
    estimated = Fraction(0)
    complete = [Fraction(0)] if not energies else []
    known = bool(energies)
    for point, energy in energies:
        found |= energy.flags
        complete.append(energy.completeness(now_us))
        if energy.energy_e6 is None or point.energy_unit is None:
            known = False
            continue
        amounts.append((point, _amount(energy.energy_e6, point, indicator)))
        estimated += abs(_amount(energy.estimated_e6, point, indicator))
    total = sum((amount for _, amount in amounts), Fraction(0)) if known else None
    output = None if output_e6 is None or output_e6 == 0 else Fraction(output_e6, decimals.E6)
    value = None if total is None or output is None or output <= 0 else total / output
    uncertainty, undeclared = _uncertainty(unit, amounts, total, value)
    if undeclared and value is not None:
        found |= Flag.UNCERTAINTY_UNDECLARED
    shown_output = None if output_e6 is None else Fraction(output_e6, decimals.E6)
    return Intensity(total, estimated, shown_output, value, uncertainty, min(complete), found)


def _amount(energy_e6: int, point: Point, indicator: Indicator) -> Fraction:
    assert point.energy_unit is not None  # noqa: S101 - the indicator counts energy points only
    amount = Fraction(energy_e6, decimals.E6) * point.sign
    return units.convert(amount, point.energy_unit, indicator.energy_unit)


def _uncertainty(
    unit: Unit,
    amounts: Sequence[tuple[Point, Fraction]],
    total: Fraction | None,
    value: Fraction | None,
) -> tuple[Fraction | None, bool]:
    """Return (U, whether an accuracy is undeclared): root of squares of independent parts."""
    undeclared = unit.output_accuracy_percent is None or any(
        point.accuracy_percent is None for point, _ in amounts
    )
    if value is None or total is None:
        return None, undeclared
    if total == 0:
        return Fraction(0), undeclared
    squares = sum(
        (((amount / total) * _share(point.accuracy_percent)) ** 2 for point, amount in amounts),
        _share(unit.output_accuracy_percent) ** 2,
    )
    return COVERAGE_FACTOR * decimals.square_root(squares) * abs(value), undeclared


def _share(percent: Decimal | None) -> Fraction:
    return Fraction(0) if percent is None else Fraction(percent) / 100


def judge(found: Intensity, limit: Limit, *, applies: bool) -> Verdict:
    """Return the verdict on a figure against one limit (design 4.6, full-value comparison)."""
    if not applies:
        return Verdict.NOT_APPLICABLE
    if found.value is None or found.completeness < Fraction(limit.completeness):
        return Verdict.INCOMPLETE
    doubt = found.uncertainty if limit.guard_band and found.uncertainty else Fraction(0)
    bound = Fraction(limit.value)
    if _holds(found.value + doubt, limit.cmp, bound) and _holds(
        found.value - doubt, limit.cmp, bound
    ):
        return Verdict.WITHIN
    if not _holds(found.value + doubt, limit.cmp, bound) and not _holds(
        found.value - doubt, limit.cmp, bound
    ):
        return Verdict.EXCEEDS
    return Verdict.INDETERMINATE


def _holds(value: Fraction, cmp: Comparison, bound: Fraction) -> bool:
    if cmp is Comparison.AT_MOST:
        return value <= bound
    if cmp is Comparison.BELOW:
        return value < bound
    if cmp is Comparison.AT_LEAST:
        return value >= bound
    return value > bound


def figures(
    unit: Unit,
    indicator: Indicator,
    found: Intensity,
    limits: Sequence[Limit],
    place: tuple[str, str, int],
    inputs: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the figures of a period item (design 4.4) as JSON keeps them.

    `place` is (jurisdiction, time zone, period start in microseconds); `inputs` says what the
    figures were computed from.
    """
    jurisdiction, timezone, start_us = place
    verdicts = [
        {
            "limit": limit.id,
            "force": limit.force.value,
            "level": limit.level,
            "cmp": limit.cmp.value,
            "limit_value": decimals.show(limit.value),
            "verdict": judge(
                found, limit, applies=limit.applies(jurisdiction, start_us, timezone)
            ).value,
            "lapsed": limit.lapsed(start_us, timezone),
        }
        for limit in limits
    ]
    return {
        "energy": {
            "value": _shown(found.energy),
            "estimated": decimals.show(found.estimated),
            "unit": indicator.energy_unit,
        },
        "output": {"value": _shown(found.output), "unit": indicator.output_unit},
        "intensity": {
            "value": _shown(found.value),
            "unit": indicator.unit,
            "uncertainty": _shown(found.uncertainty),
        },
        "completeness": round(float(found.completeness), 6),
        "flags": flags.words(found.flags),
        "verdicts": verdicts,
        "formula_version": indicator.formula_version,
        "product": unit.product,
        "inputs": dict(inputs),
    }


def _shown(value: Fraction | None) -> str | None:
    return None if value is None else decimals.show(value)
