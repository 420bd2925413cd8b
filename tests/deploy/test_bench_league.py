"""`danhao bench league`: small errors of rank, and no plant's figure to be had, on a few months."""

from __future__ import annotations

from fractions import Fraction

import pytest

from core.errors import Misconfigured
from core.quartiles import Quartiles
from deploy.bench import BENCHES
from deploy.benches import league


@pytest.mark.parametrize(("months", "seed"), [(0, 0), (10**6, 0), (10, -1)])
def test_a_number_that_makes_no_sense_is_refused(months: int, seed: int) -> None:
    with pytest.raises(Misconfigured, match="--months"):
        league.measure(months, seed)


def test_every_figure_has_its_place_in_the_list_of_benches() -> None:
    listed = [name for name, module in BENCHES.items() if module == league.__name__]
    assert tuple(listed) == league.NAMES


def test_an_error_of_rank_counts_places_off() -> None:
    values = [Fraction(n) for n in range(1, 51)]
    exact = Quartiles(Fraction("13.25"), Fraction("25.5"), Fraction("37.75"))
    assert league.rank_error(values, exact) == pytest.approx((0.5 + 0 + 0.5) / 3)
    off = Quartiles(Fraction("3.25"), Fraction("25.5"), Fraction("37.75"))
    assert league.rank_error(values, off) == pytest.approx((9.5 + 0 + 0.5) / 3)


@pytest.mark.slow
def test_ranks_are_right_and_the_last_plant_keeps_its_figure() -> None:
    error, guess = league.measure(30, 90_000)
    assert error.met
    beside = dict(error.beside)
    assert beside["budget 1"] > error.value > beside["budget 8"]
    # In steps of a tenth of the spread, one guess in twenty-five hits without any answer.
    assert guess.value < 0.2


def test_the_same_seed_gives_the_same_figures() -> None:
    assert league.measure(2, 5) == league.measure(2, 5)
