"""Units that points may declare, and what a rate integrates to. Factors are exact."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
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

# What a gauge of this unit books in one hour.
RATES: Final = {
    "W": "Wh",
    "kW": "kWh",
    "MW": "MWh",
    "kg/h": "kg",
    "t/h": "t",
    "m3/h": "m3",
}


def convert(amount: Fraction, unit: str, to: str) -> Fraction:
    """Convert an amount between two units of one quantity, exactly; raises ValueError else."""
    source, target = AMOUNTS[unit], AMOUNTS[to]
    if source.quantity != target.quantity:
        raise ValueError(f"{unit} is {source.quantity} and {to} is {target.quantity}")
    return amount * source.factor / target.factor
