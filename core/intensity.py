"""Specific energy consumption (单耗) and its verdicts: exact fractions from slots to the law.

Energy is the signed sum of the unit's own points of the indicator, in its energy unit or as coal
equivalent; output the facts of the same period, in base tonnes where the indicator says so;
intensity their ratio. U is twice the combined standard uncertainty, accuracies taken as standard
uncertainties of independent meters. Verdicts use unrounded figures (design 4.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from core import carriers, decimals, flags, units
from core.flags import Flag
from core.limits import Comparison, Limit, LimitKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from core.carriers import Factor
    from core.indicators import BaseGrade, Indicator
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
class PeriodOutput:
    """Production facts of one period.

    `mass_e6` in millionths of a tonne; `graded_e6` the sum of mass * grade over the facts that
    carry the grade asked for; `ungraded` how many with a mass do not.
    """

    mass_e6: int
    graded_e6: Fraction = Fraction(0)
    ungraded: int = 0


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


def factor(indicator: Indicator, point: Point, at_us: int) -> Factor | None:
    """Return the factor to coal equivalent of a point's energy at an instant; None: unknown.

    In this order: the indicator's own for the point's role, the plant's measured heating value,
    the catalogue's default (GB/T 2589-2020).
    """
    if point.role in indicator.role_factors:
        return indicator.role_factors[point.role]
    if point.carrier is None:
        return None
    found = None
    for since_us, heating_value in point.heating_values:
        if since_us <= at_us:
            found = carriers.measured(point.carrier, since_us, heating_value)
    return found or carriers.factor(point.carrier, at_us, indicator.basis)


def spans(indicator: Indicator, point: Point, start_us: int, end_us: int) -> list[tuple[int, int]]:
    """Cut a period where the point's factor changes, so that each part has one factor.

    A slot belongs to the part in which it begins.
    """
    cuts: set[int] = set()
    if indicator.in_coal_equivalent and point.role not in indicator.role_factors:
        known = carriers.catalogue().get(point.carrier or "")
        defaults = known.factors[indicator.basis] if known else ()
        changes = [one.since_us for one in defaults] + [at_us for at_us, _ in point.heating_values]
        cuts = {at_us for at_us in changes if start_us < at_us < end_us}
    edges = [start_us, *sorted(cuts), end_us]
    return list(pairwise(edges))


def base_output(output: PeriodOutput, base: BaseGrade | None) -> Fraction | None:
    """Return output in tonnes, in base tonnes (基准吨) sum(mass * grade / reference) with a base.

    None where a fact lacks the grade: it is never counted at face value.
    """
    if base is None:
        return Fraction(output.mass_e6, decimals.E6)
    if output.ungraded:
        return None
    return output.graded_e6 / decimals.E6 / base.reference


def combine(
    unit: Unit,
    indicator: Indicator,
    energies: Sequence[tuple[Point, Sequence[PeriodEnergy]]],
    output: PeriodOutput | None,
    now_us: int,
) -> Intensity:
    """Return a unit's energy over output of one period from its points' energies.

    `energies` holds every point that the indicator counts, with the parts of the period that
    `spans` cut. One unknown point, an unknown factor or an unmetered carrier makes the sum unknown;
    a missing grade makes the output unknown. Completeness is the least of the points'.
    """
    found = 0
    amounts: list[tuple[Point, Fraction | None]] = []
    estimated = Fraction(0)
    for point, parts in energies:
        amount, doubtful, said = _converted(indicator, point, parts)
        amounts.append((point, amount))
        estimated += doubtful
        found |= said
    metered = {point.carrier for point, _ in energies}
    if energies and any(metered.isdisjoint(group) for group in indicator.requires):
        found |= Flag.CARRIER_UNMETERED
        total = None
    else:
        total = _sum(amount for _, amount in amounts)
    shown = None if output is None else base_output(output, indicator.base_grade)
    if output is not None and shown is None:
        found |= Flag.GRADE_MISSING
    value = None if total is None or shown is None or shown <= 0 else total / shown
    known = [(point, amount) for point, amount in amounts if amount is not None]
    uncertainty, undeclared = _uncertainty(unit, known, total, value)
    if undeclared and value is not None:
        found |= Flag.UNCERTAINTY_UNDECLARED
    complete = min((_completeness(parts, now_us) for _, parts in energies), default=Fraction(0))
    return Intensity(total, estimated, shown, value, uncertainty, complete, found)


def _sum(amounts: Iterable[Fraction | None]) -> Fraction | None:
    """Return the sum; None where one is unknown or there is none."""
    held = list(amounts)
    known = [amount for amount in held if amount is not None]
    return sum(known, Fraction(0)) if known and len(known) == len(held) else None


def _completeness(parts: Sequence[PeriodEnergy], now_us: int) -> Fraction:
    measured_us = sum(part.measured_us for part in parts)
    whole = PeriodEnergy(parts[0].start_us, parts[-1].end_us, None, 0, measured_us, 0)
    return whole.completeness(now_us)


def _converted(
    indicator: Indicator, point: Point, parts: Sequence[PeriodEnergy]
) -> tuple[Fraction | None, Fraction, int]:
    """Return (signed amount in the energy unit, its estimated part, flags) of one point."""
    amount: Fraction | None = None
    estimated = Fraction(0)
    said = 0
    for part in parts:
        said |= part.flags
    for part in parts:
        if part.energy_e6 is None:
            continue
        one = _amount(indicator, point, part.start_us, part.energy_e6)
        if one is None:
            return None, Fraction(0), said | Flag.FACTOR_UNKNOWN
        amount = one if amount is None else amount + one
        doubtful = _amount(indicator, point, part.start_us, part.estimated_e6)
        estimated += abs(doubtful or Fraction(0))
    return amount, estimated, said


def _amount(indicator: Indicator, point: Point, at_us: int, energy_e6: int) -> Fraction | None:
    assert point.energy_unit is not None  # noqa: S101 - the indicator counts energy points only
    amount = Fraction(energy_e6, decimals.E6) * point.sign
    if not indicator.in_coal_equivalent:
        return units.convert(amount, point.energy_unit, indicator.energy_unit)
    known = factor(indicator, point, at_us)
    return None if known is None else known.coal_equivalent(amount, point.energy_unit)


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
    if not applies or limit.kind is not LimitKind.LIMIT:
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
