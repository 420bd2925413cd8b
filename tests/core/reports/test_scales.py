"""Promises of axes: data and limits are inside, ticks are round, labels do not crowd."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.reports import scales
from core.reports.document import Chart, Day, Language, Series, Style, same

VALUES = st.lists(st.decimals(-(10**9), 10**9, places=3), min_size=1, max_size=31)


def chart(values: list[Decimal], limit: str | None = None, *, from_zero: bool = False) -> Chart:
    labels = tuple(Day(f"2026-10-{number + 1:02d}") for number in range(len(values)))
    series = [Series("v", same("v"), tuple(f"{value:f}" for value in values))]
    if limit is not None:
        series.append(Series("l", same("l"), (limit,) * len(values), Style.LIMIT))
    return Chart("c", same("c"), "kWh/t", 0, labels, tuple(series), from_zero=from_zero)


@given(VALUES, st.decimals(1, 10**6, places=2), st.booleans())
def test_data_and_limits_lie_inside_whatever_they_are(
    values: list[Decimal],
    limit: Decimal,
    from_zero: bool,  # noqa: FBT001 - drawn
) -> None:
    axis = scales.axis(chart(values, f"{limit:f}", from_zero=from_zero))
    assert axis.low <= min([*values, limit])
    assert axis.high >= max([*values, limit])
    assert axis.ticks[0] == axis.low
    assert axis.ticks[-1] == axis.high
    assert 2 <= len(axis.ticks) <= 2 * scales.TICKS + 2
    assert (
        len({second - first for first, second in zip(axis.ticks, axis.ticks[1:], strict=False)})
        == 1
    )
    assert len({axis.say(tick) for tick in axis.ticks}) == len(axis.ticks)


def test_a_limit_keeps_three_per_cent_around_it() -> None:
    axis = scales.axis(chart([Decimal(13_340), Decimal(13_345)], "13350"))
    assert axis.low <= Decimal(13_350) * Decimal("0.97")
    assert axis.high >= Decimal(13_350) * Decimal("1.03")


def test_bars_begin_at_zero() -> None:
    assert scales.axis(chart([Decimal(99)], from_zero=True)).low == 0
    assert scales.axis(chart([Decimal(-99)], from_zero=True)).high == 0


def test_a_chart_of_nothing_has_an_axis_all_the_same() -> None:
    empty = Chart("c", same("c"), "%", 0, (Day("2026-10-01"),), (Series("s", same("s"), (None,)),))
    assert scales.axis(empty).low < scales.axis(empty).high


def test_days_are_numbered_now_and_then_and_months_always() -> None:
    said = scales.labels(chart([Decimal(1)] * 31), Language.ZH)
    assert [one for one in said if one] == ["10-01", "05", "10", "15", "20", "25", "30"]
    months = tuple(Day(f"2026-{number:02d}-01") for number in range(1, 13))
    year = Chart("c", same("c"), "%", 0, months, (Series("s", same("s"), (None,) * 12),))
    assert scales.labels(year, Language.EN)[0] == "2026-01"
    assert all(scales.labels(year, Language.EN))
