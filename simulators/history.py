"""The past of a simulated plant, sent as an agent that was long cut off would send it.

The journal holds spans of time, not bytes: the process is a function of time, so any envelope can
be made again from its sequence. A span once given to sequences never changes; a start later adds
the span since its meters were last alive, so that the past has no hole where nobody simulated it,
and says nothing of a time that a live agent speaks for.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from simulators.process import Process

STEP_US: Final = 5 * 60 * 1_000_000
ENVELOPE_US: Final = 6 * 3600 * 1_000_000
MOST_SPANS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Past:
    """A span of the past and the sequence of its first envelope."""

    first: int
    from_us: int
    until_us: int

    @property
    def envelopes(self) -> int:
        """Return how many envelopes the span takes."""
        return -(-(self.until_us - self.from_us) // ENVELOPE_US)


@dataclass(frozen=True, slots=True)
class Journal:
    """What was promised under which sequences, and how far which store has it."""

    digest: str
    epoch: str
    pasts: tuple[Past, ...] = ()
    store: str | None = None
    committed: int = 0
    live_until_us: int = 0

    @property
    def first(self) -> int:
        """Return the lowest sequence that can be made again."""
        return self.pasts[0].first if self.pasts else 1

    @property
    def next(self) -> int:
        """Return the sequence after the last."""
        if not self.pasts:
            return 1
        return self.pasts[-1].first + self.pasts[-1].envelopes


def extended(journal: Journal, now_us: int, length_us: int) -> Journal:
    """Return the journal with the span up to now added, and spans beyond `length_us` dropped."""
    begin = now_us - length_us
    kept = tuple(past for past in journal.pasts if past.until_us > begin)[-MOST_SPANS:]
    from_us = max(begin, journal.live_until_us, kept[-1].until_us if kept else begin)
    from_us = -(-from_us // STEP_US) * STEP_US
    if now_us <= from_us:
        return replace(journal, pasts=kept)
    return replace(journal, pasts=(*kept, Past(journal.next, from_us, now_us)))


def readings(process: Process, points: Sequence[str], from_us: int, until_us: int) -> list[Reading]:
    """Return what the points showed every STEP_US in [from, until)."""
    first = -(-from_us // STEP_US) * STEP_US
    return [
        Reading(point, at_us, process.value(point, at_us))
        for at_us in range(first, until_us, STEP_US)
        for point in points
    ]


def envelopes(
    journal: Journal, process: Process, points: Sequence[str], first: int
) -> Iterator[list[Reading]]:
    """Yield the readings of each envelope from sequence `first` on."""
    for past in journal.pasts:
        for number in range(past.envelopes):
            if past.first + number >= first:
                begin = past.from_us + number * ENVELOPE_US
                end = min(begin + ENVELOPE_US, past.until_us)
                yield readings(process, points, begin, end)


def load(path: Path, digest: str) -> Journal:
    """Read the journal; a new one where there is none, it is damaged, or the plant differs."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        journal = Journal(
            digest=str(data["digest"]),
            epoch=str(data["epoch"]),
            pasts=tuple(Past(*(int(part) for part in past)) for past in data["pasts"]),
            store=data["store"],
            committed=int(data["committed"]),
            live_until_us=int(data["live_until_us"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Journal(digest, secrets.token_hex(8))
    return journal if journal.digest == digest else Journal(digest, secrets.token_hex(8))


def save(path: Path, journal: Journal) -> None:
    """Write the journal, whole or not at all."""
    data = {
        "digest": journal.digest,
        "epoch": journal.epoch,
        "pasts": [[past.first, past.from_us, past.until_us] for past in journal.pasts],
        "store": journal.store,
        "committed": journal.committed,
        "live_until_us": journal.live_until_us,
    }
    beside = path.with_suffix(".new")
    with beside.open("w", encoding="utf-8") as stream:
        json.dump(data, stream)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)
