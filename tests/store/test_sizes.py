"""The sizes that a plan multiplies are those of this store: measured again, as it stores."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import psycopg
import pytest

from core import plant, sizing
from core.clock import to_us
from ingest import declared
from store import plants, policies, readings, slots
from store.engine import Engine
from store.policies import Keep
from store.readings import Rows, Watermarks
from tests.store import ledger

if TYPE_CHECKING:
    from store.connection import Pool

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
START_US = to_us(datetime(2026, 11, 5, tzinfo=UTC))
POINTS, POLLS, STEP_US = 20, 4320, 10_000_000
POINT = '[site.m.unit.u-1.point.p-{}]\nkind = "counter"\ncarrier = "electricity"\nunit = "kWh"\n'
PLANT = """
[site.m]
name = { zh = "厂", en = "Plant" }
jurisdiction = "cn-qh"
[site.m.agent.gw-01]
[site.m.unit.u-1]
name = { zh = "单元", en = "Unit" }
kind = "potline"
""" + "".join(POINT.format(number) for number in range(POINTS))


async def fill(pool: Pool) -> int:
    """Store half a day of counters at 10 s, poll after poll, as a worker does; return how many."""
    async with pool.connection() as link:
        await plants.apply(link, plant.parse(PLANT, "plant.toml"), NOW)
        loaded = await plants.load(link)
    tables = declared.build(loaded.plant, loaded.ids, NOW)
    numbers = np.array(sorted(loaded.ids.values()))
    dice = np.random.default_rng(1)
    count = np.full(POINTS, 1e6)
    marks = Watermarks.empty()
    for first in range(0, POLLS, 480):
        polls = 480
        ts_us = START_US + (first + np.arange(polls)) * STEP_US
        steps = np.cumsum(dice.integers(2, 5, (polls, POINTS)), axis=0)
        rows = Rows(
            np.tile(numbers, polls),
            np.repeat(ts_us, POINTS) + dice.integers(0, 5000, polls * POINTS),
            (count + steps).ravel().astype(np.float64),
            np.zeros(polls * POINTS, np.int16),
        )
        count = count + steps[-1]
        async with pool.connection() as link:
            done = await readings.write(link, rows, NOW, marks, tables.interval_us)
            await slots.touch_rows(link, done.new, tables.gives_energy)
    return POLLS * POINTS


async def size(pool: Pool, query: str) -> float:
    [(found,)] = await ledger.all_rows(pool, query)
    return float(found)


async def test_a_reading_takes_as_much_as_planned(
    pool: Pool, engine: Engine, database_url: str
) -> None:
    if engine is Engine.CITUS:
        pytest.skip("Citus spreads the same tables over servers: sizes are those of plain")
    rows = await fill(pool)
    planned = {key: float(each.value) for key, each in sizing.catalogue().items()}
    if engine is Engine.PLAIN:
        bytes_now = await size(
            pool,
            "select sum(pg_total_relation_size(relid)) from pg_partition_tree('reading')"
            " where isleaf",
        )
        assert bytes_now / rows == pytest.approx(planned["reading_plain"], rel=0.1)
        return
    hyper = "select total_bytes from hypertable_detailed_size('reading')"
    assert await size(pool, hyper) / rows == pytest.approx(planned["reading_plain"], rel=0.1)
    await policies.run(pool, Keep(), NOW)
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as link:
        link.execute("analyze")
    assert await size(pool, hyper) / rows < 1.25 * planned["reading_packed"]


async def test_a_slot_takes_as_much_as_planned(pool: Pool, engine: Engine) -> None:
    if engine is not Engine.PLAIN:
        pytest.skip("slots lie on plain tables on every engine")
    await fill(pool)
    await ledger.compute_slots(pool)
    [(slots_there,)] = await ledger.all_rows(pool, "select count(*) from slot_energy")
    assert slots_there == POINTS * 48
    found = await size(pool, "select pg_total_relation_size('slot_energy')")
    # So few rows leave their last pages half empty: the planned figure is that of many.
    assert found / slots_there == pytest.approx(float(sizing.catalogue()["slot"].value), rel=0.4)
