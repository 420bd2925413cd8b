"""One MQTT connection that comes back: publish at QoS 1, hand what arrives to listeners.

Speaks 3.1.1. What the broker loses is the sender's concern (window.py), not this module's.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiomqtt

from core.errors import Misconfigured, Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    Listener = Callable[[bytes], None]

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
PUBLISH_TIMEOUT_S: Final = 20.0
MOST_RECEIPT_BYTES: Final = 256 * 1024
_PORT: Final = 1883
_QOS: Final = 1


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and who we are; the password never appears in `repr`."""

    host: str
    port: int
    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Broker({self.host}:{self.port}, {self.username})"


def broker_from(url: str, username: str | None, password: str | None) -> Broker:
    """Read `mqtt://host[:port]`; raises Misconfigured with one sentence."""
    parts = urlsplit(url)
    try:
        port = parts.port or _PORT
    except ValueError:
        port = 0
    if parts.scheme != "mqtt" or not parts.hostname or not port or parts.path.strip("/"):
        raise Misconfigured([Problem("--broker", "write the broker as mqtt://host:port")])
    if parts.username or parts.password:
        raise Misconfigured(
            [Problem("--broker", "no account in the URL: use --username and --password-file")]
        )
    return Broker(parts.hostname, port, username, password)


def broker_of(data_dir: Path) -> Broker:
    """Read the broker of a running `danhao up` from DIR/endpoints.json; raises Misconfigured."""
    path = data_dir / "endpoints.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        url, username, password = data["mqtt"], data["mqtt_username"], data["mqtt_password"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misconfigured(
            [Problem(str(path), "can not be read: is `danhao up` running with this --data-dir?")]
        ) from error
    return broker_from(str(url), str(username), str(password))


def password_from(path: Path | None) -> str | None:
    """Read a password file; raises Misconfigured."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise Misconfigured([Problem(str(path), "the password file can not be read")]) from error


class Link:
    """A connection kept up by `running`; listeners are told whole payloads, in order."""

    def __init__(self, broker: Broker) -> None:
        self.last_error: str | None = None
        self.connections = 0
        self.dropped = 0
        self._broker = broker
        self._listeners: dict[str, Listener] = {}
        self._greetings: list[tuple[str, Callable[[], bytes]]] = []
        self._wakes: list[Callable[[], None]] = []
        self._client: aiomqtt.Client | None = None
        self._up = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Tell whether there is a connection."""
        return self._up.is_set()

    def listen(self, topic: str, listener: Listener) -> None:
        """Subscribe a topic from the next connection on."""
        self._listeners[topic] = listener

    def greet(self, topic: str, payload: Callable[[], bytes]) -> None:
        """Publish this, retained, at each connection."""
        self._greetings.append((topic, payload))

    def wake(self, callback: Callable[[], None]) -> None:
        """Call this whenever a connection is up."""
        self._wakes.append(callback)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Publish and wait for the broker; return False where that failed."""
        await self._up.wait()
        client = self._client
        if client is None:
            return False
        try:
            await client.publish(topic, payload, qos=_QOS, retain=retain, timeout=PUBLISH_TIMEOUT_S)
        except aiomqtt.MqttError as error:
            self.last_error = str(error)
            return False
        return True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Link]:
        """Keep the connection up inside the block; cancelled at its end."""
        task = asyncio.create_task(self._run(), name="mqtt link")
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            before = self.connections
            try:
                await self._connected()
            except (aiomqtt.MqttError, OSError) as error:
                self.last_error = str(error)
            finally:
                self._up.clear()
                self._client = None
            pause_s = FIRST_PAUSE_S if self.connections > before else pause_s * 2
            await asyncio.sleep(min(pause_s, LONGEST_PAUSE_S))

    async def _connected(self) -> None:
        broker = self._broker
        async with aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            identifier=f"danhao-sim-{secrets.token_hex(6)}",
            timeout=PUBLISH_TIMEOUT_S,
        ) as client:
            for topic in self._listeners:
                await client.subscribe(topic, qos=_QOS)
            for topic, payload in self._greetings:
                await client.publish(topic, payload(), qos=_QOS, retain=True)
            self.connections += 1
            self._client = client
            self._up.set()
            for wake in self._wakes:
                wake()
            async for message in client.messages:
                self._hand(message)

    def _hand(self, message: aiomqtt.Message) -> None:
        listener = self._listeners.get(str(message.topic))
        if listener is None or len(message.payload) > MOST_RECEIPT_BYTES:
            self.dropped += 1
            return
        listener(message.payload)
