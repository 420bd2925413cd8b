"""What production facts give to a figure: accounts and terms above the line, the output below it.

`questions` says what is to be asked of facts for one period of a unit and indicator; the rest makes
halves of the answers. What one half lacks makes that half unknown, with a flag that says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from core import decimals, facts, fuels
from core.facts import Amount, Scope
from core.flags import Flag
from core.fuels import Account, Measured

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.facts import Answers, PeriodOutput, Span, Term
    from core.indicators import Against, BaseGrade, Indicator
    from core.plant import Point, Unit


@dataclass(frozen=True, slots=True)
class Told:
    """What production facts answered about one period."""

    scope: Scope
    answers: Answers
    _measured: dict[str, Measured | None] = field(default_factory=dict, compare=False)

    def measured(self, point: Point) -> Measured | None:
        """Return the measured heating values of a point's carrier; None where there are none."""
        carrier = point.carrier
        if carrier is None or not fuels.can_be_measured(carrier):
            return None
        if carrier not in self._measured:
            found = fuels.measured(carrier, self.scope, self.answers)
            self._measured[carrier] = found if found.days else None
        return self._measured[carrier]


@dataclass(frozen=True, slots=True)
class Half:
    """What facts give to numerator or denominator, each by itself, and what evidence prints."""

    amounts: Sequence[Amount]
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def flags(self) -> int:
        """Return what is to be said of the amounts."""
        return flags_of(self.amounts)


def flags_of(amounts: Iterable[Amount]) -> int:
    """Return the flags of amounts together."""
    found = 0
    for amount in amounts:
        found |= amount.flags
    return found


def questions(
    unit: Unit, indicator: Indicator, points: Sequence[Point], scope: Scope
) -> list[Span]:
    """Return what is to be asked of facts for a unit's figure of one period."""
    asked: list[Span] = []
    terms = indicator.output_terms(unit.output_by)
    if not terms and indicator.output:
        asked.append(indicator.output_span(scope))
    for term in terms:
        asked += facts.questions(term, scope, indicator.output_unit)
    for term in indicator.numerator:
        asked += facts.questions(term, scope, indicator.energy_unit)
    for carrier, account in accounts(unit, indicator).items():
        asked += fuels.account_questions(carrier, account, scope)
    if indicator.in_coal_equivalent:
        asked += [fuels.heating_question(each, scope) for each in _fired(indicator, points)]
    if indicator.against is not None:
        base = _base_scope(indicator.against, scope)
        asked += facts.questions(indicator.against.numerator, base, indicator.energy_unit)
        asked += facts.questions(indicator.against.denominator, base, indicator.output_unit)
    return asked


def settled(unit: Unit, indicator: Indicator, scope: Scope, answers: Answers) -> Scope:
    """Return the scope of a figure: an open period's ends where its stocks were last taken."""
    if not scope.is_open:
        return scope
    terms = [(term, indicator.output_unit) for term in indicator.output_terms(unit.output_by)]
    terms += [(term, indicator.energy_unit) for term in indicator.numerator]
    asked = [facts.closing(term, scope, in_unit) for term, in_unit in terms]
    asked += [
        fuels.account_closing(carrier, account, scope)
        for carrier, account in accounts(unit, indicator).items()
    ]
    return facts.settled(scope, [each for each in asked if each is not None], answers)


def _fired(indicator: Indicator, points: Sequence[Point]) -> list[str]:
    """Return the metered fuels whose heating value may be measured."""
    free = {point.carrier for point in points if point.role not in indicator.role_factors}
    return sorted(one for one in free if one is not None and fuels.can_be_measured(one))


def accounts(unit: Unit, indicator: Indicator) -> dict[str, Account]:
    """Return the carriers of an indicator that a unit counts by facts."""
    kept = unit.accounts if indicator.accounts else {}
    return {one: Account(kept[one]) for one in indicator.carriers if one in kept}


def counts_grade(unit: Unit, indicator: Indicator) -> bool:
    """Tell whether grades of facts are in the figure, so that sampling is in its uncertainty."""
    terms = (*indicator.output_terms(unit.output_by), *indicator.numerator)
    graded = any(term.function in facts.OF_GRADE for term in terms)
    return graded or indicator.base_grade is not None


def numerator(unit: Unit, indicator: Indicator, told: Told) -> Half:
    """Return what accounts of carriers and terms of facts give, in the energy unit."""
    used = {
        carrier: fuels.used(carrier, how, told.scope, indicator.basis, told.answers)
        for carrier, how in accounts(unit, indicator).items()
    }
    terms = _terms(indicator.numerator, indicator.energy_unit, told)
    evidence: dict[str, Any] = {}
    if used:
        evidence["accounts"] = {carrier: dict(one.item) for carrier, one in used.items()}
    if terms:
        evidence["numerator"] = [dict(one.item) for one in terms]
    return Half([*used.values(), *terms], evidence)


def denominator(
    unit: Unit, indicator: Indicator, output: PeriodOutput | None, told: Told | None
) -> Half:
    """Return the output in its unit, by the indicator's own function or the one the unit chose.

    `output` answers `Indicator.output_span`, the question of what has no function of its own.
    """
    terms = indicator.output_terms(unit.output_by)
    if terms and told is not None:
        amounts = _terms(terms, indicator.output_unit, told)
        return Half(amounts, {"denominator": [dict(one.item) for one in amounts]})
    if terms or output is None:
        return Half([])
    said = Flag.STOCK_NOT_TAKEN if indicator.stock_expected else 0
    shown = base_output(output, indicator.base_grade)
    if shown is None:
        said |= Flag.UNIT_UNFIT if output.unfit else Flag.GRADE_MISSING
    return Half([Amount(shown, said)])


def base_output(output: PeriodOutput, base: BaseGrade | None) -> Fraction | None:
    """Return output in its unit, in base tonnes (基准吨) sum(mass * grade / reference) with a base.

    None where a fact lacks the grade, or comes in another quantity: never at face value.
    """
    if output.unfit:
        return None
    if base is None:
        return Fraction(output.mass_e6) / decimals.E6
    if output.ungraded:
        return None
    return output.graded_e6 / decimals.E6 / base.reference


def base_ratio(indicator: Indicator, against: Against, told: Told | None) -> Amount:
    """Return numerator over denominator of the base year, from the facts that declare it."""
    if told is None:
        return Amount(None, Flag.BASE_MISSING)
    scope = _base_scope(against, told.scope)
    above = facts.amount(against.numerator, scope, indicator.energy_unit, told.answers)
    below = facts.amount(against.denominator, scope, indicator.output_unit, told.answers)
    item = {"base": {"year": against.base_year, "amounts": [dict(above.item), dict(below.item)]}}
    if above.value is None or below.value is None or above.value <= 0 or below.value <= 0:
        return Amount(None, Flag.BASE_MISSING, item)
    return Amount(above.value / below.value, 0, item)


def _base_scope(against: Against, scope: Scope) -> Scope:
    """Return the same unit's base year."""
    begin_us, end_us = facts.year(against.base_year, scope.zone)
    return Scope(scope.unit, scope.product, begin_us, end_us, scope.zone, scope.now_us)


def _terms(terms: Sequence[Term], unit: str, told: Told) -> list[Amount]:
    return [facts.amount(term, told.scope, unit, told.answers) for term in terms]
