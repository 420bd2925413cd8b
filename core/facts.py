"""What is asked of production facts, and the amounts that are made of the answers.

A term of an indicator names a function, a stream and the kinds it takes. `questions` says which
spans of facts it needs, so that all terms of all figures are asked at once; `amount` makes one
exact amount of the answers. Promise: what is not known, or in a unit that does not fit, is None
with a flag that says why; it is never counted as zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import decimals, periods
from core.clock import to_us
from core.flags import Flag
from core.output import TONNE
from core.periods import Period

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    Answers: TypeAlias = "Mapping[Span, PeriodOutput | None]"
    Told: TypeAlias = "Mapping[str, PeriodOutput | None]"

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
MOST_TOLERANCE_H: Final = 96  # a long weekend: an older stock-taking says little of the bound
FOREVER_US: Final = 7_258_118_400_000_000  # 2200-01-01, beyond every period


class Way(StrEnum):
    """How facts of a span are answered: their sum, by day, by grade, or the last level."""

    SUM = "sum"
    DAY = "day"
    GRADE = "grade"
    LEVEL = "level"


@dataclass(frozen=True, slots=True)
class Span:
    """One question: facts of a unit and of a stream, of these kinds, with `at` in [begin, end).

    `own` takes those that name no stream too. The answer is in `amount_unit`. A level is the sum
    of the facts at the last instant in the span; a day is the day of the zone.
    """

    unit: str
    kinds: tuple[str, ...]
    grade: str | None
    begin_us: int
    end_us: int
    stream: str | None = None
    own: bool = True
    amount_unit: str = TONNE
    way: Way = Way.SUM
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Part:
    """Facts of one day (`day_us` its start) or of one grade, in millionths of the unit asked for.

    `graded_e6` is the sum of amount * grade, `known_e6` the amount that carries the grade.
    """

    day_us: int | None
    grade: Fraction | None
    amount_e6: Fraction
    graded_e6: Fraction
    known_e6: Fraction


@dataclass(frozen=True, slots=True)
class PeriodOutput:
    """Production facts of one span.

    `mass_e6` in millionths of the unit asked for, of a tonne unless told; `graded_e6` the sum of
    amount * grade over the facts that carry the grade asked for; `ungraded` how many with an
    amount do not; `unfit` how many come in a unit of another quantity; `at_us` when a level was
    taken; `parts` by day or by grade, where that was asked.
    """

    mass_e6: int | Fraction
    graded_e6: Fraction = Fraction(0)
    ungraded: int = 0
    unfit: int = 0
    at_us: int | None = None
    parts: tuple[Part, ...] = ()


class Function(StrEnum):
    """What a term makes of facts: a closed list, each with its function here."""

    SUM = "sum"  # of the amounts
    GRADED = "graded"  # of amount * grade / reference: base tonnes, contents
    PER_GRADE = "per_grade"  # of amount / grade: product by feed and its factor
    STOCK_CHANGE = "stock_change"  # stock at the end - stock at the start
    BALANCE = "balance"  # receipts + opening stock - closing stock - shipments (GB/T 2589)
    PRODUCED = "produced"  # shipments + used + closing stock - opening stock - receipts


OF_STOCK: Final = frozenset({Function.STOCK_CHANGE, Function.BALANCE, Function.PRODUCED})
OF_GRADE: Final = frozenset({Function.GRADED, Function.PER_GRADE})


@dataclass(frozen=True, slots=True)
class Term:
    """One amount of facts in an indicator; `stream` None is the indicator's own product.

    A stock is the last one taken at or before the bound, at most `tolerance_us` before it.
    """

    function: Function
    stream: str | None = None
    kinds: tuple[str, ...] = ()
    sign: int = 1
    grade: str | None = None
    reference: Fraction = Fraction(1)
    tolerance_us: int = 0

    def item(self) -> dict[str, Any]:
        """Return the term as JSON carries it: what its function does not have is left out."""
        return {
            "function": self.function.value,
            "stream": self.stream,
            "sign": self.sign,
            **({"kinds": list(self.kinds)} if self.kinds else {}),
            **({"grade": self.grade} if self.grade else {}),
            **({"reference": decimals.show(self.reference)} if self.reference != 1 else {}),
            **({"tolerance_h": self.tolerance_us // HOUR_US} if self.tolerance_us else {}),
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose facts of which period a term asks for.

    `now_us` lies inside a period that is open: its closing stock is the last one taken by now, so
    that a month has a figure before its end. `settled` ends the scope there: energy, output and
    stock are then those of one span.
    """

    unit: str
    product: str
    begin_us: int
    end_us: int
    zone: str = "UTC"
    now_us: int = FOREVER_US

    @property
    def is_open(self) -> bool:
        """Tell whether the period has begun and not ended."""
        return self.begin_us <= self.now_us < self.end_us


@dataclass(frozen=True, slots=True)
class Amount:
    """An exact amount, None where it is unknown, with flags and what it was made of."""

    value: Fraction | None
    flags: int = 0
    item: Mapping[str, Any] = field(default_factory=dict)


def questions(term: Term, scope: Scope, unit: str) -> list[Span]:
    """Return the spans of facts that a term needs, its amount being wanted in `unit`."""
    return list(_asked(term, scope, unit).values())


def amount(term: Term, scope: Scope, unit: str, answers: Answers) -> Amount:
    """Return a term's amount in `unit` from the answers to its questions, with its sign."""
    told = {name: answers.get(span) for name, span in _asked(term, scope, unit).items()}
    item: dict[str, Any] = {
        "function": term.function.value,
        "stream": term.stream or scope.product,
        "unit": unit,
    }
    if any(one is not None and one.unfit for one in told.values()):
        return Amount(None, Flag.UNIT_UNFIT, {**item, "amount": None})
    found = _MADE[term.function](term, told)
    if scope.is_open and term.function in OF_STOCK and _is_fresh(told):
        found = Amount(None, 0, found.item)
    value = None if found.value is None else term.sign * found.value
    shown = None if value is None else decimals.show(value)
    return Amount(value, found.flags, {**item, **found.item, "amount": shown})


def closing(term: Term, scope: Scope, unit: str) -> Span | None:
    """Return the question for a term's closing stock; None where it takes none."""
    return _asked(term, scope, unit).get("closing")


def settled(scope: Scope, closings: Sequence[Span], answers: Answers) -> Scope:
    """Return the scope of an open period, ended where all of its stocks were last taken.

    What was made since is not known yet: the energy since then does not belong to it either. A
    closed period, or one in which not every stock was taken, stays as it is.
    """
    if not closings or not scope.is_open:
        return scope
    taken = [answers.get(each) for each in closings]
    instants = [each.at_us for each in taken if each is not None and each.at_us is not None]
    if len(instants) < len(closings) or min(instants) <= scope.begin_us:
        return scope
    return replace(scope, end_us=min(instants))


def _is_fresh(told: Told) -> bool:
    """Tell whether the opening stock is the last one yet: a closing one is not due."""
    opening, closing = told["opening"], told["closing"]
    return opening is not None and closing is not None and opening.at_us == closing.at_us


def total(amounts: Sequence[Amount]) -> Fraction | None:
    """Return the sum of amounts; None where one is unknown or there is none."""
    known = [one.value for one in amounts if one.value is not None]
    return sum(known, Fraction(0)) if known and len(known) == len(amounts) else None


def reach(kind: str, at_us: int, grades: Mapping[str, str]) -> tuple[int, int]:
    """Return the span of instants whose periods a fact may change: all but its own is rare.

    A stock counts at bounds after it, a measured heating value all day long, a base for ever.
    """
    if kind == "stock":
        return at_us - 1, at_us + MOST_TOLERANCE_H * HOUR_US + 1
    if kind == "base":
        return at_us, FOREVER_US
    if any(name.startswith("lhv_") for name in grades):
        return at_us - DAY_US, at_us + DAY_US + 1
    return at_us, at_us + 1


def year(year: int, zone: str) -> tuple[int, int]:
    """Return [start, end) of a calendar year in a zone."""
    return periods.period_at(Period.YEAR, to_us(datetime(year, 7, 1, tzinfo=UTC)), zone)


def means_by_day(answer: PeriodOutput | None, zone: str) -> list[tuple[int, int, Fraction]]:
    """Return (begin, end, mean grade by amount) of each day whose facts carry the grade."""
    if answer is None or answer.unfit:
        return []
    return [
        (*periods.period_at(Period.DAY, part.day_us, zone), part.graded_e6 / part.known_e6)
        for part in answer.parts
        if part.day_us is not None and part.known_e6 > 0
    ]


def _asked(term: Term, scope: Scope, unit: str) -> dict[str, Span]:
    """Return a term's questions by what each is for."""

    def span(kinds: tuple[str, ...], way: Way = Way.SUM, at_us: int | None = None) -> Span:
        return Span(
            scope.unit,
            kinds,
            term.grade,
            scope.begin_us if at_us is None else at_us - term.tolerance_us,
            scope.end_us if at_us is None else at_us + 1,
            term.stream or scope.product,
            term.stream is None,
            unit,
            way,
        )

    if term.function not in OF_STOCK:
        way = Way.GRADE if term.function is Function.PER_GRADE else Way.SUM
        return {"facts": span(term.kinds, way)}
    found = {
        "opening": span(("stock",), Way.LEVEL, scope.begin_us),
        "closing": span(("stock",), Way.LEVEL, min(scope.end_us, scope.now_us)),
    }
    if term.function is Function.STOCK_CHANGE:
        return found
    used = ("shipment",) if term.function is Function.BALANCE else ("shipment", "use", "charge")
    return {**found, "received": span(("receipt",)), "gone": span(used)}


def _sum(_: Term, told: Told) -> Amount:
    facts = told["facts"]
    if facts is None:
        return Amount(None, Flag.FACTS_MISSING)
    return Amount(Fraction(facts.mass_e6) / decimals.E6)


def _graded(term: Term, told: Told) -> Amount:
    facts = told["facts"]
    if facts is None:
        return Amount(None, Flag.FACTS_MISSING)
    item = {
        "grade": term.grade,
        "reference": decimals.show(term.reference),
        "of": decimals.show(Fraction(facts.mass_e6) / decimals.E6),
        "facts_without_grade": facts.ungraded,
    }
    if facts.ungraded:
        return Amount(None, Flag.GRADE_MISSING, item)
    return Amount(facts.graded_e6 / decimals.E6 / term.reference, 0, item)


def _per_grade(term: Term, told: Told) -> Amount:
    facts = told["facts"]
    if facts is None:
        return Amount(None, Flag.FACTS_MISSING)
    item = {
        "grade": term.grade,
        "of": decimals.show(Fraction(facts.mass_e6) / decimals.E6),
        "facts_without_grade": facts.ungraded,
    }
    made = Fraction(0)
    for part in facts.parts:
        if part.amount_e6 and not part.grade:
            return Amount(None, Flag.GRADE_MISSING, item)
        if part.grade:
            made += part.amount_e6 / part.grade
    return Amount(made / decimals.E6, 0, item)


def _stock_change(_: Term, told: Told) -> Amount:
    """Return closing less opening stock: two stock-takings, not one for both bounds."""
    opening, closing = told["opening"], told["closing"]
    item = {"opening": _level(opening), "closing": _level(closing)}
    if opening is None or closing is None or opening.at_us == closing.at_us:
        return Amount(None, Flag.STOCK_NOT_TAKEN, item)
    return Amount(Fraction(closing.mass_e6 - opening.mass_e6) / decimals.E6, 0, item)


def _balance(term: Term, told: Told) -> Amount:
    return _moved(term, told, 1)


def _produced(term: Term, told: Told) -> Amount:
    return _moved(term, told, -1)


def _moved(term: Term, told: Told, sign: int) -> Amount:
    """Return what came in less what went and what the stock grew by; negated: what was made.

    Stock-takings at both bounds show that the account is kept: without a receipt or a shipment
    in between there was none.
    """
    change = _stock_change(term, told)
    received, gone = _booked(told["received"]), _booked(told["gone"])
    item = {
        **change.item,
        "received": decimals.show(received),
        "gone": decimals.show(gone),
    }
    if change.value is None:
        return Amount(None, change.flags, item)
    return Amount(sign * (received - gone - change.value), 0, item)


def _booked(facts: PeriodOutput | None) -> Fraction:
    return Fraction(0) if facts is None else Fraction(facts.mass_e6) / decimals.E6


def _level(facts: PeriodOutput | None) -> dict[str, str] | None:
    if facts is None or facts.at_us is None:
        return None
    taken = decimals.show(Fraction(facts.mass_e6) / decimals.E6)
    return {"amount": taken, "at": periods.render_utc(facts.at_us)}


_MADE: Final[Mapping[Function, Callable[[Term, Told], Amount]]] = {
    Function.SUM: _sum,
    Function.GRADED: _graded,
    Function.PER_GRADE: _per_grade,
    Function.STOCK_CHANGE: _stock_change,
    Function.BALANCE: _balance,
    Function.PRODUCED: _produced,
}
