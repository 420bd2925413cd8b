"""Real recordings, booked by the kernel, equal what their own authors or an honest sum say."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from core import decimals, periods
from core.clock import to_us
from core.periods import Period
from core.plant import PointKind
from tests.core import given_data, oracle
from tests.core.points import HOUR_US, MINUTE_US, Series, compute, point_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ZONE = "UTC"  # the files give wall clock time of one place and never change it


def test_a_steelworks_year_equals_its_months_to_the_hundredth() -> None:
    series = _steel(given_data.path("series/steel_industry_data.csv"))
    truth = _table(given_data.path("truth/steel_by_month.csv"))
    months = [_month(row["date"]) for row in truth]
    edges = [low for low, _ in months] + [months[-1][1]]

    meter = oracle.Meter(interval_us=15 * MINUTE_US)
    figures = compute(point_of(meter, PointKind.INTERVAL), series, edges)

    wanted = [decimals.to_e6(Fraction(row["kwh"])) for row in truth]
    assert np.abs(figures.energy_e6 - np.array(wanted)).max() <= 10_000
    assert figures.energy_e6.sum() == 959_636_710_000
    assert (figures.measured_us == np.diff(edges)).all()


def test_a_steelworks_year_equals_its_days_to_the_hundredth() -> None:
    series = _steel(given_data.path("series/steel_industry_data.csv"))
    truth = _table(given_data.path("truth/steel_by_day.csv"))
    days = [to_us(datetime.fromisoformat(row["date"]).replace(tzinfo=UTC)) for row in truth]
    edges = [*days, days[-1] + 24 * HOUR_US]

    meter = oracle.Meter(interval_us=15 * MINUTE_US)
    figures = compute(point_of(meter, PointKind.INTERVAL), series, edges)

    wanted = [decimals.to_e6(Fraction(row["kwh"])) for row in truth]
    assert len(wanted) == 365
    assert np.abs(figures.energy_e6 - np.array(wanted)).max() <= 10_000


def test_a_running_register_of_the_steelworks_gives_the_same_year_as_its_intervals() -> None:
    series = _steel(given_data.path("series/steel_industry_data.csv"))
    counts, total = [Fraction(0)], Fraction(0)
    for value in series.values:
        total += value * 100
        counts.append(total % 1_000_000)
    stamps = (*series.at, series.at[-1] + 15 * MINUTE_US)
    meter = oracle.Meter(
        modulus=1_000_000,
        rated_power_kw=Fraction(700),
        multipliers=((stamps[0], Fraction("0.01")),),
        max_gap_us=30 * MINUTE_US,
    )
    edges = [low for low, _ in periods.periods_over(Period.DAY, stamps[0], stamps[-1], ZONE)]
    edges.append(stamps[-1])

    by_register = compute(point_of(meter), Series(stamps, tuple(counts)), edges)
    by_interval = compute(
        point_of(oracle.Meter(interval_us=15 * MINUTE_US), PointKind.INTERVAL), series, edges
    )

    assert (by_register.energy_e6 == by_interval.energy_e6).all()
    assert (by_register.booked_us == by_interval.booked_us).all()


def test_a_cumulative_plug_equals_its_authors_daily_totals_on_all_days() -> None:
    rows = _table(given_data.path("series/plug_cumulative/Badkamer.csv"))
    days = _table(given_data.path("series/plug_cumulative/Badkamer.days.csv"))
    # The author's day ends with the row stamped 23:00: one hour later is midnight.
    stamps = tuple(_stamp(row["Date"]) + HOUR_US for row in rows)
    series = Series(stamps, tuple(Fraction(row["Cumulative kWh"]) for row in rows))
    point = point_of(oracle.Meter(max_gap_us=HOUR_US))

    same = 0
    for day in days:
        end = _stamp(day["Date"]) + HOUR_US
        figures = compute(point, series, [end - 24 * HOUR_US, end])
        if int(figures.booked_us[0]) < 24 * HOUR_US:
            continue  # the recording begins or ends within this day
        assert int(figures.energy_e6[0]) == decimals.to_e6(Fraction(day["Delta +kWh"])), day
        same += 1
    assert same == 34


def _steel(path: Path) -> Series:
    """Read the year: a stamp ends its interval, and 00:00 closes the day whose date it bears."""
    found: dict[int, Fraction] = {}
    for row in _table(path):
        end = datetime.strptime(row["date"], "%d/%m/%Y %H:%M").replace(tzinfo=UTC)
        if (end.hour, end.minute) == (0, 0):
            end += timedelta(days=1)
        found[to_us(end) - 15 * MINUTE_US] = Fraction(row["Usage_kWh"])
    stamps = tuple(sorted(found))
    assert len(stamps) == 35_040
    return Series(stamps, tuple(found[at] for at in stamps))


def _table(path: Path) -> Sequence[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, skipinitialspace=True))


def _stamp(text: str) -> int:
    return to_us(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC))


def _month(text: str) -> tuple[int, int]:
    instant = to_us(datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC))
    return periods.period_at(Period.MONTH, instant, ZONE)
