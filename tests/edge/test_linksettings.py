"""Brokers, destinations and certificates in edge.toml: what is right is read, the rest is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from core import tomlfile
from edge import linksettings
from edge.linksettings import Broker, OutboxSettings, Secrets
from edge.outboxplan import most_points, plan
from tests.edge.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from core.tomlfile import Document

TWO = """\
[broker]
url = "mqtts://here:8884"
ca_file = "authority.pem"
certificate_file = "gh-al.gw-01.pem"
certificate_key_file = "gh-al.gw-01.key"

[destination.province]
url = "mqtt://there"
username = "gh-al.gw-01"
password_file = "secret"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Authority(tmp_path).issue("gh-al.gw-01")
    (tmp_path / "secret").write_text("pass word\n")
    return tmp_path


def document(text: str) -> Document:
    return tomlfile.parse(text, "edge.toml")


def told(text: str, folder: Path) -> list[str]:
    read = document(text)
    secrets = Secrets(read, folder)
    problems = [*linksettings.account_problems(read), *linksettings.name_problems(read)]
    secrets.destinations()
    return [str(each) for each in [*problems, *secrets.problems]]


def test_each_destination_has_what_opens_its_door(folder: Path) -> None:
    secrets = Secrets(document(TWO), folder)
    opened = secrets.destinations()
    assert secrets.problems == []
    assert opened["main"]["certificate_file"] == folder / "gh-al.gw-01.pem"
    assert (opened["main"]["password"], opened["province"]["password"]) == (None, "pass word")


@pytest.mark.parametrize(
    ("find", "replace", "line", "sentence"),
    [
        ('"authority.pem"', '"secret"', "edge.toml:3: broker.ca_file", "no certificate"),
        ('gw-01.key"', 'gw-01.pem"', "edge.toml:4: broker.certificate_file", "no pair"),
        ('"gh-al.gw-01.pem"', '"lost"', "edge.toml:4: broker.certificate_file", "cannot be read"),
        ("mqtt://there", "mqtt://me:hunter2@there", "edge.toml:8: destination.province", "never"),
        ("destination.province", "destination.main", "edge.toml:7: destination.main", "choose"),
        ('"secret"', '"none"', "edge.toml:10: destination.province.password_file", "cannot be"),
    ],
)
def test_a_mistake_is_told_at_its_line_without_a_secret(
    find: str, replace: str, line: str, sentence: str, folder: Path
) -> None:
    text = TWO.replace(find, replace)
    assert text != TWO
    (problem,) = told(text, folder)
    assert problem.startswith(line)
    assert sentence in problem
    assert "hunter2" not in problem


def test_there_are_at_most_four_destinations(folder: Path) -> None:
    more = "".join(f'[destination.d{n}]\nurl = "mqtt://h"\n' for n in range(4))
    (problem,) = told('[broker]\nurl = "mqtt://h"\n' + more, folder)
    assert "more than 4 destinations" in problem


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "mqtt://h", "certificate_file": "a", "certificate_key_file": "b"},
        {"url": "mqtts://h", "certificate_file": "a"},
        {"url": "mqtts://h", "protocol": "4"},
        {"url": "mqtt://h", "ca_file": "a"},
        {"url": "mqtt://h", "password_file": "a"},
        {"url": "https://h"},
    ],
)
def test_what_does_not_go_together_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Broker.model_validate(wrong)


def test_the_default_outbox_lasts_half_a_year_of_quarter_hours_and_a_week_of_seconds() -> None:
    default = OutboxSettings()
    size = default.max_mb << 20
    assert plan(4_000, 900, size, default.keep_days).days >= 184
    assert plan(100, 1, size, default.keep_days).days >= 7
    assert plan(10, 1, size, default.keep_days).days >= 28
    assert 100 < most_points(7, 1, size) < 400


def test_more_points_or_a_shorter_period_never_last_longer() -> None:
    days = [plan(points, 60, 1 << 26, 10_000).days_by_size for points in (1, 10, 100, 1_000)]
    assert days == sorted(days, reverse=True)
    assert plan(50, 1, 1 << 26, 9).days < plan(50, 2, 1 << 26, 9).days <= 9
