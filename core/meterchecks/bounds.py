"""What physics leaves possible, by indicator: data with a source, and what falls outside it.

A figure outside is a meter's, a scale's or a record's error, never a good or a bad furnace. Which
of them it is a single figure cannot tell; the factor by which it is outside is a hint.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core import indicators, tomlfile
from core.carriers import ExactText
from core.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

FILE: Final = "core/data/bounds.toml"
LEAST_SPAN_DAYS: Final = 7  # taps and stock make a day's figure noise
LEAST_DAYS_KNOWN: Final = 5  # of a week
LEAST_WEEKS: Final = 3  # before a shift, to know how weeks differ
SHIFT: Final = 0.15  # of energy per output: less is the furnace's, not a meter's
SPREADS: Final = 3  # times what the weeks before differ


@dataclass(frozen=True, slots=True)
class Bound:
    """Between what and what the figures of an indicator can lie, and who says so."""

    indicator: str
    least: Decimal
    most: Decimal | None
    unit: str
    basis: str
    source: str
    clause: str


@dataclass(frozen=True, slots=True)
class DayFigure:
    """Energy and output of a unit on one day, in the indicator's units; None: unknown."""

    start_us: int
    energy: Fraction | None
    output: Fraction | None


@dataclass(frozen=True, slots=True)
class Outside:
    """A span of days whose figure lies outside its bound, and by which factor of the bound."""

    bound: Bound
    since_us: int
    days: int
    value: Fraction
    factor: float

    @property
    def broken(self) -> Decimal:
        """Return the end of the bound beyond which the figure lies."""
        return self.bound.least if self.bound.most is None or self.factor < 1 else self.bound.most


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    least: Annotated[ExactText, Field(gt=0)]
    most: Annotated[ExactText, Field(gt=0)] | None = None
    unit: str
    basis: Literal["physics", "magnitude"]
    source: Annotated[str, Field(min_length=3)]
    clause: Annotated[str, Field(min_length=1)]
    quote: str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _is_a_span(self) -> _Row:
        if self.most is not None and self.most <= self.least:
            raise ValueError("most must lie above least")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    bound: dict[str, _Row]


def parse(text: str, name: str) -> dict[str, Bound]:
    """Read a file of bounds; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _File)
    known = indicators.catalogue()
    problems = []
    for key, row in table.bound.items():
        if key not in known:
            problems.append(document.problem(("bound", key), "no indicator is called so"))
        elif known[key].unit != row.unit:
            text = f"{key} is told in {known[key].unit}: write it in that unit"
            problems.append(document.problem(("bound", key, "unit"), text))
    if problems:
        raise Misconfigured(problems)
    return {
        key: Bound(key, row.least, row.most, row.unit, row.basis, row.source, row.clause)
        for key, row in table.bound.items()
    }


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Bound]:
    """Return the bounds that ship with the program, by indicator."""
    text = resources.files("core").joinpath("data", "bounds.toml").read_text("utf-8")
    return parse(text, FILE)


def outside(bound: Bound, days: Sequence[DayFigure]) -> Outside | None:
    """Return the first span of a week of days whose figure lies outside; None without one.

    Only days on which both energy and output are known count, and at least five of seven.
    """
    for first in range(len(days) - LEAST_SPAN_DAYS + 1):
        span = days[first : first + LEAST_SPAN_DAYS]
        value = _figure(span)
        if value is None:
            continue
        if value < Fraction(bound.least):
            factor = float(value / Fraction(bound.least))
            return Outside(bound, span[0].start_us, len(span), value, factor)
        if bound.most is not None and value > Fraction(bound.most):
            factor = float(value / Fraction(bound.most))
            return Outside(bound, span[0].start_us, len(span), value, factor)
    return None


def shift(days: Sequence[DayFigure]) -> tuple[int, float] | None:
    """Return the day from which on weekly figures are another, and by which factor; else None.

    The factor is the median week after over the median week before; only one beyond SHIFT and
    beyond SPREADS times the spread of the weeks before is told.
    """
    weeks = _weeks(days)
    best: tuple[int, float] | None = None
    for cut in range(LEAST_WEEKS, len(weeks)):
        before = [value for _, value in weeks[:cut]]
        after = [value for _, value in weeks[cut:]]
        middle = sorted(before)[len(before) // 2]
        spread = max(abs(value / middle - 1) for value in before)
        least = min(after, key=lambda value: abs(value / middle - 1)) / middle
        if abs(least - 1) <= max(SHIFT, SPREADS * spread):
            continue
        factor = sorted(after)[len(after) // 2] / middle
        if best is None or abs(factor - 1) > abs(best[1] - 1):
            best = weeks[cut][0], factor
    return best


def _weeks(days: Sequence[DayFigure]) -> list[tuple[int, float]]:
    found = []
    for first in range(len(days) % LEAST_SPAN_DAYS, len(days), LEAST_SPAN_DAYS):
        value = _figure(days[first : first + LEAST_SPAN_DAYS])
        if value is not None:
            found.append((days[first].start_us, float(value)))
    return found


def _figure(week: Sequence[DayFigure]) -> Fraction | None:
    """Return energy over output of the days on which both are known; None: too few, or nothing."""
    known = [
        (day.energy, day.output)
        for day in week
        if day.energy is not None and day.output is not None
    ]
    output = sum((made for _, made in known), Fraction(0))
    if len(known) < LEAST_DAYS_KNOWN or output <= 0:
        return None
    return sum((taken for taken, _ in known), Fraction(0)) / output
