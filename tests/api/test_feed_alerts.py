"""Alerts on the live stream: what changed, once, to those who may see it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from api.feed import Feed
from api.live import RESUME_S, Hub
from api.metrics import Metrics
from core.alerts import State
from store import alerts
from tests.api.heard import next_text
from tests.api.routers.test_alerts import put
from tests.api.world import FURNACE

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.deps import Services
    from api.live import Client
    from store.connection import Pool
    from tests.api import world

ALL = frozenset({"*"})
NINGXIA = frozenset({"site:nx-fa"})


def taken(client: Client, event: str = "alerts") -> list[list[dict[str, Any]]]:
    """Return the items of each event of that name, and empty the queue."""
    found = []
    while not client.queue.empty():
        for block in next_text(client).split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            if fields.get("event") == event:
                found.append(json.loads(fields["data"])["items"])
    return found


def item(alert: str, site: str = "gh-al", state: str = "firing") -> dict[str, Any]:
    code = {"gh-al": "cn-qh", "nx-fa": "cn-nx"}[site]
    return {"id": alert, "site": site, "jurisdiction": code, "state": state}


async def test_a_changed_alert_is_published_once_and_as_the_list_shows_it(
    app: FastAPI, pool: Pool, clock: world.Clock
) -> None:
    shared: Services = app.state.services
    feed = Feed(shared)
    client = shared.hub.join(ALL, None, shared.ticks())
    await feed.poll_once()
    assert taken(client) == []
    alert = await put(pool)
    clock.move(1)
    await feed.poll_once()
    ((shown,),) = taken(client)
    assert (shown["id"], shown["state"]) == (alert, "firing")
    clock.move(1)
    await feed.poll_once()
    assert taken(client) == []
    async with pool.connection() as connection:
        await alerts.acknowledge(connection, shown_id(shown), "me", clock.now)
    clock.move(1)
    await feed.poll_once()
    ((again,),) = taken(client)
    assert again["acknowledged_by"] == "me"


async def test_a_change_that_was_committed_late_is_not_missed(
    app: FastAPI, pool: Pool, clock: world.Clock
) -> None:
    shared: Services = app.state.services
    feed = Feed(shared)
    client = shared.hub.join(ALL, None, shared.ticks())
    async with pool.connection() as slow:
        await slow.execute("select nextval(pg_get_serial_sequence('alert', 'change'))")
        await put(pool, FURNACE)  # has the higher number and is committed first
        await feed.poll_once()
        taken(client)
    await put(pool)
    async with pool.connection() as connection:
        await connection.execute(
            "update alert set updated_at = %s where unit <> %s", (clock.now, FURNACE)
        )
    feed._alert_change = 10**9  # as if its number lay below
    clock.move(1)
    await feed.poll_once()
    ((shown,),) = taken(client)
    assert shown["site"] == "gh-al"


async def test_an_alert_that_changes_its_state_is_published_again(
    app: FastAPI, pool: Pool, clock: world.Clock
) -> None:
    shared: Services = app.state.services
    feed = Feed(shared)
    client = shared.hub.join(NINGXIA, None, shared.ticks())
    for state in (State.PENDING, State.FIRING, State.CLEARING, State.RESOLVED):
        await put(pool, FURNACE, state)
        await put(pool, state=state)  # of another site
        clock.move(1)
        await feed.poll_once()
        ((shown,),) = taken(client)
        assert (shown["state"], shown["site"]) == (state, "nx-fa")


def test_a_client_hears_of_the_alerts_of_its_scope() -> None:
    hub = Hub(Metrics())
    whole, ningxia = hub.join(ALL, None, 0), hub.join(NINGXIA, None, 0)
    hub.publish_alerts({"a": item("a"), "b": item("b", "nx-fa")}, 1)
    assert taken(whole) == [[item("a"), item("b", "nx-fa")]]
    assert taken(ningxia) == [[item("b", "nx-fa")]]


def test_a_client_that_comes_back_gets_the_alerts_it_missed() -> None:
    hub = Hub(Metrics())
    keeper, client = hub.join(ALL, None, 0), hub.join(ALL, None, 0)
    hub.publish_alerts({"a": item("a")}, 1)
    last = f"{client.channel.epoch}-{client.channel.seq}"
    hub.leave(client, 1)
    hub.publish_alerts({"b": item("b")}, 2)
    assert taken(hub.join(ALL, last, 3)) == [[item("b")]]
    assert taken(hub.join(ALL, None, 3)) == [[item("a"), item("b")]]
    assert taken(keeper) == [[item("a")], [item("b")]]


def test_alerts_that_nobody_may_resume_are_forgotten() -> None:
    hub = Hub(Metrics())
    keeper = hub.join(ALL, None, 0)
    for now in range(3):
        hub.publish_alerts({str(now): item(str(now))}, now * (RESUME_S + 1))
        taken(keeper)
    assert len(hub._alerts) == 1


def shown_id(shown: dict[str, Any]) -> Any:
    from uuid import UUID  # noqa: PLC0415 - only here

    return UUID(shown["id"])
