"""Whatever falls silent and comes back in any order: in the end receivers believe what is so.

Stories are drawn from a seed, and played on the real watcher, alerting and store.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.ingest.test_folding import AGENTS, SITE, Uplink, silence, uplink

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool

STEP = 15  # minutes
POINTS = 8


def causes(world: Uplink) -> set[str]:
    """Return what must be known of what is down now: the site, else its agents, else meters."""
    agents = {each for each in world.agents if each in world.down}
    if len(agents) == len(world.agents):
        return {SITE}
    senders = [world.agents[number % len(world.agents)] for number in range(POINTS)]
    pairs = zip(world.points, senders, strict=True)
    return agents | {point for point, agent in pairs if point in world.down and agent not in agents}


async def believed(world: Uplink) -> set[str]:
    """Return whom receivers take for silent, by what they were told in its order."""
    raised: dict[str, bool] = {}
    for kind, subject in await world.told():
        assert kind == "firing" or raised.get(subject), "nobody hears the end of what is not known"
        raised[subject] = kind == "firing"
    return {subject for subject, is_raised in raised.items() if is_raised}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_in_the_end_receivers_believe_what_is_so(
    pool: Pool, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a story, not a secret
    world = await uplink(pool, tmp_path, POINTS, agents=chance.randint(2, AGENTS))
    for _ in range(24):
        for each in [*world.agents, *world.points]:
            if chance.random() < (0.25 if each in world.down else 0.1):
                world.down ^= {each}
        # What an agent does not send is not heard, whatever the meter shows.
        unheard = {
            point
            for number, point in enumerate(world.points)
            if world.agents[number % len(world.agents)] in world.down
        }
        if chance.random() < 0.1:
            hours = timedelta(hours=chance.randint(1, 2))
            await silence(pool, world.now + hours, world.now)
        dead = set(world.down)
        world.down |= unheard
        await world.minutes(STEP, step=STEP)
        world.down = dead
    world.down |= {
        point
        for number, point in enumerate(world.points)
        if world.agents[number % len(world.agents)] in world.down
    }
    await world.minutes(4 * 60, step=STEP)
    assert causes(world) <= await believed(world), "what lasts is told, whatever was before"
    world.down = set()
    await world.minutes(8 * 60, step=2 * STEP)
    assert await believed(world) == set()
    left = await world.rows("select known from fold where known not in ('unknown', 'over')")
    assert left == []
    lost = await world.rows(
        "select count(*) from fold_step s where told is not null and not exists (select from"
        " notification n where n.alert = s.alert and n.kind = s.told and n.created_at = s.at)"
    )
    assert lost == [(0,)], "each word that was told is in the outbox"
