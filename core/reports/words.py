"""The words of reports in both languages, from the glossary: verdicts, forces, flags, causes.

Promise: a code that is new to this table is printed as it is, never left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.reports.document import Mark, Text, Tone, same

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERDICTS: Final[Mapping[str, Text]] = {
    "within": Text("达标", "within"),
    "exceeds": Text("超限", "exceeds"),
    "indeterminate": Text("不确定", "indeterminate"),
    "incomplete": Text("数据不全", "incomplete"),
    "not_applicable": Text("不适用", "not applicable"),
}
FORCES: Final[Mapping[str, Text]] = {
    "mandatory": Text("强制性", "mandatory"),
    "target": Text("目标", "target"),
    "reference": Text("参考", "reference"),
}
LAPSED: Final = Text("已过期", "lapsed")
LEVELS: Final[Mapping[int, Text]] = {
    1: Text("1级", "level 1"),
    2: Text("2级", "level 2"),
    3: Text("3级", "level 3"),
}
FLAGS: Final[Mapping[str, Text]] = {
    "rollover": Text("表计翻转", "meter rolled over"),
    "reset": Text("表计清零", "meter reset"),
    "exchange": Text("换表", "meter exchanged"),
    "gap": Text("有缺口", "has gaps"),
    "implausible": Text("不可信读数", "implausible step"),
    "spike": Text("剔除尖峰", "spike left out"),
    "confirmed": Text("人工确认", "confirmed by hand"),
    "uncertain": Text("读数存疑", "uncertain readings"),
    "multiplier_unknown": Text("倍率未知", "multiplier unknown"),
    "multiplier_changed": Text("倍率变更", "multiplier changed"),
    "estimated": Text("含估算", "partly estimated"),
    "uncertainty_undeclared": Text("准确度未申报", "accuracy undeclared"),
    "stock_not_taken": Text("未盘存", "stock not taken"),
    "grade_missing": Text("缺品位", "grade missing"),
    "factor_unknown": Text("折标系数未知", "factor unknown"),
    "carrier_unmetered": Text("能源未计量", "carrier unmetered"),
    "facts_missing": Text("缺台账数据", "facts missing"),
    "unit_unfit": Text("台账单位不符", "fact in another unit"),
    "base_missing": Text("缺基期数据", "base year missing"),
}
CAUSES: Final[Mapping[str, Text]] = {
    "period_end": Text("期间结束", "period ended"),
    "late_readings": Text("迟到读数", "late readings"),
    "facts": Text("产量或台账更正", "production facts"),
    "declaration": Text("申报变更", "declaration changed"),
    "confirmed_steps": Text("人工确认跳变", "step confirmed by hand"),
    "catalogue": Text("限额目录更新", "catalogue changed"),
    "recompute": Text("重算更正", "put right by recompute"),
    "unexplained": Text("原因未明", "unexplained"),
}
ALERT_STATES: Final[Mapping[str, Text]] = {
    "pending": Text("待确认触发", "pending"),
    "firing": Text("触发", "firing"),
    "clearing": Text("恢复中", "clearing"),
    "resolved": Text("已恢复", "resolved"),
}
PRIORITIES: Final[Mapping[int, str]] = {4: "P1", 3: "P1", 2: "P2", 1: "P3", 0: "—"}
NONE: Final = Text("无", "none")


def word(table: Mapping[str, Text], code: str) -> Text:
    """Return the words for a code, the code itself where there are none."""
    return table.get(code, same(code))


def listed(table: Mapping[str, Text], codes: Sequence[str]) -> Text:
    """Return the words for some codes side by side."""
    if not codes:
        return NONE
    found = [word(table, code) for code in codes]
    return Text("、".join(one.zh for one in found), ", ".join(one.en for one in found))


def verdict(code: str, force: str) -> Mark:
    """Return a verdict as a mark: as loud as what the limit binds to."""
    return Mark(code, word(VERDICTS, code), _tone(code, force))


def _tone(code: str, force: str) -> Tone:
    if code == "exceeds":
        if force == "mandatory":
            return Tone.OVER
        # A reference that is not reached is told, not coloured.
        return Tone.WARN if force == "target" else Tone.CALM
    return Tone.DOUBT if code in {"indeterminate", "incomplete"} else Tone.CALM


def force(code: str, level: int | None, *, lapsed: bool) -> Text:
    """Return what a limit binds to, with its level and whether it lapsed."""
    said = word(FORCES, code)
    level_words = None if level is None else LEVELS.get(level, same(str(level)))
    parts_zh, parts_en = [said.zh], [said.en]
    for more in (level_words, LAPSED if lapsed else None):
        if more is not None:
            parts_zh.append(more.zh)
            parts_en.append(more.en)
    return Text("·".join(parts_zh), ", ".join(parts_en))


def cmp(sign: str) -> str:
    """Return a comparison as it is printed."""
    return {"<=": "≤", "<": "<", ">=": "≥", ">": ">"}.get(sign, sign)
