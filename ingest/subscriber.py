"""MQTT in: messages acknowledged to the broker after our commit, in bounded memory.

aiomqtt acknowledges on arrival, so its inner paho client is told not to (components.md 3); this
leans on two private names of aiomqtt, which is why its version is pinned and why this module has
tests with a real broker. Promise: a message is acknowledged after `settle`, or comes again; local
memory is bounded by reading no more from the socket; a lost connection is tried again for ever.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

from core.errors import Misconfigured, Retryable
from ingest import crew
from ingest.source import Arrival, Bounds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    import paho.mqtt.client as paho

    from ingest.config import Mqtt
    from ingest.source import Publish

log = logging.getLogger(__name__)

KINDS: Final = ("readings", "output", "status")
MOST_BACKLOG_BYTES: Final = 32 << 20
MOST_BACKLOG_MESSAGES: Final = 20_000
MOST_FILTERS: Final = 90  # in one SUBSCRIBE: some brokers take no more than a hundred
MOST_BACK_OFF_S: Final = 10.0
_FIRST_BACK_OFF_S: Final = 0.2
_KEEPALIVE_S: Final = 30
_TIMEOUT_S: Final = 10.0
_NOT_ALLOWED_S: Final = 0.1  # between two looks whether we may connect
_REFUSED: Final = frozenset({4, 5, 134, 135})  # bad name or password, not authorised; 3.1.1 and 5


@dataclass(frozen=True, slots=True)
class Reads:
    """What a worker reads, under which name, and whether the broker keeps it while it is away.

    `ends` is a session of that name to be ended first: nobody reads it any more, and the broker
    would go on filling it.
    """

    filters: tuple[str, ...]
    client_id: str
    keeps_session: bool = True
    ends: str | None = None


def everything(client_id: str) -> Reads:
    """Return what a worker reads that is alone: all sites, strangers as well, in one session."""
    return Reads(tuple(f"danhao/v1/+/+/{kind}" for kind in KINDS), client_id)


def of_sites(sites: Iterable[str], client_id: str, number: int, *, first: bool) -> Reads:
    """Return what one of several workers reads; the `first` ends the session of one alone."""
    filters = tuple(f"danhao/v1/{site}/+/{kind}" for site in sorted(sites) for kind in KINDS)
    ends = client_id if first else None
    return Reads(filters, f"{client_id}-{number}", keeps_session=False, ends=ends)


class _Client(aiomqtt.Client):
    """An aiomqtt client as the settings want it."""

    def __init__(self, settings: Mqtt, identifier: str, *, clean: bool) -> None:
        super().__init__(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password(),
            identifier=identifier,
            clean_session=clean,
            keepalive=_KEEPALIVE_S,
            timeout=_TIMEOUT_S,
            tls_context=ssl.create_default_context(cafile=settings.ca_file)
            if settings.tls
            else None,
        )

    async def lost(self) -> None:
        """Wait until the connection is gone; raises what it died of."""
        await asyncio.shield(self._disconnected)


class _AckClient(_Client):
    """A client that leaves acknowledgement, arrival and reading to us."""

    def __init__(
        self, settings: Mqtt, reads: Reads, arrived: Callable[[paho.MQTTMessage], None]
    ) -> None:
        super().__init__(settings, reads.client_id, clean=not reads.keeps_session)
        self._client.manual_ack_set(on=True)
        self._client.on_message = lambda _client, _data, message: arrived(message)
        self._paused = False

    def acknowledge(self, message: paho.MQTTMessage) -> None:
        """Send PUBACK for a message of this very connection."""
        self._client.ack(message.mid, message.qos)

    def pause(self) -> None:
        """Read no more from the socket; the broker then keeps what is ours."""
        socket = self._client.socket()
        if not self._paused and socket is not None:
            self._paused = True
            asyncio.get_running_loop().remove_reader(socket.fileno())

    def resume(self) -> None:
        """Read on."""
        socket = self._client.socket()
        if self._paused and socket is not None:
            self._paused = False
            asyncio.get_running_loop().add_reader(socket.fileno(), self._read)

    def _read(self) -> None:
        try:
            self._client.loop_read()
        except Exception as error:  # noqa: BLE001 - whatever it is, the connection is gone
            if not self._disconnected.done():
                self._disconnected.set_exception(error)


class Subscriber:
    """A Source over MQTT; `outgoing` runs on every connection with a way to publish.

    Receipts leave on a connection of their own: on the one that is not read while the store is
    slow, the broker's word on them would wait behind the readings. `allowed` is asked before every
    connection: a worker that was replaced must not push its heir of the same name out.
    """

    def __init__(
        self,
        settings: Mqtt,
        outgoing: Callable[[Publish], Awaitable[None]],
        *,
        reads: Reads | None = None,
        allowed: Callable[[], bool] = lambda: True,
        most_bytes: int = MOST_BACKLOG_BYTES,
        most_messages: int = MOST_BACKLOG_MESSAGES,
    ) -> None:
        self._settings = settings
        self._outgoing = outgoing
        self._reads = reads or everything(settings.client_id)
        self._allowed = allowed
        self._most_bytes = most_bytes
        self._most_messages = most_messages
        self._backlog: deque[Arrival] = deque()
        self._backlog_bytes = 0
        self._arrived = asyncio.Event()
        self._client: _AckClient | None = None
        self._out: _Client | None = None
        self.connected = asyncio.Event()
        self._generation = 0
        self.connections = 0
        self.received = 0
        self.pauses = 0

    @property
    def backlog(self) -> int:
        """Return how many messages wait to be taken."""
        return len(self._backlog)

    @property
    def backlog_bytes(self) -> int:
        """Return how many bytes of payload wait to be taken."""
        return self._backlog_bytes

    async def run(self) -> None:
        """Stay connected until cancelled; raises Misconfigured where the settings cannot work."""
        back_off_s = _FIRST_BACK_OFF_S
        while True:
            while not self._allowed():  # noqa: ASYNC110 - a clock decides
                await asyncio.sleep(_NOT_ALLOWED_S)
            before = self.connections
            try:
                await self._connection()
            except (aiomqtt.MqttError, OSError, Retryable) as error:
                self._fail_for_good(error)
                log.warning("the broker at %s is out: %s", self._settings.address, error)
                if stopping():  # the way out of a cancelled connection may fail in its own way
                    raise asyncio.CancelledError from error
            finally:
                self._forget()
            if self.connections > before:
                back_off_s = _FIRST_BACK_OFF_S
            await asyncio.sleep(back_off_s)
            back_off_s = min(2 * back_off_s, MOST_BACK_OFF_S)

    async def take(self, bounds: Bounds) -> list[Arrival]:
        """Return what has arrived within bounds; waits for the first, and for its company."""
        while not self._backlog:
            self._arrived.clear()
            await self._arrived.wait()
        if not self._full(bounds):
            try:
                async with asyncio.timeout(bounds.wait_s):
                    while not self._full(bounds):
                        self._arrived.clear()
                        await self._arrived.wait()
            except TimeoutError:
                pass
        taken: list[Arrival] = []
        size = 0
        while self._backlog and len(taken) < bounds.messages:
            size += len(self._backlog[0].payload)
            if taken and size > bounds.payload_bytes:
                break
            taken.append(self._backlog.popleft())
            self._backlog_bytes -= len(taken[-1].payload)
        self._let_in()
        return taken

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish with QoS 1 and wait for the broker's word; raises Retryable without one."""
        client = self._out
        if client is None:
            raise Retryable("there is no connection to the broker")
        try:
            await client.publish(topic, payload, qos=1, retain=retain)
        except aiomqtt.MqttError as error:
            raise Retryable(f"the broker did not take a message: {error}") from error

    async def _connection(self) -> None:
        self._generation += 1
        reads = self._reads
        if reads.ends is not None:
            async with _Client(self._settings, reads.ends, clean=True):
                pass
        out = _Client(self._settings, f"{reads.client_id}-out", clean=True)
        client = _AckClient(self._settings, reads, partial(self._message, self._generation))
        # In place before the broker speaks: a session's messages come right behind its CONNACK.
        self._client = client
        async with out, client:
            self._out = out
            await self._subscribe(client)
            self.connections += 1
            self.connected.set()
            log.info("connected to the broker at %s", self._settings.address)
            await _first(client.lost(), out.lost(), self._outgoing(self.publish))

    async def _subscribe(self, client: _AckClient) -> None:
        wanted = [(each, 1) for each in self._reads.filters]
        for begin in range(0, len(wanted), MOST_FILTERS):
            part = wanted[begin : begin + MOST_FILTERS]
            _check_granted(await client.subscribe(part), [each for each, _ in part])

    def _message(self, generation: int, message: paho.MQTTMessage) -> None:
        if generation != self._generation:
            return
        settle = partial(self._settle, generation, message)
        self._backlog.append(Arrival(message.topic, bytes(message.payload), settle))
        self._backlog_bytes += len(message.payload)
        self.received += 1
        self._arrived.set()
        if self._over() and self._client is not None:
            self.pauses += 1
            self._client.pause()

    def _settle(self, generation: int, message: paho.MQTTMessage) -> None:
        # Message numbers mean something on their own connection only; the broker sends what was
        # not acknowledged there once more.
        if generation == self._generation and self._client is not None:
            self._client.acknowledge(message)

    def _over(self) -> bool:
        return self._backlog_bytes > self._most_bytes or len(self._backlog) > self._most_messages

    def _let_in(self) -> None:
        if (
            self._client is not None
            and self._backlog_bytes <= self._most_bytes // 2
            and len(self._backlog) <= self._most_messages // 2
        ):
            self._client.resume()

    def _full(self, bounds: Bounds) -> bool:
        return len(self._backlog) >= bounds.messages or self._backlog_bytes >= bounds.payload_bytes

    def _forget(self) -> None:
        """Drop what was not taken: unacknowledged, it comes again on the next connection."""
        self._client = self._out = None
        self.connected.clear()
        self._backlog.clear()
        self._backlog_bytes = 0

    def _fail_for_good(self, error: BaseException) -> None:
        refused = isinstance(error, MqttConnectError) and _code(error.rc) in _REFUSED
        if refused and self.connections == 0:
            raise Misconfigured(
                f"the broker at {self._settings.address} refuses the account"
                f" {self._settings.username!r}: check DANHAO_MQTT_USERNAME and"
                " DANHAO_MQTT_PASSWORD_FILE"
            ) from error


async def _first(*works: Awaitable[None]) -> None:
    """Run until the first of the works ends or fails, then end the others."""
    tasks: list[asyncio.Task[None]] = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await crew.end(tasks)


def stopping() -> bool:
    """Tell whether the running task has been asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _code(code: Any) -> int:
    return int(getattr(code, "value", code) or 0)


def _check_granted(granted: Any, wanted: Sequence[str]) -> None:
    refused = [
        each
        for each, code in zip(wanted, granted, strict=True)
        if _code(code) >= 128  # noqa: PLR2004 - MQTT's failure bit
    ]
    if refused:
        raise Misconfigured(
            f"the broker does not let us read {', '.join(refused)}: grant that to the account"
        )
