"""Slots are summed alike by the database, by columns in memory, and one by one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.clock import from_us
from core.intensity import PeriodEnergy
from core.openslots import SlotRows
from core.periods import SLOT_US
from store import slotarrays, slots, slotsums

if TYPE_CHECKING:
    from store.connection import Pool
    from store.slotarrays import Slot

BEGIN = 1_790_000_100_000_000 // SLOT_US * SLOT_US
POINTS = (1, 2, 7)


def drawn(seed: int) -> dict[int, dict[int, Slot]]:
    """Return slots of points with holes and unknown ones among them."""
    draw = random.Random(seed)  # noqa: S311 - a replayable story
    return {
        point: {
            BEGIN + n * SLOT_US: (
                draw.choice([None, draw.randrange(-(10**15), 10**15)]),
                draw.randrange(10**9),
                draw.randrange(SLOT_US),
                draw.randrange(2**16),
            )
            for n in range(200)
            if draw.random() < 0.8
        }
        for point in POINTS
    }


def one_by_one(slots_of_point: dict[int, Slot], begin: int, end: int) -> PeriodEnergy:
    held = [slot for start, slot in sorted(slots_of_point.items()) if begin <= start < end]
    known = [slot[0] for slot in held if slot[0] is not None]
    flags = 0
    for slot in held:
        flags |= slot[3]
    return PeriodEnergy(
        begin,
        end,
        sum(known) if known else None,
        sum(slot[1] for slot in held),
        sum(slot[2] for slot in held),
        flags,
    )


async def keep(pool: Pool, truth: dict[int, dict[int, Slot]]) -> None:
    rows = [(point, start, slot) for point, of in truth.items() for start, slot in of.items()]
    numbers = {
        name: np.array([row[2][place] or 0 for row in rows], np.int64)
        for place, name in enumerate(("energy_e6", "estimated_e6", "measured_us", "flags"))
    }
    columns = SlotRows(
        point_id=np.array([row[0] for row in rows], np.int64),
        start_us=np.array([row[1] for row in rows], np.int64),
        known=np.array([row[2][0] is not None for row in rows]),
        **numbers,
    )
    async with pool.connection() as link:
        await slots.write(link, columns, from_us(BEGIN))


@pytest.mark.parametrize("seed", range(3))
async def test_sums_are_the_same_wherever_they_are_made(pool: Pool, seed: int) -> None:
    truth = drawn(seed)
    await keep(pool, truth)
    draw = random.Random(seed + 100)  # noqa: S311 - a replayable story
    spans = []
    for _ in range(60):
        begin = BEGIN + draw.randrange(-10, 200) * SLOT_US
        # A factor may change anywhere: a slot belongs where it begins.
        shift = draw.choice([0, 0, 1, SLOT_US // 3])
        spans.append((draw.choice(POINTS), begin + shift, begin + draw.randrange(120) * SLOT_US))
    spans = [span for span in spans if span[1] < span[2]]
    async with pool.connection() as link:
        found = await slotsums.energies(link, spans)
        held = {point: await slotarrays.stored(link, point, 0, 2 * BEGIN) for point in POINTS}
    assert found == [one_by_one(truth[point], begin, end) for point, begin, end in spans]
    assert found == [held[point].sums([(begin, end)])[0] for point, begin, end in spans]
    assert {point: rows.rows() for point, rows in held.items()} == truth


async def test_nothing_asked_and_nothing_stored_is_nothing_known(pool: Pool) -> None:
    async with pool.connection() as link:
        assert await slotsums.energies(link, []) == []
        assert await slotsums.extents(link, [1, 2]) == {}
        (energy,) = await slotsums.energies(link, [(5, BEGIN, BEGIN + SLOT_US)])
    assert energy == PeriodEnergy(BEGIN, BEGIN + SLOT_US, None, 0, 0, 0)


async def test_extents_reach_from_the_first_slot_to_the_end_of_the_last(pool: Pool) -> None:
    truth = drawn(1)
    await keep(pool, truth)
    async with pool.connection() as link:
        found = await slotsums.extents(link, [*POINTS, 9])
    assert found == {point: (min(truth[point]), max(truth[point]) + SLOT_US) for point in POINTS}


async def test_single_slots_are_put_right_and_removed(pool: Pool) -> None:
    truth = drawn(2)
    await keep(pool, truth)
    first, second, third = sorted(truth[1])[:3]
    absent = min(truth[1]) - SLOT_US
    truth[1] |= {first: (None, 0, 0, 8), absent: (5, 4, 3, 2)}
    del truth[1][second], truth[2][min(truth[2])]
    gone = min(drawn(2)[2])
    changes: list[tuple[int, int, Slot | None]] = [
        (1, first, (None, 0, 0, 8)),
        (1, absent, (5, 4, 3, 2)),
        (1, second, None),
        (2, gone, None),
        (7, BEGIN - 9 * SLOT_US, None),
    ]
    async with pool.connection() as link:
        await slotarrays.put(link, changes, from_us(BEGIN))
        found = {
            point: (await slotarrays.stored(link, point, 0, 2 * BEGIN)).rows() for point in POINTS
        }
    assert found == truth
    assert third in found[1]
