"""Simulated DL/T 645 meters: they speak as recorded ones do, show a plant, and obey nobody."""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import to_us
from core.errors import Misconfigured
from core.periods import zone
from edge.dlt645 import items, line
from edge.dlt645.line import SerialSettings, TcpSettings
from edge.dlt645.meter import Dlt645Meter
from simulators import commands, dlt645, dlt645_meter, plant, process
from simulators.dlt645 import SimulatedMeter, number
from simulators.dlt645_meter import Dlt645Line, of_plant
from tests.edge.plant import until

PLANTS = Path(process.__file__).parent / "plants"
NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
# Requests and answers of a public record ("DLT645-2007报文解析"): meter 000000000161.
READ_ENERGY = bytes.fromhex("68610100000000681104333334331416")
ENERGY = bytes.fromhex("fefefefe68610100000000689108333334335933333 38a16".replace(" ", ""))
READ_VOLTS = bytes.fromhex("68610100000000681104333434351716")
VOLTS = bytes.fromhex("fefefefe686101000000006891063334343534431016")


def meter() -> SimulatedMeter:
    return SimulatedMeter("000000000161", {"00010000": number(26, 4), "02010100": number(1001, 2)})


def request(control: int, data: str, address: str = "610100000000") -> bytes:
    raw = bytes((each + 0x33) % 256 for each in bytes.fromhex(data))
    body = bytes([0x68, *bytes.fromhex(address), 0x68, control, len(raw)]) + raw
    return body + bytes([sum(body) % 256, 0x16])


def test_it_answers_as_a_recorded_meter_did() -> None:
    assert meter().answer(READ_ENERGY) == ENERGY
    assert meter().answer(READ_VOLTS) == VOLTS


def test_it_knows_nothing_of_the_edge_that_reads_it() -> None:
    tree = ast.parse(Path(dlt645.__file__).read_text("utf-8"))
    imported = {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    } | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name for name in imported if name.startswith("edge")}


@pytest.mark.parametrize("control", [0x08, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1C])
def test_whatever_is_no_read_is_refused(control: int) -> None:
    simulated = meter()
    answer = simulated.answer(request(control, "00000100"))
    assert answer is not None
    assert answer[12] == control | 0xC0
    assert simulated.others == 1


def test_it_refuses_what_it_does_not_have_and_is_silent_to_others() -> None:
    refused = meter().answer(request(0x11, "00000200"))
    assert refused is not None
    assert (refused[12], refused[14] - 0x33) == (0xD1, 2)
    assert meter().answer(request(0x11, "00000100", "620100000000")) is None
    assert meter().answer(request(0x11, "00000100", "AAAAAAAAAAAA")) == ENERGY
    assert meter().answer(READ_ENERGY[:-2] + b"\x00\x16") is None


def test_long_data_comes_in_numbered_frames() -> None:
    simulated = SimulatedMeter("000000000161", {"00010000": bytes(range(10))}, answer_bytes=4)
    asked = ["00000100", "0000010001", "0000010002"]
    answers = [simulated.answer(request(0x12 if n else 0x11, text)) for n, text in enumerate(asked)]
    assert [each[12] for each in answers if each] == [0xB1, 0xB2, 0x92]
    parts = [bytes((byte - 0x33) % 256 for byte in each[14:-2]) for each in answers if each]
    assert parts[0][4:] + parts[1][4:-1] + parts[2][4:-1] == bytes(range(10))
    assert [part[-1] for part in parts[1:]] == [1, 2]


@given(st.integers(-79_999_999, 79_999_999))
def test_a_number_is_bcd_lowest_first_with_its_sign_on_top(value: int) -> None:
    raw = number(value, 4, signed=True)
    high = raw[3]
    digits = f"{high & 0x7F:02x}" + raw[2::-1].hex()
    assert (-1 if high & 0x80 else 1) * int(digits) == value


@pytest.mark.parametrize(
    ("value", "signed"), [(100_000_000, False), (-1, False), (80_000_000, True)]
)
def test_a_number_that_does_not_fit_is_refused(value: int, signed: bool) -> None:  # noqa: FBT001
    with pytest.raises(ValueError, match=r"fit|leaves no bit"):
        number(value, 4, signed=signed)


@given(st.lists(st.sampled_from([b"\xfe", b"\x00\x68", READ_ENERGY, READ_VOLTS]), max_size=8))
def test_requests_are_cut_from_a_stream_in_any_pieces(pieces: list[bytes]) -> None:
    waiting = bytearray()
    found: list[bytes] = []
    for byte in b"".join(pieces) + b"\xfe" * 62:
        waiting.append(byte)
        found += dlt645.requests(waiting)
    assert found == [piece for piece in pieces if len(piece) > 2]


def test_a_plants_meter_shows_the_plant_now_and_at_its_midnights() -> None:
    played = process.load(PLANTS / "qh_fa.toml", 1)
    table = next(each for each in played.meters if each.name == "furnace-1-smelting")
    (simulated,) = of_plant(played, [table], lambda: NOW)
    point = "qh-fa.furnace-1.smelting-import"
    assert simulated.show is not None
    show = simulated.show
    assert simulated.address == "000000000001"
    assert show("00010000") == number(int(played.value(point, to_us(NOW))) % 10**8, 4)
    midnight = NOW.astimezone(zone("Asia/Shanghai")).replace(hour=0)
    for days in (0, 7):
        at = midnight - timedelta(days=days)
        count = int(played.value(point, to_us(at))) % 10**8
        assert show(f"050601{days + 1:02X}") == number(count, 4)
        assert show(f"050600{days + 1:02X}") == dlt645.frozen_at(at)
    assert show("04000102") == bytes([0x00, 0x00, 0x13])
    assert show("00020000") is None
    assert show("0506013F") is None


def test_an_instrument_is_shown_in_the_digits_of_its_identifier() -> None:
    played = process.load(PLANTS / "qh_fa.toml", 1)
    table = next(each for each in played.meters if each.name == "furnace-1-electrodes")
    (simulated,) = of_plant(played, [table], lambda: NOW)
    assert simulated.show is not None
    volts = simulated.show("02010100")
    assert volts is not None
    value = played.value("qh-fa.furnace-1.electrode-voltage", to_us(NOW))
    assert int(volts[::-1].hex()) / 10 == pytest.approx(value, abs=0.1)


def test_what_the_digits_cannot_show_is_shown_as_not_available() -> None:
    played = process.load(PLANTS / "gh_al.toml", 1)
    table = next(each for each in played.meters if each.name == "potline-1-line")
    (simulated,) = of_plant(played, [table], lambda: NOW)
    assert played.value("gh-al.potline-1.line-voltage", to_us(NOW)) > 999.9
    assert simulated.show is not None
    assert simulated.show("02010100") == b"\xff\xff"


def test_a_meter_that_measures_no_electricity_is_told() -> None:
    played = process.load(PLANTS / "qh_fa.toml", 1)
    table = next(each for each in played.meters if each.name == "furnace-1-semi-coke")
    with pytest.raises(Misconfigured, match="DL/T 645 has nothing like 'total_1'"):
        of_plant(played, [table], lambda: NOW)


async def test_it_serves_over_tcp_until_stopped() -> None:
    stop = asyncio.Event()
    where: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        dlt645_meter.run(
            [meter()],
            port=0,
            on_pty=False,
            announce=lambda served: where.set_result(served.port),
            stop=stop,
        )
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", await where)
    writer.write(b"\xfe\xfe" + READ_ENERGY[:7])
    writer.write(READ_ENERGY[7:])
    assert await asyncio.wait_for(reader.readexactly(len(ENERGY)), 5) == ENERGY
    writer.close()
    stop.set()
    await asyncio.wait_for(running, 5)


async def test_it_serves_on_a_pseudo_terminal() -> None:
    async with Dlt645Line([meter()]).on_pty() as served:
        port = os.open(served.path, os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(port, READ_ENERGY)
            answer = b""
            while len(answer) < len(ENERGY):
                answer += await asyncio.wait_for(asyncio.to_thread(os.read, port, 64), 5)
        finally:
            os.close(port)
    assert answer == ENERGY


async def test_a_port_that_is_taken_is_told() -> None:
    async with Dlt645Line([meter()]).serving() as served:
        with pytest.raises(Misconfigured, match="take another"):
            async with Dlt645Line([meter()]).serving(served.port):
                raise AssertionError("two servers on one port")


@pytest.mark.parametrize("port", [0, None], ids=["tcp", "pty"])
async def test_a_plants_meter_is_read_by_the_edge(tmp_path: Path, port: int | None) -> None:
    stop = asyncio.Event()
    where = tmp_path / "where.json"
    running = asyncio.create_task(
        plant.run_dlt645(
            PLANTS / "qh_fa.toml",
            "furnace-1-smelting",
            seed=1,
            port=port,
            port_file=where,
            clock=lambda: NOW,
            stop=stop,
        )
    )
    await until(where.exists)
    told = json.loads(where.read_text("utf-8"))
    wire = (
        SerialSettings(told["serial"], parity="none")
        if port is None
        else TcpSettings(told["host"], told["port"])
    )
    table = items.builtin().items
    reader = Dlt645Meter(
        "m",
        line=line.line(wire),
        address=told["meters"][0]["address"],
        points={"now": table["forward_active_energy"], "day": table["daily_forward_active_energy"]},
        answer_s=2.0,
        timeout_s=5.0,
        clock=lambda: NOW,
        zone=zone("Asia/Shanghai"),
    )
    polled = await reader.poll()
    await reader.close()
    stop.set()
    await asyncio.wait_for(running, 5)
    played = process.load(PLANTS / "qh_fa.toml", 1)
    point = "qh-fa.furnace-1.smelting-import"
    midnight = NOW.astimezone(zone("Asia/Shanghai")).replace(hour=0)
    assert polled.faults == ()
    assert {reading.point: (reading.measured_us, reading.value) for reading in polled.readings} == {
        "now": (to_us(NOW), int(played.value(point, to_us(NOW))) % 10**8),
        "day": (to_us(midnight), int(played.value(point, to_us(midnight))) % 10**8),
    }


def test_the_command_tells_what_does_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers())
    meter_of = ["simulate", "meter", "qh_fa"]
    wrong = parser.parse_args([*meter_of, "furnace-1-smelting", "--pty"])
    unknown = parser.parse_args([*meter_of, "nobody", "--protocol", "dlt645"])
    weigher = parser.parse_args([*meter_of, "furnace-1-semi-coke", "--protocol", "dlt645"])
    assert [args.run(args) for args in (wrong, unknown, weigher)] == [2, 2, 2]
    told = capsys.readouterr().err
    assert "--pty: needs --protocol dlt645" in told
    assert "has no meter 'nobody'" in told
    assert "DL/T 645 has nothing like 'total_1'" in told
