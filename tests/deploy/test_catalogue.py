"""`danhao limits` as a person and a script use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import danhao
from core import indicators, limits

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
    for item in items.values():
        computes = indicators.find(item["indicator"]).computes
        assert (item["computes"], item["later"] is None) == (computes, computes)
    assert [row["id"] for row in listed["unnumbered"]] == [
        "cn-qh.al.materials.target-2020",
        "cn-qh.cement.rank.target-2020",
    ]


def test_the_list_for_a_person_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert danhao.main(["limits", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(limits.catalogue()) + len(limits.unnumbered())
    by_id = {one.split()[0]: one for one in lines}
    line = by_id["cn-qh.nonferrous.flue_gas_so2.trigger"]
    assert "trigger, " in line
    old = by_id["cn.al.liquid.ac.gb21346-2013.level-3"]
    assert "2014-09-01 2024-01-01 guarded" in old
    cement = by_id["cn.cement.comprehensive.gb16780-2021.level-3"]
    assert cement.endswith(", moved by clinker_share, moved by altitude")


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


def test_policy_corrections_validity_and_words_of_one_limit_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert danhao.main(["limits", "show", "cn.hcfecr.smelting.gb21341-2022.level-3"]) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert told["valid_from"] == "2024-01-01"
    assert told["policy"].startswith("guarded: exceeds if value - U is beyond the limit")
    assert told["correction"] == (
        "kind: ore_grade; of: Cr2O3; reference: 0.4; per_point: 80; least_cr_fe: 2.2"
    )
    shown = answer(capsys, "show", "cn.cement.comprehensive.gb16780-2021.level-3")
    assert [one["kind"] for one in shown["correction"]] == ["clinker_share", "altitude"]
    assert shown["policy"] == "guarded"
