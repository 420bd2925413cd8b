"""A stand-in for the store: reads what simulators publish and sends receipts, badly if asked."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiomqtt

from core import names, wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


async def until(holds: Callable[[], bool], deadline_s: float = 30) -> None:
    """Return once it holds; raises TimeoutError after the deadline."""
    async with asyncio.timeout(deadline_s):
        while not holds():  # noqa: ASYNC110 - what is waited for may be in a file
            await asyncio.sleep(0.01)


class StandIn:
    """Keeps readings and facts in dictionaries and counts how often each came."""

    def __init__(self, url: str, *, deaf_to: int = 0) -> None:
        self.store = "store-1"
        self.readings: dict[tuple[str, int], int | float] = {}
        self.sequences: dict[str, set[int]] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        self.statuses: list[str] = []
        self.repeats = 0
        self.envelopes = 0
        self.silent = False
        self._deaf_to = deaf_to
        parts = urlsplit(url)
        self._address = (str(parts.hostname), int(parts.port or 1883))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[StandIn]:
        ready = asyncio.Event()
        task = asyncio.create_task(self._run(ready))
        await asyncio.wait_for(ready.wait(), 10)
        try:
            yield self
        finally:
            # Once is not enough: until Python 3.12 `wait_for`, inside a publish, may swallow it.
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1)

    def forget(self, store: str) -> None:
        """Become a new store that has nothing."""
        self.store = store
        self.readings.clear()
        self.sequences.clear()
        self.facts.clear()

    async def _run(self, ready: asyncio.Event) -> None:
        async with aiomqtt.Client(*self._address) as client:
            await client.subscribe("danhao/v1/+/+/readings", qos=1)
            await client.subscribe("danhao/v1/+/+/output", qos=1)
            await client.subscribe("danhao/v1/+/+/status", qos=1)
            ready.set()
            async for message in client.messages:
                topic = names.parse_topic(str(message.topic))
                assert topic is not None
                assert isinstance(message.payload, bytes)
                await self._take(client, topic, message.payload)

    async def _take(self, client: aiomqtt.Client, topic: names.Topic, payload: bytes) -> None:
        ack = str(names.Topic(topic.site, topic.agent, "ack"))
        if topic.kind == "status":
            self.statuses.append(wire.Status.from_json(payload).state)
            return
        if topic.kind == "output":
            fact = json.loads(payload)
            self.facts[fact["id"]] = fact
            if not self.silent:
                receipt = wire.OutputReceipt((fact["id"],)).to_json()
                await client.publish(ack, receipt, qos=1)
            return
        self.envelopes += 1
        _, envelope = wire.unpack(payload)
        assert envelope.agent == topic.agent
        if self.envelopes <= self._deaf_to or self.silent:
            return
        had = self.sequences.setdefault(envelope.epoch, set())
        self.repeats += envelope.sequence in had
        had.add(envelope.sequence)
        for point, at_us, value, _ in wire.rows(envelope):
            assert self.readings.setdefault((point, at_us), value) == value
        await client.publish(ack, self._receipt(envelope.epoch).to_json(), qos=1, retain=True)

    def _receipt(self, epoch: str) -> wire.Receipt:
        had = self.sequences[epoch]
        last = max(had)
        holes = sorted(set(range(1, last)) - had)[:100]
        return wire.Receipt(self.store, epoch, last, tuple((hole, hole) for hole in holes))
