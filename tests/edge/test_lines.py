"""30 meters with real sockets: one answers after 10 s, one never, one rubbish; 27 keep time."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from core.clock import to_us, utc_now
from edge import registermaps
from edge.breaker import State
from edge.driver import Station
from edge.lines import Line, MeterCounts, by_line
from edge.modbus.bus import Bus, Framing, Route
from edge.modbus.meter import ModbusMeter
from tests.edge.gateway import Gateway, Unit

if TYPE_CHECKING:
    from edge.driver import Polled

METERS, PERIOD_S, TIMEOUT_S, RUN_S = 30, 1.0, 0.25, 7.3
FOUND_S = 2.3
SLOW, DEAD, RUBBISH = 3, 17, 29
MAP = registermaps.parse(
    'title = "T"\nsource = "S"\nfirmware = "F"\n'
    '[quantity.energy]\naddress = 10\ntype = "uint32"\ncounter = true\n',
    "meter.toml",
)


def now_us() -> int:
    return to_us(utc_now())


def units() -> dict[int, Unit]:
    found = {number: Unit(delay_s=0.002) for number in range(1, METERS + 1)}
    for number, unit in found.items():
        unit.show(10, 0, number)
    found[SLOW].delay_s = 10.0
    found[DEAD].silent = True
    found[RUBBISH].garbage = True
    return found


def stations(places: dict[int, tuple[Gateway, Bus]]) -> list[Station]:
    made = []
    for number, (gateway, bus) in places.items():
        meter = ModbusMeter(
            f"m{number}",
            bus=bus,
            unit_id=number,
            timeout_s=TIMEOUT_S,
            meter=MAP,
            points={f"s.m{number}.energy": MAP.quantities["energy"]},
            clock=utc_now,
        )
        made.append(Station(meter, f"tcp {gateway.port}", PERIOD_S, TIMEOUT_S))
    return made


async def polled(made: list[Station], run_s: float) -> tuple[dict[str, MeterCounts], list[Polled]]:
    counts = {station.driver.name: MeterCounts() for station in made}
    taken: list[Polled] = []
    lines = [
        Line(members, counts, taken.append, now_us=now_us, monotonic=time.monotonic)
        for members in by_line(made).values()
    ]
    async with asyncio.TaskGroup() as tasks:
        for line in lines:
            tasks.create_task(line.run())
        await asyncio.sleep(FOUND_S)
        for one in counts.values():
            one.missed = 0  # the first rounds find the dead ones, at the price of their time-outs
        await asyncio.sleep(run_s - FOUND_S)
        for line in lines:
            line.stop()
    return counts, taken


def assert_the_27_keep_their_period(
    asked: dict[int, Unit], counts: dict[str, MeterCounts], taken: list[Polled]
) -> None:
    ill = {SLOW, DEAD, RUBBISH}
    for number in asked.keys() - ill:
        # The first two rounds find the dead ones; from then on the line is as it stays.
        begun = [at_s for at_s, *_ in asked[number].asked][2:]
        assert len(begun) >= 4, number
        period_s = (begun[-1] - begun[0]) / (len(begun) - 1)
        assert abs(period_s - PERIOD_S) <= 0.05 * PERIOD_S, (number, begun)
        assert (counts[f"m{number}"].missed, counts[f"m{number}"].failures) == (0, 0), number
    for number in ill:
        assert counts[f"m{number}"].readings == 0
        assert counts[f"m{number}"].state is State.OUT
        assert counts[f"m{number}"].failures >= 2
    values = {(r.point, r.value) for each in taken for r in each.readings}
    assert values == {(f"s.m{n}.energy", n) for n in asked.keys() - ill}


async def on_lines_of_their_own() -> None:
    asked = units()
    async with AsyncExitStack() as stack:
        places = {}
        for number, unit in asked.items():
            gateway = await stack.enter_async_context(Gateway({number: unit}).listening())
            route = Route(Framing.TCP, "127.0.0.1", gateway.port)
            places[number] = gateway, Bus(route, time.monotonic)
        counts, taken = await polled(stations(places), RUN_S)
    assert_the_27_keep_their_period(asked, counts, taken)


async def behind_one_gateway(framing: Framing) -> None:
    asked = units()
    gateway = Gateway(asked, rtu=framing is Framing.RTU_TCP)
    async with gateway.listening():
        bus = Bus(Route(framing, "127.0.0.1", gateway.port), time.monotonic)
        made = stations(dict.fromkeys(asked, (gateway, bus)))
        counts, taken = await polled(made, RUN_S)
    assert_the_27_keep_their_period(asked, counts, taken)


@pytest.mark.slow
async def test_27_of_30_meters_keep_their_period_on_lines_of_their_own_and_on_one() -> None:
    """Three plants side by side, since what takes the time is the meters' period."""
    await asyncio.gather(
        on_lines_of_their_own(),
        behind_one_gateway(Framing.TCP),
        behind_one_gateway(Framing.RTU_TCP),
    )
