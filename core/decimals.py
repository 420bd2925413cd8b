"""Exact numbers: integers in millionths, fractions between, rounding half-even only at the end."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation, localcontext
from fractions import Fraction
from typing import Final

E6: Final = 1_000_000
PLACES: Final = 6
MOST_DIGITS: Final = 60
_PLAIN = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})")


def round_half_even(numerator: int, denominator: int) -> int:
    """Return numerator/denominator rounded to the nearest integer, ties to even."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient % 2 == 1):
        quotient += 1
    return quotient


def parse(text: str) -> Decimal:
    """Read a plain decimal such as `-12.75`; raises ValueError on anything else."""
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"not a plain decimal number: {text[:40]!r}")
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"not a plain decimal number: {text[:40]!r}") from error


def to_e6(value: Decimal | Fraction | int) -> int:
    """Return the value in millionths, rounded half-even."""
    numerator, denominator = value.as_integer_ratio()
    return round_half_even(numerator * E6, denominator)


def exact_e6(value: Decimal) -> int:
    """Return the value in millionths; raises ValueError where it has more than six places."""
    scaled = Fraction(value) * E6
    if scaled.denominator != 1:
        raise ValueError(f"more than {PLACES} decimal places: {value}")
    return scaled.numerator


def show_e6(millionths: int) -> str:
    """Print an integer of millionths as a plain decimal string without trailing zeros."""
    sign = "-" if millionths < 0 else ""
    whole, rest = divmod(abs(millionths), E6)
    digits = f"{rest:06d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def show(value: Fraction | Decimal | int) -> str:
    """Print any exact number with at most six places, half-even (design 4.4)."""
    return show_e6(to_e6(value))


def show_known(value: Fraction | Decimal | None) -> str | None:
    """Print an exact number as `show` does; None for what is unknown."""
    return None if value is None else show(value)


def square_root(value: Fraction) -> Fraction:
    """Return the square root of a fraction >= 0 to 40 significant digits, deterministically."""
    with localcontext() as context:
        context.prec = 40
        root = (Decimal(value.numerator) / Decimal(value.denominator)).sqrt()
    return Fraction(root)
