"""One look sees who is at work, what waits and what was lost; what is unknown stays unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from store import basis, checkups, leases, plants
from tests.store import ledger
from tests.store.ledger import NOW

if TYPE_CHECKING:
    from store.connection import Pool

WORKER = UUID(int=7)


async def test_an_empty_store_has_nothing_and_says_so(pool: Pool) -> None:
    async with pool.connection() as link:
        seen = await checkups.look(link, NOW)
    assert (seen.work.workers, seen.work.idle_sites) == (0, [])
    assert seen.work.oldest_mark_at is None
    assert seen.work.newest_figure_at is None
    assert seen.work.newest_reading_at is None
    assert abs(seen.work.asked_at - datetime.now(UTC)) < timedelta(minutes=1)  # noqa: TID251 - the server's own clock is asked
    assert (seen.agents, seen.channels, seen.reports) == ({}, [], [])
    assert (seen.alarms.firing, seen.alarms.cases_open) == ({}, 0)


async def test_a_site_is_idle_until_a_worker_has_its_lease(pool: Pool) -> None:
    await ledger.declare(pool)
    async with pool.connection() as link:
        before = await checkups.work(link, NOW)
        await leases.register(link, WORKER, timedelta(minutes=1))
        await leases.take(link, WORKER, ["gh-al", "qh-fa"], timedelta(minutes=1))
        during = await checkups.work(link, NOW)
        await link.execute("update agent_lease set expires_at = now() - interval '1 second'")
        await link.execute("update ingest_worker set expires_at = now() - interval '1 second'")
        after = await checkups.work(link, NOW)
    assert (before.workers, before.idle_sites) == (0, sorted(ledger.SITES))
    assert (during.workers, during.idle_sites) == (1, ["nx-ce"])
    assert (after.workers, after.idle_sites) == (0, sorted(ledger.SITES))


async def test_what_waits_and_what_was_computed_is_counted(pool: Pool) -> None:
    await ledger.fill(pool)
    async with pool.connection() as link:
        computed = await checkups.work(link, NOW)
    await ledger.store(pool, ledger.rows_of(await ledger.declare(pool), 16, 1))
    marked_at = NOW - timedelta(minutes=9)
    async with pool.connection() as link:
        await link.execute("update touched set marked_at = %s", (marked_at,))
        waiting = await checkups.work(link, NOW)
    assert computed.newest_figure_at == NOW
    assert (computed.letters_open, computed.letters_removed) == (1, 0)
    assert waiting.slots_marked > computed.slots_marked
    assert waiting.oldest_mark_at == marked_at


async def test_open_letters_are_those_that_nobody_settled(pool: Pool) -> None:
    await ledger.fill(pool)
    async with pool.connection() as link:
        await link.execute("update dead_letter set discarded_at = now(), discarded_by = 'li'")
        await link.execute("insert into dead_letter_removed values ('future', 9, 2, now())")
        seen = await checkups.work(link, NOW)
    assert (seen.letters_open, seen.letters_removed) == (0, 7)


async def test_points_that_were_never_heard_are_named(pool: Pool) -> None:
    ids = await ledger.declare(pool)
    async with pool.connection() as link:
        heard = ids["gh-al.u-1.ac"]
        await link.execute("insert into point_latest values (%s, %s, 1, 0, null)", (heard, NOW))
        found = await checkups.unheard(link)
        assert (await checkups.work(link, NOW)).newest_reading_at == NOW
    assert found == sorted(ids.keys() - {"gh-al.u-1.ac"})


async def test_who_sent_production_facts_is_known(pool: Pool) -> None:
    await ledger.fill(pool)
    [(site, source)] = await ledger.all_rows(
        pool, "select distinct site, source from output_fact order by 1, 2 limit 1"
    )
    async with pool.connection() as link:
        found = await checkups.sources(link, [(site, source), (site, "nobody"), ("zz", source)])
    assert found == {(site, source)}


async def test_the_catalogues_that_figures_rest_on_are_known(pool: Pool) -> None:
    async with pool.connection() as link:
        assert await checkups.catalogues(link) == {}
        await basis.of_plant(link, (await plants.load(link)).plant, NOW)
        assert await checkups.catalogues(link) == {basis.catalogue().digest: NOW}
