"""A document as A4 pages: a title, sections with rules, tables with repeated heads, charts, a foot.

The text is embedded and can be searched; charts are drawn as vectors; sections are bookmarks.
Promise: the same document in the same language with the same font makes the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.reporting import pagecharts, pagetables
from api.reporting.canvas import (
    BOTTOM,
    INK,
    INK2,
    LEFT,
    LINE,
    RIGHT,
    TEXT_COLOURS,
    TOP,
    Canvas,
)
from core.reports import printing
from core.reports.document import (
    Chart,
    Facts,
    Instant,
    Language,
    Sentence,
    Table,
    Text,
    Tone,
)

if TYPE_CHECKING:
    from pathlib import Path

    from core.reports.document import Block, Document, Section, Value

WIDTH: Final = RIGHT - LEFT
TITLE: Final = 20.0  # points
SUBTITLE: Final = 11.0
HEADING: Final = 14.0
BODY: Final = 9.0
SMALL: Final = 7.5
LEADING: Final = 4.6  # of body text [mm]
GAP: Final = 5.0  # between blocks
SHORT: Final = 1  # lines of a fact that shares its row
KEY_WIDTH: Final = 34.0
SEPARATOR: Final = "   "
LANGUAGES: Final = {Language.ZH: "zh-CN", Language.EN: "en"}


def render(document: Document, language: Language, font: Path) -> bytes:
    """Return the document as PDF."""
    page = _Pages(Canvas(font, document.made_us), document, language)
    page.title()
    for number, section in enumerate(document.sections):
        page.section(section, first=number == 0)
    page.foots()
    return page.bytes()


@dataclass(frozen=True, slots=True)
class _Pages:
    canvas: Canvas
    document: Document
    language: Language

    def bytes(self) -> bytes:
        return bytes(self.canvas.pdf.output())

    def title(self) -> None:
        """Set the head of the first page: title, whose, period, and what it rests on."""
        document, canvas, language = self.document, self.canvas, self.language
        pdf = canvas.pdf
        pdf.set_title(f"{document.title.say(language)} {document.period}")
        pdf.set_subject(document.subject.say(language))
        pdf.set_lang(LANGUAGES[language])
        pdf.set_creator("danhao")
        canvas.text(LEFT, TOP + 6, document.title.say(language), TITLE)
        period = printing.period(document.period, language)
        canvas.text(
            LEFT, TOP + 13.5, f"{document.subject.say(language)}{SEPARATOR}{period}", SUBTITLE, INK2
        )
        canvas.rule(TOP + 17.5, INK, 0.5)
        canvas.y = TOP + 23
        self.facts(document.basis + self._made())

    def _made(self) -> tuple[tuple[Text, Value], ...]:
        document = self.document
        made = Instant(document.made_us, document.timezone)
        rows: tuple[tuple[Text, Value], ...] = ((Text("生成时间", "Made at"), made),)
        if document.as_of_us is not None:
            known = Instant(document.as_of_us, document.timezone)
            rows = ((Text("按此刻所知", "As known at"), known), *rows)
        return rows

    def section(self, section: Section, *, first: bool) -> None:
        """Set a section: on a page of its own where it asks for that, else under a rule."""
        canvas = self.canvas
        if section.own_page and not first:
            canvas.new_page()
        else:
            canvas.y += GAP
            canvas.need(40)
        canvas.pdf.set_y(canvas.y)
        canvas.pdf.start_section(section.title.say(self.language).replace("\n", " "))
        lines = canvas.wrap(section.title.say(self.language), WIDTH, HEADING)
        for line in lines:
            canvas.y += 6
            canvas.text(LEFT, canvas.y, line, HEADING)
        canvas.y += 3
        canvas.rule(canvas.y, LINE, 0.25)
        canvas.y += GAP
        for block in section.blocks:
            self.block(block)

    def block(self, block: Block) -> None:
        """Set one block and the space after it."""
        if isinstance(block, Sentence):
            self.sentence(block)
        elif isinstance(block, Facts):
            self.facts(block.rows)
        elif isinstance(block, Chart):
            pagecharts.draw(self.canvas, block, self.language)
        elif isinstance(block, Table):
            pagetables.draw(self.canvas, block, self.language)
        self.canvas.y += GAP

    def sentence(self, sentence: Sentence) -> None:
        """Set a paragraph; one that is not calm has its sign before it."""
        canvas = self.canvas
        size, leading = (10.5, 5.4) if sentence.tone is not Tone.CALM else (BODY + 1, 5.2)
        lines = canvas.wrap(sentence.words.say(self.language), WIDTH - 4, size)
        canvas.need(len(lines) * leading)
        canvas.y += 3.6
        moved = canvas.mark(LEFT, canvas.y - 0.3, sentence.tone)
        for number, line in enumerate(lines):
            y = canvas.y + number * leading
            canvas.text(LEFT + moved, y, line, size, TEXT_COLOURS[sentence.tone])
        canvas.y += (len(lines) - 1) * leading

    def facts(self, rows: tuple[tuple[Text, Value], ...]) -> None:
        """Set names and values in two columns; a long value has the whole width."""
        canvas, language = self.canvas, self.language
        half = WIDTH / 2
        waiting: tuple[str, list[str]] | None = None
        for name, value in rows:
            said = printing.say(value, language)
            short = canvas.wrap(said, half - KEY_WIDTH - 4, BODY)
            told = (name.say(language), short)
            if len(short) > SHORT:
                self._flush(waiting)
                waiting = None
                whole = canvas.wrap(said, WIDTH - KEY_WIDTH, BODY)
                self._fact_row([(name.say(language), whole)])
            elif waiting is None:
                waiting = told
            else:
                self._fact_row([waiting, told])
                waiting = None
        self._flush(waiting)

    def _flush(self, waiting: tuple[str, list[str]] | None) -> None:
        if waiting is not None:
            self._fact_row([waiting])

    def _fact_row(self, cells: list[tuple[str, list[str]]]) -> None:
        canvas = self.canvas
        height = max(len(lines) for _, lines in cells) * LEADING
        canvas.need(height)
        for number, (name, lines) in enumerate(cells):
            x = LEFT + number * WIDTH / 2
            canvas.text(x, canvas.y + 3.4, name, BODY - 0.5, INK2)
            for at, line in enumerate(lines):
                canvas.text(x + KEY_WIDTH, canvas.y + 3.4 + at * LEADING, line, BODY)
        canvas.y += height

    def foots(self) -> None:
        """Set the foot of every page: what it belongs to, and which of how many it is."""
        canvas, language = self.canvas, self.language
        pdf = canvas.pdf
        total = pdf.page
        subject = self.document.subject.say(language)
        period = printing.period(self.document.period, language)
        left = SEPARATOR.join((self.document.title.say(language), subject, period))
        for number in range(1, total + 1):
            pdf.page = number
            canvas.rule(BOTTOM + 4, LINE)
            canvas.text(LEFT, BOTTOM + 8.5, left, SMALL, INK2)
            canvas.text_right(RIGHT, BOTTOM + 8.5, f"{number} / {total}", SMALL, INK2)
        pdf.page = total
