"""`danhao alerts conditions`: what is in force, what a file would change, every mistake at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import danhao
from core import conditionfile

if TYPE_CHECKING:
    from pathlib import Path

OWN = """\
[condition.data_quality]
off = true
[condition.agent_silent]
watch = "agent_silence"
raise_at = "600"
clear_at = "120"
hold_s = 60
keep_s = 60
severity = 1
name = { zh = "甲", en = "Gateway gone" }
sentence = { zh = "{subject} {value}", en = "{subject} {value}" }
source = "here"
schedule = { hours = "06:00-22:30", weekdays = ["mon", "fri"] }
"""


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DANHAO_CONFIG", raising=False)


def test_without_a_file_the_shipped_ones_are_listed_a_line_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert danhao.main(["alerts", "conditions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(conditionfile.catalogue())
    (silent,) = [line for line in lines if line.startswith("agent_silent ")]
    words = "agent_silent 0 agent 30 minutes / 10 minutes Agent silent"
    assert " ".join(silent.split()) == words


def test_a_file_is_shown_over_the_shipped_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(OWN)
    assert danhao.main(["alerts", "conditions", str(own), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["off"] == ["data_quality"]
    assert [one["condition"] for one in told["items"] if one["own"]] == ["agent_silent"]
    (changed,) = [one for one in told["items"] if one["own"]]
    assert (changed["raise_at"], changed["severity"], changed["measure"]) == ("600", 1, "s")
    assert changed["schedule"] == {"hours": "06:00-22:30", "weekdays": ["mon", "fri"]}
    (tmp_path / "danhao.toml").write_text('[conditions]\nfile = "own.toml"\n')
    assert danhao.main(["alerts", "conditions"]) == 0
    out = capsys.readouterr().out
    assert "Gateway gone  06:00-22:30 mon,fri" in out
    assert out.splitlines()[-1] == "off: data_quality"


def test_every_mistake_of_a_file_is_told_and_it_is_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(OWN.replace("600", "120").replace("hold_s = 60", "hold_s = -1") + "x = 1\n")
    assert danhao.main(["alerts", "conditions", str(own)]) == 2
    told = capsys.readouterr().err
    assert "own.toml:7" in told
    assert "own.toml:14" in told
