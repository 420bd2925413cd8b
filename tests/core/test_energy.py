"""What a point's energy means (design 4.6), one promise a test, with figures to check by hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from core import decimals, energy
from core.flags import Flag
from core.plant import PointKind
from core.quality import Quality
from tests.core import oracle
from tests.core.oracle import Meter, Row
from tests.core.points import HOUR_US, MINUTE_US, T0, Series, compute, counted, point_of, rows

QUARTER = 15 * MINUTE_US
RATED = Meter(modulus=1_000_000, rated_power_kw=Fraction(100))  # 30 kWh a quarter, plus one count


def quarters(meter: Meter, *counts: float | str) -> list[Row]:
    """Book a register read every quarter of an hour, one row a step."""
    series = counted(*counts)
    return rows(compute(point_of(meter), series, series.at, meter.confirmed_us))


def kwh(*found: Row) -> list[str | None]:
    return [decimals.show_e6(row.energy_e6) if row.booked_us else None for row in found]


def test_a_register_that_passes_its_modulus_goes_on_counting() -> None:
    meter = Meter(modulus=1_000_000, rated_power_kw=Fraction(1))
    (row,) = quarters(meter, "999999.95", "0.03")
    assert decimals.show_e6(row.energy_e6) == "0.08"
    assert row.flags == Flag.ROLLOVER


def test_without_rated_power_a_fall_is_a_rollover_below_half_the_modulus_only() -> None:
    meter = Meter(modulus=1000)
    assert kwh(*quarters(meter, 600, 99)) == ["499"]
    assert kwh(*quarters(meter, 600, 100)) == [None]
    assert quarters(meter, 600, 100)[0].flags == Flag.RESET


def test_with_rated_power_a_fall_is_a_rollover_only_where_the_wrapped_step_is_possible() -> None:
    assert kwh(*quarters(RATED, 999_980, 11)) == ["31"]
    assert kwh(*quarters(RATED, 999_980, 12)) == [None]


def test_a_fall_without_a_modulus_is_unknown_and_the_count_goes_on_from_there() -> None:
    found = quarters(Meter(), 500, 510, 3, 7)
    assert kwh(*found) == ["10", None, "4"]
    assert [row.flags for row in found] == [Flag(0), Flag.RESET, Flag(0)]


def test_a_step_may_rise_by_what_is_possible_plus_one_count() -> None:
    assert kwh(*quarters(RATED, 0, 31)) == ["31"]
    assert kwh(*quarters(RATED, 0, 32)) == [None]
    assert kwh(*quarters(RATED, 0, "31.000001")) == [None]


def test_a_held_step_is_unknown_and_the_count_goes_on_from_the_new_level() -> None:
    found = quarters(RATED, 0, 10, 5000, 5010, 5020)
    assert kwh(*found) == ["10", None, "10", "10"]
    assert found[1].flags == Flag.IMPLAUSIBLE


def test_a_confirmed_step_is_booked() -> None:
    meter = Meter(rated_power_kw=Fraction(100), confirmed_us=frozenset({T0 + 2 * QUARTER}))
    found = quarters(meter, 0, 10, 5000, 5010)
    assert kwh(*found) == ["10", "4990", "10"]
    assert found[1].flags == Flag.CONFIRMED


@pytest.mark.parametrize("glitch", [5000, 0])
def test_a_jump_that_returns_is_a_spike_and_is_not_used(glitch: int) -> None:
    found = quarters(RATED, 40, 50, glitch, 110, 120)
    assert kwh(*found) == ["10", "30", "30", "10"]
    assert [row.flags for row in found] == [Flag(0), Flag.SPIKE, Flag.SPIKE, Flag(0)]


def test_a_spike_may_last_several_readings_but_not_longer_than_max_gap() -> None:
    short = quarters(Meter(rated_power_kw=Fraction(100), max_gap_us=HOUR_US), 0, 500, 501, 502, 20)
    assert kwh(*short) == ["5"] * 4
    long = quarters(Meter(rated_power_kw=Fraction(100), max_gap_us=QUARTER), 0, 500, 501, 502, 20)
    assert kwh(*long) == [None, "1", "1", None]


def test_the_allowance_follows_the_multiplier_that_is_in_force() -> None:
    change = T0 + 2 * QUARTER
    meter = Meter(
        rated_power_kw=Fraction(100), multipliers=((T0, Fraction(1)), (change, Fraction(10)))
    )
    found = quarters(meter, 0, 31, 62, 66, 71)  # 4 counts of 10 kWh are possible, 5 are not
    assert kwh(*found) == ["31", "31", "40", None]
    assert found[3].flags == Flag.IMPLAUSIBLE


def test_a_step_is_judged_by_the_multipliers_in_force_on_it_the_more_generous_where_two_are() -> (
    None
):
    change = T0 + 2 * QUARTER
    ten_then_one = ((T0, Fraction(10)), (change, Fraction(1)))
    meter = Meter(rated_power_kw=Fraction(100), multipliers=ten_then_one)
    assert kwh(*quarters(meter, 0, 4, 9, 40)) == ["40", None, "31"]
    astride = replace(meter, multipliers=((T0, Fraction(10)), (change - 1, Fraction(1))))
    assert quarters(astride, 0, 4, 35, 36)[1].flags == Flag.MULTIPLIER_CHANGED
    assert kwh(*quarters(astride, 0, 4, 36, 37))[1] is None


def test_a_spike_of_one_reading_is_one_however_slowly_the_register_is_read() -> None:
    slow = Meter(rated_power_kw=Fraction(100), max_gap_us=MINUTE_US)
    found = quarters(slow, 40, 50, 5000, 110)
    assert kwh(*found) == ["10", "30", "30"]
    assert [row.measured_us for row in found] == [0, 0, 0]
    assert Flag.SPIKE | Flag.ESTIMATED in found[1].flags


def test_two_spikes_in_a_row_are_two_spikes() -> None:
    found = quarters(RATED, 40, 5000, 50, 5010, 60)
    assert kwh(*found) == ["5"] * 4
    assert {row.flags for row in found} == {Flag.SPIKE}


def test_a_multiplier_counts_from_its_instant_and_before_the_first_nothing_is_known() -> None:
    meter = Meter(
        multipliers=((T0 + QUARTER, Fraction(660)), (T0 + 2 * QUARTER + QUARTER // 3, Fraction(2))),
    )
    found = quarters(meter, 0, 10, 20, 50)
    assert kwh(*found) == [None, "6600", "6640"]  # 10 x 660 and 20 x 2
    assert [row.flags for row in found] == [
        Flag.MULTIPLIER_UNKNOWN,
        Flag(0),
        Flag.MULTIPLIER_CHANGED,
    ]


def test_an_exchange_closes_the_old_register_and_opens_the_new() -> None:
    at = T0 + QUARTER + MINUTE_US
    meter = Meter(exchanges=((at, Fraction("500550.25"), Fraction(600_000)),))
    found = quarters(meter, 500_500, 500_550, 600_010, 600_020)
    assert kwh(*found) == ["50", "10.25", "10"]
    assert found[1].flags == Flag.EXCHANGE


def test_a_gap_is_estimated_named_as_such_and_not_measured() -> None:
    series = counted(100, 340, every_us=HOUR_US)
    found = rows(compute(point_of(Meter()), series, [T0 + n * QUARTER for n in range(5)]))
    assert found == [Row(60_000_000, 60_000_000, QUARTER, 0, Flag.GAP | Flag.ESTIMATED)] * 4


def test_a_step_as_long_as_max_gap_is_no_gap() -> None:
    series = counted(100, 340, every_us=1800 * 10**6)
    (row,) = rows(compute(point_of(Meter()), series, series.at))
    assert (row.estimated_e6, row.measured_us, row.flags) == (0, 1800 * 10**6, Flag(0))


def test_outside_the_first_and_last_used_reading_nothing_is_booked() -> None:
    series = counted(100, 130)
    edges = [T0 - HOUR_US, T0 - QUARTER, T0 + QUARTER // 3, T0 + HOUR_US, T0 + 2 * HOUR_US]
    found = rows(compute(point_of(Meter()), series, edges))
    assert kwh(*found) == [None, "10", "20", None]
    assert [row.booked_us for row in found] == [0, QUARTER // 3, QUARTER - QUARTER // 3, 0]


def test_a_bad_reading_counts_as_absent_and_an_uncertain_one_is_used_and_flagged() -> None:
    series = counted(0, 7777, 20, 30)
    series.quality[T0 + QUARTER] = Quality.BAD
    series.quality[T0 + 2 * QUARTER] = Quality.UNCERTAIN
    found = rows(compute(point_of(Meter()), series, series.at))
    assert kwh(*found) == ["10", "10", "10"]
    assert [row.flags for row in found] == [Flag(0), Flag(0), Flag.UNCERTAIN]


def test_energy_is_cut_half_even_at_a_millionth_and_the_parts_add_up() -> None:
    series = counted(0, 1, every_us=64)
    point = point_of(Meter(multipliers=((T0, Fraction("0.000001")),)))
    found = compute(point, series, [T0, T0 + 32, T0 + 33, T0 + 64])
    assert found.energy_e6.tolist() == [0, 1, 0]  # C is 0.5, to even 0; then 33/64, up to 1


def test_decimals_of_a_count_are_kept_as_sent() -> None:
    assert kwh(*quarters(Meter(), "123456.789", "123456.789001")) == ["0.000001"]


def test_a_float32_register_gives_the_energy_of_the_figures_it_shows() -> None:
    shown = np.array([16_384.001, 16_384.01, 16_384.02], np.float32).astype(np.float64)
    series = Series((T0, T0 + 1, T0 + 2), tuple(Fraction(float(value)) for value in shown))
    found = compute(point_of(Meter()), series, series.at)
    wanted = [round(Fraction(float(value)) * 10**6) for value in shown]
    assert found.energy_e6.tolist() == [wanted[1] - wanted[0], wanted[2] - wanted[1]]


def test_a_count_near_two_to_the_53_is_exact_to_the_last_one() -> None:
    top = 2**53
    assert kwh(*quarters(Meter(), top - 2, top - 1, top)) == ["1", "1"]
    meter = Meter(multipliers=((T0, Fraction("1.234567")),))
    assert kwh(*quarters(meter, top - 3, top)) == ["3.703701"]


def test_a_rollover_at_two_to_the_53_is_exact() -> None:
    meter = Meter(modulus=2**53, rated_power_kw=Fraction(100))
    assert kwh(*quarters(meter, 2**53 - 2, 5)) == ["7"]


def test_a_step_too_large_for_exact_figures_is_held_even_without_rated_power() -> None:
    found = quarters(Meter(), 0, 2**53, 2**53)
    assert kwh(*found) == [None, "0"]
    assert found[0].flags == Flag.IMPLAUSIBLE


@pytest.mark.parametrize("monster", [1e300, -1e300, 2.0**53 + 2])
def test_a_value_that_no_register_can_show_counts_as_absent_and_is_flagged(monster: float) -> None:
    series = Series(
        (T0, T0 + QUARTER, T0 + 2 * QUARTER), (Fraction(0), Fraction(monster), Fraction(20))
    )
    found = rows(compute(point_of(Meter()), series, series.at))
    assert kwh(*found) == ["10", "10"]
    assert [row.flags for row in found] == [Flag(0), Flag.IMPLAUSIBLE]


def test_a_value_that_is_no_number_counts_as_absent() -> None:
    at = np.array([T0, T0 + QUARTER, T0 + 2 * QUARTER], np.int64)
    values = np.array([0.0, np.nan, 20.0])
    found = energy.figures(point_of(Meter()), at, values, np.zeros(3, np.int16), at)
    assert found.energy_e6.tolist() == [10_000_000, 10_000_000]


def test_a_rate_is_linear_between_readings_and_a_gap_is_unknown() -> None:
    series = Series(
        (T0, T0 + QUARTER, T0 + 2 * QUARTER, T0 + 2 * HOUR_US),
        (Fraction(0), Fraction(60), Fraction(60), Fraction(60)),
    )
    edges = [T0, T0 + QUARTER, T0 + 2 * QUARTER, T0 + 2 * HOUR_US]
    found = rows(compute(point_of(Meter(), PointKind.GAUGE, "kW"), series, edges))
    assert kwh(*found) == ["7.5", "15", None]
    assert found[2].flags == Flag.GAP


def test_an_interval_belongs_to_the_time_after_its_stamp_and_is_shared_by_time() -> None:
    meter = Meter(interval_us=HOUR_US)
    series = Series((T0,), (Fraction(12),), {T0: Quality.UNCERTAIN})
    edges = [T0 - QUARTER, T0, T0 + QUARTER, T0 + 2 * HOUR_US]
    found = rows(compute(point_of(meter, PointKind.INTERVAL), series, edges))
    assert kwh(*found) == [None, "3", "9"]
    assert [row.flags for row in found] == [Flag(0), Flag.UNCERTAIN, Flag.UNCERTAIN]


def test_energy_in_joules_is_judged_by_the_rated_power_in_kilowatts() -> None:
    meter = Meter(rated_power_kw=Fraction(100))  # 30 kWh a quarter are 108 MJ, plus one count
    for count, wanted in ((109, "109"), (110, None)):
        series = counted(0, count)
        found = rows(compute(point_of(meter, unit="MJ"), series, series.at))
        assert kwh(*found) == [wanted]


@pytest.mark.parametrize("kind", list(PointKind))
def test_no_readings_and_no_intervals_give_nothing(kind: PointKind) -> None:
    point = point_of(Meter(), kind, "kW" if kind is PointKind.GAUGE else "kWh")
    nothing = Series((), ())
    assert rows(compute(point, nothing, [T0, T0 + 1, T0 + 2])) == [Row(), Row()]
    assert rows(compute(point, counted(1, 2), [T0])) == []


def test_a_single_reading_books_nothing() -> None:
    for meter in (Meter(), RATED, Meter(exchanges=((T0, Fraction(5), Fraction(0)),))):
        assert rows(compute(point_of(meter), counted(7), [T0 - 1, T0, T0 + 1]))[1].booked_us == 0


def test_the_oracle_itself_agrees_with_a_figure_made_by_hand() -> None:
    seen = counted("999999.95", "0.03").seen()
    meter = Meter(modulus=1_000_000, rated_power_kw=Fraction(1))
    (row,) = oracle.counter(meter, seen, [T0, T0 + QUARTER])
    assert row == Row(80_000, 0, QUARTER, QUARTER, Flag.ROLLOVER)
