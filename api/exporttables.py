"""What can be exported: for each table its columns and, batch by batch, its rows.

A batch asks the store anew, so that a slow download holds neither a connection nor a transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa

from api import exports
from core import flags, periods
from core.clock import to_us
from core.quality import Quality
from store import blocks, results, slotsums, views

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from core.indicators import Indicator
    from core.intensity import PeriodEnergy
    from core.periods import Period
    from core.plant import Point
    from store.blocks import Block
    from store.connection import Pool
    from store.results import Result

MOST_BATCH: Final = 20_000  # rows: some megabytes, and no more than a tenth of a second of work
MOST_PERIODS: Final = 2_000  # asked for with one question
_WORDS: Final = {int(each): each.word for each in Quality}
Columns = list[Any]


@dataclass(frozen=True, slots=True)
class Range:
    """What is exported of every table: [from, until), the zone its times print in, the present."""

    from_us: int
    until_us: int
    zone: str
    now_us: int


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings as they were committed, by point and time."""

    numbers: Mapping[str, int]  # by point, in the order of the table
    range: Range

    def schema(self) -> Any:
        """Return the columns."""
        at = exports.instants(self.range.zone)
        return pa.schema(
            [
                ("point", pa.string()),
                ("measured_at", at),
                ("recorded_at", at),
                ("value", pa.float64()),
                ("quality", pa.string()),
            ]
        )

    async def batches(self, pool: Pool) -> AsyncIterator[Columns]:
        """Yield the rows."""
        for point, number in self.numbers.items():
            from_us = self.range.from_us
            while True:
                async with pool.connection() as link:
                    block = await blocks.of_point(
                        link, number, from_us, self.range.until_us, MOST_BATCH
                    )
                if len(block):
                    yield self._columns(point, block)
                if len(block) < MOST_BATCH:
                    break
                from_us = int(block.ts_us[-1]) + 1

    def _columns(self, point: str, block: Block) -> Columns:
        words = [_WORDS.get(each, str(each)) for each in block.quality.tolist()]
        return [
            pa.array([point] * len(block), pa.string()),
            _times(block.ts_us, self.range.zone),
            _times(block.recorded_us, self.range.zone),
            pa.array(block.value, pa.float64(), from_pandas=True),  # NaN: the value is unknown
            pa.array(words, pa.string()),
        ]


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of points per period, summed from slots."""

    points: Sequence[tuple[Point, int, str]]  # with their numbers and their plants' zones
    period: Period
    range: Range

    def schema(self) -> Any:
        """Return the columns."""
        at = exports.instants(self.range.zone)
        return pa.schema(
            [
                ("point", pa.string()),
                ("period_start", at),
                ("period_end", at),
                ("closed", pa.bool_()),
                ("energy", exports.DECIMAL),
                ("estimated", exports.DECIMAL),
                ("energy_unit", pa.string()),
                ("completeness", pa.float64()),
                ("flags", pa.string()),
            ]
        )

    async def batches(self, pool: Pool) -> AsyncIterator[Columns]:
        """Yield the rows."""
        for point, number, zone in self.points:
            for bounds in _bounds(self.period, self.range, zone):
                async with pool.connection() as link:
                    found = await slotsums.energies(link, [(number, *each) for each in bounds])
                yield self._columns(point, found)

    def _columns(self, point: Point, found: Sequence[PeriodEnergy]) -> Columns:
        now_us, zone = self.range.now_us, self.range.zone
        known = [each.estimated_e6 if each.energy_e6 is not None else 0 for each in found]
        return [
            pa.array([point.id] * len(found), pa.string()),
            _times([each.start_us for each in found], zone),
            _times([each.end_us for each in found], zone),
            pa.array([each.end_us <= now_us for each in found]),
            exports.of_millionths([each.energy_e6 for each in found]),
            exports.of_millionths(known),
            pa.array([point.energy_unit] * len(found), pa.string()),
            pa.array([float(each.completeness(now_us)) for each in found]),
            pa.array([" ".join(flags.words(each.flags)) for each in found], pa.string()),
        ]


@dataclass(frozen=True, slots=True)
class Figures:
    """The newest figures of units per period, with how each limit judges them."""

    units: Sequence[str]
    indicator: Indicator
    period: Period
    range: Range

    def schema(self) -> Any:
        """Return the columns."""
        at, text = exports.instants(self.range.zone), pa.string()
        return pa.schema(
            [
                ("unit", text),
                ("indicator", text),
                ("period_start", at),
                ("period_end", at),
                ("closed", pa.bool_()),
                ("energy", exports.DECIMAL),
                ("energy_unit", text),
                ("output", exports.DECIMAL),
                ("output_unit", text),
                ("intensity", exports.DECIMAL),
                ("uncertainty", exports.DECIMAL),
                ("intensity_unit", text),
                ("completeness", pa.float64()),
                ("verdicts", text),
                ("version", pa.int64()),
                ("computed_at", at),
                ("result", text),
            ]
        )

    async def batches(self, pool: Pool) -> AsyncIterator[Columns]:
        """Yield the rows."""
        for unit in self.units:
            from_us = self.range.from_us
            while True:
                key = (unit, self.indicator.id, self.period.value)
                async with pool.connection() as link:
                    found = await results.read(
                        link, key, (from_us, self.range.until_us), MOST_PERIODS
                    )
                if found:
                    yield self._columns(found)
                if len(found) < MOST_PERIODS:
                    break
                from_us = found[-1].start_us + 1

    def _columns(self, found: Sequence[Result]) -> Columns:
        zone, chosen, count = self.range.zone, self.indicator, len(found)
        shown = [each.figures for each in found]
        text = pa.string()

        def decimal(name: str, member: str) -> Any:
            return exports.decimals([each[name][member] for each in shown])

        return [
            pa.array([each.unit for each in found], text),
            pa.array([chosen.id] * count, text),
            _times([each.start_us for each in found], zone),
            _times([each.end_us for each in found], zone),
            pa.array([each.closed for each in found]),
            decimal("energy", "value"),
            pa.array([chosen.energy_unit] * count, text),
            decimal("output", "value"),
            pa.array([chosen.output_unit] * count, text),
            decimal("intensity", "value"),
            decimal("intensity", "uncertainty"),
            pa.array([chosen.unit] * count, text),
            pa.array([each["completeness"] for each in shown], pa.float64()),
            pa.array([_judged(each["verdicts"]) for each in shown], text),
            pa.array([each.version for each in found], pa.int64()),
            _times([each.computed_us for each in found], zone),
            pa.array([str(each.result) for each in found], text),
        ]


@dataclass(frozen=True, slots=True)
class Output:
    """Production facts, every revision of each, by time."""

    units: Sequence[str]
    range: Range

    def schema(self) -> Any:
        """Return the columns."""
        at, text = exports.instants(self.range.zone), pa.string()
        return pa.schema(
            [
                ("id", text),
                ("revision", pa.int64()),
                ("unit", text),
                ("kind", text),
                ("stream", text),
                ("at", at),
                ("amount", exports.DECIMAL),
                ("amount_unit", text),
                ("grades", text),
                ("source", text),
                ("recorded_at", at),
            ]
        )

    async def batches(self, pool: Pool) -> AsyncIterator[Columns]:
        """Yield the rows."""
        after: tuple[int, str, int] | None = None
        while True:
            async with pool.connection() as link:
                found = await views.output(
                    link,
                    units=self.units,
                    from_us_=self.range.from_us,
                    until_us=self.range.until_us,
                    after=after,
                    limit=MOST_BATCH,
                )
            if found:
                yield self._columns(found)
            if len(found) < MOST_BATCH:
                return
            after = (to_us(found[-1].at), found[-1].id, found[-1].revision)

    def _columns(self, found: Sequence[views.OutputView]) -> Columns:
        zone, text = self.range.zone, pa.string()
        return [
            pa.array([each.id for each in found], text),
            pa.array([each.revision for each in found], pa.int64()),
            pa.array([each.unit for each in found], text),
            pa.array([each.kind for each in found], text),
            pa.array([each.stream for each in found], text),
            _times([to_us(each.at) for each in found], zone),
            exports.of_millionths([each.mass_e6 for each in found]),
            pa.array([each.amount_unit or "t" for each in found], text),
            pa.array([msgspec.json.encode(each.grades).decode() for each in found], text),
            pa.array([each.source for each in found], text),
            _times([to_us(each.recorded_at) for each in found], zone),
        ]


Table = Readings | Energy | Figures | Output


def _times(instants_us: Any, zone: str) -> Any:
    return (
        pa.array(instants_us, pa.int64()).cast(exports.instants("UTC")).cast(exports.instants(zone))
    )


def _judged(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdicts as `limit:verdict`, spaces between; no id holds either sign."""
    return " ".join(f"{each['limit']}:{each['verdict']}" for each in verdicts)


def _bounds(period: Period, asked: Range, zone: str) -> Iterator[list[tuple[int, int]]]:
    """Yield the periods that begin in the range and not after the present, some at a time."""
    begin = asked.from_us
    until_us = min(asked.until_us, asked.now_us + 1)
    start, end = periods.period_at(period, begin, zone) if begin < until_us else (begin, begin)
    found: list[tuple[int, int]] = []
    while start < until_us:
        if start >= asked.from_us:
            found.append((start, end))
        if len(found) == MOST_PERIODS:
            yield found
            found = []
        start, end = periods.period_at(period, end, zone)
    if found:
        yield found
