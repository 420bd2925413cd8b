"""Meters as a foreign Modbus client sees them, decoded here by struct alone."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pymodbus.client import AsyncModbusTcpClient

from core.clock import to_us
from core.errors import Misconfigured
from edge import registermaps as maps
from edge import registers as edge_registers
from simulators import modbus_meter, process, registers
from simulators.modbus_meter import Meters
from simulators.processfile import MeterTable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PLANTS = Path(process.__file__).parent / "plants"
NOW = datetime(2026, 11, 21, 8, 0, 0, 123456, tzinfo=UTC)
ILLEGAL_FUNCTION = 1


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture(scope="module")
def demo() -> process.Process:
    return process.load(PLANTS / "gh_al.toml", 1)


@pytest.fixture
async def client(demo: process.Process, hand: Hand) -> AsyncIterator[AsyncModbusTcpClient]:
    async with Meters(demo, demo.meters, hand).serving() as meters:
        assert meters.port > 0
        reader = AsyncModbusTcpClient(modbus_meter.HOST, port=meters.port)
        await reader.connect()
        yield reader
        reader.close()


async def test_the_energy_register_is_the_count_of_this_instant(
    client: AsyncModbusTcpClient, demo: process.Process, hand: Hand
) -> None:
    for _ in range(3):
        answer = await client.read_holding_registers(62, count=2, device_id=1)
        (count,) = struct.unpack(">i", struct.pack(">2H", *answer.registers))
        assert count == demo.value("gh-al.potline-1.ac-import", to_us(hand.now))
        hand.now += timedelta(minutes=7)


async def test_a_block_read_shows_float_instruments_as_their_maps_say(
    client: AsyncModbusTcpClient, demo: process.Process, hand: Hand
) -> None:
    answer = await client.read_input_registers(0, count=8, device_id=3)
    raw = struct.pack(">8H", *answer.registers)
    volts, kiloamperes = struct.unpack(">f", raw[:4])[0], struct.unpack(">f", raw[12:16])[0]
    at_us = to_us(hand.now)
    assert volts == pytest.approx(demo.value("gh-al.potline-1.line-voltage", at_us), rel=1e-6)
    assert kiloamperes == pytest.approx(demo.value("gh-al.potline-1.line-current", at_us), rel=1e-6)


def i64(*words: int) -> int:
    return int.from_bytes(struct.pack(">4H", *words), "big", signed=True)


def f64(*words: int) -> float:
    return float(struct.unpack(">d", struct.pack(">4H", *words))[0])


def f32_in_hundredths(*words: int) -> int:
    return round(float(struct.unpack(">f", struct.pack(">2H", *words))[0]) * 100)


def high_first(high: int, low: int) -> int:
    return high << 16 | low


def low_first(low: int, high: int) -> int:
    return high << 16 | low


# point, Modbus unit, function, address, how a stranger reads the words by the list, its scale
READ_BACK: list[tuple[str, int, int, int, Callable[..., float], float]] = [
    ("qh-fa.furnace-1.smelting-import", 1, 3, 3203, i64, 1),
    ("qh-fa.furnace-1.aux-import", 2, 4, 52, low_first, 1),
    ("qh-fa.furnace-1.semi-coke", 3, 3, 1015, high_first, 1),
    ("qh-fa.furnace-1.electrode-paste", 4, 3, 1015, high_first, 1),
    ("qh-fa.furnace-1.electrode-current", 5, 4, 12, low_first, 0.001),
    ("qh-fa.furnace-2.smelting-import", 6, 4, 801, f64, 1),
    ("qh-fa.furnace-2.aux-import", 7, 3, 4126, f32_in_hundredths, 1),
    ("qh-fa.furnace-2.electrode-voltage", 10, 4, 0, low_first, 0.1),
    ("qh-ce.kiln-1.main-import", 1, 3, 4126, f32_in_hundredths, 1),
    ("qh-ce.kiln-1.raw-mill-import", 2, 3, 3203, i64, 1),
    ("qh-ce.kiln-1.calciner-coal", 4, 3, 1015, high_first, 1),
    ("qh-ce.kiln-1.feed-rate", 5, 3, 1009, high_first, 0.001),
]


@pytest.mark.parametrize(("point", "unit_id", "function", "address", "read", "scale"), READ_BACK)
async def test_a_stranger_reads_every_model_by_its_makers_list(
    point: str,
    unit_id: int,
    function: int,
    address: int,
    read: Callable[..., float],
    scale: float,
    hand: Hand,
) -> None:
    name = point.partition(".")[0].replace("-", "_")
    played = process.load(PLANTS / f"{name}.toml", 1)
    async with Meters(played, played.meters, hand).serving() as meters:
        client = AsyncModbusTcpClient(modbus_meter.HOST, port=meters.port)
        await client.connect()
        ask = client.read_holding_registers if function == 3 else client.read_input_registers
        answer = await ask(address, count=4 if read in (i64, f64) else 2, device_id=unit_id)
        client.close()
    shown = played.value(point, to_us(hand.now))
    assert shown != 0
    assert scale * read(*answer.registers) == pytest.approx(shown, rel=1e-12)


@pytest.mark.parametrize("name", ["gh_al", "qh_fa", "qh_ce"])
def test_what_the_edge_decodes_is_what_the_point_shows_all_through_a_year(name: str) -> None:
    played = process.load(PLANTS / f"{name}.toml", 1)
    for meter in played.meters:
        quantities = maps.builtin(meter.model).quantities
        for point, quantity_name in meter.points.items():
            quantity = quantities[quantity_name]
            for weeks in range(0, 52, 4):
                shown = played.value(point, to_us(NOW) - weeks * 7 * 86_400 * 10**6)
                read = edge_registers.decode(quantity, registers.words(quantity, shown))
                if quantity.counter:
                    assert read == shown
                else:
                    assert read == pytest.approx(shown, rel=1e-6)


async def test_two_meters_of_one_gateway_are_told_apart_by_unit_id(
    client: AsyncModbusTcpClient, demo: process.Process, hand: Hand
) -> None:
    answer = await client.read_holding_registers(62, count=2, device_id=4)
    (count,) = struct.unpack(">i", struct.pack(">2H", *answer.registers))
    assert count == demo.value("gh-al.potline-2.ac-import", to_us(hand.now))


async def test_a_write_is_answered_with_an_exception_and_changes_nothing(
    client: AsyncModbusTcpClient,
) -> None:
    before = await client.read_holding_registers(62, count=2, device_id=1)
    for answer in (
        await client.write_register(62, 1, device_id=1),
        await client.write_registers(62, [1, 2], device_id=1),
    ):
        assert answer.isError()
        assert answer.exception_code == ILLEGAL_FUNCTION
    after = await client.read_holding_registers(62, count=2, device_id=1)
    assert after.registers == before.registers


async def test_a_function_the_model_does_not_know_is_refused(client: AsyncModbusTcpClient) -> None:
    answer = await client.read_input_registers(62, count=2, device_id=1)
    assert answer.isError()
    assert answer.exception_code == ILLEGAL_FUNCTION


async def test_an_address_outside_the_map_is_refused(client: AsyncModbusTcpClient) -> None:
    assert (await client.read_holding_registers(9_000, count=2, device_id=1)).isError()


async def test_a_busy_port_is_one_sentence(demo: process.Process, hand: Hand) -> None:
    async with Meters(demo, demo.meters, hand).serving() as first:
        with pytest.raises(Misconfigured, match=str(first.port)):
            async with Meters(demo, demo.meters, hand).serving(first.port):
                pass


def test_a_quantity_the_model_lacks_is_named(demo: process.Process, hand: Hand) -> None:
    wrong = MeterTable(
        name="m",
        unit_id=1,
        model="acrel_adw300",
        points={"gh-al.potline-1.ac-import": "steam"},
    )
    with pytest.raises(Misconfigured, match="has no 'steam'"):
        Meters(demo, [wrong], hand)


def test_a_gauge_can_not_stand_behind_an_energy_register(demo: process.Process, hand: Hand) -> None:
    wrong = MeterTable(
        name="m",
        unit_id=1,
        model="acrel_adw300",
        points={"gh-al.potline-1.line-current": "import_active_energy"},
    )
    with pytest.raises(Misconfigured, match="being a counter"):
        Meters(demo, [wrong], hand)
