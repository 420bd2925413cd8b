"""Indicators: a definition says all that its figure needs, or is refused with every mistake."""

from __future__ import annotations

from fractions import Fraction

import pytest

from core import indicators
from core.errors import Misconfigured
from core.indicators import BaseGrade
from core.periods import Period

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


@pytest.mark.parametrize(
    ("indicator", "grade", "reference"),
    [
        ("fesi.smelting", "Si", "0.75"),
        ("fesi.comprehensive", "Si", "0.75"),
        ("hcfecr.smelting", "Cr", "0.5"),
        ("hcfecr.comprehensive", "Cr", "0.5"),
        ("cac2.furnace", "gas_yield", "300"),
        ("cac2.comprehensive", "gas_yield", "300"),
        ("chargefecr.smelting", "Cr", "0.5"),
        ("mlcfecr.comprehensive", "Cr", "0.5"),
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
        ('"kWh/t"', '"kWh/kg"', "x.unit: kWh over t is not kWh/kg"),
        ('["tapping"]', "[]", "what computes names its carriers and its output"),
        ('["tapping"]', '["melting"]', "x.output"),
        ('["electricity"]', '["dust"]', "dust is metered as mass, not in kWh"),
        ('product = "x"', 'product = "x"\naccounts = true', "accounts are added in kgce"),
        ('product = "x"', 'product = "x"\nbasis = "primary"', "a basis is that of kgce"),
        ('product = "x"', 'product = "x"\nstock_expected = true', "a stock is expected where"),
        ('product = "x"', 'product = "x"\nmetered = "mean"', "a mean is of carriers alone"),
        (
            'product = "x"',
            'product = "x"\nagainst = { base_year = 2020, numerator = "a", denominator = "b" }',
            "a change against a base year is in per cent",
        ),
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


@pytest.mark.parametrize(
    ("term", "says"),
    [
        ('function = "stock_change", stream = "a"', "needs tolerance_h"),
        ('function = "balance", tolerance_h = 24, kinds = ["use"]', "knows its kinds"),
        ('function = "sum", stream = "a"', "sum needs kinds"),
        ('function = "sum", kinds = ["use"], tolerance_h = 24', "it takes no stock"),
        ('function = "sum", kinds = ["use"], grade = "K"', "a grade belongs to graded"),
        ('function = "graded", kinds = ["use"]', "a grade belongs to graded"),
        ('function = "per_grade", kinds = ["charge"]', "a grade belongs to graded"),
        ('function = "sum", stream = "electricity", kinds = ["use"]', "is metered as energy"),
        ('function = "stock_change", tolerance_h = 97', "tolerance_h"),
        ('function = "guess", kinds = ["use"]', "function"),
        ('function = "sum", stream = "Raw Coal", kinds = ["use"]', "stream"),
        ('function = "sum", kinds = ["base"]', "kinds"),
    ],
)
@pytest.mark.parametrize("where", ["denominator", "output_by.other"])
def test_a_term_that_cannot_be_computed_is_told(term: str, says: str, where: str) -> None:
    text = ROW.replace('output = ["tapping"]\n', "") if where == "denominator" else ROW
    with pytest.raises(Misconfigured) as caught:
        indicators.parse(f"{text}{where} = [{{ {term} }}]\n", "mine.toml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("mine.toml:")


def test_every_mistake_of_a_file_is_told_at_once_with_its_line() -> None:
    bad = ROW.replace('"electricity"', '"power", "dust"').replace('"kWh/t"', '"kWh/kg"')
    text = bad + ROW.replace('"x"]', '"y"]').replace('["tapping"]', "[]")
    with pytest.raises(Misconfigured) as caught:
        indicators.parse(text, "mine.toml")
    said = str(caught.value)
    places = {problem.where for problem in caught.value.problems}
    assert len(caught.value.problems) == 4
    assert all(place.startswith("mine.toml:") for place in places)
    for part in ("'power'", "dust is metered as mass", "kWh over t is not kWh/kg", "y.computes"):
        assert part in said


def test_emissions_have_no_coal_equivalent_and_shares_are_of_one_quantity() -> None:
    kgce = ROW.replace('"kWh', '"kgce').replace('"electricity"', '"dust"')
    with pytest.raises(Misconfigured, match="dust is emission and has no coal equivalent"):
        indicators.parse(kgce, "mine.toml")
    share = ROW.replace('"kWh/t"', '"%"')
    with pytest.raises(Misconfigured, match="kWh over t is no share in per cent"):
        indicators.parse(share, "mine.toml")


def test_every_shipped_row_says_how_well_its_boundary_is_known() -> None:
    for indicator in indicators.catalogue().values():
        assert indicator.mark is not None, indicator.id
        assert set(indicator.boundary) == {"zh", "en"}
        assert indicator.source
        assert indicator.formula_version >= 1


def test_what_is_booked_by_the_month_has_no_figure_by_hour_and_shift() -> None:
    coarse = {one.id for one in indicators.catalogue().values() if not one.has(Period.SHIFT)}
    assert {"industry.energy_per_value_added", "industry.quota_share"} <= coarse
    assert "al.liquid.ac" not in coarse
    for one in indicators.catalogue().values():
        known = [kind for kind in Period if one.has(kind)]
        assert {Period.DAY, Period.MONTH, Period.YEAR} <= set(known)
        assert one.has(Period.HOUR) == one.has(Period.SHIFT)
    text = ROW.replace('product = "x"', 'product = "x"\nshortest = "month"')
    (monthly,) = indicators.parse(text, "mine.toml").values()
    assert [kind for kind in Period if monthly.has(kind)] == [Period.MONTH, Period.YEAR]
