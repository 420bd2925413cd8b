"""A document as JSON: what a machine reads, exact, with the words of one language beside codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from core import periods
from core.reports import printing
from core.reports.document import (
    Chart,
    Day,
    Facts,
    Figure,
    Instant,
    Mark,
    Sentence,
    Table,
    Text,
)

if TYPE_CHECKING:
    from core.reports.document import Block, Document, Language, Section, Value


def render(document: Document, language: Language) -> bytes:
    """Return the document as UTF-8 JSON; the same document gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(item(document, language)), indent=1)


def item(document: Document, language: Language) -> dict[str, Any]:
    """Return the document as plain data."""
    as_of = document.as_of_us
    return {
        "kind": document.kind.value,
        "title": document.title.say(language),
        "subject": document.subject.say(language),
        "period": document.period,
        "language": language.value,
        "made_at": periods.render_utc(document.made_us),
        "as_of": None if as_of is None else periods.render_utc(as_of),
        "timezone": document.timezone,
        "bad_news": document.bad_news,
        "basis": [
            {"name": name.say(language), "value": _value(value, language)}
            for name, value in document.basis
        ],
        "sections": [_section(section, language) for section in document.sections],
    }


def _section(section: Section, language: Language) -> dict[str, Any]:
    return {
        "key": section.key,
        "title": section.title.say(language),
        "blocks": [_block(block, language) for block in section.blocks],
    }


def _block(block: Block, language: Language) -> dict[str, Any]:
    if isinstance(block, Sentence):
        return {"type": "sentence", "tone": block.tone.value, "text": block.words.say(language)}
    if isinstance(block, Facts):
        rows = [
            {"name": name.say(language), "value": _value(value, language)}
            for name, value in block.rows
        ]
        return {"type": "facts", "key": block.key, "rows": rows}
    note = None if block.note is None else block.note.say(language)
    told = {"key": block.key, "title": block.title.say(language), "note": note}
    if isinstance(block, Chart):
        return {"type": "chart", **told, **_chart(block, language)}
    return {"type": "table", **told, **_table(block, language)}


def _table(table: Table, language: Language) -> dict[str, Any]:
    return {
        "columns": [
            {"key": column.key, "head": column.head.say(language), "unit": column.unit or None}
            for column in table.columns
        ],
        "rows": [[_value(value, language) for value in row] for row in table.rows],
        "totals": table.totals,
    }


def _chart(chart: Chart, language: Language) -> dict[str, Any]:
    return {
        "unit": chart.unit,
        "labels": [_value(label, language) for label in chart.labels],
        "series": [
            {
                "key": series.key,
                "name": series.name.say(language),
                "style": series.style.value,
                "values": series.values,
            }
            for series in chart.series
        ],
    }


def _value(value: Value, language: Language) -> Any:
    """Return a value: figures as exact text with how they print, instants in plant time."""
    if isinstance(value, Figure):
        unit = "1" if value.ratio else value.unit or None
        return {"value": value.value, "unit": unit, "text": printing.number(value)}
    if isinstance(value, Mark):
        return {"code": value.code, "tone": value.tone.value, "text": value.words.say(language)}
    if isinstance(value, Instant):
        return periods.render(value.us, value.timezone)
    if isinstance(value, Day):
        return value.iso
    return value.say(language) if isinstance(value, Text) else value
