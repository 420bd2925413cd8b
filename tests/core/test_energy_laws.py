"""Laws that hold for every register, however it fared and however the question is cut."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core import counters, energy
from core.plant import PointKind
from core.quality import Quality
from tests.core import oracle
from tests.core.points import MINUTE_US, T0, Series, compute, point_of, rows
from tests.core.test_energy_oracle import edges_over, meters, registers


@st.composite
def lives(draw: st.DrawFn) -> tuple[oracle.Meter, Series]:
    meter = draw(meters())
    return meter, draw(registers(meter))


@given(lives(), st.data())
def test_the_parts_add_up_to_the_whole_however_it_is_cut(
    life: tuple[oracle.Meter, Series], data: st.DataObject
) -> None:
    meter, series = life
    edges = edges_over(data, meter, series.at)
    parts = compute(point_of(meter), series, edges)
    whole = compute(point_of(meter), series, [edges[0], edges[-1]])

    for column in ("energy_e6", "estimated_e6", "booked_us", "measured_us"):
        assert getattr(parts, column).sum() == getattr(whole, column)[0]
    assert np.bitwise_or.reduce(parts.flags) == whole.flags[0]


@given(lives(), st.data())
def test_figures_of_parts_fold_into_the_figures_of_the_whole(
    life: tuple[oracle.Meter, Series], data: st.DataObject
) -> None:
    meter, series = life
    edges = edges_over(data, meter, series.at)
    kept = sorted({edges[0], edges[-1], *data.draw(st.sets(st.sampled_from(edges)))})
    fine = compute(point_of(meter), series, edges)
    index = np.searchsorted(np.array(kept), np.array(edges[:-1]), "right") - 1

    folded = fine.fold(index.astype(np.int64), len(kept) - 1)

    assert rows(folded) == rows(compute(point_of(meter), series, kept))


@given(lives(), st.data())
def test_what_is_not_booked_is_worth_nothing_and_no_time_is_counted_twice(
    life: tuple[oracle.Meter, Series], data: st.DataObject
) -> None:
    meter, series = life
    edges = edges_over(data, meter, series.at)
    lengths = np.diff(np.array(edges))
    for row, length in zip(rows(compute(point_of(meter), series, edges)), lengths, strict=True):
        assert 0 <= row.measured_us <= row.booked_us <= length
        if row.booked_us == 0:
            assert (row.energy_e6, row.estimated_e6) == (0, 0)
        if row.measured_us == row.booked_us:
            assert row.estimated_e6 == 0


@given(lives(), st.data(), st.integers(-(10**6), 10**6))
def test_a_shift_of_all_time_changes_no_figure(
    life: tuple[oracle.Meter, Series], data: st.DataObject, minutes: int
) -> None:
    meter, series = life
    edges = edges_over(data, meter, series.at)
    by = minutes * MINUTE_US
    later = replace(
        meter,
        multipliers=tuple((at + by, value) for at, value in meter.multipliers),
        exchanges=tuple((at + by, one, two) for at, one, two in meter.exchanges),
    )
    quality = {at + by: found for at, found in series.quality.items()}
    moved = Series(tuple(at + by for at in series.at), series.values, quality)

    shifted = compute(point_of(later), moved, [edge + by for edge in edges])

    assert rows(shifted) == rows(compute(point_of(meter), series, edges))


@given(
    st.lists(st.tuples(st.integers(1, 10**10), st.integers(0, 10**6)), min_size=1, max_size=30),
    st.sampled_from(["1", "660", "0.0000007", "12.345678"]).map(Fraction),
)
def test_a_register_that_only_rises_books_last_minus_first_times_its_multiplier(
    steps: list[tuple[int, int]], multiplier: Fraction
) -> None:
    stamps, counts = [T0], [0]
    for pause, rise in steps:
        stamps.append(stamps[-1] + pause)
        counts.append(counts[-1] + rise)
    meter = oracle.Meter(multipliers=((T0, multiplier),))
    series = Series(tuple(stamps), tuple(map(Fraction, counts)))

    found = compute(point_of(meter), series, stamps)

    assert found.energy_e6.sum() == round(counts[-1] * multiplier * 10**6)
    assert found.booked_us.sum() == stamps[-1] - stamps[0]


@settings(max_examples=300)
@given(lives(), st.data())
def test_it_does_not_matter_where_the_loaded_context_begins_and_ends(
    life: tuple[oracle.Meter, Series], data: st.DataObject
) -> None:
    """The rule a loader lives by: no suspect step near the cut, for max_gap on either side."""
    meter, series = life
    cuts = [first for first in range(len(series.at)) if _may_cut(meter, series, first)]
    if not cuts:
        return
    first = data.draw(st.sampled_from(cuts))
    at = series.at[first]
    edges = [at, *(edge for edge in edges_over(data, meter, series.at) if edge > at)]

    tail = Series(series.at[first:], series.values[first:], series.quality)
    from_here = compute(point_of(meter), tail, edges)

    assert rows(from_here) == rows(compute(point_of(meter), series, edges))


def _may_cut(meter: oracle.Meter, series: Series, first: int) -> bool:
    """Tell whether a loader may begin at this reading."""
    at, point = series.at[first], point_of(meter)
    seen = [one for one in series.seen() if one.at <= at]
    if not seen or seen[-1].at != at:
        return False
    values = np.array([float(one.value) for one in seen])
    scale = energy.scale_of(point, values)
    stamps = np.array([one.at for one in seen], np.int64)
    counts = np.rint(values * scale).astype(np.int64)
    doubts = counters.spans_of_doubt(stamps, counts, energy.rule_of(point, scale))
    ends_here = len(seen) > 1 and seen[-2].at in doubts
    return not ends_here and not (doubts >= at - meter.max_gap_us).any()


@given(lives(), st.data())
def test_the_order_of_arrival_does_not_matter(
    life: tuple[oracle.Meter, Series], data: st.DataObject
) -> None:
    """Facts are a set: whatever order they came in, sorting them gives one series, one figure."""
    meter, series = life
    edges = edges_over(data, meter, series.at)
    facts = list(zip(series.at, series.values, strict=True))
    shuffled = data.draw(st.permutations(facts))
    back = sorted(shuffled)
    again = Series(
        tuple(at for at, _ in back), tuple(value for _, value in back), dict(series.quality)
    )
    assert rows(compute(point_of(meter), again, edges)) == rows(
        compute(point_of(meter), series, edges)
    )


@given(lives(), st.data())
def test_a_bad_reading_is_as_if_absent(
    life: tuple[oracle.Meter, Series], data: st.DataObject
) -> None:
    meter, series = life
    edges = edges_over(data, meter, series.at)
    left = [row for row, at in enumerate(series.at) if series.quality.get(at) is not Quality.BAD]
    without = Series(
        tuple(series.at[row] for row in left),
        tuple(series.values[row] for row in left),
        series.quality,
    )
    # A bad reading's value may be anything, even what would change how the others are read.
    spoilt = Series(
        series.at,
        tuple(value if row in left else Fraction(1, 4) for row, value in enumerate(series.values)),
        series.quality,
    )
    point = point_of(meter)
    assert rows(compute(point, without, edges)) == rows(compute(point, spoilt, edges))


@given(lives(), st.data())
def test_parts_of_rates_and_intervals_add_up_too(
    life: tuple[oracle.Meter, Series], data: st.DataObject
) -> None:
    meter, series = life
    meter = oracle.Meter(multipliers=meter.multipliers, max_gap_us=meter.max_gap_us)
    edges = edges_over(data, meter, series.at)
    for kind, unit in ((PointKind.GAUGE, "kW"), (PointKind.INTERVAL, "kWh")):
        parts = compute(point_of(meter, kind, unit), series, edges)
        whole = compute(point_of(meter, kind, unit), series, [edges[0], edges[-1]])
        for column in ("energy_e6", "booked_us", "measured_us"):
            assert getattr(parts, column).sum() == getattr(whole, column)[0]
