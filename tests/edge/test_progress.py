"""What is known of a store's holdings, receipt by receipt."""

from __future__ import annotations

from core.wire import Receipt
from edge.progress import ENDLESS, Progress, advance


def receipt(committed: int, *missing: tuple[int, int], store: str = "s1") -> Receipt:
    return Receipt(store, "e", committed, missing)


def test_what_waits_is_what_is_missing_and_all_beyond_committed() -> None:
    progress = Progress("s1", 10, ((3, 4), (7, 7)))
    assert progress.waiting() == [(3, 4), (7, 7), (11, ENDLESS)]
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
