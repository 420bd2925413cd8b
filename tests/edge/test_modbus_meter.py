"""The Modbus driver against a real server: values, gaps, refusals, and a meter that is gone."""

from __future__ import annotations

import asyncio
import socket
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pymodbus.constants import ExcCodes

from core.clock import to_us
from core.quality import Quality
from core.reading import Reading
from edge import registermaps
from edge.modbus.bus import Bus, Framing, Route
from edge.modbus.meter import ModbusMeter
from tests.edge.meters import Meter, serving

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
ENERGY, POWER, VOLTAGE = "gh-al.p.energy", "gh-al.p.power", "gh-al.p.voltage"
POINTS = {ENERGY: "import_active_energy", POWER: "power_total", VOLTAGE: "voltage_l1"}


def driver(port: int, model: str = "acrel_adw300", **other: Any) -> ModbusMeter:
    meter = registermaps.builtin(model)
    points = {point: meter.quantities[name] for point, name in POINTS.items()}
    given = {"unit_id": 1, "timeout_s": 2.0, "clock": lambda: NOW, **other}
    bus = Bus(Route(Framing.TCP, "127.0.0.1", port), time.monotonic)
    where = f"127.0.0.1:{port}, unit {given['unit_id']}"
    return ModbusMeter("m1", bus=bus, meter=meter, points=points, where=where, **given)


def acrel() -> Meter:
    meter = Meter()
    meter.show(20, 2_304)
    meter.show(36, 0xFFFF, 0xFF9C)
    meter.show(62, 0x0012, 0xD687)
    return meter


async def test_a_poll_gives_every_point_once_in_the_fewest_reads() -> None:
    meter = acrel()
    async with serving(meter) as port:
        reader = driver(port, monotonic=lambda: 0.0)
        polled = await reader.poll()
        await reader.close()
    at = to_us(NOW)
    assert sorted(polled.readings, key=lambda r: r.point) == [
        Reading(ENERGY, at, 1_234_567),
        Reading(POWER, at, -100.0),
        Reading(VOLTAGE, at, 230.4),
    ]
    assert polled.faults == ()
    assert meter.reads == [(3, 20, 44)]
    assert reader.counters == {ENERGY}


async def test_function_four_is_used_where_the_map_says_so() -> None:
    meter = Meter()
    meter.show(0, 0x4366, 0x3334)
    async with serving(meter) as port:
        reader = driver(port, "eastron_sdm630")
        polled = await reader.poll()
        await reader.close()
    assert {function for function, _, _ in meter.reads} == {4}
    assert meter.writes == 0
    assert {r.value for r in polled.readings if r.point == VOLTAGE} == {230.20001220703125}


async def test_what_is_not_available_comes_as_bad_without_a_value() -> None:
    meter = Meter()
    meter.show(0, 0x7FC0, 0x0000)
    async with serving(meter) as port:
        reader = driver(port, "eastron_sdm630")
        polled = await reader.poll()
        await reader.close()
    (voltage,) = (r for r in polled.readings if r.point == VOLTAGE)
    assert (voltage.value, voltage.quality) == (None, Quality.BAD)


async def test_a_meter_that_refuses_gaps_is_asked_without_them_from_then_on() -> None:
    meter = acrel()
    meter.known = frozenset({20, 36, 37, 62, 63})
    async with serving(meter) as port:
        reader = driver(port)
        first = await reader.poll()
        asked = len(meter.reads)
        second = await reader.poll()
        await reader.close()
    assert first.faults == second.faults == ()
    assert len(first.readings) == len(second.readings) == 3
    assert meter.reads[asked:] == [(3, 20, 1), (3, 36, 2), (3, 62, 2)]


async def test_a_refused_block_is_a_gap_and_a_sentence() -> None:
    meter = acrel()
    meter.fails_with = ExcCodes.DEVICE_BUSY
    async with serving(meter) as port:
        reader = driver(port)
        polled = await reader.poll()
        meter.fails_with = None
        again = await reader.poll()
        await reader.close()
    assert polled.readings == []
    assert polled.faults == (f"m1 (127.0.0.1:{port}, unit 1) is busy: 44 from 20",)
    assert len(again.readings) == 3


async def test_a_meter_that_is_not_there_is_a_gap_and_comes_back() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    reader = driver(port, timeout_s=0.5)
    polled = await reader.poll()
    assert polled.readings == []
    assert "can not be connected to" in polled.faults[0]
    async with serving(acrel(), port=port):
        assert len((await reader.poll()).readings) == 3
    gone = await reader.poll()
    assert gone.readings == []
    assert gone.faults
    async with serving(acrel(), port=port):
        assert len((await reader.poll()).readings) == 3
        await reader.close()


async def test_a_meter_that_says_nothing_costs_one_deadline_and_no_late_answer_is_used() -> None:
    hung_up = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader = driver(port, timeout_s=0.2)
    begun = asyncio.get_running_loop().time()
    polled = await reader.poll()
    assert asyncio.get_running_loop().time() - begun < 1.0
    assert polled.readings == []
    assert "did not answer within 0.2 s" in polled.faults[0]
    await asyncio.wait_for(hung_up.wait(), 5)
    server.close()
    await server.wait_closed()


async def test_another_unit_behind_the_same_port_is_another_meter() -> None:
    first, second = acrel(), Meter(2)
    second.show(20, 1_000)
    async with serving(first, second) as port:
        readers = [driver(port), driver(port, unit_id=2)]
        polls = await asyncio.gather(*(reader.poll() for reader in readers))
        for reader in readers:
            await reader.close()
    volts = [r.value for polled in polls for r in polled.readings if r.point == VOLTAGE]
    assert volts == [230.4, 100.0]


@pytest.mark.parametrize("unit_id", [9])
async def test_a_unit_that_is_not_there_is_a_gap(unit_id: int) -> None:
    async with serving(acrel()) as port:
        reader = driver(port, unit_id=unit_id, timeout_s=0.3)
        polled = await reader.poll()
        await reader.close()
    assert polled.readings == []
    assert len(polled.faults) == 1


async def test_a_reading_bears_the_instant_half_way_between_question_and_answer() -> None:
    ticks = iter([0.0, 0.0, 0.2])  # a poll begins, asks, is answered
    async with serving(acrel()) as port:
        reader = driver(port, monotonic=lambda: next(ticks), most_doubt_s=0.1)
        polled = await reader.poll()
        await reader.close()
    assert {r.measured_us for r in polled.readings} == {to_us(NOW) + 100_000}
    assert polled.late == 0


async def test_a_count_whose_instant_is_in_doubt_is_left_out_and_counted() -> None:
    ticks = iter([0.0, 0.0, 0.201])
    async with serving(acrel()) as port:
        reader = driver(port, monotonic=lambda: next(ticks), most_doubt_s=0.1)
        polled = await reader.poll()
        await reader.close()
    assert {r.point for r in polled.readings} == {POWER, VOLTAGE}
    assert (polled.late, polled.faults) == (1, ())
