"""Promises of a plant's figure: units and months add up exactly, what is unknown has a reason."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import benchmarkrules, indicators, plant, plantfigures
from core.plantfigures import PlantFigure, UnitFigure, Why

RULE = benchmarkrules.shipped().rule
LIQUID = indicators.find("al.liquid.ac")
WELL = UnitFigure(
    "gh-al.line-1",
    Fraction(1_300_000),
    Fraction(100),
    Fraction(13_000),
    Fraction(80),
    Fraction(1),
    ("rollover",),
    2,
    {1: "exceeds", 2: "within", 3: "within"},
    "r-1",
    closed=True,
)


def one(*figures: UnitFigure | None, **more: list[UnitFigure | None]) -> PlantFigure:
    return plantfigures.combine("gh-al", LIQUID, {"gh-al.line-1": list(figures), **more}, RULE)


def test_one_unit_s_figure_is_the_plant_s_to_the_last_digit() -> None:
    found = one(replace(WELL, value=Fraction("13000.000001")))
    assert found.why is None
    assert found.value == Fraction("13000.000001")
    assert found.uncertainty == 80
    assert found.levels == {1: "exceeds", 2: "within", 3: "within"}
    assert found.results == ("r-1",)
    assert found.flags == ("rollover",)


@given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**6)), min_size=2, max_size=6))
def test_units_add_up_energy_over_output_not_mean_of_means(pairs: list[tuple[int, int]]) -> None:
    units: dict[str, list[UnitFigure | None]] = {
        f"gh-al.line-{n}": [
            replace(WELL, energy=Fraction(energy), output=Fraction(t), value=Fraction(energy, t))
        ]
        for n, (energy, t) in enumerate(pairs)
    }
    found = plantfigures.combine("gh-al", LIQUID, units, RULE)
    assert found.value == Fraction(sum(e for e, _ in pairs), sum(t for _, t in pairs))


def test_uncertainties_of_units_add_by_squares_and_those_of_months_as_they_are() -> None:
    other = replace(WELL, unit="gh-al.line-2")
    units = plantfigures.combine(
        "gh-al", LIQUID, {"gh-al.line-1": [WELL], "gh-al.line-2": [other]}, RULE
    )
    assert float(units.uncertainty or 0) == pytest.approx(80 / 2**0.5)
    months = one(WELL, WELL, WELL)
    assert months.uncertainty == 80


def test_the_worst_verdict_of_all_parts_is_the_plant_s() -> None:
    bad = replace(WELL, levels={2: "indeterminate", 3: "exceeds"})
    assert one(WELL, bad).levels == {1: "exceeds", 2: "indeterminate", 3: "exceeds"}


REASONS: dict[Why, list[UnitFigure | None]] = {
    Why.NO_DATA: [None],
    Why.NO_OUTPUT: [replace(WELL, value=None, output=None)],
    Why.INCOMPLETE: [replace(WELL, completeness=Fraction("0.9499"))],
    Why.FLAGGED: [replace(WELL, flags=("stock_not_taken",))],
    Why.OTHER_FORMULA: [WELL, replace(WELL, formula_version=1)],
}


@pytest.mark.parametrize(("why", "figures"), REASONS.items())
def test_a_figure_that_may_not_be_ranked_says_why(
    why: Why, figures: list[UnitFigure | None]
) -> None:
    found = one(*figures)
    assert found.why is why
    assert found.took_part is (why is not Why.NO_DATA)


def test_a_month_that_is_not_there_leaves_a_quarter_incomplete() -> None:
    found = one(WELL, None, WELL)
    assert found.why is Why.INCOMPLETE
    assert found.completeness == 0


def test_an_energy_nobody_knows_is_no_zero() -> None:
    unknown = replace(WELL, energy=None, value=None, output=Fraction(5))
    assert one(WELL, unknown).why is Why.INCOMPLETE
    assert one(WELL, unknown).value is None
    assert one(unknown).why is Why.NO_DATA


def test_a_unit_less_is_a_plant_that_does_not_declare_it() -> None:
    found = plantfigures.combine("gh-al", LIQUID, {}, RULE)
    assert found.why is Why.NOT_DECLARED
    assert not found.took_part


def test_what_does_not_add_up_is_not_added() -> None:
    dust = indicators.find("ferroalloy.dust_concentration")
    figures: dict[str, list[UnitFigure | None]] = {"a.b": [WELL], "a.c": [WELL]}
    assert plantfigures.combine("a", dust, figures, RULE).why is Why.NOT_ADDITIVE
    single: dict[str, list[UnitFigure | None]] = {"a.b": [WELL]}
    assert plantfigures.combine("a", dust, single, RULE).why is None


def test_shares_add_up_in_per_cent() -> None:
    share = indicators.find("cement.slag_use")
    assert share.is_share
    figures: dict[str, list[UnitFigure | None]] = {
        "a.b": [replace(WELL, energy=Fraction(20), output=Fraction(100))],
        "a.c": [replace(WELL, energy=Fraction(40), output=Fraction(100))],
    }
    assert plantfigures.combine("a", share, figures, RULE).value == 30


def test_those_computed_by_an_older_formula_are_taken_out() -> None:
    old = replace(one(WELL), site="old", formula_version=1)
    found = plantfigures.newest_formula([one(WELL), old])
    assert [each.why for each in found] == [None, Why.OTHER_FORMULA]


def test_a_stored_result_is_read_exactly() -> None:
    figures: dict[str, Any] = {
        "energy": {"value": "1300000.5", "estimated": "0", "unit": "kWh"},
        "output": {"value": "100", "unit": "t"},
        "intensity": {"value": "13000.005", "unit": "kWh/t", "uncertainty": None},
        "completeness": 0.998,
        "flags": ["gap"],
        "formula_version": 2,
        "verdicts": [
            {"level": 1, "verdict": "exceeds"},
            {"level": 1, "verdict": "not_applicable"},
            {"level": None, "verdict": "exceeds"},
            {"level": 3, "verdict": "within"},
        ],
    }
    found = UnitFigure.of("gh-al.line-1", figures, "r-9", closed=True)
    assert found.energy == Fraction("1300000.5")
    assert found.completeness == Fraction("0.998")
    assert found.uncertainty is None
    assert found.levels == {1: "exceeds", 3: "within"}


PLANT = """
[site.gh-al]
name = { zh = "厂", en = "Plant" }
jurisdiction = "cn-qh"
[site.gh-al.unit.line]
name = { zh = "系列", en = "Line" }
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac"]
[site.gh-al.unit.section]
name = { zh = "区", en = "Section" }
kind = "section"
parent = "line"
[site.gh-al.unit.pot]
name = { zh = "槽", en = "Pot" }
kind = "pot"
parent = "section"
indicators = ["al.liquid.ac"]
[site.silent]
name = { zh = "厂", en = "Plant" }
jurisdiction = "cn-qh"
[site.silent.unit.line]
name = { zh = "系列", en = "Line" }
kind = "potline"
product = "aluminium_liquid"
[site.other]
name = { zh = "厂", en = "Plant" }
jurisdiction = "cn-qh"
[site.other.unit.kiln]
name = { zh = "窑", en = "Kiln" }
kind = "kiln"
product = "clinker"
"""


def test_of_units_inside_one_another_the_outer_one_makes_the_plant_s_figure() -> None:
    declared = plant.parse(PLANT, "plant.toml")
    units = plantfigures.units_of(declared, "gh-al", LIQUID)
    assert units is not None
    assert [unit.id for unit in units] == ["gh-al.line"]


def test_who_makes_the_product_and_declares_nothing_is_asked_and_who_makes_another_is_not() -> None:
    declared = plant.parse(PLANT, "plant.toml")
    assert plantfigures.units_of(declared, "silent", LIQUID) == []
    assert plantfigures.units_of(declared, "other", LIQUID) is None
