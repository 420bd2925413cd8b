"""Under any schedule of faults every alert is told: once, in order, or to the second channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from deploy.benches import delivery as bench
from deploy.deliveryworld import fortune
from deploy.deliveryworld.fortune import EVERY_S, LASTING, ODDS, Trouble
from deploy.deliveryworld.receivers import Receiver, answered
from deploy.deliveryworld.report import Totals, story
from deploy.faultworld.clock import VirtualLoop

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.deliveryworld.world import Simulation
    from deploy.faultworld.schedule import Kind

FIRST = 20261128
SCHEDULES = 4
STRIDE = 97  # of the places of a walk; the bench takes each


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SCHEDULES))
def test_what_was_decided_is_told_once_in_order_or_escalated(
    deliveries: Simulation, seed: int
) -> None:
    outcome = deliveries.run(fortune.draw(seed))
    assert not outcome.faults, story(outcome)
    assert outcome.decided > 0
    assert outcome.delivered >= outcome.decided - outcome.only_escalated
    assert (outcome.lost, outcome.doubled, outcome.disordered) == (0, 0, 0)


def test_without_any_fault_each_is_told_at_the_first_attempt(deliveries: Simulation) -> None:
    outcome = deliveries.run(fortune.draw(FIRST, nothing=True))
    assert outcome.faults == []
    assert not outcome.injected
    assert outcome.delivered == outcome.decided > 0
    assert outcome.attempts == outcome.decided - outcome.bundled + outcome.bundles
    # A lock that is waited for is a failed transaction here, so a key may be offered twice.
    assert outcome.escalated == 0


def test_a_seed_takes_the_same_steps_whatever_ran_before_it(deliveries: Simulation) -> None:
    first = deliveries.run(fortune.draw(FIRST + 2)).digest
    other = deliveries.run(fortune.draw(FIRST + 3)).digest
    assert deliveries.run(fortune.draw(FIRST + 2)).digest == first != other


@pytest.mark.parametrize("kind", bench.WALKED)
def test_one_fault_at_any_write_changes_nothing_of_what_is_told(
    deliveries: Simulation, kind: Kind
) -> None:
    totals, place = Totals(), 1
    while True:
        steps = fortune.walk(FIRST, kind, place)
        outcome = deliveries.run(steps)
        assert not outcome.faults, story(outcome)
        totals.take(outcome)
        if steps.asked < place:
            break
        assert outcome.injected == {str(kind): 1}
        assert outcome.delivered == outcome.decided > 0
        place += STRIDE
    assert totals.schedules > 1


def test_every_trouble_is_drawn_by_chance_in_its_own_time_or_lasts() -> None:
    assert {*ODDS, *EVERY_S, *LASTING} == set(Trouble)


def test_a_receiver_of_the_simulation_takes_nothing_that_is_not_signed(tmp_path: Path) -> None:
    drawn = fortune.draw(FIRST, nothing=True)
    loop = VirtualLoop(drawn.stream("threads"))
    try:
        receiver = Receiver("city", tmp_path, drawn, loop)
        request = httpx.Request("POST", receiver.url, content=b"{}")
        answer = answered(receiver.server, request, b"{}")
        assert answer.status_code == 401
        assert receiver.inbox.items() == []
        receiver.close()
    finally:
        loop.close()
