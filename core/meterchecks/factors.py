"""What a wrong factor may come from: a lost digit, another unit, transformers, a missing phase.

A factor is what is shown over what is true. An explanation is a hint where to look, not a proof:
several may fit, and the nearest stands first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt
from typing import Final

# Standard rated primary currents of current transformers (IEC 61869-2), a decade of them.
_PRIMARY_A: Final = (10, 12.5, 15, 20, 25, 30, 40, 50, 60, 75)
MOST_CT_RATIO: Final = 5.0  # nobody takes a transformer for one further away
LEAST_FACTOR: Final = 1.08  # closer to 1 it is a drift
TOLERANCE: Final = 0.02  # of the factor: class errors and what else moved meanwhile
MOST_TOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Explanation:
    """A cause that gives this factor exactly; `cause` is a word of a closed list."""

    cause: str
    factor: float


DIGIT, UNIT, SECONDARY, PHASE, VOLTAGE, CURRENT_TRANSFORMER = (
    "digit",
    "unit",
    "secondary_current",
    "phase",
    "line_voltage",
    "current_transformer",
)


@lru_cache(maxsize=1)
def known() -> tuple[Explanation, ...]:
    """Return every explanation, the plainer before the rarer one of the same factor."""
    found = [Explanation(UNIT, 1000.0), Explanation(UNIT, 0.001), Explanation(UNIT, 3.6)]
    found += [Explanation(UNIT, 1 / 3.6)]
    found += [Explanation(DIGIT, 10.0**power) for power in (1, -1, 2, -2)]
    found += [Explanation(SECONDARY, 5.0), Explanation(SECONDARY, 0.2)]
    found += [Explanation(PHASE, 2 / 3), Explanation(PHASE, 1 / 3)]
    found += [Explanation(VOLTAGE, sqrt(3)), Explanation(VOLTAGE, 1 / sqrt(3))]
    ratios = sorted(
        {
            round(one * decade / other, 6)
            for one in _PRIMARY_A
            for other in _PRIMARY_A
            for decade in (1, 10)
            if 1 < one * decade / other <= MOST_CT_RATIO
        }
    )
    for ratio in ratios:
        found += [
            Explanation(CURRENT_TRANSFORMER, ratio),
            Explanation(CURRENT_TRANSFORMER, 1 / ratio),
        ]
    return tuple(found)


def explain(factor: float, tolerance: float = TOLERANCE) -> tuple[Explanation, ...]:
    """Return what fits a factor, nearest first; nothing for one close to 1 or below 0."""
    if factor <= 0 or abs(log(factor)) < log(LEAST_FACTOR):
        return ()
    near = [
        (round(abs(log(each.factor / factor)), 9), place, each)
        for place, each in enumerate(known())
        if abs(log(each.factor / factor)) <= tolerance
    ]
    return tuple(each for _, _, each in sorted(near, key=lambda one: one[:2])[:MOST_TOLD])
