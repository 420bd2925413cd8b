"""`danhao plan size` as a person and a script use it."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

import danhao
from core import sizing
from deploy import planning

WORDS = ["plan", "size", "--points", "1200", "--every", "10"]


def test_the_first_line_says_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert danhao.main(WORDS) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1200 points at 10 s: 348 GB a year, 31 GB compressed"
    assert "raw readings kept for ever" in lines[4]
    told = "\n".join(lines)
    for size in sizing.catalogue().values():
        assert f"{size.value} {size.unit}  {size.source}" in told


def test_a_script_has_exact_strings_and_where_they_come_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert danhao.main([*WORDS, "--keep-days", "30", "--years", "2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["plan"]["readings_year"] == "3784320000"
    assert answer["plan"]["years"] == 2
    slots = 2 * int(answer["plan"]["slots_year"])
    assert int(answer["plan"]["plain"]) == 30 * 86_400 * 120 * 92 + slots
    assert answer["sizes"]["reading_plain"]["value"] == "92"
    assert answer["sizes"].keys() == sizing.NAMES


@pytest.mark.parametrize(
    "words",
    [
        ["--points", "-1", "--every", "10"],
        ["--points", "99999999", "--every", "10"],
        ["--points", "10", "--every", "0"],
        ["--points", "10", "--every", "nan"],
        ["--points", "10"],
    ],
)
def test_what_is_no_plant_is_wrong_use(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        danhao.main(["plan", "size", *words])
    assert caught.value.code == 2
    assert "danhao plan size: error" in capsys.readouterr().err


def test_zero_points_are_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert danhao.main(["plan", "size", "--points", "0", "--every", "10"]) == 2
    assert capsys.readouterr().err == "danhao: --points: must be a number above zero\n"


@pytest.mark.parametrize(
    ("size", "told"),
    [("0", "0 B"), ("999", "999 B"), ("1000", "1.0 kB"), ("9990", "10.0 kB"), ("31e9", "31 GB"),
     ("5.2e9", "5.2 GB"), ("7e15", "7 PB")],
)  # fmt: skip
def test_room_is_told_in_the_unit_that_fits(size: str, told: str) -> None:
    assert planning.room(Fraction(size)) == told
