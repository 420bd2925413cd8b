"""Uncertainty of a figure by GUM: independent relative parts, root of squares, U = k x u, k = 2.

The parts: meter, current and voltage transformer of each point, weighing of the output, sampling of
its grade, and energy booked across gaps. What a class or a declared accuracy allows is taken whole
as a standard uncertainty, not divided by the root of 3: the more cautious reading (domain 3.3).
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from core import decimals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COVERAGE_FACTOR: Final = 2
# Accuracy classes and what they allow [%]; an S holds from a hundredth of the rated current on.
CLASSES: Final[Mapping[str, Decimal]] = {
    name: Decimal(name.removesuffix("S"))
    for name in ("0.1", "0.1S", "0.2", "0.2S", "0.5", "0.5S", "1", "2", "3")
}
# Energy booked across a gap is right in sum; how much of it belongs to this side of a period's end
# is a straight line's guess. A tenth covers furnaces that dip and kilns that stop; a potline is
# steadier. Where a gap lies inside the period the part is too large: the cautious side.
ESTIMATED_SHARE: Final = Fraction(1, 10)
_DIGITS: Final = 40


def of_classes(*classes: str) -> Decimal:
    """Return the accuracy [%] of a meter with its transformers, to 40 digits."""
    with localcontext() as context:
        context.prec = _DIGITS
        return sum((CLASSES[one] ** 2 for one in classes), Decimal(0)).sqrt()


def gap_filling(estimated: Fraction, total: Fraction) -> Fraction:
    """Return the part that estimated energy adds, relative to the total."""
    return Fraction(0) if total == 0 else ESTIMATED_SHARE * estimated / abs(total)


def expanded(parts: Iterable[Fraction]) -> Fraction:
    """Return the relative expanded uncertainty of independent relative standard parts."""
    squares = sum((part**2 for part in parts), Fraction(0))
    return COVERAGE_FACTOR * decimals.square_root(squares)
