"""Promises of what a report makes of verdicts: which leads, how far off, how much energy over."""

from __future__ import annotations

from fractions import Fraction

from core import indicators
from core.reports import judged
from tests.core.reports import sample

START = "2026-10-01T00:00:00+08:00"


def test_what_binds_first_leads_and_lapsed_comes_last() -> None:
    item = sample.month(words=("within", "within"))
    assert [row["limit"] for row in judged.applying(item)] == [sample.MANDATORY, sample.TARGET]
    leads = judged.leading(item)
    assert leads is not None
    assert leads["limit"] == sample.MANDATORY


def test_an_exceeded_target_leads_before_a_mandatory_limit_that_is_kept() -> None:
    leads = judged.leading(sample.month(words=("within", "exceeds")))
    assert leads is not None
    assert leads["limit"] == sample.TARGET


def test_only_what_is_in_force_is_bad_news() -> None:
    assert judged.is_breach(sample.month(words=("exceeds", "within")))
    assert not judged.is_breach(sample.month(words=("within", "exceeds")))  # lapsed
    assert not judged.is_breach(sample.month(words=("indeterminate", "incomplete")))
    assert not judged.is_breach(None)


def test_the_excess_is_exact_and_its_sign_says_where_it_lies() -> None:
    item = sample.item(START, "4005000", "300")
    row = judged.of_limit(item, sample.MANDATORY)
    assert row is not None
    assert judged.excess(sample.INDICATOR, item, row) == 4_005_000 - 13_350 * 300
    low = sample.item(START, "4004999.999999", "300")
    assert judged.excess(sample.INDICATOR, low, row) == Fraction(-1, 1_000_000)


def test_a_deviation_is_worse_where_positive_for_lower_limits_too() -> None:
    item = sample.item(START, "4005000", "300")
    row = judged.of_limit(item, sample.TARGET)
    assert row is not None
    assert judged.deviation(item, row) == Fraction(13_350, 12_750) - 1
    lower = row | {"cmp": ">="}
    assert judged.deviation(item, lower) == 1 - Fraction(13_350, 12_750)
    assert judged.excess(sample.INDICATOR, item, lower) is None


def test_a_limit_that_misses_its_inputs_has_neither() -> None:
    item = sample.item(START, "4005000", "300")
    row = sample.verdict(sample.MANDATORY, "13350", "incomplete") | {"missing": ["ore_grade"]}
    assert judged.deviation(item, row) is None
    assert judged.excess(sample.INDICATOR, item, row) is None


def test_where_a_limit_holds_for_a_part_the_part_is_compared() -> None:
    item = sample.item(START, "4005000", "300")
    part = {"energy": "1350", "output": "1", "value": "1350", "uncertainty": "1"}
    row = sample.verdict(sample.MANDATORY, "1000", "exceeds") | {"part": part}
    assert judged.deviation(item, row) == Fraction(35, 100)
    assert judged.excess(sample.INDICATOR, item, row) == 350


def test_only_a_plain_ratio_has_an_excess() -> None:
    assert judged.is_plain_ratio(sample.INDICATOR)
    assert judged.is_plain_ratio(indicators.find("clinker.comprehensive"))
    assert not judged.is_plain_ratio(indicators.find("cement.slag_use"))
