"""The bus against a gateway that is not pymodbus: every framing, no write, no stale answer."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from core.clock import utc_now
from core.errors import Retryable
from core.quality import Quality
from edge import registermaps
from edge.modbus.bus import Ask, Bus, Framing, Refused, Route
from edge.modbus.meter import AGAIN_AFTER_POLLS, ModbusMeter
from tests.edge.gateway import Gateway, Unit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAP = """
title = "T"
source = "S"
firmware = "F"
[quantity.energy]
address = 10
type = "uint32"
counter = true
unit = "kWh"
[quantity.power]
address = 20
type = "int16"
function = 4
unit = "W"
[quantity.is_running]
address = 7
type = "bit"
function = 1
[quantity.is_tripped]
address = 23
type = "bit"
function = 2
[quantity.serial_number]
address = 100
type = "string"
length = 4
"""
ASK = Ask(1, 3, 10, 2)


def unit() -> Unit:
    found = Unit(bits=frozenset({7}))
    found.show(10, 0x0012, 0xD687)
    found.show(20, 0xFF9C)
    found.show(100, 0x4142, 0x3132, 0, 0)
    return found


def meter_on(bus: Bus, unit_id: int = 1, timeout_s: float = 1.0, text: str = MAP) -> ModbusMeter:
    model = registermaps.parse(text, "meter.toml")
    points = {
        f"s.u.{q.name.replace('_', '-')}": q for q in model.quantities.values() if not q.length
    }
    return ModbusMeter(
        f"m{unit_id}",
        bus=bus,
        unit_id=unit_id,
        timeout_s=timeout_s,
        meter=model,
        points=points,
        clock=utc_now,
    )


@asynccontextmanager
async def reached(gateway: Gateway, framing: Framing) -> AsyncIterator[Bus]:
    """Yield a bus to a gateway by one of the three ways."""
    if framing is Framing.SERIAL:
        async with gateway.on_a_terminal() as path:
            bus = Bus(Route(framing, path, baud_rate=115_200), time.monotonic)
            yield bus
            bus.close()
        return
    async with gateway.listening():
        bus = Bus(Route(framing, "127.0.0.1", gateway.port), time.monotonic)
        yield bus
        bus.close()


@pytest.mark.parametrize("framing", list(Framing))
async def test_every_framing_gives_the_same_values_and_never_writes(framing: Framing) -> None:
    gateway = Gateway({1: unit(), 2: unit()}, rtu=framing is not Framing.TCP)
    gateway.units[2].show(10, 0, 5)
    async with reached(gateway, framing) as bus:
        first, second = meter_on(bus), meter_on(bus, 2)
        polls = [await first.poll(), await second.poll(), await first.poll()]
        seen = await first.look()
    values = [{r.point: r.value for r in polled.readings} for polled in polls]
    assert values[0] == {
        "s.u.energy": 1_234_567,
        "s.u.power": -100.0,
        "s.u.is-running": 1.0,
        "s.u.is-tripped": 0.0,
    }
    assert values[1]["s.u.energy"] == 5
    assert values[2] == values[0]
    assert [polled.faults for polled in polls] == [(), (), ()]
    assert {one.name: one.value for one in seen}["serial_number"] == "AB12"
    assert gateway.functions() == {1, 2, 3, 4}


@pytest.mark.parametrize("function", [0, 5, 6, 15, 16, 22, 23, 43, 128])
def test_a_question_that_is_no_read_can_not_be_built(function: int) -> None:
    with pytest.raises(ValueError, match="no read"):
        Ask(1, function, 0, 1)


@pytest.mark.parametrize("framing", [Framing.RTU_TCP, Framing.SERIAL])
async def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_ones(
    framing: Framing,
) -> None:
    slow = unit()
    slow.delay_s = 0.3
    gateway = Gateway({1: slow, 2: unit()}, rtu=True)
    async with reached(gateway, framing) as bus:
        text = MAP[: MAP.index("[quantity.power]")]
        meter, other = meter_on(bus, timeout_s=0.2, text=text), meter_on(bus, 2, text=text)
        late = await meter.poll()
        slow.show(10, 0, 42)  # what stands in the meter when it is asked again
        slow.delay_s = 0.15  # a line keeps the order: the late answer comes first
        between = await other.poll()
        again = await meter.poll()
    assert late.readings == []
    assert "did not answer within 0.2 s" in late.faults[0]
    assert [r.value for r in between.readings] == [1_234_567]
    assert [r.value for r in again.readings] == [42]


async def test_a_late_answer_on_tcp_is_told_by_its_number() -> None:
    slow = unit()
    slow.delay_s = 0.2
    gateway = Gateway({1: slow, 2: unit()})
    async with gateway.listening():
        bus = Bus(Route(Framing.TCP, "127.0.0.1", gateway.port), time.monotonic)
        bus.users = 2
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await bus.read(ASK)
        bus.silent(1)
        slow.show(10, 0, 42)
        slow.delay_s = 0.15  # the late answer comes first
        assert await bus.read(ASK) == bytes([0, 0, 0, 42])
        assert gateway.connections == 1  # one silent unit does not cost the line its connection
        bus.close()


async def test_a_line_on_which_nothing_answers_is_connected_anew() -> None:
    dead = Unit(silent=True)
    gateway = Gateway({1: dead, 2: dead})
    async with gateway.listening():
        bus = Bus(Route(Framing.TCP, "127.0.0.1", gateway.port), time.monotonic)
        meters = [meter_on(bus, 1, 0.05), meter_on(bus, 2, 0.05)]
        for meter in meters:
            await meter.poll()
        dead.silent = False
        dead.show(10, 0, 1)
        assert len((await meters[0].poll()).readings) == 4
        assert gateway.connections == 2
        bus.close()


async def test_a_gateway_that_hangs_up_ends_the_question_at_once() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(12)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    bus = Bus(Route(Framing.TCP, "127.0.0.1", server.sockets[0].getsockname()[1]), time.monotonic)
    async with asyncio.timeout(2):
        with pytest.raises(Retryable, match="hung up"):
            await bus.read(ASK)
    bus.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("rtu", [False, True])
async def test_rubbish_is_no_value_and_the_next_unit_is_read(rtu: bool) -> None:  # noqa: FBT001 - a case
    gateway = Gateway({1: Unit(garbage=True), 2: unit()}, rtu=rtu)
    async with reached(gateway, Framing.RTU_TCP if rtu else Framing.TCP) as bus:
        broken, well = meter_on(bus, 1, 0.1), meter_on(bus, 2)
        for _ in range(4):
            assert (await broken.poll()).readings == []
            polled = await well.poll()
            assert {r.point: r.value for r in polled.readings}["s.u.energy"] == 1_234_567


@pytest.mark.parametrize(
    ("code", "told"),
    [(6, "is busy"), (10, "gateway has no path to it"), (11, "behind the gateway did not answer")],
)
async def test_an_exception_is_told_by_its_name(code: int, told: str) -> None:
    gateway = Gateway({1: Unit(exception=code)})
    async with reached(gateway, Framing.TCP) as bus:
        with pytest.raises(Refused, match=told):
            await bus.read(ASK)


LONG = """
title = "T"
source = "S"
firmware = "F"
""" + "".join(
    f'[quantity.q{address}]\naddress = {address}\ntype = "uint16"\n' for address in range(40)
)


async def test_a_meter_that_takes_fewer_registers_than_its_map_says_is_asked_by_halves() -> None:
    short = Unit(most=12)
    gateway = Gateway({1: short})
    async with reached(gateway, Framing.TCP) as bus:
        meter = meter_on(bus, text=LONG)
        first = await meter.poll()
        asked = len(short.asked)
        second = await meter.poll()
    assert len(first.readings) == len(second.readings) == 40
    assert first.faults == second.faults == ()
    assert [count for _, _, _, count in short.asked[asked:]] == [10, 10, 10, 10]


async def test_a_register_that_is_not_there_costs_its_own_point_only_and_is_remembered() -> None:
    holed = Unit(known=frozenset(range(40)) - {17})
    gateway = Gateway({1: holed})
    async with reached(gateway, Framing.TCP) as bus:
        meter = meter_on(bus, text=LONG)
        first = await meter.poll()
        asked = len(holed.asked)
        second = await meter.poll()
        asked_second = len(holed.asked) - asked
        for _ in range(AGAIN_AFTER_POLLS):
            await meter.poll()
        questions = [address for _, _, address, count in holed.asked if (address, count) == (17, 1)]
    assert len(first.readings) == len(second.readings) == 39
    assert second.faults == ("m1 () has no such register: 1 from 17",)
    assert asked_second == meter.blocks - 1
    assert len(questions) == 2


async def test_a_value_whose_scale_did_not_come_is_a_gap_and_one_not_available_is_bad() -> None:
    text = """
title = "T"
source = "S"
firmware = "F"
[quantity.exponent]
address = 0
type = "int16"
not_available = ["0x8000"]
[quantity.energy]
address = 500
type = "uint32"
counter = true
exponent = "exponent"
least = -3
"""
    holder = Unit()
    holder.show(0, 0xFFFE)
    holder.show(500, 0, 7)
    gateway = Gateway({1: holder})
    async with reached(gateway, Framing.TCP) as bus:
        meter = meter_on(bus, text=text)
        well = await meter.poll()
        holder.show(0, 0x8000)
        unknown = await meter.poll()
        holder.known = frozenset({500, 501})
        gap = await meter.poll()
    assert {r.point: r.value for r in well.readings} == {"s.u.exponent": -2.0, "s.u.energy": 70}
    bad = {r.point: (r.value, r.quality) for r in unknown.readings}
    assert bad["s.u.energy"] == (None, Quality.BAD)
    assert gap.readings == []
    assert len(gap.faults) >= 1


async def test_an_adapter_that_echoes_is_read_where_it_is_said_so() -> None:
    gateway = Gateway({1: unit()}, rtu=True)
    gateway.echo = True
    async with gateway.on_a_terminal() as path:
        route = Route(Framing.SERIAL, path, baud_rate=115_200, echo=True)
        bus = Bus(route, time.monotonic)
        assert await bus.read(ASK) == bytes([0x00, 0x12, 0xD6, 0x87])
        bus.close()


async def test_a_serial_port_that_is_not_there_is_a_sentence() -> None:
    bus = Bus(Route(Framing.SERIAL, "/dev/ttyNOWHERE0"), time.monotonic)
    with pytest.raises(Retryable, match="can not be opened: see its path"):
        await bus.read(ASK)
