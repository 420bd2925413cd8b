"""Looks at the ledger and keeps what can be told: new figures, and those that late data changed.

Promise: it may look as often as it likes, a figure is kept once for each value it has had; what it
does not reach in one look it reaches in the next, for the ledger forgets nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from core import periods, reportplan
from core.clock import to_us
from core.periods import SLOT_US, Period
from store import plants, reportfigures, reportqueue, settings
from store.reportfigures import Ledger

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from core.nationalreport import Names
    from core.reportplan import Report
    from store.connection import Pool

KINDS: Final = (Period.SLOT, Period.DAY, Period.MONTH)
# How long after its end a period is told first: late readings are common in the first minutes.
SETTLE: Final = {
    Period.SLOT: timedelta(minutes=5),
    Period.DAY: timedelta(minutes=30),
    Period.MONTH: timedelta(hours=12),  # a month may be a day late by the upload rules
}
CHUNK_US: Final = 96 * SLOT_US  # of slots looked at in one transaction: a day
log = logging.getLogger(__name__)


class Reach(StrEnum):
    """How far back a look goes."""

    NEAR = "near"  # each minute
    WIDE = "wide"  # each hour: what a day's outage brought late
    FULL = "full"  # at start: what a month without this program left


REACHES: Final = {
    Reach.NEAR: {Period.SLOT: timedelta(hours=2), Period.DAY: timedelta(days=2),
                 Period.MONTH: timedelta(days=35)},
    Reach.WIDE: {Period.SLOT: timedelta(days=3), Period.DAY: timedelta(days=35),
                 Period.MONTH: timedelta(days=400)},
    Reach.FULL: {Period.SLOT: timedelta(days=31), Period.DAY: timedelta(days=100),
                 Period.MONTH: timedelta(days=400)},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """What a look found: figures new or changed, and how many are withheld for want of data."""

    kept: int
    withheld: int


class Maker:
    """Makes the figures of one enterprise from its file."""

    def __init__(self, pool: Pool, path: Path, names: Names) -> None:
        self._pool = pool
        self._path = path
        self._names = names
        self.kept = 0
        self.withheld = 0  # of the last look

    async def report(self) -> Report:
        """Read the plant's file anew; raises Misconfigured with all its problems."""
        async with self._pool.connection() as link:
            loaded = await plants.load(link)
        text = settings.read_text(self._path)
        return reportplan.parse(text, str(self._path), loaded.plant, self._names)

    async def look(self, report: Report, now: datetime, reach: Reach) -> Made:
        """Keep what the ledger can tell of every kind of period, as far back as asked."""
        kept = withheld = 0
        for period in KINDS:
            if not report.of(period):
                continue
            until = now - SETTLE[period]
            since = max(to_us(now - REACHES[reach][period]), report.since_us)
            made = await self._of(report, period, (since, to_us(until)), now)
            kept += made.kept
            withheld += made.withheld
        self.kept += kept
        self.withheld = withheld
        if kept or withheld:
            log.info("%s: %d figures to tell, %d withheld", report.site, kept, withheld)
        return Made(kept, withheld)

    async def _of(
        self, report: Report, period: Period, span_us: tuple[int, int], now: datetime
    ) -> Made:
        """Look at the periods that end in a span, chunk by chunk, each in its own transaction."""
        kept = withheld = 0
        low, until = span_us
        size = CHUNK_US if period is Period.SLOT else until - low
        while low < until:
            high = min(low + size, until)
            begun = _last_ended(period, high, until, report.timezone)
            async with self._pool.connection() as link:
                loaded = await plants.load(link)
                ledger = Ledger(link, loaded.plant, loaded.ids)
                found = await reportfigures.read(ledger, report, period, low, begun)
                kept += await reportqueue.record(link, report.site, found.figures, now)
                withheld += found.withheld
            low = high
        return Made(kept, withheld)


def _last_ended(period: Period, high: int, until: int, zone_name: str) -> int:
    """Return the end of the span of starts whose periods have ended by `until`."""
    start, _ = periods.period_at(period, until, zone_name)
    return min(high, start)
