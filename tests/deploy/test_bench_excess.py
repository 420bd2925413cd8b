"""`danhao bench excess`: months of known truth are explained, and a false answer shows."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from core.errors import Misconfigured
from core.excess import Cause
from core.periods import SLOT_US
from deploy.benches import excess, excessmonths


@pytest.mark.parametrize("months", [0, -1, 10**9])
def test_a_number_that_makes_no_sense_is_refused(months: int) -> None:
    with pytest.raises(Misconfigured, match="--months"):
        excess.measure(months)


def test_planted_causes_are_found_and_every_figure_of_the_names_is_given() -> None:
    declared, derived = excess.run(0, 12)
    given = excess.figures(declared, derived)
    assert tuple(one.name for one in given) == excess.NAMES
    assert given[0].met, "printed parts sum to the printed excess"
    assert declared.inexact == derived.inexact == 0
    assert declared.planted > 12
    assert declared.found >= 0.9 * declared.planted
    assert declared.gravest >= 10
    assert derived.found >= 0.7 * (derived.planted - derived.untold)


def test_the_truth_of_a_month_sums_to_its_excess() -> None:
    for seed in range(6):
        world = excessmonths.world(seed)
        before, now = world.months[4], world.months[-1]
        true = excess.truth(world, before)
        used = now.process + now.beside - now.recovered + now.idle - now.lost
        per_output = (before.process + before.beside - before.recovered) / before.output_t
        told = sum(true.values()) - (now.recovered - before.recovered / before.hours * now.hours)
        assert used - per_output * now.output_t == pytest.approx(told, abs=1e-6 * used)


def test_an_answer_that_moves_energy_to_another_cause_misses_the_goal() -> None:
    tally = excess.Tally()
    for seed in range(9):
        world = excessmonths.world(seed)
        explained = excess.explain(world, declared=True)
        assert explained.split is not None
        moved = Fraction(explained.split.seen.energy, 50)
        parts = tuple(
            replace(
                part, amount=(part.amount or 0) + (moved if part.cause is Cause.MIX else -moved)
            )
            if part.cause in {Cause.MIX, Cause.STOPPAGE}
            else part
            for part in explained.split.parts
        )
        split = replace(explained.split, parts=parts)
        tally.add(replace(explained, split=split), world)
    found, gravest = excess.figures(tally, tally)[1:3]
    assert not found.met
    assert not gravest.met


def test_months_are_the_same_for_the_same_seed_and_lost_hours_are_unknown() -> None:
    seed = next(n for n in range(50) if Cause.DOUBT in excessmonths.world(n).planted)
    first, again = excessmonths.world(seed), excessmonths.world(seed)
    key = first.kind.meters[0].key
    slots = first.months[-1].slots[key]
    assert slots.same(again.months[-1].slots[key])
    lost = first.months[-1].lived.lost_h
    assert int((~slots.known).sum()) == round(lost * 4)
    assert int(slots.measured_us[~slots.known].sum()) == 0
    assert int(slots.measured_us.max()) == SLOT_US
