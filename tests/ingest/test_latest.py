"""What points show now, and the power of their last step."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ingest.latest import Latest
from store.readings import Rows
from tests.ingest import world

TABLES = world.tables()
COUNTER = TABLES.ids[world.COUNTER]
GAUGE = TABLES.ids[world.GAUGE]
INTERVAL = TABLES.ids[world.INTERVAL]
HOUR_US = 3_600_000_000
SECOND_US = 1_000_000


def rows(*given: tuple[int, int, float, int]) -> Rows:
    ordered = sorted(given)
    return Rows(
        np.array([row[0] for row in ordered], np.int64),
        np.array([row[1] for row in ordered], np.int64),
        np.array([row[2] for row in ordered], np.float64),
        np.array([row[3] for row in ordered], np.int16),
    )


def shown(latest: Latest) -> dict[int, tuple[float, float]]:
    found, rate = latest.drain()
    both = zip(found.value.tolist(), rate.tolist(), strict=True)
    return dict(zip(found.point_id.tolist(), both, strict=True))


def test_a_counter_shows_the_power_of_its_last_step_within_and_over_batches() -> None:
    latest = Latest()
    latest.take(rows((COUNTER, 0, 10, 0), (COUNTER, 60 * SECOND_US, 11, 0)), TABLES)
    assert shown(latest) == {COUNTER: pytest.approx((11, 60.0))}
    latest.take(rows((COUNTER, 120 * SECOND_US, 13, 0)), TABLES)
    assert shown(latest) == {COUNTER: pytest.approx((13, 120.0))}
    assert shown(latest) == {}


def test_a_declared_rollover_is_followed_and_anything_odd_is_unknown() -> None:
    for before, now, dt_us, wanted in (
        (99_999_999, 1, 60 * SECOND_US, 120.0),
        (5, 5, 60 * SECOND_US, 0.0),
        (5, 6, 1801 * SECOND_US, math.nan),
    ):
        latest = Latest()
        latest.take(rows((COUNTER, 0, before, 0), (COUNTER, dt_us, now, 0)), TABLES)
        assert shown(latest)[COUNTER][1] == pytest.approx(wanted, nan_ok=True)
    latest = Latest()
    latest.take(rows((COUNTER, 0, 5, 2), (COUNTER, SECOND_US, 6, 0)), TABLES)
    assert math.isnan(shown(latest)[COUNTER][1])


def test_an_interval_shows_its_mean_power_and_a_current_none() -> None:
    latest = Latest()
    latest.take(rows((INTERVAL, 0, 25, 0), (GAUGE, 0, 400, 0)), TABLES)
    found = shown(latest)
    assert found[INTERVAL] == pytest.approx((25, 100.0))
    assert found[GAUGE][0] == 400
    assert math.isnan(found[GAUGE][1])


def test_late_readings_do_not_show() -> None:
    latest = Latest()
    latest.take(rows((COUNTER, HOUR_US, 5, 0)), TABLES)
    latest.drain()
    latest.take(rows((COUNTER, 0, 4, 0), (COUNTER, 1, 4, 0)), TABLES)
    assert shown(latest) == {}


def test_a_point_declared_after_the_tables_were_made_has_no_power() -> None:
    latest = Latest()
    latest.take(rows((1_000, 0, 5, 0), (1_000, SECOND_US, 6, 0)), TABLES)
    value, rate = shown(latest)[1_000]
    assert value == 6
    assert math.isnan(rate)


def test_what_could_not_be_written_is_drained_again() -> None:
    latest = Latest()
    latest.take(rows((COUNTER, 0, 5, 0)), TABLES)
    drained, _ = latest.drain()
    latest.again(drained)
    assert list(shown(latest)) == [COUNTER]


def test_a_coarse_register_read_every_second_shows_a_steady_power() -> None:
    latest = Latest()
    shown_kw: list[float] = []
    for second in range(600):
        # 7 counts a minute: most of the readings show the count of the one before.
        count = second * 7 // 60
        latest.take(rows((COUNTER, second * SECOND_US, count, 0)), TABLES)
        shown_kw.append(shown(latest)[COUNTER][1])
    settled = shown_kw[240:]
    assert min(settled) >= 0.9 * 7 * 60
    assert max(settled) <= 1.1 * 7 * 60


def test_a_meter_that_stands_still_shows_no_power_after_a_while() -> None:
    latest = Latest()
    for second in range(900):
        count = min(second, 300)
        latest.take(rows((COUNTER, second * SECOND_US, count, 0)), TABLES)
    assert shown(latest)[COUNTER][1] == 0.0
