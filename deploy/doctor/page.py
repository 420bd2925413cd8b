"""The doctor's page: what was looked at, how it stands, what to do; worst first.

Promise: everything that is wrong has a remedy beside it; what could not be looked at is said to be
unknown and never taken for well; a list of names ends after MOST_NAMED and says how many follow.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from core import periods
from core.clock import to_us

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime, timedelta

MOST_NAMED: Final = 5
_TOPIC_WIDTH: Final = 10
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400


class Grade(StrEnum):
    """How something stands; in order of what to look at first."""

    BROKEN = "broken"  # readings, figures or alerts do not go where they belong
    WARNING = "warning"  # it will come to that, or somebody must decide
    UNKNOWN = "unknown"  # it could not be looked at from here
    NOTE = "note"  # it is past, or to come, and needs nobody now
    WELL = "well"


BAD: Final = frozenset({Grade.BROKEN, Grade.WARNING})
_ORDER: Final = tuple(Grade)


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was looked at: what is seen, in a sentence, and what to do about it."""

    topic: str
    grade: Grade
    seen: str
    remedy: str = ""

    def __post_init__(self) -> None:
        """Hold the promise that what is wrong has a remedy."""
        assert self.remedy or self.grade in {Grade.NOTE, Grade.WELL}, self  # noqa: S101 - a belief

    def item(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "topic": self.topic,
            "grade": self.grade.value,
            "seen": self.seen,
            "remedy": self.remedy or None,
        }


def is_bad(found: Iterable[Checked]) -> bool:
    """Tell whether a person must do something."""
    return any(each.grade in BAD for each in found)


def ordered(found: Iterable[Checked]) -> list[Checked]:
    """Return what is worst first, in the order it was looked at within a grade."""
    return sorted(found, key=lambda each: _ORDER.index(each.grade))


def answer(found: Sequence[Checked], store: str | None, now: datetime) -> dict[str, Any]:
    """Return the page as JSON."""
    return {
        "store": store,
        "at": periods.render_utc(to_us(now)),
        "grades": _counts(found),
        "items": [each.item() for each in ordered(found)],
    }


def lines(found: Sequence[Checked], store: str | None, now: datetime) -> list[str]:
    """Return the page as a person reads it."""
    counts = [f"{count} {grade}" for grade, count in _counts(found).items() if count]
    told = [
        f"store {store or 'unknown'}, {periods.render_utc(to_us(now))}",
        ", ".join(counts),
        "",
    ]
    for each in ordered(found):
        told.append(f"{each.grade.value:<8} {each.topic:<{_TOPIC_WIDTH}} {each.seen}")
        if each.remedy:
            told.append(f"{'':<8} {'':<{_TOPIC_WIDTH}} -> {each.remedy}")
    return told


def named(names: Collection[str]) -> str:
    """Return names in their order, the first MOST_NAMED of them."""
    shown = sorted(names)[:MOST_NAMED]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def lasting(span: timedelta) -> str:
    """Return a span as people say it: in the unit that leaves one or two figures."""
    seconds = span.total_seconds()
    for length, word in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {word}"
    return f"{seconds:.0f} s"


def _counts(found: Iterable[Checked]) -> dict[str, int]:
    counted = Counter(each.grade for each in found)
    return {grade.value: counted[grade] for grade in Grade}
