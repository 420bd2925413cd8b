"""Promises of signing in and out, of the cookie, the CSRF token and throttling."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from api.throttle import MOST_FAILURES, WINDOW_S
from tests.api import world
from tests.api.routers.test_output import FACT
from tests.api.world import bearer

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool


async def _sign_in(client: httpx.AsyncClient, secret: str) -> dict[str, str]:
    answer = await client.post("/api/v1/session", headers=bearer(secret))
    assert answer.status_code == 200, answer.text
    body: dict[str, str] = answer.json()
    return body


async def test_a_token_is_traded_for_a_cookie_that_scripts_cannot_read(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.post("/api/v1/session", headers=bearer(tokens["operator"]))
    assert answer.json() == {
        "name": "the operator",
        "role": "operator",
        "scope": ["site:gh-al"],
        "csrf": answer.json()["csrf"],
        "expires_at": "2026-11-21T16:00:00Z",
        "how": "token",
        "leave": None,
    }
    cookie = answer.headers["set-cookie"]
    for part in ("danhao_session=", "HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"):
        assert part in cookie
    assert "Secure" not in cookie
    assert answer.json()["csrf"] not in cookie
    assert (await client.get("/api/v1/units")).status_code == 200


async def test_over_https_the_cookie_stays_there_and_is_of_this_host_only(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.post(
        "https://danhao.test/api/v1/session", headers=bearer(tokens["operator"])
    )
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-danhao_session=")
    assert "Secure" in cookie
    assert "Strict-Transport-Security" in answer.headers
    body = answer.json()
    again = await client.get("https://danhao.test/api/v1/session")
    assert again.json() == body
    assert "Strict-Transport-Security" not in (await client.get("/healthz")).headers


async def test_a_reloaded_page_asks_who_it_is_and_gets_the_same_csrf_token(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    assert (await client.get("/api/v1/session")).status_code == 401
    body = await _sign_in(client, tokens["operator"])
    assert (await client.get("/api/v1/session")).json() == body


async def test_a_write_by_cookie_needs_the_csrf_token_and_a_bearer_does_not(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    csrf = (await _sign_in(client, tokens["operator"]))["csrf"]
    for wrong in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "x" * 64}):
        answer = await client.post("/api/v1/output", json=FACT, headers=wrong)
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:danhao:problem:csrf"
    right = await client.post("/api/v1/output", json=FACT, headers={"X-CSRF-Token": csrf})
    assert right.status_code == 201


async def test_a_csrf_token_of_another_session_does_not_help(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    other = (await _sign_in(client, tokens["engineer"]))["csrf"]
    await _sign_in(client, tokens["operator"])
    answer = await client.post("/api/v1/output", json=FACT, headers={"X-CSRF-Token": other})
    assert answer.status_code == 403


async def test_signing_out_ends_the_session_on_the_server(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    csrf = (await _sign_in(client, tokens["operator"]))["csrf"]
    cookie = client.cookies["danhao_session"]
    assert (await client.delete("/api/v1/session")).status_code == 403
    gone = await client.delete("/api/v1/session", headers={"X-CSRF-Token": csrf})
    assert gone.status_code == 204
    client.cookies.set("danhao_session", cookie)
    assert (await client.get("/api/v1/units")).status_code == 401


@pytest.mark.parametrize("ending", ["time", "revoked", "expired"])
async def test_a_session_ends_with_its_time_and_with_its_token(
    client: httpx.AsyncClient,
    tokens: dict[str, str],
    pool: Pool,
    clock: world.Clock,
    ending: str,
) -> None:
    await _sign_in(client, tokens["operator"])
    async with pool.connection() as connection:
        if ending == "revoked":
            await connection.execute("update access_token set revoked_at = now()")
        elif ending == "expired":
            await connection.execute("update access_token set expires_at = %s", (world.NOW,))
        else:
            clock.now += timedelta(hours=12)
    assert (await client.get("/api/v1/units")).status_code == 401


async def test_guessing_is_throttled_per_address_and_ends_by_itself(
    client: httpx.AsyncClient, tokens: dict[str, str], clock: world.Clock
) -> None:
    for _ in range(MOST_FAILURES):
        assert (await client.post("/api/v1/session", headers=bearer("guess"))).status_code == 401
    refused = await client.post("/api/v1/session", headers=bearer(tokens["operator"]))
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) <= WINDOW_S + 1
    assert (
        await client.get("/api/v1/units", headers=bearer(tokens["operator"]))
    ).status_code == 200
    clock.move(WINDOW_S)
    await _sign_in(client, tokens["operator"])


async def test_sign_in_and_out_are_audited(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    csrf = (await _sign_in(client, tokens["operator"]))["csrf"]
    await client.delete("/api/v1/session", headers={"X-CSRF-Token": csrf})
    async with pool.connection() as connection:
        cursor = await connection.execute("select who, action from audit order by audit_id")
        assert await cursor.fetchall() == [
            ("the operator", "sign_in"),
            ("the operator", "sign_out"),
        ]


async def test_signing_in_again_ends_the_browsers_session_before(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    await _sign_in(client, tokens["operator"])
    before = client.cookies["danhao_session"]
    await _sign_in(client, tokens["engineer"])
    assert client.cookies["danhao_session"] != before
    client.cookies.clear()
    client.cookies.set("danhao_session", before)
    assert (await client.get("/api/v1/session")).status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_sites_page_signs_nobody_in(
    client: httpx.AsyncClient, tokens: dict[str, str], site: str
) -> None:
    headers = bearer(tokens["operator"]) | {"Sec-Fetch-Site": site}
    answer = await client.post("/api/v1/session", headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_a_cookie_in_use_is_renewed_by_whatever_is_asked(
    client: httpx.AsyncClient, tokens: dict[str, str], clock: world.Clock
) -> None:
    body = await _sign_in(client, tokens["operator"])
    cookies = {client.cookies["danhao_session"]}
    for _ in range(3):
        clock.move(1800)
        assert (await client.get("/api/v1/units")).status_code == 200
        cookies.add(client.cookies["danhao_session"])
    assert len(cookies) == 2
    assert (await client.get("/api/v1/session")).json() == body
    written = await client.post("/api/v1/output", json=FACT, headers={"X-CSRF-Token": body["csrf"]})
    assert written.status_code == 201


async def test_a_stolen_cookie_ends_the_session_and_is_audited(
    client: httpx.AsyncClient, tokens: dict[str, str], clock: world.Clock, pool: Pool
) -> None:
    await _sign_in(client, tokens["operator"])
    stolen = client.cookies["danhao_session"]
    for seconds in (1800, 1801, 100, 100):
        clock.move(seconds)
        await client.get("/api/v1/units")
    newest = client.cookies["danhao_session"]
    for cookie in (stolen, newest):
        client.cookies.clear()
        client.cookies.set("danhao_session", cookie)
        assert (await client.get("/api/v1/units")).status_code == 401
    async with pool.connection() as connection:
        cursor = await connection.execute("select who, action from audit order by audit_id")
        assert (await cursor.fetchall())[-1] == ("the operator", "session_stolen")


async def test_a_bad_cookie_with_a_good_token_is_the_token(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    client.cookies.set("danhao_session", "stale")
    assert (await client.get("/api/v1/units")).status_code == 401
    answer = await client.get("/api/v1/session", headers=bearer(tokens["admin"]))
    assert (answer.json()["role"], answer.json()["csrf"]) == ("admin", None)
