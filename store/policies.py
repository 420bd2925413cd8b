"""What happens to the readings every hour: days made ahead, packed, dropped; and who watches it.

Our own scheduler: the ingest worker calls `run`, the database lets one worker at a time do it, and
what ran when and how it ended stands in `policy_run`. TimescaleDB's background jobs are not used:
on some servers they fail without a word while everything else works.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import psycopg
from pydantic import BaseModel, ConfigDict, Field

from core.clock import to_us
from core.errors import DanhaoError, Retryable
from store import foregoing, partitions, retention, waiting
from store.engine import Engine, layout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from store.connection import Pool
    from store.partitions import Span

    _Work = Callable[[AsyncConnection[Any], "Keep", datetime], Awaitable[str]]

EVERY: Final = timedelta(hours=1)
OVERDUE: Final = 3 * EVERY
GRACE: Final = timedelta(minutes=10)  # every worker has read the moved horizon by then
MOST_SPANS: Final = 48  # packed or dropped in one run, so that a run ends
MOST_TOLD: Final = 3  # reasons for which spans stay
_LOCK: Final = 0x706F6C696379  # "policy": one worker runs them


class Keep(BaseModel):
    """`[store]`: for how long raw readings are kept; slots and results stay for ever."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    raw_days: Annotated[int, Field(ge=7, le=36_500)] | None = None  # None: for ever
    drop_unarchived: bool = False
    compress_after_days: Annotated[int, Field(ge=2, le=3_650)] = 7  # TimescaleDB only


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy did in one run, in a sentence; `error` is None where it went well."""

    policy: str
    did: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Watched:
    """A policy, or a background job of the server on our tables, as it ran last."""

    policy: str
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    did: str
    runs: int
    failures: int


async def run(pool: Pool, keep: Keep, now: datetime) -> list[Outcome]:
    """Run every policy of this engine once; nothing where another worker is at it.

    What goes wrong with one is written down and the others run; raises only what the connection
    itself raises.
    """
    async with pool.connection() as connection:
        await connection.set_autocommit(True)
        try:
            cursor = await connection.execute("select pg_try_advisory_lock(%s)", (_LOCK,))
            row = await cursor.fetchone()
            if row is None or not row[0]:
                return []
            try:
                return [
                    await _run_one(connection, name, work, keep, now)
                    for name, work in await _policies(connection)
                ]
            finally:
                await connection.execute("select pg_advisory_unlock(%s)", (_LOCK,))
        finally:
            if not connection.closed:
                await connection.set_autocommit(False)


async def watched(connection: AsyncConnection[Any]) -> list[Watched]:
    """Return how every policy, and every job of the server on our tables, ran last."""
    cursor = await connection.execute(
        "select policy, started_at, finished_at, error, did, runs, failures from policy_run"
        " order by policy"
    )
    found = [Watched(*row) for row in await cursor.fetchall()]
    if (await layout(connection)).engine is Engine.TIMESCALE:
        cursor = await connection.execute(_JOBS)
        found += [Watched(*row) for row in await cursor.fetchall()]
    return found


def problems(found: Sequence[Watched], now: datetime) -> list[str]:
    """Return a sentence for every policy that failed or has not ended a run for OVERDUE."""
    told = []
    for each in found:
        if each.error is not None:
            told.append(f"policy {each.policy} failed {each.failures} times in a row: {each.error}")
        elif each.finished_at is None or now - each.finished_at > OVERDUE:
            last = "never" if each.finished_at is None else f"{each.finished_at:%Y-%m-%d %H:%MZ}"
            told.append(f"policy {each.policy} is overdue, ended last: {last}: is ingest running?")
    return told


async def _policies(connection: AsyncConnection[Any]) -> list[tuple[str, _Work]]:
    if (await layout(connection)).engine is Engine.TIMESCALE:
        return [("compress", _compress), ("retain", _retain)]
    return [("ahead", _make_ahead), ("retain", _retain)]


async def _run_one(
    connection: AsyncConnection[Any], name: str, work: _Work, keep: Keep, now: datetime
) -> Outcome:
    await connection.execute(
        "insert into policy_run (policy, started_at) values (%s, %s)"
        " on conflict (policy) do update set started_at = excluded.started_at, finished_at = null",
        (name, now),
    )
    did, error = "", None
    try:
        did = await work(connection, keep, now)
    except (psycopg.Error, DanhaoError) as caught:
        error = (str(caught) or type(caught).__name__).splitlines()[0]
    await connection.execute(
        "update policy_run set finished_at = %(now)s, error = %(error)s, did = %(did)s,"
        " runs = runs + 1, failures = case when %(error)s::text is null then 0"
        " else failures + 1 end where policy = %(policy)s",
        {"now": now, "error": error, "did": did, "policy": name},
    )
    return Outcome(name, did, error)


async def _make_ahead(connection: AsyncConnection[Any], keep: Keep, now: datetime) -> str:
    del keep
    async with connection.transaction():
        return f"{await partitions.make_ahead(connection, now)} partitions made"


async def _compress(connection: AsyncConnection[Any], keep: Keep, now: datetime) -> str:
    """Pack chunks past the late window, and packed ones that have taken late rows since."""
    before_us = to_us(now - timedelta(days=keep.compress_after_days))
    waiting = [
        span
        for span in await partitions.spans(connection)
        if span.until_us <= before_us and (not span.compressed or span.stale)
    ]
    packed = 0
    for span in waiting[:MOST_SPANS]:
        with contextlib.suppress(Retryable):  # in use: packed in the next run
            await partitions.compress(connection, span)
            packed += 1
    return f"{packed} chunks packed, {len(waiting) - packed} wait"


async def _retain(connection: AsyncConnection[Any], keep: Keep, now: datetime) -> str:
    """Move the horizon; drop what lies behind it once every worker knows and an archive has it."""
    plan = await layout(connection)
    cut_us = (
        None if keep.raw_days is None else plan.span_of(to_us(now - timedelta(days=keep.raw_days)))
    )
    await retention.move(connection, cut_us, now)
    moved_at = await retention.moved_at(connection)
    if cut_us is None:
        return "raw readings are kept for ever"
    if moved_at is not None and now - moved_at < GRACE:
        return "the horizon moved: what lies behind it is dropped in the next run"
    behind = [span for span in await partitions.spans(connection) if span.until_us <= cut_us]
    return await _drop(connection, behind, keep, cut_us)


async def _drop(
    connection: AsyncConnection[Any], behind: Sequence[Span], keep: Keep, cut_us: int
) -> str:
    may_go, unarchived = await _may_go(connection, behind, keep)
    if may_go and await waiting.before(connection, cut_us):
        return "figures from before the horizon wait to be computed: nothing is dropped"
    held = await foregoing.held(connection, cut_us) if may_go else None
    dropped = busy = 0
    stay: dict[str, None] = {}
    for span, most_rows in may_go:
        if dropped == MOST_SPANS:
            break
        why = None if held is None else held.why(span)
        if why is not None:
            stay[why] = None
            continue
        try:
            gone = await partitions.drop(connection, span, most_rows)
        except Retryable:
            busy += 1
            continue
        dropped += gone
        unarchived += not gone
    told = f"{dropped} dropped, {unarchived} wait for their archive, {busy} in use"
    return told if not stay else f"{told}; kept for {', '.join([*stay][:MOST_TOLD])}"


async def _may_go(
    connection: AsyncConnection[Any], behind: Sequence[Span], keep: Keep
) -> tuple[list[tuple[Span, int | None]], int]:
    """Return the spans that archives hold, or need not, with their rows; and how many wait."""
    archived = await retention.archived_spans(connection)
    may_go: list[tuple[Span, int | None]] = []
    unarchived = 0
    for span in behind:
        held = archived.get(span.from_us)
        whole = held is not None and held.until_us >= span.until_us and held.restored_at is None
        restored = held is not None and held.restored_at is not None
        if restored or not (whole or keep.drop_unarchived):
            unarchived += 1
            continue
        may_go.append((span, held.row_count if whole and held is not None else None))
    return may_go, unarchived


_JOBS: Final = (
    "select format('timescaledb job %s', s.job_id), nullif(s.last_run_started_at, '-infinity'),"
    " nullif(s.last_successful_finish, '-infinity'), case when s.last_run_status = 'Failed' then"
    "  'the server''s own job fails: see timescaledb_information.job_errors' end,"
    " j.proc_name::text, s.total_runs, s.total_failures"
    " from timescaledb_information.job_stats s join timescaledb_information.jobs j"
    " on j.job_id = s.job_id where j.hypertable_schema = current_schema()"
    " and j.hypertable_name = 'reading'"
)
