"""Readings: append-only, one per point and instant, stored by watermark-split COPY.

Rows newer than their point's watermark go by binary COPY; the rest is compared with what is
stored and inserted ON CONFLICT DO NOTHING, in the same transaction. The primary key decides; the
watermark only routes. Promise: after a commit the store holds every offered row, or the one that
was there before it, and the caller knows which rows contradict it (design 4.6, performance 1.3).

Every query says between which instants its rows lie, as values the planner sees: of hundreds of
partitions it then opens the few that matter. But for `newest` they are the same on all engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from psycopg import errors

from core.clock import from_us, to_us
from core.quality import Quality
from store import arrays, overlaps, partitions
from store.engine import DAY_US, Engine, layout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import LiteralString

    import psycopg
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
    if (await layout(connection)).engine is Engine.CITUS:
        return await _newest_on_citus(connection)
    return await _read_rows(connection, _NEWEST, ())


async def _newest_on_citus(connection: AsyncConnection[Any]) -> Rows:
    """Look no further back than what points showed last, for those that showed anything."""
    shown = await _read_rows(connection, _SHOWN, ())
    parts = []
    if len(shown):
        keys = (arrays.Int4s(shown.point_id), arrays.Instants(shown.ts_us))
        oldest, _ = _between(shown.ts_us)
        parts.append(await _read_rows(connection, _NEWEST_SHOWN, (*keys, oldest)))
    cursor = await connection.execute(
        "select point_id from point where point_id not in (select point_id from point_latest)"
    )
    unshown = np.array([row[0] for row in await cursor.fetchall()], np.int64)
    if len(unshown):
        parts.append(await _read_rows(connection, _NEWEST_UNSHOWN, (arrays.Int4s(unshown),)))
    return Rows.join(parts)


async def _read_rows(
    connection: AsyncConnection[Any], query: LiteralString, parameters: Sequence[object]
) -> Rows:
    cursor = arrays.read_columns(connection.cursor())
    await cursor.execute(query, parameters, binary=True)
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
    Partitions that are missing are made. Raises core.errors.Rejected for rows behind the retention
    horizon (`archived`) and for more new days than the server bears (`too_old`).
    """
    await partitions.make_for(connection, rows.ts_us, recorded_at)
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
    overlap = await overlaps.overlapping(connection, offered, order[first], ~there, intervals_us)
    new = ~there & ~overlap
    try:
        await copy_rows(connection, offered.take(new & ~slow), recorded_at)
        lost = await insert_rows(connection, offered.take(new & slow), recorded_at)
    except (errors.CheckViolation, errors.InternalError_) as error:
        told = _told(connection, error)
        if told is None:
            raise
        raise told from error
    if lost:
        raise LostRaceError
    kept_value = np.where(there, value, offered.value)[key]
    kept_quality = np.where(there, quality, offered.quality)[key]
    same = ((ordered.value == kept_value) | (np.isnan(ordered.value) & np.isnan(kept_value))) & (
        ordered.quality == kept_quality
    )
    # What a bad reading says is not known, so two of them never contradict each other.
    same |= (ordered.quality == Quality.BAD) & (kept_quality == Quality.BAD)
    conflict = ~same & ~overlap[key]
    return Stored(
        offered.take(new),
        order[conflict],
        kept_value[conflict],
        kept_quality[conflict],
        order[overlap[key]],
    )


class LostRaceError(Exception):
    """Somebody changed what we had looked at before we wrote: roll back and write again."""


def _told(connection: AsyncConnection[Any], error: psycopg.Error) -> Exception | None:
    """Return what an error of the store means; Citus tells its workers' errors by text only."""
    if "no partition of relation" in str(error):  # the one we knew was dropped, or rolled back
        partitions.forget(connection)
        return LostRaceError()
    if "violates unique constraint" in str(error):
        return errors.UniqueViolation(*error.args)
    return None


async def read_series(
    connection: AsyncConnection[Any],
    point_id: int,
    from_us: int,
    until_us: int,
    before: int = 0,
    after: int = 0,
    known_at: datetime | None = None,
) -> Series:
    """Return all readings of [from, until) in order, bad ones included.

    Reaches back to the `before`-th usable reading before it and on to the `after`-th behind it;
    what lies between is complete. With `known_at`, as if nothing had been recorded later.
    """
    back = onward = 0
    while True:
        lowest = from_us - _BACK_US[back] if before else from_us
        highest = until_us + _ONWARD_US[onward] if after else until_us
        found = await _read_series(
            connection, point_id, (lowest, from_us, until_us, highest), before, after, known_at
        )
        usable = found.ts_us[found.quality != Quality.BAD]
        short_before = lowest > _FIRST_US and int((usable < from_us).sum()) < before
        short_after = highest < _LAST_US and int((usable >= until_us).sum()) < after
        if not short_before and not short_after:
            return found
        back, onward = back + short_before, onward + short_after


async def _read_series(
    connection: AsyncConnection[Any],
    point_id: int,
    bounds_us: tuple[int, int, int, int],
    before: int,
    after: int,
    known_at: datetime | None,
) -> Series:
    """Return the readings of [from, until) and of their neighbours in [lowest, highest]."""
    lowest, begin, end, highest = map(_bounded, bounds_us)
    cursor = arrays.read_columns(connection.cursor())
    await cursor.execute(
        _SERIES,
        {
            "point": point_id,
            "lowest": lowest,
            "from": begin,
            "until": end,
            "highest": highest,
            "before": before,
            "after": after,
            "at": known_at,
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
_SHOWN: Final = (
    "select array_agg(point_id), array_agg(ts), array_agg(value), array_agg(quality)"
    " from point_latest"
)
# What points showed last is committed before it is shown: the newest reading is no older.
_NEWEST_SHOWN: Final = (
    "select array_agg(point_id), array_agg(ts), array_agg(value), array_agg(quality) from ("
    " select distinct on (r.point_id) r.point_id, r.ts, r.value, r.quality"
    " from unnest(%s, %s) l(p, t) join reading r on r.point_id = l.p and r.ts >= l.t"
    " where r.ts >= %s order by r.point_id, r.ts desc) n"
)
_NEWEST_UNSHOWN: Final = (
    "select array_agg(point_id), array_agg(ts), array_agg(value), array_agg(quality) from ("
    " select distinct on (point_id) point_id, ts, value, quality from reading"
    " where point_id = any(%s) order by point_id, ts desc) r"
)
_SERIES: Final = (
    "with span as (select"
    " coalesce((select min(ts) from (select ts from reading where point_id = %(point)s"
    "  and ts < %(from)s and ts >= %(lowest)s and quality < 2"
    "  and (%(at)s::timestamptz is null or recorded_at <= %(at)s) order by ts desc"
    "  limit %(before)s) x), %(from)s) lo,"
    " coalesce((select max(ts) from (select ts from reading where point_id = %(point)s"
    "  and ts >= %(until)s and ts <= %(highest)s and quality < 2"
    "  and (%(at)s::timestamptz is null or recorded_at <= %(at)s) order by ts"
    "  limit %(after)s) x), %(until)s - interval '1 microsecond') hi)"
    " select array_agg(ts), array_agg(value), array_agg(quality) from (select ts, value, quality"
    " from reading where point_id = %(point)s and ts >= %(lowest)s and ts <= %(highest)s"
    " and ts >= (select lo from span) and ts <= (select hi from span)"
    " and (%(at)s::timestamptz is null or recorded_at <= %(at)s) order by ts) y"
)
_LOOK_UP: Final = (
    "select array_agg(k.n::int), array_agg(r.value), array_agg(r.quality)"
    " from unnest(%s, %s) with ordinality as k(p, t, n) join reading r on r.point_id = k.p"
    " and r.ts = k.t where r.point_id = any(%s) and r.ts >= %s and r.ts <= %s"
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
        keys = (arrays.Int4s(asked.point_id), arrays.Instants(asked.ts_us))
        # The points as values too: of a compressed chunk only their segments are unpacked.
        points = arrays.Int4s(np.unique(asked.point_id))
        await cursor.execute(_LOOK_UP, (*keys, points, *_between(asked.ts_us)), binary=True)
        row = await cursor.fetchone()
        if row is not None and row[0] is not None:
            places = np.flatnonzero(slow)[row[0] - 1]
            there[places], value[places], quality[places] = True, row[1], row[2]
    return there, value, quality


async def copy_rows(connection: AsyncConnection[Any], rows: Rows, recorded_at: datetime) -> None:
    """Store rows by binary COPY alone; one that is there already spoils the transaction."""
    if not len(rows):
        return
    body = arrays.copy_body(rows.ts_us, to_us(recorded_at), rows.value, rows.point_id, rows.quality)
    async with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        await copy.write(body)


async def insert_rows(connection: AsyncConnection[Any], rows: Rows, recorded_at: datetime) -> int:
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


def _between(ts_us: Int64s, margin_us: int = 0) -> tuple[datetime, datetime]:
    """Return the bounds of these instants, for the planner to see."""
    return _bounded(int(ts_us.min()) - margin_us), _bounded(int(ts_us.max()) + margin_us)


def _bounded(instant_us: int) -> datetime:
    """Return the instant, cut to what a datetime can say."""
    return from_us(min(max(instant_us, _FIRST_US), _LAST_US))


_FIRST_US: Final = -62_135_596_800_000_000  # 0001-01-01
_LAST_US: Final = 253_402_214_400_000_000  # 9999-12-31
# How far neighbours are looked for: as a rule they are close, and at the live end there is none
# and little to look through. The last look is at everything.
_BACK_US: Final = (2 * DAY_US, 60 * DAY_US, 2 * _LAST_US)
_ONWARD_US: Final = (2 * DAY_US, 2 * _LAST_US)
