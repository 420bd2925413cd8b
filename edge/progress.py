"""What a destination has received, as spans of sequences. Pure.

A span is (first, last), both included; the last of what is still to send has no end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.progress import Spans, merged, minus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.wire import Receipt

ENDLESS: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Progress:
    """What one store says it holds of this outbox: all up to `committed` but for `missing`."""

    store: str
    committed: int = 0
    missing: Spans = ()

    def waiting(self) -> Spans:
        """Return the spans that this store does not hold, ascending; the last is endless."""
        return (*self.missing, (self.committed + 1, ENDLESS))

    def covers(self, sequence: int) -> bool:
        """Tell whether this store holds the envelope of that sequence."""
        return sequence <= self.committed and not holds(self.missing, sequence)


def advance(known: Progress | None, receipt: Receipt) -> Progress | None:
    """Return what is known after a receipt, None where it is no news.

    A store never takes back what it holds without a new id, so a receipt of the same store that
    tells of less is a late or retained copy of an earlier one (design 4.2).
    """
    told = Progress(receipt.store, receipt.committed, receipt.missing)
    if known is None or known.store != told.store:
        return told
    if told.committed < known.committed:
        return None
    if told.committed == known.committed and size(told.missing) >= size(known.missing):
        return None
    return told


def received_by_all(everyone: Iterable[Progress], first: int, last: int) -> Spans:
    """Return the part of first..last that no destination lacks."""
    lacking = merged(span for each in everyone for span in each.waiting())
    return minus(((first, last),), lacking) if first <= last else ()


def clipped(spans: Spans, first: int, last: int) -> Spans:
    """Return the part of `spans` within first..last."""
    return tuple(
        (max(low, first), min(high, last)) for low, high in spans if low <= last and high >= first
    )


def holds(spans: Spans, sequence: int) -> bool:
    """Tell whether a sequence lies in one of the spans."""
    return any(first <= sequence <= last for first, last in spans)


def size(spans: Spans) -> int:
    """Return how many sequences the spans hold."""
    return sum(last - first + 1 for first, last in spans)


def compact(ascending: Iterable[int]) -> Spans:
    """Return ascending sequences as spans, without holding them all."""
    spans: list[tuple[int, int]] = []
    for each in ascending:
        if spans and each == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], each)
        else:
            spans.append((each, each))
    return tuple(spans)
