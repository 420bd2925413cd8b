"""Slots and results computed again from readings and facts, beside those that are stored.

The same pure functions as on the live path (store.slotwork, store.figures). Promise: readings,
slots, results and the marks of what still waits are seen at one moment of the store, so that what
differs and waits for nothing is a defect; nothing is written here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from core import indicators, periods
from core.clock import from_us
from core.periods import SLOT_US
from core.plant import PointKind
from ingest.evaluator import KINDS, MOST_TOGETHER, bounds_over
from store import asof, basis, figures, results, retention, slotarrays, slots, slotwork, waiting
from store.figures import Asked, Stored
from store.slotarrays import Slot, SlotArrays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from psycopg import AsyncConnection

    from core.intensity import PeriodEnergy, PeriodOutput
    from core.periods import Period
    from core.plant import Plant, Point, Unit
    from store import output
    from store.results import Result
    from store.retention import Retention

Span = tuple[int, int]


class Standing(StrEnum):
    """What a difference means."""

    DEFECT = "defect"  # nothing explains it
    PENDING = "pending"  # readings or facts there wait for their figures
    CATALOGUE = "catalogue"  # the stored figure was computed with another catalogue


@dataclass(frozen=True, slots=True)
class SlotDifference:
    """A slot that is stored otherwise than its readings say; None: there is no row."""

    point: str
    start_us: int
    stored: Slot | None
    computed: Slot | None
    standing: Standing


@dataclass(frozen=True, slots=True)
class ResultDifference:
    """A figure that is stored otherwise than slots and facts say; `stored` None: it is missing."""

    unit: str
    indicator: str
    period: str
    bound: Span
    stored: Result | None
    computed: Mapping[str, Any]
    standing: Standing

    def parts(self) -> list[tuple[str, Any, Any]]:
        """Return (key, stored, computed) of what differs in it."""
        kept: Mapping[str, Any] = {} if self.stored is None else self.stored.figures
        keys = dict.fromkeys((*kept, *self.computed))
        return [
            (key, kept.get(key), self.computed.get(key))
            for key in keys
            if kept.get(key) != self.computed.get(key)
        ]


@dataclass(slots=True)
class Compared:
    """What a unit's comparison found; `spans` are those whose slots were computed, by point."""

    slots: int = 0
    results: int = 0
    archived_slots: int = 0
    slot_differences: list[SlotDifference] = field(default_factory=list)
    result_differences: list[ResultDifference] = field(default_factory=list)
    computed: dict[str, SlotArrays] = field(default_factory=dict)
    spans: dict[str, list[Span]] = field(default_factory=dict)
    pending: dict[str, list[Span]] = field(default_factory=dict)

    def differences(self) -> list[SlotDifference | ResultDifference]:
        """Return all that differs, slots first."""
        return [*self.slot_differences, *self.result_differences]


@dataclass(frozen=True, slots=True)
class Look:
    """One moment of the store: a transaction that sees no change, and what is declared."""

    connection: AsyncConnection[Any]
    plant: Plant
    point_ids: Mapping[str, int]
    kept: Retention
    progress: Callable[[int], None]


async def open_look(
    connection: AsyncConnection[Any],
    plant: Plant,
    point_ids: Mapping[str, int],
    progress: Callable[[int], None],
) -> Look:
    """Begin a look in a fresh transaction; it ends with the caller's."""
    await connection.execute("set transaction isolation level repeatable read, read only")
    return Look(connection, plant, point_ids, await retention.load(connection), progress)


async def extent(
    connection: AsyncConnection[Any], point: Point, point_id: int, asked: Span
) -> Span | None:
    """Return the span of slots that readings or stored slots of a point reach, cut to `asked`."""
    read = await slots.extent(connection, point_id)
    kept = (await results.extents(connection, {point.id: [point_id]})).get(point.id)
    ends = [each for each in (read, kept) if each is not None]
    if not ends:
        return None
    low = periods.slot_start(max(min(end[0] for end in ends), asked[0]))
    last = max(end[1] for end in ends) + (point.interval_us or 0)
    high = periods.slot_start(min(last, asked[1] - 1)) + SLOT_US
    return (low, high) if low < high else None


async def compare(
    look: Look, unit: Unit, points: Sequence[Point], asked: Span, now_us: int
) -> Compared:
    """Compare the slots of these points of a unit, and the unit's results they reach into."""
    found = Compared()
    for point in points:
        await _point(look, point, asked, found)
    await _unit(look, unit, asked, found, now_us)
    return found


async def _point(look: Look, point: Point, asked: Span, found: Compared) -> None:
    number = look.point_ids[point.id]
    whole = await extent(look.connection, point, number, asked)
    if whole is None:
        return
    spans = _kept(look.kept, point, whole)
    found.archived_slots += (whole[1] - whole[0] - sum(b - a for a, b in spans)) // SLOT_US
    found.spans[point.id] = spans
    found.pending[point.id] = await _pending(look.connection, point, number)
    confirmed = await slots.confirmed(look.connection, number)
    parts: list[SlotArrays] = []
    for span in spans:
        async for start, computed in slotwork.from_store(
            look.connection, point, number, span, confirmed
        ):
            part = SlotArrays.computed(start, computed)
            length = len(computed.energy_e6)
            stop = start + length * SLOT_US
            stored = await slotarrays.stored(look.connection, number, start, stop)
            found.slot_differences += _differing(point.id, stored, part, found.pending[point.id])
            found.slots += length
            parts.append(part)
            look.progress(length)
    found.computed[point.id] = SlotArrays.join(parts)


def _kept(kept: Retention, point: Point, whole: Span) -> list[Span]:
    """Return the spans of slots whose readings, and those around them, are all there."""
    margin_us = max(point.max_gap_us, point.interval_us or 0) + SLOT_US
    low, spans = whole[0], []
    for begin, end in sorted(asof.gone(kept, whole[0] - margin_us, whole[1] + margin_us)):
        high = min(periods.slot_start(begin - margin_us), whole[1])
        if low < high:
            spans.append((low, high))
        low = max(low, periods.slot_start(end + margin_us) + SLOT_US)
    if low < whole[1]:
        spans.append((low, whole[1]))
    return spans


async def _pending(connection: AsyncConnection[Any], point: Point, number: int) -> list[Span]:
    """Return the spans of slots that marks of a point may still change."""
    spans: list[Span] = []
    for begin, end in await waiting.of_point(connection, number):
        before, after = await slots.neighbours(connection, number, begin, end)
        low = begin if before is None else before
        high = end if after is None else after
        if point.kind is PointKind.INTERVAL:
            low, high = begin, end + (point.interval_us or 0)
        elif point.rated_power_kw is not None:
            low, high = low - point.max_gap_us, high + point.max_gap_us
        spans.append((periods.slot_start(low), periods.slot_start(high - 1) + SLOT_US))
    return spans


def _differing(
    point: str, stored: SlotArrays, computed: SlotArrays, pending: Sequence[Span]
) -> Iterator[SlotDifference]:
    """Yield the slots that differ; nothing is built where none does."""
    if stored.same(computed):
        return
    there, wanted = stored.rows(), computed.rows()
    for start in np.union1d(stored.start_us, computed.start_us).tolist():
        if there.get(start) != wanted.get(start):
            waits = any(low <= start < high for low, high in pending)
            standing = Standing.PENDING if waits else Standing.DEFECT
            yield SlotDifference(point, start, there.get(start), wanted.get(start), standing)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A source of figures: slots just computed, and stored ones where none were; stored facts."""

    look: Look
    computed: Mapping[str, SlotArrays]
    spans: Mapping[str, Sequence[Span]]

    async def energies(self, spans: Sequence[tuple[str, int, int]]) -> list[PeriodEnergy]:
        """Return sums over slots."""
        reach: dict[str, Span] = {}
        for point, begin, end in spans:
            known = reach.get(point, (begin, end))
            reach[point] = (min(begin, known[0]), max(end, known[1]))
        held = {point: await self._slots(point, span) for point, span in reach.items()}
        return [held[point].sums([(begin, end)])[0] for point, begin, end in spans]

    async def outputs(self, spans: Sequence[output.Span]) -> list[PeriodOutput | None]:
        """Return sums over stored facts."""
        return await Stored(self.look.connection, {}).outputs(spans)

    async def _slots(self, point: str, span: Span) -> SlotArrays:
        again = self.computed.get(point, SlotArrays.join([]))
        spans = self.spans.get(point, ())
        if any(low <= span[0] and span[1] <= high for low, high in spans):
            return again
        number = self.look.point_ids[point]
        stored = await slotarrays.stored(self.look.connection, number, *span)
        fresh = np.zeros(len(stored), np.bool_)
        for low, high in spans:
            fresh |= (stored.start_us >= low) & (stored.start_us < high)
        both = SlotArrays.join([stored.take(~fresh), again.within(*span)])
        return both.take(np.argsort(both.start_us, kind="stable"))


async def _unit(look: Look, unit: Unit, asked: Span, found: Compared, now_us: int) -> None:
    """Compare the results of a unit that overlap the asked span and where there is data."""
    numbers = [
        look.point_ids[point.id]
        for point in look.plant.points_of(unit.id)
        if point.id in look.point_ids
    ]
    reach = (await results.extents(look.connection, {unit.id: numbers})).get(unit.id)
    if reach is None:
        return
    low, high = max(reach[0], asked[0]), min(reach[1], asked[1])
    unsettled = await waiting.of_unit(look.connection, unit.id)
    unsettled += [span for spans in found.pending.values() for span in spans]
    source = Fresh(look, found.computed, found.spans)
    zone = look.plant.sites[unit.site].timezone
    for identifier in unit.indicators:
        indicator = indicators.catalogue().get(identifier)
        if indicator is None:
            continue
        for kind in KINDS:
            bounds = bounds_over(kind, low, high, zone) if indicator.has(kind) else []
            for first in range(0, len(bounds), MOST_TOGETHER):
                each = Asked(unit, indicator, bounds[first : first + MOST_TOGETHER])
                await _results(source, each, kind, unsettled, found, now_us)


async def _results(
    source: Fresh,
    each: Asked,
    kind: Period,
    unsettled: Sequence[Span],
    found: Compared,
    now_us: int,
) -> None:
    look = source.look
    key = (each.unit.id, each.indicator.id, kind.value)
    span = (each.bounds[0][0], each.bounds[-1][1])
    rows = await results.read(look.connection, key, span, len(each.bounds) + 1)
    stored = {row.start_us: row for row in rows}
    # How complete an open period is depends on when it was looked at: at the stored one's instant.
    looked = {bound: stored[bound[0]] for bound in each.bounds if bound[0] in stored}
    opened = {bound: row.computed_us for bound, row in looked.items() if not row.closed}
    ended = [bound for bound in each.bounds if bound not in opened]
    answers = dict(zip(ended, await _figures(source, each, ended, now_us), strict=True))
    for bound, at_us in opened.items():
        answers[bound] = (await _figures(source, each, [bound], at_us))[0]
    for bound in each.bounds:
        row = looked.get(bound)
        one = answers[bound]
        found.results += 1
        empty = one["energy"]["value"] is None and one["output"]["value"] is None
        if (row is None and not empty) or (row is not None and row.figures != one):
            standing = _standing(row, bound, unsettled)
            found.result_differences.append(ResultDifference(*key, bound, row, one, standing))


async def _figures(
    source: Fresh, each: Asked, bounds: Sequence[Span], at_us: int
) -> list[dict[str, Any]]:
    asked = Asked(each.unit, each.indicator, bounds)
    return (await figures.compute_all(source, source.look.plant, [asked], from_us(at_us)))[0]


def _standing(row: Result | None, bound: Span, unsettled: Sequence[Span]) -> Standing:
    if any(low < bound[1] and bound[0] < high for low, high in unsettled):
        return Standing.PENDING
    used = None if row is None else row.catalogue
    return Standing.DEFECT if used in {None, basis.catalogue().digest} else Standing.CATALOGUE
