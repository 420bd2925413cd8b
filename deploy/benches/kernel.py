"""The counter kernel against summing its two input arrays once, and against a rival's rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from core import counters
from deploy.benches.measured import PAIRS, Measured, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.exactmath import Int64s

NAMES: Final = ("kernel.vs_sum", "kernel.readings_per_s")
POINTS: Final = 120
READINGS: Final = 86_400  # of a point: a day at 1 s; 10.4 M in all
RIVAL_PER_S: Final = 125_000  # MyEMS' normalization on the same kind of machine
SECOND_US: Final = 1_000_000
MODULUS: Final = 10_000_000
SLOT_US: Final = 900 * SECOND_US


def measure() -> list[Measured]:
    """Counter to energy with full semantics: rollovers, resets, interpolated edges."""
    columns = list(_registers())
    edges = np.arange(0, 96 + 1, dtype=np.int64) * SLOT_US + columns[0][0][0]
    rule = counters.Rule(MODULUS, counters.Allowance(1, SECOND_US, 100), 60 * SECOND_US)
    ratios, rates = [], []
    for _ in range(PAIRS):
        floor = seconds(lambda: [(ts.sum(), counts.sum()) for ts, counts in columns])
        took = seconds(
            lambda: [
                np.diff(counters.levels_at(counters.track(ts, counts, rule), edges, 660_000_000, 1))
                for ts, counts in columns
            ]
        )
        ratios.append(floor / took)
        rates.append(POINTS * READINGS / took)
    per_s = tuple(rate / RIVAL_PER_S for rate in rates)
    return [
        Measured("kernel.vs_sum", "ratio", 0.25, tuple(ratios)),
        Measured(
            "kernel.readings_per_s", "ratio", 1000, per_s, beside=(("readings/s", max(rates)),)
        ),
    ]


def _registers() -> Iterator[tuple[Int64s, Int64s]]:
    """Yield (ts, counts) of registers, one in ten with a rollover, one in seven with a reset."""
    random = np.random.default_rng(1)
    for number in range(POINTS):
        ts = np.arange(READINGS, dtype=np.int64) * SECOND_US
        counts = np.cumsum(random.integers(0, 21, READINGS)).astype(np.int64)
        if number % 10 == 0:
            counts = (counts + MODULUS - int(counts[READINGS // 2])) % MODULUS
        if number % 7 == 0:
            counts[READINGS // 3 :] -= int(counts[READINGS // 3])
        yield ts, counts
