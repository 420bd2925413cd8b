"""A server of others: the PyPI package `dlt645` in a process of its own, read by our driver.

It puts the address on the wire in the order in which it is given, so its meter 123456781012 is
121078563412 for a master of the standard. Its tables of identifiers are compared with ours.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from edge.dlt645 import items, line
from edge.dlt645.line import TcpSettings
from edge.dlt645.meter import Dlt645Meter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
PACKAGE = "dlt645==3.2.0"
SECONDS = 120
_SERVER = """\
import json, sys
from dlt645 import MeterServerService
from dlt645.model.data.define import DIMap
server = MeterServerService.new_tcp_server("127.0.0.1", int(sys.argv[1]), 3000)
server.set_address("123456781012")
server.set_00(0x00010000, 654321.09)
server.set_00(0x00020000, 0.01)
server.set_00(0x00000000, -50.5)
server.set_02(0x02010100, 220.5)
server.set_02(0x02030000, -12.3456)
server.set_02(0x02800002, 50.02)
table = {f"{di:08X}": [item.data_format, item.unit] for di, item in DIMap.items()
         if hasattr(item, "data_format")}
server.server.start()
print(json.dumps(table), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds the package alone, or skip where pip cannot bring it."""
    folder = tmp_path_factory.mktemp("dlt645-peer")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--target", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        pytest.skip(f"pip cannot bring {PACKAGE}: {done.stderr.strip().splitlines()[-1:]}")
    return folder


class Peer:
    """A running server of the package, and its table of identifiers."""

    def __init__(self, port: int, table: dict[str, Any]) -> None:
        self.port = port
        self.table = table


@pytest.fixture(scope="module")
def peer(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder: Path = tmp_path_factory.mktemp("dlt645-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(port)],
        env=os.environ | {"PYTHONPATH": str(package)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    told = next(text for text in process.stdout if text.startswith("{"))
    try:
        yield Peer(port, json.loads(told))
    finally:
        process.stdin.close()
        process.terminate()
        process.wait(10)
        process.stdout.close()


def driver(port: int, address: str, **points: str) -> Dlt645Meter:
    table = items.builtin().items
    return Dlt645Meter(
        "peer",
        line=line.line(TcpSettings("127.0.0.1", port)),
        address=address,
        points={f"gh-al.p.{point}": table[name] for point, name in points.items()},
        answer_s=2.0,
        timeout_s=10.0,
        clock=lambda: datetime(2026, 11, 21, 5, tzinfo=UTC),
        zone=ZoneInfo("Asia/Shanghai"),
    )


async def test_its_meter_is_read_to_the_digit(peer: Peer) -> None:
    reader = driver(
        peer.port,
        "121078563412",
        forward="forward_active_energy",
        reverse="reverse_active_energy",
        volts="voltage_a",
        power="active_power_total",
        hertz="frequency",
    )
    polled = await reader.poll()
    await reader.close()
    assert polled.faults == ()
    assert {reading.point.rpartition(".")[2]: reading.value for reading in polled.readings} == {
        "forward": 65_432_109,
        "reverse": 1,
        "volts": 220.5,
        "power": -12.3456,
        "hertz": 50.02,
    }


async def test_its_refusal_of_a_foreign_address_is_no_answer_of_ours(peer: Peer) -> None:
    reader = driver(peer.port, "000000000161", forward="forward_active_energy")
    polled = await reader.poll()
    await reader.close()
    assert polled.readings == []
    assert len(polled.faults) == 1


def test_its_table_of_identifiers_says_what_ours_says(peer: Peer) -> None:
    ours: dict[str, tuple[object, ...]] = {}
    theirs: dict[str, tuple[object, ...]] = {}
    for name, item in items.builtin().items.items():
        found = peer.table.get(f"{item.identifier:08X}")
        if found is None or item.frozen:
            continue
        form, unit = found
        unit = unit.strip().replace("℃", "°C")
        if not unit or name.startswith("power_factor"):
            unit = item.unit  # it gives active demand no unit, and a power factor that of power
        theirs[name] = form.count("X") // 2, len(form.partition(".")[2]), unit
        ours[name] = item.size, -int(item.scale.as_tuple().exponent), item.unit
    assert ours == theirs
    assert len(ours) > 100
