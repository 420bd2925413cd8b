"""Sums of stored slots over many periods of many points, in one question, and their extents.

The plan is the same whatever the planner believes of sizes: one look at the index a period. Left to
itself it joins slots with periods by point, and reads all slots of all time for a few periods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.clock import to_us
from core.intensity import PeriodEnergy
from core.periods import SLOT_US
from store import arrays
from store.engine import Engine, layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection


async def energies(
    connection: AsyncConnection[Any], spans: Sequence[tuple[int, int, int]]
) -> list[PeriodEnergy]:
    """Return the energy of each (point number, begin, end); a slot counts where it begins."""
    if not spans:
        return []
    on_citus = (await layout(connection)).engine is Engine.CITUS
    cursor = await connection.execute(
        _ON_CITUS if on_citus else _SUMS,
        (
            arrays.Int4s(np.array([number for number, _, _ in spans], np.int64)),
            arrays.Instants(np.array([begin for _, begin, _ in spans], np.int64)),
            arrays.Instants(np.array([end for _, _, end in spans], np.int64)),
        ),
    )
    known = {row[0]: row[1:] for row in await cursor.fetchall()}
    return [
        PeriodEnergy(begin, end, *known.get(place, (None, 0, 0, 0)))
        for place, (_, begin, end) in enumerate(spans, start=1)
    ]


async def extents(
    connection: AsyncConnection[Any], numbers: Sequence[int]
) -> dict[int, tuple[int, int]]:
    """Return [first, last) instants of the slots of points; those without any are left out."""
    on_citus = (await layout(connection)).engine is Engine.CITUS
    cursor = await connection.execute(_EXTENTS_ON_CITUS if on_citus else _EXTENTS, (list(numbers),))
    return {
        number: (to_us(first), to_us(last) + SLOT_US)
        for number, first, last in await cursor.fetchall()
    }


_SUMS: Final = (
    "select b.n, s.* from unnest(%s, %s, %s) with ordinality as b(p, f, u, n) cross join lateral"
    " (select sum(energy_e6)::bigint, coalesce(sum(estimated_e6), 0)::bigint,"
    "  coalesce(sum(measured_us), 0)::bigint, coalesce(bit_or(flags), 0) from slot_energy"
    "  where point_id = b.p and slot_start >= b.f and slot_start < b.u) s"
)
# Citus pushes no LATERAL down (components 6); a plain join it does.
_ON_CITUS: Final = (
    "select b.n, sum(s.energy_e6)::bigint, sum(s.estimated_e6)::bigint,"
    " sum(s.measured_us)::bigint, bit_or(s.flags)"
    " from unnest(%s, %s, %s) with ordinality as b(p, f, u, n) join slot_energy s"
    " on s.point_id = b.p and s.slot_start >= b.f and s.slot_start < b.u group by b.n"
)
_EXTENTS: Final = (
    "select k.p, s.* from unnest(%s::int[]) as k(p) cross join lateral (select"
    "  (select slot_start from slot_energy where point_id = k.p order by slot_start limit 1)"
    "   as first,"
    "  (select slot_start from slot_energy where point_id = k.p order by slot_start desc limit 1)"
    "   as last) s where s.first is not null"
)
_EXTENTS_ON_CITUS: Final = (
    "select point_id, min(slot_start), max(slot_start) from slot_energy"
    " where point_id = any(%s::int[]) group by point_id"
)
