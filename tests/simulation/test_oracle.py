"""The simulation's own oracle and that of the core's tests, written apart, agree to the digit."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest

from core import plant as plants
from core.plant import PointKind
from core.quality import Quality
from deploy.faultworld import check, meters, oracle
from tests.core import oracle as other

POINTS = plants.parse(meters.PLANT, "plant.toml").points
SEEDS = range(12)
MAX_GAP_US = 1_800_000_000


def seen(draws: Random, point: str) -> list[oracle.Seen]:
    """Return what is left of a point's readings when some got lost on the way."""
    drawn = meters.draw(draws, 30)
    meter = next(m for each in drawn.by_agent.values() for m in each if m.point == point)
    return [
        oracle.Seen(at_us, Fraction(round(value * 1_000_000), 1_000_000))
        for at_us, value, quality in zip(drawn.instants_us, meter.shown, meter.quality, strict=True)
        if quality is not Quality.BAD and draws.random() < 0.7
    ]


def meter_of(point: str) -> other.Meter:
    """Return a point as the other oracle takes it."""
    declared = check.declared_of(POINTS[point])
    return other.Meter(
        declared.modulus,
        declared.rated_power_kw,
        ((0, declared.multiplier),),
        declared.max_gap_us,
    )


@pytest.mark.parametrize("point", sorted(POINTS))
@pytest.mark.parametrize("seed", SEEDS)
def test_two_oracles_agree_on_every_slot(seed: int, point: str) -> None:
    readings = seen(Random(seed), point)  # noqa: S311 - replayable readings
    got = oracle.slots(check.declared_of(POINTS[point]), readings)
    first = readings[0].at_us - readings[0].at_us % oracle.SLOT_US
    edges = list(range(first, readings[-1].at_us + 2 * oracle.SLOT_US, oracle.SLOT_US))
    compute = other.gauge if POINTS[point].kind is PointKind.GAUGE else other.counter
    rows = compute(
        meter_of(point), [other.Seen(each.at_us, each.value) for each in readings], edges
    )
    wanted = {
        start: (row.energy_e6, row.estimated_e6, row.measured_us)
        for start, row in zip(edges, rows, strict=False)
        if row.booked_us
    }
    assert {
        start: (slot.energy_e6, slot.estimated_e6, slot.measured_us) for start, slot in got.items()
    } == wanted
    assert wanted


def test_the_meters_of_some_schedules_roll_over_and_leave_gaps() -> None:
    rolled = gaps = 0
    for seed in SEEDS:
        drawn = meters.draw(Random(seed), 30)  # noqa: S311 - as above
        for meter in drawn.by_agent["gw-01"]:
            rolled += any(after < before for before, after in pairwise(meter.shown))
        gaps += any(after - before > MAX_GAP_US for before, after in pairwise(drawn.instants_us))
    assert rolled > len(SEEDS) // 2
    assert gaps > len(SEEDS) // 2
