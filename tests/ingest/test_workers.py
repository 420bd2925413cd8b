"""Several ingest workers: sites are shared out, a dead one's are taken over, nothing counts twice.

The agents of these tests do as agents do: they send until the store's receipt.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from core.errors import Retryable
from ingest import leases
from ingest.calculator import Calculator
from ingest.leases import Leases
from ingest.plantwatch import PlantWatch
from ingest.receipts import Receipts
from ingest.source import Arrival
from ingest.writer import Hooks, Writer
from tests.ingest import fleet, world
from tests.ingest.test_writer import NoSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from psycopg import AsyncConnection

    from core.plant import Plant
    from store.connection import Pool
    from tests.fixtures.broker import Broker

ROOT = Path(__file__).resolve().parent.parent.parent
TAKEN_OVER_S = 8.0
NUMBER = 91  # readings of each site: an hour and a half of minutes, six whole slots
HELD_BY = "select count(distinct worker) from agent_lease where site <> '*' and expires_at > now()"


async def test_two_workers_share_the_sites_and_a_clean_stop_gives_them_back_at_once(
    broker: Broker, pool: Pool
) -> None:
    await fleet.declare(pool)
    agents = [fleet.Agent(site, 31) for site in fleet.SITES]
    async with fleet.worker(broker, pool) as one:
        await one.service.ready.wait()
        assert one.service.leases.share.alone
        async with fleet.worker(broker, pool) as other:
            await world.wait_until(lambda: sorted(fleet.shares(one, other)) == [1, 2])
            assert sum(each.service.leases.share.for_all for each in (one, other)) == 1
            await asyncio.gather(*(agent.run(broker, 0.005) for agent in agents))
        began = time.monotonic()
        await world.wait_until(lambda: one.service.leases.share.alone)
        assert time.monotonic() - began < TAKEN_OVER_S / 2
        await fleet.stored_once(pool, 31)


@pytest.mark.slow
async def test_of_three_workers_one_dies_and_its_sites_are_taken_over(
    broker: Broker, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 1: no reading lost, none counted twice."""
    # A third of the time, so that the test takes a third: the next one has the true times.
    monkeypatch.setattr(leases, "LIFE", leases.LIFE / 3)
    monkeypatch.setattr(leases, "RENEWAL_S", leases.RENEWAL_S / 3)
    await fleet.declare(pool)
    agents = [fleet.Agent(site, NUMBER) for site in fleet.SITES]
    async with (
        fleet.worker(broker, pool) as one,
        fleet.worker(broker, pool) as two,
        fleet.worker(broker, pool) as three,
    ):
        everyone = (one, two, three)
        await world.wait_until(lambda: fleet.shares(*everyone) == [1, 1, 1])
        sending = [asyncio.create_task(agent.run(broker, 0.02)) for agent in agents]
        await world.wait_until(lambda: all(agent.receipt.committed > 5 for agent in agents))
        victim = next(each for each in everyone if each.service.leases.share.for_all)
        left = [each for each in everyone if each is not victim]
        killed = time.monotonic()
        await fleet.kill(victim)
        await world.wait_until(lambda: sorted(fleet.shares(*left)) == [1, 2])
        assert time.monotonic() - killed < TAKEN_OVER_S
        await world.wait_until(lambda: any(each.service.leases.share.for_all for each in left))
        async with asyncio.timeout(world.DEADLINE_S):
            await asyncio.gather(*sending)
        await fleet.stored_once(pool, NUMBER)


async def test_a_calculator_that_slept_past_its_lease_settles_no_mark_and_writes_no_slot(
    pool: Pool,
) -> None:
    """What it computed may lack readings that its heir has stored; the heir computes again."""
    await fleet.declare(pool)
    agent = fleet.Agent(fleet.SITES[0], 31)
    me, heir = Leases(pool, uuid4()), Leases(pool, uuid4())
    await me.step()
    woken, asleep = asyncio.Event(), asyncio.Event()

    async def fence(connection: AsyncConnection[Any], sites: Collection[str]) -> None:
        asleep.set()
        await woken.wait()
        await me.fence(connection, sites)

    loaded = await _store(pool, agent, range(1, 17), me)
    mine = Calculator(pool, lambda: loaded, lambda: world.NOW, fence=fence, holds=me.holds)
    step = asyncio.create_task(mine.step())
    await asleep.wait()  # all its slots are written, but for the commit
    await world.rows(pool, "update agent_lease set expires_at = now() returning 1")
    await world.rows(pool, "update ingest_worker set expires_at = now() returning 1")
    await heir.step()
    assert heir.share.alone
    woken.set()
    with pytest.raises(Retryable, match="another worker"):
        await step
    assert await world.rows(pool, "select count(*) from slot_energy") == [(0,)]
    await _store(pool, agent, range(17, 32), heir)
    theirs = Calculator(pool, lambda: loaded, lambda: world.NOW, fence=heir.fence)
    while await theirs.step():
        pass
    wanted = [("f-one.u.ac", *fleet.FULL_SLOT)] * 2
    assert await world.rows(pool, fleet.SLOTS) == wanted
    assert await world.rows(pool, "select count(*) from touched") == [(0,)]


async def _store(
    pool: Pool, agent: fleet.Agent, sequences: range, holder: Leases
) -> tuple[Plant, Mapping[str, int]]:
    watch = PlantWatch(pool, lambda: world.NOW)
    await watch.load()
    hooks = Hooks(fence=holder.fence)
    writer = Writer(
        pool, NoSource(), Receipts("a-store"), lambda: watch.declared, lambda: world.NOW, hooks
    )
    topic = f"danhao/v1/{agent.site}/gw-01/readings"
    await writer.write([Arrival(topic, agent.message(n), lambda: None) for n in sequences])
    return watch.plants()


@asynccontextmanager
async def program(broker: Broker, database_url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `danhao ingest run` as a process of its own."""
    given = {"DANHAO_DATABASE_URL": database_url, "DANHAO_MQTT_URL": broker.url}
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "danhao", "ingest", "run",
        env={**os.environ, **given, "PYTHONPATH": str(ROOT)}, cwd="/",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        _, said = await started.communicate()
        print(said.decode())  # noqa: T201 - shown where the test fails


@pytest.mark.slow
async def test_a_frozen_worker_is_replaced_and_writes_nothing_when_it_wakes(
    broker: Broker, pool: Pool, database_url: str
) -> None:
    """A process stopped in the middle of its work, as by swapping or a paused machine."""
    await fleet.declare(pool)
    agents = [fleet.Agent(site, NUMBER) for site in fleet.SITES]
    async with program(broker, database_url) as frozen:
        await world.eventually(pool, HELD_BY, [(1,)])
        sending = [asyncio.create_task(agent.run(broker, 0.02)) for agent in agents]
        await world.wait_until(lambda: all(agent.receipt.committed > 5 for agent in agents))
        frozen.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        async with fleet.worker(broker, pool) as heir:
            await world.wait_until(lambda: heir.service.leases.share.alone)
            assert time.monotonic() - stopped < TAKEN_OVER_S
            async with asyncio.timeout(world.DEADLINE_S):
                await asyncio.gather(*sending)
            await fleet.stored_once(pool, NUMBER)
            before = await _everything(pool)
            frozen.send_signal(signal.SIGCONT)
            # Awake and sound again, it takes its share of the sites as any other worker.
            await world.eventually(pool, HELD_BY, [(2,)])
            assert await _everything(pool) == before
            more = [fleet.Agent(site, NUMBER + 15) for site in fleet.SITES]
            async with asyncio.timeout(world.DEADLINE_S):
                await asyncio.gather(*(agent.run(broker, 0) for agent in more))
            await fleet.stored_once(pool, NUMBER + 15)


async def _everything(pool: Pool) -> list[object]:
    queries = (
        "select point_id, ts, value, recorded_at from reading order by 1, 2",
        "select point_id, slot_start, energy_e6, computed_at from slot_energy order by 1, 2",
    )
    return [await world.rows(pool, query) for query in queries]
