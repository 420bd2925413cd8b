"""The `[[device]]` table of a device that already publishes MQTT, its checks, and its stations."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core import decimals, periods
from edge import drivers, linksettings
from edge.devicesettings import DeviceSettings
from edge.driver import Station
from edge.linksettings import Broker, Destination

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from core.errors import Problem

MOST_PATH_CHARS: Final = 300
MOST_TOPIC_BYTES: Final = 65_535  # MQTT 3.1.1, section 1.5.3
MOST_CLIENT_ID_CHARS: Final = 200
_STRICT: Final = ConfigDict(extra="forbid", frozen=True)

Path_ = Annotated[str, Field(min_length=1, max_length=MOST_PATH_CHARS)]
Word = str | bool | int


def _exact(text: object) -> object:
    """Take a decimal written as text, so that no float stands between the file and the figure."""
    if not isinstance(text, str):
        raise ValueError("write it as text, such as '0.001': then it is exact")  # noqa: TRY004 - pydantic's
    return decimals.parse(text)


class Quality(BaseModel):
    """Where the payload says whether a value is good; every other word of it means bad."""

    model_config = _STRICT

    path: Path_
    good: Annotated[list[Word], Field(min_length=1)]
    uncertain: list[Word] = []


class Time(BaseModel):
    """Where the payload says when it was measured."""

    model_config = _STRICT

    path: Path_
    format: Literal["rfc3339", "epoch_s", "epoch_ms"] = "rfc3339"


class Value(BaseModel):
    """One point: where its value stands, and what it means.

    Without `path` the payload is the plain number itself.
    """

    model_config = _STRICT

    topic: str | None = None
    path: Path_ | None = None
    counter: bool = False
    resolution: Decimal | None = None
    scale: Decimal = Decimal(1)
    unit: str = ""
    quality: Quality | None = None

    @field_validator("resolution", "scale", mode="before")
    @classmethod
    def _is_exact(cls, text: object) -> object:
        return _exact(text)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        faults = (
            (
                self.counter and self.resolution is None,
                "a counter needs resolution, what one count is worth in the payload, as text",
            ),
            (self.resolution is not None and not self.counter, "resolution belongs to counters"),
            (self.resolution is not None and self.resolution <= 0, "resolution must be above 0"),
            (self.counter and self.scale != 1, "a counter has no scale: it belongs to the plant"),
            (self.scale == 0, "scale must not be 0"),
            (
                self.quality is not None and self.path is None,
                "quality needs a JSON payload: give the value a path",
            ),
        )
        wrong = [text for is_wrong, text in faults if is_wrong]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class MqttInDevice(DeviceSettings):
    """One publishing device: its broker, its topics, and what its payloads hold."""

    driver: Literal["mqtt-in"]
    broker: Broker
    client_id: Annotated[str, Field(min_length=1, max_length=MOST_CLIENT_ID_CHARS)] | None = None
    topic: str | None = None
    time: Time | None = None
    timezone: str | None = None
    silent_s: Annotated[float, Field(ge=1, le=604_800)] = 900.0
    period_s: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    timeout_s: Annotated[float, Field(ge=0.05, le=600)] = 30.0
    points: Annotated[dict[str, Value], Field(min_length=1)]

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, timezone: str | None) -> str | None:
        if timezone is not None:
            periods.zone(timezone)
        return timezone

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.timezone is not None and self.time is None:
            raise ValueError("timezone needs time: without it a payload belongs to its arrival")
        plain = [point for point, value in self.points.items() if value.path is None]
        if self.time is not None and plain:
            raise ValueError(f"{plain[0]} is a plain number, so time can not be read beside it")
        return self

    def topic_of(self, point: str) -> str:
        """Return the filter of the messages that bring a point."""
        return self.points[point].topic or self.topic or ""


def problems(tables: Sequence[drivers.Table]) -> Iterator[Problem]:
    """Find bad topics and expressions, and files of the broker that cannot be read."""
    for table in tables:
        yield from _topic_problems(table)
        yield from _path_problems(table)
        if isinstance(table.data.get("broker"), dict):
            secrets = linksettings.Secrets(table.document, table.folder)
            secrets.opened(("device", table.index, "broker"))
            yield from secrets.problems
    yield from _client_problems(tables)


def _topic_problems(table: drivers.Table) -> Iterator[Problem]:
    given = table.data.get("topic")
    if isinstance(given, str) and (fault := topic_fault(given)):
        yield table.problem(("topic",), fault)
    for point, value in _values(table):
        own = value.get("topic")
        if isinstance(own, str):
            if fault := topic_fault(own):
                yield table.problem(("points", point, "topic"), fault)
        elif own is None and given is None:
            yield table.problem(("points", point), "has no topic: give it, or the device, one")


def topic_fault(topic: str) -> str:
    """Say what is wrong with a topic filter (MQTT 3.1.1, section 4.7), or nothing."""
    levels = topic.split("/")
    if not topic or len(topic.encode()) > MOST_TOPIC_BYTES or "\0" in topic:
        return "a topic has 1 to 65535 bytes and no null character"
    if any("+" in level and level != "+" for level in levels):
        return "+ stands for one whole level: a/+/b"
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        return "# stands for all further levels, alone at the end: a/b/#"
    return ""


def _path_problems(table: drivers.Table) -> Iterator[Problem]:
    paths: list[tuple[tuple[str, ...], object]] = []
    time = table.data.get("time")
    if isinstance(time, dict):
        paths.append((("time", "path"), time.get("path")))
    for point, value in _values(table):
        paths.append((("points", point, "path"), value.get("path")))
        quality = value.get("quality")
        if isinstance(quality, dict):
            paths.append((("points", point, "quality", "path"), quality.get("path")))
    written = [(key, path) for key, path in paths if isinstance(path, str)]
    if not written:
        return
    from edge.mqttin import payload  # noqa: PLC0415 - it loads the JSONPath library

    for key, path in written:
        if fault := payload.path_fault(path):
            yield table.problem(key, fault)


def _values(table: drivers.Table) -> Iterator[tuple[str, dict[str, Any]]]:
    points = table.data.get("points")
    for point, value in points.items() if isinstance(points, dict) else ():
        if isinstance(value, dict):
            yield point, value


def _client_problems(tables: Sequence[drivers.Table]) -> Iterator[Problem]:
    """Find devices of one broker that name different clients: they share one session."""
    named: dict[str, object] = {}
    for table in tables:
        broker, client_id = table.data.get("broker"), table.data.get("client_id")
        if not isinstance(broker, dict):
            continue
        first = named.setdefault(repr(sorted(broker.items(), key=lambda each: each[0])), client_id)
        if client_id != first:
            yield table.problem(("client_id",), "differs from that of another device on its broker")


def destination(device: MqttInDevice, folder: Path) -> Destination:
    """Return the broker of a device with what opens its door; the files have been checked."""
    broker = device.broker

    def beside(name: str | None) -> Path | None:
        return None if name is None else folder / name

    password = beside(broker.password_file)
    return Destination(
        device.name,
        broker,
        None if password is None else password.read_text("utf-8").rstrip("\r\n"),
        beside(broker.ca_file),
        beside(broker.certificate_file),
        beside(broker.certificate_key_file),
    )


def stations(
    devices: Sequence[MqttInDevice], folder: Path, clock: Callable[[], datetime]
) -> list[Station]:
    """Return the driver of every device; devices of one broker share its connection."""
    from edge.mqttin.device import MqttIn  # noqa: PLC0415 - only a plant that has such devices
    from edge.mqttin.hub import Hubs  # noqa: PLC0415 - loads them

    hubs = Hubs(clock)
    made: list[Station] = []
    for device in devices:
        fellows = [each for each in devices if each.broker == device.broker]
        first = min(point for each in fellows for point in each.points)
        name = device.client_id or f"danhao-in-{first}"
        hub = hubs.hub(destination(device, folder), name, keeps=device.time is not None)
        made.append(
            Station(
                MqttIn(device, hub, clock),
                # Devices of one session are one line: a reload that changes one begins all anew.
                f"mqtt {device.broker.url} {hub.client_id}",
                device.period_s,
                1.0,
                "publishes MQTT",
                f"{device.broker.url}, {device.topic or 'a topic for each point'}",
                (device, name),
                pushes=True,
            )
        )
    return made


KIND: Final = drivers.Kind(settings={"mqtt-in": MqttInDevice}, problems=problems, stations=stations)
