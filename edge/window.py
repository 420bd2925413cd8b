"""Which envelopes are under way, when to send one again, and when to give one up. Pure.

An envelope is under way from its sending until the store's receipt; PUBACK does not count. When a
time-out passes without one it is sent again. Silence of the store is an outage, not the envelope's
fault: then the time-out doubles and nothing is given up. Only sends that a living store left
unreceipted count towards `most_sends` (design 4.2: set aside after 10).

While a long backlog drains, the newest have a share of the window to themselves: the backlog goes
oldest first up to a floor, what was kept after it goes beside it. Each such split leaves the store
one range that is missing until the backlog has passed, so there are few of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_SENDS: Final = 10  # design 4.2
SIZE: Final = 64
SETTLING_S: Final = 5.0  # receipts of a kept session come first, and tell of no living store
LIVE: Final = 16  # of them for the newest, while a backlog drains
SPLIT_DEPTH: Final = 256  # four windows; a shorter backlog goes in order, which costs ingest less
MOST_SPLIT_RANGES: Final = 50  # a receipt names 100; beyond them it could not cover the newest
ENDLESS: Final = (1 << 63) - 1
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


@dataclass(frozen=True, slots=True)
class Ask:
    """Which envelopes may be sent next: the first `most` beyond `after`, none beyond `upto`."""

    after: int
    upto: int
    most: int
    backlog: bool = False


class Window:
    """The envelopes under way to one destination; instants are of a monotonic clock, in seconds."""

    def __init__(
        self,
        size: int = SIZE,
        timeout_s: float = TIMEOUT_S,
        most_sends: int = MOST_SENDS,
        live: int = LIVE,
        settling_s: float = SETTLING_S,
    ) -> None:
        self._size = size
        self._live = live
        self._settling_s = settling_s
        self._connected_at = float("-inf")
        self._timeout_s = timeout_s
        self._most_sends = most_sends
        self._flights: dict[int, _Flight] = {}
        self._unreceipted: dict[int, int] = {}
        self._heard_at = float("-inf")
        self._floor = 0
        self._live_cursor = 0
        self.cursor = 0
        self.generation = 0  # of choices: one made before a restart means nothing after it

    @property
    def free(self) -> int:
        """Return how many more envelopes may be sent."""
        return max(0, self._size - len(self._flights))

    @property
    def under_way(self) -> int:
        """Return how many envelopes wait for their receipt."""
        return len(self._flights)

    @property
    def newest(self) -> int:
        """Return the sequence beyond which nothing was sent on this connection."""
        return max(self.cursor, self._live_cursor, self._floor)

    @property
    def split(self) -> bool:
        """Tell whether the newest go beside a backlog."""
        return self._floor > 0

    def divide(self, behind: int, last: int, ranges: int) -> None:
        """Give the newest a share where `behind` envelopes wait to be sent for the first time.

        `last` is the newest sequence; `ranges` is how many the store is missing.
        """
        if behind > SPLIT_DEPTH and ranges < MOST_SPLIT_RANGES and last > self.newest:
            self._floor = self._live_cursor = last

    def unite(self) -> None:
        """Go on in order: nothing of the backlog is left to be sent."""
        self.cursor = self.newest
        self._floor = self._live_cursor = 0

    def asks(self) -> tuple[Ask, ...]:
        """Return what may be sent for the first time, the newest before the backlog."""
        if not self.split:
            return (Ask(self.cursor, ENDLESS, self.free),) if self.free else ()
        live = sum(sequence > self._floor for sequence in self._flights)
        shares = (
            Ask(self._live_cursor, ENDLESS, self._live - live),
            Ask(
                self.cursor,
                self._floor,
                self._size - self._live - (len(self._flights) - live),
                backlog=True,
            ),
        )
        return tuple(share for share in shares if share.most > 0)

    def is_under_way(self, sequence: int) -> bool:
        """Tell whether an envelope was sent and waits for its receipt."""
        return sequence in self._flights

    def skip(self, sequence: int) -> None:
        """Go on beyond an envelope of the backlog that is under way already."""
        self.cursor = max(self.cursor, sequence)

    def sent(self, sequence: int, now: float) -> None:
        """Note a send, the first or another."""
        flight = self._flights.get(sequence)
        silent = flight is not None and self._heard_at <= flight.sent_at
        timeout_s = self._timeout_s
        if flight is not None and silent:
            timeout_s = min(2 * flight.timeout_s, MOST_TIMEOUT_S)
        self._flights[sequence] = _Flight(now, now + timeout_s, timeout_s)
        if self.split and sequence > self._floor:
            self._live_cursor = max(self._live_cursor, sequence)
        else:
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

    def heard(self, now: float) -> bool:
        """Note that the store spoke; after a silence everything under way has a fresh time-out.

        Tells whether that counts: just after a connection it may be an old word from the broker.
        """
        if now - self._connected_at < self._settling_s:
            return False
        if now - self._heard_at > self._timeout_s:
            for flight in self._flights.values():
                flight.deadline = min(flight.deadline, now + self._timeout_s)
        self._heard_at = now
        return True

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

    def connected(self, now: float) -> None:
        """Begin again on a new connection."""
        self._connected_at = now
        self.restart()

    def begin(self) -> None:
        """Begin again with other numbers: nothing of the old ones means anything."""
        self._unreceipted.clear()
        self.restart()

    def restart(self) -> None:
        """Begin again at the oldest: a new connection, another store, or new numbers.

        What a living store left unreceipted stays remembered.
        """
        self._flights.clear()
        self.cursor = self._floor = self._live_cursor = 0
        self.generation += 1

    def wait_s(self, now: float) -> float | None:
        """Return the seconds until the next time-out, None where nothing is under way."""
        if not self._flights:
            return None
        return max(0.0, min(flight.deadline for flight in self._flights.values()) - now)
