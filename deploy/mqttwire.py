"""MQTT 3.1.1 on the wire, as much as a guard of a broker needs: pure, strict, bounded.

Everything here takes and returns bytes and text; what breaks the standard raises `Malformed`,
after which the only right answer is to close the connection. Section numbers are of the OASIS
standard "MQTT Version 3.1.1".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

MOST_TOPIC_BYTES: Final = 1024
MOST_LENGTH_BYTES: Final = 4
_STRING: Final = 2
_QOS: Final = 0b0110
_RETAIN: Final = 0b0001
_HIGHEST_QOS: Final = 2
_LEVEL: Final = 4
_USERNAME: Final = 0x80
_PASSWORD: Final = 0x40
_WILL_RETAIN: Final = 0x20
_WILL: Final = 0x04
_CLEAN: Final = 0x02


class Kind(IntEnum):
    """Control packet types (2.2.1)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


# What a client may send after CONNECT: its fixed flags and, where fixed, its length (2.2.2, 3.x).
_FROM_CLIENT: Final[dict[int, tuple[int, int | None]]] = {
    Kind.PUBACK: (0, 2),
    Kind.PUBREC: (0, 2),
    Kind.PUBREL: (2, 2),
    Kind.PUBCOMP: (0, 2),
    Kind.SUBSCRIBE: (2, None),
    Kind.UNSUBSCRIBE: (2, None),
    Kind.PINGREQ: (0, 0),
    Kind.DISCONNECT: (0, 0),
}


class Malformed(Exception):  # noqa: N818 - the standard's word
    """Bytes that no client may send; says which rule they break, never what they hold."""


class WrongVersion(Malformed):
    """A CONNECT of another protocol level than 4; `level` is the one asked for."""

    def __init__(self, level: int) -> None:
        super().__init__(f"protocol level {level}")
        self.level = level


class Packet(NamedTuple):
    """One control packet: type, flags of the first byte, everything after the length."""

    kind: int
    flags: int
    body: bytes

    @property
    def qos(self) -> int:
        """The quality of service of a PUBLISH."""
        return (self.flags & _QOS) >> 1

    @property
    def is_retained(self) -> bool:
        """Whether a PUBLISH asks to be kept for later subscribers."""
        return bool(self.flags & _RETAIN)


@dataclass(frozen=True, slots=True)
class Will:
    """What is published in a client's name when it vanishes."""

    topic: str
    message: bytes
    qos: int
    is_retained: bool


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT packet (3.1) of protocol level 4."""

    client_id: str
    keep_alive_s: int
    is_clean: bool
    will: Will | None
    username: str | None
    password: bytes | None

    def __repr__(self) -> str:
        """Name the client without its secret."""
        return f"Connect(username={self.username!r})"


class Publish(NamedTuple):
    """What the guard must know of a PUBLISH (3.3)."""

    topic: str
    packet_id: int
    payload_at: int


class _Cursor:
    """Reads a body from front to end; a step beyond it is malformed."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.at = 0

    @property
    def is_done(self) -> bool:
        return self.at == len(self._body)

    def take(self, count: int) -> bytes:
        piece = self._body[self.at : self.at + count]
        if len(piece) < count:
            raise Malformed("a field ends beyond its packet")
        self.at += count
        return piece

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def binary(self) -> bytes:
        return self.take(self.number(_STRING))

    def text(self) -> str:
        """Return a string field: well-formed UTF-8 without U+0000 (1.5.3)."""
        try:
            text = self.binary().decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("a text is not UTF-8") from None
        if "\0" in text:
            raise Malformed("a text holds U+0000")
        return text


def encode(packet: Packet) -> bytes:
    """Return a packet as bytes."""
    length, size = bytearray(), len(packet.body)
    while True:
        size, digit = divmod(size, 128) if size >= 128 else (0, size)  # noqa: PLR2004 - 2.2.3
        length.append(digit | (0x80 if size else 0))
        if not size:
            break
    return bytes((packet.kind << 4 | packet.flags,)) + bytes(length) + packet.body


def check_from_client(packet: Packet) -> None:
    """Raise `Malformed` for what a client may not send once it is connected."""
    if packet.kind == Kind.PUBLISH:
        if packet.qos > _HIGHEST_QOS:
            raise Malformed("a PUBLISH has both QoS bits set")
        return
    rule = _FROM_CLIENT.get(packet.kind)
    if rule is None:
        raise Malformed(f"packet type {packet.kind} is not a client's to send now")
    flags, length = rule
    if packet.flags != flags or (length is not None and len(packet.body) != length):
        raise Malformed(f"packet type {packet.kind} has wrong flags or length")


def parse_connect(packet: Packet) -> Connect:
    """Return the first packet of a connection; raises `WrongVersion`, `Malformed`."""
    if packet.kind != Kind.CONNECT or packet.flags != 0:
        raise Malformed("the first packet is no CONNECT")
    cursor = _Cursor(packet.body)
    name, level = cursor.binary(), cursor.number(1)
    if name == b"MQIsdp" or (name == b"MQTT" and level != _LEVEL):
        raise WrongVersion(level)
    if name != b"MQTT":
        raise Malformed("the protocol name is not MQTT")
    flags, keep_alive = cursor.number(1), cursor.number(_STRING)
    client_id = cursor.text()
    will = _parse_will(cursor, flags)
    username = cursor.text() if flags & _USERNAME else None
    password = cursor.binary() if flags & _PASSWORD else None
    if flags & 1 or not cursor.is_done or (password is not None and username is None):
        raise Malformed("a CONNECT has wrong flags or bytes behind its last field")
    return Connect(client_id, keep_alive, bool(flags & _CLEAN), will, username, password)


def encode_connect(connect: Connect) -> bytes:
    """Return a CONNECT as bytes."""
    flags = _CLEAN if connect.is_clean else 0
    fields = [_text(connect.client_id)]
    if connect.will is not None:
        flags |= _WILL | connect.will.qos << 3 | (_WILL_RETAIN if connect.will.is_retained else 0)
        fields += [_text(connect.will.topic), _binary(connect.will.message)]
    if connect.username is not None:
        flags |= _USERNAME
        fields.append(_text(connect.username))
    if connect.password is not None:
        flags |= _PASSWORD
        fields.append(_binary(connect.password))
    head = _text("MQTT") + bytes((_LEVEL, flags)) + connect.keep_alive_s.to_bytes(2, "big")
    return encode(Packet(Kind.CONNECT, 0, head + b"".join(fields)))


def parse_publish(packet: Packet) -> Publish:
    """Return a PUBLISH's topic and where its payload begins."""
    cursor = _Cursor(packet.body)
    topic = cursor.text()
    if not topic or "+" in topic or "#" in topic:
        raise Malformed("a PUBLISH needs a topic without wildcards")
    packet_id = cursor.number(_STRING) if packet.qos else 0
    if packet.qos and packet_id == 0:
        raise Malformed("a PUBLISH has packet id 0")
    return Publish(topic, packet_id, cursor.at)


def encode_publish(topic: str, qos: int, packet_id: int, payload: bytes = b"") -> bytes:
    """Return a PUBLISH that is not retained and no duplicate."""
    identifier = packet_id.to_bytes(2, "big") if qos else b""
    return encode(Packet(Kind.PUBLISH, qos << 1, _text(topic) + identifier + payload))


def parse_subscribe(packet: Packet) -> tuple[int, list[tuple[str, int]]]:
    """Return packet id, filters and the QoS asked for each (3.8)."""
    cursor = _Cursor(packet.body)
    packet_id = cursor.number(_STRING)
    wanted = []
    while not cursor.is_done:
        text, qos = cursor.text(), cursor.number(1)
        if qos > _HIGHEST_QOS:
            raise Malformed("a SUBSCRIBE asks for a QoS beyond 2")
        wanted.append((text, qos))
    if packet_id == 0 or not wanted:
        raise Malformed("a SUBSCRIBE needs a packet id and a filter")
    return packet_id, wanted


def encode_subscribe(packet_id: int, wanted: list[tuple[str, int]]) -> bytes:
    """Return a SUBSCRIBE as bytes."""
    body = b"".join(_text(text) + bytes((qos,)) for text, qos in wanted)
    return encode(Packet(Kind.SUBSCRIBE, 2, packet_id.to_bytes(2, "big") + body))


def parse_unsubscribe(packet: Packet) -> list[str]:
    """Return the filters of an UNSUBSCRIBE (3.10)."""
    cursor = _Cursor(packet.body)
    packet_id = cursor.number(_STRING)
    filters = []
    while not cursor.is_done:
        filters.append(cursor.text())
    if packet_id == 0 or not filters:
        raise Malformed("an UNSUBSCRIBE needs a packet id and a filter")
    return filters


def is_filter(text: str) -> bool:
    """Tell whether the text is a topic filter: wildcards fill a level, `#` the last (4.7.1)."""
    levels = text.split("/")
    return (
        0 < len(text.encode()) <= MOST_TOPIC_BYTES
        and all("+" not in level or level == "+" for level in levels)
        and all("#" not in level for level in levels[:-1])
        and ("#" not in levels[-1] or levels[-1] == "#")
    )


def covers(granted: str, wanted: str) -> bool:
    """Tell whether a granted filter matches all that a topic or filter can match (4.7).

    A leading wildcard never covers topics that begin with `$` (4.7.2).
    """
    if wanted.startswith("$") and granted[:1] in ("+", "#"):
        return False
    have, want = granted.split("/"), wanted.split("/")
    for index, level in enumerate(have):
        if level == "#":
            return True
        if index >= len(want) or want[index] == "#":
            return False
        if level not in ("+", want[index]):
            return False
    return len(have) == len(want)


def _parse_will(cursor: _Cursor, flags: int) -> Will | None:
    qos = flags >> 3 & 0b11
    if not flags & _WILL:
        if qos or flags & _WILL_RETAIN:
            raise Malformed("a CONNECT has will flags without a will")
        return None
    topic, message = cursor.text(), cursor.binary()
    if qos > _HIGHEST_QOS or not topic or "+" in topic or "#" in topic:
        raise Malformed("a will needs a QoS up to 2 and a topic without wildcards")
    return Will(topic, message, qos, bool(flags & _WILL_RETAIN))


def _binary(data: bytes) -> bytes:
    return len(data).to_bytes(_STRING, "big") + data


def _text(text: str) -> bytes:
    return _binary(text.encode())
