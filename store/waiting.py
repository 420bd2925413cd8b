"""What still waits for its figures: the marks of touched slots and of touched results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.clock import from_us, to_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection


async def of_point(connection: AsyncConnection[Any], point_id: int) -> list[tuple[int, int]]:
    """Return the spans [from, until) of a point's readings whose slots are not computed yet."""
    cursor = await connection.execute(
        "select from_ts, until_ts from touched where exists (select"
        " from unnest(first_points, last_points) as run(first, last)"
        " where %s between first and last)",
        (point_id,),
    )
    return [(to_us(begin), to_us(end)) for begin, end in await cursor.fetchall()]


async def before(connection: AsyncConnection[Any], instant_us: int) -> bool:
    """Tell whether slots before an instant are not computed yet."""
    cursor = await connection.execute(
        "select 1 from touched where from_ts < %s limit 1", (from_us(instant_us),)
    )
    return await cursor.fetchone() is not None


async def of_unit(connection: AsyncConnection[Any], unit: str) -> list[tuple[int, int]]:
    """Return the spans [from, until) of a unit whose results are not computed yet."""
    cursor = await connection.execute(
        "select from_ts, until_ts from touched_unit where unit = %s", (unit,)
    )
    return [(to_us(begin), to_us(end)) for begin, end in await cursor.fetchall()]


async def any_in(
    connection: AsyncConnection[Any],
    point_ids: Sequence[int],
    units: Sequence[str],
    span_us: tuple[int, int],
) -> bool:
    """Tell whether anything of these points and units waits that lies in a span."""
    cursor = await connection.execute(
        "select exists (select from touched t, unnest(first_points, last_points) as r(a, b)"
        "  join unnest(%(points)s::int[]) as k(p) on k.p between r.a and r.b"
        "  where t.from_ts < %(until)s and t.until_ts > %(from)s)"
        " or exists (select from touched_unit where unit = any(%(units)s)"
        "  and from_ts < %(until)s and until_ts > %(from)s)",
        {
            "points": list(point_ids),
            "units": list(units),
            "from": from_us(span_us[0]),
            "until": from_us(span_us[1]),
        },
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])
