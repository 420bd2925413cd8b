"""What ingest's tests share: a declared plant, envelopes, and a worker that runs in the test."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiomqtt

from core import plant as plants
from core import wire
from core.clock import to_us
from core.reading import Reading
from ingest import config, declared
from ingest.service import Service
from store import plants as stored
from store import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from core.plant import Plant
    from ingest.declared import Declared
    from store.connection import Pool
    from tests.fixtures.broker import Broker

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
NOW_US = to_us(NOW)
MINUTE_US = 60_000_000
DEADLINE_S = 20.0

KEY_TEXT = 'key = "{key}"'
TEXT = """
[site.gh-al]
name = {{ zh = "示例铝厂", en = "Demo Aluminium" }}
jurisdiction = "cn-qh"
[site.gh-al.agent.gw-01]
[site.gh-al.agent.gw-02]
[site.gh-al.agent.signer]
{key}
[site.gh-al.unit.potline-1]
name = {{ zh = "电解一系列", en = "Potline 1" }}
kind = "potline"
indicators = ["al.liquid.ac"]
[site.gh-al.unit.potline-1.point.ac-import]
kind = "counter"
carrier = "electricity"
unit = "kWh"
modulus = 100_000_000
[site.gh-al.unit.potline-1.point.line-current]
kind = "gauge"
unit = "kA"
[site.gh-al.unit.potline-1.point.demand]
kind = "interval"
carrier = "electricity"
unit = "kWh"
interval_s = 900
[site.qh-fa]
name = {{ zh = "示例铁合金厂", en = "Demo Ferroalloy" }}
jurisdiction = "cn-qh"
[site.qh-fa.agent.gw-01]
[site.qh-fa.unit.furnace-2]
name = {{ zh = "2号炉", en = "Furnace 2" }}
kind = "submerged_arc_furnace"
[site.qh-fa.unit.furnace-2.point.ac-import]
kind = "counter"
carrier = "electricity"
unit = "kWh"
"""
COUNTER = "gh-al.potline-1.ac-import"
GAUGE = "gh-al.potline-1.line-current"
INTERVAL = "gh-al.potline-1.demand"
FOREIGN = "qh-fa.furnace-2.ac-import"
TOPIC = "danhao/v1/gh-al/gw-01/readings"
ACK = "danhao/v1/gh-al/gw-01/ack"


def plant(key: str = "") -> Plant:
    """Return the plant; with a key, agent `signer` must sign."""
    text = TEXT.format(key=KEY_TEXT.format(key=key) if key else "")
    return plants.parse(text, "plant.toml")


def tables(key: str = "") -> Declared:
    """Return the plant's tables without a store: points are numbered in order of name."""
    loaded = plant(key)
    ids = {point: number for number, point in enumerate(sorted(loaded.points), start=1)}
    return declared.build(loaded, ids, NOW)


async def declare(pool: Pool, key: str = "") -> Declared:
    """Declare the plant in the store and return its tables."""
    async with pool.connection() as connection:
        await stored.apply(connection, plant(key), NOW)
        loaded = await stored.load(connection)
    return declared.build(loaded.plant, loaded.ids, NOW)


def counts(first: int, number: int, *, start_us: int = NOW_US - 60 * MINUTE_US) -> list[Reading]:
    """Return readings of the counter, one a second, rising by one."""
    return [Reading(COUNTER, start_us + i * 1_000_000, first + i) for i in range(number)]


def packet(
    readings: Sequence[Reading],
    sequence: int,
    *,
    agent: str = "gw-01",
    epoch: str = "e1",
    oldest: int = 1,
    **more: Any,
) -> bytes:
    """Return the bytes that an agent sends."""
    return wire.encode(
        readings,
        agent=agent,
        epoch=epoch,
        sequence=sequence,
        oldest=oldest,
        sent_us=NOW_US,
        **more,
    )


def by_hand(readings: Sequence[object], **more: Any) -> bytes:
    """Return a message as people write it."""
    return json.dumps({"agent": "gw-01", "readings": list(readings), **more}).encode()


def reading(value: object = 1, point: object = COUNTER, **more: object) -> dict[str, object]:
    """Return one reading as people write it."""
    return {"point": point, "measured_at": "2026-11-21T07:00:00Z", "value": value, **more}


@dataclass(frozen=True, slots=True)
class Worker:
    """A running ingest worker and its task."""

    service: Service
    task: asyncio.Task[None]


def mqtt_settings(broker: Broker) -> config.Mqtt:
    return config.Mqtt(url=broker.url)


def worker_settings(broker: Broker) -> config.Settings:
    """Return settings whose database is the pool's."""
    return config.Settings(
        database=settings.Database(url="postgresql://unused/unused"),
        mqtt=mqtt_settings(broker),
        ingest=config.Ingest(batch_ms=20),
    )


@asynccontextmanager
async def working(
    broker: Broker, pool: Pool, clock: Callable[[], datetime] = lambda: NOW
) -> AsyncIterator[Worker]:
    """Run a worker in this test and stop it at its end."""
    service = Service(worker_settings(broker), pool, clock)
    task = asyncio.create_task(service.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            await _first(task, service.ready.wait())
        yield Worker(service, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _first(task: asyncio.Task[None], ready: Awaitable[object]) -> None:
    waiting = asyncio.ensure_future(ready)
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        task.result()


@asynccontextmanager
async def client(broker: Broker, name: str = "test") -> AsyncIterator[aiomqtt.Client]:
    """Yield a client that may write and read everything."""
    async with aiomqtt.Client("127.0.0.1", broker.port, identifier=name) as connected:
        yield connected


class Inbox:
    """Receipts as an agent sees them, by topic, newest last."""

    def __init__(self, connected: aiomqtt.Client) -> None:
        self._client = connected
        self.seen: dict[str, list[bytes]] = {}

    async def until(self, topic: str, holds: Callable[[bytes], bool]) -> bytes:
        """Read messages until one of the topic holds, or the deadline passes."""
        for payload in self.seen.get(topic, []):
            if holds(payload):
                return payload
        async with asyncio.timeout(DEADLINE_S):
            async for message in self._client.messages:
                assert isinstance(message.payload, bytes)
                self.seen.setdefault(str(message.topic), []).append(message.payload)
                if str(message.topic) == topic and holds(message.payload):
                    return message.payload
        raise AssertionError("the connection ended")

    async def receipt(self, topic: str, committed: int) -> wire.Receipt:
        """Wait for a receipt that reaches a sequence."""
        payload = await self.until(
            topic, lambda each: wire.Receipt.from_json(each).committed >= committed
        )
        return wire.Receipt.from_json(payload)


@asynccontextmanager
async def inbox(broker: Broker) -> AsyncIterator[tuple[aiomqtt.Client, Inbox]]:
    """Yield a client and what it receives on all receipt topics."""
    async with client(broker) as connected:
        await connected.subscribe("danhao/v1/+/+/ack", qos=1)
        yield connected, Inbox(connected)


async def rows(pool: Pool, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    async with pool.connection() as connection:
        return await (await connection.execute(query, parameters)).fetchall()


async def eventually(pool: Pool, query: str, wanted: list[tuple[Any, ...]]) -> None:
    """Wait until a query finds what is wanted."""
    found: list[tuple[Any, ...]] = []
    try:
        async with asyncio.timeout(DEADLINE_S):
            while (found := await rows(pool, query)) != wanted:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)  # between two looks at the store
    except TimeoutError:
        raise AssertionError(f"{found} is not {wanted}") from None


async def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for a condition of this process that has no event of its own, within the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)


LATER = NOW + timedelta(minutes=1)
