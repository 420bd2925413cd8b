"""Which agents send readings of which points, as ingest saw it, day by day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

# An agent that sent a point a day less lately than another one sends it no more: it was replaced.
REPLACED: Final = timedelta(days=1)


async def learn(
    connection: AsyncConnection[Any], pairs: Sequence[tuple[int, str]], at: datetime
) -> None:
    """Note that these points came from these agents."""
    await connection.execute(
        "insert into point_sender as known (point_id, agent, first_at, last_at)"
        " select p, a, %(at)s, %(at)s from unnest(%(points)s::int[], %(agents)s::text[]) t(p, a)"
        " on conflict (point_id, agent) do update set last_at = excluded.last_at"
        " where known.last_at < excluded.last_at",
        {"at": at, "points": [p for p, _ in pairs], "agents": [agent for _, agent in pairs]},
    )


async def of_points(
    connection: AsyncConnection[Any], points: Sequence[str]
) -> dict[str, frozenset[str]]:
    """Return the agents that send these points, as far as that was seen."""
    if not points:
        return {}
    cursor = await connection.execute(
        "select point, array_agg(agent) from (select p.point, s.agent, s.last_at,"
        "  max(s.last_at) over (partition by p.point) newest"
        "  from point_sender s join point p using (point_id) where p.point = any(%s)) seen"
        " where last_at > newest - %s group by point",
        (list(points), REPLACED),
    )
    return {point: frozenset(agents) for point, agents in await cursor.fetchall()}
