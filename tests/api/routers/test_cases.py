"""Cases over HTTP: whose turn it is, who may do what, and that both sides close."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from api.case_schemas import AttachmentItem, CaseItem, WholeCase
from core import attachments
from core.alerts import Alert, Notice, State
from core.cases import OPEN
from store import access, alerts, cases, plants
from store.alerts import Key
from tests.api.routers.test_alerts import FIGURE, TARGET
from tests.api.world import FURNACE, MONTH_START, NOW, POTLINE, bearer

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool

    Tokens = dict[str, str]

PDF = b"%PDF-1.7 a scan"
WORDS = {"text": "The rectifier ran on one transformer."}
CAUSE = {"cause": "equipment", **WORDS}
PATH = "/api/v1/cases"


@pytest.fixture
async def tokens(pool: Pool, tokens: Tokens) -> Tokens:
    """Add the regulator of the potline's province, with the furnace's as `foreign`."""
    async with pool.connection() as connection:
        secret = await access.create_token(
            connection,
            name="the inspection",
            role="regulator",
            scope=("jurisdiction:cn-qh",),
            now=NOW,
        )
    return {**tokens, "foreign": tokens["regulator"], "regulator": secret}


async def tell(
    pool: Pool,
    severity: int = 2,
    notice: Notice = Notice.FIRING,
    state: State = State.FIRING,
    unit: str = POTLINE,
    **more: Any,
) -> tuple[str, str]:
    """Tell a unit's alert and return its id and that of its case."""
    async with pool.connection() as connection:
        alert = Alert(
            state=state,
            since=NOW,
            severity=severity,
            episode=1,
            period_start=MONTH_START,
            last_start=MONTH_START,
            raised_at=NOW,
            **more,
        )
        key = Key(unit, "al.liquid.ac", "month", TARGET)
        kept = await alerts.save(connection, key, alert, FIGURE, NOW)
        site = (await plants.load(connection)).plant.sites[unit.split(".", maxsplit=1)[0]]
        await cases.follow(connection, kept, notice, NOW, site)
        found = await cases.newest(connection, kept.id)
    assert found is not None
    return str(kept.id), str(found.id)


async def post(
    client: httpx.AsyncClient, secret: str, case: str, event: str, body: Any = None
) -> httpx.Response:
    return await client.post(f"{PATH}/{case}/{event}", json=body, headers=bearer(secret))


async def done(
    client: httpx.AsyncClient, secret: str, case: str, event: str, body: Any = None
) -> dict[str, Any]:
    answer = await post(client, secret, case, event, body)
    assert answer.status_code == 200, answer.text
    WholeCase.model_validate_json(answer.text)
    found: dict[str, Any] = answer.json()
    return found


async def listed(client: httpx.AsyncClient, secret: str, **query: Any) -> list[str]:
    answer = await client.get(PATH, params=query, headers=bearer(secret))
    assert answer.status_code == 200, answer.text
    for item in answer.json()["items"]:
        CaseItem.model_validate(item)
    return [item["id"] for item in answer.json()["items"]]


async def attach(
    client: httpx.AsyncClient,
    secret: str,
    case: str,
    content: bytes = PDF,
    kind: str = "application/pdf",
    name: str = "scan.pdf",
) -> httpx.Response:
    return await client.post(
        f"{PATH}/{case}/attachments",
        params={"name": name},
        content=content,
        headers={**bearer(secret), "Content-Type": kind},
    )


async def rows(pool: Pool, query: str, *given: Any) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(query, given)).fetchall()


async def test_a_case_goes_to_its_end_by_the_plant_and_the_regulator(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    alert, case = await tell(pool)
    plant, regulator = tokens["engineer"], tokens["regulator"]
    shown = (await client.get(f"{PATH}/{case}", headers=bearer(plant))).json()
    assert (shown["state"], shown["closes"], shown["alert"]["id"]) == ("raised", "both", alert)
    assert shown["may"] == ["acknowledge", "explain"]
    assert shown["waiting"] == {
        "side": "plant",
        "duty": "acknowledge",
        "due_at": "2026-11-23T16:00:00Z",  # it was told on a Saturday; Monday is the working day
        "working_days": 1,
        "working_days_left": 1,  # Monday is still to come
        "calendar_known": True,
        "overdue": False,
        "told_at": None,
    }
    await done(client, plant, case, "acknowledge")
    explained = await done(client, plant, case, "explain", CAUSE)
    assert explained["waiting"]["side"] == "regulator"
    assert explained["stages"]["explained"]["detail"] == CAUSE
    disputed = await done(client, regulator, case, "dispute", {"text": "Since when?"})
    assert (disputed["state"], disputed["may"]) == ("disputed", [])
    await done(client, plant, case, "explain", CAUSE)
    await done(client, regulator, case, "accept", {})
    planned = await done(client, plant, case, "plan", {"text": "A new one.", "due": "2027-01-31"})
    assert planned["waiting"]["due_at"] == "2027-01-31T16:00:00Z"
    half = await done(client, plant, case, "close", {"text": "It is there."})
    assert (half["state"], half["may"]) == ("plant_closed", [])
    assert (await post(client, plant, case, "close", WORDS)).status_code == 409
    ended = await done(client, regulator, case, "close", {"text": "Seen."})
    assert (ended["state"], ended["waiting"]) == ("closed", None)
    assert [row["to_state"] for row in ended["history"]] == [
        "raised",
        "acknowledged",
        "explained",
        "disputed",
        "explained",
        "accepted",
        "planned",
        "plant_closed",
        "closed",
    ]
    assert ended["history"][0]["who"] == "danhao"
    assert ended["history"][-1]["who"] == "the inspection"
    audit = await rows(pool, "select who, action, subject from audit order by at, audit_id")
    assert len(audit) == 8
    assert audit[0] == ("the engineer", "acknowledge_case", f"case/{case}")


async def test_the_old_way_to_acknowledge_an_alert_moves_its_case_and_the_new_one_the_alert(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    alert, case = await tell(pool)
    answer = await client.post(
        f"/api/v1/alerts/{alert}/acknowledge", headers=bearer(tokens["operator"])
    )
    assert answer.status_code == 200
    shown = (await client.get(f"{PATH}/{case}", headers=bearer(tokens["operator"]))).json()
    assert (shown["state"], shown["stages"]["acknowledged"]["who"]) == (
        "acknowledged",
        "the operator",
    )
    assert (
        await client.post(f"/api/v1/alerts/{alert}/acknowledge", headers=bearer(tokens["operator"]))
    ).status_code == 200
    other_alert, other = await tell(pool, unit=FURNACE)
    await done(client, tokens["engineer"], other, "acknowledge")
    item = (
        await client.get(f"/api/v1/alerts/{other_alert}", headers=bearer(tokens["engineer"]))
    ).json()
    assert item["acknowledged_by"] == "the engineer"
    assert len(await rows(pool, "select * from audit")) == 2


async def test_an_alert_is_explained_by_its_id_too(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    alert, case = await tell(pool)
    path = f"/api/v1/alerts/{alert}/explain"
    answer = await client.post(path, json=CAUSE, headers=bearer(tokens["operator"]))
    assert (answer.status_code, answer.json()["id"]) == (200, case)
    assert answer.json()["alert"]["acknowledged_by"] == "the operator"
    async with pool.connection() as connection:
        untold = await alerts.save(
            connection,
            Key(POTLINE, "al.liquid.ac", "year", TARGET),
            Alert(state=State.FIRING, since=NOW, last_start=MONTH_START, raised_at=NOW),
            FIGURE,
            NOW,
        )
    path = f"/api/v1/alerts/{untold.id}/explain"
    answer = await client.post(path, json=CAUSE, headers=bearer(tokens["operator"]))
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:danhao:problem:no-case"


async def test_cases_are_seen_and_done_in_scope_only(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    _, potline = await tell(pool)
    _, furnace = await tell(pool, unit=FURNACE)
    assert await listed(client, tokens["operator"]) == [potline]
    assert await listed(client, tokens["regulator"]) == [potline]
    assert await listed(client, tokens["foreign"]) == [furnace]
    assert set(await listed(client, tokens["admin"])) == {potline, furnace}
    assert (await client.get(PATH)).status_code == 401
    for path in ("", "/attachments/" + str(uuid4())):
        answer = await client.get(f"{PATH}/{furnace}{path}", headers=bearer(tokens["regulator"]))
        assert answer.status_code == 403
    for event, body in (("dispute", WORDS), ("close", WORDS), ("accept", {})):
        answer = await post(client, tokens["foreign"], potline, event, body)
        assert answer.status_code == 403
    assert (await attach(client, tokens["foreign"], potline)).status_code == 403
    query = {"site": "nx-fa"}
    answer = await client.get(PATH, params=query, headers=bearer(tokens["operator"]))
    assert answer.status_code == 403
    assert await rows(pool, "select * from audit") == []


ROLES: dict[str, tuple[Any, set[str]]] = {
    "acknowledge": (None, {"operator", "engineer", "admin"}),
    "explain": (CAUSE, {"operator", "engineer", "admin"}),
    "plan": ({"text": "We will.", "due": "2026-12-31"}, {"engineer", "admin"}),
    "accept": ({}, {"regulator"}),
    "dispute": (WORDS, {"regulator"}),
    "close": (WORDS, {"engineer", "admin", "regulator"}),
}


async def test_each_role_does_its_own_and_an_admin_does_not_speak_for_the_regulator(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    _, case = await tell(pool)
    for event, (body, roles) in ROLES.items():
        for role in ("operator", "engineer", "regulator", "admin"):
            answer = await post(client, tokens[role], case, event, body)
            assert (answer.status_code == 403) is (role not in roles), (role, answer.text)
        assert (await client.post(f"{PATH}/{case}/{event}", json=body)).status_code == 401


async def test_what_cannot_be_done_now_says_what_can(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    _, case = await tell(pool)
    answer = await post(client, tokens["engineer"], case, "close", WORDS)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:danhao:problem:not-now"
    assert "it may acknowledge, explain now" in answer.json()["detail"]
    assert await rows(pool, "select count(*) from case_transition") == [(1,)]


async def test_one_side_ends_an_attention_only_once_its_alert_is_over(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    _, case = await tell(pool, 1)
    acknowledged = await done(client, tokens["engineer"], case, "acknowledge")
    assert "close" not in acknowledged["may"]
    answer = await post(client, tokens["engineer"], case, "close", WORDS)
    assert answer.json()["type"] == "urn:danhao:problem:still-firing"
    await tell(pool, 1, Notice.RESOLVED, State.RESOLVED)
    ended = await done(client, tokens["engineer"], case, "close", WORDS)
    assert ended["state"] == "closed"


async def test_the_list_is_filtered_by_state_turn_time_unit_and_alert(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool, clock: Any
) -> None:
    alert, first = await tell(pool)
    _, second = await tell(pool, unit=FURNACE)
    await done(client, tokens["engineer"], first, "explain", CAUSE)
    admin = tokens["admin"]
    assert await listed(client, admin, state="explained") == [first]
    assert set(await listed(client, admin, state="open")) == {first, second}
    assert await listed(client, admin, state="closed,withdrawn") == []
    assert await listed(client, admin, waits_for="regulator") == [first]
    assert await listed(client, admin, waits_for="plant") == [second]
    assert await listed(client, admin, unit=FURNACE) == [second]
    assert await listed(client, admin, site="gh-al") == [first]
    assert await listed(client, admin, alert=alert) == [first]
    assert await listed(client, admin, overdue=True) == []
    clock.move(5 * 86_400)
    assert await listed(client, admin, overdue=True) == [second]
    for query in ({"state": "lost"}, {"cursor": "x"}, {"limit": 0}, {"waits_for": "nobody"}):
        answer = await client.get(PATH, params=query, headers=bearer(admin))
        assert answer.status_code == 422, query


async def test_pages_follow_one_another_without_hole_or_double(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    wanted = {(await tell(pool))[1], (await tell(pool, unit=FURNACE))[1]}
    found: list[str] = []
    query: dict[str, Any] = {"limit": 1}
    while True:
        answer = await client.get(PATH, params=query, headers=bearer(tokens["admin"]))
        found += [item["id"] for item in answer.json()["items"]]
        if answer.json()["next"] is None:
            break
        query["cursor"] = answer.json()["next"]
    assert len(found) == 2
    assert set(found) == wanted


WRONG: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("explain", {"cause": "the_moon", **WORDS}, "is no cause"),
    ("explain", {"cause": "metering", **WORDS}, "asks for proof"),
    ("explain", {"cause": "equipment"}, "text"),
    ("explain", {**CAUSE, "mood": "bad"}, "mood"),
    ("explain", {**CAUSE, "text": "x" * 4001}, "text"),
    ("explain", {**CAUSE, "text": "words\x00"}, "text"),
    ("explain", {**CAUSE, "attachments": [str(uuid4())]}, "is no document"),
    ("plan", {"text": "We will.", "due": "tomorrow"}, "due"),
)


async def test_what_is_said_wrongly_is_told_with_its_place(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    _, case = await tell(pool)
    for event, body, says in WRONG:
        answer = await post(client, tokens["engineer"], case, event, body)
        assert answer.status_code == 422
        assert says in answer.text
    half = '{"cause":"equipment","text":"half a character: \\ud800"}'
    answer = await client.post(
        f"{PATH}/{case}/explain",
        content=half,
        headers={**bearer(tokens["engineer"]), "Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert await rows(pool, "select count(*) from case_transition") == [(1,)]


async def test_a_plan_ends_after_today_and_within_half_a_year_however_often_it_is_amended(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool, clock: Any
) -> None:
    _, case = await tell(pool)
    await done(client, tokens["engineer"], case, "explain", CAUSE)
    wrong = {"2026-11-21": "not after today", "2027-05-24": "more than 183 days"}
    for due, says in wrong.items():
        answer = await post(client, tokens["engineer"], case, "plan", {"text": "x y", "due": due})
        assert answer.status_code == 422
        assert says in answer.json()["detail"]
    await done(client, tokens["engineer"], case, "plan", {"text": "x y", "due": "2027-05-23"})
    clock.move(86_400)
    later = {"text": "later", "due": "2027-05-24"}
    answer = await post(client, tokens["engineer"], case, "plan", later)
    assert answer.status_code == 422


async def test_a_document_is_kept_as_it_came_and_given_back_to_be_saved(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    _, case = await tell(pool)
    answer = await attach(client, tokens["operator"], case, name="C:\\scans\\证明 1.pdf")
    assert answer.status_code == 201, answer.text
    AttachmentItem.model_validate_json(answer.text)
    document = answer.json()
    assert (document["name"], document["size_bytes"]) == ("证明 1.pdf", len(PDF))
    assert document["sha256"] == hashlib.sha256(PDF).hexdigest()
    again = await attach(client, tokens["engineer"], case)
    assert (again.status_code, again.json()) == (200, document)
    body = {"cause": "metering", **WORDS, "attachments": [document["id"]]}
    shown = await done(client, tokens["engineer"], case, "explain", body)
    assert shown["attachments"] == [document]
    assert shown["stages"]["explained"]["detail"]["attachments"] == [document["id"]]
    path = f"{PATH}/{case}/attachments/{document['id']}"
    given = await client.get(path, headers=bearer(tokens["regulator"]))
    assert given.content == PDF
    assert given.headers["content-type"] == "application/pdf"
    assert given.headers["content-disposition"] == (
        "attachment; filename*=UTF-8''%E8%AF%81%E6%98%8E%201.pdf"
    )
    assert given.headers["x-content-type-options"] == "nosniff"
    missing = await client.get(
        f"{PATH}/{case}/attachments/{uuid4()}", headers=bearer(tokens["regulator"])
    )
    assert missing.status_code == 404


async def test_a_side_attaches_its_own_documents_only_and_none_to_what_has_ended(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    _, case = await tell(pool, 0)
    theirs = (await attach(client, tokens["regulator"], case)).json()
    body = {**CAUSE, "attachments": [theirs["id"]]}
    answer = await post(client, tokens["engineer"], case, "explain", body)
    assert answer.status_code == 422
    await tell(pool, 0, Notice.RESOLVED, State.RESOLVED)
    assert (await attach(client, tokens["engineer"], case, b"%PDF-2")).status_code == 409


async def test_documents_are_bounded_in_number_and_size(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    _, case = await tell(pool)
    for number in range(attachments.MOST_OF_A_CASE):
        answer = await attach(client, tokens["engineer"], case, b"%%PDF-%d" % number)
        assert answer.status_code == 201
    answer = await attach(client, tokens["engineer"], case, b"%PDF-one more")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:danhao:problem:too-many")
    large = PDF + b" " * attachments.MOST_BYTES
    assert (await attach(client, tokens["engineer"], case, large)).status_code == 413


async def test_what_is_not_what_it_is_called_is_refused(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    _, case = await tell(pool)
    for kind in ("application/pdf", "text/html"):
        answer = await attach(client, tokens["engineer"], case, b"<html>", kind)
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:danhao:problem:bad-document"
    assert await rows(pool, "select * from case_attachment") == []


async def test_a_case_shows_the_closed_periods_it_rests_on_with_the_evidence_of_each(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    alert, case = await tell(pool, closed_start=MONTH_START)
    path = f"{PATH}/{case}"
    found = (await client.get(path, headers=bearer(tokens["regulator"]))).json()["findings"]
    result = found[0]["result"]
    month = "2026-11-01T00:00:00+08:00"
    ((stored,),) = await rows(
        pool,
        "select result::text from result where unit = %s and period = 'month'"
        " and period_start = %s",
        POTLINE,
        MONTH_START,
    )
    assert found == [
        {
            "period_start": month,
            "found_at": "2026-11-21T04:00:00Z",
            "stands": True,
            "since": "2026-11-21T04:00:00Z",
            "result": stored,
            "evidence": f"/api/v1/results/{stored}/evidence",
        }
    ]
    pack = await client.get(found[0]["evidence"], headers=bearer(tokens["regulator"]))
    assert pack.status_code == 200
    async with pool.connection() as connection:
        later = NOW + timedelta(days=1)
        gone = await cases.reconsider(connection, UUID(alert), MONTH_START, later, exceeds=False)
    assert gone == [UUID(case)]
    shown = (await client.get(path, headers=bearer(tokens["regulator"]))).json()
    WholeCase.model_validate(shown)
    assert (shown["state"], shown["waiting"], shown["may"]) == ("withdrawn", None, [])
    (row,) = shown["findings"]
    assert (row["stands"], row["since"]) == (False, "2026-11-22T04:00:00Z")
    assert row["result"] == result


async def test_there_is_no_such_case(client: httpx.AsyncClient, tokens: Tokens) -> None:
    answer = await client.get(f"{PATH}/{uuid4()}", headers=bearer(tokens["admin"]))
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:danhao:problem:unknown-case"


async def test_the_causes_are_listed_for_everybody(
    client: httpx.AsyncClient, tokens: Tokens
) -> None:
    answer = await client.get("/api/v1/case-causes", headers=bearer(tokens["regulator"]))
    causes = {item["cause"]: item for item in answer.json()["items"]}
    assert causes["metering"]["proof"] is True
    assert causes["equipment"]["name"]["zh"] == "设备劣化或故障"


async def test_the_states_of_the_api_are_those_of_the_table() -> None:
    from typing import get_args  # noqa: PLC0415 - only here

    from api.case_schemas import CaseState, Doing, Duty  # noqa: PLC0415 - only here
    from api.case_views import ACTIONS  # noqa: PLC0415 - only here
    from core.caseclocks import Duty as Duties  # noqa: PLC0415 - only here

    assert set(get_args(CaseState)) == {*map(str, OPEN), "closed", "withdrawn"}
    assert set(get_args(Doing)) == set(map(str, ACTIONS))
    assert set(get_args(Duty)) == set(map(str, Duties))


async def test_the_time_of_a_case_is_shown_in_utc_whatever_the_database_speaks(
    client: httpx.AsyncClient, tokens: Tokens, pool: Pool
) -> None:
    _, case = await tell(pool)
    shown = (await client.get(f"{PATH}/{case}", headers=bearer(tokens["admin"]))).json()
    assert shown["stages"]["raised"]["at"] == "2026-11-21T04:00:00Z"
    at = datetime.fromisoformat(shown["history"][0]["at"])
    assert at - datetime(2026, 11, 21, 4, tzinfo=UTC) == timedelta(0)
