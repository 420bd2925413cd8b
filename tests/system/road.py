"""A whole road of real programs, but for meters: an outbox that is full already, and its way.

The readings are known before anything runs; `danhao edge run` drains them to a real broker,
`danhao ingest run` stores them in a real PostgreSQL, and `check` compares to the last digit.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from core.reading import Reading
from edge.outbox import Outbox
from tests.fixtures.service import ROOT, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED = 20261121
SITE, AGENT = "s", "gw-01"
POINTS = ("s.u.one", "s.u.two")
START_US = 1_768_003_200_000_000  # a day that is past, and on a slot
ENVELOPES = 400
ROWS = 250  # of each envelope
MODULUS = 1_000_000
KEEP_US = 4_000 * 86_400_000_000
QUIET_S = 120.0
PLANT = """
[site.s]
name = { zh = "厂", en = "Site" }
jurisdiction = "cn-qh"
[site.s.agent.gw-01]
[site.s.unit.u]
name = { zh = "系列", en = "Potline" }
kind = "potline"
[site.s.unit.u.point.one]
kind = "counter"
carrier = "electricity"
unit = "kWh"
modulus = 1_000_000
[site.s.unit.u.point.two]
kind = "counter"
carrier = "electricity"
unit = "kWh"
multiplier = [{ from = 2000-01-01T00:00:00Z, value = "1.5" }]
"""
EDGE = """
site = "s"
agent = "gw-01"
[broker]
url = "mqtt://127.0.0.1:{port}"
[outbox]
keep_days = 3650
[[device]]
name = "nobody"
host = "127.0.0.1"
port = 1
period_s = 3600
model = "acrel_adw300"
[device.points]
"s.u.spare" = "import_active_energy"
"""


@dataclass(frozen=True, slots=True)
class Truth:
    """What the meters showed, and where they truly were at the end."""

    shown: dict[tuple[str, int], int]
    risen: dict[str, int]


def fill(path: Path) -> Truth:
    """Fill an outbox with readings a second apart; one register rolls over on the way."""
    draw = random.Random(SEED)  # noqa: S311 - replayable readings
    levels = {POINTS[0]: MODULUS - 40_000, POINTS[1]: 17}
    first = dict(levels)
    shown: dict[tuple[str, int], int] = {}
    outbox = Outbox(path, most_bytes=64 << 20, keep_us=KEEP_US)
    second = 0
    for _ in range(ENVELOPES):
        batch: list[Reading] = []
        for _ in range(ROWS // len(POINTS)):
            at_us = START_US + second * 1_000_000
            second += 1
            for point in POINTS:
                if second > 1:
                    levels[point] += draw.randrange(9)
                value = levels[point] % MODULUS if point == POINTS[0] else levels[point]
                shown[point, at_us] = value
                batch.append(Reading(point, at_us, value))
        outbox.append(batch, START_US, POINTS)
    outbox.close()
    return Truth(shown, {point: levels[point] - first[point] for point in POINTS})


class Road:
    """The programs between an outbox and a store."""

    def __init__(self, folder: Path, database: str, broker_port: int) -> None:
        self.database = database
        self._folder = folder
        self._programs: list[subprocess.Popen[bytes]] = []
        (folder / "edge.toml").write_text(EDGE.format(port=broker_port), "utf-8")
        (folder / "plant.toml").write_text(PLANT, "utf-8")
        self._environment = os.environ | {
            "DANHAO_DATABASE_URL": database,
            "DANHAO_MQTT_URL": f"mqtt://127.0.0.1:{broker_port}",
        }

    def run(self, *arguments: str) -> None:
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "danhao", *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr[-2000:]}"

    def declare(self) -> None:
        """Declare the plant."""
        self.run("plant", "apply", str(self._folder / "plant.toml"))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program that ends with the road."""
        with (self._folder / f"{arguments[0]}.log").open("ab") as log:
            program = subprocess.Popen(
                [sys.executable, "-m", "danhao", *arguments],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        self._programs.append(program)
        return program

    def drain(self) -> None:
        """Start ingest, and the agent once somebody listens: what nobody hears comes 30 s later."""
        self.start("ingest", "run")
        wait_until(lambda: "connected to the broker" in self.log("ingest"), 60, "ingest")
        self.start("edge", "run", str(self._folder / "edge.toml"))

    def stop(self) -> None:
        """End all programs."""
        for program in self._programs:
            program.terminate()
        for program in self._programs:
            try:
                program.wait(10)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait(10)

    def log(self, program: str) -> str:
        """Return what a program said."""
        return (self._folder / f"{program}.log").read_text("utf-8", "replace")


@contextlib.contextmanager
def running(folder: Path, database: str, broker_port: int) -> Iterator[tuple[Road, Truth]]:
    """Yield a road that is declared, with a full outbox, and nothing moving yet."""
    road = Road(folder, database, broker_port)
    truth = fill(folder / "outbox.sqlite")
    road.declare()
    try:
        yield road, truth
    finally:
        road.stop()


def rows(database: str, statement: str) -> list[tuple[Any, ...]]:
    """Return what a query finds, past any proxy."""
    with psycopg.connect(database, connect_timeout=5) as link:
        return link.execute(statement.encode()).fetchall()


def stored(database: str) -> int:
    """Count the readings, -1 while the store is out."""
    try:
        return int(rows(database, "select count(*) from reading")[0][0])
    except psycopg.Error:
        return -1


def await_all(database: str, truth: Truth) -> None:
    """Wait until everything is stored and computed."""
    wait_until(lambda: stored(database) >= len(truth.shown), QUIET_S, "all readings")

    def computed() -> bool:
        try:
            return rows(database, "select count(*) from touched") == [(0,)]
        except psycopg.Error:
            return False

    wait_until(computed, QUIET_S, "their slots")


def check(database: str, truth: Truth) -> str:
    """Compare the store with the truth: readings one by one, energy to the count, no hole open."""
    found = rows(
        database,
        "select point, (extract(epoch from ts) * 1000000)::bigint, value, quality from reading"
        " join point using (point_id)",
    )
    kept = {(point, at_us): value for point, at_us, value, _ in found}
    assert len(found) == len(kept), "a reading is stored twice"
    assert kept == truth.shown
    assert {quality for _, _, _, quality in found} == {0}
    assert rows(database, "select reason, count(*) from dead_letter group by 1") == []
    energy = dict(
        rows(
            database,
            "select point, sum(energy_e6)::bigint from slot_energy join point using (point_id)"
            " group by point",
        )
    )
    assert energy == {
        POINTS[0]: truth.risen[POINTS[0]] * 1_000_000,
        POINTS[1]: truth.risen[POINTS[1]] * 1_500_000,
    }
    holes = "select committed, missing::text, lost::text from agent_epoch"
    assert rows(database, holes) == [(ENVELOPES, "{}", "{}")]
    return f"{len(found)} readings, none missing, none twice, {sum(energy.values()) / 1e6:.0f} kWh"
