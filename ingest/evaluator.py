"""Turns touched spans of units into results: energy over output, intensity, verdicts.

There is one way to compute a period, the first time and the fifth: from slots and facts, by
store.figures. Periods that are open are refreshed as time passes, and closed when they end. What
the verdicts mean to alerts is written in the same transaction (ingest.alerting).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core import indicators, periods
from core.clock import to_us
from core.periods import Period
from ingest.alerting import Alerting, Computed
from store import basis as bases
from store import figures, results, versions
from store.basis import Basis
from store.figures import Asked
from store.versions import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from core.plant import Plant, Unit

KINDS: Final = (Period.HOUR, Period.SHIFT, Period.DAY, Period.MONTH, Period.YEAR)
REFRESH_S: Final = 15.0  # how often open periods are computed without new data
PAUSE_S: Final = 1.0  # between passes at least, so that NOTIFY comes at most once a second
YEAR_US: Final = 366 * 86_400_000_000
MOST_UNITS: Final = 10  # of one pass: while figures are computed, readings of this process wait
SHARE: Final = 4.0  # a pass that leaves units waiting is followed by so many times its length
MOST_TOGETHER: Final = 200  # periods computed with one question: nothing else runs meanwhile


class Evaluator:
    """Computes results of units; of many workers one at a time does."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        plants: Callable[[], tuple[Plant, Mapping[str, int]]],
        clock: Callable[[], datetime],
        alerting: Alerting | None = None,
    ) -> None:
        self._pool = pool
        self._plants = plants
        self._clock = clock
        self._alerting = alerting or Alerting()
        self._basis = Basis()
        self._left = False  # whether units wait that the last pass did not reach
        self.results_written = 0

    async def run(self) -> None:
        """Evaluate for ever: what was touched once a second, what is open every REFRESH_S.

        With more units than one pass takes, each is followed by a pause of SHARE times its length:
        figures of very many units leave four fifths of the time to readings.
        """
        refreshed = float("-inf")
        while True:
            began = time.monotonic()
            if began - refreshed >= REFRESH_S and not self._left:
                refreshed = began
                await self.refresh()
            await self.step()
            took = time.monotonic() - began
            await asyncio.sleep(SHARE * took if self._left else max(PAUSE_S, took))

    async def announce(self) -> None:
        """Tell the live stream once in PAUSE_S, for ever, whatever evaluation does meanwhile."""
        while True:
            await self.notify()
            await asyncio.sleep(PAUSE_S)

    async def step(self) -> int:
        """Evaluate the oldest touched marks; return how many marks were settled.

        None while another worker evaluates, or while something was declared that this one has
        not read yet: figures of an old declaration must not settle the marks of the new one.
        """
        plant, ids = self._plants()
        self._left = False
        async with self._pool.connection() as connection:
            if self._basis.plant is not plant:
                self._basis = await bases.of_plant(connection, plant, self._clock())
            if not await bases.is_newest(connection, self._basis):
                return 0
            if not await results.alone(connection):
                return 0
            touched, waiting = await results.touched(connection, MOST_UNITS)
            spans = {each.unit: (each.from_us, each.until_us) for each in touched}
            units = [plant.units[unit] for unit in spans if unit in plant.units]
            await self._evaluate(connection, plant, ids, units, spans)
            marks = [mark for each in touched for mark in each.marks]
            await results.settle(connection, marks)
        self._left = waiting > len(touched)
        return len(marks)

    async def refresh(self) -> None:
        """Mark what time alone changes: open and ended periods of every unit, alerts that wait."""
        plant, _ = self._plants()
        now = self._clock()
        now_us = to_us(now)
        async with self._pool.connection() as connection:
            # One that waits is computed soon, and looked at again the next time.
            waiting = await results.waiting(connection)
            spans = [(unit, now_us, now_us + 1) for unit in plant.units if unit not in waiting]
            spans += await results.overdue(connection, now)
            await results.touch(connection, spans)
        async with self._pool.connection() as connection:
            await self._alerting.tick(connection, plant, now)

    async def notify(self) -> None:
        """Tell the live stream that there may be something new, outside any write transaction."""
        async with self._pool.connection() as connection:
            await results.announce(connection)

    async def _evaluate(
        self,
        connection: AsyncConnection[Any],
        plant: Plant,
        ids: Mapping[str, int],
        units: Sequence[Unit],
        spans: Mapping[str, tuple[int, int]],
    ) -> None:
        """Compute every period that overlaps a unit's span, and step the units' alerts."""
        now = self._clock()
        points = {
            unit.id: [ids[point.id] for point in plant.points_of(unit.id) if point.id in ids]
            for unit in units
        }
        extents = await results.extents(connection, points)
        judged: dict[str, list[Computed]] = {unit.id: [] for unit in units}
        source = figures.Stored(connection, ids)
        for asked in batches(periods_of(plant, units, spans, extents, to_us(now))):
            found = await figures.compute_all(source, plant, [each.asked for each in asked], now)
            rows = [
                Figure(each.asked.unit.id, each.asked.indicator.id, each.kind.value, *bound, item)
                for each, items in zip(asked, found, strict=True)
                for bound, item in zip(each.asked.bounds, items, strict=True)
            ]
            changed = await versions.write_all(connection, rows, now, self._clock(), self._basis)
            self.results_written += sum(changed)
            for row, new in zip(rows, changed, strict=True):
                kind = Period(row.period)
                if kind in self._alerting.periods:
                    closed = row.end_us <= to_us(now)
                    judged[row.unit].append(
                        Computed(row.indicator, kind, row.start_us, closed, new, row.figures)
                    )
        for unit in units:
            await self._alerting.judge(connection, plant, unit, judged[unit.id], now)


@dataclass(frozen=True, slots=True)
class Periods:
    """Periods of one kind of a unit that must be computed for one indicator."""

    asked: Asked
    kind: Period


def periods_of(
    plant: Plant,
    units: Sequence[Unit],
    spans: Mapping[str, tuple[int, int]],
    extents: Mapping[str, tuple[int, int]],
    now_us: int,
) -> Iterator[Periods]:
    """Yield the periods that overlap the span of each unit, cut to where there is data."""
    for unit in units:
        low, high = _clipped(*spans[unit.id], extents.get(unit.id), now_us)
        timezone = plant.sites[unit.site].timezone
        known = [indicators.catalogue().get(each) for each in unit.indicators]
        for kind in KINDS if any(known) else ():
            bounds = bounds_over(kind, low, high, timezone)
            for indicator in known:
                if indicator is not None and indicator.has(kind):
                    yield Periods(Asked(unit, indicator, bounds), kind)


def bounds_over(kind: Period, low_us: int, high_us: int, timezone: str) -> list[tuple[int, int]]:
    """Return the periods that overlap a span of any length."""
    bounds: list[tuple[int, int]] = []
    begin = low_us if low_us >= high_us else periods.period_at(kind, low_us, timezone)[0]
    while begin < high_us:
        end = min(begin + YEAR_US, high_us)
        bounds += periods.periods_between(kind, begin, end, timezone)
        begin = end
    return bounds


def batches(wanted: Iterable[Periods], most: int = MOST_TOGETHER) -> Iterator[list[Periods]]:
    """Yield all periods in lists of at most `most` of them, cutting what is longer."""
    batch: list[Periods] = []
    room = most
    for each in wanted:
        unit, indicator, bounds = each.asked.unit, each.asked.indicator, each.asked.bounds
        while bounds:
            part, bounds = bounds[:room], bounds[room:]
            batch.append(Periods(Asked(unit, indicator, part), each.kind))
            room -= len(part)
            if room == 0:
                yield batch
                batch, room = [], most
    if batch:
        yield batch


def _clipped(
    begin_us: int, end_us: int, extent: tuple[int, int] | None, now_us: int
) -> tuple[int, int]:
    """Cut a span to where there is data, but keep the present: open periods always have a row."""
    low, high = extent or (now_us, now_us + 1)
    low, high = min(low, now_us), max(high, now_us + 1)
    return max(begin_us, low), min(end_us, high)
