"""Promises of the energy curve: exact sums, a linear slot, and no level where a meter is silent."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.energycurve import EnergyCurve, MeteredSlots
from core.periods import SLOT_US

T0 = 1_790_000_100_000_000 // SLOT_US * SLOT_US
SLOTS = 12
columns = st.lists(st.integers(-(10**15), 10**15), min_size=SLOTS, max_size=SLOTS)
instants = st.integers(0, SLOTS * SLOT_US)


def meter(energies_e6: list[int], holes: frozenset[int] = frozenset()) -> MeteredSlots:
    size = len(energies_e6)
    return MeteredSlots(
        T0 + np.arange(size) * SLOT_US,
        np.array(energies_e6, np.int64),
        np.zeros(size, np.int64),
        np.array([place not in holes for place in range(size)]),
    )


def slowly(energies_e6: list[int], low: int, high: int) -> Fraction:
    """Add up each slot's share of a span, slot by slot."""
    total = Fraction(0)
    for place, energy in enumerate(energies_e6):
        begin = place * SLOT_US
        shared = min(high, begin + SLOT_US) - max(low, begin)
        if shared > 0:
            total += Fraction(energy * shared, SLOT_US)
    return total / 1_000_000


@given(columns, columns, instants, instants)
def test_a_span_is_the_share_of_every_slot_of_every_meter(
    one: list[int], other: list[int], a: int, b: int
) -> None:
    low, high = sorted((a, b))
    curve = EnergyCurve.of(T0, T0 + SLOTS * SLOT_US, [meter(one), meter(other)])
    expected = slowly(one, low, high) + slowly(other, low, high)
    assert curve.between(T0 + low, T0 + high) == expected


@given(columns, st.lists(instants, min_size=3, max_size=3).map(sorted))
def test_spans_that_follow_one_another_add_up(energies: list[int], at: list[int]) -> None:
    curve = EnergyCurve.of(T0, T0 + SLOTS * SLOT_US, [meter(energies)])
    low, middle, high = (T0 + one for one in at)
    first, second = curve.between(low, middle), curve.between(middle, high)
    assert first is not None
    assert second is not None
    assert first + second == curve.between(low, high)


@given(st.frozensets(st.integers(0, SLOTS - 1), max_size=4), instants, instants)
def test_a_span_is_unknown_when_it_touches_a_slot_that_is(
    holes: frozenset[int], a: int, b: int
) -> None:
    low, high = sorted((a, b))
    curve = EnergyCurve.of(T0, T0 + SLOTS * SLOT_US, [meter([1] * SLOTS, holes)])
    touched = any(low < (hole + 1) * SLOT_US and high > hole * SLOT_US for hole in holes)
    assert (curve.between(T0 + low, T0 + high) is None) == (touched and low < high)


def test_a_meter_that_is_missing_makes_all_unknown_and_so_does_none_at_all() -> None:
    both = EnergyCurve.of(T0, T0 + 4 * SLOT_US, [meter([10**6] * 4), meter([10**6] * 3)])
    assert both.between(T0, T0 + 3 * SLOT_US) == 6
    assert both.between(T0, T0 + 4 * SLOT_US) is None
    none = EnergyCurve.of(T0, T0 + 4 * SLOT_US, [])
    assert none.between(T0, T0 + 1) is None
    assert none.between(T0, T0) == 0


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 4 * SLOT_US + 1)])
def test_nothing_is_known_outside_the_curve(low: int, high: int) -> None:
    curve = EnergyCurve.of(T0 + 1, T0 + 3 * SLOT_US + 1, [meter([1] * 4)])
    assert (curve.begin_us, curve.end_us) == (T0, T0 + 4 * SLOT_US)
    assert curve.between(T0 + low, T0 + high) is None
    assert curve.estimated(T0 + low, T0 + high) == 0
