"""A cement kiln: exact amounts, magnitudes of a 5000 t/d line, clinker hour by hour."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.kiln import IDLE_SHARE, Kiln, KilnDesign, Signal
from simulators.machine import PER_UNIT_US
from simulators.minutes import BEGIN_US, HOUR_US, MINUTE_US

DAY_US = 24 * HOUR_US
MONTH_US = 30 * DAY_US
DESIGN = KilnDesign()
KILN = Kiln(7, DESIGN)
RAW_COAL_KGCE_PER_KG = 0.7143
ELECTRICITY_KGCE_PER_KWH = 0.1229
timeless = settings(deadline=None, max_examples=30)
instants = st.integers(BEGIN_US, BEGIN_US + 600 * DAY_US)


def amount(kiln: Kiln, begin: int, end: int, *signals: Signal) -> float:
    return sum(kiln.counted(each, end) - kiln.counted(each, begin) for each in signals) / (
        PER_UNIT_US
    )


def clinker_t(kiln: Kiln, begin: int, end: int) -> float:
    return float(sum(fact.mass_t for fact in kiln.outputs(begin, end)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 400))
def test_a_month_meets_the_chosen_figures_per_tonne_of_clinker(seed: int, day: int) -> None:
    kiln = Kiln(seed, DESIGN)
    begin = BEGIN_US + day * DAY_US
    end = begin + MONTH_US
    burnt_t = clinker_t(kiln, begin, end)
    coal = amount(kiln, begin, end, Signal.BURNER_COAL, Signal.CALCINER_COAL) / burnt_t
    electricity = amount(kiln, begin, end, Signal.ENERGY, Signal.RAW_MILL) / burnt_t
    # An hour's stand is idle power without clinker, and may fall on the raw mill's rest or beside
    # it: 0.4 of the electricity over one of 720 hours, and 0.08 of all of it.
    stood_h = MONTH_US // HOUR_US - len(kiln.outputs(begin, end))
    within = 0.005 + stood_h * (DESIGN.raw_mill_share + IDLE_SHARE) / 720
    assert coal == pytest.approx(DESIGN.coal_kg_per_t, rel=0.005)
    assert electricity == pytest.approx(DESIGN.electricity_kwh_per_t, rel=within)
    comprehensive = coal * RAW_COAL_KGCE_PER_KG + electricity * ELECTRICITY_KGCE_PER_KWH
    assert comprehensive == pytest.approx(104.0, rel=0.005)


@timeless
@given(instants, instants, st.sampled_from(sorted(Kiln.COUNTED)))
def test_what_is_counted_never_falls(one: int, other: int, signal: str) -> None:
    early, late = sorted((one, other))
    assert KILN.counted(signal, early) <= KILN.counted(signal, late)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(BEGIN_US, BEGIN_US + 60 * DAY_US), min_size=1, max_size=8),
    st.integers(0, 1000),
)
def test_answers_do_not_depend_on_the_order_of_questions(asked: list[int], seed: int) -> None:
    def answers(kiln: Kiln, at: int) -> list[float]:
        return [
            *(kiln.counted(signal, at) for signal in Kiln.COUNTED),
            kiln.shown(Signal.FEED_RATE, at),
            clinker_t(kiln, at, at + 3 * HOUR_US),
        ]

    forward, backward = Kiln(seed, DESIGN), Kiln(seed, DESIGN)
    there = {at: answers(forward, at) for at in asked}
    assert there == {at: answers(backward, at) for at in reversed(asked)}


@timeless
@given(instants, st.integers(0, 5 * HOUR_US), st.integers(0, 5 * HOUR_US))
def test_facts_of_parts_are_the_facts_of_the_whole(
    begin: int, first_us: int, second_us: int
) -> None:
    middle, end = begin + first_us, begin + first_us + second_us
    parts = [*KILN.outputs(begin, middle), *KILN.outputs(middle, end)]
    assert parts == KILN.outputs(begin, end)


def test_magnitudes_are_those_of_a_5000_t_a_day_line() -> None:
    kiln = Kiln(7, KilnDesign(stops_per_day=0.0))
    begin = BEGIN_US + 40 * DAY_US
    end = begin + 10 * DAY_US
    feeds = [kiln.feed_t_per_h(at) for at in range(begin, end, 13 * MINUTE_US)]
    assert all(325 < feed < 342 for feed in feeds)
    assert clinker_t(kiln, begin, end) / 10 == pytest.approx(5_000, rel=0.01)
    hours = (end - begin) / HOUR_US
    coal_t_per_h = amount(kiln, begin, end, Signal.BURNER_COAL, Signal.CALCINER_COAL) / hours / 1000
    megawatts = amount(kiln, begin, end, Signal.ENERGY, Signal.RAW_MILL) / hours / 1000
    assert 26 < coal_t_per_h < 29
    assert 11 < megawatts < 13


def test_clinker_belongs_to_the_hour_in_which_it_was_burnt() -> None:
    begin = BEGIN_US + 40 * DAY_US
    facts = Kiln(7, KilnDesign(stops_per_day=0.0)).outputs(begin, begin + DAY_US)
    assert len(facts) == 24
    assert all(fact.kind == "weighing" for fact in facts)
    assert [(fact.at_us - begin) // HOUR_US for fact in facts] == list(range(24))


def test_the_raw_mill_rests_in_the_dear_hours_of_the_evening() -> None:
    kiln = Kiln(7, KilnDesign(stops_per_day=0.0))
    midnight = BEGIN_US + 40 * DAY_US
    rested = [
        amount(kiln, midnight + hour * HOUR_US, midnight + (hour + 1) * HOUR_US, Signal.RAW_MILL)
        == 0
        for hour in range(24)
    ]
    assert [hour for hour, rests in enumerate(rested) if rests] == [10, 11, 12, 13]


def test_a_stop_gives_no_clinker_and_its_end_takes_coal() -> None:
    kiln = Kiln(7, KilnDesign(stops_per_day=0.4))
    begin = BEGIN_US + 40 * DAY_US
    minutes = range(begin, begin + 20 * DAY_US, MINUTE_US)
    stands = [kiln.feed_t_per_h(at) == 0 for at in minutes]
    fired = [amount(kiln, at, at + MINUTE_US, Signal.BURNER_COAL) > 0 for at in minutes]
    ends = [at for at, (now, then) in enumerate(pairwise(stands)) if now and not then]
    assert ends
    assert all(fired[end - 59 : end + 1] == [True] * 60 for end in ends)
    assert sum(stands) - sum(now and burns for now, burns in zip(stands, fired, strict=True)) > 0
    assert len(kiln.outputs(begin, begin + 20 * DAY_US)) < 20 * 24
    driven = [amount(kiln, at, at + MINUTE_US, Signal.ENERGY) for at in minutes]
    assert min(driven) > 0


def test_an_instant_before_the_process_is_refused() -> None:
    with pytest.raises(ValueError, match="2025-01-01"):
        KILN.counted(Signal.ENERGY, BEGIN_US - 1)
