"""What one worker knows of the declaration and of how far back readings are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.clock import from_us
from ingest.plantwatch import PlantWatch
from store import retention
from tests.ingest import world

if TYPE_CHECKING:
    from store.connection import Pool


async def test_a_changed_plant_is_read_and_told_and_only_then(pool: Pool) -> None:
    told: list[int] = []
    watch = PlantWatch(pool, lambda: world.NOW, lambda: told.append(1))
    assert not await watch.renew()
    await world.declare(pool)
    assert await watch.renew()
    assert not await watch.renew()
    assert told == [1]
    assert watch.wake.is_set()
    plant, ids = watch.plants()
    assert plant.points.keys() == ids.keys()


async def test_a_moved_horizon_makes_readings_behind_it_archived(pool: Pool) -> None:
    await world.declare(pool)
    watch = PlantWatch(pool, lambda: world.NOW)
    await watch.load()
    instants = np.array([world.NOW_US - 1, world.NOW_US])
    assert not watch.declared.retention.archived(instants).any()
    async with pool.connection() as connection:
        await retention.move(connection, world.NOW_US, from_us(world.NOW_US))
    assert await watch.renew()
    assert watch.declared.retention.archived(instants).tolist() == [True, False]
