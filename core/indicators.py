"""Indicator definitions as data: which energy, which output, which boundary, which version.

A definition that does not compute yet is listed and says what it waits for.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import carriers, names, tomlfile, units
from core.carriers import COAL_EQUIVALENT, Basis, ExactText, Factor, FactorTable
from core.errors import Misconfigured, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.errors import Problem
    from core.plant import Point
    from core.tomlfile import Document

OutputKind = Literal["tapping", "weighing", "stock", "correction"]
_Role = Annotated[str, Field(pattern=names.SITE_PATTERN)]
_Text = dict[Literal["zh", "en"], str]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class _BaseGradeTable(BaseModel):
    model_config = _STRICT
    grade: Annotated[str, Field(min_length=1, max_length=40)]
    reference: Annotated[ExactText, Field(gt=0)]


class _IndicatorTable(BaseModel):
    model_config = _STRICT
    name: _Text
    unit: str
    energy_unit: str
    output_unit: str = "t"
    computes: bool = True
    later: _Text | None = None
    carriers: tuple[str, ...] = ()
    requires: tuple[tuple[str, ...], ...] = ()
    roles: tuple[_Role, ...] = ()
    basis: Basis = Basis.CALORIFIC
    role_factors: dict[_Role, FactorTable] = Field(default_factory=dict)
    output: tuple[OutputKind, ...] = ()
    base_grade: _BaseGradeTable | None = None
    product: str
    source: Annotated[str, Field(min_length=3)]
    boundary: _Text
    formula: str
    formula_version: Annotated[int, Field(ge=1)] = 1


class _IndicatorFile(BaseModel):
    model_config = _STRICT
    indicator: dict[str, _IndicatorTable]


@dataclass(frozen=True, slots=True)
class BaseGrade:
    """Base tonnes (基准吨): mass * grade / reference; grades are mass fractions, gas yield L/kg."""

    grade: str
    reference: Fraction


@dataclass(frozen=True, slots=True)
class Indicator:
    """Energy over output of one boundary; empty `roles` takes points of every role.

    `requires` are groups of carriers: without a meter of at least one of each group the energy is
    unknown. `role_factors` go before every other factor: points of that role are converted so.
    `later` says what a definition that does not compute yet waits for.
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

    @property
    def in_coal_equivalent(self) -> bool:
        """Tell whether energies are added as coal equivalent."""
        return self.energy_unit == COAL_EQUIVALENT

    def counts(self, point: Point) -> bool:
        """Tell whether a point of the unit belongs to the numerator."""
        return (
            point.energy_unit is not None
            and point.carrier in self.carriers
            and (not self.roles or point.role in self.roles)
        )


def parse(text: str, name: str) -> dict[str, Indicator]:
    """Read definitions; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _IndicatorFile)
    problems = [p for key, row in table.indicator.items() for p in _problems(document, key, row)]
    if problems:
        raise Misconfigured(problems)
    return {key: _indicator(key, row) for key, row in table.indicator.items()}


def _problems(document: Document, key: str, row: _IndicatorTable) -> Iterator[Problem]:
    path = ("indicator", key)
    known = carriers.catalogue()
    for carrier in row.carriers:
        if carrier not in known:
            yield document.problem((*path, "carriers"), carriers.unknown(carrier))
        elif row.computes and not _adds_up(known[carrier].quantity, row.energy_unit):
            message = f"{carrier} is metered as {known[carrier].quantity}, not in {row.energy_unit}"
            yield document.problem((*path, "carriers"), message)
    for missing in {one for group in row.requires for one in group} - set(row.carriers):
        message = f"{missing} is not among the carriers"
        yield document.problem((*path, "requires"), message)
    if row.computes and not (row.carriers and row.output):
        message = "what computes names its carriers and its output"
        yield document.problem((*path, "computes"), message)
    if row.computes == (row.later is not None):
        message = "what does not compute, and only that, says in `later` what it waits for"
        yield document.problem((*path, "later"), message)


def _adds_up(quantity: str, energy_unit: str) -> bool:
    if energy_unit == COAL_EQUIVALENT:
        return True
    unit = units.AMOUNTS.get(energy_unit)
    return unit is not None and unit.quantity == quantity


def _indicator(key: str, row: _IndicatorTable) -> Indicator:
    grade = row.base_grade
    return Indicator(
        **{
            **dict(row),
            "id": key,
            "base_grade": grade and BaseGrade(grade.grade, Fraction(grade.reference)),
            "role_factors": {
                role: carriers.factor_of(one) for role, one in row.role_factors.items()
            },
        }
    )


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Indicator]:
    """Return the shipped indicators by id."""
    path = resources.files("core") / "data" / "indicators.toml"
    return parse(path.read_text("utf-8"), "core/data/indicators.toml")


def computing() -> frozenset[str]:
    """Return the ids of the indicators that compute: those a plant file may ask for."""
    return frozenset(key for key, one in catalogue().items() if one.computes)


def find(indicator: str) -> Indicator:
    """Return the indicator of this id; raises Rejected naming those there are."""
    known = catalogue()
    if indicator not in known:
        raise Rejected(
            f"no indicator has the id {indicator[:120]!r}; known are {', '.join(sorted(known))}",
            reason="unknown_indicator",
        )
    return known[indicator]
