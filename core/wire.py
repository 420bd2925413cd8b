"""Wire contract v1, the light part: readings to bytes, receipts, status (design 4.2). No numpy.

Promises: what `encode` writes, `unpack` reads, whatever the readings; a receipt and a status
round-trip through JSON; nothing here is ever larger than the bounds below. Turning an envelope
into arrays is ingest's.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate
from operator import attrgetter, sub
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from core import names
from core.errors import Misconfigured, Rejected
from core.wire_pb2 import Envelope, Packet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from core.reading import Reading

    Sign = Callable[[bytes], bytes]

MOST_PAYLOAD_BYTES: Final = 1 << 20  # design 4.2; the broker takes 16 times that, to tell of it
MOST_MISSING_RANGES: Final = 100  # design 4.2
MOST_EPOCH_CHARS: Final = 64
MOST_STORE_CHARS: Final = 64
MOST_RECEIPT_BYTES: Final = 16 << 10  # 100 ranges of two 19-digit numbers and the rest fit
MOST_STATUS_BYTES: Final = 4 << 10
MOST_TROUBLES: Final = 20  # kinds that one status names
MOST_SEQUENCE: Final = (1 << 63) - 1  # what the store's bigint holds
KEY_PREFIX: Final = "ed25519:"
_NO_VALUE: Final = float("nan")
_MEASURED: Final = attrgetter("measured_us")


def is_json(payload: bytes) -> bool:
    """Tell the two encodings apart by the first byte (design 4.2)."""
    return payload[:1] == b"{"


def encode(  # noqa: PLR0913 - one argument per field of the contract, all by name
    readings: Sequence[Reading],
    *,
    agent: str,
    epoch: str,
    sequence: int,
    oldest: int,
    sent_us: int,
    sign: Sign | None = None,
    key: str = "",
    counters: Collection[str] = (),
) -> bytes:
    """Return the bytes of a Packet; raises Rejected `too_large` above MOST_PAYLOAD_BYTES.

    Int values are counts and come first; rows of each kind stand in order of time, equal ones as
    given. A reading without value travels as count 0 where `counters` names its point, else as
    NaN; its quality says bad.
    """
    head = header(agent=agent, epoch=epoch, sequence=sequence, oldest=oldest, sent_us=sent_us)
    return seal(head + columns(readings, counters), sign=sign, key=key)


def header(*, agent: str, epoch: str, sequence: int, oldest: int, sent_us: int) -> bytes:
    """Return the leading fields of an envelope; followed by `columns` they are one envelope.

    So readings are encoded once, when they are kept; `oldest` and `sent_us` tell of the sending.
    """
    return Envelope(
        agent=agent, epoch=epoch, sequence=sequence, oldest=oldest, sent_us=sent_us
    ).SerializeToString()


def columns(readings: Sequence[Reading], counters: Collection[str] = ()) -> bytes:
    """Return the fields of an envelope that hold its readings, in the order `encode` promises."""
    counts: list[Reading] = []
    others: list[Reading] = []
    for reading in readings:
        (counts if _is_count(reading, counters) else others).append(reading)
    counts.sort(key=_MEASURED)
    others.sort(key=_MEASURED)
    rows = counts + others
    if not rows:
        return b""
    # Whole columns by C, not row by row: an agent packs thousands of readings a second.
    points, times, values, qualities = zip(*rows, strict=True)
    index = {point: number for number, point in enumerate(dict.fromkeys(points))}
    return Envelope(
        point=map(index.__getitem__, points),
        points=index,
        base_us=times[0],
        dt_us=(0, *map(sub, times[1:], times)),
        count=[0 if value is None else int(value) for value in values[: len(counts)]],
        value=[_NO_VALUE if value is None else value for value in values[len(counts) :]],
        quality=map(int, qualities) if any(qualities) else (),
    ).SerializeToString()


def seal(envelope: bytes, *, sign: Sign | None = None, key: str = "") -> bytes:
    """Return the bytes of a Packet around an envelope's, signed if asked; bounded like `encode`."""
    packet = Packet(envelope=envelope)
    if sign is not None:
        packet.signature = sign(envelope)
        packet.key = key
    payload = packet.SerializeToString()
    if len(payload) > MOST_PAYLOAD_BYTES:
        raise Rejected(
            f"an envelope of {len(payload)} bytes is over the {MOST_PAYLOAD_BYTES} that the wire"
            " takes: send fewer readings in one",
            "too_large",
        )
    return payload


def unpack(payload: bytes) -> tuple[Packet, Envelope]:
    """Return the parts of a protobuf payload, its columns of one length and its indices inside.

    Raises Rejected: `too_large` above MOST_PAYLOAD_BYTES, else `unreadable`. Sequence 0 means
    that none was sent. Readings are not judged: each spoils only itself.
    """
    if len(payload) > MOST_PAYLOAD_BYTES:
        raise Rejected(f"a payload of {len(payload)} bytes is too large", "too_large")
    try:
        packet = Packet.FromString(payload)
        envelope = Envelope.FromString(packet.envelope)
    except DecodeError as error:
        raise Rejected(f"the payload is no Packet: {error}", "unreadable") from error
    fault = _fault(envelope)
    if fault:
        raise Rejected(f"the envelope is unreadable: {fault}", "unreadable")
    return packet, envelope


def rows(envelope: Envelope) -> list[tuple[str, int, int | float, int]]:
    """Return rows (point, measured_us, value, quality code); for few rows, tools and tests."""
    times = accumulate(envelope.dt_us, initial=envelope.base_us)
    next(times)
    values: list[int | float] = [*envelope.count, *envelope.value]
    codes = list(envelope.quality) or [0] * len(values)
    named = [envelope.points[i] for i in envelope.point]
    return list(zip(named, times, values, codes, strict=True))


def verify(packet: Packet, key: str) -> bool:
    """Tell whether `key` ("ed25519:<base64>") signed the envelope; Misconfigured if it is no key.

    The packet's own `key` is a hint for people and proves nothing.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only signers load it

    try:
        _public_key(key).verify(packet.signature, packet.envelope)
    except InvalidSignature:
        return False
    return True


def signer(pem: bytes) -> tuple[Sign, str]:
    """Return (sign, public key as "ed25519:<base64>") of a PKCS8 PEM private key without password.

    Raises Misconfigured where it is anything else.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only signers load it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - the same
        Ed25519PrivateKey,
    )

    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise Misconfigured("the key is no PEM private key without a password") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise Misconfigured("the key is no Ed25519 key: make one of that kind")
    raw = private.public_key().public_bytes_raw()
    return private.sign, KEY_PREFIX + base64.b64encode(raw).decode()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is durable of an epoch: all up to `committed` but for `missing` (inclusive).

    Beside it, where the receipt answers a status: the store's clock, and that status' own `at`,
    from which an agent learns how far its clock is off. Both may be absent.
    """

    store: str
    epoch: str
    committed: int
    missing: tuple[tuple[int, int], ...] = ()
    at: datetime | None = field(default=None, compare=False)
    status_at: datetime | None = field(default=None, compare=False)

    def covers(self, sequence: int) -> bool:
        """Tell whether the envelope of this sequence is durable in that store."""
        if not 1 <= sequence <= self.committed:
            return False
        return not any(first <= sequence <= last for first, last in self.missing)

    def to_json(self) -> bytes:
        """Return the payload of `…/ack`; raises ValueError where the receipt is none."""
        fault = _receipt_fault(self)
        if fault:
            raise ValueError(fault)
        return _dump(
            {
                "store": self.store,
                "epoch": self.epoch,
                "committed": self.committed,
                "missing": [list(span) for span in self.missing],
                **{name: instant(told) for name, told in self._clock()},
            }
        )

    def _clock(self) -> list[tuple[str, datetime]]:
        told = (("at", self.at), ("status_at", self.status_at))
        return [(name, at) for name, at in told if at is not None]

    @staticmethod
    def from_json(payload: bytes) -> Receipt:
        """Read the payload of `…/ack`; raises Rejected `unreadable`."""
        data = _load(payload, MOST_RECEIPT_BYTES)
        try:
            receipt = Receipt(
                _text(data["store"]),
                _text(data["epoch"]),
                _whole(data["committed"]),
                tuple((_whole(first), _whole(last)) for first, last in data.get("missing", [])),
                _instant_or_none(data.get("at")),
                _instant_or_none(data.get("status_at")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Rejected(f"the receipt is unreadable: {error!r}", "unreadable") from error
        fault = _receipt_fault(receipt)
        if fault:
            raise Rejected(f"the receipt is unreadable: {fault}", "unreadable")
        return receipt


@dataclass(frozen=True, slots=True)
class OutputReceipt:
    """The ids of production facts that their publisher need not send again."""

    ids: tuple[str, ...]

    def to_json(self) -> bytes:
        """Return the payload of `…/{source}/ack`."""
        return _dump({"ids": list(self.ids)})

    @staticmethod
    def from_json(payload: bytes) -> OutputReceipt:
        """Read the payload of `…/{source}/ack`; raises Rejected `unreadable`."""
        data = _load(payload, MOST_PAYLOAD_BYTES)
        try:
            return OutputReceipt(tuple(_text(each) for each in data["ids"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Rejected(f"the receipt is unreadable: {error!r}", "unreadable") from error


class AgentState(StrEnum):
    """What `…/status` says of an agent."""

    ONLINE = "online"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Status:
    """What an agent says of itself, retained, and its last will: depth counts envelopes waiting.

    `clock_offset_ms` is how far its clock is ahead of the server's. `troubles` counts, by the names
    in docs/wire.md, what a person should hear of.
    """

    state: AgentState
    at: datetime
    epoch: str
    depth: int
    oldest_at: datetime | None = None
    clock_offset_ms: float | None = None
    troubles: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Return the payload of `…/status`; `troubles` only where there are any."""
        return _dump(
            {
                "state": self.state.value,
                "at": instant(self.at),
                "epoch": self.epoch,
                "depth": self.depth,
                "oldest_at": None if self.oldest_at is None else instant(self.oldest_at),
                "clock_offset_ms": self.clock_offset_ms,
                **({"troubles": dict(self.troubles)} if self.troubles else {}),
            }
        )

    @staticmethod
    def from_json(payload: bytes) -> Status:
        """Read the payload of `…/status`; raises Rejected `unreadable`."""
        data = _load(payload, MOST_STATUS_BYTES)
        try:
            offset = data.get("clock_offset_ms")
            oldest = data.get("oldest_at")
            return Status(
                AgentState(data["state"]),
                parse_instant(data["at"]),
                _short(_text(data.get("epoch", "")), MOST_EPOCH_CHARS),
                _whole(data.get("depth", 0)),
                None if oldest is None else parse_instant(oldest),
                None if offset is None else _number(offset),
                _troubles(data.get("troubles")),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise Rejected(f"the status is unreadable: {error!r}", "unreadable") from error


def instant(at: datetime) -> str:
    """Return an aware instant as RFC 3339 with `Z`; raises ValueError on a naive one."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no offset")
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_instant(text: object) -> datetime:
    """Read RFC 3339 as an aware UTC instant; ValueError where it is none or naive."""
    at = datetime.fromisoformat(_text(text))
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no offset: write Z or +08:00 behind it")
    return at.astimezone(UTC)


def _troubles(value: object) -> dict[str, int]:
    """Read the troubles that are counts; what else stands there is left out."""
    if not isinstance(value, dict):
        return {}
    counts = {name: count for name, count in value.items() if type(count) is int and count >= 0}
    return dict(list(counts.items())[:MOST_TROUBLES])


def _instant_or_none(text: object) -> datetime | None:
    """Read an instant that may be left out: whatever else stands there is none."""
    try:
        return parse_instant(text)
    except (TypeError, ValueError, OverflowError):
        return None


def _is_count(reading: Reading, counters: Collection[str]) -> bool:
    if reading.value is None:
        return reading.point in counters
    return isinstance(reading.value, int)


def _fault(envelope: Envelope) -> str:
    """Name what makes an envelope unreadable, or return nothing."""
    rows = len(envelope.point)
    values = len(envelope.count) + len(envelope.value)
    faults = (
        (not names.is_slug(envelope.agent), "its agent is no name"),
        (len(envelope.epoch) > MOST_EPOCH_CHARS, "its epoch is too long"),
        (max(envelope.sequence, envelope.oldest) > MOST_SEQUENCE, "its sequence is beyond 2^63"),
        (len(envelope.dt_us) != rows, f"{rows} rows and {len(envelope.dt_us)} times"),
        (values != rows, f"{rows} rows and {values} values"),
        (len(envelope.quality) not in (0, rows), f"{len(envelope.quality)} qualities"),
        (
            max(envelope.point, default=-1) >= len(envelope.points),
            "a row names a point that it does not list",
        ),
    )
    return next((text for wrong, text in faults if wrong), "")


def _receipt_fault(receipt: Receipt) -> str:
    if not 0 < len(receipt.store) <= MOST_STORE_CHARS or len(receipt.epoch) > MOST_EPOCH_CHARS:
        return "store or epoch is empty or too long"
    if not 0 <= receipt.committed <= MOST_SEQUENCE:
        return "committed is out of range"
    if len(receipt.missing) > MOST_MISSING_RANGES:
        return f"more than {MOST_MISSING_RANGES} ranges are missing"
    before = 0
    for first, last in receipt.missing:
        if not before < first <= last <= receipt.committed:
            return "missing ranges do not ascend within 1..committed"
        before = last
    return ""


@lru_cache(maxsize=4096)
def _public_key(key: str) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - as above
        Ed25519PublicKey,
    )

    prefix, _, text = key.partition(":")
    try:
        raw = base64.b64decode(text if prefix == KEY_PREFIX[:-1] else "", validate=True)
        return Ed25519PublicKey.from_public_bytes(raw)
    except (ValueError, binascii.Error) as error:
        raise Misconfigured(
            f'{key[:16]!r}… is no key: write "{KEY_PREFIX}" and the base64 of 32 bytes'
        ) from error


def _dump(data: dict[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _load(payload: bytes, most_bytes: int) -> dict[str, Any]:
    if len(payload) > most_bytes:
        raise Rejected(f"{len(payload)} bytes are more than {most_bytes}", "unreadable")
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"not JSON: {error}", "unreadable") from error
    if not isinstance(data, dict):
        raise Rejected("not a JSON object", "unreadable")
    return data


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _short(text: str, most_chars: int) -> str:
    if len(text) > most_chars:
        raise ValueError(f"longer than {most_chars} characters")
    return text


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    if not 0 <= value <= MOST_SEQUENCE:
        raise ValueError(f"{value} is out of range")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no number")
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)
