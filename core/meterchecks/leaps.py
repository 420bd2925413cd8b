"""A meter against its own past and its neighbours: leaps of its level, and stretches of nothing.

A load may leap in truth, so a leap alone says nothing: it needs a witness. In a balance the energy
that a meter lost or made up turns up again, at full size; where the load itself has changed the
balance does not move. A power gauge of its own and the taps of the unit are witnesses too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.meterchecks.rows import DAY_HOURS

if TYPE_CHECKING:
    from core.exactmath import Bools, Floats, Int64s
    from core.meterchecks.network import Network

PAST_HOURS: Final = 7 * DAY_HOURS  # before a leap, to know the usual level
NEAR_HOURS: Final = 48  # on both sides of a stretch of nothing
LEAST_HOURS: Final = DAY_HOURS  # that a leap must last
LEAST_LEAP: Final = 1.7  # up or down: less than this the balances find better
ALIKE: Final = 0.9  # leaps of nearly the greatest size: the best placed of them is meant
LEAST_STILL_HOURS: Final = 6
RUNNING: Final = 0.2  # of the ninth decile: hours above it are of a running load
LEAST_RUNNING_HOURS: Final = 12
MOST_STANDING_SHARE: Final = 0.5  # a load that often stands is nothing special when it stands
AGREES: Final = (0.7, 1.3)  # the share of a leap that a balance must show again
DENIES: Final = 0.3
OVER_RATED: Final = 1.2  # times the rated power: as far as a step may go (design 4.6)
LAG_HOURS: Final = 6  # what is tapped was made before: taps of the first hours prove nothing
LEAST_MADE: Final = 2
CLEAR: Final = 6.0  # deviations of the balance's daily mean


@dataclass(frozen=True, slots=True)
class Leap:
    """The level of a meter before and after an hour of the window; `until` is exclusive."""

    since: int
    until: int
    before_kwh: float
    after_kwh: float

    @property
    def ratio(self) -> float:
        """Return the level after over the level before."""
        return self.after_kwh / self.before_kwh if self.before_kwh else 0.0


def leap(hourly_kwh: Floats) -> Leap | None:
    """Return the greatest lasting leap between two running levels; None without one."""
    sizes = np.abs(hourly_kwh)
    hours = len(sizes)
    found: list[Leap] = []
    for since in _edges(sizes, hours):
        before = _level(sizes[since - PAST_HOURS : since])
        after = _level(sizes[since:])
        if before and after and not 1 / LEAST_LEAP < after / before < LEAST_LEAP:
            found.append(Leap(since, hours, before, after))
    if not found:
        return None
    most = max(abs(np.log(one.ratio)) for one in found)
    near = [one for one in found if abs(np.log(one.ratio)) >= ALIKE * most]
    return min(near, key=lambda one: (_misplaced(sizes, one), one.since))


def _edges(sizes: Floats, hours: int) -> list[int]:
    """Return the hours at which a level can begin: where neighbouring hours differ so much."""
    now, last = np.nan_to_num(sizes[1:]), np.nan_to_num(sizes[:-1])
    far = np.minimum(now, last) * LEAST_LEAP <= np.maximum(now, last)
    since = np.flatnonzero(far & (now > 0)) + 1
    return [int(one) for one in since if PAST_HOURS <= one <= hours - LEAST_HOURS]


def _misplaced(sizes: Floats, found: Leap) -> int:
    """Return how many running hours of the past and since lie nearer to the other level."""
    middle = np.sqrt(found.before_kwh * found.after_kwh)
    least = RUNNING * min(found.before_kwh, found.after_kwh)
    past, since = sizes[found.since - PAST_HOURS : found.since], sizes[found.since :]
    is_above = found.after_kwh > found.before_kwh
    wrong = (past > middle, since < middle) if is_above else (past < middle, since > middle)
    return int((wrong[0] & (past > least)).sum() + (wrong[1] & (since > least)).sum())


def _level(sizes: Floats) -> float | None:
    """Return the median of the hours in which the load runs; None where it hardly ever does."""
    known = sizes[np.isfinite(sizes)]
    if not len(known):
        return None
    running = known[known > RUNNING * np.quantile(known, 0.9)]
    if len(running) < LEAST_RUNNING_HOURS:
        return None
    return float(np.median(running))


def still(hourly_kwh: Floats) -> list[Leap]:
    """Return the stretches in which a meter that usually runs shows nothing at all."""
    known = np.isfinite(hourly_kwh)
    nothing = known & (hourly_kwh == 0)
    moving = known & ~nothing
    if moving.sum() < (1 - MOST_STANDING_SHARE) * known.sum() or moving.sum() < LEAST_HOURS:
        return []
    usual = float(np.abs(hourly_kwh[moving]).mean())
    found = []
    for since, until in _runs(nothing):
        if until - since >= LEAST_STILL_HOURS:
            found.append(Leap(since, until, usual, 0.0))
    return found


def _runs(mask: Bools) -> list[tuple[int, int]]:
    edges: Int64s = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(low), int(high)) for low, high in edges.reshape(-1, 2)]


@dataclass(frozen=True, slots=True)
class Witness:
    """What balances say of a leap: `share` of it turns up again there, None: they cannot tell.

    `factor` is what is shown over what is true after the leap, as the balances have it.
    """

    share: float | None
    factor: float | None = None

    @property
    def agrees(self) -> bool:
        """Tell whether the meter and not the load has leapt."""
        return self.share is not None and AGREES[0] <= self.share <= AGREES[1]

    @property
    def denies(self) -> bool:
        """Tell whether the load itself has leapt."""
        return self.share is not None and abs(self.share) <= DENIES


def ask_balances(network: Network, hourly_kwh: Floats, meter: int, found: Leap) -> Witness:
    """Ask every balance that a meter enters whether a leap turns up again in it.

    A stretch of nothing must do so against the hours before it and against those behind it: the
    nearer they lie, the less can anything else have moved.
    """
    hours = len(hourly_kwh)
    later = np.arange(found.since, found.until)
    if found.after_kwh:
        sides = [np.arange(max(found.since - PAST_HOURS, 0), found.since)]
    else:
        sides = [np.arange(max(found.since - NEAR_HOURS, 0), found.since)]
        if found.until < hours:
            sides.append(np.arange(found.until, min(found.until + NEAR_HOURS, hours)))
    told = [_asked(network, hourly_kwh, meter, found, side, later) for side in sides]
    if all(one.agrees for one in told):
        return told[0]
    return next((one for one in told if one.denies), Witness(None))


def _asked(
    network: Network, hourly_kwh: Floats, meter: int, found: Leap, earlier: Int64s, later: Int64s
) -> Witness:
    """Ask every balance for the level that the load has had since, while the meter runs.

    What a balance has left over more than before is what the meter does not show.
    """
    matrix = network.balances()
    left = hourly_kwh @ matrix.T
    shown = hourly_kwh[:, meter]
    running = np.abs(shown) >= RUNNING * found.after_kwh
    before_kwh = float(np.sign(np.nansum(shown))) * found.before_kwh
    shares, factors = [], []
    for node in np.flatnonzero(matrix[:, meter]):
        both = np.isfinite(left[:, node]) & np.isfinite(shown)
        before, after = earlier[both[earlier]], later[(both & running)[later]]
        if len(before) < LEAST_RUNNING_HOURS or not len(after):
            return Witness(None)
        more = left[after, node] - left[before, node].mean()
        level = float(np.median(shown[after] - matrix[node, meter] * more))
        doubt = float(left[before, node].std()) / min(len(after), DAY_HOURS) ** 0.5
        after_kwh = float(np.median(shown[after]))
        leapt = before_kwh - after_kwh
        if abs(leapt) <= CLEAR * doubt:
            return Witness(None)
        shares.append((level - after_kwh) / leapt)
        factors.append(after_kwh / level if level else 0.0)
    if shares and all(AGREES[0] <= share <= AGREES[1] for share in shares):
        return Witness(float(np.median(shares)), float(np.median(factors)))
    if any(abs(share) <= DENIES for share in shares):
        return Witness(min(shares, key=abs))
    return Witness(None)


def ask_power(power_kwh: Floats, shown: Floats, found: Leap) -> Witness:
    """Ask the integral of a power gauge whether the load itself has leapt."""
    past = slice(max(found.since - PAST_HOURS, 0), found.since)
    span = slice(found.since, found.until)
    both = np.isfinite(power_kwh) & np.isfinite(shown)
    if both[past].sum() < LEAST_RUNNING_HOURS or not both[span].any():
        return Witness(None)
    earlier, later = both[past], both[span]
    usual = float(power_kwh[past][earlier].mean())
    leapt = float(shown[span][later].mean() - shown[past][earlier].mean())
    if not usual or not leapt:
        return Witness(None)
    moved = float(power_kwh[span][later].mean()) - usual
    held = float(shown[past][earlier].mean()) / usual
    true = float(power_kwh[span][later].mean()) * held
    after = float(shown[span][later].mean())
    return Witness(1 - moved * held / leapt, after / true if true else None)


def repeated_days(hourly_kwh: Floats) -> list[tuple[int, int]]:
    """Return pairs of days [first, later] whose hours are the same to the last digit.

    A real load never repeats a day; one that hardly varies in counts may, and is not looked at.
    """
    days = len(hourly_kwh) // DAY_HOURS
    seen: dict[bytes, int] = {}
    found = []
    for day in range(days):
        hours = hourly_kwh[day * DAY_HOURS : (day + 1) * DAY_HOURS]
        if not np.isfinite(hours).all() or len(np.unique(hours)) < LEAST_RUNNING_HOURS:
            continue
        key = np.ascontiguousarray(hours).tobytes()
        if key in seen:
            found.append((seen[key], day))
        else:
            seen[key] = day
    return found
