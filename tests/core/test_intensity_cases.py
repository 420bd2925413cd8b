"""Furnaces and the kiln: base tonnes and coal equivalent, worked examples to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from core import flags, indicators, intensity, limits, plant, verdicts
from core.clock import to_us
from core.intensity import PeriodEnergy, PeriodOutput
from core.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.intensity import Intensity

START = to_us(datetime(2026, 9, 30, 16, tzinfo=UTC))
END = to_us(datetime(2026, 10, 31, 16, tzinfo=UTC))
MIDDLE = to_us(datetime(2026, 10, 15, 16, tzinfo=UTC))

PLANT = """
[site.s]
name = { zh = "厂", en = "Site" }
jurisdiction = "cn-qh"
[site.s.unit.u]
name = { zh = "炉", en = "Furnace" }
kind = "submerged_arc_furnace"
output_accuracy_percent = "0.5"
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
[site.s.unit.u.point.aux]
kind = "counter"
carrier = "electricity"
unit = "MWh"
role = "auxiliary"
[site.s.unit.u.point.waste-heat]
kind = "counter"
carrier = "electricity"
unit = "kWh"
role = "waste-heat-power"
sign = -1
[site.s.unit.u.point.coke]
kind = "counter"
carrier = "coke"
unit = "kg"
[site.s.unit.u.point.semi-coke]
kind = "counter"
carrier = "semi_coke"
unit = "t"
[site.s.unit.u.point.semi-coke-measured]
kind = "counter"
carrier = "semi_coke"
unit = "t"
heating_value = [
    { from = 2026-10-01T00:00:00+08:00, value = "29307.6" },
    { from = 2026-10-16T00:00:00+08:00, value = "26376.84" },
]
[site.s.unit.u.point.coal]
kind = "counter"
carrier = "raw_coal"
unit = "kg"
"""
DECLARED = plant.parse(PLANT, "test.toml")
UNIT = DECLARED.units["s.u"]


def combine(
    indicator: str, amounts: Mapping[str, str | None], output: PeriodOutput | None
) -> Intensity:
    definition = indicators.find(indicator)
    energies = []
    for key, amount in amounts.items():
        point = DECLARED.points[f"s.u.{key}"]
        assert definition.counts(point), key
        spans = intensity.spans(definition, point, START, END)
        e6 = None if amount is None else int(Fraction(amount) * 1_000_000)
        parts = [
            PeriodEnergy(begin, end, None if e6 is None else e6 // len(spans), 0, end - begin, 0)
            for begin, end in spans
        ]
        energies.append((point, parts))
    return intensity.combine(UNIT, definition, energies, output, END)


def produced(*facts: tuple[str, str | None]) -> PeriodOutput:
    graded = sum((Fraction(m) * Fraction(g) for m, g in facts if g is not None), Fraction(0))
    mass = sum((Fraction(m) for m, _ in facts), Fraction(0))
    return PeriodOutput(
        int(mass * 1_000_000), graded * 1_000_000, sum(1 for _, g in facts if g is None)
    )


def verdict(found: Intensity, limit: str) -> Verdict:
    return verdicts.judge(found, limits.find(limit), applies=True)


def exact(found: Intensity) -> Fraction:
    assert found.value is not None
    return found.value


def test_ferrosilicon_counts_in_base_tonnes_of_75_percent_silicon() -> None:
    found = combine("fesi.smelting", {"ac": "640000"}, produced(("80", "0.725")))
    assert found.output == Fraction(80) * Fraction("0.725") / Fraction("0.75")
    assert f"{float(found.output):.3f}" == "77.333"
    assert exact(found) == Fraction(640_000 * 75, 5800)
    assert f"{float(exact(found)):.2f}" == "8275.86"


def test_each_tapping_has_its_own_grade() -> None:
    found = combine("fesi.smelting", {"ac": "1"}, produced(("50", "0.75"), ("30", "0.72")))
    assert found.output == 50 + Fraction(30) * Fraction("0.72") / Fraction("0.75")


def test_ferrochrome_counts_in_base_tonnes_of_50_percent_chromium_not_60() -> None:
    found = combine("hcfecr.smelting", {"ac": "324800"}, produced(("100", "0.58")))
    assert found.output == 116
    assert exact(found) == 2800
    assert verdict(found, "cn-qh.hcfecr.smelting.target-2020") is Verdict.INDETERMINATE


def test_carbide_counts_in_tonnes_of_300_litres_of_gas_a_kilogram() -> None:
    found = combine("cac2.furnace", {"ac": "770000"}, produced(("250", "290")))
    assert found.output == Fraction(250 * 290, 300)
    assert f"{float(exact(found)):.1f}" == "3186.2"
    # At face value the same month would be at the next better level.
    assert Fraction(770_000, 250) == limits.find("cn.cac2.furnace.gb21343-2023.level-2").value


def test_a_tapping_without_its_grade_makes_the_output_unknown_not_face_value() -> None:
    found = combine("fesi.smelting", {"ac": "640000"}, produced(("80", "0.725"), ("6", None)))
    assert (found.output, found.value) == (None, None)
    assert flags.words(found.flags) == ["grade_missing"]
    assert verdict(found, "cn.fesi.smelting.gb21341-2022.level-3") is Verdict.INCOMPLETE


def test_the_comprehensive_energy_of_ferrosilicon_holds_its_reductant() -> None:
    amounts = {"ac": "8300000", "aux": "100", "coke": "770000"}
    found = combine("fesi.comprehensive", amounts, produced(("1000", "0.75")))
    kgce = 8_400_000 * Fraction("0.1229") + 770_000 * Fraction("0.9714")
    assert found.energy == kgce
    assert exact(found) == kgce / 1000


def test_a_comprehensive_energy_without_any_meter_of_reductant_is_unknown() -> None:
    found = combine("fesi.comprehensive", {"ac": "8300000"}, produced(("1000", "0.75")))
    assert (found.energy, found.value) == (None, None)
    assert "carrier_unmetered" in flags.words(found.flags)


def test_a_carrier_without_a_factor_makes_the_energy_unknown() -> None:
    amounts = {"ac": "8300000", "coke": "1", "semi-coke": "1"}
    found = combine("fesi.comprehensive", amounts, produced(("1000", "0.75")))
    assert (found.energy, found.value) == (None, None)
    assert "factor_unknown" in flags.words(found.flags)


def test_a_measured_heating_value_goes_before_a_default_from_its_day_on() -> None:
    amounts = {"ac": "0", "semi-coke-measured": "200"}
    found = combine("fesi.comprehensive", amounts, produced(("1000", "0.75")))
    # 100 t at 29,307.6 kJ/kg (1 kgce) in the first part of the month, 100 t at 0.9 in the second.
    assert found.energy == 100_000 + 90_000


def test_a_period_is_cut_where_a_factor_changes_and_nowhere_else() -> None:
    point = DECLARED.points["s.u.semi-coke-measured"]
    comprehensive = indicators.find("fesi.comprehensive")
    assert intensity.spans(comprehensive, point, START, END) == [(START, MIDDLE), (MIDDLE, END)]
    smelting = indicators.find("fesi.smelting")
    assert intensity.spans(smelting, point, START, END) == [(START, END)]
    ac = DECLARED.points["s.u.ac"]
    assert intensity.spans(comprehensive, ac, START, END) == [(START, END)]


def test_parts_of_a_period_are_as_complete_as_the_whole() -> None:
    point = DECLARED.points["s.u.semi-coke-measured"]
    half = PeriodEnergy(START, MIDDLE, 1, 0, MIDDLE - START, 0)
    none = PeriodEnergy(MIDDLE, END, None, 0, 0, 0)
    definition = indicators.find("fesi.comprehensive")
    found = intensity.combine(UNIT, definition, [(point, [half, none])], None, END)
    assert found.completeness == Fraction(MIDDLE - START, END - START)
    early = intensity.combine(UNIT, definition, [(point, [half, none])], None, MIDDLE)
    assert early.completeness == 1


@pytest.mark.parametrize(("electricity", "coal"), [("48", "94"), ("57", "100"), ("61", "109")])
def test_clinker_is_coal_plus_electricity_at_0_1229(electricity: str, coal: str) -> None:
    # The levels of GB 16780-2021 agree with one another by this identity to half a kgce/t.
    kg = str(Fraction(coal) / Fraction("0.7143") * 1000 // 1)
    clinker = produced(("1000", None))
    kwh = str(Fraction(electricity) * 1000)
    whole = combine("clinker.comprehensive", {"ac": kwh, "coal": kg}, clinker)
    power = combine("clinker.electricity", {"ac": kwh}, clinker)
    fuel = combine("clinker.coal", {"coal": kg}, clinker)
    assert exact(power) == Fraction(electricity)
    assert exact(fuel) == Fraction(kg) * Fraction("0.7143") / 1000
    assert exact(whole) == exact(fuel) + exact(power) * Fraction("0.1229")
    level = {"48": 1, "57": 2, "61": 3}[electricity]
    limit = limits.find(f"cn.clinker.comprehensive.gb16780-2021.level-{level}")
    assert abs(exact(whole) - Fraction(limit.value)) < Fraction(6, 10)


def test_waste_heat_power_is_credited_once_at_the_declared_factor() -> None:
    clinker = produced(("1000", None))
    amounts = {"ac": "57000", "coal": "140000", "waste-heat": "30000"}
    found = combine("clinker.comprehensive", amounts, clinker)
    expected = 140 * Fraction("0.7143") + (57 - 30) * Fraction("0.1229")
    assert exact(found) == expected
    for other in ("clinker.electricity", "clinker.coal"):
        assert not indicators.find(other).counts(DECLARED.points["s.u.waste-heat"])


def test_a_kiln_without_a_coal_scale_is_unknown_and_not_very_efficient() -> None:
    found = combine("clinker.comprehensive", {"ac": "57000"}, produced(("1000", None)))
    assert found.value is None
    limit = "cn.clinker.comprehensive.gb16780-2021.level-1"
    assert verdict(found, limit) is Verdict.INCOMPLETE


def test_a_trigger_and_a_trajectory_are_not_judged() -> None:
    found = combine("fesi.smelting", {"ac": "640000"}, produced(("80", "0.725")))
    for limit in (
        "cn-qh.nonferrous.flue_gas_so2.trigger",
        "cn-qh.industry.energy_per_value_added.target-2025",
    ):
        assert verdict(found, limit) is Verdict.NOT_APPLICABLE
