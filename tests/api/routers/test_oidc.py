"""Promises of signing in at an identity provider: a real one over HTTP, and one that lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from api.app import create_app
from api.config import Settings
from api.throttle import MOST_FAILURES
from store import accounts
from tests.api import entry, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from simulators import identity
    from store.connection import Pool

BEGIN = "/api/v1/session/oidc/plant"


@pytest.fixture
def server(clock: world.Clock) -> Iterator[identity.Server]:
    with entry.provider(clock) as found:
        yield found


class Browsers:
    """Makes browsers of services that are told differently about the provider."""

    def __init__(self, url: str, pool: Pool, clock: world.Clock, issuer: str, folder: Path) -> None:
        self._given = (url, pool, clock, issuer, folder)

    def one(self, **changed: Any) -> httpx.AsyncClient:
        """Return a browser of a new service with these settings of the provider."""
        url, pool, clock, issuer, folder = self._given
        settings = Settings(database_url=url, access=entry.access(issuer, folder, **changed))
        app = create_app(settings, pool, clock, ticks=clock.ticks)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=entry.BASE)


@pytest_asyncio.fixture
async def browsers(
    database_url: str,
    pool: Pool,
    tokens: dict[str, str],
    clock: world.Clock,
    server: identity.Server,
    tmp_path: Path,
) -> Browsers:
    assert tokens
    return Browsers(database_url, pool, clock, server.url, tmp_path)


@pytest_asyncio.fixture
async def browser(browsers: Browsers) -> AsyncIterator[httpx.AsyncClient]:
    async with browsers.one() as found:
        yield found


def _why(answer: httpx.Response, place: str = "/p/gh-al") -> str:
    """Return the word that the page is told, and check that nobody is signed in."""
    assert answer.status_code == 303
    assert "danhao_session=" not in answer.headers.get("set-cookie", "")
    path, _, word = answer.headers["location"].partition("#sign-in=")
    assert path == place
    return str(word)


async def test_a_person_signs_in_and_is_where_they_wanted_to_be(
    browser: httpx.AsyncClient, pool: Pool
) -> None:
    answer = await entry.sign_in(browser, "li", "/p/gh-al/u/potline-1?span=day")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/p/gh-al/u/potline-1?span=day"
    cookies = answer.headers.get_list("set-cookie")
    assert any("danhao_session=" in one and "SameSite=strict" in one for one in cookies)
    assert any(one.startswith('danhao_sign_in=""') for one in cookies)
    session = (await browser.get("/api/v1/session")).json()
    assert (session["name"], session["role"], session["scope"], session["how"]) == (
        "li.wei@plant",
        "operator",
        ["site:gh-al"],
        "provider",
    )
    assert (await browser.get("/api/v1/units")).status_code == 200
    assert await entry.audited(pool) == [("li.wei@plant", "sign_in")]


async def test_the_first_grant_that_matches_gives_the_role(browser: httpx.AsyncClient) -> None:
    await entry.sign_in(browser, "wang")
    session = (await browser.get("/api/v1/session")).json()
    assert (session["name"], session["role"]) == ("王芳@plant", "engineer")


async def test_who_is_in_no_granted_group_is_told_so_and_gets_nothing(
    browser: httpx.AsyncClient, pool: Pool
) -> None:
    assert _why(await entry.sign_in(browser, "zhao")) == "no_grant"
    assert (await browser.get("/api/v1/session")).status_code == 401
    async with pool.connection() as connection:
        assert await accounts.everyone(connection) == []


async def test_a_wrong_password_at_the_provider_comes_back_as_denied(
    browser: httpx.AsyncClient,
) -> None:
    assert _why(await entry.sign_in(browser, "li", password="wrong")) == "denied"


async def test_a_disabled_person_stays_out_and_it_is_audited(
    browser: httpx.AsyncClient, pool: Pool, clock: world.Clock
) -> None:
    await entry.sign_in(browser, "li")
    async with pool.connection() as connection:
        account = await accounts.find(connection, "li.wei@plant")
        assert account is not None
        await accounts.disable(connection, account.account_id, clock())
    assert (await browser.get("/api/v1/session")).status_code == 401
    assert _why(await entry.sign_in(browser, "li")) == "disabled"
    assert (await entry.audited(pool))[-1] == ("li.wei@plant", "sign_in_refused")


async def test_a_code_is_good_once(browser: httpx.AsyncClient) -> None:
    begun = await browser.get(BEGIN, params={"to": "/p/gh-al"})
    cookie = browser.cookies["danhao_sign_in"]
    back = await entry.at_provider(begun.headers["location"], "li")
    assert (await browser.get(back)).headers["location"] == "/p/gh-al"
    browser.cookies.clear()
    browser.cookies.set("danhao_sign_in", cookie)
    assert _why(await browser.get(back)) == "provider"


async def test_an_answer_in_another_browser_signs_nobody_in(
    browser: httpx.AsyncClient, browsers: Browsers
) -> None:
    begun = await browser.get(BEGIN)
    back = await entry.at_provider(begun.headers["location"], "li")
    async with browsers.one() as victim:
        assert _why(await victim.get(back), "/") == "stale"
        await victim.get(BEGIN)
        assert _why(await victim.get(back), "/") == "stale"


async def test_a_sign_in_that_took_too_long_begins_anew(
    browser: httpx.AsyncClient, clock: world.Clock
) -> None:
    begun = await browser.get(BEGIN)
    back = await entry.at_provider(begun.headers["location"], "li")
    clock.move(601)
    assert _why(await browser.get(back), "/") == "stale"


async def test_a_client_with_a_wrong_secret_is_told_so(browsers: Browsers, tmp_path: Path) -> None:
    other = tmp_path / "other.secret"
    other.write_text("another secret than that")
    other.chmod(0o600)
    async with browsers.one(client_secret_file=other) as browser:
        assert _why(await entry.sign_in(browser, "li")) == "provider"


async def test_a_provider_that_is_out_leads_back_to_the_page(
    clock: world.Clock, browsers: Browsers, server: identity.Server
) -> None:
    server.shutdown()
    server.server_close()
    async with browsers.one() as browser:
        answer = await browser.get(BEGIN, params={"to": "/p/gh-al"})
        assert _why(answer) == "provider"
        assert (await browser.get("/readyz")).status_code in (200, 503)
    clock.move(1)


async def test_guessing_at_the_callback_is_throttled(browser: httpx.AsyncClient) -> None:
    for _ in range(MOST_FAILURES):
        assert _why(await browser.get(f"{BEGIN}/callback?code=x&state=y"), "/") == "stale"
    assert (await browser.get(f"{BEGIN}/callback?code=x&state=y")).status_code == 429


async def test_an_unknown_provider_is_a_problem(browser: httpx.AsyncClient) -> None:
    for path in ("nobody", "nobody/callback", "nobody/leave"):
        answer = await browser.get(f"/api/v1/session/oidc/{path}")
        assert answer.status_code == 404


async def test_the_way_out_leads_over_the_provider(browser: httpx.AsyncClient) -> None:
    await entry.sign_in(browser, "li")
    leave = (await browser.get("/api/v1/session")).json()["leave"]
    away = await browser.get(leave)
    assert away.status_code == 303
    async with httpx.AsyncClient(trust_env=False) as outside:
        back = await outside.get(away.headers["location"])
    assert back.headers["location"] == f"{entry.BASE}/"


async def test_who_signs_out_at_the_provider_is_signed_out_everywhere_here(
    browsers: Browsers, server: identity.Server, pool: Pool
) -> None:
    async with browsers.one() as first, browsers.one() as second, browsers.one() as other:
        for browser, person in ((first, "li"), (second, "li"), (other, "wang")):
            await entry.sign_in(browser, person)
        for subject, ends in (("s-9", False), ("s-1", True), ("s-1", True)):
            token = server.provider.logout_token(subject)
            told = await second.post(f"{BEGIN}/logout", data={"logout_token": token})
            assert told.status_code == 200, told.text
            for browser in (first, second):
                status = (await browser.get("/api/v1/session")).status_code
                assert status == (401 if ends else 200)
        assert (await other.get("/api/v1/session")).status_code == 200
        refused = await other.post(f"{BEGIN}/logout", data={"logout_token": "x"})
        assert refused.status_code == 400
        assert refused.headers["cache-control"] == "no-store"
    rows = [row for row in await entry.audited(pool) if row[1] == "sign_out_by_provider"]
    assert rows == [("li.wei@plant", "sign_out_by_provider")]


async def test_the_page_of_a_stranger_is_told_the_ways_in(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/api/v1/session/ways")).json() == {
        "password": False,
        "token": True,
        "providers": [
            {
                "id": "plant",
                "name": {"zh": "厂内统一登录", "en": "Plant sign-in"},
                "begin": "/api/v1/session/oidc/plant",
            }
        ],
    }
