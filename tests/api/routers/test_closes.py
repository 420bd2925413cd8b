"""Promises of month closes by the API: an engineer of the site closes, everybody of it reads."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio

from api.close_schemas import MonthCloseItem, SealedClose
from api.schemas import Page
from core import wire
from core.wire_pb2 import Packet
from store import access
from tests.api.told import Told, tell
from tests.api.world import bearer
from tests.store.test_closing import signer
from tests.story import START, UNIT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from store.connection import Pool

CLOSES = "/api/v1/sites/s/closes"


@pytest_asyncio.fixture
async def told(database_url: str, pool: Pool, tmp_path: Path) -> AsyncIterator[Told]:
    """Tell of an October that is over, of a plant that signs what it closes."""
    signer(tmp_path)
    async with tell(database_url, pool, tmp_path / "close.pem") as found:
        plot = found.story
        plot.pass_time(timedelta(hours=41))
        await plot.record(plot.steady(41))
        await plot.tap("tap-1", START + timedelta(hours=20), "12")
        await plot.tap("tap-2", START + timedelta(hours=30), "12")
        await plot.settle()
        plot.pass_time(timedelta(minutes=6))
        yield found


async def close(told: Told, month: object = "2026-10", secret: str = "") -> httpx.Response:
    headers = bearer(secret or told.secret)
    return await told.client.post(CLOSES, json={"month": month}, headers=headers)


async def test_a_month_is_closed_once_and_every_bit_of_it_can_be_checked(
    told: Told, pool: Pool
) -> None:
    answer = await close(told)
    assert answer.status_code == 201, answer.text
    made = MonthCloseItem.model_validate_json(answer.content)
    assert (made.site, made.month, made.number, made.closed_by) == (
        "s",
        "2026-10",
        1,
        "user:admin",
    )
    listed = await told.ask("sites/s/closes")
    assert Page[MonthCloseItem].model_validate_json(listed.content).items == [made]
    shown = SealedClose.model_validate_json((await told.ask(f"closes/{made.close}")).content)
    body = shown.body.encode()
    assert hashlib.sha256(body).hexdigest() == shown.sha256 == made.sha256
    assert shown.key is not None
    assert shown.signature is not None
    packet = Packet(envelope=body, signature=base64.b64decode(shown.signature))
    assert wire.verify(packet, shown.key)
    async with pool.connection() as link:
        cursor = await link.execute("select who, role, subject, detail from audit")
        assert await cursor.fetchall() == [("admin", "admin", "s/2026-10", {"sha256": made.sha256})]
    again = await close(told)
    assert again.status_code == 409
    problem = again.json()
    assert problem["type"] == "urn:danhao:problem:month-closed"
    assert "was closed by user:admin at 2026-10-31T17:06:00Z" in problem["detail"]


async def test_what_stands_in_the_way_is_a_409_with_every_reason(told: Told, pool: Pool) -> None:
    early = await close(told, "2026-11")
    assert (early.status_code, early.json()["type"]) == (409, "urn:danhao:problem:month-not-over")
    await told.story.tap("tap-3", START + timedelta(hours=31), "1")
    await told.story.settle()
    await told.story.tap("tap-4", START + timedelta(hours=31), "1")
    answer = await close(told)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:danhao:problem:month-not-computed"
    assert [each["reason"] for each in problem["errors"]] == [
        "month_not_computed",
        "month_not_quiet",
    ]
    assert all(each["message"] in problem["detail"] for each in problem["errors"])
    async with pool.connection() as link:
        rows = await (await link.execute("select count(*) from audit")).fetchone()
    assert rows == (0,)


async def test_a_flip_of_a_closed_verdict_is_seen_in_the_close_and_in_the_units_list(
    told: Told,
) -> None:
    made = (await close(told)).json()
    await told.story.tap("tap-2", START + timedelta(hours=30), "18", revision=1)
    told.story.pass_time(timedelta(days=14))
    await told.story.settle()
    (item,) = (await told.ask("sites/s/closes")).json()["items"]
    assert item["differing"] == 4
    (flip,) = [each for each in item["flips"] if each["indicator"] == "fesi.smelting"]
    assert (flip["unit"], flip["period"], flip["causes"]) == (UNIT, "day", ["facts"])
    assert flip["period_start"] == "2026-10-31T00:00:00+08:00"
    target = {
        "limit": "cn-qh.fesi.smelting.target-2020",
        "force": "target",
        "from": "exceeds",
        "to": "within",
    }
    assert target in flip["verdicts"]
    day = {"period": "day", "from": "2026-10-31T00:00:00+08:00", "to": "2026-11-01T00:00:00+08:00"}
    (figure,) = await told.items(f"units/{UNIT}/intensity", indicator="fesi.smelting", **day)
    assert figure["close"]["close"] == made["close"]
    assert figure["close"]["differs"] is True
    assert target in figure["close"]["flips"]


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (b'{"month":"October"}', "month"),
        (b'{"month":10}', "month"),
        (b"{}", "month"),
        (b'{"month":"2026-10","by":"me"}', "by"),
        (b"month=2026-10", ""),
        (b"", ""),
    ],
)
async def test_a_wrong_body_is_a_422_that_names_what_is_wrong(
    told: Told, body: bytes, parameter: str
) -> None:
    answer = await told.client.post(CLOSES, content=body, headers=bearer(told.secret))
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["parameter"] == parameter


async def test_a_body_beyond_its_bound_is_a_413(told: Told) -> None:
    answer = await told.client.post(CLOSES, content=b" " * 5000, headers=bearer(told.secret))
    assert answer.status_code == 413


async def test_a_key_file_that_others_may_read_signs_nothing(told: Told, tmp_path: Path) -> None:
    (tmp_path / "close.pem").chmod(0o644)
    answer = await close(told)
    assert (answer.status_code, answer.json()["type"]) == (
        503,
        "urn:danhao:problem:misconfigured",
    )
    assert "chmod 600" in answer.json()["detail"]
    assert (await told.ask("sites/s/closes")).json()["items"] == []


async def test_a_write_by_cookie_needs_the_csrf_token(told: Told) -> None:
    signed_in = await told.client.post("/api/v1/session", headers=bearer(told.secret))
    csrf = signed_in.json()["csrf"]
    for headers in ({}, {"X-CSRF-Token": "x" * 64}):
        answer = await told.client.post(CLOSES, json={"month": "2026-10"}, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:danhao:problem:csrf")
    answer = await told.client.post(
        CLOSES, json={"month": "2026-10"}, headers={"X-CSRF-Token": csrf}
    )
    assert answer.status_code == 201


async def test_an_engineer_of_the_site_closes_and_one_of_another_does_not(
    told: Told, pool: Pool
) -> None:
    secrets = {}
    async with pool.connection() as link:
        for name, role, scope in (
            ("own", "engineer", "site:s"),
            ("foreign", "engineer", "site:t"),
            ("province", "regulator", "jurisdiction:cn-qh"),
            ("control room", "operator", "site:s"),
        ):
            secrets[name] = await access.create_token(
                link, name=name, role=role, scope=(scope,), now=told.story.now
            )
    for name in ("foreign", "province", "control room"):
        assert (await close(told, secret=secrets[name])).status_code == 403
    made = await close(told, secret=secrets["own"])
    assert (made.status_code, made.json()["closed_by"]) == (201, "user:own")
    for path in (CLOSES, f"/api/v1/closes/{made.json()['close']}"):
        statuses: dict[str, Any] = {
            name: (await told.client.get(path, headers=bearer(secret))).status_code
            for name, secret in secrets.items()
        }
        assert statuses == {"own": 200, "foreign": 403, "province": 200, "control room": 200}
        assert (await told.client.get(path)).status_code == 401
    assert (await told.client.post(CLOSES, json={"month": "2026-10"})).status_code == 401


async def test_what_is_not_there_is_a_404(told: Told) -> None:
    headers = bearer(told.secret)
    assert (await told.ask("sites/nowhere/closes")).status_code == 404
    assert (await told.ask(f"closes/{uuid4()}")).status_code == 404
    assert (await told.ask("closes/7")).status_code == 422
    answer = await told.client.post(
        "/api/v1/sites/nowhere/closes", json={"month": "2026-10"}, headers=headers
    )
    assert (answer.status_code, answer.json()["type"]) == (
        404,
        "urn:danhao:problem:unknown-site",
    )
