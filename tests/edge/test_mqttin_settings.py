"""edge.toml with devices that publish: what a right one makes, and all mistakes of a wrong one."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from edge import config as configuration
from edge.mqttin import settings
from edge.mqttin.device import MqttIn
from tests.edge.test_dlt645_settings import told, written

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
RIGHT = """
[[device]]
name = "plug"
driver = "mqtt-in"
topic = "tele/plug/SENSOR"
timezone = "Asia/Shanghai"
[device.broker]
url = "mqtt://192.0.2.9"
[device.time]
path = "$.Time"
[device.points."gh-al.shop.plug-energy"]
path = "$.ENERGY.Total"
counter = true
resolution = "0.001"
unit = "kWh"
[device.points."gh-al.shop.plug-power"]
path = "$.ENERGY.Power"
scale = "0.001"
unit = "kW"
[[device]]
name = "shelly"
driver = "mqtt-in"
[device.broker]
url = "mqtt://192.0.2.9"
[device.points."gh-al.shop.shelly-energy"]
topic = "shellies/shellyem-F00D/emeter/0/total"
counter = true
resolution = "0.1"
"""


def test_devices_of_one_broker_share_its_sessions(tmp_path: Path) -> None:
    stations = configuration.load(written(tmp_path, RIGHT)).stations(lambda: NOW)
    timed, now = (station.driver for station in stations)
    assert isinstance(timed, MqttIn)
    assert isinstance(now, MqttIn)
    # What tells no time must not come from a queue: it has a session that nobody keeps.
    assert (timed._hub.keeps, now._hub.keeps) == (True, False)
    assert timed._hub.client_id == "danhao-in-gh-al.shop.plug-energy"
    assert now._hub.client_id == "danhao-in-gh-al.shop.plug-energy-now"
    assert timed.counters == {"gh-al.shop.plug-energy"}
    assert timed.filters == ("tele/plug/SENSOR",)
    assert stations[0].line != stations[1].line
    both = RIGHT.replace('[device.points."gh-al.shop.shelly', '[device.points."gh-al.shop.a')
    named = configuration.load(written(tmp_path, both)).stations(lambda: NOW)[0].driver
    assert isinstance(named, MqttIn)
    assert named._hub.client_id == "danhao-in-gh-al.shop.a-energy"


WRONG = """
[[device]]
name = "a"
driver = "mqtt-in"
topic = "tele/+plug/SENSOR"
timezone = "Asia/Nowhere"
[device.broker]
url = "http://192.0.2.9"
[device.time]
path = "Time"
format = "iso"
[device.points."gh-al.shop.x"]
path = "$.ENERGY["
counter = true
resolution = 0.001
[device.points."gh-al.shop.y"]
path = "$.a"
counter = true
scale = "2"
[device.points."gh-al.shop"]
path = "$.a"
colour = "red"
[[device]]
name = "b"
driver = "mqtt-in"
[device.broker]
url = "mqtts://192.0.2.9"
ca_file = "nowhere.pem"
username = "x"
password_file = "empty.secret"
[device.points."gh-al.shop.z"]
path = "$.a | $.b"
[[device]]
name = "c"
driver = "mqtt-in"
topic = "a/#/b"
timezone = "Asia/Shanghai"
[device.broker]
url = "mqtt://somebody:secret@192.0.2.9"
[device.points."gh-al.shop.w"]
quality = { path = "$.q", good = [] }
"""


def test_all_mistakes_are_told_at_once_with_line_and_key(tmp_path: Path) -> None:
    (tmp_path / "empty.secret").write_text("", "utf-8")
    lines = "\n".join(told(tmp_path, WRONG))
    for part in (
        "edge.toml:9: device.0.topic: + stands for one whole level",
        "edge.toml:10: device.0.timezone: no time zone is called 'Asia/Nowhere'",
        "edge.toml:12: device.0.broker.url: write mqtt://host:port",
        "edge.toml:14: device.0.time.path: is no JSONPath of RFC 9535, which begins with $",
        "edge.toml:15: device.0.time.format: ",
        "edge.toml:17: device.0.points.gh-al.shop.x.path: is no JSONPath",
        "edge.toml:19: device.0.points.gh-al.shop.x.resolution: write it as text",
        "edge.toml:20: device.0.points.gh-al.shop.y: a counter needs resolution",
        "a counter has no scale",
        "edge.toml:24: device.0.points.gh-al.shop: is no point id",
        "edge.toml:26: device.0.points.gh-al.shop.colour: is not a key of this table",
        "edge.toml:32: device.1.broker.ca_file: nowhere.pem cannot be read",
        "edge.toml:34: device.1.broker.password_file: does not hold one line with a password",
        "edge.toml:35: device.1.points.gh-al.shop.z: has no topic",
        "edge.toml:36: device.1.points.gh-al.shop.z.path: is no JSONPath",
        "edge.toml:40: device.2.topic: # stands for all further levels",
        "edge.toml:43: device.2.broker.url: an account goes into username and password_file",
        "edge.toml:45: device.2.points.gh-al.shop.w.quality.good: ",
    ):
        assert part in lines, part
    assert "secret@" not in lines


def test_what_does_not_go_together_is_told(tmp_path: Path) -> None:
    zone = RIGHT.replace('[device.time]\npath = "$.Time"\n', "")
    assert any("timezone needs time" in line for line in told(tmp_path, zone))
    plain = RIGHT.replace('path = "$.ENERGY.Power"\n', "")
    assert any("is a plain number, so time" in line for line in told(tmp_path, plain))
    clients = RIGHT.replace('name = "shelly"', 'name = "shelly"\nclient_id = "x"')
    assert any("differs from that of another device" in line for line in told(tmp_path, clients))
    negative = RIGHT.replace('resolution = "0.1"', 'resolution = "-1"')
    assert any("resolution must be above 0" in line for line in told(tmp_path, negative))


@pytest.mark.parametrize("topic", ["a", "a/b", "+", "#", "a/+/b", "a/#", "/", "a b/ü"])
def test_a_topic_filter_of_mqtt_is_taken(topic: str) -> None:
    assert settings.topic_fault(topic) == ""


@pytest.mark.parametrize("topic", ["", "a+", "a/b+/c", "a#", "#/a", "a\0", "x" * 65_536])
def test_what_is_no_topic_filter_is_told(topic: str) -> None:
    assert settings.topic_fault(topic)


def test_neither_jsonpath_nor_a_serial_library_is_loaded_by_an_agent_without_such_devices() -> None:
    script = (
        "import sys, edge.commands, edge.dlt645.settings, edge.mqttin.settings; "
        "print([m for m in ('jsonpath', 'serial', 'pymodbus', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
