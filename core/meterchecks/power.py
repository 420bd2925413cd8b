"""A register against the integral of the power that the same meter shows.

Both see the same load, so their ratio is 1 within both accuracies. A ratio that is another number
from the start on is a wrong factor of one of the two; one that moves is a drift of one of them.
Which of the two cannot be told by the pair alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.meterchecks.rows import DAY_HOURS

if TYPE_CHECKING:
    from core.exactmath import Floats, Int64s

LEAST_HOURS: Final = 12  # of a day that both know
LEAST_DAYS: Final = 3
WIDTHS: Final = 3.0  # times both accuracies together: less is nobody's fault
LEAST_SHIFT: Final = 0.005
CLEAR: Final = 7.0  # deviations of a shift, over all days on which it may have begun
LEAST_SCATTER: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Register over power from a day of the window on, its deviation, and what it was before."""

    since_day: int
    ratio: float
    deviation: float
    before: float | None


def compare(
    register_kwh: Floats, power_kwh: Floats, accuracies: tuple[float, float], count_kwh: float
) -> Mismatch | None:
    """Compare hours [hour] of both over whole days; None where they agree or one is unknown."""
    day, ratio, counting = _daily(register_kwh, power_kwh, count_kwh)
    if len(ratio) < LEAST_DAYS:
        return None
    shift = _shift(day, ratio)
    if shift is not None:
        return shift
    level = float(np.median(ratio))
    scatter = float(1.4826 * np.median(np.abs(ratio - level)))
    deviation = max(scatter, LEAST_SCATTER) / len(ratio) ** 0.5
    allowed = WIDTHS * float(np.hypot(*accuracies)) + CLEAR * deviation + counting
    if abs(level) <= max(allowed, LEAST_SHIFT):
        return None
    return Mismatch(int(day[0]), float(np.exp(level)), deviation, None)


def _daily(
    register_kwh: Floats, power_kwh: Floats, count_kwh: float
) -> tuple[Int64s, Floats, float]:
    """Return days, the logarithm of register over power on each, and what counting may add."""
    days = len(register_kwh) // DAY_HOURS
    register, power = register_kwh[: days * DAY_HOURS], power_kwh[: days * DAY_HOURS]
    both = (np.isfinite(register) & np.isfinite(power)).reshape(days, DAY_HOURS)
    shown = np.where(both, register.reshape(days, DAY_HOURS), 0.0).sum(axis=1)
    meant = np.where(both, power.reshape(days, DAY_HOURS), 0.0).sum(axis=1)
    usual = float(np.median(meant[meant > 0])) if (meant > 0).any() else 0.0
    kept = (both.sum(axis=1) >= LEAST_HOURS) & (meant > usual / 10) & (shown > 0)
    counting = count_kwh / usual if usual else 0.0
    return np.flatnonzero(kept).astype(np.int64), np.log(shown[kept] / meant[kept]), counting


def _shift(day: Int64s, ratio: Floats) -> Mismatch | None:
    """Return the day on which the ratio shifted, by least squares; None where it is not clear."""
    cuts = range(LEAST_DAYS, len(ratio) - 1)
    if not cuts:
        return None
    cut = min(cuts, key=lambda one: _squares(ratio[:one]) + _squares(ratio[one:]))
    before, after = ratio[:cut], ratio[cut:]
    scatter = max(_scatter(before), _scatter(after), LEAST_SCATTER)
    earlier, level = float(np.median(before)), float(np.median(after))
    moved = abs(level - earlier)
    if moved < LEAST_SHIFT or moved < CLEAR * scatter * (1 / cut + 1 / len(after)) ** 0.5:
        return None
    deviation = scatter / len(after) ** 0.5
    return Mismatch(int(day[cut]), float(np.exp(level)), deviation, float(np.exp(earlier)))


def _squares(values: Floats) -> float:
    return float(((values - values.mean()) ** 2).sum())


def _scatter(values: Floats) -> float:
    centre = np.median(values)
    robust = float(1.4826 * np.median(np.abs(values - centre)))
    return max(robust, float(values.std()) if len(values) <= LEAST_DAYS * 2 else robust)
