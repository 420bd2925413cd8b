"""A second, slow energy of the simulation's points, written from design 4.6 and not from the core.

Everything is a `Fraction`, every step between two used readings is judged and booked by itself.
It knows what the simulation's meters do: plain rises, rollovers with a declared modulus, falls that
are none, gaps, and a gauge; no exchange, no spike, one multiplier.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from store.ledgerimage import Slot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SLOT_US: Final = 900_000_000
HOUR_US: Final = 3_600_000_000
PLAUSIBLE: Final = Fraction(12, 10)


@dataclass(frozen=True, slots=True)
class Declared:
    """A point as the plant file has it; energy in kWh."""

    gauge: bool
    multiplier: Fraction
    modulus: int | None
    rated_power_kw: Fraction | None
    max_gap_us: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A used reading."""

    at_us: int
    value: Fraction


@dataclass(slots=True)
class _Sum:
    energy_e6: int = 0
    estimated_e6: int = 0
    booked_us: int = 0
    measured_us: int = 0


def slots(declared: Declared, seen: Sequence[Seen]) -> dict[int, Slot]:
    """Return what each slot is worth in which something is known."""
    found: dict[int, _Sum] = {}
    for one, two in pairwise(seen):
        for low, high in _cut(one.at_us, two.at_us):
            place = found.setdefault(low - low % SLOT_US, _Sum())
            if declared.gauge:
                _book_area(declared, place, (one, two), (low, high))
            else:
                _book_rise(declared, place, (one, two), (low, high))
    return {
        start: Slot(each.energy_e6, each.estimated_e6, each.measured_us)
        for start, each in found.items()
        if each.booked_us
    }


def end_of(declared: Declared, one: Seen, two: Seen) -> Fraction | None:
    """Return the level that a register's step ends at, None where its energy is unknown."""
    rise = two.value - one.value
    if rise >= 0:
        return two.value if _allowed(declared, rise, one, two) else None
    if declared.modulus is None or rise + declared.modulus < 0:
        return None
    wrapped = rise + declared.modulus
    if declared.rated_power_kw is None and 2 * wrapped >= declared.modulus:
        return None
    return one.value + wrapped if _allowed(declared, wrapped, one, two) else None


def _cut(begin_us: int, end_us: int) -> Iterator[tuple[int, int]]:
    while begin_us < end_us:
        stop_us = min(end_us, begin_us - begin_us % SLOT_US + SLOT_US)
        yield begin_us, stop_us
        begin_us = stop_us


def _book_rise(
    declared: Declared, place: _Sum, step: tuple[Seen, Seen], span: tuple[int, int]
) -> None:
    one, two = step
    end = end_of(declared, one, two)
    if end is None:
        return
    dt_us = two.at_us - one.at_us
    first, last = (
        round((one.value + (end - one.value) * Fraction(at - one.at_us, dt_us)) * _e6(declared))
        for at in span
    )
    place.energy_e6 += last - first
    place.booked_us += span[1] - span[0]
    if dt_us > declared.max_gap_us:
        place.estimated_e6 += last - first
    else:
        place.measured_us += span[1] - span[0]


def _book_area(
    declared: Declared, place: _Sum, step: tuple[Seen, Seen], span: tuple[int, int]
) -> None:
    one, two = step
    dt_us = two.at_us - one.at_us
    if dt_us > declared.max_gap_us:
        return
    slope = (two.value - one.value) / dt_us
    first, last = (
        round((one.value * x + slope * x * x / 2) * _e6(declared) / HOUR_US)
        for x in (span[0] - one.at_us, span[1] - one.at_us)
    )
    place.energy_e6 += last - first
    place.booked_us += span[1] - span[0]
    place.measured_us += span[1] - span[0]


def _allowed(declared: Declared, rise: Fraction, one: Seen, two: Seen) -> bool:
    """At most 1.2 x rated power x dt plus one count."""
    if declared.rated_power_kw is None:
        return True
    most = PLAUSIBLE * declared.rated_power_kw * (two.at_us - one.at_us) / HOUR_US
    return (rise - 1) * declared.multiplier <= most


def _e6(declared: Declared) -> Fraction:
    return declared.multiplier * 1_000_000
