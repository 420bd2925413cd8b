"""One connection to a broker: which MQTT, what TLS, what the broker shall remember and say.

A session is persistent, so that receipts that come while the agent is away are not lost; after an
hour the retained one says as much, and the session may end. MQTT 3.1.1 unless the settings say 5,
or `auto`: then 5 first, and 3.1.1 where that was not understood. Nothing we rely on needs 5; it
tells why a broker does not take an envelope, which 3.1.1 cannot.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
from aiomqtt import ProtocolVersion
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.linksettings import Destination

KEEPALIVE_S: Final = 30
CONNECT_S: Final = 1.5  # paho connects in a thread that no cancellation ends
TLS_CONNECT_S: Final = 5.0  # a handshake over a slow modem takes some round trips
CALL_S: Final = 10.0
SESSION_S: Final = 3_600
MOST_RECEIPTS_WAITING: Final = 1_000  # any later one says as much
MOST_UNCONFIRMED: Final = 16  # Mosquitto's own limit is 20 at a time; the status needs one as well
_NOT_UNDERSTOOD: Final = frozenset({1, 132})  # CONNACK: unacceptable protocol version, 3.1.1 and 5
REFUSED: Final = 0x80  # a SUBACK's and a PUBACK's codes from here on are refusals
NOBODY_READS: Final = 0x10  # PUBACK of MQTT 5: no matching subscribers


class Protocols:
    """Which version to speak next: the set one, or what a broker has understood."""

    def __init__(self, setting: str) -> None:
        self._auto = setting == "auto"
        self.present = ProtocolVersion.V311 if setting == "3.1.1" else ProtocolVersion.V5

    def failed(self, error: BaseException, *, connected: bool) -> None:
        """Take the other version where a connection broke before the broker had answered well."""
        if not self._auto or connected or isinstance(error, OSError):
            return
        if isinstance(error, MqttConnectError) and code_of(error.rc) not in _NOT_UNDERSTOOD:
            return
        five = self.present is ProtocolVersion.V5
        self.present = ProtocolVersion.V311 if five else ProtocolVersion.V5


def client(
    destination: Destination,
    protocol: ProtocolVersion,
    *,
    identifier: str,
    will: aiomqtt.Will,
    refused: Callable[[int], None],
) -> aiomqtt.Client:
    """Return a client for one connection; `refused` hears the code of each PUBACK that is one."""
    broker = destination.broker
    five = protocol is ProtocolVersion.V5
    made = aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.username,
        password=destination.password,
        identifier=identifier,
        protocol=protocol,
        clean_session=None if five else False,
        clean_start=False if five else MQTT_CLEAN_START_FIRST_ONLY,
        properties=_kept_session() if five else None,
        keepalive=KEEPALIVE_S,
        timeout=CALL_S,
        will=will,
        max_queued_incoming_messages=MOST_RECEIPTS_WAITING,
        max_inflight_messages=MOST_UNCONFIRMED + 1,
        tls_context=destination.tls(),
    )
    made.pending_calls_threshold = 2 * MOST_UNCONFIRMED
    inner = made._client  # noqa: SLF001 - pinned to 2.5.1, see pyproject
    inner.connect_timeout = TLS_CONNECT_S if broker.tls else CONNECT_S
    confirmed: Any = inner.on_publish

    def on_publish(client: Any, data: Any, mid: int, code: Any, properties: Any) -> None:
        if code_of(code):
            refused(code_of(code))
        confirmed(client, data, mid, code, properties)

    inner.on_publish = on_publish
    _fail_early(made)
    return made


def _fail_early(made: aiomqtt.Client) -> None:
    """Let a connection that ends before the broker has answered fail at once.

    aiomqtt would wait for its whole time-out, which is how brokers refuse what they do not know:
    a certificate, a version of MQTT.
    """
    inner, connected = made._client, made._connected  # noqa: SLF001 - as above
    ended: Any = inner.on_disconnect
    loop = asyncio.get_running_loop()

    def fail() -> None:
        if not connected.done():
            connected.set_exception(aiomqtt.MqttError("the broker ended the connection unheard"))
            connected.exception()  # seen, even where nobody waits for it any more

    def on_disconnect(*values: Any) -> None:
        ended(*values)
        loop.call_soon_threadsafe(fail)

    inner.on_disconnect = on_disconnect


def code_of(code: Any) -> int:
    """Return an MQTT reason as a number; 0 is success."""
    return int(getattr(code, "value", code) or 0)


def _kept_session() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's
    properties.SessionExpiryInterval = SESSION_S
    return properties
