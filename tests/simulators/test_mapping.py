"""What stamps of files mean, and what a wrong map is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.clock import from_us
from core.errors import Misconfigured
from simulators import mapping
from simulators.mapping import Midnight, StampReader, Stamps, TimeTable

MAPS = Path(mapping.__file__).parent / "maps"


def reader(**keys: object) -> StampReader:
    table = {"column": "t", "format": "%Y-%m-%d %H:%M", "zone": "Asia/Shanghai"} | keys
    return StampReader(TimeTable.model_validate(table))


def utc(instant_us: int) -> str:
    return from_us(instant_us).isoformat()


@pytest.mark.parametrize("name", ["steel_industry", "plug_cumulative"])
def test_every_map_is_read(name: str) -> None:
    path = MAPS / f"{name}.toml"
    assert mapping.parse(path.read_text("utf-8"), str(path)).agent == "replay-01"


def test_a_stamp_that_ends_its_interval_is_taken_back_to_the_begin() -> None:
    stamps = reader(stamps=Stamps.END, interval_s=900)
    assert utc(stamps.read("2018-01-01 00:15")) == "2017-12-31T16:00:00+00:00"


def test_midnight_of_the_day_that_ends_is_the_next_day() -> None:
    stamps = reader(midnight=Midnight.SAME_DAY_END)
    assert utc(stamps.read("2018-01-01 00:00")) == "2018-01-01T16:00:00+00:00"
    assert utc(reader().read("2018-01-01 00:00")) == "2017-12-31T16:00:00+00:00"


def test_a_shift_moves_the_stamp() -> None:
    assert utc(reader(shift_s=3600).read("2023-01-01 23:00")) == "2023-01-01T16:00:00+00:00"


def test_the_hour_that_autumn_repeats_is_told_by_falling_back() -> None:
    stamps = reader(zone="Europe/Amsterdam")
    read = [utc(stamps.read(f"2022-10-30 {t}")) for t in ("01:30", "02:30", "02:30", "03:30")]
    assert read == [
        "2022-10-29T23:30:00+00:00",
        "2022-10-30T00:30:00+00:00",
        "2022-10-30T01:30:00+00:00",
        "2022-10-30T02:30:00+00:00",
    ]


def test_an_hour_that_spring_skips_does_not_exist() -> None:
    with pytest.raises(ValueError, match="does not exist in Europe/Amsterdam"):
        reader(zone="Europe/Amsterdam").read("2022-03-27 02:30")


def test_a_stamp_with_an_offset_needs_no_zone() -> None:
    stamps = reader(format="%Y-%m-%dT%H:%M:%S%z")
    assert utc(stamps.read("2026-11-21T08:00:00+08:00")) == "2026-11-21T00:00:00+00:00"


def test_all_mistakes_of_a_map_are_named_with_their_lines() -> None:
    text = """
colour = "blue"

[time]
column = "t"
format = "%Y"
stamps = "end"

[[column]]
name = "a"
point = "No Point"
"""
    with pytest.raises(Misconfigured) as caught:
        mapping.parse(text, "m.toml")
    shown = str(caught.value)
    assert "m.toml:2: colour" in shown
    assert "m.toml:4: time" in shown
    assert "interval_s" in shown
    assert "m.toml:11: column.0.point" in shown


@pytest.mark.parametrize(
    ("points", "wrong"),
    [(("a.b.c", "b.b.c"), "several sites"), (("a.b.c", "a.b.c"), "same point")],
)
def test_columns_are_of_one_site_and_have_their_own_points(
    points: tuple[str, str], wrong: str
) -> None:
    columns = "".join(f'[[column]]\nname = "x"\npoint = "{point}"\n' for point in points)
    with pytest.raises(Misconfigured, match=wrong):
        mapping.parse(f'time = {{ column = "t", format = "%Y" }}\n{columns}', "m.toml")
