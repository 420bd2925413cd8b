"""Promises of benchmarks by the API: who sees which plant, who records, what clears."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from api.benchmark_schemas import BenchmarkItem, RecordedBenchmark, RetrofitItem, StandingItem
from api.schemas import Page
from store import access
from tests.api.world import bearer
from tests.store.test_benchmarks import eight, figures, store

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool
    from tests.api.world import Clock

NOW = datetime.fromisoformat("2026-11-21T12:00:00+08:00")
ASKED = {"indicator": "al.liquid.ac", "period": "2026-10", "jurisdiction": "cn-qh"}
SCOPES = {
    "qh": ("regulator", "jurisdiction:cn-qh"),
    "nx": ("regulator", "jurisdiction:cn-nx"),
    "cn": ("regulator", "jurisdiction:cn"),
    "p3": ("engineer", "site:p3"),
    "p7": ("operator", "site:p7"),
}
OTHERS = [f"p{n}" for n in range(8) if n != 3]


@pytest_asyncio.fixture
async def secrets(pool: Pool, tokens: dict[str, str]) -> dict[str, str]:
    """Declare eight plants with an October each, and tokens of regulators and plants."""
    async with pool.connection() as link:
        await eight(link)
        made = {
            name: await access.create_token(link, name=name, role=role, scope=[scope], now=NOW)
            for name, (role, scope) in SCOPES.items()
        }
    return tokens | made


async def ask(
    client: httpx.AsyncClient, secret: str, path: str = "benchmarks", **more: Any
) -> httpx.Response:
    params = ASKED | more if path == "benchmarks" else more
    return await client.get(f"/api/v1/{path}", params=params, headers=bearer(secret))


async def post(
    client: httpx.AsyncClient, secret: str, path: str, body: dict[str, Any]
) -> httpx.Response:
    return await client.post(f"/api/v1/{path}", json=body, headers=bearer(secret))


@pytest.mark.parametrize("who", ["qh", "cn", "admin"])
async def test_who_sees_the_whole_jurisdiction_sees_every_plant(
    client: httpx.AsyncClient, secrets: dict[str, str], who: str
) -> None:
    answer = await ask(client, secrets[who])
    item = BenchmarkItem.model_validate_json(answer.content)
    # The world's own aluminium plant declares the indicator, and has no October.
    assert [one.site for one in item.plants] == [*(f"p{n}" for n in range(8)), "gh-al"]
    assert item.plants[-1].why == "no_data"
    assert item.quartiles is not None
    assert not item.quartiles.concealed
    assert item.plants[7].follows == "sanction"
    assert "在未完成技术改造前" in {one.clause_id: one.quote for one in item.clauses}["B04"]


async def test_a_plant_sees_itself_and_quartiles_and_nothing_of_another(
    client: httpx.AsyncClient, secrets: dict[str, str]
) -> None:
    answer = await ask(client, secrets["p3"])
    item = BenchmarkItem.model_validate_json(answer.content)
    (own,) = item.plants
    assert (own.site, own.rank, own.value) == ("p3", 4, "13500")
    assert own.gap_to_best_quartile is None
    assert item.quartiles is not None
    assert item.quartiles.concealed
    assert item.counts["ranked"] == 8
    for other in OTHERS:
        assert f'"{other}' not in answer.text
    again = await ask(client, secrets["p3"])
    assert again.json()["quartiles"] == answer.json()["quartiles"]


@pytest.mark.parametrize("who", ["nx", "regulator"])
async def test_another_province_s_regulator_sees_nothing(
    client: httpx.AsyncClient, secrets: dict[str, str], who: str
) -> None:
    assert (await ask(client, secrets[who])).status_code == 403


async def test_a_plant_does_not_ask_for_a_jurisdiction_it_is_not_in_and_calls_nobody_up(
    client: httpx.AsyncClient, secrets: dict[str, str]
) -> None:
    assert (await ask(client, secrets["p3"], jurisdiction="cn-nx")).status_code == 403
    assert (await ask(client, secrets["p3"], called="z")).status_code == 403


@pytest.mark.parametrize(
    ("wrong", "parameter"),
    [
        ({"indicator": "al.nothing"}, "indicator"),
        ({"period": "2026-13"}, "period"),
        ({"called": "nx-fa"}, "called"),
        ({"jurisdiction": "Qinghai"}, "jurisdiction"),
    ],
)
async def test_a_wrong_question_is_told_by_its_parameter(
    client: httpx.AsyncClient, secrets: dict[str, str], wrong: dict[str, str], parameter: str
) -> None:
    answer = await ask(client, secrets["admin"], **wrong)
    assert answer.status_code == 422
    assert parameter in answer.text


async def test_a_record_bars_until_a_retrofit_is_recorded(
    client: httpx.AsyncClient, secrets: dict[str, str], pool: Pool
) -> None:
    made = await post(client, secrets["qh"], "benchmarks", ASKED | {"called": ["z"]})
    assert made.status_code == 201, made.text
    record = RecordedBenchmark.model_validate_json(made.content)
    assert (record.version, record.recorded_by) == (1, "user:qh")
    listed = Page[RecordedBenchmark].model_validate_json(
        (await ask(client, secrets["cn"], "benchmarks/recorded")).content
    )
    assert [one.benchmark for one in listed.items] == [record.benchmark]
    assert (await ask(client, secrets["p7"], "benchmarks/recorded")).json()["items"] == []
    assert await standing(client, secrets["p7"]) == "barred"
    better = figures(1_280_000, 100)
    async with pool.connection() as link:
        await store(link, "p7.line-1", better)
    assert (await ask(client, secrets["p7"])).json()["plants"][0]["rank"] == 1
    assert await standing(client, secrets["p7"]) == "barred"
    done = {
        "completed_at": "2026-11-10T00:00:00+08:00",
        "indicators": ["al.liquid.ac"],
        "what": "cathodes renewed",
        "document": "No. 7",
    }
    answer = await post(client, secrets["qh"], "sites/p7/retrofits", done)
    assert answer.status_code == 201, answer.text
    kept = RetrofitItem.model_validate_json(answer.content)
    assert await standing(client, secrets["p7"]) == "clear"
    shown = StandingItem.model_validate_json(
        (await ask(client, secrets["qh"], "sites/p7/standing")).content
    )
    assert [one.lifted_by for one in shown.findings] == [kept.retrofit]
    async with pool.connection() as link:
        cursor = await link.execute("select action, who from audit order by audit_id")
        assert await cursor.fetchall() == [("record_benchmark", "qh"), ("record_retrofit", "qh")]


async def standing(client: httpx.AsyncClient, secret: str, site: str = "p7") -> str:
    answer = await ask(client, secret, f"sites/{site}/standing")
    return StandingItem.model_validate_json(answer.content).eligibility


@pytest.mark.parametrize("who", ["p3", "p7"])
async def test_a_plant_records_neither_a_benchmark_nor_a_retrofit(
    client: httpx.AsyncClient, secrets: dict[str, str], who: str
) -> None:
    assert (await post(client, secrets[who], "benchmarks", ASKED)).status_code == 403
    body = {"completed_at": "2026-11-10T00:00:00Z", "indicators": ["al.liquid.ac"]}
    body |= {"what": "w", "document": "d"}
    assert (await post(client, secrets[who], f"sites/{who}/retrofits", body)).status_code == 403


async def test_a_regulator_records_in_his_jurisdiction_only(
    client: httpx.AsyncClient, secrets: dict[str, str]
) -> None:
    assert (await post(client, secrets["nx"], "benchmarks", ASKED)).status_code == 403
    body = {"completed_at": "2026-11-10T00:00:00Z", "indicators": ["al.liquid.ac"]}
    body |= {"what": "w", "document": "d"}
    assert (await post(client, secrets["nx"], "sites/p7/retrofits", body)).status_code == 403
    assert (await ask(client, secrets["nx"], "sites/p7/standing")).status_code == 403


async def test_a_period_that_is_not_over_is_not_recorded(
    client: httpx.AsyncClient, secrets: dict[str, str], clock: Clock
) -> None:
    assert clock.now < datetime.fromisoformat("2026-12-01T00:00:00+08:00")
    for period in ("2026-11", "2026-Q4", "2026"):
        answer = await post(client, secrets["qh"], "benchmarks", ASKED | {"period": period})
        assert answer.status_code == 409
        assert answer.json()["detail"].startswith(f"{period} is not over")


@pytest.mark.parametrize(
    "wrong",
    [
        {"completed_at": "2027-01-01T00:00:00Z"},
        {"completed_at": "yesterday"},
        {"indicators": []},
        {"indicators": ["al.nothing"]},
        {"document": ""},
        {"more": 1},
    ],
)
async def test_a_retrofit_without_what_proves_it_is_refused(
    client: httpx.AsyncClient, secrets: dict[str, str], wrong: dict[str, Any]
) -> None:
    body: dict[str, Any] = {"completed_at": "2026-11-10T00:00:00Z", "indicators": ["al.liquid.ac"]}
    body |= {"what": "w", "document": "d"} | wrong
    answer = await post(client, secrets["qh"], "sites/p7/retrofits", body)
    assert answer.status_code == 422, answer.text
