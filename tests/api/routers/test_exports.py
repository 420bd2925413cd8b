"""Promises of exports: the file holds what the lists show, in scope, whole, however it is cut."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from api import exporttables
from tests.api.world import FURNACE, METER, POTLINE, VOLTAGE, bearer

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI

NOVEMBER = {"from": "2026-11-01T00:00:00+08:00", "to": "2026-12-01T00:00:00+08:00"}
ASKED: dict[str, dict[str, str]] = {
    "readings": {"point": METER},
    "energy": {"point": METER, "period": "slot"},
    "intensity": {"indicator": "al.liquid.ac"},
    "output": {},
}


async def rows(
    client: httpx.AsyncClient, secret: str, what: str, **params: Any
) -> list[dict[str, str]]:
    answer = await client.get(
        f"/api/v1/export/{what}", params=NOVEMBER | params, headers=bearer(secret)
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


async def items(
    client: httpx.AsyncClient, secret: str, path: str, **params: Any
) -> list[dict[str, Any]]:
    asked = NOVEMBER | {"limit": "5000"} | params
    answer = await client.get(f"/api/v1/{path}", params=asked, headers=bearer(secret))
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_readings_are_those_of_the_list(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    file = await rows(client, tokens["operator"], "readings", point=METER)
    listed = await items(client, tokens["operator"], f"points/{METER}/readings")
    assert len(file) == len(listed) == 10
    for row, item in zip(file, listed, strict=True):
        assert row["point"] == METER
        assert row["measured_at"].startswith("2026-11-01T00:00:0")
        assert row["measured_at"].endswith("+08:00")
        assert row["quality"] == item["quality"]
        assert row["value"] == ("" if item["value"] is None else f"{item['value']}")


async def test_energy_of_points_is_that_of_the_list(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    file = await rows(client, tokens["operator"], "energy", point=METER, period="day")
    listed = await items(client, tokens["operator"], f"points/{METER}/energy", period="day")
    assert [row["period_start"][:19] for row in file] == [
        item["period_start"][:19] for item in listed
    ]
    for row, item in zip(file, listed, strict=True):
        assert float(row["energy"] or "nan") == pytest.approx(
            float(item["energy"]["value"] or "nan"), nan_ok=True, rel=0
        )
        assert row["flags"].split() == item["flags"]
        assert row["closed"] == str(item["closed"]).lower()


async def test_figures_come_with_their_verdicts(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    file = await rows(client, tokens["operator"], "intensity", indicator="al.liquid.ac")
    listed = await items(client, tokens["operator"], f"units/{POTLINE}/intensity", period="day")
    assert [row["result"] for row in file] == [item["result"] for item in listed]
    judged = [[f"{one['limit']}:{one['verdict']}" for one in item["verdicts"]] for item in listed]
    assert [row["verdicts"].split() for row in file] == judged
    assert any(judged)


async def test_facts_come_with_every_revision(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    (row,) = await rows(client, tokens["operator"], "output")
    assert (row["id"], row["amount"], row["amount_unit"]) == ("tap-1", "150.000000", "t")
    assert row["grades"] == '{"Al":"0.998"}'
    assert row["at"] == "2026-11-01T01:00:00.000000+08:00"


@pytest.mark.parametrize("what", ASKED)
async def test_the_three_forms_hold_the_same_rows(
    client: httpx.AsyncClient, tokens: dict[str, str], what: str
) -> None:
    count = len(await rows(client, tokens["operator"], what, **ASKED[what]))
    assert count > 0
    for form in ("parquet", "arrow"):
        params = NOVEMBER | ASKED[what] | {"format": form}
        answer = await client.get(
            f"/api/v1/export/{what}", params=params, headers=bearer(tokens["operator"])
        )
        data = pa.BufferReader(answer.content)
        table = (
            parquet.read_table(data) if form == "parquet" else pa.ipc.open_stream(data).read_all()
        )
        assert table.num_rows == count
        assert f".{form}" in answer.headers["content-disposition"]


@pytest.mark.parametrize("what", ASKED)
async def test_a_table_cut_in_batches_is_the_same_table(
    client: httpx.AsyncClient, tokens: dict[str, str], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await rows(client, tokens["operator"], what, **ASKED[what])
    monkeypatch.setattr(exporttables, "MOST_BATCH", 3)
    monkeypatch.setattr(exporttables, "MOST_PERIODS", 3)
    assert await rows(client, tokens["operator"], what, **ASKED[what]) == whole


async def test_a_scope_exports_what_it_sees_and_nothing_else(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    points = {row["point"] for row in await rows(client, tokens["operator"], "readings")}
    assert points == {METER, VOLTAGE}
    assert await rows(client, tokens["regulator"], "output") == []
    units = {
        row["unit"]
        for row in await rows(client, tokens["regulator"], "intensity", indicator="al.liquid.ac")
    }
    assert units == {FURNACE}
    for params in ({"point": METER}, {"unit": POTLINE}):
        answer = await client.get(
            "/api/v1/export/readings", params=params, headers=bearer(tokens["regulator"])
        )
        assert answer.status_code == 403


async def test_wrong_questions_are_told_before_a_file_begins(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    asked = [
        ("readings", {"point": "no.such"}, 404),
        ("readings", {"from": "yesterday"}, 422),
        ("energy", {"format": "xls"}, 422),
        ("intensity", {"indicator": "none"}, 422),
        ("intensity", {"indicator": "al.liquid.ac", "period": "slot"}, 422),
        ("intensity", {}, 422),
    ]
    for what, params, status in asked:
        answer = await client.get(
            f"/api/v1/export/{what}", params=params, headers=bearer(tokens["admin"])
        )
        assert (what, params, answer.status_code) == (what, params, status)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_more_exports_than_are_written_at_a_time_are_told_to_wait(
    app: FastAPI, client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    gate = app.state.services.exports
    while not gate.locked():
        await gate.acquire()
    answer = await client.get("/api/v1/export/output", headers=bearer(tokens["admin"]))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    gate.release()
    assert await rows(client, tokens["operator"], "output")
