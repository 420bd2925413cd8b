"""How fast an outbox drains to a broker, and how long the newest wait beside a long backlog.

The store is a stand-in that receipts every tenth of a second, as a busy ingest does: what is
measured is the agent's side, disk, compression, signing and MQTT included.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import Final

import aiomqtt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import wire
from core.clock import to_us, utc_now
from core.progress import Progress
from core.reading import Reading
from deploy.benches.measured import Measured
from deploy.benches.servers import mosquitto
from edge.clockwatch import ClockWatch
from edge.linksettings import Broker, Destination, Identity
from edge.outbox import Outbox
from edge.publisher import Publisher

NAMES: Final = ("edge.drain_per_s", "edge.live_wait_s")
SITE, AGENT = "gh-al", "gw-01"
ENVELOPES: Final = 1_500  # of 500 readings, as an agent at 500 readings a second keeps one a second
READINGS: Final = 500
RUNS: Final = 3
RECEIPT_S: Final = 0.1
LIVE_S: Final = 0.25  # between two of the newest, while the backlog drains
GOAL_PER_S: Final = 20_000  # ten times the 2 000 a second that an agent reads: a week in a day
MOST_WAIT_S: Final = 2.0  # design 7: from the register to the page
PATIENCE_S: Final = 120.0


def measure() -> list[Measured]:
    """Drain a backlog several times."""
    rates: list[float] = []
    waits: list[float] = []
    cpu: list[float] = []
    with mosquitto() as (port, _):
        for _ in range(RUNS):
            rate, wait_s, cpu_s = asyncio.run(_drain(port))
            rates.append(rate)
            waits.append(wait_s)
            cpu.append(cpu_s)
    beside = (
        ("envelopes_per_s", sorted(rates)[RUNS // 2] / READINGS),
        ("cpu_s_per_million", sorted(cpu)[RUNS // 2]),
    )
    return [
        Measured(NAMES[0], "1/s", GOAL_PER_S, tuple(rates), beside=beside),
        Measured(NAMES[1], "s", MOST_WAIT_S, tuple(waits), at_most=True),
    ]


async def _drain(port: int) -> tuple[float, float, float]:
    """Return readings a second, the longest wait of a new envelope, CPU seconds per million."""
    with tempfile.TemporaryDirectory() as folder:
        outbox = Outbox(Path(folder) / "outbox.sqlite", most_bytes=1 << 30, keep_us=10**16)
        for number in range(ENVELOPES):
            outbox.append(_readings(number), to_us(utc_now()))
        watch = ClockWatch(wall=utc_now, monotonic=time.monotonic, synchronised=lambda: None)
        destination = Destination("main", Broker(url=f"mqtt://127.0.0.1:{port}"))
        publisher = Publisher(
            Identity(SITE, AGENT, *_key()),
            destination,
            outbox,
            watch=watch,
            monotonic=time.monotonic,
            rand=random.random,
        )
        try:
            async with aiomqtt.Client("127.0.0.1", port, identifier="store") as client:
                return await _race(client, outbox, publisher)
        finally:
            outbox.close()


async def _race(
    client: aiomqtt.Client, outbox: Outbox, publisher: Publisher
) -> tuple[float, float, float]:
    store = _Store(client)
    await client.publish(f"danhao/v1/{SITE}/{AGENT}/ack", b"", retain=True)
    await client.subscribe(f"danhao/v1/{SITE}/{AGENT}/readings", qos=1)
    began, began_cpu_s = time.perf_counter(), time.process_time()
    tasks = [asyncio.create_task(each) for each in (store.take(), store.receipt(), publisher.run())]
    try:
        async with asyncio.timeout(PATIENCE_S):
            kept: dict[int, float] = {}
            while store.progress.committed < ENVELOPES or store.progress.missing:
                if publisher.counts.connected:  # what was there before goes with the backlog
                    sequence = outbox.append(_readings(0), to_us(utc_now()))
                    kept[sequence] = time.perf_counter()
                    publisher.wake()
                await asyncio.sleep(LIVE_S)
            took_s = store.drained_at - began
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    cpu_s = time.process_time() - began_cpu_s
    waits = [store.came[each] - at for each, at in kept.items() if each in store.came]
    readings = ENVELOPES * READINGS
    return readings / took_s, max(waits, default=0.0), cpu_s * 1e6 / readings


class _Store:
    """Takes envelopes and tells now and then which it holds."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._epoch = ""
        self.progress = Progress()
        self.came: dict[int, float] = {}
        self.drained_at = 0.0
        self._left = ENVELOPES

    async def take(self) -> None:
        async for message in self._client.messages:
            _, envelope = wire.unpack(message.payload)
            self._epoch = envelope.epoch
            if envelope.sequence not in self.came:
                self.came[envelope.sequence] = time.perf_counter()
                self._left -= envelope.sequence <= ENVELOPES
                if not self._left:
                    self._left, self.drained_at = -1, time.perf_counter()
            self.progress = self.progress.add([envelope.sequence], envelope.oldest)

    async def receipt(self) -> None:
        while True:
            await asyncio.sleep(RECEIPT_S)
            told = self.progress.receipt("bench", self._epoch).to_json()
            await self._client.publish(f"danhao/v1/{SITE}/{AGENT}/ack", told, qos=1, retain=True)


def _readings(number: int) -> list[Reading]:
    at_us = 1_790_000_000_000_000 + number * 1_000_000
    return [
        Reading(f"{SITE}.unit-{n // 4}.point-{n % 4}", at_us + n, 1_000_000 + number * 7 + n)
        for n in range(READINGS)
    ]


def _key() -> tuple[wire.Sign, str]:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return wire.signer(pem)
