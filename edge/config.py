"""`edge.toml`: what an agent reads, keeps and forwards; checked whole before anything starts.

`load` returns a configuration in which every named file exists and every device is what its driver
can read, or raises Misconfigured with all mistakes, each with file, line and key. What a device's
table holds beside its name is its driver's (`edge/drivers.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, Field, ValidationError

from core import names, tomlfile
from core.errors import Misconfigured, Problem
from edge import drivers, linksettings
from edge.devicesettings import STRICT, DeviceSettings, Slug, UserPort
from edge.drivers import DEFAULT, KINDS, Table
from edge.linksettings import Broker, ClockSettings, Destination, OutboxSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from core.tomlfile import Document
    from core.wire import Sign
    from edge.driver import Station

MOST_DEVICES: Final = 1_000


class HealthSettings(BaseModel):
    """Where the agent tells its own health, on this machine only; without it, nowhere."""

    model_config = STRICT

    port: UserPort


class Settings(BaseModel):
    """The whole file; devices are checked one by one, by their drivers."""

    model_config = STRICT

    site: Slug
    agent: Slug
    key_file: str | None = None
    broker: Broker
    destination: dict[Slug, Broker] = {}
    outbox: OutboxSettings = OutboxSettings()
    clock: ClockSettings = ClockSettings()
    health: HealthSettings | None = None
    device: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_DEVICES)]


@dataclass(frozen=True, slots=True)
class Configuration:
    """A checked file: its settings, its devices in the file's order, and its secrets."""

    settings: Settings
    folder: Path
    devices: tuple[DeviceSettings, ...]
    destinations: tuple[Destination, ...]
    sign: Sign | None = field(default=None, repr=False)
    key: str = ""

    @property
    def outbox_path(self) -> Path:
        """Return where the outbox is, from the file's own folder."""
        return self.folder / self.settings.outbox.path

    def stations(self, clock: Callable[[], datetime]) -> list[Station]:
        """Return the driver of every device, its line and its period; nothing is connected yet."""
        by_module: dict[str, list[DeviceSettings]] = {}
        for device in self.devices:
            by_module.setdefault(KINDS[device.driver], []).append(device)
        made = {
            station.driver.name: station
            for members in by_module.values()
            for station in drivers.kind(members[0].driver).stations(members, self.folder, clock)
        }
        return [made[device.name] for device in self.devices]


def load(path: Path) -> Configuration:
    """Read and check a file; raises Misconfigured with everything that is wrong in it."""
    document = tomlfile.parse(_text(path), path.name)
    problems = [
        *linksettings.account_problems(document),
        *linksettings.name_problems(document),
    ]
    settings = None
    try:
        settings = tomlfile.validate(document, Settings)
    except Misconfigured as error:
        problems.extend(error.problems)
    problems.extend(_point_problems(document))
    devices = _checked(document, path.parent, problems)
    secrets = linksettings.Secrets(document, path.parent)
    opened = secrets.destinations()
    sign, key = secrets.signer()
    problems.extend(secrets.problems)
    if settings is None or problems:
        raise Misconfigured(list(dict.fromkeys(problems)))
    brokers = {linksettings.MAIN: settings.broker, **settings.destination}
    destinations = tuple(Destination(name, brokers[name], **opened[name]) for name in brokers)
    return Configuration(settings, path.parent, devices, destinations, sign, key)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise Misconfigured([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise Misconfigured([Problem(str(path), "is not UTF-8 text: save it as such")]) from error


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


def _checked(
    document: Document, folder: Path, problems: list[Problem]
) -> tuple[DeviceSettings, ...]:
    """Return the devices that are well; what is wrong with the others goes into `problems`."""
    found: list[DeviceSettings] = []
    tables: dict[str, list[Table]] = {}
    for index, data in _devices(document):
        driver = data.setdefault("driver", DEFAULT)
        if not isinstance(driver, str) or driver not in KINDS:
            message = f"is no driver: take one of {', '.join(KINDS)} (found {driver!r})"
            problems.append(document.problem(("device", index, "driver"), message))
            continue
        kind = drivers.kind(driver)
        tables.setdefault(KINDS[driver], []).append(Table(document, index, data, folder))
        try:
            found.append(kind.settings[driver].model_validate(data))
        except ValidationError as error:
            problems.extend(tomlfile.problems(document, error, ("device", index)))
    for members in tables.values():
        problems.extend(drivers.kind(members[0].data["driver"]).problems(members))
    return tuple(found)
