"""Register against power, frozen gauges, wrong factors, physical bounds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import indicators
from core.errors import Misconfigured
from core.meterchecks import bounds, factors, frozen, power
from core.meterchecks.bounds import DayFigure

DAYS = 30
HOUR_US = 3_600_000_000


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a register and the integral of the power of one load, each within its class."""
    random = np.random.default_rng(seed)
    load = 1_000 * (1 + 0.3 * random.random(DAYS * 24))
    register = np.floor(np.cumsum(load * (1 + random.normal(0, 0.002))))
    return np.diff(register, prepend=0.0), load * (1 + random.normal(0, 0.003, len(load)))


@pytest.mark.parametrize("seed", range(20))
def test_a_register_and_its_power_agree_within_their_classes(seed: int) -> None:
    register, meant = pair(seed)
    assert power.compare(register, meant, (0.0035, 0.005), 1.0) is None


@pytest.mark.parametrize("factor", [1.02, 0.98, 1.25, 10.0, 0.001])
def test_a_register_that_departs_from_its_power_is_dated(factor: float) -> None:
    register, meant = pair(3)
    register[18 * 24 :] *= factor
    found = power.compare(register, meant, (0.0035, 0.005), 1.0)
    assert found is not None
    assert found.before is not None
    assert abs(found.since_day - 18) <= 1
    assert found.ratio / found.before == pytest.approx(factor, rel=0.002)


def test_a_wrong_factor_from_the_start_on_is_told_without_a_day() -> None:
    register, meant = pair(4)
    found = power.compare(register * 1.5, meant, (0.0035, 0.005), 1.0)
    assert found is not None
    assert found.before is None
    assert found.ratio == pytest.approx(1.5, rel=0.01)


def test_hours_that_one_of_them_does_not_know_say_nothing() -> None:
    register, meant = pair(5)
    register[::2] = np.nan
    meant[1::2] = np.nan
    assert power.compare(register * 5, meant, (0.0035, 0.005), 1.0) is None


def gauge(seed: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    ts = np.arange(7 * 1_440, dtype=np.int64) * 60_000_000
    return ts, np.round(400 + np.cumsum(random.normal(0, 0.3, len(ts))) / 20, 3) // step * step


@pytest.mark.parametrize("step", [0.001, 0.1, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_living_gauge_is_never_frozen_however_coarse_it_is(seed: int, step: float) -> None:
    assert frozen.stretches(*gauge(seed, step)) == []


def test_a_gauge_that_repeats_one_value_is_frozen_and_dated() -> None:
    ts, values = gauge(1, 0.01)
    values[5_000:5_300] = values[5_000]
    values[[4_999, 5_300]] = values[5_000] + 1
    found = frozen.stretches(ts, values)
    assert [(one.since_us, one.until_us) for one in found] == [(int(ts[5_000]), int(ts[5_299]))]
    assert found[0].value == values[5_000]


def test_a_gauge_at_zero_is_a_load_that_is_off() -> None:
    ts, values = gauge(1, 0.01)
    values[5_000:6_000] = 0.0
    assert frozen.stretches(ts, values) == []


@pytest.mark.parametrize(
    ("factor", "cause"),
    [
        (1000.0, factors.UNIT),
        (0.0998, factors.DIGIT),
        (5.02, factors.SECONDARY),
        (0.667, factors.PHASE),
        (1.25, factors.CURRENT_TRANSFORMER),
        (1.7321, factors.VOLTAGE),
    ],
)
def test_a_factor_is_explained_by_what_gives_it(factor: float, cause: str) -> None:
    assert factors.explain(factor)[0].cause == cause


@given(st.floats(0.93, 1.07))
def test_a_small_error_is_no_factor(factor: float) -> None:
    assert factors.explain(factor) == ()


@given(st.sampled_from(factors.known()))
def test_every_explanation_explains_itself(one: factors.Explanation) -> None:
    if not 0.93 < one.factor < 1.08:
        assert one.factor in {each.factor for each in factors.explain(one.factor)}


def test_every_bound_holds_the_magnitudes_that_its_source_gives() -> None:
    known = bounds.catalogue()
    assert {known[name].unit for name in known} <= {"kWh/t", "kWh/kg", "kgce/t"}
    for name, lowest, highest in (
        ("al.liquid.ac", 12_400, 13_400),
        ("fesi.smelting", 8_000, 8_600),
        ("hcfecr.smelting", 3_100, 3_700),
        ("cac2.furnace", 3_000, 3_300),
        ("clinker.coal", 102, 107),
        ("clinker.electricity", 55, 60),
    ):
        most = known[name].most
        assert most is not None
        assert known[name].least < lowest < highest < most
    assert set(known) <= set(indicators.catalogue())


@pytest.mark.parametrize("factor", [Fraction(10), Fraction(1000), Fraction(1, 10)])
@pytest.mark.parametrize(
    ("name", "usual"),
    [("al.liquid.ac", 12_900), ("fesi.smelting", 8_300), ("hcfecr.smelting", 3_300)],
)
def test_a_digit_leaves_the_bounds(name: str, usual: int, factor: Fraction) -> None:
    for each in (factor, 1 / factor):
        days = [DayFigure(day, each * usual * 100, Fraction(100)) for day in range(10)]
        found = bounds.outside(bounds.catalogue()[name], days)
        assert found is not None
        assert (found.factor < 1) is (each < 1)
    right = [DayFigure(day, Fraction(usual * 100), Fraction(100)) for day in range(10)]
    assert bounds.outside(bounds.catalogue()[name], right) is None


def test_a_week_needs_five_known_days() -> None:
    bound = bounds.catalogue()["fesi.smelting"]
    known = DayFigure(0, Fraction(1), Fraction(100))
    unknown = DayFigure(0, None, Fraction(100))
    assert bounds.outside(bound, [known, unknown] * 6) is None
    assert bounds.outside(bound, [known] * 7) is not None


def test_a_shift_of_weekly_figures_is_dated_and_noise_is_not() -> None:
    random = np.random.default_rng(2)
    usual = [Fraction(round(8_300 * 80 * (1 + random.normal(0, 0.03)))) for _ in range(56)]
    calm = [DayFigure(day, energy, Fraction(80)) for day, energy in enumerate(usual)]
    assert bounds.shift(calm) is None
    moved = [
        DayFigure(
            one.start_us, one.energy * 5 / 4 if one.start_us >= 28 else one.energy, one.output
        )
        for one in calm
        if one.energy is not None
    ]
    found = bounds.shift(moved)
    assert found is not None
    assert found[0] == 28
    assert found[1] == pytest.approx(1.25, rel=0.03)


def test_a_file_of_bounds_tells_all_its_mistakes() -> None:
    text = """
[bound."al.liquid.ac"]
least = "11200"
unit = "kWh"
basis = "physics"
source = "Faraday"
clause = "6.2"
[bound."no.such"]
least = "1"
unit = "kWh/t"
basis = "physics"
source = "none"
clause = "1"
"""
    with pytest.raises(Misconfigured) as error:
        bounds.parse(text, "b.toml")
    assert [one.where for one in error.value.problems] == [
        "b.toml:4: bound.al.liquid.ac.unit",
        "b.toml:8: bound.no.such",
    ]
