"""Which envelopes are under way, when to send one again, and when to give one up. Pure.

An envelope is under way from its sending until the store's receipt; PUBACK does not count. When a
time-out passes without one it is sent again. Silence of the store is an outage, not the envelope's
fault: then the time-out doubles and nothing is given up. Only sends that a living store left
unreceipted count towards `most_sends` (design 4.2: set aside after 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_SENDS: Final = 10  # design 4.2
SIZE: Final = 64
TIMEOUT_S: Final = 30.0
MOST_TIMEOUT_S: Final = 600.0  # a store that is out for hours finds few repeats in the broker


@dataclass(slots=True)
class _Flight:
    sent_at: float
    deadline: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Due:
    """What a time-out asks for."""

    again: tuple[int, ...] = ()
    aside: tuple[int, ...] = ()


class Window:
    """The envelopes under way to one destination; instants are of a monotonic clock, in seconds."""

    def __init__(
        self, size: int = SIZE, timeout_s: float = TIMEOUT_S, most_sends: int = MOST_SENDS
    ) -> None:
        self._size = size
        self._timeout_s = timeout_s
        self._most_sends = most_sends
        self._flights: dict[int, _Flight] = {}
        self._unreceipted: dict[int, int] = {}
        self._heard_at = float("-inf")
        self.cursor = 0

    @property
    def free(self) -> int:
        """Return how many more envelopes may be sent."""
        return max(0, self._size - len(self._flights))

    @property
    def under_way(self) -> int:
        """Return how many envelopes wait for their receipt."""
        return len(self._flights)

    def sent(self, sequence: int, now: float) -> None:
        """Note a send, the first or another."""
        flight = self._flights.get(sequence)
        silent = flight is not None and self._heard_at <= flight.sent_at
        timeout_s = self._timeout_s
        if flight is not None and silent:
            timeout_s = min(2 * flight.timeout_s, MOST_TIMEOUT_S)
        self._flights[sequence] = _Flight(now, now + timeout_s, timeout_s)
        self.cursor = max(self.cursor, sequence)

    def due(self, now: float) -> Due:
        """Return what to send again and what to give up; given up ones are under way no more."""
        again: list[int] = []
        aside: list[int] = []
        for sequence, flight in list(self._flights.items()):
            if flight.deadline > now:
                continue
            if self._heard_at > flight.sent_at:
                count = self._unreceipted.get(sequence, 0) + 1
                self._unreceipted[sequence] = count
                if count >= self._most_sends:
                    self.forget(sequence)
                    aside.append(sequence)
                    continue
            again.append(sequence)
        return Due(tuple(sorted(again)), tuple(sorted(aside)))

    def heard(self, now: float) -> None:
        """Note that the store spoke; after a silence everything under way has a fresh time-out."""
        if now - self._heard_at > self._timeout_s:
            for flight in self._flights.values():
                flight.deadline = min(flight.deadline, now + self._timeout_s)
        self._heard_at = now

    def settle(self, covers: Callable[[int], bool]) -> int:
        """Drop what a receipt covers; returns how many."""
        done = [sequence for sequence in self._flights if covers(sequence)]
        for sequence in done:
            self.forget(sequence)
        for sequence in [each for each in self._unreceipted if covers(each)]:
            del self._unreceipted[sequence]
        return len(done)

    def forget(self, sequence: int) -> None:
        """Drop an envelope that is no longer to be sent."""
        self._flights.pop(sequence, None)
        self._unreceipted.pop(sequence, None)

    def restart(self) -> None:
        """Begin again at the oldest: a new connection, another store, or new numbers.

        What a living store left unreceipted stays remembered.
        """
        self._flights.clear()
        self.cursor = 0

    def wait_s(self, now: float) -> float | None:
        """Return the seconds until the next time-out, None where nothing is under way."""
        if not self._flights:
            return None
        return max(0.0, min(flight.deadline for flight in self._flights.values()) - now)
