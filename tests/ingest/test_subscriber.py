"""MQTT in, with a real broker: acknowledged after settle, bounded, and back after a cut."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.errors import Misconfigured, Retryable
from ingest import config
from ingest.source import Bounds
from ingest.subscriber import Subscriber, everything, of_sites
from tests.ingest import world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ingest.source import Arrival, Publish
    from ingest.subscriber import Reads
    from tests.fixtures.broker import Broker

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENT = Bounds(messages=64, payload_bytes=1 << 20, wait_s=0.3)


async def forever(_publish: Publish) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def subscribed(
    broker: Broker, reads: Reads | None = None, **more: int
) -> AsyncIterator[Subscriber]:
    subscriber = Subscriber(world.mqtt_settings(broker), forever, reads=reads, **more)  # type: ignore[arg-type]  # the bounds
    task = asyncio.create_task(subscriber.run())
    try:
        async with asyncio.timeout(world.DEADLINE_S):
            await subscriber.connected.wait()
        yield subscriber
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def take(subscriber: Subscriber, number: int) -> list[Arrival]:
    """Take until that many have come."""
    taken: list[Arrival] = []
    async with asyncio.timeout(world.DEADLINE_S):
        while len(taken) < number:
            taken += await subscriber.take(PATIENT)
    return taken


async def publish(broker: Broker, payloads: list[bytes]) -> None:
    async with world.client(broker, "sender") as sender:
        for payload in payloads:
            await sender.publish(world.TOPIC, payload, qos=1)


async def test_what_is_not_settled_comes_again_and_what_is_does_not(broker: Broker) -> None:
    if not broker.durable:
        pytest.skip("this broker keeps no session")
    async with subscribed(broker) as subscriber:
        await publish(broker, [b"1", b"2", b"3"])
        taken = await take(subscriber, 3)
        taken[0].settle()
        taken[1].settle()
    async with subscribed(broker) as subscriber:
        await publish(broker, [b"4"])
        again = await take(subscriber, 2)
    assert [each.payload for each in again] == [b"3", b"4"]


async def test_a_batch_is_bounded_by_messages_and_by_bytes(broker: Broker) -> None:
    async with subscribed(broker) as subscriber:
        await publish(broker, [b"x" * 100] * 6)
        await world.wait_until(lambda: subscriber.backlog == 6)
        by_messages = await subscriber.take(Bounds(messages=2, payload_bytes=9_999, wait_s=5))
        by_bytes = await subscriber.take(Bounds(messages=64, payload_bytes=250, wait_s=5))
        one_at_least = await subscriber.take(Bounds(messages=64, payload_bytes=1, wait_s=5))
    assert [len(by_messages), len(by_bytes), len(one_at_least)] == [2, 2, 1]


async def test_memory_is_bounded_by_reading_no_more_and_nothing_is_lost(broker: Broker) -> None:
    number, size = 400, 20_000
    async with subscribed(broker, most_bytes=10 * size, most_messages=1_000) as subscriber:
        sending = asyncio.create_task(
            publish(broker, [str(n).encode().ljust(size) for n in range(number)])
        )
        await world.wait_until(lambda: subscriber.pauses > 0)
        await world.wait_until(lambda: subscriber.backlog > 10)
        most = 0
        seen: list[bytes] = []
        async with asyncio.timeout(60):
            while len(seen) < number:
                most = max(most, subscriber.backlog)
                for arrival in await subscriber.take(Bounds(5, 1 << 20, 0.01)):
                    seen.append(arrival.payload)
                    arrival.settle()
        await sending
    assert [int(payload) for payload in seen] == list(range(number))
    # One read of the socket may bring several messages past the bound, never all of them.
    assert most < number // 4


@pytest.mark.slow
async def test_a_flood_before_a_slow_store_is_kept_by_the_broker_and_receipts_pass_it_by(
    broker: Broker,
) -> None:
    """Mosquitto's window is no back-pressure: what bounds our memory is that we read no more."""
    if not broker.durable:
        pytest.skip("needs a broker that keeps what is not read")
    number, size, bound = 1_000, 60_000, 4 << 20
    flooded = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("flooded.py")),
        str(broker.port), str(bound), "2.5",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert flooded.stdout is not None
    assert await flooded.stdout.readline() == b"ready\n"
    async with world.client(broker, "sender") as sender:
        for _ in range(number // 10):
            each = b"x" * size
            await asyncio.gather(*(sender.publish(world.TOPIC, each, qos=1) for _ in range(10)))
    told, _ = await flooded.communicate()
    found = json.loads(told)
    print(found)  # noqa: T201 - the figures
    assert found["pauses"] > 0
    assert found["connections"] == 1
    assert bound / 2 < found["backlog_bytes"] < bound + (1 << 20)
    assert found["received"] * size < number * size / 2, "most of it is still the broker's"
    assert found["grown_bytes"] < 6 * bound
    assert found["receipts"] > 0
    assert found["slowest_receipt_s"] < 2.0


async def test_one_of_several_reads_its_sites_only_and_ends_the_session_of_one_alone(
    broker: Broker,
) -> None:
    if not broker.durable:
        pytest.skip("this broker keeps no session")
    other = "danhao/v1/qh-fa/gw-01/readings"
    async with subscribed(broker):
        pass  # leaves a session behind
    mine = of_sites({"gh-al"}, "danhao-ingest", 2, first=False)
    async with subscribed(broker, mine) as subscriber, world.client(broker, "sender") as sender:
        await sender.publish(other, b"theirs", qos=1)
        await sender.publish(world.TOPIC, b"mine", qos=1)
        assert [each.payload for each in await take(subscriber, 1)] == [b"mine"]
    async with subscribed(broker, everything("danhao-ingest")) as subscriber:
        kept = await take(subscriber, 2)  # the broker went on filling it
        assert {each.payload for each in kept} == {b"mine", b"theirs"}
    async with subscribed(broker, of_sites({"gh-al"}, "danhao-ingest", 1, first=True)):
        await publish(broker, [b"late"])
    async with subscribed(broker) as subscriber:
        await publish(broker, [b"last"])
        assert [each.payload for each in await take(subscriber, 1)] == [b"last"]


async def test_a_worker_that_may_not_connect_does_not(broker: Broker) -> None:
    may = False
    subscriber = Subscriber(world.mqtt_settings(broker), forever, allowed=lambda: may)
    task = asyncio.create_task(subscriber.run())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await subscriber.connected.wait()
    may = True
    async with asyncio.timeout(world.DEADLINE_S):
        await subscriber.connected.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_broker_that_restarts_is_found_again(broker: Broker) -> None:
    async with subscribed(broker) as subscriber:
        broker.stop()
        await world.wait_until(lambda: not subscriber.connected.is_set())
        with pytest.raises(Retryable, match="no connection"):
            await subscriber.publish(world.ACK, b"x", retain=True)
        broker.start()
        async with asyncio.timeout(world.DEADLINE_S):
            await subscriber.connected.wait()
        await publish(broker, [b"after"])
        assert [each.payload for each in await take(subscriber, 1)] == [b"after"]
        assert subscriber.connections == 2


async def test_settling_on_a_lost_connection_is_harmless(broker: Broker) -> None:
    async with subscribed(broker) as subscriber:
        await publish(broker, [b"1"])
        [arrival] = await take(subscriber, 1)
        broker.stop()
        broker.start()
        await world.wait_until(lambda: subscriber.connections == 2)
        arrival.settle()
        if broker.durable:
            assert [each.payload for each in await take(subscriber, 1)] == [b"1"]


async def test_a_broker_that_is_out_at_the_start_is_waited_for(broker: Broker) -> None:
    broker.stop()
    subscriber = Subscriber(world.mqtt_settings(broker), forever)
    task = asyncio.create_task(subscriber.run())
    await asyncio.sleep(0)
    broker.start()
    async with asyncio.timeout(world.DEADLINE_S):
        await subscriber.connected.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_account_that_the_broker_refuses_is_one_sentence(
    broker_with_passwords: Broker,
) -> None:
    settings = config.Mqtt(url=broker_with_passwords.url, username="nobody")
    subscriber = Subscriber(settings, forever)
    with pytest.raises(Misconfigured, match="refuses the account 'nobody'"):
        async with asyncio.timeout(world.DEADLINE_S):
            await subscriber.run()
