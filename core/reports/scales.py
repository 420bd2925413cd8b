"""Axes of charts: a range that holds data and limits, round ticks, and which labels fit. Pure.

Promise: a limit is always inside the range, and a range without bars never begins at zero just to
look calm; auto-scaling keeps 3 % around a limit, so that noise does not look like drama.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from core.reports import printing
from core.reports.document import Day, Language, Style, Text

if TYPE_CHECKING:
    from core.reports.document import Chart

AROUND_LIMIT: Final = Decimal("0.03")
ROOM: Final = Decimal("0.08")  # beyond the outermost value
STEPS: Final = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
TICKS: Final = 5  # intervals that are aimed at
FEW_LABELS: Final = 14  # all of them are printed
DAY_LABELS: Final = frozenset({"01", "05", "10", "15", "20", "25", "30"})
_MONTH_DAY: Final = "01"


@dataclass(frozen=True, slots=True)
class Axis:
    """A range with its ticks; `places` are those that the ticks need."""

    low: Decimal
    high: Decimal
    ticks: tuple[Decimal, ...]
    places: int

    def share(self, value: Decimal) -> float:
        """Return how far up the range a value lies, 0 to 1 inside it."""
        return float((value - self.low) / (self.high - self.low))

    def say(self, tick: Decimal) -> str:
        """Return a tick's label."""
        return printing.rounded(f"{tick:f}", self.places)


def axis(chart: Chart) -> Axis:
    """Return the axis of a chart's values."""
    values, bounds = _values(chart)
    if not values and not bounds:
        values = [Decimal(0), Decimal(1)]
    low, high = min(values + bounds), max(values + bounds)
    if chart.from_zero:
        low, high = min(low, Decimal(0)), max(high, Decimal(0))
        if low == high:
            high = Decimal(1)
    else:
        low, high = _roomy(low, high, bounds)
    return _ticked(low, high)


def _values(chart: Chart) -> tuple[list[Decimal], list[Decimal]]:
    values: list[Decimal] = []
    bounds: list[Decimal] = []
    for series in chart.series:
        found = [printing.to_decimal(value) for value in series.values if value is not None]
        (bounds if series.style is Style.LIMIT else values).extend(found)
    return values, bounds


def _roomy(low: Decimal, high: Decimal, bounds: list[Decimal]) -> tuple[Decimal, Decimal]:
    if bounds:
        low = min(low, min(bounds) * (1 - AROUND_LIMIT))
        high = max(high, max(bounds) * (1 + AROUND_LIMIT))
    room = (high - low) * ROOM or abs(high) * AROUND_LIMIT or Decimal(1)
    return low - room, high + room


def _ticked(low: Decimal, high: Decimal) -> Axis:
    rough = (high - low) / TICKS
    power = Decimal(1).scaleb(rough.adjusted())
    step = next(one * power for one in STEPS if one * power >= rough)
    first = (low / step).to_integral_value(rounding="ROUND_FLOOR") * step
    last = (high / step).to_integral_value(rounding="ROUND_CEILING") * step
    count = int((last - first) / step)
    ticks = tuple(first + step * at for at in range(count + 1))
    exponent = step.normalize().as_tuple().exponent
    places = max(0, -exponent) if isinstance(exponent, int) else 0
    return Axis(first, last, ticks, places)


def labels(chart: Chart, language: Language) -> list[str]:
    """Return the printed labels in their places; those that would crowd are empty."""
    days = [label.iso for label in chart.labels if isinstance(label, Day)]
    if len(days) < len(chart.labels):
        return [_name(label, language) for label in chart.labels]
    if all(iso.endswith(f"-{_MONTH_DAY}") for iso in days):
        return [iso[:7] for iso in days]
    if len(days) <= FEW_LABELS:
        return [iso[5:] for iso in days]
    # The month stands once, at its first day; the others are bare day numbers.
    return [
        (iso[5:] if iso[8:] == _MONTH_DAY else iso[8:]) if iso[8:] in DAY_LABELS else ""
        for iso in days
    ]


def _name(label: Day | Text | str, language: Language) -> str:
    if isinstance(label, Text):
        return label.say(language)
    return label.iso if isinstance(label, Day) else label
