"""A worker at work: an agent that falls silent at the broker is told, and that it is back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ingest import conditions
from tests.ingest import world
from tests.ingest.world import NOW

if TYPE_CHECKING:
    import aiomqtt
    import pytest

    from store.connection import Pool
    from tests.fixtures.broker import Broker

STATES = "select subject, state from alert where condition = 'agent_silent' order by 1"
HEARD = (
    "select site || '.' || agent from agent_status"
    " where seen_at = (select max(seen_at) from agent_status) order by 1"
)
AGENTS = [("gh-al", "gw-01"), ("gh-al", "gw-02"), ("qh-fa", "gw-01")]
MISSED = "gh-al.gw-02"


async def speak(connected: aiomqtt.Client, now: datetime, *but: str) -> None:
    """Let agents say that they are there, all but some, as retained messages."""
    for site, agent in AGENTS:
        if f"{site}.{agent}" not in but:
            body = f'{{"state":"online","at":"{now:%Y-%m-%dT%H:%M:%SZ}","epoch":"e","depth":0}}'
            topic = f"danhao/v1/{site}/{agent}/status"
            await connected.publish(topic, body, qos=1, retain=True)


async def test_a_silent_agent_is_told_by_a_worker_and_a_restart_does_not_revive_it(
    broker: Broker, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "PASS_S", 0.05)
    await world.declare(pool)
    clock = [NOW]

    async def said(*but: str) -> list[tuple[Any, ...]]:
        """Move on ten minutes, let agents speak, and return the states once that was looked at."""
        clock[0] += timedelta(minutes=10)
        async with world.client(broker) as connected:
            await speak(connected, clock[0], *but)
        heard = [(f"{site}.{agent}",) for site, agent in AGENTS if f"{site}.{agent}" not in but]
        await world.eventually(pool, HEARD, heard)
        await looked()
        return await world.rows(pool, STATES)

    async def looked() -> None:
        clock[0] += timedelta(seconds=1)  # a pass of this second has seen all that was said
        await world.eventually(pool, "select max(seen_at) from watched_count", [(clock[0],)])

    async with world.working(broker, pool, lambda: clock[0]):
        found = [await said(*but) for but in ((), *[(MISSED,)] * 4)]
        assert found == [[], [], [], [(MISSED, "pending")], [(MISSED, "firing")]]
    # The broker repeats the old word of the silent one to whoever connects.
    async with world.working(broker, pool, lambda: clock[0]):
        assert [await said(MISSED) for _ in range(5)] == [[(MISSED, "firing")]] * 5
        assert await said() == [(MISSED, "clearing")]
        assert await said() == [(MISSED, "resolved")]
