"""Simulated DL/T 645-2007 meters on one line: over TCP, as behind a serial server, or on a pty.

`Dlt645Line` answers for any number of meters, and can misbehave as lines do (`Faults`). `of_plant`
makes them show a simulated plant: registers of now, and the daily freezes of the days before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import tty
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from core.clock import to_us
from core.errors import Misconfigured, Problem
from core.periods import zone
from edge import registermaps as maps
from simulators.dlt645 import SimulatedMeter, date_time, frozen_at, number, requests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime

    from simulators.process import Process
    from simulators.processfile import MeterTable

    Write = Callable[[bytes], object]

HOST: Final = "127.0.0.1"
MOST_FREEZES: Final = 62
_CHUNK_BYTES: Final = 1_024


@dataclass(frozen=True, slots=True)
class _Shown:
    """An identifier: bytes, decimals, whether it has a sign, and where its freeze stands."""

    identifier: str
    size: int
    decimals: int
    signed: bool = False
    freeze: str = ""


_BY_QUANTITY: Final = {
    "import_active_energy": _Shown("00010000", 4, 2, freeze="050601"),
    "export_active_energy": _Shown("00020000", 4, 2, freeze="050602"),
    "voltage_l1": _Shown("02010100", 2, 1),
    "voltage_l2": _Shown("02010200", 2, 1),
    "voltage_l3": _Shown("02010300", 2, 1),
    "current_l1": _Shown("02020100", 3, 3, signed=True),
    "current_l2": _Shown("02020200", 3, 3, signed=True),
    "current_l3": _Shown("02020300", 3, 3, signed=True),
    "power_total": _Shown("02030000", 3, 4, signed=True),
}
"""What the quantity of a register map is called in DL/T 645-2007."""


@dataclass(slots=True)
class Faults:
    """How a line misbehaves; may be changed while it runs."""

    delay_s: float = 0.0
    echo: bool = False
    before: bytes = b""
    silent: set[str] = field(default_factory=set)
    spoil: Callable[[bytes], bytes] | None = None


class Dlt645Line:
    """The meters of one line; `wire` keeps every byte that a master sent."""

    def __init__(self, meters: Sequence[SimulatedMeter], faults: Faults | None = None) -> None:
        self.meters = list(meters)
        self.faults = faults or Faults()
        self.wire = bytearray()
        self.connections = 0
        self.port = 0
        self.path = ""
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Dlt645Line]:
        """Serve over TCP inside the block; port 0 takes a free one, `port` tells which."""
        try:
            server = await asyncio.start_server(self._connection, HOST, port)
        except OSError as error:
            raise Misconfigured(
                [Problem("--port", f"port {port} on {HOST} can not be had: take another")]
            ) from error
        self.port = int(server.sockets[0].getsockname()[1])
        try:
            yield self
        finally:
            server.close()
            for writer in tuple(self._writers):
                writer.close()
            await asyncio.sleep(0)

    @asynccontextmanager
    async def on_pty(self) -> AsyncIterator[Dlt645Line]:
        """Serve on a pseudo terminal inside the block; `path` is what a master opens."""
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        self.path = os.ttyname(theirs)
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[bytes] = asyncio.Queue(MOST_FREEZES)

        def readable() -> None:
            with contextlib.suppress(BlockingIOError, OSError, asyncio.QueueFull):
                arrived.put_nowait(os.read(ours, _CHUNK_BYTES))

        loop.add_reader(ours, readable)
        task = asyncio.create_task(self._serve(arrived.get, lambda data: _write(ours, data)))
        try:
            yield self
        finally:
            loop.remove_reader(ours)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            os.close(ours)
            os.close(theirs)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            await self._serve(lambda: reader.read(_CHUNK_BYTES), writer.write)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _serve(self, read: Callable[[], Awaitable[bytes]], write: Write) -> None:
        waiting = bytearray()
        while True:
            data = await read()
            if not data:
                return
            self.wire += data
            if self.faults.echo:
                write(data)
            waiting += data
            for request in requests(waiting):
                await self._answer(request, write)

    async def _answer(self, request: bytes, write: Write) -> None:
        faults = self.faults
        for meter in self.meters:
            answer = None if meter.address in faults.silent else meter.answer(request)
            if answer is None:
                continue
            if faults.delay_s:
                await asyncio.sleep(faults.delay_s)
            write(faults.before + (faults.spoil(answer) if faults.spoil else answer))


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BlockingIOError):
        os.write(descriptor, data)


def of_plant(
    process: Process, tables: Sequence[MeterTable], clock: Callable[[], datetime]
) -> list[SimulatedMeter]:
    """Return the meters of a plant as DL/T 645 shows them; a unit id becomes the address.

    Raises Misconfigured where a meter measures nothing that the standard has an identifier for.
    """
    problems = [
        Problem(
            table.name, f"DL/T 645 has nothing like {name!r}: it knows {', '.join(_BY_QUANTITY)}"
        )
        for table in tables
        for name in table.points.values()
        if name not in _BY_QUANTITY
    ]
    if problems:
        raise Misconfigured(problems)
    return [
        SimulatedMeter(f"{table.unit_id:012d}", show=_PlantMeter(process, table, clock).show)
        for table in tables
    ]


class _PlantMeter:
    """What one meter of a plant shows by identifier."""

    def __init__(self, process: Process, table: MeterTable, clock: Callable[[], datetime]) -> None:
        self._process = process
        self._clock = clock
        site = process.plant.sites[process.site]
        self._zone = zone(site.timezone)
        model = maps.builtin(table.model)
        self._shown = {
            _BY_QUANTITY[name].identifier: (_BY_QUANTITY[name], point)
            for point, name in table.points.items()
        }
        self._units = {point: model.quantities[name].unit for point, name in table.points.items()}

    def show(self, identifier: str) -> bytes | None:
        """Return the data of an identifier, None where this meter has none."""
        local = self._clock().astimezone(self._zone)
        clock = date_time(local)
        if identifier in clock:
            return clock[identifier]
        if identifier.startswith("0506"):
            return self._frozen(identifier, local)
        found = self._shown.get(identifier)
        return None if found is None else self._digits(*found, to_us(local))

    def _frozen(self, identifier: str, local: datetime) -> bytes | None:
        days = int(identifier[6:], 16) - 1
        if not 0 <= days < MOST_FREEZES:
            return None
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
        if identifier[:6] == "050600":
            return frozen_at(midnight)
        for shown, point in self._shown.values():
            if shown.freeze == identifier[:6]:
                return self._digits(shown, point, to_us(midnight))
        return None

    def _digits(self, shown: _Shown, point: str, at_us: int) -> bytes:
        """Return the digits of a point; FFH where the display has too few for it."""
        value = self._process.value(point, at_us)
        if self._process.is_counter(point):
            return number(int(value) % 10 ** (2 * shown.size), shown.size)
        scaled = Decimal(repr(value)).scaleb(shown.decimals)
        if self._units[point] == "W":  # the standard shows kW
            scaled = scaled.scaleb(-3)
        try:
            return number(int(scaled), shown.size, signed=shown.signed)
        except ValueError:
            return b"\xff" * shown.size


async def run(
    meters: Sequence[SimulatedMeter],
    *,
    port: int,
    on_pty: bool,
    announce: Callable[[Dlt645Line], None],
    stop: asyncio.Event,
) -> None:
    """Serve meters until stopped, over TCP or on a pseudo terminal; `announce` tells where."""
    line = Dlt645Line(meters)
    async with line.on_pty() if on_pty else line.serving(port):
        announce(line)
        await stop.wait()
