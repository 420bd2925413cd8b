"""Sign-in throttling: a bounded table of failures per client address. Pure, time is an argument."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

MOST_FAILURES: Final = 10
WINDOW_S: Final = 60.0
MOST_ADDRESSES: Final = 10_000  # the address heard of longest ago makes room


@dataclass(slots=True)
class _Failures:
    count: int
    since_s: float


@dataclass(slots=True)
class Throttle:
    """At most MOST_FAILURES failed sign-ins per address in WINDOW_S seconds."""

    _table: OrderedDict[str, _Failures] = field(default_factory=OrderedDict)

    def wait_s(self, address: str, now_s: float) -> float:
        """Return for how many seconds this address must wait; 0 when it may try."""
        failures = self._table.get(address)
        if failures is None or failures.count < MOST_FAILURES:
            return 0.0
        return max(0.0, failures.since_s + WINDOW_S - now_s)

    def failed(self, address: str, now_s: float) -> None:
        """Count one failure of this address."""
        failures = self._table.pop(address, None)
        if failures is None or now_s - failures.since_s >= WINDOW_S:
            failures = _Failures(0, now_s)
        failures.count += 1
        self._table[address] = failures
        while len(self._table) > MOST_ADDRESSES:
            self._table.popitem(last=False)
