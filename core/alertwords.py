"""The words of notifications in Chinese and English; `core.alerttext` puts them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Lang = Literal["zh", "en"]
Words = dict[Lang, str]


class Stops(NamedTuple):
    """How a language sets its signs."""

    colon: str
    opening: str
    closing: str
    between: str  # names, from the whole to its part


STOPS: Final[Mapping[Lang, Stops]] = {
    "zh": Stops("：", "（", "）", " "),
    "en": Stops(": ", " (", ")", ", "),
}
# What happened, for a head line; the empty one is for a notice this version does not know.
NAMES: Final[Mapping[str, Words]] = {
    "": {"zh": "通知", "en": "notice"},
    "firing": {"zh": "预警", "en": "alert"},
    "finding": {"zh": "判定", "en": "finding"},
    "resolved": {"zh": "解除", "en": "over"},
    "withdrawn": {"zh": "撤回", "en": "withdrawn"},
    "escalated": {"zh": "升级", "en": "escalated"},
    "overdue": {"zh": "逾期", "en": "overdue"},
    "bundle": {"zh": "汇总", "en": "several in one"},
    "test": {"zh": "试发", "en": "trial"},
}
HEADS: Final[Mapping[str, Words]] = {
    # Every head has the service's name: rooms of DingTalk and Feishu can ask for a word.
    "one": {
        "zh": "[单耗 {code} {tier}] {name}：{of}",
        "en": "[Danhao {code} {tier}] {name}: {of}",
    },
    "bundle": {"zh": "[单耗] {name}：{count} 条通知", "en": "[Danhao] {name}: {count} notices"},
    "test": {"zh": "[单耗] {name}：渠道 {tried}", "en": "[Danhao] {name}: channel {tried}"},
    "page": {"zh": "页面：", "en": "Page: "},
    "more": {
        "zh": "另有 {count} 条，见告警列表。",
        "en": "{count} more are in the list of alerts.",
    },
}
SENTENCES: Final[Mapping[tuple[str, str], Words]] = {
    ("", ""): {"zh": "{what}。", "en": "{what}."},
    ("over", "upper"): {"zh": "超过限额", "en": "above its limit of"},
    ("over", "lower"): {"zh": "低于限值", "en": "below its limit of"},
    ("exceedance", "open"): {
        "zh": "{of} {period} 至今为 {value}，{over} {limit}",
        "en": "{of}, {period} so far: {value} is {over} {limit}",
    },
    ("exceedance", "closed"): {
        "zh": "{of} {period} 为 {value}，{over} {limit}",
        "en": "{of}, {period}: {value} is {over} {limit}",
    },
    ("now", ""): {
        "zh": "，{period} 为 {value}，限额 {limit}",
        "en": ", {value} in {period}, limit {limit}",
    },
    ("firing", ""): {"zh": "{what}。", "en": "{what}."},
    ("firing", "condition"): {"zh": "{what}。", "en": "{what}."},
    ("finding", ""): {"zh": "判定超限：{what}。", "en": "Found: {what}."},
    ("finding", "condition"): {"zh": "程度加重：{what}。", "en": "Now graver: {what}."},
    ("resolved", ""): {"zh": "已恢复达标：{of}{now}。", "en": "Within again: {of}{now}."},
    ("resolved", "condition"): {"zh": "已解除：{what}。", "en": "Over: {what}."},
    ("withdrawn", ""): {
        "zh": "撤回：此前关于{short}的通知有误{reason}，请以更正后的数据为准。",
        "en": "Withdrawn: what was told of {short} was wrong{reason}; go by the corrected figures.",
    },
    ("escalated", ""): {"zh": "升级告知：{what}。", "en": "Escalated: {what}."},
    ("escalated", "overdue"): {
        "zh": "因逾期未处理而升级告知：{what}。",
        "en": "Escalated, as its deadline has passed: {what}.",
    },
    ("escalated", "unreachable"): {
        "zh": "渠道 {channel} 自 {since} 起无法送达，改由本渠道告知：{what}。",
        "en": "Told here, as channel {channel} is out of reach since {since}: {what}.",
    },
    ("overdue", ""): {"zh": "逾期未处理：{what}。", "en": "Overdue: {what}."},
    ("overdue", "clock"): {
        "zh": "应在 {due} 前{step}，至今未办：{what}。",
        "en": "It was to be {step} by {due} and is not: {what}.",
    },
    ("test", ""): {
        "zh": "渠道 {tried} 的试发通知，没有预警。",
        "en": "A notice on trial through channel {tried}: there is no alert.",
    },
    ("bundle", ""): {"zh": "共 {count} 条通知。", "en": "{count} notices in one."},
    ("bundle", "digest"): {
        "zh": "每日汇总，共 {count} 条通知。",
        "en": "The day's notices: {count}.",
    },
    ("bundle", "rate"): {
        "zh": "十分钟内通知超过上限，合并告知 {count} 条。",
        "en": "More came in ten minutes than are told one by one; notices in this one: {count}.",
    },
}
# What a case waits for, as the clock names it.
STEPS: Final[Mapping[str, Words]] = {
    "": {"zh": "处理", "en": "dealt with"},
    "repair": {"zh": "修复", "en": "repaired"},
    "acknowledge": {"zh": "确认", "en": "acknowledged"},
    "explain": {"zh": "说明原因", "en": "explained"},
    "plan": {"zh": "提交整改计划", "en": "answered by a corrective plan"},
    "finish": {"zh": "完成整改", "en": "corrected as planned"},
    "answer": {"zh": "答复", "en": "answered"},
    "close": {"zh": "办结", "en": "closed"},
}
FORCES: Final[Mapping[str, Words]] = {
    "mandatory": {"zh": "强制性", "en": "mandatory"},
    "target": {"zh": "目标", "en": "target"},
    "reference": {"zh": "参考", "en": "reference"},
    "lapsed": {"zh": "（目标年限已过）", "en": " (its due date has passed)"},
}
FACTS: Final[Mapping[str, Words]] = {
    "site": {"zh": "厂区", "en": "Site"},
    "unit": {"zh": "工序", "en": "Unit"},
    "indicator": {"zh": "指标", "en": "Indicator"},
    "period": {"zh": "周期", "en": "Period"},
    "value": {"zh": "数值", "en": "Value"},
    "limit": {"zh": "限额", "en": "Limit"},
    "force": {"zh": "效力", "en": "Force"},
    "source": {"zh": "依据", "en": "Source"},
    "quote": {"zh": "原文", "en": "Quotation"},
    "completeness": {"zh": "数据完整率", "en": "Completeness"},
    "tier": {"zh": "等级", "en": "Tier"},
    "severity": {"zh": "严重程度（0-4）", "en": "Severity (0-4)"},
    "raised": {"zh": "触发时间", "en": "Raised"},
    "resolved": {"zh": "解除时间", "en": "Over since"},
    "held": {"zh": "此前未告知", "en": "Held back"},
    "evidence": {"zh": "证据", "en": "Evidence"},
    "case": {"zh": "案件编号", "en": "Case"},
    "alert": {"zh": "预警编号", "en": "Alert"},
}
# A service prepares evidence; what is demanded of a plant is signed by people (domain 3.5).
FOOTER: Final[Words] = {
    "zh": "本通知由系统自动生成，供核查使用，不是行政决定。",
    "en": "Told by a program, for people to check; it is no administrative decision.",
}
