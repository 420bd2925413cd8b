"""Leases in the store: one worker a site, whatever the order, decided by the server's clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg
import pytest

from store import connection as connections
from store import leases

if TYPE_CHECKING:
    from store.connection import Pool

LIFE = timedelta(seconds=60)
OVER = timedelta(seconds=-1)
ONE, OTHER = uuid4(), uuid4()


async def take(pool: Pool, worker: UUID, *sites: str, life: timedelta = LIFE) -> set[str]:
    async with pool.connection() as connection:
        return set(await leases.take(connection, worker, sites, life))


async def renew(pool: Pool, worker: UUID) -> set[str]:
    async with pool.connection() as connection:
        return set(await leases.renew(connection, worker, LIFE))


async def test_a_site_has_one_worker_until_its_lease_runs_out_or_is_given_back(pool: Pool) -> None:
    assert await take(pool, ONE, "a", "b") == {"a", "b"}
    assert await take(pool, OTHER, "a", "b", "c") == {"c"}
    async with pool.connection() as connection:
        await leases.release(connection, OTHER, ["a"])  # not its own to give back
        await leases.release(connection, ONE, ["b"])
    assert await take(pool, OTHER, "a", "b") == {"b"}
    assert await renew(pool, ONE) == {"a"}
    assert await renew(pool, OTHER) == {"b", "c"}


async def test_a_lease_that_ran_out_is_renewed_unless_somebody_has_taken_it(pool: Pool) -> None:
    await take(pool, ONE, "a", "b", life=OVER)
    assert await take(pool, OTHER, "a") == {"a"}
    assert await renew(pool, ONE) == {"b"}
    assert await take(pool, OTHER, "b") == set()


async def test_a_free_site_goes_to_exactly_one_of_those_who_ask_at_once(pool: Pool) -> None:
    await take(pool, uuid4(), "old", life=OVER)
    sites = ["new", "old"]
    found = await asyncio.gather(*(take(pool, uuid4(), *sites) for _ in range(6)))
    assert sorted(site for each in found for site in each) == sites


async def test_nobody_takes_a_site_that_an_open_transaction_relies_on(pool: Pool) -> None:
    await take(pool, ONE, "a", "b", life=timedelta(seconds=0.2))
    async with pool.connection() as writing:
        assert await leases.fence(writing, ONE, ["a"])
        async with asyncio.timeout(10):
            while not await take(pool, OTHER, "a", "b"):
                pass
        assert await take(pool, OTHER, "a") == set()  # run out, but the commit comes first
        assert not await leases.fence(writing, ONE, ["a", "b"])
    assert await take(pool, OTHER, "a") == {"a"}
    async with pool.connection() as late:
        assert not await leases.fence(late, ONE, ["a"])
        assert not await leases.fence(late, OTHER, ["a", "nobody's"])
        assert await leases.fence(late, OTHER, ["a", "b"])


async def test_renewing_waits_for_a_commit_and_neither_blocks_the_other(pool: Pool) -> None:
    sites = [f"s{n}" for n in range(20)]
    await take(pool, ONE, *sites)

    async def write() -> None:
        for _ in range(20):
            async with pool.connection() as writing:
                assert await leases.fence(writing, ONE, sites)

    async def keep() -> None:
        for _ in range(20):
            assert len(await renew(pool, ONE)) == len(sites)

    await asyncio.gather(write(), write(), keep())


async def test_numbers_are_the_smallest_free_ones(pool: Pool) -> None:
    async def register(worker: UUID, life: timedelta = LIFE) -> int | None:
        async with pool.connection() as connection:
            return await leases.register(connection, worker, life)

    workers = [uuid4() for _ in range(4)]
    numbers = await asyncio.gather(*map(register, workers))
    assert sorted(filter(None, numbers)) == [1, 2, 3, 4]
    assert await asyncio.gather(*map(register, workers)) == numbers
    gone = workers[numbers.index(2)]
    await register(gone, OVER)
    async with pool.connection() as connection:
        assert await leases.bury(connection, workers[numbers.index(1)]) == [gone]
    assert await register(uuid4()) == 2


async def test_all_numbers_taken_is_no_number(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "MOST_WORKERS", 1)
    async with pool.connection() as connection:
        assert await leases.register(connection, ONE, LIFE) == 1
        assert await leases.register(connection, OTHER, LIFE) is None


async def test_what_a_dead_worker_left_open_ends_with_it(pool: Pool, database_url: str) -> None:
    frozen = await psycopg.AsyncConnection.connect(
        database_url, **connections.parameters(database_url, leases.application(ONE))
    )
    await frozen.execute("select 1")  # a transaction whose program says nothing more
    async with pool.connection() as connection:
        await leases.register(connection, ONE, OVER)
        assert await leases.bury(connection, OTHER) == [ONE]
    with pytest.raises(psycopg.OperationalError):
        await frozen.execute("select 1")
    await frozen.close()


async def test_what_is_seen_leaves_out_what_has_run_out(pool: Pool) -> None:
    await take(pool, ONE, "a")
    await take(pool, OTHER, "b", leases.EVERY)
    await take(pool, uuid4(), "c", life=OVER)
    async with pool.connection() as connection:
        await leases.register(connection, ONE, LIFE)
        await leases.register(connection, OTHER, OVER)
        found = await leases.look(connection, ONE)
    assert found.held == {"a": ONE, "b": OTHER, leases.EVERY: OTHER}
    assert set(found.numbers) == {ONE}
    assert found.next_end_s == pytest.approx(60, abs=5)
