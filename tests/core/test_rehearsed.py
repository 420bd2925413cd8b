"""What a rehearsal says of a rule: rings, their use, the worst ten minutes, the longest silence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import rehearsed
from core.alerts import Finding, Notice
from core.rehearsal import Closing, Looks, Told
from core.rehearsed import Ring, Use, Watched

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
PERIOD, NEXT = 0, 100 * HOUR_US


def told(at_h: float, notice: Notice, *, start: int = PERIOD, severity: int = 1,
         finding: bool = False) -> Told:  # fmt: skip
    return Told(round(at_h * HOUR_US), 0, notice, severity, start, finding)


def closing(finding: Finding, start: int = PERIOD) -> Closing:
    return Closing(0, start, start + 100 * HOUR_US, finding)


def ring(raised_h: float, ended_h: float | None = None, use: Use = Use.OPEN) -> Ring:
    ended = None if ended_h is None else round(ended_h * HOUR_US)
    return Ring(0, round(raised_h * HOUR_US), ended, 1, PERIOD, use)


@pytest.mark.parametrize(
    ("closings", "use"),
    [
        ([closing(Finding.EXCEEDS)], Use.USEFUL),
        ([closing(Finding.WITHIN)], Use.FALSE),
        ([closing(Finding.UNKNOWN)], Use.UNPROVEN),
        ([], Use.OPEN),
        ([closing(Finding.EXCEEDS, NEXT)], Use.OPEN),
    ],
)
def test_a_ring_is_of_use_if_its_period_closed_so(closings: list[Closing], use: Use) -> None:
    notices = [told(3, Notice.FIRING), told(5, Notice.RESOLVED)]
    assert rehearsed.rings_of(notices, closings) == [ring(3, 5, use)]


def test_a_ring_that_goes_on_into_a_period_that_exceeds_is_of_use() -> None:
    notices = [told(90, Notice.FIRING), told(200, Notice.FINDING, severity=3, finding=True)]
    (found,) = rehearsed.rings_of(notices, [closing(Finding.UNKNOWN)])
    assert (found.use, found.severity, found.ended_us) == (Use.USEFUL, 3, None)


def test_growing_more_severe_alone_proves_nothing() -> None:
    notices = [told(3, Notice.FIRING), told(4, Notice.FINDING, severity=2)]
    (found,) = rehearsed.rings_of(notices, [])
    assert (found.use, found.severity) == (Use.OPEN, 2)


@pytest.mark.parametrize(
    ("rings", "silent"),
    [
        ([], True),
        ([ring(5, 6)], False),
        ([ring(-50, None)], False),
        ([ring(-50, -1)], True),
        ([ring(100.1, 101)], True),  # only the closed period itself rang
    ],
)
def test_a_period_is_silent_where_nothing_rang_while_it_ran(
    rings: list[Ring], *, silent: bool
) -> None:
    found = rehearsed.silent_of(rings, [closing(Finding.EXCEEDS)])
    assert bool(found) is silent
    assert rehearsed.silent_of(rings, [closing(Finding.WITHIN), closing(Finding.UNKNOWN)]) == []


@given(st.lists(st.integers(0, 300), max_size=30))
def test_the_densest_ten_minutes_are_those_of_a_count_by_hand(minutes: list[int]) -> None:
    instants = [minute * MINUTE_US for minute in minutes]
    best, first = rehearsed.densest(instants)
    by_hand = [sum(at <= each < at + 10 * MINUTE_US for each in instants) for at in instants]
    assert best == max(by_hand, default=0)
    assert (first is None) is (not instants)
    if first is not None:
        assert by_hand[instants.index(first)] == best


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 30)), max_size=8), st.integers(1, 120))
def test_the_longest_silence_is_that_of_a_count_by_hand(
    spans: list[tuple[int, int]], length: int
) -> None:
    spans = [(begin, min(begin + more, length)) for begin, more in spans if begin < length]
    rings = [ring(begin, None if end == length else end) for begin, end in spans]
    begin, end = rehearsed.quietest(rings, (0, length * HOUR_US))
    loud = {hour for low, high in spans for hour in range(low, high)}
    runs = "".join("x" if hour in loud else "." for hour in range(length)).split("x")
    assert end - begin == max(map(len, runs)) * HOUR_US
    assert loud.isdisjoint(range(begin // HOUR_US, end // HOUR_US))


def looks() -> Looks:
    at_us = np.array([50, 100, 150]) * HOUR_US
    codes = np.array([[1, 0], [1, 0], [2, 2]], np.int8)
    start = np.array([[PERIOD], [PERIOD], [NEXT]])
    closed = np.array([[False], [True], [False]])
    return Looks(at_us, codes, start, closed, np.zeros(2, np.int64), 200 * HOUR_US)


def test_the_outcome_says_it_all() -> None:
    watched = [Watched("a.u", "limit.one", "UTC"), Watched("a.v", "limit.one", "UTC")]
    notices = [told(50.5, Notice.FIRING), told(100, Notice.FINDING, severity=2, finding=True)]
    found = rehearsed.outcome("target-month", (0, 200 * HOUR_US), watched, looks(), notices)
    item = found.item()
    assert item["rang"] == {
        "times": 1,
        "by_severity": {2: 1},
        "by_use": {"useful": 1, "false": 0, "unproven": 0, "open": 0},
        "still": 1,
        "total_h": 149.5,
        "median_h": 149.5,
        "longest_h": 149.5,
    }
    assert item["closed_periods"] == {"exceeds": 1, "within": 1, "unproven": 0}
    assert item["silent"] == []
    assert item["longest_silence"]["hours"] == 50.5
    assert item["worst_10_min"]["rings"] == 1
    assert (item["looks"], item["alerts"]) == (6, {"watched": 2, "with_proof": 2})
    assert item["noisiest"][0]["subject"] == "a.u"
    assert found.is_flooded is False


def test_of_conditions_no_period_proves_anything() -> None:
    watched = [Watched("a.u", "point_silent", "UTC")] * 2
    found = rehearsed.outcome(
        "point_silent", (0, 200 * HOUR_US), watched, looks(), [told(1, Notice.FIRING)],
        is_periodic=False,
    )  # fmt: skip
    item = found.item()
    assert (item["rang"]["by_use"], item["silent"], item["closed_periods"]) == (None, None, None)
    assert item["rings"][0]["use"] is None


def test_more_than_ten_within_ten_minutes_are_a_flood() -> None:
    notices = [told(1 / 60, Notice.FIRING)._replace(alert=alert) for alert in range(11)]
    watched = [Watched(f"a.u{n}", "x", "UTC") for n in range(11)]
    nothing = np.zeros((1, 11), np.int8)
    start = np.zeros((1, 1), np.int64)
    flat = Looks(start[0], nothing, start, start > 0, np.zeros(11, np.int64), HOUR_US)
    found = rehearsed.outcome("x", (0, HOUR_US), watched, flat, notices)
    assert (found.worst, found.is_flooded) == ((11, MINUTE_US), True)
    assert len(found.noisiest) == 10
    fewer = rehearsed.outcome("x", (0, HOUR_US), watched, flat, notices[1:])
    assert not fewer.is_flooded
