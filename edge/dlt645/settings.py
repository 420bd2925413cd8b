"""The `[[device]]` table of a DL/T 645 meter in edge.toml, its checks, and its stations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from core import periods
from core.errors import Misconfigured, Problem
from edge import drivers
from edge.devicesettings import DeviceSettings, Host, Port, SerialPath
from edge.dlt645 import frame, items
from edge.driver import Station

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from edge.dlt645.items import Item, Table

DEFAULT_PORT: Final = (
    8_899  # what many serial servers listen on; there is no number of the standard
)
MOST_DOUBT: Final = 1 / 8  # of the period, as for Modbus: keeps a step's rate right to a quarter
_LINE_KEYS: Final = ("baud_rate", "parity", "stop_bits")


class Dlt645Device(DeviceSettings):
    """One meter: the line it hangs on, its address, and the items that its points are."""

    driver: Literal["dlt645"]
    serial: SerialPath | None = None
    baud_rate: Literal[600, 1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200] = 2_400
    parity: Literal["none", "even", "odd"] = "even"
    stop_bits: Literal[1, 2] = 1
    host: Host | None = None
    port: Port = DEFAULT_PORT
    address: str
    model: Annotated[str, Field(min_length=1)] = items.BUILTIN
    timezone: str = "Asia/Shanghai"
    answer_s: Annotated[float, Field(ge=0.05, le=30)] = 2.0
    timeout_s: Annotated[float, Field(ge=0.05, le=120)] = 15.0
    freeze_days: Annotated[int, Field(ge=1, le=62)] = 7
    clock_doubt_s: Annotated[float, Field(ge=1, le=3_600)] = 60.0
    points: Annotated[dict[str, str], Field(min_length=1)]

    @field_validator("address")
    @classmethod
    def _is_address(cls, address: str) -> str:
        if not frame.is_address(address):
            raise ValueError("an address has the 12 digits on the meter, or AA for leading pairs")
        if address == frame.BROADCAST:
            raise ValueError("nobody answers the broadcast address: write the meter's own")
        return address

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, timezone: str) -> str:
        periods.zone(timezone)
        return timezone

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.serial is None) == (self.host is None):
            raise ValueError(
                "needs either serial, a port of this machine, or host, a serial server"
            )
        if self.serial is None and self.model_fields_set & set(_LINE_KEYS):
            raise ValueError(f"{', '.join(_LINE_KEYS)} belong to serial: set them at the server")
        if self.host is None and "port" in self.model_fields_set:
            raise ValueError("port belongs to host: a serial port has its path in serial")
        return self

    @property
    def line(self) -> str:
        """Return the line, as stations name it."""
        return f"serial {self.serial}" if self.serial else f"tcp {self.host}:{self.port}"


def problems(tables: Sequence[drivers.Table]) -> Iterator[Problem]:
    """Find unknown items, and meters that cannot share their line."""
    loaded: dict[str, Table] = {}
    for table in tables:
        yield from _item_problems(table, loaded)
    yield from _line_problems(tables)


def _item_problems(table: drivers.Table, loaded: dict[str, Table]) -> Iterator[Problem]:
    model = table.data.get("model", items.BUILTIN)
    points = table.data.get("points")
    if not isinstance(model, str) or not model or not isinstance(points, dict):
        return
    if model not in loaded:
        try:
            loaded[model] = _table(model, table.folder)
        except Misconfigured as error:
            if error.problems[0].where:
                yield from error.problems
            else:
                yield table.problem(("model",), str(error))
            return
    known = loaded[model]
    for point, name in points.items():
        if isinstance(name, str) and name not in known.items:
            near = known.suggest(name)
            yield table.problem(("points", point), f"{model} has no item {name!r}: {near} are near")


def _line_problems(tables: Sequence[drivers.Table]) -> Iterator[Problem]:
    """Find lines of two speeds, addresses read twice, and wildcards that several would answer."""
    lines: dict[str, list[drivers.Table]] = {}
    for table in tables:
        lines.setdefault(_line_of(table.data), []).append(table)
    for name, members in lines.items():
        if not name:
            continue
        yield from _foreign_problems(name, members[0])
        first = members[0].data
        seen: set[object] = set()
        for table in members:
            for key in _LINE_KEYS:
                if table.data.get(key) != first.get(key):
                    yield table.problem((key,), f"differs from the first meter's on {name}")
            address = table.data.get("address")
            if not isinstance(address, str):
                continue
            if address in seen:
                yield table.problem(("address",), f"{address} is read twice on {name}")
            if len(members) > 1 and frame.is_wildcard(address):
                yield table.problem(
                    ("address",), f"several meters on {name} may answer to it: write all digits"
                )
            seen.add(address)


def _foreign_problems(name: str, table: drivers.Table) -> Iterator[Problem]:
    """Find a device of another protocol on the line: a port has one owner."""
    devices = table.document.data.get("device")
    for other in devices if isinstance(devices, list) else ():
        if (
            isinstance(other, dict)
            and other.get("driver", "modbus-tcp") != "dlt645"
            and _line_of({"port": None, **other}) == name
        ):
            yield table.problem((), f"shares {name} with a device that is not DL/T 645")


def _line_of(data: Mapping[str, Any]) -> str:
    serial, host = data.get("serial"), data.get("host")
    if isinstance(serial, str):
        return f"serial {serial}"
    return f"tcp {host}:{data.get('port', DEFAULT_PORT)}" if isinstance(host, str) else ""


def _table(model: str, folder: Path) -> Table:
    if model == items.BUILTIN:
        return items.builtin()
    if not model.endswith(".toml"):
        raise Misconfigured(
            f"there is no table {model!r}: leave it out for {items.BUILTIN}, or write the path of"
            " a table of your own, which ends in .toml"
        )
    path = folder / model
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise Misconfigured([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise Misconfigured([Problem(str(path), "is not UTF-8 text: save it as such")]) from error
    return items.parse(text, str(path))


def stations(
    devices: Sequence[Dlt645Device], folder: Path, clock: Callable[[], datetime]
) -> list[Station]:
    """Return the driver of every meter; meters of one line share it."""
    from edge.dlt645 import line  # noqa: PLC0415 - only a plant that has such meters
    from edge.dlt645.meter import Dlt645Meter  # noqa: PLC0415 - loads them

    made: list[Station] = []
    lines: dict[str, line.Line] = {}
    for device in devices:
        table = _table(device.model, folder)
        points: dict[str, Item] = {
            point: table.items[name] for point, name in device.points.items()
        }
        driver = Dlt645Meter(
            device.name,
            line=lines.setdefault(device.line, line.line(_wire(device))),
            address=device.address,
            points=points,
            answer_s=device.answer_s,
            timeout_s=device.timeout_s,
            clock=clock,
            zone=periods.zone(device.timezone),
            freeze_days=device.freeze_days,
            clock_doubt_s=device.clock_doubt_s,
            most_doubt_s=device.period_s * MOST_DOUBT,
        )
        made.append(
            Station(
                driver,
                device.line,
                device.period_s,
                device.timeout_s + line.CONNECT_S,
                table.title,
                f"{device.line}, meter {device.address}",
                (device, tuple(sorted(points.items(), key=lambda each: each[0]))),
            )
        )
    return made


def _wire(device: Dlt645Device) -> Any:
    from edge.dlt645.line import SerialSettings, TcpSettings  # noqa: PLC0415 - as above

    if device.serial is not None:
        return SerialSettings(device.serial, device.baud_rate, device.parity, device.stop_bits)
    return TcpSettings(device.host or "", device.port)


KIND: Final = drivers.Kind(settings={"dlt645": Dlt645Device}, problems=problems, stations=stations)
