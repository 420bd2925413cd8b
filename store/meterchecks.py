"""What checks of meters look at, from the store, and their reports, kept run by run.

Bounded: a site's slots of at most MOST_DAYS; raw readings only of gauges in the last days and of
registers whose steps are held, at most MOST_READINGS of one point and MOST_READ of a run. What is
left out is told as unchecked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import clock, indicators, units
from core.clock import from_us
from core.facts import DAY_US
from core.flags import Flag
from core.meterchecks import bounds, frozen, judging
from core.meterchecks.bounds import DayFigure
from core.meterchecks.findings import Unchecked
from core.meterchecks.judging import Seen
from core.periods import HOUR_US, SLOT_US
from core.plant import PointKind
from core.quality import Quality
from store import readings, series, slotarrays

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.exactmath import Floats, Int64s
    from core.meterchecks.findings import Report
    from core.meterchecks.frozen import Stretch
    from core.plant import Plant, Point
    from store.slotarrays import SlotArrays

MOST_DAYS: Final = 400  # a year and the month before it: 38,400 slots of a point
DEFAULT_DAYS: Final = 90
GAUGE_DAYS: Final = 7  # a gauge that froze earlier is frozen now, or a person has seen it
MOST_READINGS: Final = 1_000_000  # of one point: a gauge each second for a week is 604,800
MOST_READ: Final = 10_000_000  # of a run: 100 MB a gauge at a time, a minute of reading in all
MOST_MADE: Final = 200_000  # facts of a run: a tap each minute for 138 days
MOST_REPORTS: Final = 500  # of one page
SLOTS_OF_HOUR: Final = HOUR_US // SLOT_US
MADE: Final = ("tapping", "weighing")


@dataclass(frozen=True, slots=True)
class Asked:
    """A site of a plant and a window of whole days."""

    connection: AsyncConnection[Any]
    plant: Plant
    point_ids: Mapping[str, int]
    site: str
    from_us: int
    until_us: int

    @property
    def hours(self) -> int:
        """Return how many hours the window has."""
        return (self.until_us - self.from_us) // HOUR_US


@dataclass(frozen=True, slots=True)
class Kept:
    """A report as it was kept."""

    id: str
    checked_at: datetime
    report: Mapping[str, Any]


@dataclass(slots=True)
class _Room:
    left: int = MOST_READ


async def check(asked: Asked) -> Report:
    """Look at a site's window and run all checks on it."""
    seen, unchecked = await gather(asked)
    report = judging.check(seen)
    return replace(report, unchecked=[*report.unchecked, *unchecked])


async def gather(asked: Asked) -> tuple[Seen, list[Unchecked]]:
    """Read what the checks look at; what was too much to read is told beside it."""
    hourly: dict[str, Floats] = {}
    held: dict[str, tuple[int, int]] = {}
    gauges: dict[str, Sequence[Stretch]] = {}
    unchecked: list[Unchecked] = []
    room = _Room()
    for _, point in sorted(asked.plant.points.items()):
        if point.site != asked.site:
            continue
        if _is_energy(point):
            stored = await slotarrays.stored(
                asked.connection, asked.point_ids[point.id], asked.from_us, asked.until_us
            )
            hourly[point.id] = _hourly(asked, point, stored)
            mine = _held(stored)
            if mine is not None:
                held[point.id] = mine
                if not await _raw(asked, point, hourly[point.id], mine[1], room):
                    unchecked.append(Unchecked(point.id, "too_many_readings"))
        if point.kind is PointKind.GAUGE:
            found = await _stretches(asked, point, room)
            if found is None:
                unchecked.append(Unchecked(point.id, "too_many_readings"))
            else:
                gauges[point.id] = found
    seen = Seen(
        asked.plant, asked.site, asked.from_us, asked.hours, hourly, held, gauges,
        await _days(asked), await _made(asked),
    )  # fmt: skip
    return seen, unchecked


def _is_energy(point: Point) -> bool:
    unit = None if point.energy_unit is None else units.AMOUNTS.get(point.energy_unit)
    return unit is not None and unit.quantity == "energy"


def _hourly(asked: Asked, point: Point, stored: SlotArrays) -> Floats:
    """Return kWh of each hour whose four slots were measured whole, NaN of the others."""
    whole = stored.known & (stored.estimated_e6 == 0) & (stored.measured_us == SLOT_US)
    place = (stored.start_us[whole] - asked.from_us) // HOUR_US
    slots = np.bincount(place, minlength=asked.hours)
    energy = np.zeros(asked.hours, np.int64)
    np.add.at(energy, place, stored.energy_e6[whole])
    per_unit = float(units.convert(Fraction(1, 1_000_000), point.energy_unit or "kWh", "kWh"))
    return np.where(slots == SLOTS_OF_HOUR, energy * per_unit, np.nan)


def _held(stored: SlotArrays) -> tuple[int, int] | None:
    """Return how many slots hold steps that are not booked, and when the first one begins."""
    flagged = (stored.flags & int(Flag.IMPLAUSIBLE)) != 0
    if not flagged.any():
        return None
    return int(flagged.sum()), int(stored.start_us[flagged][0])


async def _raw(asked: Asked, point: Point, hourly: Floats, since_us: int, room: _Room) -> bool:
    """Fill hours with held steps by what the register itself rose; False: too much to read."""
    first = since_us - since_us % HOUR_US
    ts, values = await _read(asked, point, first - HOUR_US, room)
    if ts is None or values is None:
        return False
    if len(ts) < 2 or point.exchanges:  # noqa: PLR2004 - a rise needs two readings
        return True
    edges = np.arange((first - asked.from_us) // HOUR_US, asked.hours + 1) * HOUR_US
    edges += asked.from_us
    level = np.interp(edges, ts, values, left=np.nan, right=np.nan)
    rise = np.diff(level)
    rise[rise < 0] = np.nan
    per_count = _multiplier(point, since_us)
    if per_count is None:
        return True
    factor = float(units.convert(per_count, point.energy_unit or "kWh", "kWh"))
    span = hourly[asked.hours - len(rise) :]
    span[:] = np.where(np.isfinite(span), span, rise * factor)
    return True


def _multiplier(point: Point, at_us: int) -> Fraction | None:
    if not point.multipliers:
        return Fraction(1)
    found = None
    for since_us, value in point.multipliers:
        if since_us <= at_us:
            found = value
    return found


async def _stretches(asked: Asked, point: Point, room: _Room) -> list[Stretch] | None:
    ts, values = await _read(asked, point, asked.until_us - GAUGE_DAYS * DAY_US, room)
    if ts is None or values is None:
        return None
    return frozen.stretches(ts, values)


async def _read(
    asked: Asked, point: Point, since_us: int, room: _Room
) -> tuple[Int64s | None, Floats | None]:
    """Return a point's usable readings until the window's end, day by day; None: too many."""
    times: list[Int64s] = []
    values: list[Floats] = []
    count = 0
    begin = max(since_us, asked.from_us - DAY_US)
    for low in range(begin, asked.until_us, DAY_US):
        found = await readings.read_series(
            asked.connection,
            asked.point_ids[point.id],
            low,
            min(low + DAY_US, asked.until_us),
        )
        count += len(found.ts_us)
        room.left -= len(found.ts_us)
        if count > MOST_READINGS or room.left < 0:
            return None, None
        good = found.quality != Quality.BAD
        times.append(found.ts_us[good])
        values.append(found.value[good])
    if not times:
        return np.zeros(0, np.int64), np.zeros(0)
    return np.concatenate(times), np.concatenate(values)


async def _days(asked: Asked) -> dict[tuple[str, str], list[DayFigure]]:
    """Return the closed days of every unit and indicator that has a bound, without holes."""
    known = bounds.catalogue()
    own = [unit for unit in asked.plant.units.values() if unit.site == asked.site]
    wanted = sorted({name for unit in own for name in unit.indicators} & set(known))
    found: dict[tuple[str, str], list[DayFigure]] = {}
    for name in wanted:
        # Energy is in the indicator's energy unit and output in its own, as bounds are.
        if indicators.find(name).unit != known[name].unit:
            continue
        members = sorted(unit.id for unit in own if name in unit.indicators)
        rows = await series.read(
            asked.connection, members, (name, "day"), (asked.from_us, asked.until_us)
        )
        for unit, each in rows.items():
            found[unit, name] = _without_holes(each)
    return found


def _without_holes(each: series.Series) -> list[DayFigure]:
    by_start = {
        start: DayFigure(start, _exact(energy), _exact(output))
        for start, closed, energy, output in zip(
            each.start_us, each.closed, each.energy, each.output, strict=True
        )
        if closed
    }
    if not by_start:
        return []
    first, last = min(by_start), max(by_start)
    return [
        by_start.get(start, DayFigure(start, None, None))
        for start in range(first, last + 1, DAY_US)
    ]


def _exact(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)


async def _made(asked: Asked) -> dict[str, list[int]]:
    """Return when each unit tapped or weighed something, in order of time."""
    cursor = await asked.connection.execute(
        "select distinct unit, (extract(epoch from at) * 1000000)::bigint as at_us"
        " from output_fact where site = %s and kind = any(%s) and stream is null"
        " and at >= %s and at < %s order by 1, 2 limit %s",
        (asked.site, list(MADE), from_us(asked.from_us), from_us(asked.until_us), MOST_MADE),
    )
    found: dict[str, list[int]] = {}
    for unit, at_us in await cursor.fetchall():
        found.setdefault(unit, []).append(at_us)
    return found


async def keep(connection: AsyncConnection[Any], report: Report, now: datetime) -> str:
    """Keep a report; return its id."""
    cursor = await connection.execute(
        "insert into meter_check (site, from_ts, until_ts, checked_at, findings, report)"
        " values (%s, %s, %s, %s, %s, %s) returning meter_check::text",
        (
            report.site,
            from_us(report.from_us),
            from_us(report.until_us),
            now,
            len(report.findings),
            json.dumps(report.item(), ensure_ascii=False),
        ),
    )
    row = await cursor.fetchone()
    assert row is not None, "an insert returns its row"  # noqa: S101 - a belief
    return str(row[0])


async def newest(connection: AsyncConnection[Any], sites: Sequence[str]) -> dict[str, Kept]:
    """Return the newest report of each of the sites that has one."""
    cursor = await connection.execute(
        "select distinct on (site) site, meter_check::text, checked_at, report from meter_check"
        " where site = any(%s) order by site, checked_at desc",
        (list(sites),),
    )
    return {row[0]: Kept(row[1], row[2], row[3]) for row in await cursor.fetchall()}


async def of_site(
    connection: AsyncConnection[Any], site: str, before_us: int | None, limit: int
) -> list[Kept]:
    """Return a site's reports checked before an instant, newest first."""
    until = from_us(before_us) if before_us is not None else None
    cursor = await connection.execute(
        "select meter_check::text, checked_at, report from meter_check where site = %s"
        " and (%s::timestamptz is null or checked_at < %s) order by checked_at desc limit %s",
        (site, until, until, min(limit, MOST_REPORTS)),
    )
    return [Kept(row[0], row[1], row[2]) for row in await cursor.fetchall()]


def checked_us(kept: Kept) -> int:
    """Return when a report was made in microseconds."""
    return clock.to_us(kept.checked_at)
