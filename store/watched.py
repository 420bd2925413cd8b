"""What data conditions look at, asked of the store: cheap bounded questions, no raw readings.

Nothing here judges: what a figure proves is core.conditions'. Counters that only grow (envelopes an
agent lost, a bound that was hit) are remembered with when they last grew, for the number alone
does not tell whether it is news.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg.rows import class_row

from core.conditions import SubjectKind, Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from psycopg import AsyncConnection

    from core.conditions import Subject

MOST_POINTS: Final = 200_000  # that are silent at once: every point of a province
MOST_AGENTS: Final = 10_000
MOST_EXCEEDED: Final = 20_000  # limits: of 5,000 units four each
MOST_BOUNDS: Final = 200  # bounds of all programs together
MOST_DETAIL_CHARS: Final = 400
_LOCK: Final = 0x64616E686377  # "danhcw", an advisory lock of our own


async def alone(connection: AsyncConnection[Any]) -> bool:
    """Let nobody else judge conditions until the transaction ends; False where somebody does."""
    cursor = await connection.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK,))
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def quiet_points(connection: AsyncConnection[Any], before: datetime) -> dict[int, datetime]:
    """Return the newest reading's instant of each point whose newest is older than an instant."""
    cursor = await connection.execute(
        "select point_id, ts from point_latest where ts < %s order by ts limit %s",
        (before, MOST_POINTS),
    )
    return dict(await cursor.fetchall())


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """An agent as it was heard last; `heard_at` is by our clock, of a status or an envelope.

    `missing` and `lost` count envelopes of the epoch that was written last.
    """

    site: str
    agent: str
    heard_at: datetime
    state: str | None
    depth: int | None
    oldest_at: datetime | None
    clock_offset_ms: float | None
    troubles: Mapping[str, int]
    missing: int
    missing_since: datetime | None
    lost: int


async def agents(connection: AsyncConnection[Any]) -> dict[tuple[str, str], AgentSeen]:
    """Return every agent that was ever heard, declared or not."""
    async with connection.cursor(row_factory=class_row(AgentSeen)) as cursor:
        await cursor.execute(_AGENTS, (MOST_AGENTS,))
        return {(each.site, each.agent): each for each in await cursor.fetchall()}


_AGENTS: Final = """
select site, agent, greatest(s.seen_at, e.updated_at) as heard_at, s.state, s.depth, s.oldest_at,
    s.clock_offset_ms, coalesce(s.troubles, '{}') as troubles,
    (select coalesce(sum(upper(r) - lower(r)), 0)::bigint from unnest(e.missing) r) as missing,
    e.missing_since,
    (select coalesce(sum(upper(r) - lower(r)), 0)::bigint from unnest(e.lost) r) as lost
from agent_status s full join (
    select distinct on (site, agent) site, agent, updated_at, missing, missing_since, lost
    from agent_epoch order by site, agent, updated_at desc, first_at desc
) e using (site, agent) order by site, agent limit %s
"""


@dataclass(frozen=True, slots=True)
class LettersSeen:
    """How many dead letters of a site were kept since an instant, and the most frequent reason."""

    site: str
    letters: int
    reason: str


async def letters(connection: AsyncConnection[Any], since: datetime) -> list[LettersSeen]:
    """Return the dead letters recorded since an instant, by the site that they came from."""
    async with connection.cursor(row_factory=class_row(LettersSeen)) as cursor:
        await cursor.execute(
            "select site, sum(n)::bigint as letters, (array_agg(reason order by n desc, reason))[1]"
            " as reason from (select site, reason, count(*) as n from dead_letter"
            " where recorded_at >= %s group by site, reason) r group by site order by site",
            (since,),
        )
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class DaySeen:
    """The newest closed day of a unit, and how completely it was measured."""

    unit: str
    start: datetime
    completeness: float | None


async def days(
    connection: AsyncConnection[Any],
    figures: Sequence[tuple[str, str]],
    since: datetime,
    until: datetime,
) -> dict[str, DaySeen]:
    """Return each unit's newest closed day that began in [since, until); the least complete figure.

    `figures` are (unit, indicator); a unit with several indicators has a figure of each for a day.
    """
    async with connection.cursor(row_factory=class_row(DaySeen)) as cursor:
        await cursor.execute(
            "select distinct on (unit) unit, start, completeness from"
            " unnest(%s::text[], %s::text[]) asked (unit, indicator) cross join lateral"
            " (select period_start as start, completeness from result r where r.unit = asked.unit"
            " and r.indicator = asked.indicator and period = 'day' and closed"
            " and period_start >= %s and period_start < %s"
            " order by period_start desc, version desc limit 1) newest"
            " order by unit, start desc, completeness nulls first",
            ([unit for unit, _ in figures], [indicator for _, indicator in figures], since, until),
        )
        return {each.unit: each for each in await cursor.fetchall()}


async def exceeded(connection: AsyncConnection[Any]) -> set[tuple[str, str, str, str]]:
    """Return (unit, indicator, period, limit) of every limit that an alert is active about."""
    cursor = await connection.execute(
        "select unit, indicator, period, limit_id from alert where kind = 'exceedance'"
        " and state <> 'resolved' limit %s",
        (MOST_EXCEEDED,),
    )
    return {(row[0], row[1], row[2], row[3]) for row in await cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class ReportSeen:
    """The figures that a platform still lacks: how many, and when the oldest was made."""

    site: str
    destination: str
    oldest_at: datetime
    waiting: int


async def reports(connection: AsyncConnection[Any]) -> list[ReportSeen]:
    """Return what waits for each platform of the national system that anything waits for."""
    async with connection.cursor(row_factory=class_row(ReportSeen)) as cursor:
        await cursor.execute(
            "select s.site, destination, min(f.made_at) as oldest_at, count(*) as waiting"
            " from report_delivery d join report_session s using (destination)"
            " join report_figure f using (figure) where d.state = 'waiting'"
            " group by s.site, destination order by s.site, destination"
        )
        return await cursor.fetchall()


async def hit(
    connection: AsyncConnection[Any], *, bound: str, hits: int, detail: str, at: datetime
) -> None:
    """Say that a program ran into a bound so many times more; `detail` says what follows."""
    # From zero, so that the very first time is seen as a growth.
    await connection.execute(
        "insert into watched_count (condition, subject_kind, subject, counted, grown, seen_at)"
        " values (%s, %s, %s, 0, 0, %s) on conflict do nothing",
        (Watch.BOUND_HITS.value, SubjectKind.STORE.value, bound, at),
    )
    await connection.execute(
        "insert into bound_hit as known (bound, hits, detail, told_at) values (%s, %s, %s, %s)"
        " on conflict (bound) do update set hits = known.hits + excluded.hits,"
        " detail = excluded.detail, told_at = excluded.told_at",
        (bound, hits, detail[:MOST_DETAIL_CHARS], at),
    )


@dataclass(frozen=True, slots=True)
class BoundSeen:
    """A bound, how often all programs together have run into it, and what follows from it."""

    bound: str
    hits: int
    detail: str


async def bounds(connection: AsyncConnection[Any]) -> list[BoundSeen]:
    """Return the bounds that programs told of, and those that show in the store itself."""
    async with connection.cursor(row_factory=class_row(BoundSeen)) as cursor:
        await cursor.execute(
            "select bound, hits, detail from bound_hit"
            " union all select 'notification-attempts', count(*), %s from notification"
            " where state = 'abandoned'"
            " union all select 'report-age', count(*), %s from report_delivery"
            " where state = 'expired' order by bound limit %s",
            (
                "notifications were given up after their last attempt (danhao alerts deliveries)",
                "figures were given up that a platform never took (danhao national status)",
                MOST_BOUNDS,
            ),
        )
        return await cursor.fetchall()


_ABANDONED: Final = "notifications were given up after their last attempt: see the deliveries"
_EXPIRED: Final = "figures were given up that a platform never took: see danhao national status"


async def grown(
    connection: AsyncConnection[Any],
    condition: str,
    counts: Mapping[Subject, int],
    now: datetime,
    window: timedelta,
    *,
    restarts: bool,
) -> dict[Subject, int]:
    """Remember counters and return by how much each grew in its present growth, 0: it is quiet.

    A growth goes on until the counter stood still for the window. What it had counted before it
    was first seen is no news. A counter that fell began anew where it `restarts`, else what it
    counted was deleted.
    """
    subjects = list(counts)
    cursor = await connection.execute(
        _GROWN,
        {
            "condition": condition,
            "kinds": [each.kind.value for each in subjects],
            "subjects": [each.id for each in subjects],
            "counts": [counts[each] for each in subjects],
            "now": now,
            "since": now - window,
            "restarts": restarts,
        },
    )
    rows = {(row[0], row[1]): int(row[2]) for row in await cursor.fetchall()}
    return {each: rows[each.kind.value, each.id] for each in subjects}


_GROWN: Final = """
insert into watched_count as known (condition, subject_kind, subject, counted, grown, seen_at)
select %(condition)s, kind, subject, counted, 0, %(now)s
from unnest(%(kinds)s::text[], %(subjects)s::text[], %(counts)s::bigint[])
    as t (kind, subject, counted) order by kind, subject
on conflict (condition, subject_kind, subject) do update set
    counted = excluded.counted,
    seen_at = excluded.seen_at,
    grown_at = case when excluded.counted > known.counted
            or (%(restarts)s and excluded.counted between 1 and known.counted - 1)
        then excluded.seen_at else known.grown_at end,
    grown = case when known.grown_at >= %(since)s then known.grown else 0 end
        + case when excluded.counted >= known.counted then excluded.counted - known.counted
            when %(restarts)s then excluded.counted else 0 end
returning subject_kind, subject, case when grown_at >= %(since)s then grown else 0 end
"""


async def forget(connection: AsyncConnection[Any], before: datetime) -> int:
    """Delete counters that nobody has counted since an instant; return how many."""
    cursor = await connection.execute("delete from watched_count where seen_at < %s", (before,))
    return cursor.rowcount
