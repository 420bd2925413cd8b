"""The edge agent: its whole path against bare pymodbus, its blocks, and its size as a process."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiomqtt
from pymodbus.client import AsyncModbusTcpClient

from core import wire, wire_pb2
from core.clock import utc_now
from deploy import parentdeath
from deploy.benches import edgemeters
from deploy.benches.measured import PAIRS, Measured
from deploy.benches.servers import cpu_s, mosquitto, rss_mb
from edge import blocks, registermaps
from edge import config as configuration
from edge.agent import Agent
from edge.modbus.bus import Bus, Framing, Route
from edge.modbus.meter import ModbusMeter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.blocks import Block
    from edge.config import Configuration
    from edge.driver import Driver, Polled
    from edge.registers import Quantity, RegisterMap

NAMES: Final = ("edge.vs_bare", "edge.blocks", "edge.rss_mb")
MODEL: Final = "eastron_sdm54"
METERS: Final = 100
ON_ONE_LINE: Final = 30
POINTS: Final = 20  # of each meter: 2,000 in all, once a second
SAMPLE_S: Final = 2.0
SETTLE_S: Final = 5.0
WATCH_S: Final = 20.0
POLLS: Final = 5
PATIENCE_S: Final = 20.0
MOST_BEHIND: Final = 8_000  # readings that wait for the disk
POLL_S: Final = 0.01
PACE_S: Final = 0.002
AT_ONCE_S: Final = 1e-6  # a period that is always over: the line never waits


def measure() -> list[Measured]:
    """Everything of the edge, over the same simulated meters."""
    logging.getLogger("edge").setLevel(logging.CRITICAL)  # no broker is there, and none is needed
    meter = registermaps.builtin(MODEL)
    with (
        mosquitto() as (broker_port, _),
        edgemeters.serving(METERS, _words(meter)) as meters,
        tempfile.TemporaryDirectory(prefix="danhao-bench-") as folder,
    ):
        path = _written(Path(folder), meter, meters.ports, broker_port)
        config = configuration.load(path)
        plan = blocks.plan(list(meter.quantities.values())[:POINTS], meter.limits)
        found = [_vs_bare(config, plan, meters.ports), _blocks(meters)]
        for file in path.parent.glob("outbox.sqlite*"):
            file.unlink()  # what the first bench left must not be sent by the last
        return [
            *found,
            asyncio.run(_rss(path, meters, broker_port, len(plan))),
        ]


def _written(folder: Path, meter: RegisterMap, ports: Sequence[int], broker_port: int) -> Path:
    lines = [
        'site = "gh-al"',
        'agent = "gw-01"',
        "[broker]",
        f'url = "mqtt://127.0.0.1:{broker_port}"',
    ]
    for number, port in enumerate(ports):
        lines += [
            "[[device]]",
            f'name = "m{number}"',
            'host = "127.0.0.1"',
            f"port = {port}",
            f'model = "{MODEL}"',
            "period_s = 1",
            "[device.points]",
            *(f'"gh-al.m{number}.{_slug(n)}" = "{n}"' for n in list(meter.quantities)[:POINTS]),
        ]
    path = folder / "edge.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path


def _slug(name: str) -> str:
    return name.replace("_", "-")


def _words(meter: RegisterMap) -> bytes:
    """Return registers that show likely figures: 230.5 in every float."""
    held = bytearray(2 * edgemeters.REGISTERS)
    for quantity in meter.quantities.values():
        held[2 * quantity.address : 2 * quantity.address + 4] = b"\x43\x66\x80\x00"
    return bytes(held)


@dataclass(frozen=True, slots=True)
class Pace:
    """What one side did once its connections stood: blocks a second, and CPU a block [us]."""

    blocks_per_s: float
    cpu_us: float


def _vs_bare(config: Configuration, plan: Sequence[Block], ports: Sequence[int]) -> Measured:
    """Blocks a second of the agent, outbox on disk included, over those of a bare loop.

    Both read one block after another, as on one line; ours is 30 meters that take turns. Beside it
    stands what happens where a hundred lines are read side by side and both only compute.
    """
    pairs, side_by_side = [], []
    for _ in range(PAIRS):
        pairs.append(
            (
                asyncio.run(_bare(plan, ports[:1])),
                asyncio.run(_agent(config, len(plan), one_line=True)),
            )
        )
        bare, agent = asyncio.run(_bare(plan, ports)), asyncio.run(_agent(config, len(plan)))
        side_by_side.append(agent.blocks_per_s / bare.blocks_per_s)
    best = min(pairs, key=lambda pair: pair[1].cpu_us)[1]
    return Measured(
        "edge.vs_bare",
        "ratio",
        0.8,
        tuple(agent.blocks_per_s / bare.blocks_per_s for bare, agent in pairs),
        beside=(
            ("readings/s", best.blocks_per_s * POINTS / len(plan)),
            ("CPU s/M readings", best.cpu_us * len(plan) / POINTS),
            (f"{METERS} lines side by side", statistics.median(side_by_side)),
        ),
    )


async def _bare(plan: Sequence[Block], ports: Sequence[int]) -> Pace:
    """Return the pace at which pymodbus reads, one task a line, nothing done with the answers."""
    count = 0

    async def line(client: AsyncModbusTcpClient, stop_s: float) -> None:
        nonlocal count
        while time.perf_counter() < stop_s:
            for block in plan:
                await client.read_input_registers(block.address, count=block.count, device_id=1)
                count += 1

    clients = [AsyncModbusTcpClient("127.0.0.1", port=port) for port in ports]
    await asyncio.gather(*(client.connect() for client in clients))
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(line(client, began_s + SAMPLE_S) for client in clients))
    took_s, used_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    for client in clients:
        client.close()
    return Pace(count / took_s, used_s / count * 1e6)


class _Paced:
    """A driver that waits while the disk is behind, so that nothing is dropped at full speed."""

    def __init__(self, driver: Driver, room: asyncio.Event) -> None:
        self._driver = driver
        self._room = room
        self.name, self.counters = driver.name, driver.counters
        self.look, self.close = driver.look, driver.close

    async def poll(self) -> Polled:
        """Poll once there is room."""
        if not self._room.is_set():
            await self._room.wait()
        return await self._driver.poll()


async def _pace(agent: Agent, room: asyncio.Event) -> None:
    """Hold the lines while many readings wait for the disk."""
    while True:
        behind = agent.counts.readings - agent.counts.kept
        if behind > MOST_BEHIND:
            room.clear()
        elif behind < MOST_BEHIND // 2:
            room.set()
        await asyncio.sleep(PACE_S)


async def _agent(config: Configuration, block_count: int, *, one_line: bool = False) -> Pace:
    """Return the pace at which the agent has readings on disk, its lines never idle."""
    room = asyncio.Event()
    room.set()
    stations = [
        replace(station, driver=_Paced(station.driver, room), period_s=AT_ONCE_S)
        for station in config.stations(utc_now)
    ]
    if one_line:
        stations = [replace(station, line="one") for station in stations[:ON_ONE_LINE]]
    agent = Agent(config, clock=utc_now, monotonic=time.monotonic, stations=stations)
    stop = asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    pacing = asyncio.create_task(_pace(agent, room))
    while agent.counts.kept < len(stations) * POINTS:  # noqa: ASYNC110 - what ends it is another thread's
        await asyncio.sleep(POLL_S)
    began_s, began_cpu_s, before = time.perf_counter(), time.process_time(), agent.counts.kept
    await asyncio.sleep(SAMPLE_S)
    kept = agent.counts.kept - before
    took_s, used_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    stop.set()
    await task
    pacing.cancel()
    if agent.counts.dropped:
        raise RuntimeError(f"{agent.counts.dropped} readings dropped: the figure means nothing")
    return Pace(kept * block_count / POINTS / took_s, used_s / (kept * block_count / POINTS) * 1e6)


def _blocks(meters: edgemeters.Meters) -> Measured:
    """Count the reads that a poll of each shipped model takes, over the fewest legal ones."""
    samples = []
    for model in registermaps.models():
        meter = registermaps.builtin(model)
        meters.questions()
        asyncio.run(_polled(meter, meters.ports[0]))
        least = fewest(list(meter.quantities.values()), meter.limits.most_registers)
        samples.append(meters.questions() / POLLS / least)
    return Measured(
        "edge.blocks",
        "ratio",
        1.2,
        tuple(samples),
        at_most=True,
        beside=(("worst", max(samples)), ("models", len(samples))),
    )


async def _polled(meter: RegisterMap, port: int) -> None:
    driver = ModbusMeter(
        meter.name,
        bus=Bus(Route(Framing.TCP, "127.0.0.1", port), time.monotonic),
        unit_id=1,
        timeout_s=PATIENCE_S,
        meter=meter,
        points=dict(meter.quantities),
        clock=utc_now,
    )
    for _ in range(POLLS):
        await driver.poll()
    await driver.close()


def fewest(quantities: Sequence[Quantity], most: int) -> int:
    """Return the fewest reads by another method than the planner's: shortest path."""
    total = 0
    for function in {quantity.function for quantity in quantities}:
        rows = sorted(
            (q.address, q.address + q.words) for q in quantities if q.function == function
        )
        best = [0] * (len(rows) + 1)
        for first in range(len(rows) - 1, -1, -1):
            best[first], end = len(rows), 0
            for last in range(first, len(rows)):
                end = max(end, rows[last][1])
                if end - rows[first][0] > most:
                    break
                best[first] = min(best[first], 1 + best[last + 1])
        total += best[0]
    return total


async def _rss(
    path: Path, meters: edgemeters.Meters, broker_port: int, block_count: int
) -> Measured:
    """Run the agent as a process on one core, sending to a broker: memory, and what it managed."""
    core = min(os.sched_getaffinity(0))
    process = await asyncio.create_subprocess_exec(
        "taskset",
        "--cpu-list",
        str(core),
        sys.executable,
        "-m",
        "danhao",
        "edge",
        "run",
        str(path),
        "--json",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        **parentdeath.spawn_arguments(),
    )
    receipts = asyncio.create_task(_receipt(broker_port))
    try:
        await asyncio.sleep(SETTLE_S)
        await asyncio.to_thread(meters.questions)
        began_s, began_cpu_s = time.monotonic(), cpu_s(process.pid)
        samples = []
        while time.monotonic() - began_s < WATCH_S:
            await asyncio.sleep(1.0)
            samples.append(rss_mb(process.pid))
        took_s = time.monotonic() - began_s
        used_s = cpu_s(process.pid) - began_cpu_s
        questions = await asyncio.to_thread(meters.questions)
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        receipts.cancel()
    told = json.loads(out)
    return Measured(
        "edge.rss_mb",
        "MB",
        80,
        (max(samples),),
        at_most=True,
        beside=(
            ("points/s", questions / took_s * POINTS / block_count),
            ("cores", used_s / took_s),
            ("kept", told["agent"]["kept"]),
            ("dropped", told["agent"]["dropped"]),
            ("sent", told["publishers"]["main"]["sent_readings"]),
        ),
    )


async def _receipt(port: int) -> None:
    """Stand behind the broker as a store does, and receipt every envelope."""
    base, committed = "danhao/v1/gh-al/gw-01", 0
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe(f"{base}/readings", qos=1)
        async for message in client.messages:
            packet = wire_pb2.Packet.FromString(bytes(message.payload))
            envelope = wire_pb2.Envelope.FromString(packet.envelope)
            committed = max(committed, envelope.sequence)
            told = wire.Receipt("bench", envelope.epoch, committed, ()).to_json()
            await client.publish(f"{base}/ack", told, qos=1, retain=True)
