"""A page to draw on: text by its baseline, lines, bars and hatches, in millimetres.

One face in one weight; what matters more is larger, darker or stands apart. The colours are those
of the page's light theme. Promise: the same calls make the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from api.reporting import face
from core.clock import from_us
from core.reports.document import Tone
from core.reports.printing import THIN_SPACE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Canvas", "XPos", "YPos"]

Colour = tuple[int, int, int]
INK: Final = (0x1D, 0x22, 0x25)
INK2: Final = (0x4C, 0x54, 0x58)
LINE: Final = (0xB3, 0xB8, 0xBB)
TRACK: Final = (0xE3, 0xE5, 0xE6)
BAR: Final = (0x6C, 0x75, 0x7A)
HATCH: Final = (0x87, 0x8F, 0x94)
RED: Final = (0xC4, 0x12, 0x2F)
ORANGE: Final = (0xB3, 0x59, 0x00)
ORANGE_TEXT: Final = (0x8F, 0x47, 0x00)
OVER_FILL: Final = (0xF6, 0xDC, 0xE0)  # red at 14 % on white
TEXT_COLOURS: Final[Mapping[Tone, Colour]] = {
    Tone.CALM: INK,
    Tone.OVER: RED,
    Tone.WARN: ORANGE_TEXT,
    Tone.DOUBT: INK2,
}
FILL_COLOURS: Final[Mapping[Tone, Colour]] = {
    Tone.CALM: BAR,
    Tone.OVER: RED,
    Tone.WARN: ORANGE,
    Tone.DOUBT: HATCH,
}
MM_PER_PT: Final = 25.4 / 72
PAGE: Final = (210.0, 297.0)
LEFT: Final = 18.0
RIGHT: Final = 192.0
TOP: Final = 20.0
BOTTOM: Final = 276.0
HAIR: Final = 0.15
HATCH_STEP: Final = 1.4


@dataclass(slots=True)
class Canvas:
    """Pages of one document; `y` is where the next block begins."""

    font: Path
    made_us: int
    pdf: FPDF = field(init=False)
    widths: Mapping[int, float] = field(init=False)
    y: float = TOP

    def __post_init__(self) -> None:
        self.pdf = FPDF(orientation="portrait", unit="mm", format="A4")
        self.pdf.set_auto_page_break(auto=False)
        self.pdf.set_creation_date(from_us(self.made_us))
        self.pdf.set_producer("danhao")
        self.pdf.add_font(face.NAME, "", str(self.font))
        self.pdf.set_font(face.NAME, size=9)
        self.widths = face.advances(self.font)
        self.new_page()

    def new_page(self) -> None:
        """Begin a page."""
        self.pdf.add_page()
        self.y = TOP

    @property
    def room(self) -> float:
        """Return how much height is left on this page."""
        return BOTTOM - self.y

    def need(self, height: float) -> bool:
        """Begin a page where less height is left; tell whether it did."""
        if self.room >= height or self.y == TOP:
            return False
        self.new_page()
        return True

    def measure(self, text: str, size: float) -> float:
        """Return the width of a text at a size in points."""
        return face.width(text, size * MM_PER_PT, self.widths)

    def wrap(self, text: str, most: float, size: float) -> list[str]:
        """Return the lines of a text at most so wide."""
        return face.wrap(text, most, lambda part: self.measure(part, size))

    def text(self, x: float, y: float, text: str, size: float, colour: Colour = INK) -> None:
        """Set one line from x on its baseline y."""
        self.pdf.set_font_size(size)
        self.pdf.set_text_color(*colour)
        for part in text.split(THIN_SPACE):
            if part:
                self.pdf.text(x, y, part)
            x += self.measure(part, size) + face.THIN_EM * size * MM_PER_PT

    def text_right(self, x: float, y: float, text: str, size: float, colour: Colour = INK) -> None:
        """Set one line that ends at x."""
        self.text(x - self.measure(text, size), y, text, size, colour)

    def rule(self, y: float, colour: Colour = LINE, weight: float = HAIR) -> None:
        """Draw a line over the whole width."""
        self.line(LEFT, y, RIGHT, y, colour, weight)

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: Colour, weight: float = HAIR,
        dash: float = 0,
    ) -> None:  # fmt: skip
        """Draw a line, dashed where `dash` says how long."""
        self.pdf.set_draw_color(*colour)
        self.pdf.set_line_width(weight)
        self.pdf.set_dash_pattern(dash=dash, gap=dash * 0.7)
        self.pdf.line(x1, y1, x2, y2)
        if dash:
            self.pdf.set_dash_pattern()

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self.pdf.set_fill_color(*colour)
        self.pdf.rect(x, y, width, height, style="F")

    def shape(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        """Fill a polygon."""
        self.pdf.set_fill_color(*colour)
        self.pdf.polygon(points, style="F")

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        self.pdf.set_fill_color(*colour)
        self.pdf.circle(x, y, radius, style="F")

    def hatch(self, x: float, y: float, width: float, height: float) -> None:
        """Hatch a rectangle: there are no data."""
        offset = HATCH_STEP
        while offset < width + height:
            # The diagonal x + y = offset, cut at the rectangle's edges.
            low = (x + max(0.0, offset - height), y + min(offset, height))
            high = (x + min(offset, width), y + max(0.0, offset - width))
            self.line(*low, *high, TRACK, HAIR)
            offset += HATCH_STEP

    def mark(self, x: float, y: float, tone: Tone) -> float:
        """Draw the sign of a tone beside a baseline; return how far the words move on.

        A square is as on the page the gravest, a triangle the next; an open one is doubt.
        """
        size = 1.9
        if tone is Tone.CALM:
            return 0.0
        if tone is Tone.OVER:
            self.box(x, y - size, size, size, RED)
        elif tone is Tone.WARN:
            self.shape([(x, y), (x + size, y), (x + size / 2, y - size)], ORANGE)
        else:
            middle = size / 2
            self.pdf.set_draw_color(*INK2)
            self.pdf.set_line_width(0.25)
            self.pdf.circle(x + middle, y - middle, middle * 0.85, style="D")
        return size + 1.0
