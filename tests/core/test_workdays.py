"""Promises of working days: terms end with a day, weekends and holidays do not count."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import workdays
from core.clock import from_us, to_us
from core.periods import zone
from core.workdays import Calendar

ZONE = "Asia/Shanghai"
PLAIN = Calendar()
INSTANTS = st.integers(1_704_067_200, 1_798_761_600).map(lambda seconds: seconds * 1_000_000)


def at(text: str) -> int:
    return to_us(datetime.fromisoformat(f"{text}+08:00"))


@pytest.mark.parametrize(
    ("failed", "ends"),
    [
        ("2026-11-02T10:00", "2026-11-06T00:00"),  # Monday: Tuesday, Wednesday, Thursday
        ("2026-11-05T00:00", "2026-11-11T00:00"),  # Thursday: Friday, Monday, Tuesday
        ("2026-11-06T23:59", "2026-11-12T00:00"),  # Friday
        ("2026-11-07T12:00", "2026-11-12T00:00"),  # Saturday: as on Friday
        ("2026-11-08T12:00", "2026-11-12T00:00"),
    ],
)
def test_three_working_days_end_when_the_third_one_after_the_failure_ends(
    failed: str, ends: str
) -> None:
    assert PLAIN.deadline(at(failed), 3, ZONE) == at(ends)


def test_a_holiday_moves_the_deadline_and_a_worked_sunday_brings_it_nearer() -> None:
    closed = Calendar(holidays=frozenset({date(2026, 11, 3)}))
    assert closed.deadline(at("2026-11-02T10:00"), 3, ZONE) == at("2026-11-07T00:00")
    open_ = Calendar(worked=frozenset({date(2026, 11, 8)}))
    assert open_.deadline(at("2026-11-06T10:00"), 3, ZONE) == at("2026-11-11T00:00")


def test_days_count_by_the_plant_s_calendar_not_by_utc() -> None:
    late = at("2026-11-03T01:00")  # still Monday in UTC
    assert PLAIN.deadline(late, 1, ZONE) == at("2026-11-05T00:00")
    assert PLAIN.deadline(late, 1, "UTC") == at("2026-11-04T08:00")


@given(INSTANTS, st.integers(1, 30))
def test_as_many_working_days_lie_before_the_deadline_as_are_allowed(
    failed_us: int, days: int
) -> None:
    ends = PLAIN.deadline(failed_us, days, ZONE)
    assert PLAIN.between(failed_us, ends, ZONE) == days
    assert PLAIN.between(failed_us, ends + 1, ZONE) in (days, days + 1)


@given(INSTANTS, st.integers(0, 60))
def test_counting_day_by_day_gives_the_same(failed_us: int, days: int) -> None:
    failed = from_us(failed_us).astimezone(zone(ZONE)).date()
    until = failed + timedelta(days=days)
    midnight = to_us(datetime(until.year, until.month, until.day, tzinfo=zone(ZONE)))
    by_hand = sum((failed + timedelta(days=n)).isoweekday() <= 5 for n in range(1, days))
    assert PLAIN.between(failed_us, max(midnight, failed_us), ZONE) == by_hand


def test_a_calendar_without_working_days_ends_all_the_same() -> None:
    never = Calendar(
        holidays=frozenset(
            date(2026, 11, 1) + timedelta(days=n) for n in range(workdays.MOST_DAYS + 10)
        )
    )
    assert never.deadline(at("2026-11-02T10:00"), 3, ZONE) > at("2036-01-01T00:00")
    assert never.between(at("2026-11-02T10:00"), at("2026-12-02T10:00"), ZONE) == 0
