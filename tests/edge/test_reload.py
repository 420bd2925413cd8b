"""A reload takes over what can change, keeps what did not, and refuses the rest whole."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from core.clock import utc_now
from core.errors import Misconfigured
from edge import config as configuration
from edge.agent import Agent
from edge.outbox import Outbox
from tests.edge.gateway import Gateway, Unit
from tests.edge.plant import configured, until

if TYPE_CHECKING:
    from pathlib import Path


def acrel(energy: int) -> Unit:
    unit = Unit()
    unit.show(62, energy >> 16, energy & 0xFFFF)
    return unit


async def test_a_reload_keeps_lines_begins_others_and_loses_no_reading(tmp_path: Path) -> None:
    gateways = [Gateway({1: acrel(number)}) for number in (100, 200, 300)]
    async with gateways[0].listening(), gateways[1].listening(), gateways[2].listening():
        first, second, third = (gateway.port for gateway in gateways)
        path = configured(tmp_path, 1, first, second, period_s=0.2)
        agent = Agent(configuration.load(path), clock=utc_now, monotonic=time.monotonic)
        stop = asyncio.Event()
        running = asyncio.create_task(agent.run(stop))
        await until(lambda: agent.counts.meters["m2"].readings >= 4)
        configured(tmp_path, 1, first, third, period_s=0.2)
        changed = await agent.reload(configuration.load(path))
        assert changed == tuple(sorted([f"tcp 127.0.0.1:{second}", f"tcp 127.0.0.1:{third}"]))
        asked = len(gateways[1].units[1].asked)
        await until(lambda: len(gateways[2].units[1].asked) >= 3)
        assert len(gateways[1].units[1].asked) == asked
        assert gateways[0].connections == 1  # the line that did not change was not touched
        configured(tmp_path, 1, first, period_s=0.2)
        assert await agent.reload(configuration.load(path)) == (f"tcp 127.0.0.1:{third}",)
        assert agent.counts.meters.keys() == {"m1"}
        stop.set()
        await asyncio.wait_for(running, 5)
        answered = sum(len(gateway.units[1].asked) for gateway in gateways)
    assert agent.counts.dropped == 0
    assert agent.counts.kept == agent.counts.readings
    assert agent.counts.readings >= 2 * (answered - 1)  # a stop may cut one poll short
    box = Outbox(tmp_path / "outbox.sqlite", most_bytes=1 << 20, keep_us=10**15)
    assert sum(held.rows for held in box.outlet("main").peek(0, 1_000)) == agent.counts.kept
    box.close()


@pytest.mark.parametrize(
    ("find", "replace", "told"),
    [
        ('agent = "gw-01"', 'agent = "gw-02"', "agent"),
        ("mqtt://127.0.0.1:1883", "mqtt://127.0.0.1:1884", "broker"),
        ("[broker]", '[outbox]\npath = "other.sqlite"\n[broker]', "outbox"),
    ],
)
async def test_what_needs_a_new_start_is_refused_and_nothing_changes(
    tmp_path: Path, find: str, replace: str, told: str
) -> None:
    path = configured(tmp_path, 1883, 1502)
    config = configuration.load(path)
    agent = Agent(config, clock=utc_now, monotonic=time.monotonic)
    path.write_text(path.read_text().replace(find, replace).replace("1502", "1503"))
    with pytest.raises(Misconfigured, match=f"{told}: changes with a new start only"):
        await agent.reload(configuration.load(path))
    assert agent.config is config
    assert [station.where for station in agent.stations] == ["127.0.0.1:1502, unit 1"]
    agent.outbox.close()
