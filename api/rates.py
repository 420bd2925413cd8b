"""How many requests one caller may make: a bucket of tokens each. Pure, time is an argument.

A page asks a dozen questions when it opens and then hardly any; what asks more than this for long
is a program in a loop, and would take the answers of everybody else.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

PER_S: Final = 50
BURST_S: Final = 10  # so many seconds' requests at once
MOST_CALLERS: Final = 10_000  # the caller heard of longest ago makes room, with a full bucket


@dataclass(slots=True)
class Rates:
    """At most `per_s` requests a second of each caller, BURST_S seconds' worth of them at once."""

    per_s: int = PER_S
    _table: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait_s(self, caller: str, now_s: float) -> float:
        """Count a request; return for how many seconds it comes too early, 0 where it may pass."""
        most = float(self.per_s * BURST_S)
        left, since_s = self._table.pop(caller, (most, now_s))
        left = min(most, left + (now_s - since_s) * self.per_s)
        wait_s = 0.0 if left >= 1 else (1 - left) / self.per_s
        self._table[caller] = (left - 1 if wait_s == 0 else left, now_s)
        while len(self._table) > MOST_CALLERS:
            self._table.popitem(last=False)
        return wait_s
