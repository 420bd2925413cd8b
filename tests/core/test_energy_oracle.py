"""The kernel equals an independent oracle to the last digit, whatever happens to a meter."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.plant import PointKind
from core.quality import Quality
from tests.core import oracle
from tests.core.points import MINUTE_US, SECOND_US, T0, Series, compute, point_of, rows

PAUSES_US = st.sampled_from(
    [1, SECOND_US, MINUTE_US, 15 * MINUTE_US, 30 * MINUTE_US, 30 * MINUTE_US + 1, 61 * MINUTE_US]
) | st.integers(1, 90 * MINUTE_US)
MULTIPLIERS = st.sampled_from(["1", "660", "0.01", "0.0000007", "27500", "12.345678"]).map(Fraction)
POWERS = st.sampled_from(["1", "60.5", "600000"]).map(Fraction)
MODULI = st.sampled_from([100, 10_000, 1_000_000, 10**8])
GAPS_US = st.sampled_from([MINUTE_US, 15 * MINUTE_US, 30 * MINUTE_US, 60 * MINUTE_US])
EVENTS = ["run", "run", "run", "still", "edge", "over", "leap", "fall", "dip", "back", "wrap"]


@st.composite
def meters(draw: st.DrawFn) -> oracle.Meter:
    since = sorted(draw(st.sets(st.integers(-60, 400), max_size=3)))
    moments = sorted(draw(st.sets(st.integers(-10, 300), max_size=2)))
    return oracle.Meter(
        modulus=draw(st.none() | MODULI),
        rated_power_kw=draw(st.none() | POWERS),
        multipliers=tuple((T0 + minute * MINUTE_US, draw(MULTIPLIERS)) for minute in since),
        max_gap_us=draw(GAPS_US),
        exchanges=tuple(
            (T0 + minute * MINUTE_US, Fraction(draw(st.integers(0, 20_000))), Fraction(closing, 4))
            for minute in moments
            for closing in [draw(st.integers(0, 40_000))]
        ),
    )


@st.composite
def registers(draw: st.DrawFn, meter: oracle.Meter) -> Series:
    """Draw a register's life: each event moves the count in a way that the rules must tell."""
    per = draw(st.sampled_from([1, 1, 4, 1_000_000]))
    at, count, history = T0, draw(st.integers(0, 9_999)), [0]
    stamps, counts = [], []
    for event in draw(st.lists(st.sampled_from(EVENTS), max_size=18)):
        stamps.append(at)
        counts.append(Fraction(count))
        history.append(count)
        pause = draw(PAUSES_US)
        at += pause
        count = _next(draw, event, count, history, _most_rise(meter, at - pause, at))
        if meter.modulus is not None and draw(st.booleans()):
            count %= meter.modulus
    shown = [value + Fraction(draw(st.integers(0, per - 1)), per) for value in counts]
    quality = {
        stamp: draw(st.sampled_from([Quality.UNCERTAIN, Quality.BAD]))
        for stamp in stamps
        if draw(st.integers(0, 9)) == 0
    }
    return Series(tuple(stamps), tuple(shown), quality)


def _most_rise(meter: oracle.Meter, t0: int, t1: int) -> int:
    """Return the most counts that the step may rise, near enough to probe its edge."""
    if meter.rated_power_kw is None:
        return 50
    in_force = [value for since, value in meter.multipliers if since < t1] or [
        value for _, value in meter.multipliers[:1]
    ]
    kwh = Fraction(12, 10) * meter.rated_power_kw * (t1 - t0) / (60 * MINUTE_US)
    return min(int(kwh / (in_force[-1] if in_force else 1)) + 1, 10**9)


def _next(draw: st.DrawFn, event: str, count: int, history: list[int], most: int) -> int:
    moves: dict[str, Any] = {
        "run": lambda: count + draw(st.integers(0, most)),
        "still": lambda: count,
        "edge": lambda: count + most,
        "over": lambda: count + most + 1,
        "leap": lambda: count + most + draw(st.integers(1, 10**6)),
        "fall": lambda: draw(st.integers(0, 3)),
        "dip": lambda: max(count - draw(st.integers(1, 5)), 0),
        "back": lambda: history[-2] + draw(st.integers(0, 3)),
        "wrap": lambda: draw(st.integers(0, 100)),
    }
    return int(moves[event]())


def edges_over(data: st.DataObject, meter: oracle.Meter, stamps: tuple[int, ...]) -> list[int]:
    """Draw edges anywhere and exactly where something happens."""
    last = stamps[-1] if stamps else T0
    moments = [
        *stamps,
        *(since for since, _ in meter.multipliers),
        *(e[0] for e in meter.exchanges),
    ]
    spots = st.integers(T0 - 30 * MINUTE_US, last + 30 * MINUTE_US)
    chosen = data.draw(st.sets(spots | st.sampled_from(moments or [T0]), min_size=2, max_size=12))
    return sorted(chosen)


@settings(max_examples=400)
@given(st.data())
def test_a_register_is_booked_as_the_oracle_books_it(data: st.DataObject) -> None:
    meter = data.draw(meters())
    series = data.draw(registers(meter))
    edges = edges_over(data, meter, series.at)
    falls = [at for at in series.at if data.draw(st.integers(0, 5)) == 0]
    meter = oracle.Meter(
        meter.modulus,
        meter.rated_power_kw,
        meter.multipliers,
        meter.max_gap_us,
        meter.exchanges,
        frozenset(falls),
    )

    figures = compute(point_of(meter), series, edges, meter.confirmed_us)

    assert rows(figures) == oracle.counter(meter, series.seen(), edges)


@settings(max_examples=150)
@given(st.data())
def test_a_rate_is_integrated_as_the_oracle_integrates_it(data: st.DataObject) -> None:
    meter = _plain(data.draw(meters()))
    series = data.draw(_amounts())
    edges = edges_over(data, meter, series.at)

    figures = compute(point_of(meter, PointKind.GAUGE, "kW"), series, edges)

    assert rows(figures) == oracle.gauge(meter, series.seen(), edges)


@settings(max_examples=150)
@given(st.data())
def test_an_interval_is_shared_out_as_the_oracle_shares_it(data: st.DataObject) -> None:
    meter = _plain(data.draw(meters()))
    series = data.draw(_amounts(apart_us=meter.interval_us))
    edges = edges_over(data, meter, series.at)

    figures = compute(point_of(meter, PointKind.INTERVAL), series, edges)

    assert rows(figures) == oracle.interval(meter, series.seen(), edges)


def _plain(meter: oracle.Meter) -> oracle.Meter:
    return oracle.Meter(multipliers=meter.multipliers, max_gap_us=meter.max_gap_us)


@st.composite
def _amounts(draw: st.DrawFn, apart_us: int = 1) -> Series:
    at, stamps, values = T0, [], []
    for _ in range(draw(st.integers(0, 10))):
        stamps.append(at)
        values.append(Fraction(draw(st.integers(-(10**9), 10**12)), 10**6))
        at += max(draw(PAUSES_US), apart_us)
    quality = {
        stamp: draw(st.sampled_from([Quality.UNCERTAIN, Quality.BAD]))
        for stamp in stamps
        if draw(st.integers(0, 6)) == 0
    }
    return Series(tuple(stamps), tuple(values), quality)
