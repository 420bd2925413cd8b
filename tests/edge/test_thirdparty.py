"""Meters that are not ours: modbus-serial, jsmodbus and libmodbus, read through our driver."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import struct
import subprocess
import time
import tty
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.clock import utc_now
from edge import registermaps
from edge.modbus.bus import Bus, Framing, Route
from edge.modbus.meter import ModbusMeter
from tests.fixtures import timescale

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

GLUE = Path(__file__).parent / "thirdparty"
CACHE = timescale.CACHE / "modbus"
PACKAGES = ("modbus-serial@8.0.25", "jsmodbus@5.0.0")
INSTALL_S, START_S = 120, 20
MAP = registermaps.parse(
    """
title = "T"
source = "S"
firmware = "F"
[quantity.energy]
address = 10
type = "uint32"
counter = true
[quantity.energy_wide]
address = 20
function = 4
type = "uint64"
counter = true
[quantity.power]
address = 30
type = "int32"
order = "CDAB"
[quantity.voltage]
address = 200
function = 4
type = "float32"
[quantity.energy_float]
address = 204
type = "float64"
[quantity.is_running]
address = 7
function = 1
type = "bit"
[quantity.is_tripped]
address = 23
function = 2
type = "bit"
[quantity.is_idle]
address = 6
function = 1
type = "bit"
""",
    "thirdparty.toml",
)
EXPECTED = {
    "energy": 1_234_567,
    "energy-wide": 2**53 + 1,
    "power": -1_000.0,
    "voltage": 230.5,
    "energy-float": 98_765.4321,
    "is-running": 1.0,
    "is-tripped": 1.0,
    "is-idle": 0.0,
}


def words() -> dict[int, int]:
    """Return the registers of EXPECTED, made by struct alone."""
    held: dict[int, int] = {}
    for address, data in (
        (10, struct.pack(">I", 1_234_567)),
        (20, struct.pack(">Q", 2**53 + 1)),
        (30, struct.pack(">i", -1_000)[2:] + struct.pack(">i", -1_000)[:2]),
        (200, struct.pack(">f", 230.5)),
        (204, struct.pack(">d", 98_765.4321)),
    ):
        shown = struct.unpack(f">{len(data) // 2}H", data)
        held.update({address + place: word for place, word in enumerate(shown)})
    return held


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Return where the npm packages are; they are fetched once into a cache folder."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm here to fetch modbus-serial and jsmodbus with")
    folder = CACHE / "node_modules"
    if not all((folder / name.partition("@")[0]).is_dir() for name in PACKAGES):
        CACHE.mkdir(parents=True, exist_ok=True)
        options = ("--no-audit", "--no-fund", "--ignore-scripts", "--omit=optional")
        try:
            done = subprocess.run(
                ["npm", "install", *options, *PACKAGES],
                cwd=CACHE,
                capture_output=True,
                timeout=INSTALL_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip("npm did not fetch modbus-serial and jsmodbus in time")
        if done.returncode:
            pytest.skip("npm can not fetch modbus-serial and jsmodbus here")
    return folder


@pytest.fixture(scope="session")
def libmodbus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the meter built on libmodbus, where the library and a compiler are installed."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    header = Path("/usr/include/modbus/modbus.h")
    if compiler is None or not header.is_file():
        pytest.skip("libmodbus-dev or a C compiler is not installed")
    program = tmp_path_factory.mktemp("libmodbus") / "meter"
    source = GLUE / "libmodbus.c"
    subprocess.run(
        [compiler, "-I", str(header.parent), "-o", str(program), str(source), "-lmodbus"],
        check=True,
        timeout=INSTALL_S,
    )
    return program


@asynccontextmanager
async def started(*command: str, env: dict[str, str], stdin: bytes = b"") -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(stdin)
    process.stdin.close()
    try:
        assert await asyncio.wait_for(process.stdout.readline(), START_S) == b"ready\n"
        yield
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def read_from(route: Route) -> dict[str, float]:
    """Return what two polls of our driver give; the second finds nothing changed."""
    meter = ModbusMeter(
        "m1",
        bus=Bus(route, time.monotonic),
        unit_id=1,
        timeout_s=5.0,
        meter=MAP,
        points={f"s.u.{name.replace('_', '-')}": q for name, q in MAP.quantities.items()},
        clock=utc_now,
    )
    polls = [await meter.poll(), await meter.poll()]
    await meter.close()
    assert [polled.faults for polled in polls] == [(), ()]
    found = [{r.point.removeprefix("s.u."): r.value for r in polled.readings} for polled in polls]
    assert found[0] == found[1]
    assert None not in found[0].values()
    return {name: value for name, value in found[0].items() if value is not None}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("script", ["modbus_serial.js", "jsmodbus.js"])
async def test_a_meter_by_an_npm_server_shows_what_it_holds(
    node_modules: Path, script: str
) -> None:
    node, port = shutil.which("node"), free_port()
    assert node is not None
    env = {**os.environ, "NODE_PATH": str(node_modules)}
    command = (node, str(GLUE / script), str(port), json.dumps(words()))
    async with started(*command, env=env):
        assert await read_from(Route(Framing.TCP, "127.0.0.1", port)) == EXPECTED


def listed() -> bytes:
    return "".join(f"{address} {word}\n" for address, word in words().items()).encode()


@pytest.mark.slow
async def test_a_meter_by_libmodbus_shows_what_it_holds_over_tcp(libmodbus: Path) -> None:
    port = free_port()
    async with started(str(libmodbus), "tcp", str(port), env={}, stdin=listed()):
        assert await read_from(Route(Framing.TCP, "127.0.0.1", port)) == EXPECTED


@asynccontextmanager
async def null_modem() -> AsyncIterator[tuple[str, str]]:
    """Yield the two ends of a serial cable: two pseudo terminals that pass on what they get."""
    ours = [os.openpty(), os.openpty()]
    loop = asyncio.get_running_loop()
    for near, far in (ours, ours[::-1]):
        tty.setraw(near[1])
        os.set_blocking(near[0], False)
        loop.add_reader(near[0], _pass_on, near[0], far[0])
    try:
        yield os.ttyname(ours[0][1]), os.ttyname(ours[1][1])
    finally:
        for pair in ours:
            loop.remove_reader(pair[0])
        for end in _ends(ours):
            os.close(end)


def _pass_on(near: int, far: int) -> None:
    os.write(far, os.read(near, 4_096))


def _ends(pairs: list[tuple[int, int]]) -> Iterator[int]:
    for pair in pairs:
        yield from pair


@pytest.mark.slow
async def test_a_meter_by_libmodbus_shows_what_it_holds_over_a_serial_line(
    libmodbus: Path,
) -> None:
    async with (
        null_modem() as (ours, theirs),
        started(str(libmodbus), "rtu", theirs, env={}, stdin=listed()),
    ):
        assert await read_from(Route(Framing.SERIAL, ours, baud_rate=115_200)) == EXPECTED
