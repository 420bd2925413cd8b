"""The counter kernel: register counts to exact energy per interval (design 4.6).

Energy between two instants is C(end) - C(start), where C is linear between neighbouring used
readings and rounded half-even to 1e-6 of the unit. C starts anew at each used reading from the
count that the register shows, so a figure depends on its neighbours only: computing from the
first reading ever or from yesterday's gives the same digits, and parts always add to the whole.

Only two comparisons touch every reading; everything else is work on edges and on the rare steps
that are no plain rise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from core import exactmath
from core.flags import Flag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.exactmath import Bools, Int64s

BLOCK: Final = 1 << 15  # readings per pass; two such columns stay in the second-level cache


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a step may rise: (rise - one count) * per_count <= per_us * dt, in whole numbers."""

    one_count: int
    per_count: int
    per_us: int

    def allows(self, rise: int, dt_us: int) -> bool:
        """Tell whether a rise of counts within dt is physically possible (design 4.6)."""
        return (rise - self.one_count) * self.per_count <= self.per_us * dt_us

    def exceeds(self, other: Allowance) -> bool:
        """Tell whether this one allows more than the other."""
        return self.per_us * other.per_count > other.per_us * self.per_count


@dataclass(frozen=True, slots=True)
class Rule:
    """How a register is to be read: all in counts of the series and microseconds."""

    modulus: int | None
    allowance: Allowance | None
    max_gap_us: int
    confirmed_us: frozenset[int] = frozenset()
    later: tuple[tuple[int, Allowance], ...] = ()  # (since, allowance) of later multipliers
    most_rise: int = 2**62  # no step may exceed it, whatever is declared: int64 has an end

    def allowance_on(self, t0_us: int, t1_us: int) -> Allowance | None:
        """Return the most generous allowance in force on [t0, t1): a step may straddle a change."""
        found = self.allowance
        for since_us, allowance in self.later:
            if since_us >= t1_us:
                break
            if since_us <= t0_us or found is None or allowance.exceeds(found):
                found = allowance
        return found

    def allows(self, rise: int, t0_us: int, t1_us: int) -> bool:
        """Tell whether a rise of counts on [t0, t1) may be booked as it is."""
        allowance = self.allowance_on(t0_us, t1_us)
        possible = allowance is None or allowance.allows(rise, t1_us - t0_us)
        return possible and rise <= self.most_rise


@dataclass(frozen=True, slots=True)
class Track:
    """Used readings of one register and what happens on the steps between them.

    `ts`, `counts` [n]; `odd` [k] are the steps that are no plain rise, `ends` [k] the level
    each reaches at its end (its own start level where its energy is unknown), `unknown` [k],
    `flags` [k]; `gaps` [g] are the steps longer than max_gap_us.
    """

    ts: Int64s
    counts: Int64s
    odd: Int64s
    ends: Int64s
    unknown: Bools
    flags: Int64s
    gaps: Int64s


def track(ts: Int64s, counts: Int64s, rule: Rule) -> Track:
    """Read a register: find rollovers, resets, held steps and spikes. `ts` strictly grows."""
    suspects, gaps = _scan(ts, counts, rule)
    if len(suspects) == 0:
        none = np.zeros(0, np.int64)
        return Track(ts, counts, none, none, np.zeros(0, np.bool_), none, gaps)
    spikes = list(_spikes(ts, counts, suspects.tolist(), rule))
    if spikes:
        keep = np.ones(len(ts), np.bool_)
        for first, last in spikes:
            keep[first + 1 : last + 1] = False
        bridged = {int(ts[first]) for first, _ in spikes}
        ts, counts = ts[keep], counts[keep]
        suspects, gaps = _scan(ts, counts, rule)
    else:
        bridged = set()
    return _judged(ts, counts, suspects, gaps, rule, bridged)


def _judged(
    ts: Int64s, counts: Int64s, suspects: Int64s, gaps: Int64s, rule: Rule, bridged: set[int]
) -> Track:
    odd: list[int] = []
    ends: list[int] = []
    unknown: list[bool] = []
    flags: list[int] = []
    bridges = np.flatnonzero(np.isin(ts, np.array(sorted(bridged), np.int64))).tolist()
    for step in sorted({*suspects.tolist(), *bridges}):
        if step + 1 >= len(ts):
            continue
        start, shown = int(counts[step]), int(counts[step + 1])
        end, flag = _judge(start, shown, int(ts[step]), int(ts[step + 1]), rule)
        if int(ts[step]) in bridged:
            flag |= Flag.SPIKE
        odd.append(step)
        ends.append(start if end is None else end)
        unknown.append(end is None)
        flags.append(int(flag))
    return Track(
        ts,
        counts,
        np.array(odd, np.int64),
        np.array(ends, np.int64),
        np.array(unknown, np.bool_),
        np.array(flags, np.int64),
        gaps,
    )


def _judge(start: int, shown: int, t0: int, t1: int, rule: Rule) -> tuple[int | None, Flag]:
    """Return the level a step ends at, None where its energy is unknown, and what to flag."""
    rise = shown - start
    if rise >= 0:
        if rule.allows(rise, t0, t1):
            return shown, Flag(0)
        if t1 in rule.confirmed_us and rise <= rule.most_rise:
            return shown, Flag.CONFIRMED
        return None, Flag.IMPLAUSIBLE
    if _is_rollover(rise, t0, t1, rule):
        assert rule.modulus is not None  # noqa: S101 - _is_rollover said so
        return shown + rule.modulus, Flag.ROLLOVER
    return None, Flag.RESET


def _is_rollover(rise: int, t0: int, t1: int, rule: Rule) -> bool:
    """Tell whether a fall is a rollover: a declared modulus and an allowed wrapped step."""
    if rule.modulus is None or rise + rule.modulus < 0:
        return False
    wrapped = rise + rule.modulus
    if rule.allowance is None and 2 * wrapped >= rule.modulus:
        return False
    return rule.allows(wrapped, t0, t1)


def _scan(ts: Int64s, counts: Int64s, rule: Rule) -> tuple[Int64s, Int64s]:
    """Return (steps that fall or rise more than allowed, steps longer than max_gap_us)."""
    suspects: list[Int64s] = []
    gaps: list[Int64s] = []
    steps = len(ts) - 1
    size = min(BLOCK, max(steps, 0))
    rise, dt = np.empty(size, np.int64), np.empty(size, np.int64)
    for low, high in _blocks(ts, rule):
        d, w = rise[: high - low], dt[: high - low]
        np.subtract(counts[low + 1 : high + 1], counts[low:high], out=d)
        np.subtract(ts[low + 1 : high + 1], ts[low:high], out=w)
        if int(w.max()) > rule.max_gap_us:
            gaps.append(np.flatnonzero(w > rule.max_gap_us) + low)
        wrong = d < 0 if int(d.min()) < 0 else None
        most, allowance = int(d.max()), rule.allowance_on(int(ts[low]), int(ts[high]))
        if most > rule.most_rise or (
            allowance is not None and not allowance.allows(most, int(w.min()))
        ):
            high_steps = d > rule.most_rise
            if allowance is not None:
                high_steps |= _too_high(d, w, allowance)
            wrong = high_steps if wrong is None else wrong | high_steps
        if wrong is not None:
            suspects.append(np.flatnonzero(wrong) + low)
    none = np.zeros(0, np.int64)
    return (
        np.concatenate(suspects) if suspects else none,
        np.concatenate(gaps) if gaps else none,
    )


def _blocks(ts: Int64s, rule: Rule) -> Iterable[tuple[int, int]]:
    """Cut the steps into blocks that fit the cache, each under one allowance."""
    steps = len(ts) - 1
    cuts = {*range(0, steps, BLOCK), max(steps, 0)}
    for since_us, _ in rule.later:
        astride = int(np.searchsorted(ts, since_us, "left")) - 1
        cuts |= {cut for cut in (astride, astride + 1) if 0 <= cut <= steps}
    return pairwise(sorted(cuts))


def _too_high(rise: Int64s, dt_us: Int64s, allowance: Allowance) -> Bools:
    """Mark the steps above the allowance: floats find the candidates, integers decide."""
    margin = (rise - allowance.one_count) * float(allowance.per_count) - dt_us * float(
        allowance.per_us
    )
    scale = np.abs(rise * float(allowance.per_count)) + dt_us * float(allowance.per_us)
    wrong: Bools = margin > 1e-9 * scale
    for step in np.flatnonzero(np.abs(margin) <= 1e-9 * scale).tolist():
        wrong[step] = not allowance.allows(int(rise[step]), int(dt_us[step]))
    return wrong


def _spikes(
    ts: Int64s, counts: Int64s, suspects: Sequence[int], rule: Rule
) -> Iterable[tuple[int, int]]:
    """Yield (reading before the jump, last reading of the spike), left to right.

    A jump above the allowance, or a fall that is no rollover, is a spike where the count comes
    back to within the allowance of the reading before it: with the very next reading, or within
    max_gap_us.
    """
    if rule.allowance is None:
        return
    position = 0
    while position < len(suspects):
        step = suspects[position]
        found = None
        if _may_open(ts, counts, step, rule):
            found = _return_of(ts, counts, suspects, position, rule)
        if found is None:
            position += 1
        else:
            yield step, suspects[found]
            position = found + 1


def _may_open(ts: Int64s, counts: Int64s, step: int, rule: Rule) -> bool:
    rise, t0, t1 = int(counts[step + 1] - counts[step]), int(ts[step]), int(ts[step + 1])
    if t1 in rule.confirmed_us:
        return False
    return rise > 0 or not _is_rollover(rise, t0, t1, rule)


def _return_of(
    ts: Int64s, counts: Int64s, suspects: Sequence[int], position: int, rule: Rule
) -> int | None:
    step = suspects[position]
    level, t0 = int(counts[step]), int(ts[step])
    upward = counts[step + 1] > counts[step]
    for later in range(position + 1, len(suspects)):
        back = suspects[later]
        t1 = int(ts[back + 1])
        if back != step + 1 and t1 - t0 > rule.max_gap_us:
            return None
        opposite = (counts[back + 1] < counts[back]) == upward
        rise = int(counts[back + 1]) - level
        if opposite and rise >= 0 and rule.allows(rise, t0, t1):
            return later
    return None


def spans_of_doubt(ts: Int64s, counts: Int64s, rule: Rule) -> Int64s:
    """Return the instants at which suspect steps begin: where context must not be cut."""
    suspects, _ = _scan(ts, counts, rule)
    return ts[suspects]


def levels_at(found: Track, at_us: Int64s, num: int, den: int) -> Int64s:
    """Return C at each instant in 1e-6 units, from the shown count of the step that starts there.

    Before the first and after the last used reading C stands still: nothing is booked there.
    """
    last = len(found.ts) - 1
    step = np.clip(np.searchsorted(found.ts, at_us, "right") - 1, 0, max(last - 1, 0))
    following = np.minimum(step + 1, last)
    start, end = found.counts[step], found.counts[following]
    if len(found.odd):
        place = np.minimum(np.searchsorted(found.odd, step), len(found.odd) - 1)
        end = np.where(found.odd[place] == step, found.ends[place], end)
    # At or past the last reading C is what that reading shows, not the end of a wrapped step.
    past = at_us >= found.ts[last]
    start = np.where(past, found.counts[last], start)
    end = np.where(past, found.counts[last], end)
    t0 = found.ts[step]
    dt = np.maximum(found.ts[following] - t0, 1)
    x = np.clip(at_us - t0, 0, dt)
    return exactmath.levels(start, end - start, dt, x, num, den)
