"""What came of many schedules of deliveries, summed up, and the story of one that broke."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deploy.deliveryworld.check import Outcome

MOST_BROKEN: Final = 5  # told one by one
MOST_LINES: Final = 40  # of one story, the last ones
SUMS: Final = (
    "cases",
    "decided",
    "delivered",
    "bundles",
    "bundled",
    "escalated",
    "only_escalated",
    "repeated",
    "attempts",
    "lost",
    "doubled",
    "disordered",
)


@dataclass(slots=True)
class Totals:
    """The sum of outcomes; `stories` tells of schedules in which something did not hold."""

    schedules: int = 0
    broken: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    stories: list[str] = field(default_factory=list)

    def take(self, outcome: Outcome) -> None:
        """Add one schedule."""
        self.schedules += 1
        self.sums.update({name: getattr(outcome, name) for name in SUMS})
        self.injected.update(outcome.injected)
        if outcome.faults:
            self.broken += 1
            if len(self.stories) < MOST_BROKEN:
                self.stories.append(story(outcome))

    def add(self, other: Totals) -> None:
        """Add what another process counted."""
        self.schedules += other.schedules
        self.broken += other.broken
        self.sums.update(other.sums)
        self.injected.update(other.injected)
        self.stories = [*self.stories, *other.stories][:MOST_BROKEN]


def story(outcome: Outcome) -> str:
    """Return what a person needs to play a broken schedule again: seed, what broke, the trace."""
    lines = [f"seed {outcome.seed}", *(f"  broken: {each}" for each in outcome.faults)]
    hidden = len(outcome.trace) - MOST_LINES
    if hidden > 0:
        lines.append(f"  ... {hidden} lines before")
    lines.extend(f"  {line}" for line in outcome.trace[-MOST_LINES:])
    lines.append(f"  again: danhao bench delivery --schedules 1 --seed {outcome.seed}")
    return "\n".join(lines)
