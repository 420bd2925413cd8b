"""Specific energy consumption (单耗): exact fractions from slots and facts to the law's figure.

The numerator is the signed sum of the unit's own points of the indicator, of its accounts of fuel
and of the indicator's terms of facts, in its energy unit or as coal equivalent; the denominator
the output of the same period by the indicator's function (core.byfacts). What is unknown makes the
figure unknown and sets a flag. What the law makes of the figure is in core.verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from core import byfacts, carriers, decimals, facts, uncertainty, units
from core.facts import Amount
from core.flags import Flag
from core.indicators import Metered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.byfacts import Half, Told
    from core.carriers import Factor
    from core.fuels import Measured
    from core.indicators import Indicator
    from core.plant import Point, Unit

PER_CENT = 100
PeriodOutput = facts.PeriodOutput


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
    `uncertainty` in the indicator's unit. `told` says what facts gave, as evidence prints it.
    """

    energy: Fraction | None
    estimated: Fraction
    output: Fraction | None
    value: Fraction | None
    uncertainty: Fraction | None
    completeness: Fraction
    flags: int
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Metered:
    """What meters give to the numerator, point by point, in the energy unit."""

    amounts: Sequence[tuple[Point, Amount]]
    estimated: Fraction

    @property
    def known(self) -> list[tuple[Point, Fraction]]:
        """Return the points whose amount is known."""
        return [(point, one.value) for point, one in self.amounts if one.value is not None]


def factor(
    indicator: Indicator, point: Point, at_us: int, measured: Measured | None = None
) -> Factor | None:
    """Return the factor to coal equivalent of a point's energy at an instant; None: unknown.

    In this order: the indicator's own for the point's role, the heating value measured on the
    day, the plant's declared one, the catalogue's default (GB/T 2589-2020).
    """
    if point.role in indicator.role_factors:
        return indicator.role_factors[point.role]
    if point.carrier is None:
        return None
    found = None if measured is None else measured.factor(at_us)
    if found is not None:
        return found
    for since_us, heating_value in point.heating_values:
        if since_us <= at_us:
            found = carriers.measured(point.carrier, since_us, heating_value)
    return found or carriers.factor(point.carrier, at_us, indicator.basis)


def spans(
    indicator: Indicator,
    point: Point,
    start_us: int,
    end_us: int,
    measured: Measured | None = None,
) -> list[tuple[int, int]]:
    """Cut a period where the point's factor changes, so that each part has one factor.

    A slot belongs to the part in which it begins.
    """
    cuts: set[int] = set()
    if indicator.in_coal_equivalent and point.role not in indicator.role_factors:
        changes = carriers.changes(point.carrier, indicator.basis)
        changes += [at_us for at_us, _ in point.heating_values]
        changes += [] if measured is None else measured.cuts()
        cuts = {at_us for at_us in changes if start_us < at_us < end_us}
    edges = [start_us, *sorted(cuts), end_us]
    return list(pairwise(edges))


def combine(
    unit: Unit,
    indicator: Indicator,
    energies: Sequence[tuple[Point, Sequence[PeriodEnergy]]],
    output: PeriodOutput | None,
    now_us: int,
    told: Told | None = None,
) -> Intensity:
    """Return a unit's numerator over denominator of one period.

    `energies` holds every point that the indicator counts, with the parts of the period that
    `spans` cut; `output` answers the question of `Indicator.output_span`, `told` all of
    `byfacts.questions`. One unknown point, factor, account or term makes the sum unknown.
    Completeness is the least of the points'; of facts alone, whether they are all there.
    """
    metered = _metered(indicator, energies, told)
    told_above = byfacts.Half([]) if told is None else byfacts.numerator(unit, indicator, told)
    total, found = _numerator(unit, indicator, metered, told_above)
    below = byfacts.denominator(unit, indicator, output, told)
    found |= below.flags
    produced = facts.total(below.amounts)
    value, base = _value(indicator, total, produced, told)
    found |= base.flags
    doubt, undeclared = _uncertainty(unit, indicator, metered, told_above, total, value)
    if value is not None and undeclared:
        found |= Flag.UNCERTAINTY_UNDECLARED
    complete = min((_completeness(parts, now_us) for _, parts in energies), default=None)
    if complete is None:
        complete = Fraction(value is not None)
    evidence = {**told_above.told, **below.told, **base.item}
    return Intensity(total, metered.estimated, produced, value, doubt, complete, found, evidence)


def _numerator(
    unit: Unit, indicator: Indicator, metered: _Metered, told: Half
) -> tuple[Fraction | None, int]:
    """Return (the numerator, flags): the sum of all that counts, or the highest of means."""
    amounts = [amount for _, amount in metered.amounts]
    if indicator.metered is Metered.MEAN:
        known = [one for _, one in metered.known]
        return max(known) if known and len(known) == len(amounts) else None, _said(amounts)
    amounts += told.amounts
    counted = {point.carrier for point, _ in metered.amounts}
    counted |= byfacts.accounts(unit, indicator).keys()
    if counted and any(counted.isdisjoint(group) for group in indicator.requires):
        return None, _said(amounts) | Flag.CARRIER_UNMETERED
    return facts.total(amounts), _said(amounts)


def _said(amounts: Sequence[Amount]) -> int:
    return byfacts.flags_of(amounts)


def _value(
    indicator: Indicator, above: Fraction | None, below: Fraction | None, told: Told | None
) -> tuple[Fraction | None, Amount]:
    """Return the figure, and what the base year gave to it where it is a change."""
    if indicator.metered is Metered.MEAN:
        return above, Amount(above)
    ratio = None if above is None or below is None or below <= 0 else above / below
    if indicator.against is None:
        scale = PER_CENT if indicator.is_share else 1
        return None if ratio is None else ratio * scale, Amount(ratio)
    base = byfacts.base_ratio(indicator, indicator.against, told)
    if ratio is None or base.value is None:
        return None, base
    return (ratio / base.value - 1) * PER_CENT, base


def _completeness(parts: Sequence[PeriodEnergy], now_us: int) -> Fraction:
    measured_us = sum(part.measured_us for part in parts)
    whole = PeriodEnergy(parts[0].start_us, parts[-1].end_us, None, 0, measured_us, 0)
    return whole.completeness(now_us)


def _metered(
    indicator: Indicator,
    energies: Sequence[tuple[Point, Sequence[PeriodEnergy]]],
    told: Told | None,
) -> _Metered:
    found: list[tuple[Point, Amount]] = []
    estimated = Fraction(0)
    for point, parts in energies:
        if indicator.metered is Metered.MEAN:
            found.append((point, _mean(indicator, point, parts)))
            continue
        amount, doubtful = _converted(indicator, point, parts, told)
        found.append((point, amount))
        estimated += doubtful
    return _Metered(found, estimated)


def _mean(indicator: Indicator, point: Point, parts: Sequence[PeriodEnergy]) -> Amount:
    """Return a gauge's mean over the time for which it is known."""
    assert point.energy_unit is not None  # noqa: S101 - the indicator counts such points only
    booked = [part.energy_e6 for part in parts if part.energy_e6 is not None]
    hours = Fraction(sum(part.measured_us for part in parts), facts.HOUR_US)
    said = 0
    for part in parts:
        said |= part.flags
    if not booked or hours <= 0:
        return Amount(None, said)
    held = Fraction(sum(booked), decimals.E6) * point.sign
    rate = units.RATES[indicator.energy_unit]
    return Amount(units.convert(held, point.energy_unit, rate) / hours, said)


def _converted(
    indicator: Indicator, point: Point, parts: Sequence[PeriodEnergy], told: Told | None
) -> tuple[Amount, Fraction]:
    """Return (signed amount in the energy unit, its estimated part) of one point."""
    amount: Fraction | None = None
    estimated = Fraction(0)
    said = 0
    for part in parts:
        said |= part.flags
    measured = None if told is None or not indicator.in_coal_equivalent else told.measured(point)
    for part in parts:
        if part.energy_e6 is None:
            continue
        one = _amount(indicator, point, part.start_us, part.energy_e6, measured)
        if one is None:
            return Amount(None, said | Flag.FACTOR_UNKNOWN), Fraction(0)
        amount = one if amount is None else amount + one
        if part.estimated_e6:
            doubtful = _amount(indicator, point, part.start_us, part.estimated_e6, measured)
            estimated += abs(doubtful or Fraction(0))
    return Amount(amount, said), estimated


def _amount(
    indicator: Indicator, point: Point, at_us: int, energy_e6: int, measured: Measured | None
) -> Fraction | None:
    assert point.energy_unit is not None  # noqa: S101 - the indicator counts energy points only
    amount = Fraction(energy_e6, decimals.E6) * point.sign
    if not indicator.in_coal_equivalent:
        return units.convert(amount, point.energy_unit, indicator.energy_unit)
    known = factor(indicator, point, at_us, measured)
    return None if known is None else known.coal_equivalent(amount, point.energy_unit)


def _uncertainty(
    unit: Unit,
    indicator: Indicator,
    metered: _Metered,
    told: Half,
    total: Fraction | None,
    value: Fraction | None,
) -> tuple[Fraction | None, bool]:
    """Return (U, whether an accuracy is undeclared): root of squares of independent parts."""
    known, weighed = metered.known, unit.output_accuracy_percent
    booked, sampled = unit.input_accuracy_percent, unit.sampling_accuracy_percent
    graded = byfacts.counts_grade(unit, indicator)
    if indicator.metered is Metered.MEAN:
        known, weighed = [each for each in known if each[1] == total][:1], Decimal(0)
    undeclared = weighed is None or any(point.accuracy_percent is None for point, _ in known)
    undeclared |= (graded and sampled is None) or (bool(told.amounts) and booked is None)
    if value is None or total is None:
        return None, undeclared
    if total == 0:
        return Fraction(0), undeclared
    parts = [
        amount / total * _share(point.accuracy_percent)
        for point, amount in known
        if point.accuracy_percent
    ]
    if booked:
        parts += [one.value / total * _share(booked) for one in told.amounts if one.value]
    parts.append(_share(weighed))
    if metered.estimated:
        parts.append(uncertainty.gap_filling(metered.estimated, total))
    if graded:
        parts.append(_share(sampled))
    # A change against a base year is as uncertain as the ratio that changed.
    size = abs(value if indicator.against is None else value + PER_CENT)
    return uncertainty.expanded(parts) * size, undeclared


@lru_cache(maxsize=1024)
def _share(percent: Decimal | None) -> Fraction:
    return Fraction(0) if percent is None else Fraction(percent) / 100
