"""Uncertainty by GUM: the figures of the domain notes, and laws of independent parts."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import uncertainty

PERCENT = Fraction(1, 100)
parts = st.lists(st.fractions(min_value=0, max_value=1, max_denominator=10**6), max_size=6)


def test_a_meter_with_its_transformers_at_0_2_is_accurate_to_0_35_percent() -> None:
    assert round(uncertainty.of_classes("0.2S", "0.2S", "0.2"), 2) == Decimal("0.35")
    assert uncertainty.of_classes("0.5") == Decimal("0.5")


@pytest.mark.parametrize(("mass", "standard"), [("0.5", "0.61"), ("0.2", "0.40")])
def test_with_the_weighing_it_is_0_61_or_0_40_percent(mass: str, standard: str) -> None:
    electricity = Fraction(uncertainty.of_classes("0.2S", "0.2S", "0.2")) * PERCENT
    found = uncertainty.expanded([electricity, Fraction(mass) * PERCENT])
    assert f"{float(found / 2 * 100):.2f}" == standard


def test_at_12750_that_is_78_or_51_kwh_a_tonne() -> None:
    electricity = Fraction(uncertainty.of_classes("0.2S", "0.2S", "0.2")) * PERCENT
    standard = [
        uncertainty.expanded([electricity, Fraction(mass) * PERCENT]) / 2 * 12750
        for mass in ("0.5", "0.2")
    ]
    assert [round(float(one)) for one in standard] == [78, 51]


def test_estimated_energy_adds_a_tenth_of_its_share() -> None:
    assert uncertainty.gap_filling(Fraction(50), Fraction(1000)) == Fraction(5, 1000)
    assert uncertainty.gap_filling(Fraction(50), Fraction(-1000)) == Fraction(5, 1000)
    assert uncertainty.gap_filling(Fraction(0), Fraction(1000)) == 0
    assert uncertainty.gap_filling(Fraction(1), Fraction(0)) == 0


@given(parts)
def test_the_whole_is_twice_the_root_of_squares_to_forty_digits(found: list[Fraction]) -> None:
    half = uncertainty.expanded(found) / 2
    squares = sum((one**2 for one in found), Fraction(0))
    assert abs(half**2 - squares) <= squares * Fraction(1, 10**38)


@given(parts, st.fractions(min_value=0, max_value=1, max_denominator=10**6))
def test_another_part_never_lessens_the_whole_and_order_is_nothing(
    found: list[Fraction], more: Fraction
) -> None:
    assert uncertainty.expanded([*found, more]) >= uncertainty.expanded(found)
    assert uncertainty.expanded([more, *found]) == uncertainty.expanded([*found, more])
