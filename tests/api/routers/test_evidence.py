"""`GET /results/{id}/evidence`: the figure with everything behind it, to who may see the unit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from api.routers import evidence
from store import evidencefile
from tests.api.world import POTLINE, bearer

if TYPE_CHECKING:
    import httpx
    import pytest


async def ids(client: httpx.AsyncClient, secret: str, period: str) -> list[str]:
    answer = await client.get(
        f"/api/v1/units/{POTLINE}/intensity", params={"period": period}, headers=bearer(secret)
    )
    items: list[dict[str, Any]] = answer.json()["items"]
    return [item["result"] for item in items]


async def ask(client: httpx.AsyncClient, result: str, secret: str | None) -> httpx.Response:
    headers = {} if secret is None else bearer(secret)
    return await client.get(f"/api/v1/results/{result}/evidence", headers=headers)


async def test_the_open_month_comes_as_a_file_that_the_checker_follows(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    (month,) = await ids(client, tokens["operator"], "month")
    answer = await ask(client, month, tokens["operator"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    assert answer.headers["Danhao-Evidence"] == "follows"
    assert f'filename="evidence-{month}.jsonl"' in answer.headers["Content-Disposition"]
    assert evidencefile.load()(answer.content).problems == []
    first = json.loads(answer.content.splitlines()[0])
    assert (first["unit"], first["period"]) == (POTLINE, "month")


async def test_it_is_for_who_may_see_the_unit(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    (month,) = await ids(client, tokens["operator"], "month")
    assert (await ask(client, month, None)).status_code == 401
    assert (await ask(client, month, tokens["regulator"])).status_code == 403
    nobody = "00000000-0000-0000-0000-000000000000"
    assert (await ask(client, nobody, tokens["operator"])).status_code == 404


async def test_what_does_not_name_what_it_rests_on_is_refused_with_the_reason(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    first, *_ = await ids(client, tokens["operator"], "day")
    answer = await ask(client, first, tokens["operator"])
    assert answer.status_code in {400, 409, 422}
    assert "declaration and catalogue" in answer.text


async def test_more_readings_than_one_answer_takes_are_refused(
    client: httpx.AsyncClient, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "MOST_READINGS", 1)
    (month,) = await ids(client, tokens["operator"], "month")
    answer = await ask(client, month, tokens["operator"])
    assert answer.status_code in {400, 413, 422}
    assert "danhao evidence export" in answer.text
