"""What a month of one unit costs to ask for, and a year of 500 units, through the real API.

Everything is served by the real application in this process over an embedded PostgreSQL with its
own settings. `query.growth` compares two stores that differ in nothing but the number of raw
readings behind the same month; calls alternate, so that a busy machine slows both alike.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import httpx
import numpy as np
import psycopg
from psycopg import conninfo

from api.app import create_app
from api.config import Settings
from core import indicators, output, periods
from core import plant as plants
from core.clock import from_us, to_us
from core.openslots import SlotRows
from core.periods import SLOT_US, Period
from deploy.benches import servers
from deploy.benches.measured import Measured
from ingest.evaluator import Evaluator
from simulators.progress import Bar
from store import (
    access,
    basis,
    connection,
    figures,
    migrate,
    readings,
    results,
    slots,
    slotwork,
    versions,
)
from store import output as facts
from store import plants as declared
from store.readings import Rows, Watermarks
from store.versions import Figure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from psycopg import AsyncConnection

    from store.connection import Pool

NAMES: Final = ("query.growth", "query.month_p95_ms", "query.year_500_units_s")
GOAL_GROWTH: Final = 1.2
GOAL_YEAR_S: Final = 1.0
CALLS: Final = 100  # the p95 is over so many
ROUNDS: Final = 5  # samples of the figure: a p95 of one round is a single call
UNITS: Final = 500
TIMES: Final = 100  # so many readings a minute in one store, one a minute in the other
BATCH: Final = 40_000
MINUTE_US: Final = 60_000_000
ZONE: Final = "Asia/Shanghai"
START: Final = datetime(2026, 9, 30, 16, tzinfo=UTC)  # 2026-10-01 in the plant
NOW: Final = datetime(2026, 11, 1, 1, tzinfo=UTC)
INDICATOR: Final = "al.liquid.ac"
SITE: Final = """
[site.s]
name = { zh = "厂", en = "Site" }
jurisdiction = "cn-qh"
"""
UNIT: Final = """
[site.s.unit.u-{number}]
name = {{ zh = "系列", en = "Potline" }}
kind = "potline"
indicators = ["al.liquid.ac"]
output_accuracy_percent = "0.2"
[site.s.unit.u-{number}.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
"""
# What a person asks when looking at a month: the month, its days, the days of its meter.
MONTH: Final = (
    "/api/v1/units/s.u-0/intensity?period=month",
    "/api/v1/units/s.u-0/intensity?period=day",
    "/api/v1/points/s.u-0.ac/energy?period=day",
)
RANGE: Final = "from=2026-10-01T00:00:00%2B08:00&to=2026-11-01T00:00:00%2B08:00"
YEAR: Final = (
    f"/api/v1/intensity?indicator={INDICATOR}&period=day&limit={UNITS}"
    "&from=2026-01-01T00:00:00%2B08:00&to=2027-01-01T00:00:00%2B08:00"
)


def measure() -> list[Measured]:
    """Fill three stores and ask them."""
    # Filling is not measured, only reading.
    with servers.embedded({"fsync": "off"}) as (url, _):
        return asyncio.run(_measure(url))


async def _measure(url: str) -> list[Measured]:
    async with AsyncExitStack() as stack:
        asked = []
        for name, a_minute in (("once", 1), ("often", TIMES)):
            served = await stack.enter_async_context(_served(url, name))
            await _fill_month(served.pool, a_minute)
            asked.append(served)
        growth, p95_ms = await _growth(*asked)
        year = await stack.enter_async_context(_served(url, "year"))
        await _fill_year(year.pool)
        seconds, mib = await _year(year)
    return [
        Measured("query.growth", "ratio", GOAL_GROWTH, tuple(growth), at_most=True),
        Measured("query.month_p95_ms", "ms", None, tuple(p95_ms)),
        Measured(
            "query.year_500_units_s",
            "s",
            GOAL_YEAR_S,
            tuple(seconds),
            at_most=True,
            beside=(("MiB", mib),),
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Served:
    """A store with the API over it, asked as an administrator."""

    pool: Pool
    client: httpx.AsyncClient

    async def ask(self, path: str) -> httpx.Response:
        answer = await self.client.get(path)
        answer.raise_for_status()
        return answer


@asynccontextmanager
async def _served(url: str, name: str) -> AsyncIterator[_Served]:
    place = conninfo.conninfo_to_dict(url)
    own = url.removesuffix(f"/{place['dbname']}") + f"/{name}"
    with psycopg.connect(url, autocommit=True) as link:
        migrate.create_database(link, name)
    migrate.migrate(own)
    pool = await connection.open_pool(own, application="danhao bench")
    try:
        async with pool.connection() as link:
            secret = await access.create_token(
                link, name="bench", role="admin", scope=("*",), now=NOW
            )
        app = create_app(Settings(database_url=own, requests_per_s=10_000), pool, lambda: NOW)
        transport = httpx.ASGITransport(app=app)
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://bench", headers=headers
        ) as client:
            yield _Served(pool, client)
    finally:
        await pool.close()


async def _declare(pool: Pool, units: int) -> declared.Loaded:
    text = SITE + "".join(UNIT.format(number=number) for number in range(units))
    async with pool.connection() as link:
        await declared.apply(link, plants.parse(text, "bench"), START)
        return await declared.load(link)


async def _fill_month(pool: Pool, a_minute: int) -> None:
    """Store a month of one counter, its slots and its results."""
    loaded = await _declare(pool, 1)
    number = loaded.ids["s.u-0.ac"]
    step_us = MINUTE_US // a_minute
    every = np.arange(to_us(START), to_us(NOW) + 1, step_us, dtype=np.int64)
    marks, bar = Watermarks.empty(), Bar(f"{a_minute} a minute", len(every))
    for low in range(0, len(every), BATCH):
        ts_us = every[low : low + BATCH]
        value = ((ts_us - every[0]) // MINUTE_US * 150).astype(np.float64)
        rows = Rows(
            np.full(len(ts_us), number, np.int64), ts_us, value, np.zeros(len(ts_us), np.int16)
        )
        async with pool.connection() as link:
            await readings.write(link, rows, NOW, marks, np.zeros(number + 1, np.int64))
        marks.advance(rows, to_us(NOW))
        bar.show(low + len(ts_us))
    bar.close()
    point = loaded.plant.points["s.u-0.ac"]
    span = (periods.slot_start(to_us(START)), periods.slot_start(to_us(NOW)))
    async with pool.connection() as link:
        async for start, found in slotwork.from_store(link, point, number, span, frozenset()):
            await slots.write(link, SlotRows.of_point(number, start, found), NOW)
        for day in range(31):
            await _tap(link, day)
        await results.touch(link, [("s.u-0", *span)])
    evaluator = Evaluator(pool, lambda: (loaded.plant, loaded.ids), lambda: NOW)
    while await evaluator.step():
        pass


async def _tap(link: AsyncConnection[Any], day: int) -> None:
    at_us = to_us(START) + day * 1440 * MINUTE_US
    fact = {
        "id": f"tap-{day}",
        "unit": "s.u-0",
        "kind": "tapping",
        "at": from_us(at_us).isoformat(),
        "mass_t": "17",
    }
    await facts.write(link, output.from_data(fact, to_us(NOW)), "bench", NOW)


async def _growth(once: _Served, often: _Served) -> tuple[list[float], list[float]]:
    """Return the ratios of the p95 of a look at the month, and the larger store's p95 [ms]."""
    ratios, p95_ms = [], []
    await _looks(once, often, CALLS // 4)  # connections, caches and plans are warm then
    for _ in range(ROUNDS):
        few, many = await _looks(once, often, CALLS)
        ratios.append(_p95(many) / _p95(few))
        p95_ms.append(_p95(many) * 1000)
    return ratios, p95_ms


async def _looks(once: _Served, often: _Served, calls: int) -> tuple[list[float], list[float]]:
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(calls):
        for served, seconds in zip((once, often), took, strict=True):
            began = time.perf_counter()
            for path in MONTH:
                await served.ask(f"{path}&{RANGE}")
            seconds.append(time.perf_counter() - began)
    return took


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


async def _fill_year(pool: Pool) -> None:
    """Store a year of daily results of many units; the query reads nothing else."""
    loaded = await _declare(pool, UNITS)
    year = periods.period_at(Period.YEAR, to_us(NOW), ZONE)
    days = periods.periods_between(Period.DAY, *year, ZONE)
    unit = loaded.plant.units["s.u-0"]
    number = loaded.ids["s.u-0.ac"]
    after = from_us(year[1])
    starts = np.arange(periods.slot_start(year[0]), year[1], SLOT_US, dtype=np.int64)
    one = np.ones(len(starts), np.int64)
    rows = SlotRows(
        one * number, starts, one * 37_500_000 + starts // SLOT_US % 977, one > 0, one * 0,
        one * SLOT_US, one * 0,
    )  # fmt: skip
    bar = Bar("a year of 500 units", UNITS)
    async with pool.connection() as link:
        await slots.write(link, rows, after)
        found = await figures.compute(
            link, loaded.plant, loaded.ids, unit, indicators.find(INDICATOR), days, after
        )
        rests_on = await basis.of_plant(link, loaded.plant, after)
    for each in range(UNITS):
        computed = [
            Figure(f"s.u-{each}", INDICATOR, Period.DAY.value, *day, item)
            for day, item in zip(days, found, strict=True)
        ]
        async with pool.connection() as link:
            await versions.write_all(link, computed, after, after, rests_on)
        bar.show(each + 1)
    bar.close()


async def _year(served: _Served) -> tuple[list[float], float]:
    """Return how long a year of all units takes [s], and the size of the answer [MiB]."""
    answer = await served.ask(YEAR)
    items = answer.json()["items"]
    assert len(items) == UNITS, "the year must be whole"  # noqa: S101 - else the figure is none
    assert all(len(item["intensity"]) == 365 for item in items)  # noqa: S101, PLR2004 - the same
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await served.ask(YEAR)
        seconds.append(time.perf_counter() - began)
    return seconds, len(answer.content) / (1 << 20)
