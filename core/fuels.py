"""Fuel by facts: measured heating values of the day, and accounts of receipts, stock and use.

GB/T 2589-2020: what was used is receipts + opening stock - closing stock - shipments, or what was
charged or used as booked; a measured lower heating value, as the day's mean weighted by mass, goes
before a default. A unit keeps an account of a carrier where its plant file says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from core import carriers, decimals, facts, periods
from core.carriers import HEATING_GRADES, HEATING_UNITS
from core.facts import Amount, Function, Scope, Span, Term, Way
from core.flags import Flag
from core.periods import Period

if TYPE_CHECKING:
    from core.carriers import Basis, Factor
    from core.facts import Answers, PeriodOutput

# The facts that bring a laboratory's heating value: of what is fired, by the day; of what came in,
# for a balance. Samples of both kinds of the same coal are not mixed.
FIRED: Final = ("charge", "use")
RECEIVED: Final = ("receipt",)
TOLERANCE_US: Final = 48 * facts.HOUR_US  # of a stock-taking of fuel before the period's bound
DAILY: Final = "daily mass-weighted mean"


class Account(StrEnum):
    """How a unit's facts tell what it used of a carrier."""

    BALANCE = "balance"  # receipts + opening stock - closing stock - shipments
    CHARGE = "charge"  # what was charged
    USE = "use"  # what was used


@dataclass(frozen=True, slots=True)
class Measured:
    """Measured heating values of one carrier by day: (begin, end, kJ per kg or m3), sorted."""

    carrier: str
    days: tuple[tuple[int, int, Fraction], ...] = ()

    def factor(self, at_us: int) -> Factor | None:
        """Return the factor of the day that holds an instant; None where none was measured."""
        for begin, end, value in self.days:
            if begin <= at_us < end:
                return carriers.measured(self.carrier, begin, value, DAILY)
        return None

    def cuts(self) -> set[int]:
        """Return the instants at which the factor may change."""
        return {edge for begin, end, _ in self.days for edge in (begin, end)}


def can_be_measured(carrier: str) -> bool:
    """Tell whether a heating value of it can be measured: a fuel by mass or volume."""
    known = carriers.catalogue().get(carrier)
    return known is not None and known.is_energy and known.quantity in HEATING_UNITS


def heating_question(carrier: str, scope: Scope, sampled: tuple[str, ...] = FIRED) -> Span:
    """Return the question to facts for a carrier's heating values of every day of a period."""
    quantity = carriers.find(carrier).quantity
    return Span(
        scope.unit,
        sampled,
        HEATING_GRADES[quantity],
        *_whole_days(scope.begin_us, scope.end_us, scope.zone),
        carrier,
        own=False,
        amount_unit=HEATING_UNITS[quantity],
        way=Way.DAY,
        zone=scope.zone,
    )


@lru_cache(maxsize=4096)
def _whole_days(begin_us: int, end_us: int, zone: str) -> tuple[int, int]:
    """Return a period widened to days: units of a site ask for the same ones."""
    last_us = max(end_us - 1, begin_us)
    return (
        periods.period_at(Period.DAY, begin_us, zone)[0],
        periods.period_at(Period.DAY, last_us, zone)[1],
    )


def measured(carrier: str, scope: Scope, answers: Answers) -> Measured:
    """Return the measured heating values of a carrier in a period."""
    answer = answers.get(heating_question(carrier, scope))
    return Measured(carrier, tuple(facts.means_by_day(answer, scope.zone)))


def account_questions(carrier: str, account: Account, scope: Scope) -> list[Span]:
    """Return the questions to facts for what was used of a carrier, heating values included."""
    found = facts.questions(_term(carrier, account), scope, _unit(carrier))
    if not can_be_measured(carrier):
        return found
    if account is Account.BALANCE:
        return [*found, heating_question(carrier, scope, RECEIVED)]
    return [*found, heating_question(carrier, scope), _by_day(carrier, account, scope)]


def account_closing(carrier: str, account: Account, scope: Scope) -> Span | None:
    """Return the question for the closing stock of a carrier's account; None: it takes none."""
    return facts.closing(_term(carrier, account), scope, _unit(carrier))


def used(carrier: str, account: Account, scope: Scope, basis: Basis, answers: Answers) -> Amount:
    """Return the coal equivalent [kgce] of what was used of a carrier, by its account.

    A balance is converted at the mean heating value of what the period received; what was charged
    or used at each day's mean. Where nothing was measured the default factor counts.
    """
    taken = facts.amount(_term(carrier, account), scope, _unit(carrier), answers)
    if taken.value is None:
        return taken
    if not can_be_measured(carrier):
        return _at_default(carrier, taken, taken.value, scope, basis)
    if account is Account.BALANCE:
        factor = _mean(carrier, scope, answers)
        if factor is None:
            return _at_default(carrier, taken, taken.value, scope, basis)
        return _converted(taken, [(factor, taken.value)])
    values = measured(carrier, scope, answers)
    parts = _daily(values, answers.get(_by_day(carrier, account, scope)), scope, basis)
    if parts is None:
        return Amount(None, taken.flags | Flag.FACTOR_UNKNOWN, taken.item)
    return _converted(taken, parts)


def _unit(carrier: str) -> str:
    return HEATING_UNITS.get(carriers.find(carrier).quantity, "kWh")


def _term(carrier: str, account: Account) -> Term:
    if account is Account.BALANCE:
        return Term(Function.BALANCE, carrier, tolerance_us=TOLERANCE_US)
    return Term(Function.SUM, carrier, (account.value,))


def _by_day(carrier: str, account: Account, scope: Scope) -> Span:
    """Return the question for what was charged or used on each day of exactly the period."""
    return Span(
        scope.unit,
        (account.value,),
        None,
        scope.begin_us,
        scope.end_us,
        carrier,
        own=False,
        amount_unit=_unit(carrier),
        way=Way.DAY,
        zone=scope.zone,
    )


def _mean(carrier: str, scope: Scope, answers: Answers) -> Factor | None:
    """Return the factor of the mean heating value of what came in, weighted by mass."""
    answer = answers.get(heating_question(carrier, scope, RECEIVED))
    if answer is None or answer.unfit:
        return None
    known = sum((part.known_e6 for part in answer.parts), Fraction(0))
    if known <= 0:
        return None
    graded = sum((part.graded_e6 for part in answer.parts), Fraction(0))
    return carriers.measured(carrier, scope.begin_us, graded / known, DAILY)


def _daily(
    values: Measured, answer: PeriodOutput | None, scope: Scope, basis: Basis
) -> list[tuple[Factor, Fraction]] | None:
    """Return (factor, amount) of each day; None where a day has no factor at all."""
    parts: list[tuple[Factor, Fraction]] = []
    for part in () if answer is None else answer.parts:
        at_us = scope.begin_us if part.day_us is None else part.day_us
        factor = values.factor(at_us) or carriers.factor(values.carrier, at_us, basis)
        if factor is None:
            return None
        parts.append((factor, part.amount_e6 / decimals.E6))
    return parts


def _at_default(
    carrier: str, taken: Amount, amount: Fraction, scope: Scope, basis: Basis
) -> Amount:
    factor = carriers.factor(carrier, scope.begin_us, basis)
    if factor is None:
        return Amount(None, taken.flags | Flag.FACTOR_UNKNOWN, taken.item)
    return _converted(taken, [(factor, amount)])


def _converted(taken: Amount, parts: list[tuple[Factor, Fraction]]) -> Amount:
    """Return the coal equivalent of parts; days of one factor are told together."""
    unit = str(taken.item["unit"])
    total = sum((one.coal_equivalent(amount, unit) for one, amount in parts), Fraction(0))
    told: list[dict[str, Any]] = [
        {**one.item(), "amount": decimals.show(amount)} for one, amount in parts
    ]
    item = {**taken.item, "kgce": decimals.show(total), "factors": told}
    return Amount(total, taken.flags, item)
