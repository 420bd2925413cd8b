"""Promises of the feed: what changed in the store is published, and nothing else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from api.feed import FIGURES_S, Feed
from core import plant
from store import plants
from tests.api import world
from tests.api.heard import next_text
from tests.api.world import POTLINE

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.deps import Services
    from api.live import Client
    from store.connection import Pool

ALL = frozenset({"*"})
INDICATOR = "al.liquid.ac"


def _take(client: Client) -> list[tuple[str, list[dict[str, Any]]]]:
    found = []
    while not client.queue.empty():
        fields = dict(line.split(": ", 1) for line in next_text(client).splitlines() if line)
        found.append((fields["event"], json.loads(fields["data"]).get("items", [])))
    return found


async def test_only_units_that_changed_are_published(
    app: FastAPI, pool: Pool, clock: world.Clock
) -> None:
    shared: Services = app.state.services
    feed = Feed(shared)
    client = shared.hub.join(ALL, None, shared.ticks())
    await feed.poll_once()
    first = _take(client)[-1][1]
    assert len(first) == 3
    clock.move(1)
    await feed.poll_once()
    assert _take(client) == []
    async with pool.connection() as connection:
        await connection.execute("update point_latest set rate_kw = 5, ts = %s", (clock.now,))
    clock.move(1)
    await feed.poll_once()
    ((event, items),) = _take(client)
    assert event == "units"
    assert [(item["unit"], item["live"]["power_kw"]) for item in items] == [(POTLINE, "5")]


async def test_a_new_result_is_published_with_the_unit(
    app: FastAPI, pool: Pool, clock: world.Clock
) -> None:
    shared: Services = app.state.services
    feed = Feed(shared)
    client = shared.hub.join(ALL, None, shared.ticks())
    await feed.poll_once()
    _take(client)
    async with pool.connection() as connection:
        await world.tap(connection, "tap-2", 10, world.NOW - timedelta(hours=1))
        await world.evaluate(connection, world.NOW)
    clock.move(FIGURES_S)
    await feed.poll_once()
    ((_, items),) = _take(client)
    assert [item["unit"] for item in items] == [POTLINE]
    assert items[0]["current"][INDICATOR]["output"] == {"value": "160"}


async def test_digits_of_open_figures_wait_but_are_never_forgotten(
    app: FastAPI, pool: Pool, clock: world.Clock
) -> None:
    shared: Services = app.state.services
    feed = Feed(shared)
    client = shared.hub.join(ALL, None, shared.ticks())
    await feed.poll_once()
    _take(client)
    told = []
    async with pool.connection() as connection:
        await world.tap(connection, "tap-2", 1, world.NOW - timedelta(hours=1))
        await world.evaluate(connection, world.NOW)
    clock.move(1)
    await feed.poll_once()
    assert _take(client)[0][1][0]["today"]  # the day got its first figure: told at once
    async with pool.connection() as connection:
        await world.tap(connection, "tap-3", 1, world.NOW - timedelta(hours=1))
        await world.evaluate(connection, world.NOW)
    for _second in range(6):
        clock.move(1)
        await feed.poll_once()
        told.append([sorted(item) for _, items in _take(client) for item in items])
    assert told == [[], [], [], [], [["current", "today", "unit"]], []]


async def test_a_reading_is_told_without_the_figures(
    app: FastAPI, pool: Pool, clock: world.Clock
) -> None:
    shared: Services = app.state.services
    feed = Feed(shared)
    client = shared.hub.join(ALL, None, shared.ticks())
    await feed.poll_once()
    _take(client)
    async with pool.connection() as connection:
        await connection.execute("update point_latest set rate_kw = 7, ts = %s", (clock.now,))
    clock.move(1)
    await feed.poll_once()
    ((_, items),) = _take(client)
    assert [sorted(item) for item in items] == [["live", "unit"]]


async def test_the_month_turns_without_any_new_result(app: FastAPI, clock: world.Clock) -> None:
    shared: Services = app.state.services
    feed = Feed(shared)
    client = shared.hub.join(ALL, None, shared.ticks())
    await feed.poll_once()
    _take(client)
    clock.move(10 * 86_400)
    await feed.poll_once()
    ((_, items),) = _take(client)
    potline = next(item for item in items if item["unit"] == POTLINE)
    assert potline["current"][0]["period_start"] == "2026-12-01T00:00:00+08:00"
    assert potline["current"][0]["energy"]["value"] is None


async def test_a_declared_change_reaches_the_stream(
    app: FastAPI, pool: Pool, clock: world.Clock
) -> None:
    shared: Services = app.state.services
    feed = Feed(shared)
    client = shared.hub.join(ALL, None, shared.ticks())
    await feed.poll_once()
    _take(client)
    fewer, _, _ = world.PLANT.partition("[site.gh-al.unit.pot-1]")
    async with pool.connection() as connection:
        await plants.apply(
            connection,
            plant.parse(fewer.replace("Potline 1", "Potline One"), "plant.toml"),
            clock.now,
        )
    clock.move(2)
    await feed.poll_once()
    events = _take(client)
    assert [event for event, _ in events] == ["resync", "units"]
    assert [item["name"]["en"] for item in events[1][1]] == ["Potline One"]
