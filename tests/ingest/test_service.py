"""The whole write path: real broker, real PostgreSQL, a worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiomqtt
import pytest

from core import wire
from core.clock import to_us, utc_now
from core.errors import Misconfigured
from core.reading import Reading
from core.wire import AgentState, Status
from ingest import service
from store import settings
from tests.ingest import world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from store.connection import Pool
    from tests.fixtures.broker import Broker

ROOT = Path(__file__).resolve().parent.parent.parent
OUTPUT = "danhao/v1/gh-al/gw-01/output"
STATUS = "danhao/v1/gh-al/gw-01/status"


async def test_a_packet_is_stored_and_then_receipted(broker: Broker, pool: Pool) -> None:
    await world.declare(pool)
    async with world.inbox(broker) as (agent, inbox), world.working(broker, pool):
        await agent.publish(world.TOPIC, world.packet(world.counts(100, 5), 1), qos=1)
        receipt = await inbox.receipt(world.ACK, 1)
        assert receipt == wire.Receipt(receipt.store, "e1", 1)
        found = await world.rows(pool, "select value from reading order by ts")
        assert found == [(100.0,), (101.0,), (102.0,), (103.0,), (104.0,)]
        stores = await world.rows(pool, "select store::text from store_identity")
        assert stores == [(receipt.store,)]


async def test_receipts_are_retained_and_told_again_to_whoever_reports(
    broker: Broker, pool: Pool
) -> None:
    await world.declare(pool)
    async with world.working(broker, pool):
        async with world.inbox(broker) as (agent, inbox):
            await agent.publish(world.TOPIC, world.packet(world.counts(1, 1), 4), qos=1)
            first = await inbox.receipt(world.ACK, 4)
            assert first.missing == ((1, 3),)
        async with world.inbox(broker) as (agent, inbox):
            assert await inbox.receipt(world.ACK, 4) == first  # retained
            inbox.seen.clear()
            status = Status(AgentState.ONLINE, world.NOW, "e1", 0)
            await agent.publish(STATUS, status.to_json(), qos=1, retain=True)
            assert await inbox.receipt(world.ACK, 4) == first
        await world.eventually(pool, "select state from agent_status", [("online",)])


async def test_receipts_are_told_again_when_the_worker_connects(broker: Broker, pool: Pool) -> None:
    await world.declare(pool)
    async with world.inbox(broker) as (agent, inbox), world.working(broker, pool):
        await agent.publish(world.TOPIC, world.packet(world.counts(1, 1), 1), qos=1)
        first = await inbox.receipt(world.ACK, 1)
        await agent.publish(world.ACK, b"", qos=1, retain=True)  # as if the broker had lost it
    async with world.inbox(broker) as (_, inbox), world.working(broker, pool):
        assert await inbox.receipt(world.ACK, 1) == first


async def test_every_kind_of_bad_input_is_a_letter_and_the_path_goes_on(
    broker: Broker, pool: Pool
) -> None:
    await world.declare(pool)
    late_us = world.NOW_US + 6 * world.MINUTE_US
    spoiled = [
        Reading("gh-al.potline-1.nobody", world.NOW_US, 1),
        Reading(world.FOREIGN, world.NOW_US, 1),
        Reading(world.COUNTER, late_us, 1),
        Reading(world.COUNTER, 0, 1),
        Reading(world.GAUGE, world.NOW_US, float("nan")),
        Reading(world.COUNTER, world.NOW_US, 2**53 + 1),
    ]
    async with world.inbox(broker) as (agent, inbox), world.working(broker, pool):
        await agent.publish(world.TOPIC, world.packet(spoiled, 1), qos=1)
        await agent.publish(world.TOPIC, b"\n" * (2 << 20), qos=1)  # 2 MiB
        await agent.publish(world.TOPIC, b'{"agent":', qos=1)
        stranger = "danhao/v1/gh-al/stranger/readings"
        await agent.publish(stranger, world.packet(world.counts(1, 1), 1), qos=1)
        await agent.publish(world.TOPIC, world.packet(world.counts(1, 2), 2), qos=1)
        await inbox.receipt(world.ACK, 2)
        found = await world.rows(pool, "select reason from dead_letter order by reason")
        assert [reason for (reason,) in found] == [
            "count_too_large", "future", "not_a_number", "too_large", "too_old", "unknown_agent",
            "unknown_point", "unreadable", "wrong_site",
        ]  # fmt: skip
        assert await world.rows(pool, "select count(*) from reading") == [(2,)]
        large = "select payload_bytes from dead_letter where reason = 'too_large'"
        assert await world.rows(pool, large) == [(2 << 20,)]


async def test_facts_are_receipted_by_their_ids(broker: Broker, pool: Pool) -> None:
    await world.declare(pool)
    fact = {
        "id": "t-1", "unit": "gh-al.potline-1", "kind": "tapping",
        "at": "2026-11-21T07:00:00Z", "mass_t": "6.125",
    }  # fmt: skip
    async with world.inbox(broker) as (agent, inbox), world.working(broker, pool):
        await agent.publish(OUTPUT, json.dumps(fact).encode(), qos=1)
        assert await inbox.until(world.ACK, lambda payload: payload == b'{"ids":["t-1"]}')
        assert await world.rows(pool, "select mass_e6 from output_fact") == [(6_125_000,)]


async def test_a_broker_that_restarts_loses_no_reading_and_doubles_none(
    broker: Broker, pool: Pool
) -> None:
    """Invariant 1: no reading lost, none counted twice; the agent sends until the receipt."""
    await world.declare(pool)
    number = 60
    payloads = [
        world.packet(world.counts(n, 1, start_us=world.NOW_US - n * 1_000_000), n, oldest=1)
        for n in range(1, number + 1)
    ]
    async with world.working(broker, pool):
        done = asyncio.create_task(_until_receipted(broker, payloads))
        for kill in (broker.kill, broker.stop):
            await asyncio.sleep(0.2)  # let some of it pass
            kill()
            broker.start()
        async with asyncio.timeout(60):
            await done
    assert await world.rows(pool, "select count(*), sum(value) from reading") == [
        (number, number * (number + 1) / 2)
    ]


async def _until_receipted(broker: Broker, payloads: list[bytes]) -> None:
    """Do as an agent does: send what is not receipted, again and again."""
    receipt = wire.Receipt("", "", 0)
    while not all(receipt.covers(n) for n in range(1, len(payloads) + 1)):
        with contextlib.suppress(aiomqtt.MqttError):
            async with world.client(broker, "agent") as agent:
                await agent.subscribe(world.ACK, qos=1)
                for n, payload in enumerate(payloads, start=1):
                    if not receipt.covers(n):
                        await agent.publish(world.TOPIC, payload, qos=1)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        async for message in agent.messages:
                            assert isinstance(message.payload, bytes)
                            receipt = wire.Receipt.from_json(message.payload)
                            if receipt.covers(len(payloads)) and not receipt.missing:
                                break
        await asyncio.sleep(0.05)  # the agent's pause before it connects again


async def test_a_changed_plant_is_seen_within_two_seconds(broker: Broker, pool: Pool) -> None:
    async with world.inbox(broker) as (agent, inbox), world.working(broker, pool):
        await world.declare(pool)
        async with asyncio.timeout(2.0):
            while world.ACK not in inbox.seen:
                await agent.publish(world.TOPIC, world.packet(world.counts(1, 1), 1), qos=1)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await inbox.receipt(world.ACK, 1)


async def test_what_points_show_now_follows_within_a_second(broker: Broker, pool: Pool) -> None:
    await world.declare(pool)
    start_us = world.NOW_US - 2 * world.MINUTE_US
    readings = [Reading(world.COUNTER, start_us + n * world.MINUTE_US, n) for n in range(3)]
    async with world.inbox(broker) as (agent, _), world.working(broker, pool):
        await agent.publish(world.TOPIC, world.packet(readings, 1), qos=1)
        await world.eventually(pool, "select value, rate_kw from point_latest", [(2.0, 60.0)])


async def test_readings_become_slots_without_anybody_asking(broker: Broker, pool: Pool) -> None:
    await world.declare(pool)
    start_us = world.NOW_US - 60 * world.MINUTE_US
    readings = [Reading(world.COUNTER, start_us + n * world.MINUTE_US, 10 * n) for n in range(31)]
    async with world.inbox(broker) as (agent, _), world.working(broker, pool):
        await agent.publish(world.TOPIC, world.packet(readings, 1), qos=1)
        await world.eventually(
            pool,
            "select energy_e6, measured_us from slot_energy order by slot_start",
            [(150_000_000, 15 * world.MINUTE_US)] * 2,
        )
        await world.eventually(pool, "select count(*) from touched", [(0,)])


async def test_the_policies_of_the_store_run_at_once(broker: Broker, pool: Pool) -> None:
    async with world.working(broker, pool):
        ran = "select policy, error from policy_run where finished_at is not null order by policy"
        await world.eventually(pool, ran, [("ahead", None), ("retain", None)])


async def test_what_belongs_to_another_worker_is_neither_written_nor_acknowledged(
    broker: Broker, pool: Pool
) -> None:
    await world.declare(pool)
    async with world.inbox(broker) as (agent, inbox), world.working(broker, pool) as worker:
        await world.rows(
            pool,
            "update agent_lease set worker = gen_random_uuid(),"
            " expires_at = now() + interval '1 hour' where site = 'gh-al' returning 1",
        )
        await agent.publish(world.TOPIC, world.packet(world.counts(1, 2), 1), qos=1)
        await world.wait_until(lambda: worker.service.leases.share.losses == 1)
        assert not worker.service.leases.holds("gh-al")
        await world.wait_until(lambda: not worker.service.leases.share.alone)
        assert await world.rows(pool, "select count(*) from reading") == [(0,)]
        await world.rows(pool, "delete from agent_lease where site = 'gh-al' returning 1")
        async with asyncio.timeout(world.DEADLINE_S):
            while world.ACK not in inbox.seen:  # its agent sends until there is a receipt
                await agent.publish(world.TOPIC, world.packet(world.counts(1, 2), 1), qos=1)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await inbox.receipt(world.ACK, 1)
    assert await world.rows(pool, "select count(*) from reading") == [(2,)]


async def test_a_database_without_tables_is_one_sentence(
    broker: Broker, empty_database_url: str
) -> None:
    given = world.worker_settings(broker)
    empty = given.model_copy(update={"database": settings.Database(url=empty_database_url)})
    with pytest.raises(Misconfigured, match="run `danhao db migrate` first"):
        await service.run(empty, lambda: world.NOW)


def environment(broker: Broker, database_url: str) -> Mapping[str, str]:
    given = {"DANHAO_DATABASE_URL": database_url, "DANHAO_MQTT_URL": broker.url}
    return {**os.environ, **given, "PYTHONPATH": str(ROOT)}


@contextlib.asynccontextmanager
async def process(
    *arguments: str, env: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=dict(env), cwd="/", stderr=asyncio.subprocess.PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        _, said = await started.communicate()
        print(said.decode())  # noqa: T201 - shown where the test fails


@pytest.mark.slow
async def test_the_command_serves_and_stops_cleanly_within_two_seconds(
    broker: Broker, pool: Pool, database_url: str
) -> None:
    await world.declare(pool)
    env = environment(broker, database_url)
    async with (
        world.inbox(broker) as (agent, inbox),
        process("-m", "danhao", "ingest", "run", env=env) as worker,
    ):
        leased = "select count(*) from agent_lease"
        await world.eventually(pool, leased, [(3,)])  # two sites, and what one does for all
        now_us = to_us(utc_now())
        payload = world.packet(world.counts(1, 3, start_us=now_us - 10_000_000), 1)
        async with asyncio.timeout(world.DEADLINE_S):
            while world.ACK not in inbox.seen:
                await agent.publish(world.TOPIC, payload, qos=1)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await inbox.receipt(world.ACK, 1)
        worker.send_signal(signal.SIGTERM)
        async with asyncio.timeout(2):
            assert await worker.wait() == 0
    assert await world.rows(pool, leased) == [(0,)]  # given back, so the next one need not wait
    assert await world.rows(pool, "select count(*) from reading") == [(3,)]


@pytest.mark.slow
async def test_a_worker_killed_between_commit_and_acknowledgement_loses_and_doubles_nothing(
    broker: Broker, pool: Pool, database_url: str
) -> None:
    """Invariants 1 and 2: receipt only after commit, every hop idempotent."""
    await world.declare(pool)
    number = 40
    env = environment(broker, database_url)
    crash = str(Path(__file__).with_name("crashing.py"))
    async with world.inbox(broker) as (agent, inbox):
        for life in range(3):
            first = life * number + 1
            async with process(crash, env=env) as worker, asyncio.timeout(30):
                while worker.returncode is None:  # the first life has no session yet: once more
                    await _send(agent, range(first, first + number))
                    await asyncio.sleep(0.1)
            assert worker.returncode == -signal.SIGKILL
            await world.rows(pool, "delete from agent_lease returning 1")
            await world.rows(pool, "delete from ingest_worker returning 1")
        assert await world.rows(pool, "select count(*) > 0 from reading") == [(True,)]
        async with world.working(broker, pool):
            # What this broker lost with the worker's session, the agent sends again.
            await _send(agent, range(1, 3 * number + 1))
            receipt = await inbox.until(world.ACK, lambda each: _complete(each, 3 * number))
            assert receipt
    total = 3 * number
    assert await world.rows(pool, "select count(*), sum(value) from reading") == [
        (total, total * (total + 1) / 2)
    ]
    assert await world.rows(pool, "select reason, topic, detail from dead_letter") == []


async def _send(agent: aiomqtt.Client, sequences: range) -> None:
    for n in sequences:
        reading = world.counts(n, 1, start_us=world.NOW_US - n * 1_000_000)
        await agent.publish(world.TOPIC, world.packet(reading, n), qos=1)


def _complete(payload: bytes, last: int) -> bool:
    receipt = wire.Receipt.from_json(payload)
    return receipt.committed == last and not receipt.missing
