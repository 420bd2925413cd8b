"""Who sends what is learned once and not written again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest import senders
from ingest.senders import MOST_TOPICS, Senders
from store import senders as stored
from tests.ingest import world
from tests.ingest.test_writer import Bench

if TYPE_CHECKING:
    from core.exactmath import Int64s
    from store.connection import Pool

DAY = world.NOW.toordinal()
TOPICS = [f"danhao/v1/gh-al/gw-{number}/readings" for number in range(3)]


def rows(*pairs: tuple[int, int]) -> tuple[Int64s, Int64s]:
    """Return topics' places and points of rows."""
    places, points = zip(*pairs, strict=True) if pairs else ((), ())
    return np.array(places, np.int64), np.array(points, np.int64)


def test_a_pair_is_new_until_it_was_learned() -> None:
    known = Senders()
    seen = rows((0, 7), (0, 7), (0, 5_000), (1, 7))
    fresh = known.fresh(TOPICS, *seen, DAY)
    assert fresh == {TOPICS[0]: [7, 5_000], TOPICS[1]: [7]}
    assert known.fresh(TOPICS, *seen, DAY) == fresh, "what was not stored is not learned"
    known.learned(fresh, DAY)
    assert known.fresh(TOPICS, *seen, DAY) == {}
    assert known.fresh(TOPICS, *rows((0, 7), (0, 8), (1, 9_000)), DAY) == {
        TOPICS[0]: [8],
        TOPICS[1]: [9_000],
    }
    assert known.fresh(TOPICS, *seen, DAY + 1) == fresh, "each day anew"
    assert senders.by_agent(fresh) == [(7, "gw-0"), (7, "gw-1"), (5_000, "gw-0")]


def test_no_rows_are_nothing_new() -> None:
    assert Senders().fresh([], *rows(), DAY) == {}


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3_000)), max_size=20), max_size=8)
)
def test_every_pair_is_new_exactly_once(batches: list[list[tuple[int, int]]]) -> None:
    known, told = Senders(), []
    for batch in batches:
        fresh = known.fresh(TOPICS, *rows(*sorted(batch)), DAY)
        known.learned(fresh, DAY)
        told += [(topic, point) for topic, points in fresh.items() for point in points]
    expected = {(TOPICS[place], point) for batch in batches for place, point in batch}
    assert sorted(told) == sorted(expected)


def test_memory_is_bounded_and_what_it_forgot_is_new_again() -> None:
    known = Senders()
    topics = [f"danhao/v1/gh-al/a-{number}/readings" for number in range(MOST_TOPICS + 1)]
    for topic in topics:
        known.learned({topic: [1]}, DAY)
    assert known.fresh(topics, *rows((0, 1), (MOST_TOPICS, 1)), DAY) == {topics[0]: [1]}


async def test_the_store_knows_who_sent_a_point_with_its_first_reading(pool: Pool) -> None:
    bench = Bench(pool, await world.declare(pool))
    payload = world.by_hand([world.reading()], sequence=1)
    for _ in range(2):
        await bench.write(payload)
    async with pool.connection() as connection:
        found = await stored.of_points(connection, [world.COUNTER, "gh-al.potline-1.nothing"])
    assert found == {world.COUNTER: {"gw-01"}}


async def test_a_gateway_that_was_replaced_is_not_blamed_for_its_former_points(pool: Pool) -> None:
    declared = await world.declare(pool)
    ((number, _),) = [item for item in declared.names.items() if item[1] == world.COUNTER]
    day = timedelta(days=1)
    async with pool.connection() as connection:

        async def seen(agent: str, at: datetime) -> set[str]:
            await stored.learn(connection, [(number, agent)], at)
            found = await stored.of_points(connection, [world.COUNTER])
            return set(found[world.COUNTER])

        assert await seen("gw-01", world.NOW) == {"gw-01"}
        assert await seen("gw-02", world.NOW + day / 2) == {"gw-01", "gw-02"}
        assert await seen("gw-02", world.NOW + day) == {"gw-02"}
        assert await seen("gw-01", world.NOW - day) == {"gw-02"}, "late news changes nothing"
        assert await seen("gw-01", world.NOW + 9 * day) == {"gw-01"}
