"""Promises of the sentence and the JSON: what is printed sums, and what is unknown is named."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import excess, excesstext, indicators, limits, periods, plant
from core.excess import Cause, Excess, Why
from core.excesstext import Told
from core.periods import Period
from core.producing import Group
from core.verdicts import Standing, Verdict
from tests.core.excessworld import baseline, seen, share

UNIT = plant.parse(
    '[site.s]\nname = { zh = "厂", en = "Site" }\njurisdiction = "cn-qh"\n[site.s.unit.u]\n'
    'name = { zh = "一号炉", en = "Furnace 1" }\nkind = "works"\n',
    "plant.toml",
).units["s.u"]
MONTH = periods.parse_month("2026-10", "Asia/Shanghai")
LIMIT = limits.find("cn-qh.fesi.smelting.target-2020")
PROCESS = Group.PROCESS
REFERENCE = replace(
    seen(2450, {PROCESS: share(19_600_000, 700)}, idle_h=20, mass=2450),
    span_us=periods.parse_month("2026-07", "Asia/Shanghai"),
)
MONTH_SEEN = seen(2100, {PROCESS: share(16_950_000, 600)}, idle=54_000, idle_h=120, mass=2120)


def told(verdict: Verdict = Verdict.EXCEEDS) -> Told:
    standing = Standing(MONTH, Fraction(7500), (), verdict)
    indicator = indicators.find("fesi.smelting")
    return Told(UNIT, indicator, LIMIT, standing, Period.MONTH, MONTH, "Asia/Shanghai")


def printed(sentence: str) -> tuple[Fraction, list[Fraction]]:
    """Return the distance that a sentence tells, with its sign, and the parts it names."""
    over = re.search(r"is ([\d,.]+) (over|below)", sentence)
    assert over is not None
    parts = re.findall(r" ([+-][\d,.]+\d)", sentence.partition("): ")[2].partition(";")[0])
    sign = 1 if over[2] == "over" else -1
    return sign * _read(over[1]), [_read(one) for one in parts]


def _read(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def test_the_sentence_tells_the_distance_and_its_causes_the_greatest_first() -> None:
    base = baseline(REFERENCE)
    found = excess.split(MONTH_SEEN, Fraction(7500), base)
    english = excesstext.sentence(told(), found, base, "en")
    assert english == (
        "Furnace 1, 2026-10: 8,097.1 kWh/t is 597.1 over the limit of 7500 (1,254,000 kWh):"
        " own reference against the limit +500.0, process +40.9, product grade +38.1,"
        " stoppage and idle burn +25.7, rate -7.6 kWh/t;"
        " the reference is 2026-07, the median of 12 before."
    )
    chinese = excesstext.sentence(told(), found, base, "zh")
    assert chinese.startswith("一号炉 2026-10 单耗 8,097.1 kWh/t，超过限额 7500 的 597.1 kWh/t")
    assert "停炉空耗 +25.7" in chinese
    assert chinese.endswith("基准为 2026-07（此前 12 期中的中位）。")


def test_what_is_not_told_apart_is_named_with_its_reason_in_both_languages() -> None:
    base = baseline(REFERENCE, fixed=None)
    found = excess.split(MONTH_SEEN, Fraction(7500), base)
    english = excesstext.sentence(told(), found, base, "en")
    assert "rate and process (together) +33.3" in english
    assert "declare fixed_share" in english
    chinese = excesstext.sentence(told(), found, base, "zh")
    assert "产出速率、工艺消耗（未分开） +33.3" in chinese
    assert "请申报 fixed_share" in chinese


def test_a_distance_within_the_uncertainty_says_so_and_one_below_is_below() -> None:
    base = baseline(REFERENCE)
    found = excess.split(MONTH_SEEN, Fraction(8200), base)
    english = excesstext.sentence(told(Verdict.INDETERMINATE), found, base, "en")
    assert "is 102.9 below the limit of 8200" in english
    assert english.endswith("the distance lies within the uncertainty of measurement.")


def test_without_output_only_what_was_used_is_told() -> None:
    none = replace(MONTH_SEEN, output=Fraction(0))
    found = excess.split(none, Fraction(7500), baseline(REFERENCE))
    english = excesstext.sentence(told(), found, None, "en")
    assert english == "Furnace 1, 2026-10: no output, 17,004,000 kWh used."
    item = excesstext.item(told(), found, None)
    assert item["excess"]["per_output"] is None
    assert all(one["per_output"] is None for one in item["parts"])


@given(
    st.integers(1, 10**9), st.integers(1, 10**7), st.integers(0, 10**8), st.integers(1, 10**7),
    st.sampled_from(["0.2", None]),
)  # fmt: skip
def test_printed_parts_sum_to_the_printed_distance(
    energy: int, output: int, idle: int, mass: int, fixed: str | None
) -> None:
    one = seen(
        Fraction(output, 997), {PROCESS: share(energy, 600)}, idle=idle, idle_h=100,
        mass=Fraction(mass, 997),
    )  # fmt: skip
    base = baseline(REFERENCE, fixed=fixed)
    found = excess.split(one, Fraction(7500), base)
    over, parts = printed(excesstext.sentence(told(), found, base, "en"))
    assert sum(parts) == over
    _sums(excesstext.item(told(), found, base), found)


def _sums(item: dict[str, Any], found: Excess) -> None:
    for key, exact in (("value", found.amount), ("per_output", found.amount / found.seen.output)):
        rows = [Fraction(one[key]) for one in item["parts"] if one[key] is not None]
        if item["remainder"] is not None:
            rows.append(Fraction(item["remainder"][key]))
        assert sum(rows) == Fraction(item["excess"][key])
        assert abs(Fraction(item["excess"][key]) - exact) <= Fraction(1, 2 * 10**6)


@pytest.mark.parametrize("lang", excesstext.LANGUAGES)
def test_every_cause_and_reason_has_words(lang: str) -> None:
    assert all(excesstext.CAUSES[cause][lang] for cause in Cause)
    assert all(excesstext.WHYS[why][lang] for why in Why)
