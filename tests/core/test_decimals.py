"""Exact numbers: no digit is lost, and rounding is half-even and at the end only."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import decimals, exactmath

INTEGERS = st.integers(-(10**30), 10**30)


@given(INTEGERS, INTEGERS.filter(bool))
def test_rounding_is_to_the_nearest_and_ties_go_to_even(numerator: int, denominator: int) -> None:
    assert decimals.round_half_even(numerator, denominator) == round(
        Fraction(numerator, denominator)
    )


@given(st.integers(-(10**6), 10**6), st.sampled_from([2, -2, 4]))
def test_ties_round_as_the_decimal_module_does(numerator: int, denominator: int) -> None:
    wanted = (Decimal(numerator) / denominator).quantize(Decimal(1), ROUND_HALF_EVEN)
    assert decimals.round_half_even(numerator, denominator) == wanted


@given(st.integers(-(10**25), 10**25))
def test_millionths_are_printed_plainly_and_read_back(millionths: int) -> None:
    text = decimals.show_e6(millionths)
    assert "E" not in text
    assert not ("." in text and text.endswith("0"))
    assert decimals.exact_e6(decimals.parse(text)) == millionths
    assert decimals.show(Fraction(millionths, 10**6)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.0000005", "0"), ("0.0000015", "0.000002"), ("-1.50", "-1.5"), ("100", "100"), ("-0", "0")],
)
def test_a_figure_has_at_most_six_places_half_even(value: str, text: str) -> None:
    assert decimals.show(Decimal(value)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-",
        "1e5",
        "1E-7",
        "nan",
        "Infinity",
        " 1",
        "1\n",
        "1,5",
        "0x10",
        "1_000",
        "１２",
        "٣",
    ],
)
def test_what_is_no_plain_decimal_is_a_value_error_that_shows_it(text: str) -> None:
    with pytest.raises(ValueError, match="not a plain decimal number"):
        decimals.parse(text)


@given(st.text(max_size=50))
def test_any_text_is_a_decimal_or_a_value_error(text: str) -> None:
    try:
        assert decimals.parse(text).is_finite()
    except ValueError as error:
        assert "not a plain decimal" in str(error)  # noqa: PT017 - either outcome is right


def test_more_than_six_places_are_refused_where_figures_must_be_exact() -> None:
    assert decimals.exact_e6(Decimal("1.2300000")) == 1_230_000
    with pytest.raises(ValueError, match="more than 6 decimal places"):
        decimals.exact_e6(Decimal("0.0000001"))


@given(st.fractions(0, 10**12))
def test_a_square_root_is_right_to_thirty_digits(value: Fraction) -> None:
    root = decimals.square_root(value)
    assert abs(root * root - value) <= value / 10**30


@given(st.integers(-2 * 10**15, 2 * 10**15))
def test_a_float_sent_with_six_places_is_exact_in_millionths(millionths: int) -> None:
    sent = float(decimals.show_e6(millionths))
    assert exactmath.millionths(np.array([sent])).tolist() == [millionths]


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**53), 2**53),
            st.integers(-(2**53), 2**53),
            st.integers(1, 10**15),
            st.fractions(0, 1),
        ),
        max_size=5,
    ),
    st.integers(-(10**9), 10**9),
    st.sampled_from([1, 2, 7, 10**6]),
)
def test_a_level_is_one_rounding_of_the_exact_value_modulo_two_to_the_64(
    steps: list[tuple[int, int, int, Fraction]], num: int, den: int
) -> None:
    rows = [(start, rise, dt, int(share * dt)) for start, rise, dt, share in steps]
    columns = [np.array(column, np.int64) for column in zip(*rows, strict=True)] or [
        np.zeros(0, np.int64)
    ] * 4
    found = exactmath.levels(columns[0], columns[1], columns[2], columns[3], num, den)
    wanted = [round((start + Fraction(rise * x, dt)) * num / den) for start, rise, dt, x in rows]
    assert [(one - two) % 2**64 for one, two in zip(found.tolist(), wanted, strict=True)] == [
        0
    ] * len(rows)


def test_what_is_unknown_is_printed_as_nothing_and_zero_as_zero() -> None:
    assert decimals.show_known(None) is None
    assert decimals.show_known(Fraction(0)) == "0"
    assert decimals.show_known(Fraction(1, 3)) == "0.333333"


def test_levels_whose_multiplier_is_beyond_int64_are_computed_all_the_same() -> None:
    zero, one = np.zeros(1, np.int64), np.ones(1, np.int64)
    assert exactmath.levels(zero, zero, one, zero, 10**30, 1).tolist() == [0]


@given(
    st.sets(st.integers(0, 60), max_size=6).map(sorted),
    st.sets(st.integers(0, 60), min_size=2, max_size=6).map(sorted),
)
def test_spans_are_paired_with_every_interval_they_overlap(
    starts: list[int], edges: list[int]
) -> None:
    ends = [start + 5 for start in starts]
    found = exactmath.overlaps(
        np.array(starts, np.int64), np.array(ends, np.int64), np.array(edges, np.int64)
    )
    wanted = [
        (span, place, max(low, edges[place]), min(high, edges[place + 1]))
        for span, (low, high) in enumerate(zip(starts, ends, strict=True))
        for place in range(len(edges) - 1)
        if max(low, edges[place]) < min(high, edges[place + 1])
    ]
    assert list(zip(*(column.tolist() for column in found), strict=True)) == wanted
