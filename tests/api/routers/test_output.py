"""Promises of production facts: idempotent, corrected by revisions, in scope, audited."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from api.output_schemas import OutputFact
from api.schemas import Page
from tests.api.world import FURNACE, POTLINE, bearer

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool

FACT = {
    "id": "tap-9",
    "revision": 0,
    "unit": POTLINE,
    "kind": "tapping",
    "at": "2026-11-20T08:00:00+08:00",
    "mass_t": "6.125",
    "grades": {"Al": "0.998"},
}


async def _send(
    client: httpx.AsyncClient, secret: str, fact: dict[str, Any], **changes: Any
) -> httpx.Response:
    return await client.post("/api/v1/output", json={**fact, **changes}, headers=bearer(secret))


async def test_a_fact_is_stored_once_and_the_same_again_changes_nothing(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    first = await _send(client, tokens["operator"], FACT)
    assert first.status_code == 201, first.text
    OutputFact.model_validate_json(first.content)
    assert first.json()["at"] == "2026-11-20T00:00:00Z"
    assert first.json()["source"] == "user:the operator"
    again = await _send(client, tokens["engineer"], FACT)
    assert (again.status_code, again.json()) == (200, first.json())
    async with pool.connection() as connection:
        cursor = await connection.execute("select count(*) from output_fact where id = 'tap-9'")
        assert await cursor.fetchone() == (1,)
        cursor = await connection.execute("select count(*) from touched_unit")
        assert (await cursor.fetchone() or (0,))[0] >= 1


async def test_the_same_revision_with_other_content_is_409_and_a_higher_one_corrects(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    await _send(client, tokens["operator"], FACT)
    conflict = await _send(client, tokens["operator"], FACT, mass_t="6.126")
    assert conflict.status_code == 409
    assert "higher revision" in conflict.json()["detail"]
    corrected = await _send(client, tokens["operator"], FACT, mass_t="6.126", revision=1)
    assert corrected.status_code == 201


async def test_a_fact_of_another_stream_in_another_unit_is_kept_and_listed(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    coal = {
        "id": "coal-1",
        "unit": POTLINE,
        "kind": "receipt",
        "stream": "raw_coal",
        "at": "2026-11-20T08:00:00+08:00",
        "amount": "62480.5",
        "amount_unit": "kg",
        "grades": {"lhv_kj_per_kg": "22650"},
    }
    first = await _send(client, tokens["operator"], coal)
    assert first.status_code == 201, first.text
    kept = OutputFact.model_validate_json(first.content)
    assert (kept.stream, kept.amount, kept.amount_unit) == ("raw_coal", "62480.5", "kg")
    assert kept.mass_t is None
    assert (await _send(client, tokens["operator"], coal)).status_code == 200
    assert (await _send(client, tokens["operator"], coal, stream="coke")).status_code == 409
    both = await _send(client, tokens["operator"], coal, mass_t="1", revision=1)
    assert both.status_code == 422
    assert "exactly one of mass_t and amount" in both.json()["detail"]
    span = "from=2026-11-20T00:00:00Z&to=2026-11-21T00:00:00Z"
    listed = await client.get(
        f"/api/v1/output?unit={POTLINE}&{span}", headers=bearer(tokens["operator"])
    )
    assert first.json() in listed.json()["items"]


async def test_a_write_is_audited_and_one_that_changed_nothing_is_not(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    for _ in range(2):
        await _send(client, tokens["operator"], FACT)
    await _send(client, tokens["operator"], FACT, mass_t="7")
    async with pool.connection() as connection:
        cursor = await connection.execute("select who, role, action, subject from audit")
        assert await cursor.fetchall() == [("the operator", "operator", "output", "gh-al/tap-9/0")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"unit": "gh-al.none"}, "unknown-unit"),
        ({"at": "2026-11-22T00:00:00Z"}, "future"),
        ({"at": "2026-11-20T00:00:00"}, "unreadable"),
        ({"mass_t": "NaN"}, "not-a-number"),
        ({"mass_t": 6.125}, "unreadable"),
        ({"kind": "guess"}, "unreadable"),
    ],
)
async def test_a_wrong_fact_is_refused_with_its_reason(
    client: httpx.AsyncClient, tokens: dict[str, str], changes: dict[str, Any], reason: str
) -> None:
    answer = await _send(client, tokens["operator"], FACT, **changes)
    assert answer.status_code == 422
    assert answer.json()["type"] == f"urn:danhao:problem:{reason}"
    assert answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 5000])
async def test_bytes_that_are_no_fact_are_422(
    client: httpx.AsyncClient, tokens: dict[str, str], body: bytes
) -> None:
    answer = await client.post("/api/v1/output", content=body, headers=bearer(tokens["operator"]))
    assert answer.status_code == 422, answer.text


async def test_a_body_beyond_the_bound_is_413(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await client.post(
        "/api/v1/output", content=b" " * (1024 * 1024 + 1), headers=bearer(tokens["operator"])
    )
    assert answer.status_code == 413


async def test_nobody_writes_outside_the_scope_and_a_regulator_nowhere(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    assert (await _send(client, tokens["operator"], FACT, unit=FURNACE)).status_code == 403
    assert (await _send(client, tokens["regulator"], FACT, unit=FURNACE)).status_code == 403


async def test_facts_are_listed_by_time_in_pages_and_by_unit(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    for number in range(3):
        await _send(client, tokens["admin"], FACT, id=f"t-{number}")
    await _send(client, tokens["admin"], FACT, id="t-1", revision=1)
    await _send(client, tokens["admin"], FACT, id="f-1", unit=FURNACE)
    seen: list[tuple[str, int]] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        answer = await client.get(
            "/api/v1/output", params=params, headers=bearer(tokens["operator"])
        )
        Page[OutputFact].model_validate_json(answer.content)
        seen += [(one["id"], one["revision"]) for one in answer.json()["items"]]
        if answer.json()["next"] is None:
            break
        params["cursor"] = answer.json()["next"]
    assert seen == [("tap-1", 0), ("t-0", 0), ("t-1", 0), ("t-1", 1), ("t-2", 0)]
    own = await client.get(
        "/api/v1/output", params={"unit": FURNACE}, headers=bearer(tokens["regulator"])
    )
    assert json.loads(own.content)["items"][0]["id"] == "f-1"
