"""`danhao bench delivery`: numbers that make no sense are refused, a loss is a missed goal."""

from __future__ import annotations

from collections import Counter

import pytest

from core.errors import Misconfigured
from deploy.benches import delivery
from deploy.deliveryworld.check import Outcome
from deploy.deliveryworld.report import Totals


@pytest.mark.parametrize(("schedules", "seed"), [(0, 0), (-1, 0), (1, -1), (10**9, 0)])
def test_a_number_that_makes_no_sense_is_refused(schedules: int, seed: int) -> None:
    with pytest.raises(Misconfigured, match="--schedules"):
        delivery.measure(schedules, seed)


def test_every_figure_of_the_names_is_given_and_a_loss_misses_its_goal() -> None:
    walked = Totals(schedules=30)
    clean = delivery.figures(Totals(schedules=30, sums=Counter(delivered=100)), walked, 60.0)
    assert tuple(each.name for each in clean) == delivery.NAMES
    assert [each.met for each in clean] == [True, True, True, True, True, None]
    assert clean[-1].value == 60
    broken = Totals(schedules=1, broken=1, sums=Counter(lost=1, disordered=2))
    worse = delivery.figures(broken, Totals(broken=1), 60.0)
    assert [each.met for each in worse] == [False, True, False, False, False, None]


def test_totals_add_up_and_tell_the_story_of_what_broke_with_its_seed() -> None:
    totals, other = Totals(), Totals()
    totals.take(Outcome(7, Counter(answer_lost=2), delivered=5))
    broken = Outcome(8, Counter(answer_lost=1), lost=1, faults=["city firing 3 is gone"])
    broken.trace = [f"line {number}" for number in range(60)]
    other.take(broken)
    totals.add(other)
    assert (totals.schedules, totals.broken, totals.sums["delivered"]) == (2, 1, 5)
    assert totals.injected == {"answer_lost": 3}
    (story,) = totals.stories
    assert "seed 8" in story
    assert "city firing 3 is gone" in story
    assert "line 59" in story
    assert "line 3\n" not in story
