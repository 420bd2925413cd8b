"""What slots show of a unit at work: energy of producing, idle and doubtful time, exactly.

A slot is idle where the process power lies below a threshold, doubtful where a meter was not read
all through it, else producing. Each group of meters (process, auxiliary, recovery) is summed apart.
Promise: groups, idle time and what was booked by facts add up to the law's energy, as fractions;
only which state a slot is in is decided in floating point.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from core import decimals, intensity, units
from core.periods import HOUR_US, SLOT_US

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.exactmath import Bools, Floats, Int64s
    from core.fuels import Measured
    from core.indicators import Indicator
    from core.intensity import Intensity
    from core.plant import Point

LEVEL_QUANTILE: Final = 0.75  # of process power: a unit that runs a quarter of its time shows it
RECOVERED: Final = frozenset({"recovered", "sold", "waste-heat-power"})
BESIDE: Final = frozenset({"auxiliary", "casting"})


class Group(StrEnum):
    """What a meter's energy is for."""

    PROCESS = "process"
    AUXILIARY = "auxiliary"
    RECOVERY = "recovery"


def group_of(point: Point) -> Group:
    """Return the group of a point by its role and sign."""
    if point.role in RECOVERED or point.sign < 0:
        return Group.RECOVERY
    return Group.AUXILIARY if point.role in BESIDE else Group.PROCESS


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of one point that lie in a span, by start; those without a row are unknown.

    Where `known` is false energy is unknown and its number is 0.
    """

    start_us: Int64s
    energy_e6: Int64s
    known: Bools
    measured_us: Int64s


@dataclass(frozen=True, slots=True)
class Share:
    """What one group booked in a span by the state of its time, in the indicator's energy unit.

    `doubtful` time was not read all through; the rest of what is not idle is `producing`.
    """

    producing: Fraction = Fraction(0)
    producing_us: int = 0
    doubtful: Fraction = Fraction(0)
    doubtful_us: int = 0

    @property
    def power(self) -> Fraction | None:
        """Return energy per hour of producing time; None without any."""
        hours = hours_of(self.producing_us)
        return self.producing / hours if hours else None


@dataclass(frozen=True, slots=True)
class Seen:
    """One span of a unit: the law's energy and output, and where the energy went.

    `booked` came by facts, which know no slots; `mass` is what was weighed, None where the output
    is not counted by grade; `idle_us` is time below the threshold.
    """

    span_us: tuple[int, int]
    energy: Fraction
    output: Fraction
    mass: Fraction | None
    shares: Mapping[Group, Share]
    idle: Fraction
    idle_us: int
    booked: Fraction
    completeness: Fraction = Fraction(1)
    doubt: Fraction | None = None

    @property
    def process(self) -> Share:
        """Return the process's share; nothing where it is not metered."""
        return self.shares.get(Group.PROCESS, Share())

    @property
    def working_us(self) -> int:
        """Return the time that is not idle, as far as one can tell."""
        return self.process.producing_us + self.process.doubtful_us

    @property
    def grade_ratio(self) -> Fraction | None:
        """Return output as the law counts it over mass as weighed; None where not by grade."""
        return self.output / self.mass if self.mass else None


def hours_of(time_us: int) -> Fraction:
    """Return microseconds as hours."""
    return Fraction(time_us, HOUR_US)


@dataclass(frozen=True)
class Track:
    """One point on the grid of a span: counts a slot, whether wholly read, and its factors."""

    point: Point
    group: Group
    energy_e6: Int64s
    sure: Bools
    # From slot to slot, how much of the energy unit a millionth is; None: unknown factor.
    factors: Sequence[tuple[int, int, Fraction | None]]

    @cached_property
    def amounts(self) -> Floats:
        """Return each slot's energy in the energy unit, rounded: to tell states, not to sum."""
        found = np.zeros(len(self.energy_e6))
        for low, high, ratio in self.factors:
            found[low:high] = self.energy_e6[low:high] * float(ratio or 0)
        return found

    def total(self, mask: Bools) -> Fraction:
        """Return the exact energy of the slots under a mask."""
        found = Fraction(0)
        for low, high, ratio in self.factors:
            if ratio is not None:
                found += int(self.energy_e6[low:high][mask[low:high]].sum()) * ratio
        return found


@dataclass(frozen=True)
class Trace:
    """A unit's slots of one span, all points on one grid; `length_us` is cut at the present."""

    span_us: tuple[int, int]
    length_us: Int64s
    tracks: Sequence[Track] = field(default_factory=tuple)

    @cached_property
    def power(self) -> Floats:
        """Return the process's energy per hour of each slot."""
        total = np.zeros(len(self.length_us))
        for track in self._of(Group.PROCESS):
            total += track.amounts
        hours = np.maximum(self.length_us, 1) / HOUR_US
        return total / hours

    def sure(self, group: Group) -> Bools:
        """Return where every meter of a group was read all through the slot."""
        found = np.ones(len(self.length_us), np.bool_)
        for track in self._of(group):
            found &= track.sure
        return found

    @property
    def has_process(self) -> bool:
        """Tell whether the process is metered, so that states can be told."""
        return bool(self._of(Group.PROCESS))

    def seen(self, figure: Intensity, mass: Fraction | None, threshold: float) -> Seen | None:
        """Return where the law's energy went; None where energy or output are unknown."""
        if figure.energy is None or figure.output is None:
            return None
        sure = self.sure(Group.PROCESS)
        idle = sure & (self.power < threshold) if self.has_process else np.zeros_like(sure)
        shares: dict[Group, Share] = {}
        idle_energy, metered = Fraction(0), Fraction(0)
        for group in Group:
            tracks = self._of(group)
            if not tracks:
                continue
            producing = ~idle & sure & self.sure(group)
            doubtful = ~idle & ~producing
            shares[group] = Share(
                sum((one.total(producing) for one in tracks), Fraction(0)),
                int(self.length_us[producing].sum()),
                sum((one.total(doubtful) for one in tracks), Fraction(0)),
                int(self.length_us[doubtful].sum()),
            )
            idle_energy += sum((one.total(idle) for one in tracks), Fraction(0))
            metered += shares[group].producing + shares[group].doubtful
        return Seen(
            self.span_us,
            figure.energy,
            figure.output,
            mass,
            shares,
            idle_energy,
            int(self.length_us[idle].sum()),
            figure.energy - metered - idle_energy,
            figure.completeness,
            None if figure.uncertainty is None else figure.uncertainty * figure.output,
        )

    def _of(self, group: Group) -> list[Track]:
        return [track for track in self.tracks if track.group is group]


def level(traces: Sequence[Trace]) -> float | None:
    """Return the power that the process shows at work: a high quantile of what is known."""
    known = [trace.power[trace.sure(Group.PROCESS)] for trace in traces if trace.has_process]
    found = np.concatenate([np.zeros(0), *known])
    return float(np.quantile(found, LEVEL_QUANTILE)) if len(found) else None


def trace(
    indicator: Indicator,
    span_us: tuple[int, int],
    now_us: int,
    metered: Sequence[tuple[Point, Slots, Measured | None]],
) -> Trace:
    """Lay the slots of a unit's points on one grid; a slot belongs where it begins.

    `metered` holds every point that the indicator counts, with the heating values of its day.
    """
    begin = -(-span_us[0] // SLOT_US) * SLOT_US
    # A reading may lie minutes ahead of the present: the slot it fell into is there, without time.
    end = min(span_us[1], max(now_us + SLOT_US, begin))
    starts = np.arange(begin, end, SLOT_US, dtype=np.int64)
    length = np.clip(now_us - starts, 0, SLOT_US)
    tracks = [_track(indicator, (begin, span_us[1]), (starts, length), *each) for each in metered]
    return Trace(span_us, length, tracks)


def _track(
    indicator: Indicator,
    span_us: tuple[int, int],
    grid: tuple[Int64s, Int64s],
    point: Point,
    slots: Slots,
    measured: Measured | None,
) -> Track:
    starts, length = grid
    energy = np.zeros(len(starts), np.int64)
    sure = np.zeros(len(starts), np.bool_)
    place = np.searchsorted(starts, slots.start_us)
    fits = place < len(starts)
    fits[fits] &= starts[place[fits]] == slots.start_us[fits]
    place = place[fits]
    energy[place] = slots.energy_e6[fits]
    sure[place] = slots.known[fits] & (slots.measured_us[fits] >= length[place])
    factors = []
    for low_us, high_us in intensity.spans(indicator, point, *span_us, measured):
        low, high = (int(each) for each in np.searchsorted(starts, (low_us, high_us)))
        factors.append((low, high, _ratio(indicator, point, low_us, measured)))
    return Track(point, group_of(point), energy, sure, factors)


def _ratio(
    indicator: Indicator, point: Point, at_us: int, measured: Measured | None
) -> Fraction | None:
    """Return how much of the energy unit a millionth of the point's unit is, with its sign."""
    one = Fraction(point.sign, decimals.E6)
    assert point.energy_unit is not None  # noqa: S101 - the indicator counts energy points only
    if not indicator.in_coal_equivalent:
        return units.convert(one, point.energy_unit, indicator.energy_unit)
    known = intensity.factor(indicator, point, at_us, measured)
    return None if known is None else known.coal_equivalent(one, point.energy_unit)
