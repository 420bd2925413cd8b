"""A report before it is set: sections of tables, facts, charts and sentences, in both languages.

Builders fill it from figures, renderers (JSON, XLSX, PDF) print it; neither knows the other. Every
figure is an exact decimal text and says how many places print; nothing here rounds it. What is
absent is None and prints as a dash, never as zero. The same data make the same document: the only
instant of its making is `made_us`, handed in by who asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from core import decimals
from core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Of one document: a year of one unit by day in three indicators is far inside, and what is longer
# is a table for a machine, which asks the API.
MOST_SECTIONS: Final = 400
MOST_ROWS: Final = 2_000  # of one table
MOST_LABELS: Final = 400  # of one chart: a year of days
KEPT_PLACES: Final = 12  # of a ratio that has no decimal text with an end


class Language(StrEnum):
    """In what language a document is printed."""

    ZH = "zh"
    EN = "en"


class Kind(StrEnum):
    """What a report is about; the words of `danhao report`."""

    INTENSITY = "intensity"
    QUARTER = "quarter"
    QUALITY = "quality"
    BENCHMARK = "benchmark"


class Tone(StrEnum):
    """How loud a mark is. Colour never speaks alone: the words beside it say the same."""

    CALM = "calm"  # nothing to do
    OVER = "over"  # a mandatory limit is exceeded, or as grave
    WARN = "warn"  # something to look at
    DOUBT = "doubt"  # not known well enough


class Style(StrEnum):
    """How a series of a chart is drawn."""

    LINE = "line"  # points joined; broken where a value is missing
    COLUMN = "column"  # one bar a label
    LIMIT = "limit"  # a dashed line that steps where the value changes; always inside the range
    POINT = "point"  # marks only


@dataclass(frozen=True, slots=True)
class Text:
    """The same words in Chinese and English."""

    zh: str
    en: str

    def say(self, language: Language) -> str:
        """Return the words in one language."""
        return self.zh if language is Language.ZH else self.en


@dataclass(frozen=True, slots=True)
class Figure:
    """An exact decimal text, printed with `places`; `unit` where no column's head says it.

    `ratio` marks a share of one that prints as per cent; `signed` prints a plus sign too; `down`
    rounds towards zero, so that nearly complete never reads as complete.
    """

    value: str
    places: int = 0
    unit: str = ""
    ratio: bool = False
    signed: bool = False
    down: bool = False


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant [us], printed in the plant's time with its offset where there is room."""

    us: int
    timezone: str


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day of the plant as ISO text, `2026-10-01`."""

    iso: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A word that stands out: a verdict, a state, a finding. `code` is for machines."""

    code: str
    words: Text
    tone: Tone = Tone.CALM


# A str is a name or code that is the same in every language; None is unknown or absent.
Value = Text | Figure | Instant | Day | Mark | str | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its head, the unit of all its figures, and its share of the width.

    `numeric` columns are set flush right and stay numbers in a workbook.
    """

    key: str
    head: Text
    unit: str = ""
    numeric: bool = False
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads; `totals` counts rows at the end that are set apart."""

    key: str
    title: Text
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: Text | None = None
    totals: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Name and value, one a line: what a section is about."""

    key: str
    rows: tuple[tuple[Text, Value], ...]
    title: Text | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One line or row of bars of a chart: a decimal text a label, None where there is none."""

    key: str
    name: Text
    values: tuple[str | None, ...]
    style: Style = Style.LINE
    tone: Tone = Tone.CALM


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over labels. One unit, one axis: what has another unit is another chart.

    `horizontal` lays columns on their side, for labels that are names; its first label is on top.
    `from_zero` begins the axis at zero, as bars must; else the range holds data and limits.
    """

    key: str
    title: Text
    unit: str
    places: int
    labels: tuple[Day | Text | str, ...]
    series: tuple[Series, ...]
    horizontal: bool = False
    from_zero: bool = False
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A paragraph; `tone` other than calm sets a bar beside it."""

    words: Text
    tone: Tone = Tone.CALM


Block = Table | Facts | Chart | Sentence


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part; `own_page` begins a new page and has a sheet of its own in a workbook."""

    key: str
    title: Text
    blocks: tuple[Block, ...]
    own_page: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. `period` is `2026-10`, `2026-Q3` or `2026`; `basis` says what it rests on.

    `as_of_us` is set where the report shows what was known at an instant; `made_us` is when it was
    made. Nothing else in it depends on the clock.
    """

    kind: Kind
    title: Text
    period: str
    subject: Text  # whose report it is: a site, a jurisdiction
    sections: tuple[Section, ...]
    made_us: int
    timezone: str
    basis: tuple[tuple[Text, Value], ...] = ()
    as_of_us: int | None = None
    bad_news: bool = field(default=False)  # the answer is bad news: the command exits 1


def figure(
    value: Fraction | str | None, places: int = 0, unit: str = "", *, signed: bool = False
) -> Figure | None:
    """Return an exact figure, None for what is unknown."""
    return None if value is None else Figure(exact(value), places, unit, signed=signed)


def percent(
    value: Fraction | float | str | None,
    places: int = 1,
    *,
    signed: bool = False,
    down: bool = False,
) -> Figure | None:
    """Return a share of one that prints as per cent, None for what is unknown."""
    if value is None:
        return None
    # A float is a measure such as completeness: its shortest text is what the API shows too.
    exactly = Fraction(repr(value)) if isinstance(value, float) else value
    return Figure(exact(exactly), places, ratio=True, signed=signed, down=down)


def count(value: int) -> Figure:
    """Return a whole number."""
    return Figure(str(value))


def exact(value: Fraction | str) -> str:
    """Return the decimal text of an exact value; one without an end has KEPT_PLACES places."""
    if isinstance(value, str):
        decimals.parse(value)  # what is no number must not reach a page
        return value
    scale = 10**KEPT_PLACES
    kept = decimals.round_half_even(value.numerator * scale, value.denominator)
    sign, (whole, rest) = "-" if kept < 0 else "", divmod(abs(kept), scale)
    digits = f"{rest:0{KEPT_PLACES}d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def plain(value: Fraction | str | None) -> str | None:
    """Return the decimal text of an exact value for a chart, None for what is unknown."""
    return None if value is None else exact(value)


def text(words: Mapping[str, str]) -> Text:
    """Return words of the data files, which hold them by language."""
    return Text(words["zh"], words["en"])


def same(words: str) -> Text:
    """Return words that are the same in both languages."""
    return Text(words, words)


def check(document: Document) -> Document:
    """Return the document; raises Rejected where it is too large or does not fit together."""
    wrong = [*_too_much(document), *_misfits(document), *_twice(document)]
    if wrong:
        raise Rejected("this report cannot be set: " + "; ".join(wrong[:5]))
    return document


def blocks(document: Document) -> Iterator[tuple[Section, Block]]:
    """Yield every block with its section, in the order of print."""
    for section in document.sections:
        for block in section.blocks:
            yield section, block


def _too_much(document: Document) -> Iterator[str]:
    if len(document.sections) > MOST_SECTIONS:
        yield f"{len(document.sections)} sections, at most {MOST_SECTIONS}: ask for fewer units"
    for section, block in blocks(document):
        if isinstance(block, Table) and len(block.rows) > MOST_ROWS:
            yield f"table {section.key}.{block.key} has {len(block.rows)} rows, at most {MOST_ROWS}"
        if isinstance(block, Chart) and len(block.labels) > MOST_LABELS:
            yield f"chart {section.key}.{block.key} has over {MOST_LABELS} labels"


def _misfits(document: Document) -> Iterator[str]:
    for section, block in blocks(document):
        name = f"{section.key}.{getattr(block, 'key', 'sentence')}"
        if isinstance(block, Table) and any(len(row) != len(block.columns) for row in block.rows):
            yield f"a row of table {name} has not as many values as columns"
        if isinstance(block, Chart) and any(
            len(series.values) != len(block.labels) for series in block.series
        ):
            yield f"a series of chart {name} has not as many values as labels"


def _twice(document: Document) -> Iterator[str]:
    for name, keys in (
        ("section", [section.key for section in document.sections]),
        *(
            (
                f"block of {section.key}",
                [one.key for one in section.blocks if not isinstance(one, Sentence)],
            )
            for section in document.sections
        ),
    ):
        yield from (f"{name} {key!r} is there twice" for key in _repeated(keys))


def _repeated(keys: Sequence[str]) -> list[str]:
    return sorted({key for key in keys if keys.count(key) > 1})


def texts(part: object) -> Iterator[Text]:
    """Yield every text in a document or a part of it, so that a test can hold all to both."""
    if isinstance(part, Text):
        yield part
    elif isinstance(part, tuple):
        for one in part:
            yield from texts(one)
    elif is_dataclass(part):
        for each in fields(part):
            yield from texts(getattr(part, each.name))
