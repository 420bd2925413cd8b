"""Promises of serving the page: cached right, never outside its folder, a sentence when absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI

from api import problems, static

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    built = tmp_path / "static"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html><title>page</title>")
    (built / "assets" / "index-4f2a.js").write_text("export {}")
    (built / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("classified")
    (built / "assets" / "link.txt").symlink_to(tmp_path / "secret.txt")
    return built


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(folder) as found:
        yield found


def _client(folder: Path) -> httpx.AsyncClient:
    app = FastAPI()
    problems.install(app)
    app.include_router(static.page_router(folder))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://danhao.test")


@pytest.mark.parametrize("path", ["/", "/p/gh-al", "/p/gh-al/u/potline-1", "/index.html", "/x.y"])
async def test_every_path_of_the_page_is_the_page_and_is_asked_for_anew(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert "<title>page</title>" in answer.text
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-type"].startswith("text/html")
    assert (await client.head(path)).content == b""


async def test_a_hashed_asset_is_kept_for_ever_and_a_missing_one_is_404(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/assets/index-4f2a.js")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith(("text/javascript", "application/javascript"))
    assert (await client.get("/assets/index-0000.js")).status_code == 404
    assert (await client.get("/favicon.svg")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/../../secret.txt",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
        "//etc/passwd",
        "/assets/link.txt",
        "/%00",
        "/" + "x" * 3000,
    ],
)
async def test_nothing_outside_the_folder_is_served(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert "classified" not in answer.text
    assert "root:" not in answer.text
    assert answer.status_code in {200, 404}


@pytest.mark.parametrize("path", ["/api", "/api/v2", "/metrics/x", "/docs/x"])
async def test_what_the_api_owns_is_never_the_page(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_page_that_was_not_built_is_one_plain_sentence(tmp_path: Path) -> None:
    async with _client(tmp_path / "nothing") as client:
        answer = await client.get("/")
    assert answer.status_code == 200
    assert answer.text == static.NOT_BUILT
