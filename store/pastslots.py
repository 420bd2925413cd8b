"""Slots and facts of a past span as columns: read in bulk, for rehearsals (store.rehearsals)."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import units
from core.clock import from_us
from core.intensity import PeriodEnergy
from core.output import TONNE
from core.pastfindings import PastFacts, PastSlots
from core.periods import SLOT_US
from store import arrays, output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from psycopg import AsyncConnection

    from core.exactmath import Bools, Int64s
    from core.facts import PeriodOutput
    from core.indicators import Indicator

Span = output.Span
MOST_ANSWERS: Final = 50_000  # of facts, kept for the next looks: some 20 MB


@dataclass(frozen=True, slots=True)
class SlotTable:
    """Slots of points over a span as rows of a table, [point, slot]; what has no row is unknown."""

    row_of: Mapping[int, int]  # of a point's number
    energy_e6: Int64s
    known: Bools
    estimated_e6: Int64s
    measured_us: Int64s

    def past(self, numbers: Sequence[int], before: Sequence[PeriodEnergy]) -> PastSlots:
        """Return the slots of some points in this order; the last row stands for what has none."""
        rows = [self.row_of.get(number, len(self.energy_e6) - 1) for number in numbers]
        return PastSlots(
            self.energy_e6[rows], self.known[rows], self.estimated_e6[rows],
            self.measured_us[rows], before,
        )  # fmt: skip


async def read(
    connection: AsyncConnection[Any], numbers: Sequence[int], span_us: tuple[int, int]
) -> SlotTable:
    """Return the slots of points that begin in [from, until), which lie on slots."""
    shape = (len(numbers) + 1, (span_us[1] - span_us[0]) // SLOT_US)
    energy, estimated, measured = (np.zeros(shape, np.int64) for _ in range(3))
    known = np.zeros(shape, np.bool_)
    row_of = {number: row for row, number in enumerate(numbers)}
    cursor = arrays.read_columns(connection.cursor())
    await cursor.execute(
        _SLOTS, (list(numbers), from_us(span_us[0]), from_us(span_us[1])), binary=True
    )
    for number, start, energy_e6, *odd in await cursor.fetchall():
        row = row_of[number]
        slot = (start - span_us[0]) // SLOT_US
        energy[row, slot] = energy_e6
        known[row, slot] = True
        measured[row, slot] = SLOT_US
        if odd[0] is not None:
            slot = (odd[0] - span_us[0]) // SLOT_US
            known[row, slot] = odd[1] > 0
            estimated[row, slot] = odd[2]
            measured[row, slot] = odd[3]
    return SlotTable(row_of, energy, known, estimated, measured)


# Whole slots are told by their energy alone; the few others by their other columns beside.
_SLOTS: Final = (
    "select point_id, array_agg(slot_start), array_agg(coalesce(energy_e6, 0)),"  # noqa: S608 - constants only
    " array_agg(slot_start) filter (where odd), array_agg((energy_e6 is not null)::int)"
    " filter (where odd), array_agg(estimated_e6) filter (where odd),"
    " array_agg(measured_us) filter (where odd) from (select point_id, slot_start, energy_e6,"
    " estimated_e6, measured_us, (energy_e6 is null or estimated_e6 <> 0"
    f" or measured_us <> {SLOT_US}) as odd from slot_energy where point_id = any(%s)"
    " and slot_start >= %s and slot_start < %s) s group by point_id"
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact in its newest revision."""

    at_us: int
    kind: str
    stream: str | None
    unit: str
    amount_e6: int
    grades: Mapping[str, str] | None


async def facts_of(
    connection: AsyncConnection[Any],
    units_asked: Iterable[str],
    kinds: Iterable[str],
    span_us: tuple[int, int],
) -> dict[str, list[Fact]]:
    """Return the facts of these kinds of units in [from, until], in order of time."""
    cursor = await connection.execute(
        _FACTS,
        (sorted(units_asked), from_us(span_us[0]), from_us(span_us[1]), sorted(kinds)),
    )
    found: dict[str, list[Fact]] = defaultdict(list)
    for unit, at_us, *rest in await cursor.fetchall():
        found[unit].append(Fact(at_us, *rest))
    return found


_FACTS: Final = (
    "select o.unit, (extract(epoch from o.at) * 1000000)::bigint, o.kind, o.stream,"  # noqa: S608 - constants only
    f" coalesce(o.amount_unit, '{TONNE}'), o.mass_e6, nullif(o.grades, '{{}}') from output_fact o"
    " where o.unit = any(%s) and o.at >= %s and o.at <= %s and o.kind = any(%s)"
    " and not exists (select from output_fact r where r.site = o.site and r.id = o.id"
    " and r.revision > o.revision and r.revision > 0) order by o.at"
)


def booked(indicator: Indicator, facts: Sequence[Fact]) -> PastFacts:
    """Return the facts that answer an indicator's question of output (store.output)."""
    own = [
        one
        for one in facts
        if one.kind in indicator.output and one.stream in {None, indicator.product}
    ]
    grade = None if indicator.base_grade is None else indicator.base_grade.grade
    wanted = units.quantity(indicator.output_unit)
    amounts, graded, unfit, ungraded = [], [], [], []
    for one in own:
        fits = units.quantity(one.unit) == wanted
        amount = (
            units.convert(Fraction(one.amount_e6), one.unit, indicator.output_unit)
            if fits
            else Fraction(0)
        )
        share = None if grade is None else (one.grades or {}).get(grade)
        amounts.append(amount)
        graded.append(Fraction(0) if share is None else amount * Fraction(share))
        unfit.append(not fits)
        ungraded.append(grade is not None and share is None and one.amount_e6 != 0)
    return PastFacts(
        np.array([one.at_us for one in own], np.int64),
        amounts,
        graded,
        np.array(unfit, np.bool_),
        np.array(ungraded, np.bool_),
    )


class Sums:
    """Sums of the slots of one point over any span, from columns that are summed up once."""

    def __init__(self, begin_us: int, past: PastSlots, row: int) -> None:
        def summed(column: Int64s) -> Int64s:
            found: Int64s = np.concatenate([[0], np.cumsum(column[row])])
            return found

        self._begin_us = begin_us
        self._energy_e6, self._known = summed(past.energy_e6), summed(past.known.astype(np.int64))
        self._estimated_e6, self._measured_us = summed(past.estimated_e6), summed(past.measured_us)

    def of(self, begin_us: int, end_us: int, until_us: int) -> PeriodEnergy:
        """Return the energy of a period, of its slots that begin before an instant."""
        last = len(self._known) - 1
        low, high = (
            min(max(-((self._begin_us - at_us) // SLOT_US), 0), last)
            for at_us in (begin_us, min(end_us, until_us))
        )
        high = max(low, high)
        known = self._known[high] > self._known[low]
        return PeriodEnergy(
            begin_us,
            end_us,
            int(self._energy_e6[high] - self._energy_e6[low]) if known else None,
            int(self._estimated_e6[high] - self._estimated_e6[low]),
            int(self._measured_us[high] - self._measured_us[low]),
            0,
        )


@dataclass(slots=True)
class Remembered:
    """A source of figures (store.figures) that knows nothing behind `until_us`.

    Energies come from memory. Facts are asked of the store once for every set of facts: a question
    is cut to the facts that it finds, so that looks between two facts ask the same.
    """

    connection: AsyncConnection[Any]
    sums: Mapping[str, Sums]
    instants: Mapping[str, Sequence[int]]  # of each unit's facts, in order
    until_us: int = 0
    _answers: dict[Span, PeriodOutput | None] = field(default_factory=dict)

    async def energies(self, spans: Sequence[tuple[str, int, int]]) -> list[PeriodEnergy]:
        """Return sums over the slots of memory; a point that was never heard of has none."""
        return [
            self.sums[point].of(begin, end, self.until_us)
            if point in self.sums
            else PeriodEnergy(begin, end, None, 0, 0, 0)
            for point, begin, end in spans
        ]

    async def outputs(self, spans: Sequence[Span]) -> list[PeriodOutput | None]:
        """Return what the facts of each span say."""
        cut = [self._cut(span) for span in spans]
        new = [one for one in dict.fromkeys(cut) if one is not None and one not in self._answers]
        if len(self._answers) + len(new) > MOST_ANSWERS:
            self._answers.clear()
            new = [one for one in dict.fromkeys(cut) if one is not None]
        found = await output.sums_of(self.connection, new)
        self._answers.update(zip(new, found, strict=True))
        return [None if one is None else self._answers[one] for one in cut]

    def _cut(self, span: Span) -> Span | None:
        """Return the shortest span with the same facts; None where there are none."""
        instants = self.instants.get(span.unit, ())
        low = bisect_left(instants, span.begin_us)
        high = bisect_left(instants, min(span.end_us, self.until_us + 1))
        if low >= high:
            return None
        return replace(span, begin_us=instants[low], end_us=instants[high - 1] + 1)


async def instants_of(
    connection: AsyncConnection[Any], units_asked: Iterable[str]
) -> dict[str, list[int]]:
    """Return the instants of all facts of units, in order."""
    cursor = await connection.execute(_INSTANTS, (sorted(units_asked),))
    return dict(await cursor.fetchall())


_INSTANTS: Final = (
    "select unit, array_agg((extract(epoch from at) * 1000000)::bigint order by at)"
    " from (select distinct unit, at from output_fact where unit = any(%s)) s group by unit"
)
