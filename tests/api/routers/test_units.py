"""Promises of the list of units, which the page opens with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.schemas import Page, UnitView
from core import plant
from store import plants
from tests.api import world
from tests.api.world import FURNACE, POTLINE, bearer

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool


async def _units(client: httpx.AsyncClient, secret: str, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get("/api/v1/units", params=params, headers=bearer(secret))
    assert answer.status_code == 200, answer.text
    Page[UnitView].model_validate_json(answer.content)
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_unit_shows_its_declaration_its_power_and_its_open_periods(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    pot, potline = await _units(client, tokens["operator"])
    assert pot["unit"] == "gh-al.pot-1"
    assert pot["parent"] == POTLINE
    assert pot["live"] == {"measured_at": None, "power_kw": None, "allowed_age_s": 30}
    assert pot["current"] == []
    assert potline["unit"] == POTLINE
    assert potline["site_name"] == {"zh": "示例铝厂", "en": "Demo Aluminium"}
    assert potline["timezone"] == "Asia/Shanghai"
    assert potline["live"] == {
        "measured_at": "2026-11-21T04:00:00Z",
        "power_kw": "441234.1",
        "allowed_age_s": 30,
    }
    (month,) = potline["current"]
    assert month["indicator"] == "al.liquid.ac"
    assert month["period_start"] == "2026-11-01T00:00:00+08:00"
    assert month["period_end"] == "2026-12-01T00:00:00+08:00"
    assert month["closed"] is False
    assert month["energy"] == {"value": "1968984", "estimated": "0.5", "unit": "kWh"}
    assert month["output"] == {"value": "150", "unit": "t"}
    assert month["intensity"]["value"] == "13126.56"
    verdicts = {one["limit"]: one["verdict"] for one in month["verdicts"]}
    assert verdicts["cn-qh.al.liquid.ac.target-2020"] == "exceeds"
    (today,) = potline["today"]
    assert today["period_start"] == "2026-11-21T00:00:00+08:00"
    assert today["intensity"]["value"] is None


async def test_each_scope_sees_its_own_units(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    seen = {
        role: [item["unit"] for item in await _units(client, secret)]
        for role, secret in tokens.items()
    }
    assert seen["operator"] == ["gh-al.pot-1", POTLINE]
    assert seen["regulator"] == [FURNACE]
    assert seen["engineer"] == seen["admin"] == ["gh-al.pot-1", POTLINE, FURNACE]


async def test_a_unit_that_nobody_computed_yet_has_an_item_with_nulls(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    async with pool.connection() as connection:
        await connection.execute("truncate result")
    (furnace,) = await _units(client, tokens["regulator"])
    (month,) = furnace["current"]
    assert month["energy"]["value"] is None
    assert month["result"] is None
    assert month["computed_at"] is None
    assert furnace["live"]["power_kw"] is None


async def test_power_is_unknown_as_soon_as_one_part_is(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    async with pool.connection() as connection:
        await connection.execute("update point_latest set rate_kw = null")
    _, potline = await _units(client, tokens["operator"])
    assert potline["live"]["power_kw"] is None
    assert potline["live"]["measured_at"] == "2026-11-21T04:00:00Z"


async def test_the_list_comes_in_pages(client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 1}
    for _ in range(5):
        page = (
            await client.get("/api/v1/units", params=params, headers=bearer(tokens["admin"]))
        ).json()
        seen += [item["unit"] for item in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert seen == ["gh-al.pot-1", POTLINE, FURNACE]


async def test_one_unit_is_shown_as_the_list_shows_it(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get(f"/api/v1/units/{POTLINE}", headers=bearer(tokens["operator"]))
    assert answer.json() == (await _units(client, tokens["operator"]))[1]


async def test_an_unknown_unit_is_404_and_a_foreign_one_403(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    for path in ("", "/intensity"):
        unknown = await client.get(
            f"/api/v1/units/gh-al.none{path}", headers=bearer(tokens["operator"])
        )
        foreign = await client.get(
            f"/api/v1/units/{FURNACE}{path}", headers=bearer(tokens["operator"])
        )
        assert (unknown.status_code, foreign.status_code) == (404, 403)
        assert unknown.json()["type"] == "urn:danhao:problem:unknown-unit"


async def test_a_changed_declaration_is_seen_within_two_seconds(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool, clock: world.Clock
) -> None:
    assert (await _units(client, tokens["operator"]))[1]["name"]["en"] == "Potline 1"
    async with pool.connection() as connection:
        changed = world.PLANT.replace("Potline 1", "Potline One")
        await plants.apply(connection, plant.parse(changed, "plant.toml"), world.NOW)
    clock.move(1.5)
    assert (await _units(client, tokens["operator"]))[1]["name"]["en"] == "Potline One"
