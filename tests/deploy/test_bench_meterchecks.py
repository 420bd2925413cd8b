"""The bench of the checks on meters, a short part of it: what it measures comes true when small."""

from __future__ import annotations

import pytest

from deploy.bench import BENCHES
from deploy.benches import meterchecks
from deploy.benches.meterchecks import Tally


def test_the_front_door_lists_what_the_bench_gives() -> None:
    listed = [name for name, module in BENCHES.items() if module == meterchecks.__name__]
    assert listed == list(meterchecks.NAMES)


@pytest.mark.slow
def test_planted_drifts_are_found_and_nobody_else_is_named() -> None:
    tally = Tally()
    for seed in range(3):
        meterchecks.drifted(seed, tally, days=75, meters=16)
    assert tally.found == tally.planted == 3
    assert tally.wrong == 0
    assert tally.named >= 2


@pytest.mark.slow
def test_planted_factors_are_caught() -> None:
    tally = Tally()
    for seed in range(4):
        meterchecks.scaled(seed, tally, days=45, meters=16)
    assert tally.found == tally.planted == 4
    assert tally.wrong == 0


@pytest.mark.slow
def test_a_load_that_stops_beside_a_wrong_factor_is_no_register_that_stands() -> None:
    tally = Tally()
    assert meterchecks.scaled(21, tally)
    assert tally.wrong == 0


@pytest.mark.slow
def test_a_flat_load_beside_another_is_named_by_its_own_past() -> None:
    tally = Tally()
    assert meterchecks.drifted(11, tally)
    assert tally.missed == []


@pytest.mark.slow
def test_clean_plants_raise_no_alarm() -> None:
    assert [meterchecks.clean(seed, days=45, meters=16).findings for seed in range(3)] == [[]] * 3
