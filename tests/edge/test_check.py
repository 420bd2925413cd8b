"""`danhao edge check` on meters that are not as their map says: each row says what is wrong."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import pytest

from core.clock import utc_now
from edge import check, registermaps
from edge.driver import Seen, Station
from edge.modbus import look
from edge.modbus.bus import Bus, Framing, Route
from edge.modbus.meter import ModbusMeter
from edge.registers import Kind, Quantity
from tests.edge.gateway import Gateway, Unit

if TYPE_CHECKING:
    from edge.check import Checked

HEAD = 'title = "T"\nsource = "S"\nfirmware = "F"\n'
MAP = (
    HEAD
    + """
[quantity.voltage]
address = 0
type = "float32"
unit = "V"
[quantity.current]
address = 2
type = "uint16"
unit = "A"
not_available = ["0xFFFF"]
[quantity.energy]
address = 10
type = "uint32"
unit = "kWh"
scale = "0.01"
counter = true
[quantity.frequency]
address = 20
type = "uint16"
scale = "0.01"
unit = "Hz"
[quantity.maker]
address = 40
type = "string"
length = 3
"""
)


def f32(value: float) -> tuple[int, ...]:
    return struct.unpack(">2H", struct.pack(">f", value))


def well() -> Unit:
    unit = Unit()
    unit.show(0, *f32(230.5))
    unit.show(2, 5)
    unit.show(10, 0x0012, 0xD687)
    unit.show(20, 5_000)
    unit.show(40, 0x4143, 0x4D45, 0)
    return unit


async def checked(unit: Unit, timeout_s: float = 0.5) -> Checked:
    gateway = Gateway({1: unit})
    async with gateway.listening():
        model = registermaps.parse(MAP, "meter.toml")
        meter = ModbusMeter(
            "m1",
            bus=Bus(Route(Framing.TCP, "127.0.0.1", gateway.port), time.monotonic),
            unit_id=1,
            timeout_s=timeout_s,
            meter=model,
            points={f"s.u.{q.name}": q for q in model.quantities.values() if not q.length},
            clock=utc_now,
        )
        (found,) = await check.check([Station(meter, "tcp", 1.0, timeout_s, "T", "here")])
    return found


def warnings(found: Checked) -> dict[str, str]:
    return {one.name: "; ".join(one.warnings) for one in found.seen if one.warnings}


async def test_a_meter_as_its_map_says_is_well() -> None:
    found = await checked(well())
    assert found.ok
    assert found.item()["texts"] == {"maker": "ACME"}
    rows = {one.name: (one.raw, one.value, one.unit, one.count) for one in found.seen}
    assert rows["voltage"] == ("4366 8000", "230.5", "V", 230.5)
    assert rows["energy"] == ("0012 d687", "12345.67", "kWh", 1_234_567)
    assert all(one.latency_ms and one.latency_ms > 0 for one in found.seen)


async def test_a_wrong_word_order_is_suspected_with_the_figure_of_the_likely_one() -> None:
    unit = well()
    unit.show(0, *reversed(f32(230.5)))
    found = await checked(unit)
    assert not found.ok
    assert warnings(found) == {
        "voltage": "wrong word order suspected: with order CDAB it would show 230.5 V"
    }


async def test_not_available_a_missing_register_and_an_odd_figure_are_told_apart() -> None:
    unit = well()
    unit.show(2, 0xFFFF)
    unit.known = frozenset({0, 1, 2, 10, 11, 40, 41, 42})
    told = warnings(await checked(unit))
    assert told == {
        "current": "not available: the meter marks it so, or it is no number",
        "frequency": "has no such register: 1 from 20 (exception 2)",
    }


@pytest.mark.parametrize(("code", "told"), [(4, "failed"), (6, "is busy"), (11, "did not answer")])
async def test_an_exception_is_told_by_its_name(code: int, told: str) -> None:
    unit = well()
    unit.exception = code
    found = await checked(unit)
    assert set(warnings(found)) == {"voltage", "current", "energy", "frequency"}
    assert all(told in each and f"exception {code}" in each for each in warnings(found).values())


async def test_a_meter_that_says_nothing_is_asked_once_and_told_once() -> None:
    unit = Unit(silent=True)
    found = await checked(unit, 0.05)
    assert len(unit.asked) == 1
    lines = list(check.table([found]))
    assert lines[1] == "  all 4 points: no answer within 0.05 s"
    assert lines[-1] == "4 points read, 4 to look at"


@pytest.mark.parametrize(
    ("kind", "unit", "value"),
    [("float32", "V", 230.5), ("float32", "Hz", 50.0), ("float64", "kWh", 1_234_567.8)],
)
def test_every_order_is_told_from_every_other_where_the_figure_gives_it_away(
    kind: str, unit: str, value: float
) -> None:
    natural = Quantity("x", 0, Kind(kind), unit=unit, order="ABCDEFGH"[: 2 * Kind(kind).words])
    data = struct.pack(">f" if kind == "float32" else ">d", value)
    swapped = b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2))
    assert look.suspected(natural, data) == ""
    assert "wrong word order suspected" in look.suspected(natural, swapped)


@pytest.mark.parametrize("value", [0, 1, 230, 65_535, 100_000])
def test_a_likely_figure_raises_no_suspicion(value: int) -> None:
    quantity = Quantity("x", 0, Kind.UINT32, unit="kWh", counter=True, order="ABCD")
    assert look.suspected(quantity, value.to_bytes(4, "big")) == ""


def test_columns_stand_under_their_heads_whatever_the_script() -> None:
    rows = [
        Seen("s.u.a", "电压", "0000", 1.0, "1", "V", "good", 1.5),
        Seen("s.u.long-name", "power", "0000 0001", 2.0, "2000", "W", "good", 12.25),
    ]
    head, first, second = list(check.table([check.Checked("m", "T", "w", tuple(rows))]))[1:4]
    assert head.index("RAW") == second.index("0000 0001")
    assert first.rstrip().endswith("1.5")
    assert second.rstrip().endswith("12.2")
