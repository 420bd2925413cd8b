"""The working days of China as data: public holidays and the weekend days worked for them.

What a year's arrangement says is known once the State Council has published it. A year that is not
in the file counts by weekdays alone, and whoever counts is told so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from core import periods, tomlfile
from core.errors import Misconfigured
from core.workdays import SATURDAY, Calendar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.errors import Problem
    from core.tomlfile import Document

FILE: Final = "core/data/calendar.toml"
MOST_HOLIDAYS: Final = 40  # of one year, each a span
MOST_SPAN_DAYS: Final = 31
_YEAR: Final = r"^(19|20|21)[0-9]{2}$"
_DAY: Final = timedelta(days=1)


class _Span(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, Field(min_length=1)]
    first: Annotated[date, Field(alias="from")]
    last: Annotated[date, Field(alias="to")]


class _Year(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    source: Annotated[str, Field(min_length=3)]
    holidays: Annotated[list[_Span], Field(min_length=1, max_length=MOST_HOLIDAYS)]
    worked: tuple[date, ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    year: dict[Annotated[str, Field(pattern=_YEAR)], _Year]


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """Which days are worked, and of which years that is known."""

    calendar: Calendar
    years: frozenset[int]

    def knows(self, from_us: int, until_us: int, zone: str) -> bool:
        """Tell whether the holidays of every year between two instants are known."""
        first, last = periods.day_of(from_us, zone), periods.day_of(until_us, zone)
        return all(year in self.years for year in range(first.year, last.year + 1))


def parse(text: str, name: str) -> WorkCalendar:
    """Read a calendar; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _File)
    problems = [each for year, row in table.year.items() for each in _check(document, year, row)]
    if problems:
        raise Misconfigured(problems)
    spans = [span for row in table.year.values() for span in row.holidays]
    holidays = frozenset(day for span in spans for day in _days(span))
    worked = frozenset(day for row in table.year.values() for day in row.worked)
    return WorkCalendar(Calendar(holidays, worked), frozenset(map(int, table.year)))


@lru_cache(maxsize=1)
def shipped() -> WorkCalendar:
    """Return the shipped calendar."""
    path = resources.files("core") / "data" / "calendar.toml"
    return parse(path.read_text("utf-8"), FILE)


def _check(document: Document, year: str, row: _Year) -> Iterator[Problem]:
    at = ("year", year)
    for position, span in enumerate(row.holidays):
        where = (*at, "holidays", position)
        if not span.first <= span.last < span.first + MOST_SPAN_DAYS * _DAY:
            message = f"{span.name} does not last 1 to {MOST_SPAN_DAYS} days: correct from and to"
            yield document.problem(where, message)
        elif year not in {str(span.first.year), str(span.last.year)}:
            yield document.problem(where, f"{span.name} is not in {year}: move it to its year")
    for position, day in enumerate(row.worked):
        where = (*at, "worked", position)
        if day.weekday() < SATURDAY:
            yield document.problem(where, f"{day} is no Saturday or Sunday: it needs no mention")
        if any(span.first <= day <= span.last for span in row.holidays):
            yield document.problem(where, f"{day} is a holiday as well: it can be one of the two")


def _days(span: _Span) -> Iterator[date]:
    day = span.first
    while day <= span.last:
        yield day
        day += _DAY
