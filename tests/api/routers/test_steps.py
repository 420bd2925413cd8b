"""Promises of held steps: a person of the plant books one, once, and it is on record."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core import periods
from core.clock import to_us
from tests.api.world import METER, NOW, VOLTAGE, bearer

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool


async def _instant(pool: Pool) -> str:
    async with pool.connection() as link:
        cursor = await link.execute(
            "select ts from reading join point using (point_id) where point = %s"
            " and quality = 0 order by ts desc limit 1",
            (METER,),
        )
        row = await cursor.fetchone()
    assert row is not None
    return periods.render_utc(to_us(row[0]))


async def test_an_admin_books_a_step_once_and_its_slots_are_computed_again(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    path = f"/api/v1/points/{METER}/steps/{await _instant(pool)}/confirm"
    first = await client.post(path, headers=bearer(tokens["admin"]))
    assert first.status_code == 201
    again = await client.post(path, headers=bearer(tokens["admin"]))
    assert (again.status_code, again.json()["confirmed_by"]) == (200, first.json()["confirmed_by"])
    async with pool.connection() as link:
        marks = await (await link.execute("select count(*) from touched")).fetchone()
        steps = await (await link.execute("select count(*) from confirmed_step")).fetchone()
        audit = await (
            await link.execute("select count(*) from audit where action = 'confirm_step'")
        ).fetchone()
    assert (marks, steps, audit) == ((1,), (1,), (1,))


@pytest.mark.parametrize("role", ["operator", "regulator"])
async def test_others_may_not(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool, role: str
) -> None:
    path = f"/api/v1/points/{METER}/steps/{await _instant(pool)}/confirm"
    assert (await client.post(path, headers=bearer(tokens[role]))).status_code == 403
    assert (await client.post(path)).status_code == 401


async def test_wrong_steps_are_told(client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    header = bearer(tokens["admin"])
    unread = periods.render_utc(to_us(NOW - timedelta(days=900)))
    for point, at, status in (
        (METER, unread, 404),
        (METER, "yesterday", 422),
        (VOLTAGE, unread, 409),
        ("gh-al.no.such", unread, 404),
    ):
        answer = await client.post(f"/api/v1/points/{point}/steps/{at}/confirm", headers=header)
        assert answer.status_code == status, answer.text
