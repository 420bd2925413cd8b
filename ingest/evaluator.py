"""Turns touched spans of units into results: energy over output, intensity, verdicts.

There is one way to compute a period, the first time and the fifth: from slots and facts, by
store.figures. Periods that are open are refreshed as time passes, and closed when they end. What
the verdicts mean to alerts is written in the same transaction (ingest.alerting).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from core import indicators, periods
from core.clock import to_us
from core.periods import Period
from ingest.alerting import Alerting, Computed
from store import figures, results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from core.plant import Plant, Unit

KINDS: Final = (Period.HOUR, Period.SHIFT, Period.DAY, Period.MONTH, Period.YEAR)
REFRESH_S: Final = 15.0  # how often open periods are computed without new data
PAUSE_S: Final = 1.0  # between passes, so that NOTIFY comes at most once a second


class Evaluator:
    """Computes results of units; one per ingest worker."""

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
        self.results_written = 0

    async def run(self) -> None:
        """Evaluate for ever: what was touched once a second, what is open every REFRESH_S."""
        since_refresh = REFRESH_S
        while True:
            if since_refresh >= REFRESH_S:
                since_refresh = 0.0
                await self.refresh()
            await self.step()
            await self.notify()
            since_refresh += PAUSE_S
            await asyncio.sleep(PAUSE_S)

    async def step(self) -> int:
        """Evaluate the oldest touched marks; return how many marks were settled."""
        plant, ids = self._plants()
        async with self._pool.connection() as connection:
            marks = await results.touched(connection)
            spans: dict[str, tuple[int, int]] = {}
            for _, name, begin, end in marks:
                known = spans.get(name, (begin, end))
                spans[name] = (min(begin, known[0]), max(end, known[1]))
            for unit_id, (begin, end) in spans.items():
                unit = plant.units.get(unit_id)
                if unit is not None:
                    await self._evaluate(connection, plant, ids, unit, begin, end)
            await results.settle(connection, [mark[0] for mark in marks])
        return len(marks)

    async def refresh(self) -> None:
        """Mark what time alone changes: open and ended periods of every unit, alerts that wait."""
        plant, _ = self._plants()
        now = self._clock()
        now_us = to_us(now)
        async with self._pool.connection() as connection:
            spans = [(unit, now_us, now_us + 1) for unit in plant.units]
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
        unit: Unit,
        begin_us: int,
        end_us: int,
    ) -> None:
        point_ids = [ids[point.id] for point in plant.points_of(unit.id) if point.id in ids]
        now = self._clock()
        extent = await results.extent(connection, unit.id, point_ids)
        low, high = _clipped(begin_us, end_us, extent, to_us(now))
        timezone = plant.sites[unit.site].timezone
        judged: list[Computed] = []
        for indicator_id in unit.indicators:
            indicator = indicators.catalogue().get(indicator_id)
            if indicator is None:
                continue
            for kind in KINDS:
                bounds = periods.periods_over(kind, low, high, timezone)
                for part in _parts(bounds):
                    found = await figures.compute(
                        connection, plant, ids, unit, indicator, part, now
                    )
                    for bound, item in zip(part, found, strict=True):
                        key = (unit.id, indicator_id, kind.value)
                        changed = await results.write(connection, key, bound, item, now)
                        self.results_written += changed
                        if kind in self._alerting.periods:
                            closed = bound[1] <= to_us(now)
                            judged.append(
                                Computed(indicator_id, kind, bound[0], closed, changed, item)
                            )
        await self._alerting.judge(connection, plant, unit, judged, now)


def _clipped(
    begin_us: int, end_us: int, extent: tuple[int, int] | None, now_us: int
) -> tuple[int, int]:
    """Cut a span to where there is data, but keep the present: open periods always have a row."""
    low, high = extent or (now_us, now_us + 1)
    low, high = min(low, now_us), max(high, now_us + 1)
    return max(begin_us, low), min(end_us, high)


def _parts(
    bounds: Sequence[tuple[int, int]], most: int = 1_000
) -> Iterable[Sequence[tuple[int, int]]]:
    for first in range(0, len(bounds), most):
        yield bounds[first : first + most]
