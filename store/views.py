"""What the API reads beside energy and results: readings, agents, dead letters, output, health.

Every list is one bounded page in the order of a key, so a cursor is the last row's key. Nothing
here writes, and nothing here knows who is asking: the caller passes the sites it may show.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core.clock import from_us, to_us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection


DAY: Final = timedelta(days=1)
MOST_HOLES_SHOWN: Final = 100  # of an agent: as many as a receipt tells of


@dataclass(frozen=True, slots=True)
class Latest:
    """What a point showed last, and the power over its last step [kW], None where unknown."""

    measured_us: int
    rate_kw: float | None


@dataclass(frozen=True, slots=True)
class StoredReading:
    """One reading as the ledger keeps it; `value` is NaN only where the quality is bad."""

    measured_us: int
    recorded_us: int
    value: float
    quality: int


@dataclass(frozen=True, slots=True)
class AgentView:
    """What is known of an agent: its own last word, and how far its outbox is durable.

    `committed`, `missing` and `lost` speak of the epoch written last; the latter two count
    envelopes. `holes` are the first MOST_HOLES_SHOWN spans that are missing, both ends inclusive,
    open since `missing_since` at most. Everything is None until the agent spoke.
    """

    state: str | None
    state_at: datetime | None
    epoch: str | None
    depth: int | None
    oldest_at: datetime | None
    clock_offset_ms: float | None
    last_seen_at: datetime | None
    committed: int | None
    missing: int | None
    lost: int | None
    holes: Sequence[Sequence[int]] | None
    missing_since: datetime | None


@dataclass(frozen=True, slots=True)
class OutputView:
    """One production fact in one revision; `mass_e6` in millionths of its unit, else of a tonne."""

    id: str
    revision: int
    unit: str
    kind: str
    at: datetime
    mass_e6: int
    grades: Mapping[str, str]
    source: str
    recorded_at: datetime
    stream: str | None
    amount_unit: str | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How the store lives: what the metrics say of it; dead letters of the last day by reason."""

    newest_reading_at: datetime | None
    dead_letters: Mapping[str, int]
    points: int
    touched: int


async def latest(connection: AsyncConnection[Any], point_ids: Sequence[int]) -> dict[int, Latest]:
    """Return what these points showed last; those that never reported are left out."""
    cursor = await connection.execute(
        "select point_id, ts, rate_kw from point_latest where point_id = any(%s)",
        (list(point_ids),),
    )
    return {row[0]: Latest(to_us(row[1]), row[2]) for row in await cursor.fetchall()}


async def readings(
    connection: AsyncConnection[Any], point_id: int, from_us_: int, until_us: int, limit: int
) -> list[StoredReading]:
    """Return at most `limit` readings measured in [from, until), oldest first."""
    cursor = await connection.execute(
        "select ts, recorded_at, value, quality from reading"
        " where point_id = %s and ts >= %s and ts < %s order by ts limit %s",
        (point_id, from_us(from_us_), from_us(until_us), limit),
    )
    return [
        StoredReading(to_us(ts), to_us(recorded_at), value, quality)
        for ts, recorded_at, value, quality in await cursor.fetchall()
    ]


_AGENTS = """
select key.site, key.agent, s.state, s.at, coalesce(s.epoch, e.epoch), s.depth, s.oldest_at,
       s.clock_offset_ms, greatest(s.seen_at, e.updated_at), e.committed, e.missing, e.lost,
       case when e.committed is not null then coalesce(e.holes, '{}') end, e.missing_since
from unnest(%s::text[], %s::text[]) as key (site, agent)
left join agent_status s using (site, agent)
left join lateral (
    select epoch, committed, updated_at, missing_since,
        (select array_agg(array[lower(r), coalesce(upper(r) - 1, 9223372036854775807)]
            order by lower(r))
         from (select r from unnest(missing) r order by lower(r) limit %s) m) as holes,
        (select coalesce(sum(upper(r) - lower(r)), 0)::bigint from unnest(missing) r) as missing,
        (select coalesce(sum(upper(r) - lower(r)), 0)::bigint from unnest(lost) r) as lost
    from agent_epoch
    where agent_epoch.site = key.site and agent_epoch.agent = key.agent
    order by updated_at desc limit 1
) e on true
"""


async def agents(
    connection: AsyncConnection[Any], keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], AgentView]:
    """Return what is known of these agents, each named by (site, agent)."""
    cursor = await connection.execute(
        _AGENTS,
        ([site for site, _ in keys], [agent for _, agent in keys], MOST_HOLES_SHOWN),
    )
    return {(row[0], row[1]): AgentView(*row[2:]) for row in await cursor.fetchall()}


async def output(
    connection: AsyncConnection[Any],
    *,
    units: Sequence[str],
    from_us_: int,
    until_us: int,
    after: tuple[int, str, int] | None,
    limit: int,
) -> list[OutputView]:
    """Return at most `limit` facts of these units with `at` in [from, until), all revisions.

    They come in the order (at, id, revision); `after` is that key, its time in microseconds.
    """
    at_us, identifier, revision = after or (None, None, None)
    cursor = await connection.execute(
        "select id, revision, unit, kind, at, mass_e6, grades, source, recorded_at, stream,"
        " amount_unit"
        " from output_fact where unit = any(%(units)s) and at >= %(from)s and at < %(until)s"
        " and (%(at)s::timestamptz is null"
        "      or (at, id, revision) > (%(at)s, %(id)s::text, %(revision)s::bigint))"
        " order by at, id, revision limit %(limit)s",
        {
            "units": list(units),
            "from": from_us(from_us_),
            "until": from_us(until_us),
            "at": None if at_us is None else from_us(at_us),
            "id": identifier,
            "revision": revision,
            "limit": limit,
        },
    )
    return [OutputView(*row) for row in await cursor.fetchall()]


async def output_fact(
    connection: AsyncConnection[Any], site: str, identifier: str, revision: int
) -> OutputView | None:
    """Return one revision of a fact, or None."""
    cursor = await connection.execute(
        "select id, revision, unit, kind, at, mass_e6, grades, source, recorded_at, stream,"
        " amount_unit"
        " from output_fact where site = %s and id = %s and revision = %s",
        (site, identifier, revision),
    )
    row = await cursor.fetchone()
    return None if row is None else OutputView(*row)


async def freshness(connection: AsyncConnection[Any], now: datetime) -> Freshness:
    """Return how the store lives, from small tables only."""
    cursor = await connection.execute(
        "select (select max(ts) from point_latest), (select count(*) from point_latest),"
        " (select count(*) from (select 1 from touched limit 100000) t)"
    )
    row = await cursor.fetchone()
    newest, points, touched = row if row is not None else (None, 0, 0)
    letters = await connection.execute(
        "select reason, count(*) from dead_letter where recorded_at > %s group by reason",
        (now - DAY,),
    )
    return Freshness(newest, dict(await letters.fetchall()), points, touched)


async def newest_reading_at(connection: AsyncConnection[Any]) -> datetime | None:
    """Return the instant of the newest reading that any point showed, None before the first."""
    cursor = await connection.execute("select max(ts) from point_latest")
    row = await cursor.fetchone()
    return None if row is None else row[0]
