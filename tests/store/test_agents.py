"""Progress, status and leases of agents in the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from core import wire
from core.progress import Progress
from core.wire import AgentState, Status
from store import agents
from store.agents import Epoch

if TYPE_CHECKING:
    from store.connection import Pool

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
EPOCH = Epoch("gh-al", "gw-01", "e1")


async def test_progress_is_read_back_as_it_was_saved(pool: Pool) -> None:
    state = Progress(9, ((2, 3), (7, 7)), ((1, 1),), 2)
    leap = Progress(wire.MOST_SEQUENCE, ((1, wire.MOST_SEQUENCE - 1),))
    end = Progress(wire.MOST_SEQUENCE, (), ((5, wire.MOST_SEQUENCE),))
    saved = {
        EPOCH: state,
        Epoch("gh-al", "gw-02", ""): leap,
        Epoch("gh-al", "gw-03", "x"): end,
    }
    async with pool.connection() as connection:
        assert await agents.progress(connection, [EPOCH]) == {EPOCH: Progress()}
        await agents.save(connection, saved, NOW)
        assert await agents.progress(connection, saved) == saved


async def test_the_newest_epoch_of_an_agent_is_the_one_written_last(pool: Pool) -> None:
    old, new = Epoch("gh-al", "gw-01", "b"), Epoch("gh-al", "gw-01", "a")
    other = Epoch("gh-al", "gw-02", "c")
    async with pool.connection() as connection:
        await agents.save(connection, {old: Progress(5)}, NOW)
        await agents.save(connection, {other: Progress(1)}, NOW)
        await agents.save(connection, {new: Progress(2)}, NOW + timedelta(seconds=1))
        assert await agents.newest_epochs(connection) == {new: Progress(2), other: Progress(1)}
        only = await agents.newest_epochs(connection, [("gh-al", "gw-02"), ("gh-al", "gw-09")])
        assert only == {other: Progress(1)}


async def test_the_last_status_to_arrive_counts_even_a_will_written_long_before(
    pool: Pool,
) -> None:
    online = Status(AgentState.ONLINE, NOW, "e1", 4, NOW, 12.5)
    will = Status(AgentState.OFFLINE, NOW - timedelta(hours=1), "e1", 0)
    async with pool.connection() as connection:
        await agents.report(connection, "gh-al", "gw-01", online, NOW)
        await agents.report(connection, "gh-al", "gw-01", will, NOW)
        cursor = await connection.execute("select state, at, depth, oldest_at from agent_status")
        assert await cursor.fetchall() == [("offline", will.at, 0, None)]


async def test_since_when_sequences_are_missing_is_kept_until_none_is(pool: Pool) -> None:
    async def since() -> datetime | None:
        cursor = await connection.execute("select missing_since from agent_epoch")
        row = await cursor.fetchone()
        assert row is not None
        return row[0]  # type: ignore[no-any-return]  # a column

    async with pool.connection() as connection:
        for minute, state, wanted in (
            (0, Progress(1), None),
            (1, Progress(4, ((2, 2),)), 1),
            (2, Progress(9, ((2, 2), (6, 7))), 1),
            (3, Progress(9, ((7, 7),)), 1),
            (4, Progress(9, (), ((7, 7),)), None),
            (5, Progress(12, ((10, 11),), ((7, 7),)), 5),
        ):
            await agents.save(connection, {EPOCH: state}, NOW + timedelta(minutes=minute))
            then = None if wanted is None else NOW + timedelta(minutes=wanted)
            assert await since() == then
