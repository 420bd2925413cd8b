"""The face that pages are set in: Noto Sans SC, from its package or a file that is named.

Widths come from the font itself, line breaks follow Chinese and Latin habits alike: between any
two Chinese characters, at spaces of Latin text, never before a closing mark. Pure but for loading.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import Misconfigured, Problem
from core.reports.printing import THIN_SPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FONT_VARIABLE: Final = "DANHAO_REPORT_FONT"
NAME: Final = "NotoSansSC"
THIN_EM: Final = 0.17  # the font has no thin space: so wide is the gap between groups
ELLIPSIS: Final = "..."  # in this face the one character is as wide as a Chinese one
# No line begins with these, and none ends with an opening one.
CLOSING: Final = frozenset("，。、；：！？）】》」』”’%％…,.;:!?)]}–—·")
OPENING: Final = frozenset("（【《「『“‘([{")
_WIDE_FROM: Final = 0x2E80  # from here on each character may stand alone
_SOFT: Final = frozenset("-_/.")  # a long code may be broken after these


def path(environment: Mapping[str, str]) -> Path:
    """Return the font's file: DANHAO_REPORT_FONT, else that of its package.

    Raises Misconfigured where there is neither.
    """
    named = environment.get(FONT_VARIABLE)
    if named:
        found = Path(named)
        if not found.is_file():
            raise Misconfigured([Problem(FONT_VARIABLE, f"no font file lies at {named}")])
        return found
    try:
        import pylopdf_fonts_zh_cn  # noqa: PLC0415 - only who sets pages needs it
    except ModuleNotFoundError as error:
        raise Misconfigured(
            "PDF reports need a font with Chinese characters: install danhao[server], which"
            f" brings Noto Sans SC, or name an OpenType font file in {FONT_VARIABLE}"
        ) from error
    return Path(pylopdf_fonts_zh_cn.sans_path())


@lru_cache(maxsize=2)
def advances(file: Path) -> Mapping[int, float]:
    """Return how far each character advances, in em."""
    from fontTools.ttLib import TTFont  # noqa: PLC0415 - only who sets pages needs it

    with TTFont(file, fontNumber=0, lazy=True) as font:
        em = font["head"].unitsPerEm
        metrics = font["hmtx"].metrics
        return {code: metrics[glyph][0] / em for code, glyph in font.getBestCmap().items()}


def width(text: str, size: float, widths: Mapping[int, float]) -> float:
    """Return how wide a text is in the unit of `size`; what the font lacks is one em wide."""
    return size * sum(
        THIN_EM if char == THIN_SPACE else widths.get(ord(char), 1.0) for char in text
    )


def wrap(text: str, most: float, measure: Callable[[str], float]) -> list[str]:
    """Break a text into lines at most so wide; a line feed in it ends a line."""
    return [line for part in text.split("\n") for line in _lines(part, most, measure)]


def _lines(text: str, most: float, measure: Callable[[str], float]) -> Iterator[str]:
    line = ""
    for piece in pieces(text):
        if not line or measure((line + piece).rstrip()) <= most:
            line += piece
        else:
            yield line.rstrip()
            line = piece.lstrip(" ")
        while measure(line.rstrip()) > most and len(line) > 1:
            cut = _cut(line, most, measure)
            yield line[:cut].rstrip()
            line = line[cut:]
    yield line.rstrip()


def _cut(line: str, most: float, measure: Callable[[str], float]) -> int:
    """Return where a word that is longer than a line is cut: after a hyphen or dot if it can."""
    fits = next(n for n in range(len(line), 0, -1) if n == 1 or measure(line[:n]) <= most)
    soft = next((n for n in range(fits, fits // 2, -1) if line[n - 1] in _SOFT), fits)
    return max(soft, 1)


def pieces(text: str) -> Iterator[str]:
    """Yield what must not be broken: a Latin word with its space, or one wide character."""
    piece = ""
    for char in text:
        if piece and _breaks(piece[-1], char):
            yield piece
            piece = ""
        piece += char
    if piece:
        yield piece


def _breaks(before: str, after: str) -> bool:
    if after in CLOSING or after == " " or before in OPENING:
        return False
    return before == " " or _is_wide(before) or _is_wide(after)


def _is_wide(char: str) -> bool:
    return ord(char) >= _WIDE_FROM


def shorten(text: str, most: float, measure: Callable[[str], float]) -> str:
    """Return a text that fits on one line, its end left out where it must be."""
    text = text.replace("\n", " ")
    if measure(text) <= most:
        return text
    while text and measure(text + ELLIPSIS) > most:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS
