"""Promises of the data-quality score: every planted violation is found with the rule it breaks."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import qualityrules, qualityscore
from core.clock import from_us, to_us
from core.qualityrules import Index, RuleId
from core.qualityseen import Agreement, Boundary, ClockSeen, FactsSeen, PointSeen, Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.qualityscore import Score

RULES = qualityrules.shipped()
ZONE = "Asia/Shanghai"
START = to_us(datetime.fromisoformat("2026-10-01T00:00:00+08:00"))
END = to_us(datetime.fromisoformat("2026-11-01T00:00:00+08:00"))
NOW = to_us(datetime.fromisoformat("2026-11-20T12:00:00+08:00"))
DAY = 86_400_000_000
HOUR = DAY // 24
POINT = "gh-al.potline-1.ac"


def boundaries(
    *, missing: tuple[int, ...] = (), late: tuple[int, ...] = ()
) -> tuple[Boundary, ...]:
    def of(day: int) -> Boundary:
        at_us = START + day * DAY
        recorded = at_us + (2 * DAY if day in late else HOUR)
        return Boundary(at_us, None if day in missing else recorded)

    return tuple(of(day) for day in range(32))


WELL = PointSeen(
    POINT,
    END - START,
    END - START,
    Fraction(1_000_000),
    Fraction(0),
    31 * 96,
    0,
    31 * 96,
    31 * 24,
    boundaries(),
    (),
    date(2027, 6, 30),
)
CLEAN = Seen(
    "gh-al",
    ZONE,
    (START, END),
    NOW,
    [WELL, replace(WELL, point="gh-al.potline-1.fans")],
    [
        Agreement("gh-al.potline-1", "al.liquid.ac", "energy", Fraction(100), Fraction(100)),
        Agreement("gh-al.potline-1", "al.liquid.ac", "output", Fraction(100), Fraction(104)),
    ],
    [FactsSeen("gh-al.potline-1", 200, 20)],
    [ClockSeen("gh-al.gw-01", 250.0)],
)


def with_point(**changed: object) -> Seen:
    return replace(CLEAN, points=[replace(WELL, **changed), *CLEAN.points[1:]])  # type: ignore[arg-type]


def days_off(share: str) -> Seen:
    return replace(
        CLEAN,
        agreements=[
            Agreement("u", "al.liquid.ac", "energy", Fraction(100), Fraction(100) * Fraction(share))
        ],
    )


def wednesday_to(hour: str) -> Seen:
    """Plant a silence from Wednesday the 14th at noon."""
    begin = to_us(datetime.fromisoformat("2026-10-14T12:00:00+08:00"))
    return with_point(silences=((begin, to_us(datetime.fromisoformat(hour))),))


# What is planted, the one rule it breaks, and a word of its paragraph.
PLANTED: dict[str, tuple[Callable[[], Seen], RuleId, str]] = {
    "a tenth and a bit is missing": (
        lambda: with_point(measured_us=(END - START) * 8999 // 10_000),
        RuleId.COMPLETENESS,
        "数据完整性",
    ),
    "half-hourly readings": (
        lambda: with_point(heard_slots=31 * 48),
        RuleId.CADENCE,
        "采集频率",
    ),
    "one midnight without a reading": (
        lambda: with_point(boundaries=boundaries(missing=(7,))),
        RuleId.DAY_BOUNDARY,
        "统计时间偏差",
    ),
    "a clock a minute and a second fast": (
        lambda: replace(CLEAN, clocks=[ClockSeen("gh-al.gw-01", 61_000.0)]),
        RuleId.CLOCK,
        "统计时间偏差",
    ),
    "days that add up to 5.1 % less than the month": (
        lambda: days_off("1.054"),
        RuleId.DAY_MONTH_AGREEMENT,
        "数据一致性",
    ),
    "a ninth of the facts typed": (
        lambda: replace(CLEAN, facts=[FactsSeen("u", 90, 10)]),
        RuleId.HAND_ENTERED,
        "5.1 b)",
    ),
    "an eighth of the energy booked across gaps": (
        lambda: with_point(estimated=Fraction(125_000)),
        RuleId.ESTIMATED,
        "5.1 a)",
    ),
    "a silence over three working days and a weekend": (
        lambda: wednesday_to("2026-10-20T00:00:01+08:00"),
        RuleId.REPAIR,
        "（4）",
    ),
    "four days whose data came late": (
        lambda: with_point(boundaries=boundaries(late=(3, 4, 5, 6))),
        RuleId.UPLOAD,
        "上传周期",
    ),
    "a meter whose verification ended before the month did": (
        lambda: with_point(verified_until=date(2026, 10, 30)),
        RuleId.METERS_IN_DATE,
        "（5）",
    ),
    "more than a hundredth of the slots faulty": (
        lambda: with_point(faulty=30),
        RuleId.VALIDITY,
        "数据有效指数",
    ),
    "a dead letter nobody settled": (
        lambda: with_point(letters=1),
        RuleId.REJECTED,
        "数据规范指数",
    ),
}


def scored(seen: Seen) -> Score:
    return qualityscore.score(seen, RULES)


def test_clean_data_has_no_finding_and_the_whole_score_but_for_what_was_typed() -> None:
    found = scored(CLEAN)
    assert found.findings == []
    assert {one.unchecked for one in found.checked} == {None}
    others = dict(found.indices)
    # A tenth of the facts was typed: a third of the rules of that index.
    assert others.pop(Index.VERIFIABILITY) == (2 + Fraction(9, 10)) / 3
    assert set(others.values()) == {1}


@pytest.mark.parametrize(("plant", "rule", "word"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_found_once_with_the_paragraph_it_breaks(
    plant: Callable[[], Seen], rule: RuleId, word: str
) -> None:
    found = scored(plant())
    assert [one.rule for one in found.findings] == [rule]
    assert word in RULES[rule].paragraph
    (broken,) = [one for one in found.checked if one.findings]
    assert broken.rule.id is rule
    assert broken.is_kept is False
    assert broken.share is not None
    assert broken.share < 1
    clean = scored(CLEAN).indices[RULES[rule].index]
    assert clean is not None
    assert (found.indices[RULES[rule].index] or 0) < clean
    for text in found.findings[0].text.values():
        assert found.findings[0].subject in text
        assert "{" not in text


JUST_KEPT: dict[str, Callable[[], Seen]] = {
    "nine tenths": lambda: with_point(measured_us=(END - START) * 9 // 10),
    "the edge of an hour without its first quarter": lambda: with_point(heard_slots=31 * 96 - 1),
    "a clock a minute off": lambda: replace(CLEAN, clocks=[ClockSeen("a", -60_000.0)]),
    "days 5 % off": lambda: days_off("1.05263157894"),
    "a tenth typed": lambda: replace(CLEAN, facts=[FactsSeen("u", 90, 9)]),
    "a tenth estimated": lambda: with_point(estimated=Fraction(100_000)),
    "mended in the last hour of the third working day": lambda: wednesday_to(
        "2026-10-19T23:59:59+08:00"
    ),
    "verified until the last day": lambda: with_point(verified_until=date(2026, 10, 31)),
}


@pytest.mark.parametrize("seen", JUST_KEPT.values(), ids=JUST_KEPT)
def test_what_just_keeps_a_rule_is_no_finding(seen: Callable[[], Seen]) -> None:
    assert scored(seen()).findings == []


def test_a_silence_that_goes_on_is_measured_to_the_present() -> None:
    begin = END - 2 * DAY  # Friday
    seen = replace(with_point(silences=((begin, None),)), now_us=END + 2 * DAY)
    assert scored(seen).findings == []
    late = scored(replace(seen, now_us=END + 10 * DAY)).findings
    assert [one.rule for one in late] == [RuleId.REPAIR]
    assert late[0].text["en"].startswith(f"{POINT} gave nothing since 2026-10-30")
    assert late[0].value == "7"  # Monday to Friday, Monday, Tuesday


def test_days_off_the_month_are_no_finding_where_a_day_is_unknown() -> None:
    seen = replace(
        CLEAN,
        agreements=[Agreement("u", "i", "output", Fraction(50), Fraction(100), days_unknown=3)],
    )
    (checked,) = [one for one in scored(seen).checked if one.rule.id is RuleId.DAY_MONTH_AGREEMENT]
    assert checked.share is None
    assert checked.unchecked == qualityscore.NOTHING_TO_SEE


def test_something_beside_a_month_of_nothing_disagrees() -> None:
    seen = replace(CLEAN, agreements=[Agreement("u", "i", "energy", Fraction(1), Fraction(0))])
    assert [one.rule for one in scored(seen).findings] == [RuleId.DAY_MONTH_AGREEMENT]
    nothing = [Agreement("u", "i", "energy", Fraction(0), Fraction(0))]
    assert scored(replace(CLEAN, agreements=nothing)).findings == []


def test_what_was_not_looked_at_is_named_and_counts_neither_way() -> None:
    seen = with_point(boundaries=boundaries(missing=tuple(range(32))))
    blind = replace(seen, unchecked={RuleId.DAY_BOUNDARY: "archived", RuleId.UPLOAD: "archived"})
    found = scored(blind)
    told = {one.rule.id: (one.share, one.unchecked) for one in found.checked}
    assert told[RuleId.DAY_BOUNDARY] == (None, "archived")
    assert found.findings == []
    assert found.indices[Index.CONFORMITY] == 1


def test_a_site_of_which_nothing_is_known_has_no_score() -> None:
    nothing = Seen("gh-al", ZONE, (START, END), NOW)
    found = scored(nothing)
    assert found.value is None
    assert found.item()["score"] is None
    assert {one.unchecked for one in found.checked} == {qualityscore.NOTHING_TO_SEE}


def test_a_point_that_never_spoke_is_incomplete_and_not_read_too_seldom() -> None:
    seen = with_point(measured_us=0, energy=Fraction(0), heard_slots=0, heard_hours=0, slots=0)
    assert [one.rule for one in scored(seen).findings] == [RuleId.COMPLETENESS]


def test_the_item_says_everything_in_exact_text() -> None:
    item = scored(with_point(measured_us=(END - START) // 2)).item()
    assert item["site"] == "gh-al"
    assert item["closed"] is True
    assert item["indices"]["completeness"] == "0.75"
    (finding,) = item["findings"]
    assert finding["rule"] == "completeness"
    assert finding["value"] == "50 %"
    assert finding["text"]["zh"] == f"{POINT} 的数据完整率为 50 %，低于 90 %"
    assert len(item["rules"]) == len(RuleId)


def test_findings_beyond_the_bound_are_counted() -> None:
    many = [replace(WELL, point=f"s.u.p{n}", measured_us=0) for n in range(600)]
    item = scored(replace(CLEAN, points=many)).item()
    assert len(item["findings"]) == qualityscore.MOST_FINDINGS
    assert item["more_findings"] == 100


@given(st.lists(st.fractions(0, 1), min_size=1, max_size=6))
def test_the_score_is_the_mean_of_means_and_never_leaves_0_to_100(shares: list[Fraction]) -> None:
    points = [
        replace(WELL, point=f"s.u.p{n}", measured_us=int(share * (END - START)))
        for n, share in enumerate(shares)
    ]
    found = scored(replace(CLEAN, points=points))
    assert found.value is not None
    assert 0 <= found.value <= 100
    known = [share for share in found.indices.values() if share is not None]
    assert found.value == sum(known, Fraction(0)) / len(known) * 100


@given(st.integers(1, 31), st.integers(0, 23))
def test_a_midnight_that_is_missed_is_named_by_its_day(day: int, hour: int) -> None:
    seen = replace(with_point(boundaries=boundaries(missing=(day,))), now_us=NOW + hour * HOUR)
    (finding,) = scored(seen).findings
    wanted = (from_us(START) + timedelta(days=day, hours=8)).date().isoformat()
    assert wanted in finding.text["en"]
