"""A broker that keeps no promise: it loses, doubles, delays, forgets, and tells old receipts again.

Promise, the only one: what it hands over is what somebody published, and a session that is not
forgotten hands over again what was not acknowledged on its last connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from deploy.faultworld.schedule import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.faultworld.clock import VirtualLoop
    from deploy.faultworld.schedule import Schedule

MOST_OLD_RECEIPTS: Final = 200  # kept of a topic, to be told again
MOST_QUEUED: Final = 5_000  # of a session; a broker drops what lies beyond
HOP_S: Final = 0.005
LATE_S: Final = 30.0


@dataclass(slots=True)
class Message:
    """One message on its way to one session."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(slots=True)
class Session:
    """What the broker knows of one client."""

    client: str
    persistent: bool
    filters: list[str] = field(default_factory=list)
    queue: deque[Message] = field(default_factory=deque)
    handed_over: dict[int, Message] = field(default_factory=dict)
    link: Link | None = None

    def wants(self, topic: str) -> bool:
        """Tell whether a filter of the session matches a topic."""
        parts = topic.split("/")
        return any(_matches(each.split("/"), parts) for each in self.filters)


class Link:
    """One connection of one client, until it is cut."""

    def __init__(self, session: Session, will: Message | None, arrived: Callable[[], None]) -> None:
        self.session = session
        self.will = will
        self.arrived = arrived
        self.lost = asyncio.Event()

    @property
    def up(self) -> bool:
        """Tell whether the connection stands."""
        return not self.lost.is_set()


class Broker:
    """The broker of one schedule."""

    def __init__(self, schedule: Schedule, loop: VirtualLoop) -> None:
        self._schedule = schedule
        self._loop = loop
        self._sessions: dict[str, Session] = {}
        self._retained: dict[str, bytes] = {}
        self._old: dict[str, list[bytes]] = {}
        self._life = 0
        self._down_until = 0.0
        self._numbers = 0
        self.on_way = 0

    @property
    def down(self) -> bool:
        """Tell whether it takes no connections."""
        return self._loop.time() < self._down_until

    @property
    def idle(self) -> bool:
        """Tell whether nothing is on its way to anybody who is connected."""
        waiting = sum(
            len(session.queue) + len(session.handed_over)
            for session in self._sessions.values()
            if session.link is not None
        )
        return self.on_way == 0 and waiting == 0

    # -- what clients do --------------------------------------------------------------------------

    def connect(
        self,
        client: str,
        *,
        persistent: bool,
        arrived: Callable[[], None],
        will: Message | None = None,
    ) -> Link:
        """Let a client in; an older connection of the same name ends. Raises OSError when down."""
        if self.down:
            raise ConnectionRefusedError("the simulated broker is down")
        old = self._sessions.get(client)
        if old is not None and old.link is not None:
            self.cut(client)
        session = self._sessions.get(client)
        if session is None or not persistent:
            session = self._sessions[client] = Session(client, persistent)
        session.queue.extendleft(reversed(session.handed_over.values()))
        session.handed_over.clear()
        session.link = Link(session, will, arrived)
        if session.queue:
            self._loop.call_later(HOP_S, self._wake, session)
        return session.link

    def subscribe(self, link: Link, filters: list[str]) -> None:
        """Note what a client wants and send it what is retained of that."""
        for each in filters:
            if each not in link.session.filters:
                link.session.filters.append(each)
        for topic, payload in sorted(self._retained.items()):
            if any(_matches(each.split("/"), topic.split("/")) for each in filters):
                self._send(link.session, Message(topic, payload, retain=True))

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Take a message and pass it on, with what may befall it."""
        if topic.endswith("/ack"):
            old = self._old.setdefault(topic, [])
            old.append(payload)
            del old[:-MOST_OLD_RECEIPTS]
            if self._schedule.hit(Kind.RECEIPT_LOST, topic):
                return
        if retain:
            self._retained[topic] = payload
        for session in list(self._sessions.values()):
            if not session.wants(topic):
                continue
            if self._schedule.hit(Kind.MESSAGE_LOST, topic):
                continue
            copies = 2 if self._schedule.hit(Kind.MESSAGE_DOUBLED, topic) else 1
            for _ in range(copies):
                self._send(session, Message(topic, payload, retain=False))

    def fetch(self, link: Link) -> tuple[int, Message] | None:
        """Hand the next message over, None where there is none."""
        session = link.session
        if not link.up or not session.queue:
            return None
        self._numbers += 1
        message = session.queue.popleft()
        session.handed_over[self._numbers] = message
        return self._numbers, message

    def acknowledge(self, link: Link, number: int) -> None:
        """Take a message for received; a number of an older connection means nothing."""
        if link.up:
            link.session.handed_over.pop(number, None)

    # -- what befalls -----------------------------------------------------------------------------

    def cut(self, client: str, *, farewell: bool = False) -> None:
        """End a client's connection; its will is told unless it said goodbye itself."""
        session = self._sessions.get(client)
        if session is None or session.link is None:
            return
        link, session.link = session.link, None
        link.lost.set()
        if not session.persistent:
            del self._sessions[client]
        if link.will is not None and not farewell:
            self.publish(link.will.topic, link.will.payload, retain=link.will.retain)

    def forget_session(self, client: str) -> None:
        """Drop a client's connection and everything queued for it."""
        self.cut(client)
        self._sessions.pop(client, None)

    def forget_retained(self) -> None:
        """Drop everything retained."""
        self._retained.clear()

    def restart(self, down_s: float) -> None:
        """Lose everything but the name, and be away for a while."""
        self._life += 1
        self.on_way = 0
        for client in list(self._sessions):
            session = self._sessions.pop(client)
            if session.link is not None:
                session.link.lost.set()
        self._retained.clear()
        self._down_until = self._loop.time() + down_s

    def tell_again(self, topic: str, place: float, *, retain: bool) -> bool:
        """Publish an old receipt of a topic again; tell whether there is one."""
        old = self._old.get(topic)
        if not old:
            return False
        payload = old[int(place * len(old))]
        if retain:
            self._retained[topic] = payload
        for session in list(self._sessions.values()):
            if session.wants(topic):
                self._send(session, Message(topic, payload, retain=retain))
        return True

    def topics_of_receipts(self) -> list[str]:
        """Return the topics that receipts were published on."""
        return sorted(self._old)

    def clients(self) -> list[str]:
        """Return the names of who is connected."""
        return sorted(name for name, each in self._sessions.items() if each.link is not None)

    def _send(self, session: Session, message: Message) -> None:
        draws = self._schedule.stream("ways of the broker")
        delay_s = HOP_S * (0.2 + draws.random())
        if self._schedule.hit(Kind.MESSAGE_DELAYED, message.topic):
            delay_s += draws.random() ** 2 * LATE_S
        self.on_way += 1
        self._loop.call_later(delay_s, self._arrive, self._life, session.client, message)

    def _arrive(self, life: int, client: str, message: Message) -> None:
        if life != self._life:
            return
        self.on_way -= 1
        session = self._sessions.get(client)
        if session is None or len(session.queue) >= MOST_QUEUED:
            return
        session.queue.append(message)
        self._wake(session)

    def _wake(self, session: Session) -> None:
        if session.link is not None:
            session.link.arrived()


def _matches(pattern: list[str], topic: list[str]) -> bool:
    return len(pattern) == len(topic) and all(
        each in ("+", part) for each, part in zip(pattern, topic, strict=True)
    )
