"""Conditions over past slots: a point's silence, a unit's newest closed day, the schedule."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import alerts, conditionfile, pastwatch, rehearsal
from core.alerts import Alert, Finding
from core.clock import from_us
from core.conditions import Schedule
from core.pastfindings import Calendar
from core.periods import SLOT_US, Period
from core.rehearsal import STATES, Looks, Replay

SILENT = conditionfile.catalogue()["point_silent"]
WHOLE = conditionfile.catalogue()["completeness"]
LETTER = {Finding.EXCEEDS: "x", Finding.WITHIN: ".", Finding.UNKNOWN: "_"}
MIDNIGHT_US = 1_793_577_600_000_000  # 2026-11-02T00:00Z


def shown(codes: np.ndarray) -> str:
    return "".join(LETTER[rehearsal.FINDINGS[code]] for code in codes)


@pytest.mark.parametrize(
    ("heard", "found"),
    [
        ("_____", "_____"),  # never heard: nothing is known of it
        ("m_____m", "._xxxx."),
        ("_mm_m", "_.._."),
    ],
)
def test_a_point_is_silent_from_half_an_hour_on(heard: str, found: str) -> None:
    measured = np.array([[SLOT_US // 2 if one == "m" else 0 for one in heard]])
    assert (
        shown(pastwatch.silences(SILENT, measured, [1_800_000_000] * len(measured))[:, 0]) == found
    )


def test_a_point_that_may_be_quiet_for_hours_is_silent_when_it_is_for_longer() -> None:
    measured = np.array([[SLOT_US, *[0] * 10]] * 2)
    codes = pastwatch.silences(SILENT, measured, [7_200_000_000, 1_000_000])
    assert shown(codes[:, 0]) == "." * 9 + "xx"
    assert shown(codes[:, 1]) == "._" + "x" * 9


@given(st.lists(st.text(alphabet="m_", min_size=8, max_size=8), min_size=1, max_size=3))
def test_a_silence_is_that_of_a_count_by_hand(points: list[str]) -> None:
    measured = np.array([[int(one == "m") for one in text] for text in points])
    codes = pastwatch.silences(SILENT, measured, [1_800_000_000] * len(measured))
    for point, text in enumerate(points):
        for slot in range(len(text)):
            silent_s = Decimal(900 * (slot - text.rfind("m", 0, slot + 1)))
            heard = "m" in text[: slot + 1]
            expected = SILENT.find(silent_s if heard else None)
            assert rehearsal.FINDINGS[codes[slot, point]] is expected


def test_a_day_counts_when_it_has_closed_and_until_the_next_has() -> None:
    calendar = Calendar.of(
        Period.DAY, "UTC", (MIDNIGHT_US - 4 * SLOT_US, MIDNIGHT_US + 197 * SLOT_US)
    )
    measured = np.full((2, 201), SLOT_US)
    measured[1, 10:30] = 0  # 20 of 96 quarters of the first whole day
    found = shown(pastwatch.days(WHOLE, measured, calendar))
    # The day that the span holds in part proves nothing; the first whole one ends 96 slots later.
    assert found == "_" * 99 + "x" * 96 + "." * 6


def test_nothing_is_raised_outside_the_schedule_and_an_end_counts_at_any_time() -> None:
    hours = replace(SILENT, schedule=Schedule(begin_min=8 * 60, end_min=18 * 60))
    at_us = MIDNIGHT_US + np.array([7, 8, 17, 18]) * 4 * SLOT_US
    codes = np.array([[rehearsal.code(Finding.EXCEEDS), rehearsal.code(Finding.WITHIN)]] * 4)
    found = pastwatch.scheduled(hours, codes.astype(np.int8), at_us, "UTC")
    assert shown(found[:, 0]) == "_xx_"
    assert shown(found[:, 1]) == "...."


@given(st.text(alphabet=".x_", min_size=1, max_size=40), st.integers(0, 40), st.integers(0, 40))
def test_a_condition_moves_in_columns_as_it_does_alone(findings: str, hold: int, keep: int) -> None:
    """Every 10 s a look; between them the last one goes on, as the watching pass repeats it."""
    rule = replace(SILENT.rule, hold=timedelta(seconds=hold), keep=timedelta(seconds=keep))
    second_us = 1_000_000
    letters = {letter: finding for finding, letter in LETTER.items()}
    at_us = np.arange(1, len(findings) + 1) * 10 * second_us
    column = np.array([[rehearsal.code(letters[one])] for one in findings], np.int8)
    present = np.zeros((len(findings), 1), np.int64)
    end_us = int(at_us[-1]) + 10 * second_us
    seen = Looks(at_us, column, present, present > 0, np.array([0]), end_us)
    replay = Replay(1, rule)
    told = replay.run(seen)
    alert, expected = Alert(), []
    for now_us in range(10 * second_us, end_us, second_us):
        found = letters[findings[now_us // (10 * second_us) - 1]]
        # Without hold or keep two passes of one instant stand for two that follow at once.
        for _ in range(2):
            after = alerts.watch(alert, found, from_us(now_us), rule)
            notice = alerts.notice(alert, after)
            expected += [] if notice is None else [(now_us, notice)]
            alert = after
    assert [(one.at_us, one.notice) for one in told] == expected
    assert STATES[replay.state[0]] is alert.state
    assert replay.episode[0] == alert.episode
