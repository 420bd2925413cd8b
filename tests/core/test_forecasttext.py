"""The forecast's sentence: the gravest limit in danger, rounded, in both languages."""

from __future__ import annotations

from typing import Any

import pytest

from core import forecasttext
from core.forecast import Reason

CROSSING = {
    "to": "exceeds",
    "at": "2026-11-24T03:12:00+08:00",
    "on": "2026-11-24",
    "earliest": "2026-11-22T14:00:00+08:00",
    "latest": "2026-11-27T09:00:00+08:00",
}


def limit(**more: Any) -> dict[str, Any]:
    room = {"value": "13190.123456", "unit": "kWh/t", "reachable": True}
    return {
        "limit": "l",
        "force": "mandatory",
        "cmp": "<=",
        "own_value": "13350",
        "limit_value": "13350",
        "chance_exceeds": 0.973,
        "headroom": room,
        "crossing": None,
    } | more


def item(*limits: dict[str, Any], cost: dict[str, Any] | None = None) -> dict[str, Any]:
    figure = {"value": "13411.6", "unit": "kWh/t", "p10": "13380.2", "p90": "13450.9"}
    return {"forecast": figure, "reasons": [], "limits": list(limits), "cost": cost}


def test_the_whole_sentence() -> None:
    cost = {"value": "20276166.514968", "surcharge": "0.06"}
    found = forecasttext.sentences(item(limit(crossing=CROSSING), cost=cost))
    assert found == {
        "en": "13,412 kWh/t at the end (80 %: 13,380 to 13,451), 97 % likely to break <= 13,350;"
        " stay under 13,190 kWh/t for the rest; at this pace it crosses at 11-24 03:12"
        " (80 %: 11-22 14:00 to 11-27 09:00);"
        " the stepped price adds 0.06 yuan/kWh, 20,276,167 yuan in all.",
        "zh": "预计期末 13,412 kWh/t（80 % 区间 13,380 至 13,451）"
        "，不满足限额 <= 13,350 的概率 97 %；"
        "剩余时间须不高于 13,190 kWh/t；按目前水平将于 11-24 03:12 越过限额"
        "（80 % 在 11-22 14:00 与 11-27 09:00 之间）；阶梯电价加价 0.06 元/kWh，共 20,276,167 元。",
    }


def test_a_lower_limit_is_to_be_stayed_above() -> None:
    found = forecasttext.sentences(item(limit(cmp=">=")))
    assert "stay above 13,190" in found["en"]
    assert "不低于 13,190" in found["zh"]


def test_what_can_no_longer_be_mended_is_said() -> None:
    room = {"value": "-5", "unit": "kWh/t", "reachable": False}
    found = forecasttext.sentences(item(limit(headroom=room)))
    assert "can no longer mend it" in found["en"]
    assert "无法挽回" in found["zh"]


def test_the_way_back_is_told_as_such() -> None:
    back = CROSSING | {"to": "within", "latest": None}
    found = forecasttext.sentences(item(limit(crossing=back)))
    assert "back within at 11-24 03:12 (11-22 14:00 at the earliest)" in found["en"]


@pytest.mark.parametrize(
    ("limits", "spoken"),
    [
        ([("target", 0.99), ("mandatory", 0.2)], "mandatory"),
        ([("target", 0.99), ("mandatory", 0.05)], "target"),
        ([("reference", 0.04), ("mandatory", 0.02)], "reference"),
        ([("mandatory", None), ("target", 0.3)], "target"),
    ],
)
def test_it_speaks_of_the_gravest_limit_in_danger(
    limits: list[tuple[str, float | None]], spoken: str
) -> None:
    rows = [limit(force=force, chance_exceeds=chance) for force, chance in limits]
    found = forecasttext.chosen(rows)
    assert found is not None
    assert found["force"] == spoken


def test_what_is_nearly_sure_is_not_called_sure() -> None:
    assert "> 99 % likely" in forecasttext.sentences(item(limit(chance_exceeds=1.0)))["en"]
    assert "< 1 % likely" in forecasttext.sentences(item(limit(chance_exceeds=0.0)))["en"]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason: Reason) -> None:
    found = forecasttext.sentences({"forecast": None, "reasons": [reason.value]})
    assert found["en"].startswith("No forecast: ")
    assert found["zh"].startswith("无预测：")
    assert len(found["zh"]) > len("无预测：。")


def test_without_a_limit_the_figure_stands_alone() -> None:
    found = forecasttext.sentences(item())["en"]
    assert found == "13,412 kWh/t at the end (80 %: 13,380 to 13,451)."
