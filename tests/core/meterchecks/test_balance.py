"""Main against sub-meters: who is named, by how much, and when nobody may be."""

from __future__ import annotations

import numpy as np
import pytest

from core.meterchecks import balance
from core.meterchecks.network import Meter, Network, Node
from deploy.benches import metertraces

DAYS, METERS = 40, 10


def plant(seed: int) -> metertraces.Trace:
    return metertraces.trace(seed, days=DAYS, feeders=2, meters=METERS)


@pytest.mark.parametrize("seed", range(4))
def test_a_clean_plant_has_no_suspect(seed: int) -> None:
    given = plant(seed)
    outcome = balance.check(given.network, given.shown_kwh)
    assert outcome.why_not is None
    assert outcome.suspects == ()


@pytest.mark.parametrize(("seed", "meter"), [(0, 0), (1, 1), (2, 2)])
@pytest.mark.parametrize("error", [0.04, -0.04])
def test_a_main_meter_that_drifts_is_named_with_its_error(
    seed: int, meter: int, error: float
) -> None:
    given = plant(seed).drifting(meter, 20 * 24, error, slowly=False)
    outcome = balance.check(given.network, given.shown_kwh)
    assert [one.meter for one in outcome.suspects] == [meter]
    suspect = outcome.suspects[0]
    assert suspect.is_named
    assert suspect.error == pytest.approx(error, abs=0.006)
    assert abs(suspect.since_day - 20) <= 1
    true = float(given.true_kwh[20 * 24 :, meter].sum())
    assert suspect.excess_kwh == pytest.approx(error * true, rel=0.2)


def two_loads(random: np.random.Generator, course: np.ndarray) -> tuple[Network, np.ndarray]:
    hours = DAYS * 24
    subs = np.column_stack([1_000.0 * course, 1_100.0 * course])
    main = subs.sum(axis=1) + 20 + random.normal(0, 1, hours)
    meters = tuple(Meter(name, 1, 0.0035, 0.0) for name in ("main", "one", "other"))
    return Network(meters, (Node(0, (1, 2)),)), np.column_stack([main, subs])


def test_of_two_loads_that_always_move_together_neither_is_named() -> None:
    random = np.random.default_rng(1)
    together = np.exp(random.normal(0, 0.1, DAYS).cumsum())[np.arange(DAYS * 24) // 24]
    network, energy = two_loads(random, together)
    energy[20 * 24 :, 1] *= 1.03
    found = balance.check(network, energy).suspects
    assert found
    assert not found[0].is_named
    first = found[0]
    told = {first.meter, *first.others}
    assert 1 in told


@pytest.mark.parametrize("meter", [1, 2])
def test_of_two_loads_that_never_move_the_one_whose_own_level_moved_is_named(meter: int) -> None:
    network, energy = two_loads(np.random.default_rng(1), np.ones(DAYS * 24))
    energy[20 * 24 :, meter] *= 1.03
    found = balance.check(network, energy).suspects
    assert [one.meter for one in found] == [meter]
    assert found[0].is_named
    assert found[0].error == pytest.approx(0.03, abs=0.005)


def test_a_load_that_changes_by_itself_is_nobodys_error() -> None:
    network, energy = two_loads(np.random.default_rng(1), np.ones(DAYS * 24))
    energy[20 * 24 :, 1] += 30.0
    energy[20 * 24 :, 0] += 30.0
    assert balance.check(network, energy).suspects == ()


def test_something_new_behind_a_main_is_no_meters_fault() -> None:
    given = plant(5)
    shown = given.shown_kwh.copy()
    shown[20 * 24 :, 1] += 400.0
    shown[20 * 24 :, 0] += 400.0
    found = balance.check(given.network, shown).suspects
    assert found
    assert found[0].meter is None
    assert found[0].node == 1
    mean = float(given.shown_kwh[:, 1].mean())
    assert found[0].error == pytest.approx(400 / mean, rel=0.15)


def test_too_few_known_hours_are_told_and_not_guessed_from() -> None:
    given = plant(6)
    shown = given.shown_kwh.copy()
    shown[: len(shown) * 2 // 3, 3] = np.nan
    assert balance.check(given.network, shown).why_not == "too_little_known"
    assert balance.check(given.network, given.shown_kwh[: 24 * 10]).why_not == "too_little_known"


def test_coarse_counts_make_intervals_longer() -> None:
    given = plant(7)
    meters = tuple(
        Meter(one.point, one.sign, one.accuracy, one.count_kwh * 300)
        for one in given.network.meters
    )
    outcome = balance.check(Network(meters, given.network.nodes), given.shown_kwh)
    assert outcome.interval_hours > 1


def test_the_same_columns_give_the_same_answer_to_the_last_digit() -> None:
    given = plant(8).drifting(1, 18 * 24, 0.03, slowly=True)
    once = balance.check(given.network, given.shown_kwh)
    assert once == balance.check(given.network, given.shown_kwh)
    assert once.suspects
