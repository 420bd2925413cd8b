"""What a sum over a span ahead will be, told from the sums over spans behind it.

The quantity is taken as a level that wanders, white noise, and what is carried over a cut (metal
left in a furnace when the day ends: what one day lacks the next has too much). How large each is
relative to the others is not known: every combination of a grid is weighed by how well it explains
the past, and the answer is the mixture. Little past gives wide answers by itself, since the size of
the noise is only as well known as there are sums (Student's t).

Statistics in float64, deterministic: no random number is drawn. Times are days from the instant at
which one stands, so what lies behind is negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import pi, prod, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.exactmath import Floats

MOST_SUMS: Final = 120  # a quarter of days and some: more would say no more of what comes next
MOST_SHAPES: Final = 4  # kept: of a quarter of days each takes about 20 MB
# Variances relative to that of the white noise of one day, and how long a level lasts [days].
LEVELS: Final = ((0.0, 0.35), (0.03, 0.30), (0.2, 0.20), (1.2, 0.10), (8.0, 0.05))
LASTING_DAYS: Final = ((3.0, 0.45), (12.0, 0.35), (60.0, 0.20))
CARRIED: Final = ((0.0, 0.4), (1.0, 0.3), (20.0, 0.3))
DRIFTS: Final = ((0.0, 0.87), (0.001, 0.10), (0.02, 0.03))  # of the square of a day's drift
# What is known of the size of the noise before the first sum counts as much as this many sums.
PRIOR_FREEDOM: Final = 1
LEAST_WEIGHT: Final = 1e-4  # combinations that explain the past worse than this are left out


@dataclass(frozen=True, slots=True)
class Behind:
    """Sums over spans [begin, end) behind, each end <= 0."""

    begin_d: Floats
    end_d: Floats
    amount: Floats

    def __post_init__(self) -> None:
        assert 0 < len(self.amount) <= MOST_SUMS, "the caller cuts what is older"  # noqa: S101 - a belief

    @property
    def length_d(self) -> Floats:
        """Return the length of each span [days]."""
        return self.end_d - self.begin_d


@dataclass(frozen=True, slots=True)
class Mixture:
    """Sums over spans ahead as a mixture of Student's t: rows are combinations, columns spans."""

    weight: Floats
    centre: Floats
    scale: Floats
    freedom: int

    @property
    def mean(self) -> Floats:
        """Return the mean of each span's sum."""
        found: Floats = self.weight @ self.centre
        return found

    @property
    def deviation(self) -> Floats:
        """Return the standard deviation of each span's sum, as of that much spread at P16-P84."""
        spread = self.scale**2 + (self.centre - self.mean) ** 2
        found: Floats = np.sqrt(self.weight @ spread)
        return found

    def below(self, bound: Floats, span: int) -> Floats:
        """Return the probability that the sum of a span lies below each bound."""
        of_span = self.centre[:, span, None], self.scale[:, span, None]
        shape = np.shape(bound)
        at = (np.reshape(bound, (1, -1)) - of_span[0]) / np.maximum(of_span[1], 1e-300)
        found: Floats = (self.weight @ student(at, self.freedom)).reshape(shape)
        return found


def foresee(behind: Behind, ahead: Sequence[tuple[float, float]], usual_spread: float) -> Mixture:
    """Return the sums over spans ahead, each (begin, end) in days >= 0.

    `usual_spread` is the spread of a day's sum that one would expect without having seen any.
    """
    shape = _shape(
        tuple(behind.begin_d.tolist()), tuple(behind.end_d.tolist()), tuple(map(tuple, ahead))
    )
    length, amount = behind.length_d, behind.amount
    by_amount = shape.inverse @ amount
    # The mean level is not known at all beforehand: it is that of the past, by least squares.
    mean = (shape.by_length @ amount) / shape.known
    rest = np.maximum(by_amount @ amount - mean**2 * shape.known, 0.0)
    freedom = len(length) - 1 + PRIOR_FREEDOM
    usual = PRIOR_FREEDOM * usual_spread**2 / shape.size
    noise = np.maximum((rest + usual) / freedom, 1e-300)
    fits = shape.fits - 0.5 * freedom * np.log(noise)
    centre = np.einsum("mij,mi->mj", shape.across, by_amount)
    centre += mean[:, None] * shape.unexplained
    return _weighed(fits, centre, np.sqrt(noise[:, None] * shape.spread), freedom)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What depends on the spans alone, for each combination: the same for all units of a day.

    `fits` is the part of how well it explains the past that the amounts have no part in.
    """

    inverse: Floats
    across: Floats
    by_length: Floats
    known: Floats
    unexplained: Floats
    spread: Floats
    size: Floats
    fits: Floats


@lru_cache(maxsize=MOST_SHAPES)
def _shape(
    begins: tuple[float, ...], ends: tuple[float, ...], ahead: tuple[tuple[float, ...], ...]
) -> _Shape:
    past = (np.array(begins), np.array(ends))
    begin, end = np.array(ahead, np.float64).T
    grid, prior = _grid()
    inside = _covariances(past, past, grid)
    across = _covariances(past, (begin, end), grid)
    own = np.einsum("mii->mi", _covariances((begin, end), (begin, end), grid))
    length = past[1] - past[0]
    # A combination with hardly any noise of its own would not be told from a singular one.
    inside += np.diag(1e-9 * np.maximum(length, 1e-3))
    inverse: Floats = np.asarray(np.linalg.inv(inside), np.float64)
    by_length = inverse @ length
    known = by_length @ length
    by_ahead = inverse @ across
    unexplained = (end - begin) - np.einsum("mij,i->mj", by_ahead, length)
    spread = own - np.einsum("mij,mij->mj", across, by_ahead) + unexplained**2 / known[:, None]
    _, volume = np.linalg.slogdet(inside)
    fits = np.log(prior) - 0.5 * (volume + np.log(known))
    size = 1 + 2 * grid[:, 0] + grid[:, 1]
    spread = np.maximum(spread, 0.0)
    return _Shape(inverse, across, by_length, known, unexplained, spread, size, fits)


def student(at: Floats, freedom: int) -> Floats:
    """Return the probability that Student's t of so many degrees lies below.

    The finite sums for whole degrees (Abramowitz and Stegun 26.7.3 and 26.7.4).
    """
    angle = np.arctan(at / sqrt(freedom))
    cosine_2 = np.cos(angle) ** 2
    if freedom % 2:
        term = np.cos(angle)
        total = term.copy() if freedom > 1 else np.zeros_like(term)
        for number in range(3, freedom - 1, 2):
            term = term * cosine_2 * ((number - 1) / number)
            total += term
        inside = 2 / pi * (angle + np.sin(angle) * total)
    else:
        term = np.ones_like(angle)
        total = term.copy()
        for number in range(2, freedom - 1, 2):
            term = term * cosine_2 * ((number - 1) / number)
            total += term
        inside = np.sin(angle) * total
    found: Floats = 0.5 + 0.5 * inside
    return found


@lru_cache(maxsize=1)
def _grid() -> tuple[Floats, Floats]:
    """Return the combinations (carried, level, lasting, drift) and what is thought of them before.

    Without a level it does not matter how long it lasts.
    """
    rows: dict[tuple[float, ...], float] = {}
    for each in product(CARRIED, LEVELS, LASTING_DAYS, DRIFTS):
        carried, level, lasting, drift = (amount for amount, _ in each)
        row = (carried, level, lasting if level else LASTING_DAYS[0][0], drift)
        rows[row] = rows.get(row, 0.0) + prod(share for _, share in each)
    return np.array(list(rows)), np.array(list(rows.values()))


def _weighed(fits: Floats, centre: Floats, scale: Floats, freedom: int) -> Mixture:
    weight = np.exp(fits - fits.max())
    weight /= weight.sum()
    kept = weight > LEAST_WEIGHT
    weight = weight[kept] / weight[kept].sum()
    return Mixture(weight, centre[kept], scale[kept], freedom)


def _covariances(one: tuple[Floats, Floats], other: tuple[Floats, Floats], grid: Floats) -> Floats:
    """Return the covariances of sums over spans, for each combination.

    That of a stationary process is one function of the distance, twice integrated, at the four
    distances between the bounds. Carried over is what differs at a bound and nowhere else.
    """
    carried, level, lasting, drift = grid.T
    begin, end = one[0][:, None], one[1][:, None]
    first, last = other[0][None, :], other[1][None, :]
    distances = np.stack([end - first, begin - first, end - last, begin - last])
    sign = np.array([1.0, -1.0, -1.0, 1.0])
    white = np.einsum("d,dij->ij", sign, np.abs(distances) / 2)
    cut = np.einsum("d,dij->ij", sign, -(distances == 0.0).astype(np.float64))
    lasts = {
        days: np.einsum(
            "d,dij->ij",
            sign,
            days**2 * np.exp(-np.abs(distances) / days) + days * np.abs(distances),
        )
        for days in sorted(set(lasting.tolist()))
    }
    wanders = np.stack([lasts[days] for days in lasting.tolist()])
    drifts = (end**2 - begin**2) / 2 * (last**2 - first**2) / 2
    carried, level, drift = (each[:, None, None] for each in (carried, level, drift))
    found: Floats = white + carried * cut + level * wanders + drift * drifts
    return found
