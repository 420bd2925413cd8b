"""Promises of entity tags: unchanged answers are not sent again, changed ones always are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from api.etags import Etags, matches
from tests.api.world import bearer

if TYPE_CHECKING:
    from starlette.requests import Request


@pytest.mark.parametrize(
    ("asked", "same"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("", False)],
)
def test_a_tag_is_found_as_the_standard_says(asked: str, same: bool) -> None:  # noqa: FBT001 - a case
    assert matches(asked, '"a"') is same


async def _told(_request: Request) -> JSONResponse:
    return JSONResponse({"a": 1})


async def _other(request: Request) -> PlainTextResponse | StreamingResponse | JSONResponse:
    kind = request.query_params["kind"]
    if kind == "text":
        return PlainTextResponse("a")
    if kind == "stream":
        return StreamingResponse(iter([b"[1,", b"2]"]), media_type="application/json")
    return (
        JSONResponse({}, status_code=404)
        if kind == "404"
        else JSONResponse({}, headers={"Cache-Control": "no-store"})
    )


async def test_what_is_no_whole_json_answer_passes_untouched() -> None:
    app = Starlette(routes=[Route("/told", _told), Route("/other", _other)])
    transport = httpx.ASGITransport(app=Etags(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        assert "etag" in (await client.get("/told")).headers
        for kind in ("text", "stream", "404", "secret"):
            answer = await client.get(
                "/other", params={"kind": kind}, headers={"If-None-Match": "*"}
            )
            assert "etag" not in answer.headers
            assert answer.content


async def test_an_unchanged_list_is_not_sent_again_and_a_changed_one_is(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    path = "/api/v1/units/gh-al.potline-1/intensity"
    first = await client.get(path, headers=bearer(tokens["operator"]))
    tag = first.headers["etag"]
    asked = bearer(tokens["operator"]) | {"If-None-Match": tag}
    again = await client.get(path, headers=asked)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    other = await client.get(path, params={"period": "day"}, headers=asked)
    assert other.status_code == 200
    assert other.headers["etag"] != tag
