"""The window of envelopes without a receipt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.reading import Reading
from core.wire import Receipt
from simulators.window import Window

ROWS = (Reading("a.b.c", 0, 1),)


def opened(*sequences: int, most: int = 64) -> Window:
    window = Window("e", most=most, patience_s=30)
    for sequence in sequences:
        window.add(sequence, ROWS)
    return window


def due(window: Window, now_s: float) -> list[int]:
    return [item.sequence for item in window.due(now_s)]


def test_an_envelope_is_due_at_once_and_again_when_no_receipt_comes() -> None:
    window = opened(1)
    assert due(window, 0) == [1]
    window.sent(1, 0)
    assert due(window, 29) == []
    assert due(window, 30) == [1]
    window.sent(1, 30)
    assert window.resent == 1


def test_only_the_stores_receipt_settles() -> None:
    window = opened(1, 2, 3)
    for sequence in (1, 2, 3):
        window.sent(sequence, 0)
    assert len(window) == 3
    window.receive(Receipt("s", "e", 3, ((2, 2),)))
    assert due(window, 30) == [2]
    assert (window.settled, window.settled_readings, window.oldest) == (2, 2, 2)


def test_a_receipt_of_another_epoch_settles_nothing() -> None:
    window = opened(1)
    window.receive(Receipt("s", "old", 99))
    assert len(window) == 1


def test_a_new_store_is_told_apart_from_the_first_one_heard_of() -> None:
    window = opened(1)
    assert not window.receive(Receipt("s", "e", 0))
    assert not window.receive(Receipt("s", "e", 0))
    assert window.receive(Receipt("t", "e", 0))


def test_the_window_is_bounded() -> None:
    window = opened(1, 2, most=2)
    assert not window.has_room
    with pytest.raises(ValueError, match="2 envelopes"):
        window.add(3, ROWS)


@given(st.sets(st.integers(1, 50)), st.integers(0, 50), st.sets(st.integers(1, 50)))
def test_what_is_settled_is_exactly_what_the_receipt_covers(
    sequences: set[int], committed: int, holes: set[int]
) -> None:
    window = opened(*sorted(sequences))
    missing = tuple((hole, hole) for hole in sorted(holes) if hole <= committed)
    window.receive(Receipt("s", "e", committed, missing))
    left = {s for s in sequences if s > committed or s in holes}
    assert set(due(window, 0)) == left
    assert window.settled == len(sequences) - len(left)
