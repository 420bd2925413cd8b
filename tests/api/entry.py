"""A small world of people: local accounts, and an identity provider of the simulators."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from api.access_settings import Access
from api.passwords import Passwords
from simulators import identity
from store import accounts
from tests.api import world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from store.connection import Pool

BASE = "http://127.0.0.1:8080"
SECRET = "the secret of the client"
PASSWORD = "correct horse 7 staple"
CALLBACK = f"{BASE}/api/v1/session/oidc/plant/callback"
PEOPLE = {
    "li": identity.Somebody("s-1", "li.wei", "li's password", ("staff", "operators")),
    "wang": identity.Somebody("s-2", "王芳", "wang's password", ("engineers", "operators")),
    "zhao": identity.Somebody("s-3", "zhao", "zhao's password", ("canteen",)),
}
GRANTS: list[dict[str, Any]] = [
    {"group": "engineers", "role": "engineer", "scope": ["site:gh-al"]},
    {"group": "operators", "role": "operator", "scope": ["site:gh-al"]},
    {"group": "inspectors", "role": "regulator", "scope": ["jurisdiction:cn-qh"]},
]


def cheap() -> Passwords:
    """Hash with costs that a test can wait for."""
    return Passwords(time_cost=1, memory_kib=64)


@contextmanager
def provider(clock: Callable[[], datetime]) -> Iterator[identity.Server]:
    """Yield a provider that listens; it is closed at the end."""
    client = identity.Registered("danhao", CALLBACK, SECRET)
    with identity.Server(0, PEOPLE, client, clock) as server:
        worker = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        worker.start()
        try:
            yield server
        finally:
            server.shutdown()
            worker.join(10)


def access(issuer: str, folder: Path, **changed: Any) -> Access:
    """Return settings that believe this provider."""
    secret = folder / "oidc.secret"
    secret.write_text(f"{SECRET}\n", encoding="utf-8")
    secret.chmod(0o600)
    row = {
        "name": {"zh": "厂内统一登录", "en": "Plant sign-in"},
        "issuer": issuer,
        "client_id": "danhao",
        "client_secret_file": secret,
        "grant": GRANTS,
    }
    return Access.model_validate({"public_url": BASE, "provider": {"plant": row | changed}})


async def at_provider(address: str, person: str, password: str | None = None) -> str:
    """Fill in the provider's page as a person does; return where it sends the browser."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        page = await browser.get(address)
        assert page.status_code == 200, page.text
        fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        asked = dict(parse_qsl(urlsplit(address).query))
        assert fields.keys() == asked.keys()
        given = PEOPLE[person].password if password is None else password
        answer = await browser.post(
            page.url.copy_with(query=None), data={**asked, "person": person, "password": given}
        )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def sign_in(
    client: httpx.AsyncClient, person: str, to: str = "/p/gh-al", password: str | None = None
) -> httpx.Response:
    """Go the whole way of a browser; return the answer of the callback."""
    begun = await client.get("/api/v1/session/oidc/plant", params={"to": to})
    assert begun.status_code == 303, begun.text
    back = await at_provider(begun.headers["location"], person, password)
    return await client.get(back)


async def account(
    pool: Pool, passwords: Passwords, name: str = "li", **changed: Any
) -> accounts.Account:
    """Make a local account of an operator."""
    given: Mapping[str, Any] = {"role": "operator", "scope": ["site:gh-al"]} | changed
    hashed = await passwords.hash(PASSWORD)
    async with pool.connection() as connection:
        return await accounts.create_local(
            connection, name=name, password_hash=hashed, now=world.NOW, **given
        )


async def audited(pool: Pool) -> list[tuple[str, str]]:
    """Return who did what, the first first."""
    async with pool.connection() as connection:
        cursor = await connection.execute("select who, action from audit order by audit_id")
        return await cursor.fetchall()
