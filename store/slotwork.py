"""Slots of a span of one point, computed from the readings in the store.

One way to look at the readings, for late data, for a recompute and for what was known at an
instant: the slots themselves come from the one pure function (core.energy). Promise: a span of any
length is read a chunk at a time, and each chunk with as much around it as its slots depend on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import counters, energy
from core.periods import SLOT_US
from core.plant import PointKind
from core.quality import Quality
from store import readings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.energy import Figures
    from core.plant import Point
    from store.readings import Series

log = logging.getLogger(__name__)

CHUNK_US: Final = 672 * SLOT_US  # a week of slots computed at once
CONTEXT_READINGS: Final = 4  # beyond the span of time, on either side
MOST_WIDENINGS: Final = 8
MOST_COUNT: Final = 4.0e18  # in counts of the series: inside int64


async def from_store(
    connection: AsyncConnection[Any],
    point: Point,
    point_id: int,
    span_us: tuple[int, int],
    confirmed_us: frozenset[int],
    known_at: datetime | None = None,
) -> AsyncIterator[tuple[int, Figures]]:
    """Yield (start, figures of the slots from there on) over a span that lies on slots.

    With `known_at`, as if nothing had been recorded later.
    """
    low_us, high_us = span_us
    for start_us in range(low_us, high_us, CHUNK_US):
        stop_us = min(high_us, start_us + CHUNK_US)
        series = await context(connection, point, point_id, (start_us, stop_us), known_at)
        edges = np.arange(start_us, stop_us + 1, SLOT_US, dtype=np.int64)
        yield (
            start_us,
            energy.figures(point, series.ts_us, series.value, series.quality, edges, confirmed_us),
        )


async def context(
    connection: AsyncConnection[Any],
    point: Point,
    point_id: int,
    span_us: tuple[int, int],
    known_at: datetime | None = None,
) -> Series:
    """Return the readings that decide the slots of a span.

    Reaches back far enough that no suspect step lies where the context begins: what is a spike
    there would depend on what came before.
    """
    start_us, stop_us = span_us
    margin_us = max(point.max_gap_us, point.interval_us or 0)
    stop_us += margin_us
    around = CONTEXT_READINGS
    series = await readings.read_series(
        connection, point_id, start_us - margin_us, stop_us, around, around, known_at
    )
    for widening in range(1, MOST_WIDENINGS):
        if not begins_in_doubt(point, series, start_us, margin_us):
            return series
        low_us = start_us - margin_us * 4**widening
        series = await readings.read_series(
            connection, point_id, low_us, stop_us, around, around, known_at
        )
    log.warning("point %s has suspect steps without pause before %s", point.id, start_us)
    return series


def begins_in_doubt(point: Point, series: Series, start_us: int, margin_us: int) -> bool:
    """Tell whether a suspect step lies near the beginning of the context, before the slots."""
    if point.kind is not PointKind.COUNTER or point.rated_power_kw is None:
        return False
    usable = (series.quality != Quality.BAD) & np.isfinite(series.value)
    ts_us = series.ts_us[usable]
    if len(ts_us) <= 2 * CONTEXT_READINGS:
        return False
    values = series.value[usable]
    scale = energy.scale_of(point, values)
    possible = np.abs(values) < MOST_COUNT / scale
    ts_us, values = ts_us[possible], values[possible]
    counts = np.rint(values * scale).astype(np.int64)
    doubt = counters.spans_of_doubt(ts_us, counts, energy.rule_of(point, scale))
    head = min(int(ts_us[0]) + margin_us, start_us)
    return bool((doubt < head).any())
