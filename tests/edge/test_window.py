"""Sending again, giving up, and telling a silent store from a refused envelope."""

from __future__ import annotations

from core.wire import MOST_MISSING_RANGES
from edge.window import (
    ENDLESS,
    MOST_SPLIT_RANGES,
    MOST_TIMEOUT_S,
    SPLIT_DEPTH,
    Ask,
    Due,
    Window,
)


def test_a_window_is_bounded_and_a_receipt_frees_it() -> None:
    window = Window(size=3)
    for sequence in (1, 2, 3):
        window.sent(sequence, 0.0)
    assert (window.free, window.under_way, window.cursor) == (0, 3, 3)
    assert window.settle(lambda sequence: sequence <= 2) == 2
    assert (window.free, window.under_way, window.cursor) == (2, 1, 3)


def test_an_unreceipted_envelope_is_due_after_the_time_out_and_not_before() -> None:
    window = Window(timeout_s=30)
    window.sent(1, 0.0)
    assert window.due(29.9) == Due()
    assert window.wait_s(29.0) == 1.0
    assert window.due(30.0) == Due(again=(1,))


def test_a_silent_store_is_asked_ever_less_often_and_nothing_is_given_up() -> None:
    window = Window(timeout_s=30, most_sends=3)
    now, gaps = 0.0, []
    window.sent(1, now)
    for _ in range(20):
        gap = window.wait_s(now)
        assert gap is not None
        gaps.append(gap)
        now += gap
        assert window.due(now) == Due(again=(1,))
        window.sent(1, now)
    assert gaps[:4] == [30, 60, 120, 240]
    assert gaps[-1] == MOST_TIMEOUT_S


def test_what_a_living_store_leaves_unreceipted_is_set_aside_after_its_sends() -> None:
    window = Window(timeout_s=30, most_sends=10)
    now, sends = 0.0, 0
    while True:
        window.sent(1, now)
        sends += 1
        window.heard(now + 10)
        now += 31
        due = window.due(now)
        if due.aside:
            break
        assert due == Due(again=(1,))
    assert sends == 10
    assert due.aside == (1,)
    assert window.under_way == 0


def test_a_new_connection_forgets_what_is_under_way_but_not_what_was_refused() -> None:
    window = Window(timeout_s=30, most_sends=2)
    window.sent(1, 0.0)
    window.heard(1.0)
    assert window.due(31.0) == Due(again=(1,))
    window.restart()
    assert (window.under_way, window.cursor) == (0, 0)
    window.sent(1, 40.0)
    window.heard(41.0)
    assert window.due(71.0) == Due(aside=(1,))


def test_the_end_of_a_silence_gives_everything_a_fresh_time_out() -> None:
    window = Window(timeout_s=30)
    window.sent(1, 0.0)
    for now in (30.0, 90.0, 210.0):
        assert window.due(now).again == (1,)
        window.sent(1, now)
    window.heard(220.0)
    assert window.wait_s(220.0) == 30.0


def test_a_steady_stream_of_receipts_does_not_put_a_time_out_off() -> None:
    window = Window(timeout_s=30)
    window.heard(0.0)
    window.sent(1, 0.0)
    for second in range(1, 30):
        window.heard(float(second))
    assert window.due(30.0) == Due(again=(1,))


def test_just_after_a_connection_an_old_word_of_the_store_counts_for_nothing() -> None:
    window = Window(timeout_s=30, most_sends=1, settling_s=5)
    window.connected(100.0)
    window.sent(1, 100.0)
    assert not window.heard(101.0)
    assert window.due(131.0) == Due(again=(1,))
    window.sent(1, 131.0)
    assert window.heard(132.0)
    assert window.due(1e9) == Due(aside=(1,))


def test_a_short_backlog_goes_in_order_before_the_newest() -> None:
    window = Window(size=64)
    window.divide(behind=SPLIT_DEPTH, last=1_000, ranges=0)
    assert not window.split
    assert window.asks() == (Ask(0, ENDLESS, 64),)


def test_beside_a_long_backlog_the_newest_have_a_share_and_no_more() -> None:
    window = Window(size=64, live=16)
    window.divide(behind=5_000, last=5_000, ranges=1)
    assert window.asks() == (Ask(5_000, ENDLESS, 16), Ask(0, 5_000, 48, backlog=True))
    for sequence in range(1, 49):
        window.sent(sequence, 0.0)
    assert window.asks() == (Ask(5_000, ENDLESS, 16),)
    for sequence in range(5_001, 5_017):
        window.sent(sequence, 0.0)
    assert window.asks() == ()
    window.settle(lambda sequence: sequence <= 10)
    assert window.asks() == (Ask(48, 5_000, 10, backlog=True),)
    window.settle(lambda sequence: sequence > 5_010)
    assert window.asks() == (Ask(5_016, ENDLESS, 6), Ask(48, 5_000, 10, backlog=True))


def test_when_the_backlog_has_passed_everything_goes_in_order_again() -> None:
    window = Window(size=64, live=16)
    window.divide(behind=300, last=300, ranges=0)
    window.sent(300, 0.0)
    window.sent(301, 0.0)
    window.unite()
    assert (window.split, window.cursor) == (False, 301)
    assert window.asks() == (Ask(301, ENDLESS, 62),)


def test_what_grew_long_beside_a_backlog_joins_it() -> None:
    window = Window(size=64, live=16)
    window.divide(behind=300, last=300, ranges=0)
    window.sent(301, 0.0)
    window.divide(behind=SPLIT_DEPTH + 1, last=900, ranges=1)
    assert window.asks()[0] == Ask(900, ENDLESS, 16)
    window.sent(300, 0.0)
    window.skip(301)
    assert window.asks()[1] == Ask(301, 900, 46, backlog=True)


def test_the_store_is_never_left_more_ranges_than_a_receipt_can_name() -> None:
    window = Window()
    window.divide(behind=10_000, last=10_000, ranges=MOST_SPLIT_RANGES)
    assert not window.split
    assert 2 * MOST_SPLIT_RANGES <= MOST_MISSING_RANGES
