"""Readings in bounded blocks of numpy columns, out of the ledger and back into it.

What an archive and a backup are made of. Promise: no Python object per reading, never more than
MOST_BLOCK_ROWS of them in memory, each block sorted by point and time, and each reading with both
its times as they were stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from psycopg import errors

from core.clock import from_us
from store import arrays, partitions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from numpy.typing import NDArray
    from psycopg import AsyncConnection

    from core.exactmath import Floats, Int16s, Int64s

MOST_BLOCK_ROWS: Final = 1 << 18  # 7 MB in memory; larger ones are not read faster
DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Block:
    """Columns of readings sorted by (point, time); instants in microseconds since 1970 UTC."""

    point_id: Int64s
    ts_us: Int64s
    recorded_us: Int64s
    value: Floats
    quality: Int16s

    def __len__(self) -> int:
        return len(self.ts_us)

    def take(self, which: NDArray[Any] | slice) -> Block:
        """Return the rows at these places, or under this mask."""
        return Block(
            self.point_id[which],
            self.ts_us[which],
            self.recorded_us[which],
            self.value[which],
            self.quality[which],
        )

    def runs(self) -> list[tuple[int, slice]]:
        """Return (number of the point, its rows) in order; a point's rows are together."""
        if not len(self):
            return []
        starts = np.flatnonzero(np.diff(self.point_id, prepend=self.point_id[0] - 1)).tolist()
        ends = [*starts[1:], len(self)]
        numbers = self.point_id[starts].tolist()
        return [
            (point, slice(begin, end))
            for point, begin, end in zip(numbers, starts, ends, strict=True)
        ]


async def read(
    connection: AsyncConnection[Any],
    from_us: int,
    until_us: int,
    most_rows: int = MOST_BLOCK_ROWS,
) -> AsyncIterator[Block]:
    """Yield the readings of [from, until) by (point, time), in the caller's transaction.

    Each block is one look-up from the key after the last one, so a block costs what it holds.
    """
    last = (-1, from_us)
    while True:
        cursor = arrays.read_columns(connection.cursor())
        await cursor.execute(
            _PAGE,
            {
                "point": last[0],
                "last": bounded(last[1]),
                "from": bounded(from_us),
                "until": bounded(until_us),
                "most": most_rows,
            },
            binary=True,
        )
        row = await cursor.fetchone()
        if row is None or row[0] is None:
            return
        block = Block(row[0].astype(np.int64), *row[1:])
        yield block
        if len(block) < most_rows:
            return
        last = (int(block.point_id[-1]), int(block.ts_us[-1]))


async def of_point(
    connection: AsyncConnection[Any], point_id: int, from_us: int, until_us: int, most_rows: int
) -> Block:
    """Return at most `most_rows` of a point's readings in [from, until), the oldest ones."""
    cursor = arrays.read_columns(connection.cursor())
    await cursor.execute(
        _OF_POINT, (point_id, bounded(from_us), bounded(until_us), most_rows), binary=True
    )
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        row = ((), (), (), ())
    dtypes = (np.int64, np.int64, np.float64, np.int16)
    columns = [np.asarray(each, dtype) for each, dtype in zip(row, dtypes, strict=True)]
    return Block(np.full(len(columns[0]), point_id, np.int64), *columns)


async def stored_days(connection: AsyncConnection[Any]) -> list[int]:
    """Return the first instant of each UTC day that may hold readings, in order."""
    spans = await partitions.spans(connection)
    return [day for span in spans for day in days(span.from_us, span.until_us)]


async def count(connection: AsyncConnection[Any], from_us: int, until_us: int) -> int:
    """Return how many readings of [from, until) are stored."""
    cursor = await connection.execute(
        "select count(*) from reading where ts >= %s and ts < %s",
        (bounded(from_us), bounded(until_us)),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def copy_in(connection: AsyncConnection[Any], block: Block) -> None:
    """Store readings of which none is stored; raises UniqueViolation where one is."""
    body = arrays.copy_body(
        block.ts_us, block.recorded_us, block.value, block.point_id, block.quality
    )
    try:
        async with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            await copy.write(body)
    except errors.InternalError_ as error:  # how Citus tells its workers' errors: by text
        if "violates unique constraint" not in str(error):
            raise
        raise errors.UniqueViolation(*error.args) from error


async def merge_in(connection: AsyncConnection[Any], block: Block) -> int:
    """Store those readings whose instants are free, and return how many; the others stay."""
    cursor = await connection.execute(
        _MERGE,
        (
            arrays.Instants(block.ts_us),
            arrays.Instants(block.recorded_us),
            arrays.Float8s(block.value),
            arrays.Int4s(block.point_id),
            arrays.Int2s(block.quality),
        ),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def contradicted(connection: AsyncConnection[Any], block: Block) -> NDArray[np.bool_]:
    """Tell of each reading whether the ledger lacks it: absent, or with another value there."""
    lacking = np.ones(len(block), np.bool_)
    if not len(block):
        return lacking
    cursor = arrays.read_columns(connection.cursor())
    await cursor.execute(
        _LOOK_UP,
        (
            arrays.Int4s(block.point_id),
            arrays.Instants(block.ts_us),
            bounded(int(block.ts_us.min())),
            bounded(int(block.ts_us.max())),
        ),
        binary=True,
    )
    row = await cursor.fetchone()
    if row is not None and row[0] is not None:
        place, value, quality = row[0] - 1, row[1], row[2]
        ours = block.take(place)
        same = (value == ours.value) | (np.isnan(value) & np.isnan(ours.value))
        lacking[place] = ~(same & (quality == ours.quality))
    return lacking


def days(from_us: int, until_us: int) -> Sequence[int]:
    """Return the first instant of each UTC day that meets [from, until)."""
    return range(from_us - from_us % DAY_US, until_us, DAY_US)


def bounded(instant_us: int) -> datetime:
    """Return the instant, cut to the years that a datetime and PostgreSQL both know."""
    return from_us(min(max(instant_us, _FIRST_US), _LAST_US))


_FIRST_US: Final = -62_135_596_800_000_000  # 0001-01-01
_LAST_US: Final = 253_402_214_400_000_000  # 9999-12-31
_PAGE: Final = (
    "select array_agg(point_id), array_agg(ts), array_agg(recorded_at), array_agg(value),"
    " array_agg(quality) from (select point_id, ts, recorded_at, value, quality from reading"
    " where (point_id, ts) > (%(point)s, %(last)s) and ts >= %(from)s and ts < %(until)s"
    " order by point_id, ts limit %(most)s) x"
)
_OF_POINT: Final = (
    "select array_agg(ts), array_agg(recorded_at), array_agg(value), array_agg(quality) from"
    " (select ts, recorded_at, value, quality from reading where point_id = %s and ts >= %s"
    " and ts < %s order by ts limit %s) x"
)
_COPY: Final = "copy reading (ts, recorded_at, value, point_id, quality) from stdin (format binary)"
# What RETURNING gives is counted: the row count of ON CONFLICT is not true everywhere.
_MERGE: Final = (
    "with stored as (insert into reading (ts, recorded_at, value, point_id, quality)"
    " select * from unnest(%s, %s, %s, %s, %s) on conflict do nothing returning 1)"
    " select count(*) from stored"
)
_LOOK_UP: Final = (
    "select array_agg(k.n::int), array_agg(r.value), array_agg(r.quality)"
    " from unnest(%s, %s) with ordinality as k(p, t, n) join reading r on r.point_id = k.p"
    " and r.ts = k.t where r.ts >= %s and r.ts <= %s"
)
