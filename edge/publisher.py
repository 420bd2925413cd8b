"""Drains the outbox to the broker and lives by the store's receipt (design 4.2).

QoS 1 on `…/readings`, a bounded window of unreceipted envelopes, own `…/ack` read (the retained one
first), `…/status` retained with a last will. After PUBACK nothing is settled: only a receipt ends
the sending, and nothing here deletes. MQTT 3.1.1, as every broker speaks it.
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
from edge.outbox import News
from edge.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from edge.config import Configuration
    from edge.outbox import Held, Outbox

log = logging.getLogger(__name__)

FIRST_DELAY_S: Final = 1.0
MOST_DELAY_S: Final = 30.0
STATUS_S: Final = 30.0  # each status also asks ingest for its receipt
KEEPALIVE_S: Final = 30
CONNECT_S: Final = 1.5  # paho connects in a thread that no cancellation ends
CALL_S: Final = 10.0
PUBACK_S: Final = 120.0  # a slow link may need it for a whole window; a dead one ends by keepalive
FAREWELL_S: Final = 0.5
REFUSED: Final = 0x80  # a SUBACK's code, MQTT 3.1.1 section 3.9.3
MOST_RECEIPTS_WAITING: Final = 1_000  # any later one says as much


@dataclass(slots=True)
class Counts:
    """What the publisher did since it began; numbers only grow, but for `connected`."""

    connected: bool = False
    connections: int = 0
    failures: int = 0
    sent: int = 0
    repeated: int = 0
    receipts: int = 0
    unreadable_receipts: int = 0
    set_aside: int = 0


class Publisher:
    """Sends one outbox to one broker."""

    def __init__(
        self,
        config: Configuration,
        outbox: Outbox,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        window: Window | None = None,
    ) -> None:
        self._config = config
        self._outbox = outbox
        self._clock = clock
        self._monotonic = monotonic
        self._window = window or Window()
        self._wake = asyncio.Event()
        self._report = asyncio.Event()
        self.counts = Counts()
        site, agent = config.settings.site, config.settings.agent
        self._readings = str(Topic(site, agent, "readings"))
        self._ack = str(Topic(site, agent, "ack"))
        self._status = str(Topic(site, agent, "status"))

    def wake(self) -> None:
        """Tell that the outbox has more."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled, through any number of connections."""
        delay_s = FIRST_DELAY_S
        while True:
            connections = self.counts.connections
            try:
                # A task of its own: before Python 3.13 a failed TaskGroup leaves its task's count
                # of cancellations raised, and _heed_cancellation would take it for a real one.
                await asyncio.create_task(self._session())
            except* (aiomqtt.MqttError, OSError) as failures:
                self.counts.failures += 1
                log.warning("broker: %s; next try in %g s", _first(failures), delay_s)
            finally:
                self.counts.connected = False
            if self.counts.connections > connections:
                delay_s = FIRST_DELAY_S
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, MOST_DELAY_S)

    async def _session(self) -> None:
        async with self._client(self._outbox.epoch) as client:
            granted = await client.subscribe(self._ack, qos=1)
            _heed_cancellation()
            if any(getattr(code, "value", code) >= REFUSED for code in granted):
                raise aiomqtt.MqttError(f"this account may not read {self._ack}: allow it there")
            self.counts.connections += 1
            self.counts.connected = True
            log.info("broker: connected to %s", self._config.settings.broker.url)
            self._window.restart()
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._receive(client))
                    tasks.create_task(self._send(client))
                    tasks.create_task(self._tell(client))
            except asyncio.CancelledError:
                await self._say_goodbye(client)
                raise

    def _client(self, epoch: str) -> aiomqtt.Client:
        broker = self._config.settings.broker
        site, agent = self._config.settings.site, self._config.settings.agent
        will = wire.Status(wire.AgentState.OFFLINE, self._clock(), epoch, 0)
        client = aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=self._config.password,
            identifier=f"{site}.{agent}",
            clean_session=True,
            keepalive=KEEPALIVE_S,
            timeout=CALL_S,
            will=aiomqtt.Will(self._status, will.to_json(), qos=1, retain=True),
            max_queued_incoming_messages=MOST_RECEIPTS_WAITING,
            max_inflight_messages=64,
            tls_context=self._tls(),
        )
        client.pending_calls_threshold = 1_000  # a whole window waits for its PUBACKs at once
        client._client.connect_timeout = CONNECT_S  # noqa: SLF001 - pinned to 2.5.1, see pyproject
        return client

    def _tls(self) -> ssl.SSLContext | None:
        if not self._config.settings.broker.tls:
            return None
        authority = self._config.ca_file
        return ssl.create_default_context(cafile=None if authority is None else str(authority))

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            try:
                receipt = wire.Receipt.from_json(message.payload)
                news = await asyncio.to_thread(self._outbox.apply, receipt, to_us(self._clock()))
            except Rejected as error:
                self.counts.unreadable_receipts += 1
                log.warning("receipt: %s", error)
                continue
            except Retryable as error:
                log.warning("%s", error)
                continue
            self.counts.receipts += 1
            if not message.retain:
                self._window.heard(self._monotonic())
            if news in (News.NEW_STORE, News.NEW_EPOCH):
                log.info("receipt: %s: sending all that is held", news)
                self._window.restart()
                self._report.set()
            self._window.settle(self._outbox.covers)
            self._wake.set()

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            self._wake.clear()
            try:
                busy = await self._send_some(client)
            except Retryable as error:
                log.warning("%s", error)
                await asyncio.sleep(FIRST_DELAY_S)
                continue
            if busy:
                continue
            wait_s = self._window.wait_s(self._monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _send_some(self, client: aiomqtt.Client) -> bool:
        """Send what is due again, then as much new as the window takes; tell whether any was."""
        due = self._window.due(self._monotonic())
        for sequence in due.aside:
            await asyncio.to_thread(self._outbox.set_aside, sequence)
            self.counts.set_aside += 1
            log.error("envelope %d: unreceipted after all its sends: set aside", sequence)
        again: list[Held] = []
        for sequence in due.again:
            found = await asyncio.to_thread(self._outbox.peek, sequence - 1, 1)
            if found and found[0].sequence == sequence:
                again.append(found[0])
            else:
                self._window.forget(sequence)
        self.counts.repeated += len(again)
        await self._publish(client, again)
        if not self._window.free:
            return bool(again)
        fresh = await asyncio.to_thread(self._outbox.peek, self._window.cursor, self._window.free)
        await self._publish(client, fresh)
        return bool(again or fresh)

    async def _publish(self, client: aiomqtt.Client, envelopes: Sequence[Held]) -> None:
        """Publish envelopes side by side and return when the broker has them all."""
        if not envelopes:
            return
        oldest = await asyncio.to_thread(self._outbox.oldest)
        payloads = [self._sealed(held, oldest) for held in envelopes]
        for held in envelopes:
            self._window.sent(held.sequence, self._monotonic())
        self.counts.sent += len(envelopes)
        await asyncio.gather(
            *(
                client.publish(self._readings, payload, qos=1, timeout=PUBACK_S)
                for payload in payloads
            )
        )

    def _sealed(self, held: Held, oldest: int) -> bytes:
        head = wire.header(
            agent=self._config.settings.agent,
            epoch=self._outbox.epoch,
            sequence=held.sequence,
            oldest=min(oldest, held.sequence),
            sent_us=to_us(self._clock()),
        )
        return wire.seal(head + held.body, sign=self._config.sign, key=self._config.key)

    async def _tell(self, client: aiomqtt.Client) -> None:
        """Publish the status now, and again every so often or when asked."""
        while True:
            self._report.clear()
            await client.publish(self._status, await self._say(), qos=1, retain=True)
            _heed_cancellation()
            with suppress(TimeoutError):
                async with asyncio.timeout(STATUS_S):
                    await self._report.wait()

    async def _say(self, state: wire.AgentState = wire.AgentState.ONLINE) -> bytes:
        stands = await asyncio.to_thread(self._outbox.state)
        oldest = None if stands.oldest_us is None else from_us(stands.oldest_us)
        return wire.Status(state, self._clock(), stands.epoch, stands.depth, oldest).to_json()

    async def _say_goodbye(self, client: aiomqtt.Client) -> None:
        try:
            async with asyncio.timeout(FAREWELL_S):
                payload = await self._say(wire.AgentState.OFFLINE)
                await client.publish(self._status, payload, qos=1, retain=True)
        except (aiomqtt.MqttError, Retryable, TimeoutError) as error:
            log.info("broker: no farewell: %s", error)


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
