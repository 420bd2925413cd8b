"""Promises of the series: what each unit's own list says, side by side and in scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.schemas import Page, SeriesItem
from tests.api.world import FURNACE, POTLINE, bearer

if TYPE_CHECKING:
    import httpx

PATH = "/api/v1/intensity"
DAYS = {
    "indicator": "al.liquid.ac",
    "period": "day",
    "from": "2026-11-01T00:00:00+08:00",
    "to": "2026-11-21T00:00:00+08:00",
}


async def ask(
    client: httpx.AsyncClient, secret: str, path: str = PATH, **params: Any
) -> dict[str, Any]:
    answer = await client.get(path, params=DAYS | params, headers=bearer(secret))
    assert answer.status_code == 200, answer.text
    if path == PATH:
        Page[SeriesItem].model_validate_json(answer.content)
    found: dict[str, Any] = answer.json()
    return found


async def test_a_series_says_what_the_unit_s_own_list_says(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    (series,) = (await ask(client, tokens["operator"]))["items"]
    own = await ask(client, tokens["operator"], f"/api/v1/units/{POTLINE}/intensity")
    assert series["unit"] == POTLINE
    assert series["units"] == {"energy": "kWh", "output": "t", "intensity": "kWh/t"}
    assert len(series["period_start"]) == 20
    for name in ("energy", "output", "intensity"):
        assert series[name] == [item[name]["value"] for item in own["items"]]
    for name in ("period_start", "closed", "completeness"):
        assert series[name] == [item[name] for item in own["items"]]


async def test_each_scope_sees_its_units_and_pages_are_cut_by_units(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    both = await ask(client, tokens["admin"])
    assert [item["unit"] for item in both["items"]] == [POTLINE, FURNACE]
    assert both["next"] is None
    first = await ask(client, tokens["admin"], limit=1)
    rest = await ask(client, tokens["admin"], limit=1, cursor=first["next"])
    assert [item["unit"] for item in (*first["items"], *rest["items"])] == [POTLINE, FURNACE]
    regulator = await ask(client, tokens["regulator"])
    assert [item["unit"] for item in regulator["items"]] == [FURNACE]
    assert set(regulator["items"][0]["energy"]) == {None}


async def test_a_range_too_long_for_one_page_is_cut_to_fewer_units(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    found = await ask(
        client,
        tokens["admin"],
        period="hour",
        **{"from": "1990-01-01T00:00:00+08:00", "to": "2027-01-01T00:00:00+08:00"},
    )
    assert found["next"] is not None


async def test_slots_and_unknown_indicators_are_refused(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    for wrong, parameter in (({"period": "slot"}, "period"), ({"indicator": "x"}, "indicator")):
        answer = await client.get(PATH, params=DAYS | wrong, headers=bearer(tokens["admin"]))
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"] == parameter
