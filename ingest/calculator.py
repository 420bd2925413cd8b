"""Computes the slots that new readings touch, live or late, to the same figures.

New readings reach it in memory, right after their commit. Plain rises of counters are added to
their open slots for all points together (core.openslots); whatever else comes is computed through
the one pure function (core.energy) from readings in memory or in the store (ingest.windows). The
marks of touched slots live in the store, in the readings' own transaction, so a crash at any point
leaves no stale slot: marks that this memory knows nothing of are computed from the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import names
from core.openslots import OpenSlots, Reach, SlotRows
from core.periods import SLOT_US
from core.quality import Quality
from ingest.windows import Windows
from store import readings, results, retention, slots

if TYPE_CHECKING:
    from collections.abc import (
        Awaitable,
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )
    from datetime import datetime

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from core.exactmath import Bools, Int64s
    from core.plant import Plant, Point
    from ingest.windows import Computed
    from store.readings import Rows
    from store.retention import Retention
    from store.slots import Touched

LOOK_S: Final = 2.0  # marks may come from elsewhere: a confirmed step, a changed declaration
PAUSE_S: Final = 0.2  # between passes at least, so that a burst is computed once
MOST_PAUSE_S: Final = 10.0  # open slots of very many points are written this often
MOST_REACHES: Final = 256  # points computed from readings in one transaction
SHARE: Final = 4.0  # a pass is followed by a pause of so many times its length


async def _no_fence(_: AsyncConnection[Any], __: Collection[str]) -> None:
    return


async def _no_renewal() -> bool:
    return False


class Calculator:
    """Turns readings and marks into slots; one per ingest worker.

    `fence` raises inside a transaction where the worker has lost a site; `holds` tells whether a
    site is this worker's; `renew` reads the declaration anew where it changed.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        plants: Callable[[], tuple[Plant, Mapping[str, int]]],
        clock: Callable[[], datetime],
        *,
        fence: Callable[[AsyncConnection[Any], Collection[str]], Awaitable[None]] = _no_fence,
        holds: Callable[[str], bool] = lambda _: True,
        renew: Callable[[], Awaitable[bool]] = _no_renewal,
    ) -> None:
        self._pool = pool
        self._plants = plants
        self._clock = clock
        self._fence = fence
        self._holds = holds
        self._renew = renew
        self._open = OpenSlots()
        self._windows = Windows()
        self._reaches: dict[int, Reach] = {}  # what memory was told of and did not take
        self._mine: set[int] = set()  # marks of readings that memory was told of
        self._known: Plant | None = None
        self._by_id: dict[int, Point] = {}  # points that give energy
        self._most_number = 0  # of all points ever declared
        self._expecting = False  # whether it is known which points ever reported
        self._metered: Bools = np.zeros(0, np.bool_)  # by number: whether it gives energy
        # Held by the writer from its commit until `committed` has run: marks that are read under
        # it never speak of readings that memory has not got yet.
        self.gate = asyncio.Lock()
        self.slots_written = 0

    @property
    def store_reads(self) -> int:
        """Return how often slots were computed from the store."""
        return self._windows.store_reads

    async def start(self, connection: AsyncConnection[Any]) -> None:
        """Take over live counters from their newest readings and stored open slots.

        Points with marks are left out: their slots are computed from the store first.
        """
        marks = await slots.touched(connection)
        newest = await readings.newest(connection)
        unusable = newest.point_id[newest.quality >= Quality.BAD]
        newest = newest.take(newest.quality < Quality.BAD)
        marked = np.concatenate([np.zeros(0, np.int64), *(mark.points for mark in marks)])
        newest = newest.take(~np.isin(newest.point_id, marked))
        rows = await slots.open_rows(connection, newest.point_id, newest.ts_us // SLOT_US * SLOT_US)
        held = _slots_by_point(rows)
        by_id = self._points()
        reported = {*newest.point_id.tolist(), *marked.tolist(), *unusable.tolist()}
        self._open.expect({p: point for p, point in by_id.items() if p not in reported})
        self._expecting = True
        for point_id, ts_us, value in zip(
            newest.point_id.tolist(), newest.ts_us.tolist(), newest.value.tolist(), strict=True
        ):
            point = by_id.get(point_id)
            if point is not None:
                slot = held.get(point_id, (None, 0, 0, 0))
                self._open.restore(point, point_id, (ts_us, value), slot)

    def committed(self, new: Rows, marks: Sequence[int] = ()) -> None:
        """Take new readings just committed, sorted by point and time, and the marks they made."""
        self._mine.update(marks)
        self._points()
        within = new.point_id < len(self._metered)
        new = new.take(within & self._metered[np.where(within, new.point_id, 0)])
        self._windows.committed(new)
        for reach in self._open.take(new.point_id, new.ts_us, new.value, new.quality):
            self._reach(reach)

    def forget(self) -> None:
        """Drop what memory holds, as after an error of the store: marks tell what to compute."""
        self._open.forget()
        self._windows.forget()
        self._reaches.clear()
        self._mine.clear()
        self._expecting = False

    async def run(self, wake: asyncio.Event) -> None:
        """Compute whenever woken, for ever, and every LOOK_S what others have marked.

        Each pass is followed by a pause, also while readings go on coming: an open slot that many
        readings move is written once for all of them.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await wake.wait()
            wake.clear()
            began = time.monotonic()
            while await self.step() >= slots.MOST_MARKS:
                pass  # what was left by a stop or an outage is taken without a pause
            took_s = time.monotonic() - began
            await asyncio.sleep(min(max(PAUSE_S, SHARE * took_s), MOST_PAUSE_S))

    async def step(self) -> int:
        """Compute what the oldest marks speak of; return how many marks were settled."""
        async with self._pool.connection() as connection:
            async with self.gate:
                marks = await slots.touched(connection)
                if any(mark.id not in self._mine for mark in marks):
                    await self._renew()  # what was declared with a mark must be known here
                by_id = self._points()
                marks, left = self._ours(marks, by_id)
                drained, reaches = self._open.drain(), self._reaches
                self._reaches = {}
            if not marks and not len(drained) and not reaches:
                return 0
            todo = list(reaches.values())
            try:
                units = await self._write(connection, by_id, drained)
                await self._commit(connection, units)
                drained = SlotRows.join([])
                while todo:
                    part = todo[:MOST_REACHES]
                    units |= await self._compute(connection, by_id, part)
                    await self._commit(connection, units)
                    del todo[:MOST_REACHES]
                await slots.touch(connection, left)
                await slots.settle(connection, [mark.id for mark in marks])
                await self._commit(connection, units)
            except BaseException:
                # What of this pass is not stored comes with the next one.
                self._open.put_back(drained)
                numbers = np.array([reach.point_id for reach in todo], np.int64)
                for reach in [*todo, *self._open.drop(numbers)]:
                    self._reach(reach)
                raise
        self._mine.difference_update(mark.id for mark in marks)
        self._windows.trim()
        return len(marks)

    async def _commit(self, connection: AsyncConnection[Any], units: Collection[str]) -> None:
        await self._fence(connection, {names.site_of(unit) for unit in units})
        await connection.commit()

    async def _write(
        self, connection: AsyncConnection[Any], by_id: Mapping[int, Point], drained: SlotRows
    ) -> set[str]:
        """Write open and closed slots of live counters; return their units."""
        touched = _Spans()
        drained = drained.take(np.isin(drained.point_id, np.fromiter(by_id, np.int64)))
        self.slots_written += await slots.write(connection, drained, self._clock())
        touched.add(by_id, drained)
        return await touched.mark(connection)

    async def _compute(
        self, connection: AsyncConnection[Any], by_id: Mapping[int, Point], reaches: Sequence[Reach]
    ) -> set[str]:
        """Compute and write what reaches touch, after `_write`: what is computed stays."""
        touched = _Spans()
        rows: list[SlotRows] = []
        confirmed = await slots.confirmed_of(connection, [reach.point_id for reach in reaches])
        kept = await retention.load(connection)
        for reach in _whole(kept, reaches):
            point = by_id.get(reach.point_id)
            if point is None:
                continue
            steps = confirmed.get(reach.point_id, frozenset())
            async for done in self._windows.compute(connection, point, reach, steps):
                await slots.clear(connection, reach.point_id, done.span_us, done.rows.start_us)
                rows.append(done.rows)
                touched.cover(point.unit, *done.span_us)
                self._adopt(point, reach, done)
        self.slots_written += await slots.write(connection, SlotRows.join(rows), self._clock())
        return await touched.mark(connection)

    def _adopt(self, point: Point, reach: Reach, done: Computed) -> None:
        """Take a counter over into its open slot where memory has all its readings."""
        if not done.newest or done.last is None or reach.point_id in self._reaches:
            return
        start_us = done.last[0] // SLOT_US * SLOT_US
        if not done.span_us[0] <= start_us < done.span_us[1]:
            return
        slot = _slots_by_point(done.rows.take(done.rows.start_us == start_us))
        told = slot.get(reach.point_id, (None, 0, 0, 0))
        if self._open.restore(point, reach.point_id, done.last, told):
            self._windows.drop(reach.point_id)

    def _ours(
        self, marks: Sequence[Touched], by_id: Mapping[int, Point]
    ) -> tuple[list[Touched], list[tuple[int, int, int]]]:
        """Have computed what memory was not told of; return our marks, and spans left to others."""
        ours: list[Touched] = []
        left: list[tuple[int, int, int]] = []
        for mark in marks:
            if mark.id not in self._mine:
                theirs = {p for p in mark.points.tolist() if not self._is_ours(by_id.get(p))}
                if len(theirs) == len(mark.points):
                    continue
                left += [(point, mark.from_us, mark.until_us) for point in theirs]
                self._compute_all(mark, theirs)
            ours.append(mark)
        return ours, left

    def _is_ours(self, point: Point | None) -> bool:
        return point is None or self._holds(point.site)

    def _compute_all(self, mark: Touched, but: set[int]) -> None:
        """Have a mark's points computed from the store: memory has not seen these readings."""
        points = np.array([p for p in mark.points.tolist() if p not in but], np.int64)
        for dropped in self._open.drop(points):
            self._reach(dropped)
        for point_id in points.tolist():
            self._windows.drop(point_id)
            self._reach(Reach(point_id, mark.from_us, mark.until_us))

    def _reach(self, new: Reach) -> None:
        known = self._reaches.get(new.point_id, new)
        self._reaches[new.point_id] = Reach(
            new.point_id, min(known.from_us, new.from_us), max(known.until_us, new.until_us)
        )

    def _points(self) -> Mapping[int, Point]:
        """Return the points that give energy, by number."""
        plant, ids = self._plants()
        if self._known is not plant:
            before, self._most_number = self._most_number, max(ids.values(), default=0)
            self._known = plant
            self._by_id = {
                ids[name]: point
                for name, point in plant.points.items()
                if name in ids and point.energy_unit is not None
            }
            self._metered = np.zeros(max(self._by_id, default=0) + 1, np.bool_)
            self._metered[[*self._by_id]] = True
            if self._expecting:  # a number beyond all others is of a point that never reported
                self._open.expect({p: each for p, each in self._by_id.items() if p > before})
        return self._by_id


def _whole(kept: Retention, reaches: Iterable[Reach]) -> Iterator[Reach]:
    """Yield the parts whose readings are there: slots that outlived theirs stay as they are."""
    for reach in reaches:
        for low_us, high_us in kept.whole(reach.from_us, reach.until_us):
            yield Reach(reach.point_id, low_us, high_us)


class _Spans:
    """Which spans of which units hold slots that were written."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[int, int]] = {}

    def cover(self, unit: str, low_us: int, high_us: int) -> None:
        low, high = self._of.get(unit, (low_us, high_us))
        self._of[unit] = (min(low, low_us), max(high, high_us))

    def add(self, by_id: Mapping[int, Point], rows: SlotRows) -> None:
        if not len(rows):
            return
        first = np.flatnonzero(np.diff(rows.point_id, prepend=-1))
        last = np.append(first[1:], len(rows)) - 1
        for point_id, low_us, high_us in zip(
            rows.point_id[first].tolist(),
            rows.start_us[first].tolist(),
            rows.start_us[last].tolist(),
            strict=True,
        ):
            self.cover(by_id[point_id].unit, low_us, high_us + SLOT_US)

    async def mark(self, connection: AsyncConnection[Any]) -> set[str]:
        """Have the results of the units computed, and return these."""
        spans = [(unit, low, high) for unit, (low, high) in self._of.items() if low < high]
        await results.touch(connection, spans)
        return {unit for unit, _, _ in spans}


def _slots_by_point(rows: SlotRows) -> dict[int, tuple[int | None, int, int, int]]:
    """Return (energy or None, estimated, measured, flags) of one slot a point."""
    columns: tuple[Int64s, ...] = (rows.energy_e6, rows.estimated_e6, rows.measured_us, rows.flags)
    return {
        point_id: (energy if known else None, estimated, measured, flags)
        for point_id, known, energy, estimated, measured, flags in zip(
            rows.point_id.tolist(),
            rows.known.tolist(),
            *(column.tolist() for column in columns),
            strict=True,
        )
    }
