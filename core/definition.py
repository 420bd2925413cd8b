"""The tables of indicators.toml, and what is wrong with a definition: all at once, by line.

A definition is refused where a figure could not be computed from it: an unknown carrier, amounts
that do not add up to its unit, a function without the grade, the kinds or the tolerance it needs.
What a definition means is checked as it is written, so that a mistake of shape hides no other one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import carriers, facts, names, units, written
from core.carriers import COAL_EQUIVALENT, Basis, ExactText, FactorTable, Mark
from core.facts import MOST_TOLERANCE_H, Function
from core.output import STREAM_PATTERN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.errors import Problem
    from core.tomlfile import Document, Path
    from core.written import Written

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
    shortest: Literal["hour", "day", "month", "year"] = "hour"
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


def problems(document: Document, wrong: set[Path]) -> list[Problem]:
    """Return what definitions of a file mean that cannot be, with lines.

    `wrong` are the keys whose shape is told already.
    """
    return [
        document.problem((*row.path, *on), text)
        for row in written.rows(document, "indicator", IndicatorTable, wrong)
        for on, text in _wrong(row)
    ]


def _wrong(row: Written) -> Iterator[tuple[Path, str]]:
    for check in _CHECKS if row.data.get("computes", True) else _ALWAYS:
        yield from written.told(check, row)
    for where, terms, unit in _terms(row) if row.data.get("computes", True) else ():
        for term in terms:
            for text in _of_term(row, term, unit):
                yield (*where, term.path[-1]), text


def _terms(row: Written) -> Iterator[tuple[Path, list[Written], str]]:
    """Yield every list of terms with its place and the key of the unit of its amounts."""
    yield ("numerator",), list(row.tables("numerator", TermTable)), "energy_unit"
    yield ("denominator",), list(row.tables("denominator", TermTable)), "output_unit"
    for by, terms in row.lists("output_by", TermTable):
        yield ("output_by", by), terms, "output_unit"


def _of_later(row: Written) -> Iterator[tuple[Path, str]]:
    if row["computes"] == row.has("later"):
        yield ("later",), "what does not compute, and only that, says in `later` what it waits for"


def _of_known(row: Written) -> Iterator[tuple[Path, str]]:
    for carrier in row["carriers"]:
        if carrier not in carriers.catalogue():
            yield ("carriers",), carriers.unknown(carrier)


def _of_groups(row: Written) -> Iterator[tuple[Path, str]]:
    for missing in sorted({one for group in row["requires"] for one in group}):
        if missing not in row["carriers"]:
            yield ("requires",), f"{missing} is not among the carriers"


def _of_carriers(row: Written) -> Iterator[tuple[Path, str]]:
    energy_unit, metered = row["energy_unit"], row["metered"]
    for carrier in row["carriers"]:
        found = carriers.catalogue().get(carrier)
        if found is None:
            continue
        if energy_unit == COAL_EQUIVALENT and not found.is_energy:
            yield ("carriers",), f"{carrier} is {found.sort} and has no coal equivalent"
        elif not _adds_up(found.quantity, energy_unit, metered):
            yield ("carriers",), f"{carrier} is metered as {found.quantity}, not in {energy_unit}"


def _adds_up(quantity: str, energy_unit: str, metered: str) -> bool:
    if energy_unit == COAL_EQUIVALENT:
        return True
    booked = units.RATES.get(energy_unit, "") if metered == "mean" else energy_unit
    return units.quantity(booked) == quantity


def _of_sums(row: Written) -> Iterator[tuple[Path, str]]:
    """Say what a definition lacks of the parts that it needs."""
    if not row.has("carriers") and not row.has("numerator"):
        yield ("computes",), "what computes names its carriers and its output"
    over = row.has("output") + row.has("denominator")
    if row["metered"] == "mean":
        with_more = any(row.has(key) for key in ("output_by", "numerator", "accounts"))
        if over or with_more or not row.has("carriers"):
            yield ("metered",), "a mean is of carriers alone: it has no output and no terms"
    elif over != 1:
        yield (
            ("computes",),
            "what computes names its carriers and its output: one of `output` and `denominator`",
        )


def _of_shape(row: Written) -> Iterator[tuple[Path, str]]:
    """Say which keys stand without the one that they belong to."""
    if row.has("base_grade") and not row.has("output"):
        yield ("base_grade",), "base tonnes are those of `output`: name its kinds"
    if row.has("stock_expected") and not row.has("output_by"):
        yield ("stock_expected",), "a stock is expected where `output_by` has a way to take it"


def _of_accounts(row: Written) -> Iterator[tuple[Path, str]]:
    energy_unit = row["energy_unit"]
    if row.has("accounts") and energy_unit != COAL_EQUIVALENT:
        yield ("accounts",), f"accounts are added in {COAL_EQUIVALENT}, not in {energy_unit}"


def _of_facts(row: Written) -> Iterator[tuple[Path, str]]:
    """Say where facts are not booked in a unit of the figure."""
    if row["metered"] == "mean":
        return
    for key in ("energy_unit", "output_unit"):
        if row[key] not in units.OF_FACTS:
            yield (key,), f"{row[key]} is none of {', '.join(units.OF_FACTS)}"


def _of_unit(row: Written) -> Iterator[tuple[Path, str]]:
    """Say where the figure's unit is not that of its numerator over its denominator."""
    unit, energy_unit = row["unit"], row["energy_unit"]
    if row["metered"] == "mean":
        if unit != energy_unit:
            yield ("unit",), f"a mean has the unit of what is metered, {energy_unit}"
        return
    over = f"{energy_unit} over {row['output_unit']}"
    if unit == "%":
        same = units.quantity(energy_unit) == units.quantity(row["output_unit"])
        if not row.has("against") and not same:
            yield ("unit",), f"{over} is no share in per cent"
    elif unit != f"{energy_unit}/{row['output_unit']}":
        yield ("unit",), f"{over} is not {unit}"


def _of_change(row: Written) -> Iterator[tuple[Path, str]]:
    if row.has("against") and row["metered"] != "mean" and row["unit"] != "%":
        yield ("against",), "a change against a base year is in per cent"


def _of_factors(row: Written) -> Iterator[tuple[Path, str]]:
    energy_unit = row["energy_unit"]
    if energy_unit != COAL_EQUIVALENT:
        if row.has("role_factors"):
            yield ("role_factors",), f"factors make {COAL_EQUIVALENT}, not {energy_unit}"
        if row["basis"] != Basis.CALORIFIC:
            yield ("basis",), f"a basis is that of {COAL_EQUIVALENT}, not of {energy_unit}"


def _of_roles(row: Written) -> Iterator[tuple[Path, str]]:
    for role in row["role_factors"]:
        if row["roles"] and role not in row["roles"]:
            yield ("role_factors", role), f"{role} is not among the roles"


_ALWAYS: Final[tuple[Callable[[Written], Iterator[tuple[Path, str]]], ...]] = (
    _of_later,
    _of_known,
    _of_groups,
)
_CHECKS: Final = (
    *_ALWAYS,
    _of_carriers,
    _of_sums,
    _of_shape,
    _of_accounts,
    _of_facts,
    _of_unit,
    _of_change,
    _of_factors,
    _of_roles,
)


def _of_term(row: Written, term: Written, unit: str) -> Iterator[str]:
    for check in (_of_stock, _of_kinds, _of_grade):
        yield from written.told(check, term)
    try:
        yield from _of_stream(row[unit], term)
    except written.Unread:
        return


def _of_stock(term: Written) -> Iterator[str]:
    """Say of a term where a tolerance is needed and not there, or does not belong."""
    name = term["function"]
    if name in facts.OF_STOCK:
        if not term.has("tolerance_h"):
            yield f"{name} needs tolerance_h: how old a stock-taking may be at the bound"
    elif term.has("tolerance_h"):
        yield f"tolerance_h does not belong to {name}: it takes no stock"


def _of_kinds(term: Written) -> Iterator[str]:
    name, has_kinds = term["function"], term.has("kinds")
    if name in facts.OF_STOCK and has_kinds:
        yield f"{name} knows its kinds: remove them"
    if name not in facts.OF_STOCK and not has_kinds:
        yield f"{name} needs kinds: which facts it adds up"


def _of_grade(term: Written) -> Iterator[str]:
    if (term["function"] in facts.OF_GRADE) != term.has("grade"):
        yield f"a grade belongs to {', '.join(sorted(facts.OF_GRADE))}, which need it"


def _of_stream(unit: str, term: Written) -> Iterator[str]:
    """Say of a term whose stream is a carrier that it is metered otherwise."""
    known = carriers.catalogue().get(term["stream"] or "")
    if known is not None and known.quantity != units.quantity(unit):
        yield f"{term['stream']} is metered as {known.quantity}, not in {unit}"
