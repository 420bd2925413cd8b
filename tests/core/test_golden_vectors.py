"""The test vectors of the domain notes, each as a promise of the function that answers for it.

Where the notes print a rounded figure, ours is exact and rounds to theirs; where they print an
exact one, ours is equal to it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from core import (
    carriers,
    corrections,
    estimates,
    indicators,
    intensity,
    ladder,
    limits,
    plant,
    uncertainty,
    verdicts,
)
from core.carriers import Basis
from core.clock import to_us
from core.corrections import Conditions, Why
from core.facts import PeriodOutput
from core.flags import Flag
from core.intensity import PeriodEnergy
from core.verdicts import Verdict
from tests.core import oracle
from tests.core.points import MINUTE_US, T0, compute, counted, point_of, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.intensity import Intensity

START = to_us(datetime(2026, 9, 30, 16, tzinfo=UTC))
END = to_us(datetime(2026, 10, 31, 16, tzinfo=UTC))
MONTH_US = END - START
PLANT = """
[site.s]
name = { zh = "厂", en = "Works" }
jurisdiction = "cn-qh"
[site.s.unit.u]
name = { zh = "炉", en = "Furnace" }
kind = "submerged_arc_furnace"
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
[site.s.unit.u.point.coal]
kind = "counter"
carrier = "raw_coal"
unit = "kg"
heating_value = [{ from = 2026-01-01T00:00:00+08:00, value = "29307.6" }]
[site.s.unit.u.point.waste-heat]
kind = "counter"
carrier = "electricity"
unit = "kWh"
role = "waste-heat-power"
sign = -1
"""
DECLARED = plant.parse(PLANT, "golden.toml")


def figure(indicator: str, facts: Sequence[tuple[str, str | None]], **metered: str) -> Intensity:
    """Return a month's figure from (tonnes, grade) and what the meters count; coal is 1 kgce/kg."""
    definition = indicators.find(indicator)
    energies = [
        (DECLARED.points[f"s.u.{key}"], [_month(Fraction(amount))])
        for key, amount in metered.items()
    ]
    graded = sum((Fraction(t) * Fraction(g) for t, g in facts if g is not None), Fraction(0))
    output = PeriodOutput(
        int(sum(Fraction(t) for t, _ in facts) * 1_000_000),
        graded * 1_000_000,
        sum(1 for _, grade in facts if grade is None),
    )
    return intensity.combine(DECLARED.units["s.u"], definition, energies, output, END)


def _month(amount: Fraction) -> PeriodEnergy:
    assert (amount * 1_000_000).denominator == 1
    return PeriodEnergy(START, END, int(amount * 1_000_000), 0, MONTH_US, 0)


def exact(found: Intensity) -> Fraction:
    assert found.value is not None
    return found.value


def value_of(limit: str) -> Fraction:
    return Fraction(limits.find(limit).value)


def moved(limit: str, conditions: Conditions) -> Fraction:
    """Return a limit moved by what a site and its unit declare."""
    row = limits.find(limit)
    steps = corrections.apply(row.correction, row.value, conditions, START)
    assert steps
    assert not any(step.missing for step in steps)
    return steps[-1].after


def declared(**values: str) -> Conditions:
    return Conditions(values={name: ((0, Fraction(text)),) for name, text in values.items()})


# 1.4, 2.1: coal equivalents and the sanity sums of the levels


def test_a_kilogram_of_coal_equivalent_is_29307_6_kj_and_heat_is_its_inverse() -> None:
    assert Fraction("29307.6") == carriers.KJ_PER_KGCE
    heat = carriers.factor("thermal_energy", START)
    assert heat is not None
    assert round(heat.coal_equivalent(Fraction(1), "MJ"), 5) == Fraction("0.03412")
    assert round(1000 / carriers.KJ_PER_KGCE, 5) == Fraction("0.03412")


def test_the_seed_limits_of_silicon_are_12_29_and_5_53_kgce_a_kilogram() -> None:
    for limit, kgce, level in (
        ("cn-qh.polysilicon.electricity.target", "12.29", "polysilicon.comprehensive.gb29447-2026"),
        (
            "cn-qh.monosilicon.electricity.target",
            "5.53",
            "monosilicon.comprehensive.gb47835-2026",
        ),
    ):
        electricity = _kgce("electricity", value_of(limit))
        assert round(electricity, 2) == Fraction(kgce)
        assert electricity > value_of(f"cn.{level}.level-3"), "far looser than the law to come"


def _kgce(carrier: str, kwh: Fraction, basis: Basis = Basis.CALORIFIC, at: int = START) -> Fraction:
    factor = carriers.factor(carrier, at, basis)
    assert factor is not None
    return factor.coal_equivalent(kwh, "kWh")


@pytest.mark.parametrize(
    ("product", "standard", "smelting", "rest"),
    [("fesi", "gb21341-2022", "smelting", "750"), ("cac2", "gb21343-2023", "furnace", "444")],
)
def test_the_reductant_is_inside_the_comprehensive_level_2(
    product: str, standard: str, smelting: str, rest: str
) -> None:
    whole = value_of(f"cn.{product}.comprehensive.{standard}.level-2")
    power = value_of(f"cn.{product}.{smelting}.{standard}.level-2")
    assert round(whole - _kgce("electricity", power)) == Fraction(rest)


# 2.2: aluminium


def test_faradays_constant_is_0_33557_g_an_ampere_hour_and_0_3356_in_the_trade() -> None:
    grams = Fraction("26.9815") / (3 * Fraction("96485.33")) * 3600
    assert round(grams, 5) == Fraction("0.33557")
    assert round(grams, 4) == estimates.GRAMS_PER_AMPERE_HOUR
    assert round(estimates.dc_kwh_per_t(Fraction(1), Fraction(1)), -1) == 2980


@pytest.mark.parametrize(
    ("volts", "efficiency", "dc", "ac"),
    [
        ("3.95", "0.94", 12_521, 12_777),
        ("3.90", "0.94", 12_363, 12_615),
        ("4.05", "0.92", 13_117, 13_385),
    ],
)
def test_the_faraday_estimate_of_a_pot_at_a_rectifier_of_0_98(
    volts: str, efficiency: str, dc: int, ac: int
) -> None:
    given = Fraction(volts), Fraction(efficiency)
    assert round(estimates.dc_kwh_per_t(*given)) == dc
    assert round(estimates.ac_kwh_per_t(*given, Fraction("0.98"))) == ac


def test_where_the_three_faraday_estimates_stand_to_the_limits() -> None:
    rectifier = Fraction("0.98")
    seed = value_of("cn-qh.al.liquid.ac.target-2020")
    first, third = (value_of(f"cn.al.liquid.ac.gb21346-2022.level-{n}") for n in (1, 3))
    usual = estimates.ac_kwh_per_t(Fraction("3.95"), Fraction("0.94"), rectifier)
    assert seed < usual <= first
    assert estimates.ac_kwh_per_t(Fraction("3.90"), Fraction("0.94"), rectifier) <= seed
    assert estimates.ac_kwh_per_t(Fraction("4.05"), Fraction("0.92"), rectifier) > third


@pytest.mark.parametrize(("efficiency", "volts"), [("0.94", "3.942"), ("0.92", "3.858")])
def test_the_voltage_that_the_seed_limit_of_12750_needs(efficiency: str, volts: str) -> None:
    a_volt = estimates.ac_kwh_per_t(Fraction(1), Fraction(efficiency), Fraction("0.98"))
    most = value_of("cn-qh.al.liquid.ac.target-2020") / a_volt
    assert round(most, 3) == Fraction(volts)


@pytest.mark.parametrize(("line_ka", "tonnes"), [(400, "3.03"), (500, "3.79")])
def test_the_metal_of_a_pot_and_day_at_a_current_efficiency_of_0_94(
    line_ka: int, tonnes: str
) -> None:
    made = estimates.metal_t(Fraction(line_ka * 24), Fraction("0.94"))
    assert round(made, 2) == Fraction(tonnes)


@pytest.mark.parametrize(
    ("kwh_per_t", "treads", "surcharge"),
    [
        ("13700", 3, "0.03"),
        ("13650", 0, "0"),
        ("13650.01", 1, "0.01"),
        ("13670", 1, "0.01"),
        ("13670.000001", 2, "0.02"),
        ("12750", 0, "0"),
    ],
)
def test_the_ladder_from_13650_a_part_of_20_counts_as_20(
    kwh_per_t: str, treads: int, surcharge: str
) -> None:
    assert ladder.treads(Fraction(kwh_per_t), Fraction(13_650)) == treads
    assert ladder.surcharge(Fraction(kwh_per_t), Fraction(13_650)) == Fraction(surcharge)


def test_the_ladders_step_is_dated_and_unknown_before_the_rule() -> None:
    at_13_400 = Fraction(13_400)
    assert ladder.surcharge_on(date(2021, 12, 31), at_13_400) is None
    assert ladder.surcharge_on(date(2022, 1, 1), at_13_400) == 0
    assert ladder.surcharge_on(date(2024, 12, 31), at_13_400) == 0
    assert ladder.surcharge_on(date(2025, 1, 1), at_13_400) == Fraction("0.05")
    assert [step.kwh_per_t for step in ladder.STEPS] == [13_650, 13_450, 13_300]
    assert all(step.source for step in ladder.STEPS)
    marks = [step.mark.value for step in ladder.STEPS]
    assert marks == ["verified", "from_memory", "from_memory"]


# 2.3: ferroalloys


def test_ferrosilicon_80_t_at_72_5_percent_are_77_33_base_tonnes_and_8276_kwh_a_tonne() -> None:
    found = figure("fesi.smelting", [("80", "0.725")], ac="640000")
    assert found.output is not None
    assert round(found.output, 2) == Fraction("77.33")
    assert round(exact(found)) == 8_276
    assert Fraction(640_000, 80) == 8_000, "what physical tonnes would have said"


def test_ferrochrome_100_t_at_58_percent_are_116_base_tonnes_of_50_percent() -> None:
    found = figure("hcfecr.smelting", [("100", "0.58")], ac="324800")
    assert found.output == 116
    assert exact(found) == 2_800
    on_physical, on_60_percent = Fraction(324_800, 100), 324_800 / (Fraction(58, 60) * 100)
    assert round(1 - exact(found) / on_physical, 2) == Fraction("0.14")
    assert round(on_60_percent / on_physical - 1, 2) == Fraction("0.03")


def test_an_ore_of_37_percent_moves_the_limit_of_ferrochrome_to_3740() -> None:
    limit = "cn.hcfecr.smelting.gb21341-2022.level-3"
    assert value_of(limit) == 3_500
    assert moved(limit, declared(ore_grade="0.37", cr_fe_ratio="2.2")) == 3_740
    row = limits.find(limit)
    ore = declared(ore_grade="0.37", cr_fe_ratio="2.19")
    (step,) = corrections.apply(row.correction, row.value, ore, START)
    assert step.after == step.before
    assert step.why is Why.OUTSIDE_VALIDITY


def test_an_ore_of_97_percent_moves_the_limit_of_ferrosilicon_by_40() -> None:
    limit = "cn.fesi.smelting.gb21341-2022.level-3"
    assert moved(limit, declared(ore_grade="0.97")) - value_of(limit) == 40


# 2.4: calcium carbide


def test_carbide_250_t_at_290_litres_are_241_67_t_and_pass_level_3_not_level_2() -> None:
    found = figure("cac2.furnace", [("250", "290")], ac="770000")
    assert found.output is not None
    assert round(found.output, 2) == Fraction("241.67")
    assert round(exact(found)) == 3_186
    held = [
        verdicts.judge(found, limits.find(f"cn.cac2.furnace.gb21343-2023.level-{n}"), applies=True)
        for n in (1, 2, 3)
    ]
    assert held == [Verdict.EXCEEDS, Verdict.EXCEEDS, Verdict.WITHIN]
    on_physical = Fraction(770_000, 250)
    assert on_physical <= value_of("cn.cac2.furnace.gb21343-2023.level-2"), "it would have passed"


# 2.5: cement


@pytest.mark.parametrize(
    ("altitude_m", "factor", "level_3"),
    [(2_261, "1.019", "119.2"), (2_808, "1.029", "120.4"), (2_982, "1.033", "120.8")],
    ids=["Xining", "Golmud", "Delingha"],
)
def test_the_altitude_of_a_site_moves_level_3_of_clinker_and_no_other(
    altitude_m: int, factor: str, level_3: str
) -> None:
    limit = "cn.clinker.comprehensive.gb16780-2021.level-3"
    found = moved(limit, Conditions(altitude_m))
    assert round(found / value_of(limit), 3) == Fraction(factor)
    assert round(found, 1) == Fraction(level_3)
    for level in (1, 2):
        assert limits.find(f"cn.clinker.comprehensive.gb16780-2021.level-{level}").correction == ()


@pytest.mark.parametrize(("altitude_m", "factor"), [(1_500, "1.003"), (0, "0.968")])
def test_at_1500_m_and_below_the_condition_goes_before_the_formula(
    altitude_m: int, factor: str
) -> None:
    pressure = Fraction(corrections.standard_pressure_pa(altitude_m))
    by_formula = corrections.altitude_factor(pressure, Fraction("1.179"), Fraction("0.211"))
    assert round(by_formula, 3) == Fraction(factor)
    limit = "cn.clinker.comprehensive.gb16780-2021.level-3"
    assert moved(limit, Conditions(altitude_m)) == value_of(limit)


@pytest.mark.parametrize(
    ("level", "electricity", "coal", "whole"),
    [(1, "48", "94", "99.9"), (2, "57", "100", "107.0"), (3, "61", "109", "116.5")],
)
def test_clinker_is_coal_plus_0_1229_times_electricity(
    level: int, electricity: str, coal: str, whole: str
) -> None:
    kwh, kg = (str(1000 * int(each)) for each in (electricity, coal))
    found = figure("clinker.comprehensive", [("1000", None)], ac=kwh, coal=kg)
    assert exact(found) == Fraction(coal) + Fraction(electricity) * Fraction("0.1229")
    assert round(exact(found), 1) == Fraction(whole)
    standard = "gb16780-2021"
    assert value_of(f"cn.clinker.electricity.{standard}.level-{level}") == Fraction(electricity)
    assert value_of(f"cn.clinker.coal.{standard}.level-{level}") == Fraction(coal)
    stated = value_of(f"cn.clinker.comprehensive.{standard}.level-{level}")
    assert abs(exact(found) - stated) < Fraction(6, 10)


@pytest.mark.parametrize(("level", "a_point"), [(1, "1.10"), (2, "1.15"), (3, "1.20")])
def test_a_point_of_clinker_share_moves_the_limits_of_cement(level: int, a_point: str) -> None:
    limit = f"cn.cement.comprehensive.gb16780-2021.level-{level}"
    low = Conditions(0, declared(clinker_share="0.74").values)
    high = Conditions(0, declared(clinker_share="0.76").values)
    assert moved(limit, high) - value_of(limit) == Fraction(a_point)
    assert value_of(limit) - moved(limit, low) == Fraction(a_point)


def test_the_credit_for_30_kwh_of_waste_heat_power_decides_between_level_1_and_2() -> None:
    power, of_2012 = Fraction(30), to_us(datetime(2012, 1, 1, tzinfo=UTC))
    large = _kgce("electricity", power, Basis.PRIMARY, of_2012)
    small = _kgce("electricity", power)
    assert (round(large, 1), round(small, 1)) == (Fraction("12.1"), Fraction("3.7"))
    assert round(large - small, 1) == Fraction("8.4")
    first, second = (
        value_of(f"cn.clinker.comprehensive.gb16780-2021.level-{level}") for level in (1, 2)
    )
    assert large - small > second - first
    metered = {"ac": "57000", "coal": "100000"}
    without = figure("clinker.comprehensive", [("1000", None)], **metered)
    credited = figure(
        "clinker.comprehensive", [("1000", None)], **metered, **{"waste-heat": "30000"}
    )
    assert exact(without) - exact(credited) == small


# 2.7: steel, and a limit below zero


def test_a_poor_feed_moves_the_blast_furnaces_limit_by_3_61_a_point_up_to_5() -> None:
    limit = "cn.steel.blast_furnace.comprehensive.gb21256-2025.level-3"
    ores = dict.fromkeys(
        ("rare_earth_ore_share", "vanadium_titanium_ore_share", "laterite_ore_share"), "0"
    )
    by_points = [
        moved(limit, declared(feed_grade=grade, **ores)) - value_of(limit)
        for grade in ("0.63", "0.62", "0.61", "0.57", "0.50")
    ]
    assert by_points == [0, 0, Fraction("3.61"), Fraction("18.05"), Fraction("18.05")]


def test_a_converters_limit_is_negative_and_its_scrap_moves_it() -> None:
    limit = "cn.steel.converter.comprehensive.gb21256-2025.level-3"
    assert value_of(limit) == -12
    assert moved(limit, declared(scrap_share="0.10")) == Fraction("-9.7")


# 2.9, A26: guard band and path


@pytest.mark.parametrize(
    ("value", "doubt", "verdict"),
    [
        ("12850", "78", Verdict.EXCEEDS),
        ("12828", "78", Verdict.INDETERMINATE),
        ("12672", "78", Verdict.WITHIN),
        ("12673", "78", Verdict.INDETERMINATE),
    ],
)
def test_a_figure_fails_only_beyond_its_uncertainty_and_passes_only_within_it(
    value: str, doubt: str, verdict: Verdict
) -> None:
    found = intensity.Intensity(
        Fraction(1), Fraction(0), Fraction(1), Fraction(value), Fraction(doubt), Fraction(1), 0
    )
    limit = limits.find("cn-qh.al.liquid.ac.target-2020")
    assert verdicts.judge(found, limit, applies=True) is verdict


def test_the_path_to_minus_12_5_percent_is_minus_2_64_a_year() -> None:
    limit = limits.find("cn-qh.industry.energy_per_value_added.target-2025")
    path = limit.trajectory
    assert path is not None
    assert round(path.even_change(limit.value, 2021), 2) == Decimal("-2.64")
    yearly = 1 + path.even_change(limit.value, 2021) / 100
    assert round(100 * (yearly**5 - 1), 6) == Decimal("-12.5")
    assert path.even_change(limit.value, 2020) == 0


# 3.3: registers and classes


def test_a_register_that_rolls_over_from_999999_95_to_0_03_has_counted_0_08_kwh() -> None:
    meter = oracle.Meter(modulus=1_000_000, rated_power_kw=Fraction(100))
    series = counted("999999.95", "0.03")
    (found,) = rows(compute(point_of(meter), series, series.at))
    assert found.energy_e6 == 80_000
    assert (found.flags, found.measured_us) == (Flag.ROLLOVER, 15 * MINUTE_US)


def test_a_fall_that_no_power_could_wrap_is_held_and_never_a_negative_energy() -> None:
    meter = oracle.Meter(modulus=1_000_000, rated_power_kw=Fraction(100))
    series = counted("500000", "499000")
    (found,) = rows(compute(point_of(meter), series, series.at))
    assert (found.energy_e6, found.booked_us, found.flags) == (0, 0, Flag.RESET)


@pytest.mark.parametrize(
    ("multiplier", "kwh_a_count", "power_kw", "counts", "quarter", "day"),
    [
        (2_750_000, 27_500, 464_000, "4.2", "24", "0.25"),
        (880_000, 8_800, 80_000, "2.3", "44", "0.46"),
        (66_000, 660, 27_300, "10.3", "9.7", "0.10"),
        (42_000, 420, 27_300, "16", "6", "0.06"),
        (20_000, 200, 12_000, "15", "7", "0.07"),
    ],
    ids=["potline", "rectifier", "furnace 110 kV", "furnace 35 kV", "kiln"],
)
def test_what_one_count_of_a_register_of_0_01_kwh_is_worth(
    multiplier: int, kwh_a_count: int, power_kw: int, counts: str, quarter: str, day: str
) -> None:
    meter = oracle.Meter(multipliers=((T0, Fraction(multiplier)),))
    series = counted("0.00", "0.01")
    (found,) = rows(compute(point_of(meter), series, series.at))
    assert found.energy_e6 == kwh_a_count * 1_000_000
    in_a_quarter = Fraction(power_kw, 4) / kwh_a_count
    shares = 100 / in_a_quarter, 100 / (in_a_quarter * 96)
    for share, told in zip((in_a_quarter, *shares), (counts, quarter, day), strict=True):
        assert round(share, len(told.partition(".")[2])) == Fraction(told)


def test_meter_and_transformers_of_0_2_make_0_35_percent() -> None:
    assert round(uncertainty.of_classes("0.2S", "0.2S", "0.2"), 2) == Decimal("0.35")


@pytest.mark.parametrize(
    ("mass", "percent", "kwh_per_t"), [("0.5", "0.61", 78), ("0.2", "0.40", 51)]
)
def test_with_the_mass_the_uncertainty_is_wider_than_the_step_between_two_levels(
    mass: str, percent: str, kwh_per_t: int
) -> None:
    meter = Fraction(uncertainty.of_classes("0.2S", "0.2S", "0.2")) / 100
    standard = uncertainty.expanded([meter, Fraction(mass) / 100]) / uncertainty.COVERAGE_FACTOR
    assert round(100 * standard, 2) == Fraction(percent)
    assert round(standard * 12_750) == kwh_per_t
    first, second = (value_of(f"cn.al.liquid.ac.gb21346-2022.level-{level}") for level in (1, 2))
    assert standard * 12_750 > second - first == 50


def test_two_seeds_stand_at_the_entry_values_of_the_repealed_edition() -> None:
    for seed, entry in (
        ("al.liquid.ac.target-2020", "al.liquid.ac.gb21346-2013.level-2"),
        ("al.ingot.ac_comprehensive.target-2020", "al.ingot.ac_comprehensive.gb21346-2013.level-2"),
    ):
        assert value_of(f"cn-qh.{seed}") == value_of(f"cn.{entry}")
        repealed = limits.find(f"cn.{entry}")
        assert not repealed.applies("cn-qh", START, "Asia/Shanghai")
