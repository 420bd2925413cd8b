"""Slot energy: which slots must be computed, what was computed, and sums over periods.

A slot is recomputed and overwritten, never added to, so doing it twice changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.clock import from_us
from core.openslots import SlotRows
from core.periods import SLOT_US
from store import arrays, retention

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.exactmath import Bools, Int64s
    from store.readings import Rows

MOST_MARKS: Final = 5_000  # touched spans taken in one pass
MOST_ROWS: Final = 20_000  # slots of one statement
MOST_SPANS: Final = 8  # marks of one batch: more different ones are joined to one that covers all
_US: Final = "(extract(epoch from {}) * 1000000)::bigint"


@dataclass(frozen=True, slots=True)
class Touched:
    """Readings of [from, until) of points were committed and their slots are not computed yet."""

    id: int
    from_us: int
    until_us: int
    points: Int64s


async def touched(connection: AsyncConnection[Any]) -> list[Touched]:
    """Return the oldest marks, at most MOST_MARKS."""
    cursor = arrays.read_columns(connection.cursor())
    await cursor.execute(
        f"select touched_id, {_US.format('from_ts')}, {_US.format('until_ts')}, first_points,"  # noqa: S608 - constants only
        " last_points from touched order by touched_id limit %s",
        (MOST_MARKS,),
        binary=True,
    )
    return [
        Touched(number, low, high, _unpacked(first, last))
        for number, low, high, first, last in await cursor.fetchall()
    ]


async def touch(
    connection: AsyncConnection[Any], spans: Iterable[tuple[int, int, int]]
) -> list[int]:
    """Mark spans (point id, from, until in microseconds) as not computed; return the marks' ids."""
    rows = np.array([*spans], np.int64).reshape(-1, 3)
    return await _mark(connection, rows[:, 0], rows[:, 1], rows[:, 2])


async def touch_rows(connection: AsyncConnection[Any], new: Rows, gives_energy: Bools) -> list[int]:
    """Mark the slots of new rows, sorted by point and time; return the marks' ids."""
    rows = new.take(gives_energy[new.point_id])
    if not len(rows):
        return []
    first = np.flatnonzero(np.diff(rows.point_id, prepend=-1))
    last = np.append(first[1:], len(rows)) - 1
    low_us = rows.ts_us[first] // SLOT_US * SLOT_US
    high_us = rows.ts_us[last] // SLOT_US * SLOT_US + SLOT_US
    return await _mark(connection, rows.point_id[first], low_us, high_us)


async def _mark(
    connection: AsyncConnection[Any],
    point_id: Int64s,
    low_us: Int64s,
    high_us: Int64s,
) -> list[int]:
    if not len(point_id):
        return []
    order = np.lexsort((high_us, low_us))
    low_us, high_us, point_id = low_us[order], high_us[order], point_id[order]
    begins = np.flatnonzero(
        (np.diff(low_us, prepend=low_us[0] - 1) != 0) | (np.diff(high_us, prepend=0) != 0)
    )
    spans = list(zip(low_us[begins].tolist(), high_us[begins].tolist(), strict=True))
    groups = np.split(point_id, begins[1:])
    if len(spans) > MOST_SPANS:
        spans, groups = [(int(low_us.min()), int(high_us.max()))], [point_id]
    marks: list[int] = []
    for (low, high), numbers in zip(spans, groups, strict=True):
        first, last = _packed(numbers)
        cursor = await connection.execute(
            "insert into touched (from_ts, until_ts, first_points, last_points)"
            " values (%s, %s, %s, %s) returning touched_id",
            (from_us(low), from_us(high), arrays.Int4s(first), arrays.Int4s(last)),
        )
        row = await cursor.fetchone()
        assert row is not None, "an insert returns its row"  # noqa: S101 - a belief
        marks.append(row[0])
    return marks


def _packed(points: Int64s) -> tuple[Int64s, Int64s]:
    """Return runs of neighbouring numbers: their first and last ones."""
    numbers = np.unique(points)
    begins = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 2) > 1)
    return numbers[begins], numbers[np.append(begins[1:], len(numbers)) - 1]


def _unpacked(first: Int64s, last: Int64s) -> Int64s:
    size = last.astype(np.int64) - first + 1
    starts = np.cumsum(size) - size
    found: Int64s = np.arange(int(size.sum())) - np.repeat(starts - first, size)
    return found


async def settle(connection: AsyncConnection[Any], ids: Sequence[int]) -> None:
    """Drop marks whose slots have been computed; commit together with the slots."""
    await connection.execute("delete from touched where touched_id = any(%s)", (list(ids),))


async def extent(connection: AsyncConnection[Any], point_id: int) -> tuple[int, int] | None:
    """Return the instants of the first and last reading that is not bad, None without any."""
    cursor = await connection.execute(
        f"select {_US.format('min(ts)')}, {_US.format('max(ts)')}"  # noqa: S608 - constants only
        " from reading where point_id = %s and quality < 2",
        (point_id,),
    )
    row = await cursor.fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


async def neighbours(
    connection: AsyncConnection[Any], point_id: int, begin_us: int, end_us: int
) -> tuple[int | None, int | None]:
    """Return the last usable reading's instant before `begin` and the first at or after `end`."""
    cursor = await connection.execute(
        f"select (select {_US.format('ts')} from reading where point_id = %(p)s and ts < %(a)s"  # noqa: S608 - constants only
        "  and quality < 2 order by ts desc limit 1),"
        f" (select {_US.format('ts')} from reading where point_id = %(p)s and ts >= %(b)s"
        "  and quality < 2 order by ts limit 1)",
        {"p": point_id, "a": from_us(begin_us), "b": from_us(end_us)},
    )
    row = await cursor.fetchone()
    return (None, None) if row is None else (row[0], row[1])


async def write(connection: AsyncConnection[Any], rows: SlotRows, computed_at: datetime) -> int:
    """Overwrite slots, each at most once; return how many differ from what was stored."""
    written = 0
    for low in range(0, len(rows), MOST_ROWS):
        part = rows.take(np.arange(low, min(low + MOST_ROWS, len(rows))))
        cursor = await connection.execute(
            _WRITE,
            (
                computed_at,
                arrays.Int4s(part.point_id),
                arrays.Instants(part.start_us),
                arrays.Int8s(part.energy_e6),
                arrays.Int2s(part.known.astype(np.int16)),
                arrays.Int8s(part.estimated_e6),
                arrays.Int8s(part.measured_us),
                arrays.Int4s(part.flags),
            ),
        )
        row = await cursor.fetchone()
        written += row[0] if row else 0
    return written


async def clear(
    connection: AsyncConnection[Any], point_id: int, span_us: tuple[int, int], kept_us: Int64s
) -> None:
    """Drop a point's slots that begin in [from, until), but for those that begin at `kept_us`."""
    await connection.execute(
        "delete from slot_energy where point_id = %s and slot_start >= %s and slot_start < %s"
        " and slot_start <> all(%s)",
        (point_id, from_us(span_us[0]), from_us(span_us[1]), arrays.Instants(kept_us)),
    )


async def open_rows(
    connection: AsyncConnection[Any], point_id: Int64s, start_us: Int64s
) -> SlotRows:
    """Return the stored slots with these points and beginnings; slots without a row are left out.

    A plain join: Citus pushes no LATERAL down (components 6).
    """
    cursor = arrays.read_columns(connection.cursor())
    await cursor.execute(
        "select array_agg(s.point_id), array_agg(s.slot_start),"
        " array_agg(coalesce(s.energy_e6, 0)), array_agg((s.energy_e6 is not null)::int),"
        " array_agg(s.estimated_e6), array_agg(s.measured_us), array_agg(s.flags)"
        " from unnest(%s, %s) k(p, t)"
        " join slot_energy s on s.point_id = k.p and s.slot_start = k.t",
        (arrays.Int4s(point_id), arrays.Instants(start_us)),
        binary=True,
    )
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return SlotRows.join([])
    number, start, energy_e6, known, estimated, measured, flags = row
    return SlotRows(
        number.astype(np.int64),
        start,
        energy_e6,
        known > 0,
        estimated,
        measured,
        flags.astype(np.int64),
    )


_WRITE: Final = (
    "with done as (insert into slot_energy (point_id, slot_start, energy_e6, estimated_e6,"
    " measured_us, flags, computed_at) select p, s, case when k = 1 then e end, x, m, f, %s"
    " from unnest(%s, %s, %s, %s, %s, %s, %s) as t(p, s, e, k, x, m, f)"
    " on conflict (point_id, slot_start) do update set energy_e6 = excluded.energy_e6,"
    " estimated_e6 = excluded.estimated_e6, measured_us = excluded.measured_us,"
    " flags = excluded.flags, computed_at = excluded.computed_at"
    " where (slot_energy.energy_e6, slot_energy.estimated_e6, slot_energy.measured_us,"
    " slot_energy.flags) is distinct from (excluded.energy_e6, excluded.estimated_e6,"
    " excluded.measured_us, excluded.flags) returning 1) select count(*) from done"
)


async def confirmed(connection: AsyncConnection[Any], point_id: int) -> frozenset[int]:
    """Return the instants of the held steps that a person confirmed."""
    cursor = await connection.execute(
        f"select {_US.format('ts')} from confirmed_step where point_id = %s",  # noqa: S608 - constants only
        (point_id,),
    )
    return frozenset(row[0] for row in await cursor.fetchall())


async def confirmed_of(
    connection: AsyncConnection[Any], point_ids: Sequence[int]
) -> dict[int, frozenset[int]]:
    """Return the instants of confirmed held steps of those of the points that have any."""
    cursor = await connection.execute(
        f"select point_id, array_agg({_US.format('ts')}) from confirmed_step"  # noqa: S608 - constants only
        " where point_id = any(%s) group by point_id",
        (list(point_ids),),
    )
    return {point_id: frozenset(at_us) for point_id, at_us in await cursor.fetchall()}


async def has_reading(connection: AsyncConnection[Any], point_id: int, at_us: int) -> bool:
    """Tell whether a usable reading of the point is stored at this instant, and not archived."""
    cursor = await connection.execute(
        "select 1 from reading where point_id = %s and ts = %s and quality < 2",
        (point_id, from_us(at_us)),
    )
    there = await cursor.fetchone() is not None
    kept = await retention.load(connection)  # behind it no slot is computed again
    return there and not bool(kept.archived(np.array([at_us], np.int64)).any())


async def confirm(
    connection: AsyncConnection[Any], point_id: int, at_us: int, who: str, now: datetime
) -> tuple[str, datetime, bool]:
    """Confirm the held step that ends at this instant and have its slots computed again.

    Returns who confirmed it, when, and whether this is new: the first one stays.
    """
    cursor = await connection.execute(
        "insert into confirmed_step (point_id, ts, confirmed_by, confirmed_at)"
        " values (%s, %s, %s, %s) on conflict do nothing returning confirmed_by, confirmed_at",
        (point_id, from_us(at_us), who, now),
    )
    row = await cursor.fetchone()
    if row is not None:
        await touch(connection, [(point_id, at_us, at_us + 1)])
        return row[0], row[1], True
    cursor = await connection.execute(
        "select confirmed_by, confirmed_at from confirmed_step where point_id = %s and ts = %s",
        (point_id, from_us(at_us)),
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the conflict above says that it is there
    return row[0], row[1], False
