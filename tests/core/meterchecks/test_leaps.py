"""Leaps and stillness: the meter's or the load's, decided by those who see the same energy."""

from __future__ import annotations

import numpy as np
import pytest

from core.meterchecks import leaps
from deploy.benches import metertraces

DAYS, METERS = 30, 8
SINCE = 20 * 24


def plant(seed: int) -> metertraces.Trace:
    return metertraces.trace(seed, days=DAYS, feeders=2, meters=METERS)


@pytest.mark.parametrize("factor", [10.0, 0.1, 1000.0, 2.0, 0.5, 5.0])
@pytest.mark.parametrize("meter", [0, 1, 4])
def test_a_factor_is_seen_by_the_balances_at_full_size(factor: float, meter: int) -> None:
    given = plant(3).scaled(meter, SINCE, factor)
    found = leaps.leap(given.shown_kwh[:, meter])
    assert found is not None
    assert abs(found.since - SINCE) <= 2
    witness = leaps.ask_balances(given.network, given.shown_kwh, meter, found)
    assert witness.agrees
    assert witness.factor == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize("factor", [3.0, 0.2])
def test_a_load_that_leaps_itself_is_no_fault(factor: float) -> None:
    given = plant(3)
    meter = 4
    main = next(node.main for node in given.network.nodes if meter in node.subs)
    shown = given.shown_kwh.copy()
    more = shown[SINCE:, meter] * (factor - 1)
    for place in (meter, main, 0):
        shown[SINCE:, place] += more
    found = leaps.leap(shown[:, meter])
    assert found is not None
    witness = leaps.ask_balances(given.network, shown, meter, found)
    assert witness.denies
    assert not witness.agrees


def test_a_register_that_stands_while_its_load_runs_is_told_from_a_stoppage() -> None:
    given = plant(4)
    meter = 3 + int(given.shown_kwh[:, 3:].mean(axis=0).argmax())
    main = next(node.main for node in given.network.nodes if meter in node.subs)
    shown = given.shown_kwh.copy()
    shown[shown[:, meter] == 0, meter] = 1.0
    span = slice(SINCE, SINCE + 24)
    stood = shown.copy()
    stood[span, meter] = 0.0
    stopped = stood.copy()
    for place in (main, 0):
        stopped[span, place] -= shown[span, meter]
    for hours, is_frozen in ((stood, True), (stopped, False)):
        found = [one for one in leaps.still(hours[:, meter]) if one.since == SINCE]
        assert [one.until for one in found] == [SINCE + 24]
        witness = leaps.ask_balances(given.network, hours, meter, found[0])
        assert witness.agrees is is_frozen


def test_its_own_power_is_a_witness_where_there_is_no_balance() -> None:
    random = np.random.default_rng(5)
    load = 900 + 50 * random.random(DAYS * 24)
    shown = load.copy()
    shown[SINCE:] *= 10
    found = leaps.leap(shown)
    assert found is not None
    witness = leaps.ask_power(load, shown, found)
    assert witness.agrees
    assert witness.factor == pytest.approx(10, rel=0.02)
    both = load.copy()
    both[SINCE:] *= 10
    assert leaps.ask_power(both, shown, found).denies


def test_a_load_that_often_stands_is_nothing_special_when_it_stands() -> None:
    hours = np.zeros(DAYS * 24)
    hours[::3] = 100.0
    hours[::3] += np.arange(len(hours[::3]))
    assert leaps.still(hours) == []


def test_a_copied_day_is_found_and_a_coarse_one_is_left_alone() -> None:
    random = np.random.default_rng(6)
    hours = np.round(1_000 * random.random(DAYS * 24))
    assert leaps.repeated_days(hours) == []
    hours[10 * 24 : 11 * 24] = hours[3 * 24 : 4 * 24]
    assert leaps.repeated_days(hours) == [(3, 10)]
    coarse = random.choice([4.0, 5.0], DAYS * 24)
    coarse[24:48] = coarse[:24]
    assert leaps.repeated_days(coarse) == []
