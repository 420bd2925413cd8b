"""Messages of `…/readings` to numpy columns: the packed protobuf and the JSON anyone can write.

Promise: no Python object per reading on the protobuf path; a reading that cannot be read spoils
itself and becomes a `Refused`, the others go on; a message that cannot be read at all raises
Rejected with its dead-letter reason (design 4.2).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec reads the annotation
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import numpy as np

from core import wire
from core.clock import to_us
from core.errors import Rejected
from core.quality import BY_WORD, Quality
from store.dead_letters import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.exactmath import Floats, Int16s, Int64s
    from core.wire_pb2 import Packet

MOST_ROWS: Final = 100_000
MOST_COUNT: Final = 2**53  # what a double tells from its neighbours
_MOST_REFUSED_BYTES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Refused:
    """A reading that spoiled itself: why, a sentence, and what it was."""

    reason: str
    detail: str
    payload: bytes
    point: str | None = None
    measured_us: int | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """One message: who says so, and its readings as columns of equal length.

    `name` holds each row's place in `names`; `sequence` is 0 where none was sent; `packet` is
    None for JSON, which cannot be signed.
    """

    agent: str
    epoch: str
    sequence: int
    oldest: int
    names: Sequence[str]
    name: Int64s
    ts_us: Int64s
    value: Floats
    quality: Int16s
    refused: Sequence[Refused] = ()
    packet: Packet | None = None


def decode(payload: bytes) -> Decoded:
    """Decode either encoding; raises Rejected `too_large` or `unreadable`."""
    if len(payload) > wire.MOST_PAYLOAD_BYTES:
        raise Rejected(
            f"a message of {len(payload)} bytes is over the {wire.MOST_PAYLOAD_BYTES} that are"
            " taken: send fewer readings in one",
            "too_large",
        )
    decoded = _from_json(payload) if wire.is_json(payload) else _from_packet(payload)
    if decoded.epoch != clean(decoded.epoch):
        raise Rejected("the epoch holds characters that are no text", "unreadable")
    return decoded


def reading_json(point: str, measured_us: int, value: float, quality: int) -> bytes:
    """Return a reading as a dead letter keeps it; the same reading always as the same bytes."""
    shown: float | int | str | None = None if math.isnan(value) else value
    if isinstance(shown, float) and math.isinf(shown):
        shown = str(shown)
    if isinstance(shown, float) and shown.is_integer() and abs(shown) <= MOST_COUNT:
        shown = int(shown)
    word = Quality(quality).word
    return json.dumps(
        {"point": point, "measured_us": measured_us, "value": shown, "quality": word},
        ensure_ascii=True,
    ).encode()


def _limit_rows(rows: int) -> None:
    if rows > MOST_ROWS:
        raise Rejected(
            f"{rows} readings are over the {MOST_ROWS} that one message may hold", "too_large"
        )


# -- protobuf ------------------------------------------------------------------------------------


def _from_packet(payload: bytes) -> Decoded:
    packet, envelope = wire.unpack(payload)
    rows = len(envelope.point)
    _limit_rows(rows)
    name = np.array(envelope.point, np.int64)
    ts_us = np.cumsum(np.array(envelope.dt_us, np.int64)) + envelope.base_us
    count = np.array(envelope.count, np.int64)
    value = np.concatenate([count.astype(np.float64), np.array(envelope.value, np.float64)])
    codes = np.array(envelope.quality, np.int64) if envelope.quality else np.zeros(rows, np.int64)
    odd = codes > Quality.BAD
    over = np.zeros(rows, np.bool_)
    # Judged while still an integer: as a double 2^53 + 1 would pass for 2^53.
    over[: len(count)] = (count > MOST_COUNT) | (count < -MOST_COUNT)
    refused: list[Refused] = []
    if odd.any() or over.any():
        names = envelope.points
        for row in np.flatnonzero(odd | over).tolist():
            said = int(count[row]) if row < len(count) else float(value[row])
            refused.append(
                _refused_row(names[int(name[row])], int(ts_us[row]), said, int(codes[row]))
            )
        well = ~(odd | over)
        name, ts_us, value, codes = name[well], ts_us[well], value[well], codes[well]
    return Decoded(
        envelope.agent,
        envelope.epoch,
        envelope.sequence,
        envelope.oldest,
        envelope.points,
        name,
        ts_us,
        value,
        codes.astype(np.int16),
        refused,
        packet,
    )


def _refused_row(point: str, ts_us: int, said: float, code: int) -> Refused:
    text = {"point": point, "measured_us": ts_us, "value": repr(said), "quality": code}
    payload = json.dumps(text, ensure_ascii=True).encode()
    if code > Quality.BAD:
        return Refused("unreadable", f"quality {code} is none of 0, 1, 2", payload, point, ts_us)
    detail = f"the count {said} is beyond 2^53 and cannot be kept exactly"
    return Refused("count_too_large", detail, payload, point, ts_us)


# -- JSON ----------------------------------------------------------------------------------------


class _Reading(msgspec.Struct):
    point: str
    measured_at: Annotated[datetime, msgspec.Meta(tz=True)]
    value: int | float | None = None
    quality: str = "good"


class _Message(msgspec.Struct):
    agent: str
    readings: list[_Reading]
    epoch: str = ""
    sequence: int | None = None
    oldest: int = 1


class _Head(msgspec.Struct):
    agent: str
    readings: list[Any]
    epoch: str = ""
    sequence: int | None = None
    oldest: int = 1


_DECODER: Final = msgspec.json.Decoder(_Message)


@dataclass(frozen=True, slots=True)
class _Row:
    point: str
    ts_us: int
    value: float
    quality: int


def _from_json(payload: bytes) -> Decoded:
    head: _Message | _Head
    results: Iterable[_Row | Refused]
    try:
        head = _DECODER.decode(payload)
        _limit_rows(len(head.readings))
        results = map(_row, head.readings)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        # Something in it is wrong: read it leniently and judge each reading for itself.
        head = _lenient(payload)
        _limit_rows(len(head.readings))
        results = map(_loose_row, head.readings)
    _check_head(head)
    found = list(results)
    rows = [each for each in found if isinstance(each, _Row)]
    index: dict[str, int] = {}
    return Decoded(
        head.agent,
        head.epoch,
        head.sequence or 0,
        head.oldest,
        names=_filled(index, rows),
        name=np.array([index[row.point] for row in rows], np.int64),
        ts_us=np.array([row.ts_us for row in rows], np.int64),
        value=np.array([row.value for row in rows], np.float64),
        quality=np.array([row.quality for row in rows], np.int16),
        refused=[each for each in found if isinstance(each, Refused)],
    )


def _filled(index: dict[str, int], rows: Sequence[_Row]) -> Sequence[str]:
    for row in rows:
        index.setdefault(row.point, len(index))
    return list(index)


def _lenient(payload: bytes) -> _Head:
    """Read JSON as Python does, NaN and Infinity included."""
    try:
        data = json.loads(payload)
        return msgspec.convert(data, _Head)
    except msgspec.ValidationError as error:
        raise Rejected(f"the message is no readings message: {error}", "unreadable") from error
    except (ValueError, RecursionError) as error:
        raise Rejected(f"the message is not JSON: {error}", "unreadable") from error


def _check_head(head: _Message | _Head) -> None:
    if len(head.epoch) > wire.MOST_EPOCH_CHARS:
        raise Rejected(f"epoch is longer than {wire.MOST_EPOCH_CHARS} characters", "unreadable")
    if head.sequence is not None and not 1 <= head.sequence <= wire.MOST_SEQUENCE:
        raise Rejected("sequence is not a whole number from 1 on", "unreadable")
    if not 0 <= head.oldest <= wire.MOST_SEQUENCE:
        raise Rejected("oldest is not a whole number from 1 on", "unreadable")


def _row(reading: _Reading) -> _Row | Refused:
    quality = BY_WORD.get(reading.quality)
    ts_us = to_us(reading.measured_at)
    if quality is None:
        return _refuse(reading, "unreadable", "quality is none of good, uncertain, bad", ts_us)
    value = reading.value
    if value is None:
        if quality is not Quality.BAD:
            return _refuse(reading, "not_a_number", "value is null and quality not bad", ts_us)
        return _Row(reading.point, ts_us, math.nan, quality)
    if abs(value) > MOST_COUNT and not (isinstance(value, float) and math.isinf(value)):
        detail = "the value is beyond 2^53 and cannot be kept exactly"
        return _refuse(reading, "count_too_large", detail, ts_us)
    return _Row(reading.point, ts_us, float(value), quality)


def _refuse(reading: _Reading, reason: str, detail: str, ts_us: int) -> Refused:
    text = {
        "point": reading.point,
        "measured_us": ts_us,
        "value": repr(reading.value)[:80],
        "quality": reading.quality,
    }
    return Refused(reason, detail, _cut(text), reading.point, ts_us)


def _loose_row(data: Any) -> _Row | Refused:
    """Judge one reading of a message that is not well; never raises."""
    point = data.get("point") if isinstance(data, dict) else None
    named = point if isinstance(point, str) else None
    try:
        return _row(msgspec.convert(data, _Reading))
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        return Refused("unreadable", f"the reading is unreadable: {error}", _cut(data), named)


def _cut(data: Any) -> bytes:
    try:
        text = json.dumps(data, ensure_ascii=True, sort_keys=True)
    except (ValueError, TypeError, RecursionError):
        text = repr(type(data))
    return text.encode()[:_MOST_REFUSED_BYTES]
