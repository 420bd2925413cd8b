"""MQTT in against a real broker: live, queued while away, retained, bounded, through its death."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest

from core.clock import to_us
from core.reading import Reading
from edge.mqttin import device as device_module
from edge.mqttin import hub as hub_module
from edge.mqttin import settings
from edge.mqttin.device import MqttIn
from edge.mqttin.settings import MqttInDevice
from tests.edge.certificates import Authority
from tests.edge.plant import until
from tests.fixtures.broker import Broker, mosquitto_program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.edge.certificates import Pair

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
NOW_S = 1_795_237_200
ENERGY, POWER = "gh-al.shop.energy", "gh-al.shop.power"
TOPIC = "shop/meter"
TIMED = {"time": {"path": "$.t", "format": "epoch_s"}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "FIRST_DELAY_S", 0.05)
    monkeypatch.setattr(hub_module, "MOST_DELAY_S", 0.1)


def table(at: Broker, **other: Any) -> dict[str, Any]:
    return {
        "name": "meter",
        "driver": "mqtt-in",
        "broker": {"url": at.url},
        "topic": TOPIC,
        "points": {ENERGY: {"path": "$.v", "counter": True, "resolution": "0.001", "unit": "kWh"}},
        **other,
    }


def driver(at: Broker, /, **other: Any) -> MqttIn:
    device = MqttInDevice.model_validate(table(at) | other)
    (station,) = settings.stations([device], Path(), lambda: NOW)
    assert isinstance(station.driver, MqttIn)
    return station.driver


def connected(device: MqttIn) -> bool:
    return not device._hub.fault


@asynccontextmanager
async def polling(*devices: MqttIn) -> AsyncIterator[None]:
    """Have the devices connected inside the block, and gone after it."""
    for device in devices:
        await device.poll()
        await until(partial(connected, device))
    try:
        yield
    finally:
        for device in devices:
            await device.close()


async def publish(
    broker: Broker, *payloads: object, topic: str = TOPIC, retain: bool = False
) -> None:
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        for payload in payloads:
            text = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
            await client.publish(topic, text, qos=1, retain=retain)


async def gathered(device: MqttIn, least: int, *, keep: bool = True) -> list[Reading]:
    """Poll until so many readings came; `keep` says that they are on disk."""
    found: list[Reading] = []
    async with asyncio.timeout(10):
        while len(found) < least:
            polled = await device.poll()
            found += polled.readings
            if keep and polled.kept is not None:
                polled.kept()
            await asyncio.sleep(0.01)
    return found


async def test_what_a_device_publishes_becomes_readings(broker: Broker) -> None:
    device = driver(broker)
    async with polling(device):
        await publish(broker, {"v": 1.5})
        found = await gathered(device, 1)
        assert (await device.poll()).readings == []
    assert found == [Reading(ENERGY, to_us(NOW), 1500)]
    assert device.counters == {ENERGY}


async def test_what_is_sent_while_the_agent_restarts_waits_at_the_broker(broker: Broker) -> None:
    first = driver(broker, **TIMED)
    async with polling(first):
        await publish(broker, {"v": 1, "t": NOW_S - 100})
        before = await gathered(first, 1)
    await publish(broker, *({"v": n, "t": NOW_S - 100 + n} for n in range(2, 6)))
    second = driver(broker, **TIMED)
    async with polling(second):
        after = await gathered(second, 4)
    assert [reading.value for reading in before] == [1000]
    assert [reading.value for reading in after] == [2000, 3000, 4000, 5000]
    assert [r.measured_us // 1_000_000 for r in after] == [NOW_S - 98 + n for n in range(4)]


async def test_what_did_not_reach_the_disk_comes_again(broker: Broker) -> None:
    first = driver(broker, **TIMED)
    async with polling(first):
        await publish(broker, {"v": 1, "t": NOW_S - 9}, {"v": 2, "t": NOW_S - 8})
        await gathered(first, 2, keep=False)  # the agent dies before they are written
    second = driver(broker, **TIMED)
    async with polling(second):
        again = await gathered(second, 2)
        await publish(broker, {"v": 3, "t": NOW_S - 7})
        await gathered(second, 1)
    third = driver(broker, **TIMED)
    async with polling(third):
        await publish(broker, {"v": 4, "t": NOW_S - 6})
        last = await gathered(third, 1)
    assert [reading.value for reading in again] == [1000, 2000]
    assert [reading.value for reading in last] == [4000]


async def test_a_device_that_tells_no_time_is_never_read_from_a_queue(broker: Broker) -> None:
    first = driver(broker)
    async with polling(first):
        await publish(broker, {"v": 1})
        await gathered(first, 1, keep=False)
    await publish(broker, {"v": 2})
    second = driver(broker)
    async with polling(second):
        await publish(broker, {"v": 3})
        found = await gathered(second, 1)
    assert [reading.value for reading in found] == [3000]


async def test_a_retained_message_without_a_time_is_passed_over(broker: Broker) -> None:
    await publish(broker, {"v": 7}, retain=True)
    device = driver(broker)
    async with polling(device):
        await until(lambda: device.counts.messages == 1)
        assert (await device.poll()).readings == []
        await publish(broker, {"v": 8}, retain=True)  # live, though the broker keeps it as well
        found = await gathered(device, 1)
    assert [reading.value for reading in found] == [8000]
    assert device.counts.ignored == 1


async def test_the_same_message_again_is_no_new_reading(broker: Broker) -> None:
    device = driver(broker, **TIMED)
    async with polling(device):
        await publish(broker, {"v": 1, "t": NOW_S}, {"v": 1, "t": NOW_S}, {"v": 2, "t": NOW_S + 1})
        found = await gathered(device, 2)
    assert [reading.value for reading in found] == [1000, 2000]
    assert device.counts.repeated == 1


async def test_a_bad_payload_is_told_once_a_poll_and_harms_no_other(broker: Broker) -> None:
    device = driver(broker)
    async with polling(device):
        await publish(broker, "{", {"v": "on"}, "{", {"v": 2})
        await until(lambda: device.counts.messages == 4)
        polled = await device.poll()
    assert [reading.value for reading in polled.readings] == [2000]
    assert polled.faults == (
        f"meter {TOPIC}: is no JSON: {{",
        f"meter {TOPIC}: {ENERGY} is no number: on",
    )
    assert device.counts.faults == 3


async def test_two_devices_of_one_broker_share_its_connection(broker: Broker) -> None:
    tables = [
        table(broker, name="a"),
        table(broker, name="b", topic="shop/other", points={POWER: {"path": "$.p"}}),
    ]
    devices = [MqttInDevice.model_validate(each) for each in tables]
    made = settings.stations(devices, Path(), lambda: NOW)
    first, second = (station.driver for station in made)
    assert isinstance(first, MqttIn)
    assert isinstance(second, MqttIn)
    assert first._hub is second._hub
    async with polling(first, second):
        hub = first._hub
        await until(lambda: hub.counts.connections == 2)  # the second one's topic was added
        await publish(broker, {"v": 1})
        await publish(broker, {"p": 2}, topic="shop/other")
        assert [r.point for r in await gathered(first, 1)] == [ENERGY]
        assert [r.point for r in await gathered(second, 1)] == [POWER]
        await first.close()
        await publish(broker, {"p": 3}, topic="shop/other")
        assert [r.value for r in await gathered(second, 1)] == [3.0]


async def test_a_broker_that_dies_is_told_and_joined_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "GRACE_S", 0.0)
    device = driver(broker, **TIMED)
    async with polling(device):
        broker.kill()
        await until(lambda: device._hub.fault)
        polled = await device.poll()
        broker.start()
        await until(lambda: not device._hub.fault)
        await publish(broker, {"v": 1, "t": NOW_S})
        found = await gathered(device, 1)
    assert "broker" in polled.faults[0]
    assert [reading.value for reading in found] == [1000]


async def test_a_short_outage_of_the_broker_is_no_fault(broker: Broker) -> None:
    device = driver(broker, **TIMED)
    async with polling(device):
        broker.kill()
        await until(lambda: device._hub.fault)
        assert (await device.poll()).faults == ()


@pytest.mark.slow
async def test_silence_is_told_by_point(broker: Broker) -> None:
    points = {
        ENERGY: {"path": "$.v", "counter": True, "resolution": "0.001"},
        POWER: {"path": "$.p"},
    }
    device = driver(broker, silent_s=1, points=points)
    async with polling(device):
        async with asyncio.timeout(10):
            while not (polled := await device.poll()).faults:
                await publish(broker, {"v": 1})
                await asyncio.sleep(0.05)
    assert polled.faults == (f"meter has sent nothing for 1 s: {POWER}",)


async def test_more_than_it_can_hold_stays_at_the_broker(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "MOST_HELD_MESSAGES", 20)
    monkeypatch.setattr(device_module, "MOST_POLL_MESSAGES", 5)
    device = driver(broker, **TIMED)
    async with polling(device):
        await publish(broker, *({"v": n, "t": NOW_S - 500 + n} for n in range(300)))
        await until(lambda: device.full)
        held = len(device._held)
        found: list[Reading] = []
        async with asyncio.timeout(20):
            while len({reading.measured_us for reading in found}) < 300:
                polled = await device.poll()
                found += polled.readings
                if polled.kept is not None:
                    polled.kept()
                await asyncio.sleep(0.001)
    assert held <= 20 + 100  # what the broker may have under way at once
    assert {reading.value for reading in found} == {1000 * n for n in range(300)}
    assert device.counts.dropped == 0
    assert device._hub.counts.pauses > 0


async def test_without_a_session_the_oldest_go_and_are_counted(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "MOST_HELD_MESSAGES", 10)
    device = driver(broker)
    async with polling(device):
        await publish(broker, *({"v": n} for n in range(40)))
        await until(lambda: device.counts.messages == 40)
        found = await gathered(device, 10)
    assert [reading.value for reading in found] == [1000 * n for n in range(30, 40)]
    assert device.counts.dropped == 30


async def test_a_broker_that_lets_nobody_in_says_so(
    broker_with_passwords: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "GRACE_S", 0.0)
    device = driver(broker_with_passwords)
    await device.poll()
    await until(lambda: device._hub.counts.failures)
    polled = await device.poll()
    await device.close()
    assert polled.readings == []
    assert broker_with_passwords.url in polled.faults[0]


@pytest.mark.mosquitto
async def test_a_session_of_mqtt_5_is_kept_too(broker: Broker) -> None:
    if not broker.durable:
        pytest.skip("needs a broker that speaks MQTT 5")
    other = {**TIMED, "broker": {"url": broker.url, "protocol": "5"}}
    async with polling(driver(broker, **other)):
        pass
    await publish(broker, {"v": 2, "t": NOW_S})
    device = driver(broker, **other)
    async with polling(device):
        found = await gathered(device, 1)
    assert [reading.value for reading in found] == [2000]


async def test_a_person_sees_the_payload_and_the_value_without_disturbing_the_agent(
    broker: Broker,
) -> None:
    points = {
        ENERGY: {"path": "$.v", "counter": True, "resolution": "0.001", "unit": "kWh"},
        POWER: {"path": "$.p", "unit": "kW"},
    }
    running = driver(broker, points=points, timeout_s=0.6, **TIMED)
    async with polling(running):
        looked = asyncio.create_task(running.look())
        async with asyncio.timeout(10):
            while not looked.done():
                await publish(broker, {"v": 1.234, "t": NOW_S, "note": "x" * 300})
                await asyncio.sleep(0.05)
        energy, power = looked.result()
        found = await gathered(running, 1)
        assert running._hub.counts.connections == 1
    assert (energy.count, energy.value, energy.unit, energy.quality) == (
        1234,
        "1.234",
        "kWh",
        "good",
    )
    assert energy.raw.startswith('{"v": 1.234')
    assert len(energy.raw) == 160
    assert (power.value, power.raw) == (None, energy.raw)
    assert "none with this value: check its path" in power.warnings[0]
    assert [reading.value for reading in found] == [1234]


async def test_a_person_is_told_why_nothing_came(broker: Broker) -> None:
    (silent,) = await driver(broker, timeout_s=0.3).look()
    assert "no message came within 0.3 s: check the topic" in silent.warnings[0]
    await publish(broker, {"v": 1}, retain=True)
    (old,) = await driver(broker, timeout_s=0.3).look()
    assert "only an old, retained message" in old.warnings[0]
    broker.kill()
    (gone,) = await driver(broker, timeout_s=0.3).look()
    assert broker.url in gone.warnings[0]


_TLS = """\
listener {port} 127.0.0.1
cafile {authority}
certfile {certificate}
keyfile {key}
require_certificate true
allow_anonymous true
listener {plain} 127.0.0.1
allow_anonymous true
log_dest none
{user}
"""


class SecureBroker(Broker):
    """A Mosquitto that asks for a certificate on `secure`, and for nothing on `port`."""

    def __init__(self, folder: Path, server: Pair, authority: Path) -> None:
        super().__init__(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.secure = int(probe.getsockname()[1])
        self._text = _TLS.format(
            port=self.secure,
            plain=self.port,
            authority=authority,
            certificate=server.certificate,
            key=server.key,
            user="user root" if os.geteuid() == 0 else "",
        )

    def _command(self) -> list[str]:
        config = self._folder / "secure.conf"
        config.write_text(self._text)
        return [mosquitto_program() or "", "-c", str(config)]


@pytest.mark.mosquitto
async def test_mutual_tls_is_spoken_as_the_publisher_does(tmp_path: Path) -> None:
    if mosquitto_program() is None:
        pytest.skip("needs the Mosquitto of the distribution")
    authority = Authority(tmp_path)
    ours = authority.issue("agent")
    broker = SecureBroker(tmp_path, authority.issue("server"), authority.file)
    broker.start()
    secure = {
        "url": f"mqtts://127.0.0.1:{broker.secure}",
        "ca_file": authority.file.name,
        "certificate_file": ours.certificate.name,
        "certificate_key_file": ours.key.name,
    }
    device = MqttInDevice.model_validate(table(broker) | {"broker": secure})
    (station,) = settings.stations([device], tmp_path, lambda: NOW)
    assert isinstance(station.driver, MqttIn)
    async with polling(station.driver):
        await publish(broker, {"v": 1})
        found = await gathered(station.driver, 1)
    broker.stop()
    assert [reading.value for reading in found] == [1000]
