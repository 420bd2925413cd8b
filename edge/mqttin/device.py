"""Driver: a device that publishes by itself; a poll hands over what has arrived since the last.

What waits between two polls is bounded. Where the broker keeps a session for us, the hub stops
reading at that bound and nothing is lost; where it does not, the oldest messages go and are
counted. A message is acknowledged once its readings are on disk.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiomqtt import Topic

from core.quality import Quality
from edge.driver import Polled, Seen
from edge.mqttin.hub import Hub
from edge.mqttin.payload import Decoder, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from core.reading import Reading
    from edge.mqttin.settings import MqttInDevice

MOST_HELD_MESSAGES: Final = 2_000  # a burst of a device that catches up; a poll comes each second
MOST_HELD_BYTES: Final = 4 << 20
MOST_POLL_MESSAGES: Final = 500  # a poll must not hold up the others' loop
MOST_FAULTS: Final = 5  # of one poll; the rest is counted
MOST_SHOWN_CHARS: Final = 160
GRACE_S: Final = 15.0  # a broker that restarts is no news


@dataclass(slots=True)
class Counts:
    """What a device sent since the agent began; numbers only grow."""

    messages: int = 0
    readings: int = 0
    repeated: int = 0
    ignored: int = 0
    faults: int = 0
    dropped: int = 0


class MqttIn:
    """One publishing device behind a hub."""

    def __init__(self, device: MqttInDevice, hub: Hub, clock: Callable[[], datetime]) -> None:
        self._device = device
        self._hub = hub
        self._clock = clock
        self._decoder = Decoder(device)
        self._counters = frozenset(point for point, each in device.points.items() if each.counter)
        self._held: deque[tuple[Message, Callable[[], None]]] = deque()
        self._held_bytes = 0
        self._is_full = False
        self._last: dict[str, Reading] = {}
        self._heard_s: dict[str, float] = {}
        self._shown: dict[str, str] = {}
        self.counts = Counts()

    @property
    def name(self) -> str:
        """Return the device's name."""
        return self._device.name

    @property
    def counters(self) -> frozenset[str]:
        """Return the points whose values are counts."""
        return self._counters

    @property
    def filters(self) -> Sequence[str]:
        """Return the topic filters it wants; see hub.Subscriber."""
        return self._decoder.filters

    @property
    def full(self) -> bool:
        """Tell whether it can hold no more, and has not been emptied to half since."""
        return self._is_full

    def wants(self, topic: str) -> bool:
        """Tell whether messages of a topic are for this device; see hub.Subscriber."""
        return any(Topic(topic).matches(each) for each in self._decoder.filters)

    def hear(self, message: Message, settle: Callable[[], None]) -> None:
        """Hold a message for the next poll; see hub.Subscriber."""
        self.counts.messages += 1
        self._held.append((message, settle))
        self._held_bytes += len(message.payload)
        if self._over(1) and self._hub.keeps:
            self._is_full = True
        while self._over(1) and not self._hub.keeps:
            self._take()[1]()
            self.counts.dropped += 1

    async def poll(self) -> Polled:
        """Hand over what has arrived since the last poll; see Driver."""
        await self._hub.join(self)
        now_s = asyncio.get_running_loop().time()
        for point in self._device.points:
            self._heard_s.setdefault(point, now_s)
        readings: list[Reading] = []
        faults: list[str] = []
        settles: list[Callable[[], None]] = []
        for _ in range(min(len(self._held), MOST_POLL_MESSAGES)):
            message, settle = self._take()
            settles.append(settle)
            readings += self._decoded(message, faults, now_s)
        if self._is_full and not self._over(2):
            self._is_full = False
            self._hub.drained()
        faults += self._silences(now_s)
        told = tuple(f"{self.name} {fault}" for fault in faults[:MOST_FAULTS])
        self.counts.readings += len(readings)
        if not readings:
            _settle(settles)
            return Polled([], told)
        return Polled(readings, told, kept=lambda: _settle(settles))

    async def look(self) -> list[Seen]:
        """Wait for every point once and show it; see Driver.

        With a client of its own: the running agent keeps its connection and its messages.
        """
        name = f"{self._hub.client_id}-check-{os.getpid()}"
        hub = Hub(self._hub.destination, name, keeps=False, clock=self._clock)
        looking = MqttIn(self._device, hub, self._clock)
        deadline_s = asyncio.get_running_loop().time() + self._device.timeout_s
        faults: list[str] = []
        try:
            while looking._last.keys() != self._device.points.keys():
                polled = await looking.poll()
                faults += [fault for fault in polled.faults if fault not in faults]
                if asyncio.get_running_loop().time() >= deadline_s:
                    break
                await asyncio.sleep(0.05)
        finally:
            await looking.close()
        if hub.counts.connections == 0:
            faults.append(f"{self.name} {hub.fault}")
        return [looking._seen(point, faults) for point in self._device.points]

    async def close(self) -> None:
        """Leave the hub; the last device closes the connection."""
        await self._hub.leave(self)

    def _decoded(self, message: Message, faults: list[str], now_s: float) -> list[Reading]:
        for topic in self._decoder.filters:
            if Topic(message.topic).matches(topic):
                self._shown[topic] = _shown(message)
        found = self._decoder.decode(message)
        self.counts.ignored += found.ignored
        self.counts.faults += len(found.faults)
        faults += [fault for fault in found.faults if fault not in faults]
        fresh: list[Reading] = []
        for reading in found.readings:
            self._heard_s[reading.point] = now_s
            if self._last.get(reading.point) == reading:
                self.counts.repeated += 1  # QoS 1 delivers at least once
                continue
            self._last[reading.point] = reading
            fresh.append(reading)
        return fresh

    def _silences(self, now_s: float) -> list[str]:
        hub = self._hub
        if hub.fault and now_s - hub.down_since_s > GRACE_S:
            return [hub.fault]
        silent = [
            point
            for point, heard_s in self._heard_s.items()
            if now_s - heard_s > self._device.silent_s
        ]
        return [f"has sent nothing for {self._device.silent_s:g} s: {', '.join(silent)}"] * bool(
            silent
        )

    def _seen(self, point: str, faults: list[str]) -> Seen:
        value = self._device.points[point]
        raw = self._shown.get(self._device.topic_of(point), "")
        name = value.path or "payload"
        reading = self._last.get(point)
        if reading is None:
            reasons = [fault for fault in faults if point in fault] or faults
            return Seen(point, name, raw, unit=value.unit, warnings=self._missing(reasons))
        display = None
        if reading.value is not None and value.resolution is not None:
            display = str(int(reading.value) * value.resolution)
        elif reading.value is not None:
            display = f"{reading.value:.6g}"
        warnings = ("is marked as not available",) if reading.quality is Quality.BAD else ()
        return Seen(
            point,
            name,
            raw,
            reading.value,
            display,
            value.unit,
            reading.quality.word,
            warnings=warnings,
        )

    def _missing(self, reasons: list[str]) -> tuple[str, ...]:
        if reasons:
            return tuple(reasons)
        within = f"within {self._device.timeout_s:g} s"
        if self.counts.ignored:
            return (f"only an old, retained message came {within}, which bears no time",)
        if self.counts.messages:
            return (f"messages came {within}, but none with this value: check its path",)
        return (f"no message came {within}: check the topic, or wait longer with timeout_s",)

    def _take(self) -> tuple[Message, Callable[[], None]]:
        message, settle = self._held.popleft()
        self._held_bytes -= len(message.payload)
        return message, settle

    def _over(self, share: int) -> bool:
        """Tell whether more than a share of what may be held is held."""
        return (
            len(self._held) > MOST_HELD_MESSAGES // share
            or self._held_bytes > MOST_HELD_BYTES // share
        )


def _settle(settles: Sequence[Callable[[], None]]) -> None:
    for settle in settles:
        settle()


def _shown(message: Message) -> str:
    text = message.payload.decode("utf-8", "backslashreplace")
    return text if len(text) <= MOST_SHOWN_CHARS else text[: MOST_SHOWN_CHARS - 3] + "..."
