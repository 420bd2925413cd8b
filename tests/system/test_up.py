"""`danhao up`: one command, a clean stop, no process left, one sentence for each obstacle."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.fixtures.service import ROOT, Service, data_directory, free_port, wait_until

pytestmark = pytest.mark.system


def descendants(pid: int) -> set[int]:
    """Return the process ids below a process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text("utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            return found - {pid}
        found |= more


def alive(pids: set[int]) -> set[int]:
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.add(pid)
    return found


def run_up(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "danhao", "up", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_it_stops_cleanly_in_under_five_seconds_with_a_page_open() -> None:
    with data_directory() as path:
        service = Service(path)
        service.wait_ready()
        header = {"Authorization": f"Bearer {service.token()}"}
        with httpx.stream(
            "GET", f"{service.url}/api/v1/live", headers=header, timeout=30
        ) as stream:
            assert stream.status_code == 200
            children = descendants(service.process.pid)
            assert len(children) >= 4
            began = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - began < 5
        assert alive(children) == set()


def test_nothing_is_left_after_it_is_killed() -> None:
    with data_directory() as path:
        service = Service(path)
        service.wait_ready()
        children = descendants(service.process.pid)
        service.process.kill()
        service.process.wait(10)
        wait_until(lambda: alive(children) == set(), 10, "every child to be gone")
        service.stop()
        again = Service(path)
        again.wait_ready()
        assert again.stop() == 0


def test_tokens_survive_a_restart_and_only_the_owner_reads_them() -> None:
    with data_directory() as path:
        service = Service(path)
        service.wait_ready()
        token = service.token("admin")
        assert service.get("/api/v1/units", role="admin") == {"items": [], "next": None}
        for name in ("tokens.json", "endpoints.json"):
            assert stat.S_IMODE((path / name).stat().st_mode) == 0o600
        assert service.stop() == 0
        again = Service(path)
        again.wait_ready()
        assert again.token("admin") == token
        assert again.get("/api/v1/units", role="admin") == {"items": [], "next": None}
        assert again.stop() == 0


def test_it_works_under_a_chinese_locale_that_is_not_installed() -> None:
    with data_directory() as path:
        service = Service(path, env={"LANG": "zh_CN.UTF-8", "LC_ALL": "zh_CN.UTF-8"})
        assert service.wait_ready() == f"ready {service.url}"
        assert service.stop() == 0


def test_a_busy_port_is_one_sentence() -> None:
    with data_directory() as path, socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        done = run_up("--data-dir", str(path), "--port", str(port))
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(done.stderr.strip().splitlines()) == 1
        assert f"port {port}" in done.stderr


def test_a_data_directory_in_use_is_one_sentence() -> None:
    with data_directory() as path:
        service = Service(path)
        service.wait_ready()
        done = run_up("--data-dir", str(path), "--port", str(free_port()))
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1
        assert str(path) in done.stderr
        assert service.stop() == 0


def test_for_counts_from_ready_and_leaves_with_zero() -> None:
    with data_directory() as path:
        service = Service(path, "--for", "1s")
        service.wait_ready()
        assert service.process.stdout is not None
        assert service.process.wait(20) == 0
        assert service.process.stdout.read() == b""
        service.stop()


def test_it_opens_up_no_folder_of_others() -> None:
    folders = [Path.home(), ROOT, ROOT.parent, Path(sys.prefix), Path("/tmp")]  # noqa: S108 - its mode is the matter
    before = [stat.S_IMODE(folder.stat().st_mode) for folder in folders]
    with data_directory() as path:
        service = Service(path)
        service.wait_ready()
        service.stop()
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_usual_signal_stops_it(number: signal.Signals) -> None:
    with data_directory() as path:
        service = Service(path)
        service.wait_ready()
        os.kill(service.process.pid, number)
        assert service.process.wait(6) == 0
        service.stop()
