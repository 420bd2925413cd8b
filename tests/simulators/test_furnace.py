"""A submerged-arc furnace: exact amounts, magnitudes of real ones, taps that add up."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.furnace import Furnace, FurnaceDesign, Signal
from simulators.machine import PER_UNIT_US
from simulators.minutes import BEGIN_US, HOUR_US, MINUTE_US

DAY_US = 24 * HOUR_US
MONTH_US = 30 * DAY_US
FERROSILICON = FurnaceDesign()
FERROCHROME = FurnaceDesign(
    element="Cr",
    reference_grade=0.50,
    grade=0.575,
    power_kw=30_000.0,
    smelting_kwh_per_t=3_240.0,
    reductant_kg_per_t=400.0,
    paste_kg_per_t=18.0,
    tap_every_minutes=180,
)
DESIGNS = {"FeSi": FERROSILICON, "FeCr": FERROCHROME}
FURNACE = Furnace(7, FERROSILICON)
timeless = settings(deadline=None, max_examples=30)
instants = st.integers(BEGIN_US, BEGIN_US + 600 * DAY_US)


def base_t(furnace: Furnace, begin: int, end: int) -> float:
    """Return tapped base tonnes as the rule has it: mass x grade / reference grade."""
    design = furnace.design
    return sum(
        float(tap.mass_t) * float(tap.grades[design.element]) / design.reference_grade
        for tap in furnace.outputs(begin, end)
    )


def amount(furnace: Furnace, signal: Signal, begin: int, end: int) -> float:
    return (furnace.counted(signal, end) - furnace.counted(signal, begin)) / PER_UNIT_US


@pytest.mark.parametrize("name", DESIGNS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), day=st.integers(5, 400))
def test_a_month_meets_the_chosen_figures_per_base_tonne(name: str, seed: int, day: int) -> None:
    design = DESIGNS[name]
    furnace = Furnace(seed, design)
    begin = BEGIN_US + day * DAY_US
    end = begin + MONTH_US
    tapped_t = base_t(furnace, begin, end)
    chosen = {
        Signal.ENERGY: design.smelting_kwh_per_t,
        Signal.REDUCTANT: design.reductant_kg_per_t,
        Signal.ELECTRODE_PASTE: design.paste_kg_per_t,
    }
    # The month's ends fall between two taps: half a tap of 230 or more is 0.2 %, and a paste
    # batch of four hours is as much again.
    allowed = {Signal.ENERGY: 0.005, Signal.REDUCTANT: 0.005, Signal.ELECTRODE_PASTE: 0.01}
    for signal, figure in chosen.items():
        found = amount(furnace, signal, begin, end) / tapped_t
        assert found == pytest.approx(figure, rel=allowed[signal])


@timeless
@given(instants, instants, st.sampled_from(sorted(Furnace.COUNTED)))
def test_what_is_counted_never_falls(one: int, other: int, signal: str) -> None:
    early, late = sorted((one, other))
    assert FURNACE.counted(signal, early) <= FURNACE.counted(signal, late)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(BEGIN_US, BEGIN_US + 60 * DAY_US), min_size=1, max_size=8),
    st.integers(0, 1000),
)
def test_answers_do_not_depend_on_the_order_of_questions(asked: list[int], seed: int) -> None:
    def answers(furnace: Furnace, at: int) -> list[float]:
        return [
            *(furnace.counted(signal, at) for signal in Furnace.COUNTED),
            furnace.shown(Signal.ELECTRODE_CURRENT, at),
            furnace.shown(Signal.ELECTRODE_VOLTAGE, at),
            *(float(tap.mass_t) for tap in furnace.outputs(at, at + 3 * HOUR_US)),
        ]

    forward, backward = Furnace(seed, FERROCHROME), Furnace(seed, FERROCHROME)
    there = {at: answers(forward, at) for at in asked}
    assert there == {at: answers(backward, at) for at in reversed(asked)}


@timeless
@given(instants, st.integers(0, 3 * HOUR_US))
def test_energy_is_the_integral_of_power(at_us: int, length_us: int) -> None:
    until_us = at_us + length_us
    step = [at_us, *range(at_us - at_us % MINUTE_US + MINUTE_US, until_us, MINUTE_US), until_us]
    by_hand = sum(
        round(FURNACE.power_kw(begin) * 1000) * (end - begin)
        for begin, end in pairwise(step)
        if end > begin
    )
    found = FURNACE.counted(Signal.ENERGY, until_us) - FURNACE.counted(Signal.ENERGY, at_us)
    assert found == by_hand


@pytest.mark.parametrize(("name", "low_t", "high_t"), [("FeSi", 6.0, 8.0), ("FeCr", 15.0, 35.0)])
def test_taps_come_every_two_to_three_hours_with_the_mass_of_real_ones(
    name: str, low_t: float, high_t: float
) -> None:
    furnace = Furnace(3, DESIGNS[name])
    begin = BEGIN_US + 50 * DAY_US
    taps = furnace.outputs(begin, begin + 60 * DAY_US)
    pauses_h = sorted((late.at_us - early.at_us) / HOUR_US for early, late in pairwise(taps))
    assert [tap.at_us for tap in taps] == sorted(tap.at_us for tap in taps)
    assert pauses_h[0] >= 2
    assert pauses_h[len(pauses_h) * 9 // 10] <= 3.2
    usual = [tap for tap in taps if low_t <= tap.mass_t <= high_t]
    assert len(usual) > 0.95 * len(taps)


def test_a_stoppage_delays_the_tap_and_the_next_one_gives_what_formed_since() -> None:
    furnace = Furnace(5, FurnaceDesign(stoppages_per_day=1.9))
    begin = BEGIN_US + 50 * DAY_US
    taps = furnace.outputs(begin, begin + 30 * DAY_US)
    pauses = [late.at_us - early.at_us for early, late in pairwise(taps)]
    assert max(pauses) > 3 * HOUR_US
    assert min(tap.mass_t for tap in taps) > 1
    made_t = furnace.base_t(taps[0].at_us, taps[-1].at_us)
    tapped_t = base_t(furnace, taps[0].at_us + 1, taps[-1].at_us + 1)
    assert tapped_t == pytest.approx(made_t, rel=0.002)


@pytest.mark.parametrize(("name", "low", "high"), [("FeSi", 0.72, 0.78), ("FeCr", 0.55, 0.60)])
def test_grades_are_mass_fractions_of_the_product(name: str, low: float, high: float) -> None:
    furnace = Furnace(11, DESIGNS[name])
    begin = BEGIN_US + 100 * DAY_US
    grades = [
        float(tap.grades[furnace.design.element])
        for tap in furnace.outputs(begin, begin + 90 * DAY_US)
    ]
    assert low <= min(grades)
    assert max(grades) <= high
    assert max(grades) - min(grades) > 0.02


@timeless
@given(instants, st.integers(0, 9 * HOUR_US), st.integers(0, 9 * HOUR_US))
def test_taps_of_parts_are_the_taps_of_the_whole(begin: int, first_us: int, second_us: int) -> None:
    middle, end = begin + first_us, begin + first_us + second_us
    parts = [*FURNACE.outputs(begin, middle), *FURNACE.outputs(middle, end)]
    assert parts == FURNACE.outputs(begin, end)


def test_electricals_are_those_of_a_33_mva_furnace() -> None:
    at = [BEGIN_US + minute * MINUTE_US for minute in range(0, 14 * 24 * 60, 7)]
    running = [instant for instant in at if FURNACE.power_kw(instant) > 5_000]
    currents = [FURNACE.electrode_current_ka(instant) for instant in running]
    volts = [FURNACE.electrode_voltage_v(instant) for instant in running]
    powers = [FURNACE.power_kw(instant) for instant in running]
    assert 26_000 < sum(powers) / len(powers) < 27_500
    assert max(powers) < 30_000
    assert all(50 < current < 120 for current in currents)
    assert all(150 <= volt <= 250 for volt in volts)


def test_electrodes_slip_as_often_as_designed() -> None:
    quiet = Furnace(7, FurnaceDesign(slips_per_day=0.0))
    slips = [
        FURNACE.power_kw(at) < 0.87 * quiet.power_kw(at)
        for at in range(BEGIN_US, BEGIN_US + 20 * DAY_US, MINUTE_US)
    ]
    starts = sum(now and not before for before, now in pairwise(slips))
    assert starts == pytest.approx(20 * FERROSILICON.slips_per_day, rel=0.2)


def test_reductant_is_weighed_in_batches() -> None:
    begin = BEGIN_US + 30 * DAY_US
    kilograms = [
        amount(FURNACE, Signal.REDUCTANT, at, at + MINUTE_US)
        for at in range(begin, begin + 24 * HOUR_US, MINUTE_US)
    ]
    batches = [mass for mass in kilograms if mass > 0]
    assert 110 <= len(batches) <= 120
    assert all(250 < mass < 550 for mass in batches[1:-1])


def test_an_instant_before_the_process_is_refused() -> None:
    with pytest.raises(ValueError, match="2025-01-01"):
        FURNACE.counted(Signal.ENERGY, BEGIN_US - 1)
