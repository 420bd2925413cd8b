"""Cells of a workbook: one format a kind of value, widths by what stands in a column."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from core.reports import printing
from core.reports.document import Day, Figure, Language, Mark, Table, Tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

    from core.reports.document import Column, Value

FACE: Final = "Microsoft YaHei"  # is on every Windows; elsewhere the system's own takes its place
INK: Final = "#1D2225"
INK2: Final = "#4C5458"
LINE: Final = "#B3B8BB"
COLOURS: Final = {Tone.CALM: INK, Tone.OVER: "#C4122F", Tone.WARN: "#8F4700", Tone.DOUBT: INK2}
SIGNS: Final = {Tone.CALM: "", Tone.OVER: "■ ", Tone.WARN: "▲ ", Tone.DOUBT: "○ "}
LEAST_WIDTH: Final = 11.0  # characters
MOST_FIRST: Final = 44.0
MOST_TEXT: Final = 34.0
SIZE: Final = 10  # points
INDENT_WIDTH: Final = 1.5  # characters that indents and borders take
LINE_POINTS: Final = 1.55  # of the size, from line to line
_WIDE_FROM: Final = 0x2E80


@dataclass(slots=True)
class Cells:
    """The formats of one workbook, each made once."""

    book: Any
    language: Language
    _made: dict[tuple[tuple[str, Any], ...], Any] = field(default_factory=dict)

    def format(self, **properties: Any) -> Format:
        """Return a format of these properties."""
        base = {"font_name": FACE, "font_size": 10, "font_color": INK, "valign": "top"}
        key = tuple(sorted({**base, **properties}.items()))
        if key not in self._made:
            self._made[key] = self.book.add_format(dict(key))
        found: Format = self._made[key]
        return found

    @property
    def title(self) -> Format:
        """Return the format of a document's title."""
        return self.format(font_size=20)

    @property
    def heading(self) -> Format:
        """Return the format of a section's title."""
        return self.format(font_size=14)

    @property
    def subheading(self) -> Format:
        """Return the format of a table's title."""
        return self.format(font_size=11)

    @property
    def quiet(self) -> Format:
        """Return the format of names and remarks."""
        return self.format(font_color=INK2)

    @property
    def note(self) -> Format:
        """Return the format of notes."""
        return self.format(font_color=INK2, font_size=9)

    @property
    def link(self) -> Format:
        """Return the format of a link to another sheet."""
        return self.format(font_color="#0B57D0")

    @property
    def wrapped(self) -> Format:
        """Return the format of text that breaks into lines."""
        return self.format(text_wrap=True)

    def sentence(self, tone: Tone) -> Format:
        """Return the format of a paragraph."""
        return self.format(font_size=11, font_color=COLOURS[tone], text_wrap=True)

    def left(self, value: Value) -> Format:
        """Return the format of a figure among facts: flush left, with its unit."""
        return self.format(num_format=number_format(value, with_unit=True), align="left")

    def table(self, sheet: Worksheet, table: Table, row: int, widths: Sequence[float]) -> int:
        """Write heads, rows and note from a row on; return the row after it."""
        for at, column in enumerate(table.columns):
            head = column.head.say(self.language) + (f"\n{column.unit}" if column.unit else "")
            sheet.write_string(row, at, head, self._head(column, first=at == 0))
        tall = any(column.unit for column in table.columns)
        sheet.set_row(row, 30 if tall else 16)
        row += 1
        totals_from = len(table.rows) - table.totals
        for number, values in enumerate(table.rows):
            rule = bool(table.totals) and number == totals_from
            for at, (column, value) in enumerate(zip(table.columns, values, strict=True)):
                style = self._cell(column, value, rule=rule, first=at == 0)
                self.write(sheet, row, at, value, style)
            sheet.set_row(row, self._tall(values, widths))
            row += 1
        if table.note is not None:
            sheet.write(row, 0, table.note.say(self.language), self.note)
            row += 1
        return row

    def _tall(self, values: Sequence[Value], widths: Sequence[float]) -> float:
        """Return the height of a row, by the text in it that breaks into most lines."""
        return max(
            height_of(self.say(value), widths[at] - INDENT_WIDTH, SIZE)
            for at, value in enumerate(values)
        )

    def _head(self, column: Column, *, first: bool) -> Format:
        return self.format(
            indent=0 if column.numeric or first else 1,
            font_color=INK2, font_size=9, text_wrap=True, top=1, bottom=1, top_color=INK,
            bottom_color=LINE, align="right" if column.numeric else "left", valign="bottom",
        )  # fmt: skip

    def _cell(self, column: Column, value: Value, *, rule: bool, first: bool) -> Format:
        properties: dict[str, Any] = {"bottom": 1, "bottom_color": LINE, "text_wrap": True}
        if rule:
            properties |= {"top": 1, "top_color": INK}
        if column.numeric:
            properties |= {"align": "right", "text_wrap": False}
        elif not first:
            properties |= {"align": "left", "indent": 1}
        if isinstance(value, Mark):
            properties["font_color"] = COLOURS[value.tone]
        if self.is_number(value):
            properties["num_format"] = number_format(value)
        if isinstance(value, Day):
            properties |= {"num_format": "yyyy-mm-dd", "align": "left"}
        return self.format(**properties)

    def write(self, sheet: Worksheet, row: int, at: int, value: Value, style: Format) -> None:
        """Write one value: figures as numbers, days as dates, the rest as text."""
        if isinstance(value, Figure):
            sheet.write_number(row, at, float(printing.to_decimal(value.value)), style)
        elif isinstance(value, Day):
            sheet.write_datetime(row, at, date.fromisoformat(value.iso), style)
        else:
            sheet.write_string(row, at, self.say(value), style)

    def say(self, value: Value) -> str:
        """Return a value as text; a mark has its sign before it."""
        said = printing.say(value, self.language)
        return SIGNS[value.tone] + said if isinstance(value, Mark) else said

    def is_number(self, value: Value) -> bool:
        """Tell whether a value stays a number."""
        return isinstance(value, Figure)


def number_format(value: Value, *, with_unit: bool = False) -> str:
    """Return the number format by which a workbook rounds as print does."""
    assert isinstance(value, Figure), "only figures have one"  # noqa: S101 - a belief
    body = "#,##0" + (f".{'0' * value.places}" if value.places else "")
    if value.ratio:
        body += "%"
    if with_unit and value.unit:
        body += f'" {value.unit}"'
    if value.signed:
        return f"+{body};−{body};±{body}"
    return f"{body};−{body}"


def columns_of(tables: Sequence[Table], language: Language) -> list[float]:
    """Return the widths of a sheet's columns, in characters, by what its tables hold."""
    found: list[float] = []
    for table in tables:
        for at, column in enumerate(table.columns):
            cells = [column.head.say(language), column.unit]
            cells += [printing.say(row[at], language) for row in table.rows]
            longest = max(breadth(line) for cell in cells for line in cell.split("\n"))
            most = MOST_FIRST if at == 0 else MOST_TEXT
            wanted = min(max(longest + 2, LEAST_WIDTH), most)
            if at == len(found):
                found.append(wanted)
            found[at] = max(found[at], wanted)
    return found or [MOST_TEXT]


def breadth(text: str) -> float:
    """Return how many figures wide a text is; a Chinese character is two."""
    return sum(2.0 if ord(char) >= _WIDE_FROM else 1.0 for char in text)


def height_of(text: str, width: float, size: float) -> float:
    """Return the height [points] of a text in merged cells, which no program fits by itself."""
    lines = sum(max(1, -int(-breadth(part) // width)) for part in text.split("\n"))
    return lines * size * LINE_POINTS + 3
