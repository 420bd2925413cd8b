"""When an exceedance becomes an alert, and when it is over: a transition table, pure.

One alert stands for (unit, indicator, kind of period, limit), or for a data condition and its
subject (core.conditions); a new period continues it. What is `indeterminate`, `incomplete` or
`not_applicable` proves nothing and changes nothing. A finding of a closed period stands until that
period, or a later closed one, is found within (domain 3.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from core import tomlfile
from core.errors import Misconfigured
from core.limits import Force
from core.periods import Period
from core.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES_FILE: Final = "core/data/alert_rules.toml"
MOST_WAIT_S: Final = 7 * 86_400


class State(StrEnum):
    """Where an alert stands; `absent` is before its first exceedance and never shown."""

    ABSENT = "absent"
    PENDING = "pending"
    FIRING = "firing"
    CLEARING = "clearing"
    RESOLVED = "resolved"


class Finding(StrEnum):
    """What a verdict means to an alert."""

    WITHIN = "within"
    EXCEEDS = "exceeds"
    UNKNOWN = "unknown"  # proves nothing, so it changes nothing


class Notice(StrEnum):
    """What is told to those who must know."""

    FIRING = "firing"  # it was raised
    FINDING = "finding"  # a closed period found it, or it grew more severe
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"  # late data showed that it never was
    ESCALATED = "escalated"  # nobody did what was due, or a receiver could not be reached
    OVERDUE = "overdue"  # a clock of its case ran out
    BUNDLE = "bundle"  # several at once: a digest, or what was over the budget


# Rule 1: every change of state is in this table or in ELAPSED. Nothing else moves an alert.
OBSERVED: Final[Mapping[tuple[State, Finding], State]] = {
    (State.ABSENT, Finding.EXCEEDS): State.PENDING,
    (State.RESOLVED, Finding.EXCEEDS): State.PENDING,
    (State.PENDING, Finding.WITHIN): State.RESOLVED,
    (State.FIRING, Finding.WITHIN): State.CLEARING,
    (State.CLEARING, Finding.EXCEEDS): State.FIRING,
}
# After `hold` in pending, after `keep` in clearing; and only while this finding goes on.
ELAPSED: Final[Mapping[tuple[State, Finding], State]] = {
    (State.PENDING, Finding.EXCEEDS): State.FIRING,
    (State.CLEARING, Finding.WITHIN): State.RESOLVED,
}
ACTIVE: Final = frozenset({State.PENDING, State.FIRING, State.CLEARING})


@dataclass(frozen=True, slots=True)
class Rule:
    """How long an exceedance must last, how long it must be gone, and how grave it is (0-4)."""

    hold: timedelta
    keep: timedelta
    open_severity: int
    closed_severity: int

    def severity(self, *, closed: bool) -> int:
        """Return the severity of an exceedance of an open or a closed period."""
        return self.closed_severity if closed else self.open_severity


@dataclass(frozen=True, slots=True)
class Observation:
    """One finding on one period of the alert's kind."""

    finding: Finding
    period_start: datetime
    closed: bool


@dataclass(frozen=True, slots=True)
class Alert:
    """What is remembered of one alert between two findings.

    `period_start` is the first period of this episode, `last_start` the newest that exceeded,
    `closed_start` the newest closed one whose finding stands. `standing` tells that the last
    finding is a closed period's and so goes on by itself.
    """

    state: State = State.ABSENT
    since: datetime | None = None
    severity: int = 0
    episode: int = 0  # grows each time the alert is raised
    period_start: datetime | None = None
    last_start: datetime | None = None
    closed_start: datetime | None = None
    standing: bool = False
    raised_at: datetime | None = None
    resolved_at: datetime | None = None


def finding(verdict: Verdict) -> Finding:
    """Return what a verdict means to an alert."""
    if verdict is Verdict.EXCEEDS:
        return Finding.EXCEEDS
    return Finding.WITHIN if verdict is Verdict.WITHIN else Finding.UNKNOWN


def observe(alert: Alert, seen: Observation, at: datetime, rule: Rule) -> Alert:
    """Return the alert after a finding on a period, open or closed."""
    if seen.finding is Finding.EXCEEDS:
        return step(_exceeded(alert, seen, rule), Finding.EXCEEDS, at, rule)
    if seen.finding is Finding.UNKNOWN or alert.state not in ACTIVE:
        return alert
    stands = alert.closed_start
    if seen.closed and stands is not None and seen.period_start >= stands:
        stands = None
    alert = replace(alert, closed_start=stands)
    # The past proves nothing against a later exceedance, nor an open month against a closed one.
    if stands is not None or (alert.last_start and seen.period_start < alert.last_start):
        return alert
    return step(replace(alert, standing=seen.closed), Finding.WITHIN, at, rule)


def step(alert: Alert, found: Finding, at: datetime, rule: Rule) -> Alert:
    """Return the alert after one finding that counts: a change by it, or by the time it lasts."""
    following = OBSERVED.get((alert.state, found))
    if following is not None:
        return _enter(alert, following, at)
    return _elapse(alert, found, at, rule)


def watch(alert: Alert, found: Finding, at: datetime, rule: Rule) -> Alert:
    """Return the alert of a data condition after a finding: it has no periods, only a present."""
    if found is Finding.UNKNOWN:
        return alert
    if found is Finding.EXCEEDS:
        gravest = max(alert.severity, rule.open_severity)
        severity = gravest if alert.state in ACTIVE else rule.open_severity
        alert = replace(alert, severity=severity)
    return step(alert, found, at, rule)


def tick(alert: Alert, at: datetime, rule: Rule) -> Alert:
    """Return the alert after time alone: a closed period's finding goes on without new data."""
    for state, found in ELAPSED:
        if alert.standing and state is alert.state:
            return _elapse(alert, found, at, rule)
    return alert


def notice(before: Alert, after: Alert) -> Notice | None:
    """Return what must be told of a change, None where nothing must."""
    if after.state is State.RESOLVED and before.state is State.CLEARING:
        return Notice.RESOLVED
    if after.state is not State.FIRING:
        return None
    if after.episode != before.episode:
        return Notice.FIRING
    found = after.closed_start is not None and after.closed_start != before.closed_start
    return Notice.FINDING if found or after.severity > before.severity else None


def _exceeded(alert: Alert, seen: Observation, rule: Rule) -> Alert:
    """Remember an exceedance; in an episode severity and periods only grow."""
    severity = rule.severity(closed=seen.closed)
    closed = seen.period_start if seen.closed else None
    if alert.state not in ACTIVE or alert.last_start is None:
        return replace(
            alert,
            severity=severity,
            last_start=seen.period_start,
            closed_start=closed,
            standing=seen.closed,
        )
    newest = max(filter(None, (alert.closed_start, closed)), default=None)
    return replace(
        alert,
        severity=max(alert.severity, severity),
        last_start=max(alert.last_start, seen.period_start),
        closed_start=newest,
        standing=newest is not None,
    )


def _elapse(alert: Alert, found: Finding, at: datetime, rule: Rule) -> Alert:
    following = ELAPSED.get((alert.state, found))
    if following is None or alert.since is None:
        return alert
    wait = rule.hold if alert.state is State.PENDING else rule.keep
    return _enter(alert, following, at) if at - alert.since >= wait else alert


def _enter(alert: Alert, state: State, at: datetime) -> Alert:
    entered = replace(alert, state=state, since=at)
    if (alert.state, state) == (State.PENDING, State.FIRING):
        return replace(
            entered,
            episode=alert.episode + 1,
            period_start=alert.last_start,
            raised_at=at,
            resolved_at=None,
        )
    if (alert.state, state) == (State.CLEARING, State.RESOLVED):
        return replace(entered, resolved_at=at)
    return entered


def diagram() -> str:
    """Return the tables as a Mermaid state diagram, as docs/alerts.md shows it."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.ABSENT}"]
    lines += [f"    {a} --> {b}: {found}" for (a, found), b in OBSERVED.items()]
    waits = {State.PENDING: "hold", State.CLEARING: "keep"}
    lines += [f"    {a} --> {b}: {found} for {waits[a]}" for (a, found), b in ELAPSED.items()]
    return "\n".join(lines)


class _RuleTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    force: Force
    period: Period
    hold_s: Annotated[int, Field(ge=1, le=MOST_WAIT_S)]
    keep_s: Annotated[int, Field(ge=1, le=MOST_WAIT_S)]
    open_severity: Annotated[int, Field(ge=0, le=4)]
    closed_severity: Annotated[int, Field(ge=0, le=4)]
    source: Annotated[str, Field(min_length=3)]


class _RuleFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    rule: list[_RuleTable]


Rules = dict[tuple[Force, Period], Rule]


def parse_rules(text: str, name: str) -> Rules:
    """Read alert rules by (force, kind of period); raises Misconfigured with every problem."""
    document = tomlfile.parse(text, name)
    rules: Rules = {}
    problems = []
    for position, row in enumerate(tomlfile.validate(document, _RuleFile).rule):
        key = (row.force, row.period)
        if key in rules:
            message = f"is a second rule for {row.force} limits of a {row.period}: remove one"
            problems.append(document.problem(("rule", position), message))
        rules[key] = Rule(
            timedelta(seconds=row.hold_s),
            timedelta(seconds=row.keep_s),
            row.open_severity,
            row.closed_severity,
        )
    if problems:
        raise Misconfigured(problems)
    return rules


@lru_cache(maxsize=1)
def rules() -> Rules:
    """Return the shipped rules; without a rule a force and kind of period raises no alert."""
    path = resources.files("core") / "data" / "alert_rules.toml"
    return parse_rules(path.read_text("utf-8"), RULES_FILE)
