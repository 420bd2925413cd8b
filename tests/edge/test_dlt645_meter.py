"""The DL/T 645 driver against simulated meters on real sockets and pseudo terminals."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from core.clock import to_us
from core.quality import Quality
from core.reading import Reading
from edge.dlt645 import frame, items, line
from edge.dlt645 import meter as driver_module
from edge.dlt645.frame import Question
from edge.dlt645.line import Line, SerialSettings, TcpSettings
from edge.dlt645.meter import Dlt645Meter
from simulators.dlt645 import SimulatedMeter, date_time, frozen_at, number
from simulators.dlt645_meter import Dlt645Line, Faults
from tests.edge.plant import until

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
LOCAL = NOW.astimezone(ZONE)
MIDNIGHT = LOCAL.replace(hour=0)
ADDRESS = "000000000161"
ENERGY, POWER = "gh-al.p.energy", "gh-al.p.power"
POINTS = {ENERGY: "forward_active_energy", POWER: "active_power_total"}
FROZEN = {"gh-al.p.daily": "daily_forward_active_energy"}
TABLE = items.builtin().items


def shown(**more: bytes) -> dict[str, bytes]:
    return {
        "00010000": number(12_345_678, 4),
        "02030000": number(-123_456, 3, signed=True),
        **date_time(LOCAL),
        **{key.removeprefix("i"): value for key, value in more.items()},
    }


def meter(address: str = ADDRESS, **more: Any) -> SimulatedMeter:
    return SimulatedMeter(address, shown(), **more)


def driver(on: Line, points: dict[str, str] | None = None, **other: Any) -> Dlt645Meter:
    given: dict[str, Any] = {
        "address": ADDRESS,
        "answer_s": 0.3,
        "timeout_s": 5.0,
        "clock": lambda: NOW,
        "zone": ZONE,
        **other,
    }
    names = POINTS if points is None else points
    return Dlt645Meter(
        "m1", line=on, points={point: TABLE[name] for point, name in names.items()}, **given
    )


def tcp(port: int) -> Line:
    return line.line(TcpSettings("127.0.0.1", port))


async def test_a_poll_gives_every_point_once() -> None:
    simulated = meter()
    async with Dlt645Line([simulated]).serving() as served:
        on = tcp(served.port)
        reader = driver(on)
        polled = await reader.poll()
        await reader.close()
    at = to_us(NOW)
    assert sorted(polled.readings, key=lambda reading: reading.point) == [
        Reading(ENERGY, at, 12_345_678),
        Reading(POWER, at, -12.3456),
    ]
    assert polled.faults == ()
    assert simulated.reads == ["00010000", "02030000"]
    assert reader.counters == {ENERGY}
    assert reader.blocks == 2


async def test_a_person_sees_the_frame_the_count_and_what_the_display_shows() -> None:
    simulated = meter()
    simulated.shows = shown(i02010100=b"\xff\xff")
    points = POINTS | FROZEN | {"gh-al.p.a": "voltage_a", "gh-al.p.q": "reactive_energy_q1"}
    async with Dlt645Line([simulated]).serving() as served:
        on = tcp(served.port)
        reader = driver(on, points)
        seen = {each.point: each for each in await reader.look()}
        await reader.close()
    energy = seen[ENERGY]
    assert (energy.count, energy.value, energy.unit, energy.quality) == (
        12_345_678,
        "123456.78",
        "kWh",
        "good",
    )
    assert energy.raw == "6861010000000068910833333433ab8967457816"
    assert energy.latency_ms is not None
    assert seen[POWER].value == "-12.3456"
    assert seen["gh-al.p.a"].warnings == ("the meter marks it as not available",)
    assert "has no data under this identifier: 00050000" in seen["gh-al.p.q"].warnings[0]
    assert "05060001" in seen["gh-al.p.daily"].warnings[-1]
    assert seen.keys() == points.keys()


async def test_nothing_but_reads_is_ever_on_the_wire() -> None:
    simulated = meter()
    simulated.shows = shown(i05060001=frozen_at(MIDNIGHT), i05060101=number(5, 4))
    points = POINTS | FROZEN | {"gh-al.p.a": "voltage_a", "gh-al.p.b": "voltage_b"}
    async with Dlt645Line([simulated]).serving() as served:
        on = tcp(served.port)
        reader = driver(on, points)
        for _ in range(3):
            await reader.poll()
        await reader.close()
        wire = bytes(served.wire)
    frames = [piece for piece in wire.split(b"\xfe\xfe\xfe\xfe") if piece]
    assert len(frames) > 9
    assert {raw[8] for raw in frames} <= {0x11, 0x12}
    assert {(raw[0], raw[7], raw[-1], len(raw)) for raw in frames} == {(0x68, 0x68, 0x16, 16)}
    assert simulated.others == 0


async def test_a_serial_line_is_read_like_a_serial_server() -> None:
    async with Dlt645Line([meter()]).on_pty() as served:
        # A pseudo terminal has no parity; a real line has the even one of the default.
        on = line.line(SerialSettings(served.path, parity="none"))
        reader = driver(on)
        polled = await reader.poll()
        with pytest.raises(OSError, match=r"."):  # one owner of the port
            await line.open_serial(SerialSettings(served.path, parity="none"))
        await reader.close()
    assert [reading.value for reading in polled.readings] == [12_345_678, -12.3456]
    assert polled.faults == ()


async def test_a_serial_port_that_is_not_there_is_a_gap_and_a_sentence() -> None:
    reader = driver(line.line(SerialSettings("/dev/ttyNOWHERE")))
    polled = await reader.poll()
    assert polled.readings == []
    assert polled.faults == (
        f"m1 (/dev/ttyNOWHERE, meter {ADDRESS}) cannot be opened: No such file or directory",
    )


async def test_several_meters_of_one_line_are_read_one_after_another() -> None:
    first, second = meter(), meter("000000000162")
    second.shows = shown(i00010000=number(7, 4))
    async with Dlt645Line([first, second]).serving() as served:
        on = tcp(served.port)
        readers = [driver(on), driver(on, address="000000000162")]
        polls = await asyncio.gather(*(reader.poll() for reader in readers))
        await readers[0].close()
        assert served.connections == 1
    values = [reading.value for polled in polls for reading in polled.readings]
    assert values == [12_345_678, -12.3456, 7, -12.3456]


async def test_a_dead_meter_costs_its_line_a_bounded_time_and_the_others_nothing() -> None:
    points = {f"gh-al.p.{name.replace('_', '-')}": name for name in list(TABLE)[:30]}
    simulated = SimulatedMeter("000000000162", shown())
    async with Dlt645Line([simulated], Faults(silent={ADDRESS})).serving() as served:
        on = tcp(served.port)
        dead = driver(on, points, answer_s=0.1)
        living = driver(on, address="000000000162")
        begun = asyncio.get_running_loop().time()
        polls = [
            polled for _ in range(9) for polled in await asyncio.gather(dead.poll(), living.poll())
        ]
        spent = asyncio.get_running_loop().time() - begun
        await dead.close()
        asked = bytes(served.wire).count(bytes.fromhex("6861010000000068"))
    assert [len(polled.readings) for polled in polls] == [0, 2] * 9
    assert "did not answer within 0.1 s" in polls[0].faults[0]
    assert "is left alone for 30 s" in polls[-2].faults[0]
    assert asked == 2  # once, once more to be sure, then nothing: never thirty
    assert 0.2 <= spent < 1.5


async def test_half_duplex_echo_noise_and_wake_up_bytes_are_passed_over() -> None:
    faults = Faults(echo=True, before=b"\x00\xff\x68\x13\xfe\xfe")
    async with Dlt645Line([meter()], faults).serving() as served:
        on = tcp(served.port)
        reader = driver(on)
        polled = await reader.poll()
        await reader.close()
    assert len(polled.readings) == 2
    assert polled.faults == ()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda raw: raw[:-2] + bytes([raw[-2] ^ 1]) + raw[-1:], "damaged answer"),
        (lambda raw: raw[:9] + raw[10:], "bytes that are no frame"),
        (lambda _: b"\x55" * 40, "sent 40 bytes that are no frame"),
        (lambda _: b"", "did not answer"),
    ],
)
async def test_a_bad_answer_is_a_gap_told_in_a_sentence(
    spoil: Callable[[bytes], bytes], sentence: str
) -> None:
    async with Dlt645Line([meter()], Faults(spoil=spoil)).serving() as served:
        on = tcp(served.port)
        reader = driver(on, answer_s=0.05)
        polled = await reader.poll()
        served.faults.spoil = None
        again = await reader.poll()
        await reader.close()
    assert polled.readings == []
    assert sentence in polled.faults[0]
    assert len(again.readings) == 2
    assert again.faults == ()


async def test_one_damaged_answer_is_asked_again_at_once() -> None:
    damaged = iter([False, False, True, False, False])

    def spoil(raw: bytes) -> bytes:
        return raw[:-3] + b"\x00" + raw[-2:] if next(damaged) else raw

    async with Dlt645Line([meter()], Faults(spoil=spoil)).serving() as served:
        on = tcp(served.port)
        reader = driver(on, answer_s=0.05)
        await reader.poll()
        polled = await reader.poll()
        await reader.close()
    assert len(polled.readings) == 2
    assert polled.faults == ()


async def test_another_meters_answer_is_not_taken_for_ours() -> None:
    other = SimulatedMeter("000000000999", shown(i00010000=number(1, 4)))
    told = other.answer(frame.question(Question("000000000999", 0x00010000), wake_bytes=0))
    assert told is not None
    async with Dlt645Line([meter()], Faults(spoil=lambda _: told)).serving() as served:
        on = tcp(served.port)
        reader = driver(on, answer_s=0.05)
        polled = await reader.poll()
        await reader.close()
    assert polled.readings == []
    assert "only frames of others came" in polled.faults[0]


@pytest.mark.parametrize("delay_s", [0.15, 0.25, 0.45])
async def test_an_answer_that_comes_too_late_is_never_taken_for_the_next_polls(
    delay_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "REST_S", 0.6)
    simulated = meter()
    faults = Faults(delay_s=delay_s)
    async with Dlt645Line([simulated], faults).serving() as served:
        on = tcp(served.port)
        reader = driver(on, {ENERGY: "forward_active_energy"}, answer_s=0.1)
        for count in range(1, 25):
            # What is read in a poll has been on the display during it, never before.
            simulated.shows = shown(i00010000=number(count, 4))
            polled = await reader.poll()
            assert [reading.value for reading in polled.readings] in ([], [count])
            assert polled.faults or polled.readings
        faults.delay_s = 0.0
        simulated.shows = shown(i00010000=number(99, 4))
        await until(lambda: reader.rests_s <= 0)
        found = [await reader.poll() for _ in range(3)]
        await reader.close()
    assert [reading.value for reading in found[-1].readings] == [99]


async def test_an_identifier_that_a_meter_ignores_costs_the_others_nothing() -> None:
    simulated = meter()
    known = dict(simulated.shows or {})

    def spoil(raw: bytes) -> bytes:
        return b"" if raw[12] & 0x40 else raw  # it says nothing where others refuse

    points = {"gh-al.p.q": "combined_active_energy"} | POINTS
    async with Dlt645Line([simulated], Faults(spoil=spoil)).serving() as served:
        on = tcp(served.port)
        reader = driver(on, points, answer_s=0.05)
        polls = [await reader.poll() for _ in range(3)]
        await reader.close()
    assert "00000000" not in known
    assert [len(polled.readings) for polled in polls] == [0, 2, 2]
    assert all("00000000 was asked" in polled.faults[0] for polled in polls)


async def test_a_refused_identifier_is_a_gap_and_a_sentence() -> None:
    points = POINTS | {"gh-al.p.q": "reactive_energy_q1"}
    async with Dlt645Line([meter()]).serving() as served:
        on = tcp(served.port)
        reader = driver(on, points)
        polled = await reader.poll()
        await reader.close()
    assert len(polled.readings) == 2
    assert polled.faults == (
        f"m1 ({on}, meter {ADDRESS}) has no data under this identifier: 00050000",
    )


async def test_a_meter_without_a_block_is_asked_in_pieces_from_then_on() -> None:
    simulated = meter()
    simulated.shows = shown(i02010100=number(2_201, 2), i02010200=number(2_202, 2))
    points = {"gh-al.p.a": "voltage_a", "gh-al.p.b": "voltage_b"}
    async with Dlt645Line([simulated]).serving() as served:
        on = tcp(served.port)
        reader = driver(on, points)
        polls = [await reader.poll() for _ in range(2)]
        await reader.close()
    assert [[r.value for r in polled.readings] for polled in polls] == [[220.1, 220.2]] * 2
    assert simulated.reads == ["0201FF00", *["02010100", "02010200"] * 2]
    assert polls[0].faults == ()


async def test_what_is_not_available_comes_as_bad_without_a_value() -> None:
    simulated = meter()
    simulated.shows = shown(i00010000=b"\xff" * 4, i02030000=b"\x0a\x00\x00")
    async with Dlt645Line([simulated]).serving() as served:
        on = tcp(served.port)
        reader = driver(on)
        polled = await reader.poll()
        await reader.close()
    assert [(r.value, r.quality) for r in polled.readings] == [(None, Quality.BAD)] * 2


async def test_data_over_several_frames_is_put_together() -> None:
    counts = (5_000, 1_000, 2_000, 1_500, 500)
    simulated = meter(answer_bytes=7)
    simulated.shows = shown(i0001FF00=b"".join(number(count, 4) for count in counts))
    points = {f"gh-al.p.t{n}": f"forward_active_energy_t{n}" for n in range(1, 5)}
    async with Dlt645Line([simulated]).serving() as served:
        on = tcp(served.port)
        reader = driver(on, points | {ENERGY: "forward_active_energy"})
        polled = await reader.poll()
        await reader.close()
        controls = [raw[8] for raw in bytes(served.wire).split(b"\xfe\xfe\xfe\xfe") if raw]
    assert sorted(r.value or 0 for r in polled.readings) == sorted(counts)
    assert controls == [0x11, 0x12, 0x12]


async def test_data_without_an_end_is_given_up() -> None:
    simulated = meter(answer_bytes=1)
    simulated.shows = shown(i00010000=bytes(30))
    async with Dlt645Line([simulated]).serving() as served:
        on = tcp(served.port)
        reader = driver(on, {ENERGY: "forward_active_energy"})
        polled = await reader.poll()
        await reader.close()
    assert polled.readings == []
    assert "more than 8 further frames" in polled.faults[0]


async def test_a_poll_that_would_hold_the_line_too_long_ends_with_what_it_has() -> None:
    async with Dlt645Line([meter()], Faults(delay_s=0.1)).serving() as served:
        on = tcp(served.port)
        reader = driver(on, timeout_s=0.15)
        polled = await reader.poll()
        await reader.close()
    assert [reading.point for reading in polled.readings] == [ENERGY]
    assert "was not done within 0.15 s" in polled.faults[0]


async def test_a_serial_server_that_is_not_there_is_a_gap_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(line, "RETRY_S", 0.0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    on = tcp(port)
    reader = driver(on)
    polled = await reader.poll()
    assert polled.readings == []
    assert "cannot be opened" in polled.faults[0]
    for _ in range(2):
        async with Dlt645Line([meter()]).serving(port):
            assert len((await reader.poll()).readings) == 2
        # The server hung up; the next poll finds that out by itself.
    gone = await reader.poll()
    assert gone.readings == []
    await reader.close()
    assert on.openings == 2


async def test_a_line_that_cannot_be_opened_is_not_tried_for_each_of_its_meters() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tries: list[int] = []

    async def opener() -> line.Port:
        tries.append(1)
        return await line.open_tcp(TcpSettings("127.0.0.1", port))

    on = Line(TcpSettings("127.0.0.1", port), opener)
    polls = [await driver(on, address=f"{n:012d}").poll() for n in range(5)]
    assert all("cannot be opened" in polled.faults[0] for polled in polls)
    assert len(tries) == 1


async def test_a_connection_that_says_nothing_for_long_is_opened_afresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver_module, "REST_S", 0.0)
    served = Dlt645Line([meter()], Faults(silent={ADDRESS}))
    async with served.serving():
        on = tcp(served.port)
        reader = driver(on, answer_s=0.02)
        for _ in range(line.MOST_SILENT_QUESTIONS + 1):
            await reader.poll()
        assert on.openings == 2
        served.faults.silent.clear()
        found = [await reader.poll() for _ in range(2)]
        await reader.close()
    assert len(found[-1].readings) == 2


async def test_babble_on_a_line_is_bounded_and_counted() -> None:
    port = line.Port()
    port.data_received(b"\x55" * 10_000)
    assert port.dropped_bytes == 10_000 - line.MOST_UNREAD_BYTES
    assert port.discard() == line.MOST_UNREAD_BYTES
    with pytest.raises(ConnectionError, match="not open"):
        port.send(b"x")
    port.connection_lost(None)
    with pytest.raises(ConnectionError):
        port.send(b"x")


async def test_a_reading_bears_the_instant_half_way_between_question_and_answer() -> None:
    ticks = iter([NOW, NOW + timedelta(milliseconds=200), NOW, NOW + timedelta(milliseconds=600)])
    async with Dlt645Line([meter()]).serving() as served:
        on = tcp(served.port)
        reader = driver(on, clock=lambda: next(ticks), most_doubt_s=0.2)
        polled = await reader.poll()
        await reader.close()
    at = to_us(NOW)
    assert [(r.point, r.measured_us - at) for r in polled.readings] == [
        (ENERGY, 100_000),
        (POWER, 300_000),
    ]
    assert polled.late == 0


async def test_a_count_whose_instant_is_in_doubt_is_left_out_and_counted() -> None:
    ticks = iter([NOW, NOW + timedelta(milliseconds=500), NOW, NOW + timedelta(milliseconds=500)])
    async with Dlt645Line([meter()]).serving() as served:
        on = tcp(served.port)
        reader = driver(on, clock=lambda: next(ticks), most_doubt_s=0.2)
        polled = await reader.poll()
        await reader.close()
    assert [reading.point for reading in polled.readings] == [POWER]
    assert (polled.late, polled.faults) == (1, ())
