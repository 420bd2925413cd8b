"""The calendar of working days: as published, and every mistake of a file at once."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from core import calendars
from core.clock import to_us
from core.errors import Misconfigured

ZONE = "Asia/Shanghai"


def test_the_shipped_years_have_as_many_working_days_as_their_arrangement_leaves() -> None:
    """Counted from the text of the arrangement: weekdays less holidays on weekdays, plus worked."""
    shipped = calendars.shipped()
    assert shipped.years == {2025, 2026}
    for year, weekdays, rest_on_weekdays, worked in ((2025, 261, 18, 5), (2026, 261, 19, 6)):
        days = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]
        assert sum(day.isoweekday() <= 5 for day in days) == weekdays
        works = sum(shipped.calendar.works(day) for day in days)
        assert works == weekdays - rest_on_weekdays + worked
        own = [day for day in shipped.calendar.worked if day.year == year]
        assert len(own) == worked
        assert all(day.isoweekday() > 5 for day in own)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 2, 16), False),  # a Monday of Spring Festival
        (date(2026, 2, 14), True),  # the Saturday before
        (date(2026, 2, 28), True),
        (date(2026, 2, 21), False),
        (date(2026, 10, 7), False),
        (date(2026, 10, 8), True),
        (date(2025, 10, 8), False),
        (date(2025, 10, 11), True),
    ],
)
def test_days_of_the_arrangements(day: date, works: bool) -> None:  # noqa: FBT001 - a table of cases
    assert calendars.shipped().calendar.works(day) is works


def test_a_span_is_known_only_if_every_year_of_it_is() -> None:
    from datetime import UTC, datetime  # noqa: PLC0415 - only here

    def us(*parts: int) -> int:
        return to_us(datetime(*parts, tzinfo=UTC))  # type: ignore[misc,arg-type]

    shipped = calendars.shipped()
    assert shipped.knows(us(2025, 12, 30), us(2026, 1, 3), ZONE)
    assert not shipped.knows(us(2026, 12, 30), us(2027, 1, 3), ZONE)
    # Half past midnight of 2027 in the plant is still 2026 in UTC.
    assert not shipped.knows(us(2026, 12, 30), us(2026, 12, 31, 16, 30), ZONE)


def test_a_wrong_calendar_tells_everything_that_is_wrong() -> None:
    text = """
[year.2026]
source = "the State Council"
holidays = [
    { name = "a", from = 2026-05-05, to = 2026-05-01 },
    { name = "b", from = 2025-05-05, to = 2025-05-06 },
    { name = "c", from = 2026-10-03, to = 2026-10-07 },
]
worked = [2026-05-06, 2026-10-04]
"""
    with pytest.raises(Misconfigured) as caught:
        calendars.parse(text, "calendar.toml")
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == 4
    assert "a does not last 1 to 31 days" in told[0]
    assert "b is not in 2026" in told[1]
    assert "2026-05-06 is no Saturday or Sunday" in told[2]
    assert "2026-10-04 is a holiday as well" in told[3]
    assert all(line.startswith("calendar.toml:") for line in told)


@pytest.mark.parametrize(
    "text",
    [
        '[year.26]\nsource = "abc"\nholidays = []',
        '[year.2026]\nholidays = [{ name = "a", from = 2026-05-01, to = 2026-05-02 }]',
        "year = 3",
    ],
)
def test_a_calendar_needs_a_year_holidays_and_a_source(text: str) -> None:
    with pytest.raises(Misconfigured):
        calendars.parse(text, "calendar.toml")
