"""Promises of who goes on watching: a stream lives as long as the session that opened it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from api import access as seam
from api import security
from api.routers import live
from store import access, sessions
from store.sessions import Entered, Life, Origin
from tests.api import world

if TYPE_CHECKING:
    import pytest
    from fastapi import FastAPI

    from store.access import Holder
    from store.connection import Pool


def _request(token: str | None = None) -> Request:
    headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})


async def _holder(pool: Pool, tokens: dict[str, str]) -> Holder:
    async with pool.connection() as connection:
        found = await access.holder_of_token(connection, tokens["operator"], world.NOW)
    assert found is not None
    return found


async def _revoke(pool: Pool, holder: Holder) -> None:
    assert holder.token_id is not None
    async with pool.connection() as connection:
        await access.revoke_token(connection, holder.token_id, world.NOW)


async def test_a_stream_outlives_its_cookie_and_keeps_its_session_in_use(
    app: FastAPI, tokens: dict[str, str], pool: Pool, clock: world.Clock
) -> None:
    holder = await _holder(pool, tokens)
    async with pool.connection() as connection:
        opened = await sessions.open_session(
            connection, holder, world.NOW, Life(), Origin("::1", "b")
        )
    session = Entered(opened.session_id, holder, opened.csrf)
    ask = live._still_valid(_request(), app.state.services, seam.principal_of(holder, session))
    cookies = {opened.cookie}
    cookie = opened.cookie
    for _ in range(7):
        clock.move(1800)
        assert await ask()
        async with pool.connection() as connection:
            shown = await sessions.enter(connection, cookie, clock(), Life())
        assert isinstance(shown, Entered)
        cookie = shown.cookie or cookie
        cookies.add(cookie)
    assert len(cookies) > 2
    for _ in range(3):
        clock.move(3599)
        assert await ask()
    await _revoke(pool, holder)
    assert not await ask()


async def test_a_stream_by_token_ends_with_the_token(
    app: FastAPI, tokens: dict[str, str], pool: Pool
) -> None:
    holder = await _holder(pool, tokens)
    request = _request(tokens["operator"])
    ask = live._still_valid(request, app.state.services, seam.principal_of(holder))
    assert await ask()
    await _revoke(pool, holder)
    assert not await ask()


async def test_while_the_store_is_out_a_stream_goes_on(
    app: FastAPI, tokens: dict[str, str], pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = await _holder(pool, tokens)
    ask = live._still_valid(_request("x"), app.state.services, seam.principal_of(holder))

    def out(*_arguments: Any) -> None:
        raise security.STORE_IS_OUT[0]

    monkeypatch.setattr(pool, "connection", out)
    assert await ask()
