"""Promises of the audit: administrators of the whole store read it, in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store import access
from tests.api import world
from tests.api.world import bearer

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool


async def test_the_audit_is_read_newest_first_in_pages_and_by_who_and_what(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    async with pool.connection() as connection:
        for number in range(5):
            await access.record(
                connection,
                at=world.NOW,
                who=f"w{number % 2}",
                role="operator",
                action="output",
                subject=str(number),
                detail={"n": number},
            )
    admin = bearer(tokens["admin"])
    seen: list[str] = []
    params: dict[str, str] = {"limit": "2"}
    while True:
        page = (await client.get("/api/v1/audit", params=params, headers=admin)).json()
        seen += [item["subject"] for item in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert seen == ["4", "3", "2", "1", "0"]
    of_one = await client.get("/api/v1/audit", params={"who": "w1"}, headers=admin)
    assert [item["detail"] for item in of_one.json()["items"]] == [{"n": 3}, {"n": 1}]
    none = await client.get("/api/v1/audit", params={"action": "sign_in"}, headers=admin)
    assert none.json() == {"items": [], "next": None}


async def test_only_an_administrator_of_everything_reads_it(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    async with pool.connection() as connection:
        local = await access.create_token(
            connection, name="local", role="admin", scope=["site:gh-al"], now=world.NOW
        )
    for secret in (tokens["operator"], tokens["engineer"], tokens["regulator"], local):
        answer = await client.get("/api/v1/audit", headers=bearer(secret))
        assert answer.status_code == 403
