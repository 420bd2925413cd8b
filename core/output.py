"""Production facts: what was tapped, weighed, counted in stock or corrected (design 4.2)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core import decimals, names, periods
from core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS: Final = ("tapping", "weighing", "stock", "correction")
MOST_ID_CHARS: Final = 200
MOST_GRADES: Final = 20
MOST_MASS_T: Final = 10_000_000
MOST_AHEAD_US: Final = 5 * 60 * 1_000_000
OLDEST_US: Final = 946_684_800_000_000  # 2000-01-01T00:00Z
MOST_REVISION: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class OutputFact:
    """One production fact; belongs to the period that holds `at_us`.

    `mass_e6` in millionths of a tonne; grades as decimal strings; a higher revision of an id
    corrects it.
    """

    id: str
    revision: int
    unit: str
    kind: str
    at_us: int
    mass_e6: int
    grades: Mapping[str, str]

    @property
    def site(self) -> str:
        """Return the site that the unit belongs to."""
        return names.site_of(self.unit)

    def item(self) -> dict[str, Any]:
        """Return the fact as JSON carries it."""
        return {
            "id": self.id,
            "revision": self.revision,
            "unit": self.unit,
            "kind": self.kind,
            "at": periods.render_utc(self.at_us),
            "mass_t": decimals.show_e6(self.mass_e6),
            "grades": dict(self.grades),
        }


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
    return OutputFact(
        fact_id, revision, _text(data, "unit", 200), str(kind), at_us, _mass(data), _grades(data)
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


def _mass(data: Mapping[str, Any]) -> int:
    text = data.get("mass_t")
    if not isinstance(text, str):
        raise Rejected('mass_t is not a decimal string such as "6.125"', "unreadable")
    try:
        mass_e6 = decimals.exact_e6(decimals.parse(text))
    except ValueError as error:
        raise Rejected(f"mass_t {text[:40]!r}: {error}", "not_a_number") from error
    if abs(mass_e6) > MOST_MASS_T * decimals.E6:
        raise Rejected(f"mass_t {text[:40]} is more than {MOST_MASS_T} t", "not_a_number")
    if mass_e6 < 0 and data.get("kind") != "correction":
        raise Rejected("mass_t is negative: only a correction may be", "not_a_number")
    return mass_e6


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
        if value < 0 or (name != "gas_yield" and value > 1):
            raise Rejected(f"grade {name[:40]} is not a mass fraction from 0 to 1", "not_a_number")
        checked[name] = text
    return checked
