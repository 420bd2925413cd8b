"""What a rehearsed rule would have done: how often it rang, how long, how densely, and to what use.

A ring is one episode of one alert, from the notice that raised it to the one that ended it. It was
of use if a closed period proved it right. A rule was silent where a closed period was over its
bound and nothing had rung while the period ran. Numbers only: sentences are the caller's.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from core import periods
from core.alerts import Finding, Notice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.rehearsal import Closing, Looks, Told

WINDOW_US: Final = 600_000_000  # ten minutes: the window of EEMUA 191 and ISA-18.2
# More in ten minutes is a flood, which a person cannot answer (EEMUA 191, ISA-18.2 table 7).
MOST_IN_WINDOW: Final = 10
MOST_LISTED: Final = 10  # alerts that rang most, of one summary; all are counted
_HOUR_US: Final = 3_600_000_000


class Use(StrEnum):
    """What the closed period said of a ring that was raised while it ran, or by its end."""

    USEFUL = "useful"
    FALSE = "false"  # the period was found within
    UNPROVEN = "unproven"  # the period closed without proof of either
    OPEN = "open"  # the period had not closed when the span ended


@dataclass(frozen=True, slots=True)
class Watched:
    """What one alert of a rehearsal stands for: a subject, and what is said of it."""

    subject: str  # a unit, point or site
    about: str  # a limit or a condition
    zone: str


@dataclass(frozen=True, slots=True)
class Ring:
    """One episode; `ended_us` None: it rang on when the span ended."""

    alert: int
    raised_us: int
    ended_us: int | None
    severity: int
    period_start_us: int
    use: Use

    def length_us(self, until_us: int) -> int:
        """Return how long it rang within the span."""
        return (until_us if self.ended_us is None else self.ended_us) - self.raised_us


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """The outcome of one rule over one span."""

    rule: str
    span_us: tuple[int, int]
    watched: Sequence[Watched]
    looks: int
    seen: int  # alerts that had at least one finding that proves something
    rings: Sequence[Ring]
    closings: Sequence[Closing]
    silent: Sequence[Closing]
    is_periodic: bool = True  # closed periods prove rings right or wrong; not so for conditions

    @property
    def worst(self) -> tuple[int, int | None]:
        """Return the most rings raised within ten minutes, and when the first of them was."""
        return densest([ring.raised_us for ring in self.rings])

    @property
    def silence(self) -> tuple[int, int]:
        """Return the longest stretch of the span in which nothing rang."""
        return quietest(self.rings, self.span_us)

    @property
    def closed(self) -> dict[str, int]:
        """Return how many closed periods had which finding."""
        counts = Counter(one.finding for one in self.closings)
        return {
            "exceeds": counts[Finding.EXCEEDS],
            "within": counts[Finding.WITHIN],
            "unproven": counts[Finding.UNKNOWN],
        }

    @property
    def is_flooded(self) -> bool:
        """Tell whether more rang within ten minutes than a person can answer."""
        return self.worst[0] > MOST_IN_WINDOW

    @property
    def noisiest(self) -> list[tuple[Watched, int, int]]:
        """Return the alerts that rang most: what, how often, how long [us]."""
        counts = Counter(ring.alert for ring in self.rings)
        lengths: Counter[int] = Counter()
        for ring in self.rings:
            lengths[ring.alert] += ring.length_us(self.span_us[1])
        order = sorted(counts, key=lambda one: (-counts[one], -lengths[one], one))
        return [(self.watched[one], counts[one], lengths[one]) for one in order[:MOST_LISTED]]

    def item(self) -> dict[str, Any]:
        """Return the outcome as JSON carries it; hours to a thousandth."""
        begin, until = self.span_us
        lengths = [ring.length_us(until) for ring in self.rings]
        count, first = self.worst
        quiet = self.silence
        return {
            "rule": self.rule,
            "from": periods.render_utc(begin),
            "to": periods.render_utc(until),
            "alerts": {"watched": len(self.watched), "with_proof": self.seen},
            "looks": self.looks,
            "rang": {
                "times": len(self.rings),
                "by_severity": dict(sorted(Counter(one.severity for one in self.rings).items())),
                "by_use": {use.value: self.used(use) for use in Use} if self.is_periodic else None,
                "still": sum(one.ended_us is None for one in self.rings),
                "total_h": _hours(sum(lengths)),
                "median_h": _hours(statistics.median(lengths)) if lengths else None,
                "longest_h": _hours(max(lengths)) if lengths else None,
            },
            "worst_10_min": {
                "rings": count,
                "from": None if first is None else periods.render_utc(first),
                "mean": round(len(self.rings) * WINDOW_US / max(until - begin, 1), 6),
                "flood_above": MOST_IN_WINDOW,
            },
            "longest_silence": {
                "from": periods.render_utc(quiet[0]),
                "to": periods.render_utc(quiet[1]),
                "hours": _hours(quiet[1] - quiet[0]),
            },
            "closed_periods": self.closed if self.is_periodic else None,
            "silent": [self._closing(one) for one in self.silent] if self.is_periodic else None,
            "noisiest": [
                {
                    "subject": what.subject,
                    "about": what.about,
                    "times": times,
                    "total_h": _hours(us),
                }
                for what, times, us in self.noisiest
            ],
            "rings": [self._ring(one) for one in self.rings],
        }

    def used(self, use: Use) -> int:
        """Return how many rings were of this use."""
        return sum(ring.use is use for ring in self.rings)

    def _ring(self, ring: Ring) -> dict[str, Any]:
        what = self.watched[ring.alert]
        return {
            "subject": what.subject,
            "about": what.about,
            "raised_at": periods.render_utc(ring.raised_us),
            "resolved_at": None if ring.ended_us is None else periods.render_utc(ring.ended_us),
            "severity": ring.severity,
            "period_start": periods.render(ring.period_start_us, what.zone),
            "use": ring.use.value if self.is_periodic else None,
        }

    def _closing(self, closing: Closing) -> dict[str, Any]:
        what = self.watched[closing.alert]
        return {
            "subject": what.subject,
            "about": what.about,
            "period_start": periods.render(closing.start_us, what.zone),
            "period_end": periods.render(closing.end_us, what.zone),
        }


def outcome(
    rule: str,
    span_us: tuple[int, int],
    watched: Sequence[Watched],
    looks: Looks,
    told: Iterable[Told],
    *,
    is_periodic: bool = True,
) -> Rehearsed:
    """Return what became of a rule: rings made of notices, held against closed periods."""
    closings = looks.closings()
    rings = rings_of(told, closings)
    return Rehearsed(
        rule,
        span_us,
        watched,
        looks.finding.size,
        looks.proving(),
        rings,
        closings,
        silent_of(rings, closings),
        is_periodic,
    )


def rings_of(told: Iterable[Told], closings: Iterable[Closing]) -> list[Ring]:
    """Return one ring for each episode, in order of their raising."""
    proven = {(one.alert, one.start_us): one.finding for one in closings}
    standing: dict[int, Ring] = {}
    found: list[Ring] = []
    for one in told:
        if one.notice is Notice.FIRING:
            use = _USES[proven.get((one.alert, one.period_start_us))]
            standing[one.alert] = Ring(
                one.alert, one.at_us, None, one.severity, one.period_start_us, use
            )
            continue
        ring = standing[one.alert]
        use = Use.USEFUL if one.is_finding and one.notice is Notice.FINDING else ring.use
        over = one.notice is Notice.RESOLVED
        standing[one.alert] = ring = Ring(
            ring.alert,
            ring.raised_us,
            one.at_us if over else None,
            one.severity,
            ring.period_start_us,
            use,
        )
        if over:
            found.append(standing.pop(one.alert))
    found += standing.values()
    return sorted(found, key=lambda ring: (ring.raised_us, ring.alert))


_USES: Final = {
    Finding.EXCEEDS: Use.USEFUL,
    Finding.WITHIN: Use.FALSE,
    Finding.UNKNOWN: Use.UNPROVEN,
    None: Use.OPEN,
}


def silent_of(rings: Iterable[Ring], closings: Iterable[Closing]) -> list[Closing]:
    """Return the closed periods that exceeded and in which nothing rang while they ran."""
    of_alert: dict[int, list[Ring]] = {}
    for ring in rings:
        of_alert.setdefault(ring.alert, []).append(ring)
    return [
        one
        for one in closings
        if one.finding is Finding.EXCEEDS
        and not any(
            ring.raised_us < one.end_us and (ring.ended_us is None or ring.ended_us > one.start_us)
            for ring in of_alert.get(one.alert, ())
        )
    ]


def densest(raised_us: Sequence[int]) -> tuple[int, int | None]:
    """Return the most instants within a window of ten minutes, and the first of them."""
    instants = sorted(raised_us)
    best, first = 0, None
    for place, at_us in enumerate(instants):
        count = bisect_left(instants, at_us + WINDOW_US) - place
        if count > best:
            best, first = count, at_us
    return best, first


def quietest(rings: Iterable[Ring], span_us: tuple[int, int]) -> tuple[int, int]:
    """Return the longest stretch of a span that no ring touches; empty where there is none."""
    begin, until = span_us
    best, quiet_from = (begin, begin), begin
    for ring in sorted(rings, key=lambda one: one.raised_us):
        if ring.raised_us - quiet_from > best[1] - best[0]:
            best = (quiet_from, ring.raised_us)
        quiet_from = max(quiet_from, until if ring.ended_us is None else ring.ended_us)
    return (quiet_from, until) if until - quiet_from > best[1] - best[0] else best


def _hours(us: float) -> float:
    return round(us / _HOUR_US, 3)
