"""Readings of one point to exact energy per interval: the one pure function behind every period.

Counters by `core.counters`, gauges and intervals by `core.integrals`; here are the multipliers
with their validity, the declared meter exchanges, and the sums over cuts (design 4.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from core import counters, decimals, exactmath, integrals, units
from core.decimals import E6
from core.flags import Flag
from core.plant import Point, PointKind
from core.quality import Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from decimal import Decimal

    from core.exactmath import Floats, Int16s, Int64s

PLAUSIBLE: Final = Fraction(12, 10)  # of the rated power, design 4.6
HOUR_US: Final = 3_600_000_000
MOST_COUNT: Final = 2.0**53  # of a register that shows whole counts: a float64 holds no more
MOST_SCALED: Final = 4.0e12  # of one with decimals: kept in millionths, the difference in int64
MOST_RATE: Final = 1.0e11  # of a gauge or an interval, in its unit
MOST_STEP_E6: Final = 4 * 10**18  # between two readings: more is held, int64 has an end


@dataclass(frozen=True, slots=True)
class Figures:
    """Energy of consecutive intervals; all arrays have one row an interval.

    `energy_e6`, `estimated_e6` in 1e-6 of the point's energy unit; `booked_us` is the time whose
    energy is known (0: energy is unknown, not zero), `measured_us` the part that is no gap;
    `flags` are core.flags.Flag bits.
    """

    energy_e6: Int64s
    estimated_e6: Int64s
    booked_us: Int64s
    measured_us: Int64s
    flags: Int64s

    @classmethod
    def nothing(cls, length: int) -> Figures:
        """Return figures of `length` intervals of which nothing is known."""
        return cls(*(np.zeros(length, np.int64) for _ in range(5)))

    def add(self, first: int, other: Figures) -> None:
        """Add the figures of a run of intervals that begins at row `first`."""
        rows = slice(first, first + len(other.energy_e6))
        self.energy_e6[rows] += other.energy_e6
        self.estimated_e6[rows] += other.estimated_e6
        self.booked_us[rows] += other.booked_us
        self.measured_us[rows] += other.measured_us
        self.flags[rows] |= other.flags

    def fold(self, index: Int64s, length: int) -> Figures:
        """Sum neighbouring rows into `length` intervals; `index` names each row's interval."""
        flags = np.zeros(length, np.int64)
        np.bitwise_or.at(flags, index, self.flags)
        return Figures(
            exactmath.total(index, self.energy_e6, length),
            exactmath.total(index, self.estimated_e6, length),
            exactmath.total(index, self.booked_us, length),
            exactmath.total(index, self.measured_us, length),
            flags,
        )


def figures(
    point: Point,
    ts_us: Int64s,
    values: Floats,
    quality: Int16s,
    edges_us: Int64s,
    confirmed_us: frozenset[int] = frozenset(),
) -> Figures:
    """Return the energy of each interval between `edges_us` [n+1] from one point's readings.

    Readings are sorted by time without repeats. Bad ones count as absent. What lies outside the
    readings is not booked; give the readings around the edges too.
    """
    length = len(edges_us) - 1
    if point.energy_unit is None or length < 1:
        return Figures.nothing(max(length, 0))
    ts_us, values, quality, beyond_us = _usable(point, ts_us, values, quality)
    cuts = _cuts(point, edges_us)
    result = Figures.nothing(len(cuts) - 1)
    _mark(result, cuts, beyond_us, Flag.IMPLAUSIBLE)
    if len(ts_us):
        book = _booker(point, ts_us, values, confirmed_us)
        for first, last, multiplier in _regions(point, cuts):
            sub = cuts[first : last + 1]
            if multiplier is None:
                _mark_unknown(result, first, sub, ts_us)
            else:
                result.add(first, book(sub, multiplier))
        _mark_uncertain(point, result, cuts, ts_us[quality == Quality.UNCERTAIN])
    changes = np.array([since for since, _ in point.multipliers[1:]], np.int64)
    _mark(result, cuts, changes, Flag.MULTIPLIER_CHANGED)
    if len(cuts) == len(edges_us):
        return result
    return result.fold(np.searchsorted(edges_us, cuts[:-1], "right") - 1, length)


def _usable(
    point: Point, ts_us: Int64s, values: Floats, quality: Int16s
) -> tuple[Int64s, Floats, Int16s, Int64s]:
    """Return what counts, and the instants of values that no exact arithmetic takes."""
    nothing = np.zeros(0, np.int64)
    if len(ts_us) == 0:
        return ts_us, values, quality, nothing
    # All good as a rule: three looks at the extremes, no copies. A NaN compares false.
    least = min(MOST_RATE, MOST_SCALED)
    if quality.max() < Quality.BAD and values.max() <= least and values.min() >= -least:
        return ts_us, values, quality, nothing
    usable = (quality != Quality.BAD) & np.isfinite(values)
    ts_us, values, quality = ts_us[usable], values[usable], quality[usable]
    possible = np.abs(values) <= _most(point, scale_of(point, values))
    beyond_us = ts_us[~possible]
    return ts_us[possible], values[possible], quality[possible], beyond_us


def _booker(
    point: Point, ts_us: Int64s, values: Floats, confirmed_us: frozenset[int]
) -> Callable[[Int64s, Fraction], Figures]:
    """Return what books a point's usable readings on intervals, at one multiplier."""
    if point.kind is PointKind.GAUGE:
        return lambda edges_us, multiplier: _plain(
            integrals.gauge(ts_us, values, edges_us, multiplier / HOUR_US, point.max_gap_us)
        )
    if point.kind is PointKind.INTERVAL:
        interval_us = point.interval_us or 1
        return lambda edges_us, multiplier: _plain(
            integrals.interval(ts_us, values, edges_us, multiplier, interval_us)
        )
    scale = scale_of(point, values)
    counts = (values if scale == 1 else np.rint(values * scale)).astype(np.int64)
    rule = rule_of(point, scale, confirmed_us)
    tracks = [
        counters.track(part_ts, part_counts, rule)
        for part_ts, part_counts in _segments(point, ts_us, counts, scale)
        if len(part_ts)
    ]
    return lambda edges_us, multiplier: _counter(point, tracks, edges_us, multiplier * E6 / scale)


def _plain(found: tuple[Int64s, Int64s, Int64s]) -> Figures:
    energy, measured, flags = found
    return Figures(energy, np.zeros_like(energy), measured, measured.copy(), flags)


def _cuts(point: Point, edges_us: Int64s) -> Int64s:
    inside = [since for since, _ in point.multipliers if edges_us[0] < since < edges_us[-1]]
    return np.union1d(edges_us, np.array(inside, np.int64)) if inside else edges_us


def _regions(point: Point, cuts: Int64s) -> Iterable[tuple[int, int, Fraction | None]]:
    """Yield (first cut, last cut, multiplier) runs of one multiplier; None before the first."""
    if not point.multipliers:
        yield 0, len(cuts) - 1, Fraction(1)
        return
    starts = [since for since, _ in point.multipliers]
    places = np.searchsorted(np.array(starts, np.int64), cuts[:-1], "right") - 1
    first = 0
    for row in range(1, len(places) + 1):
        if row == len(places) or places[row] != places[first]:
            place = int(places[first])
            yield first, row, None if place < 0 else point.multipliers[place][1]
            first = row


def _mark(result: Figures, cuts: Int64s, at_us: Int64s, flag: Flag) -> None:
    inside = at_us[(at_us >= cuts[0]) & (at_us < cuts[-1])]
    result.flags[np.searchsorted(cuts, inside, "right") - 1] |= int(flag)


def _mark_uncertain(point: Point, result: Figures, cuts: Int64s, at_us: Int64s) -> None:
    """Flag where an uncertain reading counts: at its instant, or all along its interval."""
    if point.kind is PointKind.INTERVAL:
        _, row, _, _ = exactmath.overlaps(at_us, at_us + (point.interval_us or 1), cuts)
        result.flags[row] |= int(Flag.UNCERTAIN)
    else:
        _mark(result, cuts, at_us, Flag.UNCERTAIN)


def _mark_unknown(result: Figures, first: int, sub: Int64s, ts_us: Int64s) -> None:
    held = np.diff(np.clip(sub, ts_us[0], ts_us[-1])) > 0
    result.flags[first : first + len(held)][held] |= int(Flag.MULTIPLIER_UNKNOWN)


def scale_of(point: Point, values: Floats) -> int:
    """Return 1 where all counts are whole, else 1e6: decimals are kept as sent (design 4.2)."""
    if point.kind is not PointKind.COUNTER:
        return E6
    declared = all(
        exchange.closing % 1 == 0 and exchange.opening % 1 == 0 for exchange in point.exchanges
    )
    return 1 if declared and _all_whole(values) else E6


def _all_whole(values: Floats) -> bool:
    """Tell whether no value has decimals, block by block: the first that has one decides."""
    whole = np.empty(min(counters.BLOCK, len(values)))
    for low in range(0, len(values), counters.BLOCK):
        block = values[low : low + counters.BLOCK]
        if not np.array_equal(np.rint(block, out=whole[: len(block)]), block):
            return False
    return True


def _most(point: Point, scale: int) -> float:
    """Return the largest value that exact arithmetic takes; what lies beyond counts as absent."""
    if point.kind is not PointKind.COUNTER:
        return MOST_RATE
    return MOST_COUNT if scale == 1 else MOST_SCALED


def _counter(
    point: Point, tracks: Sequence[counters.Track], edges_us: Int64s, ratio: Fraction
) -> Figures:
    """Book the registers of one point, one after the other, in 1e-6 units per count."""
    result = Figures.nothing(len(edges_us) - 1)
    for found in tracks:
        result.add(0, _booked(found, edges_us, ratio))
    moments = np.array([exchange.at_us for exchange in point.exchanges], np.int64)
    _mark(result, edges_us, moments, Flag.EXCHANGE)
    return result


def rule_of(point: Point, scale: int, confirmed_us: frozenset[int] = frozenset()) -> counters.Rule:
    """Return how to read the point's register, in counts of 1/scale.

    What is allowed follows the multiplier in force; a step astride a change may take the more
    generous, and before the first multiplier the first one counts. No step may exceed
    MOST_STEP_E6 at the largest multiplier.
    """
    modulus = None if point.modulus is None else point.modulus * scale
    multipliers = [value for _, value in point.multipliers] or [Fraction(1)]
    most = max(abs(value) for value in multipliers) * E6 / scale
    most_rise = min(2**62, int(MOST_STEP_E6 / most)) if most else 2**62
    allowances = [_allowance(point, value, scale) for value in multipliers]
    known = [allowance for allowance in allowances if allowance is not None]
    if len(known) < len(allowances):
        return counters.Rule(modulus, None, point.max_gap_us, confirmed_us, most_rise=most_rise)
    later = tuple(zip((since for since, _ in point.multipliers[1:]), known[1:], strict=True))
    return counters.Rule(modulus, known[0], point.max_gap_us, confirmed_us, later, most_rise)


def _allowance(point: Point, multiplier: Fraction, scale: int) -> counters.Allowance | None:
    """Return what a step may rise at this multiplier; None without a rated power to judge by."""
    if point.rated_power_kw is None or point.energy_unit is None or multiplier <= 0:
        return None
    if units.AMOUNTS[point.energy_unit].quantity != "energy":
        return None
    per_count = units.convert(multiplier / scale, point.energy_unit, "kWh")
    ratio = PLAUSIBLE * Fraction(point.rated_power_kw) / HOUR_US / per_count
    return counters.Allowance(scale, ratio.denominator, ratio.numerator)


def _segments(
    point: Point, ts_us: Int64s, counts: Int64s, scale: int
) -> Iterable[tuple[Int64s, Int64s]]:
    """Cut a register at its declared exchanges; each gives two virtual readings at its instant."""
    if not point.exchanges:
        yield ts_us, counts
        return
    begin_ts, begin_counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    after = np.ones(len(ts_us), np.bool_)
    for exchange in point.exchanges:
        before = after & (ts_us < exchange.at_us)
        moment = np.array([exchange.at_us], np.int64)
        closing = np.array([_counts(exchange.closing, scale)], np.int64)
        yield (
            np.concatenate([begin_ts, ts_us[before], moment]),
            np.concatenate([begin_counts, counts[before], closing]),
        )
        begin_ts = moment
        begin_counts = np.array([_counts(exchange.opening, scale)], np.int64)
        after &= ts_us > exchange.at_us
    yield np.concatenate([begin_ts, ts_us[after]]), np.concatenate([begin_counts, counts[after]])


def _counts(shown: Decimal, scale: int) -> int:
    return int(shown) if scale == 1 else decimals.to_e6(shown)


def _booked(found: counters.Track, edges_us: Int64s, ratio: Fraction) -> Figures:
    """Book one register's track on intervals, all at one multiplier (1e-6 units per count)."""
    length = len(edges_us) - 1
    num, den = ratio.numerator, ratio.denominator
    energy = np.diff(counters.levels_at(found, edges_us, num, den))
    within = np.clip(edges_us, found.ts[0], found.ts[-1])
    booked = within[1:] - within[:-1]
    result = Figures(
        energy, np.zeros(length, np.int64), booked, booked.copy(), np.zeros(length, np.int64)
    )
    if len(found.odd):
        _book_odd_steps(result, found, edges_us, num, den)
    if len(found.gaps):
        _book_gaps(result, found, edges_us, num, den)
    return result


def _book_odd_steps(
    result: Figures, found: counters.Track, edges_us: Int64s, num: int, den: int
) -> None:
    length = len(edges_us) - 1
    shown = found.counts[found.odd + 1]
    still = np.zeros_like(shown)
    one = np.ones_like(shown)
    jump = exactmath.levels(found.ends, still, one, still, num, den)
    jump -= exactmath.levels(shown, still, one, still, num, den)
    row = np.searchsorted(edges_us, found.ts[found.odd + 1], "left") - 1
    inside = (row >= 0) & (row < length)
    np.add.at(result.energy_e6, row[inside], jump[inside])
    t0, t1 = found.ts[found.odd], found.ts[found.odd + 1]
    step, interval, low, high = exactmath.overlaps(t0, t1, edges_us)
    np.bitwise_or.at(result.flags, interval, found.flags[step])
    dark = found.unknown[step]
    unknown_us = exactmath.total(interval[dark], (high - low)[dark], length)
    result.booked_us[:] -= unknown_us
    result.measured_us[:] -= unknown_us


def _book_gaps(
    result: Figures, found: counters.Track, edges_us: Int64s, num: int, den: int
) -> None:
    length = len(edges_us) - 1
    dark = set(found.odd[found.unknown].tolist())
    gaps = np.array([gap for gap in found.gaps.tolist() if gap not in dark], np.int64)
    ends = found.counts[gaps + 1]
    if len(found.odd):
        place = np.minimum(np.searchsorted(found.odd, gaps), len(found.odd) - 1)
        ends = np.where(found.odd[place] == gaps, found.ends[place], ends)
    gap, interval, low, high = exactmath.overlaps(found.ts[gaps], found.ts[gaps + 1], edges_us)
    start, rise = found.counts[gaps][gap], (ends - found.counts[gaps])[gap]
    t0 = found.ts[gaps][gap]
    dt = found.ts[gaps + 1][gap] - t0
    upper = exactmath.levels(start, rise, dt, high - t0, num, den)
    lower = exactmath.levels(start, rise, dt, low - t0, num, den)
    result.estimated_e6[:] += exactmath.total(interval, upper - lower, length)
    result.measured_us[:] -= exactmath.total(interval, high - low, length)
    np.bitwise_or.at(result.flags, interval, int(Flag.GAP | Flag.ESTIMATED))
