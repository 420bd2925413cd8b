"""A unit's energy as a curve: the sum of its meters since an instant, at any instant between.

Levels at the edges of slots are whole millionths, and in a slot the curve is linear in time; so
spans that follow one another add up to the whole exactly. What is not wholly known has no level.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from core.decimals import E6
from core.periods import SLOT_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.exactmath import Bools, Int64s


@dataclass(frozen=True, slots=True)
class MeteredSlots:
    """Slots of one meter, signed, in millionths of the unit in which meters are added.

    Where `known` is false the slot's energy is not wholly known; a slot without a row is unknown.
    """

    start_us: Int64s
    energy_e6: Int64s
    estimated_e6: Int64s
    known: Bools


@dataclass(frozen=True, slots=True)
class EnergyCurve:
    """Energy since `begin_us` at the edges of slots, linear in time within a slot.

    `unknown` counts the slots until each edge whose energy is not wholly known.
    """

    begin_us: int
    levels_e6: Int64s
    estimated_e6: Int64s
    unknown: Int64s

    @classmethod
    def of(cls, begin_us: int, end_us: int, meters: Sequence[MeteredSlots]) -> EnergyCurve:
        """Add up the meters over [begin, end), widened to whole slots; no meter: all unknown."""
        begin_us -= begin_us % SLOT_US
        length = max(-((begin_us - end_us) // SLOT_US), 0)
        energy, estimated = np.zeros(length, np.int64), np.zeros(length, np.int64)
        known = np.full(length, bool(meters))
        for meter in meters:
            inside = (meter.start_us >= begin_us) & (meter.start_us < begin_us + length * SLOT_US)
            place = (meter.start_us[inside] - begin_us) // SLOT_US
            energy[place] += meter.energy_e6[inside]
            estimated[place] += np.abs(meter.estimated_e6[inside])
            there = np.zeros(length, np.bool_)
            there[place] = meter.known[inside]
            known &= there
        return cls(begin_us, _summed(energy), _summed(estimated), _summed(~known))

    @property
    def end_us(self) -> int:
        """Return the end of the last slot."""
        return self.begin_us + (len(self.levels_e6) - 1) * SLOT_US

    def between(self, from_us: int, until_us: int) -> Fraction | None:
        """Return the energy of [from, until); None where part of it is unknown."""
        if until_us <= from_us:
            return Fraction(0)
        if from_us < self.begin_us or until_us > self.end_us:
            return None
        first = (from_us - self.begin_us) // SLOT_US
        behind = -((self.begin_us - until_us) // SLOT_US)
        if self.unknown[behind] > self.unknown[first]:
            return None
        return self._risen(self.levels_e6, from_us, until_us)

    def estimated(self, from_us: int, until_us: int) -> Fraction:
        """Return how much of the energy of [from, until) was booked across gaps."""
        return self._risen(
            self.estimated_e6, max(from_us, self.begin_us), min(until_us, self.end_us)
        )

    def _risen(self, levels: Int64s, from_us: int, until_us: int) -> Fraction:
        if until_us <= from_us:
            return Fraction(0)
        return (self._level(levels, until_us) - self._level(levels, from_us)) / E6

    def _level(self, levels: Int64s, at_us: int) -> Fraction:
        place, rest = divmod(at_us - self.begin_us, SLOT_US)
        low = int(levels[place])
        if not rest:
            return Fraction(low)
        return low + Fraction((int(levels[place + 1]) - low) * rest, SLOT_US)


def _summed(rows: Int64s | Bools) -> Int64s:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(rows, dtype=np.int64)])
