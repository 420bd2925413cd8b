"""Days to stretches to a figure at the end: what counts, what waits, what the band knows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from core import forecast
from core.facts import DAY_US
from core.forecast import Course, Day, Forecast, Stretch


def day(number: int, above: int | None, below: int | None, *, usable: bool = True) -> Day:
    used, made = (None if half is None else Fraction(half) for half in (above, below))
    return Day(number * DAY_US, (number + 1) * DAY_US, used, made, usable)


def seen(days: list[Day]) -> list[tuple[int, int, float, float]]:
    return [
        (each.begin_us // DAY_US, each.end_us // DAY_US, each.above, each.below)
        for each in forecast.stretches(days)
    ]


def test_a_day_with_both_halves_is_a_stretch() -> None:
    assert seen([day(0, 10, 1), day(1, 20, 2)]) == [(0, 1, 10, 1), (1, 2, 20, 2)]


def test_days_without_a_tap_are_part_of_the_day_that_has_one() -> None:
    found = seen([day(0, 10, 1), day(1, 10, None), day(2, 10, None), day(3, 10, 3)])
    assert found == [(0, 1, 10, 1), (1, 4, 30, 3)]


def test_a_day_that_is_not_measured_ends_what_was_begun_and_belongs_to_nothing() -> None:
    found = seen([day(0, 10, None), day(1, None, None, usable=False), day(2, 10, 2)])
    assert found == [(2, 3, 10, 2)]


def test_days_that_do_not_follow_one_another_are_not_joined() -> None:
    assert seen([day(0, 10, None), day(2, 10, 2)]) == [(2, 3, 10, 2)]


def test_a_weighing_may_be_three_days_late_and_is_then_taken_for_none() -> None:
    whole = [day(0, 10, 1)]
    late = [day(one, 10, None) for one in range(1, 5)]
    assert seen(whole + late[:3]) == [(0, 1, 10, 1)]
    assert seen(whole + late) == [(0, 1, 10, 1), (1, 5, 40, 0)]


def test_days_of_which_neither_half_ever_came_tell_nothing() -> None:
    assert seen([day(one, None, None) for one in range(9)]) == []


def test_known_days_are_counted_where_a_span_holds_them() -> None:
    found = [Stretch(0, 3 * DAY_US, 1, 1), Stretch(5 * DAY_US, 6 * DAY_US, 1, 1)]
    assert forecast.days_known(found, 2 * DAY_US, 9 * DAY_US) == 2


def steady(days: int, ratio: float, made: float, until: int = 30) -> Forecast:
    found = [Stretch(one * DAY_US, (one + 1) * DAY_US, ratio * made, made) for one in range(days)]
    so_far = (ratio * made * days, made * days)
    told = forecast.make(found, so_far, days * DAY_US, Course(days * DAY_US, until * DAY_US))
    assert told is not None
    return told


def test_a_steady_unit_ends_where_it_stands() -> None:
    low, tenth, median, ninetieth, high = steady(15, 13_000.0, 800.0).quantiles()
    assert median == pytest.approx(13_000.0, rel=1e-6)
    assert low < tenth < median < ninetieth < high
    assert float(steady(15, 13_000.0, 800.0).coming.per_day) == pytest.approx(800.0)


def test_quantiles_and_chances_say_the_same() -> None:
    draw = np.random.default_rng(3)
    found = [
        Stretch(one * DAY_US, (one + 1) * DAY_US, made * ratio, made)
        for one, (made, ratio) in enumerate(
            zip(draw.uniform(700, 900, 40), draw.normal(13_000, 90, 40), strict=True)
        )
    ]
    so_far = (sum(one.above for one in found[30:]), sum(one.below for one in found[30:]))
    told = forecast.make(found, so_far, 40 * DAY_US, Course(40 * DAY_US, 60 * DAY_US))
    assert told is not None
    for share, bound in zip(forecast.QUANTILES, told.quantiles(), strict=True):
        assert told.chance_below(bound) == pytest.approx(share, abs=1e-6)


def test_what_is_known_keeps_its_weight() -> None:
    # Twenty of thirty days at 12,000, lately 15,000: the whole cannot end above their mean.
    found = [Stretch(one * DAY_US, (one + 1) * DAY_US, 12_000, 1) for one in range(15)]
    found += [Stretch(one * DAY_US, (one + 1) * DAY_US, 15_000, 1) for one in range(15, 20)]
    so_far = (15 * 12_000 + 5 * 15_000, 20)
    told = forecast.make(found, so_far, 20 * DAY_US, Course(20 * DAY_US, 30 * DAY_US))
    assert told is not None
    median = told.quantiles()[2]
    assert so_far[0] / 20 < median < (so_far[0] + 10 * 15_500) / 30


def test_a_planned_stop_leaves_the_figure_where_it_is() -> None:
    found = [Stretch(one * DAY_US, (one + 1) * DAY_US, 13_000, 1) for one in range(20)]
    course = Course(20 * DAY_US, 30 * DAY_US)
    plan = ((20 * DAY_US, Fraction(0)),)
    told = forecast.make(found, (20 * 14_000, 20), 20 * DAY_US, course, plan)
    goes_on = forecast.make(found, (20 * 14_000, 20), 20 * DAY_US, course)
    assert told is not None
    assert goes_on is not None
    assert told.quantiles()[2] > goes_on.quantiles()[2] + 100


def test_without_output_or_without_a_rest_there_is_nothing_to_foresee() -> None:
    idle = [Stretch(0, DAY_US, 5, 0)]
    assert forecast.make(idle, (5, 0), DAY_US, Course(DAY_US, 2 * DAY_US)) is None
    works = [Stretch(0, DAY_US, 5, 1)]
    assert forecast.make(works, (5, 1), DAY_US, Course(DAY_US, DAY_US)) is None


def test_a_year_is_asked_at_bounded_instants_the_last_one_its_end() -> None:
    told = steady(40, 100.0, 5.0, until=365)
    assert len(told.instants_us) == forecast.MOST_INSTANTS
    assert told.instants_us[-1] == 365 * DAY_US
    assert list(told.instants_us) == sorted(set(told.instants_us))


def test_a_part_that_begins_later_is_foreseen_from_its_own_begin() -> None:
    found = [Stretch(one * DAY_US, (one + 1) * DAY_US, 13_000, 1) for one in range(10)]
    told = forecast.make(found, (0.0, 0.0), 10 * DAY_US, Course(20 * DAY_US, 30 * DAY_US))
    assert told is not None
    assert told.quantiles()[2] == pytest.approx(13_000, rel=1e-6)
