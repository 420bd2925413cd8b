"""Sending again, giving up, and telling a silent store from a refused envelope."""

from __future__ import annotations

from edge.window import MOST_TIMEOUT_S, Due, Window


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
