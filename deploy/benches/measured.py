"""What every bench gives: a figure with its samples, its goal, and whether the goal is met.

A ratio is the median of interleaved pairs, so that a busy machine slows both sides alike; it is
shown, never asserted.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PAIRS: Final = 7


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure; `goal` is the least, or the most where `at_most`, and None where there is none.

    `beside` holds what explains the figure: rates, CPU seconds per million readings.
    """

    name: str
    unit: str
    goal: float | None
    samples: tuple[float, ...]
    at_most: bool = False
    beside: tuple[tuple[str, float], ...] = ()

    @property
    def value(self) -> float:
        """Return the median of the samples."""
        return statistics.median(self.samples)

    @property
    def met(self) -> bool | None:
        """Tell whether the goal is met; None where there is none."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def item(self) -> dict[str, object]:
        """Return the figure as JSON carries it (design 7)."""
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "goal": self.goal,
            "met": self.met,
            "samples": [round(sample, 4) for sample in self.samples],
            "beside": {name: round(value, 4) for name, value in self.beside},
        }

    def line(self) -> str:
        """Return the figure as the table shows it."""
        mark = {None: "", True: "met", False: "MISSED"}[self.met]
        bound = "at most" if self.at_most else "at least"
        goal = "" if self.goal is None else f"{bound} {self.goal:,g}"
        beside = "".join(f"  {name} {value:,.6g}" for name, value in self.beside)
        return f"{self.name:<26}{self.value:>14,.3f} {self.unit:<8}{goal:<18}{mark:<7}{beside}"


def seconds(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes [s]."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
