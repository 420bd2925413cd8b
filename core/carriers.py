"""What meters show: energy carriers with dated factors to coal equivalent (kgce), and the rest.

A factor that is not known is None, never zero: what needs it is unknown (design 5, invariant 4).
Order of precedence of GB/T 2589-2020: a measured heating value, else the default of its annex A.
Emissions and materials are metered too, and have no coal equivalent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
)

from core import decimals, tomlfile, units, written
from core.clock import to_us
from core.errors import Misconfigured, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.written import Written

COAL_EQUIVALENT: Final = "kgce"
KJ_PER_KGCE: Final = Fraction(293_076, 10)  # lower heating value of 1 kgce, GB/T 2589-2020
# What a measured heating value is per: as received, of what a scale or a gas meter shows.
HEATING_UNITS: Final = {"mass": "kg", "volume": "m3"}
# The grade of a production fact that brings it, by the quantity of the carrier.
HEATING_GRADES: Final = {"mass": "lhv_kj_per_kg", "volume": "lhv_kj_per_m3"}
EVER_US: Final = to_us(datetime(2000, 1, 1, tzinfo=UTC))


class Basis(StrEnum):
    """Which coal equivalent: calorific 当量值 (limits of products), primary 等价值 (statistics)."""

    CALORIFIC = "calorific"
    PRIMARY = "primary"


class Sort(StrEnum):
    """What a carrier is: only energies have a coal equivalent.

    A fuel's primary coal equivalent is its calorific one. The two differ for secondary energies
    and media, which are made from fuels: their primary factors are data of their own.
    """

    FUEL = "fuel"
    SECONDARY = "secondary"
    EMISSION = "emission"
    MATERIAL = "material"


ENERGIES: Final = frozenset({Sort.FUEL, Sort.SECONDARY})


class Mark(StrEnum):
    """How well a figure was read: only `verified` in the source itself, `declared` by the plant."""

    VERIFIED = "verified"
    THIRD_PARTY = "third_party"
    FROM_MEMORY = "from_memory"
    DERIVED = "derived"
    DECLARED = "declared"


def decimal_text(value: object) -> Decimal:
    """Read an exact number of a data file; raises ValueError on anything but a decimal string."""
    if not isinstance(value, str):
        raise ValueError('write the number as a string such as "0.1229"')  # noqa: TRY004 - pydantic wants ValueError
    return decimals.parse(value)


ExactText = Annotated[Decimal, BeforeValidator(decimal_text)]
_STRICT = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class FactorTable(BaseModel):
    """A factor as a data file writes it."""

    model_config = _STRICT
    value: Annotated[ExactText, Field(ge=0)]
    unit: Annotated[str, Field(pattern=r"^kgce/[A-Za-z0-9]+$")]
    source: Annotated[str, Field(min_length=3)]
    mark: Mark


class _DatedFactor(FactorTable):
    since: AwareDatetime = Field(alias="from")
    until: AwareDatetime | None = None
    basis: Basis


class _CarrierTable(BaseModel):
    model_config = _STRICT
    name: dict[Literal["zh", "en"], str]
    sort: Sort = Sort.FUEL
    quantity: Literal["energy", "mass", "volume", "concentration", "share"]
    factor: tuple[_DatedFactor, ...] = ()
    note: str | None = None


class _CarrierFile(BaseModel):
    model_config = _STRICT
    carrier: dict[str, _CarrierTable]


@dataclass(frozen=True, slots=True)
class Factor:
    """Coal equivalent [kgce] of one `unit` (kWh, kg, m3, ...) of a carrier, from `since_us` on.

    It holds until the next one's start, or until `until_us`: from there on it is unknown.
    """

    since_us: int
    kgce_per_unit: Fraction
    unit: str
    source: str
    mark: Mark
    until_us: int | None = None

    def coal_equivalent(self, amount: Fraction, unit: str) -> Fraction:
        """Return the coal equivalent [kgce] of an amount in `unit`, exactly."""
        return units.convert(amount, unit, self.unit) * self.kgce_per_unit

    def item(self) -> dict[str, Any]:
        """Return the factor as the evidence of a figure carries it."""
        return {
            "value": decimals.show(self.kgce_per_unit),
            "unit": f"{COAL_EQUIVALENT}/{self.unit}",
            "source": self.source,
            "mark": self.mark.value,
        }


@dataclass(frozen=True, slots=True)
class Carrier:
    """An energy carrier, the quantity that meters it, and its default factors by basis."""

    id: str
    name: Mapping[Literal["zh", "en"], str]
    quantity: str
    factors: Mapping[Basis, tuple[Factor, ...]]
    note: str | None
    sort: Sort = Sort.FUEL

    @property
    def is_energy(self) -> bool:
        """Tell whether it can have a coal equivalent at all."""
        return self.sort in ENERGIES

    def defaults(self, basis: Basis) -> tuple[Factor, ...]:
        """Return the factors of a basis: a fuel's primary ones are its calorific ones."""
        return self.factors[Basis.CALORIFIC if self.sort is Sort.FUEL else basis]


def parse(text: str, name: str) -> dict[str, Carrier]:
    """Read carriers; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    table, problems, wrong = written.shape(document, _CarrierFile)
    for row in written.rows(document, "carrier", _CarrierTable, wrong):
        for check in _CHECKS:
            told = written.told(check, row)
            problems += [document.problem((*row.path, key), text) for key, text in told]
    if table is None or problems:
        raise Misconfigured(problems)
    return {
        key: Carrier(key, row.name, row.quantity, _factors(row), row.note, row.sort)
        for key, row in table.carrier.items()
    }


def _of_units(row: Written) -> Iterator[tuple[str, str]]:
    quantity = row["quantity"]
    for factor in row.tables("factor", _DatedFactor):
        yield from written.told(lambda one: _of_unit(one, quantity), factor)


def _of_unit(factor: Written, quantity: str) -> Iterator[tuple[str, str]]:
    unit = units.AMOUNTS.get(_per(factor["unit"]))
    if unit is None or unit.quantity != quantity:
        yield "factor", f"{factor['unit']} is not kgce per unit of {quantity}"


def _of_ends(row: Written) -> Iterator[tuple[str, str]]:
    for factor in row.tables("factor", _DatedFactor):
        yield from written.told(_of_end, factor)


def _of_end(factor: Written) -> Iterator[tuple[str, str]]:
    until = factor["until"]
    if until is not None and _instant(until) <= _instant(factor["since"]):
        yield "factor", "`until` must be later than `from`"


def _of_order(row: Written) -> Iterator[tuple[str, str]]:
    starts: dict[str, list[datetime]] = {basis: [] for basis in Basis}
    for factor in row.tables("factor", _DatedFactor):
        starts[factor["basis"]].append(_instant(factor["since"]))
    for basis, found in starts.items():
        if found != sorted(set(found)):
            yield "factor", f"{basis} factors must be sorted by `from`, each with its own"


def _of_sort(row: Written) -> Iterator[tuple[str, str]]:
    sort = row["sort"]
    if row.has("factor") and sort not in ENERGIES:
        yield "factor", f"what is {sort} has no coal equivalent: remove it"
    bases = [factor.data.get("basis") for factor in row.tables("factor", _DatedFactor)]
    if sort == Sort.FUEL and Basis.PRIMARY in bases:
        yield "factor", "a fuel's primary factor is its calorific one: remove the row"


def _of_quantity(row: Written) -> Iterator[tuple[str, str]]:
    if row["sort"] in ENERGIES and row["quantity"] in {"concentration", "share"}:
        yield "quantity", f"no energy is metered as {row['quantity']}"


_CHECKS: Final = (_of_units, _of_ends, _of_order, _of_sort, _of_quantity)
_INSTANT: Final = TypeAdapter(AwareDatetime)


def _instant(value: object) -> datetime:
    return _INSTANT.validate_python(value)


def _factors(row: _CarrierTable) -> dict[Basis, tuple[Factor, ...]]:
    return {
        basis: tuple(_dated(one) for one in row.factor if one.basis is basis) for basis in Basis
    }


def _dated(one: _DatedFactor) -> Factor:
    until_us = None if one.until is None else to_us(one.until.astimezone(UTC))
    return factor_of(one, to_us(one.since.astimezone(UTC)), until_us)


def factor_of(table: FactorTable, since_us: int = EVER_US, until_us: int | None = None) -> Factor:
    """Return the factor that a row of a data file writes."""
    value = Fraction(table.value)
    return Factor(since_us, value, _per(table.unit), table.source, table.mark, until_us)


def _per(unit: str) -> str:
    return unit.removeprefix(f"{COAL_EQUIVALENT}/")


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Carrier]:
    """Return the shipped carriers by id."""
    path = resources.files("core") / "data" / "carriers.toml"
    return parse(path.read_text("utf-8"), "core/data/carriers.toml")


def find(carrier: str) -> Carrier:
    """Return the carrier of this id; raises Rejected naming those there are."""
    known = catalogue()
    if carrier not in known:
        raise Rejected(unknown(carrier), reason="unknown_carrier")
    return known[carrier]


def unknown(carrier: str) -> str:
    """Say that there is no such carrier, and which there are."""
    return f"unknown carrier {carrier[:120]!r}: known are {', '.join(sorted(catalogue()))}"


def factor(carrier: str, at_us: int, basis: Basis = Basis.CALORIFIC) -> Factor | None:
    """Return the default factor in force at an instant, None where the catalogue has none."""
    known = catalogue().get(carrier)
    return None if known is None else in_force(known.defaults(basis), at_us)


def in_force(factors: tuple[Factor, ...], at_us: int) -> Factor | None:
    """Return the last factor that begins at or before an instant; None before the first.

    None too where that one has ended.
    """
    found = None
    for one in factors:
        if one.since_us <= at_us:
            found = one
    ended = found is not None and found.until_us is not None and found.until_us <= at_us
    return None if ended else found


def changes(carrier: str | None, basis: Basis) -> list[int]:
    """Return the instants at which a carrier's default factor begins, changes or ends."""
    known = catalogue().get(carrier or "")
    found = known.defaults(basis) if known else ()
    ends = [one.until_us for one in found if one.until_us is not None]
    return [one.since_us for one in found] + ends


def measured(carrier: str, since_us: int, heating_value: Fraction, how: str = "measured") -> Factor:
    """Return the factor of a measured lower heating value [kJ per kg or m3, as received].

    Its source begins with `how` it was measured. Raises ValueError for a carrier that is metered
    as energy: it has no heating value.
    """
    unit = HEATING_UNITS.get(find(carrier).quantity)
    if unit is None:
        raise ValueError(f"{carrier} is metered as energy and has no heating value")
    return Factor(
        since_us,
        heating_value / KJ_PER_KGCE,
        unit,
        f"{how} lower heating value {decimals.show(heating_value)} kJ/{unit}",
        Mark.DECLARED,
    )


def misfit(carrier: str, unit: str, *, rate: bool) -> str | None:
    """Say why a point cannot meter a carrier in `unit` (of a rate for a gauge); None: it can."""
    known = catalogue().get(carrier)
    if known is None:
        return unknown(carrier)
    amount = units.BOOKED.get(units.RATES.get(unit, "") if rate else unit)
    if amount is None or amount.quantity == known.quantity:
        return None  # an unknown unit is told where units are checked
    booked = units.RATES if rate else {code: code for code in units.AMOUNTS}
    fitting = [
        code for code, base in booked.items() if units.BOOKED[base].quantity == known.quantity
    ]
    return f"{carrier} is metered as {known.quantity}, not in {unit}: use {', '.join(fitting)}"
