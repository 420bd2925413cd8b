"""The publisher against a real broker: it sends until the store's receipt, through any outage."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import wire
from core.clock import utc_now
from core.reading import Reading
from core.wire import AgentState
from edge import config as configuration
from edge.outbox import Outbox
from edge.publisher import Publisher
from edge.window import Window
from tests.edge.plant import configured, loaded, running, store_behind, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.config import Configuration
    from tests.fixtures.broker import Broker

pytestmark = pytest.mark.broker


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path / "outbox.sqlite", most_bytes=16 << 20, keep_us=10**15)
    yield outbox
    outbox.close()


@pytest.fixture
def config(tmp_path: Path, broker: Broker) -> Configuration:
    return loaded(tmp_path, broker.port)


def publisher(config: Configuration, box: Outbox, window: Window | None = None) -> Publisher:
    return Publisher(config, box, clock=utc_now, monotonic=time.monotonic, window=window)


def keep(box: Outbox, count: int) -> None:
    for _ in range(count):
        number = box.state().last_sequence + 1
        box.append([Reading("gh-al.m1.energy", number, number)], number)


async def test_everything_kept_is_sent_in_order_and_receipted(
    config: Configuration, box: Outbox, broker: Broker
) -> None:
    keep(box, 200)
    async with store_behind(broker.port) as store:
        sender = publisher(config, box)
        async with running(sender.run()):
            await until(lambda: box.state().depth == 0)
            keep(box, 3)
            sender.wake()
            await until(lambda: box.state().depth == 0)
    assert store.sequences == list(range(1, 204))
    assert set(store.oldest) == {1}
    assert len(store.values) == 203
    assert box.state().held == 203


async def test_nothing_is_settled_by_the_broker_alone_and_the_window_is_bounded(
    config: Configuration, box: Outbox, broker: Broker
) -> None:
    keep(box, 50)
    async with store_behind(broker.port) as store:
        store.answering = False
        sender = publisher(config, box, Window(size=8))
        async with running(sender.run()):
            await until(lambda: len(store.sequences) == 8)
            await asyncio.sleep(0.1)
            assert store.sequences == list(range(1, 9))
            assert box.state().depth == 50
            store.answering = True
            await store.receipt()
            await until(lambda: box.state().depth == 0)
    assert store.sequences == list(range(1, 51))


async def test_what_is_unreceipted_is_sent_again_after_the_time_out(
    config: Configuration, box: Outbox, broker: Broker
) -> None:
    keep(box, 2)
    async with store_behind(broker.port) as store:
        store.answering = False
        sender = publisher(config, box, Window(timeout_s=0.2))
        async with running(sender.run()):
            await until(lambda: store.sequences.count(2) >= 2)
            store.answering = True
            await until(lambda: box.state().depth == 0)
    assert sender.counts.repeated >= 2
    assert store.held == {1, 2}


async def test_an_envelope_that_a_living_store_never_takes_is_set_aside_after_ten_sends(
    config: Configuration, box: Outbox, broker: Broker
) -> None:
    keep(box, 3)
    async with store_behind(broker.port) as store:
        store.refused = {2}
        sender = publisher(config, box, Window(timeout_s=0.05))
        async with running(sender.run()):
            await until(lambda: box.state().set_aside == 1)
            keep(box, 1)
            sender.wake()
            await until(lambda: box.state().depth == 0)
    # Exactly ten where receipts are prompt; a receipt later than this short time-out adds a send.
    assert store.sequences.count(2) >= 10
    assert sender.counts.set_aside == 1
    assert box.state().held == 4


async def test_another_store_gets_everything_that_is_still_held(
    config: Configuration, box: Outbox, broker: Broker
) -> None:
    keep(box, 20)
    async with store_behind(broker.port) as store:
        async with running(publisher(config, box).run()):
            await until(lambda: box.state().depth == 0)
            store.store = "restored"
            store.held = set(range(1, 6))
            await store.receipt()
            await until(lambda: len(store.held) == 20 and box.state().depth == 0)
        assert store.sequences == [*range(1, 21), *range(6, 21)]


async def test_the_retained_receipt_is_read_before_anything_is_sent_twice(
    config: Configuration, box: Outbox, broker: Broker
) -> None:
    keep(box, 30)
    async with store_behind(broker.port) as store:
        async with running(publisher(config, box).run()):
            await until(lambda: box.state().depth == 0)
        async with running(publisher(config, box).run()):
            await until(lambda: len(store.statuses) >= 3)
        assert len(store.sequences) == 30


@pytest.mark.slow
async def test_a_broker_that_is_killed_and_forgets_everything_loses_nothing(
    config: Configuration, box: Outbox, broker: Broker
) -> None:
    # The broker forgot the store's subscription too: what comes before it is back needs a repeat.
    sender = publisher(config, box, Window(size=16, timeout_s=0.5))
    async with running(sender.run()):
        async with store_behind(broker.port) as store:
            store.answering = False
            keep(box, 40)
            sender.wake()
            await until(lambda: len(store.sequences) == 16)
        await asyncio.to_thread(broker.kill)
        keep(box, 10)
        await until(lambda: sender.counts.failures >= 1)
        broker.start()
        async with store_behind(broker.port) as store:
            await until(lambda: store.held == set(range(1, 51)))
            await until(lambda: box.state().depth == 0)


async def test_status_says_online_and_the_last_will_or_the_farewell_says_offline(
    config: Configuration, box: Outbox, broker: Broker
) -> None:
    keep(box, 2)
    async with store_behind(broker.port) as store:
        store.answering = False
        async with running(publisher(config, box).run()):
            await until(lambda: store.statuses)
            online = store.statuses[-1]
            await until(lambda: len(store.sequences) == 2)
        await until(lambda: store.statuses[-1].state is AgentState.OFFLINE)
    assert (online.state, online.epoch, online.depth) == (AgentState.ONLINE, box.epoch, 2)
    assert online.oldest_at is not None
    assert store.statuses[-1].depth == 2


async def test_a_receipt_that_is_none_is_counted_and_changes_nothing(
    config: Configuration, box: Outbox, broker: Broker
) -> None:
    keep(box, 1)
    async with store_behind(broker.port) as store:
        store.answering = False
        sender = publisher(config, box)
        async with running(sender.run()):
            await until(lambda: store.sequences)
            ack = "danhao/v1/gh-al/gw-01/ack"
            await store._client.publish(ack, b'{"store":"s1"', qos=1)
            await until(lambda: sender.counts.unreadable_receipts == 1)
            store.answering = True
            await store.receipt()
            await until(lambda: box.state().depth == 0)


async def test_envelopes_are_signed_where_the_agent_has_a_key(
    tmp_path: Path, box: Outbox, broker: Broker
) -> None:
    private = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "agent.pem").write_bytes(private)
    path = configured(tmp_path, broker.port, 1)
    path.write_text('key_file = "agent.pem"\n' + path.read_text())
    config = configuration.load(path)
    keep(box, 1)
    async with store_behind(broker.port) as store, running(publisher(config, box).run()):
        await until(lambda: store.payloads)
    packet, _ = wire.unpack(store.payloads[0])
    assert wire.verify(packet, config.key)
