"""Promises of the reference: a period that was, chosen by rule; shares derived or left unknown."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from core import baseline as baselines
from core.baseline import Origin, Way
from core.facts import HOUR_US
from core.producing import Group, Seen
from tests.core.excessworld import baseline, seen, share

PROCESS, FANS = Group.PROCESS, Group.AUXILIARY


def month(
    output: float, power: float = 27_000, hours: int = 700, mass: float | None = None
) -> Seen:
    return seen(f"{output:.6f}", {PROCESS: share(f"{power * hours:.6f}", hours)}, idle_h=20,
                mass=None if mass is None else f"{mass:.6f}")  # fmt: skip


def placed(months: list[Seen]) -> list[Seen]:
    """Put months one after another."""
    length = [one.span_us[1] for one in months]
    return [
        replace(one, span_us=(sum(length[:place]), sum(length[: place + 1])))
        for place, one in enumerate(months)
    ]


def test_the_best_takes_least_for_an_output_and_the_median_stands_in_the_middle() -> None:
    known = placed([month(output) for output in (2400, 2500, 2300, 2450)])
    best = baselines.choose(known, Way.BEST)
    middle = baselines.choose(known, Way.MEDIAN)
    assert best is not None
    assert middle is not None
    assert best.output == 2500
    assert middle.output == 2450, "of an even number the better of the two"
    assert baselines.choose([], Way.MEDIAN) is None


def test_the_intensity_is_that_of_producing_time_and_idle_burn_has_no_part_in_it() -> None:
    stood = seen(2450, {PROCESS: share(18_900_000, 700)}, idle=10**9, idle_h=20, booked=245_000)
    assert baselines.intensity_of(stood) == Fraction(18_900_000 + 245_000, 2450)
    doubtful = seen(2450, {PROCESS: share(9_450_000, 350, 1, 350)})
    assert baselines.intensity_of(doubtful) == Fraction(18_900_000, 2450)


def test_what_is_incomplete_stood_still_or_lacks_a_meter_is_no_reference() -> None:
    good = month(2450)
    groups = frozenset({PROCESS})
    poor = replace(good, completeness=Fraction(89, 100))
    stood = seen(10, {PROCESS: share(27_000, 1)}, idle_h=700)
    barren = replace(good, output=Fraction(0))
    ungraded = replace(good, mass=Fraction(0))
    assert baselines.fitting([good, poor, stood, barren, ungraded], groups) == [good]
    assert baselines.fitting([good], frozenset({PROCESS, FANS})) == []


def test_rates_and_loads_are_those_of_its_hours_of_work() -> None:
    reference = seen(2450, {PROCESS: share(18_900_000, 700), FANS: share(700_000, 700)}, idle_h=20)
    found = baseline(reference)
    assert found.rate == Fraction(7, 2)
    assert found.power(PROCESS) == 27_000
    assert found.beside == 1_000
    assert found.intensity == 8_000


@pytest.mark.parametrize(("fixed", "response"), [(0.15, 0.4), (0.3, 0.8), (-0.2, 1.0)])
def test_shares_are_found_from_periods_that_differ_enough(fixed: float, response: float) -> None:
    draw = np.random.default_rng(5)
    months = []
    for _ in range(12):
        power, grade = draw.uniform(0.85, 1.05), draw.uniform(0.95, 1.05)
        needs = response + (1 - response) / grade
        rate = 3.5 * (power - fixed) / (1 - fixed) / needs * (1 + 0.0005 * draw.normal())
        months.append(month(rate * 700, 27_000 * power, mass=rate * 700 / grade))
    found = baselines.derive(placed(months), by_grade=True)
    for one, true in zip(found, (fixed, response), strict=True):
        assert one.origin is Origin.DERIVED
        assert one.value is not None
        assert one.error is not None
        assert abs(float(one.value) - true) < 0.03 + 3 * float(one.error)
        assert one.periods == 12


def test_few_periods_or_all_alike_leave_the_shares_unknown() -> None:
    few = placed([month(2400 + 10 * n, 27_000 + 100 * n) for n in range(7)])
    alike = placed([month(2450) for _ in range(12)])
    draw = np.random.default_rng(6)
    noisy = placed([month(2450 * draw.uniform(0.9, 1.1), 27_000 * draw.uniform(0.99, 1.01))
                    for _ in range(12)])  # fmt: skip
    for months in (few, alike, noisy):
        fixed, grade = baselines.derive(months, by_grade=False)
        assert (fixed.value, fixed.origin) == (None, Origin.UNKNOWN)
        assert grade.value is None


def test_a_unit_that_never_worked_fits_nothing() -> None:
    still = seen(1, {PROCESS: share(0, 0)}, idle=100, idle_h=700)
    assert baselines.fitting([still], frozenset({PROCESS})) == []
    assert still.span_us[1] == 700 * HOUR_US
