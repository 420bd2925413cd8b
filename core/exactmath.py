"""Exact integer arithmetic on arrays: int64 where it provably fits, Python integers where not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.decimals import round_half_even

if TYPE_CHECKING:
    from collections.abc import Callable


Int64s: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Int16s: TypeAlias = NDArray[np.int16]
Bools: TypeAlias = NDArray[np.bool_]

_HALF: Final = 2**63
_SAFE: Final = 4.0e18  # well inside int64, so that sums of two stay inside too


def levels(start: Int64s, rise: Int64s, dt_us: Int64s, x_us: Int64s, num: int, den: int) -> Int64s:
    """Return round_half_even((start + rise * x/dt) * num/den) for each row, exactly.

    `start`, `rise` in counts, `dt_us > 0`, `0 <= x_us <= dt_us`. One rounding, at the end. Levels
    are modulo 2**64: a count of 2**53 has no place in int64 millionths, the difference of two has.
    """
    if len(start) == 0:
        return np.zeros(0, np.int64)
    if den == 1 and _fits(start, rise, dt_us, x_us, num):
        quotient, rest = np.divmod(rise * x_us, dt_us)
        base = (start + quotient) * num
        more, rest = np.divmod(rest * num, dt_us)
        base += more
        twice = 2 * rest
        base += (twice > dt_us) | ((twice == dt_us) & (base % 2 == 1))
        return base
    return by_row(
        lambda c, r, d, x: round_half_even((c * d + r * x) * num, d * den), start, rise, dt_us, x_us
    )


def levels_each(
    start: Int64s, rise: Int64s, dt_us: Int64s, x_us: Int64s, num: Int64s, den: Int64s
) -> Int64s:
    """Return `levels` with a multiplier num/den for each row; `num`, `den > 0`."""
    if len(start) == 0:
        return np.zeros(0, np.int64)
    quotient, rest = np.divmod(rise * x_us, dt_us)
    whole, over = np.divmod((start + quotient) * num, den)
    # What is left: over/den + rest * num/(dt * den), in one fraction over dt * den.
    more, left = np.divmod(over * dt_us + rest * num, dt_us * den)
    found = whole + more
    twice, unit = 2 * left, dt_us * den
    found += (twice > unit) | ((twice == unit) & (found % 2 == 1))
    odd = ~_fits_each(start, rise, dt_us, x_us, num, den)
    if odd.any():
        found[odd] = by_row(
            lambda c, r, d, x, n, m: round_half_even((c * d + r * x) * n, d * m),
            *(column[odd] for column in (start, rise, dt_us, x_us, num, den)),
        )
    return found


def by_row(formula: Callable[..., int], *columns: Int64s) -> Int64s:
    """Apply an integer formula row by row with Python integers; results are modulo 2**64."""
    rows = zip(*(column.tolist() for column in columns), strict=True)
    whole = [(formula(*row) + _HALF) % (2 * _HALF) - _HALF for row in rows]
    return np.array(whole, dtype=np.int64)


def overlaps(
    t0_us: Int64s, t1_us: Int64s, edges_us: Int64s
) -> tuple[Int64s, Int64s, Int64s, Int64s]:
    """Pair spans [t0, t1) with the intervals between edges that they overlap.

    Returns (span index, interval index, low, high) with one row per pair, low < high.
    """
    first = np.maximum(np.searchsorted(edges_us, t0_us, "right") - 1, 0)
    last = np.minimum(np.searchsorted(edges_us, t1_us, "left"), len(edges_us) - 1)
    count = np.maximum(last - first, 0)
    span = np.repeat(np.arange(len(t0_us)), count)
    step = np.arange(len(span)) - np.repeat(np.cumsum(count) - count, count)
    interval = np.repeat(first, count) + step
    low = np.maximum(edges_us[interval], t0_us[span])
    high = np.minimum(edges_us[interval + 1], t1_us[span])
    kept = low < high
    return span[kept], interval[kept], low[kept], high[kept]


def total(index: Int64s, amount: Int64s, length: int) -> Int64s:
    """Sum amounts by index into an array of `length`, in exact integers."""
    result = np.zeros(length, np.int64)
    np.add.at(result, index, amount)
    return result


def millionths(values: Floats) -> Int64s:
    """Return values in millionths; exact for what was sent with at most six places."""
    return np.rint(values * 1e6).astype(np.int64)


def _fits(start: Int64s, rise: Int64s, dt_us: Int64s, x_us: Int64s, num: int) -> bool:
    most_level = float(np.abs(start).max()) + float(np.abs(rise).max())
    most_product = float(np.abs(rise).max()) * float(x_us.max())
    most_rest = float(dt_us.max()) * abs(float(num)) * 2
    return most_level * abs(float(num)) < _SAFE and most_product < _SAFE and most_rest < _SAFE


def _fits_each(
    start: Int64s, rise: Int64s, dt_us: Int64s, x_us: Int64s, num: Int64s, den: Int64s
) -> Bools:
    """Tell of each row whether no step of `levels_each` leaves int64."""
    n, m, d = num.astype(np.float64), den.astype(np.float64), dt_us.astype(np.float64)
    fits: Bools = (np.abs(start.astype(np.float64)) + np.abs(rise.astype(np.float64))) * n < _SAFE
    fits &= np.abs(rise.astype(np.float64)) * x_us < _SAFE
    fits &= (m + n) * d * 2 < _SAFE
    return fits
