"""Intensity and verdicts: worked examples, the law compared exactly, unknown never zero."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import flags, indicators, intensity, limits, plant
from core.clock import to_us
from core.intensity import Intensity, PeriodEnergy, PeriodOutput, Verdict
from core.limits import Comparison, Force, Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.plant import Point

START = to_us(datetime(2026, 9, 30, 16, tzinfo=UTC))
END = to_us(datetime(2026, 10, 31, 16, tzinfo=UTC))
LENGTH = END - START
AFTER = END + 1

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
    guard_band=True,
    source="test",
    clause="1",
    quote=None,
    note=None,
)

PLANT = """
[site.gh-al]
name = { zh = "铝厂", en = "Aluminium" }
jurisdiction = "cn-qh"
[site.gh-al.unit.potline-1]
name = { zh = "一系列", en = "Potline 1" }
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac"]
output_accuracy_percent = "0.2"
[site.gh-al.unit.potline-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
[site.gh-al.unit.potline-1.point.ac-mwh]
kind = "counter"
carrier = "electricity"
unit = "MWh"
accuracy_percent = "0.35"
[site.gh-al.unit.potline-1.point.aux]
kind = "counter"
carrier = "electricity"
unit = "kWh"
role = "auxiliary"
[site.gh-al.unit.potline-1.point.export]
kind = "counter"
carrier = "electricity"
unit = "kWh"
sign = -1
[site.gh-al.unit.potline-1.point.sub]
kind = "counter"
carrier = "electricity"
unit = "kWh"
parent = "ac"
[site.gh-al.unit.potline-1.point.volts]
kind = "gauge"
unit = "V"
"""
DECLARED = plant.parse(PLANT, "test.toml")
UNIT = DECLARED.units["gh-al.potline-1"]
AC = DECLARED.points["gh-al.potline-1.ac"]
AC_MWH = DECLARED.points["gh-al.potline-1.ac-mwh"]
EXPORT = DECLARED.points["gh-al.potline-1.export"]
LIQUID = indicators.find("al.liquid.ac")


def combine(
    energies: Sequence[tuple[Point, PeriodEnergy]], output: int | None, now_us: int
) -> Intensity:
    produced = None if output is None else PeriodOutput(output)
    parts = [(point, [part]) for point, part in energies]
    return intensity.combine(UNIT, LIQUID, parts, produced, now_us)


def energy(kwh: int | None, measured: Fraction = Fraction(1)) -> PeriodEnergy:
    e6 = None if kwh is None else kwh * 1_000_000
    return PeriodEnergy(START, END, e6, 0, int(LENGTH * measured), 0)


def found(value: str, doubt: str = "0", completeness: str = "1") -> Intensity:
    return Intensity(
        Fraction(1),
        Fraction(0),
        Fraction(1),
        Fraction(value),
        Fraction(doubt),
        Fraction(completeness),
        0,
    )


def test_intensity_is_energy_over_output_unrounded() -> None:
    result = combine([(AC, energy(38_100_000))], 3_000_123_000, AFTER)
    assert result.value == Fraction(38_100_000 * 1000, 3_000_123)


def test_the_uncertainty_of_the_domain_notes_is_met() -> None:
    # 0.35 % of electricity and 0.2 % of mass give 0.40 % standard, so U is 0.81 % of the figure.
    result = combine([(AC, energy(12_750_000))], 1_000_000_000, AFTER)
    assert result.uncertainty is not None
    assert float(result.uncertainty) == pytest.approx(2 * 12750 * (0.0035**2 + 0.002**2) ** 0.5)


def test_independent_meters_add_their_uncertainty_as_squares() -> None:
    one = combine([(AC, energy(1000))], 1_000_000, AFTER)
    two = combine([(AC, energy(500)), (AC, energy(500))], 1_000_000, AFTER)
    assert one.uncertainty is not None
    assert two.uncertainty is not None
    assert two.value == one.value
    assert two.uncertainty < one.uncertainty


def test_units_of_one_quantity_add_up_exactly() -> None:
    result = combine([(AC, energy(500)), (AC_MWH, energy(2))], 1_000_000, AFTER)
    assert result.energy == 2500


def test_exported_energy_is_subtracted() -> None:
    result = combine([(AC, energy(500)), (EXPORT, energy(80))], 1_000_000, AFTER)
    assert result.energy == 420


def test_a_sub_meter_does_not_count_where_its_main_meter_does() -> None:
    counted = [point.id for point in DECLARED.counted(UNIT.id, LIQUID.counts)]
    assert counted == [f"gh-al.potline-1.{name}" for name in ("ac", "ac-mwh", "export")]


def test_one_unknown_meter_makes_the_sum_unknown_and_the_verdict_incomplete() -> None:
    result = combine([(AC, energy(500)), (EXPORT, energy(None))], 1_000_000, AFTER)
    assert result.energy is None
    assert result.value is None
    assert intensity.judge(result, LIMIT, applies=True) is Verdict.INCOMPLETE


@pytest.mark.parametrize("output", [None, 0])
def test_without_output_there_is_no_intensity(output: int | None) -> None:
    result = combine([(AC, energy(500))], output, AFTER)
    assert result.value is None
    assert intensity.judge(result, LIMIT, applies=True) is Verdict.INCOMPLETE


def test_completeness_is_the_least_of_the_points() -> None:
    result = combine(
        [(AC, energy(500)), (EXPORT, energy(80, Fraction(1, 2)))],
        1_000_000,
        AFTER,
    )
    assert result.completeness == Fraction(1, 2)


def test_an_open_period_is_complete_when_all_of_its_past_is_measured() -> None:
    half = PeriodEnergy(START, END, 1, 0, LENGTH // 2, 0)
    assert half.completeness(START + LENGTH // 2) == 1
    assert half.completeness(AFTER) == Fraction(1, 2)
    assert half.completeness(START) == 0


def test_undeclared_accuracy_is_flagged_and_counts_as_zero() -> None:
    bare = dataclasses.replace(AC, accuracy_percent=None)
    result = combine([(bare, energy(500))], 1_000_000, AFTER)
    assert "uncertainty_undeclared" in flags.words(result.flags)
    assert result.uncertainty == Fraction(500 * 2 * 2, 1000)


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
    assert intensity.judge(found(value, doubt), LIMIT, applies=True) is verdict


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
    assert intensity.judge(found("12750"), limit, applies=True) is at_the_limit


def test_a_lower_limit_mirrors_an_upper_one() -> None:
    limit = dataclasses.replace(LIMIT, cmp=Comparison.AT_LEAST)
    assert intensity.judge(found("12760", "10"), limit, applies=True) is Verdict.WITHIN
    assert intensity.judge(found("12759", "10"), limit, applies=True) is Verdict.INDETERMINATE
    assert intensity.judge(found("12739", "10"), limit, applies=True) is Verdict.EXCEEDS


def test_a_policy_may_set_the_uncertainty_to_zero() -> None:
    limit = dataclasses.replace(LIMIT, guard_band=False)
    assert intensity.judge(found("12749", "100"), limit, applies=True) is Verdict.WITHIN


def test_too_little_data_proves_nothing() -> None:
    low = found("99999", completeness="0.899999")
    assert intensity.judge(low, LIMIT, applies=True) is Verdict.INCOMPLETE
    enough = found("99999", completeness="0.9")
    assert intensity.judge(enough, LIMIT, applies=True) is Verdict.EXCEEDS


@given(
    value=st.fractions(min_value=0, max_value=30_000),
    doubt=st.fractions(min_value=0, max_value=500),
)
def test_the_three_findings_exclude_one_another(value: Fraction, doubt: Fraction) -> None:
    figure = Intensity(Fraction(1), Fraction(0), Fraction(1), value, doubt, Fraction(1), 0)
    verdict = intensity.judge(figure, LIMIT, applies=True)
    assert (verdict is Verdict.WITHIN) == (value + doubt <= 12750)
    assert (verdict is Verdict.EXCEEDS) == (value - doubt > 12750)


def test_a_period_item_prints_six_places_and_says_lapsed() -> None:
    result = combine([(AC, energy(38_100_000))], 3_000_123_000, AFTER)
    item = intensity.figures(UNIT, LIQUID, result, [LIMIT], ("cn-qh", "Asia/Shanghai", START), {})
    assert item["intensity"]["value"] == "12699.479321"
    assert item["energy"] == {"value": "38100000", "estimated": "0", "unit": "kWh"}
    assert item["output"] == {"value": "3000.123", "unit": "t"}
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
    in_force = limits.find("cn.al.liquid.ac.gb21346-2022.level-3")
    assert not repealed.applies("cn-qh", START, "Asia/Shanghai")
    assert in_force.applies("cn-qh", START, "Asia/Shanghai")
    assert not LIMIT.applies("cn-sx", START, "Asia/Shanghai")
    assert intensity.judge(found("1"), LIMIT, applies=False) is Verdict.NOT_APPLICABLE
