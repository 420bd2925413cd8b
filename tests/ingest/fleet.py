"""Several workers on one store and one broker: agents that send until the receipt, and a plant."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiomqtt

from core import plant as plants
from core import wire
from core.periods import SLOT_US
from core.reading import Reading
from ingest.service import Service
from store import plants as stored
from tests.ingest import world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from store.connection import Pool
    from tests.fixtures.broker import Broker

SITES = ("f-one", "f-three", "f-two")
_SITE = """
[site.{site}]
name = {{ zh = "厂", en = "Works" }}
jurisdiction = "cn-qh"
[site.{site}.agent.gw-01]
[site.{site}.unit.u]
name = {{ zh = "炉", en = "Furnace" }}
kind = "submerged_arc_furnace"
[site.{site}.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
"""
FIRST_US = world.NOW_US // SLOT_US * SLOT_US - 8 * SLOT_US
STEP_US = world.MINUTE_US
RISE = 10
# One reading a minute that rises by ten: every slot between two of them has 150 kWh.
FULL_SLOT = (150_000_000, 0, SLOT_US)
SLOTS = (
    "select p.point, s.energy_e6, s.estimated_e6, s.measured_us from slot_energy s"
    " join point p using (point_id) order by p.point, s.slot_start"
)


async def declare(pool: Pool) -> None:
    """Declare three sites with one agent and one counter each."""
    text = "".join(_SITE.format(site=site) for site in SITES)
    async with pool.connection() as connection:
        await stored.apply(connection, plants.parse(text, "plant.toml"), world.NOW)


@dataclass
class Agent:
    """An agent of a site: sends everything that is not receipted, again and again."""

    site: str
    number: int
    sent: int = 0
    receipt: wire.Receipt = field(default_factory=lambda: wire.Receipt("", "", 0))

    def message(self, sequence: int) -> bytes:
        place = sequence - 1
        reading = Reading(f"{self.site}.u.ac", FIRST_US + place * STEP_US, place * RISE)
        return world.packet([reading], sequence)

    @property
    def done(self) -> bool:
        return self.receipt.committed >= self.number and not self.receipt.missing

    async def run(self, broker: Broker, pause_s: float) -> None:
        """Send with pauses until all is receipted."""
        while not self.done:
            with contextlib.suppress(aiomqtt.MqttError):
                async with world.client(broker, f"agent-{self.site}") as client:
                    await client.subscribe(f"danhao/v1/{self.site}/gw-01/ack", qos=1)
                    listening = asyncio.create_task(self._listen(client))
                    try:
                        await self._send(client, pause_s)
                        await asyncio.sleep(0.3)  # an agent's pause before it sends again
                    finally:
                        listening.cancel()
                        await asyncio.gather(listening, return_exceptions=True)

    async def _send(self, client: aiomqtt.Client, pause_s: float) -> None:
        topic = f"danhao/v1/{self.site}/gw-01/readings"
        for sequence in range(1, self.number + 1):
            if not self.receipt.covers(sequence):
                await client.publish(topic, self.message(sequence), qos=1)
                self.sent += 1
                await asyncio.sleep(pause_s)

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            receipt = wire.Receipt.from_json(message.payload)
            if receipt.committed >= self.receipt.committed:
                self.receipt = receipt


@asynccontextmanager
async def worker(broker: Broker, pool: Pool) -> AsyncIterator[world.Worker]:
    """Run one worker of several in this process; it need not get a site."""
    service = Service(world.worker_settings(broker), pool, lambda: world.NOW)
    task = asyncio.create_task(service.run())
    try:
        yield world.Worker(service, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def kill(victim: world.Worker) -> None:
    """End a worker as kill -9 does: its leases stay until they run out."""

    async def nothing() -> None:
        return

    setattr(victim.service.leases, "release", nothing)  # noqa: B010 - the crash under test
    victim.task.cancel()
    await asyncio.gather(victim.task, return_exceptions=True)


def shares(*workers: world.Worker) -> list[int]:
    """Return how many sites each worker has."""
    return [len(each.service.leases.share.sites) for each in workers]


async def stored_once(pool: Pool, number: int) -> None:
    """Assert that every reading of every site is stored once and every slot has its energy."""
    query = (
        "select p.point, count(*), sum(value)::bigint from reading join point p using (point_id)"
        " group by p.point order by p.point"
    )
    total = RISE * number * (number - 1) // 2
    points = [f"{site}.u.ac" for site in SITES]
    await world.eventually(pool, query, [(point, number, total) for point in points])
    whole = (number - 1) * STEP_US // SLOT_US
    rest_us = (number - 1) * STEP_US - whole * SLOT_US
    of_point = [FULL_SLOT] * whole
    if rest_us:
        of_point.append((rest_us // STEP_US * RISE * 1_000_000, 0, rest_us))
    await world.eventually(pool, SLOTS, [(p, *slot) for p in points for slot in of_point])
    assert await world.rows(pool, "select reason, detail from dead_letter") == []
