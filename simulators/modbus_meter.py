"""Real Modbus TCP meters: the register maps of real models, filled from the process when read.

One server is a gateway of many meters, told apart by unit id. It listens on loopback only, answers
reads by the function its model documents, and every write with an exception.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from core.clock import to_us
from core.errors import Misconfigured, Problem
from edge import registermaps as maps
from simulators import registers

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime

    from edge.registers import Quantity
    from simulators.process import Process
    from simulators.processfile import MeterTable

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class _Shown:
    quantity: Quantity
    point: str


class _Meter:
    """One meter: registers of its map, refreshed by the reads that touch them."""

    def __init__(self, process: Process, table: MeterTable, clock: Callable[[], datetime]) -> None:
        model = maps.builtin(table.model)
        unknown = [name for name in table.points.values() if name not in model.quantities]
        if unknown:
            raise Misconfigured(
                [Problem(table.name, f"model {table.model} has no {name!r}") for name in unknown]
            )
        self._process = process
        self._clock = clock
        self._shown = [
            _Shown(model.quantities[name], point) for point, name in table.points.items()
        ]
        self._functions = {quantity.function for quantity in model.quantities.values()}
        spans = [(q.address, q.address + q.words) for q in model.quantities.values()]
        first, last = min(span[0] for span in spans), max(span[1] for span in spans)
        self.device = SimDevice(
            id=table.unit_id,
            simdata=[SimData(first, count=last - first, values=0, datatype=DataType.REGISTERS)],
            action=self._act,
        )
        for shown in self._shown:
            self._check(table, shown)

    async def _act(
        self,
        function_code: int,
        start_address: int,
        address: int,
        count: int,
        current_registers: list[int],
        set_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if set_values is not None or function_code not in self._functions:
            return ExcCodes.ILLEGAL_FUNCTION
        at_us = to_us(self._clock())
        for shown in self._shown:
            quantity = shown.quantity
            if quantity.address < address + count and address < quantity.address + quantity.words:
                value = self._process.value(shown.point, at_us)
                low = quantity.address - start_address
                current_registers[low : low + quantity.words] = registers.words(quantity, value)
        return None

    def _check(self, table: MeterTable, shown: _Shown) -> None:
        """Refuse a meter whose register can not show its point, before anybody reads it."""
        try:
            point = self._process.plant.points[shown.point]
            most = (point.modulus or 1) - 1 if shown.quantity.counter else 0
            registers.words(shown.quantity, most)
        except ValueError as error:
            raise Misconfigured([Problem(f"{table.name}: {shown.point}", str(error))]) from error
        if shown.quantity.counter != self._process.is_counter(shown.point):
            raise Misconfigured(
                [
                    Problem(
                        f"{table.name}: {shown.point}",
                        f"{shown.quantity.name} and the point differ in being a counter",
                    )
                ]
            )


class Meters:
    """The meters of a plant behind one Modbus TCP port."""

    def __init__(
        self, process: Process, tables: Sequence[MeterTable], clock: Callable[[], datetime]
    ) -> None:
        self._meters = [_Meter(process, table, clock) for table in tables]
        self.port = 0

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Meters]:
        """Serve inside the block; port 0 takes a free one, `port` tells which."""
        server = ModbusTcpServer([meter.device for meter in self._meters], address=(HOST, port))
        try:
            await server.serve_forever(background=True)
        except (RuntimeError, OSError) as error:
            raise Misconfigured(
                [Problem("--port", f"port {port} on {HOST} can not be had: take another")]
            ) from error
        listening = cast("asyncio.Server", server.transport)
        try:
            self.port = int(listening.sockets[0].getsockname()[1])
            yield self
        finally:
            await server.shutdown()  # type: ignore[no-untyped-call]  # untyped in pymodbus
