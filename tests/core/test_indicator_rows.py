"""Rows A01 to A27 of the domain notes and the national indicators: each computes by its rule."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from core import flags, indicators, limits
from tests.core.factbook import fact
from tests.core.rows import AC, BASE, CLINKER, KWH, POTS, QUOTA, ROWS, STEEL
from tests.core.worked import END, MIDDLE, START, Meter, figure, stock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.output import OutputFact


def value(
    indicator: str, meters: Sequence[Meter], booked: Sequence[OutputFact], unit: str = ""
) -> Fraction:
    found, _ = figure(indicator, meters, booked, unit)
    assert found.value is not None, flags.words(found.flags)
    return found.value


@pytest.mark.parametrize(
    ("indicator", "meters", "booked", "unit", "expected"),
    [row[1:] for row in ROWS],
    ids=[f"{row[0]}: {row[1]}" for row in ROWS],
)
def test_it_computes_by_its_rule(
    indicator: str,
    meters: list[Meter],
    booked: list[OutputFact],
    unit: str,
    expected: Fraction,
) -> None:
    assert value(indicator, meters, booked, unit) == expected


def test_every_indicator_has_a_worked_example_or_is_another_s_twin() -> None:
    worked = {row[1] for row in ROWS} | {"steel.enterprise.comprehensive_primary"}
    assert worked == set(indicators.catalogue())
    assert set(indicators.computing()) == set(indicators.catalogue())


def test_every_indicator_of_a_limit_computes() -> None:
    assert {limit.indicator for limit in limits.catalogue().values()} <= set(indicators.computing())


def test_without_the_way_to_take_stock_aluminium_is_flagged() -> None:
    plain, _ = figure("al.liquid.ac", [AC], POTS)
    assert plain.value == Fraction(12_800_000, 990)
    assert "stock_not_taken" in flags.words(plain.flags)
    kept, inputs = figure("al.liquid.ac", [AC], POTS, 'output_by = "pots"')
    assert "stock_not_taken" not in flags.words(kept.flags)
    assert [item["amount"] for item in inputs["denominator"]] == ["990", "10"]


def test_metal_in_the_pots_that_nobody_measured_makes_the_output_unknown() -> None:
    found, _ = figure("al.liquid.ac", [AC], POTS[:2], 'output_by = "pots"')
    assert (found.output, found.value) == (None, None)
    assert "stock_not_taken" in flags.words(found.flags)


@pytest.mark.parametrize(
    ("unit", "booked", "tonnes"),
    [
        ("", [fact(MIDDLE, "weighing", "1000")], 1000),
        (
            'output_by = "feed"',
            [fact(MIDDLE, "charge", "1550", "kiln_feed", feed_per_product="1.55")],
            1000,
        ),
        (
            'output_by = "survey"',
            [
                stock(START, "5000", "clinker"),
                stock(END, "4600", "clinker"),
                fact(MIDDLE, "shipment", "900", "clinker"),
                fact(MIDDLE, "charge", "500", "clinker"),
            ],
            1000,
        ),
    ],
)
def test_clinker_by_weight_by_feed_and_by_survey(
    unit: str, booked: list[OutputFact], tonnes: int
) -> None:
    found, _ = figure("clinker.electricity", [Meter("electricity", "kWh", "57000")], booked, unit)
    assert found.output == tonnes
    assert found.value == 57


def test_the_credit_of_waste_heat_power_stands_in_the_evidence_with_its_version() -> None:
    meters = [
        Meter("electricity", "kWh", "57000"),
        Meter("raw_coal", "kg", "140000"),
        Meter("electricity", "kWh", "30000", "waste-heat-power", -1),
    ]
    both = {}
    for indicator in ("clinker.comprehensive", "clinker.comprehensive_credit_0404"):
        found, inputs = figure(indicator, meters, CLINKER)
        parameter = inputs["parameters"]["waste-heat-power"]
        assert parameter["formula_version"] == indicators.find(indicator).formula_version
        both[parameter["value"]] = found.value
    assert set(both) == {"0.1229", "0.404"}
    first, second = both["0.1229"], both["0.404"]
    assert first is not None
    assert second is not None
    # 30 kWh/t are worth 8.433 kgce/t more at 0.404: more than lies between two levels of the law.
    assert first - second == 30 * (Fraction("0.404") - KWH) == Fraction("8.433")


def test_the_even_path_stands_beside_a_change_against_the_base_year() -> None:
    month = (datetime(2021, 5, 31, 16, tzinfo=UTC), datetime(2021, 6, 30, 16, tzinfo=UTC))
    booked = [
        *BASE[:2],
        fact(month[0], "use", "97.36", "comprehensive_energy", "tce"),
        fact(month[0], "weighing", "50", "value_added", "10k_cny"),
    ]
    found, inputs = figure("industry.energy_per_value_added", [], booked, bounds=month)
    assert found.value == Fraction("-2.64")
    path = inputs["path"]
    assert [(step["year"], step["indicative"]) for step in path] == [(2021, True)]
    assert round(Fraction(path[0]["change"]), 2) == Fraction("-2.64")


def test_without_its_base_year_a_change_is_unknown() -> None:
    found, _ = figure("industry.energy_per_value_added", [], BASE[2:])
    assert (found.value, flags.words(found.flags)) == (None, ["base_missing"])


def test_one_outlet_without_data_leaves_the_highest_mean_unknown() -> None:
    meters = [
        Meter("dust_concentration", "mg/m3", "13392", "stack-1", kind="gauge"),
        Meter("dust_concentration", "mg/m3", None, "stack-2", kind="gauge"),
    ]
    assert figure("ferroalloy.dust_concentration", meters, [])[0].value is None


def test_the_primary_value_of_electricity_is_unknown_without_the_rate_of_the_year() -> None:
    meters = [Meter("electricity", "kWh", "500000", "purchased"), Meter("coke", "t", "100")]
    found, _ = figure("steel.enterprise.comprehensive_primary", meters, [STEEL])
    assert (found.value, "factor_unknown" in flags.words(found.flags)) == (None, True)
    year = (datetime(2016, 12, 31, 16, tzinfo=UTC), datetime(2017, 1, 31, 16, tzinfo=UTC))
    old, _ = figure(
        "steel.enterprise.comprehensive_primary",
        meters,
        [fact(year[0], "weighing", "1000", "crude_steel")],
        bounds=year,
    )
    assert old.value == (500_000 * Fraction("0.404") + 97_140) / 1000


def test_facts_alone_are_complete_when_they_are_all_there() -> None:
    whole, _ = figure("industry.quota_share", [], QUOTA)
    assert whole.completeness == 1
    part, _ = figure("industry.quota_share", [], QUOTA[:1])
    assert part.value is None
    assert part.completeness == 0
    assert "facts_missing" in flags.words(part.flags)
