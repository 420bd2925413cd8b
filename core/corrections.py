"""Corrections of a limit: the law moves the limit by site and ore, never the plant's result.

Each kind is a pure function of a limit and of what the plant declared; inputs are dated, grades and
shares are fractions. Exact fractions all the way; the one rounding is the pressure of the standard
atmosphere, to a whole pascal (2e-6 of a limit), where a site declares its altitude only.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, fields
from decimal import Decimal, localcontext
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core import decimals
from core.carriers import ExactText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

STANDARD_PA: Final = 101_325
MOST_MOVED: Final = 4096  # moved limits kept: those of some hundred units with a year of ore grades
POINT: Final = Fraction(1, 100)  # a percentage point, as standards count grades and shares
# Declared values that corrections read, by who declares them; `altitude_m` is the site's too.
SITE_VALUES: Final = ("ambient_pressure_pa",)
SHARES: Final = (
    "scrap_share",
    "rare_earth_ore_share",
    "vanadium_titanium_ore_share",
    "laterite_ore_share",
)
UNIT_VALUES: Final = ("ore_grade", "cr_fe_ratio", "clinker_share", "feed_grade", *SHARES)

Dated = tuple[tuple[int, Fraction], ...]


class CorrectionKind(StrEnum):
    """What moves the limit: a closed list, each with its function here."""

    ALTITUDE = "altitude"
    ORE_GRADE = "ore_grade"
    CLINKER_SHARE = "clinker_share"
    FEED_GRADE = "feed_grade"
    SHARE = "share"


class Why(StrEnum):
    """What is to be said of a correction beside its inputs."""

    STANDARD_ATMOSPHERE = "standard_atmosphere"  # the pressure is that of the altitude
    NOT_ABOVE = "not_above"  # the site does not lie above the altitude: no relief
    OUTSIDE_VALIDITY = "outside_validity"  # the ore lies outside what the correction holds for


# Kind: the keys it needs, and those it may have.
_KEYS: Final[Mapping[CorrectionKind, tuple[frozenset[str], frozenset[str]]]] = {
    CorrectionKind.ALTITUDE: (frozenset({"above_m", "constant", "slope"}), frozenset()),
    CorrectionKind.ORE_GRADE: (
        frozenset({"of", "reference", "per_point"}),
        frozenset({"least_cr_fe"}),
    ),
    CorrectionKind.CLINKER_SHARE: (frozenset({"reference", "per_point"}), frozenset()),
    CorrectionKind.FEED_GRADE: (
        frozenset({"reference", "per_point", "most_points"}),
        frozenset(),
    ),
    CorrectionKind.SHARE: (frozenset({"input", "per_point"}), frozenset()),
}
_Fraction = Annotated[ExactText, Field(gt=0, le=1)]
_Positive = Annotated[ExactText, Field(gt=0)]


class CorrectionTable(BaseModel):
    """A correction as a data file writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: CorrectionKind
    above_m: Annotated[int, Field(ge=0, le=9000)] | None = None
    constant: _Positive | None = None
    slope: _Positive | None = None
    of: str | None = None
    input: str | None = None
    reference: _Fraction | None = None
    per_point: _Positive | None = None
    most_points: _Positive | None = None
    least_cr_fe: _Positive | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> CorrectionTable:
        needed, allowed = _KEYS[self.kind]
        given = {key for key in type(self).model_fields if getattr(self, key) is not None}
        wrong = [f"{key} is missing" for key in sorted(needed - given)]
        more = sorted(given - needed - allowed - {"kind"})
        wrong += [f"{key} does not belong to it" for key in more]
        if self.input is not None and self.input not in SHARES:
            wrong.append(f"input {self.input!r} is not one of {', '.join(SHARES)}")
        if wrong:
            raise ValueError(f"correction {self.kind}: {'; '.join(wrong)}")
        return self


@dataclass(frozen=True, slots=True)
class Correction:
    """One correction of one limit; what its kind does not know is None."""

    kind: CorrectionKind
    above_m: int | None = None
    constant: Decimal | None = None
    slope: Decimal | None = None
    of: str | None = None
    input: str | None = None
    reference: Decimal | None = None
    per_point: Decimal | None = None
    most_points: Decimal | None = None
    least_cr_fe: Decimal | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the dated values that it reads, all that a change of may cut a period."""
        if self.kind is CorrectionKind.ALTITUDE:
            return SITE_VALUES
        if self.kind is CorrectionKind.ORE_GRADE:
            return ("ore_grade",) if self.least_cr_fe is None else ("ore_grade", "cr_fe_ratio")
        return (self.input or self.kind.value,)

    @property
    def only_relaxes(self) -> bool:
        """Tell whether it can but raise a limit: what keeps to the limit as it stands keeps it."""
        return self.kind not in {CorrectionKind.ORE_GRADE, CorrectionKind.CLINKER_SHARE}

    def item(self) -> dict[str, Any]:
        """Return it as JSON carries it: exact strings, without what its kind does not know."""
        held = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            key: decimals.show(value) if isinstance(value, Decimal) else value
            for key, value in held.items()
            if value is not None
        }


def of_table(table: CorrectionTable) -> Correction:
    """Return the correction that a data file's table says."""
    return Correction(**dict(table))


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a site and its unit declared that moves limits; each value holds from its instant on."""

    altitude_m: int | None = None
    values: Mapping[str, Dated] = field(default_factory=dict)

    def at(self, name: str, at_us: int) -> Fraction | None:
        """Return the value that holds at an instant; None before the first, or without any."""
        dated = self.values.get(name, ())
        place = bisect_right(dated, at_us, key=_since)
        return dated[place - 1][1] if place else None

    def cuts(self, names: Iterable[str], begin_us: int, end_us: int) -> list[int]:
        """Return the instants inside a span at which one of the values changes."""
        moments = {at_us for name in names for at_us, _ in self.values.get(name, ())}
        return sorted(at_us for at_us in moments if begin_us < at_us < end_us)

    def item(self, names: Iterable[str], begin_us: int, end_us: int) -> dict[str, Any]:
        """Return what held in a span, for evidence: (instant, value) of each named value."""
        held: dict[str, Any] = {}
        for name in sorted(set(names)):
            known = self.values.get(name, ())
            first = [each for each in known if each[0] <= begin_us][-1:]
            inside = [each for each in known if begin_us < each[0] < end_us]
            held[name] = [[at_us, decimals.show(value)] for at_us, value in (*first, *inside)]
        return held


def _since(dated: tuple[int, Fraction]) -> int:
    return dated[0]


@dataclass(frozen=True, slots=True)
class Step:
    """One correction applied: the limit before and after it, and from which inputs.

    `missing` names those that nobody declared; then the limit is left where it was.
    """

    correction: Correction
    before: Fraction
    after: Fraction
    inputs: Mapping[str, Fraction]
    missing: tuple[str, ...] = ()
    why: Why | None = None
    _item: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def item(self) -> dict[str, Any]:
        """Return the step as the evidence of a verdict carries it."""
        if not self._item:  # one step stands in many verdicts: it is written once
            self._item.update(self._written())
        return {**self._item, "inputs": dict(self._item["inputs"])}

    def _written(self) -> dict[str, Any]:
        item: dict[str, Any] = {
            "kind": self.correction.kind.value,
            "inputs": {name: decimals.show(value) for name, value in self.inputs.items()},
            "from_value": decimals.show(self.before),
            "to_value": decimals.show(self.after),
        }
        return item if self.why is None else {**item, "why": self.why.value}


def apply(
    corrections: Sequence[Correction], value: Decimal, conditions: Conditions, at_us: int
) -> list[Step]:
    """Return the steps by which a limit moves at an instant, in the order that the row gives."""
    names = dict.fromkeys(name for one in corrections for name in one.inputs)
    held = tuple((name, conditions.at(name, at_us)) for name in names)
    return list(_steps(tuple(corrections), value, conditions.altitude_m, held))


@lru_cache(maxsize=MOST_MOVED)
def _steps(
    corrections: tuple[Correction, ...],
    value: Decimal,
    altitude_m: int | None,
    held: tuple[tuple[str, Fraction | None], ...],
) -> tuple[Step, ...]:
    """Return the steps for inputs that hold: the same for every period between two changes."""
    known = {name: ((0, one),) for name, one in held if one is not None}
    conditions = Conditions(altitude_m, known)
    steps: list[Step] = []
    stand = Fraction(value)
    for correction in corrections:
        step = _MOVES[correction.kind](correction, stand, conditions, 0)
        steps.append(step)
        stand = step.after
    return tuple(steps)


@lru_cache(maxsize=256)
def standard_pressure_pa(altitude_m: int) -> int:
    """Return the pressure of the standard atmosphere (ISO 2533) at an altitude, to a whole pascal.

    101325 Pa x (1 - 0.0065 K/m x h / 288.15 K) ^ 5.25588, the troposphere's; h as geopotential.
    """
    with localcontext() as context:
        context.prec = 40
        cooling = 1 - Decimal("0.0065") * altitude_m / Decimal("288.15")
        pressure = STANDARD_PA * cooling ** Decimal("5.25588")
    exact = Fraction(pressure)
    return decimals.round_half_even(exact.numerator, exact.denominator)


def altitude_factor(pressure_pa: Fraction, constant: Fraction, slope: Fraction) -> Fraction:
    """Return K = constant - slope x P / 101325, unrounded (GB 16780-2021, 5.3)."""
    return constant - slope * pressure_pa / STANDARD_PA


def ore_grade(
    limit: Fraction, grade: Fraction, reference: Fraction, per_point: Fraction
) -> Fraction:
    """Return L - (g - g0) x c: richer ore tightens the limit (GB 21341-2022, 4)."""
    return limit - (grade - reference) / POINT * per_point


def clinker_share(
    limit: Fraction, share: Fraction, reference: Fraction, per_point: Fraction
) -> Fraction:
    """Return L + (x - x0) x c: more clinker relaxes the limit (GB 16780-2021, 5.4)."""
    return limit + (share - reference) / POINT * per_point


def feed_grade(
    limit: Fraction,
    grade: Fraction,
    reference: Fraction,
    per_point: Fraction,
    most_points: Fraction,
) -> Fraction:
    """Return L + min(most, g0 - g) x c for ore poorer than g0, else L (GB 21256-2025, 4.3)."""
    points = min(most_points, max(Fraction(0), (reference - grade) / POINT))
    return limit + points * per_point


def share(limit: Fraction, part: Fraction, per_point: Fraction) -> Fraction:
    """Return L + x x c (GB 21256-2025, 4.1 to 4.4)."""
    return limit + part / POINT * per_point


def _altitude(one: Correction, limit: Fraction, conditions: Conditions, at_us: int) -> Step:
    altitude = conditions.altitude_m
    if altitude is None:
        return Step(one, limit, limit, {}, ("altitude_m",))
    inputs = {"altitude_m": Fraction(altitude)}
    if altitude <= _of(one.above_m):
        return Step(one, limit, limit, inputs, why=Why.NOT_ABOVE)
    declared = conditions.at("ambient_pressure_pa", at_us)
    pressure = Fraction(standard_pressure_pa(altitude)) if declared is None else declared
    factor = altitude_factor(pressure, _of(one.constant), _of(one.slope))
    inputs |= {"ambient_pressure_pa": pressure, "factor": factor}
    why = Why.STANDARD_ATMOSPHERE if declared is None else None
    return Step(one, limit, limit * factor, inputs, why=why)


def _ore_grade(one: Correction, limit: Fraction, conditions: Conditions, at_us: int) -> Step:
    inputs, missing = _inputs(one, conditions, at_us)
    if missing:
        return Step(one, limit, limit, inputs, missing)
    if one.least_cr_fe is not None and inputs["cr_fe_ratio"] < Fraction(one.least_cr_fe):
        return Step(one, limit, limit, inputs, why=Why.OUTSIDE_VALIDITY)
    moved = ore_grade(limit, inputs["ore_grade"], _of(one.reference), _of(one.per_point))
    return Step(one, limit, moved, inputs)


def _clinker_share(one: Correction, limit: Fraction, conditions: Conditions, at_us: int) -> Step:
    inputs, missing = _inputs(one, conditions, at_us)
    if missing:
        return Step(one, limit, limit, inputs, missing)
    moved = clinker_share(limit, inputs["clinker_share"], _of(one.reference), _of(one.per_point))
    return Step(one, limit, moved, inputs)


def _feed_grade(one: Correction, limit: Fraction, conditions: Conditions, at_us: int) -> Step:
    inputs, missing = _inputs(one, conditions, at_us)
    if missing:
        return Step(one, limit, limit, inputs, missing)
    numbers = (_of(one.reference), _of(one.per_point), _of(one.most_points))
    return Step(one, limit, feed_grade(limit, inputs["feed_grade"], *numbers), inputs)


def _share(one: Correction, limit: Fraction, conditions: Conditions, at_us: int) -> Step:
    inputs, missing = _inputs(one, conditions, at_us)
    if missing:
        return Step(one, limit, limit, inputs, missing)
    return Step(one, limit, share(limit, inputs[one.inputs[0]], _of(one.per_point)), inputs)


_MOVES: Final[Mapping[CorrectionKind, Callable[[Correction, Fraction, Conditions, int], Step]]] = {
    CorrectionKind.ALTITUDE: _altitude,
    CorrectionKind.ORE_GRADE: _ore_grade,
    CorrectionKind.CLINKER_SHARE: _clinker_share,
    CorrectionKind.FEED_GRADE: _feed_grade,
    CorrectionKind.SHARE: _share,
}


def _inputs(
    one: Correction, conditions: Conditions, at_us: int
) -> tuple[dict[str, Fraction], tuple[str, ...]]:
    found = {name: conditions.at(name, at_us) for name in one.inputs}
    known = {name: value for name, value in found.items() if value is not None}
    return known, tuple(name for name, value in found.items() if value is None)


def _of(number: Decimal | int | None) -> Fraction:
    assert number is not None, "the table was checked against its kind"  # noqa: S101 - a belief
    return Fraction(number)


def pieces(
    corrections: Sequence[Correction], conditions: Conditions, begin_us: int, end_us: int
) -> Iterator[tuple[int, int]]:
    """Cut a span where an input of one of the corrections changes."""
    if not corrections:
        yield begin_us, end_us
        return
    names = {name for one in corrections for name in one.inputs}
    edges = [begin_us, *conditions.cuts(names, begin_us, end_us), end_us]
    yield from pairwise(edges)
