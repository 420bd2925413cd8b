"""Laws of batches: energy is conserved from tap to tap, and a steady furnace looks steady."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core import batches
from core.batches import Base, Holdup, ProductFact, Survey, Tap
from core.decimals import E6
from core.energycurve import EnergyCurve, MeteredSlots
from core.periods import HOUR_US, MINUTE_US, SLOT_US
from simulators.furnace import Furnace, FurnaceDesign, Signal
from simulators.machine import PER_UNIT_US
from simulators.minutes import BEGIN_US

DAY_US = 24 * HOUR_US
SHIFT_US = 8 * HOUR_US
T0 = 20_000 * DAY_US
TAPPING = ("tapping", "weighing", "correction")
SILICON = Base("Si", Fraction("0.75"))
slot_energies = st.lists(st.integers(0, 10**10), min_size=40, max_size=40)
minutes = st.integers(0, 40 * 15)


def meter(energies_e6: list[int], begin_us: int = T0, hole: int | None = None) -> MeteredSlots:
    size = len(energies_e6)
    known = np.ones(size, np.bool_)
    if hole is not None:
        known[hole] = False
    return MeteredSlots(
        begin_us + np.arange(size) * SLOT_US,
        np.array(energies_e6, np.int64),
        np.zeros(size, np.int64),
        known,
    )


def curve(energies_e6: list[int], hole: int | None = None) -> EnergyCurve:
    end_us = T0 + len(energies_e6) * SLOT_US
    return EnergyCurve.of(T0, end_us, [meter(energies_e6, hole=hole)])


def powered(kw: list[int], hole: int | None = None) -> EnergyCurve:
    return curve([one * E6 // 4 for one in kw], hole)


def tap(at_us: int, tonnes: Fraction | int) -> Tap:
    return Tap(at_us, Fraction(tonnes), Fraction(tonnes))


def metal(found: EnergyCurve, from_us: int, until_us: int, per_t: int) -> Fraction:
    energy = found.between(from_us, until_us)
    assert energy is not None
    return energy / per_t


def weighed(tonnes: Fraction) -> Fraction:
    """Round to whole kilograms, as a scale does."""
    return Fraction(round(tonnes * 1000), 1000)


@given(slot_energies, st.lists(minutes, min_size=2, max_size=12, unique=True), st.integers(1, 9))
def test_energies_of_consecutive_batches_add_up_to_that_from_the_first_tap_to_the_last(
    energies: list[int], instants: list[int], tonnes: int
) -> None:
    found = curve(energies)
    taps = [tap(T0 + one * MINUTE_US, tonnes) for one in sorted(instants)]
    matched = batches.match(found, taps)
    assert sum(one.energy or 0 for one in matched) == found.between(taps[0].at_us, taps[-1].at_us)
    assert [(one.start_us, one.end_us) for one in matched] == [
        (before.at_us, after.at_us) for before, after in pairwise(taps)
    ]


@given(
    slot_energies,
    st.lists(minutes, min_size=2, max_size=12, unique=True),
    st.lists(minutes, min_size=1, max_size=5, unique=True),
    st.lists(st.integers(1, 40), min_size=12, max_size=12),
)
def test_periods_that_follow_one_another_share_all_energy_and_metal_between_them(
    energies: list[int], instants: list[int], cuts: list[int], tonnes: list[int]
) -> None:
    found = curve([one + 1 for one in energies])
    taps = [
        tap(T0 + one * MINUTE_US, mass) for one, mass in zip(sorted(instants), tonnes, strict=False)
    ]
    matched = batches.match(found, taps)
    edges = sorted({T0, *(T0 + one * MINUTE_US for one in cuts), T0 + 40 * SLOT_US})
    parts = [batches.matched(found, matched, *bound) for bound in pairwise(edges)]
    assert sum(one.energy for one in parts) == found.between(taps[0].at_us, taps[-1].at_us)
    assert sum(one.made_t for one in parts) == sum(one.output_t or 0 for one in taps[1:])
    assert sum(one.covered_us for one in parts) == taps[-1].at_us - taps[0].at_us
    assert sum(one.taps for one in parts) == len(matched)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(75, 225), min_size=120, max_size=120),
    st.lists(st.integers(20_000, 28_000), min_size=96, max_size=96),
)
def test_a_steady_furnace_looks_steady_however_it_is_tapped_where_the_clock_swings(
    pauses: list[int], kw: list[int]
) -> None:
    """8,200 kWh/t at any load; ten days, taps each 75 to 225 minutes, weighed to the kilogram."""
    days = 10
    found = powered(kw * days)
    instants = [T0]
    for pause in pauses:
        if instants[-1] + pause * MINUTE_US < T0 + days * DAY_US:
            instants.append(instants[-1] + pause * MINUTE_US)
    taps = [tap(T0, 1)] + [
        tap(after, weighed(metal(found, before, after, 8_200)))
        for before, after in pairwise(instants)
    ]
    matched = batches.match(found, taps)
    assert all(abs(one.intensity - 8_200) < 2 for one in matched if one.intensity is not None)
    assert all(one.intensity is not None for one in matched)
    clock, ours = [], []
    for begin in range(T0, T0 + days * DAY_US - SHIFT_US, SHIFT_US):
        tapped = [one.mass_t for one in taps[1:] if begin <= one.at_us < begin + SHIFT_US]
        energy = found.between(begin, begin + SHIFT_US)
        assert energy is not None
        clock.append(energy / sum(tapped) if tapped else Fraction(10**9))
        shown = batches.matched(found, matched, begin, begin + SHIFT_US).intensity
        if shown is not None:
            ours.append(shown)
    assert max(abs(one - 8_200) for one in ours) < 2
    assert max(clock) > Fraction(110, 100) * min(clock)


@given(
    st.lists(st.integers(18_000, 28_000), min_size=40, max_size=40),
    st.integers(1, 110),
    st.integers(1, 110),
    st.integers(4, 12),
)
def test_a_tap_moved_over_midnight_moves_no_more_than_what_formed_meanwhile(
    kw: list[int], before: int, after: int, tonnes: int
) -> None:
    """The clock moves the whole tap from one month to the other."""
    found = powered(kw)
    midnight = T0 + 5 * HOUR_US
    ends = (midnight - 2 * HOUR_US, midnight + 2 * HOUR_US)

    def month_to_date(at_us: int) -> batches.Matched:
        taps = [tap(T0, 6), tap(ends[0], 6), tap(at_us, tonnes), tap(ends[1], 6)]
        return batches.matched(found, batches.match(found, taps), T0, midnight)

    early = month_to_date(midnight - before * MINUTE_US)
    late = month_to_date(midnight + after * MINUTE_US)
    assert early.energy == late.energy == found.between(T0, midnight)
    moved = abs(early.made_t - late.made_t)
    assert moved < max(tonnes, 6)
    # Of the tap moved that part stays behind midnight which formed behind it.
    whole = found.between(ends[0], midnight + after * MINUTE_US)
    part = found.between(ends[0], midnight)
    assert whole is not None
    assert part is not None
    assert late.made_t - 6 == tonnes * part / whole


def test_a_slot_of_which_energy_is_unknown_leaves_out_its_batch_and_its_metal() -> None:
    found = powered([24_000] * 40, hole=10)
    taps = [
        tap(T0 + n * 2 * HOUR_US, metal(powered([24_000]), T0, T0 + SLOT_US, 8_000) * 8)
        for n in range(5)
    ]
    matched = batches.match(found, taps)
    assert [one.energy is None for one in matched] == [False, True, False, False]
    month = batches.matched(found, matched, T0, T0 + DAY_US)
    assert [month.intensity, month.left_out, month.taps] == [8_000, 1, 3]
    assert month.covered_us == 6 * HOUR_US


def test_nothing_is_known_before_the_first_tap_nor_after_the_last() -> None:
    found = powered([24_000] * 40)
    matched = batches.match(found, [tap(T0 + HOUR_US, 3), tap(T0 + 3 * HOUR_US, 6)])
    day = batches.matched(found, matched, T0, T0 + DAY_US)
    assert (day.from_us, day.until_us) == (T0 + HOUR_US, T0 + 3 * HOUR_US)
    assert [day.energy, day.made_t, day.intensity] == [48_000, 6, 8_000]
    nothing = batches.matched(found, matched, T0 + 4 * HOUR_US, T0 + DAY_US)
    assert (nothing.covered_us, nothing.intensity, nothing.taps) == (0, None, 0)
    assert batches.match(found, [tap(T0, 3)]) == batches.match(found, []) == []


def test_energy_booked_across_gaps_is_named() -> None:
    slots = replace(meter([E6] * 4), estimated_e6=np.array([0, E6, 0, 0]))
    found = EnergyCurve.of(T0, T0 + HOUR_US, [slots])
    taps = [tap(T0, 1), tap(T0 + SLOT_US + SLOT_US // 2, 1), tap(T0 + HOUR_US, 1)]
    matched = batches.match(found, taps)
    assert [one.estimated for one in matched] == [Fraction(1, 2)] * 2
    assert batches.matched(found, matched, T0, T0 + HOUR_US).estimated == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(18_000, 28_000), min_size=96, max_size=96),
    st.lists(st.integers(0, 4_000), min_size=11, max_size=11),
    st.lists(st.integers(0, 60), min_size=11, max_size=11),
)
def test_surveys_after_each_tap_make_a_furnace_steady_that_keeps_metal_back(
    kw: list[int], left_kg: list[int], later: list[int]
) -> None:
    """A tap leaves up to 4 of 6 t; a survey up to an hour later says what the hearth holds."""
    found = powered(kw)
    instants = [T0 + n * 2 * HOUR_US for n in range(11)]
    left = [Fraction(kg, 1000) for kg in left_kg]
    formed = [metal(found, *pair, 8_000) for pair in pairwise(instants)]
    taps = [tap(T0, 6)] + [
        tap(at_us, made + before - after)
        for at_us, made, (before, after) in zip(instants[1:], formed, pairwise(left), strict=True)
    ]
    surveys = [
        Survey(
            at_us + minute * MINUTE_US,
            stays + metal(found, at_us, at_us + minute * MINUTE_US, 8_000),
        )
        for at_us, stays, minute in zip(instants, left, later, strict=True)
    ]
    plain = batches.match(found, taps)
    corrected = batches.match(found, taps, surveys)
    assert {one.intensity for one in corrected} == {8_000}
    assert {one.holdup for one in corrected} == {Holdup.MEASURED}
    assert {one.holdup for one in plain} == {Holdup.UNKNOWN}
    assert [one.energy for one in plain] == [one.energy for one in corrected]
    spread = max(left) - min(left)
    assume(spread > 1)
    assert any(one.intensity != 8_000 for one in plain)


def test_a_month_between_surveys_is_what_was_tapped_and_the_change_of_metal_in_the_pots() -> None:
    hours = 30 * 24
    found = powered([450_000] * hours * 4)
    taps = [tap(T0 + n * HOUR_US, 33) for n in range(hours)]
    last = taps[-1].at_us
    surveys = [Survey(T0, Fraction(2_000)), Survey(last, Fraction(2_100))]
    matched = batches.match(found, taps, surveys)
    month = batches.matched(found, matched, T0, last)
    assert month.made_t == 33 * (hours - 1) + 100
    assert month.holdup is Holdup.INTERPOLATED
    assert month.energy == 450_000 * (hours - 1)
    tapped = batches.matched(found, batches.match(found, taps), T0, last)
    assert tapped.made_t == 33 * (hours - 1)


def test_a_survey_without_a_tap_before_it_or_without_energy_to_it_corrects_nothing() -> None:
    found = powered([24_000] * 16, hole=1)
    taps = [tap(T0 + HOUR_US, 6), tap(T0 + 3 * HOUR_US, 6)]
    early = Survey(T0, Fraction(5))
    late = Survey(T0 + 3 * HOUR_US + MINUTE_US, Fraction(9))
    for surveys in ([early, late], [late], [Survey(T0 + HOUR_US + 1, Fraction(5)), early]):
        (batch,) = batches.match(found, taps, sorted(surveys, key=lambda one: one.at_us))
        assert [batch.made_t, batch.holdup] == [6, Holdup.UNKNOWN]
    dark = powered([24_000] * 16, hole=5)
    held = [Survey(T0 + HOUR_US + MINUTE_US, Fraction(5)), late]
    (batch,) = batches.match(dark, taps, held)
    assert [batch.made_t, batch.energy, batch.intensity] == [6, None, None]


def fact(name: str, minute: int, kg: int, kind: str = "tapping", **grades: str) -> ProductFact:
    return ProductFact(name, kind, T0 + minute * MINUTE_US, kg * 1000, grades)


def test_ladles_of_one_instant_are_one_tap_and_a_correction_belongs_to_the_next_one() -> None:
    facts = [
        fact("d", 60, 500, "correction", Si="0.75"),
        fact("a", 0, 6_000, Si="0.75"),
        fact("c", 120, 2_000, Si="0.60"),
        fact("b", 120, 4_000, Si="0.75"),
        fact("stock", 30, 9_000, "stock", Si="0.75"),
        fact("e", 150, 0, Si="0.75"),
        fact("f", 180, -500, "correction", Si="0.75"),
    ]
    first, second = batches.taps_of(facts, (*TAPPING, "stock"), SILICON)
    assert [first.at_us, first.mass_t, first.output_t] == [T0, 6, 6]
    assert first.facts == ("a",)
    assert second.at_us == T0 + 120 * MINUTE_US
    assert second.mass_t == Fraction("6.5")
    assert second.output_t == (Fraction("4.5") * 75 + 2 * 60) / 75
    assert second.grade == (Fraction("4.5") * 75 + 2 * 60) / Fraction("6.5") / 100
    assert sorted(second.facts) == ["b", "c", "d"]


def test_a_fact_without_its_grade_makes_the_tap_s_output_unknown_and_not_face_value() -> None:
    facts = [fact("a", 0, 6_000, Si="0.75"), fact("b", 60, 6_000, Al="0.01")]
    taps = batches.taps_of(facts, TAPPING, SILICON)
    assert [one.output_t for one in taps] == [6, None]
    (batch,) = batches.match(powered([24_000] * 8), taps)
    assert [batch.energy, batch.intensity] == [24_000, None]
    assert [one.output_t for one in batches.taps_of(facts, TAPPING, None)] == [6, 6]


def test_surveys_are_stock_facts_in_base_tonnes_and_one_without_the_grade_is_none() -> None:
    facts = [
        fact("b", 60, 6_000, "stock", Si="0.60"),
        fact("a", 0, 5_000, "stock", Si="0.75"),
        fact("c", 90, 5_000, "stock"),
        fact("t", 30, 5_000),
    ]
    assert [(one.at_us, one.held_t) for one in batches.surveys_of(facts, SILICON)] == [
        (T0, 5),
        (T0 + HOUR_US, Fraction("4.8")),
    ]
    assert len(batches.surveys_of(facts, None)) == 3


def test_a_moving_mean_needs_eight_known_taps_and_looks_over_unknown_ones() -> None:
    found = powered([24_000] * 4 * 40, hole=45)
    matched = batches.match(found, [tap(T0 + n * 2 * HOUR_US, 6) for n in range(20)])
    means = [batches.moving(matched, place) for place in range(len(matched))]
    known = [one for one in means if one is not None]
    assert [mean is None for mean in means] == [True] * 8 + [False] * 11
    assert {one.taps for one in known} == {8}
    assert {one.intensity for one in known} == {8_000}
    assert known[0].left_out == 1
    assert known[-1].left_out == 0


def test_tap_to_tap_takes_all_of_a_period_and_reaches_back_to_eight() -> None:
    found = powered([24_000] * 4 * 48)
    matched = batches.match(found, [tap(T0 + n * 2 * HOUR_US, 6) for n in range(24)])
    day = batches.tap_to_tap(matched, T0 + DAY_US, T0 + 2 * DAY_US)
    assert day is not None
    assert (day.taps, day.from_us) == (12, T0 + 22 * HOUR_US)
    hour = batches.tap_to_tap(matched, T0 + DAY_US, T0 + DAY_US + HOUR_US)
    assert hour is not None
    assert (hour.taps, hour.until_us) == (8, T0 + DAY_US)
    assert batches.tap_to_tap(matched, T0 + DAY_US + 1, T0 + DAY_US + 2) is None
    assert batches.tap_to_tap(matched, T0, T0 + 8 * HOUR_US) is None


@pytest.mark.parametrize("seed", range(4))
def test_a_simulated_furnace_is_told_within_one_percent_of_its_truth(seed: int) -> None:
    """A month of shifts: what formed in the hearth is known here, and nowhere else."""
    furnace = Furnace(seed, FurnaceDesign())
    begin = BEGIN_US + 50 * DAY_US
    edges = range(begin - DAY_US, begin + 31 * DAY_US + 1, SLOT_US)
    counts = [furnace.counted(Signal.ENERGY, at_us) for at_us in edges]
    energies = [round((b - a) * E6 / PER_UNIT_US) for a, b in pairwise(counts)]
    found = EnergyCurve.of(edges[0], edges[-1], [meter(energies, edges[0])])
    facts = [
        ProductFact(
            str(one.number), one.kind, one.at_us, int(one.mass_t * E6),
            {name: str(grade) for name, grade in one.grades.items()},
        )
        for one in furnace.outputs(edges[0], edges[-1])
    ]  # fmt: skip
    matched = batches.match(found, batches.taps_of(facts, TAPPING, SILICON))
    ours, clock = [], []
    for start in range(begin, begin + 30 * DAY_US, DAY_US):
        shown = batches.matched(found, matched, start, start + DAY_US)
        truth = furnace.base_t(start, start + DAY_US)
        assert shown.covered_us == DAY_US
        ours.append(abs(float(shown.made_t) / truth - 1))
        tapped = sum(
            float(one.mass_t) * float(one.grades["Si"]) / 0.75
            for one in furnace.outputs(start, start + DAY_US)
        )
        clock.append(abs(tapped / truth - 1))
    assert max(ours) < 0.01
    assert max(clock) > 5 * max(ours)
