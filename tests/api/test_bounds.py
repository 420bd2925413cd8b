"""A bound of the server that was hit is said in the store, once, whatever the store does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from api.bounds import SAID, Bounds
from api.live import FullError
from api.metrics import MOST_SERIES, OVERFLOW

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.deps import Services
    from store.connection import Pool


async def said(pool: Pool) -> dict[str, int]:
    async with pool.connection() as connection:
        cursor = await connection.execute("select bound, hits from bound_hit order by 1")
        found: dict[str, Any] = dict(await cursor.fetchall())
        return found


async def test_pages_turned_away_are_said_once_and_added_up(app: FastAPI, pool: Pool) -> None:
    shared: Services = app.state.services
    bounds = Bounds(shared)
    assert await bounds.say() == 0
    for _ in range(4):
        shared.hub.join(frozenset({"*"}), None, shared.ticks())
    for more in (2, 1):
        for _ in range(more):
            with pytest.raises(FullError):
                shared.hub.join(frozenset({"*"}), None, shared.ticks())
        assert await bounds.say() == 1
        assert await bounds.say() == 0
    assert await said(pool) == {"live-streams": 3}
    assert await Bounds(shared).say() == 1  # another process adds its own
    assert await said(pool) == {"live-streams": 6}


async def test_series_that_no_longer_count_are_said(app: FastAPI, pool: Pool) -> None:
    shared: Services = app.state.services
    for number in range(MOST_SERIES + 3):
        shared.metrics.add("danhao_http_requests_total", route=str(number))
    assert shared.metrics.value(OVERFLOW) >= 3
    assert await Bounds(shared).say() == 1
    assert list(await said(pool)) == ["metric-series"]


async def test_what_could_not_be_said_is_said_later(app: FastAPI, pool: Pool) -> None:
    shared: Services = app.state.services
    bounds = Bounds(shared)
    for name in SAID:
        shared.metrics.add(name, 2)
    async with pool.connection() as connection:
        await connection.execute("alter table bound_hit add constraint shut check (hits < 0)")
    with pytest.raises(psycopg.errors.CheckViolation):
        await bounds.say()
    async with pool.connection() as connection:
        await connection.execute("alter table bound_hit drop constraint shut")
    assert await bounds.say() == len(SAID)
    assert await said(pool) == {bound: 2 for bound, _ in SAID.values()}
