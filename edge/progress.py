"""What a destination has received, as spans of sequences. Pure.

A span is (first, last), both included; the last of what is still to send has no end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from core.wire import Receipt

ENDLESS: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Progress:
    """What one store says it holds of this outbox: all up to `committed` but for `missing`."""

    store: str
    committed: int = 0
    missing: tuple[tuple[int, int], ...] = ()

    def waiting(self) -> list[tuple[int, int]]:
        """Return the spans that this store does not hold, ascending; the last is endless."""
        return [*self.missing, (self.committed + 1, ENDLESS)]

    def covers(self, sequence: int) -> bool:
        """Tell whether this store holds the envelope of that sequence."""
        return sequence <= self.committed and not any(
            first <= sequence <= last for first, last in self.missing
        )


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
    if told.committed == known.committed and _size(told) >= _size(known):
        return None
    return told


def _size(progress: Progress) -> int:
    return sum(last - first + 1 for first, last in progress.missing)
