"""The sums by days say what the covariance of all rows at once says, without its shortcuts."""

from __future__ import annotations

import numpy as np
import pytest

from core.meterchecks import evidence
from core.meterchecks.evidence import Balance, Change, Data, Noise, Sums

DAYS, HOURS, COLUMNS = 10, 4, 5


def made(seed: int) -> Data:
    random = np.random.default_rng(seed)
    day = np.repeat(np.arange(DAYS), HOURS)
    rows = len(day)
    balances = []
    for places in ([0, 1, 2, 3], [1, 2, 4]):
        columns = random.normal(1, 0.5, (rows, len(places)))
        left = columns @ random.normal(0, 0.1, len(places)) + random.normal(0, 0.05, rows)
        balances.append(Balance(day, left, columns, np.array(places), 0.001))
    return Data(tuple(balances), DAYS, random.uniform(0.05, 0.3, COLUMNS), changing=5)


def dense(data: Data, noise: Noise, change: Change, width: float) -> float:
    """Return the log likelihood ratio of a change of this prior width, by the whole covariance."""
    left = np.concatenate([one.left for one in data.balances])
    steady = np.zeros((len(left), COLUMNS))
    course = np.zeros(len(left))
    at = 0
    variance = np.empty(len(left))
    weeks = np.zeros((len(left), len(left)))
    for node, (one, each) in enumerate(zip(data.balances, noise.variance.tolist(), strict=True)):
        rows = slice(at, at + len(one.left))
        if noise.weekly[node]:
            level = one.columns[:, int(np.flatnonzero(one.places == 3 + node)[0])]
            wide = noise.weekly[node] / level.mean()
            together = one.day[:, None] // 7 == one.day // 7
            weeks[rows, rows] = wide**2 * np.outer(level, level) * together
        steady[rows][:, one.places] = one.columns
        variance[rows] = each
        if change.column in one.places:
            where = int(np.flatnonzero(one.places == change.column)[0])
            course[rows] = one.columns[:, where] * change.weights[one.day]
        at += len(one.left)
    null = np.diag(variance) + weeks + steady @ np.diag(data.width**2) @ steady.T
    other = null + width**2 * np.outer(course, course)

    def density(covariance: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
        sign, size = np.linalg.slogdet(covariance)
        assert sign > 0
        return float(-0.5 * (left @ np.linalg.solve(covariance, left) + size))

    return density(other) - density(null)


@pytest.mark.parametrize("seed", range(5))
def test_evidence_is_the_likelihood_ratio_of_the_whole_covariance(seed: int) -> None:
    data = made(seed)
    noise = Noise(np.array([0.003, 0.002]), np.array([0.04, 0.0]))
    weights = np.clip((np.arange(DAYS) - 2) / 3, 0, 1)
    scan = Sums(data).fit(noise, []).scan(weights[None, :])
    for column in range(data.changing):
        told = [
            dense(data, noise, Change(column, weights), width) for width in evidence.ERROR_WIDTHS
        ]
        expected = np.logaddexp.reduce(told) - np.log(len(told))
        assert scan.evidence[0, column] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_known_change_is_taken_out_before_another_is_asked_for() -> None:
    data = made(7)
    noise = Noise(np.array([0.003, 0.002]), np.zeros(2))
    change = Change(1, (np.arange(DAYS) >= 3).astype(np.float64))
    fit = Sums(data).fit(noise, [change])
    asked = fit.scan(change.weights[None, :])
    assert asked.evidence[0, 1] < 0  # nothing of it is left to be found again
    left = fit.residuals(data)
    assert sum(float(one @ one) for one in left) < sum(
        float(one @ one) for one in Sums(data).fit(noise, []).residuals(data)
    )


def test_what_is_left_over_is_white_once_its_memory_is_taken() -> None:
    random = np.random.default_rng(3)
    left = np.empty(4_000)
    value = 0.0
    for place, step in enumerate(random.normal(0, 1, len(left))):
        value = 0.9 * value + step
        left[place] = value
    day = np.arange(len(left)) // 24
    plain = Balance(day, left, np.ones((len(left), 1)), np.array([0]), 0.001)
    white = plain.whitened(evidence.memory_of(left)).left
    again = float((white[1:] * white[:-1]).mean() / (white * white).mean())
    assert abs(again) < 0.12  # of 0.9: a memory is learned a little too short, never too long
    assert float(white.var()) == pytest.approx(1.0, rel=0.1)


def test_unknown_rows_and_those_behind_them_are_left_out() -> None:
    left = np.arange(10.0)
    left[4] = np.nan
    plain = Balance(np.zeros(10, np.int64), left, np.ones((10, 1)), np.array([0]), 0.001)
    assert plain.whitened(np.array([0.5, 0.2])).left.tolist() == pytest.approx(
        [left[row] - 0.5 * left[row - 1] - 0.2 * left[row - 2] for row in (2, 3, 7, 8, 9)]
    )


def test_what_lies_elsewhere_each_week_is_told_apart_from_the_noise_of_hours() -> None:
    random = np.random.default_rng(11)
    days, rows = 140, 140 * 24
    day = np.arange(rows) // 24
    level = random.normal(0, 0.5, days // 7)[day // 7]
    left = level + random.normal(0, 1, rows)
    columns = np.column_stack([random.normal(0, 1, rows), np.ones(rows)])
    balance = Balance(day, left, columns, np.array([0, 1]), 0.001)
    data = Data((balance,), days, np.array([0.1, 0.1]), changing=2)
    sums = Sums(data)
    noise = evidence.noise_of(sums, evidence.first_noise(data), [])
    assert float(noise.weekly[0]) == pytest.approx(0.5, rel=0.4)
    course = (np.arange(days) >= days // 2).astype(np.float64)
    moving, level_of = sums.fit(noise, []).apart(course)[0]
    plain = sums.fit(Noise(noise.variance, np.zeros(1)), []).apart(course)[0]
    assert moving > 0.8 * plain[0]  # a load that moves is asked as well as before
    assert level_of < 0.3 * plain[1]  # a level is not
