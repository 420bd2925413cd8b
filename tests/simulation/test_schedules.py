"""Under any schedule of faults nothing is lost, nothing is doubled, and energy is exact."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.faultworld import schedule
from deploy.faultworld.report import Totals, story
from deploy.faultworld.schedule import EVERY_S, ODDS, Kind

if TYPE_CHECKING:
    from deploy.faultworld.world import Simulation

ROOT = Path(__file__).resolve().parent.parent.parent
FIRST = 20261121
SCHEDULES = 24
SOME = 8


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SCHEDULES))
def test_what_an_outbox_accepted_is_stored_once_with_its_energy(
    simulation: Simulation, seed: int
) -> None:
    outcome = simulation.run(seed)
    assert not outcome.faults, story(outcome)
    assert outcome.accepted > 0
    assert outcome.stored + outcome.reported_lost + outcome.beyond_restore >= outcome.accepted
    assert (outcome.lost, outcome.doubled, outcome.energy_difference_e6) == (0, 0, 0)


def test_without_any_fault_every_reading_of_every_poll_is_stored(simulation: Simulation) -> None:
    outcome = simulation.run(FIRST, frozenset())
    polls = schedule.draw(FIRST, frozenset()).polls
    assert outcome.faults == []
    assert not outcome.injected
    assert (outcome.accepted, outcome.stored) == (4 * polls, 4 * polls)
    assert outcome.reported_lost == 0


def test_a_seed_takes_the_same_steps_whatever_ran_before_it(simulation: Simulation) -> None:
    seeds = range(FIRST + SCHEDULES, FIRST + SCHEDULES + 2)
    first = {seed: simulation.run(seed).digest for seed in seeds}
    again = {seed: simulation.run(seed).digest for seed in reversed(seeds)}
    assert first == again
    assert len(set(first.values())) == len(first)


def test_a_seed_draws_the_same_faults_in_every_process() -> None:
    program = (
        "from deploy.faultworld import schedule;"
        "s = schedule.draw(7);"
        "print(sorted(s.kinds), s.polls, s.stream('x').random(), hash('x'))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": str(number)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.rsplit(maxsplit=1)
        for number in (1, 2)
    ]
    assert told[0][0] == told[1][0]
    assert told[0][1] != told[1][1]  # the processes did differ


def test_every_kind_of_fault_happens_within_some_schedules(simulation: Simulation) -> None:
    everything = frozenset(Kind)
    totals = Totals()
    for seed in range(SOME):
        outcome = simulation.run(seed, everything)
        assert not outcome.faults, story(outcome)
        totals.take(outcome)
    told = set(totals.injected)
    # A small outbox is a state of the world, no event; it shows in what outboxes report as lost.
    assert set(map(str, Kind)) - told == {str(Kind.OUTBOX_SMALL)}
    assert totals.reported_lost > 0


def test_every_kind_of_fault_is_drawn_by_chance_or_in_its_own_time() -> None:
    assert ODDS.keys().isdisjoint(EVERY_S)
    assert {*ODDS, *EVERY_S, Kind.OUTBOX_SMALL} == set(Kind)
