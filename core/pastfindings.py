"""What a running period would have been found to be, at the end of every slot of a past span.

The figure at an instant is the one of the period's slots and facts until then. For the common kind
of figure, metered energy over the output that facts book, columns give the findings of all instants
together; a finding that lies closer to its bound than floating point tells is asked of the exact
functions (core.intensity, core.verdicts). Promise: each finding is the one those functions give.
What is of another kind has no `recipe`, and is asked of them instant by instant (store.rehearsals).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import numpy as np

from core import alerts, byfacts, decimals, fuels, intensity, periods, rehearsal, units, verdicts
from core.indicators import Metered
from core.intensity import Intensity, PeriodEnergy, PeriodOutput
from core.limits import Comparison, Policy
from core.periods import SLOT_US
from core.uncertainty import COVERAGE_FACTOR, ESTIMATED_SHARE
from core.verdicts import Held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from core.exactmath import Bools, Floats, Int64s
    from core.indicators import Indicator
    from core.limits import Limit
    from core.periods import Period
    from core.plant import Plant, Point, Site, Unit
    from core.rehearsal import Codes

NEARLY: Final = 1e-9  # of the figure: what lies closer to a bound is judged in fractions
# Completeness is compared in whole microseconds: a year's of them times this fits int64.
MOST_PARTS: Final = 10_000
_UNSEEN: Final = Intensity(None, Fraction(0), None, None, None, Fraction(0), 0)
_HUNDRED: Final = 100


@dataclass(frozen=True, slots=True)
class Calendar:
    """The ends of slots of a span, and of which period each speaks: the one that ends last."""

    at_us: Int64s
    start_us: Int64s
    end_us: Int64s

    @property
    def closed(self) -> Bools:
        """Tell where the period has ended."""
        found: Bools = self.at_us == self.end_us
        return found

    @classmethod
    def of(cls, period: Period, zone: str, span_us: tuple[int, int]) -> Calendar:
        """Return the ends of all slots in a span; its bounds lie on slots."""
        at_us = np.arange(span_us[0] + SLOT_US, span_us[1] + 1, SLOT_US, dtype=np.int64)
        first = periods.period_at(period, span_us[0], zone)
        bounds = [first, *periods.periods_between(period, first[1], span_us[1], zone)]
        starts, ends = (np.array(column, np.int64) for column in zip(*bounds, strict=True))
        which = np.searchsorted(starts, at_us, side="left") - 1
        return cls(at_us, starts[which], ends[which])

    def runs(self) -> Iterator[tuple[tuple[int, int], slice]]:
        """Yield each period with the places of its looks."""
        edges = np.flatnonzero(np.diff(self.start_us)) + 1
        for low, high in zip([0, *edges], [*edges, len(self.at_us)], strict=True):
            yield (int(self.start_us[low]), int(self.end_us[low])), slice(int(low), int(high))


@dataclass(frozen=True, slots=True)
class PastSlots:
    """Slots of a unit's points, [point, slot], from `begin_us` on without a hole.

    `before` are the sums of each point from its period's start to `begin_us`.
    """

    energy_e6: Int64s
    known: Bools
    estimated_e6: Int64s
    measured_us: Int64s
    before: Sequence[PeriodEnergy]


@dataclass(frozen=True, slots=True)
class PastFacts:
    """Facts that may count to the output, in order of time, in millionths of its unit.

    `unfit` come in a unit of another quantity, `ungraded` have an amount without the grade.
    """

    at_us: Int64s
    amount_e6: Sequence[Fraction]
    graded_e6: Sequence[Fraction]
    unfit: Bools
    ungraded: Bools

    def between(self, start_us: int, end_us: int) -> PastFacts:
        """Return the facts in [start, end)."""
        low, high = np.searchsorted(self.at_us, (start_us, end_us))
        part = slice(int(low), int(high))
        return PastFacts(
            self.at_us[part], self.amount_e6[part], self.graded_e6[part], self.unfit[part],
            self.ungraded[part],
        )  # fmt: skip

    def output(self, graded: bool) -> PeriodOutput | None:  # noqa: FBT001 - one of two questions
        """Return what all of them answer together."""
        if not len(self.at_us):
            return None
        fitting = [not one for one in self.unfit]
        return PeriodOutput(
            sum((a for a, fits in zip(self.amount_e6, fitting, strict=True) if fits), Fraction(0)),
            sum((g for g, fits in zip(self.graded_e6, fitting, strict=True) if fits), Fraction(0)),
            int(self.ungraded.sum()) if graded else 0,
            int(self.unfit.sum()),
        )


@dataclass(frozen=True, slots=True)
class Recipe:
    """A figure of the common kind: energy of points, each by one factor, over booked output."""

    site: Site
    unit: Unit
    indicator: Indicator
    points: Sequence[Point]
    weights: Sequence[Fraction]  # of one counted unit of energy, in the indicator's energy unit
    is_metered: bool  # a meter of every carrier that the indicator requires is there

    @property
    def reference(self) -> Fraction:
        """Return by what graded amounts are divided; 1 without a base grade."""
        base = self.indicator.base_grade
        return Fraction(1) if base is None else base.reference


def recipe(
    plant: Plant, unit: Unit, indicator: Indicator, span_us: tuple[int, int]
) -> Recipe | None:
    """Return how a figure is made in columns over a span; None where it is not of that kind."""
    points = plant.counted(unit.id, indicator.counts)
    if (
        not points
        or indicator.metered is not Metered.SUM
        or indicator.numerator
        or indicator.against is not None
        or indicator.output_terms(unit.output_by)
        or not indicator.output
        or byfacts.accounts(unit, indicator)
    ):
        return None
    weights = [_weight(indicator, point, span_us) for point in points]
    known = [each for each in weights if each is not None]
    if len(known) < len(weights):
        return None
    carriers = {point.carrier for point in points}
    metered = not any(carriers.isdisjoint(group) for group in indicator.requires)
    return Recipe(plant.sites[unit.site], unit, indicator, points, known, metered)


def _weight(indicator: Indicator, point: Point, span_us: tuple[int, int]) -> Fraction | None:
    """Return a point's factor with its sign; None where it is unknown or changes in the span."""
    assert point.energy_unit is not None  # noqa: S101 - the indicator counts energy points only
    sign = Fraction(point.sign)
    if not indicator.in_coal_equivalent:
        return units.convert(sign, point.energy_unit, indicator.energy_unit)
    may_be_measured = point.carrier is not None and fuels.can_be_measured(point.carrier)
    if may_be_measured and point.role not in indicator.role_factors:
        return None
    if len(intensity.spans(indicator, point, *span_us)) > 1:
        return None
    factor = intensity.factor(indicator, point, span_us[0])
    return None if factor is None else factor.coal_equivalent(sign, point.energy_unit)


def standings(made: Recipe, rows: Sequence[Limit], bound_us: tuple[int, int]) -> Standings | None:
    """Return where limits stand in a period; None where one stands for a part or moves in it."""
    held = Held(made.site, made.unit, made.indicator, bound_us)
    found: list[Fraction | None] = []
    if verdicts.parts(held, rows):
        return None
    for row in rows:
        stands = verdicts.standing(held, row, {bound_us: _UNSEEN})
        if stands is not None and (stands.value is None or _parts_of(row.completeness) is None):
            return None
        found.append(None if stands is None else stands.value)
    return Standings(held, rows, found)


@dataclass(frozen=True, slots=True)
class Standings:
    """Limits of one period and their values, None where a limit does not apply."""

    held: Held
    rows: Sequence[Limit]
    values: Sequence[Fraction | None]


def findings(
    made: Recipe,
    standing: Sequence[Standings],
    calendar: Calendar,
    slots: PastSlots,
    facts: PastFacts,
) -> Codes:
    """Return the finding of each look, [look, limit]; `standing` has one entry a period."""
    found = np.full((len(calendar.at_us), len(standing[0].rows)), rehearsal.UNKNOWN, np.int8)
    for limits, (bound, looks) in zip(standing, calendar.runs(), strict=True):
        one = _Running(made, limits, bound, calendar.at_us[looks], _cut(slots, looks), facts)
        found[looks] = one.findings()
    return found


def _cut(slots: PastSlots, looks: slice) -> PastSlots:
    """Return the slots of one period; only the first one has something before them."""
    return PastSlots(
        slots.energy_e6[:, looks],
        slots.known[:, looks],
        slots.estimated_e6[:, looks],
        slots.measured_us[:, looks],
        slots.before if looks.start == 0 else (),
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums of each point, [point, look], from the period's start to each look."""

    energy_e6: Int64s
    known: Bools
    estimated_e6: Int64s
    measured_us: Int64s

    @classmethod
    def of(cls, slots: PastSlots) -> _Sums:
        def summed(column: Int64s, before: list[int]) -> Int64s:
            found: Int64s = np.cumsum(column, axis=1) + np.array(before, np.int64)[:, None]
            return found

        none = [PeriodEnergy(0, 0, None, 0, 0, 0)] * len(slots.energy_e6)
        before = slots.before or none
        known = np.logical_or.accumulate(slots.known, axis=1)
        known |= np.array([one.energy_e6 is not None for one in before])[:, None]
        return cls(
            summed(slots.energy_e6, [one.energy_e6 or 0 for one in before]),
            known,
            summed(slots.estimated_e6, [one.estimated_e6 for one in before]),
            summed(slots.measured_us, [one.measured_us for one in before]),
        )


class _Running:
    """One period of one figure, look by look as it ran."""

    def __init__(
        self,
        made: Recipe,
        limits: Standings,
        bound_us: tuple[int, int],
        at_us: Int64s,
        slots: PastSlots,
        facts: PastFacts,
    ) -> None:
        self._made, self._limits, self._bound, self._at_us = made, limits, bound_us, at_us
        self._sums = _Sums.of(slots)
        self._facts = facts.between(*bound_us)
        # A fact counts from its instant on; one at the end belongs to the next period.
        self._booked = np.searchsorted(self._facts.at_us, at_us, side="right")
        self._output, self._has_output = self._outputs()
        self._value, self._doubt, self._has_value = self._figures()

    def findings(self) -> Codes:
        """Return the finding of each look, [look, limit]."""
        found = np.full((len(self._at_us), len(self._limits.rows)), rehearsal.UNKNOWN, np.int8)
        for column, (row, value) in enumerate(
            zip(self._limits.rows, self._limits.values, strict=True)
        ):
            if value is not None:
                found[:, column] = self._against(row, value)
        return found

    def _outputs(self) -> tuple[Floats, Bools]:
        """Return the output at each look in its unit, and where it is known and above zero."""
        facts, graded = self._facts, self._made.indicator.base_grade is not None
        amounts = facts.graded_e6 if graded else facts.amount_e6
        summed = np.array([0.0, *map(float, accumulate(amounts))])
        wrong = facts.unfit | facts.ungraded if graded else facts.unfit
        spoilt = np.concatenate([[0], np.cumsum(wrong)])
        output = summed[self._booked] / decimals.E6 / float(self._made.reference)
        known: Bools = (spoilt[self._booked] == 0) & (output > 0)
        return np.where(known, output, 1.0), known

    def _figures(self) -> tuple[Floats, Floats, Bools]:
        """Return value and uncertainty at each look, and where they are known."""
        made, unit = self._made, self._made.unit
        weights = np.array([float(each) for each in made.weights])[:, None] / decimals.E6
        amounts = self._sums.energy_e6 * weights
        total = amounts.sum(axis=0)
        accuracy = np.array([_share(point.accuracy_percent) for point in made.points])[:, None]
        squares = ((amounts * accuracy) ** 2).sum(axis=0)
        shares = _share(unit.output_accuracy_percent) ** 2
        if made.indicator.base_grade is not None:
            shares += _share(unit.sampling_accuracy_percent) ** 2
        squares += total**2 * shares
        estimated = np.abs(self._sums.estimated_e6 * weights).sum(axis=0)
        squares += (float(ESTIMATED_SHARE) * estimated) ** 2
        scale = (_HUNDRED if made.indicator.is_share else 1) / self._output
        doubt = np.where(total == 0, 0.0, COVERAGE_FACTOR * np.sqrt(squares) * scale)
        known = self._has_output & self._sums.known.all(axis=0) & made.is_metered
        return total * scale, doubt, known

    def _against(self, row: Limit, value: Fraction) -> Codes:
        """Return the finding of each look against one limit."""
        room = float(value) - self._value
        doubt = self._doubt if row.policy is Policy.GUARDED else np.zeros_like(room)
        # Both must keep the limit, or both break it: what lies between proves nothing.
        low, high = _keeps(row.cmp, room - doubt), _keeps(row.cmp, room + doubt)
        judged = self._has_value & self._is_complete(row)
        finding = alerts.Finding
        found = np.where(low, rehearsal.code(finding.WITHIN), rehearsal.code(finding.EXCEEDS))
        found = np.where(judged & (low == high), found, rehearsal.UNKNOWN).astype(np.int8)
        near = NEARLY * (abs(float(value)) + np.abs(self._value) + doubt)
        close = (np.abs(room - doubt) <= near) | (np.abs(room + doubt) <= near)
        for look in np.flatnonzero(judged & close):
            found[look] = rehearsal.code(self.exact(int(look), row))
        return found

    def _is_complete(self, row: Limit) -> Bools:
        parts = _parts_of(row.completeness)
        assert parts is not None  # noqa: S101 - `standings` takes no other limits
        length = self._at_us - self._bound[0]
        measured = np.minimum(self._sums.measured_us, length).min(axis=0)
        found: Bools = measured * parts.denominator >= length * parts.numerator
        return found

    def exact(self, look: int, row: Limit) -> alerts.Finding:
        """Return the finding of one look by the functions of the live path."""
        sums, bound = self._sums, self._bound
        energies = [
            (
                point,
                [
                    PeriodEnergy(
                        *bound,
                        int(sums.energy_e6[each, look]) if sums.known[each, look] else None,
                        int(sums.estimated_e6[each, look]),
                        int(sums.measured_us[each, look]),
                        0,
                    )
                ],
            )
            for each, point in enumerate(self._made.points)
        ]
        at_us = int(self._at_us[look])
        booked = self._facts.between(bound[0], at_us + 1)
        output = booked.output(self._made.indicator.base_grade is not None)
        found = intensity.combine(self._made.unit, self._made.indicator, energies, output, at_us)
        stands = verdicts.standing(self._limits.held, row, {bound: found})
        assert stands is not None  # noqa: S101 - it has a value in this period
        return alerts.finding(stands.verdict)


def _keeps(cmp: Comparison, room: Floats) -> Bools:
    """Tell where a limit is kept that lies so far above the figure."""
    if cmp is Comparison.AT_MOST:
        found: Bools = room >= 0
    elif cmp is Comparison.BELOW:
        found = room > 0
    elif cmp is Comparison.AT_LEAST:
        found = room <= 0
    else:
        found = room < 0
    return found


def _share(percent: Decimal | None) -> float:
    return 0.0 if percent is None else float(percent) / _HUNDRED


def _parts_of(completeness: Decimal) -> Fraction | None:
    """Return the completeness that a limit asks for; None where it does not fit whole numbers."""
    found = Fraction(completeness)
    return found if found.denominator <= MOST_PARTS else None
