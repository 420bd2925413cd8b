"""What is known of a store's holdings, receipt by receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from core.progress import merged
from core.wire import Receipt
from edge.progress import ENDLESS, Progress, advance, clipped, compact, received_by_all, size

if TYPE_CHECKING:
    from core.progress import Spans


def receipt(committed: int, *missing: tuple[int, int], store: str = "s1") -> Receipt:
    return Receipt(store, "e", committed, missing)


def test_what_waits_is_what_is_missing_and_all_beyond_committed() -> None:
    progress = Progress("s1", 10, ((3, 4), (7, 7)))
    assert progress.waiting() == ((3, 4), (7, 7), (11, ENDLESS))
    assert [n for n in range(1, 13) if not progress.covers(n)] == [3, 4, 7, 11, 12]


def test_a_receipt_moves_progress_forward_only() -> None:
    known = advance(None, receipt(5, (2, 3)))
    assert known == Progress("s1", 5, ((2, 3),))
    assert advance(known, receipt(4)) is None
    assert advance(known, receipt(5, (2, 3))) is None
    assert advance(known, receipt(5, (1, 3))) is None
    assert advance(known, receipt(5, (2, 2))) == Progress("s1", 5, ((2, 2),))
    assert advance(known, receipt(6, (2, 3))) == Progress("s1", 6, ((2, 3),))


def test_another_store_starts_from_what_it_says() -> None:
    known = Progress("s1", 500)
    assert advance(known, receipt(0, store="s2")) == Progress("s2", 0)


spans = st.sets(st.integers(1, 40)).map(lambda found: compact(sorted(found)))


def members(spans: Spans, upto: int = 60) -> set[int]:
    return {n for n in range(1, upto + 1) if any(first <= n <= last for first, last in spans)}


@given(st.lists(st.tuples(st.integers(0, 40), spans), min_size=1, max_size=3))
def test_what_all_have_received_is_what_nobody_lacks(told: list[tuple[int, Spans]]) -> None:
    everyone = [Progress("s", top, clipped(missing, 1, top)) for top, missing in told]
    received = received_by_all(everyone, 1, 50)
    assert members(received) == {
        n for n in range(1, 51) if all(each.covers(n) for each in everyone)
    }
    assert size(received) == len(members(received))


@given(spans, st.integers(1, 45), st.integers(1, 45))
def test_clipping_keeps_what_lies_inside(whole: Spans, first: int, last: int) -> None:
    assert members(clipped(whole, first, last)) == members(whole) & set(range(first, last + 1))


@given(st.sets(st.integers(1, 60)))
def test_single_sequences_become_the_fewest_spans(found: set[int]) -> None:
    made = compact(sorted(found))
    assert members(made) == found
    assert made == merged((each, each) for each in found)
