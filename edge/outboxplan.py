"""How long an outbox of a size lasts without any receipt, for a number of points and a period.

The bytes of a reading are measured, not assumed: envelopes are made as the agent makes them, of
points half of which are counters and half gauges, and packed as the outbox packs them. Pure.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from core import wire
from core.reading import Reading
from edge import outboxfile
from edge.outboxfile import ROW_BYTES

MOST_BATCH_READINGS: Final = 500  # as the agent's
ROUNDS: Final = 8  # polls that the estimate is made of
MOST_SAMPLED_POINTS: Final = 2_000
US_PER_DAY: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What an outbox holds: `days` until the first reading is dropped, and what bounds them."""

    points: int
    period_s: float
    bytes_per_reading: float
    readings_per_day: float
    days_by_size: float
    days_by_age: float

    @property
    def days(self) -> float:
        """Return how many days without any receipt cost nothing."""
        return min(self.days_by_size, self.days_by_age)


def plan(points: int, period_s: float, most_bytes: int, keep_days: float) -> Plan:
    """Return how long an outbox lasts for so many points, each read once a period."""
    size = bytes_per_reading(points, period_s)
    per_day = points * US_PER_DAY / 1e6 / period_s
    return Plan(points, period_s, size, per_day, most_bytes / (size * per_day), keep_days)


def most_points(days: float, period_s: float, most_bytes: int) -> int:
    """Return for how many points an outbox lasts so many days, to three figures."""
    low, high = 0, 1
    while plan(high, period_s, most_bytes, days).days_by_size >= days:
        low, high = high, 2 * high
    while high - low > max(1, low // 200):
        middle = (low + high) // 2
        if plan(middle, period_s, most_bytes, days).days_by_size >= days:
            low = middle
        else:
            high = middle
    return low


def bytes_per_reading(points: int, period_s: float) -> float:
    """Return what a reading takes on the disk, its share of the envelope's row included."""
    sampled = min(points, MOST_SAMPLED_POINTS)
    draw = random.Random(sampled)  # noqa: S311 - the same estimate each time, no secret
    names = [f"plant-1.potline-{n // 4}.{_NAMES[n % 4]}" for n in range(sampled)]
    counts = [draw.randrange(10**6, 10**9) for _ in names]
    total = 0
    for turn in range(ROUNDS):
        begun_us = round((1_790_000_000 + turn * period_s) * 1e6)
        readings: list[Reading] = []
        for n, name in enumerate(names):
            counts[n] += draw.randrange(max(2, round(20 * period_s)))
            value = counts[n] if n % 2 == 0 else round(draw.gauss(1_000, 10), 2)
            at_us = begun_us + n // 4 * 8_000 + draw.randrange(3_000)
            readings.append(Reading(name, at_us, value))
        for first in range(0, sampled, MOST_BATCH_READINGS):
            body = wire.columns(readings[first : first + MOST_BATCH_READINGS])
            total += len(outboxfile.packed(body)) + ROW_BYTES
    return total / (ROUNDS * sampled)


_NAMES: Final = ("ac-import", "power-total", "ac-export", "voltage-l1")
