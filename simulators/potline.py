"""A potline with a seed: current, voltage, power, energy and tappings at any instant (pure).

Magnitudes follow real lines: about 400 kA held within 1 %, pots of 3.8 to 4.1 V that drift and
follow the day, anode effects of 8 to 40 V for 1 to 5 minutes. Base voltage is chosen so that, over
weeks, alternating current per tonne meets the given figure. What leaves the pots by their tappings
and what stays in them is all the metal that was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from simulators import electrolysis, noise
from simulators.machine import DAY_MINUTES, WEIGHER_ERROR, Output
from simulators.minutes import BEGIN_US, HOUR_US, MinuteCurve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

TAP_EVERY_HOURS: Final = 32
LEFT_HOURS: Final = 11 * 24
"""A tapping leaves in a pot what it makes in eleven days, 33 t at 3.03 t a day. With half of the
4 t that it makes from turn to turn it holds 35 t in the mean, which smelters book for a pot."""
ANODE_EFFECT_MINUTES: Final = (1, 5)
ANODE_EFFECT_VOLTS: Final = (8.0, 40.0)
_SECOND_US: Final = 1_000_000

# One noise stream per cause, so that adding a cause leaves the others as they were.
(
    _CURRENT_SLOW,
    _CURRENT_FAST,
    _VOLTAGE_DRIFT,
    _VOLTAGE_FAST,
    _EFFECT_STARTS,
    _EFFECT_MINUTES,
    _EFFECT_VOLTS,
    _PHASE,
    _TAP_MINUTE,
    _TAP_WEIGHER,
    _CURRENT_JITTER,
    _VOLTAGE_JITTER,
    _AUXILIARY,
) = range(13)


class Signal(StrEnum):
    """What of a potline a point shows."""

    ENERGY = "energy"
    AUXILIARY = "auxiliary"
    LINE_CURRENT = "line_current"
    LINE_VOLTAGE = "line_voltage"


@dataclass(frozen=True, slots=True)
class PotlineDesign:
    """What a line is built for: pots, current, efficiencies, kWh per tonne, auxiliary load."""

    pots: int = 288
    line_current_ka: float = 400.0
    ac_kwh_per_t: float = 12_430.0
    current_efficiency: float = 0.94
    rectifier_efficiency: float = 0.98
    anode_effects_per_pot_day: float = 0.05
    auxiliary_kw: float = 11_000.0


class Potline:
    """A potline since BEGIN_US; every answer is a function of seed, design and instant alone."""

    COUNTED: ClassVar[Mapping[str, str]] = {Signal.ENERGY: "kWh", Signal.AUXILIARY: "kWh"}
    HELD: ClassVar[str] = "metal_in_pots"
    HOLDS_FROM_US: ClassVar[int] = BEGIN_US + TAP_EVERY_HOURS * HOUR_US
    """Every group has had a turn by then."""

    def __init__(self, seed: int, design: PotlineDesign) -> None:
        self.seed = seed
        self.design = design
        low, high = ANODE_EFFECT_MINUTES
        mean_volts = electrolysis.mean_voltage_v(
            design.ac_kwh_per_t, design.current_efficiency, design.rectifier_efficiency
        )
        self._effect_rate = design.pots * design.anode_effects_per_pot_day / DAY_MINUTES
        self._base_v = mean_volts - electrolysis.anode_effect_voltage_v(
            design.anode_effects_per_pot_day,
            (low + high) / 2,
            sum(ANODE_EFFECT_VOLTS) / 2 - mean_volts,
        )
        self._phase = 2 * np.pi * noise.one(seed, _PHASE, 0)
        self._watts = MinuteCurve(self._ac_watts)
        self._auxiliary = MinuteCurve(self._auxiliary_watts)
        self._amperes = MinuteCurve(
            lambda minute: np.rint(self._current_ka(minute) * 1000).astype(np.int64)
        )

    def counted(self, signal: str, at_us: int) -> int:
        """Return watt-microseconds since BEGIN_US, exactly: of the line, or of its auxiliaries."""
        curve = self._watts if signal == Signal.ENERGY else self._auxiliary
        return curve.integral(at_us)

    def shown(self, signal: str, at_us: int) -> float:
        """Return what the instrument shows: kA of the line, V of all its cells."""
        if signal == Signal.LINE_CURRENT:
            return self.line_current_ka(at_us)
        return self.line_voltage_v(at_us)

    def power_kw(self, at_us: int) -> float:
        """Return AC power [kW], the slope of its energy."""
        return self._watts.value(at_us) / 1000

    def line_current_ka(self, at_us: int) -> float:
        """Return what the line's current transducer shows [kA]."""
        jitter = noise.one(self.seed, _CURRENT_JITTER, at_us // _SECOND_US) - 0.5
        return round(self._amperes.value(at_us) / 1000 * (1 + 0.001 * jitter), 3)

    def line_voltage_v(self, at_us: int) -> float:
        """Return the sum of all cell voltages [V]: power, less rectifier losses, over current."""
        jitter = noise.one(self.seed, _VOLTAGE_JITTER, at_us // _SECOND_US) - 0.5
        dc_w = self._watts.value(at_us) * self.design.rectifier_efficiency
        return round(dc_w / self._amperes.value(at_us) * (1 + 0.001 * jitter), 2)

    def produced_t(self, from_us: int, until_us: int) -> float:
        """Return the metal made in the pots [t] over a span."""
        ka_hours = (
            (self._amperes.integral(until_us) - self._amperes.integral(from_us)) / HOUR_US / 1000
        )
        return electrolysis.metal_t(1.0, ka_hours, self.design.pots, self.design.current_efficiency)

    def outputs(self, from_us: int, until_us: int) -> list[Output]:
        """Return the hauls weighed in [from, until), sorted by time.

        Each hour one of TAP_EVERY_HOURS groups of pots gives the metal it made since its last
        turn.
        """
        first = max((from_us - BEGIN_US) // HOUR_US, TAP_EVERY_HOURS)
        last = (until_us - BEGIN_US) // HOUR_US
        found = []
        for number in range(first, last + 1):
            at_us = self._tapped_us(number)
            if from_us <= at_us < until_us:
                found.append(Output("tap", number, at_us, self._tapped_t(number, at_us)))
        return found

    def held_t(self, at_us: int) -> Decimal:
        """Return the metal in all pots at an instant from HOLDS_FROM_US on [t].

        What tappings leave, and what each group has made since its last turn before the instant:
        from one instant to another it grows by what was made less what was taken.
        """
        last = (at_us - BEGIN_US) // HOUR_US
        if self._tapped_us(last) >= at_us:
            last -= 1
        turns = range(last - TAP_EVERY_HOURS + 1, last + 1)
        made = sum(self.produced_t(self._tapped_us(turn), at_us) for turn in turns)
        design = self.design
        left = electrolysis.metal_t(
            design.line_current_ka, LEFT_HOURS, design.pots, design.current_efficiency
        )
        return _to_kg(left + made / TAP_EVERY_HOURS)

    def _tapped_us(self, number: int) -> int:
        minute = 5 + int(50 * noise.one(self.seed, _TAP_MINUTE, number))
        return BEGIN_US + number * HOUR_US + minute * 60 * _SECOND_US

    def _tapped_t(self, number: int, at_us: int) -> Decimal:
        made = self.produced_t(self._tapped_us(number - TAP_EVERY_HOURS), at_us)
        error = WEIGHER_ERROR * (2 * noise.one(self.seed, _TAP_WEIGHER, number) - 1)
        return _to_kg(made / TAP_EVERY_HOURS * (1 + error))

    def _current_ka(self, minute: NDArray[np.int64]) -> NDArray[np.float64]:
        slow = noise.smooth(self.seed, _CURRENT_SLOW, minute, 90)
        fast = noise.smooth(self.seed, _CURRENT_FAST, minute, 5)
        return self.design.line_current_ka * (1 + 0.006 * slow + 0.003 * fast)

    def _cell_v(self, minute: NDArray[np.int64]) -> NDArray[np.float64]:
        drift = noise.smooth(self.seed, _VOLTAGE_DRIFT, minute, 3 * DAY_MINUTES)
        fast = noise.smooth(self.seed, _VOLTAGE_FAST, minute, 20)
        day = np.sin(2 * np.pi * (minute % DAY_MINUTES) / DAY_MINUTES + self._phase)
        return self._base_v * (1 + 0.004 * drift + 0.003 * day + 0.001 * fast)

    def _effect_v(
        self, minute: NDArray[np.int64], cell_v: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return what anode effects add to the line's voltage [V]."""
        extra = np.zeros(minute.shape)
        low, high = ANODE_EFFECT_MINUTES
        for age in range(high):
            start = minute - age
            begins = noise.uniform(self.seed, _EFFECT_STARTS, start) < self._effect_rate
            lasts = low + np.floor(
                (high - low + 1) * noise.uniform(self.seed, _EFFECT_MINUTES, start)
            )
            volts = ANODE_EFFECT_VOLTS[0] + (
                ANODE_EFFECT_VOLTS[1] - ANODE_EFFECT_VOLTS[0]
            ) * noise.uniform(self.seed, _EFFECT_VOLTS, start)
            extra += np.where(begins & (age < lasts), volts - cell_v, 0.0)
        return extra

    def _ac_watts(self, minute: NDArray[np.int64]) -> NDArray[np.int64]:
        cell_v = self._cell_v(minute)
        line_v = self.design.pots * cell_v + self._effect_v(minute, cell_v)
        dc_kw = self._current_ka(minute) * line_v
        return np.rint(dc_kw * 1000 / self.design.rectifier_efficiency).astype(np.int64)

    def _auxiliary_watts(self, minute: NDArray[np.int64]) -> NDArray[np.int64]:
        fans = noise.smooth(self.seed, _AUXILIARY, minute, 45)
        day = np.sin(2 * np.pi * (minute % DAY_MINUTES) / DAY_MINUTES + self._phase + 1.0)
        load = self.design.auxiliary_kw * (1 + 0.05 * fans + 0.03 * day)
        return np.rint(load * 1000).astype(np.int64)


def _to_kg(mass_t: float) -> Decimal:
    """Return a mass [t] as it is written down, to the kilogram."""
    return Decimal(round(mass_t * 1000)) / 1000
