"""How values read in print: places, groups, signs, times; alike in every renderer. Pure.

Figures have a thin space between groups from five digits on, a point before decimals and a true
minus sign in both languages; rounding is half-even and happens here. What is absent is a dash.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, localcontext
from typing import TYPE_CHECKING, Final

from core import decimals, periods
from core.clock import from_us
from core.reports.document import Day, Figure, Instant, Language, Mark, Text

if TYPE_CHECKING:
    from core.reports.document import Value

MISSING: Final = "—"
THIN_SPACE: Final = "\u2009"
MINUS: Final = "\u2212"
GROUPED_FROM: Final = 5  # digits
_EN_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_QUARTERS: Final = ("一", "二", "三", "四")


def say(value: Value, language: Language) -> str:
    """Return a value as it reads; a figure's unit follows where it carries one."""
    if isinstance(value, Text):
        return value.say(language)
    if isinstance(value, Mark):
        return value.words.say(language)
    if isinstance(value, Instant):
        return instant(value)
    if isinstance(value, Figure):
        return number(value)
    if isinstance(value, Day):
        return value.iso
    return MISSING if value is None else value


def number(figure: Figure) -> str:
    """Return a figure rounded to its places, with the sign of per cent or its unit."""
    mode = ROUND_DOWN if figure.down else ROUND_HALF_EVEN
    value = to_decimal(figure.value)
    shown = value.scaleb(2) if figure.ratio else value
    text = _fixed(shown, figure.places, mode, signed=figure.signed)
    if figure.ratio:
        return f"{text}%"
    return f"{text} {figure.unit}" if figure.unit else text


def rounded(value: str, places: int) -> str:
    """Return a decimal text rounded half-even, grouped, never a negative zero."""
    return _fixed(to_decimal(value), places, ROUND_HALF_EVEN)


def _fixed(value: Decimal, places: int, mode: str, *, signed: bool = False) -> str:
    with localcontext() as context:
        context.prec = decimals.MOST_DIGITS + places
        shown = value.quantize(Decimal(1).scaleb(-places), mode)
    whole, _, part = f"{abs(shown):f}".partition(".")
    text = grouped(whole) + (f".{part}" if part else "")
    if shown == 0:
        return f"±{text}" if signed else text
    if shown < 0:
        return MINUS + text
    return f"+{text}" if signed else text


def plain(value: str) -> str:
    """Return a decimal text with all its places, grouped: what is exact prints so."""
    exact = to_decimal(value)
    whole, _, part = f"{abs(exact):f}".partition(".")
    return (MINUS if exact < 0 else "") + grouped(whole) + (f".{part}" if part else "")


def grouped(digits: str) -> str:
    """Return whole digits in groups of three where they are many."""
    if len(digits) < GROUPED_FROM:
        return digits
    head = len(digits) % 3
    groups = [digits[:head]] if head else []
    groups += [digits[at : at + 3] for at in range(head, len(digits), 3)]
    return THIN_SPACE.join(groups)


def to_decimal(value: str) -> Decimal:
    """Return a decimal text as an exact number."""
    return decimals.parse(value)


def instant(at: Instant) -> str:
    """Return an instant in plant time with its offset, to the second."""
    local = from_us(at.us - at.us % 1_000_000).astimezone(periods.zone(at.timezone))
    return local.isoformat(sep=" ")


def period(text: str, language: Language) -> str:
    """Return a period's name as people say it: 2026年10月, October 2026, 2026 Q3."""
    year, _, rest = text.partition("-")
    if not rest:
        return f"{year}年" if language is Language.ZH else year
    if rest.startswith("Q"):
        quarter = int(rest[1:])
        return (
            f"{year}年第{_QUARTERS[quarter - 1]}季度"
            if language is Language.ZH
            else f"Q{quarter} {year}"
        )
    month = int(rest)
    if language is Language.ZH:
        return f"{year}年{month}月"
    return f"{_EN_MONTHS[month - 1]} {year}"


def places_of(unit: str) -> int:
    """Return the decimal places that an intensity is printed with (as on the page)."""
    if unit.startswith(("kWh/t", "kWh/MW")):
        return 0
    if unit.startswith(("kgce/t", "tce", "kg/", "m3/", "mg/")):
        return 1
    return 2 if unit == "%" else 3
