"""`edge.toml`: what an agent reads, keeps and forwards; checked whole before anything starts.

`load` returns a configuration in which every named file exists and every point names a quantity of
its meter's map, or raises Misconfigured with all mistakes, each with file, line and key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from core import names, tomlfile, wire
from core.errors import Misconfigured, Problem
from edge import registers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from core.tomlfile import Document
    from core.wire import Sign
    from edge.registers import Quantity, RegisterMap

MOST_SECRET_CHARS: Final = 4_096
MOST_DEVICES: Final = 1_000
PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_STRICT: Final = ConfigDict(extra="forbid", frozen=True)


def _slug(text: str) -> str:
    if not names.is_slug(text):
        raise ValueError("a name has lower-case letters, digits and single hyphens inside")
    return text


Slug = Annotated[str, AfterValidator(_slug)]


class Broker(BaseModel):
    """Where the envelopes go: mqtt:// or mqtts://, an account, and who signed the broker's key."""

    model_config = _STRICT

    url: str
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None

    @field_validator("url")
    @classmethod
    def _is_broker(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("write mqtt://host:port, or mqtts://host:port for TLS")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("a broker's url ends with its port")
        try:
            _ = parts.port
        except ValueError as error:
            raise ValueError("the port is a number from 1 to 65535") from error
        return url

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs a username beside it")
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file needs an mqtts:// url: without TLS it would check nothing")
        return self

    @property
    def tls(self) -> bool:
        """Tell whether the broker is spoken to through TLS."""
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def host(self) -> str:
        """Return the broker's host."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the broker's port, the scheme's own where none is written."""
        parts = urlsplit(self.url)
        return parts.port or PORTS[parts.scheme]


class OutboxSettings(BaseModel):
    """Where envelopes wait, how many megabytes of them, and for how many days."""

    model_config = _STRICT

    path: str = "outbox.sqlite"
    max_mb: Annotated[int, Field(ge=1, le=65_536)] = 256
    keep_days: Annotated[float, Field(gt=0, le=3_650)] = 35


class Device(BaseModel):
    """One meter: how it is reached, its model, and the points that its quantities are."""

    model_config = _STRICT

    name: Slug
    driver: Literal["modbus-tcp"] = "modbus-tcp"
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 502
    unit_id: Annotated[int, Field(ge=0, le=255)] = 1
    model: Annotated[str, Field(min_length=1)]
    period_s: Annotated[float, Field(ge=0.1, le=86_400)] = 10.0
    timeout_s: Annotated[float, Field(ge=0.05, le=60)] = 3.0
    points: Annotated[dict[str, str], Field(min_length=1)]


class Settings(BaseModel):
    """The whole file."""

    model_config = _STRICT

    site: Slug
    agent: Slug
    key_file: str | None = None
    broker: Broker
    outbox: OutboxSettings = OutboxSettings()
    device: Annotated[list[Device], Field(min_length=1, max_length=MOST_DEVICES)]


@dataclass(frozen=True, slots=True)
class Configuration:
    """A checked file: its settings, its devices' maps by model, and its secrets."""

    settings: Settings
    folder: Path
    maps: Mapping[str, RegisterMap]
    password: str | None = field(default=None, repr=False)
    sign: Sign | None = field(default=None, repr=False)
    key: str = ""

    @property
    def outbox_path(self) -> Path:
        """Return where the outbox is, from the file's own folder."""
        return self.folder / self.settings.outbox.path

    @property
    def ca_file(self) -> Path | None:
        """Return who signed the broker's certificate, None for the system's authorities."""
        file = self.settings.broker.ca_file
        return None if file is None else self.folder / file

    def quantities(self, device: Device) -> dict[str, Quantity]:
        """Return the quantity of each point of a device."""
        of = self.maps[device.model].quantities
        return {point: of[name] for point, name in device.points.items()}


def load(path: Path) -> Configuration:
    """Read and check a file; raises Misconfigured with everything that is wrong in it."""
    document = tomlfile.parse(_text(path), path.name)
    problems = list(_account_problems(document))
    settings = None
    try:
        settings = tomlfile.validate(document, Settings)
    except Misconfigured as error:
        problems.extend(error.problems)
    maps: dict[str, RegisterMap] = {}
    problems.extend(_point_problems(document))
    problems.extend(_map_problems(document, path.parent, maps))
    secrets = _Secrets(document, path.parent)
    password = secrets.password()
    sign, key = secrets.signer()
    secrets.authority()
    problems.extend(secrets.problems)
    if settings is None or problems:
        raise Misconfigured(list(dict.fromkeys(problems)))
    return Configuration(settings, path.parent, maps, password, sign, key)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise Misconfigured([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise Misconfigured([Problem(str(path), "is not UTF-8 text: save it as such")]) from error


def _account_problems(document: Document) -> Iterator[Problem]:
    """Find an account inside the url and take it out, so that no message repeats a password."""
    broker = document.data.get("broker")
    url = broker.get("url") if isinstance(broker, dict) else None
    if isinstance(broker, dict) and isinstance(url, str) and "@" in url:
        scheme, _, rest = url.partition("://")
        broker["url"] = f"{scheme}://{rest.rpartition('@')[2]}"
        yield document.problem(
            ("broker", "url"), "an account goes into username and password_file, never into the url"
        )


def _devices(document: Document) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the device tables that are tables, whatever else is wrong with the file."""
    devices = document.data.get("device")
    for index, device in enumerate(devices if isinstance(devices, list) else []):
        if isinstance(device, dict):
            yield index, device


def _points(device: dict[str, Any]) -> dict[str, Any]:
    points = device.get("points")
    return points if isinstance(points, dict) else {}


def _point_problems(document: Document) -> Iterator[Problem]:
    """Find points that are none, stand in another site, or are read twice; devices named twice."""
    site = document.data.get("site")
    seen_names: set[object] = set()
    seen_points: set[str] = set()
    for index, device in _devices(document):
        name = device.get("name")
        if isinstance(name, str) and name in seen_names:
            yield document.problem(("device", index, "name"), f"{name!r} names two devices")
        seen_names.add(name if isinstance(name, str) else None)
        for point in _points(device):
            for fault in _point_faults(point, site, seen_points):
                yield document.problem(("device", index, "points", point), fault)
            seen_points.add(point)


def _point_faults(point: str, site: object, seen: set[str]) -> Iterator[str]:
    if not names.is_point(point):
        yield "is no point id: write site.unit.point"
    elif isinstance(site, str) and names.site_of(point) != site:
        yield f"is a point of another site: this agent sends for {site!r} only"
    if point in seen:
        yield "is read by two devices: a point has one meter"


def _map_problems(
    document: Document, folder: Path, maps: dict[str, RegisterMap]
) -> Iterator[Problem]:
    """Load the map of every device into `maps` and find quantities that they do not have."""
    for index, device in _devices(document):
        model = device.get("model")
        if not isinstance(model, str) or not model:
            continue
        if model not in maps:
            try:
                maps[model] = _load_map(model, folder)
            except Misconfigured as error:
                if not error.problems[0].where:
                    yield document.problem(("device", index, "model"), str(error))
                else:
                    yield from error.problems
                continue
        known = maps[model].quantities
        for point, name in _points(device).items():
            if isinstance(name, str) and name not in known:
                yield document.problem(
                    ("device", index, "points", point),
                    f"{model} has no quantity {name!r}: it has {', '.join(sorted(known))}",
                )


def _load_map(model: str, folder: Path) -> RegisterMap:
    if not model.endswith(".toml"):
        return registers.builtin(model)
    path = folder / model
    return registers.parse(_text(path), str(path))


class _Secrets:
    """Reads the files that a configuration names, and collects what is wrong with them."""

    def __init__(self, document: Document, folder: Path) -> None:
        self._document = document
        self._folder = folder
        self.problems: list[Problem] = []

    def password(self) -> str | None:
        """Return the broker's password; a line end after it is not part of it."""
        content = self._read(("broker", "password_file"))
        if content is None:
            return None
        text = content.decode("utf-8", "replace").rstrip("\r\n")
        if not text or len(text) > MOST_SECRET_CHARS or "\n" in text or "�" in text:
            self._problem(("broker", "password_file"), "does not hold one line with a password")
            return None
        return text

    def signer(self) -> tuple[Sign | None, str]:
        """Return what signs envelopes and its public key."""
        content = self._read(("key_file",))
        if content is None:
            return None, ""
        try:
            return wire.signer(content)
        except Misconfigured as error:
            self._problem(("key_file",), str(error))
            return None, ""

    def authority(self) -> None:
        """See that the broker's authority can be read."""
        self._read(("broker", "ca_file"))

    def _read(self, key: tuple[str, ...]) -> bytes | None:
        table: object = self._document.data
        for part in key:
            table = table.get(part) if isinstance(table, dict) else None
        if not isinstance(table, str):
            return None
        try:
            return (self._folder / table).read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._problem(key, f"{table} cannot be read: {reason}")
            return None

    def _problem(self, key: tuple[str, ...], message: str) -> None:
        self.problems.append(self._document.problem(key, message))
