"""The command line as a user meets it: whole processes, exit codes, sentences."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulators import mapping
from tests.simulators.standin import StandIn, until

if TYPE_CHECKING:
    from tests.fixtures.broker import Broker

ROOT = Path(mapping.__file__).parents[1]
PLANT = ROOT / "simulators" / "plants" / "gh_al.toml"
FRONT = """
import argparse, sys
from simulators import commands
parser = argparse.ArgumentParser()
commands.register(parser.add_subparsers(required=True))
args = parser.parse_args()
sys.exit(args.run(args))
"""
MAP = """
time = { column = "when", format = "%Y-%m-%d %H:%M", zone = "UTC" }
[[column]]
name = "kWh"
point = "st.works.grid"
"""
CSV = "when,kWh\n2026-01-01 00:00,1\n2026-01-01 01:00,2\n"


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FRONT, "simulate", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str | Path) -> tuple[int, str, str]:
    process = start(*arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def files(folder: Path, data: str = CSV) -> tuple[Path, Path]:
    recorded, table = folder / "d.csv", folder / "m.toml"
    recorded.write_text(data, "utf-8")
    table.write_text(MAP, "utf-8")
    return recorded, table


async def replayed(broker: Broker, *arguments: str | Path) -> tuple[int, str, str]:
    async with StandIn(broker.url).running():
        return await asyncio.to_thread(run, "replay", *arguments)


async def test_replay_prints_a_summary_and_exits_0(broker: Broker, tmp_path: Path) -> None:
    recorded, table = files(tmp_path)
    code, out, err = await replayed(
        broker, recorded, "--map", table, "--broker", broker.url, "--json"
    )
    assert (code, err) == (0, "")
    summary = json.loads(out)
    assert (summary["rows"], summary["envelopes"], summary["receipted"]) == (2, 1, 1)
    assert summary["seconds"] >= 0


async def test_replay_takes_the_broker_from_a_data_directory(
    broker: Broker, tmp_path: Path
) -> None:
    recorded, table = files(tmp_path)
    endpoints = {"mqtt": broker.url, "mqtt_username": "tools", "mqtt_password": "any"}
    (tmp_path / "endpoints.json").write_text(json.dumps(endpoints), "utf-8")
    code, out, _ = await replayed(broker, recorded, "--map", table, "--data-dir", tmp_path)
    assert code == 0
    assert "2 rows in 1 envelopes, all receipted" in out


def test_unreceipted_envelopes_are_bad_news(broker: Broker, tmp_path: Path) -> None:
    recorded, table = files(tmp_path)
    code, _, err = run(
        "replay", recorded, "--map", table, "--broker", broker.url, "--patience", "0.5"
    )
    assert code == 1
    assert "1 of 1 envelopes have no receipt" in err


def test_an_unreadable_file_is_wrong_use_and_all_its_problems_are_shown(tmp_path: Path) -> None:
    recorded, table = files(tmp_path, "when,kWh\nyesterday,1\n2026-01-01 01:00,x\n")
    code, out, err = run("replay", recorded, "--map", table, "--broker", "mqtt://127.0.0.1:9")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2
    assert "d.csv:2" in err
    assert "d.csv:3" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "give --broker URL or --data-dir DIR"),
        (("--broker", "http://x"), "mqtt://host:port"),
        (("--broker", "mqtt://a:b@x"), "--password-file"),
        (("--data-dir", "/nowhere"), "is `danhao up` running"),
    ],
)
def test_a_wrong_broker_is_wrong_use(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    recorded, table = files(tmp_path)
    code, _, err = run("replay", recorded, "--map", table, *arguments)
    assert code == 2
    assert sentence in err


def waited(path: Path) -> dict[str, object]:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    data: dict[str, object] = json.loads(path.read_text("utf-8"))
    return data


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_meter_serves_until_a_signal_and_stops_within_2_s(
    tmp_path: Path, number: signal.Signals
) -> None:
    port_file = tmp_path / "port.json"
    process = start("meter", PLANT, "potline-1-ac", "--modbus-port-file", port_file)
    told = waited(port_file)
    assert told["meters"] == [
        {
            "name": "potline-1-ac",
            "unit_id": 1,
            "model": "acrel_adw300",
            "points": {"gh-al.potline-1.ac-import": "import_active_energy"},
        }
    ]
    begun = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=10)
    assert process.returncode == 0
    assert time.monotonic() - begun < 2


def test_an_unknown_meter_is_wrong_use() -> None:
    code, _, err = run("meter", "gh_al", "nobody")
    assert code == 2
    assert "it has potline-1-ac" in err


async def test_a_plant_sends_its_past_and_its_tappings_and_goes_on_after_a_restart(
    broker: Broker, tmp_path: Path
) -> None:
    arguments: list[str | Path] = [PLANT, "--history", "2d", "--broker", broker.url]
    arguments += ["--state-dir", tmp_path / "state", "--modbus-port-file", tmp_path / "port.json"]
    async with StandIn(broker.url).running() as store:
        counts = []
        for _ in range(2):
            process = await asyncio.to_thread(start, "plant", *arguments)
            assert process.stderr is not None
            lines = [await asyncio.to_thread(process.stderr.readline) for _ in range(2)]
            assert "envelopes of the past receipted" in lines[1]
            await until(lambda: len(store.facts) >= 92)
            begun = time.monotonic()
            process.terminate()
            await asyncio.to_thread(process.communicate, timeout=10)
            assert time.monotonic() - begun < 2
            assert process.returncode == 0
            counts.append(store.envelopes)
        assert len(store.sequences) == 1
        assert 8 <= counts[0] <= 9
        assert counts[1] - counts[0] <= 1
        assert len(store.readings) >= 8 * 575
        assert len({at_us for _, at_us in store.readings}) >= 575


async def test_one_program_plays_three_plants(broker: Broker, tmp_path: Path) -> None:
    names = ["gh_al", "qh_fa", "qh_ce"]
    arguments: list[str | Path] = [*names, "--history", "1d", "--broker", broker.url]
    arguments += ["--state-dir", tmp_path / "state"]
    for name in names:
        arguments += ["--modbus-port-file", tmp_path / f"{name}.json"]
    async with StandIn(broker.url).running() as store:
        process = await asyncio.to_thread(start, "plant", *arguments)
        told = [await asyncio.to_thread(waited, tmp_path / f"{name}.json") for name in names]
        assert len({str(each["port"]) for each in told}) == 3
        assert process.stderr is not None
        lines = [await asyncio.to_thread(process.stderr.readline) for _ in range(6)]
        done = [line.split(":")[0] for line in lines if "of the past receipted" in line]
        assert sorted(done) == ["gh-al", "qh-ce", "qh-fa"]
        sites = {"gh-al", "qh-fa", "qh-ce"}
        await until(lambda: {fact["unit"].split(".")[0] for fact in store.facts.values()} == sites)
        assert {point.split(".")[0] for point, _ in store.readings} == sites
        begun = time.monotonic()
        process.terminate()
        await asyncio.to_thread(process.communicate, timeout=10)
        assert time.monotonic() - begun < 2
        assert process.returncode == 0


def test_a_plant_named_twice_or_a_port_too_many_is_wrong_use() -> None:
    code, _, err = run("plant", "qh_ce", "qh_ce")
    assert code == 2
    assert "name a site once" in err
    code, _, err = run("plant", "qh_ce", "--port", "0", "--port", "0")
    assert code == 2
    assert "--port: is given 2 times for 1 FILE" in err


def test_history_without_a_broker_is_wrong_use() -> None:
    code, _, err = run("plant", PLANT, "--history", "2d")
    assert code == 2
    assert "needs --broker" in err
