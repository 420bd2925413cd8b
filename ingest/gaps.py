"""Holes in what an agent sent: told once when they open, once when they close, counted always.

The holes themselves are in the store (agent_epoch, design 4.2); here is only what changed with a
commit. Pure but for the log.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.progress import below, count, minus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.progress import Progress, Spans
    from store.agents import Epoch

log = logging.getLogger(__name__)

MOST_LINES: Final = 20  # of log between two reports: the counters and `GET /agents` tell all
MOST_SHOWN: Final = 3  # spans of a line


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit did to the holes of an outbox."""

    opened: Spans = ()
    closed: Spans = ()
    lost: Spans = ()
    left: int = 0  # sequences still missing

    def __bool__(self) -> bool:
        return bool(self.opened or self.closed or self.lost)


def change(before: Progress, after: Progress) -> Change:
    """Return how the holes of an outbox differ after a commit."""
    lost = minus(after.lost, before.lost)
    # What is beyond `committed` now was given up to the bound on holes and is asked for again.
    gone = below(minus(before.missing, after.missing), after.committed + 1)
    opened = minus(after.missing, before.missing)
    return Change(opened, minus(gone, lost), lost, count(after.missing))


class Gaps:
    """Counts holes and tells of them; `report` begins a new span of the log's bound."""

    def __init__(self) -> None:
        self.opened = 0  # sequences, as the others
        self.closed = 0
        self.lost = 0
        self._lines = 0
        self._untold = 0

    def take(self, changes: Mapping[Epoch, Change]) -> None:
        """Count and tell what commits changed; call it after the commit."""
        for epoch, each in changes.items():
            self.opened += count(each.opened)
            self.closed += count(each.closed)
            self.lost += count(each.lost)
            who = f"{epoch.site}/{epoch.agent} (epoch {epoch.epoch or 'none'})"
            if each.opened:
                self._tell("%s left out sequences %s and is asked for them", who, each.opened)
            if each.lost:
                self._tell("%s no longer has sequences %s: they are lost", who, each.lost)
            if each.closed and not each.left:
                self._tell("%s has sent all that was missing, last %s", who, each.closed)

    def report(self) -> str:
        """Return the counters in words and let the log be written to again."""
        untold, self._lines, self._untold = self._untold, 0, 0
        more = f" untold={untold}" if untold else ""
        return f"missed={self.opened} closed={self.closed} lost={self.lost}{more}"

    def _tell(self, sentence: str, who: str, spans: Spans) -> None:
        if self._lines >= MOST_LINES:
            self._untold += 1
            return
        self._lines += 1
        log.warning(sentence, who, shown(spans))


def shown(spans: Spans) -> str:
    """Return spans for people, the first few of them."""
    told = [str(a) if a == b else f"{a}-{b}" for a, b in spans[:MOST_SHOWN]]
    rest = spans[MOST_SHOWN:]
    return ", ".join(told) + (f" and {count(rest)} more" if rest else "")
