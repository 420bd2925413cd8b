"""The spans that `reading` is cut into: made ahead and on demand, listed, compressed, dropped.

A span is a day's partition (plain PostgreSQL), a chunk (TimescaleDB) or a week's partition
(Citus). Promise: a writer's rows find a partition in the writer's own transaction, of whatever
day, without locking out a reader; two writers that need the same day make it once; the number of
partitions stays below what the server's lock table can hold, and the refusal says so.
"""

from __future__ import annotations

import contextlib
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from psycopg import errors, sql

from core.clock import from_us, to_us
from core.errors import Rejected, Retryable
from store import retention
from store.engine import Engine, Layout, layout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from psycopg import AsyncConnection

    from core.exactmath import Int64s

AHEAD: Final = timedelta(days=7)  # a scheduler may be out for a week and no writer notices
LATE: Final = timedelta(days=2)  # older rows are held against the horizon before they are stored
MOST_PARTITIONS: Final = 4_000  # eleven years of days
LOCKS_A_PARTITION: Final = 4  # table and index, for two statements that touch all at once
MOST_AT_ONCE: Final = 400  # a year and a bit; each holds locks until the commit
WAIT_MS: Final = 500
LONG_MS: Final = 3_600_000  # to pack or to count 100 million rows takes minutes
_LOCK: Final = 0x7370616E  # "span": one maker of partitions at a time
_PREFIX: Final = "reading_"


@dataclass(frozen=True, slots=True)
class Span:
    """One partition or chunk, of readings measured in [from, until) microseconds.

    `stale` says that a compressed one has taken late rows since.
    """

    name: str
    from_us: int
    until_us: int
    compressed: bool = False
    stale: bool = False


def starts_of(plan: Layout, ts_us: Int64s) -> list[int]:
    """Return the starts of the spans that hold these instants, ascending."""
    if not len(ts_us):
        return []
    low, high = plan.span_of(int(ts_us.min())), plan.span_of(int(ts_us.max()))
    if low == high:
        return [low]
    starts: list[int] = np.unique(ts_us - ts_us % plan.span_us).tolist()
    return starts


def name_of(start_us: int) -> str:
    """Return the name of the partition whose first day this is."""
    return f"{_PREFIX}{from_us(start_us):%Y%m%d}"


async def make_for(
    connection: AsyncConnection[Any], ts_us: Int64s, now: datetime, *, from_archive: bool = False
) -> None:
    """Have a place for rows of these instants, in the caller's transaction.

    Raises Rejected: `archived` for rows behind the horizon that do not come from the archive,
    `too_old` where more partitions than the bound would be needed. What is known to exist is asked
    for once a connection.
    """
    plan = await layout(connection)
    starts = starts_of(plan, ts_us)
    if not starts:
        return
    if starts[0] < to_us(now - LATE) and not from_archive:
        await _refuse_archived(connection, ts_us)
    known = _KNOWN.setdefault(connection, set())
    if known.issuperset(starts):
        return
    wanted = set(starts) - known
    found = await _starts(connection, plan)
    # What this very transaction made may still be rolled back: only what is found is remembered.
    known |= wanted & found
    missing = sorted(wanted - found)
    if missing:
        await _make(connection, plan, missing, now)


def forget(connection: AsyncConnection[Any]) -> None:
    """Drop what is known of partitions: one that was known is gone."""
    _KNOWN.pop(connection, None)


async def make_ahead(connection: AsyncConnection[Any], now: datetime) -> int:
    """Make the partitions of the days to come in the caller's transaction; return how many."""
    plan = await layout(connection)
    if plan.engine is Engine.TIMESCALE:
        return 0
    first, last = plan.span_of(to_us(now)), to_us(now + AHEAD)
    found = await _starts(connection, plan)
    missing = [start for start in range(first, last + 1, plan.span_us) if start not in found]
    await _make(connection, plan, missing, now)
    return len(missing)


async def spans(connection: AsyncConnection[Any]) -> list[Span]:
    """Return all partitions or chunks of `reading`, oldest first."""
    plan = await layout(connection)
    if plan.engine is Engine.TIMESCALE:
        cursor = await connection.execute(_CHUNKS)
        return [
            Span(name, to_us(begin), to_us(end), compressed, stale)
            for name, begin, end, compressed, stale in await cursor.fetchall()
        ]
    cursor = await connection.execute(_PARTITIONS)
    found = [_from_us_of(name) for (name,) in await cursor.fetchall()]
    return [Span(name_of(start), start, start + plan.span_us) for start in sorted(found)]


async def row_count(connection: AsyncConnection[Any], span: Span) -> int:
    """Return how many readings a span holds."""
    cursor = await connection.execute(
        "select count(*) from reading where ts >= %s and ts < %s",
        (from_us(span.from_us), from_us(span.until_us)),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def compress(connection: AsyncConnection[Any], span: Span) -> None:
    """Pack a chunk into the columnstore, again where late rows lie beside it.

    In a transaction of its own. Raises Retryable where a writer or reader of the chunk is not done
    within WAIT_MS: it stays as it is.
    """
    async with _alone(connection, span):
        await connection.execute("select compress_chunk(%s::regclass, true)", (span.name,))


async def drop(connection: AsyncConnection[Any], span: Span, most_rows: int | None) -> bool:
    """Drop a span that holds at most so many readings, None: whatever it holds. Tell whether.

    In a transaction of its own. Raises Retryable where a writer or reader is not done within
    WAIT_MS, which is as long as others wait for the drop; nothing was dropped then.
    """
    plan = await layout(connection)
    async with _alone(connection, span):
        table = sql.SQL("{}").format(sql.Identifier(*span.name.split(".")))
        # No writer between the count and the drop; readers go on while it is counted.
        await connection.execute(sql.SQL("lock table {} in share mode").format(table))
        if most_rows is not None and await row_count(connection, span) > most_rows:
            return False
        if plan.engine is Engine.TIMESCALE:
            await connection.execute(
                "select drop_chunks('reading', older_than => %s, newer_than => %s)",
                (from_us(span.until_us), from_us(span.from_us)),
            )
        else:
            await connection.execute(sql.SQL("drop table {}").format(table))
        await retention.record_dropped(connection, span.until_us)
    return True


@contextlib.asynccontextmanager
async def _alone(connection: AsyncConnection[Any], span: Span) -> AsyncIterator[None]:
    """Open a transaction that may work long and waits briefly: who queues behind it waits too."""
    try:
        async with connection.transaction():
            await connection.execute(f"set local lock_timeout = {WAIT_MS}")
            await connection.execute(f"set local statement_timeout = {LONG_MS}")
            yield
    except errors.LockNotAvailable as error:
        raise Retryable(f"{span.name} is in use: it is left for the next time") from error


async def bound(connection: AsyncConnection[Any]) -> int:
    """Return how many partitions this server can bear: its lock table is shared by all of them."""
    cursor = await connection.execute(
        "select current_setting('max_locks_per_transaction')::int"
        " * (current_setting('max_connections')::int"
        "    + current_setting('max_prepared_transactions')::int)"
    )
    row = await cursor.fetchone()
    slots = 0 if row is None else int(row[0])
    return min(MOST_PARTITIONS, slots // LOCKS_A_PARTITION)


_KNOWN: weakref.WeakKeyDictionary[AsyncConnection[Any], set[int]] = weakref.WeakKeyDictionary()
_PARTITIONS: Final = (
    "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
    " where i.inhparent = 'reading'::regclass"
)
_CHUNKS: Final = (
    "select format('%I.%I', chunk_schema, chunk_name), range_start, range_end, is_compressed,"
    " is_compressed and 'PARTIAL' = any(_timescaledb_functions.chunk_status_text("
    "  format('%I.%I', chunk_schema, chunk_name)::regclass))"
    " from timescaledb_information.chunks"
    " where hypertable_schema = current_schema() and hypertable_name = 'reading'"
    " order by range_start"
)
_CHUNK_STARTS: Final = (
    "select range_start from timescaledb_information.chunks"
    " where hypertable_schema = current_schema() and hypertable_name = 'reading'"
)


async def _starts(connection: AsyncConnection[Any], plan: Layout) -> set[int]:
    """Return the starts of all spans that exist for this transaction."""
    if plan.engine is Engine.TIMESCALE:
        cursor = await connection.execute(_CHUNK_STARTS)
        return {to_us(start) for (start,) in await cursor.fetchall()}
    cursor = await connection.execute(_PARTITIONS)
    return {_from_us_of(name) for (name,) in await cursor.fetchall()}


def _from_us_of(name: str) -> int:
    return to_us(datetime.strptime(name.removeprefix(_PREFIX), "%Y%m%d").replace(tzinfo=UTC))


async def _refuse_archived(connection: AsyncConnection[Any], ts_us: Int64s) -> None:
    behind = (await retention.load(connection)).archived(ts_us)
    if behind.any():
        oldest = from_us(int(ts_us[behind].min()))
        raise Rejected(
            f"{int(behind.sum())} readings from {oldest:%Y-%m-%d} on lie behind the retention"
            " horizon: restore the archive of their days first",
            reason="archived",
        )


async def _make(
    connection: AsyncConnection[Any], plan: Layout, wanted: Sequence[int], now: datetime
) -> None:
    """Make the partitions that begin at these instants, as far as nobody else made them."""
    if not wanted:
        return
    if plan.engine is not Engine.TIMESCALE:  # which makes its chunks itself
        await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    found = await _starts(connection, plan)
    missing = [start for start in wanted if start not in found]
    live = plan.span_of(to_us(now - LATE))
    if missing and missing[0] < live:
        _refuse_too_many(len(missing), len(found), await bound(connection))
    if plan.engine is Engine.PLAIN and missing:
        await connection.execute(sql.SQL(";").join(_statements(plan, missing)))
    elif plan.engine is Engine.CITUS:  # sends the workers one statement at a time
        for statement in _statements(plan, missing):
            await connection.execute(statement)


def _refuse_too_many(missing: int, found: int, most: int) -> None:
    """Refuse old days beyond the bounds; those of the present are made whatever there is."""
    if missing > MOST_AT_ONCE:
        raise Rejected(
            f"one transaction would make {missing} partitions, more than {MOST_AT_ONCE}: send"
            " fewer days at once",
            reason="too_old",
        )
    if found + missing > most:
        raise Rejected(
            f"readings of {missing} more days would make {found + missing} partitions, more than"
            f" the {most} that the server's lock table bears: keep raw readings for fewer days, or"
            " raise max_locks_per_transaction",
            reason="too_old",
        )


def _statements(plan: Layout, starts: Iterable[int]) -> Iterator[sql.Composed]:
    """Yield the DDL: a table on its own, then attached, so that no reader of `reading` waits."""
    for start in starts:
        name = sql.Identifier(name_of(start))
        begin, end = from_us(start), from_us(start + plan.span_us)
        yield sql.SQL("create table {} (like reading including all)").format(name)
        yield sql.SQL(
            "alter table reading attach partition {} for values from ({}) to ({})"
        ).format(name, sql.Literal(begin.isoformat()), sql.Literal(end.isoformat()))
