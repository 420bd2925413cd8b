"""Settings of ingest: every mistake at once, and never a secret in what is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.errors import Misconfigured
from ingest import config

if TYPE_CHECKING:
    from pathlib import Path

DATABASE = {"DANHAO_DATABASE_URL": "postgresql://me:hush@db/danhao"}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hush\n")
    loaded = config.load(
        {
            **DATABASE,
            "DANHAO_MQTT_URL": "mqtt://broker:1884",
            "DANHAO_MQTT_USERNAME": "ingest",
            "DANHAO_MQTT_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )
    assert (loaded.mqtt.host, loaded.mqtt.port, loaded.mqtt.tls) == ("broker", 1884, False)
    assert loaded.mqtt.password() == "hush"
    assert "hush" not in repr(loaded.mqtt)


def test_the_file_says_what_the_environment_does_not(tmp_path: Path) -> None:
    (tmp_path / "danhao.toml").write_text(
        '[mqtt]\nurl = "mqtts://broker"\n[ingest]\nbatch_ms = 50\n'
    )
    loaded = config.load(DATABASE)
    assert (loaded.mqtt.port, loaded.mqtt.tls, loaded.ingest.batch_ms) == (8883, True, 50)


def test_all_mistakes_of_all_tables_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "danhao.toml").write_text(
        '[mqtt]\nurl = "http://broker"\nclient = "x"\n[ingest]\nbatch_ms = 0\n'
    )
    with pytest.raises(Misconfigured) as caught:
        config.load({})
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == 4
    assert any("set DANHAO_DATABASE_URL" in each for each in told)
    assert any(each.startswith("danhao.toml:2: mqtt.url: write mqtt://") for each in told)
    assert any(each.startswith("danhao.toml:5: ingest.batch_ms") for each in told)


def test_no_broker_is_one_sentence() -> None:
    with pytest.raises(Misconfigured, match="no broker is named: set DANHAO_MQTT_URL"):
        config.load(DATABASE)


def test_a_password_does_not_belong_into_an_address() -> None:
    with pytest.raises(Misconfigured) as caught:
        config.load({**DATABASE, "DANHAO_MQTT_URL": "mqtt://me:hush@broker"})
    assert "DANHAO_MQTT_URL" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_password_file_must_hold_a_password(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    mqtt = config.Mqtt(url="mqtt://broker", password_file=tmp_path / "empty")
    with pytest.raises(Misconfigured, match="holds no password"):
        mqtt.password()


def test_how_long_raw_readings_are_kept_is_told_in_the_file(tmp_path: Path) -> None:
    given = {**DATABASE, "DANHAO_MQTT_URL": "mqtt://broker"}
    assert config.load(given).keep.raw_days is None
    (tmp_path / "danhao.toml").write_text("[store]\nraw_days = 400\ndrop_unarchived = true\n")
    keep = config.load(given).keep
    assert (keep.raw_days, keep.drop_unarchived) == (400, True)
    (tmp_path / "danhao.toml").write_text("[store]\nraw_days = 1\n")
    with pytest.raises(Misconfigured, match=r"danhao.toml:2: store.raw_days"):
        config.load(given)


def test_a_file_of_ones_own_changes_what_people_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "danhao.toml").write_text(
        '[mqtt]\nurl = "mqtt://broker"\n[conditions]\nfile = "own.toml"\n'
    )
    own = tmp_path / "own.toml"
    own.write_text("[condition.data_quality]\noff = true\n")
    loaded = config.load(DATABASE)
    assert loaded.conditions is not None
    assert "data_quality" not in loaded.conditions
    assert "agent_silent" in loaded.conditions
    own.write_text("[condition.moon]\noff = true\n[condition.sun]\nwatch = 'sun'\n")
    with pytest.raises(Misconfigured) as caught:
        config.load(DATABASE)
    told = [str(problem) for problem in caught.value.problems]
    assert told[0].startswith("own.toml:1: condition.moon: is no shipped condition")
    assert len(told) > 8
    own.unlink()
    with pytest.raises(Misconfigured, match=r"own\.toml: cannot be read"):
        config.load(DATABASE)
