"""Gauges over spans of time: the charge of a current, and what a voltage was while it flowed.

A gauge is linear between neighbours, and unknown across a step longer than its longest gap, as in
core.integrals. The mean voltage is weighted by the current: while a line stands without current it
says nothing of energy. Floats, for estimates only: what the law counts comes from core.integrals.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from core.decimals import E6
from core.quality import Quality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.exactmath import Bools, Floats, Int16s, Int64s

HOUR_US: Final = 3_600_000_000
ALWAYS_US: Final = 2**61
NEVER_US: Final = -ALWAYS_US


@dataclass(frozen=True, slots=True)
class Gauge:
    """Usable readings of a gauge in order of time, in the unit that is wanted."""

    ts_us: Int64s
    values: Floats
    max_gap_us: int

    @classmethod
    def of(
        cls,
        ts_us: Int64s,
        values: Floats,
        quality: Int16s,
        max_gap_us: int,
        factors: Sequence[Sequence[tuple[int, Fraction]]] = (),
        scale: Fraction = Fraction(1),
    ) -> Gauge:
        """Take what is usable: no bad reading, none before the first of any dated factors."""
        scaled = values * float(scale)
        for dated in factors:
            ratio = np.full(len(ts_us), np.nan)
            for since_us, factor in dated:
                ratio[ts_us >= since_us] = float(factor)
            scaled = scaled * ratio
        usable = (quality != Quality.BAD) & np.isfinite(scaled)
        return cls(ts_us[usable], scaled[usable], max_gap_us)

    @classmethod
    def nothing(cls) -> Gauge:
        """Return a gauge of which nothing is known."""
        return cls(np.zeros(0, np.int64), np.zeros(0), 0)

    @classmethod
    def constant(cls, value: float) -> Gauge:
        """Return a gauge that always shows the same."""
        return cls(np.array([NEVER_US, ALWAYS_US]), np.full(2, value), 2 * ALWAYS_US)

    def known(self, at_us: Int64s) -> Bools:
        """Tell of each step that begins at an instant, and passes no reading, whether it counts."""
        if len(self.ts_us) < 2:  # noqa: PLR2004 - a step has two ends
            return np.zeros(len(at_us), np.bool_)
        place = np.searchsorted(self.ts_us, at_us, "right") - 1
        inside = (place >= 0) & (place < len(self.ts_us) - 1)
        short: Bools = np.diff(self.ts_us) <= self.max_gap_us
        return inside & short[np.clip(place, 0, len(short) - 1)]

    def at(self, at_us: Int64s) -> Floats:
        """Return the values at instants."""
        if not len(self.ts_us):
            return np.zeros(len(at_us))
        return np.interp(at_us, self.ts_us, self.values)


@dataclass(frozen=True, slots=True)
class GaugeSums:
    """Sums over consecutive intervals, one row each.

    `charge` of the current wherever it is known, over `charge_us`; `shared` charge and `work`
    (current x voltage) where both are known, over `shared_us`.
    """

    charge: Floats
    charge_us: Int64s
    shared: Floats
    work: Floats
    shared_us: Int64s

    @classmethod
    def nothing(cls, length: int) -> GaugeSums:
        """Return sums of `length` intervals of which nothing is known."""
        floats, whole = np.zeros(length), np.zeros(length, np.int64)
        return cls(floats, whole, floats.copy(), floats.copy(), whole.copy())

    @classmethod
    def join(cls, parts: Sequence[GaugeSums]) -> GaugeSums:
        """Return the sums of parts that follow one another."""
        held = [cls.nothing(0), *parts]
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in held])
                for name in cls.__dataclass_fields__
            )
        )

    def over(self, first: int, behind: int) -> GaugeMeans:
        """Return what a run of intervals gives."""
        rows = slice(first, behind)
        charge_us, shared_us = int(self.charge_us[rows].sum()), int(self.shared_us[rows].sum())
        shared, work = float(self.shared[rows].sum()), float(self.work[rows].sum())
        return GaugeMeans(
            _exact(float(self.charge[rows].sum())) if charge_us else None,
            charge_us,
            _exact(work / shared) if shared > 0 else None,
            shared_us,
        )


@dataclass(frozen=True, slots=True)
class GaugeMeans:
    """Charge [unit of the current x hours] and mean voltage of a span, with the time they cover."""

    charge: Fraction | None
    charge_us: int
    voltage: Fraction | None
    voltage_us: int


def sums(current: Gauge, voltage: Gauge, edges_us: Int64s) -> GaugeSums:
    """Return the sums of each interval between edges, which are in order without repeats."""
    length = len(edges_us) - 1
    if length < 1:
        return GaugeSums.nothing(0)
    cuts = [edges_us, _inside(current.ts_us, edges_us), _inside(voltage.ts_us, edges_us)]
    grid = np.unique(np.concatenate(cuts))
    begins, width_us = grid[:-1], np.diff(grid)
    hours = width_us / HOUR_US
    row = np.searchsorted(edges_us, begins, "right") - 1
    amperes, volts = current.at(grid), voltage.at(grid)
    flows = current.known(begins)
    both = flows & voltage.known(begins)
    charge = (amperes[:-1] + amperes[1:]) / 2 * hours
    i0, i1, v0, v1 = amperes[:-1], amperes[1:], volts[:-1], volts[1:]
    work = (2 * i0 * v0 + i0 * v1 + i1 * v0 + 2 * i1 * v1) / 6 * hours  # exact of two lines
    return GaugeSums(
        _total(row, np.where(flows, charge, 0.0), length),
        _total(row, np.where(flows, width_us, 0), length).astype(np.int64),
        _total(row, np.where(both, charge, 0.0), length),
        _total(row, np.where(both, work, 0.0), length),
        _total(row, np.where(both, width_us, 0), length).astype(np.int64),
    )


def _inside(ts_us: Int64s, edges_us: Int64s) -> Int64s:
    found: Int64s = ts_us[(ts_us > edges_us[0]) & (ts_us < edges_us[-1])]
    return found


def _total(row: Int64s, amount: Floats | Int64s, length: int) -> Floats:
    return np.bincount(row, weights=amount, minlength=length)[:length].astype(np.float64)


def _exact(amount: float) -> Fraction:
    return Fraction(round(amount * E6), E6)
