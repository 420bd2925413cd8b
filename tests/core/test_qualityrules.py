"""Promises of the rules of data quality: complete, with sources, and mistakes told by line."""

from __future__ import annotations

import re
from datetime import date
from importlib import resources
from string import Formatter

import pytest

from core import qualityrules
from core.errors import Misconfigured
from core.qualityrules import FILE, Index, RuleId

TEXT = (resources.files("core") / "data" / "quality_rules.toml").read_text("utf-8")
KNOWN = {"subject", "value", "threshold", "count", "of", "first"}


def test_every_rule_that_is_checked_is_there_with_source_paragraph_and_mark() -> None:
    rules = qualityrules.shipped()
    assert set(rules.rules) == set(RuleId)
    for rule in rules.rules.values():
        assert rule.source
        assert rule.paragraph
        assert rule.mark in {"third_party", "proposal"}
        assert rule.quote or rule.mark == "proposal", f"{rule.id} quotes nothing"
        assert rule.note or rule.mark != "proposal", f"{rule.id} does not say what is ours"


def test_every_index_of_the_standard_has_a_rule() -> None:
    assert {rule.index for rule in qualityrules.shipped().rules.values()} == set(Index)


def test_the_numbers_are_those_of_the_sources() -> None:
    rules = qualityrules.shipped()
    assert str(rules[RuleId.COMPLETENESS].threshold) == "0.90"
    assert str(rules[RuleId.DAY_MONTH_AGREEMENT].most_share) == "0.05"
    assert rules[RuleId.DAY_BOUNDARY].most_s == 60
    assert rules[RuleId.REPAIR].most_working_days == 3
    assert "15分钟" in (rules[RuleId.CADENCE].quote or "")


def test_a_sentence_fills_in_only_what_findings_say() -> None:
    for rule in qualityrules.shipped().rules.values():
        for text in rule.finding.values():
            names = {name for _, name, _, _ in Formatter().parse(text) if name}
            assert names <= KNOWN
            assert "subject" in names


def test_a_missing_rule_and_a_misplaced_number_are_told_with_their_lines_all_at_once() -> None:
    text = re.sub(r"\[rule\.clock\].*?(?=\[rule\.)", "", TEXT, flags=re.DOTALL)
    text = text.replace("most_working_days = 3", "most_s = 3")
    with pytest.raises(Misconfigured) as error:
        qualityrules.parse(text, FILE)
    told = str(error.value)
    assert "rule.clock: is checked and not there" in told
    assert re.search(r"quality_rules\.toml:\d+: rule\.repair\.most_working_days: is what", told)
    assert re.search(r"quality_rules\.toml:\d+: rule\.repair\.most_s: does not belong", told)


def test_holidays_are_declared_in_the_file() -> None:
    rules = qualityrules.parse(TEXT.replace("holidays = []", "holidays = [2026-10-01]"), FILE)
    assert not rules.calendar.works(date(2026, 10, 1))
    assert qualityrules.shipped().calendar.works(date(2026, 10, 1))


def test_a_rule_as_json_carries_its_source_and_words() -> None:
    item = qualityrules.shipped()[RuleId.DAY_MONTH_AGREEMENT].item()
    assert item["rule"] == "day_month_agreement"
    assert item["paragraph"] == "数据一致性"
    assert item["most_share"] == "0.05"
