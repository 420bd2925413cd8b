"""What the tests of rehearsals share: a plant that lives through two months, hour by hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from core import output, plant
from core.clock import from_us, to_us
from core.openslots import SlotRows
from core.periods import SLOT_US
from store import output as facts
from store import plants, slots

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from store.plants import Loaded

ZONE = "Asia/Shanghai"
OCTOBER = datetime(2026, 9, 30, 16, tzinfo=UTC)
NOVEMBER = datetime(2026, 10, 31, 16, tzinfo=UTC)
BEGIN = datetime(2026, 10, 26, 16, tzinfo=UTC)
UNTIL = datetime(2026, 11, 5, 16, tzinfo=UTC)
HOUR_US = 3_600_000_000
PLANT = """
[site.s]
name = { zh = "厂", en = "Works" }
jurisdiction = "cn-qh"
altitude_m = 1500
[site.s.agent.gw-01]
[site.s.unit.furnace]
name = { zh = "一号炉", en = "Furnace 1" }
kind = "submerged_arc_furnace"
indicators = ["fesi.smelting", "fesi.comprehensive"]
output_accuracy_percent = "0.4"
sampling_accuracy_percent = "0.2"
ore_grade = [{ from = 2026-01-01T00:00:00Z, value = "0.98" }]
[site.s.unit.furnace.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
[site.s.unit.furnace.point.coke]
kind = "counter"
carrier = "coke"
unit = "kg"
accuracy_percent = "0.5"
[site.s.unit.line]
name = { zh = "系列", en = "Line" }
kind = "potline"
indicators = ["al.liquid.ac"]
output_accuracy_percent = "0.2"
[site.s.unit.line.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
[site.s.unit.line.point.back]
kind = "counter"
carrier = "electricity"
unit = "kWh"
sign = -1
[site.s.unit.pots]
name = { zh = "电解槽", en = "Pots" }
kind = "potline"
indicators = ["al.liquid.ac"]
output_by = "pots"
output_accuracy_percent = "0.2"
[site.s.unit.pots.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
"""
# Mean energy of a slot in the unit of the point, and how much it wanders.
ENERGY = {
    "s.furnace.ac": (6_750.0, 0.2),
    "s.furnace.coke": (300.0, 0.3),
    "s.line.ac": (13_400.0, 0.01),
    "s.line.back": (130.0, 0.2),
    "s.pots.ac": (13_300.0, 0.01),
}


@dataclass
class Past:
    """A plant whose slots and facts come from a seed, filled up to any instant."""

    link: AsyncConnection[Any]
    loaded: Loaded
    filled_us: int
    seed: int = 0

    async def fill(self, until: datetime) -> None:
        """Store what happened until then, and what was booked at that very instant."""
        begin_us, end_us = self.filled_us, to_us(until)
        random = np.random.default_rng([self.seed, begin_us // SLOT_US])
        for point, (mean, spread) in ENERGY.items():
            await self._slots(random, point, (begin_us, end_us), mean, spread)
        first_us = begin_us - begin_us % HOUR_US + HOUR_US
        for at_us in range(first_us, end_us + 1, HOUR_US):
            await self._facts(random, at_us)
        self.filled_us = end_us

    async def _slots(
        self, random: Any, point: str, span: tuple[int, int], mean: float, spread: float
    ) -> None:
        starts = np.arange(*span, SLOT_US, dtype=np.int64)
        energy = np.rint(mean * (1 + spread * random.standard_normal(len(starts))) * 1e6)
        lost = random.random(len(starts)) < 0.02
        guessed = ~lost & (random.random(len(starts)) < 0.02)
        energy_e6 = np.where(lost, 0, energy).astype(np.int64)
        await slots.write(
            self.link,
            SlotRows(
                np.full(len(starts), self.loaded.ids[point], np.int64),
                starts,
                energy_e6,
                ~lost,
                np.where(guessed, energy_e6, 0),
                np.where(lost | guessed, 0, SLOT_US),
                np.zeros_like(starts),
            ),
            from_us(span[1]),
        )

    async def _facts(self, random: Any, at_us: int) -> None:
        """Tap the furnace and the line, count the metal in the pots."""
        if at_us // HOUR_US % 4 == 0:
            mass = 12.5 + random.standard_normal()
            graded = random.random() > 0.02  # the laboratory forgets one now and then
            grades = {"Si": f"{0.74 + 0.01 * random.random():.4f}"} if graded else {}
            await self.book("furnace", "tapping", at_us, f"{mass:.3f}", grades=grades)
        if at_us // HOUR_US % 6 == 1:
            mass = 24 * 1.0 + 0.3 * random.standard_normal()
            await self.book("line", "tapping", at_us, f"{mass:.3f}")
        if at_us // HOUR_US % 8 == 0:
            level = 40 + random.standard_normal()
            await self.book("pots", "stock", at_us, f"{level:.3f}")
        if at_us // HOUR_US % 8 == 3:
            await self.book("pots", "tapping", at_us, f"{32 + random.standard_normal():.3f}")

    async def book(self, unit: str, kind: str, at_us: int, mass: str, **more: Any) -> None:
        """Store a fact."""
        fact = {
            "id": f"{unit}-{kind}-{at_us}",
            "unit": f"s.{unit}",
            "kind": kind,
            "at": from_us(at_us).isoformat(),
            "mass_t": mass,
            **more,
        }
        await facts.write(self.link, output.from_data(fact, to_us(UNTIL)), "test", from_us(at_us))


async def begin(link: AsyncConnection[Any], seed: int = 0, since: datetime = BEGIN) -> Past:
    """Declare the plant; nothing has happened before `since`."""
    await plants.apply(link, plant.parse(PLANT, "plant.toml"), since)
    return Past(link, await plants.load(link), to_us(since), seed)
