"""Promises of intensity: figures with verdicts per period, and one figure by its id."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from api.schemas import Page, PeriodItem, ResultItem
from tests.api import world
from tests.api.world import FURNACE, METER, POTLINE, bearer

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool


async def _list(
    client: httpx.AsyncClient, secret: str, unit: str = POTLINE, **params: Any
) -> list[dict[str, Any]]:
    answer = await client.get(
        f"/api/v1/units/{unit}/intensity", params=params, headers=bearer(secret)
    )
    assert answer.status_code == 200, answer.text
    Page[PeriodItem].model_validate_json(answer.content)
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_the_month_is_the_default_and_carries_verdicts(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    (month,) = await _list(client, tokens["operator"])
    assert month["period"] == "month"
    assert month["intensity"]["unit"] == "kWh/t"
    target = next(v for v in month["verdicts"] if v["limit"] == "cn-qh.al.liquid.ac.target-2020")
    assert target == {
        "limit": "cn-qh.al.liquid.ac.target-2020",
        "force": "target",
        "level": None,
        "cmp": "<=",
        "limit_value": "12750",
        "verdict": "exceeds",
        "lapsed": True,
    }


async def test_days_are_filtered_by_their_start_and_come_in_pages(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    days = await _list(
        client,
        tokens["operator"],
        period="day",
        **{"from": "2026-11-02T00:00:00+08:00", "to": "2026-11-05T00:00:00+08:00"},
    )
    assert [day["period_start"][:10] for day in days] == ["2026-11-02", "2026-11-03", "2026-11-04"]
    assert days[0]["intensity"]["value"] is None
    assert days[0]["closed"] is True
    first = await client.get(
        f"/api/v1/units/{POTLINE}/intensity",
        params={"period": "day", "limit": 20},
        headers=bearer(tokens["operator"]),
    )
    rest = await _list(
        client, tokens["operator"], period="day", limit=20, cursor=first.json()["next"]
    )
    assert [day["period_start"][:10] for day in rest] == ["2026-11-21"]


async def test_slots_are_computed_by_the_same_functions(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    slots = await _list(client, tokens["operator"], period="slot", limit=3)
    assert [slot["energy"]["value"] for slot in slots] == ["1000.5"] * 3
    assert slots[0]["completeness"] == 0.5
    assert slots[0]["verdicts"][0]["verdict"] in {"incomplete", "not_applicable"}


async def test_an_unknown_indicator_is_named(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get(
        f"/api/v1/units/{POTLINE}/intensity",
        params={"indicator": "al.nothing"},
        headers=bearer(tokens["operator"]),
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "indicator"
    assert "al.liquid.ac" in answer.json()["detail"]


async def test_a_unit_without_indicators_asks_for_one(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get(
        "/api/v1/units/gh-al.pot-1/intensity", headers=bearer(tokens["operator"])
    )
    assert answer.status_code == 422


async def test_a_result_shows_its_inputs_and_old_versions_stay(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    range_ = {"from": "2026-11-02T00:00:00+08:00", "to": "2026-11-03T00:00:00+08:00"}
    (before,) = await _list(client, tokens["operator"], period="day", **range_)
    async with pool.connection() as connection:
        await world.tap(connection, "tap-2", 8, world.MONTH_START + timedelta(hours=30))
        await world.evaluate(connection, world.NOW)
    (after,) = await _list(client, tokens["operator"], period="day", **range_)
    assert (before["version"], after["version"]) == (1, 2)
    assert after["intensity"]["value"] == "12006"
    for item in (before, after):
        answer = await client.get(
            f"/api/v1/results/{item['result']}", headers=bearer(tokens["operator"])
        )
        ResultItem.model_validate_json(answer.content)
        shown = answer.json()
        assert shown["inputs"]["points"][METER]["energy"] == "96048"
        assert {key: shown[key] for key in item} == item


async def test_a_foreign_result_is_403_and_an_unknown_one_404(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    (month,) = await _list(client, tokens["regulator"], FURNACE)
    foreign = await client.get(
        f"/api/v1/results/{month['result']}", headers=bearer(tokens["operator"])
    )
    unknown = await client.get(
        "/api/v1/results/00000000-0000-0000-0000-000000000000", headers=bearer(tokens["operator"])
    )
    broken = await client.get("/api/v1/results/1", headers=bearer(tokens["operator"]))
    assert (foreign.status_code, unknown.status_code, broken.status_code) == (403, 404, 422)
