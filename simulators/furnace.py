"""A submerged-arc furnace with a seed: power, reductant and taps at any instant (pure).

Magnitudes follow real furnaces of 33 to 40 MVA: 27 to 33 MW that follow the tariff of the day,
electrodes that slip and dip the load for minutes, a lower load while metal runs, stoppages of an
hour or four; a tap every two to three hours that leaves some metal behind. Metal is counted in
base tonnes (GB 21341: FeSi at 75 % Si, high-carbon FeCr at 50 % Cr); over weeks, electricity per
base tonne meets the given figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from math import sqrt
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from simulators import noise
from simulators.machine import DAY_MINUTES, PER_UNIT_US, WEIGHER_ERROR, Output
from simulators.minutes import BEGIN_US, MINUTE_US, MinuteCurve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

TAP_JITTER_MINUTES: Final = 10
TAP_LASTS_MINUTES: Final = 15
REST_MINUTES: Final = 60
"""A furnace that stood still within this time before a tap is not tapped yet."""
SLIP_MINUTES: Final = (2, 6)
SLIP_DEPTH: Final = (0.15, 0.40)
STOPPAGE_MINUTES: Final = (40, 240)
STOPPAGE_WINDOW_MINUTES: Final = 12 * 60
CHARGE_EVERY_MINUTES: Final = 12
PASTE_EVERY_MINUTES: Final = 4 * 60
"""Both divide a chunk of minutes, so that a batch never lies astride two of them."""
PEAK_HOURS_UTC: Final = (10, 14)
"""The evening's dear hours, 18 to 22 o'clock in Qinghai: the load goes down."""
_IDLE: Final = 0.02
_SECOND_US: Final = 1_000_000
_MOST_SKIPPED: Final = 24

# One noise stream per cause, so that adding a cause leaves the others as they were.
(
    _POWER_SLOW,
    _POWER_MEDIUM,
    _POWER_FAST,
    _SLIP_STARTS,
    _SLIP_LASTS,
    _SLIP_DEEP,
    _STOPPAGE_COMES,
    _STOPPAGE_STARTS,
    _STOPPAGE_LASTS,
    _TAP_MINUTE,
    _TAP_WEIGHER,
    _TAP_LEFT,
    _GRADE_SLOW,
    _GRADE_FAST,
    _EFFICIENCY,
    _CHARGE,
    _PASTE,
    _AUXILIARY,
    _VOLTAGE,
    _CURRENT_JITTER,
    _VOLTAGE_JITTER,
) = range(21)
_POWER, _METAL, _REDUCTANT, _ELECTRODE, _AUX = range(5)


class Signal(StrEnum):
    """What of a furnace a point shows."""

    ENERGY = "energy"
    AUXILIARY = "auxiliary"
    REDUCTANT = "reductant"
    ELECTRODE_PASTE = "electrode_paste"
    ELECTRODE_CURRENT = "electrode_current"
    ELECTRODE_VOLTAGE = "electrode_voltage"


@dataclass(frozen=True, slots=True)
class FurnaceDesign:
    """What a furnace is built for; the defaults are a ferrosilicon furnace of 33 MVA.

    `power_kw` while it runs undisturbed; `*_per_t` per base tonne; `grade` is the mean mass
    fraction of `element`, `reference_grade` that of a base tonne.
    """

    element: str = "Si"
    reference_grade: float = 0.75
    grade: float = 0.75
    grade_spread: float = 0.022
    power_kw: float = 27_000.0
    power_factor: float = 0.85
    electrode_v: float = 190.0
    smelting_kwh_per_t: float = 8_200.0
    reductant_kg_per_t: float = 660.0
    paste_kg_per_t: float = 55.0
    auxiliary_kw: float = 1_000.0
    tap_every_minutes: int = 130
    slips_per_day: float = 18.0
    stoppages_per_day: float = 0.12


class Furnace:
    """A furnace since BEGIN_US; every answer is a function of seed, design and instant alone."""

    COUNTED: ClassVar[Mapping[str, str]] = {
        Signal.ENERGY: "kWh",
        Signal.AUXILIARY: "kWh",
        Signal.REDUCTANT: "kg",
        Signal.ELECTRODE_PASTE: "kg",
    }
    _ROWS: ClassVar[Mapping[str, int]] = {
        Signal.ENERGY: _POWER,
        Signal.AUXILIARY: _AUX,
        Signal.REDUCTANT: _REDUCTANT,
        Signal.ELECTRODE_PASTE: _ELECTRODE,
    }

    def __init__(self, seed: int, design: FurnaceDesign) -> None:
        self.seed = seed
        self.design = design
        self._rows = MinuteCurve(self._evaluate)

    def counted(self, signal: str, at_us: int) -> int:
        """Return watt- or gram-per-hour-microseconds since BEGIN_US, exactly."""
        return self._rows.integral(at_us, self._ROWS[signal])

    def shown(self, signal: str, at_us: int) -> float:
        """Return what the instrument shows: kA of an electrode, V between electrodes."""
        if signal == Signal.ELECTRODE_CURRENT:
            return self.electrode_current_ka(at_us)
        return self.electrode_voltage_v(at_us)

    def power_kw(self, at_us: int) -> float:
        """Return active power at the furnace transformer's primary [kW]."""
        return self._rows.value(at_us, _POWER) / 1000

    def electrode_voltage_v(self, at_us: int) -> float:
        """Return the secondary voltage between electrodes [V]: the tap changer holds it."""
        volts = self._volts(at_us)
        return round(volts * self._jitter(_VOLTAGE_JITTER, at_us), 1)

    def electrode_current_ka(self, at_us: int) -> float:
        """Return the current of an electrode [kA]: power over root 3, voltage, power factor."""
        apparent_kva = self.power_kw(at_us) / self.design.power_factor
        current_ka = apparent_kva / sqrt(3) / self._volts(at_us)
        return round(current_ka * self._jitter(_CURRENT_JITTER, at_us), 3)

    def base_t(self, from_us: int, until_us: int) -> float:
        """Return the metal that formed in the hearth over a span [base tonnes]."""
        made = self._rows.integral(until_us, _METAL) - self._rows.integral(from_us, _METAL)
        return made / PER_UNIT_US / 1000

    def outputs(self, from_us: int, until_us: int) -> list[Output]:
        """Return the taps weighed in [from, until), sorted by time.

        A tap gives what formed since the tap before, less what stays in the hearth. None is made
        while the furnace stands still, nor shortly after.
        """
        every_us = self.design.tap_every_minutes * MINUTE_US
        first = max((from_us - BEGIN_US) // every_us, _MOST_SKIPPED)
        last = (until_us - BEGIN_US) // every_us
        found = []
        for number in range(first, last + 1):
            at_us = self._tapped_us(number)
            if from_us <= at_us < until_us and self._taps(number):
                found.append(self._tap(number, at_us))
        return found

    def _tap(self, number: int, at_us: int) -> Output:
        design = self.design
        before = next(
            each for each in range(number - 1, number - 1 - _MOST_SKIPPED, -1) if self._taps(each)
        )
        base_t = self.base_t(self._tapped_us(before), at_us) + self._left(before)
        base_t -= self._left(number)
        grade = self._grade(number)
        error = WEIGHER_ERROR * (2 * noise.one(self.seed, _TAP_WEIGHER, number) - 1)
        mass_t = base_t * design.reference_grade / float(grade) * (1 + error)
        return Output(
            "tap",
            number,
            at_us,
            Decimal(round(mass_t * 1000)) / 1000,
            "tapping",
            {design.element: str(grade)},
        )

    def _tapped_us(self, number: int) -> int:
        minute = number * self.design.tap_every_minutes
        minute += int(self._tap_offset(np.array([number], np.int64))[0])
        return BEGIN_US + (minute + TAP_LASTS_MINUTES) * MINUTE_US

    def _tap_offset(self, number: NDArray[np.int64]) -> NDArray[np.int64]:
        jitter = noise.uniform(self.seed, _TAP_MINUTE, number) * (TAP_JITTER_MINUTES + 1)
        return jitter.astype(np.int64)

    def _taps(self, number: int) -> bool:
        minute = (self._tapped_us(number) - BEGIN_US) // MINUTE_US
        return bool(np.all(self._runs(np.array([minute, minute - REST_MINUTES], np.int64))))

    def _left(self, number: int) -> float:
        """Return the metal that a tap leaves in the hearth [base t], up to a twentieth of one."""
        design = self.design
        full_t = design.power_kw / design.smelting_kwh_per_t * design.tap_every_minutes / 60
        return 0.05 * full_t * noise.one(self.seed, _TAP_LEFT, number)

    def _grade(self, number: int) -> Decimal:
        at = np.array([number], np.int64)
        slow = float(noise.smooth(self.seed, _GRADE_SLOW, at, 12)[0])
        fast = 2 * noise.one(self.seed, _GRADE_FAST, number) - 1
        swing = self.design.grade_spread * (0.8 * slow + 0.2 * fast)
        return Decimal(round((self.design.grade + swing) * 10_000)) / 10_000

    def _jitter(self, stream: int, at_us: int) -> float:
        return 1 + 0.002 * (noise.one(self.seed, stream, at_us // _SECOND_US) - 0.5)

    def _volts(self, at_us: int) -> float:
        minute = np.array([(at_us - BEGIN_US) // MINUTE_US], np.int64)
        step = noise.smooth(self.seed, _VOLTAGE, minute, 60)[0]
        return self.design.electrode_v * (1 + 0.03 * float(step))

    def _evaluate(self, minute: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return watts, grams an hour of metal, reductant and paste, watts of the auxiliaries."""
        design = self.design
        runs = self._runs(minute)
        watts = np.rint(self._power_kw(minute) * np.where(runs, 1000.0, 1000.0 * _IDLE))
        drift = 0.006 * noise.smooth(self.seed, _EFFICIENCY, minute, DAY_MINUTES)
        metal = np.where(runs, watts / (design.smelting_kwh_per_t * (1 + drift)) * 1000, 0.0)
        fans = 0.05 * noise.smooth(self.seed, _AUXILIARY, minute, 45)
        rows = (
            watts,
            np.rint(metal),
            self._batches(minute, metal, CHARGE_EVERY_MINUTES, design.reductant_kg_per_t, _CHARGE),
            self._batches(minute, metal, PASTE_EVERY_MINUTES, design.paste_kg_per_t, _PASTE),
            np.rint(design.auxiliary_kw * 1000 * (1 + fans) * np.where(runs, 1.0, 0.6)),
        )
        return np.stack(rows).astype(np.int64)

    def _batches(
        self,
        minute: NDArray[np.int64],
        metal: NDArray[np.float64],
        every: int,
        kg_per_t: float,
        stream: int,
    ) -> NDArray[np.float64]:
        """Return a material weighed in batches [g/h]: all of a batch within its last minute."""
        spread = 0.04 * (noise.uniform(self.seed, stream, minute[::every] // every) - 0.5)
        batch = metal.reshape(-1, every).sum(axis=1) * (kg_per_t / 1000) * (1 + spread)
        rate = np.zeros(minute.shape)
        rate[every - 1 :: every] = np.rint(batch)
        return rate

    def _power_kw(self, minute: NDArray[np.int64]) -> NDArray[np.float64]:
        seed = self.seed
        slow = 0.025 * noise.smooth(seed, _POWER_SLOW, minute, 8 * 60)
        medium = 0.015 * noise.smooth(seed, _POWER_MEDIUM, minute, 25)
        fast = 0.015 * noise.smooth(seed, _POWER_FAST, minute, 3)
        hour = minute % DAY_MINUTES // 60
        peak = np.where((hour >= PEAK_HOURS_UTC[0]) & (hour < PEAK_HOURS_UTC[1]), -0.05, 0.01)
        level = self.design.power_kw * (1 + slow + medium + fast + peak)
        return level * np.where(self._tapping(minute), 0.95, 1.0) * (1 - self._slip(minute))

    def _tapping(self, minute: NDArray[np.int64]) -> NDArray[np.bool_]:
        number, since = np.divmod(minute, self.design.tap_every_minutes)
        begun = since - self._tap_offset(number)
        return (begun >= 0) & (begun < TAP_LASTS_MINUTES)

    def _slip(self, minute: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the share of load that slipping electrodes take away: the deepest slip's."""
        share = np.zeros(minute.shape)
        low, high = SLIP_MINUTES
        shallow, deep = SLIP_DEPTH
        rate = self.design.slips_per_day / DAY_MINUTES
        for age in range(high):
            start = minute - age
            comes = noise.uniform(self.seed, _SLIP_STARTS, start) < rate
            lasts = low + np.floor((high - low + 1) * noise.uniform(self.seed, _SLIP_LASTS, start))
            depth = shallow + (deep - shallow) * noise.uniform(self.seed, _SLIP_DEEP, start)
            share = np.maximum(share, np.where(comes & (age < lasts), depth, 0.0))
        return share

    def _runs(self, minute: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell when the furnace runs: a window of half a day holds at most one stoppage."""
        window, since = np.divmod(minute, STOPPAGE_WINDOW_MINUTES)
        low, high = STOPPAGE_MINUTES
        rate = self.design.stoppages_per_day * STOPPAGE_WINDOW_MINUTES / DAY_MINUTES
        comes = noise.uniform(self.seed, _STOPPAGE_COMES, window) < rate
        room = STOPPAGE_WINDOW_MINUTES - high
        start = np.floor(room * noise.uniform(self.seed, _STOPPAGE_STARTS, window))
        lasts = low + np.floor((high - low) * noise.uniform(self.seed, _STOPPAGE_LASTS, window))
        stands: NDArray[np.bool_] = comes & (since >= start) & (since < start + lasts)
        return ~stands
