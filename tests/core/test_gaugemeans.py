"""Promises of gauge means: two lines multiplied exactly, gaps left out, parts are the whole."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import gaugemeans
from core.gaugemeans import Gauge, GaugeSums
from core.periods import HOUR_US, MINUTE_US
from core.quality import Quality

T0 = 1_767_225_600_000_000
MAX_GAP_US = 30 * MINUTE_US
Reading = tuple[int, int]
readings = st.lists(
    st.tuples(st.integers(0, 600), st.integers(0, 500_000)),
    min_size=0,
    max_size=30,
    unique_by=lambda one: one[0],
).map(sorted)


def gauge(rows: list[Reading], scale: int = 1000) -> Gauge:
    """Return a gauge of (minute, thousandths)."""
    ts_us = np.array([T0 + minute * MINUTE_US for minute, _ in rows], np.int64)
    values = np.array([value / scale for _, value in rows])
    return Gauge.of(ts_us, values, np.zeros(len(rows), np.int16), MAX_GAP_US)


def edges(*minutes: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([T0 + minute * MINUTE_US for minute in minutes], np.int64)


def at(rows: list[Reading], minute: Fraction) -> Fraction | None:
    """Return a gauge's value, None where no step of at most the longest gap holds it."""
    for (t0, v0), (t1, v1) in pairwise(rows):
        if t0 <= minute <= t1 and (t1 - t0) * MINUTE_US <= MAX_GAP_US:
            return (v0 + (v1 - v0) * (minute - t0) / (t1 - t0)) / 1000
    return None


def slowly(
    current: list[Reading], voltage: list[Reading], begin: int, end: int
) -> tuple[Fraction, Fraction, int]:
    """Return (charge, work, minutes) where both are known: Simpson's rule, exact of a parabola."""
    charge = work = Fraction(0)
    known = 0
    cuts = sorted({begin, end, *(t for t, _ in current + voltage if begin < t < end)})
    for low, high in pairwise(cuts):
        middle = Fraction(low + high, 2)
        if at(current, middle) is None or at(voltage, middle) is None:
            continue
        hours = Fraction(high - low, 60)
        known += high - low
        points = []
        for moment, weight in ((low, 1), (middle, 4), (high, 1)):
            inner = Fraction(moment)
            one = _within(current, inner, low, high)
            other = _within(voltage, inner, low, high)
            points.append((weight, one, other))
        charge += hours * sum(weight * one for weight, one, _ in points) / 6
        work += hours * sum(weight * one * other for weight, one, other in points) / 6
    return charge, work, known


def _within(rows: list[Reading], moment: Fraction, low: int, high: int) -> Fraction:
    """Return the value by the step that holds [low, high], also at its ends."""
    for (t0, v0), (t1, v1) in pairwise(rows):
        if t0 <= low and high <= t1:
            return (v0 + (v1 - v0) * (moment - t0) / (t1 - t0)) / 1000
    raise AssertionError("the caller asked whether there is one")


@given(readings, readings, st.integers(0, 600), st.integers(1, 600))
def test_charge_and_work_are_those_of_two_lines_between_readings(
    current: list[Reading], voltage: list[Reading], begin: int, width: int
) -> None:
    found = gaugemeans.sums(gauge(current), gauge(voltage), edges(begin, begin + width))
    charge, work, known = slowly(current, voltage, begin, begin + width)
    assert found.shared_us.tolist() == [known * MINUTE_US]
    assert found.shared[0] == pytest.approx(float(charge), rel=1e-9, abs=1e-9)
    assert found.work[0] == pytest.approx(float(work), rel=1e-9, abs=1e-9)


@given(readings, readings, st.lists(st.integers(0, 600), min_size=2, max_size=8, unique=True))
def test_parts_are_the_whole(
    current: list[Reading], voltage: list[Reading], cuts: list[int]
) -> None:
    one, other = gauge(current), gauge(voltage)
    inner = edges(*sorted(cuts))
    parts = [gaugemeans.sums(one, other, np.array(pair)) for pair in pairwise(inner.tolist())]
    joined, whole = GaugeSums.join(parts), gaugemeans.sums(one, other, inner)
    assert joined.charge_us.tolist() == whole.charge_us.tolist()
    assert joined.shared_us.tolist() == whole.shared_us.tolist()
    for name in ("charge", "shared", "work"):
        assert getattr(joined, name) == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-9)


def test_a_mean_voltage_is_weighted_by_the_current() -> None:
    """A line that stands for half of the time says nothing of the energy a tonne takes."""
    current = gauge([(0, 400_000), (20, 400_000), (21, 0), (40, 0)])
    voltage = gauge([(0, 4_000), (20, 4_000), (21, 100), (40, 100)])
    means = gaugemeans.sums(current, voltage, edges(0, 40)).over(0, 1)
    assert means.voltage is not None
    assert Fraction("3.9") < means.voltage < 4
    flat = gaugemeans.sums(Gauge.constant(1.0), voltage, edges(0, 40)).over(0, 1)
    assert flat.voltage is not None
    assert flat.voltage < Fraction("2.2")
    assert flat.voltage_us == 40 * MINUTE_US


def test_a_voltage_gap_leaves_the_charge_known() -> None:
    current = gauge([(0, 400_000), (30, 400_000), (60, 400_000)])
    voltage = gauge([(0, 4_000), (20, 4_000), (55, 4_000), (60, 4_000)])
    means = gaugemeans.sums(current, voltage, edges(0, 60)).over(0, 1)
    assert [means.charge, means.charge_us] == [400, HOUR_US]
    assert [means.voltage, means.voltage_us] == [4, 25 * MINUTE_US]


def test_bad_readings_and_those_before_a_factor_count_as_absent() -> None:
    ts_us = edges(0, 10, 20, 30)
    values = np.array([1.0, 2.0, np.nan, 4.0])
    quality = np.array([0, 0, 0, Quality.BAD], np.int16)
    dated = [(T0 + 5 * MINUTE_US, Fraction(3))]
    found = Gauge.of(ts_us, values, quality, MAX_GAP_US, [dated], Fraction(1, 2))
    assert found.ts_us.tolist() == [T0 + 10 * MINUTE_US]
    assert found.values.tolist() == [3.0]
    assert not found.known(ts_us).any()


def test_no_readings_are_no_charge_and_not_zero() -> None:
    nothing = gaugemeans.sums(Gauge.nothing(), Gauge.constant(1.0), edges(0, 60)).over(0, 1)
    assert (nothing.charge, nothing.charge_us, nothing.voltage) == (None, 0, None)
    assert len(gaugemeans.sums(Gauge.nothing(), Gauge.nothing(), edges(0)).charge) == 0
