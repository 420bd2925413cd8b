"""Verdicts: the law compared exactly, limits moved and cut by time, never a mixed figure."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import indicators, limits, plant, verdicts
from core.clock import to_us
from core.intensity import Intensity
from core.limits import Comparison, Force, Limit, Policy
from core.verdicts import Held, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.verdicts import Span

LIMIT = Limit(
    id="test",
    indicator="al.liquid.ac",
    name={"zh": "限额", "en": "limit"},
    value=Decimal(12750),
    cmp=Comparison.AT_MOST,
    unit="kWh/t",
    force=Force.TARGET,
    level=None,
    scheme="provincial_target",
    jurisdiction="cn-qh",
    valid_from=date(2017, 1, 1),
    valid_to=None,
    due=date(2020, 12, 31),
    completeness=Decimal("0.90"),
    policy=Policy.GUARDED,
    source="test",
    clause="1",
    quote=None,
    note=None,
)
PLANT = """
[site.s]
name = { zh = "厂", en = "Works" }
altitude_m = 2261
jurisdiction = "cn-qh"
[site.s.unit.furnace]
name = { zh = "炉", en = "Furnace" }
kind = "submerged_arc_furnace"
product = "ferrosilicon"
ore_grade = [
    { from = 2026-01-01T00:00:00+08:00, value = "0.98" },
    { from = 2026-10-11T00:00:00+08:00, value = "0.97" },
]
[site.s.unit.bare]
name = { zh = "炉", en = "Furnace" }
kind = "submerged_arc_furnace"
[site.low]
name = { zh = "厂", en = "Works" }
jurisdiction = "cn-qh"
[site.low.unit.kiln]
name = { zh = "窑", en = "Kiln" }
kind = "kiln"
"""
DECLARED = plant.parse(PLANT, "test.toml")


def day(year: int, month: int, number: int = 1) -> int:
    """Return midnight in the plant."""
    return to_us(datetime(year, month, number, tzinfo=UTC)) - 8 * 3_600_000_000


OCTOBER = (day(2026, 10), day(2026, 11))


def found(
    value: str | Fraction | None,
    doubt: str | Fraction = "0",
    completeness: str = "1",
    output: str = "1",
) -> Intensity:
    return Intensity(
        energy=Fraction(1),
        estimated=Fraction(0),
        output=Fraction(output),
        value=None if value is None else Fraction(value),
        uncertainty=Fraction(doubt),
        completeness=Fraction(completeness),
        flags=0,
    )


def hold(
    unit: str, indicator: str, bound: Span, known: Mapping[Span, Intensity], *rows: Limit
) -> list[dict[str, Any]]:
    """Return the verdicts of one period."""
    declared = DECLARED.units[unit]
    held = Held(DECLARED.sites[declared.site], declared, indicators.find(indicator), bound)
    assert set(verdicts.parts(held, rows)) == set(known) - {bound}
    made: list[dict[str, Any]] = verdicts.figures(held, known, rows, {})["verdicts"]
    return made


def words(made: Sequence[Mapping[str, Any]]) -> list[str]:
    return [one["verdict"] for one in made]


@pytest.mark.parametrize(
    ("value", "doubt", "verdict"),
    [
        ("12750", "0", Verdict.WITHIN),
        ("12750.000001", "0", Verdict.EXCEEDS),
        ("12749.999999", "0.000001", Verdict.WITHIN),
        ("12749.999999", "0.000002", Verdict.INDETERMINATE),
        ("12750.000001", "0.000001", Verdict.INDETERMINATE),
        ("12750.000002", "0.000001", Verdict.EXCEEDS),
        ("12810.4", "102.4", Verdict.INDETERMINATE),
        ("13190", "106", Verdict.EXCEEDS),
    ],
)
def test_the_verdict_at_an_upper_limit_is_exact(value: str, doubt: str, verdict: Verdict) -> None:
    assert verdicts.judge(found(value, doubt), LIMIT, applies=True) is verdict


@pytest.mark.parametrize(
    ("cmp", "at_the_limit"),
    [
        (Comparison.AT_MOST, Verdict.WITHIN),
        (Comparison.BELOW, Verdict.EXCEEDS),
        (Comparison.AT_LEAST, Verdict.WITHIN),
        (Comparison.ABOVE, Verdict.EXCEEDS),
    ],
)
def test_equality_fails_at_a_strict_limit_only(cmp: Comparison, at_the_limit: Verdict) -> None:
    limit = dataclasses.replace(LIMIT, cmp=cmp)
    assert verdicts.judge(found("12750"), limit, applies=True) is at_the_limit


def test_a_lower_limit_mirrors_an_upper_one() -> None:
    limit = dataclasses.replace(LIMIT, cmp=Comparison.AT_LEAST)
    assert verdicts.judge(found("12760", "10"), limit, applies=True) is Verdict.WITHIN
    assert verdicts.judge(found("12759", "10"), limit, applies=True) is Verdict.INDETERMINATE
    assert verdicts.judge(found("12739", "10"), limit, applies=True) is Verdict.EXCEEDS


@pytest.mark.parametrize(
    ("value", "guarded", "simple"),
    [
        ("12640", Verdict.WITHIN, Verdict.WITHIN),
        ("12749", Verdict.INDETERMINATE, Verdict.WITHIN),
        ("12751", Verdict.INDETERMINATE, Verdict.EXCEEDS),
        ("12851", Verdict.EXCEEDS, Verdict.EXCEEDS),
    ],
)
def test_a_policy_says_whether_uncertainty_is_looked_at(
    value: str, guarded: Verdict, simple: Verdict
) -> None:
    for policy, verdict in ((Policy.GUARDED, guarded), (Policy.SIMPLE, simple)):
        limit = dataclasses.replace(LIMIT, policy=policy)
        assert verdicts.judge(found(value, "100"), limit, applies=True) is verdict


def test_too_little_data_proves_nothing() -> None:
    low = found("99999", completeness="0.899999")
    assert verdicts.judge(low, LIMIT, applies=True) is Verdict.INCOMPLETE
    enough = found("99999", completeness="0.9")
    assert verdicts.judge(enough, LIMIT, applies=True) is Verdict.EXCEEDS


@given(
    value=st.fractions(min_value=0, max_value=30_000),
    doubt=st.fractions(min_value=0, max_value=500),
)
def test_the_three_findings_exclude_one_another(value: Fraction, doubt: Fraction) -> None:
    verdict = verdicts.judge(found(value, doubt), LIMIT, applies=True)
    assert (verdict is Verdict.WITHIN) == (value + doubt <= 12750)
    assert (verdict is Verdict.EXCEEDS) == (value - doubt > 12750)


def test_a_period_item_prints_six_places_and_says_lapsed() -> None:
    declared = DECLARED.units["s.bare"]
    held = Held(DECLARED.sites["s"], declared, indicators.find("al.liquid.ac"), OCTOBER)
    figure = found(Fraction(38_100_000, 3000), doubt="102.4", output="3000.123")
    item = verdicts.figures(held, {OCTOBER: figure}, [LIMIT], {"points": {}})
    assert item["intensity"] == {"value": "12700", "unit": "kWh/t", "uncertainty": "102.4"}
    assert item["output"] == {"value": "3000.123", "unit": "t"}
    assert item["inputs"] == {"points": {}}
    assert item["verdicts"] == [
        {
            "limit": "test",
            "force": "target",
            "level": None,
            "cmp": "<=",
            "limit_value": "12750",
            "verdict": "indeterminate",
            "lapsed": True,
        }
    ]


def test_a_limit_of_another_place_or_time_is_not_applicable() -> None:
    repealed = limits.find("cn.al.liquid.ac.gb21346-2013.level-3")
    elsewhere = dataclasses.replace(LIMIT, jurisdiction="cn-sx")
    made = hold("s.bare", "al.liquid.ac", OCTOBER, {OCTOBER: found("1")}, repealed, elsewhere)
    assert words(made) == ["not_applicable", "not_applicable"]


def test_a_future_limit_is_silent_until_its_day() -> None:
    row = limits.find("cn.polysilicon.comprehensive.gb29447-2026.level-3")
    for bound, word in (
        ((day(2026, 1), day(2027, 1)), "not_applicable"),
        ((day(2027, 1), day(2027, 2)), "exceeds"),
    ):
        made = hold("s.bare", row.indicator, bound, {bound: found("6.4")}, row)
        assert words(made) == [word]
        assert "part" not in made[0]


# A limit that changes inside a period.

OLD = dataclasses.replace(LIMIT, id="old", valid_to=date(2026, 10, 16), due=None)
NEW = dataclasses.replace(
    LIMIT, id="new", value=Decimal(12500), valid_from=date(2026, 10, 16), due=None
)
FIRST, SECOND = (day(2026, 10), day(2026, 10, 16)), (day(2026, 10, 16), day(2026, 11))


def test_a_limit_that_changes_inside_a_month_judges_each_part_by_its_own_figure() -> None:
    # The month as a whole, 12,600, would keep the old limit and fail the new one: neither is true.
    known = {OCTOBER: found("12600"), FIRST: found("12800"), SECOND: found("12400")}
    made = hold("s.bare", "al.liquid.ac", OCTOBER, known, NEW, OLD)
    assert [(one["limit"], one["verdict"]) for one in made] == [
        ("new", "within"),
        ("old", "exceeds"),
    ]
    assert made[1]["part"] == {
        "from": "2026-10-01T00:00:00+08:00",
        "until": "2026-10-16T00:00:00+08:00",
        "energy": "1",
        "output": "1",
        "value": "12800",
        "uncertainty": "0",
        "completeness": 1.0,
    }
    assert made[0]["part"]["from"] == "2026-10-16T00:00:00+08:00"


def test_a_part_has_a_completeness_of_its_own() -> None:
    known = {OCTOBER: found("1"), FIRST: found("1", completeness="0.5"), SECOND: found(None)}
    made = hold("s.bare", "al.liquid.ac", OCTOBER, known, NEW, OLD)
    assert words(made) == ["incomplete", "incomplete"]


def test_a_year_in_which_an_edition_replaces_another_has_both_of_them() -> None:
    year = (day(2023, 7), day(2024, 7))
    rows = [limits.find(f"cn.al.liquid.ac.gb21346-{e}.level-3") for e in ("2013", "2022")]
    parts = [(day(2023, 7), day(2024, 1)), (day(2024, 1), day(2024, 7))]
    known = {year: found("13500"), parts[0]: found("13600"), parts[1]: found("13400")}
    assert words(hold("s.bare", "al.liquid.ac", year, known, *rows)) == ["within", "exceeds"]


def test_where_no_limit_changes_nothing_more_is_computed() -> None:
    rows = limits.of_indicator("al.liquid.ac")
    made = hold("s.bare", "al.liquid.ac", OCTOBER, {OCTOBER: found("12700")}, *rows)
    assert all("part" not in one for one in made)


# Corrections.

FESI = limits.find("cn.fesi.smelting.gb21341-2022.level-3")
CLINKER = limits.find("cn.clinker.comprehensive.gb16780-2021.level-3")
NOVEMBER = (day(2026, 11), day(2026, 12))


def test_a_verdict_shows_the_limit_the_corrected_limit_and_the_inputs() -> None:
    made = hold("s.furnace", "fesi.smelting", NOVEMBER, {NOVEMBER: found("8440")}, FESI)
    assert made[0]["verdict"] == "within"
    assert (made[0]["own_value"], made[0]["limit_value"]) == ("8400", "8440")
    assert made[0]["corrections"] == [
        {
            "kind": "ore_grade",
            "inputs": {"ore_grade": "0.97"},
            "from_value": "8400",
            "to_value": "8440",
        }
    ]
    over = hold("s.furnace", "fesi.smelting", NOVEMBER, {NOVEMBER: found("8440.000001")}, FESI)
    assert words(over) == ["exceeds"]


def test_inputs_of_corrections_are_evidence() -> None:
    declared = DECLARED.units["s.furnace"]
    held = Held(DECLARED.sites["s"], declared, indicators.find("fesi.smelting"), NOVEMBER)
    item = verdicts.figures(held, {NOVEMBER: found("1")}, [FESI], {})
    assert item["inputs"]["conditions"] == {
        "altitude_m": 2261,
        "ore_grade": [{"from": "2026-10-11T00:00:00+08:00", "value": "0.97"}],
    }


def test_a_missing_input_makes_the_verdict_incomplete_and_is_named() -> None:
    for value in ("1", "99999"):
        made = hold("s.bare", "fesi.smelting", OCTOBER, {OCTOBER: found(value)}, FESI)
        assert words(made) == ["incomplete"]
        assert made[0]["missing"] == ["ore_grade"]
        assert made[0]["limit_value"] == "8400"


def test_what_could_only_be_relieved_is_within_when_it_keeps_the_limit_unrelieved() -> None:
    # No altitude is declared: at or below 117 the kiln keeps level 3 wherever it stands.
    for value, word in (("117", "within"), ("117.000001", "incomplete")):
        known = {OCTOBER: found(value)}
        made = hold("low.kiln", "clinker.comprehensive", OCTOBER, known, CLINKER)
        assert (words(made), made[0]["missing"]) == ([word], ["altitude_m"])
    doubtful = {OCTOBER: found("116.9", "0.5")}
    assert words(hold("low.kiln", "clinker.comprehensive", OCTOBER, doubtful, CLINKER)) == [
        "incomplete"
    ]


def test_the_plateau_relieves_level_3_of_a_kiln() -> None:
    for value, word in (("119.1", "within"), ("119.3", "exceeds")):
        known = {OCTOBER: found(value)}
        made = hold("s.furnace", "clinker.comprehensive", OCTOBER, known, CLINKER)
        assert words(made) == [word]
        assert made[0]["corrections"][0]["why"] == "standard_atmosphere"


def test_where_an_input_changes_the_limit_is_the_mean_by_output() -> None:
    early, late = (day(2026, 10), day(2026, 10, 11)), (day(2026, 10, 11), day(2026, 11))
    known = {
        OCTOBER: found("8430", output="400"),
        early: found("8300", output="100"),
        late: found("8470", output="300"),
    }
    made = hold("s.furnace", "fesi.smelting", OCTOBER, known, FESI)
    # 100 t at 8,400 and 300 t at 8,440: 8,430, and the month keeps it to the last digit.
    assert (made[0]["verdict"], made[0]["limit_value"]) == ("within", "8430")
    assert [(p["output"], p["limit_value"]) for p in made[0]["pieces"]] == [
        ("100", "8400"),
        ("300", "8440"),
    ]
    assert "corrections" not in made[0]
    more = {**known, OCTOBER: found("8430.000001", output="400")}
    assert words(hold("s.furnace", "fesi.smelting", OCTOBER, more, FESI)) == ["exceeds"]


def test_without_output_no_mean_can_be_taken() -> None:
    early, late = (day(2026, 10), day(2026, 10, 11)), (day(2026, 10, 11), day(2026, 11))
    known = {span: found("8000", output="0") for span in (OCTOBER, early, late)}
    made = hold("s.furnace", "fesi.smelting", OCTOBER, known, FESI)
    assert (words(made), made[0]["limit_value"]) == (["incomplete"], "8400")


def test_an_input_declared_for_some_of_the_time_is_missing_for_the_rest() -> None:
    whole = (day(2025, 12), day(2026, 2))
    early, late = (day(2025, 12), day(2026, 1)), (day(2026, 1), day(2026, 2))
    known = {span: found("1") for span in (whole, early, late)}
    made = hold("s.furnace", "fesi.smelting", whole, known, FESI)
    assert (words(made), made[0]["missing"]) == (["incomplete"], ["ore_grade"])


@given(
    st.lists(
        st.tuples(
            st.fractions(min_value=0, max_value=1000, max_denominator=100),
            st.fractions(min_value=0, max_value=20_000, max_denominator=100),
        ),
        min_size=2,
        max_size=2,
    )
)
def test_a_month_within_in_each_piece_is_within_as_a_whole(
    pieces: list[tuple[Fraction, Fraction]],
) -> None:
    early, late = (day(2026, 10), day(2026, 10, 11)), (day(2026, 10, 11), day(2026, 11))
    output = sum((mass for mass, _ in pieces), Fraction(0))
    if output == 0:
        return
    energy = sum((mass * value for mass, value in pieces), Fraction(0))
    known = {
        span: dataclasses.replace(found(value), output=mass)
        for span, (mass, value) in zip((early, late), pieces, strict=True)
    }
    known[OCTOBER] = dataclasses.replace(found(energy / output), output=output)
    keeps = [value <= limit for (_, value), limit in zip(pieces, (8400, 8440), strict=True)]
    (word,) = words(hold("s.furnace", "fesi.smelting", OCTOBER, known, FESI))
    if all(keeps):
        assert word == "within"
    if not any(keeps):
        assert word == "exceeds"
