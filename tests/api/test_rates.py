"""Promises of the rate: a burst passes, a loop is slowed to the rate, nobody pays for another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from api.rates import BURST_S, MOST_CALLERS, Rates


def passed(rates: Rates, caller: str, at_s: float, asked: int) -> int:
    return sum(rates.wait_s(caller, at_s) == 0 for _ in range(asked))


def test_a_burst_passes_and_then_the_rate() -> None:
    rates = Rates(per_s=5)
    assert passed(rates, "a", 0, 1000) == 5 * BURST_S
    assert passed(rates, "a", 2, 1000) == 10
    assert passed(rates, "b", 2, 10) == 10


def test_who_waits_as_long_as_told_passes() -> None:
    rates = Rates(per_s=5)
    passed(rates, "a", 0, 1000)
    wait_s = rates.wait_s("a", 0)
    assert 0 < wait_s <= 0.2
    assert rates.wait_s("a", wait_s + 1e-9) == 0


@given(st.lists(st.floats(0, 3), max_size=200))
def test_in_any_time_no_more_pass_than_the_burst_and_the_rate(steps: list[float]) -> None:
    rates, now, count = Rates(per_s=2), 0.0, 0
    for step in steps:
        now += step
        count += passed(rates, "a", now, 3)
    assert count <= 2 * BURST_S + 2 * now + 1


def test_the_table_of_callers_is_bounded() -> None:
    rates = Rates()
    for number in range(MOST_CALLERS + 10):
        rates.wait_s(str(number), 0)
    assert len(rates._table) == MOST_CALLERS
