"""The breaker's table: complete, and a device that answers is well at once."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge import breaker
from edge.breaker import TRANSITIONS, Breaker, Event, State


def test_the_table_says_what_follows_every_event_in_every_state() -> None:
    assert TRANSITIONS.keys() == set(itertools.product(State, Event))
    assert all(TRANSITIONS[state, Event.ANSWERED] is State.WELL for state in State)


def test_one_failure_waits_for_the_next_period_and_two_for_the_back_off() -> None:
    once = Breaker().after(Event.SILENT)
    twice = once.after(Event.SILENT)
    assert (once.state, once.wait_s(10.0)) == (State.SUSPECT, None)
    assert (twice.state, twice.wait_s(1.0)) == (State.OUT, breaker.FIRST_BACKOFF_S)
    assert twice.after(Event.ANSWERED) == Breaker()


@given(st.lists(st.sampled_from(Event), max_size=80), st.floats(0.1, 86_400))
def test_a_wait_grows_to_its_bound_and_is_never_shorter_than_the_period(
    events: list[Event], period_s: float
) -> None:
    now, longest_s = Breaker(), 0.0
    for event in events:
        now = now.after(event)
        wait_s = now.wait_s(period_s)
        if event is Event.ANSWERED:
            assert wait_s is None
            longest_s = 0.0
        if wait_s is not None:
            assert period_s <= wait_s <= max(period_s, breaker.MOST_BACKOFF_S)
            assert wait_s >= longest_s
            longest_s = wait_s
