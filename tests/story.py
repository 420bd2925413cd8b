"""A plant's life told by a seed: readings, late ones, facts, corrections, declarations, steps.

Everything goes through the real tables and the live path (calculator, evaluator) on a clock of its
own, so that what the store answers can be asked again at any later instant.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from core import output as facts
from core import plant as plants
from core.clock import to_us
from ingest.calculator import Calculator
from ingest.evaluator import Evaluator
from store import output, readings, slots
from store import plants as declared
from store.readings import Rows

if TYPE_CHECKING:
    from core.plant import Plant
    from store.connection import Pool

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
START = datetime(2026, 10, 30, 0, tzinfo=UTC)
UNIT = "s.u"
COUNTER, SPAN, COKE = "s.u.ac", "s.u.span", "s.u.coke"
POINTS = (COUNTER, SPAN, COKE)
TEXT = """
[site.s]
name = {{ zh = "厂", en = "Site" }}
jurisdiction = "cn-qh"
timezone = "{zone}"
[site.s.unit.u]
name = {{ zh = "炉", en = "Furnace" }}
kind = "submerged_arc_furnace"
product = "ferrosilicon"
indicators = [{indicators}]
{output_by}
output_accuracy_percent = "{accuracy}"
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
modulus = 100000
rated_power_kw = 60000
multiplier = [{{ from = 2026-01-01T00:00:00Z, value = "{multiplier}" }}]
{exchange}
[site.s.unit.u.point.span]
kind = "interval"
carrier = "electricity"
unit = "kWh"
interval_s = 1200
[site.s.unit.u.point.coke]
kind = "gauge"
carrier = "semi_coke"
unit = "kg/h"
"""


def plant(
    multiplier: str = "2.5",
    accuracy: str = "0.2",
    zone: str = "Asia/Shanghai",
    *,
    exchange: str = "",
    indicators: str = '"fesi.comprehensive", "fesi.smelting"',
    output_by: str = "",
) -> Plant:
    """Return the declaration with these; `exchange` and `output_by` are lines of their tables."""
    text = TEXT.format(
        multiplier=multiplier,
        accuracy=accuracy,
        zone=zone,
        exchange=exchange,
        indicators=indicators,
        output_by=output_by,
    )
    return plants.parse(text, "story.toml")


@dataclass(slots=True)
class Story:
    """A store that lives: `now` moves only by `pass_time`."""

    pool: Pool
    now: datetime = START
    plant: Plant = field(default_factory=plant)
    ids: dict[str, int] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=lambda: dict.fromkeys(POINTS, 99_000))
    held: list[Rows] = field(default_factory=list)
    taps: int = 0

    @classmethod
    async def begin(cls, pool: Pool) -> Story:
        """Return a story whose plant was just declared."""
        story = cls(pool)
        await story.declare(story.plant)
        return story

    async def declare(self, changed: Plant) -> None:
        """Apply a declaration now."""
        async with self.pool.connection() as link:
            await declared.apply(link, changed, self.now)
            loaded = await declared.load(link)
        self.plant, self.ids = loaded.plant, dict(loaded.ids)

    def pass_time(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by

    def make(self, draw: random.Random, hours: float) -> Rows:
        """Return readings of the last hours of every point, with faults among them."""
        columns: list[tuple[int, int, float, int]] = []
        begin = to_us(self.now) - int(hours * HOUR_US)
        for point in POINTS:
            step = 20 * MINUTE_US if point == SPAN else 5 * MINUTE_US
            for at in range(begin - begin % step, to_us(self.now), step):
                quality = draw.choice([0] * 12 + [1, 2])
                value = float(draw.randrange(500, 900))
                if point == COUNTER:
                    self.levels[point] = (self.levels[point] + draw.randrange(300)) % 100_000
                    value = float(self.levels[point])
                    if draw.random() < 0.02:
                        value = draw.choice([0.0, 99_999.0])
                columns.append((self.ids[point], at, value, quality))
        return rows_of(columns)

    def steady(self, hours: float) -> Rows:
        """Return good readings of the last hours of every point, the same power all the time.

        200 counts in five minutes, 700 kWh in twenty, 500 kg an hour.
        """
        columns: list[tuple[int, int, float, int]] = []
        begin, end = to_us(self.now) - int(hours * HOUR_US), to_us(self.now)
        for at in range(begin, end + 1, 5 * MINUTE_US):
            counts = (at - begin) // (5 * MINUTE_US) * 200
            columns.append((self.ids[COUNTER], at, float(counts % 100_000), 0))
            columns.append((self.ids[COKE], at, 500.0, 0))
        columns += [(self.ids[SPAN], at, 700.0, 0) for at in range(begin, end, 20 * MINUTE_US)]
        return rows_of(columns)

    async def record(self, rows: Rows) -> None:
        """Commit readings now."""
        intervals = np.zeros(max(self.ids.values()) + 1, np.int64)
        intervals[self.ids[SPAN]] = 20 * MINUTE_US
        async with self.pool.connection() as link:
            stored = await readings.write(link, rows, self.now, None, intervals)
            await slots.touch_rows(link, stored.new, np.ones(len(intervals), np.bool_))

    async def tap(self, name: str, at: datetime, mass_t: str, revision: int = 0) -> None:
        """Commit a tapping with its grade now."""
        await self.tell(name, at, mass_t, revision=revision, grades={"Si": "0.741"})

    async def tell(self, name: str, at: datetime, mass_t: str, **more: Any) -> None:
        """Commit a production fact now: a tapping without a grade, unless `more` says else."""
        data = {
            "id": name,
            "unit": UNIT,
            "kind": "tapping",
            "at": at.isoformat(),
            "mass_t": mass_t,
            **more,
        }
        async with self.pool.connection() as link:
            await output.write(link, facts.from_data(data, to_us(self.now)), "scale", self.now)

    async def confirm(self) -> None:
        """Confirm the newest held step, if there is one."""
        async with self.pool.connection() as link:
            cursor = await link.execute(
                "select max(r.ts) from reading r join slot_energy s on s.point_id = r.point_id"
                " and r.ts >= s.slot_start and r.ts < s.slot_start + interval '15 minutes'"
                " where s.flags & 16 > 0 and r.point_id = %s and r.quality < 2",
                (self.ids[COUNTER],),
            )
            row = await cursor.fetchone()
            if row is not None and row[0] is not None:
                at_us = to_us(row[0])
                await slots.confirm(link, self.ids[COUNTER], at_us, "engineer", self.now)

    async def settle(self) -> None:
        """Let the live path catch up with everything, and with the time."""
        state = (self.plant, self.ids)
        calculator = Calculator(self.pool, lambda: state, lambda: self.now)
        evaluator = Evaluator(self.pool, lambda: state, lambda: self.now)
        while await calculator.step():
            pass
        await evaluator.refresh()
        while await evaluator.step():
            pass

    async def go_on(self, draw: random.Random) -> None:
        """Live on for some hours: one thing or another happens, some of it late."""
        hours = draw.choice([1, 3, 7])
        self.pass_time(timedelta(hours=hours))
        rows = self.make(draw, hours)
        late = np.array([draw.random() < 0.2 for _ in range(len(rows))])
        self.held.append(rows.take(late))
        await self.record(rows.take(~late))
        if draw.random() < 0.6 and self.held:
            await self.record(self.held.pop(draw.randrange(len(self.held))))
        if draw.random() < 0.7:
            self.taps += 1
            at = self.now - timedelta(hours=draw.randrange(30))
            await self.tap(f"tap-{self.taps}", at, str(draw.randrange(5, 60)))
        if draw.random() < 0.3 and self.taps:
            number = draw.randrange(1, self.taps + 1)
            at = self.now - timedelta(hours=draw.randrange(30))
            await self.tap(f"tap-{number}", at, str(draw.randrange(5, 60)), draw.randrange(1, 4))
        if draw.random() < 0.2:
            changed = plant(draw.choice(["2.5", "3", "7.25"]), draw.choice(["0.2", "0.5"]))
            await self.declare(changed)
        if draw.random() < 0.3:
            await self.confirm()


def rows_of(columns: list[tuple[int, int, float, int]]) -> Rows:
    """Return readings from (point number, instant, value, quality)."""
    return Rows(
        np.array([row[0] for row in columns], np.int64),
        np.array([row[1] for row in columns], np.int64),
        np.array([row[2] for row in columns], np.float64),
        np.array([row[3] for row in columns], np.int16),
    )


def seeded(seed: int) -> random.Random:
    """Return a replayable source of what happens."""
    return random.Random(seed)  # noqa: S311 - a replayable story, no secret
