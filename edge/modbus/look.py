"""What `danhao edge check` shows of a Modbus meter: raw words, what they mean, what looks wrong."""

from __future__ import annotations

import math
import struct
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from core.errors import Retryable
from edge import blocks, registers
from edge.driver import Seen
from edge.modbus.bus import Ask, Refused
from edge.registers import BIT_FUNCTIONS, Kind, orders

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge.blocks import Block
    from edge.modbus.bus import Bus
    from edge.registers import Limits, Quantity, RegisterMap, Value

# What a figure can be on a plant, by its unit: from, to, and the least that is not just zero.
_PLAUSIBLE: Final[dict[str, tuple[float, float, float]]] = {
    "V": (-1e6, 1e6, 1e-3),
    "kV": (-1e3, 1e3, 1e-6),
    "A": (-1e6, 1e6, 1e-6),
    "W": (-1e10, 1e10, 1e-3),
    "kW": (-1e7, 1e7, 1e-6),
    "VA": (-1e10, 1e10, 1e-3),
    "var": (-1e10, 1e10, 1e-3),
    "Hz": (10.0, 1e3, 10.0),
    "kWh": (-1e10, 1e10, 1e-6),
    "": (-1e7, 1e7, 1e-6),
}
_FALLBACK: Final = (-1e12, 1e12, 1e-9)
TEXT: Final = "text"


@dataclass(frozen=True, slots=True)
class Came:
    """The bytes of one quantity and how long they took, or why there are none."""

    quantity: Quantity
    data: bytes | None = None
    bit: int | None = None
    latency_ms: float | None = None
    fault: str = ""


class Look:
    """One look at a meter: each block once, and each value alone where its block is refused."""

    def __init__(self, bus: Bus, unit_id: int, timeout_s: float, limits: Limits) -> None:
        self._bus = bus
        self._unit_id = unit_id
        self._timeout_s = timeout_s
        self._limits = limits

    async def at(self, quantities: Sequence[Quantity]) -> dict[str, Came]:
        """Return what came for each quantity, by its name; a silent meter is asked once."""
        found: dict[str, Came] = {}
        plan = blocks.plan(quantities, self._limits)
        for position, block in enumerate(plan):
            came = await self._block(block)
            found.update({one.quantity.name: one for one in came})
            if all(one.fault and one.latency_ms is None for one in came):
                left = [q for later in plan[position + 1 :] for q in later.quantities]
                found.update({q.name: Came(q, fault=came[0].fault) for q in left})
                break
        return found

    async def _block(self, block: Block) -> list[Came]:
        began_s = time.perf_counter()
        ask = Ask(self._unit_id, block.function, block.address, block.count)
        try:
            self._bus.begin(self._timeout_s)
            data = await self._bus.read(ask)
        except Refused as refusal:
            if len(block.quantities) > 1 and not self._limits.whole_block:
                alone = [blocks.plan([q], self._limits)[0] for q in block.quantities]
                return [came for one in alone for came in await self._block(one)]
            took_ms = _since_ms(began_s)
            asked = f"{block.count} from {block.address}"
            fault = f"{refusal}: {asked} (exception {refusal.code})"
            return [Came(q, latency_ms=took_ms, fault=fault) for q in block.quantities]
        except TimeoutError:
            self._bus.silent(self._unit_id)
            fault = f"no answer within {self._timeout_s:g} s"
            return [Came(q, fault=fault) for q in block.quantities]
        except (Retryable, ValueError) as error:
            self._bus.close()
            return [Came(q, fault=str(error)) for q in block.quantities]
        finally:
            self._bus.end()
        took_ms = _since_ms(began_s)
        return [_cut(block, quantity, data, took_ms) for quantity in block.quantities]


def texts(meter: RegisterMap, shift: int) -> list[Quantity]:
    """Return the texts of a map: what a meter says it is."""
    return [
        replace(quantity, address=quantity.address + shift)
        for quantity in meter.quantities.values()
        if quantity.kind is Kind.STRING
    ]


def shown(
    points: Mapping[str, Quantity], quantities: Mapping[str, Quantity], came: Mapping[str, Came]
) -> list[Seen]:
    """Return a row for each point, in order, and for each text that the meter gave."""
    rows = [_point(point, points[point], quantities, came) for point in sorted(points)]
    rows.extend(
        Seen(
            "",
            one.quantity.name,
            one.data.hex(" ", 2),
            None,
            registers.text(one.quantity, one.data),
            TEXT,
            "good",
            one.latency_ms,
        )
        for one in came.values()
        if one.quantity.kind is Kind.STRING and one.data is not None
    )
    return rows


def _point(
    point: str,
    quantity: Quantity,
    quantities: Mapping[str, Quantity],
    came: Mapping[str, Came],
) -> Seen:
    own = came[quantity.name]
    involved = [own, *(came[f"{name} (bare)"] for name in quantity.helpers)]
    faults = list(dict.fromkeys(one.fault for one in involved if one.fault))
    raw = "" if own.data is None else own.data.hex(" ", 2)
    seen = Seen(point, quantity.name, raw, unit=quantity.unit, latency_ms=own.latency_ms)
    if faults:
        return replace(seen, warnings=tuple(faults))
    value = _value(own)
    if quantity.helpers:
        helpers = {
            name: (quantities[name], _value(one))
            for name, one in zip(quantity.helpers, involved[1:], strict=True)
        }
        value = registers.combined(quantity, value, helpers)
    if value is None:
        return replace(seen, warnings=("not available: the meter marks it so, or it is no number",))
    display = _display(quantity, value)
    found = replace(seen, count=value, value=display, quality="good")
    suspicion = "" if own.data is None else suspected(quantity, own.data)
    return replace(found, warnings=(suspicion,)) if suspicion else found


def _value(one: Came) -> Value:
    if one.bit is not None:
        return float(one.bit)
    return None if one.data is None else registers.decoder(one.quantity)(one.data)


def _display(quantity: Quantity, value: float) -> str:
    """Return what the meter's own display should show."""
    if quantity.counter:
        return f"{value * quantity.unit_per_count:f}"  # type: ignore[operator]  # counters are ints
    return f"{value:.6g}"


def _cut(block: Block, quantity: Quantity, data: bytes, latency_ms: float) -> Came:
    if quantity.function in BIT_FUNCTIONS:
        byte, bit = divmod(quantity.address - block.address, 8)
        return Came(quantity, data[byte : byte + 1], data[byte] >> bit & 1, latency_ms)
    low = 2 * (quantity.address - block.address)
    return Came(quantity, data[low : low + 2 * quantity.words], None, latency_ms)


def suspected(quantity: Quantity, data: bytes) -> str:
    """Return what hints at a wrong word order, "" where nothing does.

    A figure that its unit can not have, while another order of the same bytes gives one that it
    can: a guess, which only the meter's own display proves.
    """
    if quantity.words < 2 or quantity.kind is Kind.STRING or quantity.helpers:  # noqa: PLR2004
        return ""
    if _is_plausible(quantity, data):
        return ""
    for order in orders(quantity.words):
        other = replace(quantity, order=order)
        if order != quantity.order and _is_plausible(other, data):
            value = registers.decoder(other)(data)
            if value is not None:
                return (
                    f"wrong word order suspected: with order {order} it would show"
                    f" {_display(quantity, value)} {quantity.unit}".rstrip()
                )
    return f"{_told(quantity, data)} is no likely figure: compare type, order and address"


def _told(quantity: Quantity, data: bytes) -> str:
    value = registers.decoder(quantity)(data)
    return "what came" if value is None else f"{_display(quantity, value)} {quantity.unit}".rstrip()


def _is_plausible(quantity: Quantity, data: bytes) -> bool:
    value = registers.decoder(quantity)(data)
    if value is None:
        return False
    figure = float(value * quantity.unit_per_count) if quantity.counter else float(value)  # type: ignore[operator]  # counters are ints
    low, high, least = _PLAUSIBLE.get(quantity.unit, _FALLBACK)
    if figure == 0:
        # A float of a swapped order is hardly ever a clean zero: a zero is what it says.
        return not any(data)
    return low <= figure <= high and abs(figure) >= least and not _is_denormal(quantity, data)


def _is_denormal(quantity: Quantity, data: bytes) -> bool:
    """Tell whether a float is so small that no meter means it."""
    if quantity.kind is not Kind.FLOAT32:
        return False
    (number,) = struct.unpack(">f", registers.arranged(quantity, data))
    return bool(number) and math.fabs(number) < 1e-30  # noqa: PLR2004 - a float32 of swapped words


def _since_ms(began_s: float) -> float:
    return round((time.perf_counter() - began_s) * 1_000, 2)
