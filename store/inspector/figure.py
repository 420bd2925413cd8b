"""The figure: energy over output of one span, with its uncertainty, by the indicator's row.

Energy in coal equivalent takes the factor of the role, of the day's measured heating value, of the
declared one, of the catalogue, in this order; the span is cut where it changes.
"""

# ruff: noqa: UP017 - this runs on Python 3.9 too

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from store.inspector.exact import (
    E6,
    HOUR,
    KJ_PER_KGCE,
    RATES,
    BeyondError,
    Span,
    convert,
    cut,
    dated,
    day_of,
    held_at,
    instant,
    midnight,
    root,
    to_us,
    zone_of,
)
from store.inspector.facts import (
    HEATING,
    OF_STOCK,
    Facts,
    amount_of,
    fits,
    graded,
    last_taken,
    term,
    total,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.inspector.meters import Energy, Meter, Slots
    from store.inspector.sealed import Json

INDICATOR_KEYS = {
    "name", "unit", "energy_unit", "output_unit", "computes", "later", "carriers", "requires",
    "roles", "basis", "role_factors", "metered", "accounts", "numerator", "output", "base_grade",
    "denominator", "output_by", "stock_expected", "against", "product", "source", "boundary",
    "formula", "formula_version", "mark", "note", "shortest",
}  # fmt: skip
FIRED = ("charge", "use")


class Figure(NamedTuple):
    """Of one span, unrounded; None where unknown."""

    energy: Fraction | None
    estimated: Fraction
    output: Fraction | None
    value: Fraction | None
    doubt: Fraction | None  # U, k = 2
    complete: Fraction


class Book:
    """What was declared, metered and booked, and the figures that follow from it."""

    def __init__(
        self,
        members: Sequence[Json],
        meters: Mapping[str, Meter | Slots],
    ) -> None:
        (head,) = (one for one in members if one["member"] == "evidence")
        (site,) = (one for one in members if one["member"] == "declaration")
        (rule,) = (one for one in members if one["member"] == "indicator")
        self.site, self.rule, self.meters, self.now = (
            site["declared"],
            rule["row"],
            meters,
            head["now_us"],
        )
        self.key = head["unit"].split(".", 1)[1]
        self.unit = self.site["unit"][self.key]
        self.zone = zone_of(self.site.get("timezone", "Asia/Shanghai"))
        self.carriers = {one["id"]: one["row"] for one in members if one["member"] == "carrier"}
        facts = [one for one in members if one["member"] == "fact"]
        self.facts = Facts(facts, head["unit"], self.zone, self.now)
        if self.rule.keys() - INDICATOR_KEYS or self.rule.get("metered", "sum") not in {
            "sum",
            "mean",
        }:
            raise BeyondError(f"the indicator {rule['id']}")
        self.of_heat = self.rule["energy_unit"] == "kgce"
        self.is_mean = self.rule.get("metered") == "mean"
        self.accounts = {
            carrier: way
            for carrier, way in self.unit.get("accounts", {}).items()
            if self.rule.get("accounts") and carrier in self.rule.get("carriers", ())
        }
        self.points = counted(head["unit"], self.unit, self.rule)
        self._known: dict[Span, Figure] = {}

    def figure(self, span: Span) -> Figure:
        """Return the figure of a span."""
        if span not in self._known:
            self._known[span] = self._figure(self.settled(span))
        return self._known[span]

    def settled(self, span: Span) -> Span:
        """Return the span of a figure: an open period's ends where its stocks were last taken."""
        if not span[0] <= self.now < span[1]:
            return span
        rule, product = self.rule, self.rule["product"]
        terms = [*self._below(), *rule.get("numerator", ())]
        terms += [
            {"function": "balance", "stream": carrier, "tolerance_h": 48}
            for carrier, way in self.accounts.items()
            if way == "balance"
        ]
        taken = [
            last_taken(self.facts, one, product, self.now)
            for one in terms
            if one["function"] in OF_STOCK
        ]
        if not taken or min(taken) <= span[0]:
            return span
        return span[0], min(taken)

    def _below(self) -> Sequence[Json]:
        """Return the terms of the denominator: those of the way that the unit chose, or its own."""
        chosen = self.rule.get("output_by", {}).get(self.unit.get("output_by") or "")
        return list(self.rule.get("denominator", ()) if chosen is None else chosen)

    def output(self, span: Span) -> Fraction | None:
        """Return the output: terms, or the amounts of the product's facts, in base tonnes."""
        rule = self.rule
        unit, product = rule.get("output_unit", "t"), rule["product"]
        terms = self._below()
        if terms:
            return _sum([term(self.facts, one, product, span, unit) for one in terms])
        rows = self.facts.select(rule.get("output", ()), product, span, own=True)
        if not rows or any(not fits(one, unit) for one in rows):
            return None
        base = rule.get("base_grade")
        if base is None:
            return total(rows, unit)
        found = graded(rows, unit, base["grade"])
        return None if found is None else found / Fraction(base["reference"])

    def _figure(self, span: Span) -> Figure:
        amounts: list[tuple[str, Fraction | None]] = []
        estimated, shares = Fraction(0), []
        for point, table in sorted(self.points.items()):
            parts = self._parts(point, table, span)
            shares.append(self._share(span, sum(energy.measured for _, energy in parts)))
            if self.is_mean:
                amounts.append((point, self._mean(table, [energy for _, energy in parts])))
                continue
            amount, doubtful = self._amount(table, parts, span)
            amounts.append((point, amount))
            estimated += doubtful
        metered = [amount for _, amount in amounts]
        told = [] if self.is_mean else self._told(span)
        output = self.output(span)
        if self.is_mean:
            known = [one for one in metered if one is not None]
            energy = max(known) if known and len(known) == len(metered) else None
            value = energy
        else:
            energy = self._energy([*metered, *told])
            value = self._value(energy, output)
        complete = min(shares, default=Fraction(value is not None))
        doubt = self._doubt(amounts, told, estimated, energy, value)
        return Figure(energy, estimated, output, value, doubt, complete)

    def _told(self, span: Span) -> list[Fraction | None]:
        """Return what accounts of fuel and terms of facts give above the line."""
        rule = self.rule
        told = [self._used(carrier, way, span) for carrier, way in self.accounts.items()]
        return told + [
            term(self.facts, one, rule["product"], span, rule["energy_unit"])
            for one in rule.get("numerator", ())
        ]

    def _energy(self, amounts: Sequence[Fraction | None]) -> Fraction | None:
        """Return the sum of meters, accounts of fuel, and terms of facts."""
        rule = self.rule
        there = {table["carrier"] for table in self.points.values()} | self.accounts.keys()
        if there and any(there.isdisjoint(group) for group in rule.get("requires", ())):
            return None
        return _sum(amounts)

    def _value(self, energy: Fraction | None, output: Fraction | None) -> Fraction | None:
        if energy is None or output is None or output <= 0:
            return None
        against = self.rule.get("against")
        if against is None:
            return energy / output * (100 if self.rule["unit"] == "%" else 1)
        year = (
            midnight_of(against["base_year"], self),
            midnight_of(against["base_year"] + 1, self),
        )
        halves = []
        for stream, unit in (
            (against["numerator"], self.rule["energy_unit"]),
            (against["denominator"], self.rule.get("output_unit", "t")),
        ):
            row = {"function": "sum", "stream": stream, "kinds": ["base"]}
            halves.append(term(self.facts, row, "", year, unit))
        above, below = halves
        if above is None or below is None or above <= 0 or below <= 0:
            return None
        return (energy / output / (above / below) - 1) * 100

    def _parts(self, point: str, table: Json, span: Span) -> list[tuple[int, Energy]]:
        """Return (begin, energy) of each part of a span in which the factor is one."""
        edges: list[int] = []
        if self.of_heat and table.get("role", "process") not in self.rule.get("role_factors", {}):
            for row in self._defaults(table["carrier"]):
                edges += [instant(row[key]) for key in ("from", "until") if row.get(key)]
            edges += [at for at, _ in dated(table.get("heating_value", ()))]
            for day in self._measured(table["carrier"], span):
                edges += [midnight(one, self.zone) for one in (day, day + timedelta(days=1))]
        return [(part[0], self.meters[point].energy(part)) for part in cut(span, edges)]

    def _amount(
        self, table: Json, parts: Sequence[tuple[int, Energy]], span: Span
    ) -> tuple[Fraction | None, Fraction]:
        """Return (signed amount in the indicator's unit, what of it is estimated)."""
        amount: Fraction | None = None
        estimated = Fraction(0)
        for at, energy in parts:
            if energy.total is None:
                continue
            ratio = self._ratio(table, at, span)
            if ratio is None:
                return None, Fraction(0)
            amount = (amount or Fraction(0)) + ratio * energy.total
            estimated += abs(ratio * energy.estimated)
        return amount, estimated

    def _ratio(self, table: Json, at: int, span: Span) -> Fraction | None:
        """Return what a millionth of the meter's unit is in the indicator's, None: unknown."""
        one, unit = Fraction(table.get("sign", 1), E6), unit_booked(table)
        if not self.of_heat:
            return convert(one, unit, self.rule["energy_unit"])
        given = self.rule.get("role_factors", {}).get(table.get("role", "process"))
        if given is not None:
            return convert(one, unit, given["unit"][len("kgce/") :]) * Fraction(given["value"])
        measured = self._measured(table["carrier"], span).get(day_of(at, self.zone))
        if measured is None:
            measured = held_at(dated(table.get("heating_value", ())), at)
        if measured is not None:
            per = HEATING[self.carriers[table["carrier"]]["quantity"]][1]
            return convert(one, unit, per) * measured / KJ_PER_KGCE
        return self._default(table["carrier"], at, one, unit)

    def _defaults(self, carrier: str) -> list[Json]:
        """Return the catalogue's factors of a carrier; a fuel's are the calorific ones."""
        row = self.carriers[carrier]
        is_fuel = row.get("sort", "fuel") == "fuel"
        basis = "calorific" if is_fuel else self.rule.get("basis", "calorific")
        return [one for one in row.get("factor", ()) if one["basis"] == basis]

    def _default(self, carrier: str, at: int, amount: Fraction, unit: str) -> Fraction | None:
        row = held_at([(instant(one["from"]), one) for one in self._defaults(carrier)], at)
        if row is None or (row.get("until") and instant(row["until"]) <= at):
            return None
        return convert(amount, unit, row["unit"][len("kgce/") :]) * Fraction(row["value"])

    def _measured(self, carrier: str, span: Span) -> dict[Any, Fraction]:
        """Return the mean measured heating value of each day, weighted by mass."""
        row = self.carriers[carrier]
        if row.get("sort", "fuel") not in {"fuel", "secondary"} or row["quantity"] not in HEATING:
            return {}
        found = self.facts.heating(carrier, FIRED, row["quantity"], span)
        return {day: above / below for day, (above, below) in found.items()}

    def _used(self, carrier: str, way: str, span: Span) -> Fraction | None:
        """Return the coal equivalent of what was used of a carrier, by its account."""
        quantity = self.carriers[carrier]["quantity"]
        unit = HEATING[quantity][1] if quantity in HEATING else "kWh"
        row: Json = {"function": "sum", "stream": carrier, "kinds": [way]}
        if way == "balance":
            row = {"function": "balance", "stream": carrier, "tolerance_h": 48}
        taken = term(self.facts, row, "", span, unit)
        if taken is None:
            return None
        if quantity not in HEATING:
            return self._default(carrier, span[0], taken, unit)
        if way == "balance":
            days = self.facts.heating(carrier, ("receipt",), quantity, span).values()
            mass = sum((below for _, below in days), Fraction(0))
            if mass <= 0:
                return self._default(carrier, span[0], taken, unit)
            return taken * sum((above for above, _ in days), Fraction(0)) / mass / KJ_PER_KGCE
        return _sum([
            self._heat_of_day(carrier, one, span, unit)
            for one in self.facts.select((way,), carrier, span, own=False)
        ])  # fmt: skip

    def _heat_of_day(self, carrier: str, fact: Json, span: Span, unit: str) -> Fraction | None:
        day = day_of(fact["at_us"], self.zone)
        measured = self._measured(carrier, span).get(day)
        amount = amount_of(fact, unit)
        if measured is None:
            return self._default(carrier, midnight(day, self.zone), amount, unit)
        return amount * measured / KJ_PER_KGCE

    def _mean(self, table: Json, parts: Sequence[Energy]) -> Fraction | None:
        """Return a gauge's mean over the time for which it is known."""
        booked = [one.total for one in parts if one.total is not None]
        hours = Fraction(sum(one.measured for one in parts), HOUR)
        if not booked or hours <= 0:
            return None
        held = Fraction(sum(booked), E6) * table.get("sign", 1)
        return convert(held, unit_booked(table), RATES[self.rule["energy_unit"]]) / hours

    def _share(self, span: Span, measured: int) -> Fraction:
        """Return measured time over the span, over its elapsed part while it is open."""
        length = min(span[1], max(self.now, span[0])) - span[0]
        return Fraction(min(measured, length), length) if length > 0 else Fraction(0)

    def _doubt(
        self,
        amounts: Sequence[tuple[str, Fraction | None]],
        told: Sequence[Fraction | None],
        estimated: Fraction,
        energy: Fraction | None,
        value: Fraction | None,
    ) -> Fraction | None:
        """Return U = 2 x the root of the sum of squares of independent relative parts."""
        if value is None or energy is None:
            return None
        if energy == 0:
            return Fraction(0)
        known = [(point, amount) for point, amount in amounts if amount is not None]
        weighing = self.unit.get("output_accuracy_percent", 0)
        if self.is_mean:
            known, weighing = [one for one in known if one[1] == energy][:1], 0
        squares = (Fraction(weighing) / 100) ** 2 + (estimated / energy / 10) ** 2
        if self._counts_grade():
            squares += (Fraction(self.unit.get("sampling_accuracy_percent", 0)) / 100) ** 2
        booked = Fraction(self.unit.get("input_accuracy_percent", 0)) / 100
        squares += sum((one / energy * booked) ** 2 for one in told if one is not None)
        for point, amount in known:
            squares += (amount / energy * accuracy(self.points[point]) / 100) ** 2
        return 2 * root(squares) * abs(value + (100 if self.rule.get("against") else 0))

    def _counts_grade(self) -> bool:
        """Tell whether grades of facts are in the figure, so that sampling is in its doubt."""
        rule = self.rule
        functions = {one["function"] for one in (*self._below(), *rule.get("numerator", ()))}
        return bool(rule.get("base_grade")) or bool(functions & {"graded", "per_grade"})


def _sum(amounts: Sequence[Fraction | None]) -> Fraction | None:
    """Return the sum; None where one is unknown or there is none."""
    known = [one for one in amounts if one is not None]
    return sum(known, Fraction(0)) if known and len(known) == len(amounts) else None


def counted(unit: str, table: Json, rule: Json) -> dict[str, Json]:
    """Return the unit's points that the indicator counts; a sub-meter not beside its main."""
    roles = rule.get("roles", ())
    found = {
        key: point
        for key, point in table.get("point", {}).items()
        if point.get("carrier") in rule.get("carriers", ())
        and (not roles or point.get("role", "process") in roles)
    }
    return {f"{unit}.{key}": one for key, one in found.items() if one.get("parent") not in found}


def unit_booked(table: Json) -> str:
    """Return the unit that a point books: of a gauge what its rate gives in an hour."""
    return RATES[table["unit"]] if table["kind"] == "gauge" else str(table["unit"])


def accuracy(table: Json) -> Fraction:
    """Return a point's accuracy [%]: declared, or the root of its classes' squares."""
    classes = [table[key] for key in ("meter_class", "ct_class", "vt_class") if table.get(key)]
    if not classes:
        return Fraction(table.get("accuracy_percent", 0))
    with localcontext() as context:
        context.prec = 40
        squares = sum((Decimal(one.rstrip("S")) ** 2 for one in classes), Decimal(0))
        return Fraction(squares.sqrt())


def midnight_of(year: int, book: Book) -> int:
    """Return the first instant of a year in plant time."""
    return to_us(datetime(year, 1, 1, tzinfo=book.zone).astimezone(timezone.utc))
