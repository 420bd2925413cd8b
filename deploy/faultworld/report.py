"""What many schedules came to: counts that add up over processes, and words for a person."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deploy.faultworld.check import Outcome

MOST_BROKEN: Final = 20  # schedules whose story is kept
MOST_LINES: Final = 40  # of one story, the last ones


@dataclass(slots=True)
class Totals:
    """The sum of outcomes; `stories` tells of schedules in which something did not hold."""

    schedules: int = 0
    broken: int = 0
    accepted: int = 0
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    reported_lost: int = 0
    beyond_restore: int = 0
    receipts: int = 0
    energy_difference_e6: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    stories: list[str] = field(default_factory=list)

    def take(self, outcome: Outcome) -> None:
        """Add one schedule."""
        self.schedules += 1
        self.accepted += outcome.accepted
        self.stored += outcome.stored
        self.lost += outcome.lost
        self.doubled += outcome.doubled
        self.reported_lost += outcome.reported_lost
        self.beyond_restore += outcome.beyond_restore
        self.receipts += outcome.receipts
        self.energy_difference_e6 += outcome.energy_difference_e6
        self.injected.update({str(kind): count for kind, count in outcome.injected.items()})
        if outcome.faults:
            self.broken += 1
            if len(self.stories) < MOST_BROKEN:
                self.stories.append(story(outcome))

    def add(self, other: Totals) -> None:
        """Add what another process counted."""
        self.schedules += other.schedules
        self.broken += other.broken
        self.accepted += other.accepted
        self.stored += other.stored
        self.lost += other.lost
        self.doubled += other.doubled
        self.reported_lost += other.reported_lost
        self.beyond_restore += other.beyond_restore
        self.receipts += other.receipts
        self.energy_difference_e6 += other.energy_difference_e6
        self.injected.update(other.injected)
        self.stories = [*self.stories, *other.stories][:MOST_BROKEN]


def story(outcome: Outcome) -> str:
    """Return what a person needs to play a broken schedule again: seed, what broke, the trace."""
    kinds = ", ".join(sorted(outcome.kinds))
    lines = [f"seed {outcome.seed} ({kinds})", *(f"  broken: {each}" for each in outcome.faults)]
    hidden = len(outcome.trace) - MOST_LINES
    if hidden > 0:
        lines.append(f"  ... {hidden} lines before")
    lines.extend(f"  {line}" for line in outcome.trace[-MOST_LINES:])
    lines.append(f"  again: danhao bench faults --schedules 1 --seed {outcome.seed}")
    return "\n".join(lines)
