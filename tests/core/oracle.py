"""A second, slow and obvious energy of a point, written from design 4.6 and not from the kernel.

Everything is a `Fraction`; every step between two used readings is judged and booked by itself.
Where the text leaves a choice, it is stated here: C starts anew at each used reading from what the
register shows; a step astride a change of multiplier is allowed what the smaller one allows; a
spike returns with the very next reading or within max_gap, and one of its two steps is above the
allowance; a declared exchange replaces a reading of its own instant; a step of more than MOST_KWH
at the largest multiplier is held whatever else is declared, for figures end somewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from core.flags import Flag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOUR_US = 3_600_000_000
NOTHING = Flag(0)
MOST_KWH = 4 * 10**12


@dataclass(frozen=True, slots=True)
class Meter:
    """A declared point; counts as shown, energy in kWh."""

    modulus: int | None = None
    rated_power_kw: Fraction | None = None
    multipliers: tuple[tuple[int, Fraction], ...] = ()
    max_gap_us: int = 1_800_000_000
    exchanges: tuple[tuple[int, Fraction, Fraction], ...] = ()
    confirmed_us: frozenset[int] = frozenset()
    interval_us: int = 900_000_000


class Seen(NamedTuple):
    """A usable reading."""

    at: int
    value: Fraction
    uncertain: bool = False


@dataclass(slots=True)
class Row:
    """What one interval is worth."""

    energy_e6: int = 0
    estimated_e6: int = 0
    booked_us: int = 0
    measured_us: int = 0
    flags: Flag = NOTHING


class Step(NamedTuple):
    """From one used reading to the next; `end` is None where the energy is unknown."""

    t0: int
    t1: int
    start: Fraction
    end: Fraction | None
    flags: Flag


def counter(meter: Meter, seen: Sequence[Seen], edges: Sequence[int]) -> list[Row]:
    """Return the energy of each interval between edges from the readings of a register."""
    steps = [step for part in _registers(meter, seen) for step in _steps(meter, part)]
    rows = []
    for low, high in pairwise(edges):
        row = Row()
        for t0, t1, multiplier in _regimes(meter, low, high):
            if multiplier is None:
                if seen and max(t0, seen[0].at) < min(t1, seen[-1].at):
                    row.flags |= Flag.MULTIPLIER_UNKNOWN
                continue
            for step in steps:
                _book(meter, row, step, (max(t0, step.t0), min(t1, step.t1)), multiplier)
            if seen and any(t0 <= at < t1 for at, _, _ in meter.exchanges):
                row.flags |= Flag.EXCHANGE
        _note(meter, row, seen, low, high)
        rows.append(row)
    return rows


def gauge(meter: Meter, seen: Sequence[Seen], edges: Sequence[int]) -> list[Row]:
    """Return the energy of a rate that is linear between neighbours no further than max_gap."""
    rows = []
    for low, high in pairwise(edges):
        row = Row()
        for t0, t1, multiplier in _regimes(meter, low, high):
            if multiplier is None:
                if seen and max(t0, seen[0].at) < min(t1, seen[-1].at):
                    row.flags |= Flag.MULTIPLIER_UNKNOWN
                continue
            for one, two in pairwise(seen):
                a, b = max(t0, one.at), min(t1, two.at)
                if a >= b:
                    continue
                if two.at - one.at > meter.max_gap_us:
                    row.flags |= Flag.GAP
                    continue
                slope = (two.value - one.value) / (two.at - one.at)
                areas = [one.value * x + slope * x * x / 2 for x in (a - one.at, b - one.at)]
                first, last = (round(area * multiplier * 1_000_000 / HOUR_US) for area in areas)
                row.energy_e6 += last - first
                row.booked_us += b - a
                row.measured_us += b - a
        _note(meter, row, seen, low, high)
        rows.append(row)
    return rows


def interval(meter: Meter, seen: Sequence[Seen], edges: Sequence[int]) -> list[Row]:
    """Return the energy of spans that start at their stamp, shared in proportion to time."""
    rows = []
    for low, high in pairwise(edges):
        row = Row()
        for t0, t1, multiplier in _regimes(meter, low, high):
            if multiplier is None:
                if seen and max(t0, seen[0].at) < min(t1, seen[-1].at):
                    row.flags |= Flag.MULTIPLIER_UNKNOWN
                continue
            for one in seen:
                a, b = max(t0, one.at), min(t1, one.at + meter.interval_us)
                if a >= b:
                    continue
                shares = [Fraction(x - one.at, meter.interval_us) for x in (a, b)]
                first, last = (round(x * one.value * multiplier * 1_000_000) for x in shares)
                row.energy_e6 += last - first
                row.booked_us += b - a
                row.measured_us += b - a
        _note(meter, row, (), low, high)
        if any(
            one.uncertain and one.at < high and one.at + meter.interval_us > low for one in seen
        ):
            row.flags |= Flag.UNCERTAIN
        rows.append(row)
    return rows


def used(meter: Meter, seen: Sequence[Seen]) -> list[list[Seen]]:
    """Return the used readings of each register, spikes left out."""
    return [_without_spikes(meter, part)[0] for part in _registers(meter, seen)]


def plain(meter: Meter, one: Seen, two: Seen) -> bool:
    """Tell whether a step needs no judgement at all: a rise that is allowed."""
    rise = two.value - one.value
    return rise >= 0 and _allowed(meter, rise, one.at, two.at)


def _note(meter: Meter, row: Row, seen: Sequence[Seen], low: int, high: int) -> None:
    if any(one.uncertain and low <= one.at < high for one in seen):
        row.flags |= Flag.UNCERTAIN
    if any(low <= since < high for since, _ in meter.multipliers[1:]):
        row.flags |= Flag.MULTIPLIER_CHANGED


def _regimes(meter: Meter, low: int, high: int) -> Iterator[tuple[int, int, Fraction | None]]:
    """Cut [low, high) where the multiplier changes; None before the first one declared."""
    if not meter.multipliers:
        yield low, high, Fraction(1)
        return
    starts = [since for since, _ in meter.multipliers]
    bounds = [low, *(since for since in starts if low < since < high), high]
    for a, b in pairwise(bounds):
        known = [value for since, value in meter.multipliers if since <= a]
        yield a, b, known[-1] if known else None


def _registers(meter: Meter, seen: Sequence[Seen]) -> list[list[Seen]]:
    """Cut at exchanges, each of which gives two virtual readings at its instant."""
    if not seen:
        return []
    parts: list[list[Seen]] = [[]]
    rest = list(seen)
    for at, closing, opening in meter.exchanges:
        parts[-1] += [one for one in rest if one.at < at] + [Seen(at, closing)]
        parts.append([Seen(at, opening)])
        rest = [one for one in rest if one.at > at]
    parts[-1] += rest
    return parts


def _steps(meter: Meter, part: Sequence[Seen]) -> Iterator[Step]:
    readings, bridged = _without_spikes(meter, part)
    for one, two in pairwise(readings):
        end, flags = _judge(meter, one, two)
        if one.at in bridged:
            flags |= Flag.SPIKE
        yield Step(one.at, two.at, one.value, end, flags)


def _judge(meter: Meter, one: Seen, two: Seen) -> tuple[Fraction | None, Flag]:
    rise = two.value - one.value
    if rise >= 0:
        if _allowed(meter, rise, one.at, two.at):
            return two.value, Flag(0)
        if two.at in meter.confirmed_us and not _beyond_figures(meter, rise):
            return two.value, Flag.CONFIRMED
        return None, Flag.IMPLAUSIBLE
    if _rolled_over(meter, one, two):
        assert meter.modulus is not None
        return two.value + meter.modulus, Flag.ROLLOVER
    return None, Flag.RESET


def _rolled_over(meter: Meter, one: Seen, two: Seen) -> bool:
    if meter.modulus is None:
        return False
    wrapped = two.value + meter.modulus - one.value
    if wrapped < 0:
        return False
    if meter.rated_power_kw is None and wrapped >= Fraction(meter.modulus, 2):
        return False
    return _allowed(meter, wrapped, one.at, two.at)


def _allowed(meter: Meter, rise: Fraction, t0: int, t1: int) -> bool:
    """At most 1.2 x rated power x dt plus one count."""
    if _beyond_figures(meter, rise):
        return False
    if meter.rated_power_kw is None:
        return True
    in_force = [value for _, value in meter.multipliers[:1]] or [Fraction(1)]
    for since, value in meter.multipliers[1:]:
        if since <= t0:
            in_force = [value]
        elif since < t1:
            in_force.append(value)
    most_kwh = Fraction(12, 10) * meter.rated_power_kw * (t1 - t0) / HOUR_US
    return (rise - 1) * min(in_force) <= most_kwh


def _beyond_figures(meter: Meter, rise: Fraction) -> bool:
    largest = max((value for _, value in meter.multipliers), default=Fraction(1))
    return rise * largest > MOST_KWH


def _without_spikes(meter: Meter, part: Sequence[Seen]) -> tuple[list[Seen], set[int]]:
    """Return the used readings, and the instants after which a spike was left out."""
    if meter.rated_power_kw is None:
        return list(part), set()
    readings: list[Seen] = []
    bridged: set[int] = set()
    place = 0
    while place < len(part):
        readings.append(part[place])
        back = _return(meter, part, place)
        if back is not None:
            bridged.add(part[place].at)
        place = place + 1 if back is None else back
    return readings, bridged


def _return(meter: Meter, part: Sequence[Seen], place: int) -> int | None:
    """Return which reading ends the spike that begins after this one."""
    if place + 2 >= len(part):
        return None
    before, jumped = part[place], part[place + 1]
    if jumped.at in meter.confirmed_us or plain(meter, before, jumped):
        return None
    upward = jumped.value > before.value
    if not upward and _rolled_over(meter, before, jumped):
        return None
    for back in range(place + 2, len(part)):
        one, two = part[back - 1], part[back]
        if back > place + 2 and two.at - before.at > meter.max_gap_us:
            return None
        falls, leaps = two.value < one.value, not plain(meter, one, two)
        opposite = falls if upward else (leaps and not falls)
        if opposite and plain(meter, before, two):
            return back
    return None


def _book(meter: Meter, row: Row, step: Step, span: tuple[int, int], multiplier: Fraction) -> None:
    a, b = span
    if a >= b:
        return
    row.flags |= step.flags
    if step.end is None:
        return
    slope = (step.end - step.start) / (step.t1 - step.t0)
    levels = [step.start + slope * (x - step.t0) for x in (a, b)]
    first, last = (round(level * multiplier * 1_000_000) for level in levels)
    row.energy_e6 += last - first
    row.booked_us += b - a
    if step.t1 - step.t0 > meter.max_gap_us:
        row.estimated_e6 += last - first
        row.flags |= Flag.GAP | Flag.ESTIMATED
    else:
        row.measured_us += b - a
