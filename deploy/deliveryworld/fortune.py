"""What befalls the delivery of alerts: a seed's troubles with receivers, programs and the database.

What befalls programs and the database are the kinds of `deploy.faultworld`; the troubles here are
those of receivers and of the way to them. Promise: the same seed draws the same in every process.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final

from deploy.faultworld.schedule import Kind, Schedule


class Trouble(StrEnum):
    """Everything that a receiver, or the way to it, does to a notification."""

    REQUEST_LOST = "request_lost"
    REQUEST_DOUBLED = "request_doubled"
    REQUEST_LATE = "request_late"
    ANSWER_SLOW = "answer_slow"
    ANSWER_LOST = "answer_lost"
    ANSWER_500 = "answer_500"
    RECEIPT_WRONG = "receipt_wrong"
    RECEIVER_DOWN = "receiver_down"
    RECEIVER_ILL = "receiver_ill"
    RECEIVER_PICKY = "receiver_picky"
    RECEIVER_DEAD = "receiver_dead"


# How likely each is at one exchange.
ODDS: Final = {
    Trouble.REQUEST_LOST: 0.10,
    Trouble.REQUEST_DOUBLED: 0.15,
    Trouble.REQUEST_LATE: 0.15,
    Trouble.ANSWER_SLOW: 0.15,
    Trouble.ANSWER_LOST: 0.15,
    Trouble.ANSWER_500: 0.15,
    Trouble.RECEIPT_WRONG: 0.15,
}
# How often each comes by itself, once in so many seconds.
EVERY_S: Final = {Trouble.RECEIVER_DOWN: 120.0, Trouble.RECEIVER_ILL: 150.0}
# For the whole schedule: a receiver that refuses what concerns one unit; one that never comes back.
LASTING: Final = (Trouble.RECEIVER_PICKY, Trouble.RECEIVER_DEAD)
# Of the database and the programs: at a statement or commit, and by itself.
IN_WRITE: Final = (
    Kind.INGEST_KILLED_IN_WRITE,
    Kind.INGEST_STALLED_IN_WRITE,
    Kind.STATEMENT_FAILED,
    Kind.STATEMENT_SLOW,
    Kind.COMMIT_FAILED,
    Kind.COMMIT_ANSWER_LOST,
)
PACE_S: Final = {Kind.INGEST_KILLED: 60.0, Kind.INGEST_STALLED: 60.0, Kind.STORE_OUT: 90.0}
_ENABLED: Final = 0.4
_EVERYTHING: Final = 0.1  # of all schedules have every one at once
_STRENGTHS: Final = (0.5, 1.0, 2.0)


@dataclass(slots=True)
class Fortune(Schedule):
    """One seed's bad fortune; `struck` counts the troubles as `counts` does the kinds."""

    troubles: frozenset[Trouble] = frozenset()
    struck: Counter[Trouble] = field(default_factory=Counter)

    def strikes(self, trouble: Trouble, where: str) -> bool:
        """Tell whether this trouble happens here and now; counts it."""
        if trouble not in self.troubles or self.calm:
            return False
        if self.stream(trouble).random() >= ODDS[trouble] * self.strength:
            return False
        self.befell(trouble, where)
        return True

    def befell(self, trouble: Trouble, where: str) -> None:
        """Count a trouble and write it down."""
        self.struck[trouble] += 1
        self.note(f"{trouble} {where}")


@dataclass(slots=True)
class Walk(Fortune):
    """One fault and no other: of one kind, at the n-th place where it could happen."""

    wanted: Kind = Kind.INGEST_KILLED_IN_WRITE
    place: int = 0
    asked: int = 0

    def hit(self, kind: Kind, where: str = "") -> bool:
        """Tell whether this is the place; counts places of the wanted kind."""
        if kind is not self.wanted or self.calm:
            return False
        self.asked += 1
        if self.asked != self.place:
            return False
        self.happened(kind, where)
        return True


def draw(seed: int, *, nothing: bool = False) -> Fortune:
    """Return the fortune of a seed; with `nothing`, one in which nothing goes wrong."""
    draws = Random(f"{seed}/delivery")  # noqa: S311 - a replayable draw
    everything = draws.random() < _EVERYTHING
    kinds = {kind for kind in (*IN_WRITE, *PACE_S) if draws.random() < _ENABLED or everything}
    troubles = {each for each in Trouble if draws.random() < _ENABLED or everything}
    strength = draws.choice(_STRENGTHS)
    if nothing:
        kinds, troubles = set(), set()
    return Fortune(seed, frozenset(kinds), strength, 0, troubles=frozenset(troubles))


def walk(seed: int, kind: Kind, place: int) -> Walk:
    """Return the fortune in which one thing goes wrong, at the n-th place of its kind."""
    return Walk(seed, frozenset({kind}), 1.0, 0, wanted=kind, place=place)
