"""Simulated months for the bench of forecasts, hour by hour, each from its seed.

A steady potline, a batchy furnace, a kiln that stops, units that drift or take a step; two months
of past before the month that is foreseen. None is what the forecast takes the world for
(core.ahead).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.exactmath import Bools, Floats

    Process = Callable[[np.random.Generator], "Hours"]

PAST_DAYS: Final = 61
MONTH_DAYS: Final = 30
HOURS: Final = 24 * (PAST_DAYS + MONTH_DAYS)
DAY_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class Hours:
    """What a unit used and what was weighed of it, hour by hour."""

    used: Floats
    made: Floats

    def days(self) -> tuple[Floats, Floats]:
        """Return both by day."""
        shape = (-1, DAY_HOURS)
        used, made = (each.reshape(shape).sum(axis=1) for each in (self.used, self.made))
        return used, made


def potline(draw: np.random.Generator) -> Hours:
    """Return a line of about 35 t/h: current and voltage wander, a group of pots an hour is tapped.

    What is tapped was made over the 32 hours before: tonnes lag behind the energy.
    """
    level = draw.uniform(12_600, 13_700) * (1 + _noise(draw, 70, 0.003) + _noise(draw, 260, 0.004))
    return _line(draw, level)


def drifting(draw: np.random.Generator) -> Hours:
    """Return a line whose level begins to drift some time, by up to 2 % a month."""
    begin = draw.uniform(0, HOURS)
    rate = draw.uniform(-0.02, 0.02) / (DAY_HOURS * MONTH_DAYS)
    drift = rate * np.maximum(0.0, np.arange(HOURS) - begin)
    return _line(draw, draw.uniform(12_600, 13_700) * (1 + drift + _noise(draw, 50, 0.004)))


def stepping(draw: np.random.Generator) -> Hours:
    """Return a line that is at once another one some day: relined pots, another alloy."""
    at = draw.integers(0, HOURS)
    step = np.where(np.arange(HOURS) < at, 0.0, draw.normal(0, 0.008))
    return _line(draw, draw.uniform(12_600, 13_700) * (1 + step + _noise(draw, 90, 0.003)))


def _line(draw: np.random.Generator, level: Floats) -> Hours:
    day = 0.003 * np.sin(2 * np.pi * np.arange(HOURS) / DAY_HOURS + draw.uniform(0, 6))
    made = 35 * (1 + _noise(draw, 40, 0.006))
    used = made * level * (1 + day)
    lag = np.convolve(np.concatenate([np.full(31, made[0]), made]), np.full(32, 1 / 32), "valid")
    return Hours(used, lag * (1 + 0.001 * draw.normal(size=HOURS)))


def furnace(draw: np.random.Generator) -> Hours:
    """Return a furnace of 27 MW: stops of hours, a tap in 130 minutes that leaves some metal."""
    runs = _runs(draw, per_day=draw.uniform(0.03, 0.25), least=1, most=8)
    power = 27_000 * (1 + _noise(draw, 8, 0.025)) * np.where(runs, 1.0, 0.02)
    wander = _noise(draw, 24, 0.008) + _noise(draw, 190, 0.008)
    formed = np.where(runs, power / (draw.uniform(7_900, 8_700) * (1 + wander)), 0.0)
    level = np.concatenate([[0.0], np.cumsum(formed)])
    taps = np.arange(draw.uniform(0, 2), HOURS, 130 / 60)
    taps = np.sort(np.clip(taps + draw.uniform(-0.2, 0.2, len(taps)), 0, HOURS - 1e-6))
    drawn = np.interp(taps, np.arange(HOURS + 1), level) - draw.uniform(0, 4, len(taps))
    drawn = np.maximum.accumulate(np.maximum(drawn, 0.0))
    mass = np.diff(np.concatenate([[0.0], drawn])) * (1 + 0.001 * draw.normal(size=len(taps)))
    weighed = np.bincount(taps.astype(np.int64), mass, minlength=HOURS)
    return Hours(power, weighed.astype(np.float64))


def kiln(draw: np.random.Generator) -> Hours:
    """Return a kiln of 208 t/h of clinker: it stops for hours or days, and is heated up again."""
    runs = _runs(draw, per_day=draw.uniform(0.0, 0.12), least=3, most=40)
    made = np.where(runs, 208 * (1 + _noise(draw, 6, 0.02)), 0.0)
    heats = ~runs & np.concatenate([runs[2:], [False, False]])
    wander = _noise(draw, 12, 0.02) + _noise(draw, 150, 0.008)
    per_t = draw.uniform(92, 108) * (1 + wander)
    used = per_t * np.where(heats, 0.3 * 208, made)
    return Hours(used, made * (1 + 0.003 * draw.uniform(-1, 1, HOURS)))


PROCESSES: Final[Mapping[str, Process]] = {
    "potline": potline,
    "furnace": furnace,
    "kiln": kiln,
    "drifting": drifting,
    "stepping": stepping,
}


def _noise(draw: np.random.Generator, lasting_h: float, size: float) -> Floats:
    """Return noise of a standard deviation that forgets itself within so many hours."""
    width = int(6 * lasting_h)
    kernel = np.exp(-np.arange(width) / lasting_h)
    found = np.convolve(draw.normal(size=HOURS + width - 1), kernel, "valid")
    scaled: Floats = size * found / np.sqrt((kernel**2).sum())
    return scaled


def _runs(draw: np.random.Generator, per_day: float, least: int, most: int) -> Bools:
    """Tell of each hour whether the unit runs."""
    runs = np.ones(HOURS, np.bool_)
    for begin in np.flatnonzero(draw.random(HOURS) < per_day / DAY_HOURS):
        runs[begin : begin + draw.integers(least, most + 1)] = False
    return runs
