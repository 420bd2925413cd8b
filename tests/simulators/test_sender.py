"""Delivery over a real broker, with a stand-in for the store's receipts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.clock import utc_now
from core.reading import Reading
from simulators.link import Link, broker_from
from simulators.sender import Delivery, Sender
from simulators.window import Window
from tests.simulators.standin import StandIn, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.broker import Broker

POINT = "gh-al.potline-1.ac-import"
ENVELOPES = 150


def source(first: int) -> Iterator[list[Reading]]:
    for number in range(first, ENVELOPES + 1):
        yield [Reading(POINT, number * 1_000_000 + row, 10 * number + row) for row in range(3)]


EXPECTED = {(row.point, row.measured_us): row.value for rows in source(1) for row in rows}


def delivery(url: str, *, patience_s: float = 0.3) -> tuple[Link, Delivery]:
    link = Link(broker_from(url, None, None))
    sender = Sender("gh-al", "history-01", "epoch-1", utc_now)
    return link, Delivery(sender, link, Window("epoch-1", most=16, patience_s=patience_s))


async def test_every_envelope_is_receipted_before_the_end(broker: Broker) -> None:
    link, sending = delivery(broker.url, patience_s=30)
    async with StandIn(broker.url).running() as store, link.running():
        assert await asyncio.wait_for(sending.run(source, stop=asyncio.Event()), 30)
        assert store.readings == EXPECTED
        assert store.envelopes == ENVELOPES
        assert "online" in store.statuses
    assert (sending.window.settled, sending.window.settled_readings) == (150, 450)


async def test_without_receipts_no_more_than_the_window_is_sent(broker: Broker) -> None:
    link, sending = delivery(broker.url, patience_s=30)
    async with StandIn(broker.url, deaf_to=10**9).running() as store, link.running():
        assert not await asyncio.wait_for(
            sending.run(source, stop=asyncio.Event(), patience_s=1.0), 30
        )
        assert store.envelopes == 16
    assert sending.window.settled == 0


async def test_what_the_store_did_not_receipt_is_sent_again(broker: Broker) -> None:
    link, sending = delivery(broker.url)
    async with StandIn(broker.url, deaf_to=20).running() as store, link.running():
        assert await asyncio.wait_for(sending.run(source, stop=asyncio.Event()), 30)
        assert store.readings == EXPECTED
    assert sending.window.resent >= 16


async def test_a_broker_that_dies_loses_nothing(broker: Broker) -> None:
    link, sending = delivery(broker.url)
    store = StandIn(broker.url)
    async with link.running():
        async with store.running():
            store.silent = True
            task = asyncio.create_task(sending.run(source, stop=asyncio.Event()))
            await until(lambda: store.envelopes >= 10)
        broker.kill()
        store.silent = False
        broker.start()
        async with store.running():
            assert await asyncio.wait_for(task, 30)
    assert store.readings == EXPECTED
    assert link.connections == 2


async def test_a_new_store_is_given_everything_again(broker: Broker) -> None:
    link, sending = delivery(broker.url)
    async with StandIn(broker.url).running() as store, link.running():
        task = asyncio.create_task(sending.run(source, stop=asyncio.Event()))
        await until(lambda: store.envelopes >= 40)
        store.forget("store-2")
        assert await asyncio.wait_for(task, 30)
        assert store.readings == EXPECTED
    assert sending.window.store == "store-2"


async def test_a_start_may_skip_what_the_same_store_has(broker: Broker) -> None:
    link, sending = delivery(broker.url)
    sending.window.store = "store-1"
    async with StandIn(broker.url).running() as store, link.running():
        store.sequences["epoch-1"] = set(range(1, 101))
        assert await asyncio.wait_for(sending.run(source, stop=asyncio.Event(), start=101), 30)
        assert store.envelopes == 50


async def test_a_stop_ends_it_at_once_without_a_broker() -> None:
    link, sending = delivery("mqtt://127.0.0.1:9")
    stop = asyncio.Event()
    async with link.running():
        task = asyncio.create_task(sending.run(source, stop=stop))
        await asyncio.sleep(0)
        stop.set()
        assert not await asyncio.wait_for(task, 2)
