"""Who may ask for quiet, over what and for how long; and that it is written down."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from api.silence_schemas import SilenceItem
from core.alerts import Alert, State
from core.conditions import Subject, SubjectKind
from core.silences import MOST_OUTAGES
from store import alerts
from store.alerts import Watched
from tests.api.routers.test_alerts import put
from tests.api.world import FURNACE, NOW, POTLINE, bearer

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool
    from tests.api.world import Clock

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OUTAGES = "/api/v1/sites/gh-al/outages"


def utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def shelving(until: datetime = NOW + 8 * HOUR, **more: Any) -> dict[str, Any]:
    return {"reason": "the transformer is being replaced", "until": utc(until), **more}


def outage(**more: Any) -> dict[str, Any]:
    return {
        "kind": "planned_outage",
        "from": utc(NOW),
        "until": utc(NOW + 30 * DAY),
        "reason": "the potline is relined",
        "document": "QH-2026-117",
        **more,
    }


class Caller:
    """Asks as one role, and knows where an alert is shelved."""

    def __init__(self, client: httpx.AsyncClient, secret: str) -> None:
        self._client, self._headers = client, bearer(secret)

    async def shelve(self, alert: str, **body: Any) -> httpx.Response:
        address = f"/api/v1/alerts/{alert}/shelve"
        return await self._client.post(address, json=shelving() | body, headers=self._headers)

    async def unshelve(self, alert: str) -> httpx.Response:
        address = f"/api/v1/alerts/{alert}/shelve"
        return await self._client.delete(address, headers=self._headers)

    async def declare(self, site: str = "gh-al", **body: Any) -> httpx.Response:
        address = f"/api/v1/sites/{site}/outages"
        return await self._client.post(address, json=outage(**body), headers=self._headers)

    async def end(self, silence: str, site: str = "gh-al") -> httpx.Response:
        address = f"/api/v1/sites/{site}/outages/{silence}"
        return await self._client.delete(address, headers=self._headers)

    async def outages(self, **query: Any) -> dict[str, Any]:
        answer = await self._client.get(OUTAGES, params=query, headers=self._headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def alert(self, alert: str) -> dict[str, Any]:
        answer = await self._client.get(f"/api/v1/alerts/{alert}", headers=self._headers)
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def callers(client: httpx.AsyncClient, tokens: dict[str, str]) -> dict[str, Caller]:
    return {role: Caller(client, secret) for role, secret in tokens.items()}


async def audit(pool: Pool) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "select who, role, action, subject, detail ->> 'reason' from audit order by 1, 3"
        )
        return await cursor.fetchall()


async def test_a_shelved_alert_has_an_end_a_reason_and_a_name(
    callers: dict[str, Caller], pool: Pool
) -> None:
    alert = await put(pool)
    answer = await callers["operator"].shelve(alert)
    assert answer.status_code == 201, answer.text
    item = answer.json()
    SilenceItem.model_validate_json(answer.content)
    assert (item["kind"], item["state"], item["alert"]) == ("shelved", "running", alert)
    assert (item["created_by"], item["until"]) == ("the operator", utc(NOW + 8 * HOUR))
    assert await audit(pool) == [
        ("the operator", "operator", "shelve", f"alert/{alert}", item["reason"])
    ]


async def test_an_alert_shows_at_once_what_keeps_it_quiet(
    callers: dict[str, Caller], pool: Pool
) -> None:
    alert = await put(pool)
    assert (await callers["operator"].alert(alert))["quiet"] is None
    shelved = (await callers["operator"].shelve(alert)).json()
    quiet = (await callers["operator"].alert(alert))["quiet"]
    assert quiet == {
        "kind": "shelved",
        "told": True,
        "since": utc(NOW),
        "until": shelved["until"],
        "alert": None,
        "silence": shelved["silence"],
        "document": None,
        "reason": shelved["reason"],
        "by": "the operator",
    }


async def test_shelving_again_counts_instead_of_the_first(
    callers: dict[str, Caller], pool: Pool, clock: Clock
) -> None:
    alert = await put(pool)
    await callers["operator"].shelve(alert)
    clock.move(60)
    await callers["engineer"].shelve(alert, until=utc(NOW + HOUR))
    ended = (await callers["operator"].unshelve(alert)).json()
    assert (ended["state"], ended["until"], ended["ended_by"]) == (
        "ended",
        utc(NOW + HOUR),
        "the operator",
    )
    again = await callers["operator"].unshelve(alert)
    assert again.status_code == 409
    assert [row[2] for row in await audit(pool)] == ["shelve", "shelve", "unshelve"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"until": utc(NOW)}, 422, "lies in the past"),
        ({"until": utc(NOW + 7 * DAY + HOUR)}, 422, "more than 7 days ahead"),
        ({"until": "2026-11-21T20:00:00"}, 422, "until"),
        ({"reason": "  "}, 422, "reason"),
        ({"reason": "x" * 501}, 422, "reason"),
        ({"reason": "a\x00b c"}, 422, "reason"),
        ({"forever": True}, 422, "forever"),
    ],
)
async def test_what_cannot_be_meant_is_refused_in_words(
    callers: dict[str, Caller], pool: Pool, body: dict[str, Any], status: int, words: str
) -> None:
    answer = await callers["operator"].shelve(await put(pool), **body)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert await audit(pool) == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"state": State.RESOLVED}, "not raised"),
        ({"state": State.PENDING}, "not raised"),
        ({"severity": 3}, "serious"),
        ({"closed_start": NOW - 30 * DAY}, "a closed period found it"),
    ],
)
async def test_what_must_be_told_cannot_be_put_aside(
    callers: dict[str, Caller], pool: Pool, more: dict[str, Any], words: str
) -> None:
    answer = await callers["operator"].shelve(await put(pool, **more))
    assert answer.status_code == 409
    assert words in answer.json()["detail"]


async def test_a_foreign_alert_a_regulator_and_a_stranger_shelve_nothing(
    callers: dict[str, Caller], client: httpx.AsyncClient, pool: Pool
) -> None:
    potline, furnace = await put(pool), await put(pool, FURNACE)
    assert (await callers["operator"].shelve(furnace)).status_code == 403
    assert (await callers["regulator"].shelve(furnace)).status_code == 403
    stranger = await client.post(f"/api/v1/alerts/{potline}/shelve", json=shelving())
    assert stranger.status_code == 401
    unknown = await callers["operator"].shelve("00000000-0000-0000-0000-000000000000")
    assert unknown.status_code == 404


async def test_the_services_own_alert_is_shelved_by_those_to_whom_everything_is_open(
    callers: dict[str, Caller], pool: Pool
) -> None:
    watched = Watched("bound_hit", Subject(SubjectKind.STORE, "danhao"))
    raised = Alert(state=State.FIRING, since=NOW, episode=1, raised_at=NOW)
    async with pool.connection() as connection:
        kept = await alerts.save(connection, watched, raised, {"computed_at": utc(NOW)}, NOW)
    assert (await callers["operator"].shelve(str(kept.id))).status_code == 403
    assert (await callers["admin"].shelve(str(kept.id))).status_code == 201


async def test_an_outage_is_declared_listed_and_ended_with_who_did_it(
    callers: dict[str, Caller], pool: Pool, clock: Clock
) -> None:
    first = await callers["engineer"].declare(unit=POTLINE)
    assert first.status_code == 201, first.text
    SilenceItem.model_validate_json(first.content)
    clock.move(60)
    planned = {"from": utc(NOW + 40 * DAY), "until": utc(NOW + 41 * DAY), "kind": "start_up"}
    second = (await callers["admin"].declare(**planned)).json()
    listed = (await callers["operator"].outages())["items"]
    assert listed == [second, first.json()]
    assert [item["state"] for item in listed] == ["planned", "running"]
    ended = await callers["engineer"].end(first.json()["silence"])
    assert (ended.json()["state"], ended.json()["ended_by"]) == ("ended", "the engineer")
    assert (await callers["engineer"].end(first.json()["silence"])).status_code == 409
    assert [row[:4] for row in await audit(pool)] == [
        ("the admin", "admin", "declare_outage", "site/gh-al"),
        ("the engineer", "engineer", "declare_outage", "site/gh-al"),
        ("the engineer", "engineer", "end_outage", "site/gh-al"),
    ]


async def test_outages_come_in_pages(callers: dict[str, Caller], clock: Clock) -> None:
    for _ in range(3):
        await callers["engineer"].declare()
        clock.move(1)
    first = await callers["operator"].outages(limit=2)
    second = await callers["operator"].outages(limit=2, cursor=first["next"])
    found = [item["silence"] for item in [*first["items"], *second["items"]]]
    assert (len(found), len(set(found)), second["next"]) == (3, 3, None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"until": utc(NOW + 93 * DAY)}, "longer than 92 days"),
        ({"until": utc(NOW - HOUR)}, "must lie after"),
        ({"from": utc(NOW - 8 * DAY)}, "more than 7 days back"),
        ({"document": ""}, "document"),
        ({"kind": "holiday"}, "kind"),
        ({"unit": FURNACE}, "is no unit of gh-al"),
    ],
)
async def test_an_outage_without_an_end_in_sight_or_a_paper_is_refused(
    callers: dict[str, Caller], body: dict[str, Any], words: str
) -> None:
    answer = await callers["engineer"].declare(**body)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


async def test_outages_are_the_engineers_of_the_site_and_the_regulator_sees_them(
    callers: dict[str, Caller], client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    assert (await callers["operator"].declare()).status_code == 403
    assert (await callers["regulator"].declare("nx-fa")).status_code == 403
    silence = (await callers["engineer"].declare("nx-fa")).json()["silence"]
    address = "/api/v1/sites/nx-fa/outages"
    seen = await client.get(address, headers=bearer(tokens["regulator"]))
    assert [item["document"] for item in seen.json()["items"]] == ["QH-2026-117"]
    assert (await client.get(address, headers=bearer(tokens["operator"]))).status_code == 403
    assert (await callers["engineer"].end(silence)).status_code == 404, "not of this site"


async def test_a_site_has_at_most_so_many_outages_ahead(
    callers: dict[str, Caller], pool: Pool
) -> None:
    async with pool.connection() as connection:
        await connection.execute(
            "insert into silence (kind, site, from_at, until_at, reason, document, created_at,"
            " created_by, created_role) select 'start_up', 'gh-al', %(now)s, %(now)s +"
            " interval '1 day', 'why', '1', %(now)s, 'somebody', 'admin'"
            " from generate_series(1, %(most)s)",
            {"now": NOW, "most": MOST_OUTAGES},
        )
    answer = await callers["engineer"].declare()
    assert answer.status_code == 409
    assert str(MOST_OUTAGES) in answer.json()["detail"]
