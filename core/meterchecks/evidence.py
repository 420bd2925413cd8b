"""Least squares over balances, by days: how well an error of one meter explains what does not fit.

The balances of a network leave r = A y. With y = x + err, A x is what nobody meters and losses,
and err_j = share x y_j: so r is linear in the meters' own readings, and because loads move apart,
hours tell meters apart that share one balance. Constant errors, losses, what is not metered and its
rhythm of the day are unknowns with a prior width; what is left over remembers itself for some
hours and is whitened (generalised least squares). An error that begins on a day is one column
more; its likelihood ratio is the classical test for a gross error. Noise that two balances share
through the meter between them is taken for independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.exactmath import Floats, Int64s

# How large an error of a meter may be, as a share of what it shows: a drift, a wrong ratio of
# transformers, a register that lost a digit. One is as likely as the others.
ERROR_WIDTHS: Final = (0.03, 0.5, 10.0)
# Below this share of a main meter nothing is told apart, whatever the data look like.
LEAST_NOISE: Final = 0.0002
FREE: Final = 1e3  # prior width of an error that has been named already
WEEK_DAYS: Final = 7  # over which what is left over may hang together, beside days
ORDER: Final = 12  # so many intervals back what nobody meters is remembered
LEAST_FOR_MEMORY: Final = 200  # pairs of intervals, to learn how it is remembered
MOST_MEMORY: Final = 0.98


@dataclass(frozen=True, slots=True)
class Balance:
    """Intervals of one node, in order of time; NaN where not every meter of it is known.

    `left` [row] is what the sub-meters do not show; `columns` [row, column] are those of `places`
    that enter it, with their signs; `floor` is the least noise; `day` [row] counts from the first.
    """

    day: Int64s
    left: Floats
    columns: Floats
    places: Int64s
    floor: float

    def whitened(self, memory: Floats) -> Balance:
        """Return the known intervals, each less what those before it let expect."""
        left, columns = self.left.copy(), self.columns.copy()
        for lag, share in enumerate(memory.tolist(), start=1):
            left[lag:] -= share * self.left[:-lag]
            columns[lag:] -= share * self.columns[:-lag]
        left[: len(memory)] = np.nan
        kept = np.isfinite(left) & np.isfinite(columns).all(axis=1)
        return Balance(self.day[kept], left[kept], columns[kept], self.places, self.floor)

    def without(self, days: Sequence[int]) -> Balance:
        """Return the balance with these days unknown."""
        left = np.where(np.isin(self.day, days), np.nan, self.left)
        return Balance(self.day, left, self.columns, self.places, self.floor)


@dataclass(frozen=True, slots=True)
class Data:
    """The balances of a network; of the columns the first `changing` may have begun to err.

    `width` [column] is how large each may constantly be; days that hold nothing are days too.
    """

    balances: tuple[Balance, ...]
    days: int
    width: Floats
    changing: int

    def whitened(self, memories: Sequence[Floats]) -> Data:
        """Return all balances whitened, each by its own memory."""
        pairs = zip(self.balances, memories, strict=True)
        balances = tuple(balance.whitened(memory) for balance, memory in pairs)
        return Data(balances, self.days, self.width, self.changing)

    def without(self, days: Sequence[int]) -> Data:
        """Return the data with these days unknown."""
        balances = tuple(one.without(days) for one in self.balances)
        return Data(balances, self.days, self.width, self.changing)


@dataclass(frozen=True, slots=True)
class Change:
    """An error of a column from a day on; `weights` [day] is its share of its last size."""

    column: int
    weights: Floats


@dataclass(frozen=True, slots=True)
class Noise:
    """What is left over in each node: its variance, and how far it lies elsewhere in each week.

    `weekly` [node] is a standard deviation in rows as they are. What hangs together over a week
    hides an error of a load that never moves, and none of one that starts and stops.
    """

    variance: Floats
    weekly: Floats


@dataclass(frozen=True, slots=True)
class Scan:
    """Of every course [course] and column: how large the error is, its deviation, its evidence.

    `evidence` is the natural logarithm of how much better the data are explained with it.
    """

    size: Floats
    deviation: Floats
    evidence: Floats


class Sums:
    """Daily sums of products, from which every question is answered without the rows again."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self._parts = [_by_day(balance, data.days) for balance in data.balances]

    def fit(self, noise: Noise, known: Sequence[Change]) -> Fit:
        """Fit the constant unknowns and the changes that are known, at a noise."""
        count = len(self.data.width)
        gram = np.zeros((self.data.days, count, count))
        seen = np.zeros((self.data.days, count))
        for balance, (own, left), variance in zip(
            self.data.balances, self._parts, noise.variance.tolist(), strict=True
        ):
            gram[:, balance.places[:, None], balance.places] += own / variance
            seen[:, balance.places] += left / variance
        return Fit(self.data, gram, seen, known, self._levels(noise))

    def _levels(self, noise: Noise) -> list[tuple[Change, float]]:
        """Return the level of every week of every node, with how far it may lie elsewhere."""
        found = []
        first = self.data.changing - len(self.data.balances)
        week = np.arange(self.data.days) // WEEK_DAYS
        for node, balance in enumerate(self.data.balances):
            if noise.weekly[node] > 0:
                column = balance.columns[:, int(np.flatnonzero(balance.places == first + node)[0])]
                width = float(noise.weekly[node]) / max(abs(float(column.mean())), 1e-12)
                weeks = [(week == one).astype(np.float64) for one in range(int(week[-1]) + 1)]
                found += [(Change(first + node, weights), width) for weights in weeks]
        return found


def _by_day(balance: Balance, days: int) -> tuple[Floats, Floats]:
    count = len(balance.places)
    own, left = np.zeros((days, count, count)), np.zeros((days, count))
    edges = np.searchsorted(balance.day, np.arange(days + 1))
    for day in range(days):
        rows = slice(edges[day], edges[day + 1])
        columns = balance.columns[rows]
        own[day], left[day] = columns.T @ columns, columns.T @ balance.left[rows]
    return own, left


class Fit:
    """What is known at one level of noise, with the changes named so far and levels of weeks."""

    def __init__(
        self,
        data: Data,
        gram: Floats,
        seen: Floats,
        known: Sequence[Change],
        levels: Sequence[tuple[Change, float]],
    ) -> None:
        self.data, self._gram, self._seen = data, gram, seen
        self._steady = len(data.width)
        self._lasting = self._steady + len(known)
        more = [*((one, FREE) for one in known), *levels]
        changed = np.array([one.column for one, _ in more], np.int64)
        weights = np.array([one.weights for one, _ in more]).reshape(len(more), data.days)
        self._place = np.concatenate([np.arange(self._steady), changed])
        self._weights = np.vstack([np.ones((self._steady, data.days)), weights])
        width = np.concatenate([data.width, [wide for _, wide in more]])
        beside = np.einsum("md,dsm->sm", weights, gram[:, :, changed])
        within = np.einsum("md,dmn,nd->mn", weights, gram[:, changed[:, None], changed], weights)
        weighed = np.block([[gram.sum(axis=0), beside], [beside.T, within]])
        self._spread = np.linalg.inv(np.diag(width**-2.0) + weighed)
        self._seen_all = np.einsum("pd,dp->p", self._weights, seen[:, self._place])
        self.sizes: Floats = self._spread @ self._seen_all

    def residuals(self, data: Data) -> list[Floats]:
        """Return what is left over in each balance [row] of these data: levels of weeks too."""
        by_day = np.zeros((data.days, self._steady))
        lasting = slice(self._lasting)
        held = self.sizes[lasting, None] * self._weights[lasting]
        np.add.at(by_day.T, self._place[lasting], held)
        return [
            one.left - np.einsum("rc,rc->r", one.columns, by_day[one.day][:, one.places])
            for one in data.balances
        ]

    def scan(self, courses: Floats) -> Scan:
        """Ask of every course [course, day] and every column that may change."""
        seen, own, _ = self._asked(courses)
        return Scan(seen / own, own**-0.5, _evidence(seen, own))

    def apart(self, course: Floats) -> tuple[Floats, Floats]:
        """Return the information on each column's error, alone and beside the most alike one."""
        _, own, across = self._asked(course[None, :])
        count = self.data.changing
        square = np.einsum("d,djk->jk", course**2, self._gram[:, :count, :count])
        mixed = square - (across[0] @ self._spread) @ across[0].T
        alike = mixed**2 / (own[0][:, None] * own[0][None, :])
        np.fill_diagonal(alike, 0.0)
        return own[0], own[0] * np.maximum(1.0 - alike.max(axis=1, initial=0.0), 1e-12)

    def _asked(self, courses: Floats) -> tuple[Floats, Floats, Floats]:
        """Return what speaks for each candidate and the information on it, unknowns allowed for."""
        count, days = self.data.changing, self.data.days
        gram = np.ascontiguousarray(self._gram[:, :count])
        across = np.zeros((len(courses), count, len(self._place)))
        flat = courses @ gram.reshape(days, -1)
        across[:, :, : self._steady] = flat.reshape(len(courses), count, self._steady)
        for place in range(self._steady, len(self._place)):
            weights = courses * self._weights[place]
            across[:, :, place] = weights @ gram[:, :, self._place[place]]
        solved = across @ self._spread
        diagonal = np.einsum("djj->dj", gram[:, :, :count])
        own = courses**2 @ diagonal - np.einsum("cjp,cjp->cj", solved, across)
        seen = courses @ self._seen[:, :count] - solved @ self._seen_all
        return seen, np.maximum(own, 1e-12), across


def noise_of(sums: Sums, noise: Noise, known: Sequence[Change]) -> Noise:
    """Return what is left over in each node: its variance, and what hangs together over weeks.

    It is learned with no levels of weeks beside: these would take what a known change explains.
    """
    fit = sums.fit(Noise(noise.variance, np.zeros(len(noise.weekly))), known)
    left = fit.residuals(fit.data)
    both = [_apart(*one) for one in zip(fit.data.balances, left, strict=True)]
    return Noise(*np.array(both).T)


def first_noise(data: Data) -> Noise:
    """Return the variance of what the sub-meters do not show, to begin with."""
    variance = np.array([float(one.left.var()) + one.floor**2 for one in data.balances])
    return Noise(variance, np.zeros(len(variance)))


def _apart(balance: Balance, left: Floats) -> tuple[float, float]:
    """Return the variance within weeks, widened for days, and the deviation of weeks."""
    plain = float(left @ left) / len(left)
    spread, _ = _of_blocks(balance.day, left)
    over, rows = _of_blocks(balance.day // WEEK_DAYS, left)
    variance = max(plain, spread)
    return variance + balance.floor**2, (max(over - variance, 0.0) / rows) ** 0.5


def _of_blocks(block: Int64s, left: Floats) -> tuple[float, float]:
    """Return the variance of rows as sums over blocks have it, and the mean rows of a block."""
    sums, held = np.bincount(block, left), np.bincount(block)
    kept = held > 0
    return float((sums[kept] ** 2 / held[kept]).mean()), float(held[kept].mean())


def memory_of(left: Floats) -> Floats:
    """Return how what is left over [row] remembers what was before (Yule and Walker)."""
    lags = np.empty(ORDER + 1)
    for lag in range(ORDER + 1):
        products = left[lag:] * left[: len(left) - lag]
        pairs = products[np.isfinite(products)]
        if len(pairs) < LEAST_FOR_MEMORY:
            return np.zeros(0)
        lags[lag] = pairs.mean()
    if lags[0] <= 0:
        return np.zeros(0)
    lags[1:] *= MOST_MEMORY  # keeps the equations well posed
    table = lags[np.abs(np.subtract.outer(np.arange(ORDER), np.arange(ORDER)))]
    return np.asarray(np.linalg.solve(table, lags[1:]))


def _evidence(seen: Floats, own: Floats) -> Floats:
    """Return the log of the likelihood ratio, averaged over how large an error may be."""
    parts = []
    for width in ERROR_WIDTHS:
        more = width**2
        parts.append(0.5 * (seen**2 * more / (1 + own * more) - np.log1p(own * more)))
    return np.asarray(np.logaddexp.reduce(parts) - np.log(len(ERROR_WIDTHS)))
