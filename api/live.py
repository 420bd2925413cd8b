"""Server-sent events: what changed is encoded once per scope and fanned out to bounded queues.

Of a unit that was told before only what changed is sent (`api.deltas`): a reading every second
moves the digits of `live` alone. A channel is one scope: its clients see the same units under one
numbering `<epoch>-<seq>` without holes; its epoch is fresh in every process, so an id from before a
restart is never trusted. A client whose queue is full loses it and gets `resync` instead.
"""

from __future__ import annotations

import asyncio
import secrets
import zlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from api import access, deltas
from api.events import Event, encode
from core import periods

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.metrics import Metrics

MOST_CLIENTS: Final = 500
MOST_QUEUED: Final = 4
RESUME_S: Final = 120.0
FRESH_S: Final = 15.0  # between a page's snapshot and its stream
HEARTBEAT_S: Final = 5.0
WHOLE_S: Final = 150.0  # a unit is told whole again after this to three times as long
CLOSE: Final = None
RETRY: Final = b"retry: 2000\n"

View = dict[str, Any]


class FullError(Exception):
    """There are as many live streams as this process serves."""


@dataclass(eq=False, slots=True)
class Client:
    """One open stream: a bounded queue of events; CLOSE ends it."""

    channel: Channel
    queue: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(MOST_QUEUED))


@dataclass(eq=False, slots=True)
class Channel:
    """The clients of one scope, and which counter of the hub each of its last ids had seen."""

    scope: frozenset[str]
    epoch: str
    seq: int = 0
    seen: deque[tuple[int, float, int]] = field(default_factory=deque)
    clients: set[Client] = field(default_factory=set)
    left_at: float = 0.0

    def sees(self, view: View) -> bool:
        """Tell whether the scope holds the view's site; what is of none, the whole store alone."""
        if view["site"] is None:
            return access.EVERYTHING in self.scope
        return access.covers(self.scope, view["site"], view["jurisdiction"])


@dataclass(slots=True)
class _Changed:
    counter: int
    at: float
    view: View
    whole_at: float


class Hub:
    """Everybody's live stream in this process; instants are seconds of a monotonic clock."""

    def __init__(self, metrics: Metrics, most_clients: int = MOST_CLIENTS) -> None:
        self._metrics = metrics
        self._most_clients = most_clients
        self._channels: dict[frozenset[str], Channel] = {}
        self._changed: dict[str, _Changed] = {}
        self._alerts: dict[str, _Changed] = {}
        self._counter = 0
        self._clients = 0
        self.closed = asyncio.Event()
        self.wanted = asyncio.Event()

    @property
    def clients(self) -> int:
        """Return the number of open streams."""
        return self._clients

    def join(self, scope: frozenset[str], last_id: str | None, now: float) -> Client:
        """Open a stream and queue what the client missed; raises FullError at the bound."""
        if self._clients >= self._most_clients:
            self._metrics.add("danhao_live_refused_total")
            raise FullError
        self._forget_idle(now)
        channel = self._channels.get(scope)
        if channel is None:
            channel = Channel(scope, secrets.token_hex(4))
            channel.seen.append((0, now, self._counter))
            self._channels[scope] = channel
        client = Client(channel)
        channel.clients.add(client)
        self._clients += 1
        self._count_clients()
        client.queue.put_nowait(self._welcome(channel, last_id, now))
        if self.closed.is_set():
            _end(client)
        self.wanted.set()
        return client

    def leave(self, client: Client, now: float) -> None:
        """Close a stream; closing it twice changes nothing."""
        channel = client.channel
        if client in channel.clients:
            channel.clients.remove(client)
            channel.left_at = now
            self._clients -= 1
            self._count_clients()
        if self._clients == 0:
            self.wanted.clear()

    def publish(self, views: Mapping[str, View], now: float) -> None:
        """Tell every channel what changed of the units it sees, encoded once per channel."""
        if not views:
            return
        self._counter += 1
        changes: dict[str, View] = {}
        for unit, view in views.items():
            told = self._changed.get(unit)
            changes[unit] = change = view if told is None else _change(view, told, now)
            whole_at = now if told is None or change is view else told.whole_at
            self._changed[unit] = _Changed(self._counter, now, view, whole_at)
        for channel in self._channels.values():
            seen = [changes[unit] for unit, view in views.items() if channel.sees(view)]
            if not seen:
                continue
            channel.seq += 1
            _remember(channel, self._counter, now)
            self._send(channel, encode("units", {"items": seen}, _id(channel)), "units")

    def publish_alerts(self, items: Mapping[str, View], now: float) -> None:
        """Tell every channel of the changed alerts it sees."""
        if not items:
            return
        self._counter += 1
        for alert, item in items.items():
            self._alerts[alert] = _Changed(self._counter, now, item, now)
        # Beyond what a stream may resume there is nobody to tell again.
        old = [key for key, one in self._alerts.items() if now - one.at > RESUME_S]
        for key in old:
            del self._alerts[key]
        for channel in self._channels.values():
            seen = [item for item in items.values() if channel.sees(item)]
            if not seen:
                continue
            channel.seq += 1
            _remember(channel, self._counter, now)
            self._send(channel, encode("alerts", {"items": seen}, _id(channel)), "alerts")

    def forget_units(self, units: set[str]) -> None:
        """Drop units that are declared no more and let every client fetch the list again."""
        for unit in units:
            self._changed.pop(unit, None)
        self.resync()

    def resync(self) -> None:
        """Let every client fetch the list of units again."""
        for channel in self._channels.values():
            self._send(channel, encode("resync", {}, _id(channel)), "resync")

    def heartbeat(self, now_us: int) -> None:
        """Tell every client that the stream lives."""
        event = encode("heartbeat", {"at": periods.render_utc(now_us)}, None)
        for channel in self._channels.values():
            self._send(channel, event, "heartbeat")

    def close(self) -> None:
        """End every stream: the process stops."""
        self.closed.set()
        for channel in self._channels.values():
            for client in channel.clients:
                _end(client)

    def _welcome(self, channel: Channel, last_id: str | None, now: float) -> Event:
        counter = None if last_id is None else _resumable(channel, last_id, now)
        if last_id is not None and counter is None:
            return Event(RETRY + encode("resync", {}, _id(channel)).plain)

        def missed(changes: Mapping[str, _Changed]) -> list[View]:
            return [
                one.view
                for one in changes.values()
                if (now - one.at <= FRESH_S if counter is None else one.counter > counter)
                and channel.sees(one.view)
            ]

        alerts = missed(self._alerts)
        told = encode("alerts", {"items": alerts}, _id(channel)).plain if alerts else b""
        units = encode("units", {"items": missed(self._changed)}, _id(channel))
        return Event(RETRY + told + units.plain)

    def _send(self, channel: Channel, event: Event, kind: str) -> None:
        self._metrics.add("danhao_live_events_total", kind=kind)
        for client in channel.clients:
            if not client.queue.full():
                client.queue.put_nowait(event)
                continue
            self._metrics.add("danhao_live_resyncs_total")
            _drop(client)
            client.queue.put_nowait(encode("resync", {}, _id(channel)))

    def _forget_idle(self, now: float) -> None:
        idle = [
            scope
            for scope, channel in self._channels.items()
            if not channel.clients and now - channel.left_at > RESUME_S
        ]
        for scope in idle:
            del self._channels[scope]

    def _count_clients(self) -> None:
        self._metrics.set("danhao_live_clients", self._clients)


def _change(view: View, told: _Changed, now: float) -> View:
    """Return what was not told so; the whole view where another scope may see it now.

    And now and then, a unit at a time: what a page holds may come from a snapshot that was taken
    between two polls, and a difference to what was told mends only what it names.
    """
    if any(view[name] != told.view[name] for name in ("site", "jurisdiction")):
        return view
    spread = 1 + zlib.crc32(view["unit"].encode()) % 1000 / 500
    if now - told.whole_at >= WHOLE_S * spread:
        return view
    changed = deltas.difference(view, told.view)
    return view if changed is None else {"unit": view["unit"], **changed}


def _id(channel: Channel) -> str:
    return f"{channel.epoch}-{channel.seq}"


def _remember(channel: Channel, counter: int, now: float) -> None:
    channel.seen.append((channel.seq, now, counter))
    # The newest id older than the window stays: whoever holds it missed nothing before.
    while len(channel.seen) > 1 and now - channel.seen[1][1] > RESUME_S:
        channel.seen.popleft()


def _resumable(channel: Channel, last_id: str, now: float) -> int | None:
    """Return the hub's counter that the holder of this id has seen, or None."""
    epoch, _, text = last_id.partition("-")
    if epoch != channel.epoch or not (text.isascii() and text.isdigit() and len(text) < 20):  # noqa: PLR2004 - digits of 64 bits
        return None
    asked = int(text)
    for seq, at, counter in reversed(channel.seen):
        if seq == asked:
            is_current = seq == channel.seq
            return counter if is_current or now - at <= RESUME_S else None
    return None


def _drop(client: Client) -> None:
    while not client.queue.empty():
        client.queue.get_nowait()


def _end(client: Client) -> None:
    _drop(client)
    client.queue.put_nowait(CLOSE)
