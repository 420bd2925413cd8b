"""How far an outbox is durable: sequences committed, missing and lost (design 4.2).

Pure interval algebra. Promise: a sequence is called durable only after it was committed, or after
its outbox said that it no longer holds it; the order of arrival does not matter to what is durable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from core import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

Spans: TypeAlias = tuple[tuple[int, int], ...]  # ascending, disjoint, both ends inclusive

MOST_HOLES: Final = 1_000  # what is kept of an epoch; what lies beyond is asked for again
MOST_LOST: Final = 1_000  # the newest ones are kept


@dataclass(frozen=True, slots=True)
class Progress:
    """Every sequence up to `committed` is durable but for `missing`; `lost` never came."""

    committed: int = 0
    missing: Spans = ()
    lost: Spans = ()
    oldest: int = 1

    def add(self, sequences: Iterable[int], oldest: int) -> Progress:
        """Return the progress after these sequences were committed with that word on `oldest`.

        `oldest` is the lowest sequence the outbox still holds: what is missing below is lost. It
        is believed up to the highest sequence only, which the outbox has just sent.
        """
        came = merged((each, each) for each in sequences)
        if not came:
            return self
        highest = max(self.committed, came[-1][1])
        opened = ((self.committed + 1, highest),) if highest > self.committed else ()
        missing = minus(merged((*self.missing, *opened)), came)
        lost = minus(self.lost, came)
        oldest = max(self.oldest, min(oldest, highest))
        gone = below(missing, oldest)
        lost = merged((*lost, *gone))[-MOST_LOST:]
        missing = minus(missing, gone)
        if len(missing) > MOST_HOLES:
            highest = missing[MOST_HOLES][0] - 1
            missing = missing[:MOST_HOLES]
        return Progress(highest, missing, lost, oldest)

    def receipt(self, store: str, epoch: str) -> wire.Receipt:
        """Return the receipt; with too many holes its `committed` stops before the next one."""
        missing, committed = self.missing, self.committed
        if len(missing) > wire.MOST_MISSING_RANGES:
            committed = missing[wire.MOST_MISSING_RANGES][0] - 1
            missing = missing[: wire.MOST_MISSING_RANGES]
        return wire.Receipt(store, epoch, committed, missing)


def merged(spans: Iterable[tuple[int, int]]) -> Spans:
    """Return the union of spans as ascending spans that neither touch nor overlap."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return tuple(result)


def minus(spans: Spans, taken: Spans) -> Spans:
    """Return what of `spans` is not in `taken`; both ascend."""
    result: list[tuple[int, int]] = []
    position = 0
    for first, last in spans:
        begin = first
        while position < len(taken) and taken[position][1] < begin:
            position += 1
        place = position
        while place < len(taken) and taken[place][0] <= last:
            if taken[place][0] > begin:
                result.append((begin, taken[place][0] - 1))
            begin = max(begin, taken[place][1] + 1)
            place += 1
        if begin <= last:
            result.append((begin, last))
    return tuple(result)


def below(spans: Spans, bound: int) -> Spans:
    """Return the part of `spans` under `bound`."""
    return tuple((first, min(last, bound - 1)) for first, last in spans if first < bound)


def count(spans: Spans) -> int:
    """Return how many sequences the spans hold."""
    return sum(last - first + 1 for first, last in spans)
