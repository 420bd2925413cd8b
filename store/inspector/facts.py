"""Production facts: sums, grades, stocks and days, and the amounts that indicators make of them.

What is not known is None, never zero; what comes in another quantity than asked makes it unknown.
"""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from store.inspector.exact import (
    E6,
    HOUR,
    UNITS,
    BeyondError,
    Span,
    convert,
    day_of,
    instant,
    midnight,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from store.inspector.sealed import Json


class Facts:
    """The newest revision of each fact of a unit, in its plant's time."""

    def __init__(self, facts: Sequence[Json], unit: str, zone: tzinfo, now: int) -> None:
        newest: dict[str, Json] = {}
        for one in sorted(facts, key=lambda each: each["revision"]):
            newest[one["id"]] = one
        own = (one for one in newest.values() if one["unit"] == unit)
        self.rows = [{**one, "at_us": instant(one["at"])} for one in own]
        self.zone, self.now = zone, now

    def select(self, kinds: Sequence[str], stream: str, span: Span, own: bool) -> list[Json]:  # noqa: FBT001 - as asked
        """Return facts of a stream in a span; with `own` also those that name no stream."""
        return [
            one
            for one in self.rows
            if one["kind"] in kinds
            and span[0] <= one["at_us"] < span[1]
            and (one["stream"] == stream or (own and one["stream"] is None))
        ]

    def days(self, span: Span) -> Span:
        """Widen a span to whole days of the plant."""
        first, last = day_of(span[0], self.zone), day_of(max(span[1] - 1, span[0]), self.zone)
        return midnight(first, self.zone), midnight(last + timedelta(days=1), self.zone)

    def heating(
        self, carrier: str, kinds: Sequence[str], quantity: str, span: Span
    ) -> dict[date, tuple[Fraction, Fraction]]:
        """Return of each day (sum of amount x heating value, amount) of a fuel's samples."""
        grade, unit = HEATING[quantity]
        rows = self.select(kinds, carrier, self.days(span), own=False)
        if any(not fits(one, unit) for one in rows):
            return {}
        found: dict[date, tuple[Fraction, Fraction]] = {}
        for one in rows:
            value = one["grades"].get(grade)
            if value is not None:
                day, mass = day_of(one["at_us"], self.zone), amount_of(one, unit)
                above, below = found.get(day, (Fraction(0), Fraction(0)))
                found[day] = (above + mass * Fraction(value), below + mass)
        return {day: pair for day, pair in found.items() if pair[1] > 0}


HEATING = {"mass": ("lhv_kj_per_kg", "kg"), "volume": ("lhv_kj_per_m3", "m3")}


def unit_of(fact: Json) -> str:
    """Return the unit of a fact's amount: tonnes unless it says so."""
    return str(fact["amount_unit"] or "t")


def fits(fact: Json, unit: str) -> bool:
    """Tell whether a fact's amount is of the quantity of a unit."""
    return UNITS[unit_of(fact)][0] == UNITS[unit][0]


def amount_of(fact: Json, unit: str) -> Fraction:
    """Return a fact's amount in a unit of its quantity."""
    return convert(Fraction(fact["amount"]), unit_of(fact), unit)


def total(rows: Sequence[Json], unit: str) -> Fraction:
    """Return the sum of facts in a unit."""
    return sum((amount_of(one, unit) for one in rows), Fraction(0))


def graded(rows: Sequence[Json], unit: str, grade: str) -> Fraction | None:
    """Return the sum of amount x grade; None where a fact with an amount lacks the grade."""
    if any(grade not in one["grades"] and Fraction(one["amount"]) for one in rows):
        return None
    return sum(
        (amount_of(one, unit) * Fraction(one["grades"].get(grade, 0)) for one in rows), Fraction(0)
    )


TERM_KEYS = {"function", "stream", "kinds", "sign", "grade", "reference", "tolerance_h"}
OF_STOCK = {"stock_change": (), "balance": ("shipment",), "produced": ("shipment", "use", "charge")}


def term(facts: Facts, row: Json, product: str, span: Span, unit: str) -> Fraction | None:
    """Return the amount in `unit` that one term of an indicator makes of facts."""
    if row.keys() - TERM_KEYS:
        raise BeyondError(f"a term with {', '.join(sorted(row.keys() - TERM_KEYS))}")
    stream, own = row.get("stream") or product, row.get("stream") is None
    if row["function"] in OF_STOCK:
        found = _of_stock(facts, row, (stream, own), span, unit)
    else:
        found = _of_amounts(facts.select(row["kinds"], stream, span, own), row, unit)
    return None if found is None else row.get("sign", 1) * found


def _of_amounts(rows: Sequence[Json], row: Json, unit: str) -> Fraction | None:
    """Return sum, sum of amount x grade / reference, or sum of amount / grade."""
    if not rows or any(not fits(one, unit) for one in rows):
        return None
    if row["function"] == "sum":
        return total(rows, unit)
    if row["function"] == "graded":
        found = graded(rows, unit, row["grade"])
        return None if found is None else found / Fraction(row.get("reference", 1))
    if row["function"] != "per_grade":
        raise BeyondError(f"a term of function {row['function']}")
    by_grade: dict[Fraction, Fraction] = {}
    for one in rows:
        grade = Fraction(one["grades"].get(row["grade"], 0))
        by_grade[grade] = by_grade.get(grade, Fraction(0)) + amount_of(one, unit)
    if by_grade.pop(Fraction(0), Fraction(0)):
        return None
    return sum((amount / grade for grade, amount in by_grade.items()), Fraction(0))


def _of_stock(
    facts: Facts, row: Json, of: tuple[str, bool], span: Span, unit: str
) -> Fraction | None:
    """Return closing - opening stock, or receipts - what went - that (`produced`: negated)."""
    stream, own = of
    back = round(Fraction(row.get("tolerance_h", 0)) * HOUR)
    levels: list[tuple[int, list[Json]]] = []
    rows: list[Json] = []
    for at in (span[0], min(span[1], facts.now)):
        taken = facts.select(("stock",), stream, (at - back, at + 1), own)
        last = max((one["at_us"] for one in taken), default=-1)
        levels.append((last, [one for one in taken if one["at_us"] == last]))
        rows += levels[-1][1]
    received = gone = []
    if row["function"] != "stock_change":
        received = facts.select(("receipt",), stream, span, own)
        gone = facts.select(OF_STOCK[row["function"]], stream, span, own)
    if any(not fits(one, unit) for one in [*rows, *received, *gone]):
        return None
    (opened, opening), (closed, closing) = levels
    if not opening or not closing or opened == closed:
        return None
    change = total(closing, unit) - total(opening, unit)
    if row["function"] == "stock_change":
        return change
    left = total(received, unit) - total(gone, unit) - change
    return left if row["function"] == "balance" else -left


def last_taken(facts: Facts, row: Json, product: str, at: int) -> int:
    """Return when a term's stock was last taken by an instant; -1: not within its tolerance."""
    back = round(Fraction(row.get("tolerance_h", 0)) * HOUR)
    stream, own = row.get("stream") or product, row.get("stream") is None
    taken = facts.select(("stock",), stream, (at - back, at + 1), own)
    return max((int(one["at_us"]) for one in taken), default=-1)


def millionths(fact: Json) -> int:
    """Return a fact's amount as the store keeps it."""
    return round(Fraction(fact["amount"]) * E6)
