"""Units of points and of production facts, and what a rate integrates to. Factors are exact."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, slots=True)
class UnitOfMeasure:
    """A unit of an amount: its quantity and how many of the quantity's base unit it holds."""

    code: str
    quantity: str
    base: str
    factor: Fraction


_AMOUNTS: Final = (
    UnitOfMeasure("Wh", "energy", "kWh", Fraction(1, 1000)),
    UnitOfMeasure("kWh", "energy", "kWh", Fraction(1)),
    UnitOfMeasure("MWh", "energy", "kWh", Fraction(1000)),
    UnitOfMeasure("GWh", "energy", "kWh", Fraction(1_000_000)),
    UnitOfMeasure("MJ", "energy", "kWh", Fraction(1000, 3600)),
    UnitOfMeasure("GJ", "energy", "kWh", Fraction(1_000_000, 3600)),
    UnitOfMeasure("kg", "mass", "t", Fraction(1, 1000)),
    UnitOfMeasure("t", "mass", "t", Fraction(1)),
    UnitOfMeasure("m3", "volume", "m3", Fraction(1)),
)
AMOUNTS: Final = {unit.code: unit for unit in _AMOUNTS}

# What a gauge of this unit books in one hour. A concentration books itself times the hours for
# which it held, in a unit of its own: over those hours it is a mean again.
_HELD: Final = (
    UnitOfMeasure("mg/m3.h", "concentration", "mg/m3.h", Fraction(1)),
    UnitOfMeasure("%.h", "share", "%.h", Fraction(1)),
)
RATES: Final = {
    "W": "Wh",
    "kW": "kWh",
    "MW": "MWh",
    "kg/h": "kg",
    "t/h": "t",
    "m3/h": "m3",
    "mg/m3": "mg/m3.h",
    "%": "%.h",
}
BOOKED: Final = AMOUNTS | {unit.code: unit for unit in _HELD}

# What production facts may count beside mass, energy and volume; no meter shows it.
_COUNTED: Final = (
    UnitOfMeasure("kW", "power", "MW", Fraction(1, 1000)),
    UnitOfMeasure("MW", "power", "MW", Fraction(1)),  # rated output of cells and modules (MWp)
    UnitOfMeasure("kgce", "coal_equivalent", "tce", Fraction(1, 1000)),
    UnitOfMeasure("tce", "coal_equivalent", "tce", Fraction(1)),
    UnitOfMeasure("cny", "money", "10k_cny", Fraction(1, 10_000)),
    UnitOfMeasure("10k_cny", "money", "10k_cny", Fraction(1)),
)
OF_FACTS: Final = AMOUNTS | {unit.code: unit for unit in _COUNTED}
_ALL: Final = BOOKED | OF_FACTS


def convert(amount: Fraction, unit: str, to: str) -> Fraction:
    """Convert an amount between two units of one quantity, exactly; raises ValueError else."""
    if unit == to:
        return amount
    return amount * _ratio(unit, to)


@lru_cache(maxsize=1024)
def _ratio(unit: str, to: str) -> Fraction:
    source, target = _ALL[unit], _ALL[to]
    if source.quantity != target.quantity:
        raise ValueError(f"{unit} is {source.quantity} and {to} is {target.quantity}")
    return source.factor / target.factor


def quantity(unit: str) -> str | None:
    """Return the quantity that a unit measures; None where it is none of ours."""
    known = _ALL.get(unit)
    return None if known is None else known.quantity
