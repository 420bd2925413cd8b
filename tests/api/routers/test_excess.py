"""Promises of /units/{unit}/excess: the documented item, whose scope, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from api.excess_schemas import ExcessItem
from tests.api.world import FURNACE, MONTH_START, NOW, POTLINE, bearer

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool

PATH = f"/api/v1/units/{POTLINE}/excess"


async def _month_before(pool: Pool) -> None:
    """Give the potline the month before: the same power, a tenth more metal an hour."""
    async with pool.connection() as connection:
        await connection.execute(
            "insert into slot_energy select p.point_id, s.slot_start - interval '31 days',"
            " s.energy_e6, 0, 900000000, 0, s.computed_at from slot_energy s, point p"
            " where p.point = %s and s.point_id = p.point_id"
            " and s.slot_start < %s on conflict do nothing",
            (f"{POTLINE}.ac-import", MONTH_START + timedelta(days=31)),
        )
        await connection.execute(
            "insert into slot_energy select point_id, slot_start + interval '15 days',"
            " energy_e6, 0, 900000000, 0, computed_at from slot_energy"
            " where slot_start < %s on conflict do nothing",
            (MONTH_START - timedelta(days=15),),
        )
        await connection.execute(
            "insert into output_fact values"
            " ('gh-al', 'tap-0', 0, %s, 'tapping', %s, 240000000, '{}', 'gw-01', %s)",
            (POTLINE, MONTH_START - timedelta(days=3), NOW),
        )


async def test_an_excess_is_the_documented_item_and_its_parts_sum_to_it(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    await _month_before(pool)
    answer = await client.get(PATH, headers=bearer(tokens["operator"]))
    assert answer.status_code == 200, answer.text
    ExcessItem.model_validate_json(answer.content)
    item = answer.json()
    told = [Fraction(one["value"]) for one in item["parts"] if one["value"] is not None]
    if item["remainder"] is not None:
        told.append(Fraction(item["remainder"]["value"]))
    assert sum(told) == Fraction(item["excess"]["value"])
    assert item["reference"]["period_start"] == "2026-10-01T00:00:00+08:00"
    assert item["indicator"] == "al.liquid.ac"
    assert item["sentence"]["zh"].startswith("电解一系列 2026-11")
    assert item["sentence"]["en"].startswith("Potline 1, 2026-11")
    # One slot of the month was read half: it is doubt, not work.
    assert item["time"]["doubtful_h"] == "0.25"


async def test_a_named_limit_and_a_reference_are_taken(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    await _month_before(pool)
    limit = "cn-qh.al.liquid.ac.target-2020"
    answer = await client.get(
        PATH,
        params={"limit": limit, "reference": "best", "from": "2026-11-03T00:00:00+08:00"},
        headers=bearer(tokens["engineer"]),
    )
    item = answer.json()
    assert item["limit"]["id"] == limit
    assert item["reference"]["way"] == "best"
    assert item["period_start"] == "2026-11-01T00:00:00+08:00"


async def test_without_a_past_and_without_output_the_answer_is_documented_too(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    for params, known in (({}, True), ({"period": "day", "from": "2026-11-15T00:00:00Z"}, False)):
        answer = await client.get(PATH, params=params, headers=bearer(tokens["admin"]))
        assert answer.status_code == 200, answer.text
        ExcessItem.model_validate_json(answer.content)
        assert answer.json()["reference"] is None
        assert (answer.json()["parts"] is not None) == known, "that day has no output"


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"period": "slot"}, "period"),
        ({"indicator": "no.such"}, "indicator"),
        ({"limit": "no.such"}, "limit"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2027-01-01T00:00:00Z"}, "from"),
        ({"reference": "worst"}, "reference"),
    ],
)
async def test_a_wrong_parameter_is_named(
    client: httpx.AsyncClient, tokens: dict[str, str], params: dict[str, str], parameter: str
) -> None:
    answer = await client.get(PATH, params=params, headers=bearer(tokens["operator"]))
    assert answer.status_code == 422
    assert [one["parameter"] for one in answer.json()["errors"]] == [parameter]


async def test_what_has_no_such_split_is_refused_with_a_reason(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.get(
        PATH, params={"indicator": "cement.slag_use"}, headers=bearer(tokens["operator"])
    )
    assert answer.status_code == 422
    assert "no energy to split" in answer.json()["detail"]


async def test_a_plant_sees_its_own_excess_only(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    other = f"/api/v1/units/{FURNACE}/excess"
    assert (await client.get(other, headers=bearer(tokens["operator"]))).status_code == 403
    assert (await client.get(PATH, headers=bearer(tokens["regulator"]))).status_code == 403
    assert (await client.get(PATH)).status_code == 401
