"""Periods as people name them in reports: 2026-10, 2026-Q3, 2026; and the results that make them.

A month and a year are one result each, a quarter is three months.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from core import periods
from core.periods import Period

MONTHS_OF_QUARTER: Final = 3
MONTHS_OF_YEAR: Final = 12
_TEXT: Final = re.compile(r"([12][0-9]{3})(?:-(?:(0[1-9]|1[0-2])|Q([1-4])))?")


@dataclass(frozen=True, slots=True)
class NamedSpan:
    """A month, a quarter or a year of the plants' calendar, `months` of them from the first on."""

    text: str
    first: str
    months: int

    @property
    def kind(self) -> Period:
        """Return the kind of result that makes it up."""
        return Period.YEAR if self.months == MONTHS_OF_YEAR else Period.MONTH

    def bounds(self, zone: str) -> tuple[int, int]:
        """Return its first instant and the first one after it, in microseconds."""
        begin, end = periods.parse_month(self.first, zone)
        for _ in range(1, self.months):
            _, end = periods.period_at(Period.MONTH, end, zone)
        return begin, end

    def parts(self, zone: str) -> list[tuple[int, int]]:
        """Return the bounds of each result that makes it up."""
        begin, end = self.bounds(zone)
        return periods.periods_between(self.kind, begin, end, zone)


def parse(text: str) -> NamedSpan:
    """Read a name; raises ValueError for anything but 2026-10, 2026-Q3 and 2026."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text[:40]!r} is no period: write a month as 2026-10, a quarter as 2026-Q3 or a"
            " year as 2026"
        )
    year, month, quarter = match.groups()
    if month is not None:
        return NamedSpan(text, text, 1)
    if quarter is not None:
        first = (int(quarter) - 1) * MONTHS_OF_QUARTER + 1
        return NamedSpan(text, f"{year}-{first:02d}", MONTHS_OF_QUARTER)
    return NamedSpan(text, f"{year}-01", MONTHS_OF_YEAR)
