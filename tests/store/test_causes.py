"""Promises of causes: what moved a closed figure is found where it was recorded, edges included."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from core.clock import to_us
from store import results
from tests.story import COUNTER, SPAN, START, UNIT, Story

if TYPE_CHECKING:
    from datetime import datetime

    from store.connection import Pool
    from store.readings import Rows

HOUR = timedelta(hours=1)


async def versions(told: Story, start: datetime, kind: str = "hour") -> list[dict[str, Any]]:
    """Return the causes of each version of smelting in a period."""
    span = (to_us(start), to_us(start) + 1)
    async with told.pool.connection() as link:
        (row,) = await results.read(link, (UNIT, "fesi.smelting", kind), span, 2)
        found = await results.history(link, row)
    return [dict(version.cause or {}) for version in found]


def between(rows: Rows, point: int, begin: datetime, end: datetime) -> Any:
    return (rows.point_id == point) & (rows.ts_us > to_us(begin)) & (rows.ts_us < to_us(end))


async def test_the_next_reading_after_a_periods_end_is_the_cause_of_its_last_minutes(
    pool: Pool,
) -> None:
    told = await Story.begin(pool)
    told.pass_time(3 * HOUR)
    rows = told.steady(3)
    # The meter is read at five to, and next at five past: by then the hour is closed already.
    is_next = (rows.point_id == told.ids[COUNTER]) & (rows.ts_us >= to_us(START + 2 * HOUR))
    await told.record(rows.take(~is_next))
    await told.settle()
    told.pass_time(timedelta(minutes=10))
    await told.record(rows.take(is_next & (rows.ts_us > to_us(START + 2 * HOUR))))
    await told.settle()
    first, second = await versions(told, START + HOUR)
    assert first == {"kinds": ["period_end"]}
    assert second["kinds"] == ["late_readings"]
    (reading,) = second["readings"]
    assert (reading["point"], reading["count"]) == (COUNTER, 1)
    assert reading["from"] == reading["until"] == "2026-10-30T02:05:00Z"
    assert reading["recorded_from"] == "2026-10-30T03:10:00Z"


async def test_an_outage_over_a_periods_begin_is_explained_by_the_reading_before_it(
    pool: Pool,
) -> None:
    told = await Story.begin(pool)
    told.pass_time(6 * HOUR)
    rows = told.steady(6)
    # From half past one to half past three nothing came; later all until the second hour's end.
    number = told.ids[COUNTER]
    missing = between(rows, number, START + timedelta(minutes=90), START + timedelta(minutes=210))
    back = missing & (rows.ts_us < to_us(START + 2 * HOUR))
    await told.record(rows.take(~missing))
    await told.settle()
    told.pass_time(HOUR)
    # Another power before the bound than the mean over the outage moves the hour behind it.
    await told.record(shifted(rows.take(back)))
    await told.settle()
    (_, cause) = await versions(told, START + 2 * HOUR)
    assert cause["kinds"] == ["late_readings"]
    (reading,) = cause["readings"]
    assert reading["from"] == "2026-10-30T01:55:00Z"


def shifted(rows: Rows) -> Rows:
    return type(rows)(rows.point_id, rows.ts_us, rows.value + 50, rows.quality)


async def test_a_grade_that_arrives_is_a_fact_and_no_late_reading(pool: Pool) -> None:
    told = await Story.begin(pool)
    told.pass_time(3 * HOUR)
    await told.tell("tap-1", START + HOUR, "12")
    # Readings of just before are looked for where energy moved, and it did not.
    await told.record(told.steady(3))
    await told.settle()
    told.pass_time(timedelta(seconds=5))
    await told.tap("tap-1", START + HOUR, "12", revision=1)
    await told.settle()
    _, cause = await versions(told, START + HOUR)
    assert cause["kinds"] == ["facts"]
    assert [(fact["id"], fact["revision"]) for fact in cause["facts"]] == [("tap-1", 1)]


async def test_late_readings_and_a_late_fact_at_once_are_both_named(pool: Pool) -> None:
    told = await Story.begin(pool)
    told.pass_time(3 * HOUR)
    rows = told.steady(3)
    late = between(rows, told.ids[SPAN], START + HOUR, START + 2 * HOUR)
    await told.record(rows.take(~late))
    await told.settle()
    told.pass_time(HOUR)
    await told.record(rows.take(late))
    await told.tap("tap-1", START + HOUR, "12")
    await told.settle()
    _, cause = await versions(told, START + HOUR)
    assert cause["kinds"] == ["late_readings", "facts"]
    assert [reading["count"] for reading in cause["readings"]] == [int(np.sum(late))]
