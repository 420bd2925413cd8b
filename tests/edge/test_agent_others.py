"""The whole agent with what is not Modbus: DL/T 645 meters on one line, devices that publish."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import aiomqtt
import pytest

from core.clock import from_us, to_us, utc_now
from core.periods import zone
from edge import check
from edge import config as configuration
from edge.agent import Agent
from edge.mqttin import hub
from simulators.dlt645 import SimulatedMeter, date_time, frozen_at, number
from simulators.dlt645_meter import Dlt645Line
from tests.edge.plant import store_behind, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.broker import Broker

ENERGY, DAILY, OTHER = "gh-al.p.energy", "gh-al.p.daily", "gh-al.p.other"
PLUG, POWER = "gh-al.p.plug", "gh-al.p.plug-power"
TOPIC = "tele/plug/SENSOR"
SHANGHAI = zone("Asia/Shanghai")
# At midnight a meter's date and time may be of two days: this plant's clock is near noon.
SHIFT = timedelta(hours=12 - utc_now().astimezone(SHANGHAI).hour)


def now() -> datetime:
    return utc_now() + SHIFT


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "FIRST_DELAY_S", 0.05)


def written(folder: Path, broker: Broker, line_port: int) -> Path:
    path = folder / "edge.toml"
    path.write_text(
        f"""\
site = "gh-al"
agent = "gw-01"
[broker]
url = "{broker.url}"
[[device]]
name = "incoming"
driver = "dlt645"
host = "127.0.0.1"
port = {line_port}
address = "000000000161"
period_s = 0.2
freeze_days = 1
[device.points]
"{ENERGY}" = "forward_active_energy"
"{DAILY}" = "daily_forward_active_energy"
[[device]]
name = "outgoing"
driver = "dlt645"
host = "127.0.0.1"
port = {line_port}
address = "000000000162"
period_s = 0.2
[device.points]
"{OTHER}" = "reverse_active_energy"
[[device]]
name = "plug"
driver = "mqtt-in"
topic = "{TOPIC}"
period_s = 0.1
timeout_s = 5
[device.broker]
url = "{broker.url}"
[device.time]
path = "$.t"
format = "epoch_ms"
[device.points."{PLUG}"]
path = "$.total"
counter = true
resolution = "0.001"
unit = "kWh"
[device.points."{POWER}"]
path = "$.power"
unit = "kW"
""",
        "utf-8",
    )
    return path


def meters() -> list[SimulatedMeter]:
    local = now().astimezone(SHANGHAI)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    shown = {
        **date_time(local),
        "00010000": number(12_345_678, 4),
        "05060001": frozen_at(midnight),
        "05060101": number(12_300_000, 4),
    }
    return [
        SimulatedMeter("000000000161", shown),
        SimulatedMeter("000000000162", {"00020000": number(77, 4)}),
    ]


async def publish(broker: Broker, at_us: int, total: float) -> None:
    payload = json.dumps({"t": at_us // 1_000, "total": total, "power": 5.5})
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.publish(TOPIC, payload, qos=1)


@pytest.mark.slow
async def test_readings_of_every_protocol_reach_the_store(tmp_path: Path, broker: Broker) -> None:
    now_us = to_us(now()) // 1_000 * 1_000
    stop = asyncio.Event()
    async with Dlt645Line(meters()).serving() as line, store_behind(broker.port) as store:
        config = configuration.load(written(tmp_path, broker, line.port))
        agent = Agent(config, clock=now, monotonic=time.monotonic)
        running = asyncio.create_task(agent.run(stop))
        plug = next(s.driver for s in agent.stations if s.driver.name == "plug")
        await until(lambda: not plug._hub.fault)  # type: ignore[attr-defined]  # MqttIn
        await publish(broker, now_us - 2_000_000, 3.705)
        await until(lambda: {point for point, _ in store.values} >= {ENERGY, DAILY, OTHER, PLUG})
        stop.set()
        await running
        # Away: the device goes on publishing, and the broker keeps it.
        await publish(broker, now_us - 1_000_000, 3.706)
        stop.clear()
        again = Agent(
            configuration.load(tmp_path / "edge.toml"), clock=now, monotonic=time.monotonic
        )
        running = asyncio.create_task(again.run(stop))
        await until(lambda: (PLUG, now_us - 1_000_000) in store.values)
        stop.set()
        await running
    values = store.values
    plugs = {at: value for (point, at), value in values.items() if point == PLUG}
    assert plugs == {now_us - 2_000_000: 3705, now_us - 1_000_000: 3706}
    (daily,) = {at for point, at in values if point == DAILY}
    assert from_us(daily).astimezone(SHANGHAI).strftime("%H:%M:%S") == "00:00:00"
    assert values[DAILY, daily] == 12_300_000
    assert {value for (point, _), value in values.items() if point == ENERGY} == {12_345_678}
    assert {value for (point, _), value in values.items() if point == OTHER} == {77}


async def test_edge_check_shows_frames_and_payloads(tmp_path: Path, broker: Broker) -> None:
    async def chatter() -> None:
        while True:
            await publish(broker, to_us(now()), 3.705)
            await asyncio.sleep(0.05)

    async with Dlt645Line(meters()).serving() as line:
        config = configuration.load(written(tmp_path, broker, line.port))
        talking = asyncio.create_task(chatter())
        found = await check.check(config.stations(now))
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
    text = "\n".join(check.table(found))
    assert [device.ok for device in found] == [True, True, True]
    assert "6861010000000068910833333433ab8967457816" in text
    assert "123456.78" in text
    assert "123000.00" in text
    assert '{"t": ' in text
    assert "3.705" in text
    assert "all well" in text


@pytest.mark.slow
async def test_a_publisher_that_falls_silent_is_heard_at_once_when_it_speaks(
    tmp_path: Path, broker: Broker
) -> None:
    stop = asyncio.Event()
    path = written(tmp_path, broker, 1)
    text = path.read_text("utf-8")
    head, _, plug = text.partition("[[device]]")
    plug = "[[device]]" + plug.rpartition("[[device]]")[2].replace(
        "period_s", "silent_s = 1\nperiod_s"
    )
    path.write_text(head + plug, "utf-8")
    async with store_behind(broker.port) as store:
        agent = Agent(configuration.load(path), clock=now, monotonic=time.monotonic)
        running = asyncio.create_task(agent.run(stop))
        counts = agent.counts.meters["plug"]
        await until(lambda: counts.failures >= 5)
        silence, polls = counts.fault, counts.polls
        await publish(broker, to_us(now()), 3.705)
        await until(lambda: any(point == PLUG for point, _ in store.values), 3)
        stop.set()
        await running
    assert "has sent nothing for 1 s" in silence
    assert counts.polls > polls
