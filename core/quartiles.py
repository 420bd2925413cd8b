"""Quartiles of plants' figures: exact ones for who may see all, concealed ones for the others.

A concealed quartile is drawn by the exponential mechanism: each point of a range is as likely as
exp(-budget/2 * how many ranks it lies off), so no single plant's figure changes the likelihood of
any answer by more than exp(budget), and the answer is a figure of nobody. The draw rests on a
secret and on what is asked, never on a clock: asking again gives the same answer.
"""

from __future__ import annotations

import hmac
import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

QUARTERS: Final = (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
RANGE: Final = Fraction(1, 20)  # how far beyond the references a concealed quartile may lie
_UNIFORM_BYTES: Final = 7  # 56 bits: a float holds 53 of them


@dataclass(frozen=True, slots=True)
class Quartiles:
    """First quartile, median and third quartile, from the lowest figure up."""

    first: Fraction
    median: Fraction
    third: Fraction


def exact(values: Sequence[Fraction]) -> Quartiles:
    """Return the quartiles of figures, linear between neighbours (as numpy and R type 7 do)."""
    ordered = sorted(values)
    return Quartiles(*(_at(ordered, share * (len(ordered) - 1)) for share in QUARTERS))


def _at(ordered: Sequence[Fraction], place: Fraction) -> Fraction:
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the range on which every point is equally likely; `weight` is its logarithm."""

    begin: float
    end: float
    weight: float


def pieces(
    values: Sequence[Fraction], share: Fraction, budget: float, span: tuple[Fraction, Fraction]
) -> list[Piece]:
    """Return the density of a concealed quantile over a range, piece by piece.

    A point with as many figures below it as the quantile asks for is the likeliest.
    """
    low, high = span
    inside = sorted(min(max(value, low), high) for value in values)
    wanted = float(share) * len(inside)
    found: list[Piece] = []
    for below, (begin, end) in enumerate(pairwise([low, *inside, high])):
        if end > begin:
            found.append(Piece(float(begin), float(end), -budget / 2 * abs(below - wanted)))
    return found


def conceal(
    values: Sequence[Fraction],
    budget: float,
    span: tuple[Fraction, Fraction],
    secret: bytes,
    question: str,
) -> Quartiles:
    """Return quartiles that give no plant's figure away; each spends the budget once.

    The range must not depend on the figures: it is the law's, not the plants'.
    """
    # With the figures in it, other figures are another draw: two answers that shared one would
    # tell together what each keeps.
    asked = f"{question}|{'|'.join(map(str, sorted(values)))}"
    drawn = [
        _draw(pieces(values, share, budget, span), *_uniforms(secret, f"{asked}|{share}"))
        for share in QUARTERS
    ]
    return Quartiles(*(Fraction(one) for one in sorted(drawn)))


def _draw(found: Sequence[Piece], which: float, where: float) -> float:
    """Draw a piece by its mass, then a point of it, from two numbers in [0, 1)."""
    heaviest = max(piece.weight for piece in found)
    masses = [math.exp(piece.weight - heaviest) * (piece.end - piece.begin) for piece in found]
    left = which * math.fsum(masses)
    for piece, mass in zip(found, masses, strict=True):
        if left < mass:
            return piece.begin + where * (piece.end - piece.begin)
        left -= mass
    return found[-1].begin + where * (found[-1].end - found[-1].begin)


def _uniforms(secret: bytes, question: str) -> tuple[float, float]:
    """Return two numbers in [0, 1) that nobody can tell without the secret."""
    digest = hmac.digest(secret, question.encode(), "sha256")
    size = _UNIFORM_BYTES
    which = int.from_bytes(digest[:size], "big") / 2 ** (8 * size)
    where = int.from_bytes(digest[size : 2 * size], "big") / 2 ** (8 * size)
    return which, where
