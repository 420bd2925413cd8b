"""When the disk is gone: an outbox in memory, so that a worn card does not end the readings.

A card that turns read-only or fails is how gateways end. What is read is then sent from memory for
as long as the process lives; a start tries the disk first. The state says so (`in_memory`).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from core.errors import Retryable
from edge.outboxdb import Database
from edge.outboxfile import ROW_BYTES

if TYPE_CHECKING:
    from core.progress import Spans

log = logging.getLogger(__name__)

MOST_MEMORY_BYTES: Final = 24 << 20  # an agent stays below 80 MB resident
PATIENCE_US: Final = 60_000_000  # a minute of 300 readings a second still waits in the agent


def memory_of(disk: Database, spans: Spans) -> Database:
    """Return an outbox in memory that holds the newest of these envelopes, as far as they fit."""
    memory = Database(None, MOST_MEMORY_BYTES)
    rows: list[tuple[int, int, bytes, str | None, int | None]] = []
    taken = 0
    with suppress(Retryable), disk.reading():  # whatever can be read is more than nothing
        for first, last in reversed(spans):
            found = disk.execute(
                "SELECT kept_us, rows, body, boot, up_us FROM envelope LEFT JOIN withheld"
                " USING (sequence) WHERE sequence BETWEEN ? AND ? ORDER BY sequence DESC",
                (first, last),
            )
            for row in found:
                taken += len(row[2]) + ROW_BYTES
                if taken > MOST_MEMORY_BYTES // 2:
                    break
                rows.append(row)
            if taken > MOST_MEMORY_BYTES // 2:
                break
    with memory.transaction():
        for kept_us, count, body, boot, up_us in reversed(rows):
            sequence = memory.execute(
                "INSERT INTO envelope (kept_us, rows, body) VALUES (?, ?, ?)",
                (kept_us, count, body),
            ).lastrowid
            if boot is not None:
                memory.execute("INSERT INTO withheld VALUES (?, ?, ?)", (sequence, boot, up_us))
        size = sum(len(row[2]) + ROW_BYTES for row in rows)
        memory.keep_meta("bytes", size)
    log.warning("outbox: %d envelopes taken along into memory", len(rows))
    return memory
