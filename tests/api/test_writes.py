"""Every route that writes is walked: no write without its row in the audit, and neither alone.

Whoever adds a route that writes adds a step here; until then the last promise fails.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql

from api import oidc
from api.app import routes
from api.security import SIGN_IN
from core import periods
from core.clock import to_us
from store import access, accounts, sessions, tables
from store.accounts import Vouched
from tests.api import entry, world
from tests.api.routers import test_cases, test_closes
from tests.api.routers.test_output import FACT
from tests.api.routers.test_silences import outage, shelving
from tests.api.told import tell
from tests.api.world import METER, NOW, bearer
from tests.store.test_closing import signer
from tests.story import START

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from fastapi import FastAPI

    from api.deps import Services
    from store.connection import Pool

SAFE = {"GET", "HEAD", "OPTIONS"}
LOGOUT = "/api/v1/session/oidc/{provider}/logout"
CLOSING = ("POST", "/api/v1/sites/{site}/closes")
BROKEN = (
    "create function refuse_audit() returns trigger language plpgsql as"
    " $$ begin raise exception 'the audit is out'; end $$;"
    "create trigger out before insert on audit for each statement execute function refuse_audit()"
)
MENDED = "drop trigger out on audit; drop function refuse_audit()"


def _writes() -> set[tuple[str, str]]:
    return {
        (method, route.path) for route in routes() for method in (route.methods or set()) - SAFE
    }


class Walk:
    """Takes each step twice: while the audit takes no rows, and then in earnest."""

    def __init__(self, client: httpx.AsyncClient, pool: Pool) -> None:
        self.client, self.pool = client, pool
        self.done: set[tuple[str, str]] = set()

    async def step(
        self, method: str, path: str, who: str, headers: dict[str, str], **request: Any
    ) -> dict[str, Any]:
        """Send a request whose path is written as `/a/{b:value}`; return its answer."""
        route = re.sub(r"\{([a-z]+):[^}]*\}", r"{\1}", path)
        address = re.sub(r"\{[a-z]+:([^}]*)\}", r"\1", path)
        cookies = dict(self.client.cookies)
        await self._execute(BROKEN)
        before = await self._digest()
        refused = await self.client.request(method, address, headers=headers, **request)
        assert refused.status_code == 500, f"{method} {route} writes no audit: {refused.text}"
        assert await self._digest() == before, f"{method} {route} writes without the audit"
        assert "set-cookie" not in refused.headers
        await self._execute(MENDED)
        assert dict(self.client.cookies) == cookies
        rows = await self._rows()
        answer = await self.client.request(method, address, headers=headers, **request)
        assert 200 <= answer.status_code < 300, f"{method} {route}: {answer.text}"
        new = (await self._rows())[len(rows) :]
        assert new, f"{method} {route} left no row in the audit"
        assert {row[0] for row in new} == {who}
        assert all(row[1] and row[2] for row in new)
        self.done.add((method, route))
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    async def _execute(self, statement: str) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(statement.encode())

    async def _rows(self) -> list[tuple[str, str, str]]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                "select who, action, subject from audit order by audit_id"
            )
            return await cursor.fetchall()

    async def _digest(self) -> Counter[str]:
        """Return what every table holds, but for the numbers that identity columns gave out."""
        found: Counter[str] = Counter()
        async with self.pool.connection() as connection:
            names = [table.name for table in await tables.kept(connection)]
            for name in (*names, "session"):
                query = sql.SQL("select md5(string_agg(t::text, '|' order by t::text)) from {} t")
                cursor = await connection.execute(query.format(sql.Identifier(name)))
                row = await cursor.fetchone()
                found[f"{name} {row and row[0]}"] += 1
        return found


async def _instant(pool: Pool) -> str:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "select ts from reading join point using (point_id) where point = %s"
            " and quality = 0 order by ts desc limit 1",
            (METER,),
        )
        row = await cursor.fetchone()
    assert row is not None
    return periods.render_utc(to_us(row[0]))


async def _letters(pool: Pool) -> list[int]:
    async with pool.connection() as connection:
        cursor = await connection.execute("select dead_letter_id from dead_letter order by 1")
        return [row[0] for row in await cursor.fetchall()]


async def _walk_plant(walk: Walk, tokens: dict[str, str], pool: Pool) -> None:
    """Write what people write of a plant."""
    engineer, admin = bearer(tokens["engineer"]), bearer(tokens["admin"])
    await walk.step("POST", "/api/v1/output", "the engineer", engineer, json=FACT)
    step = f"/api/v1/points/{{point:{METER}}}/steps/{{at:{await _instant(pool)}}}/confirm"
    await walk.step("POST", step, "the engineer", engineer)
    replayed, discarded, *_ = await _letters(pool)
    path = f"/api/v1/dead-letters/{{letter:{replayed}}}/replay"
    await walk.step("POST", path, "the admin", admin)
    path = f"/api/v1/dead-letters/{{letter:{discarded}}}/discard"
    await walk.step("POST", path, "the admin", admin)
    asked = {"indicator": "al.liquid.ac", "jurisdiction": "cn-qh", "period": "2026-10"}
    await walk.step("POST", "/api/v1/benchmarks", "the admin", admin, json=asked)
    done = {
        "completed_at": "2026-11-10T00:00:00+08:00",
        "indicators": ["al.liquid.ac"],
        "what": "cathodes renewed",
        "document": "No. 7",
    }
    path = "/api/v1/sites/{site:gh-al}/retrofits"
    await walk.step("POST", path, "the admin", admin, json=done)


async def _walk_alerts(walk: Walk, tokens: dict[str, str], pool: Pool) -> None:
    """Write what people do about an alert and its case, to the end of the case."""
    engineer = bearer(tokens["engineer"])
    async with pool.connection() as connection:
        secret = await access.create_token(
            connection,
            name="the inspection",
            role="regulator",
            scope=["jurisdiction:cn-qh"],
            now=NOW,
        )
    alert, case = await test_cases.tell(pool)
    other, _ = await test_cases.tell(pool, unit=world.FURNACE)
    path = f"/api/v1/alerts/{{alert:{other}}}"
    await walk.step("POST", f"{path}/acknowledge", "the engineer", engineer)
    await walk.step("POST", f"{path}/shelve", "the engineer", engineer, json=shelving())
    await walk.step("DELETE", f"{path}/shelve", "the engineer", engineer)
    outages = "/api/v1/sites/{site:gh-al}/outages"
    made = await walk.step("POST", outages, "the engineer", engineer, json=outage())
    path = f"{outages}/{{outage:{made['silence']}}}"
    await walk.step("DELETE", path, "the engineer", engineer)
    scan = {"Content-Type": "application/pdf"}
    path = f"/api/v1/cases/{{case:{case}}}/attachments"
    await walk.step(
        "POST",
        path,
        "the engineer",
        engineer | scan,
        params={"name": "scan.pdf"},
        content=test_cases.PDF,
    )
    words = test_cases.WORDS
    for event, body, of_plant in (
        ("acknowledge", None, True),
        ("explain", test_cases.CAUSE, True),
        ("dispute", words, False),
        ("alert", test_cases.CAUSE, True),
        ("accept", {}, False),
        ("plan", {**words, "due": "2027-01-31"}, True),
        ("close", words, True),
        ("close", words, False),
    ):
        path = f"/api/v1/cases/{{case:{case}}}/{event}"
        if event == "alert":
            path = f"/api/v1/alerts/{{alert:{alert}}}/explain"
        who = "the engineer" if of_plant else "the inspection"
        await walk.step("POST", path, who, engineer if of_plant else bearer(secret), json=body)


async def _walk_entry(walk: Walk, tokens: dict[str, str]) -> None:
    """Sign in and out, and write what people write of themselves."""
    await walk.step("POST", "/api/v1/session", "the operator", bearer(tokens["operator"]))
    csrf = {"X-CSRF-Token": (await walk.client.get("/api/v1/session")).json()["csrf"]}
    await walk.step("DELETE", "/api/v1/session", "the operator", csrf)
    typed = {"name": "li", "password": entry.PASSWORD}
    answer: dict[str, Any] = {}
    for _ in range(3):
        walk.client.cookies.clear()
        answer = await walk.step("POST", "/api/v1/session/password", "li", {}, json=typed)
    csrf = {"X-CSRF-Token": answer["csrf"]}
    listed = (await walk.client.get("/api/v1/sessions")).json()["items"]
    other = next(one["id"] for one in listed if not one["current"])
    await walk.step("DELETE", f"/api/v1/sessions/{{session:{other}}}", "li", csrf)
    await walk.step("DELETE", "/api/v1/sessions", "li", csrf)
    new = {"old": entry.PASSWORD, "new": "another 9 horse staple"}
    await walk.step("POST", "/api/v1/account/password", "li", csrf, json=new)


async def _walk_logout(
    walk: Walk, shared: Services, pool: Pool, clock: world.Clock, folder: Path
) -> None:
    """End a person's sessions as their identity provider does."""
    with entry.provider(clock) as server:
        shared.providers = oidc.clients(entry.access(server.url, folder), clock.ticks)
        who = Vouched(server.url, "s-1", "li@plant", "operator", ("site:gh-al",))
        async with pool.connection() as connection:
            account = await accounts.vouched(connection, who, NOW)
            await sessions.open_session(
                connection, account.holder(), NOW, sessions.Life(), sessions.Origin("::1", "b")
            )
        told = {"logout_token": server.provider.logout_token("s-1")}
        path = LOGOUT.replace("{provider}", "{provider:plant}")
        await walk.step("POST", path, "li@plant", {}, data=told)


async def test_every_write_leaves_its_row_in_the_audit_and_none_is_made_without(
    app: FastAPI,
    client: httpx.AsyncClient,
    tokens: dict[str, str],
    pool: Pool,
    clock: world.Clock,
    tmp_path: Path,
) -> None:
    app.state.services.passwords = entry.cheap()
    await entry.account(pool, app.state.services.passwords)
    walk = Walk(client, pool)
    await _walk_plant(walk, tokens, pool)
    await _walk_alerts(walk, tokens, pool)
    await _walk_entry(walk, tokens)
    await _walk_logout(walk, app.state.services, pool, clock, tmp_path)
    assert _writes() - walk.done == {CLOSING}


async def test_a_month_close_leaves_its_row_too(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    signer(tmp_path)
    async with tell(database_url, pool, tmp_path / "close.pem") as told:
        plot = told.story
        plot.pass_time(timedelta(hours=41))
        await plot.record(plot.steady(41))
        await plot.tap("tap-1", START + timedelta(hours=20), "12")
        await plot.tap("tap-2", START + timedelta(hours=30), "12")
        await plot.settle()
        plot.pass_time(timedelta(minutes=6))
        walk = Walk(told.client, pool)
        path = test_closes.CLOSES.replace("/s/", "/{site:s}/")
        month = {"month": "2026-10"}
        await walk.step("POST", path, "admin", bearer(told.secret), json=month)
    assert walk.done == {CLOSING}


def test_only_ways_to_sign_in_and_out_are_open_to_strangers_and_only_three_of_them_write() -> None:
    assert SIGN_IN & _writes() == {
        ("POST", "/api/v1/session"),
        ("POST", "/api/v1/session/password"),
        ("POST", LOGOUT),
    }
