"""A document as a workbook: a sheet a section, numbers that stay numbers, charts that stay charts.

Long tables have sheets of their own with frozen heads and filters; what charts draw stands in the
last sheet. Every sheet prints on A4, one page wide. Promise: the same document makes the same
bytes; figures are the document's own, rounded by their number format only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from xlsxwriter import Workbook

from api.reporting import sheetcharts
from api.reporting.sheetcells import SIGNS, Cells, columns_of, height_of
from core.clock import from_us
from core.reports import printing
from core.reports.document import Chart, Facts, Instant, Language, Sentence, Table, Text

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

    from core.reports.document import Block, Document, Section, Value

LONG: Final = 15  # rows from which a table has a sheet of its own
MOST_NAME: Final = 31  # characters of a sheet's name
FORBIDDEN: Final = str.maketrans(dict.fromkeys("[]:*?/\\'", " "))
CHART_ROWS: Final = 15
A4: Final = 9
DATA: Final = Text("图表数据", "Chart data")
SPREAD: Final = 6  # columns that text runs over


def render(document: Document, language: Language) -> bytes:
    """Return the document as XLSX."""
    buffer = BytesIO()
    book = Workbook(buffer, {"in_memory": True, "strings_to_formulas": False})
    made = from_us(document.made_us).replace(tzinfo=None)
    book.set_properties(
        {
            "title": f"{document.title.say(language)} {document.period}",
            "subject": document.subject.say(language),
            "author": "danhao",
            "created": made,
        }
    )
    writer = _Book(book, document, language, Cells(book, language))
    writer.write()
    book.close()
    return buffer.getvalue()


@dataclass(slots=True)
class _Book:
    book: Any
    document: Document
    language: Language
    cells: Cells
    names: set[str] = field(default_factory=set)
    widths: list[float] = field(default_factory=list)  # of the columns of the sheet being written
    charts: list[tuple[Worksheet, int, Chart]] = field(default_factory=list)

    def write(self) -> None:
        """Write every sheet, the data of the charts last."""
        for number, section in enumerate(self.document.sections, start=1):
            self.section(section, number)
        if self.charts:
            data = self.sheet(DATA.say(self.language))
            sheetcharts.write(self.book, data, self.charts, self.cells)

    def sheet(self, title: str) -> Worksheet:
        """Add a sheet that prints on A4, one page wide, with a foot."""
        sheet: Worksheet = self.book.add_worksheet(self._name(title))
        sheet.hide_gridlines(2)
        sheet.set_paper(A4)
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.6, right=0.6, top=0.7, bottom=0.8)
        left = (
            f"{self.document.title.say(self.language)} · {self.document.subject.say(self.language)}"
        )
        sheet.set_footer(f"&L&8{left.replace('&', '&&')}&R&8&P / &N")
        return sheet

    def _name(self, title: str) -> str:
        """Return a sheet name that is allowed and not taken."""
        plain = " ".join(title.translate(FORBIDDEN).split())
        name, number = plain[:MOST_NAME], 2
        while name.lower() in self.names:
            tail = f" {number}"
            name, number = plain[: MOST_NAME - len(tail)] + tail, number + 1
        self.names.add(name.lower())
        return name

    def section(self, section: Section, number: int) -> None:
        """Write a section's sheet, and those of its long tables."""
        title = section.title.say(self.language)
        name = title if number == 1 else f"{number} {title}"
        sheet = self.sheet(name)
        short = [one for one in section.blocks if isinstance(one, Table) and not _is_long(one)]
        self.widths = columns_of(short, self.language)
        for at, width in enumerate(self.widths):
            sheet.set_column(at, at, width)
        row = self.title(sheet) if number == 1 else 0
        sheet.write(row, 0, title.replace("\n", " "), self.cells.heading)
        sheet.set_row(row, 24)
        if number > 1:
            sheet.freeze_panes(1, 0)
        if any(isinstance(block, Chart) for block in section.blocks):
            sheet.fit_to_pages(1, 1)  # a chart is not cut in two
        row += 2
        for block in section.blocks:
            row = self.block(sheet, block, row, number) + 1

    def title(self, sheet: Worksheet) -> int:
        """Write the head of the first sheet; return the row after it."""
        document, language = self.document, self.language
        sheet.write(0, 0, document.title.say(language), self.cells.title)
        sheet.set_row(0, 32)
        period = printing.period(document.period, language)
        sheet.write(1, 0, f"{document.subject.say(language)} · {period}", self.cells.quiet)
        made: Value = Instant(document.made_us, document.timezone)
        rows = [*document.basis, (Text("生成时间", "Made at"), made)]
        if document.as_of_us is not None:
            known = Instant(document.as_of_us, document.timezone)
            rows.insert(-1, (Text("按此刻所知", "As known at"), known))
        return self.facts(sheet, tuple(rows), 3) + 1

    def block(self, sheet: Worksheet, block: Block, row: int, number: int) -> int:
        """Write one block from a row on; return the row after it."""
        if isinstance(block, Sentence):
            text = SIGNS[block.tone] + block.words.say(self.language)
            sheet.merge_range(row, 0, row, SPREAD, text, self.cells.sentence(block.tone))
            sheet.set_row(row, height_of(text, 110, 11))
            return row + 1
        if isinstance(block, Facts):
            return self.facts(sheet, block.rows, row)
        if isinstance(block, Chart):
            self.charts.append((sheet, row, block))
            rows = sheetcharts.rows_of(block)
            if block.note is not None:
                sheet.write(row + rows, 0, block.note.say(self.language), self.cells.note)
                return row + rows + 1
            return row + rows
        if _is_long(block):
            return self.long_table(sheet, block, row, number)
        sheet.write(row, 0, block.title.say(self.language), self.cells.subheading)
        return self.cells.table(sheet, block, row + 1, self.widths)

    def facts(self, sheet: Worksheet, rows: tuple[tuple[Text, Value], ...], row: int) -> int:
        """Write names and values, one a row; text runs over the columns beside it."""
        for name, value in rows:
            sheet.write(row, 0, name.say(self.language), self.cells.quiet)
            if self.cells.is_number(value):
                sheet.merge_range(row, 1, row, 3, "", self.cells.left(value))
                self.cells.write(sheet, row, 1, value, self.cells.left(value))
            else:
                text = printing.say(value, self.language)
                sheet.merge_range(row, 1, row, SPREAD, text, self.cells.wrapped)
                sheet.set_row(row, height_of(text, 84, 10))
            row += 1
        return row

    def long_table(self, sheet: Worksheet, table: Table, row: int, number: int) -> int:
        """Write a table on a sheet of its own, and where it is found."""
        title = table.title.say(self.language)
        own = self.sheet(f"{number} {title}")
        widths = columns_of([table], self.language)
        for at, width in enumerate(widths):
            own.set_column(at, at, width)
        end = self.cells.table(own, table, 0, widths)
        own.freeze_panes(1, 1)
        own.repeat_rows(0)
        if not table.totals:
            own.autofilter(0, 0, len(table.rows), len(table.columns) - 1)
        assert end >= len(table.rows), "every row is written"  # noqa: S101 - a belief
        link = f"internal:'{own.get_name()}'!A1"
        sheet.write_url(row, 0, link, self.cells.link, f"{title} →")
        return row + 1


def _is_long(block: Block) -> bool:
    return isinstance(block, Table) and len(block.rows) > LONG
