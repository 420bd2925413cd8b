"""Store-and-forward: a bounded queue of envelopes on disk that a receipt marks and age empties.

Promises: what `append` returned survives a kill or a power cut; sequences start at 1 and grow by
exactly 1 in an epoch, the life of one file; nothing is deleted because it was sent or received,
only by age and size, oldest first, and what goes unreceived is counted as lost (design 4.2).

Progress is kept in memory at once and written with the next append: losing it costs repeats only.
All methods may be called from any thread; a lock makes them one after another.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from core import wire
from core.errors import Rejected, Retryable
from edge import outboxfile
from edge.outboxstate import State, present_progress, progress_of, read_state
from edge.progress import Progress, advance

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from core.reading import Reading
    from core.wire import Receipt

log = logging.getLogger(__name__)

MOST_BODY_BYTES: Final = wire.MOST_PAYLOAD_BYTES - 1_024  # header, signature and key go before
ROW_BYTES: Final = 64  # what SQLite keeps beside a body
MOST_STORES: Final = 16
MOST_TRIM_ROWS: Final = 10_000  # of one transaction


class News(StrEnum):
    """What a receipt changed."""

    NOTHING = "nothing"
    PROGRESS = "progress"
    NEW_STORE = "new_store"
    NEW_EPOCH = "new_epoch"


@dataclass(frozen=True, slots=True)
class Held:
    """One envelope of the outbox: `body` is its columns as wire.columns wrote them."""

    sequence: int
    kept_us: int
    rows: int
    body: bytes


class Outbox:
    """The queue of one agent; open it once per process."""

    def __init__(self, path: Path, *, most_bytes: int, keep_us: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._keep_us = keep_us
        self._guard = threading.RLock()
        self._file_lock = outboxfile.FileLock(path)
        self._file_lock.take()
        self.write_errors = 0
        self._epoch = ""
        self._bytes = 0
        self._progress = Progress("")
        self._progress_us = 0
        self._unsaved = False
        try:
            self._open()
        except BaseException:
            self._file_lock.release()
            raise

    @property
    def epoch(self) -> str:
        """Return the id of this outbox's life."""
        return self._epoch

    def close(self) -> None:
        """Write what is not yet written and let the file go."""
        with self._guard:
            try:
                with self._transaction():
                    self._save_progress()
            except Retryable:
                log.warning("outbox: progress was not written: the next start sends repeats")
            self._connection.close()
            self._file_lock.release()

    def append(
        self, readings: Sequence[Reading], now_us: int, counters: Collection[str] = ()
    ) -> int:
        """Keep readings as one envelope; returns its sequence once it is on disk.

        Raises Retryable where the disk refuses (the caller still has the readings) and Rejected
        `too_large` where they would not fit one payload.
        """
        body = wire.columns(readings, counters)
        if len(body) > MOST_BODY_BYTES:
            raise Rejected(f"{len(readings)} readings do not fit one envelope", "too_large")
        with self._guard:
            try:
                return self._append(body, len(readings), now_us)
            except _BrokenError:
                self._start_over()
                return self._append(body, len(readings), now_us)

    def peek(self, after: int, most: int, most_bytes: int = 4 << 20) -> list[Held]:
        """Return envelopes beyond `after` that the present store does not hold, oldest first."""
        found: list[Held] = []
        size = 0
        with self._reading():
            for first, last in self._progress.waiting():
                rows = self._connection.execute(
                    "SELECT sequence, kept_us, rows, body FROM envelope"
                    " WHERE sequence BETWEEN ? AND ? AND aside = 0 ORDER BY sequence LIMIT ?",
                    (max(first, after + 1), last, most - len(found)),
                )
                for row in rows:
                    held = Held(*row)
                    size += len(held.body)
                    if found and size > most_bytes:
                        return found
                    found.append(held)
                if len(found) >= most:
                    break
        return found

    def oldest(self) -> int:
        """Return the lowest sequence still held, the next one where none is."""
        with self._reading():
            (lowest,) = self._connection.execute("SELECT min(sequence) FROM envelope").fetchone()
            return self._last() + 1 if lowest is None else int(lowest)

    def covers(self, sequence: int) -> bool:
        """Tell whether the present store holds that envelope."""
        return self._progress.covers(sequence)

    def apply(self, receipt: Receipt, now_us: int) -> News:
        """Note what a store says it holds; deletes nothing."""
        with self._reading():
            if receipt.epoch != self._epoch:
                return News.NOTHING
            if receipt.committed > self._last():
                # The store knows more of this epoch than the file does: the file is an old copy,
                # and its next numbers would be taken for old ones.
                self._renumber()
                return News.NEW_EPOCH
            known = self._progress if self._progress.store == receipt.store else None
            if known is None:
                known = progress_of(self._connection, receipt.store)
            before = self._progress.store
            changed_store = receipt.store != before
            told = advance(known, receipt)
            if told is None and not changed_store:
                return News.NOTHING
            self._progress = told or known or self._progress
            self._progress_us = now_us
            self._unsaved = True
            if not changed_store or not before:
                return News.PROGRESS
            self._put_back()
            return News.NEW_STORE

    def set_aside(self, sequence: int) -> None:
        """Keep an envelope without sending it any more, and count it."""
        with self._guard, self._transaction():
            changed = self._connection.execute(
                "UPDATE envelope SET aside = 1 WHERE sequence = ? AND aside = 0", (sequence,)
            ).rowcount
            self._count("set_aside", changed)

    def _put_back(self) -> None:
        """Send again what was set aside: another store may take it."""
        with self._transaction():
            self._connection.execute("UPDATE envelope SET aside = 0 WHERE aside = 1")

    def trim(self, now_us: int) -> int:
        """Delete envelopes beyond the age to keep; returns how many went unreceived."""
        with self._guard, self._transaction():
            self._save_progress()
            row = self._connection.execute(
                "SELECT sequence FROM envelope WHERE kept_us >= ? ORDER BY sequence LIMIT 1",
                (now_us - self._keep_us,),
            ).fetchone()
            below = self._last() + 1 if row is None else int(row[0])
            return self._drop_below(below)

    def state(self) -> State:
        """Return how the outbox stands."""
        with self._reading():
            return read_state(self._connection, self._progress)

    def _open(self) -> None:
        self._connection, aside = outboxfile.open_file(self._path, self._most_bytes)
        execute = self._connection.execute
        (self._epoch,) = execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        (self._bytes,) = execute(
            f"SELECT coalesce(sum(length(body) + {ROW_BYTES}), 0) FROM envelope"  # noqa: S608 - a number
        ).fetchone()
        self._progress = present_progress(self._connection)
        self._unsaved = False
        if aside is not None:
            log.error("outbox: the file was damaged: kept as %s, a new epoch begins", aside)
            with self._transaction():
                self._count("corrupt_files", len(outboxfile.corrupt_files(self._path)))

    def _start_over(self) -> None:
        """Set the open file aside, as it turned out to be damaged, and begin a new epoch."""
        self._connection.close()
        aside = outboxfile.set_aside(self._path)
        log.error("outbox: the file is damaged: kept as %s, a new epoch begins", aside)
        self._open()
        with self._transaction():
            self._count("corrupt_files", len(outboxfile.corrupt_files(self._path)))

    def _append(self, body: bytes, rows: int, now_us: int) -> int:
        try:
            return self._insert(body, rows, now_us)
        except _FullError:
            if not self._at_page_limit(len(body)):
                raise
        # The bound of the file was reached before that of the accounting: make room and go on.
        with self._transaction():
            self._free(max(2 * len(body), self._most_bytes // 16))
        return self._insert(body, rows, now_us)

    def _insert(self, body: bytes, rows: int, now_us: int) -> int:
        size = len(body) + ROW_BYTES
        with self._transaction():
            self._free(self._bytes + size - self._most_bytes)
            self._save_progress()
            sequence = self._connection.execute(
                "INSERT INTO envelope (kept_us, rows, body) VALUES (?, ?, ?)", (now_us, rows, body)
            ).lastrowid
        self._bytes += size
        assert sequence is not None  # noqa: S101 - an INSERT has a row id
        return sequence

    def _free(self, wanted: int) -> None:
        """Delete the oldest envelopes until as many bytes are free again."""
        if wanted <= 0:
            return
        rows = self._connection.execute(
            f"SELECT sequence, length(body) + {ROW_BYTES} FROM envelope ORDER BY sequence"  # noqa: S608 - a number
        )
        below = 0
        for sequence, length in rows:
            if wanted <= 0:
                break
            wanted -= length
            below = sequence + 1
        rows.close()
        lost = self._drop_below(below)
        if lost:
            log.warning("outbox: full: %d envelopes dropped that nobody had received", lost)

    def _drop_below(self, below: int) -> int:
        rows = self._connection.execute(
            "SELECT sequence, rows, length(body) FROM envelope WHERE sequence < ?"
            " ORDER BY sequence LIMIT ?",
            (below, MOST_TRIM_ROWS),
        ).fetchall()
        if not rows:
            return 0
        self._connection.execute("DELETE FROM envelope WHERE sequence <= ?", (rows[-1][0],))
        lost = [count for sequence, count, _ in rows if not self._progress.covers(sequence)]
        self._count("lost_envelopes", len(lost))
        self._count("lost_readings", sum(lost))
        self._bytes -= sum(length + ROW_BYTES for _, _, length in rows)
        return len(lost)

    def _renumber(self) -> None:
        """Give what is held the first numbers of a new epoch."""
        with self._transaction():
            execute = self._connection.execute
            before = self.oldest() - 1
            execute("UPDATE envelope SET sequence = -sequence, aside = 0")
            execute("UPDATE envelope SET sequence = -sequence - ?", (before,))
            (held,) = execute("SELECT count(*) FROM envelope").fetchone()
            execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'envelope'", (held,))
            execute("DELETE FROM progress")
            execute("DELETE FROM meta WHERE name = 'store'")
            epoch = outboxfile.new_epoch()
            execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (epoch,))
        self._epoch = epoch
        self._progress = Progress("")
        self._unsaved = False
        log.error("outbox: the store holds more than this file ever sent: a new epoch begins")

    def _last(self) -> int:
        row = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'envelope'"
        ).fetchone()
        return 0 if row is None else int(row[0])

    def _save_progress(self) -> None:
        if not self._unsaved:
            return
        told = self._progress
        self._connection.execute(
            "INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?)",
            (told.store, told.committed, json.dumps(told.missing), self._progress_us),
        )
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('store', ?)", (told.store,))
        self._connection.execute(
            "DELETE FROM progress WHERE store NOT IN"
            " (SELECT store FROM progress ORDER BY at_us DESC LIMIT ?)",
            (MOST_STORES,),
        )
        self._unsaved = False

    def _count(self, name: str, by: int) -> None:
        if by:
            self._connection.execute(
                "INSERT INTO meta VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (name, by),
            )

    def _at_page_limit(self, size: int) -> bool:
        """Tell whether it is the file's own bound, not the disk, that has no room for a body."""

        def pragma(name: str) -> int:
            return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

        room = pragma("max_page_count") - pragma("page_count") + pragma("freelist_count")
        return room < 2 * size // pragma("page_size") + 4

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Hold the lock; a file found damaged is set aside and Retryable raised."""
        with self._guard:
            try:
                yield
            except sqlite3.Error as error:
                if outboxfile.is_broken(error):
                    self._start_over()
                raise Retryable(f"outbox {self._path}: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Run one transaction; its errors are told apart by what the caller may do."""
        held, unsaved = self._bytes, self._unsaved
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._bytes, self._unsaved = held, unsaved
            self.write_errors += 1
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if outboxfile.is_broken(error):
                raise _BrokenError(f"the outbox is damaged: {error}") from error
            kind = _FullError if _is_full(error) else Retryable
            raise kind(f"outbox {self._path}: {error}: free some space") from error
        except BaseException:
            self._bytes, self._unsaved = held, unsaved
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


class _FullError(Retryable):
    """The file or the disk is full."""


class _BrokenError(Retryable):
    """The file is damaged."""


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
