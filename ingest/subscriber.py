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
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

from core.errors import Misconfigured, Retryable
from ingest.source import Arrival, Bounds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import paho.mqtt.client as paho

    from ingest.config import Mqtt
    from ingest.source import Publish

log = logging.getLogger(__name__)

FILTERS: Final = tuple(f"danhao/v1/+/+/{kind}" for kind in ("readings", "output", "status"))
MOST_BACKLOG_BYTES: Final = 32 << 20
MOST_BACKLOG_MESSAGES: Final = 20_000
MOST_BACK_OFF_S: Final = 10.0
_FIRST_BACK_OFF_S: Final = 0.2
_KEEPALIVE_S: Final = 30
_TIMEOUT_S: Final = 10.0
_REFUSED: Final = frozenset({4, 5, 134, 135})  # bad name or password, not authorised; 3.1.1 and 5


class _AckClient(aiomqtt.Client):
    """An aiomqtt client that leaves acknowledgement, arrival and reading to us."""

    def __init__(self, settings: Mqtt, arrived: Callable[[paho.MQTTMessage], None]) -> None:
        super().__init__(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password(),
            identifier=settings.client_id,
            clean_session=False,
            keepalive=_KEEPALIVE_S,
            timeout=_TIMEOUT_S,
            tls_context=ssl.create_default_context(cafile=settings.ca_file)
            if settings.tls
            else None,
        )
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

    async def lost(self) -> None:
        """Wait until the connection is gone; raises what it died of."""
        await asyncio.shield(self._disconnected)


class Subscriber:
    """A Source over MQTT; `outgoing` runs on every connection with a way to publish."""

    def __init__(
        self,
        settings: Mqtt,
        outgoing: Callable[[Publish], Awaitable[None]],
        *,
        most_bytes: int = MOST_BACKLOG_BYTES,
        most_messages: int = MOST_BACKLOG_MESSAGES,
    ) -> None:
        self._settings = settings
        self._outgoing = outgoing
        self._most_bytes = most_bytes
        self._most_messages = most_messages
        self._backlog: deque[Arrival] = deque()
        self._backlog_bytes = 0
        self._arrived = asyncio.Event()
        self._client: _AckClient | None = None
        self.connected = asyncio.Event()
        self._generation = 0
        self.connections = 0
        self.received = 0
        self.pauses = 0

    @property
    def backlog(self) -> int:
        """Return how many messages wait to be taken."""
        return len(self._backlog)

    async def run(self) -> None:
        """Stay connected until cancelled; raises Misconfigured where the settings cannot work."""
        back_off_s = _FIRST_BACK_OFF_S
        while True:
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
        client = self._client
        if client is None:
            raise Retryable("there is no connection to the broker")
        try:
            await client.publish(topic, payload, qos=1, retain=retain)
        except aiomqtt.MqttError as error:
            raise Retryable(f"the broker did not take a message: {error}") from error

    async def _connection(self) -> None:
        self._generation += 1
        client = _AckClient(self._settings, partial(self._message, self._generation))
        # In place before the broker speaks: a session's messages come right behind its CONNACK.
        self._client = client
        async with client:
            _check_granted(await client.subscribe([(each, 1) for each in FILTERS]))
            self.connections += 1
            self.connected.set()
            log.info("connected to the broker at %s", self._settings.address)
            await _first(client.lost(), self._outgoing(self.publish))

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
        self._client = None
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
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def stopping() -> bool:
    """Tell whether the running task has been asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _code(code: Any) -> int:
    return int(getattr(code, "value", code) or 0)


def _check_granted(granted: Any) -> None:
    codes = [_code(each) for each in granted]
    if any(code >= 128 for code in codes):  # noqa: PLR2004 - MQTT's failure bit
        raise Misconfigured(
            f"the broker does not let us read {', '.join(FILTERS)}: grant that to the account"
        )
