"""Gauges that stand still: the same digits for longer than this gauge ever showed before.

How long is too long is the gauge's own past: one of coarse steps repeats itself often, one of fine
steps hardly ever. Zero is left alone: a load that is off shows it truly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.periods import HOUR_US

if TYPE_CHECKING:
    from core.exactmath import Floats, Int64s

LEAST_US: Final = HOUR_US
LEAST_READINGS: Final = 10  # of a stretch: fewer are silence, not stillness
LEAST_MOVES: Final = 50  # that a gauge must have made for its past to say anything
TIMES_ITS_PAST: Final = 4
LEAST_MOVING: Final = 0.2  # of its steps: a gauge that moves less is a switch


@dataclass(frozen=True, slots=True)
class Stretch:
    """A gauge showed one value on [since, until]; `usual_us` is the longest otherwise."""

    since_us: int
    until_us: int
    readings: int
    value: float
    usual_us: int


def stretches(ts_us: Int64s, values: Floats) -> list[Stretch]:
    """Return the stretches in which a gauge is frozen, in order of time."""
    if len(ts_us) < LEAST_READINGS:
        return []
    moves = np.flatnonzero(np.diff(values) != 0)
    starts = np.concatenate([[0], moves + 1])
    ends = np.concatenate([moves, [len(values) - 1]])
    length = ts_us[ends] - ts_us[starts]
    readings = ends - starts + 1
    if len(moves) < LEAST_MOVES:
        return []
    on = values[starts] != 0
    long = np.flatnonzero(on & (length >= LEAST_US) & (readings >= LEAST_READINGS))
    if not len(long):
        return []
    moving = len(moves) / max(len(values) - 1 - int((readings[long] - 1).sum()), 1)
    others = np.ones(len(starts), np.bool_)
    # The past of a stretch is all that is not as long as itself: two failures do not excuse
    # each other, but a gauge that stands so often is one of coarse steps.
    others[long] = False
    usual = int(length[others & on].max(initial=0))
    if len(long) > max(3, len(starts) // 20):
        return []
    return [
        Stretch(
            int(ts_us[starts[one]]), int(ts_us[ends[one]]), int(readings[one]),
            float(values[starts[one]]), usual,
        )
        for one in long
        if length[one] >= TIMES_ITS_PAST * usual and moving >= LEAST_MOVING
    ]  # fmt: skip
