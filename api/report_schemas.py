"""The JSON of reports, for OpenAPI and for the tests: sections of blocks, words of one language.

Figures are exact decimal strings with the text that prints; what is absent is null.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas import Schema

Tone = Literal["calm", "over", "warn", "doubt"]


class ReportFact(Schema):
    """A name with its value."""

    name: str
    value: Any


class ReportColumn(Schema):
    """The head of a column; `unit` is that of its figures."""

    key: str
    head: str
    unit: str | None


class ReportSentence(Schema):
    """A paragraph."""

    type: Literal["sentence"]
    tone: Tone
    text: str


class ReportFacts(Schema):
    """Names with values."""

    type: Literal["facts"]
    key: str
    rows: list[ReportFact]


class ReportTable(Schema):
    """Rows under heads; the last `totals` rows sum up."""

    type: Literal["table"]
    key: str
    title: str
    note: str | None
    columns: list[ReportColumn]
    rows: list[list[Any]]
    totals: int


class ReportSeries(Schema):
    """One line or row of bars: a decimal string a label."""

    key: str
    name: str
    style: Literal["line", "column", "limit", "point"]
    values: list[str | None]


class ReportChart(Schema):
    """What a chart shows."""

    type: Literal["chart"]
    key: str
    title: str
    note: str | None
    unit: str
    labels: list[Any]
    series: list[ReportSeries]


Block = Annotated[
    ReportSentence | ReportFacts | ReportTable | ReportChart, Field(discriminator="type")
]


class ReportSection(Schema):
    """A titled part."""

    key: str
    title: str
    blocks: list[Block]


class ReportItem(Schema):
    """A whole report; `bad_news` is why the command would exit 1."""

    kind: Literal["intensity", "quarter", "quality", "benchmark"]
    title: str
    subject: str
    period: str
    language: Literal["zh", "en"]
    made_at: datetime
    as_of: datetime | None
    timezone: str
    bad_news: bool
    basis: list[ReportFact]
    sections: list[ReportSection]
