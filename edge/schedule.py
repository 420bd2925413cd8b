"""Whose turn it is on one line, where one device at a time can be asked. Pure.

Devices that answer are asked when due, the longest waiting first. A device that failed is asked
when its longest answer fits before the next one that is well is due; where no such gap ever comes,
it may still use MOST_SHARE of the line's time, together with all the others that failed. So a dead
device costs the living ones on its line at most that share, and other lines nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Final, NamedTuple

from edge.breaker import MOST_BACKOFF_S, Breaker, Event, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.driver import Station

_ANSWERED: Final = Event.ANSWERED  # looking up a member is slow, and this is asked every poll
_WELL: Final = Breaker()
MOST_SHARE: Final = 1 / 20  # of a line's time, for all that failed on it together


@dataclass(slots=True, eq=False)
class Seat:
    """One device on a line: when it is due, how it stands, and whether it answered last time."""

    station: Station
    due_s: float
    breaker: Breaker = _WELL
    is_well: bool = True


class Turn(NamedTuple):
    """Who is asked now; where nobody is, `at_s` says when to look again."""

    seat: Seat | None
    at_s: float


class Schedule:
    """The turns of one line; all instants are of one monotonic clock [s]."""

    def __init__(self, stations: Sequence[Station], now_s: float) -> None:
        self.seats = [Seat(station, now_s) for station in stations]
        self._free_s = now_s
        # The seats that are well, by when they are due and then in their order.
        self._well = [(now_s, number, seat) for number, seat in enumerate(self.seats)]
        self._numbers = {id(seat): number for number, seat in enumerate(self.seats)}

    def turn(self, now_s: float) -> Turn:
        """Return whose turn it is."""
        well_s, _, first = self._well[0] if self._well else (float("inf"), 0, None)
        if well_s <= now_s:
            return Turn(first, now_s)
        at_s = well_s
        patience_s = self._patience_s()
        ill = [seat for seat in self.seats if not seat.is_well and seat.due_s <= now_s]
        for seat in sorted(ill, key=_due_s):
            free_s = max(self._free_s, seat.due_s + patience_s)
            if now_s + seat.station.most_s <= well_s or now_s >= free_s:
                return Turn(seat, now_s)
            at_s = min(at_s, free_s)
        later = (seat.due_s for seat in self.seats if seat.due_s > now_s)
        return Turn(None, min(at_s, min(later, default=float("inf"))))

    def done(self, seat: Seat, event: Event, began_s: float, ended_s: float, next_s: float) -> None:
        """Take what a turn gave; `next_s` is the device's next full period after it."""
        if event is _ANSWERED and seat.is_well:
            seat.due_s = next_s
            heapreplace(self._well, (next_s, self._numbers[id(seat)], seat))
            return
        was_all_out = not self._well
        if seat.is_well:
            heappop(self._well)
        seat.breaker = seat.breaker.after(event)
        seat.is_well = seat.breaker.state is State.WELL
        wait_s = seat.breaker.wait_s(seat.station.period_s)
        seat.due_s = next_s if wait_s is None else ended_s + wait_s
        if seat.is_well:
            heappush(self._well, (seat.due_s, self._numbers[id(seat)], seat))
        if event is Event.SILENT:
            self._free_s = max(self._free_s, ended_s + (ended_s - began_s) * (1 / MOST_SHARE - 1))
        elif was_all_out:
            # The line itself was out: what it carries need not wait for its back-off.
            for other in self.seats:
                if other is not seat:
                    other.due_s = min(other.due_s, ended_s)
            self._free_s = ended_s

    def _patience_s(self) -> float:
        """Return how long a device that failed waits for a gap: one round of the living ones."""
        longest_s = max((seat.station.period_s for seat in self.seats if seat.is_well), default=0.0)
        return min(longest_s, MOST_BACKOFF_S)


def _due_s(seat: Seat) -> float:
    return seat.due_s
