"""Indicator definitions as data: what is counted, over what, which boundary, which version.

A figure is a numerator over a denominator. The numerator adds up metered points by carrier and
role, accounts of fuel, and terms of facts; the denominator is the output by one of its functions.
What a definition needs and does not have is told when it is read (core.definition).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from core import carriers, definition, tomlfile, written
from core.carriers import COAL_EQUIVALENT, Basis, Factor, Mark
from core.errors import Misconfigured, Rejected
from core.facts import HOUR_US, Function, Scope, Span, Term
from core.periods import Period

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.definition import AgainstTable, IndicatorTable, TermTable
    from core.plant import Point


_ORDER: Final = tuple(Period)  # from the shortest to the longest


class Metered(StrEnum):
    """How metered points enter: their sum, or the highest of their means over time."""

    SUM = "sum"
    MEAN = "mean"


@dataclass(frozen=True, slots=True)
class BaseGrade:
    """Base tonnes (基准吨): mass * grade / reference; grades are mass fractions, gas yield L/kg."""

    grade: str
    reference: Fraction


@dataclass(frozen=True, slots=True)
class Against:
    """The base year that a figure is the change against [%], by facts of kind `base`."""

    base_year: int
    numerator: Term
    denominator: Term


@dataclass(frozen=True, slots=True)
class Indicator:
    """Numerator over denominator of one boundary; empty `roles` takes points of every role.

    `requires` are groups of carriers: without a meter or an account of at least one of each group
    the energy is unknown. `role_factors` go before every other factor: points of that role are
    converted so, and the evidence prints them as parameters. `output_by` are other denominators
    that a unit may choose by name; where `stock_expected`, a unit that chooses none is flagged.
    `accounts` tells whether carriers may also count by facts. `later` says what a definition that
    does not compute yet waits for; `mark` how well its boundary is known; `shortest` the shortest
    period that has a figure: nobody reports value added by the hour.
    """

    id: str
    name: Mapping[str, str]
    unit: str
    energy_unit: str
    output_unit: str
    computes: bool
    later: Mapping[str, str] | None
    carriers: tuple[str, ...]
    requires: tuple[tuple[str, ...], ...]
    roles: tuple[str, ...]
    basis: Basis
    role_factors: Mapping[str, Factor]
    output: tuple[str, ...]
    base_grade: BaseGrade | None
    product: str
    source: str
    boundary: Mapping[str, str]
    formula: str
    formula_version: int
    metered: Metered = Metered.SUM
    accounts: bool = False
    numerator: tuple[Term, ...] = ()
    denominator: tuple[Term, ...] = ()
    output_by: Mapping[str, tuple[Term, ...]] = field(default_factory=dict)
    stock_expected: bool = False
    against: Against | None = None
    mark: Mark | None = None
    note: str | None = None
    shortest: Period = Period.HOUR

    @property
    def in_coal_equivalent(self) -> bool:
        """Tell whether energies are added as coal equivalent."""
        return self.energy_unit == COAL_EQUIVALENT

    @property
    def is_share(self) -> bool:
        """Tell whether the figure is numerator over denominator in per cent."""
        return self.unit == "%" and self.metered is Metered.SUM and self.against is None

    def has(self, kind: Period) -> bool:
        """Tell whether periods of a kind have a figure: those that are not too short."""
        return _ORDER.index(kind) >= _ORDER.index(self.shortest)

    def counts(self, point: Point) -> bool:
        """Tell whether a point of the unit belongs to the numerator."""
        return (
            point.energy_unit is not None
            and point.carrier in self.carriers
            and (not self.roles or point.role in self.roles)
        )

    def output_terms(self, chosen: str | None) -> tuple[Term, ...]:
        """Return the terms of the denominator that a unit chose; empty: `output` by its kinds."""
        return self.output_by.get(chosen or "", self.denominator)

    def output_span(self, scope: Scope) -> Span:
        """Return the question to facts for the output by its kinds."""
        grade = None if self.base_grade is None else self.base_grade.grade
        return Span(
            scope.unit,
            self.output,
            grade,
            scope.begin_us,
            scope.end_us,
            self.product,
            amount_unit=self.output_unit,
        )


def parse(text: str, name: str) -> dict[str, Indicator]:
    """Read definitions; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    table, problems, wrong = written.shape(document, definition.IndicatorFile)
    problems += definition.problems(document, wrong)
    if table is None or problems:
        raise Misconfigured(problems)
    return {key: _indicator(key, row) for key, row in table.indicator.items()}


def _indicator(key: str, row: IndicatorTable) -> Indicator:
    grade = row.base_grade
    return Indicator(
        **{
            **dict(row),
            "id": key,
            "metered": Metered(row.metered),
            "shortest": Period(row.shortest),
            "base_grade": grade and BaseGrade(grade.grade, Fraction(grade.reference)),
            "role_factors": {
                role: carriers.factor_of(one) for role, one in row.role_factors.items()
            },
            "numerator": tuple(map(_term, row.numerator)),
            "denominator": tuple(map(_term, row.denominator)),
            "output_by": {by: tuple(map(_term, terms)) for by, terms in row.output_by.items()},
            "against": row.against and _against(row.against),
        }
    )


def _term(row: TermTable) -> Term:
    return Term(
        Function(row.function),
        row.stream,
        row.kinds,
        row.sign,
        row.grade,
        Fraction(row.reference),
        round((row.tolerance_h or 0) * HOUR_US),
    )


def _against(row: AgainstTable) -> Against:
    terms = (Term(Function.SUM, stream, ("base",)) for stream in (row.numerator, row.denominator))
    return Against(row.base_year, *terms)


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Indicator]:
    """Return the shipped indicators by id."""
    path = resources.files("core") / "data" / "indicators.toml"
    return parse(path.read_text("utf-8"), "core/data/indicators.toml")


def computing() -> dict[str, frozenset[str]]:
    """Return the indicators that a plant file may ask for: those that compute, by id.

    Each with the names by which a unit may choose how its output is known.
    """
    return {key: frozenset(one.output_by) for key, one in catalogue().items() if one.computes}


def find(indicator: str) -> Indicator:
    """Return the indicator of this id; raises Rejected naming those there are."""
    known = catalogue()
    if indicator not in known:
        raise Rejected(
            f"no indicator has the id {indicator[:120]!r}; known are {', '.join(sorted(known))}",
            reason="unknown_indicator",
        )
    return known[indicator]
