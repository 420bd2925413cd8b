"""Late readings behind a drop give the figures of a store that dropped nothing."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
import pytest_asyncio

from core import energy, plant
from core.clock import from_us, to_us
from core.openslots import SlotRows
from core.periods import SLOT_US
from store import foregoing, partitions, plants, policies, readings, retention, slots
from store.engine import layout
from store.policies import Keep
from tests.store import ledger
from tests.store.ledger import DAY, START, STEP

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from core.plant import Plant
    from store.connection import Pool
    from store.readings import Rows

WEEK = 7 * DAY  # a span on Citus: what begins with one begins with a span everywhere
FIRST = START - START % WEEK
HORIZON = FIRST + 3 * WEEK
DAYS = 24  # of readings
LATER = from_us(HORIZON + 40 * DAY)
KEEP = Keep(raw_days=40, drop_unarchived=True)
AN_HOUR = timedelta(hours=1)
AC = "gh-al.u-1.ac"
TWO = ledger.PLANT[: ledger.PLANT.index("[site.nx-ce]")]
JUDGED = TWO.replace("modulus = 100000", "rated_power_kw = 5000", 1)


@pytest_asyncio.fixture
async def ids(pool: Pool) -> Mapping[str, int]:
    """Declare the plants; the jumps of one counter are judged by its power."""
    async with pool.connection() as link:
        await plants.apply(link, plant.parse(JUDGED, "plant.toml"), LATER)
        return (await plants.load(link)).ids


def offered(ids: Mapping[str, int], seed: int) -> Rows:
    """Return readings off the slots' edges; some meters are silent for days, one has spikes."""
    rows = ledger.rows_of(dict(ids), 0, DAYS, seed)
    rows = dataclasses.replace(rows, ts_us=rows.ts_us - START + FIRST + STEP // 3)
    draw = np.random.default_rng(seed)
    value = rows.value.copy()
    spikes = (rows.point_id == ids[AC]) & (draw.random(len(rows)) < 0.05)
    value[spikes] += 50_000
    kept = np.ones(len(rows), np.bool_)
    for number in ids.values():
        if draw.random() < 0.7:
            end = HORIZON + int(draw.integers(-4, 30)) * DAY // 10
            begin = end - int(draw.integers(1, 100)) * DAY // 10
            kept &= (rows.point_id != number) | (rows.ts_us < begin) | (rows.ts_us >= end)
    return dataclasses.replace(rows, value=value).take(kept)


async def slots_of(pool: Pool) -> list[tuple[object, ...]]:
    query = ledger.SLOTS.replace("slot_start,", "(extract(epoch from slot_start)*1000000)::bigint,")
    return await ledger.all_rows(pool, query)


def expected(declared: Plant, ids: Mapping[str, int], rows: Rows) -> list[tuple[object, ...]]:
    """Return the slots that the pure function gives for all readings there ever were."""
    order = np.lexsort((rows.ts_us, rows.point_id))
    rows = rows.take(order)
    edges = np.arange(FIRST - DAY, HORIZON + 10 * DAY, SLOT_US, dtype=np.int64)
    parts = []
    for name, number in ids.items():
        mine = rows.take(rows.point_id == number)
        found = energy.figures(declared.points[name], mine.ts_us, mine.value, mine.quality, edges)
        parts.append(SlotRows.of_point(number, int(edges[0]), found))
    every = SlotRows.join(parts)
    return sorted(
        (number, start, value if known else None, estimated, measured, flags)
        for number, start, value, known, estimated, measured, flags in zip(
            *(getattr(every, each.name).tolist() for each in dataclasses.fields(SlotRows)),
            strict=True,
        )
    )


async def drop(pool: Pool, now: datetime = LATER) -> str:
    """Run the policies until the horizon has moved and what may go is gone."""
    await policies.run(pool, KEEP, now)
    done = {each.policy: each for each in await policies.run(pool, KEEP, now + AN_HOUR)}
    assert done["retain"].error is None
    return done["retain"].did


@pytest.mark.parametrize("seed", range(3))
async def test_late_readings_behind_a_drop_give_the_figures_of_a_store_that_dropped_nothing(
    pool: Pool, ids: Mapping[str, int], seed: int
) -> None:
    every = offered(ids, seed)
    draw = np.random.default_rng(seed)
    late = draw.random(len(every)) < 0.2
    late &= (every.ts_us >= HORIZON) & (every.ts_us < HORIZON + 3 * DAY)
    await ledger.store(pool, every.take(~late))
    await ledger.compute_slots(pool)
    assert await slots_of(pool) == expected(
        plant.parse(JUDGED, "plant.toml"), ids, every.take(~late)
    )
    before = (await ledger.all_rows(pool, "select count(*) from reading"))[0][0]
    assert not (await drop(pool)).startswith("0 dropped")
    assert (await ledger.all_rows(pool, "select count(*) from reading"))[0][0] < before
    await ledger.store(pool, every.take(late))
    await ledger.compute_slots(pool)
    assert await slots_of(pool) == expected(plant.parse(JUDGED, "plant.toml"), ids, every)


async def test_slots_that_outlived_their_readings_stay_when_a_declaration_changes(
    pool: Pool, ids: Mapping[str, int]
) -> None:
    """The readings before the horizon are gone: what is computed again is what lies behind it."""
    every = offered(ids, 7)
    await ledger.store(pool, every)
    await ledger.compute_slots(pool)
    before = await slots_of(pool)
    await drop(pool)
    changed = plant.parse(JUDGED.replace('value = "6.6"', 'value = "7.7"'), "plant.toml")
    async with pool.connection() as link:
        await plants.apply(link, changed, LATER)
        kept = await retention.load(link)
        edge = {n: (await slots.neighbours(link, n, HORIZON, HORIZON))[0] for n in ids.values()}
    await ledger.compute_slots(pool)
    assert kept.whole_us == HORIZON
    found = await slots_of(pool)
    fresh = expected(changed, ids, every)

    def old(row: tuple[object, ...]) -> bool:
        last = edge[int(str(row[0]))]
        margin = changed.points[AC].max_gap_us if row[0] == ids[AC] else 0
        low = HORIZON if last is None else last - margin
        return int(str(row[1])) < low // SLOT_US * SLOT_US

    assert sorted(found) == sorted(
        [row for row in before if old(row)] + [row for row in fresh if not old(row)]
    )
    assert sum(row[2] or 0 for row in found) != sum(row[2] or 0 for row in before)  # type: ignore[misc]


async def test_a_silent_meter_keeps_its_last_day_and_no_other(
    pool: Pool, ids: Mapping[str, int]
) -> None:
    rows = ledger.rows_of(dict(ids), 0, DAYS)
    rows = dataclasses.replace(rows, ts_us=rows.ts_us - START + FIRST)
    silent = rows.point_id == ids[AC]
    rows = rows.take(~silent | (rows.ts_us < FIRST + 3 * DAY))
    await ledger.store(pool, rows)
    await ledger.compute_slots(pool)
    async with pool.connection() as link:
        span_us = (await layout(link)).span_us
        before = {span.from_us for span in await partitions.spans(link)}
        held = await foregoing.held(link, HORIZON)
    last = FIRST + 2 * DAY
    last -= last % span_us
    assert held.spans == {last: f"the last readings of {AC}"}
    near = HORIZON - DAY - (HORIZON - DAY) % span_us
    told = await drop(pool)
    assert told.endswith(f"kept for the last readings of {AC}, what comes first behind the horizon")
    async with pool.connection() as link:
        found = {span.from_us for span in await partitions.spans(link)}
    assert found & before == {start for start in before if start in {last, near} or start > near}


async def test_nothing_is_dropped_while_figures_of_before_the_horizon_wait(
    pool: Pool, ids: Mapping[str, int]
) -> None:
    await ledger.store(pool, offered(ids, 1))
    assert await drop(pool) == (
        "figures from before the horizon wait to be computed: nothing is dropped"
    )
    before = await ledger.all_rows(pool, "select count(*) from reading")
    await ledger.compute_slots(pool)
    await drop(pool, LATER + 2 * AN_HOUR)
    assert await ledger.all_rows(pool, "select count(*) from reading") < before


async def test_after_a_drop_the_horizon_goes_back_no_further_than_it_was(
    pool: Pool, ids: Mapping[str, int]
) -> None:
    """Of the time before it only what later readings rest on is there."""
    await ledger.store(pool, offered(ids, 1))
    await ledger.compute_slots(pool)
    await drop(pool)
    async with pool.connection() as link:
        await retention.move(link, FIRST, LATER)
        assert (await retention.load(link)).horizon_us == HORIZON
        oldest = (await partitions.spans(link))[0].from_us
    assert oldest < HORIZON
    assert to_us(LATER) > HORIZON
    async with pool.connection() as link:
        series = await readings.read_series(link, ids[AC], HORIZON, HORIZON + DAY, before=1)
    assert len(series.ts_us)


async def test_a_step_that_ends_with_a_reading_kept_for_later_ones_is_not_confirmed(
    pool: Pool, ids: Mapping[str, int]
) -> None:
    """Its slots are not computed again, so nobody may believe that it was booked."""
    await ledger.store(pool, offered(ids, 1))
    await ledger.compute_slots(pool)
    await drop(pool)
    async with pool.connection() as link:
        before, after = await slots.neighbours(link, ids[AC], HORIZON, HORIZON)
        assert before is not None
        assert after is not None
        assert not await slots.has_reading(link, ids[AC], before)
        assert await slots.has_reading(link, ids[AC], after)
