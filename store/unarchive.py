"""Archived days back into the ledger, with what their figures rest on.

Promise: bringing days back twice changes nothing; what the ledger holds stays; slots are computed
again only once the readings on both sides of what was asked for are there, however long a meter
was silent; a crash leaves whole days.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from psycopg import errors

from core import periods
from core.clock import from_us
from core.errors import Misconfigured
from core.quality import Quality
from store import archivefile, blocks, foregoing, partitions, plants, retention, slots, tables
from store.engine import layout
from store.slotwork import CONTEXT_READINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from psycopg import AsyncConnection

    from core.exactmath import Int64s
    from core.plant import Point
    from store.archivefile import Day
    from store.blocks import Block
    from store.engine import Layout

EVER: Final = (946_684_800_000_000, 4_102_444_800_000_000)  # 2000 to 2100
MOST_TOLD: Final = 20  # contradictions told one by one


@dataclass(slots=True)
class Back:
    """What an unarchiving did; `conflicts` are sentences, at most MOST_TOLD of them."""

    days: list[str] = field(default_factory=list)
    readings: int = 0
    stored: int = 0
    conflicts: list[str] = field(default_factory=list)
    contradictions: int = 0
    left: list[str] = field(default_factory=list)  # points whose slots stay as they were


async def unarchive(
    connection: AsyncConnection[Any],
    folder: Path,
    wanted_us: tuple[int, int],
    now: datetime,
    watch: Callable[[int, int], None] = lambda *_: None,
) -> Back:
    """Bring the days of [from, until) back and have their slots computed again.

    The spans beside them come along and stay closed for late readings, and before and after these
    the last days of meters that were silent there. Commits day by day, what was asked for last.
    Slots of a meter stay as they were where no file holds the readings before them. Raises
    Misconfigured where the folder lacks what its archive held of the time asked for and beside it.
    """
    plan = await layout(connection)
    loaded = await plants.load(connection)
    every = archivefile.days(folder)
    low, high = plan.span_of(wanted_us[0]), plan.span_of(wanted_us[1] - 1) + plan.span_us
    ids = {name: number for number, name in (await tables.point_names(connection)).items()}
    work = _Bringing(connection, folder, plan, ids, now)
    asked = [day for day in every if low <= day.from_us < high]
    beside = [
        day
        for day in every
        if low - plan.span_us <= day.from_us < high + plan.span_us and day not in asked
    ]
    await _check_whole(connection, folder, plan, [*asked, *beside], (low, high))
    metered = {loaded.ids[p] for p, point in loaded.plant.points.items() if point.energy_unit}
    if asked:
        looking = {
            ids[name]: point
            for name, point in loaded.plant.points.items()
            if foregoing.looks_back(point)
        }
        earlier, later = _Reached(looking, -1), _Reached(looking, 1)
        for day in reversed(every):
            if day.from_us < low and (day in beside or earlier.lacks(day, ids)):
                await work.bring(day, opened=False, reached=earlier)
        for day in every:
            if day.from_us >= high and (day in beside or later.lacks(day, ids)):
                await work.bring(day, opened=False, reached=later)
        lost = await _lost(connection, earlier.without_any(), low)
        work.back.left = sorted(name for name, number in ids.items() if number in lost)
        metered -= lost
    for number, day in enumerate(asked, start=1):
        await work.bring(day, opened=True, marked=(metered, wanted_us))
        watch(number, len(asked))
    work.back.days.sort()
    return work.back


async def _check_whole(
    connection: AsyncConnection[Any],
    folder: Path,
    plan: Layout,
    days: Sequence[Day],
    asked_us: tuple[int, int],
) -> None:
    """Refuse where a span's archive held more than the folder's files: its slots would shrink."""
    low, high = asked_us[0] - plan.span_us, asked_us[1] + plan.span_us
    rows: dict[int, int] = {}
    for day in days:
        start = plan.span_of(day.from_us)
        rows[start] = rows.get(start, 0) + day.rows
    for held in (await retention.archived_spans(connection)).values():
        if low <= held.from_us < high and held.row_count > rows.get(held.from_us, 0):
            raise Misconfigured(
                f"{folder}: holds {rows.get(held.from_us, 0)} readings of the time from"
                f" {from_us(held.from_us):%Y-%m-%d} to {from_us(held.until_us):%Y-%m-%d}, its"
                f" archive {held.archive} held {held.row_count}: bring its files here first"
            )


async def _lost(
    connection: AsyncConnection[Any], numbers: Sequence[int], before_us: int
) -> set[int]:
    """Return the points that have slots before an instant: there were readings, and none came."""
    cursor = await connection.execute(
        "select distinct point_id from slot_energy where point_id = any(%s) and slot_start < %s",
        (list(numbers), from_us(before_us)),
    )
    return {number for (number,) in await cursor.fetchall()}


@dataclass(slots=True)
class _Seen:
    """The usable reading of a point next to what was asked for, and how many lie beyond it."""

    next_us: int | None = None
    beyond: int = 0


class _Reached:
    """How far the readings of points were brought back on one side: -1 before, 1 after."""

    def __init__(self, points: Mapping[int, Point], side: int) -> None:
        self._points = points
        self._side = side
        self._seen = {number: _Seen() for number in points}

    def lacks(self, day: Day, ids: Mapping[str, int]) -> bool:
        """Tell whether a day holds readings of a point of which more are needed."""
        return any(ids.get(name) in self._seen for name in day.points)

    def without_any(self) -> list[int]:
        """Return the points of which no usable reading was found on this side."""
        return [number for number, seen in self._seen.items() if seen.next_us is None]

    def take(self, number: int, ts_us: Int64s) -> None:
        """Take the usable readings of a point on the next day outwards."""
        seen = self._seen.get(number)
        if seen is None or not len(ts_us):
            return
        nearest = int(ts_us.max() if self._side < 0 else ts_us.min())
        if seen.next_us is None:
            seen.next_us = nearest
        far_us = foregoing.reach_us(self._points[number])
        seen.beyond += int(((ts_us - seen.next_us) * self._side > far_us).sum())
        if seen.beyond >= CONTEXT_READINGS:
            del self._seen[number]


class _Bringing:
    """One unarchiving at work."""

    def __init__(
        self,
        connection: AsyncConnection[Any],
        folder: Path,
        plan: Layout,
        ids: Mapping[str, int],
        now: datetime,
    ) -> None:
        self._connection = connection
        self._folder = folder
        self._plan = plan
        self._ids = ids
        self._names = {number: point for point, number in ids.items()}
        self._now = now
        self.back = Back()

    async def bring(
        self,
        day: Day,
        *,
        opened: bool,
        reached: _Reached | None = None,
        marked: tuple[set[int], tuple[int, int]] | None = None,
    ) -> None:
        """Bring a day back in a transaction of its own; `marked` are points and span to compute."""
        start = self._plan.span_of(day.from_us)
        span = (start, start + self._plan.span_us)
        record = retention.record_restored if opened else retention.record_beside
        async with self._connection.transaction():
            await record(self._connection, span, self._now)
            touched = await self._store_day(day, reached)
            if marked is not None:
                await mark(self._connection, touched, *marked)
        self.back.days.append(day.name)

    async def _store_day(self, day: Day, reached: _Reached | None) -> dict[int, tuple[int, int]]:
        """Store what the ledger lacks; return the span of each point with new readings."""
        link, back = self._connection, self.back
        empty = await blocks.count(link, day.from_us, day.from_us + blocks.DAY_US) == 0
        touched: dict[int, tuple[int, int]] = {}
        usable: dict[int, list[Int64s]] = {}
        for block in archivefile.read_day(self._folder, day, self._ids):
            back.readings += len(block)
            await partitions.make_for(link, block.ts_us, self._now, from_archive=True)
            stored = await _store(link, block, empty=empty)
            back.stored += stored
            if stored < len(block):
                _tell(block.take(await blocks.contradicted(link, block)), self._names, back)
            for number, rows in block.runs():
                ts_us = block.ts_us[rows]
                if reached is not None:
                    good = block.quality[rows] != Quality.BAD
                    usable.setdefault(number, []).append(ts_us[good])
                if stored:
                    first, last = int(ts_us[0]), int(ts_us[-1])
                    low, high = touched.get(number, (first, last + 1))
                    touched[number] = (min(low, first), max(high, last + 1))
        if reached is not None:
            for number, parts in usable.items():
                reached.take(number, np.concatenate(parts))
        return touched


async def mark(
    connection: AsyncConnection[Any],
    touched: Mapping[int, tuple[int, int]],
    metered: set[int],
    within_us: tuple[int, int],
) -> None:
    """Have the slots of points that give energy computed again, as far as they were asked for."""
    spans = [
        (point, max(low, within_us[0]), min(high, within_us[1]))
        for point, (low, high) in touched.items()
        if point in metered
    ]
    await slots.touch(connection, [(p, low, high) for p, low, high in spans if low < high])


async def _store(connection: AsyncConnection[Any], block: Block, *, empty: bool) -> int:
    """Store what is not there; a late reading may come in between, though the day was empty."""
    if empty:
        with contextlib.suppress(errors.UniqueViolation):
            async with connection.transaction():
                await blocks.copy_in(connection, block)
            return len(block)
    return await blocks.merge_in(connection, block)


def _tell(wrong: Block, names: Mapping[int, str], back: Back) -> None:
    back.contradictions += len(wrong)
    room = max(0, MOST_TOLD - len(back.conflicts))
    for row in range(min(room, len(wrong))):
        at = periods.render_utc(int(wrong.ts_us[row]))
        back.conflicts.append(
            f"{names[int(wrong.point_id[row])]} at {at}: the ledger has another value and keeps"
            f" it; the archive's is {float(wrong.value[row])!r}"
        )
