"""The ledger of readings against a dict, under duplicates, late rows and contradictions."""

from __future__ import annotations

import asyncio
import math
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import from_us, to_us
from core.quality import Quality
from store import arrays, overlaps, readings, slots
from store.readings import Rows, Watermarks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg import AsyncConnection

    from store.connection import Pool

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
NOW_US = to_us(NOW)
NO_INTERVALS = np.zeros(100, np.int64)
ENERGY = np.ones(100, np.bool_)

Row = tuple[int, int, float, int]


def columns(rows: Iterable[Row]) -> Rows:
    given_rows = list(rows)
    return Rows(
        np.array([row[0] for row in given_rows], np.int64),
        np.array([row[1] for row in given_rows], np.int64),
        np.array([row[2] for row in given_rows], np.float64),
        np.array([row[3] for row in given_rows], np.int16),
    )


async def everything(connection: AsyncConnection[Any]) -> dict[tuple[int, int], tuple[float, int]]:
    cursor = await connection.execute("select point_id, ts, value, quality from reading")
    return {
        (point, to_us(ts)): (value, quality)
        for point, ts, value, quality in await cursor.fetchall()
    }


def same(one: tuple[float, int], other: tuple[float, int]) -> bool:
    if one[1] == other[1] == Quality.BAD:
        return True  # what a bad reading says is not known: two never contradict each other
    values_same = one[0] == other[0] or (math.isnan(one[0]) and math.isnan(other[0]))
    return values_same and one[1] == other[1]


def random_batch(dice: random.Random) -> list[Row]:
    """Few instants and values, so that keys meet again within a batch and over batches."""
    rows = []
    for _ in range(dice.randrange(1, 60)):
        quality = dice.choice((0, 0, 0, 1, 2))
        value = math.nan if quality == 2 and dice.random() < 0.5 else float(dice.randrange(3))
        at_us = NOW_US - dice.randrange(40) * 1_000_000
        rows.append((dice.randrange(1, 5), at_us, value, quality))
    return rows


async def put(
    connection: AsyncConnection[Any], rows: Rows, marks: Watermarks | None
) -> readings.Stored:
    """Write as the writer does: what turns out not to be newest is written the slow way."""
    try:
        async with connection.transaction():
            return await readings.write(connection, rows, NOW, marks, NO_INTERVALS)
    except psycopg.errors.UniqueViolation:
        return await readings.write(connection, rows, NOW, None, NO_INTERVALS)


@pytest.mark.parametrize("seed", range(5))
async def test_the_store_equals_a_dict_whatever_is_offered_in_whatever_order(
    pool: Pool, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    oracle: dict[tuple[int, int], tuple[float, int]] = {}
    marks = Watermarks.empty()
    async with pool.connection() as connection:
        for _ in range(30):
            rows = random_batch(dice)
            before = set(oracle)
            conflicts = []
            for place, (point, ts_us, value, quality) in enumerate(rows):
                kept = oracle.setdefault((point, ts_us), (value, quality))
                if not same(kept, (value, quality)):
                    conflicts.append(place)
            done = await put(connection, columns(rows), marks if dice.random() < 0.8 else None)
            if dice.random() < 0.8:  # a mark that lags behind costs time and nothing else
                marks.advance(done.new, NOW_US)
            assert sorted(done.conflicts.tolist()) == conflicts
            new = zip(done.new.point_id.tolist(), done.new.ts_us.tolist(), strict=True)
            assert list(new) == sorted(set(oracle) - before)
            stored = await everything(connection)
            assert stored.keys() == oracle.keys()
            assert all(same(stored[key], oracle[key]) for key in oracle)


@pytest.mark.parametrize("seed", range(2))
async def test_writers_of_the_same_readings_at_once_store_each_reading_once(
    pool: Pool, seed: int
) -> None:
    offered = {(point, NOW_US - step * 7_000_000_000) for point in (1, 2, 3) for step in range(60)}
    stored = []

    async def offer(number: int) -> None:
        dice = random.Random(10 * seed + number)  # noqa: S311 - a test's dice
        marks: Watermarks | None = Watermarks.empty()
        rows = [(point, ts_us, 1.0, 0) for point, ts_us in offered]
        dice.shuffle(rows)
        while rows:
            async with pool.connection() as connection:
                try:
                    done = await readings.write(
                        connection, columns(rows[:20]), NOW, marks, NO_INTERVALS
                    )
                    await connection.commit()
                except (
                    psycopg.errors.UniqueViolation,
                    psycopg.errors.DeadlockDetected,
                    readings.LostRaceError,
                ):
                    await connection.rollback()
                    marks = None if marks is not None else Watermarks.empty()
                    continue
            stored.append(len(done.new))
            del rows[:20]

    await asyncio.gather(*(offer(number) for number in range(4)))
    async with pool.connection() as connection:
        assert (await everything(connection)).keys() == offered
    assert sum(stored) == len(offered)


async def test_a_conflict_tells_what_is_kept(pool: Pool) -> None:
    async with pool.connection() as connection:
        await put(connection, columns([(1, NOW_US, 5.0, 0)]), None)
        done = await put(connection, columns([(1, NOW_US, 5.0, 1), (1, NOW_US, 6.0, 0)]), None)
    assert done.conflicts.tolist() == [0, 1]
    assert done.kept_value.tolist() == [5.0, 5.0]
    assert done.kept_quality.tolist() == [0, 0]
    assert not len(done.new)


async def test_the_first_of_a_batch_stays_and_the_others_conflict(pool: Pool) -> None:
    async with pool.connection() as connection:
        rows = [(1, NOW_US, 7.0, 0), (1, NOW_US - 1, 1.0, 0), (1, NOW_US, 8.0, 0)]
        done = await put(connection, columns(rows), Watermarks.empty())
        assert done.conflicts.tolist() == [2]
        assert (await everything(connection))[1, NOW_US] == (7.0, 0)


async def test_all_rows_of_a_batch_share_one_instant_of_recording(pool: Pool) -> None:
    async with pool.connection() as connection:
        await put(connection, columns([(1, NOW_US, 1.0, 0)]), None)
        await put(connection, columns([(2, NOW_US, 1.0, 0)]), Watermarks.empty())
        cursor = await connection.execute("select distinct recorded_at from reading")
        assert await cursor.fetchall() == [(NOW,)]


async def test_an_empty_batch_is_no_work(pool: Pool) -> None:
    async with pool.connection() as connection:
        done = await put(connection, Rows.join([]), Watermarks.empty())
    assert not len(done.new)
    assert not len(done.conflicts)


async def test_watermarks_are_the_newest_instants_and_end_a_day_ahead(pool: Pool) -> None:
    far_us = NOW_US + 400 * 86_400_000_000
    async with pool.connection() as connection:
        await connection.execute("insert into point (point) values ('a.b.c'), ('a.b.d'), ('a.b.e')")
        await put(
            connection, columns([(1, NOW_US, 1, 0), (1, NOW_US - 5, 1, 0), (2, far_us, 1, 0)]), None
        )
        marks = await readings.load_watermarks(connection, NOW)
    assert marks.of(np.array([1, 2, 3])).tolist() == [
        NOW_US,
        NOW_US + readings.MOST_AHEAD_US,
        readings.NEVER_US,
    ]


async def test_marks_of_touched_spans_hold_the_new_rows_of_energy_points(pool: Pool) -> None:
    rows = columns([(2, NOW_US, 1, 0), (1, NOW_US - 9, 1, 0), (1, NOW_US, 1, 0), (3, NOW_US, 1, 0)])
    energy = ENERGY.copy()
    energy[3] = False
    async with pool.connection() as connection:
        done = await put(connection, rows, None)
        await slots.touch_rows(connection, done.new, energy)
        marks = await slots.touched(connection)
    assert {point for mark in marks for point in mark.points.tolist()} == {1, 2}
    for point, ts_us in ((1, NOW_US - 9), (1, NOW_US), (2, NOW_US)):
        assert any(point in mark.points and mark.from_us <= ts_us < mark.until_us for mark in marks)


async def test_a_series_reaches_to_usable_neighbours_and_holds_all_between(pool: Pool) -> None:
    rows = [(1, NOW_US + i, float(i), 2 if i in {2, 3} else 0) for i in range(10)]
    async with pool.connection() as connection:
        await put(connection, columns([*rows, (2, NOW_US, 9.0, 0)]), None)
        plain = await readings.read_series(connection, 1, NOW_US + 4, NOW_US + 6)
        wide = await readings.read_series(connection, 1, NOW_US + 4, NOW_US + 6, 2, 1)
        none = await readings.read_series(connection, 7, NOW_US, NOW_US + 9, 4, 4)
        ever = await readings.read_series(connection, 1, -(2**62), 2**62)
    assert plain.value.tolist() == [4, 5]
    assert wide.value.tolist() == [0, 1, 2, 3, 4, 5, 6]  # two usable ones before: 1 and 0
    assert wide.quality.tolist() == [0, 0, 2, 2, 0, 0, 0]
    assert len(none.ts_us) == 0
    assert ever.ts_us.tolist() == [NOW_US + i for i in range(10)]


async def test_the_latest_reading_gives_way_to_newer_ones_only(pool: Pool) -> None:
    async with pool.connection() as connection:
        for ts_us, rate in ((NOW_US, 5.0), (NOW_US - 1, 7.0), (NOW_US + 1, math.nan)):
            rows = columns([(1, ts_us, float(ts_us), 0)])
            await readings.write_latest(connection, rows, np.array([rate]))
        cursor = await connection.execute("select ts, value, rate_kw from point_latest")
        assert await cursor.fetchall() == [(from_us(NOW_US + 1), float(NOW_US + 1), None)]


async def test_intervals_that_overlap_what_is_stored_or_came_first_are_told(pool: Pool) -> None:
    lengths = NO_INTERVALS.copy()
    lengths[1] = 10
    async with pool.connection() as connection:
        first = await readings.write(
            connection, columns([(1, NOW_US, 1, 0), (1, NOW_US + 10, 1, 0)]), NOW, None, lengths
        )
        assert not len(first.overlaps)
        rows = columns(
            [
                (1, NOW_US + 25, 1, 0),
                (1, NOW_US + 20, 1, 0),  # came second, and the one at +25 stands
                (1, NOW_US + 5, 1, 0),  # inside what is stored
                (1, NOW_US + 6, 1, 2),  # bad: as if absent
                (1, NOW_US, 1, 0),  # the same again
                (2, NOW_US + 5, 1, 0),  # no interval point
                (1, NOW_US + 35, 1, 0),  # touches the one at +25, no more
            ]
        )
        done = await readings.write(connection, rows, NOW, Watermarks.empty(), lengths)
    assert sorted(done.overlaps.tolist()) == [1, 2]
    assert not len(done.conflicts)
    assert len(done.new) == 4


@given(
    st.lists(st.integers(0, 60), unique=True, max_size=25),
    st.lists(st.integers(0, 60), max_size=8),
    st.integers(1, 15),
    st.randoms(use_true_random=False),
)
def test_covered_is_the_greedy_rule_one_by_one(
    instants: list[int], candidates: list[int], length: int, dice: random.Random
) -> None:
    stored: list[int] = []
    for at in candidates:
        if all(abs(at - other) >= length for other in stored):
            stored.append(at)
    arrival = list(range(len(instants)))
    dice.shuffle(arrival)
    ts_us = np.sort(np.array(instants, np.int64))
    taken = overlaps.covered(
        ts_us, np.array(arrival, np.int64), np.sort(np.array(stored, np.int64)), length
    )
    stands = list(stored)
    wanted = np.zeros(len(instants), np.bool_)
    for place in np.argsort(np.array(arrival, np.int64)):
        at = int(ts_us[place])
        if any(abs(at - other) < length for other in stands):
            wanted[place] = True
        else:
            stands.append(at)
    assert taken.tolist() == wanted.tolist()


async def test_columns_travel_to_the_server_and_back_unchanged(pool: Pool) -> None:
    instants = np.array([0, NOW_US, -1, 946_684_800_000_000], np.int64)
    floats = np.array([0.1, -1e300, math.inf, 2.0**53])
    async with pool.connection() as connection:
        cursor = arrays.read_columns(connection.cursor())
        await cursor.execute(
            "select %s, %s, %s, %s",
            (
                arrays.Instants(instants),
                arrays.Float8s(floats),
                arrays.Int4s(np.array([2**31 - 1, -1])),
                arrays.Int2s(np.array([], np.int16)),
            ),
            binary=True,
        )
        row = await cursor.fetchone()
    assert row is not None
    assert row[0].tolist() == instants.tolist()
    assert row[1].tolist() == floats.tolist()
    assert row[2].tolist() == [2**31 - 1, -1]
    assert row[3].tolist() == []


async def test_the_newest_readings_are_found_whether_or_not_they_were_shown(pool: Pool) -> None:
    long_ago = NOW_US - 500 * 86_400_000_000
    async with pool.connection() as connection:
        await connection.execute(
            "insert into point (point) select 'p' || g from generate_series(1, 4) g"
        )
        rows = [
            (1, NOW_US, 1.0, 0),
            (1, NOW_US - 9, 2.0, 0),
            (2, long_ago, 3.0, 2),
            (3, NOW_US, 4.0, 0),
        ]
        await put(connection, columns(rows), None)
        shown = columns([(1, NOW_US - 9, 2.0, 0), (2, long_ago, 3.0, 2)])  # one of them lags
        await readings.write_latest(connection, shown, np.array([math.nan, math.nan]))
        found = await readings.newest(connection)
    told = zip(found.point_id.tolist(), found.ts_us.tolist(), found.value.tolist(), strict=True)
    assert sorted(told) == [(1, NOW_US, 1.0), (2, long_ago, 3.0), (3, NOW_US, 4.0)]
