"""A rehearsal moves alerts as the transition table does, one by one or side by side."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core import alerts, rehearsal
from core.alerts import Alert, Finding, Notice, Observation, Rule
from core.clock import from_us, to_us
from core.rehearsal import NONE_US, STATES, Looks, Replay

if TYPE_CHECKING:
    from datetime import datetime

SECOND_US = 1_000_000
LETTERS = {".": Finding.WITHIN, "x": Finding.EXCEEDS, "_": Finding.UNKNOWN}


def looks(findings: list[str], starts: list[int], closed: list[bool], gap_s: int = 10) -> Looks:
    """Return looks of some alerts, `gap_s` apart; findings are a text an alert."""
    number = len(starts)
    at_us = np.arange(1, number + 1) * gap_s * SECOND_US
    return Looks(
        at_us,
        np.array([[rehearsal.code(LETTERS[one]) for one in text] for text in findings], np.int8).T,
        np.array(starts, np.int64)[:, None],
        np.array(closed)[:, None],
        np.zeros(len(findings), np.int64),
        int(at_us[-1]) + gap_s * SECOND_US,
    )


def second_by_second(
    seen: Looks, alert: int, rule: Rule
) -> tuple[Alert, list[tuple[int, Notice, int]]]:
    """Play one alert by core.alerts alone: what is open is seen again every second."""
    held, told = Alert(), []
    last: Observation | None = None
    for at_us in range(int(seen.at_us[0]), seen.until_us, SECOND_US):
        at = from_us(at_us)
        (look,) = np.flatnonzero(seen.at_us == at_us) if at_us in seen.at_us else (None,)
        if look is not None:
            finding = rehearsal.FINDINGS[seen.finding[look, alert]]
            start = from_us(int(seen.start_us[look, 0]))
            last = Observation(finding, start, bool(seen.closed[look, 0]))
        assert last is not None
        is_seen = look is not None or not last.closed
        seen_now = alerts.observe(held, last, at, rule) if is_seen else held
        for before, after in ((held, seen_now), (seen_now, alerts.tick(seen_now, at, rule))):
            notice = alerts.notice(before, after)
            if notice is not None:
                told.append((at_us, notice, after.severity))
            held = after
    return held, told


def instant(us: int) -> datetime | None:
    return None if us == NONE_US else from_us(us)


def column(replay: Replay, alert: int) -> Alert:
    """Return one alert out of the columns."""
    return Alert(
        STATES[replay.state[alert]],
        instant(int(replay.since_us[alert])),
        int(replay.severity[alert]),
        int(replay.episode[alert]),
        instant(int(replay.period_start_us[alert])),
        instant(int(replay.last_us[alert])),
        instant(int(replay.closed_us[alert])),
        bool(replay.standing[alert]),
        instant(int(replay.raised_us[alert])),
        instant(int(replay.resolved_us[alert])),
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[Looks, Rule]:
    """Alerts over periods of a few looks, the last look of each being its closing."""
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    starts, closed = [], []
    for number, length in enumerate(lengths):
        starts += [number * 1000 * SECOND_US] * length
        closed += [False] * (length - 1) + [True]
    text = st.text(alphabet=".x_", min_size=len(starts), max_size=len(starts))
    findings = draw(st.lists(text, min_size=1, max_size=4))
    wait = st.integers(1, 35)
    hold, keep = (timedelta(seconds=draw(wait)) for _ in range(2))
    severities = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    return looks(findings, starts, closed), Rule(hold, keep, *severities)


@given(histories())
def test_columns_are_what_the_table_gives_one_by_one(history: tuple[Looks, Rule]) -> None:
    seen, rule = history
    replay = Replay(len(seen.calendar), rule)
    told = replay.run(seen)
    for alert in range(len(seen.calendar)):
        expected, notices = second_by_second(seen, alert, rule)
        assert column(replay, alert) == expected
        assert [(t.at_us, t.notice, t.severity) for t in told if t.alert == alert] == notices


@given(st.text(alphabet=".x_", min_size=1, max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_looks_as_often_as_the_service_looks_give_its_states(
    findings: str, hold: int, keep: int
) -> None:
    """With a look every ten seconds of one open period the states are those of `alerts.step`."""
    rule = Rule(timedelta(seconds=10 * hold), timedelta(seconds=10 * keep), 1, 2)
    seen = looks([findings], [0] * len(findings), [False] * len(findings))
    replay = Replay(1, rule)
    alert = Alert()
    for look, at_us in enumerate(seen.at_us.tolist()):
        alert = alerts.step(alert, LETTERS[findings[look]], from_us(at_us), rule)
        open_ = np.array([False])
        replay.observe(seen.finding[look], np.array([0]), open_, at_us)
        assert STATES[replay.state[0]] is alert.state
        assert replay.episode[0] == alert.episode


def test_an_exceedance_rings_when_its_hold_is_over_not_at_the_next_look() -> None:
    rule = Rule(timedelta(seconds=4), timedelta(seconds=25), 1, 2)
    seen = looks([".xxx....."], [0] * 9, [False] * 9)
    told = Replay(1, rule).run(seen)
    assert [(t.at_us // SECOND_US, t.notice) for t in told] == [
        (24, Notice.FIRING),
        (75, Notice.RESOLVED),
    ]


def test_a_closed_period_goes_on_while_its_successor_proves_nothing() -> None:
    rule = Rule(timedelta(seconds=15), timedelta(seconds=15), 1, 2)
    seen = looks(["_x__"], [0, 0, 99 * SECOND_US, 99 * SECOND_US], [False, True, False, False])
    (told,) = Replay(1, rule).run(seen)
    assert (told.at_us // SECOND_US, told.severity, told.is_finding) == (35, 2, True)
    assert told.period_start_us == 0


def test_closings_are_the_findings_of_closed_periods() -> None:
    seen = looks([".x.", "__x"], [0, 0, 5], [False, True, False])
    assert seen.closings() == [
        (0, 0, 20 * SECOND_US, Finding.EXCEEDS),
        (1, 0, 20 * SECOND_US, Finding.UNKNOWN),
    ]
    assert seen.proving() == 2


def test_instants_of_columns_and_of_alerts_are_the_same() -> None:
    assert instant(to_us(from_us(5))) == from_us(5)
    assert instant(NONE_US) is None
