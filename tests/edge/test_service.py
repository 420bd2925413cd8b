"""The agent under systemd: ready, watchdog, and a reload on SIGHUP that a bad file can not hurt."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from edge.service import Notifier
from tests.edge.gateway import Gateway, Unit
from tests.edge.plant import configured, until
from tests.edge.test_commands import PROGRAM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Manager:
    """Stands for systemd: a datagram socket that keeps what the service says."""

    def __init__(self, path: Path) -> None:
        self.told: list[str] = []
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        self._socket.bind(str(path))

    def hear(self) -> list[str]:
        while True:
            try:
                self.told += self._socket.recv(4_096).decode().splitlines()
            except BlockingIOError:
                return self.told

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def served(path: Path, manager: Manager) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        "edge",
        "run",
        str(path),
        "--json",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000", "PATH": "/usr/bin"},
    )
    try:
        await until(lambda: "READY=1" in manager.hear(), 30)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        manager.hear()
        manager.close()


@pytest.mark.slow
async def test_a_reload_takes_over_a_good_file_and_a_bad_one_changes_nothing(
    tmp_path: Path,
) -> None:
    first, second = Gateway({1: Unit()}), Gateway({1: Unit()})
    manager = Manager(tmp_path / "notify")
    async with first.listening(), second.listening():
        path = configured(tmp_path, 1, first.port, period_s=0.2)
        async with served(path, manager) as process:
            await until(lambda: len(first.units[1].asked) >= 2)
            configured(tmp_path, 1, first.port, second.port, period_s=0.2)
            process.send_signal(signal.SIGHUP)
            await until(lambda: len(second.units[1].asked) >= 2)
            path.write_text(path.read_text().replace("0.2", "0").replace("acrel", "acrul"))
            process.send_signal(signal.SIGHUP)
            await until(lambda: manager.hear().count("READY=1") >= 3)
            asked = len(second.units[1].asked)
            await until(lambda: len(second.units[1].asked) >= asked + 2)
            await until(lambda: manager.hear().count("WATCHDOG=1") >= 3)
            process.send_signal(signal.SIGTERM)
            out, err = await asyncio.wait_for(process.communicate(), 5)
    said = err.decode()
    assert process.returncode == 0, said
    counts = json.loads(out)["agent"]
    assert (counts["reloads"], counts["refused_reloads"]) == (1, 1)
    assert counts["kept"] == counts["readings"] >= 8
    for told in ("device.0.period_s", "device.1.period_s", "device.0.model", "device.1.model"):
        assert "reload refused: edge.toml:" in said
        assert told in said
    assert "the former configuration goes on" in said
    assert "Traceback" not in said
    assert "STOPPING=1" in manager.told
    assert manager.told.count("RELOADING=1") == 2


def test_outside_systemd_nothing_is_told_and_nothing_fails(tmp_path: Path) -> None:
    Notifier({}).tell("READY=1")
    assert Notifier({}).watchdog_s is None
    gone = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "30000000"})
    gone.tell("READY=1")
    assert gone.watchdog_s == 30.0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
def test_an_abstract_socket_is_spoken_to() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(b"\0danhao-test-notify")
        Notifier({"NOTIFY_SOCKET": "@danhao-test-notify"}).tell("READY=1", "STATUS=well")
        assert manager.recv(100) == b"READY=1\nSTATUS=well"
