"""What each point shows now: its newest reading and its present power, for the live page.

A counter's power is that of the last half minute to minute, or of as much more as it takes to see
enough counts: a coarse register read every second would otherwise show none, or several times
too much.

Kept in memory and flushed a few times a second, outside the batches' transactions: it can be
rebuilt from the readings at any time. Pure: the service writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from core.quality import Quality
from store.readings import NEVER_US, Rows

if TYPE_CHECKING:
    from core.exactmath import Bools, Floats, Int64s
    from ingest.declared import Declared


LEAST_WINDOW_US: Final = 30_000_000
MOST_WINDOW_US: Final = 120_000_000
ENOUGH_COUNTS: Final = 20.0  # one count more or less is then 5 % of what is shown


class Latest:
    """The newest reading of each point by number, and which of them are not written yet."""

    def __init__(self) -> None:
        self._ts_us: Int64s = np.empty(0, np.int64)
        self._value: Floats = np.empty(0)
        self._quality = np.empty(0, np.int16)
        self._rate_kw: Floats = np.empty(0)
        # Of counters: counts climbed without anything odd, and where the window and the next one
        # begin.
        self._level: Floats = np.empty(0)
        self._begin_us: Int64s = np.empty(0, np.int64)
        self._begin_level: Floats = np.empty(0)
        self._next_us: Int64s = np.empty(0, np.int64)
        self._next_level: Floats = np.empty(0)
        self._changed: Bools = np.empty(0, np.bool_)

    def take(self, new: Rows, declared: Declared) -> None:
        """Take new rows sorted by point and time."""
        if not len(new):
            return
        self._grow(int(new.point_id[-1]) + 1)
        starts = np.flatnonzero(np.diff(new.point_id, prepend=-1))
        last = np.append(starts[1:], len(new)) - 1
        last = last[new.ts_us[last] > self._ts_us[new.point_id[last]]]
        point_id = new.point_id[last]
        now = new.take(last)
        step_kw = power_kw(self._before(new, last), now, declared)
        self._rate_kw[point_id] = self._window_kw(now, step_kw, declared)
        self._ts_us[point_id] = new.ts_us[last]
        self._value[point_id] = new.value[last]
        self._quality[point_id] = new.quality[last]
        self._changed[point_id] = True

    def _window_kw(self, now: Rows, step_kw: Floats, declared: Declared) -> Floats:
        """Return the power over each counter's window; the step's where there is no window yet."""
        place = now.point_id
        known = place < len(declared.counter)
        number = np.where(known, place, 0)
        counter = known & declared.counter[number]
        remembered = Rows(place, self._ts_us[place], self._value[place], self._quality[place])
        level = self._level[place] + climbed(remembered, now, declared)
        odd = np.isnan(level)
        level = np.where(odd, 0.0, level)
        for anchor_us, anchor in (
            (self._begin_us, self._begin_level),
            (self._next_us, self._next_level),
        ):
            anchor_us[place] = np.where(odd, now.ts_us, anchor_us[place])
            anchor[place] = np.where(odd, level, anchor[place])
        self._level[place] = level
        dt_us = now.ts_us - self._begin_us[place]
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = (level - self._begin_level[place]) * declared.kw_per_unit[number] / dt_us
        age_us = now.ts_us - self._next_us[place]
        full = (age_us >= LEAST_WINDOW_US) & (
            (level - self._next_level[place] >= ENOUGH_COUNTS) | (age_us >= MOST_WINDOW_US)
        )
        moved = place[full]
        self._begin_us[moved], self._begin_level[moved] = (
            self._next_us[moved],
            self._next_level[moved],
        )
        self._next_us[moved], self._next_level[moved] = now.ts_us[full], level[full]
        rate = np.where(np.abs(rate) <= declared.most_kw[number], rate, np.nan)
        return np.where(counter & ~odd & (dt_us > 0), rate, step_kw)

    def drain(self) -> tuple[Rows, Floats]:
        """Return what changed since the last call: rows, and power [kW] with NaN for unknown."""
        point_id = np.flatnonzero(self._changed)
        self._changed[:] = False
        rows = Rows(point_id, self._ts_us[point_id], self._value[point_id], self._quality[point_id])
        return rows, self._rate_kw[point_id]

    def again(self, rows: Rows) -> None:
        """Mark drained rows as not written, after a failure."""
        self._changed[rows.point_id] = True

    def _before(self, new: Rows, last: Int64s) -> Rows:
        """Return the reading before each of these: the row before it, or the one remembered."""
        point_id = new.point_id[last]
        place = np.maximum(last - 1, 0)
        here = (last > 0) & (new.point_id[place] == point_id)
        here &= new.ts_us[place] >= self._ts_us[point_id]
        return Rows(
            point_id,
            np.where(here, new.ts_us[place], self._ts_us[point_id]),
            np.where(here, new.value[place], self._value[point_id]),
            np.where(here, new.quality[place], self._quality[point_id]),
        )

    def _grow(self, length: int) -> None:
        more = max(length, 2 * len(self._ts_us)) - len(self._ts_us)
        if length <= len(self._ts_us):
            return
        self._ts_us = np.append(self._ts_us, np.full(more, NEVER_US, np.int64))
        self._value = np.append(self._value, np.full(more, np.nan))
        self._quality = np.append(self._quality, np.full(more, Quality.BAD, np.int16))
        self._rate_kw = np.append(self._rate_kw, np.full(more, np.nan))
        self._level = np.append(self._level, np.zeros(more))
        self._begin_us = np.append(self._begin_us, np.zeros(more, np.int64))
        self._begin_level = np.append(self._begin_level, np.zeros(more))
        self._next_us = np.append(self._next_us, np.zeros(more, np.int64))
        self._next_level = np.append(self._next_level, np.zeros(more))
        self._changed = np.append(self._changed, np.zeros(more, np.bool_))


def climbed(before: Rows, now: Rows, declared: Declared) -> Floats:
    """Return the counts between two readings, a declared rollover followed; NaN where unknown."""
    known = now.point_id < len(declared.counter)
    number = np.where(known, now.point_id, 0)
    seen = before.ts_us != NEVER_US
    dt_us = np.where(seen, now.ts_us - np.where(seen, before.ts_us, 0), 0)
    step = now.value - before.value
    step = np.where(step < 0, step + declared.modulus[number], step)
    well = (dt_us > 0) & (dt_us <= declared.max_gap_us[number])
    well &= (before.quality != Quality.BAD) & (now.quality != Quality.BAD) & (step >= 0)
    return np.where(known & well, step, np.nan)


def power_kw(before: Rows, now: Rows, declared: Declared) -> Floats:
    """Return the power [kW] over the step to `now`, NaN where it is unknown.

    For people to look at: a declared rollover is followed, anything odd (a fall, a gap, more than
    the rated power allows) is unknown. The ledger's own rules are core.counters.
    """
    known = now.point_id < len(declared.counter)
    number = np.where(known, now.point_id, 0)
    factor = np.where(known, declared.kw_per_unit[number], np.nan)
    counter = declared.counter[number]
    seen = before.ts_us != NEVER_US
    dt_us = np.where(seen, now.ts_us - np.where(seen, before.ts_us, 0), 0)
    step = now.value - before.value
    step = np.where(step < 0, step + declared.modulus[number], step)
    with np.errstate(divide="ignore", invalid="ignore"):
        stepped = step * factor / dt_us
    well = (dt_us > 0) & (dt_us <= declared.max_gap_us[number]) & (before.quality != Quality.BAD)
    rate = np.where(counter, np.where(well, stepped, np.nan), now.value * factor)
    rate = np.where(now.quality == Quality.BAD, np.nan, rate)
    return np.where(np.abs(rate) <= declared.most_kw[number], rate, np.nan)
