"""When a device that does not answer is asked again: a transition table and a back-off. Pure.

A device that failed once is asked again in its next period, but only where that costs the others
on its line nothing or little (`edge/schedule.py`); one that failed twice is out, and is tried ever
less often until it answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FIRST_BACKOFF_S: Final = 5.0
MOST_BACKOFF_S: Final = 60.0  # a device that comes back is seen within a minute, or its period
_MOST_DOUBLINGS: Final = 16


class State(StrEnum):
    """How a device stands."""

    WELL = "well"
    SUSPECT = "suspect"
    OUT = "out"


class Event(StrEnum):
    """What one poll of it gave: something, or nothing at all."""

    ANSWERED = "answered"
    SILENT = "silent"


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.WELL, Event.ANSWERED): State.WELL,
    (State.WELL, Event.SILENT): State.SUSPECT,
    (State.SUSPECT, Event.ANSWERED): State.WELL,
    (State.SUSPECT, Event.SILENT): State.OUT,
    (State.OUT, Event.ANSWERED): State.WELL,
    (State.OUT, Event.SILENT): State.OUT,
}


@dataclass(frozen=True, slots=True)
class Breaker:
    """One device's state, and how many polls in a row gave nothing."""

    state: State = State.WELL
    failures: int = 0

    def after(self, event: Event) -> Breaker:
        """Return the breaker after one more poll."""
        failures = 0 if event is Event.ANSWERED else self.failures + 1
        return Breaker(TRANSITIONS[self.state, event], failures)

    def wait_s(self, period_s: float) -> float | None:
        """Return how long to leave the device alone; None: until its next period."""
        if self.state is not State.OUT:
            return None
        doublings = min(self.failures - 2, _MOST_DOUBLINGS)
        return max(period_s, min(FIRST_BACKOFF_S * 2.0**doublings, MOST_BACKOFF_S))
