"""Readings of points whose slots are computed from readings: in memory where live, else the store.

The store's own way is `store.slotwork`; this keeps the newest readings of points that are no plain
counters, so that a gauge that reports every second does not read the store every second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import energy, periods
from core.openslots import SlotRows
from core.periods import SLOT_US
from core.plant import PointKind
from core.quality import Quality
from store import readings, slots, slotwork
from store.readings import Series

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from psycopg import AsyncConnection

    from core.exactmath import Bools, Int64s
    from core.openslots import Reach
    from core.plant import Point
    from store.readings import Rows

MOST_WINDOW: Final = 4_096  # readings of a point kept in memory
MOST_WINDOWS: Final = 20_000  # points with a window


@dataclass(slots=True)
class Window:
    """All readings of a point from `since_us` on, as stored."""

    since_us: int
    series: Series


@dataclass(frozen=True, slots=True)
class Computed:
    """Slots of a point from the readings that decide them; `last` is the last used one of these.

    `newest` tells that the store held no newer one, and that no commit told of one meanwhile.
    """

    span_us: tuple[int, int]
    rows: SlotRows
    last: tuple[int, float] | None
    newest: bool


class Windows:
    """The newest readings of points in memory, and slots computed from there or from the store."""

    def __init__(self) -> None:
        self._windows: dict[int, Window] = {}
        self._commits: Int64s = np.zeros(0, np.int64)  # by number: how many told of the point
        self._kept: Bools = np.zeros(0, np.bool_)  # by number: whether it has a window
        self.store_reads = 0

    def committed(self, new: Rows) -> None:
        """Take new readings just committed, sorted by point and time; late ones void a window."""
        first = np.flatnonzero(np.diff(new.point_id, prepend=-1))
        if not len(first):
            return
        self._grow(int(new.point_id[-1]) + 1)
        numbers = new.point_id[first]
        self._commits[numbers] += 1
        ends = np.append(first[1:], len(new))
        for place in np.flatnonzero(self._kept[numbers]).tolist():
            begin, end, point_id = int(first[place]), int(ends[place]), int(numbers[place])
            window = self._windows[point_id]
            held = window.series
            if len(held.ts_us) and new.ts_us[begin] <= held.ts_us[-1]:
                self.drop(point_id)
                continue
            part = slice(begin, end)
            window.series = Series(
                np.concatenate([held.ts_us, new.ts_us[part]]),
                np.concatenate([held.value, new.value[part]]),
                np.concatenate([held.quality, new.quality[part]]),
            )

    def drop(self, point_id: int) -> None:
        """Forget a point, as when its readings came past this memory."""
        if self._windows.pop(point_id, None) is not None:
            self._kept[point_id] = False

    def forget(self) -> None:
        """Drop all that memory holds, as after an error of the store."""
        self._windows.clear()
        self._kept[:] = False

    async def compute(
        self,
        connection: AsyncConnection[Any],
        point: Point,
        reach: Reach,
        confirmed_us: frozenset[int],
    ) -> AsyncIterator[Computed]:
        """Yield every slot that readings of a reach can change, a chunk of time after another."""
        low, high = await self._span(connection, point, reach)
        for start in range(low, high, slotwork.CHUNK_US):
            stop = min(high, start + slotwork.CHUNK_US)
            commits = self._told(reach.point_id)
            series, whole = await self._context(connection, point, reach.point_id, (start, stop))
            edges = np.arange(start, stop + 1, SLOT_US, dtype=np.int64)
            found = energy.figures(
                point, series.ts_us, series.value, series.quality, edges, confirmed_us
            )
            yield Computed(
                (start, stop),
                SlotRows.of_point(reach.point_id, start, found),
                _last_used(series),
                whole and commits == self._told(reach.point_id),
            )

    async def _span(
        self, connection: AsyncConnection[Any], point: Point, reach: Reach
    ) -> tuple[int, int]:
        """Widen a touched span to its neighbours, and to where a spike may be judged anew."""
        point_id, begin_us, end_us = reach.point_id, reach.from_us, reach.until_us
        before, after = self._near(point_id, begin_us, end_us)
        if before is None:
            before, after = await slots.neighbours(connection, point_id, begin_us, end_us)
        low = begin_us if before is None else before
        high = end_us if after is None else after
        if (before is None or after is None) and end_us - begin_us > slotwork.CHUNK_US:
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
        usable: Int64s = window.series.ts_us[window.series.quality != Quality.BAD]
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
        span_us: tuple[int, int],
    ) -> tuple[Series, bool]:
        """Return the readings that decide the slots of a span, from memory or the store.

        And tells whether there is no newer one.
        """
        margin_us = max(point.max_gap_us, point.interval_us or 0)
        window = self._windows.get(point_id)
        if (
            window is not None
            and window.since_us <= span_us[0] - margin_us
            and not slotwork.begins_in_doubt(point, window.series, span_us[0], margin_us)
        ):
            return window.series, True
        self.store_reads += 1
        commits = self._told(point_id)
        series = await slotwork.context(connection, point, point_id, span_us)
        # The store gives a few readings behind what was asked for, where there are any.
        whole = len(series.ts_us) > 0 and int(series.ts_us[-1]) < span_us[1] + margin_us
        room = len(self._windows) < MOST_WINDOWS or point_id in self._windows
        if whole and room and len(series.ts_us) <= MOST_WINDOW and commits == self._told(point_id):
            self._grow(point_id + 1)
            since_us = min(span_us[0] - margin_us, int(series.ts_us[0]))
            self._windows[point_id] = Window(since_us, series)
            self._kept[point_id] = True
        return series, whole

    def _told(self, point_id: int) -> int:
        return int(self._commits[point_id]) if point_id < len(self._commits) else 0

    def _grow(self, length: int) -> None:
        more = max(length, 2 * len(self._kept)) - len(self._kept)
        if length > len(self._kept):
            self._commits = np.pad(self._commits, (0, more))
            self._kept = np.pad(self._kept, (0, more))

    def trim(self) -> None:
        """Cut windows that have grown past MOST_WINDOW readings to their newest half."""
        for window in self._windows.values():
            held = window.series
            if len(held.ts_us) > MOST_WINDOW:
                keep = len(held.ts_us) - MOST_WINDOW // 2
                window.since_us = int(held.ts_us[keep])
                window.series = Series(
                    held.ts_us[keep:].copy(), held.value[keep:].copy(), held.quality[keep:].copy()
                )


def _last_used(series: readings.Series) -> tuple[int, float] | None:
    usable = np.flatnonzero((series.quality != Quality.BAD) & np.isfinite(series.value))
    if not len(usable):
        return None
    return int(series.ts_us[usable[-1]]), float(series.value[usable[-1]])
