"""What batches of a unit are matched from: slots of its meters, its taps and its surveys.

Bounded: a question reaches back a few taps and to the nearest surveys, never further than the
named spans, and takes no more facts and slots than the named numbers; more is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import batches, decimals, estimates, exactmath, intensity, units
from core.batches import Base, ProductFact
from core.clock import from_us, to_us
from core.energycurve import EnergyCurve, MeteredSlots
from core.errors import Rejected
from core.facts import Function
from core.flags import Flag
from core.periods import SLOT_US
from store import slotarrays

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.batches import Batch
    from core.estimates import Doubt
    from core.exactmath import Bools, Int64s
    from core.indicators import Indicator
    from core.plant import Plant, Point, Unit
    from store.slotarrays import SlotArrays

# Units that hold back metal. Its surveys are stock facts of a stream of their own, so that they are
# never taken for what lies in a store.
HOLDING_KINDS: Final = frozenset(
    {"potline", "pot", "submerged_arc_furnace", "electric_arc_furnace"}
)
HELD_STREAM: Final = "metal_held"  # where the indicator names no stream of its own
MOST_FACTS: Final = 20_000  # of one question: two years of a potline's hourly hauls
MOST_SLOTS: Final = 400_000  # of all meters together: a year of ten meters
TAPS_BEFORE: Final = batches.MOST_MEAN_TAPS + 1  # for the moving mean of the first tap
MOST_BACK: Final = timedelta(days=10)  # to the next tap, on either side: colder, it begins anew
MOST_SURVEY_DISTANCE: Final = timedelta(days=62)  # surveys are taken monthly, one may be missed
_TICK: Final = timedelta(microseconds=1)
# The dark part of a counter's slot is booked across it, but for steps that were held or reset.
_DARK: Final = int(Flag.RESET | Flag.IMPLAUSIBLE | Flag.MULTIPLIER_UNKNOWN)


@dataclass(frozen=True, slots=True)
class Matching:
    """Batches of a unit by an indicator, with the energy they are of and what is doubted."""

    curve: EnergyCurve
    batches: Sequence[Batch]
    doubts: tuple[Doubt, ...]

    @property
    def both_doubts(self) -> tuple[Doubt, Doubt]:
        """Return the doubts of the energy and of the weighing."""
        return self.doubts[0], self.doubts[1]


async def read(
    connection: AsyncConnection[Any],
    plant: Plant,
    point_ids: Mapping[str, int],
    unit: Unit,
    indicator: Indicator,
    span_us: tuple[int, int],
    now: datetime,
) -> Matching:
    """Return the batches that overlap a span, and TAPS_BEFORE of them before it.

    Raises Rejected for a span of more than MOST_FACTS facts or MOST_SLOTS slots.
    """
    asked = _Asked.of(unit, indicator)
    since, until = await _reach(connection, asked, span_us)
    facts = await _facts(connection, asked, since, until)
    taps = batches.taps_of(facts, indicator.output, asked.base)
    surveys = batches.surveys_of(facts, asked.base)
    begin_us = min((tap.at_us for tap in taps), default=span_us[0])
    end_us = max(min(to_us(until), to_us(now) + SLOT_US), begin_us)
    points = plant.counted(unit.id, indicator.counts)
    if len(points) * (end_us - begin_us) > MOST_SLOTS * SLOT_US:
        raise _too_long(unit)
    meters = [
        (point, await _metered(connection, indicator, point, point_ids[point.id], begin_us, end_us))
        for point in points
    ]
    metered = {point.carrier for point in points}
    whole = not any(metered.isdisjoint(group) for group in indicator.requires)
    if indicator.accounts and not unit.accounts.keys().isdisjoint(indicator.carriers):
        whole = False  # of a carrier kept by accounts nobody knows what went in when
    curve = EnergyCurve.of(begin_us, end_us, [slots for _, slots in meters] if whole else [])
    doubts = [_energy_doubt(meters), _declared("output_accuracy", unit.output_accuracy_percent)]
    if indicator.base_grade is not None:
        doubts.append(_declared("sampling_accuracy", unit.sampling_accuracy_percent))
    return Matching(curve, batches.match(curve, taps, surveys), tuple(doubts))


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose facts are asked for: of the product, and of what the unit holds back."""

    unit: str
    product: str
    kinds: list[str]
    tap_kinds: list[str]
    held: list[str]
    base: Base | None

    @classmethod
    def of(cls, unit: Unit, indicator: Indicator) -> _Asked:
        """Take from an indicator what output is of a unit."""
        base = indicator.base_grade
        return cls(
            unit.id,
            indicator.product,
            sorted(indicator.output),
            sorted(batches.TAP_KINDS.intersection(indicator.output)),
            held_streams(indicator) if unit.kind in HOLDING_KINDS else [],
            None if base is None else Base(base.grade, base.reference),
        )


def held_streams(indicator: Indicator) -> list[str]:
    """Return the streams whose stock facts say what a unit holds back, as its output counts it."""
    terms = chain(indicator.denominator, *indicator.output_by.values())
    found = {one.stream for one in terms if one.function is Function.STOCK_CHANGE}
    return sorted({one for one in found if one is not None} or {HELD_STREAM})


async def _reach(
    connection: AsyncConnection[Any], asked: _Asked, span_us: tuple[int, int]
) -> tuple[datetime, datetime]:
    """Return the span of facts that decide the batches of a span."""
    begin, end = from_us(span_us[0]), from_us(span_us[1])
    low, high = begin, end
    if asked.held:
        cursor = await connection.execute(
            _SURVEYS,
            {
                "unit": asked.unit,
                "held": asked.held,
                "low": begin - MOST_SURVEY_DISTANCE,
                "begin": begin,
                "end": end,
                "high": end + MOST_SURVEY_DISTANCE,
            },
        )
        row = await cursor.fetchone()
        before, after = (None, None) if row is None else row
        low = begin if before is None else before
        high = end if after is None else after + _TICK
    cursor = await connection.execute(
        _TAPS_AROUND,
        {
            "unit": asked.unit,
            "product": asked.product,
            "kinds": asked.tap_kinds,
            "low": low - MOST_BACK,
            "begin": low + _TICK,
            "most": TAPS_BEFORE,
            "end": end,
            "high": end + MOST_BACK,
        },
    )
    row = await cursor.fetchone()
    first, last = (None, None) if row is None else row
    return (low if first is None else first), (high if last is None else max(high, last + _TICK))


async def _facts(
    connection: AsyncConnection[Any], asked: _Asked, since: datetime, until: datetime
) -> list[ProductFact]:
    cursor = await connection.execute(
        _FACTS,
        {
            "unit": asked.unit,
            "product": asked.product,
            "kinds": asked.kinds,
            "held": asked.held,
            "low": since,
            "end": until,
            "most": MOST_FACTS + 1,
        },
    )
    rows = await cursor.fetchall()
    if len(rows) > MOST_FACTS:
        raise Rejected(
            f"{asked.unit} has more than {MOST_FACTS} production facts in this range: ask for a"
            " shorter one",
            "too_much",
        )
    return [_fact(*row) for row in rows]


def _fact(
    name: str, kind: str, at: datetime, amount_e6: int, unit: str | None, grades: dict[str, str]
) -> ProductFact:
    """Return a stored fact in tonnes; where its amount is no mass it does not fit."""
    if unit is None:
        return ProductFact(name, kind, to_us(at), amount_e6, grades)
    if units.quantity(unit) != "mass":
        return ProductFact(name, kind, to_us(at), 0, grades, fits=False)
    mass_e6 = units.convert(Fraction(amount_e6), unit, "t")
    return ProductFact(name, kind, to_us(at), mass_e6, grades)


async def _metered(
    connection: AsyncConnection[Any],
    indicator: Indicator,
    point: Point,
    number: int,
    begin_us: int,
    end_us: int,
) -> MeteredSlots:
    """Return a point's slots in the unit of the indicator's energy, signed."""
    begin_us -= begin_us % SLOT_US
    slots = await slotarrays.stored(connection, number, begin_us, end_us)
    energy, estimated = np.zeros_like(slots.energy_e6), np.zeros_like(slots.energy_e6)
    known = _wholly_known(slots)
    for low, high in intensity.spans(indicator, point, begin_us, max(end_us, begin_us + 1)):
        part = slice(*np.searchsorted(slots.start_us, (low, high)))
        ratio = _ratio(indicator, point, low)
        if ratio is None:
            known[part] = False
            continue
        energy[part] = _scaled(slots.energy_e6[part], ratio)
        estimated[part] = _scaled(slots.estimated_e6[part], ratio)
    return MeteredSlots(slots.start_us, energy, estimated, known)


def _wholly_known(slots: SlotArrays) -> Bools:
    """Tell which slots have all their time measured, or booked across gaps of a counter."""
    booked = ((slots.flags & int(Flag.ESTIMATED)) != 0) & ((slots.flags & _DARK) == 0)
    known: Bools = slots.known & ((slots.measured_us == SLOT_US) | booked)
    return known


def _ratio(indicator: Indicator, point: Point, at_us: int) -> Fraction | None:
    """Return the indicator's energy per unit of the point's, signed; None without a factor."""
    assert point.energy_unit is not None  # noqa: S101 - the indicator counts energy points only
    if not indicator.in_coal_equivalent:
        return units.convert(Fraction(point.sign), point.energy_unit, indicator.energy_unit)
    factor = intensity.factor(indicator, point, at_us)
    return (
        None if factor is None else factor.coal_equivalent(Fraction(point.sign), point.energy_unit)
    )


def _scaled(amounts: Int64s, ratio: Fraction) -> Int64s:
    still, one = np.zeros_like(amounts), np.ones_like(amounts)
    return exactmath.levels(still, amounts, one, one, ratio.numerator, ratio.denominator)


def _energy_doubt(meters: Sequence[tuple[Point, MeteredSlots]]) -> Doubt:
    """Return the relative uncertainty of the sum of independent meters, by their shares."""
    amounts = [(point, Fraction(int(slots.energy_e6.sum()))) for point, slots in meters]
    total = sum((amount for _, amount in amounts), Fraction(0))
    undeclared = [point.id for point, _ in meters if point.accuracy_percent is None]
    if undeclared or total == 0:
        return (f"accuracy of {undeclared[0]}" if undeclared else "energy"), None
    squares = sum(
        (
            (amount / total * Fraction(point.accuracy_percent) / 100) ** 2
            for point, amount in amounts
            if point.accuracy_percent is not None
        ),
        Fraction(0),
    )
    return "energy", decimals.square_root(squares)


def _declared(name: str, percent: object) -> Doubt:
    return estimates.percent_doubt(name, None if percent is None else Fraction(str(percent)))


def _too_long(unit: Unit) -> Rejected:
    return Rejected(
        f"the batches of {unit.id} in this range are of more than {MOST_SLOTS} slots: ask for a"
        " shorter one",
        "too_much",
    )


_NEWEST: Final = (
    " and not exists (select from output_fact r where r.site = o.site and r.id = o.id"
    " and r.revision > o.revision and r.revision > 0)"
)
_TAP: Final = (
    " and o.unit = %(unit)s and o.kind = any(%(kinds)s) and o.mass_e6 > 0"
    f" and (o.stream is null or o.stream = %(product)s){_NEWEST}"
)
_FACTS: Final = (
    "select o.id, o.kind, o.at, o.mass_e6, o.amount_unit, o.grades from output_fact o"  # noqa: S608 - constants only
    " where o.unit = %(unit)s and o.at >= %(low)s and o.at < %(end)s"
    " and (o.kind = any(%(kinds)s) and (o.stream is null or o.stream = %(product)s)"
    "  or o.kind = 'stock' and o.stream = any(%(held)s))"
    f"{_NEWEST} order by o.at, o.id limit %(most)s"
)
_TAPS_AROUND: Final = (
    "select (select min(at) from (select distinct o.at from output_fact o"  # noqa: S608 - constants only
    f" where o.at >= %(low)s and o.at < %(begin)s{_TAP} order by o.at desc limit %(most)s) t),"
    f" (select min(o.at) from output_fact o where o.at >= %(end)s and o.at < %(high)s{_TAP})"
)
_SURVEYS: Final = (
    "select (select max(o.at) from output_fact o where o.unit = %(unit)s and o.kind = 'stock'"  # noqa: S608 - constants only
    " and o.stream = any(%(held)s)"
    f" and o.at >= %(low)s and o.at < %(begin)s{_NEWEST}),"
    " (select min(o.at) from output_fact o where o.unit = %(unit)s and o.kind = 'stock'"
    " and o.stream = any(%(held)s)"
    f" and o.at >= %(end)s and o.at < %(high)s{_NEWEST})"
)
