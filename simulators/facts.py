"""Production facts on their way: a journal in SQLite, kept until their receipt (design 4.2).

At least once: a fact is published again until `{"ids": […]}` names it; the store knows it by id
and revision.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import TYPE_CHECKING, Final

from core import names, wire
from core.clock import to_us
from core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from simulators.link import Link
    from simulators.process import Fact, Process

MOST_OPEN: Final = 200
PATIENCE_S: Final = 30.0
KEEP_US: Final = 40 * 86_400 * 1_000_000
MOST_WAITING: Final = 200_000
NOTE_EVERY_US: Final = 60 * 1_000_000
"""How often a tapless stretch is written down: not at every look, the disk is no clock."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS fact (
    id TEXT PRIMARY KEY, at_us INTEGER NOT NULL, payload TEXT NOT NULL,
    receipted INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS fact_waiting ON fact (at_us) WHERE receipted = 0;
CREATE TABLE IF NOT EXISTS note (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class FactJournal:
    """Facts and whether they are receipted; bounded by age, and by MOST_WAITING."""

    def __init__(self, path: Path, digest: str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_SCHEMA)
        if self._note("digest") != digest:
            self._database.execute("DELETE FROM fact")
            self._database.execute("DELETE FROM note")
            self._set("digest", digest)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @property
    def until_us(self) -> int | None:
        """Return the instant up to which facts were taken in."""
        note = self._note("until_us")
        return None if note is None else int(note)

    @property
    def waiting(self) -> int:
        """Return how many facts have no receipt."""
        row = self._database.execute("SELECT count(*) FROM fact WHERE receipted = 0").fetchone()
        return int(row[0])

    def add(self, facts: Sequence[Fact], until_us: int) -> None:
        """Take facts in, with the instant up to which they are complete, in one transaction."""
        rows = [
            (fact.id, fact.at_us, json.dumps(fact.item(), separators=(",", ":"))) for fact in facts
        ]
        with self._transaction():
            self._database.executemany(
                "INSERT OR IGNORE INTO fact (id, at_us, payload) VALUES (?, ?, ?)", rows
            )
            self._set("until_us", str(until_us))
            self._database.execute(
                "DELETE FROM fact WHERE receipted = 1 AND at_us < ?", (until_us - KEEP_US,)
            )

    def oldest_waiting(self, most: int) -> list[tuple[str, bytes]]:
        """Return id and payload of the oldest facts without receipt."""
        rows = self._database.execute(
            "SELECT id, payload FROM fact WHERE receipted = 0 ORDER BY at_us, id LIMIT ?", (most,)
        )
        return [(row[0], row[1].encode()) for row in rows]

    def receipt(self, ids: Sequence[str]) -> None:
        """Mark facts as receipted."""
        with self._transaction():
            self._database.executemany(
                "UPDATE fact SET receipted = 1 WHERE id = ?", [(each,) for each in ids]
            )

    def forget_receipts(self) -> None:
        """Mark every fact as waiting: the store is a new one."""
        self._database.execute("UPDATE fact SET receipted = 0")

    def _transaction(self) -> _Transaction:
        return _Transaction(self._database)

    def _note(self, key: str) -> str | None:
        row = self._database.execute("SELECT value FROM note WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _set(self, key: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (key, value))


class _Transaction:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *rest: object) -> None:
        self._database.execute("COMMIT" if kind is None else "ROLLBACK")


class FactPublisher:
    """Publishes what the process tapped, at most MOST_OPEN facts without receipt at a time."""

    def __init__(
        self, process: Process, journal: FactJournal, link: Link, clock: Callable[[], datetime]
    ) -> None:
        self.unreadable_receipts = 0
        self._process = process
        self._journal = journal
        self._link = link
        self._clock = clock
        self._sent_s: dict[str, float] = {}
        self._received: list[str] = []
        self._news = asyncio.Event()
        topic = names.Topic(process.site, process.facts_agent, "output")
        self._topic = str(topic)
        link.listen(str(names.Topic(topic.site, topic.agent, "ack")), self._receipt)

    def store_changed(self) -> None:
        """Send everything held again: another store speaks now."""
        self._received.clear()
        self._journal.forget_receipts()
        self._sent_s.clear()
        self._news.set()

    async def run(self, begin_us: int) -> None:
        """Take in facts from `begin_us` on, or from where the journal stands; until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            self._settle()
            self._take_in(begin_us)
            waiting = self._journal.oldest_waiting(MOST_OPEN)
            for fact_id, payload in waiting:
                sent_s = self._sent_s.get(fact_id)
                if sent_s is not None and loop.time() - sent_s < PATIENCE_S:
                    continue
                if not await self._link.publish(self._topic, payload):
                    break
                self._sent_s[fact_id] = loop.time()
            try:
                await asyncio.wait_for(self._news.wait(), timeout=1.0)
            except TimeoutError:
                continue

    def _settle(self) -> None:
        """Write down receipts, many at a time: each write waits for the disk."""
        ids, self._received = self._received, []
        if ids:
            self._journal.receipt(ids)
            for each in ids:
                self._sent_s.pop(each, None)

    def _take_in(self, begin_us: int) -> None:
        now_us = to_us(self._clock())
        since_us = max(begin_us, self._journal.until_us or begin_us)
        if now_us <= since_us or self._journal.waiting >= MOST_WAITING:
            return
        facts = self._process.facts(since_us, now_us)
        if facts or now_us - since_us >= NOTE_EVERY_US:
            self._journal.add(facts, now_us)

    def _receipt(self, payload: bytes) -> None:
        try:
            ids = wire.OutputReceipt.from_json(payload).ids
        except Rejected:
            self.unreadable_receipts += 1
            return
        known = [each for each in ids if each in self._sent_s]
        self._received.extend(known[: MOST_OPEN - len(self._received)])
        self._news.set()
