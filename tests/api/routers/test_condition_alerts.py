"""Alerts about data, agents and the service itself: as the contract says, in their scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from api.feed import Feed
from api.schemas import AlertItem
from core.alerts import Alert, State
from core.conditions import Subject, SubjectKind
from store import alerts
from store.alerts import Watched
from tests.api.routers.test_alerts import listed, put
from tests.api.test_feed_alerts import taken
from tests.api.world import FURNACE, METER, NOW, POTLINE, bearer

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI

    from api.deps import Services
    from store.connection import Pool
    from tests.api import world

SENTENCE = {"zh": "网关失联", "en": "The agent is silent"}
FIGURE = {
    "value": "1860",
    "value_unit": "s",
    "raise_at": "1800",
    "clear_at": "600",
    "sentence": SENTENCE,
    "facts": {"heard_at": "2026-11-21T03:29:00Z"},
    "computed_at": "2026-11-21T04:00:00Z",
}
SUBJECTS = {
    "unit": Subject(SubjectKind.UNIT, POTLINE),
    "point": Subject(SubjectKind.POINT, METER),
    "agent": Subject(SubjectKind.AGENT, "gh-al.gw-01"),
    "site": Subject(SubjectKind.SITE, "nx-fa"),
    "channel": Subject(SubjectKind.CHANNEL, "qinghai"),
    "store": Subject(SubjectKind.STORE, "live-streams"),
}


async def raised(pool: Pool, kind: str, state: State = State.FIRING) -> str:
    """Raise an alert about the subject of a kind and return its id."""
    alert = Alert(state=state, since=NOW, severity=1, episode=1, raised_at=NOW)
    async with pool.connection() as connection:
        watched = Watched(f"{kind}_is_ill", SUBJECTS[kind])
        return str((await alerts.save(connection, watched, alert, FIGURE, NOW)).id)


@pytest.mark.parametrize("kind", list(SUBJECTS))
async def test_a_condition_is_shown_as_the_contract_says(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool, kind: str
) -> None:
    alert = await raised(pool, kind)
    answer = await client.get(f"/api/v1/alerts/{alert}", headers=bearer(tokens["admin"]))
    item = answer.json()
    AlertItem.model_validate(item)
    subject = SUBJECTS[kind]
    assert (item["kind"], item["condition"]) == ("condition", f"{kind}_is_ill")
    assert item["subject"] == {"kind": kind, "id": subject.id}
    assert item["sentence"] == SENTENCE
    assert (item["site"], item["unit"]) == (subject.site, subject.unit)
    assert (item["value"], item["raise_at"], item["clear_at"]) == ("1860", "1800", "600")
    absent = ("indicator", "period", "limit", "period_start", "stage", "verdict", "evidence")
    assert [item[name] for name in absent] == [None] * len(absent)
    site_name = {"gh-al": "Demo Aluminium", "nx-fa": "Demo Ferroalloy"}.get(subject.site or "")
    assert (item["site_name"] or {}).get("en") == site_name


async def test_what_concerns_no_unit_is_seen_by_its_site_and_what_no_site_by_the_whole_scope(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    made = {kind: await raised(pool, kind) for kind in SUBJECTS}
    seen = {
        "operator": {"unit", "point", "agent"},
        "engineer": {"unit", "point", "agent", "site"},
        "regulator": {"site"},
        "admin": set(SUBJECTS),
    }
    for role, kinds in seen.items():
        assert set(await listed(client, tokens[role])) == {made[kind] for kind in kinds}
        for kind, alert in made.items():
            path = f"/api/v1/alerts/{alert}"
            answer = await client.get(path, headers=bearer(tokens[role]))
            assert answer.status_code == (200 if kind in kinds else 403)
            if role != "regulator":
                done = await client.post(f"{path}/acknowledge", headers=bearer(tokens[role]))
                assert done.status_code == (200 if kind in kinds else 403)


async def test_the_list_is_filtered_by_kind_unit_and_site(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    made = {kind: await raised(pool, kind) for kind in SUBJECTS}
    exceedance = await put(pool)
    admin = tokens["admin"]
    assert await listed(client, admin, kind="exceedance") == [exceedance]
    assert set(await listed(client, admin, kind="condition")) == set(made.values())
    own = {made["unit"], made["point"], exceedance}
    assert set(await listed(client, admin, unit=POTLINE)) == own
    assert set(await listed(client, admin, site="gh-al")) == own | {made["agent"]}
    assert await listed(client, admin, site="nx-fa") == [made["site"]]
    assert await listed(client, admin, unit=FURNACE) == []
    wrong = await client.get("/api/v1/alerts", params={"kind": "x"}, headers=bearer(admin))
    assert wrong.status_code == 422


async def test_an_alert_that_rests_on_a_result_links_its_evidence(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "select result::text from result where unit = %s and period = 'month'", (POTLINE,)
        )
        ((result,),) = await cursor.fetchall()
    alert = await put(pool)
    async with pool.connection() as connection:
        await connection.execute(
            "update alert set figure = figure || jsonb_build_object('result', %s::text)", (result,)
        )
    one = await client.get(f"/api/v1/alerts/{alert}", headers=bearer(tokens["operator"]))
    link = one.json()["evidence"]
    assert link == f"/api/v1/results/{result}/evidence"
    pack = await client.get(link, headers=bearer(tokens["operator"]))
    assert pack.status_code == 200
    assert pack.headers["content-type"] == "application/x-ndjson"
    assert (await client.get(link, headers=bearer(tokens["regulator"]))).status_code == 403


async def test_the_live_stream_tells_each_scope_what_concerns_it(
    app: FastAPI, pool: Pool, clock: world.Clock
) -> None:
    shared: Services = app.state.services
    feed = Feed(shared)
    scopes: dict[str, frozenset[str]] = {
        "all": frozenset({"*"}),
        "site": frozenset({"site:gh-al"}),
        "jurisdiction": frozenset({"jurisdiction:cn"}),
    }
    clients = {name: shared.hub.join(scope, None, shared.ticks()) for name, scope in scopes.items()}
    for each in clients.values():
        taken(each)
    for kind in SUBJECTS:
        await raised(pool, kind)
    clock.move(1)
    await feed.poll_once()

    def heard(name: str) -> set[str]:
        items: list[dict[str, Any]] = [one for event in taken(clients[name]) for one in event]
        return {one["subject"]["kind"] for one in items}

    assert heard("all") == set(SUBJECTS)
    assert heard("site") == {"unit", "point", "agent"}
    assert heard("jurisdiction") == {"unit", "point", "agent", "site"}


async def test_what_is_declared_no_more_is_shown_to_nobody(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    alert = await raised(pool, "site")
    async with pool.connection() as connection:
        await connection.execute("update alert set site = 'gone', subject = 'gone'")
    assert await listed(client, tokens["admin"]) == []
    answer = await client.get(f"/api/v1/alerts/{alert}", headers=bearer(tokens["admin"]))
    assert answer.status_code == 404
