"""A potline: textbook physics, exact energy, magnitudes of a real line."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import electrolysis, potline
from simulators.machine import PER_UNIT_US, WEIGHER_ERROR, Holder
from simulators.minutes import BEGIN_US, CHUNK_MINUTES, HOUR_US, MINUTE_US
from simulators.potline import TAP_EVERY_HOURS, Potline, PotlineDesign, Signal

if TYPE_CHECKING:
    from simulators.machine import Output

YEAR_US = 365 * 24 * HOUR_US
LINE = Potline(7, PotlineDesign())
timeless = settings(deadline=None, max_examples=50)
instants = st.integers(BEGIN_US, BEGIN_US + 2 * YEAR_US)
HELD = st.integers(Potline.HOLDS_FROM_US, BEGIN_US + 2 * YEAR_US)
HALF_KG_T = 0.0005


def energy_wus(line: Potline, at_us: int) -> int:
    return line.counted(Signal.ENERGY, at_us)


@pytest.mark.parametrize(
    ("volts", "current_efficiency", "dc", "ac"),
    [(3.95, 0.94, 12_521, 12_777), (3.90, 0.94, 12_363, 12_615), (4.05, 0.92, 13_117, 13_385)],
)
def test_electricity_per_tonne_is_what_the_textbook_says(
    volts: float, current_efficiency: float, dc: int, ac: int
) -> None:
    assert round(electrolysis.dc_kwh_per_t(volts, current_efficiency)) == dc
    assert round(electrolysis.ac_kwh_per_t(volts, current_efficiency, 0.98)) == ac


def test_the_target_of_12750_needs_3_942_volts() -> None:
    assert electrolysis.mean_voltage_v(12_750, 0.94, 0.98) == pytest.approx(3.942, abs=5e-4)
    assert electrolysis.mean_voltage_v(12_750, 0.92, 0.98) == pytest.approx(3.858, abs=5e-4)


@pytest.mark.parametrize(("current_ka", "tonnes"), [(400.0, 3.03), (500.0, 3.79)])
def test_a_pot_makes_three_to_four_tonnes_a_day(current_ka: float, tonnes: float) -> None:
    assert electrolysis.metal_t(current_ka, 24, 1, 0.94) == pytest.approx(tonnes, abs=0.005)


@timeless
@given(instants, instants)
def test_energy_never_falls(one: int, other: int) -> None:
    early, late = sorted((one, other))
    assert energy_wus(LINE, early) <= energy_wus(LINE, late)
    assert LINE.counted(Signal.AUXILIARY, early) <= LINE.counted(Signal.AUXILIARY, late)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(BEGIN_US, BEGIN_US + 60 * 24 * HOUR_US), min_size=1, max_size=12),
    st.integers(0, 1000),
)
def test_answers_do_not_depend_on_the_order_of_questions(asked: list[int], seed: int) -> None:
    forward, backward = Potline(seed, LINE.design), Potline(seed, LINE.design)
    there = {at: (energy_wus(forward, at), forward.line_current_ka(at)) for at in asked}
    back = {at: (energy_wus(backward, at), backward.line_current_ka(at)) for at in reversed(asked)}
    assert there == back


@timeless
@given(instants, st.integers(0, 10 * HOUR_US))
def test_energy_is_the_integral_of_power(at_us: int, length_us: int) -> None:
    until_us = at_us + length_us
    step = [at_us, *range(at_us - at_us % MINUTE_US + MINUTE_US, until_us, MINUTE_US), until_us]
    by_hand = sum(
        round(LINE.power_kw(begin) * 1000) * (end - begin)
        for begin, end in pairwise(step)
        if end > begin
    )
    assert energy_wus(LINE, until_us) - energy_wus(LINE, at_us) == by_hand


def test_energy_joins_where_the_table_is_cut() -> None:
    cut_us = BEGIN_US + 3 * CHUNK_MINUTES * MINUTE_US
    before, at, after = (energy_wus(LINE, cut_us + step) for step in (-1, 0, 1))
    assert at - before == round(LINE.power_kw(cut_us - 1) * 1000)
    assert after - at == round(LINE.power_kw(cut_us) * 1000)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([12_430.0, 13_190.0]), st.integers(40, 600))
def test_a_month_meets_the_chosen_electricity_per_tonne(seed: int, chosen: float, day: int) -> None:
    line = Potline(seed, PotlineDesign(ac_kwh_per_t=chosen))
    begin = BEGIN_US + day * 24 * HOUR_US
    end = begin + 30 * 24 * HOUR_US
    energy_kwh = (energy_wus(line, end) - energy_wus(line, begin)) / PER_UNIT_US
    tapped_t = float(sum(tapping.mass_t for tapping in line.outputs(begin, end)))
    assert energy_kwh / tapped_t == pytest.approx(chosen, rel=0.005)


def test_magnitudes_are_those_of_a_real_line() -> None:
    at = [BEGIN_US + minute * MINUTE_US for minute in range(0, 14 * 24 * 60, 7)]
    currents = [LINE.line_current_ka(instant) for instant in at]
    pot_volts = [LINE.line_voltage_v(instant) / LINE.design.pots for instant in at]
    assert all(396.0 <= current <= 404.0 for current in currents)
    assert min(pot_volts) > 3.75
    assert sum(pot_volts) / len(pot_volts) == pytest.approx(3.843, abs=0.03)


def test_anode_effects_come_as_often_as_designed() -> None:
    quiet = Potline(7, PotlineDesign(anode_effects_per_pot_day=0.0))
    raised = [
        LINE.power_kw(at) - quiet.power_kw(at) > 1_000
        for at in range(BEGIN_US, BEGIN_US + 8 * 24 * HOUR_US, MINUTE_US)
    ]
    starts = sum(now and not before for before, now in pairwise(raised))
    designed = 8 * LINE.design.pots * LINE.design.anode_effects_per_pot_day
    assert starts == pytest.approx(designed, rel=0.25)


def test_each_pot_is_tapped_once_in_24_to_48_hours() -> None:
    begin = BEGIN_US + 1_000 * HOUR_US
    tappings = LINE.outputs(begin, begin + 10 * 24 * HOUR_US)
    assert 24 <= TAP_EVERY_HOURS <= 48
    assert len(tappings) == pytest.approx(240, abs=1)
    assert [t.at_us for t in tappings] == sorted(t.at_us for t in tappings)
    assert all(33 < tapping.mass_t < 39 for tapping in tappings)


@timeless
@given(instants, st.integers(0, 5 * HOUR_US), st.integers(0, 5 * HOUR_US))
def test_tappings_of_parts_are_the_tappings_of_the_whole(
    begin: int, first_us: int, second_us: int
) -> None:
    middle, end = begin + first_us, begin + first_us + second_us
    parts = [*LINE.outputs(begin, middle), *LINE.outputs(middle, end)]
    assert parts == LINE.outputs(begin, end)


def tapped_and_kept(begin: int, end: int) -> tuple[float, list[Output]]:
    """Return what was tapped and by how much the metal in the pots grew [t], and the tappings."""
    tappings = LINE.outputs(begin, end)
    grown = LINE.held_t(end) - LINE.held_t(begin)
    return float(sum(tapping.mass_t for tapping in tappings) + grown), tappings


@timeless
@given(HELD, st.integers(0, 60 * HOUR_US))
def test_what_is_tapped_and_what_stays_is_what_is_made(begin: int, length_us: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(potline, "WEIGHER_ERROR", 0.0)
        found, tappings = tapped_and_kept(begin, begin + length_us)
    written = (len(tappings) + 2) * HALF_KG_T
    made = LINE.produced_t(begin, begin + length_us)
    assert found == pytest.approx(made, abs=written + 1e-6)


@timeless
@given(HELD, st.integers(0, 40 * 24 * HOUR_US))
def test_a_weigher_s_error_is_all_that_books_and_metal_differ_by(
    begin: int, length_us: int
) -> None:
    found, tappings = tapped_and_kept(begin, begin + length_us)
    room = sum(float(each.mass_t) * WEIGHER_ERROR / (1 - WEIGHER_ERROR) for each in tappings)
    written = (len(tappings) + 2) * HALF_KG_T
    made = LINE.produced_t(begin, begin + length_us)
    assert found == pytest.approx(made, abs=room + written + 1e-6)


def test_a_tapping_at_the_instant_of_a_stock_taking_comes_after_it() -> None:
    begin = BEGIN_US + 1_000 * HOUR_US
    (tapping,) = LINE.outputs(begin, begin + HOUR_US)
    before, after = LINE.held_t(tapping.at_us), LINE.held_t(tapping.at_us + 1)
    assert float(before - after) == pytest.approx(float(tapping.mass_t), rel=WEIGHER_ERROR * 1.1)


@timeless
@given(HELD)
def test_pots_hold_some_35_tonnes(at_us: int) -> None:
    assert isinstance(LINE, Holder)
    assert 34.5 < float(LINE.held_t(at_us)) / LINE.design.pots < 36


def test_an_instant_before_the_process_is_refused() -> None:
    with pytest.raises(ValueError, match="2025-01-01"):
        energy_wus(LINE, BEGIN_US - 1)
