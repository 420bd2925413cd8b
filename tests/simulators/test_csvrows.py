"""Recorded files by their maps: published sums, and every problem with its line."""

from __future__ import annotations

import csv
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from core.clock import from_us
from core.errors import Misconfigured
from core.periods import parse_instant, zone
from simulators import csvrows, mapping
from simulators.csvrows import Recording, Span

MAPS = Path(mapping.__file__).parent / "maps"
DATA = Path(mapping.__file__).parents[2] / "shared" / "data"
MAP = """
time = { column = "when", format = "%Y-%m-%d %H:%M", zone = "UTC" }
[[column]]
name = "kWh"
point = "a.b.c"
resolution = "0.01"
"""
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded series are not here")


def recording(path: Path, map_name: str) -> Recording:
    text = (MAPS / f"{map_name}.toml").read_text("utf-8")
    return Recording(path, mapping.parse(text, map_name))


def made(folder: Path, text: str, span: Span | None = None) -> Recording:
    path = folder / "d.csv"
    path.write_text(text, "utf-8")
    return Recording(path, mapping.parse(MAP, "m.toml"), span or Span())


@needs_data
def test_the_steelworks_months_are_the_published_ones() -> None:
    steel = recording(DATA / "series" / "steel_industry_data.csv", "steel_industry")
    assert steel.check() == 35_040
    months: dict[str, Decimal] = defaultdict(Decimal)
    stamps = []
    for (reading,) in steel.rows():
        local = from_us(reading.measured_us).astimezone(zone("Asia/Seoul"))
        months[f"{local:%Y-%m}"] += Decimal(str(reading.value))
        stamps.append(reading.measured_us)
    with (DATA / "truth" / "steel_by_month.csv").open(encoding="utf-8") as stream:
        truth = {row["date"]: Decimal(row["kwh"]) for row in csv.DictReader(stream)}
    assert months == truth
    assert sum(months.values()) == Decimal("959636.71")
    steps = {late - early for early, late in pairwise(stamps)}
    assert steps == {900_000_000}


@needs_data
def test_the_plug_days_are_its_authors_on_34_of_34_days() -> None:
    folder = DATA / "series" / "plug_cumulative"
    plug = recording(folder / "Badkamer.csv", "plug_cumulative")
    register = {reading.measured_us: reading.value for (reading,) in plug.rows()}
    with (folder / "Badkamer.days.csv").open(encoding="utf-8") as stream:
        days = [[cell.strip() for cell in row] for row in list(csv.reader(stream))[1:]]
    judged = 0
    for stamp, _, delta in days:
        day = stamp.partition(" ")[0]
        begin = parse_instant(f"{day}T00:00:00+01:00")
        end = begin + 86_400_000_000
        if begin in register and end in register:
            counts = Decimal(register[end] or 0) - Decimal(register[begin] or 0)
            assert counts / 100 == Decimal(delta), day
            judged += 1
    assert judged == 34


def test_counts_are_whole_numbers_of_the_resolution(tmp_path: Path) -> None:
    rows = made(tmp_path, "when, kWh\n2026-01-01 00:00, 618.83\n2026-01-01 01:00, 618.9\n").rows()
    assert [row[0].value for row in rows] == [61_883, 61_890]


def test_a_byte_order_mark_and_crlf_are_no_part_of_the_data(tmp_path: Path) -> None:
    rows = made(tmp_path, "\ufeffwhen,kWh\r\n2026-01-01 00:00,1.00\r\n").rows()
    assert [row[0].value for row in rows] == [100]


def test_all_problems_are_listed_with_file_and_line(tmp_path: Path) -> None:
    text = "when,kWh\n2026-01-01 00:00,1\n2026-01-01,2\n2026-01-01 02:00,x\n2026-01-01 03:00,\n"
    text += "2026-01-01 04:00,1.001\n"
    with pytest.raises(Misconfigured) as caught:
        made(tmp_path, text).check()
    lines = str(caught.value).splitlines()
    assert [line.partition("d.csv:")[2].partition(":")[0] for line in lines] == list("3456")
    assert "is not of the form" in lines[0]
    assert "not a plain decimal" in lines[1]
    assert "is empty" in lines[2]
    assert "no whole number" in lines[3]


def test_problems_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as caught:
        made(tmp_path, "when,kWh\n" + "x,1\n" * 5_000).check()
    assert len(caught.value.problems) == csvrows.MOST_PROBLEMS + 1


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no column 'kWh': the file has when, kwh"):
        made(tmp_path, "when,kwh\n").check()


def test_a_missing_file_and_a_wrong_encoding_are_sentences(tmp_path: Path) -> None:
    table = mapping.parse(MAP, "m.toml")
    with pytest.raises(Misconfigured, match="can not be read"):
        Recording(tmp_path / "none.csv", table).check()
    (tmp_path / "gbk.csv").write_bytes("when,电量\n".encode("gbk"))
    with pytest.raises(Misconfigured, match="not written in utf-8-sig"):
        Recording(tmp_path / "gbk.csv", table).check()


def test_a_span_is_half_open(tmp_path: Path) -> None:
    text = "when,kWh\n2026-01-01 00:00,1\n2026-01-01 01:00,2\n2026-01-01 02:00,3\n"
    span = Span(parse_instant("2026-01-01T01:00:00Z"), parse_instant("2026-01-01T02:00:00Z"))
    found = made(tmp_path, text, span)
    assert found.check() == 1
    assert [row[0].value for row in found.rows()] == [200]
