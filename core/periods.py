"""Half-open periods named by their start; the only module that knows plant time.

A slot is 15 minutes, an hour and a slot are cut in elapsed time, a day and longer by the plant's
calendar (so a day may have 23 or 25 hours where the zone changes its clock).
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.clock import from_us, to_us
from core.errors import Rejected

MINUTE_US: Final = 60_000_000
SLOT_US: Final = 15 * MINUTE_US
HOUR_US: Final = 60 * MINUTE_US
SHIFT_HOURS: Final = 8
MOST_PERIODS: Final = 20_000
_MONTH: Final = re.compile(r"([12][0-9]{3})-(0[1-9]|1[0-2])")


class Period(StrEnum):
    """The statistical periods, shortest first (domain 2.9)."""

    SLOT = "slot"
    HOUR = "hour"
    SHIFT = "shift"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """Return the time zone; raises ValueError where there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone is called {name!r}; write it like Asia/Shanghai") from error


def slot_start(instant_us: int) -> int:
    """Return the start of the slot that holds the instant."""
    return instant_us - instant_us % SLOT_US


def period_at(period: Period, instant_us: int, zone_name: str) -> tuple[int, int]:
    """Return [start, end) in microseconds of the period that holds the instant."""
    if period is Period.SLOT:
        start = slot_start(instant_us)
        return start, start + SLOT_US
    local = from_us(instant_us).astimezone(zone(zone_name))
    if period is Period.HOUR:
        offset_us = _offset_us(local)
        start = instant_us - (instant_us + offset_us) % HOUR_US
        return start, start + HOUR_US
    begin, end = _calendar(period, local.replace(tzinfo=None))
    return _instant(begin, zone_name), _instant(end, zone_name)


def periods_between(
    period: Period, from_us: int, until_us: int, zone_name: str
) -> list[tuple[int, int]]:
    """Return the periods whose start lies in [from, until), at most MOST_PERIODS of them.

    Raises Rejected where there would be more.
    """
    found: list[tuple[int, int]] = []
    if until_us <= from_us:
        return found
    start, end = period_at(period, from_us, zone_name)
    if start < from_us:
        start, end = period_at(period, end, zone_name)
    while start < until_us:
        found.append((start, end))
        if len(found) > MOST_PERIODS:
            raise Rejected(
                f"the range holds more than {MOST_PERIODS} periods of kind {period}: "
                "ask for a shorter range or a longer period"
            )
        start, end = period_at(period, end, zone_name)
    return found


def periods_over(
    period: Period, from_us: int, until_us: int, zone_name: str
) -> list[tuple[int, int]]:
    """Return the periods that overlap [from, until), whole."""
    if until_us <= from_us:
        return []
    first, _ = period_at(period, from_us, zone_name)
    return periods_between(period, first, until_us, zone_name)


def parse_month(text: str, zone_name: str) -> tuple[int, int]:
    """Return [start, end) of a month written as 2026-10; raises ValueError for anything else."""
    match = _MONTH.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no month: write it as 2026-10")
    begin, end = _calendar(Period.MONTH, datetime(int(match[1]), int(match[2]), 1))  # noqa: DTZ001 - plant time
    return _instant(begin, zone_name), _instant(end, zone_name)


def render_month(bounds_us: tuple[int, int], zone_name: str) -> str:
    """Print a month as 2026-10, whatever clock its bounds were cut by."""
    middle = from_us(sum(bounds_us) // 2).astimezone(zone(zone_name))
    return f"{middle:%Y-%m}"


def midnight(day: date, zone_name: str) -> int:
    """Return the instant at which a day of the plant's calendar begins [us]."""
    return _instant(datetime(day.year, day.month, day.day), zone_name)  # noqa: DTZ001 - plant time


def day_of(instant_us: int, zone_name: str) -> date:
    """Return the day of the plant's calendar that holds the instant."""
    return from_us(instant_us).astimezone(zone(zone_name)).date()


def render(instant_us: int, zone_name: str) -> str:
    """Print an instant in RFC 3339 with the plant's offset, as period bounds are."""
    return from_us(instant_us).astimezone(zone(zone_name)).isoformat()


def render_utc(instant_us: int) -> str:
    """Print an instant in RFC 3339 with `Z`, as everything else is."""
    return from_us(instant_us).isoformat().replace("+00:00", "Z")


def parse_instant(text: str) -> int:
    """Read an RFC 3339 instant that has an offset; raises ValueError otherwise."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"the time {text!r} has no offset: add Z or +08:00")
    try:
        return to_us(instant)
    except OverflowError as error:
        raise ValueError(f"the time {text!r} is outside the years 1 to 9999") from error


def _calendar(period: Period, local: datetime) -> tuple[datetime, datetime]:
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if period is Period.DAY:
        return midnight, midnight + timedelta(days=1)
    if period is Period.SHIFT:
        begin = midnight + timedelta(hours=local.hour // SHIFT_HOURS * SHIFT_HOURS)
        return begin, begin + timedelta(hours=SHIFT_HOURS)
    if period is Period.MONTH:
        begin = midnight.replace(day=1)
        return begin, (begin + timedelta(days=32)).replace(day=1)
    begin = midnight.replace(month=1, day=1)
    return begin, begin.replace(year=begin.year + 1)


def _instant(local: datetime, zone_name: str) -> int:
    return to_us(local.replace(tzinfo=zone(zone_name)))


def _offset_us(local: datetime) -> int:
    offset = local.utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) * 1_000_000
