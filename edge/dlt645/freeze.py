"""Daily freezes (日冻结): which to ask for next, and what instant they belong to. Pure.

A meter keeps its registers at 00:00 of its own clock, the latest as number 1, up to 62 days back.
Such a count belongs to that instant, not to the one at which it is read: `Book` remembers which are
known, asks for the latest once a day is over, and for earlier ones after a start, so that days on
which nobody asked are not missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from core.clock import from_us, to_us
from edge.dlt645 import items

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

MOST_DAYS: Final = 62  # DL/T 645-2007, table A.6: 01H to 3EH
INSTANT: Final = 0x05060000  # + number: YYMMDDhhmm
CLOCK_DATE: Final = 0x04000101  # YYMMDDWW
CLOCK_TIME: Final = 0x04000102  # hhmmss
SETTLE_US: Final = 30_000_000  # after midnight: the meter's clock may be behind ours
RETRY_US: Final = 60_000_000
MIDNIGHT_GUARD_S: Final = 10  # date and time are two questions, and a day may end between them
_CENTURY: Final = 2_000
_INSTANT_BYTES: Final = 5
_DATE_BYTES: Final = 4
_TIME_BYTES: Final = 3
_DAY_S: Final = 86_400


@dataclass(slots=True)
class Book:
    """What is known of one meter's freezes, by number of days back."""

    days: int
    zone: ZoneInfo
    _open: list[int] = field(default_factory=list)
    _next_us: int = 0
    _latest_us: int | None = None

    def __post_init__(self) -> None:
        self._open = list(range(1, self.days + 1))

    def due(self, now_us: int) -> int | None:
        """Return the number of the freeze to ask for now, None where none is due."""
        if now_us < self._next_us:
            return None
        return self._open[0] if self._open else 1

    def none(self, now_us: int) -> None:
        """Note that the meter has no freeze of this number: nor has it older ones."""
        self._open.clear()
        self._next_us = now_us + RETRY_US

    def later(self, now_us: int) -> None:
        """Note that the one asked for cannot be told yet."""
        self._next_us = now_us + RETRY_US

    def is_new(self, number: int, instant_us: int) -> bool:
        """Tell whether the freeze of this number and instant is still to be read."""
        return number > 1 or self._latest_us is None or instant_us != self._latest_us

    def took(self, number: int, instant_us: int, now_us: int) -> None:
        """Note that a freeze has been read, or is the one known already."""
        if number == 1:
            self._latest_us = instant_us
        if number in self._open:
            self._open.remove(number)
        if self._open:
            return
        after_us = self.next_us(self._latest_us or instant_us) + SETTLE_US
        self._next_us = after_us if after_us > now_us else now_us + RETRY_US

    def next_us(self, instant_us: int) -> int:
        """Return the instant of the freeze after one: the same time of the next day there."""
        local = from_us(instant_us).astimezone(self.zone).replace(tzinfo=None)
        return to_us((local + timedelta(days=1)).replace(tzinfo=self.zone))

    def instant(self, data: bytes) -> int | None:
        """Return the instant of YYMMDDhhmm in plant time, None where it is none."""
        if len(data) != _INSTANT_BYTES:
            return None
        parts = _parts(data)
        if parts is None:
            return None
        year, month, day, hour, minute = parts
        return self._plant(year, month, day, hour * 60 + minute, 60)

    def clock(self, date: bytes, time: bytes) -> int | None:
        """Return what the meter's clock shows, None where it is none or too near to midnight."""
        if len(date) != _DATE_BYTES or len(time) != _TIME_BYTES:
            return None
        day, moment = _parts(date), _parts(time)
        if day is None or moment is None:
            return None
        seconds = moment[0] * 3_600 + moment[1] * 60 + moment[2]
        if not MIDNIGHT_GUARD_S <= seconds <= _DAY_S - MIDNIGHT_GUARD_S:
            return None
        return self._plant(day[0], day[1], day[2], seconds, 1)

    def _plant(self, year: int, month: int, day: int, units: int, seconds: int) -> int | None:
        if units * seconds >= _DAY_S:
            return None
        try:
            midnight = datetime(_CENTURY + year, month, day)  # noqa: DTZ001 - plant time, see below
        except ValueError:
            return None
        local = midnight + timedelta(seconds=units * seconds)
        return to_us(local.replace(tzinfo=self.zone))


def numbered(identifier: int, number: int) -> int:
    """Return the identifier that brings the freeze of so many days back."""
    return identifier & ~0xFF | number


def _parts(data: bytes) -> list[int] | None:
    """Return the two-digit numbers of BCD bytes, highest first."""
    found = [items.bcd(data[i : i + 1]) for i in reversed(range(len(data)))]
    return [each for each in found if each is not None] if None not in found else None
