"""How an outbox stands, read from its file; also by others while its agent is using it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.errors import Misconfigured
from edge import outboxfile
from edge.outboxdb import Database
from edge.outlet import Outlet, Shelf
from edge.progress import compact, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from core.progress import Spans

RATE_ENVELOPES: Final = 600  # the newest ones, some ten minutes where one is kept a second
RATE_MINUTES: Final = 10
_COUNTED: Final = (
    "lost_envelopes",
    "lost_readings",
    "set_aside",
    "corrupt_files",
    "damaged",
    "unplaceable",
)


@dataclass(frozen=True, slots=True)
class Ahead:
    """How one destination stands: `depth` counts envelopes that its present store lacks."""

    destination: str
    depth: int
    oldest_us: int | None
    store: str
    committed: int
    missing: Spans
    set_aside: int
    lost_envelopes: int


@dataclass(frozen=True, slots=True)
class State:
    """How an outbox stands; `depth` and `oldest_us` are of the destination that lacks most."""

    epoch: str
    depth: int
    oldest_us: int | None
    held: int
    first_sequence: int
    last_sequence: int
    withheld: int
    in_memory: bool
    payload_bytes: int
    file_bytes: int
    rows_per_envelope: float | None
    lost_envelopes: int
    lost_readings: int
    set_aside: int
    corrupt_files: int
    damaged: int
    unplaceable: int
    destinations: tuple[Ahead, ...]

    def of(self, destination: str) -> Ahead:
        """Return how one destination stands."""
        return next(each for each in self.destinations if each.destination == destination)


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast readings are kept, and how fast a destination has been receiving them, a second.

    None where too little is known to tell.
    """

    kept: float | None
    received: float | None


def whole(value: object) -> int:
    """Return a number that a meta row holds."""
    assert isinstance(value, int)  # noqa: S101 - only numbers are kept under these names
    return value


def read_shelf(database: Database, shelf: Shelf) -> None:
    """Read what the outbox holds into a shelf."""
    execute = database.execute
    shelf.epoch = str(database.meta("epoch", ""))
    row = execute("SELECT seq FROM sqlite_sequence WHERE name = 'envelope'").fetchone()
    shelf.last = 0 if row is None else int(row[0])
    (lowest,) = execute("SELECT min(sequence) FROM envelope").fetchone()
    shelf.first = shelf.last + 1 if lowest is None else int(lowest)
    found = json.loads(str(database.meta("holes", "[]")))
    shelf.holes = tuple((first, last) for first, last in found)
    shelf.withheld = compact(
        sequence for (sequence,) in execute("SELECT sequence FROM withheld ORDER BY sequence")
    )


def read(database: Database, shelf: Shelf, payload_bytes: int, outlets: Sequence[Outlet]) -> State:
    """Return how an outbox stands, from what its agent knows and a few rows of the file."""
    counted = {name: whole(database.meta(name)) for name in _COUNTED}
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = database.execute("PRAGMA page_size").fetchone()
    ahead = tuple(_ahead(database, outlet) for outlet in outlets)
    furthest = max(ahead, key=lambda each: each.depth)
    held = shelf.last - shelf.first + 1 - size(shelf.holes)
    return State(
        epoch=shelf.epoch,
        depth=furthest.depth,
        oldest_us=furthest.oldest_us,
        held=held,
        first_sequence=shelf.first,
        last_sequence=shelf.last,
        withheld=size(shelf.withheld),
        in_memory=database.in_memory,
        payload_bytes=payload_bytes,
        file_bytes=pages * page_bytes,
        rows_per_envelope=_rows_per_envelope(database, shelf),
        destinations=ahead,
        **counted,
    )


def _rows_per_envelope(database: Database, shelf: Shelf) -> float | None:
    """Return how many readings an envelope has, by the newest ones."""
    (mean,) = database.execute(
        "SELECT avg(rows) FROM envelope WHERE sequence > ?", (shelf.last - 100,)
    ).fetchone()
    return None if mean is None else float(mean)


def _ahead(database: Database, outlet: Outlet) -> Ahead:
    return Ahead(
        destination=outlet.name,
        depth=outlet.depth(),
        oldest_us=outlet.oldest_us(),
        store=outlet.progress.store,
        committed=outlet.progress.committed,
        missing=outlet.progress.missing,
        set_aside=whole(database.meta(f"set_aside:{outlet.name}")),
        lost_envelopes=whole(database.meta(f"lost:{outlet.name}")),
    )


def inspect(path: Path, destinations: Sequence[str] = ("main",)) -> tuple[State, dict[str, Rates]]:
    """Return how an outbox stands, and its rates, while its agent may be using it."""
    database = Database(path, 0, read_only=True)
    try:
        database.execute("BEGIN")  # one moment of the file for all that follows
        version = outboxfile.version(database.connection)
        if version != outboxfile.SCHEMA_VERSION:
            raise Misconfigured(
                f"outbox {path}: has version {version}, this command knows"
                f" {outboxfile.SCHEMA_VERSION}: start the agent of this version once"
            )
        shelf = Shelf()
        read_shelf(database, shelf)
        outlets = [Outlet(name, database, shelf, _never) for name in destinations]
        kept = _kept_rate(database, shelf)
        rates = {name: Rates(kept, _received_rate(database, name)) for name in destinations}
        return read(database, shelf, whole(database.meta("bytes")), outlets), rates
    finally:
        database.close()


def bodies(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (sequence, columns) of every envelope that an outbox holds, for tools and tests."""
    database = Database(path, 0, read_only=True)
    try:
        for sequence, kept in database.execute("SELECT sequence, body FROM envelope"):
            body = outboxfile.unpacked(kept)
            if body is not None:
                yield sequence, body
    finally:
        database.close()


def _kept_rate(database: Database, shelf: Shelf) -> float | None:
    """Return the readings a second over the newest envelopes."""
    rows = database.execute(
        "SELECT kept_us, rows FROM envelope WHERE sequence > ? ORDER BY sequence",
        (shelf.last - RATE_ENVELOPES,),
    ).fetchall()
    span_us: int = rows[-1][0] - rows[0][0] if rows else 0
    readings: int = sum(row[1] for row in rows[1:])
    return readings * 1e6 / span_us if span_us > 0 else None


def _received_rate(database: Database, destination: str) -> float | None:
    """Return the readings a second over the last minutes in which receipts came."""
    rows = database.execute(
        "SELECT minute, readings FROM passage WHERE destination = ? ORDER BY minute DESC LIMIT ?",
        (destination, RATE_MINUTES + 1),
    ).fetchall()
    whole_minutes = rows[1:]  # the newest may still be filling
    if not whole_minutes:
        return None
    span: int = whole_minutes[0][0] - whole_minutes[-1][0] + 1
    received: int = sum(readings for _, readings in whole_minutes)
    return received / (60.0 * span)


def _never() -> None:
    raise AssertionError("a reader hears no receipts")
