"""`danhao edge run|check|outbox` as people and systemd call them."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import Misconfigured
from core.reading import Reading
from core.wire import Receipt
from edge import commands
from edge.outbox import Outbox
from tests.edge.meters import Meter, serving
from tests.edge.plant import configured, store_behind, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.broker import Broker

MAIN = """
import argparse, sys
from edge import commands
parser = argparse.ArgumentParser()
commands.register(parser.add_subparsers())
args = parser.parse_args()
sys.exit(args.run(args))
"""
PROGRAM = [sys.executable, "-c", MAIN]


def called(*words: str) -> int:
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers())
    args = parser.parse_args(["edge", *words])
    code: int = args.run(args)
    return code


def acrel() -> Meter:
    meter = Meter()
    meter.show(62, 0x0012, 0xD687)
    meter.show(36, 0, 500)
    return meter


async def test_check_shows_words_value_unit_and_latency_of_every_point(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(acrel()) as port:
        path = configured(tmp_path, 1883, port)
        assert await asyncio.to_thread(called, "check", str(path)) == 0
        shown = capsys.readouterr().out
        assert await asyncio.to_thread(called, "check", str(path), "--json") == 0
    assert f"m1: Acrel ADW300, 127.0.0.1:{port}, unit 1: ok" in shown
    (row,) = (line.split() for line in shown.splitlines() if "gh-al.m1.energy" in line)
    head = ["gh-al.m1.energy", "import_active_energy", "0012", "d687", "12345.67", "kWh", "1234567"]
    assert row[:-1] == head
    assert 0 < float(row[-1]) < 5_000
    assert "2 points read, all well" in shown
    answer = json.loads(capsys.readouterr().out)
    rows = {row["point"]: row for row in answer["devices"][0]["points"]}
    assert rows["gh-al.m1.energy"]["count"] == 1_234_567
    assert rows["gh-al.m1.power"]["value"] == "500"
    assert rows["gh-al.m1.power"]["warnings"] == []


async def test_check_says_which_meter_does_not_answer_and_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(acrel()) as port:
        path = configured(tmp_path, 1883, port, 1)
        assert await asyncio.to_thread(called, "check", str(path)) == 1
    shown = capsys.readouterr().out
    assert f"m1: Acrel ADW300, 127.0.0.1:{port}, unit 1: ok" in shown
    assert "m2: Acrel ADW300, 127.0.0.1:1, unit 1: LOOK HERE" in shown
    assert "all 2 points: can not be connected to" in shown
    assert "4 points read, 2 to look at" in shown


def test_a_wrong_file_is_told_by_every_command(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text("site = 1")
    for command in ("run", "check", "outbox"):
        with pytest.raises(Misconfigured, match=r"edge\.toml"):
            called(command, str(path))


def test_outbox_shows_depth_and_losses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = configured(tmp_path, 1883, 1)
    with pytest.raises(Misconfigured, match="has the agent run"):
        called("outbox", str(path))
    box = Outbox(tmp_path / "outbox.sqlite", most_bytes=1 << 20, keep_us=10**15)
    box.append([Reading("gh-al.m1.energy", 1, 1)], 1_000_000)
    assert called("outbox", str(path), "--json") == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (answer["depth"], answer["held"], answer["epoch"]) == (1, 1, box.epoch)
    assert answer["oldest_at"] == "1970-01-01T00:00:01Z"
    (destination,) = answer["destinations"]
    assert (destination["destination"], destination["depth"], destination["store"]) == (
        "main",
        1,
        "",
    )
    assert destination["received_per_s"] is None
    box.outlet("main").set_aside(1)
    box.close()
    assert called("outbox", str(path)) == 1
    shown = capsys.readouterr().out
    assert "to main: 0 envelopes wait" in shown
    assert "set_aside: 1" in shown


def test_outbox_tells_when_a_backlog_is_drained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configured(tmp_path, 1883, 1)
    box = Outbox(tmp_path / "outbox.sqlite", most_bytes=1 << 20, keep_us=10**15)
    for second in range(600):
        box.append([Reading("gh-al.m1.energy", 1, 1)], second * 1_000_000)
    for minute in range(4):  # 120 envelopes a minute, while 60 come: 360 of 600 in three
        told = Receipt("s", box.epoch, 120 * (minute + 1))
        box.outlet("main").apply(told, minute * 60_000_000)
    box.close()
    assert called("outbox", str(path), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    (destination,) = answer["destinations"]
    assert answer["kept_per_s"] == pytest.approx(1.0)
    assert destination["received_per_s"] == pytest.approx(2.0)
    assert destination["drained_in_s"] == pytest.approx(120.0)
    assert called("outbox", str(path)) == 0
    assert "drained in about" in capsys.readouterr().out


def test_outbox_plans_for_points_and_a_period(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configured(tmp_path, 1883, 1)
    assert called("outbox", str(path), "--plan", "50", "1") == 0
    assert "50 points every 1 s take" in capsys.readouterr().out
    assert called("outbox", str(path), "--plan", "4000", "900", "--json") == 0
    assert json.loads(capsys.readouterr().out)["days"] >= 184
    for words in (("x", "1"), ("0", "1"), ("5", "0"), ("5", "nan")):
        with pytest.raises(Misconfigured, match="--plan"):
            called("outbox", str(path), "--plan", *words)


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_run_forwards_readings_and_stops_cleanly_on_a_signal(
    tmp_path: Path, broker: Broker, number: signal.Signals
) -> None:
    async with serving(acrel()) as port, store_behind(broker.port) as store:
        path = configured(tmp_path, broker.port, port)
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            "edge",
            "run",
            str(path),
            "--json",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        await until(lambda: len(store.values) >= 2, 30)
        process.send_signal(number)
        out, err = await asyncio.wait_for(process.communicate(), 2)
    assert process.returncode == 0, err.decode()
    counts = json.loads(out)
    assert counts["agent"]["readings"] >= 2
    assert counts["publishers"]["main"]["connections"] == 1
    assert "Traceback" not in err.decode()


def test_the_edge_loads_nothing_of_the_server() -> None:
    heavy = ("numpy", "psycopg", "fastapi", "uvicorn", "msgspec", "store", "ingest", "api")
    code = f"import sys, edge.commands;print([m for m in {heavy!r} if m in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert shown.stdout.strip() == "[]"
