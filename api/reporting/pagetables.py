"""Tables on pages: columns as wide as they need, heads again on each page, figures flush right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.reporting import face
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
from core.reports.document import Language, Mark, Tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.reports.document import Column, Table, Value

SIZE: Final = 8.0  # points
HEAD: Final = 7.5
TITLE: Final = 10.0
LEADING: Final = 3.9  # mm
PADDING: Final = 0.8  # above and below the lines of a row
GUTTER: Final = 3.0
MARK_WIDTH: Final = 2.9
LEAST: Final = 10.0  # of a column
LEAST_TEXT: Final = 18.0  # of a column of text, before heads break
MOST_HEAD: Final = 14.0  # of a head that may break
MOST_WORD: Final = 30.0  # a longer one, such as an id, may be broken
LONG: Final = 15  # rows of one line each from which a table is set closer, with few rules
CLOSE: Final = 0.35  # padding then
RULED: Final = 5  # rows from rule to rule then
KEPT_ROWS: Final = 3  # with title and head: fewer do not stand alone at a page's end
STRAGGLERS: Final = 6  # rows: fewer do not stand alone on a page
WIDTH: Final = RIGHT - LEFT


@dataclass(frozen=True, slots=True)
class _Cell:
    lines: list[str]
    told: int  # lines of its first part; what follows a line feed is quieter
    tone: Tone
    numeric: bool


def draw(canvas: Canvas, table: Table, language: Language) -> None:
    """Set a table with its title and note."""
    widths = _widths(canvas, table, language)
    head = _head(canvas, table, widths, language)
    rows = [_row(canvas, table, row, widths, language) for row in table.rows]
    close = len(rows) > LONG and all(len(cell.lines) == 1 for row in rows for cell in row)
    padding = CLOSE if close else PADDING
    first = sum(_height(row, padding) for row in rows[:KEPT_ROWS])
    top = 7 + _height(head)
    canvas.need(top + first)
    if _would_straggle(canvas, [_height(row, padding) for row in rows], top):
        canvas.new_page()
    canvas.y += 3.6
    canvas.text(LEFT, canvas.y, table.title.say(language), TITLE)
    canvas.y += 2.4
    _draw_head(canvas, head, widths)
    totals_from = len(rows) - table.totals
    for number, row in enumerate(rows):
        height = _height(row, padding)
        if canvas.y + height > BOTTOM:
            canvas.new_page()
            _draw_head(canvas, head, widths)
        if table.totals and number == totals_from:
            canvas.rule(canvas.y, INK, 0.3)
        _draw_row(canvas, row, widths, padding)
        canvas.y += height
        if not close or (number + 1) % RULED == 0 or number + 1 == len(rows):
            canvas.rule(canvas.y)
    _note(canvas, table, language)


def _would_straggle(canvas: Canvas, heights: Sequence[float], top: float) -> bool:
    """Tell whether few rows would be left for the next page, where all fit on one page."""
    total = top + sum(heights)
    if total <= canvas.room or total > BOTTOM - TOP:
        return False
    over, behind = total - canvas.room, 0.0
    for number, height in enumerate(reversed(heights), start=1):
        behind += height
        if behind >= over:
            return number < STRAGGLERS
    return False


def _note(canvas: Canvas, table: Table, language: Language) -> None:
    if table.note is None:
        return
    for line in canvas.wrap(table.note.say(language), WIDTH, HEAD):
        canvas.need(LEADING)
        canvas.y += LEADING
        canvas.text(LEFT, canvas.y, line, HEAD, INK2)


def _widths(canvas: Canvas, table: Table, language: Language) -> list[float]:
    """Return the widths: figures as wide as their longest, the rest shares what is left."""
    columns = table.columns
    room = WIDTH - GUTTER * (len(columns) - 1)
    least = sum(LEAST_TEXT for column in columns if not column.numeric)
    found: dict[int, float] = {}
    for whole in (True, False):  # heads break into lines only where they do not fit
        found = {
            at: _needed(canvas, table, at, language, whole=whole)
            for at, column in enumerate(columns)
            if column.numeric
        }
        if sum(found.values()) + least <= room:
            break
    open_ = [at for at in range(len(columns)) if at not in found]
    if not open_:
        spare = max(0.0, room - sum(found.values())) / len(columns)
        return [found[at] + spare for at in range(len(columns))]
    # A column whose share would break its longest word gets the word's width; the others share on.
    while open_:
        left = max(room - sum(found.values()), LEAST)
        shares = sum(columns[at].width for at in open_)
        narrow = {
            at: need
            for at in open_
            if (need := _longest_word(canvas, table, at, language))
            > left * columns[at].width / shares
        }
        if not narrow or len(narrow) == len(open_):
            found |= {at: left * columns[at].width / shares for at in open_}
            break
        found |= narrow
        open_ = [at for at in open_ if at not in narrow]
    return [found[at] for at in range(len(columns))]


def _longest_word(canvas: Canvas, table: Table, at: int, language: Language) -> float:
    """Return what a text column must have so that no word of a usual length is broken."""
    column = table.columns[at]
    words = [canvas.measure(word, HEAD) for word in face.pieces(column.head.say(language))]
    for row in table.rows:
        value = row[at]
        mark = MARK_WIDTH if isinstance(value, Mark) and value.tone is not Tone.CALM else 0.0
        words += [
            canvas.measure(word.rstrip(), SIZE) + mark
            for line in printing.say(value, language).split("\n")
            for word in face.pieces(line)
        ]
    return min(max(words, default=LEAST), MOST_WORD)


def _needed(canvas: Canvas, table: Table, at: int, language: Language, *, whole: bool) -> float:
    """Return the width of a column of figures; without `whole` its head may break."""
    column = table.columns[at]
    lines = _head_lines(column, language)
    heads = lines if whole else [word for line in lines for word in line.split()]
    words = [canvas.measure(line, HEAD) for line in heads]
    if not whole:
        words = [min(word, MOST_HEAD) for word in words]
    cells = [
        canvas.measure(line, SIZE) + (MARK_WIDTH if isinstance(row[at], Mark) else 0)
        for row in table.rows
        for line in printing.say(row[at], language).split("\n")
    ]
    return max(LEAST, *words, *cells, 0.0)


def _head_lines(column: Column, language: Language) -> list[str]:
    words = column.head.say(language)
    return [words, column.unit] if column.unit else [words]


def _head(canvas: Canvas, table: Table, widths: Sequence[float], language: Language) -> list[_Cell]:
    found = []
    for column, width in zip(table.columns, widths, strict=True):
        lines = [
            line
            for part in _head_lines(column, language)
            for line in canvas.wrap(part, width, HEAD)
        ]
        found.append(_Cell(lines, len(lines), Tone.CALM, column.numeric))
    return found


def _row(
    canvas: Canvas,
    table: Table,
    row: Sequence[Value],
    widths: Sequence[float],
    language: Language,
) -> list[_Cell]:
    found = []
    for column, value, width in zip(table.columns, row, widths, strict=True):
        tone = value.tone if isinstance(value, Mark) else Tone.CALM
        most = width - (MARK_WIDTH if tone is not Tone.CALM else 0)
        first, _, rest = printing.say(value, language).partition("\n")
        lines = canvas.wrap(first, most, SIZE)
        more = canvas.wrap(rest, most, SIZE) if rest else []
        found.append(_Cell(lines + more, len(lines), tone, column.numeric))
    return found


def _height(cells: Sequence[_Cell], padding: float = PADDING) -> float:
    return max(len(cell.lines) for cell in cells) * LEADING + 2 * padding


def _draw_head(canvas: Canvas, head: Sequence[_Cell], widths: Sequence[float]) -> None:
    canvas.rule(canvas.y, INK, 0.3)
    height = _height(head)
    x = LEFT
    most = max(len(cell.lines) for cell in head)
    for cell, width in zip(head, widths, strict=True):
        # Heads stand on their last line, next to the figures they belong to.
        lift = (most - len(cell.lines)) * LEADING
        for at, line in enumerate(cell.lines):
            y = canvas.y + PADDING + 3.0 + lift + at * LEADING
            if cell.numeric:
                canvas.text_right(x + width, y, line, HEAD, INK2)
            else:
                canvas.text(x, y, line, HEAD, INK2)
        x += width + GUTTER
    canvas.y += height
    canvas.rule(canvas.y, LINE, 0.25)


def _draw_row(
    canvas: Canvas, row: Sequence[_Cell], widths: Sequence[float], padding: float
) -> None:
    x = LEFT
    for cell, width in zip(row, widths, strict=True):
        for at, line in enumerate(cell.lines):
            y = canvas.y + padding + 2.9 + at * LEADING
            colour = TEXT_COLOURS[cell.tone] if at < cell.told else INK2
            if cell.numeric:
                canvas.text_right(x + width, y, line, SIZE, colour)
                continue
            moved = canvas.mark(x, y - 0.2, cell.tone) if at == 0 else 0.0
            shift = moved or (MARK_WIDTH if cell.tone is not Tone.CALM else 0.0)
            canvas.text(x + shift, y, line, SIZE, colour)
        x += width + GUTTER
