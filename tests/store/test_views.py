"""Promises of the read queries behind the API, where the routes' own tests do not reach."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from core.clock import to_us
from store import partitions, views

if TYPE_CHECKING:
    from store.connection import Pool

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)


async def test_an_agent_speaks_by_its_newest_epoch(pool: Pool) -> None:
    async with pool.connection() as connection:
        for number, epoch in enumerate(("old", "new")):
            await connection.execute(
                "insert into agent_epoch (site, agent, epoch, committed, missing, lost, first_at,"
                " updated_at) values ('s', 'a', %s, %s, '{[1,3),[5,6)}', '{[7,9)}', %s, %s)",
                (epoch, number, NOW, NOW + timedelta(seconds=number)),
            )
        found = await views.agents(connection, [("s", "a"), ("s", "b")])
    assert (found["s", "a"].epoch, found["s", "a"].committed) == ("new", 1)
    assert (found["s", "a"].missing, found["s", "a"].lost) == (3, 2)
    assert found["s", "b"].last_seen_at is None


async def test_a_range_of_readings_is_half_open_bounded_and_in_order(pool: Pool) -> None:
    async with pool.connection() as connection:
        await partitions.make_for(connection, np.array([to_us(NOW)]), NOW)
        await connection.execute(
            "insert into reading select %s + n * interval '1 second', %s, n, 1, 0"
            " from generate_series(9, 0, -1) n",
            (NOW, NOW),
        )
        start = to_us(NOW)
        found = await views.readings(connection, 1, start + 2_000_000, start + 8_000_000, 4)
    assert [one.value for one in found] == [2, 3, 4, 5]
    assert found[0].measured_us == start + 2_000_000


async def test_dead_letters_are_counted_of_the_last_day_only(pool: Pool) -> None:
    async with pool.connection() as connection:
        for number, age in enumerate((timedelta(0), timedelta(hours=25))):
            await connection.execute(
                "insert into dead_letter (recorded_at, reason, topic, site, agent, detail,"
                " payload, payload_bytes, digest)"
                " values (%s, 'future', 't', 's', 'a', 'd', '', 0, %s)",
                (NOW - age, bytes([number])),
            )
        found = await views.freshness(connection, NOW)
    assert found.dead_letters == {"future": 1}
    assert found.newest_reading_at is None


async def test_nothing_is_asked_where_nothing_is_wanted(pool: Pool) -> None:
    async with pool.connection() as connection:
        assert await views.latest(connection, []) == {}
        assert await views.agents(connection, []) == {}
        assert await views.output_fact(connection, "s", "id", 0) is None
