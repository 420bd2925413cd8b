"""Whether a receiver is asked at all: the circuit of one channel, a transition table, pure.

Promise: a receiver that fails again and again is asked once in a while only, ever more rarely, and
one receipt is enough to be asked as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from core import sending

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_BACK_OFF_S: Final = 1.0
MOST_BACK_OFF_S: Final = 300.0
CIRCUIT_AFTER: Final = 5  # failures in a row, of any notifications


class State(StrEnum):
    """How a receiver is asked."""

    CLOSED = "closed"  # whenever something is due
    OPEN = "open"  # not now
    TRYING = "trying"  # once, to see whether it is back


class Event(StrEnum):
    """What moves a circuit."""

    DELIVERED = "delivered"
    FAILED = "failed"  # not yet so often that it counts as out
    EXHAUSTED = "exhausted"  # failed so often in a row
    WAITED = "waited"  # the back-off is over


# Every change of state is in this table. Answers that come while it is open are those of attempts
# that began before.
TABLE: Final[Mapping[tuple[State, Event], State]] = {
    (State.CLOSED, Event.DELIVERED): State.CLOSED,
    (State.CLOSED, Event.FAILED): State.CLOSED,
    (State.CLOSED, Event.EXHAUSTED): State.OPEN,
    (State.OPEN, Event.WAITED): State.TRYING,
    (State.OPEN, Event.DELIVERED): State.CLOSED,
    (State.OPEN, Event.EXHAUSTED): State.OPEN,
    (State.TRYING, Event.DELIVERED): State.CLOSED,
    (State.TRYING, Event.EXHAUSTED): State.OPEN,
}


@dataclass(frozen=True, slots=True)
class Circuit:
    """How a channel has fared: `failures` in a row since `failing_since`."""

    state: State = State.CLOSED
    failures: int = 0
    failing_since: datetime | None = None
    open_until: datetime | None = None
    tried_at: datetime | None = None
    delivered_at: datetime | None = None
    detail: str = ""


def back_off_s(failures: int) -> float:
    """Return how long to wait after so many failures in a row [s]: 1, 2, 4, ... 300."""
    return sending.back_off_s(failures, LEAST_BACK_OFF_S, MOST_BACK_OFF_S)


def state(circuit: Circuit, now: datetime) -> State:
    """Return how the receiver is asked at an instant."""
    if circuit.open_until is not None and now >= circuit.open_until:
        return TABLE[circuit.state, Event.WAITED]
    return circuit.state


def settle(circuit: Circuit, at: datetime, detail: str, *, delivered: bool) -> Circuit:
    """Return the circuit after an attempt that ended then."""
    if delivered:
        closed = TABLE[circuit.state, Event.DELIVERED]
        return Circuit(closed, tried_at=at, delivered_at=at, detail=detail)
    failures = circuit.failures + 1
    often = failures >= CIRCUIT_AFTER
    following = TABLE[circuit.state, Event.EXHAUSTED if often else Event.FAILED]
    is_open = following is State.OPEN
    return Circuit(
        following,
        failures,
        circuit.failing_since or at,
        at + timedelta(seconds=back_off_s(failures)) if is_open else None,
        at,
        circuit.delivered_at,
        detail,
    )


def diagram() -> str:
    """Return the table as a Mermaid state diagram, as docs/alerts.md shows it."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.CLOSED}"]
    lines += [f"    {a} --> {b}: {event}" for (a, event), b in TABLE.items()]
    return "\n".join(lines)
