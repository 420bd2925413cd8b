"""Production facts: what was tapped, weighed, charged, received or found in stock (design 4.2).

A fact says how much of a stream there was: of the unit's product unless it names another. Mass in
tonnes is `mass_t`; any other amount comes with its unit. Both are exact to a millionth.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core import decimals, names, periods, units
from core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

# What happened: `tapping` and `weighing` of product; `receipt` and `shipment` over the fence;
# `charge` into the furnace; `use` elsewhere; `stock` is a level at an instant, the others are
# amounts; `base` is of a base year; a `correction` adds to what it corrects and may be negative.
KINDS: Final = (
    "tapping", "weighing", "stock", "correction", "receipt", "shipment", "charge", "use", "base",
)  # fmt: skip
TONNE: Final = "t"
STREAM_PATTERN: Final = r"[a-z][a-z0-9_]{0,62}"
MOST_ID_CHARS: Final = 200
MOST_GRADES: Final = 20
MOST_MASS_T: Final = 10_000_000  # of one fact: more is a wrong unit
MOST_AMOUNT: Final = 10_000_000_000  # of other units: ten megatonnes in kg; sums still fit int64
# Grades are fractions of the mass but for these, which have a unit of their own.
UNIT_GRADES: Final = {
    "gas_yield": "L/kg",
    "lhv_kj_per_kg": "kJ/kg",
    "lhv_kj_per_m3": "kJ/m3",
    "feed_per_product": "t/t",
}
MOST_GRADE: Final = 200_000  # the highest heating value there is: hydrogen's 120,000 kJ/kg
MOST_AHEAD_US: Final = 5 * 60 * 1_000_000
OLDEST_US: Final = 946_684_800_000_000  # 2000-01-01T00:00Z
MOST_REVISION: Final = 2**31 - 1
_STREAM = re.compile(STREAM_PATTERN)


@dataclass(frozen=True, slots=True)
class OutputFact:
    """One production fact; belongs to the period that holds `at_us`.

    `mass_e6` in millionths of `amount_unit`, of a tonne where that is None; `stream` None is the
    unit's product; grades as decimal strings; a higher revision of an id corrects it.
    """

    id: str
    revision: int
    unit: str
    kind: str
    at_us: int
    mass_e6: int
    grades: Mapping[str, str]
    stream: str | None = None
    amount_unit: str | None = None

    @property
    def site(self) -> str:
        """Return the site that the unit belongs to."""
        return names.site_of(self.unit)

    def item(self) -> dict[str, Any]:
        """Return the fact as JSON carries it: what it does not have is left out."""
        return {
            "id": self.id,
            "revision": self.revision,
            "unit": self.unit,
            "kind": self.kind,
            "at": periods.render_utc(self.at_us),
            **amount_item(self.mass_e6, self.amount_unit),
            "grades": dict(self.grades),
            **({} if self.stream is None else {"stream": self.stream}),
        }


def amount_item(amount_e6: int, amount_unit: str | None) -> dict[str, str]:
    """Return an amount as JSON carries it: tonnes as `mass_t`, all else with its unit."""
    if amount_unit is None:
        return {"mass_t": decimals.show_e6(amount_e6)}
    return {"amount": decimals.show_e6(amount_e6), "amount_unit": amount_unit}


def parse(payload: bytes, now_us: int) -> OutputFact:
    """Read a fact from JSON; raises Rejected with a dead-letter reason and one sentence."""
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Rejected("the message is not JSON: send one object", "unreadable") from error
    return from_data(data, now_us)


def from_data(data: object, now_us: int) -> OutputFact:
    """Check a decoded fact; raises Rejected as `parse` does."""
    if not isinstance(data, dict):
        raise Rejected("the message is not a JSON object", "unreadable")
    fact_id = _text(data, "id", MOST_ID_CHARS)
    revision = data.get("revision", 0)
    if isinstance(revision, bool) or not isinstance(revision, int):
        raise Rejected("revision is not a whole number", "unreadable")
    if not 0 <= revision <= MOST_REVISION:
        raise Rejected(f"revision is not from 0 to {MOST_REVISION}", "unreadable")
    kind = data.get("kind")
    if kind not in KINDS:
        raise Rejected(f"kind is none of {', '.join(KINDS)}", "unreadable")
    at_us = _instant(_text(data, "at", 64))
    if at_us > now_us + MOST_AHEAD_US:
        raise Rejected(f"at {data['at']} lies more than 5 minutes ahead", "future")
    if at_us < OLDEST_US:
        raise Rejected(f"at {data['at']} lies before the year 2000", "too_old")
    amount_e6, amount_unit = _amount(data)
    return OutputFact(
        fact_id,
        revision,
        _text(data, "unit", 200),
        str(kind),
        at_us,
        amount_e6,
        _grades(data),
        _stream(data),
        amount_unit,
    )


def _text(data: Mapping[str, Any], key: str, most: int) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= most or "\x00" in value:
        raise Rejected(f"{key} is missing or is no text of 1 to {most} characters", "unreadable")
    return value


def _instant(text: str) -> int:
    try:
        return periods.parse_instant(text)
    except (ValueError, OverflowError) as error:
        raise Rejected(f"at {text!r} is no time with an offset", "unreadable") from error


def _stream(data: Mapping[str, Any]) -> str | None:
    value = data.get("stream")
    if value is None:
        return None
    if not isinstance(value, str) or not _STREAM.fullmatch(value):
        raise Rejected('stream is no name such as "raw_coal": a to z, 0 to 9, _', "unreadable")
    return value


def _amount(data: Mapping[str, Any]) -> tuple[int, str | None]:
    """Return (millionths, unit) of the fact's one amount; the unit is None for tonnes."""
    mass, amount, unit = (data.get(key) for key in ("mass_t", "amount", "amount_unit"))
    if (mass is None) == (amount is None):
        raise Rejected("a fact has exactly one of mass_t and amount", "unreadable")
    if (amount is None) != (unit is None):
        raise Rejected('amount needs its amount_unit, such as "kg"; mass_t has none', "unreadable")
    if unit is not None and (not isinstance(unit, str) or unit not in units.OF_FACTS):
        raise Rejected(f"amount_unit is none of {', '.join(units.OF_FACTS)}", "unreadable")
    key = "mass_t" if amount is None else "amount"
    amount_e6 = _millionths(key, mass if amount is None else amount, unit or TONNE)
    if amount_e6 < 0 and data.get("kind") != "correction":
        raise Rejected(f"{key} is negative: only a correction may be", "not_a_number")
    return amount_e6, unit if unit != TONNE else None


def _millionths(key: str, text: object, unit: str) -> int:
    if not isinstance(text, str):
        raise Rejected(f'{key} is not a decimal string such as "6.125"', "unreadable")
    try:
        amount_e6 = decimals.exact_e6(decimals.parse(text))
    except ValueError as error:
        raise Rejected(f"{key} {text[:40]!r}: {error}", "not_a_number") from error
    most = MOST_MASS_T if unit == TONNE else MOST_AMOUNT
    if abs(amount_e6) > most * decimals.E6:
        raise Rejected(f"{key} {text[:40]} is more than {most} {unit}", "not_a_number")
    return amount_e6


def _grades(data: Mapping[str, Any]) -> dict[str, str]:
    grades = data.get("grades") or {}
    if not isinstance(grades, dict) or len(grades) > MOST_GRADES:
        raise Rejected(f"grades is no object of at most {MOST_GRADES} entries", "unreadable")
    checked: dict[str, str] = {}
    for name, text in grades.items():
        try:
            value = decimals.parse(text)
        except (ValueError, TypeError) as error:
            raise Rejected(f"grade {name[:40]} is not a decimal string", "not_a_number") from error
        if name in UNIT_GRADES:
            if not 0 <= value <= MOST_GRADE:
                most = f"from 0 to {MOST_GRADE} {UNIT_GRADES[name]}"
                raise Rejected(f"grade {name} is not {most}", "not_a_number")
        elif not 0 <= value <= 1:
            raise Rejected(f"grade {name[:40]} is not a mass fraction from 0 to 1", "not_a_number")
        checked[name] = text
    return checked
