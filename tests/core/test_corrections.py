"""Corrections move the limit, never the result: the four sites, the ore, the clinker, the steel."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import corrections, limits
from core.corrections import Conditions, Correction, CorrectionKind, Step, Why

ALTITUDE = Correction(
    CorrectionKind.ALTITUDE, above_m=1500, constant=Decimal("1.179"), slope=Decimal("0.211")
)
PER_POINT = st.fractions(min_value=0, max_value=200, max_denominator=1000)
SHARE = st.fractions(min_value=0, max_value=1, max_denominator=10_000)
LIMITS = st.fractions(min_value=-100, max_value=10_000, max_denominator=1000)


def factor(altitude_m: int) -> Fraction:
    pressure = Fraction(corrections.standard_pressure_pa(altitude_m))
    return corrections.altitude_factor(pressure, Fraction("1.179"), Fraction("0.211"))


def moved(limit: str, conditions: Conditions) -> list[Step]:
    row = limits.find(limit)
    return corrections.apply(row.correction, row.value, conditions, 0)


NO_ORES = dict.fromkeys(
    ("rare_earth_ore_share", "vanadium_titanium_ore_share", "laterite_ore_share"), "0"
)


def at(altitude_m: int | None = None, /, **values: str) -> Conditions:
    return Conditions(altitude_m, {key: ((0, Fraction(value)),) for key, value in values.items()})


def test_the_standard_atmosphere_meets_its_table() -> None:
    # ISO 2533: 0, 1000, 2000, 3000 m.
    found = [corrections.standard_pressure_pa(h) for h in (0, 1000, 2000, 3000)]
    assert found == [101_325, 89_875, 79_495, 70_109]


@pytest.mark.parametrize(
    ("altitude_m", "k", "level_3"),
    [
        (1500, "1.003", None),
        (2261, "1.019", "119.2"),  # Xining
        (2808, "1.029", "120.4"),  # Golmud
        (2982, "1.033", "120.8"),  # Delingha
    ],
)
def test_the_altitude_factor_at_the_four_sites(
    altitude_m: int, k: str, level_3: str | None
) -> None:
    assert f"{float(factor(altitude_m)):.3f}" == k
    (step,) = moved("cn.clinker.comprehensive.gb16780-2021.level-3", at(altitude_m))
    if level_3 is None:  # not above 1,500 m: the condition comes before the formula
        assert step.after == 117
        assert step.why is Why.NOT_ABOVE
    else:
        assert f"{float(step.after):.1f}" == level_3
        assert step.why is Why.STANDARD_ATMOSPHERE
        assert step.after == 117 * factor(altitude_m)  # unrounded


def test_at_sea_level_the_formula_is_not_asked() -> None:
    assert f"{float(factor(0)):.3f}" == "0.968"
    (step,) = moved("cn.clinker.comprehensive.gb16780-2021.level-3", at(0))
    assert step.after == 117


def test_a_declared_pressure_goes_before_the_standard_atmosphere() -> None:
    found = moved("cn.clinker.coal.gb16780-2021.level-3", at(2261, ambient_pressure_pa="77500"))
    assert found[0].after == 109 * (Fraction("1.179") - Fraction("0.211") * 77500 / 101325)
    assert found[0].why is None
    assert found[0].item()["inputs"]["ambient_pressure_pa"] == "77500"


def test_only_level_3_of_cement_knows_the_altitude() -> None:
    rows = [row for row in limits.catalogue().values() if row.correction]
    high = {row.id for row in rows if CorrectionKind.ALTITUDE in {c.kind for c in row.correction}}
    assert high == {
        f"cn.{key}.gb16780-2021.level-3"
        for key in (
            "clinker.comprehensive",
            "clinker.electricity",
            "clinker.coal",
            "cement.comprehensive",
        )
    }
    assert not limits.find("cn-qh.clinker.comprehensive.target-2020").correction


def test_poorer_chromium_ore_raises_the_limit_to_3740() -> None:
    found = moved(
        "cn.hcfecr.smelting.gb21341-2022.level-3", at(ore_grade="0.37", cr_fe_ratio="2.2")
    )
    assert [step.after for step in found] == [3740]


def test_below_the_ratio_for_which_it_holds_the_limit_stands_unmoved() -> None:
    found = moved(
        "cn.hcfecr.smelting.gb21341-2022.level-3", at(ore_grade="0.37", cr_fe_ratio="2.19")
    )
    assert [step.after for step in found] == [3500]
    assert [step.why for step in found] == [Why.OUTSIDE_VALIDITY]
    charge = moved(
        "cn.chargefecr.smelting.gb21341-2022.level-3", at(ore_grade="0.37", cr_fe_ratio="1.5")
    )
    assert [step.after for step in charge] == [3650 + 240]


@pytest.mark.parametrize(
    ("limit", "grade", "value"),
    [
        ("fesi.smelting.gb21341-2022.level-1", "0.99", 8010),
        ("fesi.smelting.gb21341-2022.level-3", "0.975", 8420),
        ("mlcfecr.smelting.gb21341-2022.level-2", "0.50", 1730),
    ],
)
def test_ore_grade_of_other_alloys(limit: str, grade: str, value: int) -> None:
    assert [step.after for step in moved(f"cn.{limit}", at(ore_grade=grade))] == [value]


@pytest.mark.parametrize(
    ("level", "share", "value"),
    [(1, "0.75", "80"), (1, "0.80", "85.5"), (2, "0.60", "69.75"), (3, "0.80", "100")],
)
def test_cement_moves_with_its_clinker_share(level: int, share: str, value: str) -> None:
    limit = f"cn.cement.comprehensive.gb16780-2021.level-{level}"
    assert moved(limit, at(500, clinker_share=share))[-1].after == Fraction(value)


def test_on_the_plateau_the_clinker_share_comes_first_and_then_the_factor() -> None:
    found = moved("cn.cement.comprehensive.gb16780-2021.level-3", at(2261, clinker_share="0.80"))
    assert [step.correction.kind.value for step in found] == ["clinker_share", "altitude"]
    assert found[-1].after == (94 + 5 * Fraction("1.20")) * factor(2261)


@pytest.mark.parametrize(
    ("grade", "value"),
    [("0.62", "415"), ("0.65", "415"), ("0.60", "422.22"), ("0.57", "433.05"), ("0.50", "433.05")],
)
def test_a_blast_furnace_of_poor_ore_is_relieved_up_to_five_points(grade: str, value: str) -> None:
    limit = "cn.steel.blast_furnace.comprehensive.gb21256-2025.level-3"
    assert moved(limit, at(None, **{"feed_grade": grade, **NO_ORES}))[-1].after == Fraction(value)


def test_scrap_and_mineral_kinds_of_steel() -> None:
    converter = "cn.steel.converter.comprehensive.gb21256-2025.level-3"
    assert moved(converter, at(scrap_share="0.20"))[-1].after == Fraction("-7.4")
    sinter = moved(
        "cn.steel.sinter.comprehensive.gb21256-2025.level-3",
        at(
            rare_earth_ore_share="0.1",
            vanadium_titanium_ore_share="0.2",
            laterite_ore_share="0.01",
        ),
    )
    assert sinter[-1].after == 52 + Fraction("1.5") + 4 + Fraction("1.2")


@pytest.mark.parametrize(
    ("limit", "missing"),
    [
        ("cn.fesi.smelting.gb21341-2022.level-3", {"ore_grade"}),
        ("cn.hcfecr.smelting.gb21341-2022.level-3", {"ore_grade", "cr_fe_ratio"}),
        ("cn.cement.comprehensive.gb16780-2021.level-3", {"clinker_share", "altitude_m"}),
        ("cn.steel.converter.comprehensive.gb21256-2025.level-1", {"scrap_share"}),
    ],
)
def test_what_nobody_declared_is_named_and_moves_nothing(limit: str, missing: set[str]) -> None:
    found = moved(limit, at())
    assert {name for step in found for name in step.missing} == missing
    assert found[-1].after == Fraction(limits.find(limit).value)


def test_a_value_holds_from_its_instant_on() -> None:
    conditions = Conditions(None, {"ore_grade": ((10, Fraction(1, 2)), (20, Fraction(1, 4)))})
    assert [conditions.at("ore_grade", moment) for moment in (9, 10, 19, 20)] == [
        None,
        Fraction(1, 2),
        Fraction(1, 2),
        Fraction(1, 4),
    ]
    row = limits.find("cn.fesi.smelting.gb21341-2022.level-3")
    assert list(corrections.pieces(row.correction, conditions, 5, 20)) == [(5, 10), (10, 20)]
    assert list(corrections.pieces((), conditions, 5, 25)) == [(5, 25)]
    assert conditions.item(["ore_grade"], 12, 25) == {"ore_grade": [[10, "0.5"], [20, "0.25"]]}


@given(LIMITS, SHARE, SHARE, SHARE, PER_POINT)
def test_ore_and_clinker_mirror_each_other_and_are_linear(
    limit: Fraction, one: Fraction, other: Fraction, reference: Fraction, per_point: Fraction
) -> None:
    ore = corrections.ore_grade(limit, one, reference, per_point)
    assert ore - limit == limit - corrections.clinker_share(limit, one, reference, per_point)
    # The mean of two limits is the limit of the mean grade: why pieces are weighed by output.
    both = [corrections.ore_grade(limit, g, reference, per_point) for g in (one, other)]
    assert sum(both) / 2 == corrections.ore_grade(limit, (one + other) / 2, reference, per_point)


@given(LIMITS, SHARE, PER_POINT)
def test_relief_for_poor_feed_is_never_less_than_none_nor_more_than_five_points(
    limit: Fraction, grade: Fraction, per_point: Fraction
) -> None:
    found = corrections.feed_grade(limit, grade, Fraction("0.62"), per_point, Fraction(5))
    assert limit <= found <= limit + 5 * per_point


@given(st.integers(1501, 6000))
def test_above_1500_m_the_standard_atmosphere_only_relaxes(altitude_m: int) -> None:
    (step,) = corrections.apply([ALTITUDE], Decimal(117), at(altitude_m), 0)
    assert step.after > 117
