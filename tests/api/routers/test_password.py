"""Promises of signing in with name and password, and of what people change of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from api.throttle import MOST_FAILURES, NAME_FAILURES, NAME_WINDOW_S, WINDOW_S
from store import accounts
from tests.api import entry, world
from tests.api.entry import PASSWORD
from tests.api.world import bearer

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI

    from api.passwords import Passwords
    from store.connection import Pool

PATH = "/api/v1/session/password"


@pytest_asyncio.fixture
async def passwords(app: FastAPI) -> Passwords:
    found: Passwords = entry.cheap()
    app.state.services.passwords = found
    return found


@pytest_asyncio.fixture
async def li(pool: Pool, passwords: Passwords) -> accounts.Account:
    return await entry.account(pool, passwords)


async def _try(client: httpx.AsyncClient, name: str, password: str) -> httpx.Response:
    return await client.post(PATH, json={"name": name, "password": password})


async def _csrf(client: httpx.AsyncClient, name: str = "li") -> dict[str, str]:
    answer = await _try(client, name, PASSWORD)
    assert answer.status_code == 200, answer.text
    return {"X-CSRF-Token": answer.json()["csrf"]}


async def test_name_and_password_give_a_session(
    client: httpx.AsyncClient, li: accounts.Account, pool: Pool
) -> None:
    answer = await _try(client, " LI ", PASSWORD)
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["how"]) == ("li", "password")
    assert "danhao_session=" in answer.headers["set-cookie"]
    assert (await client.get("/api/v1/session")).json() == answer.json()
    assert (await client.get("/api/v1/units")).status_code == 200
    assert await entry.audited(pool) == [("li", "sign_in")]
    async with pool.connection() as connection:
        found = await accounts.find(connection, li.name)
    assert found is not None
    assert found.seen_at == world.NOW


@pytest.mark.usefixtures("li")
async def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    answers = [await _try(client, name, "wrong") for name in ("li", "nobody", "the operator", "\0")]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.json()["type"] for answer in answers} == {"urn:danhao:problem:wrong-password"}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert all("set-cookie" not in answer.headers for answer in answers)
    assert await entry.audited(pool) == [("li", "sign_in_refused")]


async def test_a_disabled_account_is_as_if_it_were_not_there(
    client: httpx.AsyncClient, li: accounts.Account, pool: Pool
) -> None:
    async with pool.connection() as connection:
        await accounts.disable(connection, li.account_id, world.NOW)
    assert (await _try(client, "li", PASSWORD)).status_code == 401


@pytest.mark.usefixtures("li")
async def test_guessing_is_throttled_by_address_and_ends_by_itself(
    client: httpx.AsyncClient, clock: world.Clock
) -> None:
    for number in range(MOST_FAILURES):
        assert (await _try(client, f"n{number}", "wrong")).status_code == 401
    refused = await _try(client, "li", PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= WINDOW_S + 1
    clock.move(WINDOW_S)
    assert (await _try(client, "li", PASSWORD)).status_code == 200


@pytest.mark.usefixtures("li")
async def test_guessing_is_throttled_by_name_from_wherever(
    app: FastAPI, client: httpx.AsyncClient, clock: world.Clock
) -> None:
    for number in range(NAME_FAILURES):
        app.state.services.throttle._table.clear()  # as if from another address
        assert (await _try(client, "li", f"wrong {number}")).status_code == 401
    app.state.services.throttle._table.clear()
    assert (await _try(client, "LI", PASSWORD)).status_code == 429
    clock.move(NAME_WINDOW_S)
    assert (await _try(client, "li", PASSWORD)).status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"name":"li","password":"x"}', "text/plain", 415),
        (b"name=li&password=x", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 422),
        (b'{"name":"li"}', "application/json", 422),
        (b'{"name":"li","password":7}', "application/json", 422),
        (b'{"name":"' + b"x" * 5000 + b'"}', "application/json", 413),
    ],
)
@pytest.mark.usefixtures("passwords")
async def test_a_body_that_is_none_is_a_problem(
    client: httpx.AsyncClient, body: bytes, kind: str, status: int
) -> None:
    answer = await client.post(PATH, content=body, headers={"Content-Type": kind})
    assert answer.status_code == status


@pytest.mark.usefixtures("passwords")
async def test_a_problem_never_repeats_the_password(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json={"name": 7, "password": "hunter2 hunter2"})
    assert answer.status_code == 422
    assert "hunter2" not in answer.text


async def test_another_sites_page_signs_nobody_in(
    client: httpx.AsyncClient, li: accounts.Account
) -> None:
    answer = await client.post(
        PATH,
        json={"name": li.name, "password": PASSWORD},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 403


async def test_a_hash_of_other_costs_is_made_anew_at_sign_in(
    app: FastAPI, client: httpx.AsyncClient, li: accounts.Account, pool: Pool
) -> None:
    app.state.services.passwords = type(entry.cheap())(time_cost=2, memory_kib=64)
    assert (await _try(client, "li", PASSWORD)).status_code == 200
    async with pool.connection() as connection:
        found = await accounts.find(connection, "li")
    assert found is not None
    assert found.password_hash != li.password_hash
    assert "t=2" in str(found.password_hash)
    assert (await _try(client, "li", PASSWORD)).status_code == 200


@pytest.mark.usefixtures("li")
async def test_the_ways_in_name_passwords_where_somebody_has_one(
    client: httpx.AsyncClient,
) -> None:
    expected = {"password": True, "token": True, "providers": []}
    assert (await client.get("/api/v1/session/ways")).json() == expected


@pytest.mark.usefixtures("li")
async def test_people_change_their_password_and_their_other_sessions_end(
    app: FastAPI, client: httpx.AsyncClient, pool: Pool
) -> None:
    await _csrf(client)
    other = client.cookies["danhao_session"]
    client.cookies.clear()
    csrf = await _csrf(client)
    new = "another 9 horse staple"
    answer = await client.post(
        "/api/v1/account/password", json={"old": PASSWORD, "new": new}, headers=csrf
    )
    assert answer.status_code == 200, answer.text
    assert (await client.get("/api/v1/session")).json()["csrf"] == answer.json()["csrf"]
    assert answer.json()["csrf"] != csrf["X-CSRF-Token"]
    client.cookies.clear()
    client.cookies.set("danhao_session", other)
    assert (await client.get("/api/v1/session")).status_code == 401
    assert (await _try(client, "li", PASSWORD)).status_code == 401
    app.state.services.throttle._table.clear()
    assert (await _try(client, "li", new)).status_code == 200
    assert ("li", "change_password") in await entry.audited(pool)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"old": "wrong", "new": "another 9 horse staple"}, 403),
        ({"old": PASSWORD, "new": PASSWORD}, 422),
        ({"old": PASSWORD, "new": "short"}, 422),
        ({"old": PASSWORD, "new": "lilililililili"}, 422),
    ],
)
@pytest.mark.usefixtures("li")
async def test_a_password_is_changed_by_its_owner_to_a_good_one_only(
    client: httpx.AsyncClient, given: dict[str, str], status: int
) -> None:
    csrf = await _csrf(client)
    answer = await client.post("/api/v1/account/password", json=given, headers=csrf)
    assert answer.status_code == status
    assert (await client.get("/api/v1/session")).status_code == 200


async def test_a_token_has_no_password(client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    answer = await client.post(
        "/api/v1/account/password",
        json={"old": "a", "new": "another 9 horse staple"},
        headers=bearer(tokens["admin"]),
    )
    assert answer.status_code == 409


@pytest.mark.usefixtures("li")
async def test_people_see_their_own_sessions_and_end_them(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    await client.post("/api/v1/session", headers=bearer(tokens["operator"]))
    client.cookies.clear()
    csrf: dict[str, str] = {}
    for browser in ("first", "second", "third"):
        client.cookies.clear()
        client.headers["User-Agent"] = browser
        csrf = await _csrf(client)
    listed = (await client.get("/api/v1/sessions")).json()["items"]
    assert {one["browser"] for one in listed} == {"first", "second", "third"}
    assert [one["browser"] for one in listed if one["current"]] == ["third"]
    assert {one["address"] for one in listed} == {"127.0.0.1"}
    first = next(one["id"] for one in listed if one["browser"] == "first")
    assert (await client.delete(f"/api/v1/sessions/{first}", headers=csrf)).status_code == 204
    assert (await client.delete(f"/api/v1/sessions/{first}", headers=csrf)).status_code == 404
    assert (await client.delete("/api/v1/sessions", headers=csrf)).status_code == 204
    left = (await client.get("/api/v1/sessions")).json()["items"]
    assert [one["browser"] for one in left] == ["third"]
    operators = await client.get("/api/v1/sessions", headers=bearer(tokens["operator"]))
    assert len(operators.json()["items"]) == 1
    assert [action for who, action in await entry.audited(pool) if who == "li"][-2:] == [
        "end_sessions",
        "end_sessions",
    ]


async def test_nobody_ends_the_session_of_somebody_else(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    await client.post("/api/v1/session", headers=bearer(tokens["operator"]))
    (mine,) = (await client.get("/api/v1/sessions")).json()["items"]
    client.cookies.clear()
    answer = await client.delete(f"/api/v1/sessions/{mine['id']}", headers=bearer(tokens["admin"]))
    assert answer.status_code == 404
