"""Promise of the ways in: whatever a stranger sends, nobody is signed in and nothing breaks."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from api import oidc
from api.security import SIGN_IN
from tests.api import entry

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from fastapi import FastAPI

    from store.connection import Pool

TRIES = 150
PIECES = (
    "", "a", ".", "..", "\x00", "\x7f", "é", "'", '"', "%00", "%0d%0a", "{", "}", "null", "1e999",
    "-1", "../../etc", "<script>", "Bearer", "Basic", "admin", "li", "\\", "//", "x" * 300,
    "\U0001f512",
)  # fmt: skip
JSON_PIECES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, [], {}, "", "li", "\x00", "\u0000li", "x" * 2000, ["li"], {"a": 1},
    "\U0001f512",
)  # fmt: skip
METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS")


def _text(chance: random.Random) -> str:
    return "".join(chance.choice(PIECES) for _ in range(chance.randrange(4)))


def _header(chance: random.Random) -> bytes:
    """Return what can stand in a header: servers take no line ends in one."""
    return _text(chance).replace("\x00", "").replace("\x7f", "").encode()


def _request(chance: random.Random) -> dict[str, Any]:
    """Make up a request from pieces that break things."""
    path = chance.choice(sorted(path for _, path in SIGN_IN)).replace("{provider}", "plant")
    if chance.random() < 0.2:
        path = path.replace("plant", chance.choice(("x", "%2e%2e", "%00", "plant%2Fcallback", "é")))
    cookies = "; ".join(
        f"{name}={chance.choice(('', '.', 'a.b', 'plant.0.x.y', 'a.b.c.d', 'x' * 400))}"
        for name in ("danhao_session", "danhao_sign_in")
        if chance.random() < 0.5
    )
    headers: dict[str, bytes] = {"X-CSRF-Token": _header(chance), "User-Agent": _header(chance)}
    headers |= {"Cookie": cookies.encode()} if cookies else {}
    headers |= {"Authorization": _header(chance)} if chance.random() < 0.5 else {}
    request: dict[str, Any] = {"method": chance.choice(METHODS), "url": path, "headers": headers}
    request["params"] = {
        key: _text(chance)
        for key in ("to", "code", "state", "error", "iss")
        if chance.random() < 0.3
    }
    if chance.random() < 0.4:
        keys = ("name", "password", "old", "other")
        request["json"] = {key: chance.choice(JSON_PIECES) for key in keys}
    elif chance.random() < 0.5:
        request["content"] = chance.randbytes(chance.randrange(50))
        headers["Content-Type"] = chance.choice((b"application/json", b"text/plain", b"x"))
    return request


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_is_sent_nobody_gets_in_and_nothing_breaks(
    app: FastAPI, client: httpx.AsyncClient, pool: Pool, tmp_path: Path, seed: int
) -> None:
    shared = app.state.services
    shared.passwords = entry.cheap()
    # Nobody listens there: a sign-in that gets so far ends on the page, with a word.
    shared.providers = oidc.clients(entry.access("http://127.0.0.1:1", tmp_path), shared.ticks)
    await entry.account(pool, shared.passwords)
    chance = random.Random(seed)  # noqa: S311 - a seeded fault, not a secret
    statuses = set()
    for _ in range(TRIES):
        shared.throttle._table.clear()
        shared.names._table.clear()
        request = _request(chance)
        client.cookies.clear()
        answer = await client.request(**request)
        assert answer.status_code < 500, (request, answer.text)
        assert "danhao_session=" not in answer.headers.get("set-cookie", "")
        statuses.add(answer.status_code)
    assert statuses >= {200, 303, 401, 404, 415, 422}
    async with pool.connection() as connection:
        cursor = await connection.execute("select count(*) from session")
        assert await cursor.fetchone() == (0,)
