"""The horizon: what lies behind it is told apart before it is stored, unless it was restored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import to_us
from core.errors import Rejected
from store import partitions, readings, retention
from store.engine import DAY_US
from store.readings import Rows
from store.retention import NEVER_US, Retention

if TYPE_CHECKING:
    from store.connection import Pool

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
NOW_US = to_us(NOW)
HORIZON_US = to_us(datetime(2026, 10, 1, tzinfo=UTC))
DAY = (HORIZON_US - 9 * DAY_US, HORIZON_US - 8 * DAY_US)
NO_INTERVALS = np.zeros(100, np.int64)

spans = st.tuples(st.integers(0, 100), st.integers(1, 20)).map(lambda s: (s[0], s[0] + s[1]))


def row_at(ts_us: int) -> Rows:
    return Rows(np.array([1]), np.array([ts_us]), np.array([1.0]), np.array([0], np.int16))


@given(st.lists(st.integers(0, 120)), st.integers(0, 120), st.lists(spans, max_size=4))
def test_behind_the_horizon_is_all_that_no_restored_span_holds(
    instants: list[int], horizon: int, restored: list[tuple[int, int]]
) -> None:
    found = Retention(horizon, tuple(restored)).archived(np.array(instants, np.int64))
    assert found.tolist() == [
        at < horizon and not any(a <= at < b for a, b in restored) for at in instants
    ]


def test_readings_are_kept_for_ever_until_somebody_says_otherwise() -> None:
    assert not Retention().archived(np.array([NEVER_US + 1, 0, NOW_US])).any()


async def test_a_new_store_keeps_everything(pool: Pool) -> None:
    async with pool.connection() as connection:
        assert await retention.load(connection) == Retention(NEVER_US, ())
        assert await retention.moved_at(connection) is None


async def test_the_horizon_moves_freely_until_something_is_dropped_and_then_never_back(
    pool: Pool,
) -> None:
    """What is left before a horizon that dropped something serves the readings behind it only."""
    async with pool.connection() as connection:
        assert await retention.move(connection, HORIZON_US, NOW)
        assert not await retention.move(connection, HORIZON_US, NOW + timedelta(days=1))
        assert await retention.moved_at(connection) == NOW
        assert await retention.move(connection, HORIZON_US - DAY_US, NOW)
        await retention.record_dropped(connection, HORIZON_US - 3 * DAY_US)
        await retention.record_dropped(connection, HORIZON_US - 5 * DAY_US)
        assert not await retention.move(connection, HORIZON_US - 9 * DAY_US, NOW)
        kept = await retention.load(connection)
        assert kept == Retention(HORIZON_US - DAY_US, (), HORIZON_US - DAY_US)
        await retention.move(connection, HORIZON_US, NOW)
        await retention.move(connection, None, NOW)
        assert await retention.load(connection) == kept


@given(
    st.integers(0, 120),
    st.lists(spans, max_size=3),
    st.tuples(st.integers(0, 60), st.integers(61, 120)),
)
def test_slots_are_computed_where_all_their_readings_are(
    whole: int, restored: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    parts = Retention(whole, tuple(restored), whole).whole(*asked)
    found = [any(a <= at < b for a, b in parts) for at in range(121)]
    assert found == [
        asked[0] <= at < asked[1] and (at >= whole or any(a <= at < b for a, b in restored))
        for at in range(121)
    ]


async def test_a_late_row_behind_the_horizon_is_refused_and_nothing_is_stored(pool: Pool) -> None:
    async with pool.connection() as connection:
        await retention.move(connection, HORIZON_US, NOW)
        await connection.commit()
        rows = Rows.join([row_at(DAY[0] + 5), row_at(NOW_US)])
        with pytest.raises(Rejected, match=r"1 readings from 2026-09-22 on lie behind") as told:
            await readings.write(connection, rows, NOW, None, NO_INTERVALS)
        assert told.value.reason == "archived"
        await connection.rollback()
        assert all(s.from_us > HORIZON_US for s in await partitions.spans(connection))
        await readings.write(connection, row_at(HORIZON_US), NOW, None, NO_INTERVALS)


async def test_a_restored_day_takes_late_rows_until_it_is_archived_anew(pool: Pool) -> None:
    async with pool.connection() as connection:
        await retention.record_archived(connection, DAY, 7, "archive/2026-09-22", NOW)
        await retention.move(connection, HORIZON_US, NOW)
        await retention.record_restored(connection, DAY, NOW)
        assert (await retention.load(connection)).restored == (DAY,)
        done = await readings.write(connection, row_at(DAY[0]), NOW, None, NO_INTERVALS)
        assert len(done.new) == 1
        with pytest.raises(Rejected):
            await readings.write(connection, row_at(DAY[1]), NOW, None, NO_INTERVALS)
        await retention.record_archived(connection, DAY, 8, "archive/2026-09-22", NOW)
        with pytest.raises(Rejected):
            await readings.write(connection, row_at(DAY[0] + 1), NOW, None, NO_INTERVALS)
        (held,) = (await retention.archived_spans(connection)).values()
        assert (held.row_count, held.restored_at) == (8, None)


async def test_a_day_brought_into_a_new_store_is_open_and_counts_as_archived_by_nobody(
    pool: Pool,
) -> None:
    async with pool.connection() as connection:
        await retention.record_restored(connection, DAY, NOW)
        (held,) = (await retention.archived_spans(connection)).values()
        assert (held.row_count, held.restored_at) == (0, NOW)
