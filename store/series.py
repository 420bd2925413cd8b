"""Figures of many units side by side: columns by unit, read from an index and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.clock import from_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection


@dataclass(frozen=True, slots=True)
class Series:
    """The newest figures of one unit in order of time; decimals as text, None where unknown."""

    start_us: Sequence[int]
    closed: Sequence[bool]
    energy: Sequence[str | None]
    output: Sequence[str | None]
    intensity: Sequence[str | None]
    completeness: Sequence[float]


async def read(
    connection: AsyncConnection[Any],
    units: Sequence[str],
    key: tuple[str, str],
    span_us: tuple[int, int],
) -> dict[str, Series]:
    """Return the series of (indicator, period) of units; those without any are left out.

    A figure belongs to the span in which its period begins.
    """
    cursor = await connection.execute(
        _SERIES, (list(units), *key, from_us(span_us[0]), from_us(span_us[1]))
    )
    return {row[0]: Series(*row[1:]) for row in await cursor.fetchall() if row[1]}


_SERIES: Final = (
    "select k.unit, s.* from unnest(%s::text[]) as k(unit) cross join lateral (select"
    " array_agg((extract(epoch from period_start) * 1000000)::bigint order by period_start),"
    " array_agg(closed order by period_start), array_agg(energy::text order by period_start),"
    " array_agg(output::text order by period_start),"
    " array_agg(intensity::text order by period_start),"
    " array_agg(completeness order by period_start) from (select distinct on (period_start)"
    "  period_start, closed, energy, output, intensity, completeness from result"
    "  where result.unit = k.unit and indicator = %s and period = %s and period_start >= %s"
    "  and period_start < %s order by period_start, version desc) d) s"
)
