"""Which ingest worker has which site: numbers of workers, and leases that run out.

The server's clock alone decides, so clocks of workers need not agree. Promise: a site has one
worker at a time; `fence` at the end of a transaction tells that its sites are still the worker's,
and they stay so until that transaction has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import timedelta
    from uuid import UUID

    from psycopg import AsyncConnection

EVERY: Final = "*"  # as agent: all agents of a site; as site: what one worker does for all
MOST_WORKERS: Final = 64  # each has a few connections: PostgreSQL itself takes no more
APPLICATION: Final = "danhao ingest"


@dataclass(frozen=True, slots=True)
class Found:
    """The leases as the server sees them; `held` and `numbers` leave out what has run out.

    `next_end_s` is when the first lease of another worker runs out; None where there is none.
    """

    sites: frozenset[str]
    numbers: Mapping[UUID, int]
    held: Mapping[str, UUID]
    next_end_s: float | None


def application(worker: UUID) -> str:
    """Return the name under which the connections of a worker are known to the server."""
    return f"{APPLICATION} {worker}"


async def register(connection: AsyncConnection[Any], worker: UUID, life: timedelta) -> int | None:
    """Renew the worker's number or take the smallest free one; None where all are taken."""
    cursor = await connection.execute(
        "update ingest_worker set expires_at = clock_timestamp() + %s where worker = %s"
        " returning number",
        (life, worker),
    )
    row = await cursor.fetchone()
    while row is None:
        cursor = await connection.execute(
            "select n from generate_series(1, %s) n"
            " where not exists (select from ingest_worker where number = n) order by n limit 1",
            (MOST_WORKERS,),
        )
        free = await cursor.fetchone()
        if free is None:
            return None
        cursor = await connection.execute(
            "insert into ingest_worker (worker, number, expires_at)"
            " values (%s, %s, clock_timestamp() + %s) on conflict do nothing returning number",
            (worker, free[0], life),
        )
        row = await cursor.fetchone()
    return int(row[0])


async def bury(connection: AsyncConnection[Any], worker: UUID) -> list[UUID]:
    """Forget workers whose time has run out and end what they left open; return who they were.

    One that was frozen in the middle of a transaction holds locks that its heirs would wait for.
    """
    cursor = await connection.execute(
        "delete from ingest_worker where worker in (select worker from ingest_worker"
        "  where expires_at <= clock_timestamp() and worker <> %s for update skip locked)"
        " returning worker",
        (worker,),
    )
    dead: list[UUID] = [row[0] for row in await cursor.fetchall()]
    if dead:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = any(%s) and usename = current_user"
            " and datname = current_database()",
            ([application(each) for each in dead],),
        )
    return dead


async def renew(connection: AsyncConnection[Any], worker: UUID, life: timedelta) -> frozenset[str]:
    """Renew all leases of a worker, ran out or not; return the sites that are still its own."""
    cursor = await connection.execute(
        # In the order in which `fence` locks them, so that the two cannot block each other.
        "with own as (select site, agent from agent_lease where worker = %(worker)s"
        "  order by site, agent for no key update)"
        " update agent_lease l set expires_at = clock_timestamp() + %(life)s from own"
        " where l.site = own.site and l.agent = own.agent returning l.site",
        {"worker": worker, "life": life},
    )
    return frozenset(row[0] for row in await cursor.fetchall())


async def look(connection: AsyncConnection[Any], worker: UUID) -> Found:
    """Return what is declared, who is at work and who has which site."""
    cursor = await connection.execute("select site from site")
    sites = frozenset(row[0] for row in await cursor.fetchall())
    cursor = await connection.execute(
        "select worker, number from ingest_worker where expires_at > clock_timestamp()"
    )
    numbers: dict[UUID, int] = dict(await cursor.fetchall())
    cursor = await connection.execute(
        "select site, worker, extract(epoch from expires_at - clock_timestamp())::float8"
        " from agent_lease where agent = %s",
        (EVERY,),
    )
    rows = [row for row in await cursor.fetchall() if row[2] > 0]
    ends = [row[2] for row in rows if row[1] != worker]
    held = {row[0]: row[1] for row in rows}
    return Found(sites, numbers, held, min(ends, default=None))


async def take(
    connection: AsyncConnection[Any], worker: UUID, sites: Collection[str], life: timedelta
) -> frozenset[str]:
    """Take those of the sites that nobody has; return them.

    A lease that somebody's open transaction relies on is left for the next time.
    """
    cursor = await connection.execute(
        "with free as (select site, agent from agent_lease where agent = %(every)s"
        "  and site = any(%(sites)s) and expires_at <= clock_timestamp()"
        "  order by site for no key update skip locked),"
        " taken as (update agent_lease l set worker = %(worker)s,"
        "  expires_at = clock_timestamp() + %(life)s from free"
        "  where l.site = free.site and l.agent = free.agent returning l.site),"
        " new as (insert into agent_lease (site, agent, worker, expires_at)"
        "  select s, %(every)s, %(worker)s, clock_timestamp() + %(life)s"
        "  from unnest(%(sites)s::text[]) s where not exists"
        "  (select from agent_lease where site = s and agent = %(every)s) order by s"
        "  on conflict do nothing returning site)"
        " select site from taken union all select site from new",
        {"every": EVERY, "worker": worker, "sites": sorted(sites), "life": life},
    )
    return frozenset(row[0] for row in await cursor.fetchall())


async def fence(connection: AsyncConnection[Any], worker: UUID, sites: Collection[str]) -> bool:
    """Tell whether the worker has all these sites; nobody takes one before this transaction ends.

    Asked right before a commit: a worker that was frozen past its lease must change nothing.
    """
    cursor = await connection.execute(
        "select site from agent_lease where site = any(%s) and agent = %s and worker = %s"
        " and expires_at > clock_timestamp() order by site, agent for share",
        (sorted(sites), EVERY, worker),
    )
    return {row[0] for row in await cursor.fetchall()} >= set(sites)


async def release(
    connection: AsyncConnection[Any], worker: UUID, sites: Collection[str] | None = None
) -> None:
    """Give sites back, so that the next worker need not wait for their end; all without `sites`."""
    if sites is None:
        await connection.execute("delete from ingest_worker where worker = %s", (worker,))
        await connection.execute("delete from agent_lease where worker = %s", (worker,))
    else:
        await connection.execute(
            "delete from agent_lease where worker = %s and agent = %s and site = any(%s)",
            (worker, EVERY, sorted(sites)),
        )
