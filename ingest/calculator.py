"""Computes the slots that new readings touch, through the one pure function (core.energy).

New readings reach it in memory, right after their commit; the store is read only for late data,
after a start, or where memory does not reach back far enough. The marks of touched slots live in
the store, in the readings' own transaction, so a crash at any point leaves no stale slot.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import counters, energy, periods
from core.clock import to_us
from core.periods import SLOT_US
from core.plant import Plant, Point, PointKind
from core.quality import Quality
from store import readings, results, slots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from core.exactmath import Floats, Int16s, Int64s

log = logging.getLogger(__name__)

MOST_WINDOW: Final = 4_096  # readings of a point kept in memory
MOST_WINDOWS: Final = 20_000  # points with a window
CHUNK_US: Final = 672 * SLOT_US  # a week of slots computed at once
CONTEXT_READINGS: Final = 4  # beyond the span of time, on either side
MOST_WIDENINGS: Final = 8
MOST_COUNT: Final = 4.0e18  # in counts of the series: inside int64
LOOK_S: Final = 2.0  # marks may come from elsewhere: a confirmed step, a changed declaration
PAUSE_S: Final = 0.2  # between passes, so that a burst is computed once


@dataclass(slots=True)
class Window:
    """All readings of a point from `since_us` on, as stored."""

    since_us: int
    ts_us: Int64s
    values: Floats
    quality: Int16s


class Calculator:
    """Turns touched marks into slots; one per ingest worker."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        plants: Callable[[], tuple[Plant, Mapping[str, int]]],
        clock: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._plants = plants
        self._clock = clock
        self._windows: dict[int, Window] = {}
        # Held by the writer from its commit until `committed` has run: marks that are read under
        # it never speak of readings that memory has not got yet.
        self.gate = asyncio.Lock()
        self._commits = 0
        self.slots_written = 0
        self.store_reads = 0

    def committed(self, point_ids: Int64s, ts_us: Int64s, values: Floats, quality: Int16s) -> None:
        """Take new readings just committed, sorted by point and time; late ones void a window."""
        if len(point_ids) == 0:
            return
        self._commits += 1
        starts = np.flatnonzero(np.diff(point_ids, prepend=point_ids[0] - 1))
        for begin, end in zip(starts, [*starts[1:], len(point_ids)], strict=True):
            point_id = int(point_ids[begin])
            window = self._windows.get(point_id)
            if window is None:
                continue
            part = slice(begin, end)
            if len(window.ts_us) and ts_us[begin] <= window.ts_us[-1]:
                del self._windows[point_id]
                continue
            window.ts_us = np.concatenate([window.ts_us, ts_us[part]])
            window.values = np.concatenate([window.values, values[part]])
            window.quality = np.concatenate([window.quality, quality[part]])

    def forget(self) -> None:
        """Drop what memory holds, as after an error of the store."""
        self._windows.clear()

    async def run(self, wake: asyncio.Event) -> None:
        """Compute whenever woken, for ever, and every LOOK_S what others have marked."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), LOOK_S)
            wake.clear()
            while await self.step():
                self.trim()
            await asyncio.sleep(PAUSE_S)

    async def step(self) -> int:
        """Compute the oldest touched marks; return how many marks were settled."""
        plant, ids = self._plants()
        by_id = {ids[name]: point for name, point in plant.points.items() if name in ids}
        async with self._pool.connection() as connection:
            async with self.gate:
                marks = await slots.touched(connection)
            if not marks:
                return 0
            spans: dict[int, tuple[int, int]] = {}
            for mark in marks:
                begin, end = spans.get(mark.point_id, (mark.from_us, mark.until_us))
                spans[mark.point_id] = (min(begin, mark.from_us), max(end, mark.until_us))
            touched_units: dict[str, tuple[int, int]] = {}
            for point_id, (begin, end) in spans.items():
                point = by_id.get(point_id)
                if point is None or point.energy_unit is None:
                    continue
                low, high = await self._compute(connection, point, point_id, begin, end)
                before = touched_units.get(point.unit, (low, high))
                touched_units[point.unit] = (min(low, before[0]), max(high, before[1]))
            await results.touch(
                connection,
                [(unit, low, high) for unit, (low, high) in touched_units.items() if low < high],
            )
            await slots.settle(connection, [mark.id for mark in marks])
        return len(marks)

    async def _compute(
        self,
        connection: AsyncConnection[Any],
        point: Point,
        point_id: int,
        begin_us: int,
        end_us: int,
    ) -> tuple[int, int]:
        """Recompute every slot that readings in [begin, end) can change; return their span."""
        low, high = await self._span(connection, point, point_id, begin_us, end_us)
        confirmed = await slots.confirmed(connection, point_id)
        now = self._clock()
        for start in range(low, high, CHUNK_US):
            stop = min(high, start + CHUNK_US)
            window = await self._context(connection, point, point_id, start, stop)
            edges = np.arange(start, stop + 1, SLOT_US, dtype=np.int64)
            figures = energy.figures(
                point, window.ts_us, window.values, window.quality, edges, confirmed
            )
            await slots.replace(connection, point_id, start, figures, now)
            self.slots_written += len(edges) - 1
        return low, high

    async def _span(
        self,
        connection: AsyncConnection[Any],
        point: Point,
        point_id: int,
        begin_us: int,
        end_us: int,
    ) -> tuple[int, int]:
        """Widen a touched span to its neighbours, and to where a spike may be judged anew."""
        before, after = self._near(point_id, begin_us, end_us)
        if before is None:
            before, after = await slots.neighbours(connection, point_id, begin_us, end_us)
        extent_needed = before is None or after is None
        low = begin_us if before is None else before
        high = end_us if after is None else after
        if extent_needed and end_us - begin_us > CHUNK_US:
            extent = await slots.extent(connection, point_id)
            low, high = (
                (low, low) if extent is None else (max(low, extent[0]), min(high, extent[1] + 1))
            )
        if point.kind is PointKind.INTERVAL:
            low, high = begin_us, end_us + (point.interval_us or 0)
        elif point.rated_power_kw is not None:
            low, high = low - point.max_gap_us, high + point.max_gap_us
        return periods.slot_start(low), periods.slot_start(high - 1) + SLOT_US

    def _near(self, point_id: int, begin_us: int, end_us: int) -> tuple[int | None, int | None]:
        """Return the neighbours of a span from memory, (None, None) where it does not tell."""
        window = self._windows.get(point_id)
        if window is None or window.since_us >= begin_us:
            return None, None
        usable = window.ts_us[window.quality != Quality.BAD]
        place = int(np.searchsorted(usable, begin_us)) - 1
        if place < 0:
            return None, None
        following = int(np.searchsorted(usable, end_us))
        after = int(usable[following]) if following < len(usable) else None
        return int(usable[place]), after

    async def _context(
        self,
        connection: AsyncConnection[Any],
        point: Point,
        point_id: int,
        start_us: int,
        stop_us: int,
    ) -> Window:
        """Return the readings that decide the slots of [start, stop), from memory or the store.

        Reaches back far enough that no suspect step lies where the context begins: what is a
        spike there would depend on what came before.
        """
        margin = max(point.max_gap_us, point.interval_us or 0)
        window = await self._reaching(connection, point_id, start_us - margin, stop_us + margin)
        for widening in range(1, MOST_WIDENINGS):
            if not _begins_in_doubt(point, window, start_us, margin):
                return window
            low = start_us - margin * 4**widening
            window = await self._reaching(connection, point_id, low, stop_us + margin)
        log.warning("point %s has suspect steps without pause before %s", point.id, start_us)
        return window

    async def _reaching(
        self, connection: AsyncConnection[Any], point_id: int, low_us: int, high_us: int
    ) -> Window:
        """Return the readings of [low, high) and their neighbours, from memory or the store."""
        window = self._windows.get(point_id)
        if window is None or window.since_us > low_us:
            return await self._load(connection, point_id, low_us, high_us)
        return window

    async def _load(
        self,
        connection: AsyncConnection[Any],
        point_id: int,
        low_us: int,
        high_us: int,
    ) -> Window:
        self.store_reads += 1
        commits = self._commits
        series = await readings.read_series(
            connection, point_id, low_us, high_us, CONTEXT_READINGS, CONTEXT_READINGS
        )
        ts_us, values, quality = series.ts_us, series.value, series.quality
        first = int(ts_us[0]) if len(ts_us) else low_us
        window = Window(min(low_us, first), ts_us, values, quality)
        now_us = to_us(self._clock())
        recent = high_us >= now_us or (len(ts_us) > 0 and int(ts_us[-1]) < high_us)
        # A commit meanwhile told us of rows that this look may have missed: do not remember it.
        unseen = commits != self._commits
        if (
            recent
            and not unseen
            and len(self._windows) < MOST_WINDOWS
            and len(ts_us) <= MOST_WINDOW
        ):
            self._windows[point_id] = Window(window.since_us, ts_us, values, quality)
        return window

    def trim(self) -> None:
        """Cut windows that have grown past MOST_WINDOW readings to their newest half."""
        for window in self._windows.values():
            if len(window.ts_us) > MOST_WINDOW:
                keep = len(window.ts_us) - MOST_WINDOW // 2
                window.since_us = int(window.ts_us[keep])
                window.ts_us = window.ts_us[keep:].copy()
                window.values = window.values[keep:].copy()
                window.quality = window.quality[keep:].copy()


def _begins_in_doubt(point: Point, window: Window, start_us: int, margin_us: int) -> bool:
    """Tell whether a suspect step lies near the beginning of the context, before the slots."""
    if point.kind is not PointKind.COUNTER or point.rated_power_kw is None:
        return False
    usable = (window.quality != Quality.BAD) & np.isfinite(window.values)
    ts_us = window.ts_us[usable]
    if len(ts_us) <= 2 * CONTEXT_READINGS:
        return False
    values = window.values[usable]
    scale = energy.scale_of(point, values)
    possible = np.abs(values) < MOST_COUNT / scale
    ts_us, values = ts_us[possible], values[possible]
    counts = np.rint(values * scale).astype(np.int64)
    doubt = counters.spans_of_doubt(ts_us, counts, energy.rule_of(point, scale))
    head = min(int(ts_us[0]) + margin_us, start_us)
    return bool((doubt < head).any())
