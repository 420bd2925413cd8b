"""An agent on a gateway whose clock is wrong: what it reads arrives under the right instants."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core import wire
from core.clock import from_us, to_us, utc_now
from core.quality import Quality
from core.reading import Reading
from edge import machineclock
from edge.agent import Agent
from edge.driver import Polled, Seen, Station
from tests.edge.meters import Meter, serving
from tests.edge.plant import configured, loaded, store_behind, until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.edge.plant import Store
    from tests.fixtures.broker import Broker

pytestmark = pytest.mark.broker
POINT = "gh-al.m1.energy"
NEAR_S = 5.0  # the way to the store and back on a busy machine; the clocks are hours apart


class Counter:
    """A device without a protocol that notes when it was truly read."""

    def __init__(self) -> None:
        self.name = "m1"
        self.counters = frozenset({POINT})
        self.clock: Callable[[], datetime] = utc_now
        self.truly: list[datetime] = []

    async def poll(self) -> Polled:
        self.truly.append(utc_now())
        return Polled([Reading(POINT, to_us(self.clock()), len(self.truly))])

    async def look(self) -> Sequence[Seen]:
        return ()

    async def close(self) -> None:
        pass


class Wall:
    """A wall clock that is off by what the test says."""

    def __init__(self, off: timedelta) -> None:
        self.off = off

    def __call__(self) -> datetime:
        return utc_now() + self.off


def check(store: Store, device: Counter) -> None:
    """See that every value that arrived stands under the instant at which it was truly read."""
    for (point, at_us), value in store.values.items():
        assert point == POINT
        apart = from_us(at_us) - device.truly[int(value) - 1]
        assert abs(apart.total_seconds()) < NEAR_S, (value, apart)


@pytest.mark.parametrize("years", [-56, -0.001, 0.001])
async def test_readings_of_a_wrong_clock_wait_and_are_stamped_by_the_stores(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch, years: float
) -> None:
    monkeypatch.setattr(machineclock, "synchronised", lambda: False)
    wall = Wall(timedelta(days=365 * years))
    device = Counter()
    agent = Agent(
        loaded(tmp_path, broker.port),
        clock=wall,
        monotonic=time.monotonic,
        stations=[Station(device, "", 0.2, 1.0, "", "", None)],
    )
    device.clock = agent.watch.now
    stop = asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    if years == -56:
        await until(lambda: agent.outbox.state().withheld)
        assert agent.outbox.state().depth == 0
    async with store_behind(broker.port) as store:
        store.clock = utc_now
        await until(lambda: len(store.values) >= 12)
        for publisher in agent.publishers:
            publisher.report()
        await until(lambda: store.statuses[-1].clock_offset_ms is not None)
        stop.set()
        await task
    if years == -56:
        check(store, device)
        assert store.sequences[0] == 1
    else:  # the first moments stand where the clock put them, and say that they are uncertain
        assert set(store.qualities) <= {Quality.GOOD, Quality.UNCERTAIN}
        count = len(store.values)
        store.values = {key: value for key, value in store.values.items() if value > 8}
        assert len(store.values) >= count - 8 > 0
        check(store, device)
    told = store.statuses[-1].clock_offset_ms
    assert told == pytest.approx(wall.off.total_seconds() * 1e3, abs=NEAR_S * 1e3)


async def test_a_clock_that_is_set_right_lets_go_what_waited(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = False
    monkeypatch.setattr(machineclock, "synchronised", lambda: followed)
    wall = Wall(timedelta(days=-20_000))
    device = Counter()
    agent = Agent(
        loaded(tmp_path, broker.port),
        clock=wall,
        monotonic=time.monotonic,
        stations=[Station(device, "", 0.2, 1.0, "", "", None)],
    )
    device.clock = agent.watch.now
    stop = asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    async with store_behind(broker.port) as store:
        await until(lambda: agent.outbox.state().withheld >= 1)
        assert store.sequences == []
        wall.off, followed = timedelta(), True  # a time server was found
        await until(lambda: len(store.values) >= 8)
        stop.set()
        await task
    check(store, device)
    assert Quality.GOOD in store.qualities
    assert store.qualities[0] is Quality.UNCERTAIN
    assert agent.outbox.in_memory is False


MAIN = """
import argparse, sys
from edge import commands
parser = argparse.ArgumentParser()
commands.register(parser.add_subparsers())
args = parser.parse_args()
sys.exit(args.run(args))
"""


def library() -> str:
    """Return the preload library of faketime."""
    program = shutil.which("faketime")
    if program is None:
        pytest.skip("needs faketime, to give one process another time")
    shown = subprocess.run(
        [program, "-f", "+0", "env"], check=True, capture_output=True, text=True
    ).stdout
    found = [line.partition("=")[2] for line in shown.splitlines() if line.startswith("LD_PRELOAD")]
    return found[0]


@pytest.mark.slow
async def test_a_whole_process_under_a_clock_that_is_hours_behind(
    tmp_path: Path, broker: Broker
) -> None:
    preload = library()
    off = tmp_path / "off"
    off.write_text("-2h\n")
    meter = Meter()
    meter.show(62, 0x0012, 0xD687)
    async with serving(meter) as port, store_behind(broker.port) as store:
        store.clock = utc_now
        process = await asyncio.to_thread(
            subprocess.Popen,
            [
                sys.executable,
                "-c",
                MAIN,
                "edge",
                "run",
                str(configured(tmp_path, broker.port, port)),
            ],
            env={
                **os.environ,
                "LD_PRELOAD": preload,
                "FAKETIME_TIMESTAMP_FILE": str(off),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            },
            stderr=subprocess.DEVNULL,
        )
        try:
            begun = utc_now()
            await until(lambda: store.statuses, 20)
            if machineclock.synchronised():  # two clocks with authority: a person must look
                await until(lambda: "clock_wrong" in store.statuses[-1].troubles, 60)
                return
            await until(lambda: newest(store) > begun, 60)
            assert newest(store) - utc_now() < timedelta(seconds=NEAR_S)
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, 30)
        await until(lambda: store.statuses[-1].state is wire.AgentState.OFFLINE)
    assert process.returncode == 0
    told = store.statuses[-1].clock_offset_ms
    assert told == pytest.approx(-2 * 3_600e3, abs=NEAR_S * 1e3)


def newest(store: Store) -> datetime:
    return from_us(max((at_us for _, at_us in store.values), default=0))
