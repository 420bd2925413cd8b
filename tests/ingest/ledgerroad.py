"""The way from an agent's message to a figure, step by step on a real store and a clock of ours.

Messages go through the writer as they come from the broker; what it commits is handed to the
calculator, and the evaluator computes what that touches: the parts of an ingest worker, without its
loops.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core import wire
from core.clock import to_us
from core.periods import Period, period_at
from core.quality import Quality
from core.reading import Reading
from ingest import declared
from ingest.calculator import Calculator
from ingest.evaluator import Evaluator
from ingest.receipts import Receipts
from ingest.source import Arrival, Bounds
from ingest.writer import Hooks, Writer
from store import plants, results, slots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from core.plant import Plant
    from ingest.declared import Declared
    from store.connection import Pool
    from store.results import Result

SITE, AGENT = "s", "gw-01"


class Silent:
    """A source that nothing comes from: messages are handed to the writer here."""

    async def run(self) -> None:
        """Never connect."""
        raise AssertionError("nobody runs this source")

    async def take(self, bounds: Bounds) -> list[Arrival]:
        """Never give anything."""
        raise AssertionError(f"nobody takes {bounds} from this source")


@dataclass(slots=True)
class Road:
    """One worker's writer, calculator and evaluator; `now` moves only where a test says so."""

    pool: Pool
    now: datetime
    declared: Declared
    writer: Writer = field(init=False)
    calculator: Calculator = field(init=False)
    evaluator: Evaluator = field(init=False)
    sequence: int = 0
    settled: int = 0

    def __post_init__(self) -> None:
        def clock() -> datetime:
            return self.now

        def known() -> tuple[Plant, Mapping[str, int]]:
            return self.declared.plant, self.declared.ids

        self.calculator = Calculator(self.pool, known, clock)
        self.evaluator = Evaluator(self.pool, known, clock)
        hooks = Hooks(committed=self.calculator.committed)
        self.writer = Writer(
            self.pool, Silent(), Receipts("a-store"), lambda: self.declared, clock, hooks
        )

    @classmethod
    async def begin(cls, pool: Pool, plant: Plant, now: datetime) -> Road:
        """Declare a plant and return the way to its figures."""
        return cls(pool, now, await _declare(pool, plant, now))

    async def declare(self, plant: Plant) -> None:
        """Declare a changed plant now."""
        self.declared = await _declare(self.pool, plant, self.now)

    async def send(self, readings: Sequence[tuple[str, int, float, int]]) -> None:
        """Hand over one message of readings (point, instant, value, quality)."""
        self.sequence += 1
        payload = wire.encode(
            [Reading(point, at, value, Quality(quality)) for point, at, value, quality in readings],
            agent=AGENT,
            epoch="e1",
            sequence=self.sequence,
            oldest=1,
            sent_us=to_us(self.now),
        )
        await self._write("readings", payload)

    async def send_fact(self, fact: Mapping[str, Any]) -> None:
        """Hand over one production fact."""
        await self._write("output", json.dumps(fact).encode())

    async def _write(self, what: str, payload: bytes) -> None:
        before = self.settled

        def settle() -> None:
            self.settled += 1

        await self.writer.write([Arrival(f"danhao/v1/{SITE}/{AGENT}/{what}", payload, settle)])
        assert self.settled == before + 1

    async def confirm(self, point: str, instants: Sequence[int]) -> None:
        """Have a person confirm steps that were held."""
        async with self.pool.connection() as link:
            for at in instants:
                await slots.confirm(link, self.declared.ids[point], at, "engineer", self.now)

    async def compute(self) -> None:
        """Compute all that waits: slots, then figures."""
        while await self.calculator.step():
            pass
        await self.evaluator.refresh()
        while await self.evaluator.step():
            pass

    async def figures(self, unit: str, indicator: str, kind: Period, day_us: int) -> list[Result]:
        """Return the stored figures of the periods of a kind that begin in a day."""
        zone = self.declared.plant.sites[SITE].timezone
        span = period_at(Period.DAY, day_us, zone)
        async with self.pool.connection() as link:
            return await results.read(link, (unit, indicator, kind.value), span, 100)


async def _declare(pool: Pool, plant: Plant, now: datetime) -> Declared:
    async with pool.connection() as link:
        await plants.apply(link, plant, now)
        loaded = await plants.load(link)
    return declared.build(loaded.plant, loaded.ids, now)
