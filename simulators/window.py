"""What has been sent and awaits the store's receipt: a bounded window, pure, time as an argument.

The receipt of design 4.2 settles an envelope, the broker's PUBACK does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.reading import Reading
    from core.wire import Receipt

MOST_OPEN: Final = 64
PATIENCE_S: Final = 30.0


@dataclass(slots=True)
class Open:
    """An envelope without a receipt; `sent_s` is None while it was never sent."""

    sequence: int
    readings: Sequence[Reading]
    sent_s: float | None = None
    sends: int = 0


class Window:
    """The open envelopes of one epoch, oldest first."""

    def __init__(self, epoch: str, most: int = MOST_OPEN, patience_s: float = PATIENCE_S) -> None:
        self.epoch = epoch
        self.store: str | None = None
        self.settled = 0
        self.settled_readings = 0
        self.resent = 0
        self._most = most
        self._patience_s = patience_s
        self._open: dict[int, Open] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def has_room(self) -> bool:
        """Tell whether another envelope may be opened."""
        return len(self._open) < self._most

    @property
    def oldest(self) -> int | None:
        """Return the lowest open sequence."""
        return min(self._open, default=None)

    def add(self, sequence: int, readings: Sequence[Reading]) -> None:
        """Open an envelope; raises ValueError where the window is full."""
        if not self.has_room:
            raise ValueError(f"the window holds {self._most} envelopes already")
        self._open[sequence] = Open(sequence, readings)

    def due(self, now_s: float) -> list[Open]:
        """Return what was never sent or has waited too long for its receipt."""
        return [
            item
            for item in self._open.values()
            if item.sent_s is None or now_s - item.sent_s >= self._patience_s
        ]

    def sent(self, sequence: int, now_s: float) -> None:
        """Note that an envelope was handed to the broker."""
        item = self._open.get(sequence)
        if item is not None:
            self.resent += item.sends > 0
            item.sends += 1
            item.sent_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Return how long until something falls due [s]."""
        sent = [item.sent_s for item in self._open.values() if item.sent_s is not None]
        if len(sent) < len(self._open):
            return 0.0
        return max(0.0, min(sent, default=now_s) + self._patience_s - now_s)

    def receive(self, receipt: Receipt) -> bool:
        """Settle what a receipt covers; return True where its store is not the one before.

        A stale receipt of another epoch settles nothing. A new store id means: send again all
        there is.
        """
        changed = self.store is not None and receipt.store != self.store
        self.store = receipt.store
        if receipt.epoch != self.epoch:
            return changed
        for sequence in list(self._open):
            if receipt.covers(sequence):
                item = self._open.pop(sequence)
                self.settled += 1
                self.settled_readings += len(item.readings)
        return changed

    def clear(self) -> None:
        """Forget everything but the store: the sender begins again."""
        self._open.clear()
        self.settled = 0
        self.settled_readings = 0
