"""Store-and-forward: a bounded queue of envelopes on disk that receipts mark and age empties.

Promises: what `append` returned survives a kill or a power cut; sequences start at 1 and grow by
exactly 1 in an epoch, the life of one file; nothing is deleted because it was sent or received,
only by age and size (design 4.2). When it is full, what every destination has received goes first,
oldest first; only then the oldest that some destination lacks, which is counted as lost.

All methods may be called from any thread; a lock makes them one after another.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core import wire
from core.errors import Rejected, Retryable
from core.progress import Spans, merged, minus
from edge import outboxfallback, outboxfile, outboxstate
from edge.outboxdb import BrokenError, Database, FullError
from edge.outboxfile import ROW_BYTES, WornError
from edge.outlet import Outlet, Shelf
from edge.progress import compact, holds, received_by_all

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from core.reading import Reading
    from edge.outboxstate import State

log = logging.getLogger(__name__)

MOST_BODY_BYTES: Final = wire.MOST_PAYLOAD_BYTES - 1_024  # header, signature and key go before
MOST_TRIM_ROWS: Final = 10_000  # of one transaction
MOST_PLACED_ROWS: Final = 500  # of one transaction
FREED_BYTES: Final = 1 << 20  # at once where the disk is full, so that the next appends fit too


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why an envelope waits for the clock: the machine's boot, and the time since then."""

    boot: str
    up_us: int


class Outbox:
    """The queue of one agent; open it once per process. Without a path it is in memory only."""

    def __init__(
        self,
        path: Path | None,
        *,
        most_bytes: int,
        keep_us: int,
        destinations: Sequence[str] = ("main",),
    ) -> None:
        self._keep_us = keep_us
        self._most_bytes = most_bytes
        self._bytes = 0
        self._shelf = Shelf()
        self._worn_since_us: int | None = None
        self._disk: Database | None = None
        self._database = Database(path, most_bytes)
        self._reserve = None if path is None else outboxfile.Reserve(path)
        try:
            with self._database.reading():
                self._read_shelf()
                self._outlets = {
                    name: Outlet(name, self._database, self._shelf, self._renumber)
                    for name in destinations
                }
            self._database.renewed = self._load
            self.reserve()
        except BaseException:
            self._database.close()
            raise

    @property
    def epoch(self) -> str:
        """Return the id of this outbox's life."""
        return self._shelf.epoch

    @property
    def write_errors(self) -> int:
        """Return how many transactions the disk refused since the process began."""
        return self._database.write_errors

    @property
    def in_memory(self) -> bool:
        """Tell whether what is kept ends with this process."""
        return self._database.in_memory

    def outlet(self, destination: str) -> Outlet:
        """Return one destination's end."""
        return self._outlets[destination]

    def close(self) -> None:
        """Write what is not yet written and let the file go."""
        with self._database.guard:
            try:
                with self._changing():
                    pass
            except Retryable:
                log.warning("outbox: progress was not written: the next start sends repeats")
            for database in (self._database, self._disk):
                if database is not None:
                    database.close()

    def append(
        self,
        readings: Sequence[Reading],
        now_us: int,
        counters: Collection[str] = (),
        withheld: Withheld | None = None,
    ) -> int:
        """Keep readings as one envelope; returns its sequence once it is on disk.

        Raises Retryable where the disk refuses (the caller still has the readings) and Rejected
        `too_large` where they would not fit one payload. What is withheld is sent after `place`.
        """
        body = wire.columns(readings, counters)
        if len(body) > MOST_BODY_BYTES:
            raise Rejected(f"{len(readings)} readings do not fit one envelope", "too_large")
        kept = outboxfile.packed(body)
        with self._database.guard:
            try:
                sequence = self._append(kept, len(readings), now_us, withheld)
            except BrokenError:
                sequence = self._append(kept, len(readings), now_us, withheld)
            except WornError:
                if not self._is_lost(now_us):
                    raise
                self._leave_disk()
                sequence = self._append(kept, len(readings), now_us, withheld)
            self._worn_since_us = None
            return sequence

    def newest_us(self) -> int | None:
        """Return when the newest envelope was kept, None where there is none."""
        with self._database.reading():
            row = self._database.execute(
                "SELECT kept_us FROM envelope WHERE sequence = ?", (self._shelf.last,)
            ).fetchone()
            return None if row is None else int(row[0])

    def trim(self, now_us: int) -> int:
        """Delete envelopes beyond the age to keep; returns how many went unreceived.

        To be called only while the clock is right: a wrong year would empty the outbox.
        """
        with self._database.guard, self._changing():
            lost_before = self._lost()
            row = self._database.execute(
                "SELECT sequence FROM envelope WHERE kept_us >= ? ORDER BY sequence LIMIT 1",
                (now_us - self._keep_us,),
            ).fetchone()
            below = self._shelf.last + 1 if row is None else int(row[0])
            waiting = self._database.execute(
                "SELECT min(sequence) FROM withheld WHERE boot != ''"
            ).fetchone()[0]
            below = below if waiting is None else min(below, waiting)
            self._drop(((self._shelf.first, below - 1),), None)
            return self._lost() - lost_before

    def reserve(self) -> None:
        """Set disk space aside for a full disk, where there is some."""
        if self._reserve is not None:
            self._reserve.take()

    def place(self, boot: str, at_boot_us: int, shift: Callable[[bytes, int], bytes]) -> int:
        """Let go what this boot withheld, stamped by the time since then; returns how many.

        `at_boot_us` is the instant of the boot by the clock that is now right; `shift` moves a
        body's instants by microseconds and says that they are uncertain.
        """
        done = 0
        while True:
            with self._changing():
                rows = self._database.execute(
                    "SELECT sequence, kept_us, up_us, body FROM withheld JOIN envelope"
                    " USING (sequence) WHERE boot = ? ORDER BY sequence LIMIT ?",
                    (boot, MOST_PLACED_ROWS),
                ).fetchall()
                for sequence, kept_us, up_us, kept in rows:
                    self._place_one(sequence, kept, kept_us, at_boot_us + up_us - kept_us, shift)
                gone = compact(row[0] for row in rows)
                self._shelf.withheld = minus(self._shelf.withheld, gone)
            done += len(rows)
            if len(rows) < MOST_PLACED_ROWS:
                return done

    def abandon(self, boot: str) -> int:
        """Give up what another boot withheld: nothing tells when it was measured any more."""
        with self._changing():
            changed = self._database.execute(
                "UPDATE withheld SET boot = '' WHERE boot NOT IN ('', ?)", (boot,)
            ).rowcount
            self._database.count("unplaceable", changed)
        if changed:
            log.error("outbox: %d envelopes were measured by a wrong clock: never sent", changed)
        return changed

    def state(self) -> State:
        """Return how the outbox stands; cheap enough for every status."""
        with self._database.reading():
            return outboxstate.read(
                self._database, self._shelf, self._bytes, tuple(self._outlets.values())
            )

    def _is_lost(self, now_us: int) -> bool:
        """Tell whether the disk has refused for so long that waiting for it costs readings."""
        if self._worn_since_us is None or now_us < self._worn_since_us:
            self._worn_since_us = now_us
        return now_us - self._worn_since_us >= outboxfallback.PATIENCE_US

    def _leave_disk(self) -> None:
        """Go on in memory, under a new epoch: numbers that no disk keeps must never be given twice.

        What waits is taken along as far as it can be read and fits; the file stays as it is.
        """
        self._disk, self._reserve = self._database, None
        lacking = merged(s for each in self._outlets.values() for s in each.waiting())
        withheld = self._shelf.withheld
        self._most_bytes = outboxfallback.MOST_MEMORY_BYTES
        self._database = outboxfallback.memory_of(self._disk, merged((*lacking, *withheld)))
        self._database.renewed = self._load
        for outlet in self._outlets.values():
            outlet.move(self._database)
        self._load()
        log.error("outbox: the disk takes no writes: going on in memory until the next start")

    def _load(self) -> None:
        """Read everything anew: the file is another one, or its numbers are."""
        self._read_shelf()
        for outlet in self._outlets.values():
            outlet.load()

    def _read_shelf(self) -> None:
        outboxstate.read_shelf(self._database, self._shelf)
        self._bytes = outboxstate.whole(self._database.meta("bytes"))

    def _append(self, kept: bytes, rows: int, now_us: int, withheld: Withheld | None) -> int:
        try:
            return self._insert(kept, rows, now_us, withheld)
        except FullError:
            if not self._make_room(len(kept)):
                raise
        return self._insert(kept, rows, now_us, withheld)

    def _insert(self, kept: bytes, rows: int, now_us: int, withheld: Withheld | None) -> int:
        length = len(kept) + ROW_BYTES
        with self._changing():
            self._free(self._bytes + length - self._most_bytes)
            sequence = self._database.execute(
                "INSERT INTO envelope (kept_us, rows, body) VALUES (?, ?, ?)", (now_us, rows, kept)
            ).lastrowid
            assert sequence is not None  # noqa: S101 - an INSERT has a row id
            if withheld is not None:
                self._database.execute(
                    "INSERT INTO withheld VALUES (?, ?, ?)",
                    (sequence, withheld.boot, withheld.up_us),
                )
                alone = ((sequence, sequence),)
                self._shelf.withheld = merged((*self._shelf.withheld, *alone))
            self._bytes += length
            self._shelf.last = sequence
        return sequence

    def _make_room(self, size_bytes: int) -> bool:
        """Free space after a refusal; tell whether there is reason to try once more."""
        if self._database.at_page_limit(size_bytes):
            # The bound of the file was reached before that of the accounting.
            with self._changing():
                self._free(max(2 * size_bytes, self._most_bytes // 16))
            return True
        # The disk is full: the space kept in reserve lets the log be emptied into the file, and
        # then what everybody has received makes room inside it. What anybody lacks stays.
        if self._reserve is not None:
            self._reserve.give()
        with suppress(sqlite3.Error):
            self._database.execute("PRAGMA wal_checkpoint(RESTART)")
        with self._changing():
            self._drop(self._received(), max(2 * size_bytes, FREED_BYTES))
        return True

    def _free(self, wanted: int) -> None:
        """Delete until as many bytes are free again: first what nobody lacks, oldest first."""
        if wanted <= 0:
            return
        wanted -= self._drop(self._received(), wanted)
        if wanted <= 0:
            return
        lost_before = self._lost()
        self._drop(((self._shelf.first, self._shelf.last),), wanted)
        lost = self._lost() - lost_before
        if lost:
            log.warning("outbox: full: %d envelopes dropped that somebody lacked", lost)

    def _received(self) -> Spans:
        shelf = self._shelf
        everyone = [outlet.progress for outlet in self._outlets.values()]
        return minus(received_by_all(everyone, shelf.first, shelf.last), shelf.holes)

    def _drop(self, spans: Spans, wanted: int | None) -> int:
        """Delete the oldest of some spans until `wanted` bytes are free; returns how many are."""
        freed = 0
        left = MOST_TRIM_ROWS
        for first, last in minus(spans, self._shelf.holes):
            rows: list[tuple[int, int]] = []
            found = self._database.execute(
                "SELECT sequence, rows, length(body) FROM envelope"
                " WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?",
                (first, last, left),
            )
            for sequence, count, length in found:
                if wanted is not None and freed >= wanted:
                    break
                rows.append((sequence, count))
                freed += length + ROW_BYTES
            found.close()
            left -= len(rows)
            if rows:
                self._delete(first, rows)
            if left <= 0 or (wanted is not None and freed >= wanted):
                break
        self._bytes -= freed
        return freed

    def _delete(self, first: int, rows: Sequence[tuple[int, int]]) -> None:
        upto = rows[-1][0]
        for name, outlet in self._outlets.items():
            lacked = sum(not outlet.covers(sequence) for sequence, _ in rows)
            self._database.count(f"lost:{name}", lacked)
        lacking = merged(
            span for each in self._outlets.values() for span in each.progress.waiting()
        )
        lost = [count for sequence, count in rows if holds(lacking, sequence)]
        self._database.count("lost_envelopes", len(lost))
        self._database.count("lost_readings", sum(lost))
        for table in ("envelope", "withheld", "aside"):
            self._database.execute(
                f"DELETE FROM {table} WHERE sequence BETWEEN ? AND ?",  # noqa: S608 - three names
                (first, upto),
            )
        shelf = self._shelf
        holes = merged((*shelf.holes, (first, upto)))
        if holes[0][0] <= shelf.first:  # what is missing below the first is no hole
            shelf.first = holes[0][1] + 1
            holes = holes[1:]
        shelf.holes = holes
        shelf.withheld = minus(shelf.withheld, ((first, upto),))

    def _lost(self) -> int:
        return outboxstate.whole(self._database.meta("lost_envelopes"))

    def _place_one(
        self,
        sequence: int,
        kept: bytes,
        kept_us: int,
        shift_us: int,
        shift: Callable[[bytes, int], bytes],
    ) -> None:
        body = outboxfile.unpacked(kept)
        self._database.execute("DELETE FROM withheld WHERE sequence = ?", (sequence,))
        if body is None:
            return  # damaged: found and counted where it would be sent
        moved = outboxfile.packed(shift(body, shift_us))
        self._database.execute(
            "UPDATE envelope SET kept_us = ?, body = ? WHERE sequence = ?",
            (kept_us + shift_us, moved, sequence),
        )
        self._bytes += len(moved) - len(kept)

    def _renumber(self) -> None:
        """Give what is held the first numbers of a new epoch."""
        execute = self._database.execute
        with self._changing(keep_progress=False):
            number, after = 0, 0
            while True:
                rows = execute(
                    "SELECT sequence FROM envelope WHERE sequence > ? ORDER BY sequence LIMIT ?",
                    (after, MOST_TRIM_ROWS),
                ).fetchall()
                for (sequence,) in rows:
                    number += 1  # never above `sequence`, and what was there has moved down
                    for table in ("envelope", "withheld"):
                        execute(
                            f"UPDATE {table} SET sequence = ? WHERE sequence = ?",  # noqa: S608 - two names
                            (number, sequence),
                        )
                    after = sequence
                if not rows:
                    break
            execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'envelope'", (number,))
            execute("DELETE FROM progress")
            execute("DELETE FROM aside")
            execute("DELETE FROM meta WHERE name = 'holes' OR name LIKE 'store:%'")
            self._database.keep_meta("epoch", outboxfile.new_epoch())
        self._load()
        log.error("outbox: a store holds more than this file ever sent: a new epoch begins")

    @contextmanager
    def _changing(self, *, keep_progress: bool = True) -> Iterator[None]:
        """Run one transaction over the file and over what is known of it in memory."""
        shelf = self._shelf
        with self._database.guard:
            before = (self._bytes, shelf.first, shelf.last, shelf.holes, shelf.withheld)
            epoch = shelf.epoch
            try:
                with self._database.transaction():
                    yield
                    if keep_progress:
                        for outlet in self._outlets.values():
                            outlet.save()
                    self._database.keep_meta("bytes", self._bytes)
                    if shelf.holes != before[3]:
                        self._database.keep_meta("holes", json.dumps(shelf.holes))
            except BaseException:
                if shelf.epoch == epoch:  # else a new file is in place, and was read
                    (self._bytes, shelf.first, shelf.last, shelf.holes, shelf.withheld) = before
                raise
            for outlet in self._outlets.values():
                outlet.saved()


def opened(
    path: Path, *, most_bytes: int, keep_us: int, destinations: Sequence[str] = ("main",)
) -> Outbox:
    """Open an outbox on the disk or, where the disk is at fault, one in memory.

    Raises Misconfigured where a person must give it another place.
    """
    try:
        return Outbox(path, most_bytes=most_bytes, keep_us=keep_us, destinations=destinations)
    except WornError as error:
        log.error("%s: going on in memory until the next start", error)  # noqa: TRY400 - it is told
    most_bytes = min(most_bytes, outboxfallback.MOST_MEMORY_BYTES)
    return Outbox(None, most_bytes=most_bytes, keep_us=keep_us, destinations=destinations)
