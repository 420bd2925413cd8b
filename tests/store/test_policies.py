"""Policies: one worker runs them, nothing is dropped before its time, and failures are seen."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest

from core import tomlfile
from core.clock import from_us, to_us
from core.errors import Misconfigured, Retryable
from store import partitions, policies, readings, retention, settings
from store.engine import DAY_US, Engine
from store.policies import Keep, Outcome, Watched
from store.readings import Rows, Watermarks

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from store.connection import Pool
    from store.partitions import Span

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
NOW_US = to_us(NOW)
AN_HOUR = timedelta(hours=1)
MONTH = Keep(raw_days=30)
NO_INTERVALS = np.zeros(100, np.int64)
OLD_US = NOW_US - 60 * DAY_US


async def store(pool: Pool, *ts_us: int) -> None:
    rows = Rows(
        np.ones(len(ts_us), np.int64),
        np.array(ts_us, np.int64),
        np.arange(len(ts_us), dtype=np.float64),
        np.zeros(len(ts_us), np.int16),
    )
    async with pool.connection() as connection:
        await readings.write(connection, rows, NOW, Watermarks.empty(), NO_INTERVALS)


async def old_span(pool: Pool) -> Span | None:
    async with pool.connection() as connection:
        found = [s for s in await partitions.spans(connection) if s.from_us <= OLD_US < s.until_us]
    return found[0] if found else None


async def archive(pool: Pool, row_count: int) -> None:
    span = await old_span(pool)
    assert span is not None
    async with pool.connection() as connection:
        edges = (span.from_us, span.until_us)
        await retention.record_archived(connection, edges, row_count, "somewhere", NOW)


async def retain(pool: Pool, keep: Keep, now: datetime) -> str:
    done = {each.policy: each for each in await policies.run(pool, keep, now)}
    assert done["retain"].error is None
    return done["retain"].did


async def test_without_a_setting_nothing_is_ever_dropped(pool: Pool) -> None:
    await store(pool, OLD_US)
    assert await retain(pool, Keep(), NOW) == "raw readings are kept for ever"
    assert await retain(pool, Keep(), NOW + 400 * 24 * AN_HOUR) == "raw readings are kept for ever"
    assert await old_span(pool) is not None


async def test_a_span_is_dropped_once_it_is_archived_and_every_worker_knows(pool: Pool) -> None:
    await store(pool, OLD_US, NOW_US)
    assert "the horizon moved" in await retain(pool, MONTH, NOW)
    assert await retain(pool, MONTH, NOW + AN_HOUR) == (
        "0 dropped, 1 wait for their archive, 0 in use"
    )
    await archive(pool, 1)
    assert await retain(pool, MONTH, NOW + 2 * AN_HOUR) == (
        "1 dropped, 0 wait for their archive, 0 in use"
    )
    assert await old_span(pool) is None
    async with pool.connection() as connection:
        cursor = await connection.execute("select ts from reading")
        assert await cursor.fetchall() == [(NOW,)]
        cursor = await connection.execute("select dropped_until from retention")
        row = await cursor.fetchone()
    assert row is not None
    assert to_us(row[0]) > OLD_US


async def test_a_span_with_a_row_more_than_its_archive_stays(pool: Pool) -> None:
    await store(pool, OLD_US, OLD_US + 1)
    await archive(pool, 1)
    await retain(pool, MONTH, NOW)
    assert "1 wait for their archive" in await retain(pool, MONTH, NOW + AN_HOUR)
    assert await old_span(pool) is not None
    await archive(pool, 2)
    assert "1 dropped" in await retain(pool, MONTH, NOW + 2 * AN_HOUR)


async def test_a_restored_span_stays_until_it_is_archived_anew(pool: Pool) -> None:
    await store(pool, OLD_US)
    await archive(pool, 1)
    span = await old_span(pool)
    assert span is not None
    async with pool.connection() as connection:
        await retention.record_restored(connection, (span.from_us, span.until_us), NOW)
    allowed = Keep(raw_days=30, drop_unarchived=True)
    await retain(pool, allowed, NOW)
    assert "0 dropped" in await retain(pool, allowed, NOW + AN_HOUR)
    await archive(pool, 1)
    assert "1 dropped" in await retain(pool, allowed, NOW + 2 * AN_HOUR)


async def test_who_says_so_drops_without_an_archive_and_slots_stay(pool: Pool) -> None:
    await store(pool, OLD_US)
    async with pool.connection() as connection:
        await connection.execute(
            "insert into slot_energy values (1, %s, 5, 0, 900000000, 0, %s)", (from_us(OLD_US), NOW)
        )
    allowed = Keep(raw_days=30, drop_unarchived=True)
    await retain(pool, allowed, NOW)
    assert "1 dropped" in await retain(pool, allowed, NOW + AN_HOUR)
    async with pool.connection() as connection:
        cursor = await connection.execute("select energy_e6 from slot_energy")
        assert await cursor.fetchall() == [(5,)]


async def test_a_span_that_is_being_read_is_left_for_the_next_run(pool: Pool) -> None:
    await store(pool, OLD_US)
    await archive(pool, 1)
    await retain(pool, MONTH, NOW)
    async with pool.connection() as reader:
        await readings.read_series(reader, 1, OLD_US, OLD_US + 1)  # its transaction stays open
        assert "1 in use" in await retain(pool, MONTH, NOW + AN_HOUR)
        assert len((await readings.read_series(reader, 1, OLD_US, OLD_US + 1)).ts_us) == 1
    assert "1 dropped" in await retain(pool, MONTH, NOW + 2 * AN_HOUR)


async def test_a_late_row_on_its_way_keeps_its_span(pool: Pool) -> None:
    await store(pool, OLD_US)
    await archive(pool, 1)
    async with pool.connection() as writer:
        late = Rows(np.ones(1, np.int64), np.array([OLD_US + 1]), np.ones(1), np.zeros(1, np.int16))
        await readings.write(writer, late, NOW, None, NO_INTERVALS)  # before the horizon moves
        await retain(pool, MONTH, NOW)
        assert "1 in use" in await retain(pool, MONTH, NOW + AN_HOUR)
        await writer.commit()
    assert "1 wait for their archive" in await retain(pool, MONTH, NOW + 2 * AN_HOUR)
    span = await old_span(pool)
    assert span is not None
    async with pool.connection() as connection:
        assert await partitions.row_count(connection, span) == 2


async def test_one_worker_runs_them_at_a_time(pool: Pool) -> None:
    done = await asyncio.gather(*(policies.run(pool, MONTH, NOW) for _ in range(4)))
    ran = [each for each in done if each]
    assert ran
    async with pool.connection() as connection:
        watched = {each.policy: each for each in await policies.watched(connection)}
    assert watched["retain"].runs == len(ran)


async def test_who_holds_the_lock_keeps_the_others_out_and_leaves_the_pool_as_it_was(
    pool: Pool,
) -> None:
    async with pool.connection() as holder:
        await holder.execute("select pg_advisory_lock(%s)", (policies._LOCK,))
        assert await policies.run(pool, MONTH, NOW) == []
        await holder.execute("select pg_advisory_unlock(%s)", (policies._LOCK,))
    assert await policies.run(pool, MONTH, NOW)
    for _ in range(3):
        async with pool.connection() as connection:
            assert not connection.autocommit


async def test_days_to_come_are_there_after_a_run(pool: Pool, engine: Engine) -> None:
    done = await policies.run(pool, MONTH, NOW)
    assert [each.policy for each in done] == (
        ["compress", "retain"] if engine is Engine.TIMESCALE else ["ahead", "retain"]
    )
    async with pool.connection() as connection:
        ends = [span.until_us for span in await partitions.spans(connection)]
    if engine is not Engine.TIMESCALE:
        assert max(ends) > to_us(NOW + partitions.AHEAD)


async def test_what_fails_is_written_down_and_the_others_run(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise Retryable("the disk says no\nand more")

    monkeypatch.setattr(partitions, "spans", fails)
    monkeypatch.setattr(retention, "moved_at", fails)
    for hour in range(2):
        await policies.run(pool, MONTH, NOW + hour * AN_HOUR)
    async with pool.connection() as connection:
        found = {each.policy: each for each in await policies.watched(connection)}
        assert (found["retain"].error, found["retain"].failures) == ("the disk says no", 2)
        told = policies.problems(list(found.values()), NOW + AN_HOUR)
        assert "policy retain failed 2 times in a row: the disk says no" in told
    monkeypatch.undo()
    await policies.run(pool, MONTH, NOW + 2 * AN_HOUR)
    async with pool.connection() as connection:
        found = {each.policy: each for each in await policies.watched(connection)}
    assert (found["retain"].error, found["retain"].failures, found["retain"].runs) == (None, 0, 3)


async def test_an_error_of_the_server_is_one_line(pool: Pool) -> None:
    async def divide(connection: AsyncConnection[Any], _: Keep, __: datetime) -> str:
        await connection.execute("select 1/0")
        return "never"

    async with pool.connection() as connection:
        await connection.set_autocommit(True)
        done = await policies._run_one(connection, "divide", divide, MONTH, NOW)
        await connection.set_autocommit(False)
    assert done == Outcome("divide", "", "division by zero")


def test_a_policy_that_does_not_end_its_runs_is_a_problem() -> None:
    def at(finished_at: datetime | None, error: str | None = None) -> Watched:
        return Watched("retain", NOW, finished_at, error, "", 1, 1 if error else 0)

    assert policies.problems([at(NOW)], NOW + 3 * AN_HOUR) == []
    (overdue,) = policies.problems([at(NOW)], NOW + 4 * AN_HOUR)
    assert overdue.startswith("policy retain is overdue, ended last: 2026-11-21 08:00Z")
    (never,) = policies.problems([at(None)], NOW)
    assert "ended last: never" in never
    assert policies.problems([], NOW) == []


async def test_a_connection_that_is_gone_is_the_callers_to_know(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(connection: AsyncConnection[Any]) -> list[Any]:
        await connection.close()
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr(policies, "layout", cut)
    with pytest.raises(psycopg.OperationalError):
        await policies.run(pool, MONTH, NOW)
    monkeypatch.undo()
    assert await policies.run(pool, MONTH, NOW)


def test_the_setting_is_a_table_of_danhao_toml_with_its_mistakes_told_by_line() -> None:
    text = "[store]\nraw_days = 400\ndrop_unarchived = true\n"
    found = settings.section(tomlfile.parse(text, "danhao.toml"), "store", Keep, {})
    assert found == Keep(raw_days=400, drop_unarchived=True, compress_after_days=7)
    assert settings.section(tomlfile.parse("", "danhao.toml"), "store", Keep, {}) == Keep()
    wrong = tomlfile.parse("[store]\nraw_days = 3\nkeep = 1\n", "danhao.toml")
    with pytest.raises(Misconfigured) as told:
        settings.section(wrong, "store", Keep, {})
    assert [problem.where.partition(": ")[0] for problem in told.value.problems] == [
        "danhao.toml:2",
        "danhao.toml:3",
    ]
