"""Progress of an outbox against a plain set of sequences."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from core import progress, wire
from core.progress import Progress

SPANS = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 6)).map(lambda each: (each[0], sum(each))),
    max_size=8,
)
ENVELOPES = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=40)


def members(spans: progress.Spans) -> set[int]:
    return {each for first, last in spans for each in range(first, last + 1)}


@given(SPANS)
def test_merged_spans_hold_the_same_sequences_and_never_touch(spans: list[tuple[int, int]]) -> None:
    result = progress.merged(spans)
    assert members(result) == members(tuple(spans))
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(result))


@given(SPANS, SPANS, st.integers(0, 50))
def test_minus_and_below_are_those_of_sets(
    one: list[tuple[int, int]], other: list[tuple[int, int]], bound: int
) -> None:
    left, right = progress.merged(one), progress.merged(other)
    assert members(progress.minus(left, right)) == members(left) - members(right)
    assert members(progress.below(left, bound)) == {n for n in members(left) if n < bound}
    assert progress.count(left) == len(members(left))


@given(ENVELOPES)
def test_what_is_durable_lost_or_missing_follows_from_what_came(
    envelopes: list[tuple[int, int]],
) -> None:
    state, came, oldest = Progress(), set[int](), 1
    for sequence, said in envelopes:
        state = state.add([sequence], min(said, sequence))
        came.add(sequence)
        oldest = max(oldest, min(said, sequence))
    highest = max(came, default=0)
    absent = set(range(1, highest + 1)) - came
    assert state.committed == highest
    assert members(state.missing) == {n for n in absent if n >= oldest}
    assert members(state.lost) == {n for n in absent if n < oldest}
    receipt = state.receipt("s", "e")
    assert {n for n in range(1, 50) if receipt.covers(n)} == came | members(state.lost)


@given(st.lists(st.integers(1, 40), max_size=20), st.integers(0, 20))
def test_a_batch_is_the_same_as_one_by_one(sequences: list[int], cut: int) -> None:
    at_once = Progress().add(sequences, 1)
    in_parts = Progress().add(sequences[:cut], 1).add(sequences[cut:], 1)
    assert at_once == in_parts


def test_a_sequence_that_was_given_up_and_comes_after_all_is_no_longer_lost() -> None:
    state = Progress().add([1, 5], 5)
    assert state.lost == ((2, 4),)
    assert state.add([3], 5).lost == ((2, 2), (4, 4))


def test_an_outbox_cannot_make_durable_what_it_never_sent() -> None:
    assert Progress().add([3], 2**62).committed == 3


def test_a_receipt_with_too_many_holes_stops_before_the_next_one() -> None:
    state = Progress().add(range(2, 402, 2), 1)  # 1, 3, 5 ... are missing: 200 holes
    receipt = state.receipt("store", "epoch")
    assert len(receipt.missing) == wire.MOST_MISSING_RANGES
    assert receipt.committed == 200
    assert not receipt.covers(202)
    assert wire.Receipt.from_json(receipt.to_json()) == receipt


def test_what_is_kept_of_an_epoch_is_bounded_and_what_is_forgotten_is_asked_for_again() -> None:
    state = Progress().add(range(2, 10 * progress.MOST_HOLES, 2), 1)
    assert len(state.missing) == progress.MOST_HOLES
    assert state.committed == 2 * progress.MOST_HOLES
    again = state.add(range(1, 10 * progress.MOST_HOLES), 1)
    assert again == Progress(10 * progress.MOST_HOLES - 1)


def test_a_leap_to_the_end_of_all_sequences_is_one_hole() -> None:
    state = Progress().add([wire.MOST_SEQUENCE], 1)
    assert state.missing == ((1, wire.MOST_SEQUENCE - 1),)
