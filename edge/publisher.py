"""Drains the outbox to one destination and lives by its store's receipt (design 4.2).

QoS 1 on `…/readings`, a bounded window of unreceipted envelopes, own `…/ack` read (the retained one
first), `…/status` retained with a last will. After PUBACK nothing is settled: only a receipt ends
the sending, and nothing here deletes. Each destination has a publisher of its own, with its own
connection, window and progress: one that is down holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiomqtt

from core import wire
from core.clock import from_us, to_us
from core.errors import Rejected, Retryable
from core.names import Topic
from edge import brokerlink
from edge.brokerlink import MOST_UNCONFIRMED
from edge.clockwatch import Trust
from edge.outlet import News
from edge.progress import size
from edge.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge.clockwatch import ClockWatch
    from edge.linksettings import Destination, Identity
    from edge.outbox import Outbox
    from edge.outboxstate import State
    from edge.outlet import Held

log = logging.getLogger(__name__)

FIRST_DELAY_S: Final = 1.0
MOST_DELAY_S: Final = 60.0
STATUS_S: Final = 30.0  # each status also asks ingest for its receipt, and for its time
PUBACK_S: Final = 120.0  # a slow link may need it for all under way; a dead one ends by keepalive
FAREWELL_S: Final = 0.5
MOST_ASKED: Final = 16  # statuses whose answer is waited for


@dataclass(slots=True)
class Counts:
    """What a publisher did since it began; numbers only grow, but for `connected`."""

    connected: bool = False
    connections: int = 0
    failures: int = 0
    sent: int = 0
    sent_readings: int = 0
    repeated: int = 0
    refused: int = 0
    receipts: int = 0
    unreadable_receipts: int = 0
    set_aside: int = 0


class Publisher:
    """Sends one outbox to one destination."""

    def __init__(
        self,
        identity: Identity,
        destination: Destination,
        outbox: Outbox,
        *,
        watch: ClockWatch,
        monotonic: Callable[[], float],
        rand: Callable[[], float],
        window: Window | None = None,
    ) -> None:
        self._identity = identity
        self._destination = destination
        self._outbox = outbox
        self._outlet = outbox.outlet(destination.name)
        self._watch = watch
        self._monotonic = monotonic
        self._rand = rand
        self._window = window or Window()
        self._protocols = brokerlink.Protocols(destination.broker.protocol)
        self._wake = asyncio.Event()
        self._report = asyncio.Event()
        self._unconfirmed = 0
        self._epoch = ""
        self._asked: dict[int, None] = {}
        self.counts = Counts()
        site, agent = identity.site, identity.agent
        self._readings = str(Topic(site, agent, "readings"))
        self._ack = str(Topic(site, agent, "ack"))
        self._status = str(Topic(site, agent, "status"))

    @property
    def name(self) -> str:
        """Return the destination's name."""
        return self._destination.name

    def wake(self) -> None:
        """Tell that the outbox has more."""
        self._wake.set()

    def report(self) -> None:
        """Say how things stand now, not only at the next turn."""
        self._report.set()

    async def run(self) -> None:
        """Send until cancelled, through any number of connections."""
        delay_s = FIRST_DELAY_S
        while True:
            connections = self.counts.connections
            wait_s = delay_s * (1 + self._rand()) / 2  # gateways that lost power together part ways
            try:
                # A task of its own: before Python 3.13 a failed TaskGroup leaves its task's count
                # of cancellations raised, and _heed_cancellation would take it for a real one.
                await asyncio.create_task(self._session())
            except* (aiomqtt.MqttError, OSError, ssl.SSLError) as failures:
                self.counts.failures += 1
                first = _first(failures)
                connected = self.counts.connections > connections
                self._protocols.failed(first, connected=connected)
                log.warning("%s: %s; next try in %.1f s", self.name, first, wait_s)
            finally:
                self.counts.connected = False
            if self.counts.connections > connections:
                delay_s = FIRST_DELAY_S
            await asyncio.sleep(wait_s)
            delay_s = min(2 * delay_s, MOST_DELAY_S)

    async def _session(self) -> None:
        async with self._client() as client:
            granted = await client.subscribe(self._ack, qos=1)
            _heed_cancellation()
            if any(brokerlink.code_of(code) >= brokerlink.REFUSED for code in granted):
                raise aiomqtt.MqttError(f"this account may not read {self._ack}: allow it there")
            self.counts.connections += 1
            self.counts.connected = True
            log.info("%s: connected to %s", self.name, self._destination.broker.url)
            self._window.connected(self._monotonic())
            self._asked.clear()
            self._unconfirmed = 0
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._receive(client))
                    tasks.create_task(self._send(client, tasks))
                    tasks.create_task(self._tell(client))
            except asyncio.CancelledError:
                await self._say_goodbye(client)
                raise

    def _client(self) -> aiomqtt.Client:
        will = wire.Status(wire.AgentState.OFFLINE, self._watch.now(), self._outlet.epoch, 0)
        return brokerlink.client(
            self._destination,
            self._protocols.present,
            identifier=f"{self._identity.site}.{self._identity.agent}",
            will=aiomqtt.Will(self._status, will.to_json(), qos=1, retain=True),
            refused=self._refused,
        )

    def _refused(self, code: int) -> None:
        """Count what the broker did not take; it is sent again, as nothing receipts it."""
        if code != brokerlink.NOBODY_READS:
            if not self.counts.refused:
                log.warning("%s: the broker refuses envelopes (reason %#x)", self.name, code)
            self.counts.refused += 1

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            if message.topic.value != self._ack:
                continue  # amqtt sends back what we published when a session is taken up again
            now_us = self._watch.now_us()
            try:
                receipt = wire.Receipt.from_json(message.payload)
                news = await asyncio.to_thread(self._outlet.apply, receipt, now_us)
            except Rejected as error:
                self.counts.unreadable_receipts += 1
                log.warning("receipt: %s", error)
                continue
            except Retryable as error:
                log.warning("%s", error)
                continue
            self.counts.receipts += 1
            if not message.retain:
                self._take_time(receipt, now_us)
            if news in (News.NEW_STORE, News.NEW_EPOCH):
                log.info("%s: receipt: %s: sending all that is held", self.name, news)
                self._window.restart()
                self._report.set()
            self._window.settle(self._outlet.covers)
            self._wake.set()

    def _take_time(self, receipt: wire.Receipt, now_us: int) -> None:
        """Learn what a receipt tells that is no retained one: a living store, and its clock."""
        fresh = self._window.heard(self._monotonic())
        if receipt.at is None or receipt.status_at is None:
            if fresh and len(self._asked) > 1:
                self._watch.no_time()
            return
        asked_us = to_us(receipt.status_at)
        if asked_us in self._asked:
            del self._asked[asked_us]
            self._watch.learn(asked_us, to_us(receipt.at), now_us)

    async def _send(self, client: aiomqtt.Client, tasks: asyncio.TaskGroup) -> None:
        while True:
            self._wake.clear()
            generation = self._window.generation
            try:
                chosen = await self._choose(MOST_UNCONFIRMED - self._unconfirmed)
            except Retryable as error:
                log.warning("%s", error)
                await asyncio.sleep(FIRST_DELAY_S)
                continue
            if self._window.generation != generation:
                continue  # a receipt came in between and began anew: what it asks for comes first
            for held in chosen:
                self._window.sent(held.sequence, self._monotonic())
                self.counts.sent += 1
                self.counts.sent_readings += held.rows
                self._unconfirmed += 1
                tasks.create_task(self._publish(client, self._sealed(held)))
            if chosen:
                continue
            wait_s = self._window.wait_s(self._monotonic())
            if self._unconfirmed >= MOST_UNCONFIRMED:
                wait_s = None  # whatever is due, a confirmation comes first
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _choose(self, room: int) -> Sequence[Held]:
        """Return what to send now: what is due again first, then the newest, then the backlog."""
        window, outlet = self._window, self._outlet
        if outlet.epoch != self._epoch:
            self._epoch = outlet.epoch
            window.begin()
        chosen = await self._due(room) if room > 0 else []
        window.divide(
            size(outlet.waiting(window.newest)), outlet.last, len(outlet.progress.missing)
        )
        for ask in window.asks():
            most = min(ask.most, room - len(chosen))
            if most <= 0:
                break
            found = await asyncio.to_thread(outlet.peek, ask.after, most, upto=ask.upto)
            if not found and ask.backlog:
                window.unite()
            for held in found:
                if window.is_under_way(held.sequence):
                    window.skip(held.sequence)
                else:
                    chosen.append(held)
        return chosen

    async def _due(self, room: int) -> list[Held]:
        """Return what a time-out asks for once more; what a living store never takes is set aside.

        An envelope that is no longer there, or that the store has by now, is forgotten.
        """
        due = self._window.due(self._monotonic())
        for sequence in due.aside:
            await asyncio.to_thread(self._outlet.set_aside, sequence)
            self.counts.set_aside += 1
            self._report.set()
            log.error("%s: envelope %d: unreceipted after all sends: aside", self.name, sequence)
        again: list[Held] = []
        for sequence in due.again[:room]:
            found = await asyncio.to_thread(self._outlet.peek, sequence - 1, 1, upto=sequence)
            again += found
            if not found:
                self._window.forget(sequence)
        self.counts.repeated += len(again)
        return again

    async def _publish(self, client: aiomqtt.Client, payload: bytes) -> None:
        """Publish one envelope and return when the broker has it."""
        await client.publish(self._readings, payload, qos=1, timeout=PUBACK_S)
        self._unconfirmed -= 1
        self._wake.set()

    def _sealed(self, held: Held) -> bytes:
        head = wire.header(
            agent=self._identity.agent,
            epoch=held.epoch,
            sequence=held.sequence,
            oldest=min(held.oldest, held.sequence),
            sent_us=self._watch.now_us(),
        )
        return wire.seal(head + held.body, sign=self._identity.sign, key=self._identity.key)

    async def _tell(self, client: aiomqtt.Client) -> None:
        """Publish the status now, and again every so often or when asked."""
        while True:
            self._report.clear()
            status = await self._say()
            self._asked[to_us(status.at)] = None
            while len(self._asked) > MOST_ASKED:
                del self._asked[next(iter(self._asked))]
            await client.publish(self._status, status.to_json(), qos=1, retain=True)
            _heed_cancellation()
            with suppress(TimeoutError):
                async with asyncio.timeout(STATUS_S):
                    await self._report.wait()

    async def _say(self, state: wire.AgentState = wire.AgentState.ONLINE) -> wire.Status:
        stands = await asyncio.to_thread(self._outbox.state)
        mine = stands.of(self.name)
        clock = self._watch.state()
        return wire.Status(
            state,
            self._watch.now(),
            stands.epoch,
            mine.depth,
            None if mine.oldest_us is None else from_us(mine.oldest_us),
            None if clock.ahead_ms is None else round(clock.ahead_ms, 3),
            troubles(stands, self._watch.trust),
        )

    async def _say_goodbye(self, client: aiomqtt.Client) -> None:
        try:
            async with asyncio.timeout(FAREWELL_S):
                status = await self._say(wire.AgentState.OFFLINE)
                await client.publish(self._status, status.to_json(), qos=1, retain=True)
        except (aiomqtt.MqttError, Retryable, TimeoutError) as error:
            log.info("%s: no farewell: %s", self.name, error)


def troubles(stands: State, trust: Trust) -> dict[str, int]:
    """Return what a person should hear of, by the names in docs/wire.md; well is empty."""
    counts = {
        "lost_envelopes": stands.lost_envelopes,
        "lost_readings": stands.lost_readings,
        "set_aside": stands.set_aside,
        "corrupt_files": stands.corrupt_files,
        "damaged": stands.damaged,
        "unplaceable": stands.unplaceable,
        "withheld": stands.withheld,
        "in_memory": int(stands.in_memory),
        "clock_doubted": int(trust is Trust.DOUBTED),
        "clock_wrong": int(trust is Trust.WRONG),
    }
    return {name: count for name, count in counts.items() if count}


def _heed_cancellation() -> None:
    """Raise a cancellation that a call of aiomqtt swallowed.

    It waits by asyncio.wait_for, which before Python 3.12 returns the result and forgets the
    cancellation where both come in the same turn of the loop.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first leaf of a group: the failures of one connection have one cause."""
    leaf: BaseException = failures
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf
