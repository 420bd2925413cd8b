"""Holes in what an agent sent: each counted once when it opens and once when it closes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from core import progress
from core.progress import Progress
from ingest import gaps
from ingest.gaps import Change, Gaps
from store.agents import Epoch

if TYPE_CHECKING:
    import pytest

    from core.progress import Spans

EPOCH = Epoch("gh-al", "gw-01", "e1")


@given(st.lists(st.tuples(st.sets(st.integers(1, 60), min_size=1), st.integers(1, 60)), max_size=9))
def test_what_opened_and_neither_closed_nor_was_lost_is_what_is_missing(
    commits: list[tuple[set[int], int]],
) -> None:
    state, own = Progress(), Gaps()
    missing: set[int] = set()
    for sequences, oldest in commits:
        after = state.add(sequences, oldest)
        change = gaps.change(state, after)
        own.take({EPOCH: change})
        assert not each_of(change.opened) & missing, "told once"
        missing |= each_of(change.opened)
        assert each_of(change.closed) == missing & sequences
        missing -= each_of(change.closed) | each_of(change.lost)
        state = after
        assert missing == each_of(state.missing)
        assert change.left == len(missing)
    assert own.opened >= own.closed + len(missing)


def each_of(spans: Spans) -> set[int]:
    return {number for first, last in spans for number in range(first, last + 1)}


def test_a_hole_that_opens_and_closes_is_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    own, states = Gaps(), [Progress()]
    for sequence in (1, 5, 6, 3, 2, 4):
        states.append(states[-1].add([sequence], 1))
        own.take({EPOCH: gaps.change(states[-2], states[-1])})
    assert [record.getMessage() for record in caplog.records] == [
        "gh-al/gw-01 (epoch e1) left out sequences 2-4 and is asked for them",
        "gh-al/gw-01 (epoch e1) has sent all that was missing, last 4",
    ]
    assert (own.opened, own.closed, own.lost) == (3, 3, 0)


def test_what_the_outbox_no_longer_holds_is_told_as_lost(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    own = Gaps()
    before = Progress().add([1, 5], 1)
    own.take({EPOCH: gaps.change(before, before.add([8], 4))})
    assert [record.getMessage() for record in caplog.records] == [
        "gh-al/gw-01 (epoch e1) left out sequences 6-7 and is asked for them",
        "gh-al/gw-01 (epoch e1) no longer has sequences 2-3: they are lost",
    ]
    assert (own.opened, own.closed, own.lost) == (2, 0, 2)


def test_the_log_is_bounded_and_says_how_much_it_leaves_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    own = Gaps()
    for _ in range(gaps.MOST_LINES + 7):
        own.take({EPOCH: Change(opened=((1, 1),), left=1)})
    assert len(caplog.records) == gaps.MOST_LINES
    assert own.report() == f"missed={gaps.MOST_LINES + 7} closed=0 lost=0 untold=7"
    own.take({EPOCH: Change(opened=((1, 1),), left=1)})
    assert len(caplog.records) == gaps.MOST_LINES + 1


def test_spans_for_people_are_few() -> None:
    assert gaps.shown(((1, 1), (3, 5), (7, 9), (11, 20), (22, 22))) == "1, 3-5, 7-9 and 11 more"


def test_holes_beyond_the_bound_are_asked_for_again_and_not_told_as_closed() -> None:
    most = progress.MOST_HOLES
    full = Progress().add(range(2, 2 * most + 2, 2), 1)
    assert len(full.missing) == most
    split = full.add([2 * most + 10], 1)  # one hole more than is kept
    assert split.committed < 2 * most + 10
    assert gaps.change(full, split).closed == ()
