"""The whole write path: real broker, real PostgreSQL, a worker."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from core import wire
from core.clock import from_us
from tests.ingest import world

if TYPE_CHECKING:
    from store.connection import Pool
    from tests.fixtures.broker import Broker


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
