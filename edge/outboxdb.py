"""The outbox's connection: one lock, transactions, and what to do when the file turns out broken.

Promises: every failure of the disk is a Retryable that says which it is; a file found damaged is
set aside at once and a new one, with a new epoch, is in its place before the caller hears of it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.errors import Misconfigured, Retryable
from edge import outboxfile
from edge.outboxfile import WornError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)


class FullError(Retryable):
    """The file or the disk is full."""


class BrokenError(Retryable):
    """The file was damaged and a new one has taken its place."""


class Database:
    """One outbox's file, or its stand-in in memory where `path` is None."""

    def __init__(self, path: Path | None, most_bytes: int, *, read_only: bool = False) -> None:
        self.path = path
        self.most_bytes = most_bytes
        self.guard = threading.RLock()
        self.write_errors = 0
        self.renewed: Callable[[], None] = _nothing
        self._lock = None
        if read_only:
            assert path is not None  # noqa: S101 - memory has nothing to read
            self.connection = outboxfile.open_to_read(path)
            return
        if path is not None:
            self._lock = outboxfile.FileLock(path)
            self._lock.take()
        try:
            self.connection = self._opened()
        except BaseException:
            self._release()
            raise

    @property
    def in_memory(self) -> bool:
        """Tell whether nothing of it outlives this process."""
        return self.path is None

    def close(self) -> None:
        """Let the file go."""
        self.connection.close()
        self._release()

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement inside `reading` or `transaction`."""
        return self.connection.execute(statement, values)

    def meta(self, name: str, default: object = 0) -> object:
        """Return a value that the file keeps under a name."""
        row = self.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return default if row is None else row[0]

    def keep_meta(self, name: str, value: object) -> None:
        """Keep a value under a name."""
        self.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def count(self, name: str, by: int) -> None:
        """Raise a counter that outlives the process."""
        if by:
            self.execute(
                "INSERT INTO meta VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (name, by),
            )

    def at_page_limit(self, size: int) -> bool:
        """Tell whether it is the file's own bound, not the disk, that has no room for a body."""

        def pragma(name: str) -> int:
            return int(self.execute(f"PRAGMA {name}").fetchone()[0])

        room = pragma("max_page_count") - pragma("page_count") + pragma("freelist_count")
        return room < 2 * size // pragma("page_size") + 4

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock for reading; raises as `transaction` does."""
        with self.guard:
            try:
                yield
            except sqlite3.Error as error:
                raise self._told(error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run one transaction, whole or not at all; its errors are Retryable and told apart."""
        with self.guard:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield
                self.connection.execute("COMMIT")
            except sqlite3.Error as error:
                self.write_errors += 1
                self._roll_back()
                raise self._told(error) from error
            except BaseException:
                self._roll_back()
                raise

    def start_over(self, why: str) -> None:
        """Set the open file aside and begin a new epoch in a new one."""
        self.connection.close()
        aside = "nothing, as it was in memory" if self.path is None else self._set_aside()
        log.error("outbox: %s: kept as %s, a new epoch begins", why, aside)
        self.connection = self._opened()
        with self.transaction():
            self._count_corrupt()
        self.renewed()

    def _set_aside(self) -> str:
        assert self.path is not None  # noqa: S101 - its callers ask
        try:
            return str(outboxfile.set_aside(self.path))
        except OSError as error:
            raise WornError(f"outbox {self.path}: cannot be set aside: {error.strerror}") from error

    def _opened(self) -> sqlite3.Connection:
        if self.path is None:
            return outboxfile.open_in_memory(self.most_bytes)
        connection, aside = outboxfile.open_file(self.path, self.most_bytes)
        if aside is not None:
            log.error("outbox: the file was damaged: kept as %s, a new epoch begins", aside)
            self.connection = connection
            with self.transaction():
                self._count_corrupt()
        return connection

    def _count_corrupt(self) -> None:
        if self.path is not None:
            self.keep_meta("corrupt_files", len(outboxfile.corrupt_files(self.path)))

    def _told(self, error: sqlite3.Error) -> Retryable:
        """Return the error to raise for one of SQLite's."""
        where = "in memory" if self.path is None else str(self.path)
        if outboxfile.is_broken(error):
            self._try_anew(error)
            return BrokenError(f"outbox {where}: was damaged ({error}): a new one is in its place")
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return FullError(f"outbox {where}: {error}: free some space")
        if outboxfile.is_worn(error):
            return WornError(f"outbox {where}: {error}: is the disk read-only or worn out?")
        return Retryable(f"outbox {where}: {error}")

    def _try_anew(self, error: sqlite3.Error) -> None:
        try:
            self.start_over(f"the file is damaged ({error})")
        except (Misconfigured, sqlite3.Error) as failure:
            raise WornError(f"outbox {self.path}: no new file can be made: {failure}") from failure

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()


def _nothing() -> None:
    """Do nothing: nobody has asked to hear of a new file."""
