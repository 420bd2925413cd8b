"""Promises of the whole application: nobody strange gets in, every error is a problem document."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter

from api import security
from api.app import PUBLIC, check_actions, routes
from api.deps import Allow
from tests.api.world import bearer

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI

    from store.connection import Pool


def _concrete(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "00000000-0000-0000-0000-000000000000", path)


async def test_every_route_but_the_public_ones_answers_401_without_a_token(
    client: httpx.AsyncClient,
) -> None:
    seen = 0
    for route in routes():
        for method in route.methods or ():
            if (method, route.path) in PUBLIC and route.path != "/api/v1/session":
                continue
            answer = await client.request(method, _concrete(route.path))
            assert answer.status_code == 401, f"{method} {route.path}"
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer")
            seen += 1
    assert seen >= 18


async def test_every_route_of_the_application_is_walked(app: FastAPI) -> None:
    described = {
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    walked = {(method, route.path) for route in routes() for method in route.methods or ()}
    assert described <= walked


def test_every_route_declares_exactly_one_action_or_is_public_by_name() -> None:
    for route in routes():
        declared = [one for one in route.dependencies if isinstance(one.dependency, Allow)]
        assert len(declared) == 1 or all((m, route.path) in PUBLIC for m in route.methods or ())


def test_a_route_without_an_action_does_not_start() -> None:
    router = APIRouter()

    @router.get("/api/v1/open-door")
    async def door() -> None: ...

    with pytest.raises(AssertionError, match="open-door declares no action"):
        check_actions([router])


@pytest.mark.parametrize("path", ["/api", "/api/v1/nothing", "/metrics", "/openapi.json", "/docs"])
async def test_a_stranger_learns_nothing_below_the_guarded_paths(
    client: httpx.AsyncClient, path: str
) -> None:
    assert (await client.get(path)).status_code == 401


@pytest.mark.parametrize("path", ["/", "/p/gh-al", "/p/gh-al/u/potline-1", "/healthz"])
async def test_the_page_and_the_health_of_the_process_are_public(
    client: httpx.AsyncClient, path: str
) -> None:
    assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {'x' * 10_000}",
        "Basic YTpi",
        "",
    ],
)
async def test_a_token_that_is_none_is_a_stranger(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.get("/api/v1/units", headers={"Authorization": header})
    assert answer.status_code == 401


async def test_an_unknown_path_is_a_problem_for_those_inside(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get("/api/v1/nothing", headers=bearer(tokens["admin"]))
    _is_problem(answer, 404)


async def test_a_wrong_method_is_a_problem(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    _is_problem(await client.put("/api/v1/units", headers=bearer(tokens["admin"])), 405)


async def test_a_wrong_parameter_is_a_problem_that_names_it(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get(
        "/api/v1/units", params={"limit": "many"}, headers=bearer(tokens["admin"])
    )
    problem = _is_problem(answer, 422)
    assert problem["errors"][0]["parameter"] == "limit"


async def test_a_fault_of_ours_is_a_problem_with_an_id_that_the_log_has(
    app: FastAPI,
    client: httpx.AsyncClient,
    tokens: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    app.state.services.plants = None  # what no deployment does
    answer = await client.get("/api/v1/units", headers=bearer(tokens["admin"]))
    problem = _is_problem(answer, 500)
    assert problem["instance"] in caplog.text
    assert "NoneType" not in answer.text


async def test_a_store_that_is_out_is_503_and_the_process_lives(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    await pool.close()
    problem = _is_problem(await client.get("/api/v1/units", headers=bearer(tokens["admin"])), 503)
    assert "try again" in problem["detail"]
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["checks"]["database"] == "out"
    assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/v1/units", "/api/v1/nothing"])
async def test_every_answer_carries_the_safe_headers(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    for name, value in security.HEADERS.items():
        assert answer.headers[name] == value


async def test_what_is_private_is_not_stored_by_caches(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get("/api/v1/units", headers=bearer(tokens["admin"]))
    assert "no-store" in answer.headers["cache-control"]


async def test_openapi_describes_every_route_with_its_errors(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    description = (await client.get("/openapi.json", headers=bearer(tokens["operator"]))).json()
    assert description["info"]["title"] == "Danhao"
    for path in ("/api/v1/units", "/api/v1/points/{point}/energy", "/api/v1/output"):
        operation: dict[str, Any] = description["paths"][path]["get"]
        assert operation["description"]
        assert "401" in operation["responses"]


async def test_docs_load_nothing_from_anywhere(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get("/docs", headers=bearer(tokens["operator"]))
    assert answer.status_code == 200
    assert "/api/v1/units/{unit}/intensity" in answer.text
    assert not re.search(r"<script|<style|<link|style=|https?://", answer.text)


def _is_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:danhao:problem:")
    assert problem["instance"].startswith("urn:uuid:")
    assert problem["detail"]
    assert problem["title"]
    return problem
