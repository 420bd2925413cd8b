"""Promises of the quarter: its own ratio, changes only between known periods, months are judged."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from core.reports import quarter
from core.reports.document import Mark, Sentence, Table, Tone
from core.reports.quarter import Quarter
from tests.core.reports import sample


def month(number: int, energy: str, words: tuple[str, str]) -> dict[str, Any]:
    return sample.item(
        f"2026-{number:02d}-01T00:00:00+08:00", energy, "9000", words=words, period="month"
    )


MONTHS = [
    month(7, "119000000", ("within", "exceeds")),
    month(8, "120000000", ("within", "exceeds")),
    month(9, "122000000", ("exceeds", "exceeds")),
]
WHOLE = sample.item("2026-07-01T00:00:00+08:00", "361000000", "27000", period="month")
BEFORE = sample.item("2026-04-01T00:00:00+08:00", "351000000", "27000", period="month")


def test_a_change_needs_two_periods_that_are_known_well_enough() -> None:
    assert quarter.change(WHOLE, BEFORE) == Fraction("13370.370370") / 13_000 - 1
    assert quarter.change(WHOLE, BEFORE | {"completeness": 0.89}) is None
    assert quarter.change(WHOLE, None) is None
    assert quarter.change(None, BEFORE) is None


def test_months_are_counted_and_one_in_force_is_bad_news() -> None:
    figure = sample.figure(item=WHOLE, parts=MONTHS)
    one = Quarter(figure, BEFORE, None, WHOLE, MONTHS)
    document = quarter.build(sample.about(period="2026-Q3"), [one])
    assert document.bad_news
    said, table, chart = document.sections[0].blocks
    assert isinstance(said, Sentence)
    assert "1 of these months" in said.words.en
    assert isinstance(table, Table)
    mark = table.rows[0][-1]
    assert isinstance(mark, Mark)
    assert mark.words.en == "3 months exceed"
    assert mark.tone is Tone.OVER
    assert not isinstance(chart, Sentence)
    assert chart.key == "changes"


def test_months_within_are_no_news() -> None:
    well = [month(7, "110000000", ("within", "within"))]
    one = Quarter(sample.figure(item=WHOLE, parts=well), None, None, None, well)
    document = quarter.build(sample.about(period="2026-Q3"), [one])
    assert not document.bad_news
    table = document.sections[0].blocks[1]
    assert isinstance(table, Table)
    mark = table.rows[0][-1]
    assert isinstance(mark, Mark)
    assert mark.code == "within"
