"""Indicators: what computes says all it needs, what does not says what it waits for."""

from __future__ import annotations

from fractions import Fraction

import pytest

from core import indicators
from core.errors import Misconfigured
from core.indicators import BaseGrade

ROW = """
[indicator."x"]
name = { zh = "甲", en = "x" }
unit = "kWh/t"
energy_unit = "kWh"
carriers = ["electricity"]
output = ["tapping"]
product = "x"
source = "test"
boundary = { zh = "甲", en = "x" }
formula = "x"
"""


def test_potlines_furnaces_and_the_kiln_compute() -> None:
    assert indicators.computing() == {
        "al.liquid.ac",
        "al.liquid.ac_comprehensive",
        "al.ingot.ac_comprehensive",
        "fesi.smelting",
        "fesi.comprehensive",
        "hcfecr.smelting",
        "hcfecr.comprehensive",
        "cac2.furnace",
        "cac2.comprehensive",
        "clinker.comprehensive",
        "clinker.electricity",
        "clinker.coal",
    }


def test_what_does_not_compute_says_in_both_languages_what_it_waits_for() -> None:
    for indicator in indicators.catalogue().values():
        if not indicator.computes:
            assert indicator.later is not None
            assert set(indicator.later) == {"zh", "en"}


@pytest.mark.parametrize(
    ("indicator", "grade", "reference"),
    [
        ("fesi.smelting", "Si", "0.75"),
        ("fesi.comprehensive", "Si", "0.75"),
        ("hcfecr.smelting", "Cr", "0.5"),
        ("hcfecr.comprehensive", "Cr", "0.5"),
        ("cac2.furnace", "gas_yield", "300"),
        ("cac2.comprehensive", "gas_yield", "300"),
    ],
)
def test_base_tonnes_are_those_of_the_standards(indicator: str, grade: str, reference: str) -> None:
    assert indicators.find(indicator).base_grade == BaseGrade(grade, Fraction(reference))


def test_the_credit_for_waste_heat_power_is_explicit() -> None:
    credit = indicators.find("clinker.comprehensive").role_factors["waste-heat-power"]
    assert credit.kgce_per_unit == Fraction("0.1229")
    assert "0.404" in credit.source


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('["electricity"]', '["power"]', "x.carriers: unknown carrier 'power'"),
        ('["electricity"]', '["raw_coal"]', "raw_coal is metered as mass, not in kWh"),
        ('["electricity"]', "[]", "what computes names its carriers"),
        ('product = "x"', 'product = "x"\nrequires = [["coke"]]', "coke is not among the carriers"),
        ('product = "x"', 'product = "x"\ncomputes = false', "says in `later`"),
        ('product = "x"', 'product = "x"\nlater = { zh = "甲" }', "says in `later`"),
        (
            'product = "x"',
            'product = "x"\nbase_grade = { grade = "Si", reference = "0" }',
            "base_grade.reference",
        ),
    ],
)
def test_a_definition_that_cannot_compute_is_told(old: str, new: str, says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        indicators.parse(ROW.replace(old, new), "mine.toml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("mine.toml:")
