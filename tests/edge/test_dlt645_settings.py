"""edge.toml with DL/T 645 meters: what a right one makes, and all mistakes of a wrong one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from core.errors import Misconfigured
from edge import config as configuration
from edge.dlt645.line import SerialSettings, TcpSettings
from edge.dlt645.meter import Dlt645Meter

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
HEAD = """\
site = "gh-al"
agent = "gw-01"
[broker]
url = "mqtt://127.0.0.1"
"""


def written(folder: Path, devices: str) -> Path:
    path = folder / "edge.toml"
    path.write_text(HEAD + devices, "utf-8")
    return path


def told(folder: Path, devices: str) -> list[str]:
    with pytest.raises(Misconfigured) as wrong:
        configuration.load(written(folder, devices))
    return [str(problem) for problem in wrong.value.problems]


RIGHT = """
[[device]]
name = "incoming"
driver = "dlt645"
serial = "/dev/ttyUSB0"
address = "000000000161"
period_s = 60
[device.points]
"gh-al.potline-1.ac-import" = "forward_active_energy"
"gh-al.potline-1.ac-peak" = "forward_active_energy_t2"
"gh-al.potline-1.ac-daily" = "daily_forward_active_energy"
[[device]]
name = "outgoing"
driver = "dlt645"
serial = "/dev/ttyUSB0"
address = "000000000162"
period_s = 60
[device.points]
"gh-al.potline-2.ac-import" = "reverse_active_energy"
[[device]]
name = "remote"
driver = "dlt645"
host = "192.0.2.10"
port = 4001
address = "AAAAAAAA0163"
[device.points]
"gh-al.potline-3.power" = "active_power_total"
"""


def test_meters_of_one_line_are_one_line(tmp_path: Path) -> None:
    stations = configuration.load(written(tmp_path, RIGHT)).stations(lambda: NOW)
    drivers = [station.driver for station in stations]
    assert [station.line for station in stations] == [
        "serial /dev/ttyUSB0",
        "serial /dev/ttyUSB0",
        "tcp 192.0.2.10:4001",
    ]
    first, second, third = drivers
    assert isinstance(first, Dlt645Meter)
    assert isinstance(second, Dlt645Meter)
    assert isinstance(third, Dlt645Meter)
    assert first._line is second._line
    assert first._line.settings == SerialSettings("/dev/ttyUSB0", 2_400, "even", 1)
    assert third._line.settings == TcpSettings("192.0.2.10", 4_001)
    assert first.counters == {
        "gh-al.potline-1.ac-import",
        "gh-al.potline-1.ac-peak",
        "gh-al.potline-1.ac-daily",
    }
    assert third.counters == frozenset()
    assert "meter AAAAAAAA0163" in stations[2].where
    assert (
        stations[0].same
        == configuration.load(written(tmp_path, RIGHT)).stations(lambda: NOW)[0].same
    )


WRONG = """
[[device]]
name = "a"
driver = "dlt645"
serial = "ttyUSB0"
address = "161"
baud_rate = 1234
timezone = "Asia/Nowhere"
[device.points]
"gh-al.p.x" = "forward_energy"
"gh-al.p" = "active_power_total"
[[device]]
name = "b"
driver = "dlt645"
serial = "/dev/ttyUSB1"
host = "192.0.2.10"
address = "999999999999"
colour = "red"
[device.points]
"gh-al.p.y" = "voltage_a"
[[device]]
name = "c"
driver = "dlt645"
host = "192.0.2.10"
baud_rate = 9600
address = "000000000001"
model = "mine.toml"
[device.points]
"gh-al.p.z" = "voltage_a"
"""


def test_all_mistakes_are_told_at_once_with_line_and_key(tmp_path: Path) -> None:
    lines = "\n".join(told(tmp_path, WRONG))
    for part in (
        "edge.toml:9: device.0.serial: ",
        "edge.toml:10: device.0.address: an address has the 12 digits on the meter",
        "edge.toml:11: device.0.baud_rate: ",
        "edge.toml:12: device.0.timezone: no time zone is called 'Asia/Nowhere'",
        "edge.toml:14: device.0.points.gh-al.p.x: dlt645_2007 has no item 'forward_energy'",
        "forward_active_energy",
        "edge.toml:15: device.0.points.gh-al.p: is no point id",
        "edge.toml:21: device.1.address: nobody answers the broadcast address",
        "edge.toml:22: device.1.colour: is not a key of this table",
        "mine.toml: cannot be read: No such file or directory",
    ):
        assert part in lines, part


def test_what_a_line_cannot_have_is_told(tmp_path: Path) -> None:
    both = RIGHT.replace('serial = "/dev/ttyUSB0"', 'serial = "/dev/ttyUSB0"\nhost = "h"', 1)
    assert any("needs either serial" in line for line in told(tmp_path, both))
    neither = RIGHT.replace('serial = "/dev/ttyUSB0"\n', "", 1)
    assert any("needs either serial" in line for line in told(tmp_path, neither))
    server = RIGHT.replace("port = 4001", 'parity = "none"')
    assert any("set them at the server" in line for line in told(tmp_path, server))
    port = RIGHT.replace('serial = "/dev/ttyUSB0"', 'serial = "/dev/ttyUSB0"\nport = 1', 1)
    assert any("port belongs to host" in line for line in told(tmp_path, port))


def test_meters_that_cannot_share_their_line_are_told(tmp_path: Path) -> None:
    twice = RIGHT.replace("000000000162", "000000000161")
    assert any("161 is read twice on serial /dev/ttyUSB0" in line for line in told(tmp_path, twice))
    wild = RIGHT.replace("000000000162", "AAAAAAAAAAAA")
    assert any("several meters on serial /dev/ttyUSB0" in line for line in told(tmp_path, wild))
    speeds = RIGHT.replace(
        'serial = "/dev/ttyUSB0"', 'serial = "/dev/ttyUSB0"\nbaud_rate = 9600', 1
    )
    assert any("differs from the first meter's" in line for line in told(tmp_path, speeds))
    foreign = """
[[device]]
name = "other"
driver = "modbus-rtu"
serial = "/dev/ttyUSB0"
model = "acrel_adw300"
[device.points]
"gh-al.p.other" = "power_total"
"""
    lines = told(tmp_path, RIGHT + foreign)
    assert any("shares serial /dev/ttyUSB0 with a device that is not DL/T 645" in n for n in lines)


def test_a_table_of_ones_own_is_read_beside_the_file(tmp_path: Path) -> None:
    text = 'title = "Mine"\nsource = "its manual"\n[item.x]\ndi = "04800001"\nformat = "XX.XX"\n'
    (tmp_path / "mine.toml").write_text(text, "utf-8")
    devices = RIGHT.replace("port = 4001", 'model = "mine.toml"').replace("active_power_total", "x")
    stations = configuration.load(written(tmp_path, devices)).stations(lambda: NOW)
    assert stations[2].title == "Mine"
    (tmp_path / "mine.toml").write_text(text.replace("XX.XX", "XXX"), "utf-8")
    assert any("mine.toml:3: item.x: format has an odd" in line for line in told(tmp_path, devices))
    unknown = devices.replace("mine.toml", "mine")
    assert any("there is no table 'mine'" in line for line in told(tmp_path, unknown))
