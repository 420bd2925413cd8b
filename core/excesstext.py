"""An excess in words: as JSON carries it, and as one sentence in Chinese and English.

Promise: printed parts sum to the printed excess, to a millionth of the energy unit in JSON and to
the last printed place in the sentence; a part that is not known is named, never left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import decimals, excess, periods
from core.baseline import Origin, Way
from core.clock import from_us
from core.excess import Cause, Why
from core.periods import Period
from core.producing import Group, hours_of
from core.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.baseline import Baseline, Response
    from core.excess import Excess, Part
    from core.indicators import Indicator
    from core.limits import Limit
    from core.plant import Unit
    from core.verdicts import Standing

LANGUAGES: Final = ("zh", "en")
CAUSES: Final[Mapping[Cause, Mapping[str, str]]] = {
    Cause.REFERENCE: {"zh": "自身基准与限额之差", "en": "own reference against the limit"},
    Cause.RATE: {"zh": "产出速率", "en": "rate"},
    Cause.MIX: {"zh": "产品品位", "en": "product grade"},
    Cause.STOPPAGE: {"zh": "停炉空耗", "en": "stoppage and idle burn"},
    Cause.AUXILIARY: {"zh": "辅助（动力）能耗", "en": "auxiliaries"},
    Cause.RECOVERY: {"zh": "回收与外供", "en": "recovery and sales"},
    Cause.ACCOUNTS: {"zh": "台账能耗", "en": "energy by account"},
    Cause.PROCESS: {"zh": "工艺消耗", "en": "process"},
    Cause.DOUBT: {"zh": "数据存疑", "en": "data doubt"},
}
WHYS: Final[Mapping[Why, Mapping[str, str]]] = {
    Why.NO_PROCESS_METER: {
        "zh": "没有计量工艺能耗的计量点，无法区分运行与停炉",
        "en": "no meter of the process: work and stoppage cannot be told apart",
    },
    Why.NO_REFERENCE: {
        "zh": "以往没有数据完整的周期可作基准",
        "en": "no previous period is complete enough to be the reference",
    },
    Why.FIXED_SHARE_UNKNOWN: {
        "zh": "固定负荷份额未知：请申报 fixed_share",
        "en": "the share of load that does not follow the rate is unknown: declare fixed_share",
    },
    Why.GRADE_RESPONSE_UNKNOWN: {
        "zh": "能耗随品位变化的程度未知：请申报 grade_response",
        "en": "how energy follows the grade is unknown: declare grade_response",
    },
    Why.NOT_COUNTED: {"zh": "该指标不含此项", "en": "the indicator counts nothing of the kind"},
}
_WAYS: Final = {
    Way.BEST: {"zh": "最优", "en": "best"},
    Way.MEDIAN: {"zh": "中位", "en": "median"},
}


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of: one indicator of a unit in a period against a limit; bounds are whole."""

    unit: Unit
    indicator: Indicator
    limit: Limit
    standing: Standing
    period: Period
    bound_us: tuple[int, int]
    zone: str


def item(told: Told, found: Excess, baseline: Baseline | None) -> dict[str, Any]:
    """Return the split as JSON carries it."""
    seen, energy_unit = found.seen, told.indicator.energy_unit
    per = 1 / seen.output if seen.output > 0 else None
    amounts = _by_causes(found, Fraction(1))
    shares = None if per is None else _by_causes(found, per)
    return {
        "excess": {
            **_amount(found.amount, per, told),
            "uncertainty": decimals.show_known(seen.doubt),
        },
        "parts": [_part(part, amounts, shares, energy_unit) for part in found.parts],
        "remainder": None
        if found.remainder is None
        else {
            "causes": [cause.value for cause in found.remainder.causes],
            "name": _joined(found.remainder.causes),
            "value": amounts[found.remainder.causes],
            "per_output": None if shares is None else shares[found.remainder.causes],
            "why": [why.value for why in found.remainder.why],
            "text": {
                lang: _AND[lang].join(WHYS[why][lang] for why in found.remainder.why)
                for lang in LANGUAGES
            },
        },
        "time": {
            "working_h": decimals.show(hours_of(seen.working_us)),
            "idle_h": decimals.show(hours_of(seen.idle_us)),
            "doubtful_h": decimals.show(hours_of(seen.process.doubtful_us)),
        },
        "reference": None if baseline is None else _reference(baseline, told),
        "sentence": {lang: sentence(told, found, baseline, lang) for lang in LANGUAGES},
    }


def _amount(amount: Fraction, per: Fraction | None, told: Told) -> dict[str, Any]:
    return {
        "value": decimals.show(amount),
        "unit": told.indicator.energy_unit,
        "per_output": None if per is None else decimals.show(amount * per),
        "per_output_unit": told.indicator.unit,
    }


def _by_causes(found: Excess, scale: Fraction) -> dict[tuple[Cause, ...], str]:
    """Return the printed amount of each part and of the remainder; they sum to the excess's."""
    printed = found.printed(scale)
    return {
        causes: decimals.show_e6(one)
        for (causes, _), one in zip(found.told(), printed, strict=True)
    }


def _part(
    part: Part,
    amounts: Mapping[tuple[Cause, ...], str],
    shares: Mapping[tuple[Cause, ...], str] | None,
    energy_unit: str,
) -> dict[str, Any]:
    known = (part.cause,) in amounts and part.amount is not None
    return {
        "cause": part.cause.value,
        "name": dict(CAUSES[part.cause]),
        "value": amounts[part.cause,] if known else None,
        "unit": energy_unit,
        "per_output": shares[part.cause,] if known and shares is not None else None,
        "plus_minus": decimals.show_known(part.give),
        "why": None if part.why is None else part.why.value,
        "evidence": {key: decimals.show_known(value) for key, value in part.evidence.items()},
    }


def _reference(baseline: Baseline, told: Told) -> dict[str, Any]:
    seen = baseline.seen
    return {
        "way": baseline.way.value,
        "period": baseline.period.value,
        "of": baseline.of,
        "period_start": periods.render(seen.span_us[0], told.zone),
        "period_end": periods.render(seen.span_us[1], told.zone),
        "intensity": decimals.show(baseline.intensity),
        "rate": decimals.show(baseline.rate),
        "rate_unit": f"{told.indicator.output_unit}/h",
        "loads": {
            group.value: decimals.show(baseline.power(group))
            for group in Group
            if group in seen.shares
        },
        "load_unit": f"{told.indicator.energy_unit}/h",
        "grade_ratio": decimals.show_known(seen.grade_ratio),
        "working_h": decimals.show(hours_of(seen.working_us)),
        "idle_h": decimals.show(hours_of(seen.idle_us)),
        "shares": [_response(one) for one in (baseline.fixed, baseline.grade)],
    }


def _response(one: Response) -> dict[str, Any]:
    return {
        "name": one.name,
        "value": decimals.show_known(one.value),
        "origin": one.origin.value,
        "standard_error": decimals.show_known(one.error),
        "periods": one.periods if one.origin is not Origin.DECLARED else None,
    }


def sentence(told: Told, found: Excess, baseline: Baseline | None, lang: str) -> str:
    """Return why the figure is over its limit, in one sentence; the parts sum to the excess."""
    if found.seen.output <= 0:
        return _without_output(told, found, lang)
    per = 1 / found.seen.output
    over = found.amount * per
    places = _places(over)
    scale: int = 10**places
    told_parts = found.told()
    printed = excess.apportioned([amount * per for _, amount in told_parts], scale)
    rows = [
        (_joined(causes)[lang], one)
        for (causes, _), one in zip(told_parts, printed, strict=True)
        if one
    ]
    rows.sort(key=lambda row: -abs(row[1]))
    unit = told.indicator.unit
    words = {
        "unit": told.unit.name[lang],
        "period": _period(told),
        "value": _number(round((over + found.limit) * scale), places),
        "over": _number(abs(sum(printed)), places),
        "of": unit,
        "limit": decimals.show(found.limit),
        "amount": f"{_number(round(abs(found.amount)), 0)} {told.indicator.energy_unit}",
    }
    head = _HEADS[found.amount > 0][lang].format(**words)
    parts = _JOIN[lang].join(f"{name} {_signed(one, places)}" for name, one in rows)
    tail = "".join(_tails(told, found, baseline, lang))
    return f"{head}{_COLON[lang]}{parts or '0'} {unit}{tail}{_STOP[lang]}"


_HEADS: Final = {
    True: {
        "zh": "{unit} {period} 单耗 {value} {of}，超过限额 {limit} 的 {over} {of}（{amount}）",
        "en": "{unit}, {period}: {value} {of} is {over} over the limit of {limit} ({amount})",
    },
    False: {
        "zh": "{unit} {period} 单耗 {value} {of}，低于限额 {limit} 的 {over} {of}（{amount}）",
        "en": "{unit}, {period}: {value} {of} is {over} below the limit of {limit} ({amount})",
    },
}
_JOIN: Final = {"zh": "、", "en": ", "}
_AND: Final = {"zh": "；", "en": "; "}
_COLON: Final = {"zh": "：", "en": ": "}
_STOP: Final = {"zh": "。", "en": "."}


def _tails(told: Told, found: Excess, baseline: Baseline | None, lang: str) -> list[str]:
    """Return what is to be added: the reference, what is not told apart, and the doubt."""
    tails: list[str] = []
    if baseline is not None:
        start = baseline.seen.span_us[0]
        name = _named(baseline.period, start, told.zone)
        way = _WAYS[baseline.way][lang]
        tails.append(
            {
                "zh": f"；基准为 {name}（此前 {baseline.of} 期中的{way}）",
                "en": f"; the reference is {name}, the {way} of {baseline.of} before",
            }[lang]
        )
    if found.remainder is not None:
        why = _AND[lang].join(WHYS[one][lang] for one in found.remainder.why)
        tails.append({"zh": f"；未能分开的原因：{why}", "en": f"; not told apart, as {why}"}[lang])
    if told.standing.verdict is Verdict.INDETERMINATE:
        tails.append(
            {
                "zh": "；超限量在测量不确定度之内",
                "en": "; the distance lies within the uncertainty of measurement",
            }[lang]
        )
    return tails


def _without_output(told: Told, found: Excess, lang: str) -> str:
    amount = f"{_number(round(found.amount), 0)} {told.indicator.energy_unit}"
    name, when = told.unit.name[lang], _period(told)
    return {
        "zh": f"{name} {when} 没有产量，已耗 {amount}。",
        "en": f"{name}, {when}: no output, {amount} used.",
    }[lang]


def _joined(causes: tuple[Cause, ...]) -> dict[str, str]:
    return {
        "zh": "、".join(CAUSES[cause]["zh"] for cause in causes)
        + ("（未分开）" if len(causes) > 1 else ""),
        "en": " and ".join(CAUSES[cause]["en"] for cause in causes)
        + (" (together)" if len(causes) > 1 else ""),
    }


def _period(told: Told) -> str:
    return _named(told.period, told.bound_us[0], told.zone)


def _named(period: Period, start_us: int, zone: str) -> str:
    """Name a period by its start, as short as its kind allows."""
    local = from_us(start_us).astimezone(periods.zone(zone))
    form = {Period.YEAR: "%Y", Period.MONTH: "%Y-%m", Period.DAY: "%Y-%m-%d"}
    return local.strftime(form.get(period, "%Y-%m-%d %H:%M"))


def _places(over: Fraction) -> int:
    """Return the decimals that show at least three digits of an excess per output."""
    size = abs(over)
    return 1 if size >= 10 else 2 if size >= 1 else 4  # noqa: PLR2004 - powers of ten


def _number(scaled: int, places: int) -> str:
    """Print an integer of 10 ** -places with separators."""
    sign, digits = ("-" if scaled < 0 else ""), str(abs(scaled)).rjust(places + 1, "0")
    whole, rest = (digits[:-places], digits[-places:]) if places else (digits, "")
    return f"{sign}{int(whole):,}{'.' if rest else ''}{rest}"


def _signed(scaled: int, places: int) -> str:
    return ("+" if scaled > 0 else "") + _number(scaled, places)
