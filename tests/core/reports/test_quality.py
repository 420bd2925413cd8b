"""Promises of the data-quality report: each finding beside its rule, in both languages."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from core import qualityrules, qualityscore
from core.qualityrules import RuleId
from core.qualityseen import Seen
from core.reports import document, quality
from core.reports.document import Chart, Figure, Kind, Language, Table, Text
from core.reports.quality import About
from tests.core.test_qualityscore import CLEAN, PLANTED

RULES = qualityrules.shipped()
ABOUT = About(
    Text("青海省", "Qinghai"),
    "2026-10",
    "Asia/Shanghai",
    CLEAN.now_us,
    {"gh-al": Text("厂", "Plant")},
)


def made(*seen: Seen) -> document.Document:
    scores = [qualityscore.score(one, RULES) for one in seen]
    return document.check(quality.build(scores, ABOUT))


def table(found: document.Document, section: str, key: str) -> Table:
    (one,) = [
        block
        for part, block in document.blocks(found)
        if part.key == section and isinstance(block, Table) and block.key == key
    ]
    return one


@pytest.mark.parametrize(
    ("seen", "rule"), [(make(), rule) for make, rule, _ in PLANTED.values()], ids=PLANTED
)
def test_a_planted_violation_is_printed_with_its_paragraph(seen: Seen, rule: RuleId) -> None:
    found = made(seen)
    assert found.bad_news
    (row,) = table(found, "site_gh-al", "findings").rows
    assert row[0] == Text(RULES[rule].name["zh"], RULES[rule].name["en"])
    assert row[1] == RULES[rule].paragraph
    states = {
        row[0]: getattr(row[1], "code", None) for row in table(found, "site_gh-al", "rules").rows
    }
    assert states.pop(row[0]) == "broken"
    assert set(states.values()) == {"kept"}


def test_clean_data_is_no_bad_news() -> None:
    found = made(CLEAN)
    assert (found.kind, found.bad_news) == (Kind.QUALITY, False)
    assert len(table(found, "site_gh-al", "rules").rows) == len(RuleId)


def test_sites_stand_lowest_first_and_one_without_a_score_last() -> None:
    worse = replace(
        CLEAN, site="worse", points=[replace(one, measured_us=0) for one in CLEAN.points]
    )
    nothing = Seen("nothing", CLEAN.timezone, CLEAN.bound_us, CLEAN.now_us)
    found = made(CLEAN, nothing, worse)
    rows = table(found, "overview", "scores").rows
    assert [getattr(row[0], "en", None) for row in rows] == ["worse", "Plant", "nothing"]
    assert rows[2][1] is None
    (chart,) = [block for _, block in document.blocks(found) if isinstance(block, Chart)]
    assert chart.series[0].values[2] is None
    scored = rows[0][1]
    assert isinstance(scored, Figure)
    assert chart.series[0].values[0] == scored.value


def test_what_was_not_checked_says_why() -> None:
    found = made(replace(CLEAN, unchecked={RuleId.CADENCE: "archived"}))
    words = {one.en for one in document.texts(table(found, "site_gh-al", "rules"))}
    assert "not checked: readings are archived" in words


def test_findings_beyond_the_bound_are_counted_in_words() -> None:
    many = [replace(CLEAN.points[0], point=f"s.u.p{n}", measured_us=0) for n in range(510)]
    found = made(replace(CLEAN, points=many))
    assert len(table(found, "site_gh-al", "findings").rows) == 500
    assert "10 more findings are not listed." in {one.en for one in document.texts(found)}


def test_everything_is_said_in_both_languages() -> None:
    chinese = re.compile(r"[\u4e00-\u9fff]")
    for make, _, _ in PLANTED.values():
        for one in document.texts(made(make())):
            assert one.say(Language.ZH)
            assert not chinese.search(one.say(Language.EN)), one
