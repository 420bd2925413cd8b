"""Promises of data quality by the API: a plant sees its own score, a regulator his jurisdiction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.quality_schemas import QualityItem, QualitySummary
from api.schemas import Page
from core.qualityrules import RuleId
from tests.api.world import METER, bearer

if TYPE_CHECKING:
    import httpx

BROKEN = ("cadence", "day_boundary", "upload")


async def ask(
    client: httpx.AsyncClient, secret: str, path: str, **params: str | int
) -> httpx.Response:
    return await client.get(f"/api/v1/{path}", params=params, headers=bearer(secret))


async def test_a_score_shows_every_rule_with_its_source_and_findings_with_their_rule(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await ask(client, tokens["operator"], "sites/gh-al/quality")
    item = QualityItem.model_validate_json(answer.content)
    assert [one.rule for one in item.rules] == [rule.value for rule in RuleId]
    assert all(one.source and one.paragraph and one.mark for one in item.rules)
    assert not item.closed
    # The world has slots of the whole month, readings of its first ten seconds, recorded just now.
    broken = {one.rule: one.subject for one in item.findings}
    assert broken == dict.fromkeys(BROKEN, METER) | {"rejected": "gh-al"}
    midnight = next(one for one in item.findings if one.rule == "day_boundary")
    assert "20 of 21 midnights" in midnight.text.en


async def test_a_plant_sees_its_own_score_only(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    assert (await ask(client, tokens["operator"], "sites/nx-fa/quality")).status_code == 403
    listed = await ask(client, tokens["operator"], "quality")
    items = Page[QualitySummary].model_validate_json(listed.content).items
    assert [one.site for one in items] == ["gh-al"]
    assert items[0].broken == [*BROKEN, "rejected"]


async def test_a_regulator_sees_his_jurisdiction(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    listed = await ask(client, tokens["regulator"], "quality")
    assert [one["site"] for one in listed.json()["items"]] == ["nx-fa"]
    assert (await ask(client, tokens["regulator"], "sites/nx-fa/quality")).status_code == 200


async def test_pages_of_scores_follow_one_another(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    first = (await ask(client, tokens["admin"], "quality", limit=1)).json()
    rest = (await ask(client, tokens["admin"], "quality", limit=1, cursor=first["next"])).json()
    assert [one["site"] for one in (*first["items"], *rest["items"])] == ["gh-al", "nx-fa"]
    assert rest["next"] is None


@pytest.mark.parametrize("month", ["2026-13", "October", "2027-01"])
async def test_a_month_that_is_none_or_has_not_begun_is_refused(
    client: httpx.AsyncClient, tokens: dict[str, str], month: str
) -> None:
    answer = await ask(client, tokens["operator"], "sites/gh-al/quality", month=month)
    assert answer.status_code == 422
    assert "month" in answer.text


async def test_a_month_before_there_was_data_is_not_complete(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await ask(client, tokens["operator"], "sites/gh-al/quality", month="2026-09")
    item = QualityItem.model_validate_json(answer.content)
    assert item.closed
    assert {one.rule for one in item.findings} == {"completeness", "day_boundary"}
