"""A load of simulated agents for benches: envelopes as our agent sends them, at a steady rate.

Runs in a process of its own so that its work is not counted as the server's. Each agent reports
its counters once a second, MOST_ROWS readings an envelope; every count follows from the point and
the second, so what must be in the ledger is known without keeping it.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from core.wire_pb2 import Envelope, Packet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

MOST_ROWS: Final = 500
SECOND_US: Final = 1_000_000
MOST_IN_FLIGHT: Final = 2_000  # envelopes handed to the broker and not acknowledged by it
EPOCH: Final = "bench"


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: `agents` of each of `sites`, `points` of each agent, from an instant on."""

    sites: int
    agents: int
    points: int
    start_us: int

    @property
    def readings_per_second(self) -> int:
        """Return how many readings one second of the plants gives."""
        return self.sites * self.agents * self.points

    def names(self, site: int, agent: int) -> list[str]:
        """Return an agent's points: a hundred of a unit."""
        first = agent * self.points
        return [
            f"s-{site}.u-{number // 100}.p-{number % 100}"
            for number in range(first, first + self.points)
        ]

    def counts(self, second: int) -> list[int]:
        """Return what one agent's registers show: each rises at a pace of its own."""
        pace = np.arange(self.points, dtype=np.int64) % 7 + 1
        return [int(each) for each in 1_000 + pace * second]

    def plant(self, site: int) -> str:
        """Return the plant file of one site."""
        lines = [
            f"[site.s-{site}]",
            'name = { zh = "厂", en = "Site" }',
            'jurisdiction = "cn-qh"',
            *(f"[site.s-{site}.agent.gw-{agent}]" for agent in range(self.agents)),
        ]
        for number in range(self.agents * self.points):
            unit = f"site.s-{site}.unit.u-{number // 100}"
            if number % 100 == 0:
                lines += [f"[{unit}]", 'name = { zh = "炉", en = "Unit" }', 'kind = "potline"']
                lines += ['indicators = ["al.liquid.ac"]']
            lines += [
                f"[{unit}.point.p-{number % 100}]",
                'kind = "counter"',
                'carrier = "electricity"',
                'unit = "kWh"',
                "rated_power_kw = 100_000",
            ]
        return "\n".join(lines)


@dataclass(slots=True)
class Sent:
    """What the load did: envelopes sent, receipted, and how late the receipts came [s]."""

    envelopes: int = 0
    receipted: int = 0
    behind_s: float = 0.0
    lags_s: list[float] = field(default_factory=list)


def envelope(
    agent: str, sequence: int, at_us: int, names: Sequence[str], counts: Sequence[int]
) -> bytes:
    """Return an envelope of one instant, as our agent sends it."""
    columns = Envelope(
        agent=agent,
        epoch=EPOCH,
        sequence=sequence,
        sent_us=at_us,
        oldest=1,
        points=names,
        point=range(len(counts)),
        base_us=at_us,
        dt_us=[0] * len(counts),
        count=counts,
    )
    return Packet(envelope=columns.SerializeToString()).SerializeToString()


class _Agents:
    """All agents over one connection; their receipts tell how far the store is."""

    def __init__(self, port: int, load: Load) -> None:
        self._load = load
        self._sent_at: dict[tuple[str, int], float] = {}
        self._committed: dict[str, int] = {}
        self._guard = threading.Lock()
        self.sent = Sent()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bench-load")
        self._client.max_inflight_messages_set(MOST_IN_FLIGHT)
        self._client.on_message = self._receipt
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("danhao/v1/+/+/ack", qos=0)
        self._client.loop_start()
        self._names = {
            (site, agent): load.names(site, agent)
            for site in range(load.sites)
            for agent in range(load.agents)
        }

    def send(self, second: int) -> None:
        """Send what all agents read in one second."""
        counts = self._load.counts(second)
        per_second = -(-self._load.points // MOST_ROWS)
        for (site, agent), names in self._names.items():
            topic = f"danhao/v1/s-{site}/gw-{agent}/readings"
            for part in range(per_second):
                rows = slice(part * MOST_ROWS, (part + 1) * MOST_ROWS)
                shown = counts[rows]
                sequence = second * per_second + part + 1
                at_us = self._load.start_us + second * SECOND_US
                payload = envelope(f"gw-{agent}", sequence, at_us, names[rows], shown)
                with self._guard:
                    self._sent_at[topic, sequence] = time.monotonic()
                self._client.publish(topic, payload, qos=1)
                self.sent.envelopes += 1

    def _receipt(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        told = json.loads(message.payload)
        topic = message.topic.replace("/ack", "/readings")
        now = time.monotonic()
        with self._guard:
            before = self._committed.get(topic, 0)
            for sequence in range(before + 1, told["committed"] + 1):
                sent_at = self._sent_at.pop((topic, sequence), None)
                if sent_at is not None:
                    self.sent.receipted += 1
                    self.sent.lags_s.append(now - sent_at)
            self._committed[topic] = max(before, told["committed"])

    def wait(self, limit_s: float) -> bool:
        """Wait until every envelope has its receipt; tell whether that came to be."""
        deadline = time.monotonic() + limit_s
        while self.sent.receipted < self.sent.envelopes:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def close(self) -> None:
        """End the connection."""
        self._client.disconnect()
        self._client.loop_stop()


def run(port: int, load: Load, seconds: int, pace: bool, out: Connection) -> None:  # noqa: FBT001 - a process' entry
    """Send so many seconds of readings, at their own pace or at once; report through the pipe.

    Sends ("progress", second, Sent) now and then and ("done", seconds taken, Sent) at the end.
    """
    agents = _Agents(port, load)
    began = time.monotonic()
    try:
        for second in range(seconds):
            agents.send(second)
            ahead_s = began + second + 1 - time.monotonic()
            agents.sent.behind_s = max(0.0, -ahead_s)
            if second % 10 == 9:  # noqa: PLR2004 - every ten seconds
                out.send(("progress", second + 1, agents.sent))
                agents.sent.lags_s.clear()
            if pace and ahead_s > 0:
                time.sleep(ahead_s)
        agents.wait(60.0 + seconds)
        out.send(("done", time.monotonic() - began, agents.sent))
    finally:
        agents.close()
