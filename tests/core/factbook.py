"""Answers to questions about facts from a plain list of them: slow, and written apart from SQL."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from core import periods, units
from core.clock import to_us
from core.facts import Part, PeriodOutput, Span, Way
from core.output import OutputFact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

E6 = 1_000_000


def fact(
    at: datetime,
    kind: str,
    amount: str,
    stream: str | None = None,
    unit: str | None = None,
    **grades: str,
) -> OutputFact:
    """Return a fact of the unit `s.u`; its id is its content."""
    name = f"{kind}-{stream}-{at.isoformat()}-{amount}-{unit}"
    amount_e6 = int(Fraction(amount) * E6)
    return OutputFact(name, 0, "s.u", kind, to_us(at), amount_e6, grades, stream, unit)


def answers(
    spans: Iterable[Span], facts: Sequence[OutputFact]
) -> Mapping[Span, PeriodOutput | None]:
    """Return the answer to each span."""
    return {span: answer(span, facts) for span in spans}


def answer(span: Span, facts: Sequence[OutputFact]) -> PeriodOutput | None:
    """Return what facts say of one span."""
    newest = {one.id: one for one in sorted(facts, key=lambda one: one.revision)}
    held = [
        one
        for one in newest.values()
        if one.unit == span.unit
        and one.kind in span.kinds
        and span.begin_us <= one.at_us < span.end_us
        and (one.stream == span.stream or (span.own and one.stream is None))
    ]
    if span.way is Way.LEVEL:
        last = max((one.at_us for one in held), default=0)
        held = [one for one in held if one.at_us == last]
    if not held:
        return None
    quantity = units.quantity(span.amount_unit)
    fit = [one for one in held if units.quantity(one.amount_unit or "t") == quantity]
    bare = [one for one in held if one.mass_e6 and span.grade and span.grade not in one.grades]
    total = sum((_amount(span, one) for one in fit), Fraction(0))
    return PeriodOutput(
        total.numerator if total.denominator == 1 else total,
        sum((_graded(span, one) for one in fit), Fraction(0)),
        len(bare),
        len(held) - len(fit),
        max(one.at_us for one in held) if span.way is Way.LEVEL else None,
        tuple(_parts(span, fit)),
    )


def _parts(span: Span, facts: Sequence[OutputFact]) -> list[Part]:
    if span.way not in {Way.DAY, Way.GRADE}:
        return []
    groups: dict[tuple[int | None, str | None], list[OutputFact]] = {}
    for one in facts:
        day = periods.period_at(periods.Period.DAY, one.at_us, span.zone)[0]
        key = (day, None) if span.way is Way.DAY else (None, one.grades.get(span.grade or ""))
        groups.setdefault(key, []).append(one)
    ordered = sorted(groups, key=lambda key: (key[0] or 0, key[1] is None, key[1] or ""))
    return [
        Part(
            day,
            None if grade is None else Fraction(grade),
            sum((_amount(span, one) for one in groups[day, grade]), Fraction(0)),
            sum((_graded(span, one) for one in groups[day, grade]), Fraction(0)),
            sum(
                (_amount(span, one) for one in groups[day, grade] if span.grade in one.grades),
                Fraction(0),
            ),
        )
        for day, grade in ordered
    ]


def _amount(span: Span, one: OutputFact) -> Fraction:
    return units.convert(Fraction(one.mass_e6), one.amount_unit or "t", span.amount_unit)


def _graded(span: Span, one: OutputFact) -> Fraction:
    return _amount(span, one) * Fraction(one.grades.get(span.grade or "", "0"))
