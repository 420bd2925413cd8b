"""A ledger of three small plants for the tests of keeping: readings, slots, facts and results."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from core import output, plant
from core.clock import to_us
from ingest import declared
from ingest.calculator import Calculator
from ingest.evaluator import Evaluator
from store import access, dead_letters, plants, readings, slots
from store import output as facts
from store.readings import Rows

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool
    from store.readings import Stored

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
START = to_us(datetime(2026, 11, 1, 0, tzinfo=UTC))
DAY = 86_400_000_000
STEP = 900_000_000  # between readings
SITES = ("gh-al", "qh-fa", "nx-ce")
PLANT = "".join(
    f"""
[site.{site}]
name = {{ zh = "厂", en = "Plant" }}
jurisdiction = "cn-qh"
[site.{site}.agent.gw-01]
[site.{site}.unit.u-1]
name = {{ zh = "单元", en = "Unit" }}
kind = "potline"
indicators = ["al.liquid.ac"]
[site.{site}.unit.u-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
modulus = 100000
multiplier = [{{ from = 2026-01-01T00:00:00Z, value = "6.6" }}]
[site.{site}.unit.u-1.point.fans]
kind = "gauge"
carrier = "electricity"
unit = "kW"
role = "auxiliary"
[site.{site}.unit.u-1.point.feed]
kind = "interval"
carrier = "electricity"
unit = "kWh"
interval_s = 900
[site.{site}.unit.u-1.point.volts]
kind = "gauge"
unit = "V"
"""
    for site in SITES
)
POINTS = ("ac", "fans", "feed", "volts")


async def declare(pool: Pool) -> dict[str, int]:
    """Declare the plants and return the number of each point."""
    async with pool.connection() as link:
        await plants.apply(link, plant.parse(PLANT, "plant.toml"), NOW)
        return dict((await plants.load(link)).ids)


def rows_of(ids: dict[str, int], first_day: int, days: int, seed: int = 1) -> Rows:
    """Return readings of some days, the same ones for the same day: bad ones, gaps, rollovers."""
    parts = []
    for point, number in sorted(ids.items()):
        for day in range(first_day, first_day + days):
            draw = np.random.default_rng([seed, number, day])
            ts_us = START + day * DAY + np.arange(DAY // STEP) * STEP
            value = _values(point, day, draw, len(ts_us))
            quality = draw.choice([0, 0, 0, 0, 0, 0, 0, 1, 2], len(ts_us)).astype(np.int16)
            value[(quality == 2) & (draw.random(len(ts_us)) < 0.5)] = np.nan
            kept = draw.random(len(ts_us)) > 0.02
            size = int(kept.sum())
            parts.append(Rows(np.full(size, number), ts_us[kept], value[kept], quality[kept]))
    return Rows.join(parts)


def _values(point: str, day: int, draw: np.random.Generator, size: int) -> Any:
    if point.endswith(".ac"):
        return (90_000.0 + day * size * 150 + np.arange(size) * 150) % 100_000
    return np.round(draw.uniform(0, 500, size), 3)


async def store(pool: Pool, rows: Rows, recorded_at: datetime = NOW) -> Stored:
    """Store readings as the writer does, with the marks of what they touch."""
    async with pool.connection() as link:
        loaded = await plants.load(link)
        tables = declared.build(loaded.plant, loaded.ids, NOW)
        done = await readings.write(link, rows, recorded_at, None, tables.interval_us)
        await slots.touch_rows(link, done.new, tables.gives_energy)
    return done


async def compute_slots(pool: Pool) -> None:
    """Compute every marked slot, by a worker that has just begun."""
    async with pool.connection() as link:
        loaded = await plants.load(link)
    calculator = Calculator(pool, lambda: (loaded.plant, loaded.ids), lambda: NOW)
    while await calculator.step():
        pass


async def compute(pool: Pool) -> None:
    """Compute every marked slot, then the results that rest on them."""
    await compute_slots(pool)
    async with pool.connection() as link:
        loaded = await plants.load(link)
    evaluator = Evaluator(pool, lambda: (loaded.plant, loaded.ids), lambda: NOW)
    while await evaluator.step():
        pass


async def readings_only(pool: Pool, days: int = 2) -> dict[str, int]:
    """Store readings and the marks of their slots, nothing else."""
    ids = await declare(pool)
    await store(pool, rows_of(ids, 0, days))
    return ids


async def fill(pool: Pool, days: int = 2) -> dict[str, int]:
    """Fill a store with everything that a backup has to bring back."""
    ids = await readings_only(pool, days)
    async with pool.connection() as link:
        for site in SITES:
            body = (
                f'{{"id":"tap-1","unit":"{site}.u-1","kind":"tapping",'
                f'"at":"2026-11-01T10:00:00Z","mass_t":"12.125","grades":{{"Al":"0.998"}}}}'
            )
            await facts.write(link, output.parse(body.encode(), to_us(NOW)), "gw-01", NOW)
            coal = (
                f'{{"id":"coal-1","unit":"{site}.u-1","kind":"receipt","stream":"raw_coal",'
                f'"at":"2026-11-01T11:00:00Z","amount":"62480.5","amount_unit":"kg",'
                f'"grades":{{"lhv_kj_per_kg":"22650"}}}}'
            )
            await facts.write(link, output.parse(coal.encode(), to_us(NOW)), "gw-01", NOW)
            await link.execute(
                "insert into agent_epoch (site, agent, epoch, committed, missing, first_at,"
                " updated_at) values (%s, 'gw-01', 'e1', 1234, '{[1201,1204)}', %s, %s)",
                (site, NOW, NOW),
            )
        letter = dead_letters.Letter(
            "future", "danhao/v1/gh-al/gw-01/readings", "gh-al", "gw-01", "why", b"\0{}"
        )
        await dead_letters.write(link, [letter], NOW)
        await access.create_token(link, name="op", role="operator", scope=["*"], now=NOW)
        await access.record(link, at=NOW, who="op", role="operator", action="a", subject="s")
    await compute(pool)
    return ids


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def all_rows(pool: Pool, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    async with pool.connection() as link:
        return await (await link.execute(query, parameters)).fetchall()


READINGS = "select point_id, ts, recorded_at, value, quality from reading order by 1, 2"
SLOTS = (
    "select point_id, slot_start, energy_e6, estimated_e6, measured_us, flags from slot_energy"
    " order by 1, 2"
)
