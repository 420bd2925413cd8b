"""Promises of quartiles: exact against other hands' code, concealed without giving anyone away."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import quartiles

SPAN = (Fraction(12_000), Fraction(14_000))
FIGURES = st.lists(st.fractions(12_000, 14_000, max_denominator=1_000), min_size=4, max_size=40)
SECRET = bytes(range(32))


@settings(max_examples=40)
@given(FIGURES)
def test_exact_quartiles_are_those_of_the_standard_library_and_of_numpy(
    values: list[Fraction],
) -> None:
    found = quartiles.exact(values)
    assert [found.first, found.median, found.third] == statistics.quantiles(
        values, n=4, method="inclusive"
    )
    assert np.allclose(
        [float(found.first), float(found.median), float(found.third)],
        np.quantile([float(one) for one in values], [0.25, 0.5, 0.75]),
    )


def density(values: list[Fraction], share: Fraction, budget: float, at: float) -> float:
    """Return the logarithm of the density at a point, normalised."""
    found = quartiles.pieces(values, share, budget, SPAN)
    mass = math.fsum(math.exp(one.weight) * (one.end - one.begin) for one in found)
    (piece,) = [one for one in found if one.begin <= at < one.end]
    return piece.weight - math.log(mass)


@settings(max_examples=40, deadline=None)
@given(
    FIGURES,
    st.data(),
    st.sampled_from(quartiles.QUARTERS),
    st.sampled_from([0.5, 1.0, 4.0]),
)
def test_no_single_plant_changes_the_likelihood_of_an_answer_by_more_than_the_budget(
    values: list[Fraction], data: st.DataObject, share: Fraction, budget: float
) -> None:
    changed = list(values)
    place = data.draw(st.integers(0, len(values) - 1))
    changed[place] = data.draw(st.fractions(11_000, 15_000, max_denominator=1_000))
    for at in np.linspace(12_000.0001, 13_999.9, 20).tolist():
        off = density(values, share, budget, at) - density(changed, share, budget, at)
        assert abs(off) <= budget + 1e-9


def test_the_density_covers_the_range_once_and_is_highest_at_the_quantile() -> None:
    values = [Fraction(12_500 + 50 * n) for n in range(20)]
    found = quartiles.pieces(values, Fraction(1, 2), 2.0, SPAN)
    assert (found[0].begin, found[-1].end) == (12_000, 14_000)
    assert all(a.end == b.begin for a, b in pairwise(found))
    best = max(found, key=lambda one: one.weight)
    assert (best.begin, best.end) == (12_950, 13_000)  # ten figures below it


def test_asking_again_gives_the_same_answer_and_another_secret_another() -> None:
    values = [Fraction(12_500 + 37 * n) for n in range(20)]
    one = quartiles.conceal(values, 4.0, SPAN, SECRET, "al.liquid.ac|cn-qh|2026-10")
    assert one == quartiles.conceal(values[::-1], 4.0, SPAN, SECRET, "al.liquid.ac|cn-qh|2026-10")
    others = {
        quartiles.conceal(values, 4.0, SPAN, bytes(32), "al.liquid.ac|cn-qh|2026-10"),
        quartiles.conceal(values, 4.0, SPAN, SECRET, "al.liquid.ac|cn-qh|2026-11"),
        quartiles.conceal(
            [*values[1:], values[0] + 1], 4.0, SPAN, SECRET, "al.liquid.ac|cn-qh|2026-10"
        ),
    }
    assert len(others | {one}) == 4


def test_draws_follow_the_density() -> None:
    values = [Fraction(12_900), Fraction(13_000), Fraction(13_100), Fraction(13_200)]
    found = quartiles.pieces(values, Fraction(1, 2), 1.0, SPAN)
    mass = [math.exp(one.weight) * (one.end - one.begin) for one in found]
    drawn = [
        float(quartiles.conceal(values, 1.0, SPAN, SECRET, str(n)).median) for n in range(4_000)
    ]
    edges = [one.begin for one in found] + [found[-1].end]
    counts, _ = np.histogram(drawn, edges)
    # The medians were sorted among three draws of other shares, so a little more is in the middle.
    wanted = np.array(mass) / sum(mass) * len(drawn)
    assert counts.sum() == len(drawn)
    assert counts[2] >= wanted[2] * 0.9
    assert counts[0] + counts[-1] > 0


@pytest.mark.parametrize(("budget", "most_rank_error"), [(1.0, 12.0), (4.0, 2.0), (16.0, 0.8)])
def test_of_fifty_plants_a_larger_budget_buys_a_smaller_error_of_rank(
    budget: float, most_rank_error: float
) -> None:
    errors = []
    for month in range(200):
        draw = np.random.default_rng([50, month])
        values = [Fraction(int(one)) for one in draw.normal(13_100, 200, 50).round()]
        found = quartiles.conceal(values, budget, SPAN, SECRET, str(month))
        for one, share in zip(
            (found.first, found.median, found.third), quartiles.QUARTERS, strict=True
        ):
            errors.append(abs(sum(value < one for value in values) - float(share) * 50))
    assert np.mean(errors) < most_rank_error


def test_no_answer_is_a_plant_s_own_figure() -> None:
    values = [Fraction(12_500 + 31 * n) for n in range(30)]
    for month in range(500):
        found = quartiles.conceal(values, 100.0, SPAN, SECRET, str(month))
        assert not {found.first, found.median, found.third} & set(values)


def test_figures_outside_the_range_count_at_its_edge() -> None:
    values = [Fraction(1), *(Fraction(13_000 + n) for n in range(6)), Fraction(99_999)]
    found = quartiles.conceal(values, 8.0, SPAN, SECRET, "x")
    assert SPAN[0] <= found.first <= found.median <= found.third <= SPAN[1]
