"""Slot energy: which slots must be computed, what was computed, and sums over periods.

A slot is recomputed and overwritten, never added to, so doing it twice changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.clock import from_us
from core.intensity import PeriodEnergy
from core.periods import SLOT_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.energy import Figures

MOST_MARKS: Final = 5_000  # touched spans taken in one pass
_US: Final = "(extract(epoch from {}) * 1000000)::bigint"


@dataclass(frozen=True, slots=True)
class Touched:
    """Readings of [from, until) of a point were committed and its slots are not computed yet."""

    id: int
    point_id: int
    from_us: int
    until_us: int


async def touched(connection: AsyncConnection[Any]) -> list[Touched]:
    """Return the oldest marks, at most MOST_MARKS."""
    cursor = await connection.execute(
        f"select touched_id, point_id, {_US.format('from_ts')}, {_US.format('until_ts')}"  # noqa: S608 - constants only
        " from touched order by touched_id limit %s",
        (MOST_MARKS,),
    )
    return [Touched(*row) for row in await cursor.fetchall()]


async def touch(connection: AsyncConnection[Any], spans: Iterable[tuple[int, int, int]]) -> None:
    """Mark spans (point id, from, until in microseconds) as not computed."""
    rows = [(point_id, from_us(begin), from_us(end)) for point_id, begin, end in spans]
    if rows:
        await connection.execute(
            "insert into touched (point_id, from_ts, until_ts)"
            " select * from unnest(%s::int[], %s::timestamptz[], %s::timestamptz[])",
            ([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]),
        )


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


async def replace(
    connection: AsyncConnection[Any],
    point_id: int,
    begin_us: int,
    figures: Figures,
    computed_at: datetime,
) -> None:
    """Overwrite the slots that begin at `begin_us` with figures, one row a slot.

    Slots of which nothing is known and nothing is to be said have no row.
    """
    length = len(figures.energy_e6)
    told = ((figures.booked_us > 0) | (figures.flags > 0)).nonzero()[0]
    starts = [from_us(begin_us + int(row) * SLOT_US) for row in told.tolist()]
    booked = figures.booked_us[told] > 0
    energy = [
        value if known else None
        for value, known in zip(figures.energy_e6[told].tolist(), booked.tolist(), strict=True)
    ]
    span = (from_us(begin_us), from_us(begin_us + length * SLOT_US))
    await connection.execute(
        "delete from slot_energy where point_id = %s and slot_start >= %s and slot_start < %s"
        " and slot_start <> all(%s::timestamptz[])",
        (point_id, *span, starts),
    )
    await connection.execute(
        "insert into slot_energy (point_id, slot_start, energy_e6, estimated_e6, measured_us,"
        " flags, computed_at)"
        " select %s, s, e, x, m, f, %s from unnest(%s::timestamptz[], %s::bigint[], %s::bigint[],"
        " %s::bigint[], %s::int[]) as t(s, e, x, m, f)"
        " on conflict (point_id, slot_start) do update set energy_e6 = excluded.energy_e6,"
        " estimated_e6 = excluded.estimated_e6, measured_us = excluded.measured_us,"
        " flags = excluded.flags, computed_at = excluded.computed_at"
        " where (slot_energy.energy_e6, slot_energy.estimated_e6, slot_energy.measured_us,"
        " slot_energy.flags) is distinct from (excluded.energy_e6, excluded.estimated_e6,"
        " excluded.measured_us, excluded.flags)",
        (
            point_id,
            computed_at,
            starts,
            energy,
            figures.estimated_e6[told].tolist(),
            figures.measured_us[told].tolist(),
            figures.flags[told].tolist(),
        ),
    )


async def energy(
    connection: AsyncConnection[Any], point_id: int, bounds: Sequence[tuple[int, int]]
) -> list[PeriodEnergy]:
    """Return a point's energy in each period [start, end); bounds lie on slots."""
    if not bounds:
        return []
    cursor = await connection.execute(
        "select b.n, sum(s.energy_e6)::bigint, coalesce(sum(s.estimated_e6), 0)::bigint,"
        " coalesce(sum(s.measured_us), 0)::bigint, coalesce(bit_or(s.flags), 0)"
        " from unnest(%s::timestamptz[], %s::timestamptz[]) with ordinality as b(f, u, n)"
        " left join slot_energy s on s.point_id = %s and s.slot_start >= b.f"
        " and s.slot_start < b.u group by b.n order by b.n",
        (
            [from_us(begin) for begin, _ in bounds],
            [from_us(end) for _, end in bounds],
            point_id,
        ),
    )
    return [
        PeriodEnergy(begin, end, row[1], row[2], row[3], row[4])
        for (begin, end), row in zip(bounds, await cursor.fetchall(), strict=True)
    ]


async def confirmed(connection: AsyncConnection[Any], point_id: int) -> frozenset[int]:
    """Return the instants of the held steps that a person confirmed."""
    cursor = await connection.execute(
        f"select {_US.format('ts')} from confirmed_step where point_id = %s",  # noqa: S608 - constants only
        (point_id,),
    )
    return frozenset(row[0] for row in await cursor.fetchall())


async def has_reading(connection: AsyncConnection[Any], point_id: int, at_us: int) -> bool:
    """Tell whether a usable reading of the point is stored at exactly this instant."""
    cursor = await connection.execute(
        "select 1 from reading where point_id = %s and ts = %s and quality < 2",
        (point_id, from_us(at_us)),
    )
    return await cursor.fetchone() is not None


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
