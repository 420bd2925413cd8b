"""Channels: every mistake at once, with its line, and never the secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core import tomlfile
from core.errors import Misconfigured
from ingest import channels, config

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
[[channel]]
name = "qinghai"
url = "https://alerts.example/danhao"
secret_file = "{secret}"
jurisdiction = "cn-qh"
"""
SECRET = "hush-hush-hush-hush"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    return path


def load(text: str) -> tuple[channels.Channel, ...]:
    return channels.load(tomlfile.parse(text, "danhao.toml"))


def refused(text: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        load(text)
    assert SECRET not in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


def test_a_channel_is_read_with_its_secret_beside_it(secret: Path) -> None:
    (channel,) = load(GOOD.format(secret=secret))
    assert (channel.name, channel.kind, channel.least_severity) == ("qinghai", "webhook", 0)
    assert channel.secret() == SECRET.encode()
    assert SECRET not in repr(channel)


def test_no_channel_is_no_mistake() -> None:
    assert load("") == ()


def test_a_receiver_is_told_of_its_jurisdiction_and_what_lies_below(secret: Path) -> None:
    (channel,) = load(GOOD.format(secret=secret) + "least_severity = 2\n")
    assert channel.concerns("cn-qh", 2)
    assert channel.concerns("cn-qh-xining", 4)
    assert not channel.concerns("cn-qh", 1)
    assert not channel.concerns("cn", 4)
    assert not channel.concerns("cn-qhx", 4)


def test_a_changed_secret_counts_at_once(secret: Path) -> None:
    (channel,) = load(GOOD.format(secret=secret))
    secret.write_text("another-secret-of-ours")
    assert channel.secret() == b"another-secret-of-ours"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://alerts.example/x", "use https"),
        ("ftp://alerts.example/x", "write https://host/path"),
        ("https:///x", "write https://host/path"),
        ("https://me:hush@alerts.example/x", "leave the account out"),
        ("https://alerts.example:99999/x", "Port out of range"),
        ("alerts.example", "write https://host/path"),
    ],
)
def test_an_address_that_will_not_do_is_one_sentence(secret: Path, url: str, told: str) -> None:
    (sentence,) = refused(GOOD.format(secret=secret).replace("https://alerts.example/danhao", url))
    assert sentence.startswith("danhao.toml:4: channel.0.url: ")
    assert told in sentence
    assert "hush" not in sentence


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_plain_http_is_for_this_machine(secret: Path, host: str) -> None:
    text = GOOD.format(secret=secret)
    assert load(text.replace("https://alerts.example", f"http://{host}:9000"))


def test_all_mistakes_of_all_channels_are_told_at_once(secret: Path, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("hush")
    told = refused(
        GOOD.format(secret=secret)
        + GOOD.format(secret=tmp_path / "none")
        + GOOD.format(secret=tmp_path / "short").replace("qinghai", "other")
        + '[[channel]]\nname = "No Slug"\nkind = "fax"\n'
    )
    assert len(told) == 8
    assert any("danhao.toml:9: channel.1.name: 'qinghai' is the name of another" in t for t in told)
    assert any("channel.1.secret_file" in t and "cannot be read" in t for t in told)
    assert any("channel.2.secret_file" in t and "holds no secret" in t for t in told)
    assert any("channel.3.jurisdiction: is required" in t for t in told)


def test_a_table_in_single_brackets_is_told(secret: Path) -> None:
    told = refused(GOOD.format(secret=secret).replace("[[channel]]", "[channel]"))
    assert "double brackets" in told[0]


def test_ingest_takes_its_channels_from_danhao_toml(secret: Path, tmp_path: Path) -> None:
    path = tmp_path / "danhao.toml"
    path.write_text(GOOD.format(secret=secret))
    environment = {
        "DANHAO_DATABASE_URL": "postgresql://me@db/danhao",
        "DANHAO_MQTT_URL": "mqtt://broker",
    }
    assert [one.name for one in config.load(environment, path).channels] == ["qinghai"]
    path.write_text(GOOD.format(secret=tmp_path / "none"))
    with pytest.raises(Misconfigured, match=r"channel\.0\.secret_file"):
        config.load(environment, path)
