"""Promises of reports as JSON: exact, in one language, always the same bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.report_schemas import ReportItem
from api.reporting import asjson
from core.reports.document import Language
from tests.core.reports import sample


def _blocks(told: dict[str, Any], section: str) -> dict[str, Any]:
    found = next(one for one in told["sections"] if one["key"] == section)
    return {one["key"]: one for one in found["blocks"] if one["type"] != "sentence"}


@pytest.mark.parametrize("language", Language)
def test_the_json_is_what_its_schema_says(language: Language) -> None:
    made = asjson.render(sample.with_all(), language)
    ReportItem.model_validate_json(made)
    assert made == asjson.render(sample.with_all(), language)


def test_figures_are_exact_texts_and_absent_ones_null() -> None:
    told = json.loads(asjson.render(sample.document(), Language.EN))
    blocks = _blocks(told, "gh-al-potline-1-al-liquid-ac")
    assert blocks["days"]["rows"][-1][1]["value"] == "128840684.998848"
    gap = blocks["days"]["rows"][sample.GAP_DAY - 1]
    assert gap[1] is None
    assert blocks["trend"]["series"][0]["values"][sample.GAP_DAY - 1] is None
    verdicts = [row[4]["code"] for row in blocks["verdicts"]["rows"]]
    assert verdicts == ["exceeds", "exceeds"]
    assert told["made_at"] == "2026-11-03T04:00:00Z"


def test_a_language_says_everything_in_its_own_words() -> None:
    zh, en = (asjson.render(sample.document(), one).decode() for one in Language)
    assert "超限" in zh
    assert "超限" not in en
    assert "电解一系列" in zh
    assert "Potline 1" in en
