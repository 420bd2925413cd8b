"""A report as it is asked for, by a person or over HTTP: checked words, made into a document.

Promise: every mistake of a request is told at once, each with the name of its option.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from api.reporting import asjson, gather, ranked
from core import spans
from core.errors import Misconfigured, Problem
from core.reports import compliance, quarter
from core.reports.compliance import About
from core.reports.document import Kind, Language, Text, text
from store import basis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from psycopg import AsyncConnection

    from api.reporting.gather import Asked
    from core.plant import Site
    from core.reports.document import Document
    from core.spans import NamedSpan

MOST_NAMED: Final = 3  # sites in a report's subject; more are counted
_MONTHS: Final = {Kind.INTENSITY: 1, Kind.QUARTER: spans.MONTHS_OF_QUARTER}
_SHAPES: Final = {
    Kind.INTENSITY: "a month such as 2026-10",
    Kind.QUARTER: "a quarter such as 2026-Q3",
}


class Format(StrEnum):
    """How a report is set."""

    JSON = "json"
    XLSX = "xlsx"
    PDF = "pdf"


MEDIA: Final = {
    Format.JSON: "application/json",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.PDF: "application/pdf",
}


def period(kind: Kind, words: str) -> NamedSpan:
    """Return the period of a report; raises Misconfigured where it does not fit its kind."""
    try:
        span = spans.parse(words)
    except ValueError as error:
        raise Misconfigured([Problem("--period", str(error))]) from error
    wanted = _MONTHS.get(kind)
    if wanted is not None and span.months != wanted:
        problem = f"{words} is not what `report {kind.value}` is about: write {_SHAPES[kind]}"
        raise Misconfigured([Problem("--period", problem)])
    return span


async def document(
    connection: AsyncConnection[Any],
    kind: Kind,
    asked: Asked,
    holds: Callable[[str], bool] | None = None,
) -> Document:
    """Return a report, read in the caller's transaction; `holds` as api.reporting.ranked has it."""
    if kind is Kind.BENCHMARK:
        return await ranked.benchmark(connection, asked, holds)
    if kind is Kind.QUALITY:
        return await ranked.quality(connection, asked)
    if kind is Kind.QUARTER:
        return quarter.build(
            await _about(connection, asked), await gather.quarters(connection, asked)
        )
    return compliance.build(
        await _about(connection, asked), await gather.figures(connection, asked)
    )


async def _about(connection: AsyncConnection[Any], asked: Asked) -> About:
    zone = asked.sites[0].timezone
    return About(
        subject=subject(asked.sites),
        period=asked.span.text,
        bound_us=asked.span.bounds(zone),
        timezone=zone,
        made_us=asked.now_us,
        catalogue=basis.catalogue().digest,
        program=metadata.version("danhao"),
        closes=await gather.closes(connection, asked),
        as_of_us=asked.as_of_us,
    )


def subject(sites: Sequence[Site]) -> Text:
    """Return whose report it is: the sites' names, or how many they are."""
    if len(sites) > MOST_NAMED:
        return Text(f"{len(sites)} 个厂区", f"{len(sites)} sites")
    names = [text(site.name) for site in sites]
    return Text("、".join(one.zh for one in names), ", ".join(one.en for one in names))


@dataclass(frozen=True, slots=True)
class Setting:
    """How a document is set: as what, in which language, in which font."""

    form: Format
    language: Language
    font: Callable[[], Path]

    def render(self, document: Document) -> bytes:
        """Return the bytes; the libraries of a format are loaded only for it."""
        if self.form is Format.JSON:
            return asjson.render(document, self.language)
        if self.form is Format.XLSX:
            from api.reporting import workbook  # noqa: PLC0415 - only for this format

            return workbook.render(document, self.language)
        from api.reporting import pdf  # noqa: PLC0415 - only for this format

        return pdf.render(document, self.language, self.font())
