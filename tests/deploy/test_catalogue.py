"""`danhao limits` as a person and a script use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import danhao
from core import limits

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert danhao.main(["limits", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_list_holds_every_limit_and_says_whether_its_figure_computes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed = answer(capsys, "list")
    items = {item["id"]: item for item in listed["items"]}
    assert set(items) == set(limits.catalogue())
    furnace = items["cn-qh.fesi.smelting.target-2020"]
    assert (furnace["computes"], furnace["later"]) == (True, None)
    steel = items["cn-qh.steel.so2.target-2020"]
    assert steel["computes"] is False
    assert "emission monitoring" in steel["later"]["en"]
    assert [row["id"] for row in listed["unnumbered"]] == [
        "cn-qh.al.materials.target-2020",
        "cn-qh.cement.rank.target-2020",
    ]


def test_the_list_for_a_person_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert danhao.main(["limits", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(limits.catalogue()) + len(limits.unnumbered())
    line = next(one for one in lines if one.startswith("cn-qh.nonferrous.flue_gas_so2.trigger"))
    assert "trigger, later: " in line


def test_one_limit_is_shown_with_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    shown = answer(capsys, "show", "cn-qh.industry.energy_per_value_added.target-2025")
    assert (shown["value"], shown["kind"]) == ("-12.5", "trajectory")
    assert shown["trajectory"] == {"base_year": 2020, "end_year": 2025, "path": "not_stated"}
    assert danhao.main(["limits", "show", "cn-qh.clinker.comprehensive.target-2020"]) == 0
    assert "水泥熟料综合能耗低于100千克标准煤／吨" in capsys.readouterr().out


def test_an_unknown_limit_is_wrong_use_and_names_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert danhao.main(["limits", "show", "cn-qh.fesi.smelting.target-2025"]) == 2
    assert "cn-qh.fesi.smelting.target-2020" in capsys.readouterr().err


def test_a_wrong_file_is_told_with_every_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[limit.x]\nindicator = "clinker.coal"\nname = { zh = "甲", en = "x" }\nvalue = "1"\n'
        'cmp = "<"\nunit = "kWh/t"\nforce = "target"\nscheme = "mine"\njurisdiction = "cn-qh"\n'
        'valid_from = 2026-01-01\nvalid_to = 2025-01-01\nsource = "seeds/a.txt"\nclause = "1"\n',
        "utf-8",
    )
    assert danhao.main(["limits", "check", str(path)]) == 2
    told = capsys.readouterr().err
    for place in ("mine.toml:6: limit.x.unit", "mine.toml:11: limit.x.valid_to", "mine.toml:12"):
        assert place in told
    assert answer(capsys, "check") == {"limits": len(limits.catalogue()), "problems": []}
