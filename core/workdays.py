"""Working days: until when what failed must be mended, and how many of them a silence took.

A day counts by the plant's calendar. The day on which something failed is not counted, as terms in
days are not; Saturdays, Sundays and the declared holidays are none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from core import periods

if TYPE_CHECKING:
    from collections.abc import Iterator

SATURDAY: Final = 5
MOST_DAYS: Final = 4000  # of one silence: ten years, beyond which nobody asks for the count
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which days are worked: weekdays without `holidays`, and the weekend days in `worked`."""

    holidays: frozenset[date] = field(default_factory=frozenset)
    worked: frozenset[date] = field(default_factory=frozenset)

    def works(self, day: date) -> bool:
        """Tell whether the day is a working day."""
        if day in self.worked:
            return True
        return day.weekday() < SATURDAY and day not in self.holidays

    def deadline(self, failed_us: int, days: int, zone: str) -> int:
        """Return the end of the last working day that is left to mend it."""
        left = days
        for day in _days_after(failed_us, zone):
            left -= self.works(day)
            if left <= 0:
                return periods.midnight(day + _DAY, zone)
        return periods.midnight(periods.day_of(failed_us, zone) + MOST_DAYS * _DAY, zone)

    def between(self, failed_us: int, mended_us: int, zone: str) -> int:
        """Return how many working days began after the failure and before it was mended."""
        count = 0
        for day in _days_after(failed_us, zone):
            if periods.midnight(day, zone) >= mended_us:
                break
            count += self.works(day)
        return count


def _days_after(instant_us: int, zone: str) -> Iterator[date]:
    first = periods.day_of(instant_us, zone)
    for number in range(1, MOST_DAYS + 1):
        yield first + number * _DAY
