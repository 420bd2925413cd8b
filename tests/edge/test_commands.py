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


async def test_check_shows_what_the_meters_display(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(acrel()) as port:
        path = configured(tmp_path, 1883, port)
        assert await asyncio.to_thread(called, "check", str(path)) == 0
        shown = capsys.readouterr().out
        assert await asyncio.to_thread(called, "check", str(path), "--json") == 0
    assert "m1: Acrel ADW300, ok" in shown
    assert "gh-al.m1.energy  12345.67 kWh  (import_active_energy = 1234567, good)" in shown
    answer = json.loads(capsys.readouterr().out)
    rows = {row["point"]: row for row in answer["devices"][0]["readings"]}
    assert rows["gh-al.m1.energy"]["value"] == 1_234_567
    assert rows["gh-al.m1.power"]["display"] == "500"


async def test_check_says_which_meter_does_not_answer_and_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(acrel()) as port:
        path = configured(tmp_path, 1883, port, 1)
        assert await asyncio.to_thread(called, "check", str(path)) == 1
    shown = capsys.readouterr().out
    assert "m1: Acrel ADW300, ok" in shown
    assert "m2: Acrel ADW300, FAILED" in shown
    assert "127.0.0.1:1, unit 1) cannot be connected to" in shown


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
    box.set_aside(1)
    box.close()
    assert called("outbox", str(path)) == 1
    assert "set_aside       1" in capsys.readouterr().out


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
    assert counts["publisher"]["connections"] == 1
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
