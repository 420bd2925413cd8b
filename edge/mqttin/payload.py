"""What a device published: bytes to readings. Pure. The only module that knows JSONPath.

A path is RFC 9535 JSONPath and must find one value. Numbers are read exactly: a counter becomes
round(value / resolution) counts, half-even, a gauge value x scale. A reading belongs to the time in
the payload, or to its arrival where the device tells none. What cannot be read is a fault told in a
sentence, never a value; null is quality bad.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import jsonpath
from aiomqtt import Topic

from core import decimals, periods
from core.clock import to_us
from core.quality import Quality
from core.reading import Reading

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from jsonpath import JSONPath

    from edge.mqttin import settings
    from edge.mqttin.settings import MqttInDevice

MOST_PAYLOAD_BYTES: Final = 256 << 10
MOST_DIGITS: Final = 40
MOST_AHEAD_US: Final = 300_000_000  # what the server takes for a time of the future (design 4.2)
EARLIEST_US: Final = 946_684_800_000_000  # 2000: a device whose clock was never set
MOST_SHOWN_CHARS: Final = 60
_COUNTS: Final = range(-(1 << 63), 1 << 63)
_RFC_9535: Final = jsonpath.JSONPathEnvironment(strict=True)
_US_PER: Final = {"epoch_s": 1_000_000, "epoch_ms": 1_000}


class _BadError(Exception):
    """A payload, or a value in it, that cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """What arrived: `arrived_us` is our clock, `retained` what the broker had kept from before."""

    topic: str
    payload: bytes
    arrived_us: int
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Decoded:
    """The readings of a message, why others are missing, and whether it was passed over as old."""

    readings: tuple[Reading, ...] = ()
    faults: tuple[str, ...] = ()
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class _Point:
    point: str
    value: settings.Value
    path: JSONPath | None
    quality: JSONPath | None


class Decoder:
    """The payloads of one device."""

    def __init__(self, device: MqttInDevice) -> None:
        self._time = device.time
        self._time_path = _compiled(device.time.path) if device.time is not None else None
        self._zone = periods.zone(device.timezone) if device.timezone is not None else None
        self._by_filter: dict[str, list[_Point]] = {}
        for point, value in device.points.items():
            quality = value.quality
            path = None if value.path is None else _compiled(value.path)
            rule = None if quality is None else _compiled(quality.path)
            found = _Point(point, value, path, rule)
            self._by_filter.setdefault(device.topic_of(point), []).append(found)
        self._topics: dict[str, str] = {}

    @property
    def filters(self) -> tuple[str, ...]:
        """Return the topic filters to subscribe to."""
        return tuple(self._by_filter)

    def decode(self, message: Message) -> Decoded:
        """Return the readings of a message; see the module."""
        wanted: list[_Point] = []
        faults: list[str] = []
        for topic, points in self._by_filter.items():
            if not Topic(message.topic).matches(topic):
                continue
            first = self._topics.setdefault(topic, message.topic)
            if first == message.topic:
                wanted += points
            else:
                # Two devices under one point would mix two counters.
                faults.append(f"{topic} matches {first} and {message.topic}: narrow it")
        if wanted and message.retained and self._time is None:
            # The broker kept it for nobody knows how long; its arrival is no time of measurement.
            return Decoded(ignored=True)
        readings: list[Reading] = []
        try:
            data, instant_us = self._opened(message, wanted)
        except _BadError as error:
            return Decoded((), (*faults, f"{message.topic}: {error}"))
        for point in wanted:
            try:
                reading = _reading(point, data, instant_us)
            except _BadError as error:
                faults.append(f"{message.topic}: {point.point} {error}")
                continue
            if reading is not None:
                readings.append(reading)
        return Decoded(tuple(readings), tuple(faults))

    def _opened(self, message: Message, wanted: list[_Point]) -> tuple[Any, int]:
        if len(message.payload) > MOST_PAYLOAD_BYTES:
            raise _BadError(f"has {len(message.payload)} bytes, more than {MOST_PAYLOAD_BYTES}")
        if all(point.path is None for point in wanted):
            return _plain(message.payload), message.arrived_us
        data = _json(message.payload)
        if self._time is None or self._time_path is None:
            return data, message.arrived_us
        return data, self._instant(_single(self._time_path, data), message.arrived_us)

    def _instant(self, found: Any, arrived_us: int) -> int:
        if found is _NOTHING or self._time is None:
            raise _BadError("has no time where its path says")
        form = self._time.format
        instant_us = _rfc3339(found, self._zone) if form == "rfc3339" else _epoch(found, form)
        if instant_us > arrived_us + MOST_AHEAD_US:
            raise _BadError(f"has a time in the future, {_shown(found)}: set the device's clock")
        if instant_us < EARLIEST_US:
            raise _BadError(f"has a time before 2000, {_shown(found)}: set the device's clock")
        return instant_us


_NOTHING: Final = object()


def path_fault(path: str) -> str:
    """Say what is wrong with an expression, or nothing."""
    try:
        _compiled(path)
    except jsonpath.JSONPathError as error:
        # Its str() fails where the expression is empty.
        return f"is no JSONPath of RFC 9535, which begins with $: {error.args[0]}"
    return ""


def _compiled(path: str) -> JSONPath:
    compiled = _RFC_9535.compile(path)
    assert isinstance(compiled, jsonpath.JSONPath)  # noqa: S101 - strict expressions are not compound
    return compiled


def _single(path: JSONPath, data: Any) -> Any:
    """Return the one value of a path, or _NOTHING."""
    found = path.findall(data)
    if len(found) > 1:
        raise _BadError(f"has {len(found)} values at {path}: narrow the path to one")
    return found[0] if found else _NOTHING


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise _BadError(f"is no JSON: {_shown(payload.decode('utf-8', 'replace'))}") from error


def _no_number(name: str) -> None:
    """Read NaN and Infinity, which are no JSON but are sent all the same, as not available."""


def _plain(payload: bytes) -> Any:
    text = payload.decode("utf-8", "replace").strip()
    return None if text.lower() in ("", "nan", "null", "none") else text


def _reading(point: _Point, data: Any, instant_us: int) -> Reading | None:
    """Return the reading of a point, None where the payload does not speak of it."""
    found = data if point.path is None else _single(point.path, data)
    if found is _NOTHING:
        return None
    quality = _quality(point, data)
    if found is None or quality is Quality.BAD:
        return Reading(point.point, instant_us, None, Quality.BAD)
    number = _number(found)
    value = point.value
    if value.resolution is None:
        return Reading(point.point, instant_us, _gauge(number, value.scale), quality)
    return Reading(point.point, instant_us, _count(number, value.resolution), quality)


def _quality(point: _Point, data: Any) -> Quality:
    rule = point.value.quality
    if rule is None or point.quality is None:
        return Quality.GOOD
    word = _single(point.quality, data)
    if _is_one_of(word, rule.good):
        return Quality.GOOD
    return Quality.UNCERTAIN if _is_one_of(word, rule.uncertain) else Quality.BAD


def _is_one_of(word: Any, words: list[settings.Word]) -> bool:
    """Tell whether a word is listed; true is not 1 here, as it is in Python."""
    return any(type(word) is type(each) and word == each for each in words)


def _number(found: Any) -> Decimal:
    if isinstance(found, bool) or not isinstance(found, (int, str, Decimal)):
        raise _BadError(f"is no number: {_shown(found)}")
    try:
        number = Decimal(found)
    except (InvalidOperation, ValueError) as error:
        raise _BadError(f"is no number: {_shown(found)}") from error
    if not number.is_finite():
        raise _BadError(f"is no number: {_shown(found)}")
    if abs(number.adjusted()) > MOST_DIGITS or len(number.as_tuple().digits) > MOST_DIGITS:
        raise _BadError(f"is no number that a meter shows: {_shown(found)}")
    return number


def _gauge(number: Decimal, scale: Decimal) -> float:
    value = float(Fraction(number) * Fraction(scale))
    if not math.isfinite(value):
        raise _BadError(f"is no number that a meter shows: {number}")
    return value


def _count(number: Decimal, resolution: Decimal) -> int:
    exact = Fraction(number) / Fraction(resolution)
    count = decimals.round_half_even(exact.numerator, exact.denominator)
    if count not in _COUNTS:
        raise _BadError(f"is too large to be counted: {number}")
    return count


def _rfc3339(found: Any, zone: ZoneInfo | None) -> int:
    try:
        instant = datetime.fromisoformat(found)
    except (TypeError, ValueError) as error:
        raise _BadError(f"has a time that is none, {_shown(found)}") from error
    if instant.tzinfo is None:
        if zone is None:
            raise _BadError(f"has a time without an offset, {_shown(found)}: give timezone")
        instant = instant.replace(tzinfo=zone)
    try:
        return to_us(instant)
    except OverflowError as error:
        raise _BadError(f"has a time that is none, {_shown(found)}") from error


def _epoch(found: Any, form: str) -> int:
    exact = Fraction(_number(found)) * _US_PER[form]
    return decimals.round_half_even(exact.numerator, exact.denominator)


def _shown(found: Any) -> str:
    text = str(found) if isinstance(found, (str, Decimal)) else json.dumps(found, default=str)
    return text if len(text) <= MOST_SHOWN_CHARS else text[: MOST_SHOWN_CHARS - 3] + "..."
