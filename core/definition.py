"""The tables of indicators.toml, and what is wrong with a definition: all at once, by line.

A definition is refused where a figure could not be computed from it: an unknown carrier, amounts
that do not add up to its unit, a function without the grade, the kinds or the tolerance it needs.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import carriers, facts, names, units
from core.carriers import COAL_EQUIVALENT, Basis, ExactText, FactorTable, Mark
from core.facts import MOST_TOLERANCE_H, Function
from core.output import STREAM_PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.errors import Problem
    from core.tomlfile import Document, Path

OutputKind = Literal["tapping", "weighing", "correction", "receipt", "shipment", "charge", "use"]
MOST_TERMS: Final = 20  # of one sum: more would be a balance that deserves a stream of its own
_Role = Annotated[str, Field(pattern=names.SITE_PATTERN)]
_Stream = Annotated[str, Field(pattern=rf"^{STREAM_PATTERN}$")]
_By = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
_Text = dict[Literal["zh", "en"], str]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class BaseGradeTable(BaseModel):
    """The grade that makes base tonnes, and what it is in the reference composition."""

    model_config = _STRICT
    grade: Annotated[str, Field(min_length=1, max_length=40)]
    reference: Annotated[ExactText, Field(gt=0)]


class TermTable(BaseModel):
    """A term: an amount of facts by one of the functions of core.facts."""

    model_config = _STRICT
    function: Function
    stream: _Stream | None = None
    kinds: tuple[OutputKind, ...] = ()
    sign: Literal[1, -1] = 1
    grade: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    reference: Annotated[ExactText, Field(gt=0)] = Decimal(1)
    tolerance_h: Annotated[int, Field(gt=0, le=MOST_TOLERANCE_H)] | None = None


class AgainstTable(BaseModel):
    """The base year of a change, and the streams whose `base` facts hold its two amounts."""

    model_config = _STRICT
    base_year: Annotated[int, Field(ge=2000, le=2100)]
    numerator: _Stream
    denominator: _Stream


_Terms = Annotated[tuple[TermTable, ...], Field(max_length=MOST_TERMS)]


class IndicatorTable(BaseModel):
    """An indicator as the file writes it."""

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
    metered: Literal["sum", "mean"] = "sum"
    accounts: bool = False
    numerator: _Terms = ()
    output: tuple[OutputKind, ...] = ()
    base_grade: BaseGradeTable | None = None
    denominator: _Terms = ()
    output_by: dict[_By, _Terms] = Field(default_factory=dict)
    stock_expected: bool = False
    against: AgainstTable | None = None
    product: str
    source: Annotated[str, Field(min_length=3)]
    boundary: _Text
    formula: str
    formula_version: Annotated[int, Field(ge=1)] = 1
    mark: Mark | None = None
    note: str | None = None


class IndicatorFile(BaseModel):
    """The whole file."""

    model_config = _STRICT
    indicator: dict[str, IndicatorTable]


def problems(document: Document, table: IndicatorFile) -> list[Problem]:
    """Return everything that is wrong with the definitions of a file, with lines."""
    return [
        document.problem((*path, *on), text)
        for key, row in table.indicator.items()
        for path in (("indicator", key),)
        for on, text in _wrong(row)
    ]


def _wrong(row: IndicatorTable) -> Iterator[tuple[Path, str]]:
    if row.computes == (row.later is not None):
        yield ("later",), "what does not compute, and only that, says in `later` what it waits for"
    yield from _of_carriers(row)
    if not row.computes:
        return
    yield from _of_shape(row)
    yield from _of_unit(row)
    yield from _of_factors(row)
    for where, terms, unit in _terms(row):
        for position, term in enumerate(terms):
            yield from (((*where, position), text) for text in _of_term(term, unit))


def _terms(row: IndicatorTable) -> Iterator[tuple[Path, tuple[TermTable, ...], str]]:
    """Yield every list of terms with its place and the unit of its amounts."""
    yield ("numerator",), row.numerator, row.energy_unit
    yield ("denominator",), row.denominator, row.output_unit
    for by, terms in row.output_by.items():
        yield ("output_by", by), terms, row.output_unit


def _of_carriers(row: IndicatorTable) -> Iterator[tuple[Path, str]]:
    known = carriers.catalogue()
    for carrier in row.carriers:
        if carrier not in known:
            yield ("carriers",), carriers.unknown(carrier)
        elif row.computes:
            found = known[carrier]
            if row.energy_unit == COAL_EQUIVALENT and not found.is_energy:
                text = f"{carrier} is {found.sort} and has no coal equivalent"
                yield ("carriers",), text
            elif not _adds_up(found.quantity, row):
                text = f"{carrier} is metered as {found.quantity}, not in {row.energy_unit}"
                yield ("carriers",), text
    for missing in sorted({one for group in row.requires for one in group} - set(row.carriers)):
        yield ("requires",), f"{missing} is not among the carriers"


def _adds_up(quantity: str, row: IndicatorTable) -> bool:
    if row.energy_unit == COAL_EQUIVALENT:
        return True
    booked = units.RATES.get(row.energy_unit, "") if row.metered == "mean" else row.energy_unit
    return units.quantity(booked) == quantity


def _of_shape(row: IndicatorTable) -> Iterator[tuple[Path, str]]:
    """Say what a definition lacks of the parts that it needs."""
    if not row.carriers and not row.numerator:
        yield ("computes",), "what computes names its carriers and its output"
    over = bool(row.output) + bool(row.denominator)
    if row.metered == "mean":
        if over or row.output_by or row.numerator or row.accounts or not row.carriers:
            yield ("metered",), "a mean is of carriers alone: it has no output and no terms"
    elif over != 1:
        yield (
            ("computes",),
            "what computes names its carriers and its output: one of `output` and `denominator`",
        )
    if row.base_grade is not None and not row.output:
        yield ("base_grade",), "base tonnes are those of `output`: name its kinds"
    if row.accounts and row.energy_unit != COAL_EQUIVALENT:
        yield ("accounts",), f"accounts are added in {COAL_EQUIVALENT}, not in {row.energy_unit}"
    if row.stock_expected and not row.output_by:
        yield ("stock_expected",), "a stock is expected where `output_by` has a way to take it"


def _of_unit(row: IndicatorTable) -> Iterator[tuple[Path, str]]:
    """Say where the figure's unit is not that of its numerator over its denominator."""
    if row.metered == "mean":
        if row.unit != row.energy_unit:
            yield ("unit",), f"a mean has the unit of what is metered, {row.energy_unit}"
        return
    for key in ("energy_unit", "output_unit"):
        if getattr(row, key) not in units.OF_FACTS:
            yield (key,), f"{getattr(row, key)} is none of {', '.join(units.OF_FACTS)}"
    if row.unit == "%":
        same = units.quantity(row.energy_unit) == units.quantity(row.output_unit)
        if row.against is None and not same:
            text = f"{row.energy_unit} over {row.output_unit} is no share in per cent"
            yield ("unit",), text
    elif row.unit != f"{row.energy_unit}/{row.output_unit}":
        yield ("unit",), f"{row.energy_unit} over {row.output_unit} is not {row.unit}"
    if row.against is not None and row.unit != "%":
        yield ("against",), "a change against a base year is in per cent"


def _of_factors(row: IndicatorTable) -> Iterator[tuple[Path, str]]:
    if row.energy_unit != COAL_EQUIVALENT:
        if row.role_factors:
            yield ("role_factors",), f"factors make {COAL_EQUIVALENT}, not {row.energy_unit}"
        if row.basis is not Basis.CALORIFIC:
            yield ("basis",), f"a basis is that of {COAL_EQUIVALENT}, not of {row.energy_unit}"
    for role in row.role_factors:
        if row.roles and role not in row.roles:
            yield ("role_factors", role), f"{role} is not among the roles"


def _of_term(term: TermTable, unit: str) -> Iterator[str]:
    """Say what a term's function needs and does not have, and what does not belong to it."""
    name, of_stock = term.function, term.function in facts.OF_STOCK
    if of_stock and term.tolerance_h is None:
        yield f"{name} needs tolerance_h: how old a stock-taking may be at the bound"
    if not of_stock and term.tolerance_h is not None:
        yield f"tolerance_h does not belong to {name}: it takes no stock"
    if of_stock and term.kinds:
        yield f"{name} knows its kinds: remove them"
    if not of_stock and not term.kinds:
        yield f"{name} needs kinds: which facts it adds up"
    if (term.function in facts.OF_GRADE) != (term.grade is not None):
        yield f"a grade belongs to {', '.join(sorted(facts.OF_GRADE))}, which need it"
    known = carriers.catalogue().get(term.stream or "")
    if known is not None and known.quantity != units.quantity(unit):
        yield f"{term.stream} is metered as {known.quantity}, not in {unit}"
