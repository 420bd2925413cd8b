"""A second, slow and obvious figure of a month, written from the domain notes, not from the core.

Of the product it takes nothing but the words of its flags; a meter's energy is that of the slow
oracle of points. All numbers are `Fraction`; the one root that there is stays under its radical:
what is compared is squared. Where the notes leave a choice, it is stated here: the first arrival of
an instant counts; a slot is converted with the factor of the instant at which it begins; a
correction's piece weighs by its output; what nobody declared for one makes its verdict incomplete.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from math import isqrt
from typing import TYPE_CHECKING, Final, NamedTuple

from core.flags import Flag
from tests.core import oracle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Span = tuple[int, int]
SLOT_US: Final = 900_000_000
DAY_US: Final = 96 * SLOT_US
EIGHT_HOURS_US: Final = 32 * SLOT_US
KJ_PER_KGCE: Final = Fraction("29307.6")
# Domain notes 2.1: coal equivalent [kgce] of a kWh or a kg where nothing was measured.
DEFAULTS: Final[Mapping[str, Fraction]] = {
    "electricity": Fraction("0.1229"),
    "raw_coal": Fraction("0.7143"),
    "coke": Fraction("0.9714"),
}
BASE_UNITS: Final[Mapping[str, tuple[str, Fraction]]] = {
    "kWh": ("kWh", Fraction(1)),
    "MWh": ("kWh", Fraction(1000)),
    "kg": ("kg", Fraction(1)),
    "t": ("kg", Fraction(1000)),
}
OF_GAPS: Final = Fraction(1, 10)  # of energy booked across gaps, as a standard uncertainty
GOOD, UNCERTAIN, BAD = 0, 1, 2


class Arrival(NamedTuple):
    """A reading as it comes, in whatever order and however often."""

    at: int
    value: Fraction
    quality: int = GOOD


@dataclass(frozen=True, slots=True)
class Metered:
    """A metering point of the unit and everything that ever arrived of it."""

    key: str
    kind: str
    meter: oracle.Meter
    arrivals: tuple[Arrival, ...]
    carrier: str
    booked_unit: str
    role: str = "process"
    sign: int = 1
    accuracy_percent: Fraction | None = None
    heating: tuple[tuple[int, Fraction], ...] = ()
    parent: str | None = None

    def seen(self) -> list[oracle.Seen]:
        """Return the usable readings in order of time: of an instant the first that arrived."""
        first: dict[int, Arrival] = {}
        for one in self.arrivals:
            first.setdefault(one.at, one)
        return [
            oracle.Seen(at, one.value, one.quality == UNCERTAIN)
            for at, one in sorted(first.items())
            if one.quality != BAD
        ]


@dataclass(frozen=True, slots=True)
class Fact:
    """A production fact; a higher revision of an id counts instead of the lower."""

    id: str
    revision: int
    at: int
    kind: str
    mass_t: Fraction
    grade: Fraction | None


@dataclass(frozen=True, slots=True)
class Sample:
    """What was charged of a fuel, with the heating value [kJ/kg] that the laboratory found."""

    at: int
    carrier: str
    mass_kg: Fraction
    kj_per_kg: Fraction | None


class Way(StrEnum):
    """What an indicator's figure is made of."""

    AS_METERED = "as_metered"
    COAL_EQUIVALENT = "coal_equivalent"


@dataclass(frozen=True, slots=True)
class Rule:
    """An indicator in the words of domain notes 2.2 to 2.5."""

    id: str
    way: Way
    carriers: frozenset[str]
    roles: frozenset[str]
    kinds: frozenset[str]
    grade: str | None = None
    reference: Fraction = Fraction(1)
    needs: tuple[frozenset[str], ...] = ()
    # Waste-heat power is credited at the rule's own factor, whatever else holds.
    credit: Mapping[str, Fraction] = field(default_factory=dict)
    # Metal stays in the pots: tapped mass alone is not what was made, and the figure says so.
    holds_metal: bool = False


REDUCTANTS: Final = frozenset({"coke", "semi_coke", "raw_coal"})
TAPPED: Final = frozenset({"tapping", "weighing", "correction"})
POWER: Final = frozenset({"electricity"})
RULES: Final = (
    Rule(
        "al.liquid.ac",
        Way.AS_METERED,
        POWER,
        frozenset({"process"}),
        TAPPED,
        holds_metal=True,
    ),
    Rule(
        "al.liquid.ac_comprehensive",
        Way.AS_METERED,
        POWER,
        frozenset({"process", "auxiliary"}),
        TAPPED,
        holds_metal=True,
    ),
    Rule(
        "fesi.smelting",
        Way.AS_METERED,
        POWER,
        frozenset({"process"}),
        TAPPED,
        "Si",
        Fraction("0.75"),
    ),
    Rule(
        "hcfecr.smelting",
        Way.AS_METERED,
        POWER,
        frozenset({"process"}),
        TAPPED,
        "Cr",
        Fraction("0.5"),
    ),
    Rule(
        "cac2.furnace",
        Way.AS_METERED,
        POWER,
        frozenset({"process"}),
        TAPPED,
        "gas_yield",
        Fraction(300),
    ),
    Rule(
        "fesi.comprehensive",
        Way.COAL_EQUIVALENT,
        POWER | REDUCTANTS,
        frozenset({"process", "auxiliary", "recovered"}),
        TAPPED,
        "Si",
        Fraction("0.75"),
        (POWER, REDUCTANTS),
    ),
    Rule(
        "clinker.comprehensive",
        Way.COAL_EQUIVALENT,
        POWER | {"raw_coal"},
        frozenset({"process", "auxiliary", "waste-heat-power"}),
        frozenset({"weighing", "correction"}),
        None,
        Fraction(1),
        (POWER, frozenset({"raw_coal"})),
        {"waste-heat-power": Fraction("0.1229")},
    ),
)


@dataclass(frozen=True, slots=True)
class Law:
    """A limit in force from a day of the plant until another, and what moves it."""

    id: str
    value: Fraction
    cmp: str
    begin: int
    end: int
    guarded: bool
    completeness: Fraction
    ore_reference: Fraction | None = None  # L' = L - (g - g0) x c, in points of a per cent
    ore_per_point: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class World:
    """One unit's month and everything that is known of it at `now`."""

    seed: int
    month: Span
    now: int
    rule: Rule
    metered: tuple[Metered, ...]
    facts: tuple[Fact, ...]
    laws: tuple[Law, ...] = ()
    weighing_percent: Fraction | None = None
    sampling_percent: Fraction | None = None
    ore: tuple[tuple[int, Fraction], ...] = ()
    samples: tuple[Sample, ...] = ()
    # Figures already computed: the same world is asked once when its laws are drawn, once after.
    known: dict[Span, Found] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """The figure of one span; None where it is unknown. `doubt_squared` is U^2."""

    energy: Fraction | None
    estimated: Fraction
    output: Fraction | None
    value: Fraction | None
    doubt_squared: Fraction | None
    completeness: Fraction
    flags: Flag


def figure(world: World, span: Span) -> Found:
    """Return the unit's figure of a span of whole slots."""
    if span not in world.known:
        world.known[span] = _figure(world, span)
    return world.known[span]


def _figure(world: World, span: Span) -> Found:
    counted = [one for one in world.metered if _counts(world.rule, one)]
    mains = {one.key for one in counted}
    counted = [one for one in counted if one.parent not in mains]
    amounts: list[tuple[Metered, Fraction | None]] = []
    estimated, flags, shares = Fraction(0), Flag(0), []
    for one in counted:
        amount, doubtful, said, measured = _amount(world, one, span)
        amounts.append((one, amount))
        estimated += doubtful
        flags |= said
        shares.append(_share(span, world.now, measured))
    energy = _sum(amount for _, amount in amounts)
    there = {one.carrier for one in counted}
    if counted and any(not there & group for group in world.rule.needs):
        energy, flags = None, flags | Flag.CARRIER_UNMETERED
    output, said = _output(world, span)
    flags |= said
    value = None if energy is None or output is None or output <= 0 else energy / output
    squared = (
        None if value is None else _doubt_squared(world, amounts, energy, estimated) * value**2
    )
    if value is not None and _undeclared(world, amounts):
        flags |= Flag.UNCERTAINTY_UNDECLARED
    complete = min(shares, default=Fraction(value is not None))
    return Found(energy, estimated, output, value, squared, complete, flags)


def part_of(world: World, law: Law) -> Span | None:
    """Return the part of the month in which a law holds; None: in none."""
    begin, end = max(world.month[0], law.begin), min(world.month[1], law.end)
    return (begin, end) if begin < end else None


def verdict(world: World, law: Law, found: Found) -> str:
    """Return what a law says of the figure of the part in which it holds."""
    begin, end = max(world.month[0], law.begin), min(world.month[1], law.end)
    bound, missing = _bound(world, law, (begin, end))
    if bound is None or found.value is None or found.completeness < law.completeness:
        return "incomplete"
    # U on either side, without a root: |value - bound| against U, squared.
    distance = found.value - bound
    squared = found.doubt_squared if law.guarded and found.doubt_squared else Fraction(0)
    keeps = _keeps(distance, law.cmp)
    if squared and (distance**2 < squared or (distance**2 == squared and _differs(distance, law))):
        said = "indeterminate"
    else:
        said = "within" if keeps else "exceeds"
    return "incomplete" if missing else said


def _differs(distance: Fraction, law: Law) -> bool:
    """Tell whether a figure whose U just reaches the limit keeps it at one end of U only."""
    return _keeps(Fraction(0), law.cmp) != _keeps(distance, law.cmp)


def _keeps(distance: Fraction, cmp: str) -> bool:
    return {
        "<=": distance <= 0,
        "<": distance < 0,
        ">=": distance >= 0,
        ">": distance > 0,
    }[cmp]


def shown(value: Fraction) -> str:
    """Print with at most six places, half to even."""
    whole = value * 10**6
    down = whole.numerator // whole.denominator
    rest = whole - down
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and down % 2):
        down += 1
    digits = f"{abs(down):07d}"
    text = f"{digits[:-6]}.{digits[-6:]}".rstrip("0").rstrip(".")
    return f"-{text}" if down < 0 else text


def shown_root(squared: Fraction) -> str:
    """Print the square root with at most six places; a tie between two of them does not arise."""
    scaled = squared * 10**12
    twice = isqrt(4 * scaled.numerator // scaled.denominator)  # of twice the root, rounded down
    return shown(Fraction((twice + 1) // 2, 10**6))


def _counts(rule: Rule, one: Metered) -> bool:
    return one.carrier in rule.carriers and one.role in rule.roles


def _amount(world: World, one: Metered, span: Span) -> tuple[Fraction | None, Fraction, Flag, int]:
    """Return (signed amount, its estimated part, flags, measured time) of a point in a span."""
    base, per = BASE_UNITS[one.booked_unit]
    parts = list(_parts(world, one, span))
    rows = ENERGIES[one.kind](one.meter, one.seen(), [span[0], *(end for _, end, _ in parts)])
    total: Fraction | None = None
    estimated, flags, measured = Fraction(0), Flag(0), 0
    known = True
    for (_, _, factor), row in zip(parts, rows, strict=True):
        flags |= row.flags
        measured += row.measured_us
        if not row.booked_us:
            continue
        if factor is None:
            known = False
            continue
        assert base == "kWh" or world.rule.way is Way.COAL_EQUIVALENT
        worth = per * factor / 10**6
        total = (total or Fraction(0)) + one.sign * row.energy_e6 * worth
        estimated += abs(row.estimated_e6 * worth)
    if not known:
        return None, Fraction(0), flags | Flag.FACTOR_UNKNOWN, measured
    return total, estimated, flags, measured


ENERGIES: Final = {
    "counter": oracle.counter,
    "gauge": oracle.gauge,
    "interval": oracle.interval,
}


def _parts(world: World, one: Metered, span: Span) -> Iterator[tuple[int, int, Fraction | None]]:
    """Cut a span where the factor may change; a slot has the factor of its first instant."""
    if world.rule.way is Way.AS_METERED:
        yield (*span, Fraction(1))
        return
    cuts = {since + -since % SLOT_US for since, _ in one.heating}
    days = {_day_of(sample.at) for sample in world.samples if sample.carrier == one.carrier}
    cuts |= {edge for day in days for edge in (day, day + DAY_US)}
    edges = [span[0], *sorted(cut for cut in cuts if span[0] < cut < span[1]), span[1]]
    for begin, end in pairwise(edges):
        yield begin, end, _factor(world, one, begin)


def _factor(world: World, one: Metered, at: int) -> Fraction | None:
    """Return the coal equivalent of the point's base unit at an instant; None: unknown.

    The rule's own for the role, the day's mean heating value weighted by mass, the declared one,
    the default.
    """
    if one.role in world.rule.credit:
        return world.rule.credit[one.role]
    day = [
        (sample.mass_kg, sample.kj_per_kg)
        for sample in world.samples
        if sample.carrier == one.carrier and _day_of(sample.at) == _day_of(at)
    ]
    known = [(mass, kj) for mass, kj in day if kj is not None]
    mass = sum((mass for mass, _ in known), Fraction(0))
    if mass > 0:
        return sum((mass * kj for mass, kj in known), Fraction(0)) / mass / KJ_PER_KGCE
    held = [value for since, value in one.heating if since <= at]
    return held[-1] / KJ_PER_KGCE if held else DEFAULTS.get(one.carrier)


def _day_of(at: int) -> int:
    """Return the midnight, in China, before an instant."""
    return at - (at + EIGHT_HOURS_US) % DAY_US


def _share(span: Span, now: int, measured: int) -> Fraction:
    """Return measured time over the span, over its elapsed part while it is open."""
    length = min(span[1], max(now, span[0])) - span[0]
    return Fraction(min(measured, length), length) if length > 0 else Fraction(0)


def _sum(amounts: Iterable[Fraction | None]) -> Fraction | None:
    held = list(amounts)
    if not held or any(amount is None for amount in held):
        return None
    return sum((amount for amount in held if amount is not None), Fraction(0))


def _output(world: World, span: Span) -> tuple[Fraction | None, Flag]:
    """Return tonnes, or base tonnes; None without a fact, and where one lacks its grade."""
    newest: dict[str, Fact] = {}
    for one in world.facts:
        known = newest.get(one.id)
        if known is None or known.revision < one.revision:
            newest[one.id] = one
    inside = [
        one
        for one in newest.values()
        if span[0] <= one.at < span[1] and one.kind in world.rule.kinds
    ]
    if not inside:
        return None, Flag(0)
    flags = Flag.STOCK_NOT_TAKEN if world.rule.holds_metal else Flag(0)
    if world.rule.grade is None:
        return sum((one.mass_t for one in inside), Fraction(0)), flags
    if any(one.grade is None and one.mass_t for one in inside):
        return None, flags | Flag.GRADE_MISSING
    graded = (one.mass_t * one.grade for one in inside if one.grade is not None)
    return sum(graded, Fraction(0)) / world.rule.reference, flags


def _doubt_squared(
    world: World,
    amounts: Sequence[tuple[Metered, Fraction | None]],
    energy: Fraction | None,
    estimated: Fraction,
) -> Fraction:
    """Return (U / value)^2 with k = 2: squares of what is independent added up."""
    if not energy:
        return Fraction(0)
    squares = ((world.weighing_percent or Fraction(0)) / 100) ** 2
    squares += (OF_GAPS * estimated / energy) ** 2
    if world.rule.grade is not None:
        squares += ((world.sampling_percent or Fraction(0)) / 100) ** 2
    for one, amount in amounts:
        if amount is not None and one.accuracy_percent is not None:
            squares += (amount / energy * one.accuracy_percent / 100) ** 2
    return 4 * squares


def _undeclared(world: World, amounts: Sequence[tuple[Metered, Fraction | None]]) -> bool:
    if world.weighing_percent is None or (world.rule.grade and world.sampling_percent is None):
        return True
    return any(one.accuracy_percent is None for one, amount in amounts if amount is not None)


def _bound(world: World, law: Law, part: Span) -> tuple[Fraction | None, bool]:
    """Return where the limit stands in a part, and whether something for it was not declared."""
    if law.ore_reference is None:
        return law.value, False
    changes = [since for since, _ in world.ore if part[0] < since < part[1]]
    edges = [part[0], *changes, part[1]]
    found: list[tuple[Fraction, Fraction]] = []
    missing = False
    for begin, end in pairwise(edges):
        held = [value for since, value in world.ore if since <= begin]
        missing |= not held
        points = (held[-1] - law.ore_reference) * 100 if held else Fraction(0)
        output = _output(world, (begin, end))[0] or Fraction(0)
        found.append((output, law.value - points * law.ore_per_point))
    if len(found) == 1:
        return found[0][1], missing
    total = sum((output for output, _ in found), Fraction(0))
    if total <= 0:
        return None, missing
    return sum((output * bound for output, bound in found), Fraction(0)) / total, missing
