"""The `[[device]]` table of a Modbus meter in edge.toml, its checks, and its stations."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from core.errors import Misconfigured, Problem
from edge import drivers, registermaps
from edge.devicesettings import DeviceSettings, Host, Port, SerialPath
from edge.driver import Station
from edge.registers import ADDRESSES, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from edge.modbus.bus import Route
    from edge.registers import RegisterMap

MOST_DOUBT: Final = 1 / 8  # of the period: keeps a step's rate right to a quarter
_LINE_KEYS: Final = ("driver", "baud_rate", "parity", "stop_bits", "echo", "pause_ms")


class ModbusDevice(DeviceSettings):
    """One meter: its unit on the line, its model, and the points that its quantities are.

    `shift` is added to every address of the map: several meters in one list behind one unit id,
    or a list whose first number is in doubt.
    """

    unit_id: Annotated[int, Field(ge=0, le=255)] = 1
    model: Annotated[str, Field(min_length=1)]
    shift: Annotated[int, Field(gt=-ADDRESSES, lt=ADDRESSES)] = 0
    pause_ms: Annotated[float, Field(ge=0, le=1_000)] = 0.0
    points: Annotated[dict[str, str], Field(min_length=1)]

    @property
    @abstractmethod
    def route(self) -> Route:
        """Return how its line is reached."""


class ModbusTcpDevice(ModbusDevice):
    """A meter, or a gateway with meters behind it, that speaks Modbus TCP, or RTU frames in TCP."""

    driver: Literal["modbus-tcp", "modbus-rtu-tcp"] = "modbus-tcp"
    host: Host
    port: Port = 502

    @property
    def route(self) -> Route:
        """Return how its line is reached."""
        from edge.modbus.bus import Framing, Route  # noqa: PLC0415 - a check needs no pymodbus

        framing = Framing.TCP if self.driver == "modbus-tcp" else Framing.RTU_TCP
        return Route(framing, self.host, self.port, pause_s=self.pause_ms / 1_000)


class ModbusSerialDevice(ModbusDevice):
    """A meter on a serial line of this machine."""

    driver: Literal["modbus-rtu"]
    serial: SerialPath
    baud_rate: Literal[1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200] = 9_600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    echo: bool = False
    unit_id: Annotated[int, Field(ge=1, le=247)] = 1

    @property
    def route(self) -> Route:
        """Return how its line is reached."""
        from edge.modbus.bus import Framing, Route  # noqa: PLC0415 - a check needs no pymodbus

        return Route(
            Framing.SERIAL,
            self.serial,
            baud_rate=self.baud_rate,
            parity=self.parity[0].upper(),
            stop_bits=self.stop_bits,
            echo=self.echo,
            pause_s=self.pause_ms / 1_000,
        )


def problems(tables: Sequence[drivers.Table]) -> Iterator[Problem]:
    """Find models and quantities that are not there, and devices that cannot share their line."""
    maps: dict[str, RegisterMap | Misconfigured] = {}
    for table in tables:
        model = table.data.get("model")
        if not isinstance(model, str) or not model:
            continue
        if model not in maps:
            maps[model] = _opened(model, table.folder)
        found = maps[model]
        if not isinstance(found, Misconfigured):
            yield from _point_problems(table, model, found)
        elif found.problems[0].where:
            yield from found.problems
        else:
            yield table.problem(("model",), str(found))
    yield from _line_problems(tables)


def _opened(model: str, folder: Path) -> RegisterMap | Misconfigured:
    try:
        return load_map(model, folder)
    except Misconfigured as error:
        return error


def _point_problems(table: drivers.Table, model: str, found: RegisterMap) -> Iterator[Problem]:
    points = table.data.get("points")
    for point, name in points.items() if isinstance(points, dict) else ():
        if not isinstance(name, str):
            continue
        if name not in found.quantities:
            known = ", ".join(sorted(found.quantities))
            message = f"{model} has no quantity {name!r}: it has {known}"
            yield table.problem(("points", point), message)
        elif fault := _quantity_fault(found, name, table.data.get("shift", 0)):
            yield table.problem(("points", point), fault)


def _quantity_fault(found: RegisterMap, name: str, shift: object) -> str | None:
    quantity = found.quantities[name]
    if quantity.kind is Kind.STRING:
        return f"{name} is a text, which no reading can be: `danhao edge check` shows it"
    moved = quantity.address + (shift if isinstance(shift, int) else 0)
    if not 0 <= moved <= ADDRESSES - quantity.words:
        return f"with shift {shift} its register would be {moved}"
    return None


def _line_problems(tables: Sequence[drivers.Table]) -> Iterator[Problem]:
    """Devices of one line speak to it in one way, and no two of them are the same unit."""
    first: dict[object, drivers.Table] = {}
    for table in tables:
        data = table.data
        line = data.get("serial") or (str(data.get("host")), data.get("port", 502))
        if not isinstance(line, (str, tuple)):
            continue
        other = first.setdefault(line, table)
        for key in _LINE_KEYS:
            if data.get(key) != other.data.get(key):
                yield table.problem(
                    (key,),
                    f"differs from device {other.data.get('name')!r} on the same line:"
                    f" a line has one {key}",
                )


def load_map(model: str, folder: Path) -> RegisterMap:
    """Return a map that ships, or one of a file beside edge.toml."""
    if not model.endswith(".toml"):
        return registermaps.builtin(model)
    path = folder / model
    try:
        return registermaps.parse(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise Misconfigured([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise Misconfigured([Problem(str(path), "is not UTF-8 text: save it as such")]) from error


def stations(
    devices: Sequence[ModbusDevice], folder: Path, clock: Callable[[], datetime]
) -> list[Station]:
    """Return the devices as stations; those of one line share its connection."""
    from edge.modbus.bus import Bus  # noqa: PLC0415 - checking a file needs no pymodbus
    from edge.modbus.meter import ModbusMeter  # noqa: PLC0415 - as above

    maps = {model: load_map(model, folder) for model in {device.model for device in devices}}
    buses: dict[str, Bus] = {}
    made = []
    for device in devices:
        route = device.route
        bus = buses.setdefault(route.line, Bus(route, time.monotonic))
        meter = maps[device.model]
        driver = ModbusMeter(
            device.name,
            bus=bus,
            unit_id=device.unit_id,
            timeout_s=device.timeout_s,
            meter=meter,
            points={point: meter.quantities[name] for point, name in device.points.items()},
            clock=clock,
            shift=device.shift,
            most_doubt_s=device.period_s * MOST_DOUBT,
            where=_where(device, route),
        )
        made.append(
            Station(
                driver,
                route.line,
                device.period_s,
                device.timeout_s,
                meter.title,
                _where(device, route),
                (device, meter),
            )
        )
    return made


def _where(device: Any, route: Route) -> str:
    place = route.line.partition(" ")[2]
    return f"{place}, unit {device.unit_id}"


KIND: Final = drivers.Kind(
    settings={
        "modbus-tcp": ModbusTcpDevice,
        "modbus-rtu-tcp": ModbusTcpDevice,
        "modbus-rtu": ModbusSerialDevice,
    },
    problems=problems,
    stations=stations,
)
