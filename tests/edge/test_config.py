"""`edge.toml`: what is right is loaded, what is wrong is told at once, in one sentence each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.clock import utc_now
from core.errors import Misconfigured
from edge import config
from edge.modbus.settings import ModbusSerialDevice, ModbusTcpDevice
from tests.edge.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
site = "gh-al"
agent = "gw-01"
key_file = "agent.pem"

[broker]
url = "mqtts://broker.example:8884"
username = "gh-al.gw-01"
password_file = "mqtt.secret"
ca_file = "ca.pem"

[outbox]
path = "state/outbox.sqlite"
max_mb = 64
keep_days = 14

[[device]]
name = "potline-1"
driver = "modbus-tcp"
host = "127.0.0.1"
port = 1502
unit_id = 3
model = "acrel_adw300"
period_s = 1
timeout_s = 0.5

[device.points]
"gh-al.potline-1.ac-import" = "import_active_energy"
"gh-al.potline-1.line-power" = "power_total"

[[device]]
name = "own"
host = "10.0.0.2"
model = "own.toml"
points = { "gh-al.potline-1.aux" = "steam" }
"""
OWN_MAP = """\
title = "Own"
source = "our list"
firmware = "1"
[quantity.steam]
address = 1
type = "uint32"
counter = true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "agent.pem").write_bytes(pem)
    (tmp_path / "mqtt.secret").write_text("pass word\n")
    Authority(tmp_path, "ca")
    (tmp_path / "own.toml").write_text(OWN_MAP)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "edge.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        config.load(write(folder, text))
    return [str(problem) for problem in caught.value.problems]


def test_a_right_file_is_loaded_with_its_maps_and_secrets(folder: Path) -> None:
    loaded = config.load(write(folder, GOOD))
    assert (loaded.settings.site, loaded.settings.agent) == ("gh-al", "gw-01")
    broker = loaded.settings.broker
    assert (broker.host, broker.port, broker.tls) == ("broker.example", 8884, True)
    (main,) = loaded.destinations
    assert (main.name, main.password, main.ca_file) == ("main", "pass word", folder / "ca.pem")
    assert loaded.sign is not None
    assert loaded.key.startswith("ed25519:")
    assert loaded.outbox_path == folder / "state" / "outbox.sqlite"
    first, own = loaded.devices
    assert isinstance(first, ModbusTcpDevice)
    assert isinstance(own, ModbusTcpDevice)
    assert first.points["gh-al.potline-1.ac-import"] == "import_active_energy"
    assert (own.port, own.unit_id, own.driver) == (502, 1, "modbus-tcp")
    stations = loaded.stations(utc_now)
    assert [station.driver.name for station in stations] == ["potline-1", "own"]
    assert stations[1].driver.counters == {"gh-al.potline-1.aux"}


def test_no_secret_shows_when_a_configuration_is_printed(folder: Path) -> None:
    assert "pass word" not in repr(config.load(write(folder, GOOD)))


def test_all_mistakes_are_told_at_once_with_file_line_and_key(folder: Path) -> None:
    text = """\
site = "GH"
agent = "gw-01"
colour = "red"
key_file = "none.pem"
[broker]
url = "http://broker"
password_file = "no.secret"
[outbox]
max_mb = 0
[[device]]
name = "a"
host = ""
port = 70000
model = "acrel_adw300"
[device.points]
"gh.x.y" = "steam"
[[device]]
name = "a"
host = "h"
model = "nobody"
period_s = 0
points = { "gh.x.y" = "power_total", "nonsense" = "voltage_l1" }
"""
    told = problems(folder, text)
    where = {line.rsplit(": ", 1)[0] for line in told}
    assert all(line.startswith("edge.toml:") for line in told)
    for place in (
        "edge.toml:1: site",
        "edge.toml:3: colour",
        "edge.toml:4: key_file",
        "edge.toml:6: broker.url",
        "edge.toml:7: broker.password_file",
        "edge.toml:9: outbox.max_mb",
        "edge.toml:12: device.0.host",
        "edge.toml:13: device.0.port",
        "edge.toml:18: device.1.name",
        "edge.toml:20: device.1.model",
        "edge.toml:21: device.1.period_s",
    ):
        assert any(line.startswith(place) for line in told), (place, where)
    whole = "\n".join(told)
    assert "acrel_adw300 has no quantity 'steam'" in whole
    assert "is no point id" in whole
    assert "is read by two devices" in whole
    assert "names two devices" in whole


@pytest.mark.parametrize(
    ("find", "replace", "told"),
    [
        ("mqtts://broker.example:8884", "mqtt://u:p@broker", "never into a url"),
        ("mqtts://broker.example:8884", "mqtts://broker:99999", "1 to 65535"),
        ("mqtts://broker.example:8884", "mqtts://broker/path", "ends with its port"),
        ("mqtts://broker.example:8884", "mqtt://broker", "needs an mqtts://"),
        ('username = "gh-al.gw-01"\n', "", "needs a username"),
        ('"gh-al.potline-1.ac-import"', '"qh-fa.potline-1.ac-import"', "another site"),
        ('model = "own.toml"', 'model = "lost.toml"', "lost.toml: cannot be read"),
        ('driver = "modbus-tcp"', 'driver = "modbus"', "take one of modbus-tcp, modbus-rtu"),
        ('driver = "modbus-tcp"', "driver = 5", "take one of modbus-tcp, modbus-rtu"),
        ("unit_id = 3", "shift = 65530", "would be 65592"),
        ("unit_id = 3", 'parity = "even"', "is not a key of this table"),
    ],
)
def test_each_mistake_is_one_clear_sentence(
    folder: Path, find: str, replace: str, told: str
) -> None:
    text = GOOD.replace(find, replace)
    assert text != GOOD
    assert any(re.search(re.escape(told), line) for line in problems(folder, text))


def test_a_password_in_the_url_is_refused_without_being_repeated(folder: Path) -> None:
    told = problems(folder, GOOD.replace("mqtts://broker", "mqtts://me:hunter2@broker"))
    assert len(told) == 1
    assert "hunter2" not in told[0]


def test_a_mistake_in_a_map_of_ones_own_is_told_with_the_maps_line(folder: Path) -> None:
    (folder / "own.toml").write_text(OWN_MAP.replace('"uint32"', '"uint31"'))
    (line,) = problems(folder, GOOD)
    assert "own.toml:6: quantity.steam.type" in line


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\xfe", b"x" * 5_000])
def test_a_password_file_holds_one_line(folder: Path, content: bytes) -> None:
    (folder / "mqtt.secret").write_bytes(content)
    (line,) = problems(folder, GOOD)
    assert "edge.toml:8: broker.password_file" in line


def test_a_key_that_is_none_is_told_at_its_line(folder: Path) -> None:
    (folder / "agent.pem").write_text("nothing")
    (line,) = problems(folder, GOOD)
    assert line.startswith("edge.toml:3: key_file")


def test_a_file_that_is_not_there_or_no_toml_is_one_sentence(folder: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        config.load(folder / "none.toml")
    assert problems(folder, "site = ")[0].startswith("edge.toml:")
    (folder / "edge.toml").write_bytes(b"site = '\xff'")
    with pytest.raises(Misconfigured, match="UTF-8"):
        config.load(folder / "edge.toml")


SERIAL = """
[[device]]
name = "kiln-1"
driver = "modbus-rtu"
serial = "/dev/ttyUSB0"
unit_id = 1
baud_rate = 9600
parity = "even"
model = "acrel_adw300"
points = { "gh-al.kiln.energy" = "import_active_energy" }

[[device]]
name = "kiln-2"
driver = "modbus-rtu"
serial = "/dev/ttyUSB0"
unit_id = 2
baud_rate = 9600
parity = "even"
model = "eastron_sdm630"
points = { "gh-al.kiln.fan" = "import_active_energy" }
"""


def test_devices_of_one_serial_port_are_one_line(folder: Path) -> None:
    loaded = config.load(write(folder, GOOD + SERIAL))
    *_, first, second = loaded.devices
    assert isinstance(first, ModbusSerialDevice)
    assert (first.parity, first.stop_bits, first.route.silence_s) == ("even", 1, 38.5 / 9600)
    lines = [station.line for station in loaded.stations(utc_now)]
    assert lines == ["tcp 127.0.0.1:1502", "tcp 10.0.0.2:502", *["serial /dev/ttyUSB0"] * 2]
    assert second.name == "kiln-2"


def test_devices_of_one_line_speak_to_it_in_one_way(folder: Path) -> None:
    (line,) = problems(folder, GOOD + SERIAL.replace('parity = "even"', 'parity = "odd"', 1))
    assert "device.3.parity: differs from device 'kiln-1' on the same line" in line


def test_a_gateway_is_spoken_to_by_one_protocol(folder: Path) -> None:
    text = GOOD.replace('host = "10.0.0.2"', 'host = "127.0.0.1"\nport = 1502').replace(
        'name = "own"', 'name = "own"\ndriver = "modbus-rtu-tcp"'
    )
    (line,) = problems(folder, text)
    assert "device.1.driver: differs from device 'potline-1'" in line


def test_a_text_is_no_point(folder: Path) -> None:
    (folder / "own.toml").write_text(
        OWN_MAP.replace('type = "uint32"\ncounter = true', 'type = "string"\nlength = 8')
    )
    (line,) = problems(folder, GOOD)
    assert "steam is a text, which no reading can be" in line


def test_a_health_page_is_off_unless_it_has_a_port(folder: Path) -> None:
    assert config.load(write(folder, GOOD)).settings.health is None
    page = config.load(write(folder, GOOD.replace("[outbox]", "[health]\nport = 9465\n[outbox]")))
    assert page.settings.health is not None
    assert page.settings.health.port == 9465
    (line,) = problems(folder, GOOD.replace("[outbox]", "[health]\nport = 80\n[outbox]"))
    assert "health.port" in line
