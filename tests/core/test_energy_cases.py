"""Facts from the test suites of other counter engines: those whose meaning we share must agree.

The engines do not mean the same by "increase". `OURS` names the meanings that design 4.6 shares and
how a case is read; `NOT_OURS` names the others, each with the reason, so that no case is forgotten.
"""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from core.flags import Flag
from tests.core import given_data, oracle
from tests.core.points import SECOND_US, Series, compute, point_of, rows

if TYPE_CHECKING:
    from collections.abc import Callable

Case = dict[str, Any]
ANY_GAP_US = 31 * 86_400 * SECOND_US  # the cases know no longest gap

NOT_OURS = {
    "reset_counts_from_zero": "a fall without a declared modulus is unknown, never the new value",
    "extrapolated_prometheus": "nothing is booked outside the first and last used reading",
    "reset_with_jitter_tolerance": "a small dip is a reset like any other",
    "rate_duplicate_timestamps": "two values for one instant are a conflict, told at admission",
    "last_two_points": "an instantaneous rate is no energy",
    "last_two_points_signed": "an instantaneous rate is no energy",
    "window_anchored_to_samples": "bounds are interpolated, not moved to the nearest reading",
    "signed_difference_window_anchored": "a fall is never negative energy",
    "count_resets_anchored": "a fall is flagged wherever its step reaches, no look-back decides",
    "signed_difference_with_declared_reset": "an exchange declares both its counts, not a zero",
    # Of meanings that are ours, the cases that need more than the meaning:
    "opentsdb-plain": "a fall is never negative energy",
    "opentsdb-bigint": "counts beyond 2^53 are dead letters",
    "opentsdb-backward-time": "the order of arrival does not matter: the store sorts",
    "opentsdb-duplicate-time": "the same reading again changes nothing: the store keeps one",
    "opentsdb-reset-threshold": "an impossible step is unknown, not zero",
    "prom-smoothed-reset-3": "a fall without a declared modulus is unknown, never the new value",
}


def _load() -> list[Case]:
    path = given_data.FOLDER / "cases/counter_cases.json"
    if not path.exists():
        return []
    loaded: list[Case] = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return loaded


CASES = _load()


def _is_ours(case: Case) -> bool:
    return case["id"] not in NOT_OURS and case["semantics"] not in NOT_OURS


def _series(case: Case) -> Series:
    pairs = [(t, v) for t, v in zip(case["t"], case["v"], strict=True) if v is not None]
    return Series(tuple(t * SECOND_US for t, _ in pairs), tuple(Fraction(v) for _, v in pairs))


def _steps(case: Case, meter: oracle.Meter) -> list[float | None]:
    """Return the energy of each step between neighbours, None where it is unknown."""
    series = _series(case)
    found = rows(compute(point_of(meter), series, series.at))
    return [row.energy_e6 / 1e6 if row.booked_us else None for row in found]


def _window(case: Case, meter: oracle.Meter) -> oracle.Row:
    low, high = case["options"]["window"]
    edges = [round(low * SECOND_US), round(high * SECOND_US)]
    return rows(compute(point_of(meter), _series(case), edges))[0]


def _interpolated(case: Case) -> None:
    found = _window(case, oracle.Meter(max_gap_us=ANY_GAP_US))
    wanted = Fraction(str(case["expect"]["total"])) * 10**6
    assert abs(found.energy_e6 - wanted) <= 1  # each of the two bounds is rounded, so that sums add


def _summed(case: Case) -> None:
    found = _steps(case, oracle.Meter(max_gap_us=ANY_GAP_US))
    split = case["options"].get("split_after")
    known = [step for step in found if step is not None]
    if split is not None:
        assert len(known) in {len(found), len(found) - 1}
    assert sum(known) == case["expect"]["total"]


def _wrapped(case: Case) -> None:
    meter = oracle.Meter(
        modulus=case["options"]["counter_max"],
        rated_power_kw=Fraction(10**6),  # every wrapped step of these cases is possible
        max_gap_us=ANY_GAP_US,
    )
    found = _steps(case, meter)
    assert found == case["expect"]["deltas"]
    assert sum(step or 0 for step in found) == case["expect"]["total"]


def _wrapped_if_possible(case: Case) -> None:
    # 20 counts a second are possible, the wrapped step's 60 are not.
    meter = oracle.Meter(
        modulus=case["options"]["counter_max"],
        rated_power_kw=Fraction(20 * 3600 * 10, 12),
        max_gap_us=ANY_GAP_US,
    )
    assert _steps(case, meter) == case["expect"]["deltas"]


def _wrapped_past_the_largest(case: Case) -> None:
    # Its maximum is the largest count shown; our modulus is the number of counts, one more.
    meter = oracle.Meter(modulus=case["options"]["counter_max"] + 1, max_gap_us=ANY_GAP_US)
    assert [None, *_steps(case, meter)] == case["expect"]["deltas_aligned"]


def _resets(case: Case) -> None:
    found = _window(case, oracle.Meter(max_gap_us=ANY_GAP_US))
    assert (Flag.RESET in found.flags) is (case["expect"]["resets"] > 0)


OURS: dict[str, Callable[[Case], None]] = {
    "window_linear_interpolation": _interpolated,
    "signed_difference": _summed,
    "sum_of_positive_steps": _summed,
    "wrap_at_max": _wrapped,
    "wrap_at_max_with_reset_threshold": _wrapped_if_possible,
    "wrap_at_max_plus_one": _wrapped_past_the_largest,
    "count_resets": _resets,
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["id"]) for case in CASES if _is_ours(case)]
)
def test_a_case_whose_meaning_we_share_gives_the_same_figure(case: Case) -> None:
    OURS[case["semantics"]](case)


def test_every_given_case_is_ours_or_is_named_with_the_reason_why_not() -> None:
    given_data.path("cases/counter_cases.json")
    ours = [case for case in CASES if _is_ours(case)]
    assert {case["semantics"] for case in ours} == set(OURS)
    assert len(ours) == 21
    named = {case["id"] for case in CASES} | {case["semantics"] for case in CASES}
    assert set(NOT_OURS) <= named
