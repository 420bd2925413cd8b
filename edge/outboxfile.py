"""The outbox's SQLite file: making, locking, opening it, and setting a broken one aside.

Policy: write-ahead log with synchronous=FULL, so a committed envelope survives a power cut; the
file is its owner's only; `max_page_count` bounds it even where the accounting above it were wrong.
A broken file is never repaired: it is renamed to `*.corrupt-<n>` with its log and a new one made.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from core.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION: Final = 1
MOST_CORRUPT_FILES: Final = 3  # older ones are removed: evidence must not fill the disk
MOST_LOG_BYTES: Final = 4 << 20
SLACK_PAGES: Final = 256  # the schema, free lists, and what accounting by payload does not see
_BUSY_MS: Final = 5_000
_CACHE_KIB: Final = 2_048
_BROKEN: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SCHEMA: Final = """
BEGIN IMMEDIATE;
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE envelope (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,  -- a number is never given twice
    kept_us INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    aside INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL
);
CREATE TABLE progress (
    store TEXT PRIMARY KEY,
    committed INTEGER NOT NULL,
    missing TEXT NOT NULL,
    at_us INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES ('epoch', :epoch);
PRAGMA user_version = :version;
COMMIT;
"""


def is_broken(error: sqlite3.Error) -> bool:
    """Tell whether an error means that the file itself is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _BROKEN


def new_epoch() -> str:
    """Return a random id for one outbox's life."""
    return secrets.token_hex(8)


class FileLock:
    """One process per outbox: two would number envelopes against each other."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._descriptor = -1

    def take(self) -> None:
        """Take the lock; raises Misconfigured where another process holds it."""
        try:
            self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Misconfigured(
                f"outbox {self._path.parent}: cannot write there ({error.strerror}):"
                " make the folder and give it to the agent's user"
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            raise Misconfigured(
                f"outbox {self._path.with_suffix('')}: another agent uses it: stop that one,"
                " or give this one a path of its own"
            ) from error

    def release(self) -> None:
        """Let the lock go; the file stays, as removing it would race with the next owner."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def open_file(path: Path, most_bytes: int) -> tuple[sqlite3.Connection, Path | None]:
    """Open or make the outbox's file; returns the connection and where a broken file went, if any.

    Raises Misconfigured where the place cannot be written or the file is of a later version.
    """
    aside = None
    try:
        return _open(path, most_bytes), None
    except sqlite3.Error as error:
        if not is_broken(error):
            raise Misconfigured(f"outbox {path}: cannot be opened: {error}") from error
        aside = set_aside(path)
    return _open(path, most_bytes), aside


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open an outbox that its agent may be using; raises Misconfigured where there is none."""
    if not path.is_file():
        raise Misconfigured(f"outbox {path}: there is none yet: has the agent run?")
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)


def set_aside(path: Path) -> Path:
    """Rename a broken file and its log; returns the new name."""
    taken = [int(old.name.rpartition("-")[2]) for old in corrupt_files(path)]
    target = path.with_name(f"{path.name}.corrupt-{max(taken, default=0) + 1}")
    path.replace(target)
    # A log left behind would be replayed into the new file.
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        path.with_name(path.name + "-wal").replace(target.with_name(target.name + "-wal"))
    for old in corrupt_files(path)[:-MOST_CORRUPT_FILES]:
        old.unlink(missing_ok=True)
        old.with_name(old.name + "-wal").unlink(missing_ok=True)
    return target


def corrupt_files(path: Path) -> list[Path]:
    """Return the broken files kept beside an outbox, oldest first."""
    found = path.parent.glob(f"{path.name}.corrupt-*")
    numbered = [each for each in found if each.name.rpartition("-")[2].isdecimal()]
    return sorted(numbered, key=lambda each: int(each.name.rpartition("-")[2]))


def _open(path: Path, most_bytes: int) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path, most_bytes)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, most_bytes: int) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {MOST_LOG_BYTES}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    pages = most_bytes + most_bytes // 4  # rows fill their pages to four fifths at the least
    connection.execute(f"PRAGMA max_page_count = {pages // page_bytes + SLACK_PAGES}")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        schema = _SCHEMA.replace(":epoch", f"'{new_epoch()}'")
        connection.executescript(schema.replace(":version", str(SCHEMA_VERSION)))
    elif version != SCHEMA_VERSION:
        raise Misconfigured(
            f"outbox {path}: has version {version}, this agent knows {SCHEMA_VERSION}:"
            " take a later agent, or another path"
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
