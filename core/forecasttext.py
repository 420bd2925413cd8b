"""A forecast in one sentence, in Chinese and English: what will be, what the rest must keep, when.

Of several limits it speaks of the gravest that is in danger, else of the one most in danger. Says
nothing that the item does not, rounded as an operator reads it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any, Final

from core.forecast import LEAST_COVERAGE, LEAST_DAYS, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES: Final = ("zh", "en")
FORCES: Final = ("mandatory", "target", "reference")
IN_DANGER: Final = 0.1  # from this chance on a limit is worth a word before graver ones
DIGITS: Final = 5  # of a figure: 13,412 and 102.35
_UPPER: Final = frozenset({"<=", "<"})
_REASONS: Final[Mapping[Reason, Mapping[str, str]]] = {
    Reason.TOO_FEW_DAYS: {
        "zh": f"本期有数据的日数不足 {LEAST_DAYS} 天",
        "en": f"fewer than {LEAST_DAYS} days of the period have a figure",
    },
    Reason.LOW_COVERAGE: {
        "zh": f"本期数据完整率低于 {LEAST_COVERAGE:.0%}",
        "en": f"less than {LEAST_COVERAGE:.0%} of the period so far is measured",
    },
    Reason.FIGURE_UNKNOWN: {
        "zh": "本期至今的单耗未知",
        "en": "the figure so far is not known",
    },
    Reason.NOT_COMPUTED: {"zh": "该指标尚不计算", "en": "the indicator is not computed"},
}
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "none": {"zh": "无预测：{why}。", "en": "No forecast: {why}."},
    "and": {"zh": "；", "en": "; "},
    "figure": {
        "zh": "预计期末 {value} {unit}（80 % 区间 {low} 至 {high}）",
        "en": "{value} {unit} at the end (80 %: {low} to {high})",
    },
    "chance": {
        "zh": "，不满足限额 {cmp} {limit} 的概率 {chance}",
        "en": ", {chance} likely to break {cmp} {limit}",
    },
    "under": {
        "zh": "；剩余时间须不高于 {room} {unit}",
        "en": "; stay under {room} {unit} for the rest",
    },
    "above": {
        "zh": "；剩余时间须不低于 {room} {unit}",
        "en": "; stay above {room} {unit} for the rest",
    },
    "too_late": {
        "zh": "；剩余时间已无法挽回",
        "en": "; the rest can no longer mend it",
    },
    "exceeds": {"zh": "；按目前水平将于 {at} 越过限额", "en": "; at this pace it crosses at {at}"},
    "within": {
        "zh": "；按目前水平将于 {at} 回到限额之内",
        "en": "; at this pace it is back within at {at}",
    },
    "between": {"zh": "（80 % 在 {early} 与 {late} 之间）", "en": " (80 %: {early} to {late})"},
    "after": {"zh": "（最早 {early}）", "en": " ({early} at the earliest)"},
    "cost": {
        "zh": "；阶梯电价加价 {surcharge} 元/kWh，共 {cny} 元",
        "en": "; the stepped price adds {surcharge} yuan/kWh, {cny} yuan in all",
    },
    "end": {"zh": "。", "en": "."},
}


def sentences(item: Mapping[str, Any]) -> dict[str, str]:
    """Return the sentence of a forecast's item in each language."""
    return {language: _sentence(item, language) for language in LANGUAGES}


def reason(found: Reason, language: str) -> str:
    """Return a reason why there is no forecast, in words."""
    return _REASONS[found][language]


def chosen(limits: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the limit to speak of: the gravest in danger, else the one most in danger."""
    known = [one for one in limits if one["chance_exceeds"] is not None]
    if not known:
        return None
    danger = [one for one in known if one["chance_exceeds"] >= IN_DANGER]
    if danger:
        return min(danger, key=lambda one: (FORCES.index(one["force"]), -one["chance_exceeds"]))
    return max(known, key=lambda one: float(one["chance_exceeds"]))


def _sentence(item: Mapping[str, Any], language: str) -> str:
    if item["forecast"] is None:
        why = _WORDS["and"][language].join(
            reason(Reason(found), language) for found in item["reasons"]
        )
        return _WORDS["none"][language].format(why=why)
    figure = item["forecast"]
    said = [
        _WORDS["figure"][language].format(
            value=_number(figure["value"]),
            unit=figure["unit"],
            low=_number(figure["p10"]),
            high=_number(figure["p90"]),
        )
    ]
    limit = chosen(item["limits"])
    if limit is not None:
        said += _of_limit(limit, language)
    cost = item["cost"]
    if cost is not None and cost["value"] not in {None, "0"}:
        said.append(
            _WORDS["cost"][language].format(
                surcharge=cost["surcharge"], cny=_whole(Decimal(cost["value"]))
            )
        )
    return "".join(said) + _WORDS["end"][language]


def _of_limit(limit: Mapping[str, Any], language: str) -> list[str]:
    said = [
        _WORDS["chance"][language].format(
            chance=_chance(limit["chance_exceeds"]),
            cmp=limit["cmp"],
            limit=f"{Decimal(limit['limit_value'] or limit['own_value']):,f}",
        )
    ]
    room = limit["headroom"]
    if room is not None:
        word = "under" if limit["cmp"] in _UPPER else "above"
        word = word if room["reachable"] else "too_late"
        said.append(_WORDS[word][language].format(room=_number(room["value"]), unit=room["unit"]))
    crossing = limit["crossing"]
    if crossing is None or crossing["at"] is None:
        return said
    said.append(_WORDS[crossing["to"]][language].format(at=_instant(crossing["at"])))
    early, late = crossing["earliest"], crossing["latest"]
    if early is not None:
        word = "after" if late is None else "between"
        late = "" if late is None else _instant(late)
        said.append(_WORDS[word][language].format(early=_instant(early), late=late))
    return said


def _number(text: str) -> str:
    """Print a figure with as many digits as an operator reads, thousands apart."""
    value = Decimal(text)
    places = max(0, DIGITS - 1 - max(value.adjusted(), 0)) if value else 0
    return f"{value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):,f}"


def _whole(value: Decimal) -> str:
    return f"{value.quantize(Decimal(1), ROUND_HALF_EVEN):,f}"


def _chance(chance: float) -> str:
    """Print a chance; what is nearly sure is not called sure."""
    if chance > 0.995:  # noqa: PLR2004 - would round to all
        return "> 99 %"
    return "< 1 %" if chance < 0.005 else f"{chance:.0%}".replace("%", " %")  # noqa: PLR2004 - to none


def _instant(text: str) -> str:
    """Print an instant of plant time to the hour's minute."""
    return f"{datetime.fromisoformat(text):%m-%d %H:%M}"
