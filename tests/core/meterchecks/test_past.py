"""What a meter's own past says of an error: its level has moved, or it has not."""

from __future__ import annotations

import numpy as np
import pytest

from core.meterchecks import past
from core.meterchecks.evidence import Scan

DAYS = 60
STEP = (np.arange(DAYS) >= 30).astype(np.float64)[None, :]


def hours(seed: int, *, spread: float = 0.01) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.asarray(1_000.0 * np.exp(random.normal(0, spread, (DAYS * 24, 1))))


def asked(size: float, deviation: float = 0.001) -> Scan:
    return Scan(np.array([[size]]), np.array([[deviation]]), np.zeros((1, 1)))


def said(shown: np.ndarray, size: float) -> float:
    moved = past.moved(past.levels(shown, 24), STEP)
    return float(past.evidence(*moved, asked(size), [])[0, 0])


def test_a_level_is_that_of_the_hours_in_which_the_load_runs() -> None:
    shown = hours(1, spread=0.0)
    shown[::3] = 0.0
    shown[24:48] = 5.0  # a day of standing by
    shown[48:72] = np.nan
    level = past.levels(shown, 24)[:, 0]
    assert np.isnan(level[[1, 2]]).all()
    assert np.exp(level[3:]) == pytest.approx(1_000.0)
    assert np.isnan(past.levels(np.full((48, 1), np.nan), 24)).all()


def test_a_level_that_moved_as_asked_speaks_for_the_error_and_one_that_stayed_against() -> None:
    shown = hours(2)
    against = said(shown, 0.02)
    shown[30 * 24 :] *= 1.02
    assert said(shown, 0.02) > 3
    assert against < -3
    assert said(shown, -0.02) < said(shown, 0.02) - 3


def test_what_a_past_says_is_bounded_because_any_load_may_change_by_itself() -> None:
    shown = hours(3, spread=0.0001)
    assert -10 < said(shown, 0.5) < 0
    shown[30 * 24 :] *= 1.5
    assert 0 < said(shown, 1 / 3) < 10


def test_a_load_that_never_keeps_its_level_says_nothing() -> None:
    random = np.random.default_rng(4)
    wander = np.exp(random.normal(0, 0.1, DAYS).cumsum())[np.arange(DAYS * 24) // 24]
    assert abs(said(hours(4) * wander[:, None], 0.02)) < 0.5


def test_few_days_on_a_side_say_nothing() -> None:
    shown = hours(5)
    shown[: 26 * 24] = np.nan
    assert said(shown, 0.02) == 0.0
