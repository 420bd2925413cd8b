"""A meter to practise with: any model that ships, likely figures, and the faults of a real line.

It shows what its display would: voltage near 230 V, a power that swings within ten minutes, and
counters that count it. `told` is the `[[device]]` table that reads it.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from core.clock import to_us
from core.errors import Misconfigured, Problem
from edge import registermaps
from edge.registers import BIT_FUNCTIONS, Kind
from simulators import registers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from edge.registers import Quantity, RegisterMap

HOST: Final = "127.0.0.1"
SWING_S: Final = 600.0
MEAN_KW, SWING_KW = 60.0, 25.0
FIRST_KWH: Final = 12_345.6
_STEADY: Final = {"V": 230.0, "A": 90.0, "Hz": 50.0, "VA": 66_000.0, "var": 21_000.0, "": 0.95}


@dataclass(frozen=True, slots=True)
class Manners:
    """How the meter behaves: late, never, without some values, or with its words the other way."""

    delay_s: float = 0.0
    silent: bool = False
    swap_words: bool = False
    not_available: tuple[str, ...] = ()


def shown(quantity: Quantity, elapsed_s: float) -> float:
    """Return what a quantity shows so long after the start: a count, or a figure in its unit."""
    phase = 2 * math.pi * elapsed_s / SWING_S
    power_kw = MEAN_KW + SWING_KW * math.sin(phase)
    if quantity.counter:
        swung = SWING_KW * SWING_S / (2 * math.pi) * (1 - math.cos(phase))
        energy_kwh = FIRST_KWH + (MEAN_KW * elapsed_s + swung) / 3_600
        return int(energy_kwh / float(quantity.unit_per_count))
    if quantity.unit in ("W", "kW"):
        return power_kw * (1_000.0 if quantity.unit == "W" else 1.0)
    return _STEADY.get(quantity.unit, 1.0) * (1 + 0.002 * math.sin(phase))


class PracticeMeter:
    """One meter of a model behind one port."""

    def __init__(
        self,
        model: str,
        clock: Callable[[], datetime],
        *,
        unit_id: int = 1,
        rtu: bool = False,
        manners: Manners | None = None,
    ) -> None:
        self.map: RegisterMap = registermaps.builtin(model)
        self._manners = manners or Manners()
        unknown = [n for n in self._manners.not_available if n not in self.map.quantities]
        if unknown:
            message = f"{model} has no {unknown[0]!r}: it has {', '.join(self.map.quantities)}"
            raise Misconfigured([Problem("--not-available", message)])
        self._clock = clock
        self._began_us = to_us(clock())
        self._unit_id = unit_id
        self._rtu = rtu
        self.port = 0
        self._quantities = [q for q in self.map.quantities.values() if self._is_shown(q)]
        self._functions = {quantity.function for quantity in self._quantities}
        first = min(q.address for q in self._quantities)
        last = max(q.address + q.words for q in self._quantities)
        self._device = SimDevice(
            id=unit_id,
            simdata=[SimData(first, count=last - first, values=0, datatype=DataType.REGISTERS)],
            action=self._act,
        )

    @property
    def told(self) -> str:
        """Return the table of edge.toml that reads this meter, on a site `demo`."""
        driver = "modbus-rtu-tcp" if self._rtu else "modbus-tcp"
        points = [
            f'"demo.practice.{name.replace("_", "-")}" = "{name}"'
            for name, quantity in self.map.quantities.items()
            if quantity.kind is not Kind.STRING
        ]
        return "\n".join(
            [
                "[[device]]",
                'name = "practice"',
                f'driver = "{driver}"',
                f'host = "{HOST}"',
                f"port = {self.port}",
                f"unit_id = {self._unit_id}",
                f'model = "{self.map.name}"',
                "period_s = 1",
                "[device.points]",
                *points,
            ]
        )

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[PracticeMeter]:
        """Serve inside the block; port 0 takes a free one, `port` tells which."""
        framer = FramerType.RTU if self._rtu else FramerType.SOCKET
        server = ModbusTcpServer([self._device], framer=framer, address=(HOST, port))
        try:
            await server.serve_forever(background=True)
        except (RuntimeError, OSError) as error:
            message = f"port {port} on {HOST} can not be had: take another"
            raise Misconfigured([Problem("--port", message)]) from error
        listening = cast("asyncio.Server", server.transport)
        try:
            self.port = int(listening.sockets[0].getsockname()[1])
            yield self
        finally:
            await server.shutdown()  # type: ignore[no-untyped-call]  # untyped in pymodbus

    def _is_shown(self, quantity: Quantity) -> bool:
        """Leave out what is only the difference of others, and texts and bits."""
        plain = quantity.kind not in (Kind.STRING, Kind.BIT) and not quantity.helpers
        return plain and quantity.function not in BIT_FUNCTIONS

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
        if self._manners.silent:
            await asyncio.Event().wait()
        if self._manners.delay_s:
            await asyncio.sleep(self._manners.delay_s)
        elapsed_s = (to_us(self._clock()) - self._began_us) / 1e6
        for quantity in self._quantities:
            if quantity.address < address + count and address < quantity.address + quantity.words:
                low = quantity.address - start_address
                words = self._words(quantity, elapsed_s)
                current_registers[low : low + quantity.words] = words
        return None

    def _words(self, quantity: Quantity, elapsed_s: float) -> list[int]:
        if quantity.name in self._manners.not_available:
            return _marked(quantity)
        value = shown(quantity, elapsed_s)
        if quantity.unit == "" and not quantity.counter:
            value = min(value, 1.0)
        words = registers.words(quantity, value)
        return words[::-1] if self._manners.swap_words else words


def _marked(quantity: Quantity) -> list[int]:
    """Return what a meter sends where it has no value: its marker, or a NaN, or all ones."""
    if quantity.not_available:
        marker = min(quantity.not_available)
        return [marker >> 16 * place & 0xFFFF for place in reversed(range(quantity.words))]
    if quantity.kind.is_float:
        return [0x7FC0, *[0] * (quantity.words - 1)]
    return [0xFFFF] * quantity.words
