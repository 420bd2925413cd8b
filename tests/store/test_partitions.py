"""Spans of readings: made where writers need them, bounded, and nobody is locked out meanwhile."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import to_us
from core.errors import Rejected
from store import partitions, readings
from store.engine import DAY_US, Engine, Layout
from store.readings import LostRaceError, Rows, Watermarks

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from store.connection import Pool

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
NOW_US = to_us(NOW)
NO_INTERVALS = np.zeros(100, np.int64)
YEAR_START = datetime(2018, 1, 1, tzinfo=UTC)


def rows_at(ts_us: list[int], point_id: int = 1) -> Rows:
    length = len(ts_us)
    return Rows(
        np.full(length, point_id, np.int64),
        np.array(ts_us, np.int64),
        np.arange(length, dtype=np.float64),
        np.zeros(length, np.int16),
    )


async def write(connection: AsyncConnection[Any], rows: Rows) -> readings.Stored:
    return await readings.write(connection, rows, NOW, Watermarks.empty(), NO_INTERVALS)


async def count(
    connection: AsyncConnection[Any], query: str = "select count(*) from reading"
) -> int:
    cursor = await connection.execute(query)
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


@given(st.lists(st.integers(-(10**17), 10**17), min_size=1, max_size=50), st.integers(1, 40))
def test_each_instant_lies_in_the_span_that_is_named_for_it(ts_us: list[int], days: int) -> None:
    plan = Layout(Engine.PLAIN, days * DAY_US)
    starts = partitions.starts_of(plan, np.array(ts_us, np.int64))
    assert starts == sorted(set(starts))
    assert {start for start in starts for at in ts_us if start <= at < start + plan.span_us} == set(
        starts
    )
    assert all(any(start <= at < start + plan.span_us for start in starts) for at in ts_us)


def test_no_instant_needs_no_span() -> None:
    assert partitions.starts_of(Layout(Engine.PLAIN, DAY_US), np.empty(0, np.int64)) == []


@pytest.mark.slow
async def test_a_year_long_past_is_stored_in_one_transaction(pool: Pool) -> None:
    year = [to_us(YEAR_START) + day * DAY_US + hour * 3_600_000_000 for day in range(365)
            for hour in (0, 13)]  # fmt: skip
    async with pool.connection() as connection:
        done = await write(connection, rows_at(year))
        assert len(done.new) == len(year)
        await connection.commit()
        assert await count(connection) == len(year)
        found = await partitions.spans(connection)
        assert found[0].from_us <= to_us(YEAR_START) < found[0].until_us
        series = await readings.read_series(connection, 1, year[100], year[110], 4, 4)
    assert series.ts_us.tolist() == year[96:114]


async def test_readers_and_writers_of_other_days_do_not_wait_for_a_day_that_is_made(
    pool: Pool, engine: Engine
) -> None:
    today, long_ago = [NOW_US], [NOW_US - 900 * DAY_US]
    async with pool.connection() as first, pool.connection() as second:
        await write(first, rows_at(today))
        await first.commit()
        await write(second, rows_at([NOW_US + 1]))  # has a plan, and has seen what exists
        await second.commit()
        await write(first, rows_at(long_ago))  # not committed
        await second.execute("set lock_timeout = '5s'")
        assert await count(second) == 2
        writing = asyncio.create_task(write(second, rows_at([NOW_US + 2])))
        if engine is Engine.CITUS:  # its writers wait until the maker commits; a reader does not
            async with pool.connection() as third:
                assert await count(third) == 2
        else:
            await writing
        await first.commit()
        await writing
        await second.commit()
        assert await count(second) == 4


async def test_two_writers_that_need_the_same_new_days_both_store_theirs(pool: Pool) -> None:
    async def store(point_id: int) -> None:
        async with pool.connection() as connection:
            for back in range(0, 40, 10):
                days = [NOW_US - (back + day) * DAY_US for day in range(10)]
                await write(connection, rows_at(days, point_id))
                await connection.commit()

    await asyncio.gather(*(store(point_id) for point_id in range(1, 5)))
    async with pool.connection() as connection:
        assert await count(connection) == 4 * 40
        found = await partitions.spans(connection)
    assert len({span.from_us for span in found}) == len(found)


async def test_a_day_made_in_vain_is_made_again(pool: Pool) -> None:
    day = rows_at([NOW_US - 100 * DAY_US])
    async with pool.connection() as connection:
        for _ in range(2):  # the second time within the transaction it is found, and remembered
            await write(connection, day)
            await connection.rollback()
        await write(connection, day)
        await write(connection, day_later := rows_at([NOW_US - 100 * DAY_US + 1]))
        await connection.rollback()
        try:
            await write(connection, day_later)
        except LostRaceError:
            await connection.rollback()
            await write(connection, day_later)
        await connection.commit()
        assert await count(connection) == 1


async def test_a_day_that_was_dropped_behind_our_back_is_a_lost_race_and_then_made(
    pool: Pool, engine: Engine
) -> None:
    day = NOW_US - 100 * DAY_US
    async with pool.connection() as connection, pool.connection() as other:
        await write(connection, rows_at([day]))
        await connection.commit()
        await write(connection, rows_at([day + 1]))
        await connection.commit()
        (old,) = [s for s in await partitions.spans(other) if s.from_us <= day < s.until_us]
        await other.commit()
        assert await partitions.drop(other, old, None)
        if engine is not Engine.TIMESCALE:  # which makes its chunks without being asked
            with pytest.raises(LostRaceError):
                await write(connection, rows_at([day + 2]))
            await connection.rollback()
        await write(connection, rows_at([day + 2]))
        await connection.commit()
        assert await count(connection) == 1


async def test_more_old_days_than_the_server_bears_are_refused_and_today_is_not(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "MOST_PARTITIONS", 3)
    async with pool.connection() as connection:
        with pytest.raises(Rejected, match="than the 3 that the server's lock table bears") as told:
            await write(connection, rows_at([NOW_US - day * 10 * DAY_US for day in range(4)]))
        assert told.value.reason == "too_old"
        await connection.rollback()
        assert await partitions.spans(connection) == []
        await write(connection, rows_at([NOW_US - day * 10 * DAY_US for day in range(3)]))
        await connection.commit()
        later = NOW + timedelta(days=30)
        fresh = rows_at([to_us(later)])
        await readings.write(connection, fresh, later, Watermarks.empty(), NO_INTERVALS)
        await connection.commit()
        assert await count(connection) == 4


async def test_more_days_than_one_transaction_may_make_are_refused(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "MOST_AT_ONCE", 2)
    async with pool.connection() as connection:
        with pytest.raises(Rejected, match="would make 3 partitions, more than 2"):
            await write(connection, rows_at([NOW_US - day * 10 * DAY_US for day in range(1, 4)]))


async def test_the_bound_follows_the_lock_table_of_the_server(pool: Pool) -> None:
    async with pool.connection() as connection:
        most = await partitions.bound(connection)
        slots = await count(
            connection,
            "select current_setting('max_locks_per_transaction')::int"
            " * current_setting('max_connections')::int",
        )
    assert slots // 4 <= most <= partitions.MOST_PARTITIONS or most == partitions.MOST_PARTITIONS


async def test_days_to_come_are_made_once(pool: Pool, engine: Engine) -> None:
    async with pool.connection() as connection:
        made = await partitions.make_ahead(connection, NOW)
        again = await partitions.make_ahead(connection, NOW)
        a_day_later = await partitions.make_ahead(connection, NOW + timedelta(days=1))
        found = await partitions.spans(connection)
    assert again == 0
    if engine is Engine.PLAIN:
        assert (made, a_day_later) == (8, 1)
    if engine is not Engine.TIMESCALE:
        assert found[0].from_us <= NOW_US
        assert found[-1].until_us > to_us(NOW + partitions.AHEAD)
        assert all(a.until_us == b.from_us for a, b in itertools.pairwise(found))


async def test_a_look_at_one_day_opens_a_few_days_of_hundreds(pool: Pool, engine: Engine) -> None:
    if engine is not Engine.PLAIN:
        pytest.skip("counts the locks of native partitions")
    async with pool.connection() as connection:
        days = [NOW_US - day * DAY_US for day in range(80)]
        await write(connection, rows_at(days))
        await connection.commit()
        opened = (
            "select count(*) from pg_locks l join pg_class c on c.oid = l.relation"
            " where l.pid = pg_backend_pid() and c.relname like 'reading\\_2%' and c.relkind = 'r'"
        )
        for _ in range(10):  # a prepared statement must not turn to a plan for all days
            await readings.read_series(connection, 1, days[41], days[40], 1, 1)
            assert 2 <= await count(connection, opened) <= 8
            await connection.commit()
        await write(connection, rows_at([days[30] + 1, days[30] + 2]))
        assert await count(connection, opened) <= 2
