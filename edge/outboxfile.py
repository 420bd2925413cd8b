"""The outbox's SQLite file: making, locking, opening it, and setting a broken one aside.

Policy: write-ahead log with synchronous=FULL, so a committed envelope survives a power cut; the
file is its owner's only; `max_page_count` bounds it even where the accounting above it were wrong.
A broken file is never repaired: it is renamed to `*.corrupt-<n>` with its log and a new one made.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import sqlite3
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from core.errors import Misconfigured, Retryable

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION: Final = 2
MOST_CORRUPT_FILES: Final = 3  # older ones are removed: evidence must not fill the disk
MOST_LOG_BYTES: Final = 4 << 20
MOST_CHECKED_BYTES: Final = 64 << 20  # a whole check reads the file: too slow for a card beyond it
RESERVE_BYTES: Final = 8 << 20  # what the log and the pages that it still holds back can need
SLACK_PAGES: Final = 256  # the schema, free lists, and what accounting by payload does not see
ROW_BYTES: Final = 64  # what SQLite keeps beside a body
_WORN: Final = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_WORN_ERRNO: Final = {errno.EROFS, errno.EIO, errno.ENOSPC, errno.EUCLEAN, errno.ENODEV}
_BUSY_MS: Final = 5_000
_CACHE_KIB: Final = 2_048
_BROKEN: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PACKED: Final = b"\x78"  # zlib's first byte; that of a bare body is a tag of the wire contract
_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE envelope (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,  -- a number is never given twice
    kept_us INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    body BLOB NOT NULL
);
INSERT INTO meta VALUES ('epoch', :epoch);
"""
_SCHEMA_2: Final = """
CREATE TABLE progress (  -- what a store behind a destination says that it holds
    destination TEXT NOT NULL,
    store TEXT NOT NULL,
    committed INTEGER NOT NULL,
    missing TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (destination, store)
) WITHOUT ROWID;
CREATE TABLE aside (  -- what a living store never took
    destination TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (destination, sequence)
) WITHOUT ROWID;
CREATE TABLE withheld (  -- not sent before the clock is right; no boot: it never will be
    sequence INTEGER PRIMARY KEY,
    boot TEXT NOT NULL,
    up_us INTEGER NOT NULL
);
CREATE TABLE passage (  -- what was receipted, minute by minute
    destination TEXT NOT NULL,
    minute INTEGER NOT NULL,
    envelopes INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    PRIMARY KEY (destination, minute)
) WITHOUT ROWID;
"""
_FROM_1: Final = """
ALTER TABLE progress RENAME TO progress_1;
"""
_MOVED_FROM_1: Final = """
INSERT INTO progress SELECT 'main', store, committed, missing, at_us FROM progress_1;
INSERT INTO aside SELECT 'main', sequence FROM envelope WHERE aside = 1;
DROP TABLE progress_1;
UPDATE meta SET name = 'store:main' WHERE name = 'store';
"""
_COUNT_BYTES: Final = (
    "INSERT INTO meta SELECT 'bytes', coalesce(sum(length(body) + :row_bytes), 0) FROM envelope;"
)


class WornError(Retryable):
    """The disk takes no writes: read-only, full from the start, or failing."""


def is_worn(error: sqlite3.Error) -> bool:
    """Tell whether an error means that the disk, not the file, is at fault."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _WORN


def is_broken(error: sqlite3.Error) -> bool:
    """Tell whether an error means that the file itself is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _BROKEN


def new_epoch() -> str:
    """Return a random id for one outbox's life."""
    return secrets.token_hex(8)


def packed(body: bytes) -> bytes:
    """Return a body as it is kept: compressed, with a checksum, where that makes it smaller."""
    small = zlib.compress(body, 1)
    return small if len(small) < len(body) else body


def unpacked(kept: bytes) -> bytes | None:
    """Return a kept body as it was, None where its checksum tells that it is damaged."""
    if not kept.startswith(_PACKED):
        return kept
    try:
        return zlib.decompress(kept)
    except zlib.error:
        return None


def version(connection: sqlite3.Connection) -> int:
    """Return the version of a file's tables, 0 where it has none."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


class FileLock:
    """One process per outbox: two would number envelopes against each other."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._descriptor = -1

    def take(self) -> None:
        """Take the lock; raises Misconfigured where another process holds it."""
        self._descriptor = _create(self._path)
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


class Reserve:
    """A file of nothing, kept so that a disk that others have filled still has room for us."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".reserve")

    def take(self) -> bool:
        """Take the space where it is not taken yet; tell whether it is."""
        try:
            if self._path.exists() and self._path.stat().st_size == RESERVE_BYTES:
                return True
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            finally:
                os.close(descriptor)
        except OSError:
            self.give()
            return False
        return True

    def give(self) -> None:
        """Give the space back to the disk."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def open_file(path: Path, most_bytes: int) -> tuple[sqlite3.Connection, Path | None]:
    """Open or make the outbox's file; returns the connection and where a broken file went, if any.

    Raises Misconfigured where a person must give it another place or the file is of a later
    version, WornError where the disk is at fault.
    """
    aside = None
    try:
        return _open(path, most_bytes), None
    except sqlite3.Error as error:
        if is_worn(error) or error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise WornError(f"outbox {path}: {error}") from error
        if not is_broken(error):
            raise Misconfigured(f"outbox {path}: cannot be opened: {error}") from error
        aside = set_aside(path)
    return _open(path, most_bytes), aside


def open_in_memory(most_bytes: int) -> sqlite3.Connection:
    """Make an outbox that lives as long as this process, for a machine whose disk is gone."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _prepare(connection, ":memory:", most_bytes)
    return connection


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
    _sync_folder(path)
    return target


def corrupt_files(path: Path) -> list[Path]:
    """Return the broken files kept beside an outbox, oldest first."""
    found = path.parent.glob(f"{path.name}.corrupt-*")
    numbered = [each for each in found if each.name.rpartition("-")[2].isdecimal()]
    return sorted(numbered, key=lambda each: int(each.name.rpartition("-")[2]))


def _open(path: Path, most_bytes: int) -> sqlite3.Connection:
    os.close(_create(path))
    _sync_folder(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, str(path), most_bytes)
        _check(connection, path.stat().st_size)
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> int:
    """Open a file of ours, made where there is none; returns its descriptor."""
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in _WORN_ERRNO:
            raise WornError(f"outbox {path}: {error.strerror}") from error
        raise Misconfigured(
            f"outbox {path.parent}: cannot write there ({error.strerror}):"
            " make the folder and give it to the agent's user"
        ) from error


def _sync_folder(path: Path) -> None:
    """Make a name durable: a file that was synced may still be lost with its folder's entry."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _prepare(connection: sqlite3.Connection, name: str, most_bytes: int) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {MOST_LOG_BYTES}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    pages = most_bytes + most_bytes // 4  # rows fill their pages to four fifths at the least
    connection.execute(f"PRAGMA max_page_count = {pages // page_bytes + SLACK_PAGES}")
    found = version(connection)
    if found > SCHEMA_VERSION:
        raise Misconfigured(
            f"outbox {name}: has version {found}, this agent knows {SCHEMA_VERSION}:"
            " take a later agent, or another path"
        )
    if found < SCHEMA_VERSION:
        steps = _SCHEMA + _SCHEMA_2 if found == 0 else _FROM_1 + _SCHEMA_2 + _MOVED_FROM_1
        script = steps.replace(":epoch", f"'{new_epoch()}'")
        script += _COUNT_BYTES.replace(":row_bytes", str(ROW_BYTES))
        stamp = f"PRAGMA user_version = {SCHEMA_VERSION};"
        connection.executescript(f"BEGIN IMMEDIATE; {script} {stamp} COMMIT;")


def _check(connection: sqlite3.Connection, file_bytes: int) -> None:
    """Look for damage; a large file's is found when its pages are read."""
    if file_bytes > MOST_CHECKED_BYTES:
        return
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
