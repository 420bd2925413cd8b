"""The connection to a broker that devices publish to; many devices share one.

With a session that the broker keeps (`keeps`), messages of QoS 1 are acknowledged only when their
readings are on our disk, and what is sent while the agent restarts waits at the broker. Without one
nothing old arrives: for devices whose payloads tell no time, an old message would be misdated.

aiomqtt acknowledges on arrival, so its inner paho client is told not to; its version is pinned.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from core.clock import to_us
from edge import brokerlink
from edge.mqttin.payload import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import paho.mqtt.client as paho

    from edge.linksettings import Destination

log = logging.getLogger(__name__)

FIRST_DELAY_S: Final = 1.0
MOST_DELAY_S: Final = 30.0
SESSION_S: Final = 7 * 86_400  # MQTT 5: how long the broker keeps a session that nobody uses
STOP_S: Final = 0.5


class Subscriber(Protocol):
    """A device that hears what the hub receives."""

    @property
    def filters(self) -> Sequence[str]:
        """Return the topic filters it wants."""

    def wants(self, topic: str) -> bool:
        """Tell whether messages of a topic are for this device."""

    def hear(self, message: Message, settle: Callable[[], None]) -> None:
        """Take a message; `settle`, called once, acknowledges it."""

    @property
    def full(self) -> bool:
        """Tell whether it can hold no more."""


@dataclass(slots=True)
class Counts:
    """What a hub did since it began; numbers only grow."""

    connections: int = 0
    failures: int = 0
    messages: int = 0
    stray: int = 0
    pauses: int = 0


class _Client(aiomqtt.Client):
    """An aiomqtt client that leaves arrival and acknowledgement to us."""

    def __init__(self, hub: Hub, arrived: Callable[[paho.MQTTMessage], None]) -> None:
        broker = hub.destination.broker
        protocol = hub.protocols.present
        options: dict[str, Any] = {"clean_session": not hub.keeps}
        if protocol is aiomqtt.ProtocolVersion.V5:
            options = {"clean_start": not hub.keeps}
            if hub.keeps:
                options["properties"] = properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # untyped in paho
                properties.SessionExpiryInterval = SESSION_S
        super().__init__(
            broker.host,
            broker.port,
            username=broker.username,
            password=hub.destination.password,
            identifier=hub.client_id,
            protocol=protocol,
            keepalive=brokerlink.KEEPALIVE_S,
            timeout=brokerlink.CALL_S,
            tls_context=hub.destination.tls(),
            **options,
        )
        self._client.manual_ack_set(on=True)
        self._client.connect_timeout = (
            brokerlink.TLS_CONNECT_S if broker.tls else brokerlink.CONNECT_S
        )
        self._client.on_message = lambda _client, _data, message: arrived(message)

    def acknowledge(self, message: paho.MQTTMessage) -> None:
        """Send PUBACK for a message of this very connection."""
        if message.qos:
            self._client.ack(message.mid, message.qos)


class Hub:
    """One broker connection, held while any subscriber wants it."""

    def __init__(
        self,
        destination: Destination,
        client_id: str,
        *,
        keeps: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self.destination = destination
        self.client_id = client_id
        self.keeps = keeps
        self.protocols = brokerlink.Protocols(destination.broker.protocol)
        self._clock = clock
        self._subscribers: list[Subscriber] = []
        self._task: asyncio.Task[None] | None = None
        self._client: _Client | None = None
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._generation = 0
        self.counts = Counts()
        self.fault = "is not connected yet"
        self.down_since_s = 0.0

    async def join(self, subscriber: Subscriber) -> None:
        """Take a subscriber in; the first one opens the connection."""
        if subscriber in self._subscribers:
            return
        self._subscribers.append(subscriber)
        self._changed.set()
        if self._task is None:
            self.down_since_s = asyncio.get_running_loop().time()
            self._task = asyncio.create_task(self._run(), name=f"mqtt-in {self.client_id}")

    async def leave(self, subscriber: Subscriber) -> None:
        """Let a subscriber go; the last one closes the connection."""
        if subscriber not in self._subscribers:
            return
        self._subscribers.remove(subscriber)
        if self._subscribers:
            return
        task, self._task = self._task, None
        while task is not None and not task.done():
            # aiomqtt may swallow a cancellation that comes together with a result.
            task.cancel()
            await asyncio.wait({task}, timeout=STOP_S)

    def drained(self) -> None:
        """Tell that a subscriber has room again."""
        self._room.set()

    async def _run(self) -> None:
        delay_s = FIRST_DELAY_S
        while True:
            connections = self.counts.connections
            try:
                await self._connection()
            except (aiomqtt.MqttError, OSError, ssl.SSLError) as error:
                self.counts.failures += 1
                self.protocols.failed(error, connected=self.counts.connections > connections)
                self.fault = f"broker {self.destination.broker.url}: {error}"
                log.warning("mqtt-in %s; next try in %g s", self.fault, delay_s)
            finally:
                self._down()
            await self._wait_for_room()
            if self.counts.connections > connections:
                delay_s = FIRST_DELAY_S
                if self._changed.is_set():
                    continue
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, MOST_DELAY_S)

    async def _connection(self) -> None:
        self._generation += 1
        self._changed.clear()
        client = _Client(self, partial(self._message, self._generation))
        # In place before the broker speaks: a session's messages come right behind its CONNACK.
        self._client = client
        async with client:
            filters = sorted({each for one in self._subscribers for each in one.filters})
            granted = await client.subscribe([(each, 1) for each in filters])
            for topic, code in zip(filters, granted, strict=True):
                if brokerlink.code_of(code) >= brokerlink.REFUSED:
                    raise aiomqtt.MqttError(f"this account may not read {topic}: allow it there")
            self.counts.connections += 1
            self.fault = ""
            log.info("mqtt-in: connected to %s", self.destination.broker.url)
            ended = asyncio.ensure_future(_lost(client))
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                done, _ = await asyncio.wait({ended, changed}, return_when=asyncio.FIRST_COMPLETED)
                if ended in done:
                    ended.result()
            finally:
                ended.cancel()
                changed.cancel()
                await asyncio.gather(ended, changed, return_exceptions=True)

    async def _wait_for_room(self) -> None:
        while any(each.full for each in self._subscribers):
            self._room.clear()
            await self._room.wait()

    def _message(self, generation: int, message: paho.MQTTMessage) -> None:
        if generation != self._generation:
            return
        self.counts.messages += 1
        arrived_us = to_us(self._clock())
        heard = Message(
            message.topic, bytes(message.payload), arrived_us, retained=bool(message.retain)
        )
        takers = [each for each in self._subscribers if each.wants(message.topic)]
        settle = partial(self._settle, generation, message)
        if not takers:
            self.counts.stray += 1  # of a subscription that an earlier configuration made
            settle()
        shares = _Shares(len(takers), settle)
        for each in takers:
            each.hear(heard, shares.settled)
        if any(each.full for each in self._subscribers):
            # The broker keeps what is not acknowledged; it is read on when there is room.
            self.counts.pauses += 1
            self._changed.set()

    def _settle(self, generation: int, message: paho.MQTTMessage) -> None:
        # Message numbers mean something on their own connection only.
        if generation == self._generation and self._client is not None:
            self._client.acknowledge(message)

    def _down(self) -> None:
        """Note the end of a connection; what was not acknowledged comes again on the next."""
        self._client = None
        self._generation += 1
        if not self.fault:
            self.fault = "has lost its connection to the broker"
            self.down_since_s = asyncio.get_running_loop().time()


@dataclass(slots=True)
class _Shares:
    """Acknowledges one message when every device that took it has settled it."""

    left: int
    acknowledge: Callable[[], None]

    def settled(self) -> None:
        """Count one device's word."""
        self.left -= 1
        if self.left == 0:
            self.acknowledge()


async def _lost(client: aiomqtt.Client) -> None:
    """Wait until the connection is gone; raises what it died of."""
    async for _ in client.messages:
        continue


class Hubs:
    """The hubs of one configuration, by broker, account and kind of session."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._hubs: dict[tuple[str, bool], Hub] = {}

    def hub(self, destination: Destination, client_id: str, *, keeps: bool) -> Hub:
        """Return the hub of a broker: one for what it keeps for us, one for what it does not."""
        key = repr(destination.broker), keeps
        if key not in self._hubs:
            name = client_id if keeps else f"{client_id}-now"
            self._hubs[key] = Hub(destination, name, keeps=keeps, clock=self._clock)
        return self._hubs[key]
