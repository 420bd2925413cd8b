"""The MQTT broker behind the front door: amqtt, with the parts replaced that do not hold.

amqtt keeps connections, acknowledgements, wills and retained messages. Three things of it are not
fit for a service that denies by default and bounds everything; they are overridden here, for the
pinned version 0.12.1:

* it sends a client, as it connects, every retained message that anybody subscribed to;
* it loops over its subscriptions across awaits, so a message is lost when one changes meanwhile;
* its queues have no bound, and each message is printed into a string that nobody reads.

What remains of it: a QoS 1 message that is not acknowledged within 5 s is given up and not sent
again; a session ends with its connection; nothing survives a restart. The receipt of design 4.2
makes all of that harmless.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from amqtt import broker as amqtt_broker  # type: ignore[import-untyped] # it carries no types
from amqtt import contexts
from amqtt.plugins import base  # type: ignore[import-untyped] # it carries no types

from deploy import mqttwire

if TYPE_CHECKING:
    from deploy import door

MOST_FLYING_BYTES: Final = 64 << 20
MOST_RETAINED: Final = 10_000
MOST_RETAINED_BYTES: Final = 64 << 20
_MESSAGE_COST: Final = 16 << 10  # what a message takes beyond its payload: task, future, frames
_LISTENER: Final = "default"


class TicketPlugin(base.BaseAuthPlugin):  # type: ignore[misc] # amqtt is untyped
    """Lets in what the door hands over and nothing else: there is no anonymous client."""

    @dataclass
    class Config:
        """The door's ticket, made anew in each process."""

        ticket: str = ""

    async def authenticate(self, *, session: Any) -> bool:
        """Compare the ticket that the door put in place of the password."""
        given, wanted = str(session.password or ""), str(self.config.ticket)
        return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())


class Core(amqtt_broker.Broker):  # type: ignore[misc] # amqtt is untyped
    """The broker that a `door.Door` stands in front of; made within a running event loop."""

    def __init__(self) -> None:
        self.ticket = secrets.token_hex(32)
        self.counters: Counter[str] = Counter()
        self.queued_cost = 0
        self.flying_cost = 0
        self.retained_bytes = 0
        self._sending: set[asyncio.Task[Any]] = set()
        plugin = f"{TicketPlugin.__module__}.{TicketPlugin.__qualname__}"
        listener = contexts.ListenerConfig(type=contexts.ListenerType.EXTERNAL)
        super().__init__(
            contexts.BrokerConfig(
                listeners={_LISTENER: listener}, plugins={plugin: {"ticket": self.ticket}}
            )
        )

    async def serve(self, reader: door.ReadSide, writer: door.WriteSide) -> None:
        """Serve an admitted connection until it ends."""
        await self.external_connected(reader, writer, _LISTENER)

    def backlog(self, client: str) -> int:
        """Return how many messages of this client wait to be passed on."""
        session = self.sessions.get(client, (None, None))[0]
        return 0 if session is None else int(session.delivered_message_queue.qsize())

    def is_full(self) -> bool:
        """Tell whether messages queued and in flight reach their bound."""
        return self.queued_cost + self.flying_cost >= MOST_FLYING_BYTES

    def may_retain(self, topic: str, size: int) -> bool:
        """Tell whether there is room to keep this message for later subscribers."""
        older = self.retained_messages.get(topic)
        if older is None:
            has_slot = len(self.retained_messages) < MOST_RETAINED
            return has_slot and self.retained_bytes + size <= MOST_RETAINED_BYTES
        return self.retained_bytes - len(older.data) + size <= MOST_RETAINED_BYTES

    async def retain_message(
        self, source_session: Any, topic_name: str, data: bytes, qos: int | None = None
    ) -> None:
        """Keep, replace or clear a retained message, and its bytes in the sum."""
        older = self.retained_messages.get(topic_name)
        self.retained_bytes += len(data) - (0 if older is None else len(older.data))
        await super().retain_message(source_session, topic_name, data, qos)

    async def _broadcast_message(
        self, session: Any, topic: str, data: bytes, force_qos: int | None = None
    ) -> None:
        self.queued_cost += len(data) + _MESSAGE_COST
        await super()._broadcast_message(session, topic, data, force_qos)

    async def _run_broadcast(self, running_tasks: Any) -> None:  # noqa: ARG002 - amqtt's signature
        """Send one message to its subscribers, with no await between: nothing changes meanwhile."""
        message = await self._broadcast_queue.get()
        topic, data = message["topic"], message["data"]
        self.queued_cost -= len(data) + _MESSAGE_COST
        for granted, subscriptions in self._subscriptions.items():
            if not mqttwire.covers(granted, topic):
                continue
            for session, qos in subscriptions:
                if session.transitions.state == "connected":
                    self._send(session, topic, data, min(qos, message.get("qos", qos)))

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Any
    ) -> None:
        """Send what is kept for a filter, to a client that subscribed to it and to no other.

        Does not wait for the acknowledgements: its caller is the client's only loop.
        """
        wanted, qos = subscription
        holders = self._subscriptions.get(wanted, ())
        if not any(holder.client_id == session.client_id for holder, _ in holders):
            return
        for topic, kept in self.retained_messages.items():
            if mqttwire.covers(wanted, topic):
                self._send(session, topic, kept.data, min(qos, kept.qos or 0), retain=True)

    def _send(
        self, session: Any, topic: str, data: bytes, qos: int, *, retain: bool = False
    ) -> None:
        handler = self._get_handler(session)
        if handler is None:
            return
        cost = len(data) + _MESSAGE_COST
        self.flying_cost += cost
        self.counters["sent"] += 1
        # Tasks start in the order they are made, and a connection writes one packet at a time.
        task = asyncio.ensure_future(handler.mqtt_publish(topic, data, qos, retain=retain))
        self._sending.add(task)
        task.add_done_callback(lambda done: self._on_sent(done, cost))

    def _on_sent(self, task: asyncio.Task[Any], cost: int) -> None:
        self._sending.discard(task)
        self.flying_cost -= cost
        if task.cancelled() or task.exception() is not None:
            self.counters["not acknowledged"] += 1
