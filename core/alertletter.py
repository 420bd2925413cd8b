"""A notification as it goes to people: for a chat, and as text and HTML of a mail.

Promise: bounded however much it tells of, and nothing of what it tells of is markup.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

from core import alerttext, sending
from core.alerttext import BUNDLE
from core.alertwords import FOOTER, HEADS, STOPS, Lang

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.severities import Scheme

LANGUAGES: Final[Mapping[str, tuple[Lang, ...]]] = {
    "zh": ("zh",),
    "en": ("en",),
    "both": ("zh", "en"),
}
MOST_SUBJECT_CHARS: Final = 200
MOST_LISTED: Final = 50  # of a bundle: more is told as a number
MOST_BRIEF_LISTED: Final = 10  # of a bundle in a chat, whose messages are short
_TAGS: Final[Mapping[Lang, str]] = {"zh": "zh-CN", "en": "en"}
_COLOURS: Final = {
    "green": "#2e7d32",
    "blue": "#1565c0",
    "yellow": "#f9a825",
    "orange": "#ef6c00",
    "red": "#c62828",
}
_GREY: Final = "#666666"


@dataclass(frozen=True, slots=True)
class Letter:
    """A notification for people: `brief` for a chat, `text` and `html` for a mail."""

    subject: str
    brief: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Style:
    """How a receiver is written to; `page_url` is where the page is, for links."""

    scheme: Scheme
    language: str
    page_url: str | None = None


def letter(message: Mapping[str, Any], style: Style) -> Letter:
    """Return a notification for people, in one language or both."""
    spoken = LANGUAGES[style.language]
    heads = [alerttext.subject(message, style.scheme, lang) for lang in spoken]
    pages = [_section(message, style, lang) for lang in spoken]
    return Letter(
        subject=sending.one_line(" / ".join(heads), MOST_SUBJECT_CHARS),
        brief="\n\n".join(_brief(message, style, lang) for lang in spoken),
        text="\n\n----\n\n".join(_text(message, style, lang) for lang in spoken) + "\n",
        html=_whole(pages),
    )


def _brief(message: Mapping[str, Any], style: Style, lang: Lang) -> str:
    lines = [
        alerttext.sentence(message, lang),
        *_listed(message, style, lang, MOST_BRIEF_LISTED),
        *_links(message, style, lang),
    ]
    return "\n".join(lines)


def _text(message: Mapping[str, Any], style: Style, lang: Lang) -> str:
    lines = [alerttext.sentence(message, lang), ""]
    if alerttext.notice_of(message) == BUNDLE:
        lines += _listed(message, style, lang, MOST_LISTED)
    else:
        colon = STOPS[lang].colon
        facts = alerttext.facts(message, style.scheme, lang)
        lines += [f"{name}{colon}{value}" for name, value in facts]
    return "\n".join([*lines, *_links(message, style, lang), "", FOOTER[lang]])


def _listed(message: Mapping[str, Any], style: Style, lang: Lang, most: int) -> list[str]:
    """Return one line for each notification of a bundle, and how many more there are."""
    lines = [f"{place}. {line}" for place, line in enumerate(_lines(message, style, lang, most), 1)]
    return [*lines, *_rest(message, lang, most)]


def _lines(message: Mapping[str, Any], style: Style, lang: Lang, most: int) -> list[str]:
    found = []
    for each in alerttext.items_of(message)[:most]:
        tier = alerttext.tier_of(each.get("alert") or {}, style.scheme)
        found.append(f"[{tier.code}] {alerttext.sentence(each, lang)}")
    return found


def _rest(message: Mapping[str, Any], lang: Lang, most: int) -> list[str]:
    more = len(alerttext.items_of(message)) - most
    return [HEADS["more"][lang].format(count=more)] if more > 0 else []


def _links(message: Mapping[str, Any], style: Style, lang: Lang) -> list[str]:
    if style.page_url is None:
        return []
    return [f"{HEADS['page'][lang]}{alerttext.link(message, style.page_url, lang)}"]


def _section(message: Mapping[str, Any], style: Style, lang: Lang) -> str:
    colour = _GREY
    if alerttext.notice_of(message) == BUNDLE:
        lines = [escape(line) for line in _lines(message, style, lang, MOST_LISTED)]
        inner = "<ol>" + "".join(f"<li>{line}</li>" for line in lines) + "</ol>"
        inner += "".join(f"<p>{escape(line)}</p>" for line in _rest(message, lang, MOST_LISTED))
    else:
        colour = _COLOURS[alerttext.tier_of(message.get("alert") or {}, style.scheme).colour]
        rows = "".join(
            f'<tr><th align="left" valign="top">{escape(name)}</th><td>{escape(value)}</td></tr>'
            for name, value in alerttext.facts(message, style.scheme, lang)
        )
        inner = f'<table cellpadding="4">{rows}</table>'
    if style.page_url is not None:
        address = escape(alerttext.link(message, style.page_url, lang))
        inner += f'<p><a href="{address}">{address}</a></p>'
    return (
        f'<div lang="{_TAGS[lang]}" style="border-left:6px solid {colour};padding-left:12px">'
        f"<p><b>{escape(alerttext.sentence(message, lang))}</b></p>{inner}"
        f'<p style="color:{_GREY}">{escape(FOOTER[lang])}</p></div>'
    )


def _whole(sections: Sequence[str]) -> str:
    inner = "<hr>".join(sections)
    style = "font-family:sans-serif"
    return (
        f'<!doctype html><html><head><meta charset="utf-8"></head><body style="{style}">{inner}'
        "</body></html>\n"
    )
