"""The publisher against a real broker: it sends until the store's receipt, through any outage."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import wire
from core.clock import utc_now
from core.reading import Reading
from core.wire import AgentState
from edge.clockwatch import ClockWatch, Doubt
from edge.linksettings import Broker as BrokerSettings
from edge.linksettings import Destination, Identity
from edge.outbox import Withheld
from edge.publisher import Publisher
from edge.window import Window
from tests.edge.plant import AGENT, SITE, running, store_behind, until

if TYPE_CHECKING:
    from edge.outbox import Outbox
    from tests.fixtures.broker import Broker

pytestmark = pytest.mark.broker


@pytest.fixture
def here(broker: Broker) -> Destination:
    return at(broker.port)


def at(port: int, name: str = "main", **settings: str) -> Destination:
    return Destination(name, configured_broker(port, **settings))


def configured_broker(port: int, **settings: str) -> BrokerSettings:
    return BrokerSettings.model_validate({"url": f"mqtt://127.0.0.1:{port}", **settings})


def watch() -> ClockWatch:
    return ClockWatch(wall=utc_now, monotonic=time.monotonic, synchronised=lambda: None)


def publisher(
    destination: Destination,
    box: Outbox,
    window: Window | None = None,
    clock: ClockWatch | None = None,
    identity: Identity | None = None,
) -> Publisher:
    return Publisher(
        identity or Identity(SITE, AGENT),
        destination,
        box,
        watch=clock or watch(),
        monotonic=time.monotonic,
        rand=lambda: 0.0,
        window=window,
    )


def keep(box: Outbox, count: int) -> None:
    for _ in range(count):
        number = box.state().last_sequence + 1
        box.append([Reading("gh-al.m1.energy", number, number)], number)


async def test_everything_kept_is_sent_in_order_and_receipted(
    here: Destination, box: Outbox, broker: Broker
) -> None:
    keep(box, 200)
    async with store_behind(broker.port) as store:
        sender = publisher(here, box)
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
    here: Destination, box: Outbox, broker: Broker
) -> None:
    keep(box, 50)
    async with store_behind(broker.port) as store:
        store.answering = False
        sender = publisher(here, box, Window(size=8))
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
    here: Destination, box: Outbox, broker: Broker
) -> None:
    keep(box, 2)
    async with store_behind(broker.port) as store:
        store.answering = False
        sender = publisher(here, box, Window(timeout_s=0.2))
        async with running(sender.run()):
            await until(lambda: store.sequences.count(2) >= 2)
            store.answering = True
            await until(lambda: box.state().depth == 0)
    assert sender.counts.repeated >= 2
    assert store.held == {1, 2}


async def test_an_envelope_that_a_living_store_never_takes_is_set_aside_after_ten_sends(
    here: Destination, box: Outbox, broker: Broker
) -> None:
    keep(box, 3)
    async with store_behind(broker.port) as store:
        store.refused = {2}
        sender = publisher(here, box, Window(timeout_s=0.05, settling_s=0))
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
    here: Destination, box: Outbox, broker: Broker
) -> None:
    keep(box, 20)
    async with store_behind(broker.port) as store:
        async with running(publisher(here, box).run()):
            await until(lambda: box.state().depth == 0)
            store.store = "restored"
            store.held = set(range(1, 6))
            await store.receipt()
            await until(lambda: len(store.held) == 20 and box.state().depth == 0)
        assert store.sequences == [*range(1, 21), *range(6, 21)]


async def test_the_retained_receipt_is_read_before_anything_is_sent_twice(
    here: Destination, box: Outbox, broker: Broker
) -> None:
    keep(box, 30)
    async with store_behind(broker.port) as store:
        async with running(publisher(here, box).run()):
            await until(lambda: box.state().depth == 0)
        async with running(publisher(here, box).run()):
            await until(lambda: len(store.statuses) >= 3)
        assert len(store.sequences) == 30


@pytest.mark.slow
async def test_a_broker_that_is_killed_and_forgets_everything_loses_nothing(
    here: Destination, box: Outbox, broker: Broker
) -> None:
    # The broker forgot the store's subscription too: what comes before it is back needs a repeat.
    sender = publisher(here, box, Window(size=16, timeout_s=0.5))
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
    here: Destination, box: Outbox, broker: Broker
) -> None:
    keep(box, 2)
    async with store_behind(broker.port) as store:
        store.answering = False
        async with running(publisher(here, box).run()):
            await until(lambda: store.statuses)
            online = store.statuses[-1]
            await until(lambda: len(store.sequences) == 2)
        await until(lambda: store.statuses[-1].state is AgentState.OFFLINE)
    assert (online.state, online.epoch, online.depth) == (AgentState.ONLINE, box.epoch, 2)
    assert online.oldest_at is not None
    assert store.statuses[-1].depth == 2


async def test_a_receipt_that_is_none_is_counted_and_changes_nothing(
    here: Destination, box: Outbox, broker: Broker
) -> None:
    keep(box, 1)
    async with store_behind(broker.port) as store:
        store.answering = False
        sender = publisher(here, box)
        async with running(sender.run()):
            await until(lambda: store.sequences)
            ack = "danhao/v1/gh-al/gw-01/ack"
            await store._client.publish(ack, b'{"store":"s1"', qos=1)
            await until(lambda: sender.counts.unreadable_receipts == 1)
            store.answering = True
            await store.receipt()
            await until(lambda: box.state().depth == 0)


async def test_envelopes_are_signed_where_the_agent_has_a_key(
    here: Destination, box: Outbox, broker: Broker
) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    identity = Identity(SITE, AGENT, *wire.signer(pem))
    keep(box, 1)
    sender = publisher(here, box, identity=identity)
    async with store_behind(broker.port) as store, running(sender.run()):
        await until(lambda: store.payloads)
    packet, _ = wire.unpack(store.payloads[0])
    assert wire.verify(packet, identity.key)


async def test_the_newest_are_not_starved_while_a_long_backlog_drains(
    here: Destination, box: Outbox, broker: Broker
) -> None:
    """A store that takes its time: what is kept now overtakes hundreds of older envelopes."""
    keep(box, 300)
    async with store_behind(broker.port) as store:
        store.pause_s = 0.002
        sender = publisher(here, box)
        async with running(sender.run()):
            await until(lambda: len(store.sequences) >= 64)
            keep(box, 1)
            sender.wake()
            await until(lambda: 301 in store.held)
            before = len(store.held)
            await until(lambda: box.state().depth == 0)
    assert before < 200
    assert store.sequences[: 64 + 1 - 16] == list(range(1, 50))  # the backlog itself in order
    assert sorted(store.sequences) == list(range(1, 302))
    assert max(store.ranges) <= 2


async def test_the_answer_to_a_status_tells_how_far_the_clock_is_off(
    here: Destination, box: Outbox, broker: Broker
) -> None:
    keep(box, 1)
    clock = watch()
    async with store_behind(broker.port) as store:
        store.clock = lambda: utc_now() - timedelta(seconds=20)
        sender = publisher(here, box, clock=clock)
        async with running(sender.run()):
            await until(lambda: box.state().depth == 0)
            sender.report()  # a store answers once it knows the agent
            await until(lambda: clock.tick().changed or clock.state().ahead_ms is not None)
            sender.report()
            await until(lambda: store.statuses[-1].clock_offset_ms is not None)
    told = store.statuses[-1]
    assert told.clock_offset_ms == pytest.approx(20_000, abs=1_000)
    assert clock.doubt is Doubt.DRIFTED
    assert told.troubles["clock_doubted"] == 1


async def test_a_status_names_what_a_person_should_hear_of(
    here: Destination, box: Outbox, broker: Broker
) -> None:
    keep(box, 2)
    box.outlet("main").set_aside(1)
    box.append([Reading("gh-al.m1.energy", 5, 5)], 5, withheld=Withheld("boot", 1))
    async with store_behind(broker.port) as store:
        store.answering = False
        async with running(publisher(here, box).run()):
            await until(lambda: store.statuses)
    assert store.statuses[0].troubles == {"set_aside": 1, "withheld": 1}


async def test_a_new_file_under_a_running_publisher_is_sent_with_its_own_numbers(
    here: Destination, box: Outbox, broker: Broker
) -> None:
    keep(box, 3)
    async with store_behind(broker.port) as store:
        store.answering = False
        sender = publisher(here, box)
        async with running(sender.run()):
            await until(lambda: len(store.sequences) == 3)
            box._database.start_over("the test says so")
            keep(box, 2)
            sender.wake()
            await until(lambda: len(store.sequences) == 5)
            assert store.epoch == box.epoch
    assert store.sequences == [1, 2, 3, 1, 2]


async def test_tries_come_ever_later_and_gateways_part_ways(
    here: Destination, box: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter([0.0, 1.0, 0.5, *[0.0] * 20])
    waits: list[float] = []

    class Over(Exception):  # noqa: N818 - ends the loop
        pass

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 10:
            raise Over

    async def fails() -> None:
        raise OSError("no route")

    sender = publisher(here, box)
    sender._rand = lambda: next(draws)
    monkeypatch.setattr(sender, "_session", fails)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(Over):
        await sender.run()
    # Between a half and the whole of 1, 2, 4, … 60 s.
    assert waits == [0.5, 2.0, 3.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
