"""What people read of a notification, as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core import alerttext, severities
from core.alerts import Notice
from core.alertwords import FACTS, FORCES, HEADS, NAMES, SENTENCES, STEPS
from core.caseclocks import Duty
from tests.core.alertbodies import body, bundle, condition, item

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN = severities.catalogue()["danhao"]
CLOSED = item(
    severity=2,
    figure_closed=True,
    figure_period_start="2026-10-01T00:00:00+08:00",
    stage="finding",
)
WITHIN = item(value="12650.25", resolved_at="2026-11-25T04:00:00Z")
LATE = {"step": "acknowledge", "due_at": "2026-11-24T09:30:00Z"}
OUT = {"reason": "unreachable", "from": "qinghai", "since": "2026-11-21T04:10:00Z"}
GONE = {"zh": "化验结果迟到", "en": "a late laboratory result"}
SAID: list[tuple[dict[str, Any], str, str]] = [
    (
        body("firing"),
        (
            "示例铝厂 电解二系列 铝液交流电耗 2026-11 至今为 13179.5 ± 106.2 kWh/t，"
            "超过限额 12750 kWh/t（青海目标）。"
        ),
        (
            "Demo Aluminium, Potline 2, AC electricity of liquid aluminium, 2026-11 so far:"
            " 13179.5 ± 106.2 kWh/t is above its limit of 12750 kWh/t (Qinghai target)."
        ),
    ),
    (
        body("finding", CLOSED),
        (
            "判定超限：示例铝厂 电解二系列 铝液交流电耗 2026-10 为 13179.5 ± 106.2 kWh/t，"
            "超过限额 12750 kWh/t（青海目标）。"
        ),
        (
            "Found: Demo Aluminium, Potline 2, AC electricity of liquid aluminium, 2026-10:"
            " 13179.5 ± 106.2 kWh/t is above its limit of 12750 kWh/t (Qinghai target)."
        ),
    ),
    (
        body("resolved", WITHIN),
        (
            "已恢复达标：示例铝厂 电解二系列 铝液交流电耗，2026-11 为 12650.25 ± 106.2 kWh/t，"
            "限额 12750 kWh/t（青海目标）。"
        ),
        (
            "Within again: Demo Aluminium, Potline 2, AC electricity of liquid aluminium,"
            " 12650.25 ± 106.2 kWh/t in 2026-11, limit 12750 kWh/t (Qinghai target)."
        ),
    ),
    (
        body("withdrawn", CLOSED, reason=GONE),
        (
            "撤回：此前关于示例铝厂 电解二系列 铝液交流电耗 2026-10的通知有误（化验结果迟到），"
            "请以更正后的数据为准。"
        ),
        (
            "Withdrawn: what was told of Demo Aluminium, Potline 2, AC electricity of liquid"
            " aluminium, 2026-10 was wrong (a late laboratory result); go by the corrected figures."
        ),
    ),
    (
        body("overdue", condition(), clock=LATE),
        "应在 2026-11-24 17:30 前确认，至今未办：网关 gw-01 已 42 分钟无数据。",
        (
            "It was to be acknowledged by 2026-11-24 17:30 and is not:"
            " Agent gw-01 is silent for 42 min."
        ),
    ),
    (
        body("escalated", condition(), escalation={"reason": "overdue"}),
        "因逾期未处理而升级告知：网关 gw-01 已 42 分钟无数据。",
        "Escalated, as its deadline has passed: Agent gw-01 is silent for 42 min.",
    ),
    (
        body("escalated", condition(), escalation={**OUT, "of": "resolved"}),
        (
            "渠道 qinghai 自 2026-11-21 12:10 起无法送达，改由本渠道告知："
            "已解除：网关 gw-01 已 42 分钟无数据。"
        ),
        (
            "Told here, as channel qinghai is out of reach since 2026-11-21 12:10:"
            " Over: Agent gw-01 is silent for 42 min."
        ),
    ),
    (
        body("resolved", condition()),
        "已解除：网关 gw-01 已 42 分钟无数据。",
        "Over: Agent gw-01 is silent for 42 min.",
    ),
    (
        bundle("digest", body("firing"), body("resolved", condition())),
        "每日汇总，共 2 条通知。",
        "The day's notices: 2.",
    ),
    (
        bundle("rate", body("firing")),
        "十分钟内通知超过上限，合并告知 1 条。",
        "More came in ten minutes than are told one by one; notices in this one: 1.",
    ),
    (
        {"type": "test", "channel": "qinghai"},
        "渠道 qinghai 的试发通知，没有预警。",
        "A notice on trial through channel qinghai: there is no alert.",
    ),
]


@pytest.mark.parametrize(("message", "zh", "en"), SAID)
def test_a_notice_is_one_sentence_in_both_languages(
    message: dict[str, Any], zh: str, en: str
) -> None:
    assert alerttext.sentence(message, "zh") == zh
    assert alerttext.sentence(message, "en") == en


def test_every_kind_of_notice_has_words() -> None:
    assert {notice.value for notice in Notice} <= set(NAMES)
    assert {notice for notice, _ in SENTENCES} >= {notice.value for notice in Notice}


def test_every_duty_of_a_clock_has_words() -> None:
    assert set(STEPS) == {"", *(duty.value for duty in Duty)}


@pytest.mark.parametrize("table", [NAMES, HEADS, SENTENCES, STEPS, FORCES, FACTS])
def test_every_word_is_there_in_both_languages(table: Mapping[Any, Mapping[str, str]]) -> None:
    assert all(set(words) == {"zh", "en"} and all(words.values()) for words in table.values())


def test_a_lower_limit_is_told_the_other_way_round() -> None:
    message = body("firing", item(cmp=">=", value="60.1", limit_value="65", value_unit="%"))
    assert "低于限值 65 %" in alerttext.sentence(message, "zh")
    assert "below its limit of 65 %" in alerttext.sentence(message, "en")


def test_a_subject_tells_the_addressees_tier_the_notice_and_the_place() -> None:
    message = body("finding", CLOSED)
    city = severities.catalogue()["cn-city-2010"]
    nation = severities.catalogue()["cn-barometer"]
    assert alerttext.subject(message, OWN, "zh") == (
        "[单耗 2 预警] 判定：示例铝厂 电解二系列 铝液交流电耗"
    )
    assert alerttext.subject(message, city, "zh").startswith("[单耗 二级 二级预警]")
    grave = body("finding", {**CLOSED, "severity": 4})
    assert alerttext.subject(grave, city, "zh").startswith("[单耗 三级")
    assert alerttext.subject(grave, nation, "zh").startswith("[单耗 一级")


def test_facts_name_the_law_the_data_and_the_tier_with_its_scheme() -> None:
    told = dict(alerttext.facts(body("finding", CLOSED), OWN, "en"))
    assert told["Source"] == "GB 21346-2022, table 1"
    assert told["Quotation"] == "铝液交流电耗 ≤ 13 350 kWh/t"
    assert told["Tier"] == "2 warning (Danhao severity)"
    assert told["Severity (0-4)"] == "2"
    assert told["Completeness"] == "99.0%"
    assert told["Force"] == "target (its due date has passed)"
    assert told["Raised"] == "2026-11-21 12:00"
    assert "Over since" not in told  # what is absent is left out


def test_a_trial_shows_no_alert() -> None:
    message = {"type": "test", "channel": "qinghai"}
    assert alerttext.subject(message, OWN, "en") == "[Danhao] trial: channel qinghai"
    assert alerttext.facts(message, OWN, "en") == []


def test_what_was_kept_back_says_since_when_and_by_which_document() -> None:
    held = {"since": "2026-11-20T01:00:00Z", "document": "检修 2026-41", "reason": None}
    told = dict(alerttext.facts(body("firing", held=held, case="c-1"), OWN, "en"))
    assert told["Held back"] == "2026-11-20 09:00, 检修 2026-41"
    assert told["Case"] == "c-1"


def test_a_condition_shows_no_limit_and_no_figure() -> None:
    told = dict(alerttext.facts(body("firing", condition(), law=None), OWN, "en"))
    assert not {"Limit", "Value", "Period", "Unit", "Source"} & set(told)


@pytest.mark.parametrize(
    ("alert", "path"),
    [
        (item(), "/p/gh-al/u/gh-al.potline-2"),
        (item(result="0b1c-2d"), "/evidence/0b1c-2d"),
        (condition(), "/p/gh-al"),
        (item(unit='x"><script>', result="../x"), "/p/gh-al"),
        ({}, "/"),
    ],
)
def test_a_link_leads_to_the_page_of_what_it_is_about(alert: dict[str, Any], path: str) -> None:
    wanted = f"https://danhao.example{path}?lang=zh"
    assert alerttext.link(body("firing", alert), "https://danhao.example", "zh") == wanted
