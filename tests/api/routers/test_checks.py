"""Promises of checks on meters by the API: each sees his own sites' runs, told in two languages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest_asyncio

from api.check_schemas import CheckItem
from api.schemas import Page
from core.clock import to_us
from core.meterchecks.factors import Explanation
from core.meterchecks.findings import Finding, Kind, Report, Sharp, Unchecked, Witness
from store import meterchecks
from tests.api.world import FURNACE_METER, METER, bearer

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool

AT = datetime(2026, 11, 20, 16, tzinfo=UTC)
SINCE = to_us(AT - timedelta(days=20))


def report(site: str, meter: str) -> Report:
    found = Finding(
        Kind.SCALE, meter, SINCE, named=meter, sure=0.999, error=0.25, doubt=0.01, factor=1.25,
        explained=(Explanation("current_transformer", 1.25),), excess_kwh=1234.4,
        witnesses=(Witness.BALANCE,),
    )  # fmt: skip
    return Report(
        site, SINCE, to_us(AT), [found], [Unchecked(meter, "no_energy_of:a.b.c")],
        [Sharp(meter, 0.004, 0.02)], {"meters": 1},
    )  # fmt: skip


@pytest_asyncio.fixture
async def runs(pool: Pool, tokens: dict[str, str]) -> dict[str, str]:
    """Keep three runs of one site and one of another."""
    async with pool.connection() as link:
        for day in range(3):
            await meterchecks.keep(link, report("gh-al", METER), AT - timedelta(days=day))
        await meterchecks.keep(link, report("nx-fa", FURNACE_METER), AT)
    return tokens


async def ask(
    client: httpx.AsyncClient, secret: str, path: str, **params: str | int
) -> httpx.Response:
    return await client.get(f"/api/v1/{path}", params=params, headers=bearer(secret))


async def test_the_newest_run_of_each_site_in_scope_is_told(
    client: httpx.AsyncClient, runs: dict[str, str]
) -> None:
    answer = await ask(client, runs["operator"], "checks")
    (item,) = Page[CheckItem].model_validate_json(answer.content).items
    assert (item.site, item.checked_at) == ("gh-al", AT)
    (found,) = item.findings
    assert found.named == METER
    assert found.excess_kwh == 1234
    assert METER in found.text.en
    assert "1.25" in found.text.zh
    assert item.unchecked[0].text.en.endswith("a.b.c")
    assert item.sharpness[0].named_from == 0.02
    theirs = await ask(client, runs["regulator"], "checks")
    assert [one["site"] for one in theirs.json()["items"]] == ["nx-fa"]


async def test_runs_of_a_site_follow_one_another_newest_first(
    client: httpx.AsyncClient, runs: dict[str, str]
) -> None:
    first = (await ask(client, runs["admin"], "sites/gh-al/checks", limit=2)).json()
    second = await ask(client, runs["admin"], "sites/gh-al/checks", limit=2, cursor=first["next"])
    days = [one["checked_at"][:10] for one in [*first["items"], *second.json()["items"]]]
    assert days == ["2026-11-20", "2026-11-19", "2026-11-18"]
    assert second.json()["next"] is None


async def test_a_foreign_site_is_refused_and_one_without_runs_has_none(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    assert (await ask(client, tokens["operator"], "sites/nx-fa/checks")).status_code == 403
    assert (await ask(client, tokens["operator"], "sites/gh-al/checks")).json()["items"] == []
    assert (await ask(client, tokens["operator"], "checks")).json()["items"] == []
