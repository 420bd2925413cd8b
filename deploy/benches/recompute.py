"""A plant's months computed live, and all of it computed again from raw readings and compared.

    danhao bench recompute --units 300 --months 12 --judged 10

A furnace a unit, with a register that is read every quarter of an hour and a weekly tapping. Days
pass one by one: each day's readings are stored the way ingest stores them, the calculator makes
slots of them as they come, and every week the evaluator the figures of hours, shifts, days, months
and the year of the units that are judged. Registers roll over and are reset, readings are missing,
in doubt, doubled, or days late. At the end all slots and figures are computed again, by what
`danhao recompute` does; `load` is the highest load of the machine meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import output
from core import plant as plants
from core.clock import to_us
from core.errors import Misconfigured
from core.periods import SLOT_US, Period, period_at
from core.plant import EVER
from core.quality import Quality
from deploy.benches import servers
from deploy.benches.measured import Measured
from ingest import recompute
from ingest.calculator import Calculator
from ingest.evaluator import Evaluator
from ingest.recompute import Chosen, Report
from simulators.progress import Bar
from store import connection, migrate, readings, slots
from store import output as facts
from store import plants as declared
from store.readings import Rows, Watermarks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.connection import Pool
    from store.plants import Loaded

NAMES: Final = ("recompute.differences", "recompute.readings_per_s", "recompute.live_per_s")
OPTIONS: Final = ("units", "months", "judged")
UNITS: Final = 10  # where nobody says how many, for one month: less than a minute
MOST_UNITS: Final = 2_000
MOST_MONTHS: Final = 24
ZONE: Final = "Asia/Shanghai"
BEGIN: Final = datetime(2025, 1, 1, tzinfo=UTC) - timedelta(hours=8)  # of the plant's year
DAY_US: Final = 96 * SLOT_US
MODULUS: Final = 100_000
WEEK: Final = 7  # days from one tapping to the next, and from one evaluation to the next
LATE_DAYS: Final = 3  # after an outage a day's readings come so much later
# Shares of days on which a furnace has no link, stands still or its register is reset, and of
# readings that never come, come twice, are in doubt or of no use.
NO_LINK, STILL, RESET = 0.01, 0.02, 0.001
LOST, DOUBLED, DOUBTED, BAD = 0.001, 0.001, 0.001, 0.0005
SITE: Final = """
[site.s]
name = { zh = "厂", en = "Works" }
jurisdiction = "cn-qh"
"""
UNIT: Final = """
[site.s.unit.u-{number}]
name = {{ zh = "炉", en = "Furnace" }}
kind = "submerged_arc_furnace"
indicators = [{indicators}]
output_accuracy_percent = "0.5"
[site.s.unit.u-{number}.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
modulus = 100_000
rated_power_kw = 36_000
accuracy_percent = "0.35"
multiplier = [{{ from = 2020-01-01T00:00:00Z, value = "660" }}]
"""


def measure(
    units: int | None = None, months: int | None = None, judged: int | None = None
) -> list[Measured]:
    """Live through so many months of so many units; raises Misconfigured on impossible numbers.

    All units are judged unless fewer are asked for.
    """
    count, length = UNITS if units is None else units, 1 if months is None else months
    counted = count if judged is None else judged
    if not 1 <= count <= MOST_UNITS or not 1 <= length <= MOST_MONTHS or not 0 <= counted <= count:
        raise Misconfigured(
            f"--units takes 1 to {MOST_UNITS}, --months 1 to {MOST_MONTHS}, and --judged at most as"
            " many as there are units"
        )
    # What is measured is computing and comparing; nobody pulls the plug.
    with servers.embedded({"fsync": "off", "shared_buffers": "512MB"}) as (url, _):
        migrate.migrate(url)
        return asyncio.run(_measure(url, count, length, counted))


async def _measure(url: str, units: int, months: int, judged: int) -> list[Measured]:
    pool = await connection.open_pool(url, application="danhao bench", most=2)
    try:
        life = await live(pool, units, months, judged)
        report = await again(pool, life)
    finally:
        await pool.close()
    return figures(life, report)


@dataclass(slots=True)
class Life:
    """What was lived through, and how long each part of it took."""

    loaded: Loaded
    now: datetime
    readings: int = 0
    figures: int = 0
    store_s: float = 0.0
    slots_s: float = 0.0
    figures_s: float = 0.0
    loads: list[float] = field(default_factory=list)

    @property
    def live_s(self) -> float:
        """Return the time that live work took."""
        return self.store_s + self.slots_s + self.figures_s


def figures(life: Life, report: Report) -> list[Measured]:
    """Return the figures of one life."""
    different = sum(report.counts.values())
    compared = (
        ("readings", float(life.readings)),
        ("slots", float(report.slots)),
        ("figures", float(report.results)),
    )
    return [
        Measured("recompute.differences", "", 0, (different,), at_most=True, beside=compared),
        Measured(
            "recompute.readings_per_s",
            "per s",
            None,
            (life.readings / report.seconds,),
            beside=(("seconds", report.seconds), ("load", max(life.loads))),
        ),
        Measured(
            "recompute.live_per_s",
            "per s",
            None,
            (life.readings / life.live_s,),
            beside=(
                ("store s", life.store_s),
                ("slots s", life.slots_s),
                ("figures s", life.figures_s),
            ),
        ),
    ]


async def live(pool: Pool, units: int, months: int, judged: int) -> Life:
    """Let months pass day by day: slots are made every day, figures every week and at the end."""
    async with pool.connection() as link:
        await declared.apply(link, plants.parse(_text(units, judged), "bench"), BEGIN)
        life = Life(await declared.load(link), BEGIN)
    known = (life.loaded.plant, life.loaded.ids)
    calculator = Calculator(pool, lambda: known, lambda: life.now)
    evaluator = Evaluator(pool, lambda: known, lambda: life.now)
    days = _days(months)
    marks, bar = Watermarks.empty(), Bar("days", days)
    for day, rows in enumerate(Furnaces(life.loaded, units, days).days()):
        life.now = BEGIN + timedelta(days=day + 1, minutes=1)
        began = time.perf_counter()
        await _store(pool, life, rows, marks, calculator)
        if day % WEEK == 0:
            await _tap(pool, life, day, judged)
        stored = time.perf_counter()
        while await calculator.step():
            pass
        computed = time.perf_counter()
        if day % WEEK == WEEK - 1 or day == days - 1:
            await evaluator.refresh()
            while await evaluator.step():
                pass
        life.store_s += stored - began
        life.slots_s += computed - stored
        life.figures_s += time.perf_counter() - computed
        life.loads.append(os.getloadavg()[0])
        bar.show(day + 1)
    bar.close()
    life.figures = evaluator.results_written
    return life


def _text(units: int, judged: int) -> str:
    named = ['"fesi.smelting"' if number < judged else "" for number in range(units)]
    return SITE + "".join(
        UNIT.format(number=number, indicators=one) for number, one in enumerate(named)
    )


def _days(months: int) -> int:
    end_us = to_us(BEGIN)
    for _ in range(months):
        end_us = period_at(Period.MONTH, end_us, ZONE)[1]
    return (end_us - to_us(BEGIN)) // DAY_US + LATE_DAYS + 1


async def _store(
    pool: Pool, life: Life, rows: Rows, marks: Watermarks, calculator: Calculator
) -> None:
    """Store a day's readings as ingest does, and hand over what was new."""
    size = max(life.loaded.ids.values()) + 1
    async with pool.connection() as link:
        done = await readings.write(link, rows, life.now, marks, np.zeros(size, np.int64))
        touched = await slots.touch_rows(link, done.new, np.ones(size, np.bool_))
    marks.advance(done.new, to_us(life.now))
    calculator.committed(done.new, touched)
    life.readings += len(done.new)


async def _tap(pool: Pool, life: Life, day: int, judged: int) -> None:
    async with pool.connection() as link:
        for number in range(judged):
            fact: dict[str, Any] = {
                "id": f"tap-{number}-{day}",
                "unit": f"s.u-{number}",
                "kind": "tapping",
                "at": (BEGIN + timedelta(days=day, hours=number % 24)).isoformat(),
                "mass_t": f"{480 + (number * 7 + day) % 60}.{number % 10}",
                "grades": {"Si": f"0.7{(number + day) % 10}"},
            }
            await facts.write(link, output.from_data(fact, to_us(life.now)), "bench", life.now)


class Furnaces:
    """Registers of furnaces, each from the seed of its number, day by day in order of arrival."""

    def __init__(self, loaded: Loaded, units: int, days: int) -> None:
        self._points = np.array([loaded.ids[f"s.u-{n}.ac"] for n in range(units)], np.int64)
        self._days = days
        self._random = np.random.default_rng(units * 1_000 + days)
        self._level = self._random.integers(0, MODULUS, units)
        self._late: dict[int, list[Rows]] = {}

    def days(self) -> Iterator[Rows]:
        """Yield each day's arrivals: the day's own readings, then those that come late."""
        for day in range(self._days):
            whole = self._day(day)
            away = (self._random.random(len(self._points)) < NO_LINK)[
                whole.point_id - self._points[0]
            ]
            lost, doubled = (self._random.random(len(whole)) < each for each in (LOST, DOUBLED))
            self._late.setdefault(day + LATE_DAYS, []).append(whole.take(away & ~lost))
            late = self._late.pop(day, ())
            there = ~away & ~lost
            yield Rows.join([whole.take(there), *late, whole.take(there & doubled)])

    def _day(self, day: int) -> Rows:
        """Return a day's readings of all furnaces, quarter by quarter."""
        units = len(self._points)
        rise = self._random.integers(6, 14, (96, units))
        rise[:, self._random.random(units) < STILL] = 0
        level = self._level + np.cumsum(rise, axis=0)
        reset = np.flatnonzero(self._random.random(units) < RESET)
        level[48:, reset] -= level[48, reset]
        level %= MODULUS
        self._level = level[-1]
        at_us = to_us(BEGIN) + day * DAY_US + np.arange(96, dtype=np.int64) * SLOT_US
        doubt = self._random.random(level.size)
        quality = np.where(doubt < DOUBTED, int(Quality.UNCERTAIN), int(Quality.GOOD))
        quality[doubt > 1 - BAD] = int(Quality.BAD)
        return Rows(
            np.tile(self._points, 96),
            np.repeat(at_us, units),
            level.reshape(-1).astype(np.float64),
            quality.astype(np.int16),
        )


async def again(pool: Pool, life: Life) -> Report:
    """Compute everything again from raw, as `danhao recompute` does, and compare."""
    plan = life.loaded.plant
    chosen = Chosen([(unit, plan.points_of(unit.id)) for unit in plan.units.values()], EVER)
    bar = Bar("slots again", 1)
    try:
        return await recompute.recompute(
            pool, plan, life.loaded.ids, chosen, lambda: life.now, lambda done, _: bar.show(done)
        )
    finally:
        bar.close()
