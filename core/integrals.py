"""Gauges integrated and intervals shared out, exactly (design 4.6).

A gauge of kind rate is linear between neighbours and cut at bounds; a step longer than its
max_gap is unknown. An interval's value belongs to [measured_at, measured_at + interval) and is
shared in proportion to time. Each step or interval is rounded half-even where it is cut, from
its own start, so the parts always add to the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core import exactmath
from core.decimals import round_half_even
from core.exactmath import Floats, Int64s
from core.flags import Flag

if TYPE_CHECKING:
    from fractions import Fraction

Booked = tuple[Int64s, Int64s, Int64s]


def gauge(
    ts_us: Int64s, values: Floats, edges_us: Int64s, per_us: Fraction, max_gap_us: int
) -> Booked:
    """Return (energy_e6, measured_us, flags) per interval of a rate linear between readings.

    `per_us` is the energy that a rate of 1 gives in one microsecond.
    """
    length = len(edges_us) - 1
    rates = exactmath.millionths(values)
    t0, t1 = ts_us[:-1], ts_us[1:]
    known = (t1 - t0) <= max_gap_us
    step, interval, low, high = exactmath.overlaps(t0, t1, edges_us)
    kept = known[step]
    flags = np.zeros(length, np.int64)
    np.bitwise_or.at(flags, interval[~kept], int(Flag.GAP))
    step, interval, low, high = step[kept], interval[kept], low[kept], high[kept]
    start, rise, dt = rates[:-1][step], (rates[1:] - rates[:-1])[step], (t1 - t0)[step]
    num, den = per_us.numerator, per_us.denominator

    def area(v0: int, dv: int, width: int, x: int) -> int:
        return round_half_even((2 * v0 * x * width + dv * x * x) * num, 2 * width * den)

    upper = exactmath.by_row(area, start, rise, dt, high - t0[step])
    lower = exactmath.by_row(area, start, rise, dt, low - t0[step])
    energy = exactmath.total(interval, upper - lower, length)
    return energy, exactmath.total(interval, high - low, length), flags


def interval(
    ts_us: Int64s, values: Floats, edges_us: Int64s, multiplier: Fraction, interval_us: int
) -> Booked:
    """Return (energy_e6, measured_us, flags) between edges, of spans that start at `ts_us`."""
    length = len(edges_us) - 1
    amounts = exactmath.millionths(values)
    row, place, low, high = exactmath.overlaps(ts_us, ts_us + interval_us, edges_us)
    amount, t0 = amounts[row], ts_us[row]
    still = np.zeros_like(amount)
    width = np.full_like(amount, interval_us)
    num, den = multiplier.numerator, multiplier.denominator
    upper = exactmath.levels(still, amount, width, high - t0, num, den)
    lower = exactmath.levels(still, amount, width, low - t0, num, den)
    energy = exactmath.total(place, upper - lower, length)
    measured = exactmath.total(place, high - low, length)
    return energy, measured, np.zeros(length, np.int64)
