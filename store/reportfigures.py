"""What the ledger has to tell the national system: amounts of items, period by period.

A figure that is less than LEAST_COMPLETENESS measured is withheld, not sent as if it were whole:
unknown is not zero, and half a day is no day. It is told once late data completes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import decimals, periods
from core.clock import from_us, to_us
from core.decimals import E6
from store import slotsums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg import AsyncConnection

    from core.intensity import PeriodEnergy
    from core.periods import Period
    from core.plant import Plant
    from core.reportplan import Item, Report

LEAST_COMPLETENESS: Final = Fraction(9, 10)  # received over expected, upload rules (domain 3.1)
MOST_SPANS: Final = 20_000  # asked in one question
MEASURED: Final = "measured"
ESTIMATED: Final = "estimated"
Key = tuple[str, int]  # a point or unit, and where its period begins


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that can be told."""

    item: str
    period: str
    start_us: int
    value: str
    unit: str
    validity: str


@dataclass(frozen=True, slots=True)
class Found:
    """What can be told of a span, and how many numbers are withheld for want of data."""

    figures: Sequence[Figure]
    withheld: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where amounts are read: the plant as declared, and the number of each of its points."""

    connection: AsyncConnection[Any]
    plant: Plant
    point_ids: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Amount:
    value: Fraction
    estimated: bool


async def read(
    ledger: Ledger, report: Report, period: Period, from_us: int, until_us: int
) -> Found:
    """Return what the periods that begin in [from, until) can tell; the caller ends them."""
    bounds = periods.periods_between(period, from_us, until_us, report.timezone)
    items = report.of(period)
    amounts = await _of_points(ledger, items, bounds)
    amounts |= await _of_units(ledger, items, period, (from_us, until_us))
    figures = [
        Figure(
            item.code,
            period.value,
            start,
            decimals.show(item.told.amount(found.value, item.unit)),
            item.told.printed,
            ESTIMATED if found.estimated else MEASURED,
        )
        for item in items
        for start, _ in bounds
        if (found := amounts.get((item.code, start))) is not None
    ]
    return Found(figures, len(items) * len(bounds) - len(figures))


async def _of_points(
    ledger: Ledger, items: Sequence[Item], bounds: Sequence[tuple[int, int]]
) -> dict[Key, _Amount]:
    wanted = sorted({point for item in items for point, _ in item.points})
    spans = [
        (point, begin, end)
        for point in wanted
        for begin, end in bounds
        if point in ledger.point_ids and point in ledger.plant.points
    ]
    known: dict[Key, PeriodEnergy] = {}
    for low in range(0, len(spans), MOST_SPANS):
        part = spans[low : low + MOST_SPANS]
        asked = [(ledger.point_ids[point], begin, end) for point, begin, end in part]
        energies = await slotsums.energies(ledger.connection, asked)
        known |= {(each[0], each[1]): e for each, e in zip(part, energies, strict=True)}
    found: dict[Key, _Amount] = {}
    for item in items:
        for begin, _ in bounds if item.points else ():
            amount = _sum(ledger, item, begin, known)
            if amount is not None:
                found[item.code, begin] = amount
    return found


def _sum(
    ledger: Ledger, item: Item, begin: int, known: Mapping[Key, PeriodEnergy]
) -> _Amount | None:
    """Return the signed sum of an item's points; None where one of them is not known enough."""
    total = Fraction(0)
    estimated = False
    for point, sign in item.points:
        energy = known.get((point, begin))
        if energy is None or energy.energy_e6 is None:
            return None
        if energy.completeness(energy.end_us) < LEAST_COMPLETENESS:
            return None
        declared = ledger.plant.points[point].energy_unit
        amount = Fraction(energy.energy_e6, E6)
        unit = item.unit if declared is None else declared
        total += sign * item.told.amount(amount, unit)
        estimated = estimated or energy.estimated_e6 != 0
    # Sums are made in the told unit, for points may have units of their own; back to the item's.
    return _Amount(total / item.told.amount(Fraction(1), item.unit), estimated)


async def _of_units(
    ledger: Ledger, items: Sequence[Item], period: Period, span_us: tuple[int, int]
) -> dict[Key, _Amount]:
    asked = [item for item in items if item.figures]
    wanted = sorted({figure for item in asked for figure in item.figures})
    if not wanted:
        return {}
    cursor = await ledger.connection.execute(
        _FIGURES,
        (
            [unit for unit, _ in wanted],
            [indicator for _, indicator in wanted],
            period.value,
            from_us(span_us[0]),
            from_us(span_us[1]),
        ),
    )
    rows: dict[tuple[str, str, int], tuple[Any, ...]] = {}
    for unit, indicator, start, *figures in await cursor.fetchall():
        rows[unit, indicator, to_us(start)] = tuple(figures)
    found: dict[Key, _Amount] = {}
    for start in sorted({key[2] for key in rows}):
        for item in asked:
            amount = _added(item, [rows.get((*figure, start)) for figure in item.figures])
            if amount is not None:
                found[item.code, start] = amount
    return found


def _added(item: Item, rows: Sequence[tuple[Any, ...] | None]) -> _Amount | None:
    """Return the sum of what an item takes of units' figures; None where one is not known."""
    place = ("energy", "output", "intensity").index(str(item.what))
    total = Fraction(0)
    estimated = False
    for row in rows:
        if row is None or row[place] is None or row[3] is None:
            return None
        if Fraction(row[3]) < LEAST_COMPLETENESS:
            return None
        total += Fraction(row[place])
        estimated = estimated or (place != 1 and Fraction(row[4] or 0) != 0)
    return _Amount(total, estimated)


_FIGURES: Final = (
    "select distinct on (r.unit, r.indicator, r.period_start) r.unit, r.indicator, r.period_start,"
    " r.energy, r.output, r.intensity, r.completeness, r.figures #>> '{energy,estimated}'"
    " from unnest(%s::text[], %s::text[]) as k(unit, indicator)"
    " join result r on r.unit = k.unit and r.indicator = k.indicator"
    " where r.period = %s and r.period_start >= %s and r.period_start < %s and r.closed"
    " order by r.unit, r.indicator, r.period_start, r.version desc"
)
