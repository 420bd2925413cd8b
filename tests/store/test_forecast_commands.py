"""`danhao forecast`: what a person reads, exit codes, and errors that say what to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import danhao
from core import clock, plant
from core.errors import Misconfigured, Rejected
from core.periods import Period
from store import forecast_commands, plants
from store.forecast_commands import Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
UNIT = "gh-al.potline-1"
PLANT = """
[site.gh-al]
name = { zh = "厂", en = "Plant" }
jurisdiction = "cn-qh"
[site.gh-al.unit.potline-1]
name = { zh = "系列", en = "Line" }
kind = "potline"
indicators = ["al.liquid.ac"]
[site.gh-al.unit.office]
name = { zh = "楼", en = "Office" }
kind = "other"
"""


def limit(force: str, outlook: str) -> dict[str, Any]:
    return {
        "limit": f"a.{force}",
        "force": force,
        "cmp": "<=",
        "own_value": "13350",
        "limit_value": "13350",
        "outlook": outlook,
        "chance_exceeds": 0.973,
        "headroom": {"value": "13190"},
    }


@pytest.mark.parametrize(
    ("force", "outlook", "bad"),
    [
        ("mandatory", "exceeds", True),
        ("target", "exceeds", True),
        ("reference", "exceeds", False),
        ("mandatory", "indeterminate", False),
        ("mandatory", "incomplete", False),
    ],
)
def test_it_is_bad_news_where_what_binds_is_foreseen_to_be_broken(
    force: str, outlook: str, *, bad: bool
) -> None:
    assert forecast_commands.is_bad({"limits": [limit(force, outlook)]}) is bad


def test_a_person_reads_the_sentence_and_a_line_for_each_limit() -> None:
    item = {"sentence": {"en": "So it is.", "zh": "如此。"}, "limits": [limit("target", "within")]}
    first, second = forecast_commands.lines(item, "zh")
    assert first == "如此。"
    assert second.split() == ["a.target", "<=", "13350", "within", "97.3%", "rest", "<=", "13190"]


async def ask(pool: Pool, unit: str = UNIT, **more: Any) -> dict[str, Any]:
    asked = {"indicator": None, "period": Period.MONTH, "as_of_us": None} | more
    async with pool.connection() as link:
        await plants.apply(link, plant.parse(PLANT, "plant.toml"), NOW)
        found = await forecast_commands.find(link, Wanted(unit, **asked), clock.to_us(NOW))
    return found.item()


async def test_a_unit_without_data_has_reasons(pool: Pool) -> None:
    found = await ask(pool)
    assert found["reasons"] == ["too_few_days", "low_coverage"]
    assert found["indicator"] == "al.liquid.ac"


async def test_an_unknown_unit_and_one_without_an_indicator_are_told(pool: Pool) -> None:
    with pytest.raises(Rejected, match="plant show"):
        await ask(pool, "gh-al.nowhere")
    with pytest.raises(Misconfigured, match="--indicator"):
        await ask(pool, "gh-al.office")
    with pytest.raises(Misconfigured, match="lies ahead"):
        await ask(pool, as_of_us=clock.to_us(NOW) + 1)
    with pytest.raises(Rejected, match="was not declared"):
        await ask(pool, as_of_us=clock.to_us(NOW) - 1)


def test_a_wrong_instant_is_a_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert danhao.main(["forecast", UNIT, "--as-of", "yesterday"]) == danhao.WRONG_USE
    assert "--as-of" in capsys.readouterr().err


def test_the_command_prints_what_a_store_says(
    database_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    store = ["--database-url", database_url]
    assert danhao.main(["forecast", "no.unit", *store]) == danhao.BAD_NEWS
    assert "no unit has the id 'no.unit'" in capsys.readouterr().err
    file = tmp_path / "plant.toml"
    file.write_text(PLANT, "utf-8")
    assert danhao.main(["plant", "apply", str(file), *store]) == danhao.WELL
    capsys.readouterr()
    assert danhao.main(["forecast", UNIT, "--lang", "zh", *store]) == danhao.WELL
    assert capsys.readouterr().out.startswith("无预测：本期有数据的日数不足 3 天")
    assert danhao.main(["forecast", UNIT, "--json", *store]) == danhao.WELL
    assert json.loads(capsys.readouterr().out)["unit"] == UNIT
