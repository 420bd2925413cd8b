"""`danhao bench faults`: numbers that make no sense are refused, a loss is a missed goal."""

from __future__ import annotations

import pytest

from core.errors import Misconfigured
from deploy.benches import faults
from deploy.faultworld.report import Totals


@pytest.mark.parametrize(("schedules", "seed"), [(0, 0), (-1, 0), (1, -1), (10**9, 0)])
def test_a_number_that_makes_no_sense_is_refused(schedules: int, seed: int) -> None:
    with pytest.raises(Misconfigured, match="--schedules"):
        faults.measure(schedules, seed)


def test_every_figure_of_the_names_is_given_and_a_loss_misses_its_goal() -> None:
    clean = faults.figures(Totals(schedules=30, stored=100), 60.0)
    assert tuple(each.name for each in clean) == faults.NAMES
    assert [each.met for each in clean] == [True, True, True, True, None]
    assert clean[-1].value == 30
    broken = faults.figures(Totals(schedules=30, lost=1, broken=1, energy_difference_e6=5), 60.0)
    assert [each.met for each in broken] == [False, True, False, False, None]


@pytest.mark.slow
@pytest.mark.postgres
def test_schedules_run_side_by_side_on_a_server_of_their_own() -> None:
    totals = faults.run(0, 3)
    assert totals.schedules == 3
    assert totals.stories == []
    assert totals.stored > 0
