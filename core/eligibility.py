"""May a plant have public funds and preferences: what benchmarks found of it, what answered it.

The source bars who took no part or lags "until the retrofit is completed" (clause B04), so a later,
better rank lifts nothing: only a record of a retrofit that was completed after the benchmarked
period does. Promise: the answer depends on the records, not on the order in which they came.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from core import benchmarkrules, periods
from core.benchmarking import Position
from core.benchmarkrules import ClauseKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BARRING: Final = frozenset({Position.LAGGARD, Position.NON_PARTICIPANT})
MOST_TEXT_CHARS: Final = 2_000  # of what a retrofit was, and of its document


class Eligibility(StrEnum):
    """Whether a sanction stands."""

    CLEAR = "clear"
    BARRED = "barred"


@dataclass(frozen=True, slots=True)
class Found:
    """What the newest record of one benchmark says of a plant."""

    benchmark: str
    site: str
    indicator: str
    jurisdiction: str
    period: str
    period_end_us: int
    position: Position
    recorded_us: int
    recorded_by: str

    def item(self, timezone: str) -> dict[str, Any]:
        """Return it as JSON carries it."""
        return {
            "benchmark": self.benchmark,
            "indicator": self.indicator,
            "jurisdiction": self.jurisdiction,
            "period": self.period,
            "period_end": periods.render(self.period_end_us, timezone),
            "position": self.position.value,
            "recorded_at": periods.render_utc(self.recorded_us),
            "recorded_by": self.recorded_by,
        }


@dataclass(frozen=True, slots=True)
class Retrofit:
    """A completed retrofit, recorded by the regulator with the document that accepted it."""

    retrofit: str
    site: str
    indicators: tuple[str, ...]
    completed_us: int
    what: str
    document: str
    recorded_us: int
    recorded_by: str

    def answers(self, found: Found) -> bool:
        """Tell whether it lifts what was found: of that figure, and done after that period."""
        return (
            found.site == self.site
            and found.indicator in self.indicators
            and self.completed_us >= found.period_end_us
        )

    def item(self, timezone: str) -> dict[str, Any]:
        """Return it as JSON carries it."""
        return {
            "retrofit": self.retrofit,
            "site": self.site,
            "indicators": list(self.indicators),
            "completed_at": periods.render(self.completed_us, timezone),
            "what": self.what,
            "document": self.document,
            "recorded_at": periods.render_utc(self.recorded_us),
            "recorded_by": self.recorded_by,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """A plant's eligibility, with every finding and what lifted it."""

    site: str
    findings: Sequence[Found]
    retrofits: Sequence[Retrofit]

    @property
    def barring(self) -> list[Found]:
        """Return the findings that bar the plant now, the oldest period first."""
        return [
            one
            for one in sorted(self.findings, key=lambda each: (each.period_end_us, each.indicator))
            if one.position in BARRING and self.lifted_by(one) is None
        ]

    @property
    def eligibility(self) -> Eligibility:
        """Return whether a sanction stands."""
        return Eligibility.BARRED if self.barring else Eligibility.CLEAR

    def lifted_by(self, found: Found) -> Retrofit | None:
        """Return the earliest completed retrofit that answers a finding."""
        able = [one for one in self.retrofits if one.answers(found)]
        return min(able, key=lambda one: (one.completed_us, one.retrofit), default=None)

    def item(self, timezone: str) -> dict[str, Any]:
        """Return the standing as JSON carries it."""
        barred = {one.benchmark for one in self.barring}
        lifted = {one.benchmark: self.lifted_by(one) for one in self.findings}
        return {
            "site": self.site,
            "eligibility": self.eligibility.value,
            "clause": _sanction() if barred else None,
            "findings": [
                {
                    **one.item(timezone),
                    "bars": one.benchmark in barred,
                    "lifted_by": _id(lifted[one.benchmark]) if one.position in BARRING else None,
                }
                for one in self.findings
            ],
            "retrofits": [one.item(timezone) for one in self.retrofits],
        }


def standing(site: str, findings: Iterable[Found], retrofits: Iterable[Retrofit]) -> Standing:
    """Return how a plant stands by everything that is recorded of it."""
    own = [one for one in findings if one.site == site]
    return Standing(
        site,
        sorted(own, key=lambda one: (one.period_end_us, one.indicator, one.benchmark)),
        sorted(
            (one for one in retrofits if one.site == site),
            key=lambda one: (one.completed_us, one.retrofit),
        ),
    )


def _sanction() -> str:
    """Return the clause by which a plant is barred."""
    clauses = benchmarkrules.shipped().clauses.values()
    return next(one.id for one in clauses if one.kind is ClauseKind.SANCTION)


def _id(retrofit: Retrofit | None) -> str | None:
    return None if retrofit is None else retrofit.retrofit
