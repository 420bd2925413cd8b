"""What a check finds: one finding a fault, with the meters it may be, how large, since when.

`named` is the one meter that is meant; without it the finding says which ones it may be. A number
that is not known is None. The sentences for people are in core.meterchecks.words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from core import periods
from core.meterchecks.factors import Explanation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Kind(StrEnum):
    """The kinds of findings: a closed list."""

    BOUNDS = "bounds"  # a figure outside what physics leaves possible
    SHIFT = "shift"  # energy per output has become another: a meter, or how output is booked
    SCALE = "scale"  # a meter shows a factor too much or too little
    DRIFT = "drift"  # a meter shows some percent too much or too little
    UNMETERED = "unmetered"  # something runs behind a main meter that no sub-meter shows
    POWER = "power"  # a register and the power of the same load do not agree
    FROZEN = "frozen"  # a gauge or a register stands still while its load runs
    REPEATED = "repeated"  # a day's hours are those of another day, to the last digit
    HELD = "held"  # steps above what is physically possible are held, not booked


class Witness(StrEnum):
    """What a finding rests on."""

    BALANCE = "balance"
    POWER = "power"
    PRODUCTION = "production"
    PAST = "past"
    RATED = "rated_power"
    BOUND = "bound"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault; `error` is relative to the truth, `factor` what is shown over what is true.

    `sure` is the share of likelihood on `named`, or on the first of `candidates` where none is
    named; `excess_kwh` is what is shown too much since then, negative where too little.
    """

    kind: Kind
    subject: str
    since_us: int
    until_us: int | None = None
    named: str | None = None
    candidates: tuple[str, ...] = ()
    sure: float | None = None
    error: float | None = None
    doubt: float | None = None
    factor: float | None = None
    explained: tuple[Explanation, ...] = ()
    excess_kwh: float | None = None
    grows: bool = False
    witnesses: tuple[Witness, ...] = ()
    detail: Mapping[str, str] = field(default_factory=dict)

    def item(self) -> dict[str, Any]:
        """Return the finding as JSON carries it; figures of statistics have four places."""
        return {
            "kind": self.kind.value,
            "subject": self.subject,
            "named": self.named,
            "candidates": list(self.candidates),
            "since": periods.render_utc(self.since_us),
            "until": None if self.until_us is None else periods.render_utc(self.until_us),
            "sure": _rounded(self.sure),
            "error": _rounded(self.error),
            "doubt": _rounded(self.doubt),
            "factor": _rounded(self.factor),
            "explained": [
                {"cause": one.cause, "factor": _rounded(one.factor)} for one in self.explained
            ],
            "excess_kwh": None if self.excess_kwh is None else round(self.excess_kwh),
            "grows": self.grows,
            "witnesses": [one.value for one in self.witnesses],
            "detail": dict(self.detail),
        }


def of_item(item: Mapping[str, Any]) -> Finding:
    """Return the finding that JSON carries, as far as it carries it."""
    until = item["until"]
    return Finding(
        kind=Kind(item["kind"]),
        subject=item["subject"],
        since_us=periods.parse_instant(item["since"]),
        until_us=None if until is None else periods.parse_instant(until),
        named=item["named"],
        candidates=tuple(item["candidates"]),
        sure=item["sure"],
        error=item["error"],
        doubt=item["doubt"],
        factor=item["factor"],
        explained=tuple(Explanation(one["cause"], one["factor"]) for one in item["explained"]),
        excess_kwh=item["excess_kwh"],
        grows=item["grows"],
        witnesses=tuple(Witness(one) for one in item["witnesses"]),
        detail=item["detail"],
    )


@dataclass(frozen=True, slots=True)
class Unchecked:
    """What could not be looked at, and why: a word of a closed list."""

    subject: str
    reason: str

    def item(self) -> dict[str, Any]:
        """Return it as JSON carries it."""
        return {"subject": self.subject, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Sharp:
    """From which error on a meter would be found, and told from the others, by its balances."""

    point: str
    found: float
    named: float

    def item(self) -> dict[str, Any]:
        """Return it as JSON carries it."""
        return {
            "point": self.point,
            "found_from": _rounded(self.found),
            "named_from": _rounded(self.named),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All that the checks of a site say of a window of whole days."""

    site: str
    from_us: int
    until_us: int
    findings: Sequence[Finding]
    unchecked: Sequence[Unchecked]
    sharpness: Sequence[Sharp]
    checked: Mapping[str, int]

    def item(self) -> dict[str, Any]:
        """Return the report as JSON carries it."""
        return {
            "site": self.site,
            "from": periods.render_utc(self.from_us),
            "until": periods.render_utc(self.until_us),
            "findings": [one.item() for one in self.findings],
            "unchecked": [one.item() for one in self.unchecked],
            "sharpness": [one.item() for one in self.sharpness],
            "checked": dict(self.checked),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
