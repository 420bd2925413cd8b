"""Limits: where each stands for a figure, moved by site and ore, and what the verdict is.

A limit is held against the figure of that part of the period in which it is in force; where what
moves it changes inside that part, against the mean of the pieces' limits, weighted by output.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING

from store.inspector.exact import (
    BeyondError,
    Span,
    cut,
    dated,
    half_even,
    held_at,
    midnight,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.inspector.figure import Book
    from store.inspector.sealed import Json

LIMIT_KEYS = {
    "indicator", "name", "kind", "value", "cmp", "unit", "unit_in_text", "force", "level", "scheme",
    "jurisdiction", "valid_from", "valid_to", "due", "trajectory", "completeness", "policy",
    "correction", "mark", "source", "clause", "quote", "note",
}  # fmt: skip
INPUTS = {  # what each correction reads, beside the altitude
    "altitude": ("ambient_pressure_pa",),
    "ore_grade": ("ore_grade",),
    "clinker_share": ("clinker_share",),
    "feed_grade": ("feed_grade",),
    "share": (),
}
TIGHTENS = {"ore_grade", "clinker_share"}


def judged(book: Book, row: Json, span: Span) -> tuple[str, str]:
    """Return (verdict, where the limit stands) of a period against one limit."""
    if row.keys() - LIMIT_KEYS or row["cmp"] not in {"<=", "<", ">=", ">"}:
        raise BeyondError("a limit with keys or a comparison that are new")
    part = _part(book, row, span)
    own = str(shown(Fraction(row["value"])))
    if part is None:
        return "not_applicable", own
    found = book.figure(part)
    stand, missing, may_tighten = _moved(book, row, part)
    shown_at = own if missing or stand is None else str(shown(stand))
    if stand is None or found.value is None:
        return "incomplete", shown_at
    if found.complete < Fraction(row.get("completeness", "0.90")):
        return "incomplete", shown_at
    doubt = (found.doubt or Fraction(0)) if row.get("policy", "guarded") == "guarded" else 0
    keeps = {_keeps(found.value + one, row["cmp"], stand) for one in (doubt, -doubt)}
    verdict = "indeterminate" if len(keeps) > 1 else "within" if keeps.pop() else "exceeds"
    if missing and (may_tighten or verdict != "within"):
        verdict = "incomplete"
    return verdict, shown_at


def _part(book: Book, row: Json, span: Span) -> Span | None:
    """Return the part of a period in which a limit is to be kept, None: in none."""
    if row.get("kind", "limit") != "limit":
        return None
    here, there = book.site["jurisdiction"], row["jurisdiction"]
    begin = max(span[0], midnight(date.fromisoformat(row["valid_from"]), book.zone))
    end = span[1]
    if row.get("valid_to"):
        end = min(end, midnight(date.fromisoformat(row["valid_to"]), book.zone))
    inside = here == there or here.startswith(f"{there}-")
    return (begin, end) if begin < end and inside else None


def _keeps(value: Fraction, cmp: str, bound: Fraction) -> bool:
    return {
        "<=": value <= bound,
        "<": value < bound,
        ">=": value >= bound,
        ">": value > bound,
    }[cmp]


def _moved(book: Book, row: Json, part: Span) -> tuple[Fraction | None, bool, bool]:
    """Return (limit, whether an input is missing, whether that could lower it)."""
    rules = row.get("correction", [])
    rules = [rules] if isinstance(rules, dict) else rules
    for rule in rules:
        if rule["kind"] not in INPUTS:
            raise BeyondError(f"a correction of kind {rule['kind']}")
    names = [name for rule in rules for name in _inputs(rule)]
    pieces = cut(part, [at for name in names for at, _ in _dated(book, name)])
    stands: list[tuple[Fraction, Fraction]] = []
    missing = may_tighten = False
    for piece in pieces:
        stand = Fraction(row["value"])
        for rule in rules:
            moved = _step(book, rule, stand, piece[0])
            missing |= moved is None
            may_tighten |= moved is None and rule["kind"] in TIGHTENS
            stand = stand if moved is None else moved
        weight = (
            Fraction(1) if len(pieces) == 1 else book.output(book.settled(piece)) or Fraction(0)
        )
        stands.append((weight, stand))
    weight = sum((one for one, _ in stands), Fraction(0))
    if weight <= 0:
        return None, missing, may_tighten
    mean = sum((one * stand for one, stand in stands), Fraction(0)) / weight
    return mean, missing, may_tighten


def _inputs(rule: Json) -> tuple[str, ...]:
    if rule["kind"] == "ore_grade" and rule.get("least_cr_fe"):
        return ("ore_grade", "cr_fe_ratio")
    return (rule["input"],) if rule["kind"] == "share" else INPUTS[rule["kind"]]


def _dated(book: Book, name: str) -> list[tuple[int, Fraction]]:
    table = book.site if name == "ambient_pressure_pa" else book.unit
    return dated(table.get(name, ()))


def _step(book: Book, rule: Json, limit: Fraction, at: int) -> Fraction | None:
    """Return the limit after one correction; None where an input is not declared."""
    held: list[Fraction | None] = [held_at(_dated(book, name), at) for name in _inputs(rule)]
    if rule["kind"] == "altitude":
        return _altitude(book.site.get("altitude_m"), held[0], rule, limit)
    known = [one for one in held if one is not None]
    if len(known) < len(held):
        return None
    given, of = known[0], Fraction(rule.get("reference", 0))
    if rule["kind"] == "ore_grade":
        # Ore outside what the correction holds for moves nothing.
        outside = len(known) > 1 and known[1] < Fraction(rule["least_cr_fe"])
        points = Fraction(0) if outside else of - given
    elif rule["kind"] == "feed_grade":
        points = min(Fraction(rule["most_points"]) / 100, max(Fraction(0), of - given))
    else:  # clinker_share, and share, which has no reference
        points = given - of
    return limit + points * 100 * Fraction(rule["per_point"])


def _altitude(
    altitude: int | None, declared: Fraction | None, rule: Json, limit: Fraction
) -> Fraction | None:
    """Return limit x (constant - slope x P / 101325 Pa) above an altitude (GB 16780-2021, 5.3).

    Without a declared pressure that of the standard atmosphere, to a whole pascal.
    """
    if altitude is None:
        return None
    if altitude <= rule["above_m"]:
        return limit
    pressure = declared
    if pressure is None:
        with localcontext() as context:
            context.prec = 40
            cooling = 1 - Decimal("0.0065") * altitude / Decimal("288.15")
            exact = Fraction(101_325 * cooling ** Decimal("5.25588"))
        pressure = Fraction(half_even(exact.numerator, exact.denominator))
    return limit * (Fraction(rule["constant"]) - Fraction(rule["slope"]) * pressure / 101_325)


def against(
    book: Book, rows: Sequence[tuple[str, Json]], told: Sequence[Json], span: Span
) -> tuple[list[str], list[tuple[str, str]]]:
    """Return (where told verdicts are not those that follow, the latter as verdict and limit)."""
    said = {one["limit"]: one for one in told}
    known = {name for name, _ in rows}
    wrong = [f"limit {name}: a verdict, but no limit in the pack" for name in said.keys() - known]
    found = []
    for name, row in rows:
        verdict, stand = judged(book, row, span)
        found.append((verdict, f"{row['cmp']} {stand} {row['unit']}, {name}"))
        one = said.get(name)
        if one is None:
            wrong.append(f"limit {name}: no verdict was told")
            continue
        if one["verdict"] != verdict:
            wrong.append(f"limit {name}: the verdict is {verdict}, told was {one['verdict']}")
        if one["limit_value"] != stand:
            wrong.append(f"limit {name}: it stands at {stand}, told was {one['limit_value']}")
        wrong += [
            f"limit {name}: {key} is {row.get(key)}, told was {one[key]}"
            for key in ("cmp", "force", "level")
            if one[key] != row.get(key)
        ]
    return wrong, found
