"""Promises of limits and indicators as the API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.catalogue_schemas import IndicatorItem, LimitItem
from api.schemas import Page
from core import limits
from tests.api.world import bearer

if TYPE_CHECKING:
    import httpx


async def test_limits_are_shown_with_clause_and_source_as_exact_strings(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get("/api/v1/limits", headers=bearer(tokens["regulator"]))
    Page[LimitItem].model_validate_json(answer.content)
    items = {one["id"]: one for one in answer.json()["items"]}
    assert set(items) == set(limits.catalogue())
    target = items["cn-qh.al.liquid.ac.target-2020"]
    assert (target["value"], target["cmp"], target["force"]) == ("12750", "<=", "target")
    assert (target["due"], target["valid_to"]) == ("2020-12-31", None)
    assert all(one["source"] and one["clause"] for one in items.values())


async def test_one_limit_is_shown_as_the_list_shows_it(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    items = (await client.get("/api/v1/limits", headers=bearer(tokens["operator"]))).json()["items"]
    one = await client.get(f"/api/v1/limits/{items[0]['id']}", headers=bearer(tokens["operator"]))
    assert one.json() == items[0]


async def test_an_unknown_limit_names_the_nearest(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get(
        "/api/v1/limits/cn-qh.al.liquid.ac.target-2021", headers=bearer(tokens["operator"])
    )
    assert answer.status_code == 404
    assert "cn-qh.al.liquid.ac.target-2020" in answer.json()["near"]
    assert "cn-qh.al.liquid.ac.target-2020" in answer.json()["detail"]
    assert answer.json()["type"] == "urn:danhao:problem:unknown-limit"


async def test_limits_of_one_indicator(client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    headers = bearer(tokens["operator"])
    answer = await client.get(
        "/api/v1/limits", params={"indicator": "al.liquid.ac"}, headers=headers
    )
    assert {one["indicator"] for one in answer.json()["items"]} == {"al.liquid.ac"}
    wrong = await client.get("/api/v1/limits", params={"indicator": "al.none"}, headers=headers)
    assert wrong.status_code == 422


async def test_indicators_carry_names_and_formula(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get("/api/v1/indicators", headers=bearer(tokens["operator"]))
    Page[IndicatorItem].model_validate_json(answer.content)
    assert "al.liquid.ac" in [one["id"] for one in answer.json()["items"]]


@pytest.mark.parametrize("path", ["/api/v1/limits", "/api/v1/indicators"])
async def test_what_the_caller_has_already_is_answered_304(
    client: httpx.AsyncClient, tokens: dict[str, str], path: str
) -> None:
    headers = bearer(tokens["operator"])
    tag = (await client.get(path, headers=headers)).headers["etag"]
    same = await client.get(path, headers={**headers, "If-None-Match": f'"x", W/{tag}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    other = await client.get(path, headers={**headers, "If-None-Match": '"x"'})
    assert other.status_code == 200


async def test_pages_of_limits_join(client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    seen: list[str] = []
    params: dict[str, str] = {"limit": "2"}
    while True:
        page = (
            await client.get("/api/v1/limits", params=params, headers=bearer(tokens["operator"]))
        ).json()
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert seen == sorted(limits.catalogue())
