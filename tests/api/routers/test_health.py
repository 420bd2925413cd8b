"""Promises of health and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from api.app import create_app
from api.config import Settings
from core import circuits
from core.circuits import CIRCUIT_AFTER, Circuit
from store import access
from store import circuits as stored_circuits
from tests.api import world
from tests.api.world import bearer

if TYPE_CHECKING:
    from fastapi import FastAPI

    from store.connection import Pool


async def test_a_process_that_serves_is_ready_and_tells_freshness(
    app: FastAPI, client: httpx.AsyncClient, clock: world.Clock, pool: Pool
) -> None:
    async with app.router.lifespan_context(app):
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json() == {
            "status": "ok",
            "checks": {"database": "ok", "migrations": "ok", "freshness": "ok", "live": "ok"},
        }
        clock.move(3600)
        assert (await client.get("/readyz")).json()["checks"]["freshness"] == "stale"
        async with pool.connection() as connection:
            await connection.execute("delete from point_latest")
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["freshness"]) == (200, "none")


async def test_a_process_whose_live_feed_ended_is_not_ready(client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["live"]) == (503, "out")


async def test_a_database_that_lacks_migrations_is_not_ready(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    async with pool.connection() as connection:
        await connection.execute("delete from migration")
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["migrations"]) == (503, "pending")


async def test_metrics_are_for_the_plant_and_bear_no_name_of_it(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    await client.get("/api/v1/units", headers=bearer(tokens["operator"]))
    answer = await client.get("/metrics", headers=bearer(tokens["operator"]))
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "danhao_store_up 1\n" in answer.text
    assert 'danhao_agents{state="online"} 1\n' in answer.text
    assert 'danhao_dead_letters_last_day{reason="future"} 1\n' in answer.text
    assert (
        'danhao_http_requests_total{method="GET",route="/api/v1/units",status="200"} 1\n'
        in answer.text
    )
    assert "gh-al" not in answer.text
    regulator = await client.get("/metrics", headers=bearer(tokens["regulator"]))
    assert regulator.status_code == 403


async def test_metrics_tell_which_channel_of_alerts_is_out(
    client: httpx.AsyncClient, tokens: dict[str, str], clock: world.Clock, pool: Pool
) -> None:
    circuit = Circuit()
    for _ in range(CIRCUIT_AFTER):
        circuit = circuits.settle(circuit, clock.now, "nobody listens", delivered=False)
    async with pool.connection() as connection:
        await stored_circuits.save(connection, "city", circuit)
        await stored_circuits.save(connection, "duty", Circuit(tried_at=clock.now))
    text = (await client.get("/metrics", headers=bearer(tokens["admin"]))).text
    assert 'danhao_channel_open{channel="city"} 1\n' in text
    assert f'danhao_channel_failures{{channel="city"}} {CIRCUIT_AFTER}\n' in text
    assert 'danhao_channel_open{channel="duty"} 0\n' in text


async def test_an_empty_store_is_served_as_empty_lists(database_url: str, pool: Pool) -> None:
    clock = world.Clock()
    app = create_app(Settings(database_url=database_url), pool, clock, ticks=clock.ticks)
    async with pool.connection() as connection:
        secret = await access.create_token(
            connection, name="admin", role="admin", scope=["*"], now=clock.now
        )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://danhao.test") as client:
        for path in ("units", "points", "agents", "dead-letters", "output"):
            answer = await client.get(f"/api/v1/{path}", headers=bearer(secret))
            assert answer.json() == {"items": [], "next": None}
