"""A circuit opens after failures in a row, tries again ever more rarely, and closes at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core import circuits
from core.circuits import CIRCUIT_AFTER, MOST_BACK_OFF_S, TABLE, Circuit, Event, State

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "alerts.md"


def played(outcomes: str, apart_s: float = 1.0) -> Circuit:
    """Return the circuit after attempts: `.` delivered, `x` failed, each so long after the last."""
    circuit = Circuit()
    for number, each in enumerate(outcomes):
        at = NOW + timedelta(seconds=number * apart_s)
        circuit = circuits.settle(circuit, at, each, delivered=each == ".")
    return circuit


def test_a_few_failures_are_no_outage() -> None:
    circuit = played("." + "x" * (CIRCUIT_AFTER - 1))
    assert circuits.state(circuit, NOW) is State.CLOSED
    assert circuit.failing_since == NOW + timedelta(seconds=1)
    assert circuit.delivered_at == NOW


def test_failures_in_a_row_open_it_and_time_lets_one_attempt_through() -> None:
    circuit = played("x" * CIRCUIT_AFTER)
    last = NOW + timedelta(seconds=CIRCUIT_AFTER - 1)
    wait = timedelta(seconds=circuits.back_off_s(CIRCUIT_AFTER))
    assert circuits.state(circuit, last) is State.OPEN
    assert circuits.state(circuit, last + wait - timedelta(microseconds=1)) is State.OPEN
    assert circuits.state(circuit, last + wait) is State.TRYING


def test_one_receipt_closes_it_whenever_it_comes() -> None:
    circuit = played("x" * 30 + ".")
    assert circuits.state(circuit, NOW) is State.CLOSED
    assert (circuit.failures, circuit.failing_since, circuit.open_until) == (0, None, None)


def test_back_off_doubles_from_one_second_to_five_minutes() -> None:
    waits = [circuits.back_off_s(failures) for failures in range(1, 12)]
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == MOST_BACK_OFF_S
    assert circuits.back_off_s(10**9) == MOST_BACK_OFF_S


@given(st.text(".x", max_size=60))
def test_it_is_open_exactly_after_so_many_failures_in_a_row(outcomes: str) -> None:
    circuit = played(outcomes)
    in_a_row = len(outcomes) - len(outcomes.rstrip("x"))
    assert circuit.failures == in_a_row
    assert (circuit.state is State.OPEN) == (in_a_row >= CIRCUIT_AFTER)
    assert (circuit.open_until is not None) == (circuit.state is State.OPEN)
    assert (circuit.failing_since is None) == (in_a_row == 0)


@given(st.integers(1, 40))
def test_it_waits_longer_after_every_failure_up_to_the_bound(more: int) -> None:
    ends = [
        circuit.open_until - circuit.tried_at
        for n in range(more)
        if (circuit := played("x" * (CIRCUIT_AFTER + n))).open_until and circuit.tried_at
    ]
    assert len(ends) == more
    assert all(before <= after for before, after in pairwise(ends))
    assert max(ends) <= timedelta(seconds=MOST_BACK_OFF_S)


def test_every_state_has_an_answer_to_every_attempt_that_can_end_in_it() -> None:
    for state in State:
        assert (state, Event.DELIVERED) in TABLE
        assert (state, Event.EXHAUSTED) in TABLE
    assert (State.CLOSED, Event.FAILED) in TABLE  # fewer failures than open it: only there


def test_the_documents_show_the_table() -> None:
    assert circuits.diagram() in DOCS.read_text("utf-8")
