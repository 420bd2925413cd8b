"""Promises of dead letters by the API: an engineer of the plant has them replayed or discards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.schemas import DeadLetterItem
from ingest.mending import Mender
from tests.api.world import NOW, bearer

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool


async def _letter(pool: Pool, site: str) -> int:
    async with pool.connection() as link:
        cursor = await link.execute(
            "select dead_letter_id from dead_letter where site = %s", (site,)
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_an_engineer_asks_for_a_replay_and_a_worker_does_it(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    letter = await _letter(pool, "gh-al")
    headers = bearer(tokens["engineer"])
    answer = await client.post(f"/api/v1/dead-letters/{letter}/replay", headers=headers)
    assert (answer.status_code, answer.json()["state"]) == (202, "asked")
    DeadLetterItem.model_validate_json(answer.content)
    assert await Mender(pool, lambda: NOW).step() == 1
    listed = (await client.get("/api/v1/dead-letters", headers=headers)).json()["items"]
    [shown] = [each for each in listed if each["id"] == letter]
    assert (shown["state"], shown["replayed_by"]) == ("refused", "user:the engineer")
    assert shown["outcome"]
    async with pool.connection() as link:
        cursor = await link.execute("select who, action, subject from audit")
        assert await cursor.fetchall() == [
            ("the engineer", "replay_letter", f"dead-letter/{letter}")
        ]


async def test_a_discarded_letter_stays_and_a_second_time_changes_nothing(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    letter = await _letter(pool, "gh-al")
    path = f"/api/v1/dead-letters/{letter}/discard"
    for _ in range(2):
        answer = await client.post(path, headers=bearer(tokens["admin"]))
        assert (answer.status_code, answer.json()["state"]) == (200, "discarded")
    async with pool.connection() as link:
        cursor = await link.execute("select count(*) from audit")
        assert await cursor.fetchone() == (1,)


@pytest.mark.parametrize("what", ["replay", "discard"])
async def test_others_may_not(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool, what: str
) -> None:
    own, foreign = await _letter(pool, "gh-al"), await _letter(pool, "nowhere")
    for role in ("operator", "regulator"):
        answer = await client.post(
            f"/api/v1/dead-letters/{own}/{what}", headers=bearer(tokens[role])
        )
        assert answer.status_code == 403
    assert (await client.post(f"/api/v1/dead-letters/{own}/{what}")).status_code == 401
    headers = bearer(tokens["engineer"])
    for letter, status in ((foreign, 403), (10**9, 404), (2**70, 422), ("x", 422)):
        answer = await client.post(f"/api/v1/dead-letters/{letter}/{what}", headers=headers)
        assert answer.status_code == status, answer.text


async def test_a_cut_letter_cannot_be_replayed(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    letter = await _letter(pool, "gh-al")
    async with pool.connection() as link:
        await link.execute("update dead_letter set payload_bytes = 70000")
    answer = await client.post(
        f"/api/v1/dead-letters/{letter}/replay", headers=bearer(tokens["engineer"])
    )
    assert answer.status_code == 409
    assert "have it sent again" in answer.json()["detail"]
