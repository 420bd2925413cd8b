"""How the work on a store stands: who is at it, how far behind it is, what waits, what was lost.

One look for `danhao doctor` and for the metrics, from small tables and by indexes only. Nothing
here judges. Promise: what is not known is None, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg.rows import class_row

from store import deliveries, watched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from store.deliveries import Fared
    from store.watched import AgentSeen, BoundSeen, ReportSeen

MOST_COUNTED: Final = 100_000  # marks and dead letters: beyond that it is many
MOST_SITES: Final = 1_000  # named as having no worker
MOST_POINTS: Final = 1_000  # named as never heard


@dataclass(frozen=True, slots=True)
class Work:
    """Workers and what they have before them; counts end at MOST_COUNTED."""

    workers: int
    idle_sites: list[str]  # declared ones that no worker has
    slots_marked: int
    units_marked: int
    oldest_mark_at: datetime | None
    newest_figure_at: datetime | None
    newest_reading_at: datetime | None
    letters_open: int
    letters_removed: int  # that nobody had settled when they made room for newer ones
    asked_at: datetime  # by the server's clock


@dataclass(frozen=True, slots=True)
class Alarms:
    """Alerts that stand, by severity, and cases by what they wait for; open is not lapsed."""

    firing: Mapping[int, int]
    cases_open: int
    cases_lapsed: int  # of them: what was due is not done in time


@dataclass(frozen=True, slots=True)
class Checkup:
    """Everything one look sees."""

    work: Work
    alarms: Alarms
    agents: Mapping[tuple[str, str], AgentSeen]
    channels: list[Fared]
    bounds: list[BoundSeen]
    reports: list[ReportSeen]


async def look(connection: AsyncConnection[Any], now: datetime) -> Checkup:
    """Return how a migrated store's work stands."""
    return Checkup(
        work=await work(connection, now),
        alarms=await alarms(connection, now),
        agents=await watched.agents(connection),
        channels=await deliveries.of_channels(connection, now),
        bounds=await watched.bounds(connection),
        reports=await watched.reports(connection),
    )


async def work(connection: AsyncConnection[Any], now: datetime) -> Work:
    """Return who is at work and what waits; leases that ran out count as none."""
    async with connection.cursor(row_factory=class_row(Work)) as cursor:
        await cursor.execute(_WORK, {"now": now, "most": MOST_COUNTED, "sites": MOST_SITES})
        found = await cursor.fetchone()
    assert found is not None, "a row without a from clause"  # noqa: S101 - a belief
    return found


async def alarms(connection: AsyncConnection[Any], now: datetime) -> Alarms:
    """Return the alerts that stand and the cases that people have not closed."""
    cursor = await connection.execute(
        "select severity, count(*) from alert where state in ('firing', 'clearing')"
        " group by severity order by severity"
    )
    firing: dict[int, int] = dict(await cursor.fetchall())
    cursor = await connection.execute(
        "select count(*), count(*) filter (where due_at <= %s) from alert_case"
        " where state not in ('closed', 'withdrawn')",
        (now,),
    )
    row = await cursor.fetchone()
    opened, lapsed = row or (0, 0)
    return Alarms(firing, opened, lapsed)


async def unheard(connection: AsyncConnection[Any]) -> list[str]:
    """Return declared points that no reading was ever stored of, at most MOST_POINTS."""
    cursor = await connection.execute(
        "select point from point p where not exists"
        " (select 1 from point_latest l where l.point_id = p.point_id) order by point limit %s",
        (MOST_POINTS,),
    )
    return [row[0] for row in await cursor.fetchall()]


async def sources(
    connection: AsyncConnection[Any], agents: Sequence[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Return those of the agents that sent production facts: such report no status of their own."""
    cursor = await connection.execute(
        "select site, agent from unnest(%s::text[], %s::text[]) asked (site, agent) where exists"
        " (select 1 from output_fact f where f.site = asked.site and f.source = asked.agent)",
        ([site for site, _ in agents], [agent for _, agent in agents]),
    )
    return {(row[0], row[1]) for row in await cursor.fetchall()}


async def catalogues(connection: AsyncConnection[Any]) -> dict[str, datetime]:
    """Return the catalogues that figures here were computed with, each with its first use."""
    cursor = await connection.execute(
        "select catalogue, seen_at from catalogue_version order by seen_at"
    )
    return dict(await cursor.fetchall())


_WORK: Final = """
select (select count(*) from ingest_worker where expires_at > clock_timestamp()) as workers,
    (select coalesce(array_agg(site order by site), '{}') from (
        select site from site where not exists (select 1 from agent_lease l
            where l.site = site.site and l.expires_at > clock_timestamp())
        order by site limit %(sites)s) idle) as idle_sites,
    (select count(*) from (select 1 from touched limit %(most)s) t) as slots_marked,
    (select count(*) from (select 1 from touched_unit limit %(most)s) t) as units_marked,
    least((select min(marked_at) from touched), (select min(marked_at) from touched_unit))
        as oldest_mark_at,
    (select computed_at from result order by change desc limit 1) as newest_figure_at,
    (select max(ts) from point_latest where ts <= %(now)s) as newest_reading_at,
    (select count(*) from (select 1 from dead_letter where discarded_at is null
        and outcome is distinct from 'stored' and outcome is distinct from 'same'
        limit %(most)s) l) as letters_open,
    (select coalesce(sum(letters - settled), 0)::bigint from dead_letter_removed)
        as letters_removed,
    clock_timestamp() as asked_at
"""
