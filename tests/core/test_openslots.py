"""Open slots of many points together are, to the last digit, those of each point on its own."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import energy, exactmath
from core.decimals import round_half_even
from core.openslots import OpenSlots, Reach, SlotRows
from core.periods import SLOT_US
from core.quality import Quality
from tests.core import oracle
from tests.core.points import MINUTE_US, SECOND_US, T0, point_of

if TYPE_CHECKING:
    from core.plant import Point

Slot = tuple[int | None, int, int, int]
Row = tuple[int, int, float, int]  # number of the point, instant, value, quality
RATED_KW = Fraction(36_000)


def meter(number: int) -> Point:
    """Return one of several ways in which a register may be declared."""
    multipliers = ((T0 - 90 * MINUTE_US, Fraction("0.0125")), (T0 + 50 * MINUTE_US, Fraction(7)))
    return point_of(
        [
            oracle.Meter(),
            oracle.Meter(multipliers=((T0 - MINUTE_US, Fraction(660)),)),
            oracle.Meter(modulus=100_000, rated_power_kw=RATED_KW),
            oracle.Meter(
                rated_power_kw=RATED_KW, multipliers=multipliers, max_gap_us=90 * SECOND_US
            ),
            oracle.Meter(exchanges=((T0 + 40 * MINUTE_US, Fraction(3_000), Fraction(17)),)),
        ][number % 5]
    )


def readings(draw: random.Random, number: int) -> list[Row]:
    """Return two hours of a live counter, with what happens to counters here and there."""
    at, count, rows = T0 + draw.randrange(MINUTE_US), draw.randrange(90_000), []
    while at < T0 + 120 * MINUTE_US:
        fate = draw.random()
        shown: float = count
        if fate < 0.01:
            shown = draw.choice([0, 99_999, count + 50_000, count + 0.5])
        elif fate < 0.015:
            count = draw.randrange(1000)
            shown = count
        quality = draw.choice([1, 2]) if 0.02 < fate < 0.03 else 0
        rows.append((number, at, float(shown), quality))
        gap = draw.choice([20, 60, 40 * 60]) if 0.5 < fate < 0.52 else draw.choice([1, 10, 60])
        at += gap * SECOND_US + draw.choice([0, draw.randrange(SECOND_US)])
        if draw.random() < 0.02:
            at = at // SLOT_US * SLOT_US + SLOT_US  # exactly on an edge
        count = (count + draw.randrange(0, 60)) % 100_000
    return rows


def columns(rows: list[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        np.array([row[3] for row in rows], np.int16),
    )


class Caller:
    """What the calculator does: computes what is not plain by the one function, and adopts."""

    def __init__(self, points: dict[int, Point]) -> None:
        self.points = points
        self.seen: dict[int, list[Row]] = {number: [] for number in points}
        self.open = OpenSlots()
        self.slots: dict[tuple[int, int], Slot] = {}

    def offer(self, rows: list[Row], *, late: bool = False) -> None:
        rows = sorted(rows)
        for row in rows:
            self.seen[row[0]].append(row)
        reaches = self.open.take(*columns(rows))
        self.store(self.open.drain())
        for number in {reach.point_id for reach in reaches}:
            self.compute(number, adopt=not late)

    def store(self, rows: SlotRows) -> None:
        for row in range(len(rows)):
            key = int(rows.point_id[row]), int(rows.start_us[row])
            told = int(rows.energy_e6[row]) if rows.known[row] else None
            self.slots[key] = (
                told,
                int(rows.estimated_e6[row]),
                int(rows.measured_us[row]),
                int(rows.flags[row]),
            )

    def figures(self, number: int) -> tuple[int, energy.Figures]:
        first = T0 // SLOT_US * SLOT_US - SLOT_US
        edges = np.arange(first, first + 16 * SLOT_US, SLOT_US, dtype=np.int64)
        _, ts_us, value, quality = columns(sorted(self.seen[number]))
        return first, energy.figures(self.points[number], ts_us, value, quality, edges)

    def compute(self, number: int, *, adopt: bool) -> None:
        first, found = self.figures(number)
        for key in [key for key in self.slots if key[0] == number]:
            del self.slots[key]
        self.store(SlotRows.of_point(number, first, found))
        used = [row for row in sorted(self.seen[number]) if row[3] != Quality.BAD]
        if adopt and used:
            at_us, value = used[-1][1], used[-1][2]
            held = self.slots.get((number, at_us // SLOT_US * SLOT_US), (None, 0, 0, 0))
            self.open.restore(self.points[number], number, (at_us, value), held)

    def expected(self) -> dict[tuple[int, int], Slot]:
        whole = Caller(self.points)
        whole.seen = self.seen
        for number in self.points:
            whole.compute(number, adopt=False)
        return whole.slots


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10**9), st.integers(1, 120))
def test_live_slots_are_those_of_the_one_function(seed: int, most: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - a replayable draw, no secret
    points = {number: meter(number) for number in draw.sample(range(1, 40), 6)}
    caller = Caller(points)
    rows = sorted((row for n in points for row in readings(draw, n)), key=lambda row: row[1])
    while rows:
        size = draw.randrange(1, most + 1)
        caller.offer(rows[:size])
        rows = rows[size:]
    assert caller.slots == caller.expected()
    assert caller.open.taken > 0


def test_almost_all_of_a_steady_meter_is_plain() -> None:
    caller = Caller({1: meter(2)})
    for second in range(0, 3_600, 30):
        caller.offer([(1, T0 + n * SECOND_US, float(n), 0) for n in range(second, second + 30)])
    assert caller.open.taken == 3_570
    assert caller.slots == caller.expected()


def test_what_grew_before_a_point_stopped_being_plain_is_not_lost() -> None:
    open_slots = OpenSlots()
    assert open_slots.restore(meter(0), 1, (T0, 5.0), (None, 0, 0, 0))
    assert open_slots.take(*columns([(1, T0 + SECOND_US, 6.0, 0)])) == []
    reaches = open_slots.take(*columns([(1, T0 + 2 * SECOND_US, 3.0, 0)]))
    assert Reach(1, T0, T0 + SECOND_US + 1) in reaches
    assert Reach(1, T0 + 2 * SECOND_US, T0 + 2 * SECOND_US + 1) in reaches
    assert not open_slots.is_live(1)


def test_what_was_drained_and_not_stored_comes_again_as_it_is_then() -> None:
    open_slots = OpenSlots()
    open_slots.restore(meter(0), 1, (T0, 0.0), (None, 0, 0, 0))
    open_slots.take(*columns([(1, T0 + 10 * SECOND_US, 10.0, 0)]))
    first = open_slots.drain()
    open_slots.take(*columns([(1, T0 + 20 * SECOND_US, 20.0, 0)]))
    open_slots.put_back(first)
    again = open_slots.drain()
    assert again.energy_e6.tolist() == [20_000_000]
    open_slots.take(*columns([(1, T0 + SLOT_US + SECOND_US, 901.0, 0)]))
    open_slots.put_back(again)
    later = open_slots.drain()
    assert later.start_us.tolist() == [T0, T0 + SLOT_US]
    assert later.energy_e6.tolist() == [900_000_000, 1_000_000]
    assert len(open_slots.drain()) == 0


@pytest.mark.parametrize("value", [0.5, 2.0**60], ids=["decimals", "too large for the multiplier"])
def test_a_point_whose_count_does_not_fit_is_not_taken_over(value: float) -> None:
    assert not OpenSlots().restore(meter(1), 1, (T0, value), (None, 0, 0, 0))


whole = st.integers(0, 2**53)


@given(
    st.lists(
        st.tuples(
            whole,
            st.integers(0, 10**9),
            st.integers(1, 2 * 10**9),
            st.integers(0, 2 * 10**9),
            st.integers(1, 10**12),
            st.integers(1, 10**6),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_levels_with_a_multiplier_each_are_rounded_once(
    rows: list[tuple[int, int, int, int, int, int]],
) -> None:
    rows = [(c, r, d, min(x, d), n, m) for c, r, d, x, n, m in rows]
    found = exactmath.levels_each(
        *(np.array(column, np.int64) for column in zip(*rows, strict=True))
    )
    for value, (c, r, d, x, n, m) in zip(found.tolist(), rows, strict=True):
        exact = round_half_even((c * d + r * x) * n, d * m)
        assert (exact - value) % 2**64 == 0
