"""Each meter's own past: whether what it shows has moved as its error would have moved it.

A balance tells the meters behind one main apart only as far as their loads move apart. A load that
hardly moves has a past instead: where its meter is what errs, its level moves by the error from
that day on, and where another meter errs, it stays. So the level of every day (the median of the
hours in which the load runs) is held against each course, and the size that it has moved by against
the size that the balances ask for.

Loads change by themselves too. How much they do is learned from the same days, with their memory;
and any load may have changed for a reason of its own, which bounds what its past can say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from core.exactmath import Floats
    from core.meterchecks.evidence import Scan

RUNNING: Final = 0.3  # of its high hours: below it a load starts, stops or stands
LEAST_RUNNING_SHARE: Final = 0.25  # of a day's intervals, for a level of that day
LEAST_DAYS: Final = 7  # with a level on either side of a beginning
# How likely a load has changed its level by itself in the window, and by how much.
OWN_CHANGE: Final = 0.2
OWN_WIDTH: Final = 0.3
LEAST_SPREAD: Final = 0.001  # of a level that is known from days: it is no better known than this


def levels(shown: Floats, per_day: int) -> Floats:
    """Return the logarithm of the level of every day [day, meter], NaN where it hardly ran."""
    days, meters = len(shown) // per_day, shown.shape[1]
    sizes = np.abs(shown[: days * per_day])
    high = np.array([_high(sizes[:, meter]) for meter in range(meters)])
    running = np.where(sizes > RUNNING * high, sizes, np.inf).reshape(days, per_day, meters)
    running.sort(axis=1)
    count = np.isfinite(running).sum(axis=1)
    ends = (np.maximum(count - 1, 0) // 2, np.minimum(count // 2, per_day - 1))
    middle = [np.take_along_axis(running, end[:, None], axis=1)[:, 0] for end in ends]
    is_known = (count > 0) & (count >= LEAST_RUNNING_SHARE * per_day)
    median = np.where(is_known, (middle[0] + middle[1]) / 2, 1.0)
    return np.where(is_known, np.log(median), np.nan)


def _high(sizes: Floats) -> float:
    known = sizes[np.isfinite(sizes)]
    return float(np.quantile(known, 0.9)) if len(known) else np.inf


def moved(level: Floats, courses: Floats) -> tuple[Floats, Floats]:
    """Return by how much each level has moved along each course [course, meter], and its spread.

    The spread is infinite where too few days are known on either side to say anything.
    """
    count, meters = len(courses), level.shape[1]
    size, spread = np.zeros((count, meters)), np.full((count, meters), np.inf)
    for meter in range(meters):
        kept = np.isfinite(level[:, meter])
        course, shown = courses[:, kept], level[kept, meter]
        asked = ((course > 0).sum(axis=1) >= LEAST_DAYS) & ((course == 0).sum(axis=1) >= LEAST_DAYS)
        if not asked.any():
            continue
        course = course[asked] - course[asked].mean(axis=1, keepdims=True)
        weight = (course**2).sum(axis=1)
        at = course @ shown / weight
        left = shown - shown.mean() - at[:, None] * course
        size[asked, meter] = at
        spread[asked, meter] = np.sqrt(_variance(left) / weight) + LEAST_SPREAD
    return size, spread


def _variance(left: Floats) -> Floats:
    """Return the variance of days [course, day], widened by what they remember of each other."""
    days = left.shape[1]
    plain = (left**2).sum(axis=1)
    kept = (left[:, 1:] * left[:, :-1]).sum(axis=1) / np.maximum(plain, 1e-300)
    # What is learned from few days comes out too short (Marriott and Pope).
    kept = np.clip(kept + (1 + 4 * kept) / days, 0.0, 0.9)
    return np.asarray(plain / (days - 2) * (1 + kept) / (1 - kept))


def evidence(size: Floats, spread: Floats, scan: Scan, mains: list[int]) -> Floats:
    """Return the log of how much likelier each level's course is if its meter erred as asked.

    `size` and `spread` [course, meter] are what `moved` gave. The error of a main meter is a share
    of what its sub-meters show, another's one of what itself shows. Something new that nobody
    meters is seen by the main meter just as an error of its own would be.
    """
    meters = size.shape[1]
    size, spread = (np.hstack([one, one[:, mains]]) for one in (size, spread))
    above = [*mains, *range(meters, meters + len(mains))]
    asked = -np.log1p(-np.minimum(scan.size, 0.99))
    asked[:, above] = np.log1p(np.maximum(scan.size[:, above], -0.99))
    doubt = np.hypot(spread, scan.deviation)
    apart = np.hypot(np.where(np.isfinite(spread), spread, 1.0), OWN_WIDTH)
    own = np.log(OWN_CHANGE) + _density(size, apart)
    erred = np.logaddexp(np.log1p(-OWN_CHANGE) + _density(size - asked, doubt), own)
    fine = np.logaddexp(np.log1p(-OWN_CHANGE) + _density(size, spread), own)
    return np.where(np.isfinite(spread), erred - fine, 0.0)


def _density(size: Floats, spread: Floats) -> Floats:
    known = np.where(np.isfinite(spread), spread, 1.0)
    return np.asarray(-0.5 * (size / known) ** 2 - np.log(known))
