"""Open slots of many counters at once: what live readings add while nothing odd happens.

A live meter rises step by step; then the energy of its open slot grows by C(now) - C(before), and
only the step across a slot's edge needs interpolation. That is done here for all points of a batch
together. Whatever else a reading may be (a fall, a gap, a decimal, a late or doubtful value, a
declared change) makes its point "not plain": the caller computes it by `core.energy` from the
readings themselves and gives it back by `restore`. Promise: the figures of plain points are those
that `core.energy.figures` gives for the same readings, to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

from core import energy, exactmath
from core.decimals import E6
from core.periods import SLOT_US
from core.plant import PointKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from core.energy import Figures
    from core.exactmath import Bools, Floats, Int16s, Int64s
    from core.plant import Point

EVER_US: Final = 2**62
MOST_LEVEL: Final = 4.0e18  # count times multiplier in 1e-6: inside int64 with room for a step
_NEARLY: Final = 1 - 1e-9  # of the allowance: what lies closer is judged in whole numbers elsewhere


@dataclass(frozen=True, slots=True)
class SlotRows:
    """Slots of many points as columns; where `known` is false the energy is unknown, not 0."""

    point_id: Int64s
    start_us: Int64s
    energy_e6: Int64s
    known: Bools
    estimated_e6: Int64s
    measured_us: Int64s
    flags: Int64s

    def __len__(self) -> int:
        return len(self.point_id)

    @classmethod
    def of_point(cls, point_id: int, begin_us: int, figures: Figures) -> SlotRows:
        """Return the slots of one point from `begin_us` on of which there is something to say."""
        told = np.flatnonzero((figures.booked_us > 0) | (figures.flags > 0))
        known = figures.booked_us[told] > 0
        return cls(
            np.full(len(told), point_id, np.int64),
            begin_us + told.astype(np.int64) * SLOT_US,
            np.where(known, figures.energy_e6[told], 0),
            known,
            figures.estimated_e6[told],
            figures.measured_us[told],
            figures.flags[told],
        )

    @classmethod
    def join(cls, parts: Iterable[SlotRows]) -> SlotRows:
        """Return the slots of all parts, one part after the other."""
        none = np.zeros(0, np.int64)
        held = [cls(none, none, none, np.zeros(0, np.bool_), none, none, none), *parts]
        return cls(*(np.concatenate([getattr(part, name) for part in held]) for name in _COLUMNS))

    def take(self, which: Bools | Int64s) -> SlotRows:
        """Return the rows under a mask, or at these places."""
        return SlotRows(*(getattr(self, name)[which] for name in _COLUMNS))


_COLUMNS: Final = tuple(each.name for each in fields(SlotRows))


@dataclass(frozen=True, slots=True)
class Reach:
    """A point whose readings of [from, until) were not taken here."""

    point_id: int
    from_us: int
    until_us: int


@dataclass(slots=True)
class _State:
    """Columns by number of the point; a row counts where `live`."""

    live: Bools
    dirty: Bools
    last_us: Int64s
    last_count: Int64s
    slot_us: Int64s
    energy_e6: Int64s
    known: Bools
    estimated_e6: Int64s
    measured_us: Int64s
    flags: Int64s
    # How the register is read between `since_us` and `until_us`.
    num: Int64s
    den: Int64s
    most_rise: Int64s
    max_gap_us: Int64s
    per_us: Floats
    until_us: Int64s

    @classmethod
    def empty(cls, length: int) -> _State:
        kinds = {"live": np.bool_, "dirty": np.bool_, "known": np.bool_, "per_us": np.float64}
        return cls(*(np.zeros(length, kinds.get(each.name, np.int64)) for each in fields(cls)))


class OpenSlots:
    """The open slot of every live counter, and the slots that closed since they were taken."""

    def __init__(self) -> None:
        self._state = _State.empty(0)
        self._closed: list[SlotRows] = []
        self._fresh: dict[int, Point] = {}
        self.taken = 0
        self.refused = 0

    def is_live(self, point_id: int) -> bool:
        """Tell whether the point's readings are taken here."""
        return point_id < len(self._state.live) and bool(self._state.live[point_id])

    def expect(self, points: Mapping[int, Point]) -> None:
        """Take these points over from their first reading: the store holds none of theirs."""
        self._fresh.update(points)

    def drop(self, point_ids: Int64s) -> list[Reach]:
        """Take these points' readings no more, until they are adopted anew.

        Returns the open slots that grew since `drain`: the caller must compute them.
        """
        state = self._state
        if self._fresh:
            for number in point_ids.tolist():
                self._fresh.pop(number, None)
        numbers = point_ids[point_ids < len(state.live)]
        grown = numbers[state.live[numbers] & state.dirty[numbers]]
        state.live[numbers] = False
        return [
            Reach(number, slot_us, last_us + 1)
            for number, slot_us, last_us in zip(
                grown.tolist(),
                state.slot_us[grown].tolist(),
                state.last_us[grown].tolist(),
                strict=True,
            )
        ]

    def forget(self) -> None:
        """Drop all points and what closed."""
        self._state.live[:] = False
        self._state.dirty[:] = False
        self._closed.clear()
        self._fresh.clear()

    def restore(
        self,
        point: Point,
        point_id: int,
        last: tuple[int, float],
        slot: tuple[int | None, int, int, int],
    ) -> bool:
        """Take over a point from its last used reading and its open slot as it is stored.

        `slot` is (energy or None, estimated, measured, flags).
        """
        last_us, value = last
        register = _register(point, last_us)
        if register is None or not float(value).is_integer():
            return False
        num, den, most_rise, per_us, until_us = register
        if abs(value) * num >= MOST_LEVEL or abs(value) > energy.MOST_COUNT:
            return False
        self._grow(point_id + 1)
        state = self._state
        state.live[point_id], state.dirty[point_id] = True, False
        state.last_us[point_id], state.last_count[point_id] = last_us, int(value)
        state.slot_us[point_id] = last_us // SLOT_US * SLOT_US
        told, estimated, measured, flags = slot
        state.energy_e6[point_id], state.known[point_id] = told or 0, told is not None
        state.estimated_e6[point_id], state.measured_us[point_id] = estimated, measured
        state.flags[point_id] = flags
        state.num[point_id], state.den[point_id] = num, den
        state.most_rise[point_id], state.per_us[point_id] = most_rise, per_us
        state.max_gap_us[point_id], state.until_us[point_id] = point.max_gap_us, until_us
        return True

    def take(self, point_id: Int64s, ts_us: Int64s, value: Floats, quality: Int16s) -> list[Reach]:
        """Take new readings sorted by point and time; return the points that are not plain."""
        if not len(point_id):
            return []
        self._grow(int(point_id[-1]) + 1)
        if self._fresh:
            later = ~self._begin(point_id, ts_us, value, quality)
            if not later.all():
                return self.take(point_id[later], ts_us[later], value[later], quality[later])
        first = np.flatnonzero(np.diff(point_id, prepend=point_id[0] - 1))
        last = np.append(first[1:], len(point_id)) - 1
        plain = self._plain(point_id, ts_us, value, quality, first)
        plain &= self._state.live[point_id[first]]
        others = np.flatnonzero(~plain)
        reaches = self.drop(point_id[first[others]])
        self.refused += len(others)
        if plain.any():
            rows = np.repeat(plain, last - first + 1)
            self._add(point_id[rows], ts_us[rows], value[rows].astype(np.int64))
        reaches += [
            Reach(int(point_id[first[n]]), int(ts_us[first[n]]), int(ts_us[last[n]]) + 1)
            for n in others.tolist()
        ]
        return reaches

    def drain(self) -> SlotRows:
        """Return the slots that closed or grew since the last time, each as it is now."""
        state = self._state
        open_ones = np.flatnonzero(state.dirty & state.live)
        rows = SlotRows(
            open_ones,
            state.slot_us[open_ones],
            state.energy_e6[open_ones],
            state.known[open_ones],
            state.estimated_e6[open_ones],
            state.measured_us[open_ones],
            state.flags[open_ones],
        )
        state.dirty[:] = False
        rows = _newest(SlotRows.join([*self._closed, rows]))
        self._closed.clear()
        return rows.take(rows.known | (rows.flags > 0))

    def put_back(self, rows: SlotRows) -> None:
        """Take back what was drained and could not be stored: it comes with the next drain."""
        state = self._state
        still = state.live[rows.point_id] & (state.slot_us[rows.point_id] == rows.start_us)
        state.dirty[rows.point_id[still]] = True
        self._closed.insert(0, rows.take(~still))

    def _begin(self, point_id: Int64s, ts_us: Int64s, value: Floats, quality: Int16s) -> Bools:
        """Take points over from their first reading ever; tell which rows that were."""
        begun = np.zeros(len(point_id), np.bool_)
        first = np.flatnonzero(np.diff(point_id, prepend=point_id[0] - 1))
        for row, number in zip(first.tolist(), point_id[first].tolist(), strict=True):
            point = self._fresh.pop(number, None)
            if point is not None and quality[row] == 0 and np.isfinite(value[row]):
                told = (int(ts_us[row]), float(value[row]))
                begun[row] = self.restore(point, number, told, (None, 0, 0, 0))
        return begun

    def _plain(
        self, point_id: Int64s, ts_us: Int64s, value: Floats, quality: Int16s, first: Int64s
    ) -> Bools:
        """Tell of each point whether all its new steps are plain rises."""
        state = self._state
        counts = np.where(np.isfinite(value), value, 0.0)
        before_us, before = np.roll(ts_us, 1), np.roll(counts, 1)
        before_us[first] = state.last_us[point_id[first]]
        before[first] = state.last_count[point_id[first]]
        rise, dt_us = counts - before, ts_us - before_us
        well = (quality == 0) & (counts == np.rint(value)) & (np.abs(counts) <= energy.MOST_COUNT)
        well &= (rise >= 0) & (dt_us > 0) & (dt_us <= state.max_gap_us[point_id])
        well &= rise <= state.most_rise[point_id]
        well &= (rise - 1) <= state.per_us[point_id] * dt_us * _NEARLY
        well &= ts_us < state.until_us[point_id]
        well &= np.abs(counts) * state.num[point_id] < MOST_LEVEL
        # One slot further at most: what spans more slots is summed over them elsewhere.
        last = np.append(first[1:], len(point_id)) - 1
        spanned = ts_us[last] // SLOT_US * SLOT_US - state.slot_us[point_id[first]]
        found: Bools = np.logical_and.reduceat(well, first) & (spanned <= SLOT_US)
        return found

    def _add(self, point_id: Int64s, ts_us: Int64s, count: Int64s) -> None:
        """Add plain readings; each point's lie in its open slot and the one after it."""
        state = self._state
        first = np.flatnonzero(np.diff(point_id, prepend=point_id[0] - 1))
        last = np.append(first[1:], len(point_id)) - 1
        number = point_id[last]
        edge_us = state.slot_us[number] + SLOT_US
        crossing = ts_us[last] >= edge_us
        if crossing.any():
            self._cross(point_id, ts_us, count, first[crossing], last[crossing])
        inside = number[~crossing]
        self._grow_by(inside, count[last[~crossing]], ts_us[last[~crossing]])
        state.dirty[number] = True
        self.taken += len(point_id)

    def _cross(
        self, point_id: Int64s, ts_us: Int64s, count: Int64s, first: Int64s, last: Int64s
    ) -> None:
        """Close the slots of points that reach the next one, by the step across the edge."""
        state = self._state
        number = point_id[last]
        edge_us = state.slot_us[number] + SLOT_US
        # The first reading at or past the edge; the one before it may be of an earlier batch.
        past = ts_us >= np.repeat(edge_us, last - first + 1)[_places(first, last, len(ts_us))]
        after = first + _first_true(past, first, last)
        inner = after > first
        before_us = np.where(inner, ts_us[after - 1], state.last_us[number])
        before = np.where(inner, count[after - 1], state.last_count[number])
        dt_us = ts_us[after] - before_us
        rise = count[after] - before
        at_edge = exactmath.levels_each(
            before, rise, dt_us, edge_us - before_us, state.num[number], state.den[number]
        )
        since = self._level(number, state.last_count[number])
        booked_us = edge_us - state.last_us[number]
        self._closed.append(
            SlotRows(
                number,
                state.slot_us[number],
                state.energy_e6[number] + at_edge - since,
                state.known[number] | (booked_us > 0),
                state.estimated_e6[number],
                state.measured_us[number] + booked_us,
                state.flags[number],
            )
        )
        level = self._level(number, count[last])
        state.slot_us[number] = edge_us
        state.energy_e6[number] = level - at_edge
        state.known[number] = ts_us[last] > edge_us
        state.measured_us[number] = ts_us[last] - edge_us
        state.estimated_e6[number] = state.flags[number] = 0
        state.last_us[number], state.last_count[number] = ts_us[last], count[last]

    def _grow_by(self, number: Int64s, count: Int64s, at_us: Int64s) -> None:
        state = self._state
        more = self._level(number, count) - self._level(number, state.last_count[number])
        state.energy_e6[number] += more
        state.measured_us[number] += at_us - state.last_us[number]
        state.known[number] = True
        state.last_us[number], state.last_count[number] = at_us, count

    def _level(self, number: Int64s, count: Int64s) -> Int64s:
        state = self._state
        still, one = np.zeros_like(count), np.ones_like(count)
        return exactmath.levels_each(count, still, one, still, state.num[number], state.den[number])

    def _grow(self, length: int) -> None:
        if length <= len(self._state.live):
            return
        grown = _State.empty(max(length, 2 * len(self._state.live)))
        for each in fields(_State):
            column = getattr(self._state, each.name)
            getattr(grown, each.name)[: len(column)] = column
        self._state = grown


def _register(point: Point, at_us: int) -> tuple[int, int, int, float, int] | None:
    """Return (num, den, most rise, counts per microsecond, until) of a counter at an instant.

    `num/den` are 1e-6 units a count. None where the point cannot be plain: it is no counter with
    energy, or its multiplier is unknown there.
    """
    if point.kind is not PointKind.COUNTER or point.energy_unit is None:
        return None
    held = [(since, value) for since, value in point.multipliers if since <= at_us]
    if point.multipliers and not held:
        return None
    changes = [since for since, _ in point.multipliers if since > at_us]
    changes += [exchange.at_us for exchange in point.exchanges if exchange.at_us > at_us]
    ratio = (held[-1][1] if held else 1) * E6
    num, den = (ratio, 1) if isinstance(ratio, int) else (ratio.numerator, ratio.denominator)
    if num <= 0 or num >= 2**60 or den >= 2**30:
        return None
    rule = energy.rule_of(point, 1)
    allowance = rule.allowance_on(at_us, at_us + 1)
    per_us = np.inf if allowance is None else allowance.per_us / allowance.per_count
    return num, den, rule.most_rise, float(per_us), min(changes, default=EVER_US)


def _newest(rows: SlotRows) -> SlotRows:
    """Return the last row of each slot, in order of point and time."""
    order = np.lexsort((rows.start_us, rows.point_id))  # stable: equal slots stay in order
    rows = rows.take(order)
    last = np.ones(len(rows), np.bool_)
    last[:-1] = (np.diff(rows.point_id) != 0) | (np.diff(rows.start_us) != 0)
    return rows.take(last)


def _places(first: Int64s, last: Int64s, length: int) -> Int64s:
    """Return for each row of all groups its place among the rows of the chosen groups."""
    place = np.zeros(length, np.int64)
    size = last - first + 1
    starts = np.cumsum(size) - size
    rows = np.arange(int(size.sum())) - np.repeat(starts - first, size)
    place[rows] = np.arange(len(rows))
    return place


def _first_true(mask: Bools, first: Int64s, last: Int64s) -> Int64s:
    """Return in each group the distance from its first row to its first true one; there is one."""
    before = np.concatenate([[0], np.cumsum(~mask)])
    # The rows of a group ascend in time, so what is false comes before what is true.
    return np.asarray(before[last + 1] - before[first], np.int64)
