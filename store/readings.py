"""Readings: append-only, one per point and instant, stored by watermark-split COPY.

Rows newer than their point's watermark go by binary COPY; the rest is compared with what is
stored and inserted ON CONFLICT DO NOTHING, in the same transaction. The primary key decides; the
watermark only routes. Promise: after a commit the store holds every offered row, or the one that
was there before it, and the caller knows which rows contradict it (design 4.6, performance 1.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.clock import from_us, to_us
from core.quality import Quality
from store import arrays

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray
    from psycopg import AsyncConnection

    from core.exactmath import Floats, Int16s, Int64s

    Mask = NDArray[np.bool_]

NEVER_US: Final = -(2**63)
MOST_AHEAD_US: Final = 86_400 * 1_000_000  # a far-future reading must not slow its point for ever


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of readings: number of the point, microseconds since 1970, value, quality code."""

    point_id: Int64s
    ts_us: Int64s
    value: Floats
    quality: Int16s

    def __len__(self) -> int:
        return len(self.ts_us)

    def take(self, which: NDArray[Any]) -> Rows:
        """Return the rows at these places, or under this mask."""
        return Rows(self.point_id[which], self.ts_us[which], self.value[which], self.quality[which])

    @staticmethod
    def join(parts: Sequence[Rows]) -> Rows:
        """Return the rows of all parts, one part after the other."""
        if not parts:
            return Rows(
                np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.int16)
            )
        return Rows(
            np.concatenate([part.point_id for part in parts]),
            np.concatenate([part.ts_us for part in parts]),
            np.concatenate([part.value for part in parts]),
            np.concatenate([part.quality for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one point in order of time."""

    ts_us: Int64s
    value: Floats
    quality: Int16s


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of offered rows; places count in the order of arrival.

    `new` is sorted by point and time. `conflicts` contradict the row of the same key that stays,
    whose value and quality stand beside them; `overlaps` lie inside another interval.
    """

    new: Rows
    conflicts: Int64s
    kept_value: Floats
    kept_quality: Int16s
    overlaps: Int64s


@dataclass(slots=True)
class Watermarks:
    """The newest stored instant of each point, by number: a hint that routes, never decides."""

    ts_us: Int64s

    @staticmethod
    def empty() -> Watermarks:
        """Return marks that route every row by COPY."""
        return Watermarks(np.empty(0, np.int64))

    def of(self, point_id: Int64s) -> Int64s:
        """Return each row's mark; NEVER_US where the point has none."""
        self._grow(int(point_id.max(initial=-1)) + 1)
        return self.ts_us[point_id]

    def advance(self, rows: Rows, now_us: int) -> None:
        """Raise the marks after a commit, at most MOST_AHEAD_US past the present."""
        self._grow(int(rows.point_id.max(initial=-1)) + 1)
        np.maximum.at(self.ts_us, rows.point_id, np.minimum(rows.ts_us, now_us + MOST_AHEAD_US))

    def _grow(self, length: int) -> None:
        if length > len(self.ts_us):
            grown = np.full(max(length, 2 * len(self.ts_us)), NEVER_US, np.int64)
            grown[: len(self.ts_us)] = self.ts_us
            self.ts_us = grown


async def newest(connection: AsyncConnection[Any]) -> Rows:
    """Return the newest reading of every point that has one."""
    cursor = arrays.read_columns(connection.cursor())
    await cursor.execute(_NEWEST, binary=True)
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return Rows.join([])
    return Rows(row[0].astype(np.int64), row[1], row[2], row[3])


async def load_watermarks(connection: AsyncConnection[Any], now: datetime) -> Watermarks:
    """Return the marks of what is stored."""
    marks = Watermarks.empty()
    marks.advance(await newest(connection), to_us(now))
    return marks


async def write(
    connection: AsyncConnection[Any],
    rows: Rows,
    recorded_at: datetime,
    marks: Watermarks | None,
    intervals_us: Int64s,
) -> Stored:
    """Store rows given in order of arrival, in the caller's transaction.

    `intervals_us` holds the length of each interval point by number, else 0. Without `marks` all
    rows take the slow path: so does the caller after psycopg.errors.UniqueViolation, which says
    that somebody else wrote newer rows than `marks` knows, and after which nothing was stored.
    """
    order = np.lexsort((rows.ts_us, rows.point_id))  # stable: equal keys stay in order of arrival
    ordered = rows.take(order)
    first = _first_of_key(ordered)
    key = np.cumsum(first) - 1  # the key that each row belongs to
    offered = ordered.take(first)
    slow = np.ones(len(offered), np.bool_)
    if marks is not None:
        # Intervals are always looked up: a stale mark would take a row for its own neighbour.
        slow = offered.ts_us <= marks.of(offered.point_id)
        slow |= intervals_us[offered.point_id] > 0
    there, value, quality = await _look_up(connection, offered, slow)
    overlap = await _overlaps(connection, offered, order[first], ~there, intervals_us)
    new = ~there & ~overlap
    await _copy(connection, offered.take(new & ~slow), recorded_at)
    lost = await _insert(connection, offered.take(new & slow), recorded_at)
    if lost:
        raise LostRaceError
    kept_value = np.where(there, value, offered.value)[key]
    kept_quality = np.where(there, quality, offered.quality)[key]
    same = ((ordered.value == kept_value) | (np.isnan(ordered.value) & np.isnan(kept_value))) & (
        ordered.quality == kept_quality
    )
    conflict = ~same & ~overlap[key]
    return Stored(
        offered.take(new),
        order[conflict],
        kept_value[conflict],
        kept_quality[conflict],
        order[overlap[key]],
    )


class LostRaceError(Exception):
    """Somebody else stored a row between our look and our insert: roll back and write again."""


async def touch(connection: AsyncConnection[Any], new: Rows, gives_energy: Mask) -> None:
    """Mark the spans of new rows, sorted as in `Stored`, whose slots must be computed."""
    rows = new.take(gives_energy[new.point_id])
    if not len(rows):
        return
    starts = np.flatnonzero(np.diff(rows.point_id, prepend=-1))
    ends = np.append(starts[1:], len(rows)) - 1
    await connection.execute(
        "insert into touched (point_id, from_ts, until_ts) select * from unnest(%s, %s, %s)",
        (
            arrays.Int4s(rows.point_id[starts]),
            arrays.Instants(rows.ts_us[starts]),
            arrays.Instants(rows.ts_us[ends] + 1),
        ),
    )


async def read_series(
    connection: AsyncConnection[Any],
    point_id: int,
    from_us: int,
    until_us: int,
    before: int = 0,
    after: int = 0,
) -> Series:
    """Return all readings of [from, until) in order, bad ones included.

    Reaches back to the `before`-th usable reading before it and on to the `after`-th behind it;
    what lies between is complete.
    """
    cursor = arrays.read_columns(connection.cursor())
    await cursor.execute(
        _SERIES,
        {
            "point": point_id,
            "from": _bounded(from_us),
            "until": _bounded(until_us),
            "before": before,
            "after": after,
        },
        binary=True,
    )
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return Series(np.empty(0, np.int64), np.empty(0), np.empty(0, np.int16))
    return Series(row[0], row[1], row[2])


async def write_latest(connection: AsyncConnection[Any], rows: Rows, rate_kw: Floats) -> None:
    """Show the newest reading of each point; `rate_kw` is NaN where its power is unknown."""
    await connection.execute(
        "insert into point_latest (point_id, ts, value, quality, rate_kw)"
        " select p, t, v, q, nullif(r, 'NaN') from unnest(%s, %s, %s, %s, %s) x(p, t, v, q, r)"
        " on conflict (point_id) do update set ts = excluded.ts, value = excluded.value,"
        " quality = excluded.quality, rate_kw = excluded.rate_kw"
        " where excluded.ts >= point_latest.ts",
        (
            arrays.Int4s(rows.point_id),
            arrays.Instants(rows.ts_us),
            arrays.Float8s(rows.value),
            arrays.Int2s(rows.quality),
            arrays.Float8s(rate_kw),
        ),
    )


_NEWEST: Final = (
    "select array_agg(p.point_id), array_agg(r.ts), array_agg(r.value), array_agg(r.quality)"
    " from point p cross join lateral (select ts, value, quality from reading"
    " where point_id = p.point_id order by ts desc limit 1) r"
)
_SERIES: Final = (
    "with span as (select"
    " coalesce((select min(ts) from (select ts from reading where point_id = %(point)s"
    "  and ts < %(from)s and quality < 2 order by ts desc limit %(before)s) x), %(from)s) lo,"
    " coalesce((select max(ts) from (select ts from reading where point_id = %(point)s"
    "  and ts >= %(until)s and quality < 2 order by ts limit %(after)s) x),"
    "  %(until)s - interval '1 microsecond') hi)"
    " select array_agg(ts), array_agg(value), array_agg(quality) from (select ts, value, quality"
    " from reading where point_id = %(point)s and ts >= (select lo from span)"
    " and ts <= (select hi from span) order by ts) y"
)
# LATERAL with LIMIT or OFFSET keeps the planner at one index look-up a key, whatever it believes
# of the sizes of tables.
_LOOK_UP: Final = (
    "select array_agg(coalesce(r.value, 'NaN') order by k.n),"
    " array_agg(coalesce(r.quality, -1::int2) order by k.n)"
    " from unnest(%s, %s) with ordinality as k(p, t, n) left join lateral"
    " (select value, quality from reading where point_id = k.p and ts = k.t limit 1) r on true"
)
_NEIGHBOURS: Final = (
    "select array_agg(r.point_id), array_agg(r.ts) from unnest(%s, %s, %s) as k(p, a, b)"
    " cross join lateral (select point_id, ts from reading where point_id = k.p and ts > k.a"
    " and ts < k.b and quality < 2 offset 0) r"
)
_INSERT: Final = (
    "with stored as (insert into reading (ts, recorded_at, value, point_id, quality)"
    " select t, %s, v, p, q from unnest(%s, %s, %s, %s) as x(t, v, p, q)"
    " on conflict do nothing returning 1) select count(*) from stored"
)
_COPY: Final = "copy reading (ts, recorded_at, value, point_id, quality) from stdin (format binary)"


def _first_of_key(ordered: Rows) -> Mask:
    first = np.ones(len(ordered), np.bool_)
    first[1:] = (ordered.point_id[1:] != ordered.point_id[:-1]) | (
        ordered.ts_us[1:] != ordered.ts_us[:-1]
    )
    return first


async def _look_up(
    connection: AsyncConnection[Any], offered: Rows, slow: Mask
) -> tuple[Mask, Floats, Int16s]:
    """Return (is stored, stored value, stored quality) of each key; looks up slow ones only."""
    there = np.zeros(len(offered), np.bool_)
    value = np.full(len(offered), np.nan)
    quality = np.full(len(offered), -1, np.int16)
    if slow.any():
        asked = offered.take(slow)
        cursor = arrays.read_columns(connection.cursor())
        await cursor.execute(
            _LOOK_UP, (arrays.Int4s(asked.point_id), arrays.Instants(asked.ts_us)), binary=True
        )
        row = await cursor.fetchone()
        assert row is not None, "an aggregate has one row"  # noqa: S101 - a belief
        value[slow], quality[slow] = row
        there = quality >= 0
    return there, value, quality


async def _copy(connection: AsyncConnection[Any], rows: Rows, recorded_at: datetime) -> None:
    if not len(rows):
        return
    body = arrays.copy_body(rows.ts_us, to_us(recorded_at), rows.value, rows.point_id, rows.quality)
    async with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        await copy.write(body)


async def _insert(connection: AsyncConnection[Any], rows: Rows, recorded_at: datetime) -> int:
    """Insert rows that were not there a moment ago; return how many were, after all.

    Counts what RETURNING gives: the row count of ON CONFLICT is not true everywhere.
    """
    if not len(rows):
        return 0
    cursor = await connection.execute(
        _INSERT,
        (
            recorded_at,
            arrays.Instants(rows.ts_us),
            arrays.Float8s(rows.value),
            arrays.Int4s(rows.point_id),
            arrays.Int2s(rows.quality),
        ),
    )
    row = await cursor.fetchone()
    return len(rows) - int(row[0] if row else 0)


async def _overlaps(
    connection: AsyncConnection[Any],
    offered: Rows,
    arrival: Int64s,
    absent: Mask,
    intervals_us: Int64s,
) -> Mask:
    """Return which absent rows of interval points lie inside another interval (design 4.6).

    What is stored stays, then what arrived first. Bad rows are as if absent: they neither cover
    nor are covered.
    """
    overlap = np.zeros(len(offered), np.bool_)
    length = intervals_us[offered.point_id]
    judged = np.flatnonzero((length > 0) & absent & (offered.quality != Quality.BAD))
    if not len(judged):
        return overlap
    rows, length = offered.take(judged), length[judged]
    cursor = arrays.read_columns(connection.cursor())
    starts = np.flatnonzero(np.diff(rows.point_id, prepend=-1))
    ends = np.append(starts[1:], len(rows)) - 1
    await cursor.execute(
        _NEIGHBOURS,
        (
            arrays.Int4s(rows.point_id[starts]),
            arrays.Instants(rows.ts_us[starts] - length[starts]),
            arrays.Instants(rows.ts_us[ends] + length[starts]),
        ),
        binary=True,
    )
    found = await cursor.fetchone()
    for begin, end in zip(starts.tolist(), (ends + 1).tolist(), strict=True):
        stored = np.empty(0, np.int64)
        if found is not None and found[0] is not None:
            stored = np.sort(found[1][found[0] == rows.point_id[begin]])
        part = slice(begin, end)
        overlap[judged[part]] = covered(
            rows.ts_us[part], arrival[judged[part]], stored, int(length[begin])
        )
    return overlap


def covered(ts_us: Int64s, arrival: Int64s, stored: Int64s, length_us: int) -> Mask:
    """Return which intervals [ts, ts + length) of one point overlap one that stays.

    `ts_us` and `stored` ascend. All that is stored stays; then whatever came first.
    """
    near = np.searchsorted(stored, ts_us - length_us, "right")
    taken = near < np.searchsorted(stored, ts_us + length_us, "left")
    if not ((np.diff(ts_us) < length_us).any()):
        return np.asarray(taken, np.bool_)
    # Of candidates that lie close to one another, the earliest arrival stands: one by one.
    open_ends: dict[int, list[int]] = {}
    for place in np.argsort(arrival, kind="stable").tolist():
        if taken[place]:
            continue
        at = int(ts_us[place])
        cell = at // length_us
        close = (
            t for near_cell in (cell - 1, cell, cell + 1) for t in open_ends.get(near_cell, ())
        )
        if any(abs(at - other) < length_us for other in close):
            taken[place] = True
        else:
            open_ends.setdefault(cell, []).append(at)
    return np.asarray(taken, np.bool_)


def _bounded(instant_us: int) -> datetime:
    """Return the instant, cut to what a datetime can say."""
    return from_us(min(max(instant_us, _FIRST_US), _LAST_US))


_FIRST_US: Final = -62_135_596_800_000_000  # 0001-01-01
_LAST_US: Final = 253_402_214_400_000_000  # 9999-12-31
