"""Numbers, units and time: exact fractions, microseconds since 1970, rounding only in print."""

# ruff: noqa: B905, FURB162, UP017 - this runs on Python 3.9 too

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from store.inspector.sealed import Json

E6 = 10**6
HOUR, SLOT = 3_600 * E6, 900 * E6  # microseconds
Span = tuple[int, int]


class BeyondError(Exception):
    """Something that this program does not know how to compute."""


def neighbours(items: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Return each item with the one after it."""
    return list(zip(items, items[1:]))  # noqa: RUF007 - Python 3.9 has no pairwise


UNITS: dict[str, tuple[str, Fraction]] = {
    "Wh": ("energy", Fraction(1, 1000)), "kWh": ("energy", Fraction(1)),
    "MWh": ("energy", Fraction(1000)), "GWh": ("energy", Fraction(E6)),
    "MJ": ("energy", Fraction(1000, 3600)), "GJ": ("energy", Fraction(E6, 3600)),
    "kg": ("mass", Fraction(1, 1000)), "t": ("mass", Fraction(1)), "m3": ("volume", Fraction(1)),
    "mg/m3.h": ("concentration", Fraction(1)), "%.h": ("share", Fraction(1)),
    "kW": ("power", Fraction(1, 1000)), "MW": ("power", Fraction(1)),
    "kgce": ("coal_equivalent", Fraction(1, 1000)), "tce": ("coal_equivalent", Fraction(1)),
    "cny": ("money", Fraction(1, 10_000)), "10k_cny": ("money", Fraction(1)),
}  # fmt: skip
# What a gauge books in an hour.
RATES = {"W": "Wh", "kW": "kWh", "MW": "MWh", "kg/h": "kg", "t/h": "t", "m3/h": "m3",
         "mg/m3": "mg/m3.h", "%": "%.h"}  # fmt: skip
KJ_PER_KGCE = Fraction("29307.6")


def convert(amount: Fraction, unit: str, to: str) -> Fraction:
    """Return an amount in another unit of its quantity."""
    return amount if unit == to else amount * UNITS[unit][1] / UNITS[to][1]


def half_even(numerator: int, denominator: int) -> int:
    """Return the quotient rounded to a whole number, half to even."""
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def shown(value: Fraction | None) -> str | None:
    """Print with at most six places, half to even; this is the only rounding of a figure."""
    if value is None:
        return None
    whole, rest = divmod(abs(round(value * E6)), E6)
    text = f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if round(value * E6) < 0 else text


def root(value: Fraction) -> Fraction:
    """Return the square root to 40 digits."""
    with localcontext() as context:
        context.prec = 40
        return Fraction((Decimal(value.numerator) / Decimal(value.denominator)).sqrt())


def to_us(at: datetime) -> int:
    """Return microseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


def instant(text: str) -> int:
    """Return microseconds since 1970 of a time with an offset."""
    return to_us(datetime.fromisoformat(text.replace("Z", "+00:00")))


def zone_of(name: str) -> tzinfo:
    """Return a time zone; raises BeyondError where this machine does not know it."""
    try:
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - a machine may lack its data

        return ZoneInfo(name)
    except (ImportError, KeyError, OSError, ValueError):
        if name == "Asia/Shanghai":  # one offset since 1991
            return timezone(timedelta(hours=8))
        raise BeyondError(f"this machine has no data of the time zone {name}") from None


def midnight(day: date, zone: tzinfo) -> int:
    """Return the first instant of a day."""
    return to_us(datetime(day.year, day.month, day.day, tzinfo=zone))


def day_of(at: int, zone: tzinfo) -> date:
    """Return the day that holds an instant."""
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=at)
    return moment.astimezone(zone).date()


def dated(entries: Iterable[Json]) -> list[tuple[int, Fraction]]:
    """Return declared values with the instants from which they hold."""
    return [(instant(one["from"]), Fraction(one["value"])) for one in entries]


def held_at(entries: Sequence[tuple[int, Any]], at: int) -> Any:
    """Return the last value that began at or before an instant, None before the first."""
    held = [value for since, value in entries if since <= at]
    return held[-1] if held else None


def cut(span: Span, edges: Iterable[int]) -> list[Span]:
    """Cut a span at the edges that lie inside it."""
    bounds = [span[0], *sorted({at for at in edges if span[0] < at < span[1]}), span[1]]
    return neighbours(bounds)
