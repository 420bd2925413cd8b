"""One destination's end of the outbox: what it still has to get, and what its store says it holds.

Promises: progress is kept per store, so that a store which comes back is known; a receipt deletes
nothing; what is set aside here is still offered elsewhere. Progress is in memory at once and
written with the next append: losing it costs repeats only (design 4.2).
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from core.progress import Spans, merged, minus
from edge import outboxfile
from edge.progress import ENDLESS, Progress, advance, clipped, compact, size

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.wire import Receipt
    from edge.outboxdb import Database

log = logging.getLogger(__name__)

MOST_STORES: Final = 16  # of one destination
MOST_MINUTES: Final = 60  # of what was receipted, for the rates that people ask for
MOST_SUMMED: Final = 10_000  # envelopes whose readings are counted at one receipt
MOST_PEEK_BYTES: Final = 4 << 20
US_PER_MINUTE: Final = 60_000_000


class News(StrEnum):
    """What a receipt changed."""

    NOTHING = "nothing"
    PROGRESS = "progress"
    NEW_STORE = "new_store"
    NEW_EPOCH = "new_epoch"


@dataclass(frozen=True, slots=True)
class Held:
    """One envelope of the outbox: `body` is its columns as wire.columns wrote them.

    `epoch` and `oldest` are of the moment it was taken: they go with its number.
    """

    epoch: str
    oldest: int
    sequence: int
    kept_us: int
    rows: int
    body: bytes


@dataclass(slots=True)
class Shelf:
    """What the outbox holds, shared with its outlets: sequences first..last but for `holes`."""

    epoch: str = ""
    last: int = 0
    first: int = 1
    holes: Spans = ()
    withheld: Spans = ()


class Outlet:
    """What one destination takes from the outbox."""

    def __init__(
        self, name: str, database: Database, shelf: Shelf, renumber: Callable[[], None]
    ) -> None:
        self.name = name
        self._database = database
        self._shelf = shelf
        self._renumber = renumber
        self._aside: Spans = ()
        self._passed: dict[int, tuple[int, int]] = {}
        self._progress_us = 0
        self._unsaved = False
        self.progress = Progress("")
        self.load()

    def move(self, database: Database) -> None:
        """Go on with another database; its contents are read by `load`."""
        self._database = database

    def load(self) -> None:
        """Read what the file knows; called again when there is another file or other numbers."""
        self._passed.clear()
        self._unsaved = False
        store = self._database.meta(f"store:{self.name}", "")
        self.progress = self._known(str(store)) or Progress("")
        rows = self._database.execute(
            "SELECT sequence FROM aside WHERE destination = ? ORDER BY sequence", (self.name,)
        )
        self._aside = compact(sequence for (sequence,) in rows)

    @property
    def epoch(self) -> str:
        """Return the id of this outbox's life."""
        return self._shelf.epoch

    @property
    def last(self) -> int:
        """Return the newest sequence."""
        return self._shelf.last

    def oldest(self) -> int:
        """Return the lowest sequence still held, the next one where none is."""
        return self._shelf.first

    def covers(self, sequence: int) -> bool:
        """Tell whether the present store holds that envelope."""
        return self.progress.covers(sequence)

    def waiting(self, after: int = 0) -> Spans:
        """Return the sequences beyond `after` that are held, sendable, and not received here."""
        with self._database.guard:
            return self._waiting(after)

    def depth(self) -> int:
        """Return how many envelopes wait to be received here."""
        return size(self.waiting())

    def oldest_us(self) -> int | None:
        """Return since when the first envelope waits, None where none does."""
        with self._database.reading():
            spans = self._waiting(0)
            if not spans:
                return None
            row = self._database.execute(
                "SELECT kept_us FROM envelope WHERE sequence = ?", (spans[0][0],)
            ).fetchone()
            return None if row is None else int(row[0])

    def peek(
        self, after: int, most: int, most_bytes: int = MOST_PEEK_BYTES, upto: int = ENDLESS
    ) -> list[Held]:
        """Return envelopes in after+1..upto that the present store does not hold, oldest first."""
        found: list[Held] = []
        total = 0
        damaged: list[int] = []
        shelf = self._shelf
        with self._database.reading():
            for first, last in clipped(self._waiting(after), 0, upto):
                rows = self._database.execute(
                    "SELECT sequence, kept_us, rows, body FROM envelope"
                    " WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?",
                    (first, last, most - len(found)),
                )
                for sequence, kept_us, count, kept in rows:
                    total += len(kept)
                    if found and total > most_bytes:
                        break
                    body = outboxfile.unpacked(kept)
                    if body is None:
                        damaged.append(sequence)
                        continue
                    found.append(Held(shelf.epoch, shelf.first, sequence, kept_us, count, body))
                if len(found) >= most or total > most_bytes:
                    break
        for sequence in damaged:
            log.error("outbox: envelope %d is damaged on the disk and is set aside", sequence)
            self.set_aside(sequence, "damaged")
        return found

    def apply(self, receipt: Receipt, now_us: int) -> News:
        """Note what a store says it holds; deletes nothing."""
        with self._database.reading():
            if receipt.epoch != self._shelf.epoch:
                return News.NOTHING
            if receipt.committed > self._shelf.last:
                # The store knows more of this epoch than the file does: the file is an old copy,
                # and its next numbers would be taken for old ones.
                self._renumber()
                return News.NEW_EPOCH
            before = self.progress
            same = before.store == receipt.store
            known = before if same else self._known(receipt.store)
            told = advance(known, receipt)
            if told is None and same:
                return News.NOTHING
            if same:
                self._count_passed(told or before, now_us)
            another = not same and bool(before.store)
            if another:
                self._put_back()  # a disk that refuses leaves all as it was: the next one tells
            self.progress = told or known or before
            self._progress_us = now_us
            self._unsaved = True
            return News.NEW_STORE if another else News.PROGRESS

    def set_aside(self, sequence: int, counted: str = "set_aside") -> None:
        """Keep an envelope without sending it here any more, and count it."""
        with self._database.transaction():
            changed = self._database.execute(
                "INSERT OR IGNORE INTO aside SELECT ?, sequence FROM envelope WHERE sequence = ?",
                (self.name, sequence),
            ).rowcount
            self._database.count(counted, changed)
            self._database.count(f"{counted}:{self.name}", changed)
        self._aside = merged((*self._aside, (sequence, sequence)))

    def save(self) -> None:
        """Write progress, inside a transaction of the caller's."""
        if not self._unsaved:
            return
        told, execute = self.progress, self._database.execute
        execute(
            "INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?, ?)",
            (self.name, told.store, told.committed, json.dumps(told.missing), self._progress_us),
        )
        self._database.keep_meta(f"store:{self.name}", told.store)
        execute(
            "DELETE FROM progress WHERE destination = ?1 AND store NOT IN (SELECT store"
            " FROM progress WHERE destination = ?1 ORDER BY at_us DESC LIMIT ?2)",
            (self.name, MOST_STORES),
        )
        for minute, (envelopes, readings) in self._passed.items():
            execute(
                "INSERT INTO passage VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " envelopes = envelopes + excluded.envelopes,"
                " readings = readings + excluded.readings",
                (self.name, minute, envelopes, readings),
            )
        newest = max(self._passed, default=0)
        execute(
            "DELETE FROM passage WHERE destination = ? AND minute <= ?",
            (self.name, newest - MOST_MINUTES),
        )

    def saved(self) -> None:
        """Note that the caller's transaction is on the disk."""
        self._passed.clear()
        self._unsaved = False

    def _waiting(self, after: int) -> Spans:
        shelf = self._shelf
        held = clipped(self.progress.waiting(), max(after + 1, shelf.first), shelf.last)
        return minus(minus(minus(held, shelf.holes), shelf.withheld), self._aside)

    def _known(self, store: str) -> Progress | None:
        row = self._database.execute(
            "SELECT committed, missing FROM progress WHERE destination = ? AND store = ?",
            (self.name, store),
        ).fetchone()
        if row is None:
            return None
        return Progress(store, row[0], tuple((first, last) for first, last in json.loads(row[1])))

    def _count_passed(self, told: Progress, now_us: int) -> None:
        """Count what a receipt covers that was not covered before, for the rates."""
        gone = minus(self._waiting(0), told.waiting())
        envelopes = size(gone)
        if not envelopes:
            return
        readings, summed = 0, 0
        for first, last in gone:
            upto = min(last, first + MOST_SUMMED - summed - 1)
            if upto < first:
                break
            (found,) = self._database.execute(
                "SELECT coalesce(sum(rows), 0) FROM envelope WHERE sequence BETWEEN ? AND ?",
                (first, upto),
            ).fetchone()
            readings += found
            summed += upto - first + 1
        minute = now_us // US_PER_MINUTE
        before = self._passed.get(minute, (0, 0))
        share = readings * envelopes // summed
        self._passed[minute] = (before[0] + envelopes, before[1] + share)

    def _put_back(self) -> None:
        """Send again what was set aside: another store may take it."""
        with self._database.transaction():
            self._database.execute("DELETE FROM aside WHERE destination = ?", (self.name,))
        self._aside = ()
