"""What the agent's tests stand on: a configuration, and a store's stand-in behind a broker."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiomqtt

from core import wire
from core.progress import merged
from core.quality import Quality
from core.wire import Receipt, Status
from edge import config as configuration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime
    from pathlib import Path

    from edge.config import Configuration

SITE, AGENT = "gh-al", "gw-01"
BASE = f"danhao/v1/{SITE}/{AGENT}"
PATIENCE_S = 10.0


def configured(folder: Path, broker_port: int, *meter_ports: int, period_s: float = 1) -> Path:
    """Write an edge.toml with one Acrel meter per port; returns its path."""
    lines = [f'site = "{SITE}"', f'agent = "{AGENT}"', "[broker]"]
    lines.append(f'url = "mqtt://127.0.0.1:{broker_port}"')
    for number, port in enumerate(meter_ports, start=1):
        lines += [
            "[[device]]",
            f'name = "m{number}"',
            'host = "127.0.0.1"',
            f"port = {port}",
            'model = "acrel_adw300"',
            f"period_s = {period_s}",
            "timeout_s = 0.5",
            "[device.points]",
            f'"{SITE}.m{number}.energy" = "import_active_energy"',
            f'"{SITE}.m{number}.power" = "power_total"',
        ]
    path = folder / "edge.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path


def loaded(folder: Path, broker_port: int, *meter_ports: int) -> Configuration:
    """Return the configuration of `configured`; a port is needed, so 1 stands for none."""
    return configuration.load(configured(folder, broker_port, *(meter_ports or (1,))))


async def until(true: Callable[[], Any], patience_s: float = PATIENCE_S) -> None:
    """Wait for a condition that other tasks bring about; fails after its deadline."""
    async with asyncio.timeout(patience_s):
        while not true():  # noqa: ASYNC110 - the condition is another task's state, not an event
            await asyncio.sleep(0.01)


class Store:
    """Stands behind the broker as ingest does: takes envelopes and, when told to, receipts them."""

    def __init__(self, client: aiomqtt.Client, store: str = "s1") -> None:
        self._client = client
        self.store = store
        self.answering = True
        self.clock: Callable[[], datetime] | None = None
        self.refused: set[int] = set()
        self.payloads: list[bytes] = []
        self.sequences: list[int] = []
        self.oldest: list[int] = []
        self.values: dict[tuple[str, int], float] = {}
        self.statuses: list[Status] = []
        self.held: set[int] = set()
        self.qualities: list[Quality] = []
        self.pause_s = 0.0
        self.ranges: list[int] = []
        self.epoch = ""

    async def run(self) -> None:
        async for message in self._client.messages:
            if message.topic.value.endswith("/status"):
                self.statuses.append(Status.from_json(message.payload))
                if self.clock is not None:
                    self.epoch = self.statuses[-1].epoch
                    await self.receipt(self.clock(), self.statuses[-1].at)
                continue
            self._take(message.payload)
            await asyncio.sleep(self.pause_s)
            if self.answering:
                await self.receipt()

    def _take(self, payload: bytes) -> None:
        _, envelope = wire.unpack(payload)
        self.payloads.append(payload)
        self.sequences.append(envelope.sequence)
        self.oldest.append(envelope.oldest)
        self.epoch = envelope.epoch
        if envelope.sequence not in self.refused:
            self.held.add(envelope.sequence)
        for point, at, value, quality in wire.rows(envelope):
            self.values[point, at] = value
            self.qualities.append(Quality(quality))

    async def receipt(self, at: datetime | None = None, status_at: datetime | None = None) -> None:
        """Publish, retained, what is held; a store with a clock tells its time."""
        committed = max(self.held, default=0)
        missing = merged((n, n) for n in range(1, committed + 1) if n not in self.held)
        self.ranges.append(len(missing))
        told = Receipt(self.store, self.epoch, committed, missing, at, status_at)
        await self._client.publish(f"{BASE}/ack", told.to_json(), qos=1, retain=True)


@asynccontextmanager
async def store_behind(port: int, name: str = "s1") -> AsyncIterator[Store]:
    """Run a stand-in of ingest against a broker."""
    async with aiomqtt.Client("127.0.0.1", port, identifier="store") as client:
        await client.subscribe(f"{BASE}/readings", qos=1)
        await client.subscribe(f"{BASE}/status", qos=1)
        store = Store(client, name)
        task = asyncio.create_task(store.run())
        try:
            yield store
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    """Run a coroutine beside the block, and end it with it; its failure is the test's."""
    task = asyncio.create_task(work)
    try:
        yield
        assert not task.done() or task.exception() is None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
