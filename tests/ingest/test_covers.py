"""What keeps an alert back is the same asked alone and asked with all the others."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from core.folding import CoverKind
from ingest import covers
from store import alerts, folds
from store import silences as stored
from tests.ingest.test_folding import SITE, Uplink, silence, uplink

if TYPE_CHECKING:
    from pathlib import Path

    from core.folding import Cover
    from store.connection import Pool


async def found(world: Uplink) -> dict[str, tuple[Cover | None, Cover | None]]:
    """Return what keeps each raised alert back: asked with all others, and asked alone."""
    shipped = covers.shipped()
    async with world.pool.connection() as connection:
        in_force = await stored.in_force(connection, world.now)
        waiting = await folds.waiting(connection, silenced=True)
        together = await shipped.of_all(connection, world.plant, waiting, in_force, world.now)
        answers: dict[str, tuple[Cover | None, Cover | None]] = {}
        for one, cover in zip(waiting, together, strict=True):
            kept = await alerts.find(connection, one.place.alert)
            assert kept is not None
            assert folds.place_of(kept) == one.place
            alone = await shipped.of_one(connection, world.plant, kept, world.now)
            name = "?" if one.subject is None else one.subject.id
            answers[f"{kept.condition} {name}"] = (cover, alone)
        return answers


def kinds(answers: dict[str, Any]) -> dict[str, CoverKind | None]:
    return {name: None if both[0] is None else both[0].kind for name, both in answers.items()}


@pytest.mark.parametrize("agents", [1, 2])
async def test_alone_and_together_the_answer_is_the_same(
    pool: Pool, tmp_path: Path, agents: int
) -> None:
    world = await uplink(pool, tmp_path, 4, agents=agents)
    world.down = {world.agents[0], *world.points[::agents]}
    seen: set[CoverKind | None] = set()
    for step in range(30):
        if step == 12:
            world.down = {world.points[0]}
        if step == 20:
            await silence(pool, world.now + timedelta(minutes=20), world.now)
        await world.minutes(5)
        answers = await found(world)
        assert all(together == alone for together, alone in answers.values()), answers
        seen |= set(kinds(answers).values())
    assert seen >= {CoverKind.BEHIND, CoverKind.PLANNED_OUTAGE, None}


async def test_a_silence_of_the_site_comes_before_what_an_alert_stands_behind(
    pool: Pool, tmp_path: Path
) -> None:
    world = await uplink(pool, tmp_path, 2, agents=1)
    world.down = {*world.agents, *world.points}
    await world.minutes(60)
    assert set(kinds(await found(world)).values()) == {None, CoverKind.BEHIND}
    await silence(pool, world.now + timedelta(hours=1), world.now)
    await world.minutes(5)
    assert set(kinds(await found(world)).values()) == {CoverKind.PLANNED_OUTAGE}
    assert await world.told() == [("firing", SITE)]
