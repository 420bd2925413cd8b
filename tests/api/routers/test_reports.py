"""Promises of reports over HTTP: one's own sites only, each format, mistakes as problems."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import TYPE_CHECKING, Any

from openpyxl import load_workbook

from api.report_schemas import ReportItem
from tests.api.world import FURNACE, POTLINE, bearer

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI


async def _get(
    client: httpx.AsyncClient, secret: str, kind: str = "intensity", **params: Any
) -> httpx.Response:
    asked = {"period": "2026-11", **params}
    return await client.get(f"/api/v1/reports/{kind}", params=asked, headers=bearer(secret))


async def test_a_report_holds_the_figures_of_the_api_of_ones_own_sites(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await _get(client, tokens["operator"], lang="en")
    assert answer.status_code == 200, answer.text
    told = ReportItem.model_validate_json(answer.content)
    assert [one.key for one in told.sections] == [
        "summary", "gh-al-potline-1-al-liquid-ac", "sources",
    ]  # fmt: skip
    listed = await client.get(
        f"/api/v1/units/{POTLINE}/intensity", headers=bearer(tokens["operator"])
    )
    (month,) = listed.json()["items"]
    facts = next(one for one in told.sections[1].blocks if one.type == "facts")
    energy = next(row.value for row in facts.rows if row.name == "Energy")
    assert energy["value"] == month["energy"]["value"]


async def test_files_come_with_a_name_and_their_type(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    for form, begins in (("xlsx", b"PK"), ("pdf", b"%PDF")):
        answer = await _get(client, tokens["operator"], format=form)
        assert answer.status_code == 200, answer.text
        assert answer.content.startswith(begins)
        assert f'danhao-intensity-2026-11-zh.{form}"' in answer.headers["content-disposition"]
        if form == "xlsx":
            assert load_workbook(BytesIO(answer.content)).sheetnames[0] == "摘要"


async def test_who_is_a_stranger_or_outside_the_scope_gets_nothing(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    stranger = await client.get("/api/v1/reports/intensity", params={"period": "2026-11"})
    assert stranger.status_code == 401
    for params in ({"site": "nx-fa"}, {"unit": FURNACE}):
        assert (await _get(client, tokens["operator"], **params)).status_code == 403
    regulator = await _get(client, tokens["regulator"], lang="en")
    assert "potline" not in regulator.text
    assert "Furnace 1" in regulator.text


MISTAKES: tuple[tuple[str, dict[str, str], int, str], ...] = (
    ("intensity", {"period": "2026-13"}, 422, "`period`"),
    ("quarter", {"period": "2026-11"}, 422, "2026-Q3"),
    ("intensity", {"site": "gone"}, 404, "No site"),
    ("intensity", {"site": "nx-fa", "unit": POTLINE}, 422, "not a unit of it"),
    ("intensity", {"format": "docx"}, 422, "format"),
    ("horoscope", {}, 422, "kind"),
    ("intensity", {"as_of": "2100-01-01T00:00:00Z"}, 400, "nobody knows"),
)


async def test_a_mistake_is_a_problem_that_names_its_parameter(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    for kind, params, status, said in MISTAKES:
        answer = await _get(client, tokens["admin"], kind, **params)
        assert answer.status_code == status, answer.text
        assert said in answer.text


async def test_a_quarter_of_a_running_year_is_told_as_open(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    answer = await _get(client, tokens["operator"], "quarter", period="2026-Q4", lang="en")
    assert answer.status_code == 200, answer.text
    assert "early warning" in answer.text
    ReportItem.model_validate_json(answer.content)


async def test_who_comes_while_enough_are_being_set_is_told_to_wait(
    app: FastAPI, client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    app.state.reports = asyncio.Semaphore(0)
    answer = await _get(client, tokens["operator"])
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
