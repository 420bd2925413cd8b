"""A notification in words, in Chinese and English: head line, sentence, what it rests on.

Read from the JSON that a receiver's webhook gets, so that mail and chat say what the webhook says
and nothing else. Promise: what is absent is left out, never guessed; figures are shown as they
are compared; a text is bounded however much it tells of.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from core import periods, sending
from core.alertwords import (
    FACTS,
    FORCES,
    HEADS,
    NAMES,
    SENTENCES,
    STEPS,
    STOPS,
    Lang,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.severities import Scheme, Tier

TYPE_PREFIX: Final = "alert."
BUNDLE: Final = "bundle"
TEST: Final = "test"  # of a channel: there is no alert
MOST_HEAD_CHARS: Final = 120  # of one language
MOST_SENTENCE_CHARS: Final = 600
MOST_FACT_CHARS: Final = 1_000  # a quotation of a law is the longest there is
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_LOWER: Final = frozenset({">=", ">"})


def notice_of(message: Mapping[str, Any]) -> str:
    """Return what kind of notice it is, as the alert's contract names it."""
    return str(message.get("type", "")).removeprefix(TYPE_PREFIX)


def subject(message: Mapping[str, Any], scheme: Scheme, lang: Lang) -> str:
    """Return the head line: the tier, what happened, to what."""
    name = NAMES.get(notice_of(message), NAMES[""])[lang]
    if notice_of(message) == BUNDLE:
        count = len(items_of(message))
        return sending.one_line(
            HEADS["bundle"][lang].format(name=name, count=count), MOST_HEAD_CHARS
        )
    if notice_of(message) == TEST:
        tried = str(message.get("channel") or "?")
        return sending.one_line(HEADS["test"][lang].format(name=name, tried=tried), MOST_HEAD_CHARS)
    item = message.get("alert") or {}
    tier = tier_of(item, scheme)
    words = {"code": tier.code, "tier": tier.name[lang], "name": name, "of": _of(item, lang)}
    return sending.one_line(HEADS["one"][lang].format(**words), MOST_HEAD_CHARS)


def sentence(message: Mapping[str, Any], lang: Lang) -> str:
    """Return what happened, in one sentence or two."""
    notice = notice_of(message)
    if notice == BUNDLE:
        reason = str((message.get("bundle") or {}).get("reason", ""))
        form = SENTENCES.get((BUNDLE, reason), SENTENCES[BUNDLE, ""])
        return form[lang].format(count=len(items_of(message)))
    item = message.get("alert") or {}
    zone = str(item.get("timezone") or "Asia/Shanghai")
    words = {
        "what": _inner(message, lang) or _what(item, lang),
        "short": _short(item, lang),
        "of": _of(item, lang),
        "now": _now(item, lang),
        **_escalation(message, zone),
        **_clock(message, lang, zone),
        "reason": _reason(message, lang),
        "tried": str(message.get("channel") or "?"),
    }
    key = (notice, _variant(notice, message, item))
    form = SENTENCES.get(key) or SENTENCES.get((notice, "")) or SENTENCES["", ""]
    return sending.one_line(form[lang].format(**words), MOST_SENTENCE_CHARS)


def _inner(message: Mapping[str, Any], lang: Lang) -> str:
    """Return the sentence of the notice that another channel could not tell, without its end."""
    of = (message.get("escalation") or {}).get("of")
    if not isinstance(of, str) or of in {"escalated", BUNDLE}:
        return ""
    alone = {key: value for key, value in message.items() if key != "escalation"}
    return sentence({**alone, "type": f"{TYPE_PREFIX}{of}"}, lang).rstrip("。.")


def facts(message: Mapping[str, Any], scheme: Scheme, lang: Lang) -> list[tuple[str, str]]:
    """Return what the sentence rests on, as rows of a name and a value."""
    if notice_of(message) == TEST:
        return []
    item = message.get("alert") or {}
    law = message.get("law") or {}
    tier = tier_of(item, scheme)
    zone = str(item.get("timezone") or "Asia/Shanghai")
    is_limit = item.get("limit") is not None
    of_scheme = f"{STOPS[lang].opening}{scheme.name[lang]}{STOPS[lang].closing}"
    known: dict[str, str | None] = {
        "site": _named(item, "site", lang),
        "unit": _named(item, "unit", lang),
        "indicator": _named(item, "indicator", lang),
        "period": _period(item) or None,
        "value": _value(item) or None,
        "limit": _limit(item, lang) if is_limit else None,
        "force": _force(item, lang),
        "source": _joined(law.get("source"), law.get("clause")),
        "quote": law.get("quote"),
        "completeness": _share(item.get("completeness")),
        "tier": f"{tier.code} {tier.name[lang]}{of_scheme}",
        "severity": None if item.get("severity") is None else str(item["severity"]),
        "raised": _instant(item.get("raised_at"), zone),
        "resolved": _instant(item.get("resolved_at"), zone),
        "held": _held(message, zone),
        "evidence": item.get("evidence"),
        "case": message.get("case"),
        "alert": item.get("id"),
    }
    return [
        (FACTS[key][lang], sending.one_line(value, MOST_FACT_CHARS))
        for key, value in known.items()
        if value
    ]


def link(message: Mapping[str, Any], page_url: str, lang: Lang) -> str:
    """Return the address of the page that shows what a notification is about."""
    item = message.get("alert") or {}
    site, unit, result = (_slug(item.get(key)) for key in ("site", "unit", "result"))
    path = "/"
    if result:
        path = f"/evidence/{result}"
    elif site:
        path = f"/p/{site}/u/{unit}" if unit else f"/p/{site}"
    return f"{page_url}{path}?lang={lang}"


def _slug(value: object) -> str:
    """Return an id that may stand in an address, else nothing."""
    return value if isinstance(value, str) and _SLUG.fullmatch(value) else ""


def _variant(notice: str, message: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    """Return which of a notice's sentences fits."""
    if notice == "escalated":
        return str((message.get("escalation") or {}).get("reason", ""))
    if notice == "overdue":
        return "clock" if message.get("clock") else ""
    return "condition" if item.get("kind") == "condition" else ""


def items_of(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the notifications that a bundle holds."""
    found = message.get("items")
    return found if isinstance(found, list) else ()


def tier_of(item: Mapping[str, Any], scheme: Scheme) -> Tier:
    """Return what an alert's severity is called in a scheme."""
    return scheme.tier(int(item.get("severity") or 0))


def _named(item: Mapping[str, Any], what: str, lang: Lang) -> str | None:
    """Return the name that people gave a thing, else its id, None where there is none."""
    names = item.get(f"{what}_name")
    name = names.get(lang) if isinstance(names, dict) else None
    given = name or item.get(what)
    return None if given is None else str(given)


def _of(item: Mapping[str, Any], lang: Lang) -> str:
    """Return what an alert is about, short enough for a head line."""
    if item.get("kind") == "condition":
        return _condition(item, lang)
    known = (_named(item, what, lang) for what in ("site", "unit", "indicator"))
    return STOPS[lang].between.join(name for name in known if name)


def _condition(item: Mapping[str, Any], lang: Lang) -> str:
    said = item.get("sentence")
    text = said.get(lang) if isinstance(said, dict) else None
    place = item.get("subject")
    thing = place.get("id") if isinstance(place, dict) else None
    return str(text or _spaced(item.get("condition"), thing)).rstrip("。. ")


def _what(item: Mapping[str, Any], lang: Lang) -> str:
    """Return the clause that an alert stands for: a figure over its limit, or what is the case."""
    if item.get("kind") == "condition":
        return _condition(item, lang)
    form = SENTENCES["exceedance", "closed" if item.get("figure_closed") else "open"]
    over = SENTENCES["over", "lower" if item.get("cmp") in _LOWER else "upper"]
    return form[lang].format(
        of=_of(item, lang),
        period=_period(item),
        value=_value(item) or "?",
        over=over[lang],
        limit=_limit(item, lang),
    )


def _short(item: Mapping[str, Any], lang: Lang) -> str:
    """Return what an alert is about without its figure, which may have been wrong."""
    if item.get("kind") == "condition":
        return _condition(item, lang)
    return STOPS[lang].between.join(filter(None, (_of(item, lang), _period(item))))


def _now(item: Mapping[str, Any], lang: Lang) -> str:
    """Return the figure that counts now, beside its limit."""
    value = _value(item)
    if not value or item.get("kind") == "condition":
        return ""
    return SENTENCES["now", ""][lang].format(
        period=_period(item), value=value, limit=_limit(item, lang)
    )


def _period(item: Mapping[str, Any]) -> str:
    """Return the period that the figure is of, as its start names it in plant time."""
    start = item.get("figure_period_start") or item.get("period_start")
    if not isinstance(start, str):
        return ""
    chars = {"year": 4, "month": 7, "day": 10}.get(str(item.get("period")), 16)
    return start[:chars].replace("T", " ")


def _value(item: Mapping[str, Any]) -> str:
    if item.get("value") is None:
        return ""
    doubt = item.get("uncertainty")
    plus = f" ± {doubt}" if doubt not in {None, "0"} else ""
    return f"{item['value']}{plus} {item.get('value_unit') or ''}".rstrip()


def _limit(item: Mapping[str, Any], lang: Lang) -> str:
    value = f"{item.get('limit_value') or '?'} {item.get('value_unit') or ''}".rstrip()
    name = _named(item, "limit", lang)
    stops = STOPS[lang]
    return f"{value}{stops.opening}{name}{stops.closing}" if name else value


def _force(item: Mapping[str, Any], lang: Lang) -> str | None:
    name = FORCES.get(str(item.get("force")))
    if name is None:
        return None
    return name[lang] + (FORCES["lapsed"][lang] if item.get("lapsed") else "")


def _escalation(message: Mapping[str, Any], zone: str) -> dict[str, str]:
    given = message.get("escalation") or {}
    since = _instant(given.get("since"), zone)
    return {"channel": str(given.get("from") or "?"), "since": since or "?"}


def _held(message: Mapping[str, Any], zone: str) -> str | None:
    """Return since when a word was kept back, and by which document or for what reason."""
    given = message.get("held") or {}
    return _joined(_instant(given.get("since"), zone), given.get("document"), given.get("reason"))


def _clock(message: Mapping[str, Any], lang: Lang, zone: str) -> dict[str, str]:
    given = message.get("clock") or {}
    step = STEPS.get(str(given.get("step")), STEPS[""])
    return {"step": step[lang], "due": _instant(given.get("due_at"), zone) or "?"}


def _reason(message: Mapping[str, Any], lang: Lang) -> str:
    given = message.get("reason")
    text = given.get(lang) if isinstance(given, dict) else given
    if not isinstance(text, str) or not text:
        return ""
    stops = STOPS[lang]
    return f"{stops.opening}{text}{stops.closing}"


def _instant(text: object, zone: str) -> str | None:
    """Return an instant in plant time, to the minute."""
    if not isinstance(text, str):
        return None
    at = datetime.fromisoformat(text)
    try:
        return at.astimezone(periods.zone(zone)).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _share(value: object) -> str | None:
    return f"{value:.1%}" if isinstance(value, int | float) else None


def _joined(*parts: object) -> str | None:
    return ", ".join(str(part) for part in parts if part) or None


def _spaced(*parts: object) -> str:
    return " ".join(str(part) for part in parts if part)
