"""Promises of the monthly report: the store's figures digit for digit, bad news first and named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.reports import compliance, figuresection
from core.reports.document import (
    Chart,
    Facts,
    Figure,
    Mark,
    Sentence,
    Style,
    Table,
    Tone,
)
from tests.core.reports import sample

if TYPE_CHECKING:
    from core.reports.document import Block, Document


def block(document: Document, section: str, key: str) -> Block:
    blocks = next(one.blocks for one in document.sections if one.key == section)
    return next(one for one in blocks if not isinstance(one, Sentence) and one.key == key)


SECTION = "gh-al-potline-1-al-liquid-ac"


def test_the_figure_stands_with_every_place_of_the_store() -> None:
    facts = block(sample.document(), SECTION, "figure")
    assert isinstance(facts, Facts)
    found = {name.en: value for name, value in facts.rows}
    assert found["Figure, unrounded"] == Figure("13858.307518", 6, "kWh/t")
    assert found["Energy"] == Figure("128840684.998848", 6, "kWh")
    over = found["Energy over the limit"]
    assert isinstance(over, Figure)
    assert over.value == "4725734.998848"  # 128840684.998848 - 13350 * 9297


def test_a_closed_month_over_a_mandatory_limit_is_bad_news_in_red() -> None:
    document = sample.document()
    assert document.bad_news
    first = document.sections[0].blocks[0]
    assert isinstance(first, Sentence)
    assert first.tone is Tone.OVER
    table = block(document, "summary", "figures")
    assert isinstance(table, Table)
    mark = table.rows[0][-1]
    assert isinstance(mark, Mark)
    assert (mark.code, mark.tone) == ("exceeds", Tone.OVER)


def test_an_open_month_says_that_it_warns_only() -> None:
    document = sample.document(made_us=sample.BOUND_US[1] - 1)
    first = document.sections[0].blocks[0]
    assert isinstance(first, Sentence)
    assert "early warnings, not findings" in first.words.en
    assert "不是结论" in first.words.zh


def test_a_reference_is_told_and_not_coloured() -> None:
    row = sample.verdict("cn.al.liquid.ac.gb21346-2022.level-1", "12950", "exceeds")
    item = sample.month(words=("within", "within"))
    item["verdicts"].append(row | {"force": "reference", "level": 1})
    document = compliance.build(sample.about(), [sample.figure(item=item)])
    assert not document.bad_news
    table = block(document, SECTION, "verdicts")
    assert isinstance(table, Table)
    marks = [one for row in table.rows for one in row if isinstance(one, Mark)]
    assert [(one.code, one.tone) for one in marks] == [
        ("within", Tone.CALM),
        ("exceeds", Tone.CALM),
        ("within", Tone.CALM),
    ]


def test_every_limit_that_applies_has_force_clause_and_source() -> None:
    table = block(sample.document(), SECTION, "verdicts")
    assert isinstance(table, Table)
    assert len(table.rows) == 2
    assert table.note is not None
    assert "1 more" in table.note.en
    sources = block(sample.document(), "sources", "limits")
    assert isinstance(sources, Table)
    quotes = [row[-1] for row in sources.rows]
    assert any("12750千瓦时" in str(quote) for quote in quotes)


def test_a_day_without_a_figure_is_a_gap_in_charts_and_a_dash_in_the_table() -> None:
    document = sample.document()
    trend = block(document, SECTION, "trend")
    assert isinstance(trend, Chart)
    daily, *limits = trend.series
    assert daily.values[sample.GAP_DAY - 1] is None
    assert daily.values[0] == sample.days()[0]["intensity"]["value"]
    assert [one.style for one in limits] == [Style.LIMIT, Style.LIMIT]
    assert set(limits[0].values) == {"13350"}
    table = block(document, SECTION, "days")
    assert isinstance(table, Table)
    assert table.rows[sample.GAP_DAY - 1][3] is None
    assert table.rows[-1][1] == Figure("128840684.998848")


def test_the_excess_by_day_is_energy_less_limit_times_output() -> None:
    chart = block(sample.document(), SECTION, "excess")
    assert isinstance(chart, Chart)
    (excess,) = chart.series
    assert excess.values[0] == str(4_001_000 - 13_350 * 300)
    assert excess.values[sample.GAP_DAY - 1] is None


def test_late_changes_alerts_and_the_close_are_told() -> None:
    document = sample.with_all()
    versions = block(document, SECTION, "versions")
    alerts = block(document, SECTION, "alerts")
    closes = block(document, "closes", "closes")
    assert isinstance(versions, Table)
    assert isinstance(alerts, Table)
    assert isinstance(closes, Table)
    assert [row[0] for row in versions.rows] == [Figure("1"), Figure("2")]
    assert alerts.rows[0][0] == "P1"
    moved = closes.rows[0][-1]
    assert isinstance(moved, Mark)
    assert moved.tone is Tone.WARN


def test_a_unit_without_a_figure_says_so() -> None:
    document = compliance.build(sample.about(), [sample.figure(item=None, parts=[])])
    assert not document.bad_news
    section = document.sections[1]
    assert isinstance(section.blocks[0], Sentence)
    assert section.blocks[0].tone is Tone.DOUBT


def test_a_limit_with_many_places_is_rounded_and_one_with_few_is_kept() -> None:
    of = sample.figure()
    row = sample.verdict(sample.MANDATORY, "13350", "within")
    assert figuresection.bound_text(of, row) == "≤ 13\u2009350"
    assert figuresection.bound_text(of, row | {"limit_value": "13350.5"}) == "≤ 13\u2009350.5"
    moved = row | {"limit_value": "13350.123456"}
    assert figuresection.bound_text(of, moved) == "≤ 13\u2009350"
