"""Who sees alerts, who may acknowledge them, and that it is written down."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from api.schemas import AlertItem
from core.alerts import Alert, State
from store import alerts
from store.alerts import Key
from tests.api.world import FURNACE, MONTH_START, NOW, POTLINE, bearer

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool

TARGET = "cn-qh.al.liquid.ac.target-2020"
FIGURE = {
    "force": "target",
    "level": None,
    "cmp": "<=",
    "limit_value": "12750",
    "lapsed": True,
    "verdict": "exceeds",
    "value": "13179.5",
    "uncertainty": "106.2",
    "value_unit": "kWh/t",
    "completeness": 0.99,
    "figure_period_start": "2026-11-01T00:00:00+08:00",
    "figure_closed": False,
    "computed_at": "2026-11-21T04:00:00Z",
    "result": None,
}


async def put(
    pool: Pool, unit: str = POTLINE, state: State = State.FIRING, period: str = "month", **more: Any
) -> str:
    raised = None if state is State.PENDING else NOW
    given = {
        "state": state,
        "since": NOW,
        "severity": 1,
        "episode": 1,
        "period_start": MONTH_START,
        "last_start": MONTH_START,
        "raised_at": raised,
        "resolved_at": NOW if state is State.RESOLVED else None,
        **more,
    }
    async with pool.connection() as connection:
        key = Key(unit, "al.liquid.ac", period, TARGET)
        kept = await alerts.save(connection, key, Alert(**given), FIGURE, NOW)
    return str(kept.id)


async def audit(pool: Pool) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        cursor = await connection.execute("select who, role, action, subject from audit")
        return await cursor.fetchall()


async def listed(client: httpx.AsyncClient, secret: str, **query: Any) -> list[str]:
    answer = await client.get("/api/v1/alerts", params=query, headers=bearer(secret))
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_an_alert_is_shown_as_the_contract_says(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    alert = await put(pool)
    async with pool.connection() as connection:
        await connection.execute(
            "insert into notification (notification, alert, episode, channel, kind, body,"
            " created_at, next_at) values (%s, %s, 1, 'regulator', 'firing', '{}', %s, %s)",
            (uuid4(), alert, NOW, NOW),
        )
    answer = await client.get("/api/v1/alerts", headers=bearer(tokens["operator"]))
    (item,) = answer.json()["items"]
    AlertItem.model_validate(item)
    assert answer.json()["next"] is None
    assert item["period_start"] == "2026-11-01T00:00:00+08:00"
    assert (item["state"], item["unit"], item["limit"]) == ("firing", POTLINE, TARGET)
    assert item["deliveries"] == [
        {"channel": "regulator", "state": "waiting", "attempts": 0, "receipt": None}
    ]
    assert item["evidence"] is None
    assert item["unit_name"] == {"zh": "电解一系列", "en": "Potline 1"}
    one = await client.get(f"/api/v1/alerts/{alert}", headers=bearer(tokens["operator"]))
    assert one.json() == item


async def test_everybody_sees_the_alerts_of_their_scope_only(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    potline, furnace = await put(pool), await put(pool, FURNACE)
    assert await listed(client, tokens["operator"]) == [potline]
    assert await listed(client, tokens["regulator"]) == [furnace]
    assert set(await listed(client, tokens["engineer"])) == {potline, furnace}
    foreign = await client.get(f"/api/v1/alerts/{furnace}", headers=bearer(tokens["operator"]))
    assert foreign.status_code == 403
    assert (await client.get("/api/v1/alerts")).status_code == 401


async def test_the_list_is_filtered_by_state_unit_and_site(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    firing = await put(pool)
    pending = await put(pool, state=State.PENDING, period="year")
    other = await put(pool, FURNACE, State.RESOLVED)
    admin = tokens["admin"]
    assert set(await listed(client, admin)) == {firing, pending, other}
    assert await listed(client, admin, state="firing") == [firing]
    assert set(await listed(client, admin, state="firing,pending")) == {firing, pending}
    assert set(await listed(client, admin, state=["firing", "resolved"])) == {firing, other}
    assert await listed(client, admin, unit=FURNACE) == [other]
    assert await listed(client, admin, site="nx-fa") == [other]
    assert await listed(client, admin, site="nowhere") == []


async def test_what_was_over_before_it_was_raised_is_not_listed(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    alert = await put(pool, state=State.RESOLVED, raised_at=None, resolved_at=None)
    assert await listed(client, tokens["admin"]) == []
    one = await client.get(f"/api/v1/alerts/{alert}", headers=bearer(tokens["admin"]))
    assert one.json()["raised_at"] is None


async def test_pages_follow_one_another_without_hole_or_double(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    wanted = {
        await put(pool, unit, period=period)
        for unit in (POTLINE, FURNACE)
        for period in ("day", "month", "year")
    }
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(
            "/api/v1/alerts", params={"limit": 2, **cursor}, headers=bearer(tokens["admin"])
        )
        found += [item["id"] for item in answer.json()["items"]]
        if answer.json()["next"] is None:
            break
        cursor = {"cursor": answer.json()["next"]}
    assert len(found) == len(wanted)
    assert set(found) == wanted


@pytest.mark.parametrize(
    "query", [{"state": "loud"}, {"cursor": "x"}, {"cursor": "WzEsMl0"}, {"limit": 0}]
)
async def test_a_wrong_question_is_a_problem_that_names_the_parameter(
    client: httpx.AsyncClient, tokens: dict[str, str], query: dict[str, Any]
) -> None:
    answer = await client.get("/api/v1/alerts", params=query, headers=bearer(tokens["admin"]))
    assert answer.status_code == 422
    assert next(iter(query)) in answer.json()["detail"]


async def test_a_forged_cursor_is_refused_whatever_is_in_it(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    from api import requests  # noqa: PLC0415 - only here

    for key in ((1, "no uuid"), (2**62, str(uuid4())), (-(2**62), str(uuid4()))):
        answer = await client.get(
            "/api/v1/alerts",
            params={"cursor": requests.encode_cursor(*key)},
            headers=bearer(tokens["admin"]),
        )
        assert answer.status_code == 422


@pytest.mark.parametrize("role", ["operator", "engineer", "admin"])
async def test_people_of_the_plant_acknowledge_once_and_it_is_written_down(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool, clock: Any, role: str
) -> None:
    alert = await put(pool)
    path = f"/api/v1/alerts/{alert}/acknowledge"
    first = await client.post(path, headers=bearer(tokens[role]))
    assert first.status_code == 200
    assert first.json()["acknowledged_by"] == f"the {role}"
    assert first.json()["acknowledged_at"] == "2026-11-21T04:00:00Z"
    assert first.json()["state"] == "firing"
    clock.move(60)
    again = await client.post(path, headers=bearer(tokens["admin"]))
    assert (again.status_code, again.json()) == (200, first.json())
    assert await audit(pool) == [(f"the {role}", role, "acknowledge", f"alert/{alert}")]


async def test_a_regulator_a_foreigner_and_a_stranger_may_not_acknowledge(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    alert = await put(pool, FURNACE)
    path = f"/api/v1/alerts/{alert}/acknowledge"
    assert (await client.post(path)).status_code == 401
    assert (await client.post(path, headers=bearer("guessed"))).status_code == 401
    assert (await client.post(path, headers=bearer(tokens["regulator"]))).status_code == 403
    assert (await client.post(path, headers=bearer(tokens["operator"]))).status_code == 403
    shown = await client.get(f"/api/v1/alerts/{alert}", headers=bearer(tokens["admin"]))
    assert shown.json()["acknowledged_at"] is None
    assert await audit(pool) == []


async def test_what_is_not_raised_cannot_be_acknowledged(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    alert = await put(pool, state=State.PENDING)
    path = f"/api/v1/alerts/{alert}/acknowledge"
    assert (await client.post(path, headers=bearer(tokens["admin"]))).status_code == 409
    assert await audit(pool) == []


async def test_an_alert_that_is_not_there_is_told(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    for path in (f"/api/v1/alerts/{uuid4()}", f"/api/v1/alerts/{uuid4()}/acknowledge"):
        method = "POST" if path.endswith("acknowledge") else "GET"
        answer = await client.request(method, path, headers=bearer(tokens["admin"]))
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:danhao:problem:unknown-alert"
    answer = await client.get("/api/v1/alerts/7", headers=bearer(tokens["admin"]))
    assert answer.status_code == 422


async def test_a_resolved_alert_can_still_be_acknowledged(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    alert = await put(pool, state=State.RESOLVED, resolved_at=NOW + timedelta(minutes=6))
    answer = await client.post(
        f"/api/v1/alerts/{alert}/acknowledge", headers=bearer(tokens["operator"])
    )
    assert answer.status_code == 200
    assert answer.json()["state"] == "resolved"
