"""Intensity: worked examples, unknown is never zero."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from core import flags, indicators, intensity, limits, plant, verdicts
from core.clock import to_us
from core.intensity import PeriodEnergy, PeriodOutput
from core.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.intensity import Intensity
    from core.plant import Point

START = to_us(datetime(2026, 9, 30, 16, tzinfo=UTC))
END = to_us(datetime(2026, 10, 31, 16, tzinfo=UTC))
LENGTH = END - START
AFTER = END + 1

LIMIT = limits.find("cn.al.liquid.ac.gb21346-2022.level-3")

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
    assert verdicts.judge(result, LIMIT, applies=True) is Verdict.INCOMPLETE


@pytest.mark.parametrize("output", [None, 0])
def test_without_output_there_is_no_intensity(output: int | None) -> None:
    result = combine([(AC, energy(500))], output, AFTER)
    assert result.value is None
    assert verdicts.judge(result, LIMIT, applies=True) is Verdict.INCOMPLETE


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


@pytest.mark.parametrize(("sampled", "flagged"), [(None, True), (Decimal("0.4"), False)])
def test_base_tonnes_without_an_accuracy_of_sampling_are_flagged(
    sampled: Decimal | None, *, flagged: bool
) -> None:
    unit = dataclasses.replace(UNIT, sampling_accuracy_percent=sampled)
    produced = PeriodOutput(1_000_000, Fraction(750_000))
    smelting = indicators.find("fesi.smelting")
    result = intensity.combine(unit, smelting, [(AC, [energy(500)])], produced, AFTER)
    assert result.value == 500
    assert ("uncertainty_undeclared" in flags.words(result.flags)) is flagged
    # Without a grade in the figure nobody asks for it.
    assert "uncertainty_undeclared" not in flags.words(
        combine([(AC, energy(500))], 1_000_000, AFTER).flags
    )
