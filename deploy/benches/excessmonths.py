"""Months of a unit with planted causes and their truth, from a seed: slots and facts, no store.

A year of months passes as they pass in plants: load, grade, auxiliaries and the process wander a
little, some hours stand still. Then comes one in which causes are planted. Physics of its own: at
work a unit takes a fixed load and so much for every tonne, more for a poorer grade; output follows
from power. Truth is what each cause took by that physics, to the second, knowing everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from core import carriers, indicators, periods
from core import plant as plants
from core.clock import to_us
from core.decimals import E6
from core.excess import Cause
from core.facts import PeriodOutput
from core.periods import SLOT_US, Period
from store.slotarrays import SlotArrays

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.exactmath import Floats
    from core.facts import Span
    from core.indicators import Indicator
    from core.plant import Plant

ZONE: Final = "Asia/Shanghai"
LAST: Final = to_us(datetime(2026, 10, 15, tzinfo=UTC))  # in the month of the planted causes
MONTHS: Final = 13
SLOTS_AN_HOUR: Final = 4
HALF: Final = 0.5  # of the causes that a kind can have are planted
WEIGHING: Final = 0.001  # of a month's output: scales, and what stays in the hearth
FLICKER: Final = 0.03  # of the power from slot to slot
PLANTABLE: Final = (
    Cause.STOPPAGE, Cause.RATE, Cause.MIX, Cause.AUXILIARY, Cause.PROCESS, Cause.DOUBT,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter: what part of a group's energy it shows, and how it is declared."""

    key: str
    carrier: str
    unit: str
    role: str
    part: float
    sign: int = 1


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of unit: its indicator and meters, what it is built for per hour and per output."""

    indicator: str
    meters: tuple[Meter, ...]
    load: float  # energy units an hour of the process
    per_output: float
    beside: float = 0.0  # auxiliaries, of the load
    recovered: float = 0.0  # of the load
    grade: str | None = None


KINDS: Final = (
    Kind(
        "al.liquid.ac_comprehensive",
        (
            Meter("ac", "electricity", "kWh", "process", 1.0),
            Meter("aux", "electricity", "MWh", "auxiliary", 1.0),
        ),
        480_000.0,
        13_300.0,
        0.03,
    ),
    Kind("fesi.smelting", (Meter("ac", "electricity", "kWh", "process", 1.0),), 27_000.0, 8_150.0,
         grade="Si"),
    Kind(
        "fesi.comprehensive",
        (
            Meter("ac", "electricity", "kWh", "process", 0.6),
            Meter("coke", "coke", "kg", "process", 0.4),
            Meter("aux", "electricity", "kWh", "auxiliary", 1.0),
            Meter("heat", "thermal_energy", "MJ", "recovered", 1.0, -1),
        ),
        5_500.0,
        1_690.0,
        0.03,
        0.04,
        "Si",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Physics:
    """How a unit takes energy: the share of its load at any rate, and how that follows grade."""

    fixed: float
    response: float
    idle: float  # of the load while it stands


@dataclass(frozen=True, slots=True)
class Lived:
    """One month as it was: power, grade and factors; hours of it stood still or were lost."""

    load: float  # of what it is built for, at work
    grade: float  # output counted over mass weighed
    beside: float  # auxiliaries, of what they are built for
    quality: float  # energy per tonne, of what it is built for
    still_h: float
    lost_h: float = 0.0


@dataclass(slots=True)
class Month:
    """A month's slots by meter, its output and mass, and the true energies by group."""

    bound: tuple[int, int]
    lived: Lived
    slots: dict[str, SlotArrays] = field(default_factory=dict)
    output_t: float = 0.0
    mass_t: float = 0.0
    hours: float = 0.0
    process: float = 0.0
    beside: float = 0.0
    recovered: float = 0.0
    idle: float = 0.0
    lost: float = 0.0
    answer: PeriodOutput | None = None


@dataclass(slots=True)
class World:
    """A unit and its thirteen months; the last one has what was planted."""

    kind: Kind
    physics: Physics
    months: list[Month]
    planted: frozenset[Cause]

    @property
    def indicator(self) -> Indicator:
        """Return the definition of what is figured."""
        return indicators.find(self.kind.indicator)

    def plant(self, *, declared: bool) -> Plant:
        """Return the unit's declaration, with or without how its process answers."""
        lines = [
            '[site.s]\nname = { zh = "厂", en = "Works" }\njurisdiction = "cn-qh"',
            '[site.s.unit.u]\nname = { zh = "一号", en = "Unit 1" }\nkind = "works"',
            f'indicators = ["{self.kind.indicator}"]\noutput_accuracy_percent = "0.2"',
        ]
        since = "from = 2020-01-01T00:00:00Z"
        if self.kind.grade is not None:
            lines.append(f'ore_grade = [{{ {since}, value = "0.975" }}]')
        if declared:
            # At the reference's load: the share is of what the unit is built for.
            lines += [
                f'fixed_share = [{{ {since}, value = "{self.physics.fixed:.6f}" }}]',
                f'grade_response = [{{ {since}, value = "{self.physics.response:.6f}" }}]',
            ]
        for meter in self.kind.meters:
            lines.append(
                f'[site.s.unit.u.point.{meter.key}]\nkind = "counter"\ncarrier = "{meter.carrier}"'
                f'\nunit = "{meter.unit}"\nrole = "{meter.role}"\nsign = {meter.sign}'
                '\naccuracy_percent = "0.35"'
            )
        return plants.parse("\n".join(lines), "bench", indicators.computing())

    def slots(self) -> dict[str, SlotArrays]:
        """Return the slots of each point, all months after one another."""
        return {
            f"s.u.{meter.key}": SlotArrays.join([month.slots[meter.key] for month in self.months])
            for meter in self.kind.meters
        }

    def answers(self, questions: Sequence[Span]) -> Mapping[Span, PeriodOutput | None]:
        """Return what facts say of whole months: output, and no heating values."""
        told = {month.bound: month.answer for month in self.months}
        return {one: told.get((one.begin_us, one.end_us)) if one.own else None for one in questions}


def world(seed: int) -> World:
    """Return a unit of a seed: its physics, a year of months, and one with planted causes."""
    draw = np.random.default_rng([seed, 7])
    kind = KINDS[seed % len(KINDS)]
    physics = Physics(draw.uniform(0.08, 0.3), draw.uniform(0.2, 0.9), draw.uniform(0.02, 0.08))
    months = [Month(bound, _ordinary(draw)) for bound in _bounds()]
    planted = frozenset(cause for cause in PLANTABLE if draw.random() < HALF and _has(kind, cause))
    months[-1].lived = _planted(draw, months[-1].lived, planted)
    for month in months:
        _live(draw, kind, physics, month)
    return World(kind, physics, months, planted)


def _has(kind: Kind, cause: Cause) -> bool:
    if cause is Cause.MIX:
        return kind.grade is not None
    return cause is not Cause.AUXILIARY or kind.beside > 0


def _bounds() -> list[tuple[int, int]]:
    found = [periods.period_at(Period.MONTH, LAST, ZONE)]
    while len(found) < MONTHS:
        found.insert(0, periods.period_at(Period.MONTH, found[0][0] - 1, ZONE))
    return found


def _ordinary(draw: np.random.Generator) -> Lived:
    return Lived(
        load=draw.uniform(0.93, 1.03),
        grade=draw.normal(1.0, 0.01),
        beside=draw.normal(1.0, 0.01),
        quality=draw.normal(1.0, 0.003),
        still_h=draw.uniform(0, 10),
    )


def _planted(draw: np.random.Generator, lived: Lived, planted: frozenset[Cause]) -> Lived:
    """Return the month with planted causes on top of what every month has."""

    def size(cause: Cause, low: float, high: float) -> float:
        drawn = float(draw.uniform(low, high))
        return drawn if cause in planted else 0.0

    return Lived(
        load=lived.load * (1 - size(Cause.RATE, 0.05, 0.20)),
        grade=lived.grade * (1 - size(Cause.MIX, 0.02, 0.06)),
        beside=lived.beside * (1 + size(Cause.AUXILIARY, 0.15, 0.6)),
        quality=lived.quality * (1 + size(Cause.PROCESS, 0.01, 0.04)),
        still_h=lived.still_h + size(Cause.STOPPAGE, 24, 160),
        lost_h=size(Cause.DOUBT, 4, 24),
    )


def _live(draw: np.random.Generator, kind: Kind, physics: Physics, month: Month) -> None:
    """Let a month pass: what runs, what it takes and makes, what the meters book of it."""
    begin, end = month.bound
    starts = np.arange(begin, end, SLOT_US, dtype=np.int64)
    lived = month.lived
    runs = _runs(draw, len(starts), lived.still_h)
    flicker = 1 + FLICKER * draw.uniform(-1, 1, len(starts))
    work = kind.load * lived.load * flicker * runs / SLOTS_AN_HOUR
    stands = (1 - runs) / SLOTS_AN_HOUR
    idle = kind.load * physics.idle * stands
    beside = kind.load * kind.beside * lived.beside
    groups = {
        "process": work + idle,
        "auxiliary": beside * (runs + 0.6 * (1 - runs)) / SLOTS_AN_HOUR,
        "recovered": kind.load * kind.recovered * runs / SLOTS_AN_HOUR,
    }
    month.hours = float(runs.sum()) / SLOTS_AN_HOUR
    month.process = float(work.sum())
    month.beside = beside * month.hours
    month.recovered = kind.load * kind.recovered * month.hours
    month.idle = float(idle.sum()) + 0.6 * beside * float(stands.sum())
    variable = month.process - physics.fixed * kind.load * month.hours
    per_t = kind.per_output / (1 + kind.beside - kind.recovered) * (1 - physics.fixed)
    made_t = variable / (per_t * lived.quality)  # as if of the grade that counts one for one
    if kind.grade is None:
        month.lived = Lived(lived.load, 1.0, lived.beside, lived.quality, lived.still_h,
                            lived.lost_h)  # fmt: skip
    month.output_t = made_t / grade_needs(physics, month.lived.grade)
    month.mass_t = month.output_t / month.lived.grade
    _book(draw, kind, month, starts, groups)
    weighed = month.mass_t * (1 + WEIGHING * draw.normal())
    month.answer = _answer(kind, weighed, month.lived.grade)


def grade_needs(physics: Physics, grade: float, reference: float = 1.0) -> float:
    """Return what a counted tonne of a grade needs, of one of the reference's."""
    return physics.response + (1 - physics.response) * reference / grade


def _runs(draw: np.random.Generator, slots: int, still_h: float) -> Floats:
    """Return how much of each slot the unit runs: stoppages of two to twelve hours."""
    runs = np.ones(slots)
    left = still_h * SLOTS_AN_HOUR
    while left > 0:
        length = min(left, float(draw.uniform(2, 12)) * SLOTS_AN_HOUR)
        begin = float(draw.uniform(0, slots - length))
        edges = np.clip(np.arange(slots + 1) - begin, 0, length)
        runs = np.minimum(runs, 1 - np.diff(edges))
        left -= length
    return np.clip(runs, 0, 1)


def _book(
    draw: np.random.Generator,
    kind: Kind,
    month: Month,
    starts: np.ndarray[tuple[int], np.dtype[np.int64]],
    groups: Mapping[str, Floats],
) -> None:
    """Book slots of each meter; the process's first one loses some hours to a reset."""
    lost = np.zeros(len(starts), np.bool_)
    if month.lived.lost_h:
        first = int(draw.integers(0, len(starts) - 100))
        lost[first : first + round(month.lived.lost_h * SLOTS_AN_HOUR)] = True
    for number, meter in enumerate(kind.meters):
        energy = groups[meter.role] * meter.part
        gone = lost if number == 0 else np.zeros_like(lost)
        month.lost += float(energy[gone].sum())
        native = energy / _per_unit(kind, meter)
        booked = np.rint(native * E6).astype(np.int64)
        booked[gone] = 0
        month.slots[meter.key] = SlotArrays(
            starts,
            booked,
            ~gone,
            np.zeros_like(starts),
            np.where(gone, 0, SLOT_US),
            np.zeros_like(starts),
        )


def _per_unit(kind: Kind, meter: Meter) -> float:
    """Return how many energy units a unit of the meter is."""
    if indicators.find(kind.indicator).in_coal_equivalent:
        basis = indicators.find(kind.indicator).basis
        found = carriers.factor(meter.carrier, LAST, basis)
        assert found is not None, "carriers of the bench have factors"  # noqa: S101 - a belief
        return float(found.coal_equivalent(Fraction(1), meter.unit))
    return 1000.0 if meter.unit == "MWh" else 1.0


def _answer(kind: Kind, mass_t: float, grade: float) -> PeriodOutput:
    base = indicators.find(kind.indicator).base_grade
    if base is None:
        return PeriodOutput(round(mass_t * E6))
    mass_e6 = round(mass_t * E6)
    carried = Fraction(f"{grade * float(base.reference):.5f}")
    return PeriodOutput(mass_e6, mass_e6 * carried)
