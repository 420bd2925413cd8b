"""Figures of random months equal those of a slow computation in fractions, to the last digit."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from core.flags import Flag
from core.verdicts import Verdict
from tests.core import month_oracle, random_months
from tests.store import months

if TYPE_CHECKING:
    from collections.abc import Iterable

FEW = 300
#: All that one run tries; 10,000 take some minutes: `DANHAO_TEST_MONTHS=10000`.
ALL = int(os.environ.get("DANHAO_TEST_MONTHS", "1800"))
CHUNK = 500
# Flags that no month of meters and scales alone can have.
ELSEWHERE = {Flag.FACTS_MISSING, Flag.UNIT_UNFIT, Flag.BASE_MISSING}


async def disagreements(seeds: Iterable[int]) -> list[str]:
    """Return of each month that is told in two ways its seed and what differs."""
    found: list[str] = []
    for seed in seeds:
        world = random_months.make(seed)
        slow, ours = months.of_oracle(world), await months.of_memory(world)
        differs = {key: (slow[key], ours[key]) for key in slow if slow[key] != ours[key]}
        if differs:
            found.append(f"seed {seed} ({world.rule.id}): slow and ours differ in {differs}")
    return found


def test_300_random_months_agree_with_the_slow_computation() -> None:
    assert asyncio.run(disagreements(range(FEW))) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(FEW, ALL, CHUNK))
def test_more_random_months_agree_with_the_slow_computation(first: int) -> None:
    assert asyncio.run(disagreements(range(first, min(first + CHUNK, ALL)))) == []


def test_the_months_are_as_nasty_as_they_are_meant_to_be() -> None:
    told: Counter[str] = Counter()
    for seed in range(FEW):
        world = random_months.make(seed)
        figure = months.of_oracle(world)
        told.update(figure["flags"])
        told.update(set(figure["verdicts"].values()))
        told["a part of a month"] += bool(figure["parts"])
        told["negative"] += (figure["energy"] or "").startswith("-")
        told["unknown"] += figure["value"] is None
        told["complete"] += figure["completeness"] >= 0.9
        told["still open"] += world.now < world.month[1]
        told["arrivals of one instant"] += any(
            len({arrival.at for arrival in one.arrivals}) < len(one.arrivals)
            for one in world.metered
        )
        told["arrivals out of order"] += any(
            [one.at for one in each.arrivals] != sorted(one.at for one in each.arrivals)
            for each in world.metered
        )
        told["heating values measured"] += bool(world.samples)
        told["heating values that change"] += any(len(one.heating) > 1 for one in world.metered)
        told["a fact corrected"] += any(fact.revision for fact in world.facts)
        told["a limit moved"] += any(law.ore_reference is not None for law in world.laws)
        whole = month_oracle.figure(world, world.month).value
        told.update(f"met to the last digit: {law.cmp}" for law in world.laws if law.value == whole)
    words = {flag.name.lower() for flag in Flag if flag.name and flag not in ELSEWHERE}
    assert words | set(Verdict) <= told.keys()
    assert min(told.values()) >= 5, told


@pytest.mark.parametrize("key", ["energy", "output", "value", "uncertainty", "flags", "verdicts"])
def test_a_wrong_figure_would_be_told_with_its_seed(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = months.of_memory

    async def wrong(world: Any) -> dict[str, Any]:
        return {**await honest(world), key: "something else"}

    monkeypatch.setattr(months, "of_memory", wrong)
    (told,) = asyncio.run(disagreements([7]))
    assert told.startswith("seed 7 (")
    assert f"'{key}'" in told
