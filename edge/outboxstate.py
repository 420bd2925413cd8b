"""How an outbox stands, read from its file; also by others while its agent is using it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge import outboxfile
from edge.progress import Progress

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_COUNTED: Final = ("lost_envelopes", "lost_readings", "set_aside", "corrupt_files")


@dataclass(frozen=True, slots=True)
class State:
    """How an outbox stands: `depth` counts envelopes that the present store does not hold."""

    epoch: str
    depth: int
    oldest_us: int | None
    held: int
    first_sequence: int
    last_sequence: int
    payload_bytes: int
    file_bytes: int
    store: str
    committed: int
    missing: tuple[tuple[int, int], ...]
    lost_envelopes: int
    lost_readings: int
    set_aside: int
    corrupt_files: int


def progress_of(connection: sqlite3.Connection, store: str) -> Progress | None:
    """Return what the file knows of a store, None where it knows nothing."""
    row = connection.execute(
        "SELECT committed, missing FROM progress WHERE store = ?", (store,)
    ).fetchone()
    if row is None:
        return None
    return Progress(store, row[0], tuple((first, last) for first, last in json.loads(row[1])))


def present_progress(connection: sqlite3.Connection) -> Progress:
    """Return what the file knows of the store that was heard of last."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'store'").fetchone()
    known = None if row is None else progress_of(connection, row[0])
    return known or Progress("")


def read_state(connection: sqlite3.Connection, progress: Progress | None = None) -> State:
    """Return how an outbox stands; `progress` is what its agent knows beyond the file."""
    progress = progress or present_progress(connection)
    execute = connection.execute
    meta = dict(execute("SELECT name, value FROM meta").fetchall())
    held, first, size = execute(
        "SELECT count(*), min(sequence), coalesce(sum(length(body)), 0) FROM envelope"
    ).fetchone()
    row = execute("SELECT seq FROM sqlite_sequence WHERE name = 'envelope'").fetchone()
    last = 0 if row is None else int(row[0])
    depth, oldest_us = 0, None
    for low, high in progress.waiting():
        count, since = execute(
            "SELECT count(*), min(kept_us) FROM envelope"
            " WHERE sequence BETWEEN ? AND ? AND aside = 0",
            (low, high),
        ).fetchone()
        depth += count
        oldest_us = since if oldest_us is None else oldest_us
    (pages,) = execute("PRAGMA page_count").fetchone()
    (page_bytes,) = execute("PRAGMA page_size").fetchone()
    counted = {name: int(meta.get(name, 0)) for name in _COUNTED}
    return State(
        epoch=meta["epoch"],
        depth=depth,
        oldest_us=oldest_us,
        held=held,
        first_sequence=last + 1 if first is None else first,
        last_sequence=last,
        payload_bytes=size,
        file_bytes=pages * page_bytes,
        store=progress.store,
        committed=progress.committed,
        missing=progress.missing,
        **counted,
    )


def inspect(path: Path) -> State:
    """Return how an outbox stands while its agent may be using it."""
    connection = outboxfile.open_to_read(path)
    try:
        return read_state(connection)
    finally:
        connection.close()
