"""Periods are half-open, leave no instant out, and follow the plant's calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import periods
from core.clock import from_us, to_us
from core.errors import Rejected
from core.periods import HOUR_US, SLOT_US, Period

SHANGHAI, AMSTERDAM = "Asia/Shanghai", "Europe/Amsterdam"
ZONES = st.sampled_from(
    [SHANGHAI, AMSTERDAM, "UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/Havana", "Africa/Cairo"]
)
INSTANTS = st.integers(
    to_us(datetime(2000, 1, 1, tzinfo=UTC)), to_us(datetime(2100, 1, 1, tzinfo=UTC))
)
KINDS = st.sampled_from(list(Period))


def local(zone: str, year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    """Return the instant of a wall clock time."""
    return to_us(datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone)))


def bounds(period: Period, zone: str, *parts: int) -> tuple[str, str]:
    low, high = periods.period_at(period, local(zone, *parts), zone)
    return periods.render(low, zone), periods.render(high, zone)


@given(KINDS, INSTANTS, ZONES)
def test_a_period_holds_its_instant_and_every_instant_of_it_names_the_same_period(
    period: Period, instant: int, zone: str
) -> None:
    low, high = periods.period_at(period, instant, zone)
    assert low <= instant < high
    assert periods.period_at(period, low, zone) == (low, high)
    assert periods.period_at(period, high - 1, zone) == (low, high)


@given(KINDS, INSTANTS, ZONES)
def test_the_end_of_a_period_is_the_start_of_the_next(
    period: Period, instant: int, zone: str
) -> None:
    _, high = periods.period_at(period, instant, zone)
    assert periods.period_at(period, high, zone)[0] == high


@given(KINDS, INSTANTS, st.integers(0, 5 * 86_400 * 10**6), ZONES)
def test_periods_over_a_span_cover_it_without_a_gap(
    period: Period, since: int, length: int, zone: str
) -> None:
    found = periods.periods_over(period, since, since + length, zone)
    if length == 0:
        assert found == []
        return
    assert found[0][0] <= since < found[0][1]
    assert found[-1][0] < since + length <= found[-1][1]
    assert all(one[1] == two[0] for one, two in pairwise(found))


@given(KINDS, INSTANTS, st.integers(0, 5 * 86_400 * 10**6), ZONES)
def test_periods_between_are_those_that_start_within(
    period: Period, since: int, length: int, zone: str
) -> None:
    over = periods.periods_over(period, since, since + length, zone)
    between = periods.periods_between(period, since, since + length, zone)
    assert between == [found for found in over if since <= found[0] < since + length]


@given(INSTANTS, ZONES, st.sampled_from([Period.SHIFT, Period.DAY, Period.MONTH, Period.YEAR]))
def test_longer_periods_are_made_of_whole_days_or_shifts(
    instant: int, zone: str, period: Period
) -> None:
    low, high = periods.period_at(period, instant, zone)
    for part in (Period.SHIFT, Period.DAY) if period is not Period.SHIFT else (Period.SHIFT,):
        assert periods.period_at(part, low, zone)[0] == low
        assert periods.period_at(part, high, zone)[0] == high


@given(INSTANTS, ZONES, KINDS)
def test_slots_never_straddle_a_longer_period(instant: int, zone: str, period: Period) -> None:
    low, high = periods.period_at(period, instant, zone)
    assert low % SLOT_US == 0
    assert high % SLOT_US == 0


@pytest.mark.parametrize(
    ("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 7, 1), 24)]
)
def test_a_day_where_the_clock_changes_has_23_or_25_hours(
    day: tuple[int, int, int], hours: int
) -> None:
    low, high = periods.period_at(Period.DAY, local(AMSTERDAM, *day, 12), AMSTERDAM)
    assert high - low == hours * HOUR_US
    assert len(periods.periods_between(Period.HOUR, low, high, AMSTERDAM)) == hours
    assert len(periods.periods_between(Period.SLOT, low, high, AMSTERDAM)) == hours * 4


@given(INSTANTS, ZONES)
def test_an_instant_lies_in_its_day_which_begins_at_midnight(instant: int, zone: str) -> None:
    day = periods.day_of(instant, zone)
    start, end = periods.period_at(Period.DAY, instant, zone)
    assert (periods.midnight(day, zone), periods.midnight(day + timedelta(days=1), zone)) == (
        start,
        end,
    )


def test_a_plant_day_begins_at_its_own_midnight() -> None:
    assert bounds(Period.DAY, SHANGHAI, 2026, 10, 1, 0) == (
        "2026-10-01T00:00:00+08:00",
        "2026-10-02T00:00:00+08:00",
    )
    low, _ = periods.period_at(Period.DAY, local(SHANGHAI, 2026, 10, 1, 5), SHANGHAI)
    assert periods.render_utc(low) == "2026-09-30T16:00:00Z"


def test_three_shifts_of_eight_hours_make_a_day() -> None:
    low, high = periods.period_at(Period.DAY, local(SHANGHAI, 2026, 2, 3), SHANGHAI)
    shifts = periods.periods_between(Period.SHIFT, low, high, SHANGHAI)
    assert [(end - start) // HOUR_US for start, end in shifts] == [8, 8, 8]
    assert bounds(Period.SHIFT, SHANGHAI, 2026, 2, 3, 23, 59)[1] == "2026-02-04T00:00:00+08:00"


@pytest.mark.parametrize(
    ("year", "month", "days"), [(2024, 2, 29), (2026, 2, 28), (2026, 12, 31), (2026, 4, 30)]
)
def test_a_month_has_the_days_of_the_calendar(year: int, month: int, days: int) -> None:
    low, high = periods.period_at(Period.MONTH, local(SHANGHAI, year, month, 15), SHANGHAI)
    assert len(periods.periods_between(Period.DAY, low, high, SHANGHAI)) == days


def test_the_last_instant_of_a_year_belongs_to_it_and_the_next_to_the_next() -> None:
    end = local(SHANGHAI, 2027, 1, 1)
    assert bounds(Period.YEAR, SHANGHAI, 2026, 12, 31, 23) == (
        "2026-01-01T00:00:00+08:00",
        "2027-01-01T00:00:00+08:00",
    )
    assert periods.period_at(Period.YEAR, end - 1, SHANGHAI)[1] == end
    assert periods.period_at(Period.MONTH, end, SHANGHAI)[0] == end


def test_an_hour_of_a_zone_half_an_hour_off_begins_on_its_own_hour() -> None:
    assert bounds(Period.HOUR, "Asia/Kolkata", 2026, 5, 5, 7, 45) == (
        "2026-05-05T07:00:00+05:30",
        "2026-05-05T08:00:00+05:30",
    )


def test_more_periods_than_the_bound_are_refused_with_advice() -> None:
    since = local(SHANGHAI, 2026, 1, 1)
    with pytest.raises(Rejected, match="more than 20000 periods of kind slot: ask for a shorter"):
        periods.periods_between(Period.SLOT, since, since + 20_001 * SLOT_US, SHANGHAI)
    assert len(periods.periods_between(Period.SLOT, since, since + 20_000 * SLOT_US, SHANGHAI))


def test_an_unknown_zone_is_told_with_an_example() -> None:
    for name in ("Middle/Earth", "", "../etc/passwd", "\x00"):
        with pytest.raises(ValueError, match="write it like Asia/Shanghai"):
            periods.zone(name)


@given(INSTANTS, ZONES)
def test_what_is_rendered_is_read_back(instant: int, zone: str) -> None:
    assert periods.parse_instant(periods.render(instant, zone)) == instant
    assert periods.parse_instant(periods.render_utc(instant)) == instant


@pytest.mark.parametrize(
    "text", ["2026-01-01T00:00:00", "2026-01-01", "yesterday", "", "0001-01-01T00:00:00+08:00"]
)
def test_a_time_without_offset_or_out_of_reach_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"offset|isoformat|outside the years"):
        periods.parse_instant(text)


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-14, 14))
def test_the_clock_converts_to_the_microsecond_and_back(at: datetime, hours: int) -> None:
    assert from_us(to_us(at)) == at
    if 2 <= at.year <= 9998:
        assert to_us(at.astimezone(ZoneInfo("Asia/Kathmandu"))) == to_us(at)
        assert to_us(at + timedelta(hours=hours)) - to_us(at) == hours * HOUR_US


@given(st.integers(1971, 2199), st.integers(1, 12), ZONES)
def test_a_month_reads_as_it_was_printed_and_is_the_zones_own(
    year: int, month: int, zone: str
) -> None:
    text = f"{year}-{month:02d}"
    found = periods.parse_month(text, zone)
    assert found == periods.period_at(Period.MONTH, found[0], zone)
    assert periods.render_month(found, zone) == text
    assert periods.render(found[0], zone).startswith(f"{text}-01T0")


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-1", "2026-13", "2026-00", "10-2026", "2026-10-01", "２０２６-10"]
)
def test_what_is_no_month_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="is no month: write it as 2026-10"):
        periods.parse_month(text, SHANGHAI)
