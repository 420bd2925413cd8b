"""What a sum ahead will be: against slow computations of the same, and on processes one knows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import ahead
from core.ahead import Behind


def behind(*amounts: float, gap: float = 0.0) -> Behind:
    """Return days in a row up to now, or up to `gap` days ago."""
    end = -gap - np.arange(len(amounts))[::-1].astype(float)
    return Behind(end - 1, end, np.array(amounts))


def density(at: float, freedom: int) -> float:
    gammas = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    spread = math.log(freedom * math.pi) / 2
    return math.exp(gammas - spread - (freedom + 1) / 2 * math.log1p(at * at / freedom))


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 30, 91])
@pytest.mark.parametrize("at", [-6.0, -1.3, 0.0, 0.4, 2.5])
def test_student_s_t_is_the_integral_of_its_density(freedom: int, at: float) -> None:
    steps = np.linspace(0.0, at, 20_001)
    heights = np.array([density(float(one), freedom) for one in steps])
    area = float(((heights[1:] + heights[:-1]) / 2 * np.diff(steps)).sum())
    found = float(ahead.student(np.array([at]), freedom)[0])
    assert found == pytest.approx(0.5 + area, abs=1e-7)


def test_a_covariance_is_the_double_integral_of_what_its_process_is() -> None:
    grid = np.array([[0.0, 1.7, 3.0, 0.0]])
    one, other = (np.array([-4.0]), np.array([-2.5])), (np.array([0.0]), np.array([2.0]))
    found = float(ahead._covariances(one, other, grid)[0, 0, 0])
    first = np.linspace(-4.0, -2.5, 301)[:-1] + 0.0025
    second = np.linspace(0.0, 2.0, 401)[:-1] + 0.0025
    slow = 1.7 * np.exp(-np.abs(first[:, None] - second[None, :]) / 3.0).sum() * 0.005**2
    assert found == pytest.approx(slow, rel=1e-3)


def test_noise_is_as_large_as_the_spans_overlap_and_nowhere_else() -> None:
    grid = np.array([[0.0, 0.0, 3.0, 0.0]])
    spans = (np.array([-3.0, -1.0]), np.array([-1.0, 0.0]))
    found = ahead._covariances(spans, spans, grid)[0]
    assert found == pytest.approx(np.array([[2.0, 0.0], [0.0, 1.0]]))


def test_what_is_carried_over_a_cut_is_lacked_on_the_other_side() -> None:
    grid = np.array([[5.0, 0.0, 3.0, 0.0]])
    spans = (np.array([-3.0, -1.0]), np.array([-1.0, 0.0]))
    found = ahead._covariances(spans, spans, grid)[0]
    assert found == pytest.approx(np.array([[2.0 + 10, -5.0], [-5.0, 1.0 + 10]]))
    whole = (np.array([-3.0]), np.array([0.0]))
    assert ahead._covariances(whole, whole, grid)[0, 0, 0] == pytest.approx(found.sum())


def test_days_that_are_all_the_same_go_on_so() -> None:
    found = ahead.foresee(behind(*[7.0] * 30), [(0.0, 5.0)], 0.02)
    assert found.mean[0] == pytest.approx(35.0, abs=1e-6)
    assert found.deviation[0] < 0.1


def test_the_less_is_known_the_wider_is_what_is_told() -> None:
    draw = np.random.default_rng(1)
    amounts = (10 + draw.normal(size=60)).tolist()
    few, many = (ahead.foresee(behind(*amounts[-count:]), [(0.0, 20.0)], 1.0) for count in (3, 60))
    assert few.deviation[0] > 1.3 * many.deviation[0]


def test_a_longer_span_is_less_certain_and_a_later_one_too() -> None:
    draw = np.random.default_rng(2)
    past = behind(*(10 + np.cumsum(draw.normal(size=60))).tolist())
    near, far = ahead.foresee(past, [(0.0, 1.0), (20.0, 21.0)], 1.0).deviation
    assert far > near
    short, long = ahead.foresee(past, [(0.0, 2.0), (0.0, 20.0)], 1.0).deviation
    assert long > 10 * short / 2


def test_a_level_that_moved_lately_is_told_from_where_it_stands_now() -> None:
    past = behind(*[10.0 + (0.01 if day % 2 else -0.01) for day in range(50)], *[12.0] * 10)
    assert ahead.foresee(past, [(0.0, 5.0)], 0.1).mean[0] > 5 * 11.5


def test_batches_that_are_late_are_made_up_for() -> None:
    # A tap that fell behind midnight: what yesterday lacks, today has too much.
    amounts = [10.0, 10.0] * 20
    for day in range(1, 39, 4):
        amounts[day] -= 3.0
        amounts[day + 1] += 3.0
    amounts[-1] -= 3.0
    (soon,) = ahead.foresee(behind(*amounts), [(0.0, 1.0)], 0.5).mean
    assert soon > 11.0


@settings(max_examples=25)
@given(
    amounts=st.lists(st.floats(-50, 50), min_size=3, max_size=20),
    scale=st.sampled_from([1e-6, 1e-3, 7.0, 1e9]),
)
def test_units_do_not_matter(amounts: list[float], scale: float) -> None:
    one = ahead.foresee(behind(*amounts), [(0.0, 4.0)], 1.0)
    other = ahead.foresee(behind(*(scale * each for each in amounts)), [(0.0, 4.0)], scale)
    assert other.mean[0] == pytest.approx(scale * one.mean[0], rel=1e-6, abs=1e-6 * scale)
    assert other.deviation[0] == pytest.approx(scale * one.deviation[0], rel=1e-6)


@settings(max_examples=25)
@given(amounts=st.lists(st.floats(-50, 50), min_size=1, max_size=20))
def test_chances_rise_with_the_bound_from_none_to_all(amounts: list[float]) -> None:
    found = ahead.foresee(behind(*amounts), [(0.0, 4.0)], 1.0)
    reach = 1e4 * (1 + found.deviation[0])
    bounds = found.mean[0] + np.linspace(-reach, reach, 41)
    chances = found.below(bounds, 0)
    assert (np.diff(chances) >= -1e-12).all()
    assert chances[0] < 0.01
    assert chances[-1] > 0.99


def test_the_same_question_has_the_same_answer_to_the_last_bit() -> None:
    past = behind(*[3.0, 1.0, 4.0, 1.0, 5.0, 9.0])
    ahead._shape.cache_clear()
    first = ahead.foresee(past, [(0.0, 3.0)], 1.0)
    ahead._shape.cache_clear()
    again = ahead.foresee(past, [(0.0, 3.0)], 1.0)
    assert first.mean.tobytes() == again.mean.tobytes()
    assert first.scale.tobytes() == again.scale.tobytes()
