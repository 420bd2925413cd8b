"""What concealed quartiles cost in ranks, and what somebody who knows all plants but one learns.

    danhao bench league --months 1000 --seed 0

Simulated months of fifty aluminium plants. Error of rank: how many places a concealed quartile
stands off the quartile it is of, at the shipped noise budget, with others beside it. Guess: who
knows the budget, the range and all figures but one takes the likeliest figure for the last plant,
in steps of a tenth of the plants' spread; beside it what he guesses without the answers, knowing
only how plants are spread, and what he can guess at most by the budget of all three answers.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from core import benchmarking, benchmarkrules, indicators, quartiles
from core.errors import Misconfigured
from deploy.benches.measured import Measured
from simulators.progress import Bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.exactmath import Floats

NAMES: Final = ("league.rank_error", "league.guessed")
OPTIONS: Final = ("months", "seed")
MONTHS: Final = 1_000
MOST_MONTHS: Final = 100_000
PLANTS: Final = 50
INDICATOR: Final = "al.liquid.ac"
MEAN, SPREAD = 13_100, 200  # kWh/t
STEPS: Final = 10  # of a candidate figure within one spread
REACH: Final = 3  # spreads to either side that are thought of
BUDGETS: Final = (1.0, 2.0, 8.0)  # beside the shipped one
MOST_RANKS: Final = 1.0  # the goal: the quartile's own place or the one beside it
SECRET: Final = b"of the bench, nobody else's"


def measure(months: int | None = None, seed: int | None = None) -> list[Measured]:
    """Rank so many months from a seed on; raises Misconfigured on numbers without sense."""
    count, first = MONTHS if months is None else months, 0 if seed is None else seed
    if not 1 <= count <= MOST_MONTHS or first < 0:
        raise Misconfigured(f"--months takes 1 to {MOST_MONTHS} and --seed a number from 0 on")
    shipped = float(benchmarkrules.shipped().rule.noise_budget)
    bar = Bar("ranking months", count)
    try:
        errors: dict[float, list[float]] = {budget: [] for budget in (shipped, *BUDGETS)}
        hits, blind = 0.0, 0.0
        for place, number in enumerate(range(first, first + count)):
            values = plants(number)
            for budget, found in errors.items():
                found.append(rank_error(values, concealed(values, budget, number)))
            hit, guess = guessed(values, shipped, number)
            hits, blind = hits + hit, blind + guess
            bar.show(place + 1)
    finally:
        bar.close()
    beside = tuple((f"budget {budget:g}", float(np.mean(errors[budget]))) for budget in BUDGETS)
    return [
        Measured(
            "league.rank_error",
            "ranks",
            MOST_RANKS,
            (float(np.mean(errors[shipped])),),
            at_most=True,
            beside=beside,
        ),
        Measured(
            "league.guessed",
            "share",
            None,
            (hits / count,),
            at_most=True,
            beside=(("without answers", blind / count),),
        ),
    ]


def span() -> tuple[Fraction, Fraction]:
    """Return the range in which quartiles are drawn."""
    found = benchmarking.reference_range(indicators.find(INDICATOR))
    assert found is not None, "the indicator has national levels"  # noqa: S101 - a belief
    return found


def plants(number: int) -> list[Fraction]:
    """Return a month's figures of all plants."""
    draw = np.random.default_rng(number)
    steps = SPREAD // STEPS
    return [
        Fraction(round(float(one) / steps) * steps) for one in draw.normal(MEAN, SPREAD, PLANTS)
    ]


def concealed(values: Sequence[Fraction], budget: float, number: int) -> quartiles.Quartiles:
    """Return the quartiles that a plant is shown of a month."""
    return quartiles.conceal(values, budget, span(), SECRET, str(number))


def rank_error(values: Sequence[Fraction], found: quartiles.Quartiles) -> float:
    """Return how many ranks the three stand off on average; 0 between the right neighbours."""
    off = 0.0
    for one, share in zip(
        (found.first, found.median, found.third), quartiles.QUARTERS, strict=True
    ):
        off += abs(sum(value < one for value in values) - float(share) * len(values))
    return off / len(quartiles.QUARTERS)


def guessed(values: Sequence[Fraction], budget: float, number: int) -> tuple[float, float]:
    """Return whether the likeliest figure of the last plant is its own, with and without answers.

    Among equally likely figures the guess is shared out.
    """
    *others, own = values
    found = concealed(values, budget, number)
    grid = [Fraction(one) for one in candidates()]
    spread = np.array([-((float(one) - MEAN) ** 2) / (2 * SPREAD**2) for one in grid])
    told = np.zeros(len(grid))
    for answer, share in zip(
        (found.first, found.median, found.third), quartiles.QUARTERS, strict=True
    ):
        told += [log_density([*others, one], share, budget, float(answer)) for one in grid]
    return _hit(grid, own, spread + told), _hit(grid, own, spread)


def candidates() -> list[int]:
    """Return the figures that the last plant may have."""
    step = SPREAD // STEPS
    return list(range(MEAN - REACH * SPREAD, MEAN + REACH * SPREAD + step, step))


def log_density(values: Sequence[Fraction], share: Fraction, budget: float, at: float) -> float:
    """Return the logarithm of the density of a concealed quantile at a point."""
    found = quartiles.pieces(values, share, budget, span())
    mass = math.fsum(math.exp(one.weight) * (one.end - one.begin) for one in found)
    there = next(one for one in found if one.begin <= at <= one.end)
    return there.weight - math.log(mass)


def _hit(grid: Sequence[Fraction], own: Fraction, scores: Floats) -> float:
    best = np.flatnonzero(scores >= scores.max() - 1e-9)
    return float(own in {grid[one] for one in best.tolist()}) / len(best)
