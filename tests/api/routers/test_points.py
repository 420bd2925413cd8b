"""Promises of points: what they are, what they showed, what energy they measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from api.schemas import EnergyItem, Page, PointItem, ReadingItem, TrendItem
from tests.api.world import FURNACE_METER, METER, POTLINE, VOLTAGE, bearer

if TYPE_CHECKING:
    import httpx
    from pydantic import BaseModel


async def _all(
    client: httpx.AsyncClient, secret: str, path: str, model: type[BaseModel], **params: Any
) -> list[dict[str, Any]]:
    """Follow the cursors to the end."""
    items: list[dict[str, Any]] = []
    for _ in range(100):
        answer = await client.get(f"/api/v1/{path}", params=params, headers=bearer(secret))
        assert answer.status_code == 200, answer.text
        model.model_validate_json(answer.content)
        items += answer.json()["items"]
        if answer.json()["next"] is None:
            return items
        params["cursor"] = answer.json()["next"]
    raise AssertionError("the cursors never end")


async def test_points_are_listed_in_scope_and_by_unit(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    every = await _all(client, tokens["admin"], "points", Page[PointItem], limit=1)
    assert [one["point"] for one in every] == [METER, VOLTAGE, FURNACE_METER]
    own = await _all(client, tokens["operator"], "points", Page[PointItem], unit=POTLINE)
    assert own[0] == {
        "point": METER,
        "site": "gh-al",
        "unit": POTLINE,
        "kind": "counter",
        "carrier": "electricity",
        "role": "process",
        "sign": 1,
        "measured_unit": "kWh",
        "energy_unit": "kWh",
        "max_gap_s": 1800.0,
        "interval_s": None,
    }
    assert own[1]["energy_unit"] is None


async def test_readings_come_in_order_over_pages_and_a_bad_one_has_no_value(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    path = f"points/{METER}/readings"
    found = await _all(client, tokens["operator"], path, Page[ReadingItem], limit=3)
    assert [one["value"] for one in found] == [*range(100, 109), None]
    assert found[0] == {
        "measured_at": "2026-10-31T16:00:00Z",
        "recorded_at": "2026-11-21T04:00:00Z",
        "value": 100,
        "quality": "good",
    }
    assert found[-1]["quality"] == "bad"


async def test_readings_of_a_gauge_keep_their_decimals(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    path = f"points/{VOLTAGE}/readings"
    (one,) = await _all(client, tokens["operator"], path, Page[ReadingItem])
    assert (one["value"], one["quality"]) == (4.125, "uncertain")


async def test_a_range_of_readings_is_half_open(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    found = await _all(
        client,
        tokens["operator"],
        f"points/{METER}/readings",
        Page[ReadingItem],
        **{"from": "2026-11-01T00:00:02+08:00", "to": "2026-10-31T16:00:04Z"},
    )
    assert [one["value"] for one in found] == [102, 103]


async def test_energy_of_a_month_is_its_days_and_its_slots_to_the_last_digit(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    path = f"points/{METER}/energy"
    sums = {}
    for period in ("month", "shift", "day", "hour", "slot"):
        found = await _all(
            client, tokens["operator"], path, Page[EnergyItem], period=period, limit=700
        )
        sums[period] = sum(round(float(one["energy"]["value"] or 0) * 10) for one in found)
    assert set(sums.values()) == {19_689_840}


async def test_an_energy_item_names_its_period_and_what_is_estimated(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    first = (
        await _all(
            client, tokens["operator"], f"points/{METER}/energy", Page[EnergyItem], period="hour"
        )
    )[0]
    assert first == {
        "point": METER,
        "period": "hour",
        "period_start": "2026-11-01T00:00:00+08:00",
        "period_end": "2026-11-01T01:00:00+08:00",
        "closed": True,
        "energy": {"value": "4002", "estimated": "0.5", "unit": "kWh"},
        "completeness": 0.875,
        "flags": ["estimated"],
        "version": None,
        "computed_at": "2026-11-21T04:00:00Z",
        "result": None,
    }


async def test_unknown_energy_is_null_and_not_zero(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    (month,) = await _all(
        client, tokens["engineer"], f"points/{FURNACE_METER}/energy", Page[EnergyItem],
        period="month",
    )  # fmt: skip
    assert month["energy"]["value"] is None
    assert month["completeness"] == 0


async def test_a_point_without_carrier_says_that_it_gives_no_energy(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get(
        f"/api/v1/points/{VOLTAGE}/energy", headers=bearer(tokens["operator"])
    )
    assert answer.status_code == 422
    assert "no carrier" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-11-01T00:00:00"}, "to"),
        ({"period": "week"}, "period"),
        ({"limit": "0"}, "limit"),
        ({"limit": "5001"}, "limit"),
        ({"cursor": "mine"}, "cursor"),
    ],
)
async def test_a_wrong_parameter_is_named(
    client: httpx.AsyncClient, tokens: dict[str, str], params: dict[str, str], parameter: str
) -> None:
    answer = await client.get(
        f"/api/v1/points/{METER}/energy", params=params, headers=bearer(tokens["operator"])
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == parameter
    assert f"`{parameter}`" in answer.json()["detail"]


async def test_an_unknown_point_is_404_and_a_foreign_one_403(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    for path in ("readings", "energy"):
        unknown = await client.get(
            f"/api/v1/points/gh-al.potline-1.none/{path}", headers=bearer(tokens["operator"])
        )
        foreign = await client.get(
            f"/api/v1/points/{FURNACE_METER}/{path}", headers=bearer(tokens["operator"])
        )
        assert (unknown.status_code, foreign.status_code) == (404, 403)


async def test_a_trend_keeps_the_least_and_the_greatest_and_leaves_gaps_out(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    asked = {"from": "2026-11-01T00:00:00+08:00", "to": "2026-11-01T00:00:20+08:00", "buckets": "5"}
    answer = await client.get(
        f"/api/v1/points/{METER}/trend", params=asked, headers=bearer(tokens["operator"])
    )
    assert answer.status_code == 200, answer.text
    found = TrendItem.model_validate_json(answer.content)
    assert found.bucket_s == 4
    assert found.start == [f"2026-11-01T00:00:{second:02}+08:00" for second in (0, 4, 8)]
    assert (found.min, found.max) == ([100, 104, 108], [103, 107, 108])
    assert (found.readings, found.bad) == ([4, 4, 2], [0, 0, 1])


async def test_a_trend_of_years_is_refused(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    asked = {"from": "2020-01-01T00:00:00+08:00", "to": "2026-01-01T00:00:00+08:00"}
    answer = await client.get(
        f"/api/v1/points/{METER}/trend", params=asked, headers=bearer(tokens["operator"])
    )
    assert answer.status_code == 422
    assert "400 days" in answer.json()["detail"]
