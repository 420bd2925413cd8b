"""Sign-in throttling: a bounded table of failures by address or name. Pure, time is an argument.

Each API process has its own tables: with several, so many times as many guesses are possible.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

MOST_FAILURES: Final = 10
WINDOW_S: Final = 60.0
# Of one name, from wherever: slow enough for any password that is taken, and a person whose name
# somebody else keeps busy waits a quarter of an hour at most.
NAME_FAILURES: Final = 20
NAME_WINDOW_S: Final = 900.0
MOST_ADDRESSES: Final = 10_000  # or names; the one heard of longest ago makes room


@dataclass(slots=True)
class _Failures:
    count: int
    since_s: float


@dataclass(slots=True)
class Throttle:
    """At most so many failed sign-ins per address, or per name, in so many seconds."""

    most_failures: int = MOST_FAILURES
    window_s: float = WINDOW_S
    _table: OrderedDict[str, _Failures] = field(default_factory=OrderedDict)

    def wait_s(self, address: str, now_s: float) -> float:
        """Return for how many seconds this address must wait; 0 when it may try."""
        failures = self._table.get(address)
        if failures is None or failures.count < self.most_failures:
            return 0.0
        return max(0.0, failures.since_s + self.window_s - now_s)

    def failed(self, address: str, now_s: float) -> None:
        """Count one failure of this address."""
        failures = self._table.pop(address, None)
        if failures is None or now_s - failures.since_s >= self.window_s:
            failures = _Failures(0, now_s)
        failures.count += 1
        self._table[address] = failures
        while len(self._table) > MOST_ADDRESSES:
            self._table.popitem(last=False)
