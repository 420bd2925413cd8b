"""Readings of one point drawn together in buckets, least and greatest kept: what a chart draws."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core.clock import from_us, to_us
from core.quality import Quality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection


@dataclass(frozen=True, slots=True)
class Trend:
    """Buckets that hold readings, in order; `least` and `greatest` None where all were bad."""

    start_us: Sequence[int]
    least: Sequence[float | None]
    greatest: Sequence[float | None]
    readings: Sequence[int]
    bad: Sequence[int]


async def read(
    connection: AsyncConnection[Any], point_id: int, span_us: tuple[int, int], bucket_us: int
) -> Trend:
    """Return the buckets of [from, until), which count from its beginning."""
    cursor = await connection.execute(
        _TREND,
        {
            "bad": int(Quality.BAD),
            "width": timedelta(microseconds=bucket_us),
            "point": point_id,
            "from": from_us(span_us[0]),
            "until": from_us(span_us[1]),
        },
    )
    rows = await cursor.fetchall()
    return Trend(
        [to_us(row[0]) for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        [row[3] for row in rows],
        [row[4] for row in rows],
    )


# A value that is no number is the bad reading of a device that answered none.
_TREND: Final = (
    "select date_bin(%(width)s, ts, %(from)s) as start, min(value) filter (where good),"
    " max(value) filter (where good), count(*), count(*) filter (where not good)"
    " from (select ts, value, quality <> %(bad)s and value <> 'NaN' as good from reading"
    "  where point_id = %(point)s and ts >= %(from)s and ts < %(until)s) r"
    " group by start order by start"
)
