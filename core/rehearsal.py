"""A rule of alerting played over the past: the transition table of core.alerts, in columns.

Many alerts are stepped side by side, look by look, by lookup arrays that are made of the same
table; nothing here decides on a change of its own. Promise: what comes out is what `observe` and
`tick` of core.alerts give one by one (tests hold them against each other). Between two looks the
finding of the first goes on: what waits is told when its time is over, not at the next look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core import alerts
from core.alerts import Finding, Notice, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.alerts import Rule
    from core.exactmath import Bools, Int64s

Codes = NDArray[np.int8]

STATES: Final = tuple(State)
FINDINGS: Final = tuple(Finding)
NONE_US: Final = int(np.iinfo(np.int64).min)  # an instant that never was; smaller than any other
_STAYS: Final = -1
_EXCEEDS: Final = FINDINGS.index(Finding.EXCEEDS)
_WITHIN: Final = FINDINGS.index(Finding.WITHIN)
UNKNOWN: Final = FINDINGS.index(Finding.UNKNOWN)
_PENDING, _FIRING, _CLEARING, _RESOLVED = (
    STATES.index(one) for one in (State.PENDING, State.FIRING, State.CLEARING, State.RESOLVED)
)


def code(finding: Finding) -> int:
    """Return the number by which columns hold a finding."""
    return FINDINGS.index(finding)


def _table(changes: Mapping[tuple[State, Finding], State]) -> Codes:
    """Return a transition table as an array: the state that follows, or _STAYS."""
    found = np.full((len(STATES), len(FINDINGS)), _STAYS, np.int8)
    for (state, finding), following in changes.items():
        found[STATES.index(state), FINDINGS.index(finding)] = STATES.index(following)
    return found


_OBSERVED: Final = _table(alerts.OBSERVED)
_ELAPSED: Final = _table(alerts.ELAPSED)
_ACTIVE: Final = np.array([state in alerts.ACTIVE for state in STATES])
# What a waiting state is left for by time alone.
_WAITED: Final = np.full(len(STATES), _STAYS, np.int8)
for _state, _finding in alerts.ELAPSED:
    _WAITED[STATES.index(_state)] = STATES.index(alerts.ELAPSED[_state, _finding])


@dataclass(frozen=True, slots=True)
class Looks:
    """What was seen at each look of each alert, in order of time.

    `finding` is [look, alert]; `start_us` and `closed` say of which period, [look, calendar], where
    `calendar` gives each alert's column: alerts of plants in one zone share their periods.
    """

    at_us: Int64s
    finding: Codes
    start_us: Int64s
    closed: Bools
    calendar: Int64s
    until_us: int  # the last finding goes on so long

    def proving(self) -> int:
        """Return how many alerts had a finding that proves something."""
        return int((self.finding != UNKNOWN).any(axis=0).sum())

    def closings(self) -> list[Closing]:
        """Return each closed period that was looked at, with its finding."""
        found: list[Closing] = []
        for column in range(self.closed.shape[1]):
            alert = np.flatnonzero(self.calendar == column)
            for look in np.flatnonzero(self.closed[:, column]):
                start, end = int(self.start_us[look, column]), int(self.at_us[look])
                found += [
                    Closing(int(each), start, end, FINDINGS[self.finding[look, each]])
                    for each in alert
                ]
        return found


class Closing(NamedTuple):
    """What a closed period was found to be."""

    alert: int
    start_us: int
    end_us: int
    finding: Finding


class Told(NamedTuple):
    """One notice that would have been given; `is_finding` tells that a closed period stands."""

    at_us: int
    alert: int
    notice: Notice
    severity: int
    period_start_us: int
    is_finding: bool


class Replay:
    """Alerts side by side: the columns of `core.alerts.Alert`, NONE_US where it has None."""

    def __init__(self, count: int, rule: Rule) -> None:
        def instants() -> Int64s:
            return np.full(count, NONE_US, np.int64)

        self._hold_us = round(rule.hold.total_seconds() * 1_000_000)
        self._keep_us = round(rule.keep.total_seconds() * 1_000_000)
        self._severities = np.array([rule.open_severity, rule.closed_severity])
        self.state = np.full(count, STATES.index(State.ABSENT), np.int8)
        self.since_us, self.period_start_us, self.last_us = instants(), instants(), instants()
        self.closed_us, self.raised_us, self.resolved_us = instants(), instants(), instants()
        self.severity = np.zeros(count, np.int64)
        self.episode = np.zeros(count, np.int64)
        self.standing = np.zeros(count, np.bool_)
        self.told: list[Told] = []

    def run(self, looks: Looks) -> list[Told]:
        """Step all alerts through all looks and return what would have been told, in order."""
        changed = _changes(looks)
        ends = np.append(looks.at_us[1:], looks.until_us)
        waiting = False
        spans = zip(looks.at_us.tolist(), ends.tolist(), strict=True)
        for look, (at_us, end_us) in enumerate(spans):
            # The same findings again move nothing but what waits.
            if not waiting and not changed[look]:
                continue
            start = looks.start_us[look][looks.calendar]
            closed = looks.closed[look][looks.calendar]
            counted = self.observe(looks.finding[look], start, closed, at_us)
            self.wait(counted, at_us, end_us)
            waiting = bool((_WAITED[self.state] != _STAYS).any())
        self.told.sort(key=lambda one: (one.at_us, one.alert))
        return self.told

    def observe(self, found: Codes, start: Int64s, closed: Bools, at_us: int) -> Bools:
        """Step alerts by one finding each; return which findings counted."""
        before = (self.episode.copy(), self.closed_us.copy(), self.severity.copy())
        exceeds: Bools = found == _EXCEEDS
        counted: Bools = exceeds | self._within(found, start, closed)
        self._exceeded(exceeds, start, closed)
        state = self.state.copy()
        observed = np.where(counted, _OBSERVED[state, found], _STAYS)
        elapsed = np.where(
            counted & (observed == _STAYS) & (at_us - self._waited_from() >= self._wait_us()),
            _ELAPSED[state, found],
            _STAYS,
        )
        following = np.where(observed == _STAYS, elapsed, observed)
        moves = following != _STAYS
        self._enter(moves, following, np.full(len(state), at_us))
        self._tell(before, state, np.full(len(state), at_us), exceeds | moves)
        return counted

    def wait(self, counted: Bools, at_us: int, end_us: int) -> None:
        """Let what waits go on until the next look, where its finding goes on."""
        following = _WAITED[self.state]
        due = np.maximum(self._waited_from() + self._wait_us(), at_us)
        moves = (following != _STAYS) & (counted | self.standing) & (due < end_us)
        if not moves.any():
            return
        before = (self.episode.copy(), self.closed_us.copy(), self.severity.copy())
        state = self.state.copy()
        self._enter(moves, following, due)
        self._tell(before, state, due, moves)

    def _waited_from(self) -> Int64s:
        return np.where(self.since_us == NONE_US, 0, self.since_us)

    def _wait_us(self) -> Int64s:
        return np.where(self.state == _PENDING, self._hold_us, self._keep_us)

    def _within(self, found: Codes, start: Int64s, closed: Bools) -> Bools:
        """Take in what was found within; return where it proves something."""
        within = (found == _WITHIN) & _ACTIVE[self.state]
        refuted = within & closed & (self.closed_us != NONE_US) & (start >= self.closed_us)
        self.closed_us[refuted] = NONE_US
        older = (self.last_us != NONE_US) & (start < self.last_us)
        counted: Bools = within & (self.closed_us == NONE_US) & ~older
        self.standing[counted] = closed[counted]
        return counted

    def _exceeded(self, exceeds: Bools, start: Int64s, closed: Bools) -> None:
        """Remember exceedances; in an episode severity and periods only grow."""
        severity = self._severities[closed.astype(np.int64)]
        found_us = np.where(closed, start, NONE_US)
        fresh = exceeds & (~_ACTIVE[self.state] | (self.last_us == NONE_US))
        for which in (fresh, exceeds & ~fresh):
            if which is fresh:
                self.severity[which] = severity[which]
                self.last_us[which] = start[which]
                self.closed_us[which] = found_us[which]
                continue
            self.severity[which] = np.maximum(self.severity, severity)[which]
            self.last_us[which] = np.maximum(self.last_us, start)[which]
            self.closed_us[which] = np.maximum(self.closed_us, found_us)[which]
        self.standing[exceeds] = self.closed_us[exceeds] != NONE_US

    def _enter(self, moves: Bools, following: Codes, at_us: Int64s) -> None:
        raised = moves & (self.state == _PENDING) & (following == _FIRING)
        over = moves & (self.state == _CLEARING) & (following == _RESOLVED)
        self.state[moves] = following[moves]
        self.since_us[moves] = at_us[moves]
        self.episode[raised] += 1
        self.period_start_us[raised] = self.last_us[raised]
        self.raised_us[raised] = at_us[raised]
        self.resolved_us[raised] = NONE_US
        self.resolved_us[over] = at_us[over]

    def _tell(
        self, before: tuple[Int64s, Int64s, Int64s], state: Codes, at_us: Int64s, touched: Bools
    ) -> None:
        """Note what `alerts.notice` would tell of the change from `before`."""
        if not touched.any():
            return
        episode, closed_us, severity = before
        is_firing = touched & (self.state == _FIRING)
        fired = is_firing & (self.episode != episode)
        grown = (self.severity > severity) | (
            (self.closed_us != NONE_US) & (self.closed_us != closed_us)
        )
        over = touched & (self.state == _RESOLVED) & (state == _CLEARING)
        for notice, which in (
            (Notice.FIRING, fired),
            (Notice.FINDING, is_firing & ~fired & grown),
            (Notice.RESOLVED, over),
        ):
            self.told += [self._told(int(alert), notice, at_us) for alert in np.flatnonzero(which)]

    def _told(self, alert: int, notice: Notice, at_us: Int64s) -> Told:
        return Told(
            int(at_us[alert]),
            alert,
            notice,
            int(self.severity[alert]),
            int(self.period_start_us[alert]),
            bool(self.closed_us[alert] != NONE_US),
        )


def _changes(looks: Looks) -> NDArray[Any]:
    """Return which looks differ from the one before."""
    found = np.ones(len(looks.at_us), np.bool_)
    found[1:] = (
        (looks.finding[1:] != looks.finding[:-1]).any(axis=1)
        | (looks.start_us[1:] != looks.start_us[:-1]).any(axis=1)
        | (looks.closed[1:] != looks.closed[:-1]).any(axis=1)
    )
    return found
