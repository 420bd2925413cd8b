"""Slots are the same to the last digit in whatever order readings arrive, and after any crash."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core import energy, periods, plant
from core.clock import to_us
from core.periods import SLOT_US
from ingest.calculator import Calculator
from store import plants, readings, slots
from store.readings import Rows

if TYPE_CHECKING:
    from core.plant import Plant
    from store.connection import Pool

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
START = to_us(datetime(2026, 11, 20, 0, tzinfo=UTC))
MINUTE = 60_000_000

PLANT = """
[site.s]
name = { zh = "厂", en = "Site" }
jurisdiction = "cn-qh"
[site.s.unit.u]
name = { zh = "炉", en = "Unit" }
kind = "potline"
[site.s.unit.u.point.counter]
kind = "counter"
carrier = "electricity"
unit = "kWh"
modulus = 100000
rated_power_kw = 60000
multiplier = [
    { from = 2026-01-01T00:00:00Z, value = "2.5" },
    { from = 2026-11-20T06:07:00Z, value = "7" },
]
exchange = [{ at = 2026-11-20T09:01:00Z, closing = 40000, opening = 17 }]
[site.s.unit.u.point.free]
kind = "counter"
carrier = "electricity"
unit = "kWh"
[site.s.unit.u.point.power]
kind = "gauge"
carrier = "electricity"
unit = "kW"
[site.s.unit.u.point.span]
kind = "interval"
carrier = "electricity"
unit = "kWh"
interval_s = 1200
"""
COUNTER, FREE, POWER, SPAN = (f"s.u.{name}" for name in ("counter", "free", "power", "span"))


async def declare(pool: Pool) -> tuple[Plant, dict[str, int]]:
    async with pool.connection() as link:
        await plants.apply(link, plant.parse(PLANT, "test.toml"), NOW)
        loaded = await plants.load(link)
    return loaded.plant, dict(loaded.ids)


def faulty(seed: int, point: str) -> list[tuple[int, float, int]]:
    """Return (instant, value, quality) of half a day with rollovers, resets, spikes and gaps."""
    draw = random.Random(seed)  # noqa: S311 - a replayable fault, no secret
    at, level, rows = START + draw.randrange(MINUTE), draw.randrange(100_000), []
    while at < START + 12 * 60 * MINUTE:
        if point == SPAN:
            rows.append((at, round(draw.uniform(0, 900), 2), 0))
            at += 20 * MINUTE + draw.choice([0, 0, MINUTE])
            continue
        fate = draw.random()
        shown = float(level if point != POWER else round(draw.uniform(0, 5e4), 3))
        if fate < 0.02:
            rows.append((at, 99_999.0, 0))
        elif fate < 0.03:
            rows.append((at, 0.0, 0))
        else:
            rows.append((at, shown, draw.choice([0, 0, 0, 0, 1, 2])))
        if fate > 0.99:
            level = 0
        gap = 45 * MINUTE if 0.5 < fate < 0.52 else MINUTE * draw.choice([1, 2])
        at += gap + draw.randrange(3_000_000)
        level = (level + draw.randrange(0, 300)) % 100_000
    return rows


async def offer(
    pool: Pool, calculator: Calculator | None, ids: dict[str, int], rows: list[tuple[Any, ...]]
) -> None:
    """Commit rows (point, instant, value, quality) and, unless it crashed, tell the calculator."""
    columns = Rows(
        np.array([ids[row[0]] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        np.array([row[3] for row in rows], np.int16),
    )
    most = max(ids.values()) + 1
    intervals = np.zeros(most, np.int64)
    intervals[ids[SPAN]] = 20 * MINUTE
    async with pool.connection() as link:
        stored = await readings.write(link, columns, NOW, None, intervals)
        marks = await slots.touch_rows(link, stored.new, np.ones(most, np.bool_))
    if calculator is not None:
        calculator.committed(stored.new, marks)


async def stored_slots(pool: Pool, point_id: int) -> dict[int, tuple[Any, ...]]:
    async with pool.connection() as link:
        cursor = await link.execute(
            "select slot_start, energy_e6, estimated_e6, measured_us, flags from slot_energy"
            " where point_id = %s",
            (point_id,),
        )
        return {to_us(row[0]): tuple(row[1:]) for row in await cursor.fetchall()}


def expected_slots(
    declared: Plant, point: str, rows: list[tuple[int, float, int]]
) -> dict[int, tuple[Any, ...]]:
    """Return the slots that the one pure function gives for all readings at once."""
    first = periods.slot_start(rows[0][0]) - 4 * SLOT_US
    last = periods.slot_start(rows[-1][0]) + 8 * SLOT_US
    edges = np.arange(first, last + 1, SLOT_US, dtype=np.int64)
    found = energy.figures(
        declared.points[point],
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.float64),
        np.array([row[2] for row in rows], np.int16),
        edges,
    )
    return {
        int(edges[row]): (
            int(found.energy_e6[row]) if found.booked_us[row] > 0 else None,
            int(found.estimated_e6[row]),
            int(found.measured_us[row]),
            int(found.flags[row]),
        )
        for row in range(len(edges) - 1)
        if found.booked_us[row] > 0 or found.flags[row] > 0
    }


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("order", ["in_order", "shuffled", "back_fill"])
async def test_slots_do_not_depend_on_the_order_of_arrival(
    pool: Pool, seed: int, order: str
) -> None:
    declared, ids = await declare(pool)
    truth = {point: faulty(seed, point) for point in (COUNTER, FREE, POWER, SPAN)}
    rows = sorted(
        ((point, *row) for point, series in truth.items() for row in series),
        key=lambda row: row[1],
    )
    draw = random.Random(seed)  # noqa: S311 - a replayable order, no secret
    if order == "shuffled":
        draw.shuffle(rows)
    elif order == "back_fill":
        cut = len(rows) // 3
        rows = rows[:cut] + rows[2 * cut :] + rows[cut : 2 * cut]
    calculator = Calculator(pool, lambda: (declared, ids), lambda: NOW)
    while rows:
        size = draw.randrange(1, 120)
        crashed = draw.random() < 0.1
        await offer(pool, None if crashed else calculator, ids, rows[:size])
        rows = rows[size:]
        if crashed:
            calculator = Calculator(pool, lambda: (declared, ids), lambda: NOW)
        elif draw.random() < 0.7:
            await calculator.step()
    while await calculator.step():
        pass
    for point, series in truth.items():
        stored = await stored_slots(pool, ids[point])
        assert stored == expected_slots(declared, point, series), point


async def test_readings_offered_again_change_no_slot(pool: Pool) -> None:
    declared, ids = await declare(pool)
    rows = [(FREE, *row) for row in faulty(3, FREE)]
    calculator = Calculator(pool, lambda: (declared, ids), lambda: NOW)
    await offer(pool, calculator, ids, rows)
    await calculator.step()
    before = await stored_slots(pool, ids[FREE])
    await offer(pool, calculator, ids, rows)
    assert await calculator.step() == 0
    assert await stored_slots(pool, ids[FREE]) == before


async def test_live_readings_are_computed_from_memory(pool: Pool) -> None:
    declared, ids = await declare(pool)
    rows = [(FREE, START + n * MINUTE, float(n), 0) for n in range(600)]
    calculator = Calculator(pool, lambda: (declared, ids), lambda: NOW)
    for first in range(0, 600, 5):
        await offer(pool, calculator, ids, rows[first : first + 5])
        await calculator.step()
    assert calculator.store_reads == 1
    stored = await stored_slots(pool, ids[FREE])
    assert sum(row[0] for row in stored.values()) == 599_000_000


async def test_a_unit_is_marked_for_the_span_of_its_slots(pool: Pool) -> None:
    declared, ids = await declare(pool)
    calculator = Calculator(pool, lambda: (declared, ids), lambda: NOW)
    async with pool.connection() as link:
        await link.execute("delete from touched_unit")
    await offer(pool, calculator, ids, [(FREE, START + MINUTE, 1.0, 0)])
    await offer(pool, calculator, ids, [(FREE, START + 40 * MINUTE, 5.0, 0)])
    await calculator.step()
    async with pool.connection() as link:
        cursor = await link.execute("select unit, from_ts, until_ts from touched_unit")
        rows = [(row[0], to_us(row[1]), to_us(row[2])) for row in await cursor.fetchall()]
        assert await slots.touched(link) == []
    assert rows == [("s.u", START, START + 3 * SLOT_US)]


async def test_a_commit_while_the_store_is_read_leaves_no_slot_behind(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared, ids = await declare(pool)
    calculator = Calculator(pool, lambda: (declared, ids), lambda: NOW)
    await offer(pool, calculator, ids, [(FREE, START + n * MINUTE, float(n), 0) for n in range(5)])
    look = readings.read_series
    late = [(FREE, START + n * MINUTE, float(n), 0) for n in range(5, 10)]

    async def look_then_commit(*arguments: Any) -> readings.Series:
        seen = await look(*arguments)
        if late:
            rows, late[:] = list(late), []
            await offer(pool, calculator, ids, rows)
        return seen

    monkeypatch.setattr(readings, "read_series", look_then_commit)
    while await calculator.step():
        pass
    await offer(pool, calculator, ids, [(FREE, START + 10 * MINUTE, 10.0, 0)])
    while await calculator.step():
        pass
    stored = await stored_slots(pool, ids[FREE])
    assert sum(row[0] for row in stored.values()) == 10_000_000


async def test_passes_pause_while_readings_go_on_coming_but_not_while_old_marks_wait(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calculator = Calculator(pool, lambda: (plant.Plant(), {}), lambda: NOW)
    marks = iter([slots.MOST_MARKS, slots.MOST_MARKS, 3, 1, 1])
    wake = asyncio.Event()
    wake.set()
    told: list[str] = []

    async def busy() -> int:
        wake.set()  # the next batch is there already
        told.append("pass")
        return next(marks, 0)

    async def pause(_: float) -> None:
        told.append("pause")
        if told.count("pause") == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(calculator, "step", busy)
    monkeypatch.setattr(asyncio, "sleep", pause)
    with pytest.raises(asyncio.CancelledError):
        await calculator.run(wake)
    assert told == ["pass", "pass", "pass", "pause", "pass", "pause", "pass", "pause"]
