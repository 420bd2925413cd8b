"""What goes wrong when: a schedule of faults, drawn whole from one seed.

Each schedule enables some kinds of fault and leaves the others out, for a fault that is always
there hides what another one would show. Promise: the same seed gives the same draws in every
process, whatever else draws.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


class Kind(StrEnum):
    """Everything that the simulation does to the programs."""

    MESSAGE_LOST = "message_lost"
    MESSAGE_DOUBLED = "message_doubled"
    MESSAGE_DELAYED = "message_delayed"
    RECEIPT_LOST = "receipt_lost"
    RECEIPT_STALE = "receipt_stale"
    RETAINED_FORGOTTEN = "retained_forgotten"
    SESSION_FORGOTTEN = "session_forgotten"
    CONNECTION_CUT = "connection_cut"
    ANSWER_OF_BROKER_LOST = "answer_of_broker_lost"
    BROKER_RESTARTED = "broker_restarted"
    AGENT_KILLED = "agent_killed"
    AGENT_KILLED_IN_WRITE = "agent_killed_in_write"
    DISK_FULL = "disk_full"
    DISK_ERROR = "disk_error"
    OUTBOX_SMALL = "outbox_small"
    OUTBOX_CORRUPT = "outbox_corrupt"
    BACKFILL = "backfill"
    INGEST_KILLED = "ingest_killed"
    INGEST_KILLED_IN_WRITE = "ingest_killed_in_write"
    INGEST_STALLED = "ingest_stalled"
    INGEST_STALLED_IN_WRITE = "ingest_stalled_in_write"
    STATEMENT_FAILED = "statement_failed"
    STATEMENT_SLOW = "statement_slow"
    COMMIT_FAILED = "commit_failed"
    COMMIT_ANSWER_LOST = "commit_answer_lost"
    STORE_OUT = "store_out"
    STORE_RESTORED = "store_restored"


# How likely each kind is where it is asked about: at a message, a statement, a commit.
ODDS: Final = {
    Kind.MESSAGE_LOST: 0.10,
    Kind.MESSAGE_DOUBLED: 0.15,
    Kind.MESSAGE_DELAYED: 0.25,
    Kind.RECEIPT_LOST: 0.20,
    Kind.ANSWER_OF_BROKER_LOST: 0.05,
    Kind.AGENT_KILLED_IN_WRITE: 0.015,
    Kind.DISK_FULL: 0.05,
    Kind.DISK_ERROR: 0.03,
    Kind.INGEST_KILLED_IN_WRITE: 0.02,
    Kind.INGEST_STALLED_IN_WRITE: 0.015,
    Kind.STATEMENT_FAILED: 0.02,
    Kind.STATEMENT_SLOW: 0.05,
    Kind.COMMIT_FAILED: 0.05,
    Kind.COMMIT_ANSWER_LOST: 0.08,
}

# How often each kind comes by itself, once in so many seconds.
EVERY_S: Final = {
    Kind.RECEIPT_STALE: 20.0,
    Kind.RETAINED_FORGOTTEN: 30.0,
    Kind.SESSION_FORGOTTEN: 30.0,
    Kind.CONNECTION_CUT: 15.0,
    Kind.BROKER_RESTARTED: 40.0,
    Kind.AGENT_KILLED: 25.0,
    Kind.OUTBOX_CORRUPT: 30.0,
    Kind.BACKFILL: 15.0,
    Kind.INGEST_KILLED: 25.0,
    Kind.INGEST_STALLED: 15.0,
    Kind.STORE_OUT: 30.0,
    Kind.STORE_RESTORED: 15.0,
}

_ENABLED: Final = 0.35
_EVERYTHING: Final = 0.1  # of all schedules have every kind at once
_STRENGTHS: Final = (0.5, 1.0, 2.0)


@dataclass(slots=True)
class Schedule:
    """One seed's bad fortune; `counts` says what of it has happened."""

    seed: int
    kinds: frozenset[Kind]
    strength: float
    polls: int
    calm: bool = False
    counts: Counter[Kind] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    _streams: dict[str, Random] = field(default_factory=dict)
    _now: Callable[[], float] = lambda: 0.0

    def stream(self, name: str) -> Random:
        """Return the draws of one name, independent of all others."""
        if name not in self._streams:
            self._streams[name] = Random(f"{self.seed}/{name}")  # noqa: S311 - a replayable draw
        return self._streams[name]

    def hit(self, kind: Kind, where: str = "") -> bool:
        """Tell whether this fault happens here and now; counts it."""
        if kind not in self.kinds or self.calm:
            return False
        if self.stream(kind).random() >= ODDS[kind] * self.strength:
            return False
        self.happened(kind, where)
        return True

    def happened(self, kind: Kind, where: str = "") -> None:
        """Count a fault and write it down."""
        self.counts[kind] += 1
        self.note(f"{kind} {where}")

    def note(self, line: str) -> None:
        """Write down what happens, with the virtual time."""
        self.lines.append(f"{self._now():10.4f} {line}")

    def begin(self, now: Callable[[], float]) -> None:
        """Take the clock of the run."""
        self._now = now

    def digest(self) -> str:
        """Return what identifies everything that was written down."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()


def draw(seed: int, only: frozenset[Kind] | None = None) -> Schedule:
    """Return the schedule of a seed; with `only`, those kinds and no other."""
    draws = Random(f"{seed}/schedule")  # noqa: S311 - a replayable draw
    everything = draws.random() < _EVERYTHING
    kinds = {kind for kind in Kind if draws.random() < _ENABLED or everything}
    strength = draws.choice(_STRENGTHS)
    polls = draws.randrange(12, 30)
    return Schedule(seed, frozenset(kinds) if only is None else only, strength, polls)
