"""`danhao bench [NAME...]`: speed as ratios measured in one run, beside the goals of the design.

A ratio is the median of interleaved pairs, so that a busy machine slows both sides alike; it is
shown, never asserted.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core import counters

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

PAIRS: Final = 7
POINTS: Final = 120
READINGS: Final = 86_400  # of a point: a day at 1 s; 10.4 M in all
RIVAL_PER_S: Final = 125_000  # MyEMS' normalization on the same kind of machine
SECOND_US: Final = 1_000_000
MODULUS: Final = 10_000_000
SLOT_US: Final = 900 * SECOND_US


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure of a bench: its samples, the goal, and whether the median meets it."""

    name: str
    unit: str
    goal: float
    samples: tuple[float, ...]

    @property
    def value(self) -> float:
        """Return the median of the samples."""
        return statistics.median(self.samples)

    def item(self) -> dict[str, object]:
        """Return the figure as JSON carries it."""
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "goal": self.goal,
            "met": self.value >= self.goal,
            "samples": [round(sample, 4) for sample in self.samples],
        }


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `bench`."""
    parser = commands.add_parser("bench", help="speed as ratios measured in one run")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a name's beginning; default all")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    known = [name for names, _ in BENCHES for name in names]
    wrong = [name for name in options.names if not any(k.startswith(name) for k in known)]
    if wrong:
        sys.stderr.write(f"danhao bench: no bench begins with {wrong}; there are {known}\n")
        return 2
    found: list[Measured] = []
    for names, bench in BENCHES:
        if not options.names or any(n.startswith(w) for n in names for w in options.names):
            found += bench()
    if options.json:
        machine = {
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "python": platform.python_version(),
        }
        json.dump({"machine": machine, "results": [m.item() for m in found]}, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        for one in found:
            mark = "met" if one.value >= one.goal else "MISSED"
            figure = f"{one.name:<24} {one.value:>14,.3f} {one.unit:<6}"
            sys.stdout.write(f"{figure} goal {one.goal:>12,} {mark}\n")
    return 0


def kernel() -> list[Measured]:
    """Counter to energy with full semantics, against summing its two input arrays once."""
    columns = list(_registers())
    edges = np.arange(0, 96 + 1, dtype=np.int64) * SLOT_US + columns[0][0][0]
    rule = counters.Rule(MODULUS, counters.Allowance(1, SECOND_US, 100), 60 * SECOND_US)
    ratios, rates = [], []
    for _ in range(PAIRS):
        floor = _seconds(lambda: [(ts.sum(), counts.sum()) for ts, counts in columns])
        took = _seconds(
            lambda: [
                np.diff(counters.levels_at(counters.track(ts, counts, rule), edges, 660_000_000, 1))
                for ts, counts in columns
            ]
        )
        ratios.append(floor / took)
        rates.append(POINTS * READINGS / took / RIVAL_PER_S)
    return [
        Measured("kernel.vs_sum", "ratio", 0.25, tuple(ratios)),
        Measured("kernel.readings_per_s", "ratio", 1000, tuple(rates)),
    ]


def _registers() -> Iterator[tuple[np.ndarray, np.ndarray]]:
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


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


BENCHES: Final[tuple[tuple[tuple[str, ...], Callable[[], list[Measured]]], ...]] = (
    (("kernel.vs_sum", "kernel.readings_per_s"), kernel),
)
