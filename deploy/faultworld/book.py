"""The book: what outboxes accepted, in which envelope, kept outside of every program."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core import wire
from core.errors import Misconfigured
from core.quality import Quality
from core.wire_pb2 import Envelope
from edge import outboxstate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from core.reading import Reading

Key = tuple[str, int]  # point, measured_us
Life = tuple[str, str]  # agent, epoch


@dataclass(slots=True)
class Book:
    """`accepted` by life and sequence; `known` is every reading that may be stored at all."""

    accepted: dict[Life, dict[int, frozenset[Key]]] = field(default_factory=dict)
    known: dict[Key, Reading] = field(default_factory=dict)
    spoiled: dict[Life, int] = field(default_factory=dict)

    def offered(self, readings: Sequence[Reading]) -> None:
        """Note readings that are about to be kept or sent: from now on they may be stored."""
        self.known.update(((each.point, each.measured_us), each) for each in readings)

    def kept(self, life: Life, sequence: int, readings: Sequence[Reading]) -> None:
        """Note an envelope that the outbox says it has on disk."""
        keys = frozenset((each.point, each.measured_us) for each in readings)
        self.accepted.setdefault(life, {})[sequence] = keys

    def read(self, life: Life, path: Path) -> None:
        """Note what the file holds: numbers may be new, and a write may have outlived its kill."""
        _, held = held_by(path)
        self.accepted.setdefault(life, {}).update(held)

    def spoil(self, life: Life, path: Path) -> None:
        """Note that a life's file is about to be spoiled: what it alone holds is lost."""
        first, held = held_by(path)
        self.accepted.setdefault(life, {}).update(held)
        self.spoiled[life] = first

    def all_accepted(self) -> int:
        """Return how many readings were accepted by any outbox."""
        return len({k for life in self.accepted.values() for keys in life.values() for k in keys})


def held_by(path: Path) -> tuple[int, dict[int, frozenset[Key]]]:
    """Return the lowest sequence that a file holds (the next where none), and all it holds."""
    stands, _ = outboxstate.inspect(path)
    held = {
        sequence: frozenset(
            (point, at_us) for point, at_us, _, _ in wire.rows(Envelope.FromString(body))
        )
        for sequence, body in outboxstate.bodies(path)
    }
    return stands.first_sequence, held


def keys_in(path: Path) -> set[Key]:
    """Return the readings that a file holds; none where it is spoiled or not made yet."""
    try:
        _, held = held_by(path)
    except (sqlite3.DatabaseError, Misconfigured):
        return set()
    return {key for keys in held.values() for key in keys}


def as_stored(reading: Reading, *, counter: bool) -> float:
    """Return a reading's value as the store keeps it: a bad count says nothing."""
    if reading.value is None or (counter and reading.quality is Quality.BAD):
        return float("nan")
    return float(reading.value)
