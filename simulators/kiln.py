"""A cement kiln of 5000 t a day with a seed: feed, coal, electricity, clinker (pure).

Magnitudes follow real lines: 333 t/h of raw meal give 208 t/h of clinker (there is rarely a scale:
clinker is feed over a factor of 1.55 to 1.60), 26 to 29 t/h of coal to burner and calciner, 55 to
60 kWh/t; the raw mill stands still in the dear hours. A stop is rare; heating up afterwards takes
coal and gives no clinker. Over weeks, coal and electricity per tonne meet the given figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from simulators import noise
from simulators.machine import DAY_MINUTES, PER_UNIT_US, Output
from simulators.minutes import BEGIN_US, HOUR_US, MinuteCurve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

STOP_WINDOW_MINUTES: Final = 48 * 60
STOP_MINUTES: Final = (3 * 60, 10 * 60)
HEAT_UP_MINUTES: Final = 60
HEAT_UP_SHARE: Final = 0.3
"""Of the usual coal, in the last minutes of a stop."""
IDLE_SHARE: Final = 0.08
"""Of the usual electricity, while the kiln stands still: barring gear, cooling fans."""
MILL_REST_HOURS_UTC: Final = (10, 14)
"""The raw mill rests in the evening's dear hours, 18 to 22 o'clock in Qinghai."""
SCALE_ERROR: Final = 0.003
_SECOND_US: Final = 1_000_000

# One noise stream per cause, so that adding a cause leaves the others as they were.
(
    _FEED_SLOW,
    _FEED_FAST,
    _BURNER,
    _CALCINER,
    _MAIN,
    _MILL,
    _STOP_COMES,
    _STOP_STARTS,
    _STOP_LASTS,
    _SCALE,
    _FEED_JITTER,
) = range(11)
_FEED, _BURNER_COAL, _CALCINER_COAL, _MAIN_W, _MILL_W = range(5)


class Signal(StrEnum):
    """What of a kiln a point shows."""

    ENERGY = "energy"
    RAW_MILL = "raw_mill"
    BURNER_COAL = "burner_coal"
    CALCINER_COAL = "calciner_coal"
    FEED_RATE = "feed_rate"


@dataclass(frozen=True, slots=True)
class KilnDesign:
    """What a line is built for: feed, feed per clinker, coal and electricity per t of clinker."""

    feed_t_per_h: float = 333.0
    feed_factor: float = 1.60
    coal_kg_per_t: float = 136.0
    burner_share: float = 0.40
    electricity_kwh_per_t: float = 55.5
    raw_mill_share: float = 0.40
    stops_per_day: float = 0.04


class Kiln:
    """A kiln since BEGIN_US; every answer is a function of seed, design and instant alone."""

    COUNTED: ClassVar[Mapping[str, str]] = {
        Signal.ENERGY: "kWh",
        Signal.RAW_MILL: "kWh",
        Signal.BURNER_COAL: "kg",
        Signal.CALCINER_COAL: "kg",
    }
    _ROWS: ClassVar[Mapping[str, int]] = {
        Signal.ENERGY: _MAIN_W,
        Signal.RAW_MILL: _MILL_W,
        Signal.BURNER_COAL: _BURNER_COAL,
        Signal.CALCINER_COAL: _CALCINER_COAL,
    }

    def __init__(self, seed: int, design: KilnDesign) -> None:
        self.seed = seed
        self.design = design
        self._rows = MinuteCurve(self._evaluate)

    def counted(self, signal: str, at_us: int) -> int:
        """Return watt- or gram-per-hour-microseconds since BEGIN_US, exactly."""
        return self._rows.integral(at_us, self._ROWS[signal])

    def shown(self, signal: str, at_us: int) -> float:
        """Return what the feed's belt weigher shows [t/h], the only other instrument."""
        assert signal == Signal.FEED_RATE  # noqa: S101 - the process file allows no other
        return self.feed_t_per_h(at_us)

    def feed_t_per_h(self, at_us: int) -> float:
        """Return the raw meal that enters [t/h]."""
        jitter = 1 + 0.004 * (noise.one(self.seed, _FEED_JITTER, at_us // _SECOND_US) - 0.5)
        return round(self._rows.value(at_us, _FEED) / 1_000_000 * jitter, 3)

    def outputs(self, from_us: int, until_us: int) -> list[Output]:
        """Return the clinker of each hour, by feed over factor, stamped in [from, until).

        Each is stamped in the last second of its hour, so that it belongs to the period in which
        the clinker was burnt. An hour without clinker has none.
        """
        first = max((from_us - BEGIN_US) // HOUR_US, 0)
        last = (until_us - BEGIN_US) // HOUR_US
        found = []
        for number in range(first, last + 1):
            at_us = BEGIN_US + (number + 1) * HOUR_US - _SECOND_US
            if from_us <= at_us < until_us:
                mass_t = self._burnt_t(number)
                if mass_t:
                    found.append(Output("clinker", number, at_us, mass_t, "weighing"))
        return found

    def _burnt_t(self, number: int) -> Decimal:
        begin = BEGIN_US + number * HOUR_US
        grams = self._rows.integral(begin + HOUR_US, _FEED) - self._rows.integral(begin, _FEED)
        error = SCALE_ERROR * (2 * noise.one(self.seed, _SCALE, number) - 1)
        mass_t = grams / PER_UNIT_US / 1000 / self.design.feed_factor * (1 + error)
        return Decimal(round(mass_t * 1000)) / 1000

    def _evaluate(self, minute: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return grams an hour of feed, coal to burner and calciner, watts of each meter."""
        design, seed = self.design, self.seed
        stands, heats = self._stops(minute)
        slow = 0.012 * noise.smooth(seed, _FEED_SLOW, minute, 6 * 60)
        fast = 0.006 * noise.smooth(seed, _FEED_FAST, minute, 10)
        feed = design.feed_t_per_h * 1e6 * np.where(stands, 0.0, 1 + slow + fast)
        usual_t = design.feed_t_per_h / design.feed_factor
        clinker_t = feed / 1e6 / design.feed_factor
        fired_t = np.where(heats, usual_t * HEAT_UP_SHARE, clinker_t)
        driven_t = np.where(stands, usual_t * IDLE_SHARE, clinker_t)
        lost = self._lost()
        coal = fired_t * design.coal_kg_per_t * 1000 / (1 + lost * HEAT_UP_MINUTES * HEAT_UP_SHARE)
        power = driven_t * design.electricity_kwh_per_t * 1000
        power /= 1 + lost * sum(STOP_MINUTES) / 2 * IDLE_SHARE
        burner = 1 + 0.02 * noise.smooth(seed, _BURNER, minute, 15)
        calciner = 1 + 0.02 * noise.smooth(seed, _CALCINER, minute, 7)
        rows = (
            feed,
            coal * design.burner_share * burner,
            coal * (1 - design.burner_share) * calciner,
            power * (1 - design.raw_mill_share) * (1 + 0.02 * noise.smooth(seed, _MAIN, minute, 9)),
            power * design.raw_mill_share * self._mill(minute, stands),
        )
        return np.rint(np.stack(rows)).astype(np.int64)

    def _lost(self) -> float:
        """Return how many stops there are in a minute of burning."""
        per_minute = self.design.stops_per_day / DAY_MINUTES
        return per_minute / (1 - per_minute * sum(STOP_MINUTES) / 2)

    def _mill(self, minute: NDArray[np.int64], stands: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the raw mill's load over its daily mean: it grinds a day's meal in 20 hours."""
        hour = minute % DAY_MINUTES // 60
        rest_begins, rest_ends = MILL_REST_HOURS_UTC
        rests = (hour >= rest_begins) & (hour < rest_ends)
        load = 24 / (24 - rest_ends + rest_begins)
        swing = 1 + 0.04 * noise.smooth(self.seed, _MILL, minute, 12)
        return np.where(rests & ~stands, 0.0, np.where(stands, 1.0, load * swing))

    def _stops(self, minute: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return when the kiln stands still, and when it is heated up for the end of that."""
        window, since = np.divmod(minute, STOP_WINDOW_MINUTES)
        low, high = STOP_MINUTES
        rate = self.design.stops_per_day * STOP_WINDOW_MINUTES / DAY_MINUTES
        comes = noise.uniform(self.seed, _STOP_COMES, window) < rate
        room = STOP_WINDOW_MINUTES - high
        start = np.floor(room * noise.uniform(self.seed, _STOP_STARTS, window))
        end = start + low + np.floor((high - low) * noise.uniform(self.seed, _STOP_LASTS, window))
        stands = comes & (since >= start) & (since < end)
        return stands, stands & (since >= end - HEAT_UP_MINUTES)
