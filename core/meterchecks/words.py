"""Findings in words for people, zh and en: what does not fit, since when, how sure, what to do.

A sentence never says more than was found: where one of several meters may be it, it says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core import periods
from core.meterchecks import factors
from core.meterchecks.findings import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LANGUAGES: Final = ("zh", "en")
CAUSES: Final[Mapping[str, Mapping[str, str]]] = {
    factors.UNIT: {
        "en": "another unit (kWh for MWh, MJ for kWh)",
        "zh": "计量单位不符（kWh 与 MWh、MJ 与 kWh）",
    },
    factors.DIGIT: {"en": "a digit or decimal point", "zh": "位数或小数点"},
    factors.SECONDARY: {
        "en": "a secondary current of 5 A for 1 A",
        "zh": "互感器二次电流 5 A 与 1 A 混用",
    },
    factors.PHASE: {"en": "a missing or reversed phase", "zh": "缺相或相序（极性）接反"},
    factors.VOLTAGE: {"en": "line for phase voltage", "zh": "线电压与相电压混用"},
    factors.CURRENT_TRANSFORMER: {
        "en": "a current transformer of another ratio",
        "zh": "电流互感器变比不符",
    },
}
WITNESSES: Final[Mapping[str, Mapping[str, str]]] = {
    "balance": {"en": "main and sub-meters", "zh": "总分表平衡"},
    "power": {"en": "the power of the same load", "zh": "同一负荷的功率"},
    "production": {"en": "what the unit made meanwhile", "zh": "同期产量"},
    "past": {"en": "its own past", "zh": "自身历史"},
    "rated_power": {"en": "its rated power", "zh": "额定功率"},
    "bound": {"en": "what physics leaves possible", "zh": "物理可能范围"},
}
REASONS: Final[Mapping[str, Mapping[str, str]]] = {
    "too_little_known": {
        "en": "too few hours in which every meter of the balance is known",
        "zh": "各表数据同时完整的小时数不足",
    },
    "no_energy_of": {"en": "a meter of the balance has no energy", "zh": "平衡中有表无电量"},
    "too_many_readings": {
        "en": "more readings than one check may read",
        "zh": "读数超过一次检查的上限",
    },
    "no_balance": {
        "en": "no main meter or check gauge is declared for it (fed_by, parent)",
        "zh": "未声明总表或校核表（fed_by、parent）",
    },
}


def sentence(found: Finding, language: str, zone: str) -> str:
    """Return the finding as one sentence in `en` or `zh`, its times in the plant's zone."""
    since = periods.render(found.since_us, zone)[:16].replace("T", " ")
    text = (_EN if language == "en" else _ZH)[found.kind](found, since)
    joint = " by " if language == "en" else "；依据："
    told = ", ".join(WITNESSES[one.value][language] for one in found.witnesses)
    return f"{text}{joint}{told}" if language == "zh" else f"{text}, told{joint}{told}"


def reason(word: str, language: str) -> str:
    """Return in words why something was not looked at."""
    key, _, more = word.partition(":")
    text = REASONS[key][language]
    return f"{text}: {more}" if more else text


def _who(found: Finding, language: str) -> str:
    if found.named is not None or len(found.candidates) <= 1:
        return found.named or found.subject
    joint = " or " if language == "en" else " 或 "
    return joint.join(found.candidates)


def _percent(found: Finding) -> str:
    error = 0.0 if found.error is None else found.error
    doubt = "" if found.doubt is None else f" ± {100 * found.doubt:.2g}"
    return f"{abs(100 * error):.3g}{doubt} %"


def _times(found: Finding) -> str:
    factor = 1.0 if found.factor is None else found.factor
    return f"{factor:.4g}"


def _hint(found: Finding, language: str) -> str:
    if not found.explained:
        return ""
    causes = list(dict.fromkeys(CAUSES[one.cause][language] for one in found.explained))
    if language == "en":
        return f" (look for {' or '.join(causes)})"
    return f"（请核查{'、'.join(causes)}）"


def _sure(found: Finding, language: str) -> str:
    if found.sure is None:
        return ""
    share = f"{min(100 * found.sure, 99.9):.3g} %"
    if found.named is None:
        return ""
    return f", {share} sure of the meter" if language == "en" else f"，对该表的把握 {share}"


def _drift_en(found: Finding, since: str) -> str:
    error = found.error or 0.0
    more = "too much" if error > 0 else "too little"
    how = "growing since" if found.grows else "since"
    who = _who(found, "en")
    start = who if found.named else f"one of the meters {who}"
    return f"{start} shows {_percent(found)} {more} {how} {since}{_sure(found, 'en')}"


def _drift_zh(found: Finding, since: str) -> str:
    more = "偏大" if (found.error or 0.0) > 0 else "偏小"
    how = "起逐渐" if found.grows else "起"
    who = _who(found, "zh")
    start = who if found.named else f"{who} 中的一块表"
    return f"{start} 自 {since} {how}{more} {_percent(found)}{_sure(found, 'zh')}"


def _frozen_en(found: Finding, since: str) -> str:
    if "value" in found.detail:
        return (
            f"{found.subject} has shown {found.detail['value']} to the last digit in"
            f" {found.detail['readings']} readings since {since}"
        )
    return f"the register of {found.subject} stood still from {since} on while its load ran"


def _frozen_zh(found: Finding, since: str) -> str:
    if "value" in found.detail:
        return (
            f"{found.subject} 自 {since} 起连续 {found.detail['readings']} 次读数均为"
            f" {found.detail['value']}"
        )
    return f"{found.subject} 自 {since} 起表码不走，而负荷在运行"


_EN: Final[Mapping[Kind, Callable[[Finding, str], str]]] = {
    Kind.BOUNDS: lambda f, since: (
        f"{f.subject} took {f.detail['value']} {f.detail['unit']} ({f.detail['indicator']}) in the"
        f" week from {since}, beyond {f.detail['bound']}: a meter, its scale or the record of"
        " output is wrong"
    ),
    Kind.SHIFT: lambda f, since: (
        f"energy per output of {f.subject} ({f.detail['indicator']}) is {_times(f)} times what it"
        f" was since the week of {since}{_hint(f, 'en')}: a meter, the record of output, or the"
        " process"
    ),
    Kind.SCALE: lambda f, since: (
        f"{_who(f, 'en')} shows {_times(f)} times the truth since {since}{_hint(f, 'en')}"
    ),
    Kind.DRIFT: _drift_en,
    Kind.UNMETERED: lambda f, since: (
        f"behind {f.subject} {abs(100 * (f.error or 0)):.3g} % of its energy"
        f" {'more' if (f.error or 0) > 0 else 'less'} than before runs past all sub-meters since"
        f" {since}"
    ),
    Kind.POWER: lambda f, since: (
        f"{f.candidates[0]} and {f.candidates[-1]} show one load and differ by the factor"
        f" {_times(f)} since {since}{_hint(f, 'en')}: one of the two is wrong"
    ),
    Kind.FROZEN: _frozen_en,
    Kind.REPEATED: lambda f, since: (
        f"the hours of {f.subject} on the day from {since} are those of {f.detail['days_before']}"
        " days before, to the last digit"
    ),
    Kind.HELD: lambda f, since: (
        f"{f.detail['slots']} slots of {f.subject} since {since} hold steps above its rated power,"
        " which are not booked: check its multiplier, or its rated power"
    ),
}
_ZH: Final[Mapping[Kind, Callable[[Finding, str], str]]] = {
    Kind.BOUNDS: lambda f, since: (
        f"{f.subject} 自 {since} 起一周的 {f.detail['indicator']} 为 {f.detail['value']}"
        f" {f.detail['unit']}，超出物理可能值 {f.detail['bound']}：表计、倍率或产量记录有误"
    ),
    Kind.SHIFT: lambda f, since: (
        f"{f.subject} 的 {f.detail['indicator']} 自 {since} 当周起为此前的 {_times(f)} 倍"
        f"{_hint(f, 'zh')}：表计、产量记录或工艺有变"
    ),
    Kind.SCALE: lambda f, since: (
        f"{_who(f, 'zh')} 自 {since} 起示值为真值的 {_times(f)} 倍{_hint(f, 'zh')}"
    ),
    Kind.DRIFT: _drift_zh,
    Kind.UNMETERED: lambda f, since: (
        f"自 {since} 起 {f.subject} 以下有相当于其 {abs(100 * (f.error or 0)):.3g} % 的电量"
        f"{'新增' if (f.error or 0) > 0 else '减少'}，未经任何分表"
    ),
    Kind.POWER: lambda f, since: (
        f"{f.candidates[0]} 与 {f.candidates[-1]} 计量同一负荷，自 {since} 起相差 {_times(f)} 倍"
        f"{_hint(f, 'zh')}：其中之一有误"
    ),
    Kind.FROZEN: _frozen_zh,
    Kind.REPEATED: lambda f, since: (
        f"{f.subject} 自 {since} 起一天的小时电量与 {f.detail['days_before']} 天前逐位相同"
    ),
    Kind.HELD: lambda f, since: (
        f"{f.subject} 自 {since} 起有 {f.detail['slots']} 个时段超过额定功率而未入账："
        "请核查倍率或额定功率"
    ),
}
