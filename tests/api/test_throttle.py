"""Promises of sign-in throttling."""

from __future__ import annotations

from api import throttle
from api.throttle import MOST_ADDRESSES, MOST_FAILURES, WINDOW_S, Throttle


def test_an_address_may_fail_a_few_times_and_then_waits_out_the_window() -> None:
    table = Throttle()
    for number in range(MOST_FAILURES):
        assert table.wait_s("a", number) == 0
        table.failed("a", number)
    assert table.wait_s("a", 10) == WINDOW_S - 10
    assert table.wait_s("b", 10) == 0
    assert table.wait_s("a", WINDOW_S) == 0


def test_old_failures_are_forgotten() -> None:
    table = Throttle()
    for number in range(100):
        table.failed("a", number * WINDOW_S)
    assert table.wait_s("a", 100 * WINDOW_S) == 0


def test_the_table_is_bounded() -> None:
    table = Throttle()
    for number in range(MOST_ADDRESSES + 500):
        table.failed(str(number), 0)
    assert len(table._table) == MOST_ADDRESSES
    assert throttle.MOST_ADDRESSES == 10_000
