"""How a store fares: schema, engine, sizes, growth, room on the disk, lag, partitions, policies.

Cheap at any size: rows are estimates of the server, growth is the size of the last whole days'
partitions, nothing is scanned. Promise: what cannot be known is None and said to be unknown,
never zero; every finding of `bad_news` says what to do.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core import periods
from core.clock import from_us, to_us
from store import engine, partitions, plants, policies, retention
from store.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from store.migrate import Migration
    from store.partitions import Span

GROWTH_DAYS: Final = 7  # whole days that growth is measured over
LEAST_DAYS_LEFT: Final = 14.0
MOST_MARK_AGE: Final = timedelta(minutes=5)
DAY_US: Final = 86_400_000_000
MOST_TABLES: Final = 12  # shown, the largest ones
_LOOK_BACK: Final = 100  # points whose newest readings tell when something was stored last


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system below the server's data directory."""

    total_bytes: int
    free_bytes: int


async def look(
    connection: AsyncConnection[Any], now: datetime, disk: Disk | None
) -> dict[str, Any]:
    """Return what `danhao db status --json` shows of a migrated store."""
    plan = await engine.layout(connection)
    spans = await partitions.spans(connection)
    sizes = await _span_sizes(connection, plan.engine, spans)
    growth = growth_per_day(spans, sizes, now)
    return {
        "store": await plants.store_id(connection),
        "engine": await _engine(connection, plan.engine),
        "tables": await _tables(connection, plan.engine),
        "growth_bytes_per_day": growth,
        "disk": _disk(disk, growth),
        "lag": await _lag(connection, now),
        "partitions": await _partitions(connection, spans, now),
        "policies": await _policies(connection, now),
        "dead_letters": await _letters(connection),
    }


def growth_per_day(spans: Sequence[Span], sizes: dict[str, int], now: datetime) -> int | None:
    """Return how many bytes readings take a day, by the last whole days; None where there is none.

    Spans without a reading count as well: an agent that is out does send later.
    """
    until_us = to_us(now)
    # By their ends: of weeks, as Citus has them, one always ended in the last seven days.
    recent = [s for s in spans if until_us - GROWTH_DAYS * DAY_US <= s.until_us]
    whole = [s for s in recent if s.until_us <= until_us and s.name in sizes]
    length_us = sum(s.until_us - s.from_us for s in whole)
    if not length_us:
        return None
    return sum(sizes[s.name] for s in whole) * DAY_US // length_us


def bad_news(migrations: Sequence[Migration], found: dict[str, Any] | None) -> list[str]:
    """Return what is wrong, a sentence each; empty when all is well."""
    waiting = [m.name for m in migrations if m.applied_at is None]
    if waiting:
        return [f"{len(waiting)} migrations are pending: run `danhao db migrate`"]
    assert found is not None, "a migrated store is looked at"  # noqa: S101 - a belief
    news = []
    left = found["disk"]["days_left"]
    if left is not None and left < LEAST_DAYS_LEFT:
        news.append(
            f"the disk is full in {left:.0f} days: archive and drop old readings"
            " (`danhao db archive --drop`), or give it more room"
        )
    age = found["lag"]["oldest_mark_s"]
    if age is not None and age > MOST_MARK_AGE.total_seconds():
        news.append(
            f"figures are {age / 60:.0f} minutes behind their readings: is `danhao ingest run` at"
            " work?"
        )
    return [*news, *found["policies"]["problems"]]


def disk_of(data_directory: str | None) -> Disk | None:
    """Return the room on the server's disk where this machine can ask for it, else None."""
    if data_directory is None:
        return None
    try:
        found = os.statvfs(data_directory)
    except OSError:
        return None
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


async def data_directory(connection: AsyncConnection[Any]) -> str | None:
    """Return the server's data directory where it is on this machine and may be known."""
    if connection.info.host not in {"", "localhost", "127.0.0.1", "::1"} | _sockets(connection):
        return None
    cursor = await connection.execute(
        "select setting from pg_settings where name = 'data_directory'"
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


def lines(found: dict[str, Any]) -> list[str]:
    """Return a status as a person reads it."""
    disk, lag, parts = found["disk"], found["lag"], found["partitions"]
    told = [
        f"store {found['store']}, {found['engine']['name']} {found['engine']['version']}",
        *(
            f"{t['name']:<18} {_size(t['bytes']):>10}  indexes {_size(t['index_bytes']):>10}"
            f"  rows about {_unknown(t['rows_estimated'], str)}"
            for t in found["tables"]
        ),
        f"growth: {_unknown(found['growth_bytes_per_day'], _size)} a day",
        (
            f"disk: {_unknown(disk['free_bytes'], _size)} free, full in"
            f" {_unknown(disk['days_left'], _days)}"
        ),
        f"marks waiting: {lag['touched']} of points, {lag['touched_unit']} of units",
        (
            f"newest reading: measured {lag['newest_measured_at'] or 'never'}, recorded"
            f" {lag['newest_recorded_at'] or 'never'}"
        ),
        (
            f"partitions: {parts['count']}, {parts['ahead']} ahead, {parts['compressed']}"
            f" compressed, first {parts['first'] or 'none'};"
            f" readings kept from {parts['horizon'] or 'ever'}"
        ),
        f"dead letters: {found['dead_letters']['open']} open of {found['dead_letters']['all']}",
    ]
    return told + [
        f"policy {p['policy']}: last run {p['finished_at'] or 'not finished'} {p['error'] or ''}"
        for p in found["policies"]["items"]
    ]


# -- parts ---------------------------------------------------------------------------------------


async def _engine(connection: AsyncConnection[Any], which: Engine) -> dict[str, Any]:
    extension = {Engine.TIMESCALE: "timescaledb", Engine.CITUS: "citus"}.get(which)
    cursor = await connection.execute(
        "select current_setting('server_version'),"
        " (select extversion from pg_extension where extname = %s)",
        (extension,),
    )
    row = await cursor.fetchone()
    server, version = row or ("", None)
    return {"name": which.value, "version": version or server, "server_version": server}


async def _tables(connection: AsyncConnection[Any], which: Engine) -> list[dict[str, Any]]:
    """Return the largest tables with their partitions, largest first."""
    cursor = await connection.execute(_TABLES[which], {"most": MOST_TABLES})
    return [
        {"name": name, "bytes": size, "index_bytes": indexes, "rows_estimated": rows}
        for name, size, indexes, rows in await cursor.fetchall()
    ]


async def _span_sizes(
    connection: AsyncConnection[Any], which: Engine, spans: Sequence[Span]
) -> dict[str, int]:
    cursor = await connection.execute(_SPAN_SIZES[which], ([span.name for span in spans],))
    return {name: int(size) for name, size in await cursor.fetchall() if size is not None}


def _disk(disk: Disk | None, growth: int | None) -> dict[str, Any]:
    if disk is None:
        return {"total_bytes": None, "free_bytes": None, "days_left": None}
    left = disk.free_bytes / growth if growth else None
    return {"total_bytes": disk.total_bytes, "free_bytes": disk.free_bytes, "days_left": left}


async def _lag(connection: AsyncConnection[Any], now: datetime) -> dict[str, Any]:
    cursor = await connection.execute(_LAG, {"most": _LOOK_BACK})
    row = await cursor.fetchone()
    points, units, oldest, measured, recorded = row or (0, 0, None, None, None)
    return {
        "touched": points,
        "touched_unit": units,
        "oldest_mark_s": None if oldest is None else (now - oldest).total_seconds(),
        "newest_measured_at": _instant(measured),
        "newest_recorded_at": _instant(recorded),
    }


async def _partitions(
    connection: AsyncConnection[Any], spans: Sequence[Span], now: datetime
) -> dict[str, Any]:
    kept = await retention.load(connection)
    known = kept.horizon_us != retention.NEVER_US
    return {
        "count": len(spans),
        "ahead": sum(span.from_us > to_us(now) for span in spans),
        "behind": sum(span.until_us <= kept.horizon_us for span in spans),
        "compressed": sum(span.compressed for span in spans),
        "first": periods.render_utc(spans[0].from_us) if spans else None,
        "horizon": _instant(from_us(kept.horizon_us)) if known else None,
    }


async def _policies(connection: AsyncConnection[Any], now: datetime) -> dict[str, Any]:
    found = await policies.watched(connection)
    items = [
        {
            "policy": each.policy,
            "started_at": _instant(each.started_at),
            "finished_at": _instant(each.finished_at),
            "error": each.error,
            "did": each.did,
            "runs": each.runs,
            "failures": each.failures,
        }
        for each in found
    ]
    return {"items": items, "problems": policies.problems(found, now)}


async def _letters(connection: AsyncConnection[Any]) -> dict[str, int]:
    cursor = await connection.execute(
        "select count(*), count(*) filter (where discarded_at is null"
        " and outcome is distinct from 'stored' and outcome is distinct from 'same')"
        " from dead_letter"
    )
    row = await cursor.fetchone()
    every, left = row or (0, 0)
    return {"all": every, "open": left}


_PLAIN_TABLES: Final = (
    "select r.relname, sum(pg_table_size(c.oid))::bigint, sum(pg_indexes_size(c.oid))::bigint,"
    " (sum(c.reltuples) filter (where c.relkind = 'r' and c.reltuples >= 0))::bigint"
    " from pg_class r"
    " cross join lateral (select coalesce(t.relid, r.oid) relid from (select 1) x"
    "  left join pg_partition_tree(r.oid) t on true) tree join pg_class c on c.oid = tree.relid"
    " where r.relnamespace = current_schema()::regnamespace and r.relkind in ('r', 'p')"
    " and not r.relispartition"
)
_BESIDE_READING: Final = f"{_PLAIN_TABLES} and r.relname <> 'reading' group by r.relname"
_NOT_SPREAD: Final = (
    f"{_PLAIN_TABLES} and r.oid not in (select logicalrelid from pg_dist_partition)"  # noqa: S608 - constants only
    " group by r.relname"
)
_ORDERED: Final = " order by 2 desc, 1 limit %(most)s"
_TABLES: Final[dict[Engine, Any]] = {
    Engine.PLAIN: _PLAIN_TABLES + " group by r.relname" + _ORDERED,
    Engine.TIMESCALE: (
        _BESIDE_READING  # noqa: S608 - constants only
        + " union all select 'reading', (table_bytes + coalesce(toast_bytes, 0))::bigint,"
        "  index_bytes::bigint, approximate_row_count('reading')::bigint"
        "  from hypertable_detailed_size('reading')" + _ORDERED
    ),
    Engine.CITUS: (
        _NOT_SPREAD + " union all select r.relname, sum(citus_table_size(c.oid))::bigint,"  # noqa: S608 - constants only
        "  sum(citus_total_relation_size(c.oid) - citus_table_size(c.oid))::bigint, null"
        "  from pg_class r cross join lateral (select coalesce(t.relid, r.oid) relid from"
        "  (select 1) x left join pg_partition_tree(r.oid) t on t.isleaf) tree"
        "  join pg_class c on c.oid = tree.relid where r.oid in (select logicalrelid from"
        "  pg_dist_partition) and not r.relispartition group by r.relname" + _ORDERED
    ),
}
_SPAN_SIZES: Final[dict[Engine, Any]] = {
    Engine.PLAIN: "select n, pg_total_relation_size(to_regclass(n)) from unnest(%s::text[]) n",
    Engine.TIMESCALE: (
        "select n, total_bytes from unnest(%s::text[]) n join chunks_detailed_size('reading') c"
        " on n = format('%%I.%%I', c.chunk_schema, c.chunk_name)"
    ),
    Engine.CITUS: "select n, citus_total_relation_size(to_regclass(n)) from unnest(%s::text[]) n",
}
_LAG: Final = (
    "select (select count(*) from touched), (select count(*) from touched_unit),"
    " least((select min(marked_at) from touched), (select min(marked_at) from touched_unit)),"
    " (select max(ts) from point_latest),"
    " (select max(r.recorded_at) from (select point_id, ts from point_latest order by ts desc"
    "  limit %(most)s) l join reading r on r.point_id = l.point_id and r.ts = l.ts)"
)


def _sockets(connection: AsyncConnection[Any]) -> set[str]:
    host = connection.info.host
    return {host} if host.startswith("/") else set()


def _instant(at: datetime | None) -> str | None:
    return None if at is None else periods.render_utc(to_us(at))


def _days(days: float) -> str:
    return f"{days:.0f} days"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - a thousand of one is one of the next
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _unknown(value: Any, shown: Any) -> str:
    return "unknown" if value is None else str(shown(value))
