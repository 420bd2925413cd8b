"""Promises of agents and dead letters as the API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.schemas import AgentItem, DeadLetterItem, Page
from tests.api.world import bearer

if TYPE_CHECKING:
    import httpx


async def test_an_agent_shows_its_own_word_and_how_far_it_is_durable(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get("/api/v1/agents", headers=bearer(tokens["admin"]))
    Page[AgentItem].model_validate_json(answer.content)
    first, second = answer.json()["items"]
    assert first == {
        "agent": "gh-al/gw-01",
        "site": "gh-al",
        "state": "online",
        "state_at": "2026-11-21T04:00:00Z",
        "epoch": "e1",
        "depth": 3,
        "oldest_at": None,
        "clock_offset_ms": 12.5,
        "last_seen_at": "2026-11-21T04:00:00Z",
        "committed": 1234,
        "missing": 3,
        "missing_ranges": [[1201, 1203]],
        "missing_since": "2026-11-21T04:00:00Z",
        "lost": 0,
    }
    assert (second["agent"], second["state"], second["last_seen_at"]) == (
        "nx-fa/gw-01",
        "unknown",
        None,
    )


async def test_agents_are_shown_in_scope(client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    answer = await client.get("/api/v1/agents", headers=bearer(tokens["regulator"]))
    assert [one["agent"] for one in answer.json()["items"]] == ["nx-fa/gw-01"]


async def test_dead_letters_are_newest_first_in_scope_and_by_reason(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get("/api/v1/dead-letters", headers=bearer(tokens["admin"]))
    Page[DeadLetterItem].model_validate_json(answer.content)
    assert [one["site"] for one in answer.json()["items"]] == ["nowhere", "nx-fa", "gh-al"]
    own = await client.get("/api/v1/dead-letters", headers=bearer(tokens["engineer"]))
    assert [one["site"] for one in own.json()["items"]] == ["nx-fa", "gh-al"]
    future = await client.get(
        "/api/v1/dead-letters", params={"reason": "future"}, headers=bearer(tokens["admin"])
    )
    assert [one["reason"] for one in future.json()["items"]] == ["future"]


async def test_pages_of_dead_letters_join(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    headers = bearer(tokens["admin"])
    first = (await client.get("/api/v1/dead-letters", params={"limit": 2}, headers=headers)).json()
    rest = (
        await client.get("/api/v1/dead-letters", params={"cursor": first["next"]}, headers=headers)
    ).json()
    assert [one["site"] for one in first["items"]] == ["nowhere", "nx-fa"]
    assert [one["site"] for one in rest["items"]] == ["gh-al"]
    assert rest["next"] is None


async def test_a_regulator_reads_no_dead_letters(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get("/api/v1/dead-letters", headers=bearer(tokens["regulator"]))
    assert answer.status_code == 403
