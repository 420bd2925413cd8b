"""What a site's data looks like in a period: the counts that the quality score is made of.

Only points that give energy are looked at. What costs a look at raw readings is bounded, and what
was not looked at is said with its reason; where readings are archived, that is the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import decimals, periods
from core.clock import from_us, to_us
from core.flags import Flag
from core.periods import HOUR_US, MINUTE_US, SLOT_US, Period
from core.qualityrules import RuleId
from core.qualityseen import Agreement, Boundary, ClockSeen, FactsSeen, PointSeen, Seen
from store import retention, slotsums
from store.engine import Engine, layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg import AsyncConnection

    from core.plant import Plant, Point, Site

FAULTY: Final = Flag.RESET | Flag.SPIKE | Flag.IMPLAUSIBLE
LOOKED_BACK: Final = timedelta(days=31)  # for the begin of a silence
LEAST_SILENCE: Final = timedelta(days=1)  # a shorter one cannot last three working days
MOST_LOOKUPS: Final = 300_000  # quarters of an hour asked for a reading: a hundred points a month
BY_HAND: Final = "user:%"  # who sent a fact that a person typed
ARCHIVED: Final = "archived"
TOO_MUCH: Final = "too_much"
NOT_OVER: Final = "not_over"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose data is looked at, over which period, at which instant."""

    plant: Plant
    site: Site
    point_ids: Mapping[str, int]
    bound_us: Span
    now_us: int

    @property
    def until_us(self) -> int:
        """Return the end of what has elapsed."""
        return max(self.bound_us[0], min(self.bound_us[1], self.now_us))

    @property
    def points(self) -> list[Point]:
        """Return the points that give energy, sorted by id."""
        return [
            point
            for _, point in sorted(self.plant.points.items())
            if point.site == self.site.id and point.energy_unit is not None
        ]

    @property
    def numbers(self) -> list[int]:
        """Return their numbers in the store, in the same order."""
        return [self.point_ids[point.id] for point in self.points]

    @property
    def units(self) -> list[str]:
        """Return the units of the site."""
        return sorted(unit.id for unit in self.plant.units.values() if unit.site == self.site.id)


async def gather(connection: AsyncConnection[Any], asked: Asked) -> Seen:
    """Return what was seen of a site's data."""
    unchecked: dict[RuleId, str] = {}
    points = await _slots(connection, asked)
    points = await _silences(connection, asked, points)
    why = await _unreadable(connection, asked)
    if why is None:
        points = await _boundaries(connection, asked, points)
    else:
        unchecked |= dict.fromkeys((RuleId.DAY_BOUNDARY, RuleId.UPLOAD, RuleId.CADENCE), why)
    slots = (asked.until_us - asked.bound_us[0]) // SLOT_US * len(points)
    if why is None and slots > MOST_LOOKUPS:
        unchecked[RuleId.CADENCE] = TOO_MUCH
    elif why is None:
        points = await _heard(connection, asked, points)
    if asked.bound_us[1] > asked.now_us:
        clocks = await _clocks(connection, asked)
    else:
        # An agent's clock is known as it is now, not as it was.
        clocks, unchecked[RuleId.CLOCK] = [], "known_of_now_only"
    letters = await _letters(connection, asked)
    known = {point.point for point in points}
    return Seen(
        asked.site.id,
        asked.site.timezone,
        asked.bound_us,
        asked.now_us,
        [replace(point, letters=letters.get(point.point, 0)) for point in points],
        await _agreements(connection, asked),
        await _facts(connection, asked),
        clocks,
        sum(count for point, count in letters.items() if point not in known),
        unchecked,
    )


async def _slots(connection: AsyncConnection[Any], asked: Asked) -> list[PointSeen]:
    cursor = await connection.execute(
        "select point_id, coalesce(sum(measured_us), 0)::bigint,"
        " coalesce(sum(abs(energy_e6)), 0)::numeric, coalesce(sum(abs(estimated_e6)), 0)::numeric,"
        " count(*), count(*) filter (where flags & %(faulty)s <> 0) from slot_energy"
        " where point_id = any(%(points)s) and slot_start >= %(from)s and slot_start < %(until)s"
        " group by point_id",
        {
            "points": asked.numbers,
            "from": from_us(asked.bound_us[0]),
            "until": from_us(asked.until_us),
            "faulty": int(FAULTY),
        },
    )
    rows = {row[0]: row[1:] for row in await cursor.fetchall()}
    elapsed_us = asked.until_us - asked.bound_us[0]
    return [
        PointSeen(
            point.id,
            row[0],
            elapsed_us,
            Fraction(row[1]) / decimals.E6,
            Fraction(row[2]) / decimals.E6,
            row[3],
            row[4],
            verified_until=point.verified_until,
        )
        for point, number in zip(asked.points, asked.numbers, strict=True)
        for row in [rows.get(number, (0, 0, 0, 0, 0))]
    ]


async def _silences(
    connection: AsyncConnection[Any], asked: Asked, points: Sequence[PointSeen]
) -> list[PointSeen]:
    """Add silences of a day and more that touch the period, from 31 days before it on."""
    since = from_us(asked.bound_us[0]) - LOOKED_BACK
    cursor = await connection.execute(
        "select point_id, before, slot_start from (select point_id, slot_start,"
        " lag(slot_start) over (partition by point_id order by slot_start) as before"
        " from slot_energy where point_id = any(%(points)s) and measured_us > 0"
        " and slot_start >= %(since)s and slot_start < %(until)s) s"
        " where before is null or slot_start - before > %(least)s"
        " union all select point_id, max(slot_start), null from slot_energy"
        " where point_id = any(%(points)s) and measured_us > 0"
        " and slot_start >= %(since)s and slot_start < %(until)s group by point_id"
        " order by 1, 3 nulls last",
        {
            "points": asked.numbers,
            "since": since,
            "until": from_us(asked.until_us),
            "least": LEAST_SILENCE,
        },
    )
    rows = await cursor.fetchall()
    # What was never heard before has not fallen silent: that it is not there is completeness.
    extents = await slotsums.extents(connection, asked.numbers)
    heard = {row[0] for row in rows}
    found: dict[int, list[tuple[int, int | None]]] = {number: [] for number in asked.numbers}
    for number, before, after in rows:
        begin_us = to_us(since) if before is None else to_us(before) + SLOT_US
        if before is not None or extents[number][0] < begin_us:
            found[number].append((begin_us, None if after is None else to_us(after)))
    for number in set(asked.numbers) - heard:
        if number in extents and extents[number][0] < asked.until_us:
            found[number].append((min(extents[number][1], to_us(since)), None))
    return [
        replace(point, silences=tuple(_touching(asked, found[number])))
        for point, number in zip(points, asked.numbers, strict=True)
    ]


def _touching(
    asked: Asked, silences: Sequence[tuple[int, int | None]]
) -> list[tuple[int, int | None]]:
    """Keep silences of a day and more that reach into the period; of the last one see its end."""
    least_us = round(LEAST_SILENCE.total_seconds() * 1_000_000)
    return [
        (begin, end)
        for begin, end in silences
        for until in [asked.until_us if end is None else end]
        if until - begin >= least_us and until > asked.bound_us[0]
    ]


async def _unreadable(connection: AsyncConnection[Any], asked: Asked) -> str | None:
    """Return why raw readings of the period cannot be looked at, None where they can."""
    if asked.until_us <= asked.bound_us[0]:
        return NOT_OVER
    kept = await retention.load(connection)
    if asked.bound_us[0] - MINUTE_US >= kept.horizon_us:
        return None
    for begin, end in kept.restored:
        if begin <= asked.bound_us[0] - MINUTE_US and asked.until_us <= end:
            return None
    return ARCHIVED


async def _boundaries(
    connection: AsyncConnection[Any], asked: Asked, points: Sequence[PointSeen]
) -> list[PointSeen]:
    """Add the midnights at which days of the period begin and end, as far as they are over."""
    days = periods.periods_between(Period.DAY, *asked.bound_us, asked.site.timezone)
    midnights = sorted({edge for day in days for edge in day if edge + MINUTE_US <= asked.until_us})
    if asked.bound_us[1] <= asked.now_us - MINUTE_US:
        midnights = sorted({*midnights, asked.bound_us[1]})
    on_citus = (await layout(connection)).engine is Engine.CITUS
    found: dict[int, dict[int, int]] = {}
    if midnights and points:
        cursor = await connection.execute(
            _NEAR_ON_CITUS if on_citus else _NEAR,
            {
                "points": [number for number in asked.numbers for _ in midnights],
                "midnights": [from_us(one) for _ in asked.numbers for one in midnights],
            },
        )
        for number, midnight, recorded_at in await cursor.fetchall():
            found.setdefault(number, {})[to_us(midnight)] = to_us(recorded_at)
    return [
        replace(
            point,
            boundaries=tuple(Boundary(one, found.get(number, {}).get(one)) for one in midnights),
        )
        for point, number in zip(points, asked.numbers, strict=True)
    ]


async def _heard(
    connection: AsyncConnection[Any], asked: Asked, points: Sequence[PointSeen]
) -> list[PointSeen]:
    """Add in how many quarters of an hour, and in how many hours, a reading came."""
    first = -(-asked.bound_us[0] // HOUR_US) * HOUR_US
    until = asked.until_us // HOUR_US * HOUR_US
    if until <= first:
        return list(points)
    plan = await layout(connection)
    heard = dict.fromkeys(asked.numbers, (0, 0))
    # One statement a partition: over all of them each look would open every one.
    for begin in range(plan.span_of(first), until, plan.span_us):
        cursor = await connection.execute(
            _HEARD if plan.engine is Engine.PLAIN else _HEARD_BY_READING,
            {
                "points": asked.numbers,
                "from": from_us(max(begin, first)),
                "until": from_us(min(begin + plan.span_us, until)),
            },
        )
        for number, slots, hours in await cursor.fetchall():
            before = heard[number]
            heard[number] = (before[0] + slots, before[1] + hours)
    return [
        replace(point, heard_slots=heard[number][0], heard_hours=heard[number][1])
        for point, number in zip(points, asked.numbers, strict=True)
    ]


async def _agreements(connection: AsyncConnection[Any], asked: Asked) -> list[Agreement]:
    """Return energy and output of each figure's months beside the sum of their days."""
    cursor = await connection.execute(
        "select unit, indicator, period, energy, output from (select distinct on"
        " (unit, indicator, period, period_start) unit, indicator, period, energy, output"
        " from result where unit = any(%(units)s) and period in ('day', 'month')"
        " and period_start >= %(from)s and period_start < %(until)s"
        " order by unit, indicator, period, period_start, version desc) r",
        {
            "units": asked.units,
            "from": from_us(asked.bound_us[0]),
            "until": from_us(asked.bound_us[1]),
        },
    )
    days: dict[tuple[str, str], list[Sequence[Any]]] = {}
    months: dict[tuple[str, str], list[Sequence[Any]]] = {}
    for unit, indicator, period, *amounts in await cursor.fetchall():
        kept = months if period == Period.MONTH else days
        kept.setdefault((unit, indicator), []).append(amounts)
    return [
        Agreement(
            *key,
            quantity,
            _sum([day[place] for day in days.get(key, ())]),
            None
            if any(one[place] is None for one in amounts)
            else _sum([a[place] for a in amounts]),
            sum(day[place] is None for day in days.get(key, ())),
        )
        for key, amounts in sorted(months.items())
        for place, quantity in enumerate(("energy", "output"))
    ]


def _sum(amounts: Sequence[Any]) -> Fraction | None:
    known = [Fraction(one) for one in amounts if one is not None]
    return sum(known, Fraction(0)) if known else None


async def _facts(connection: AsyncConnection[Any], asked: Asked) -> list[FactsSeen]:
    """Return how many production facts each unit has, and how many of them a person typed."""
    cursor = await connection.execute(
        "select f.unit, count(*), count(*) filter (where f.source like %(hand)s) from output_fact f"
        " where f.unit = any(%(units)s) and f.kind <> 'base'"
        " and f.at >= %(from)s and f.at < %(until)s"
        " and not exists (select from output_fact n where n.site = f.site and n.id = f.id"
        "  and n.revision > f.revision and n.revision > 0) group by f.unit order by f.unit",
        {
            "hand": BY_HAND,
            "units": asked.units,
            "from": from_us(asked.bound_us[0]),
            "until": from_us(asked.bound_us[1]),
        },
    )
    return [FactsSeen(*row) for row in await cursor.fetchall()]


async def _clocks(connection: AsyncConnection[Any], asked: Asked) -> list[ClockSeen]:
    cursor = await connection.execute(
        "select agent, clock_offset_ms from agent_status where site = %s order by agent",
        (asked.site.id,),
    )
    return [ClockSeen(f"{asked.site.id}.{row[0]}", row[1]) for row in await cursor.fetchall()]


async def _letters(connection: AsyncConnection[Any], asked: Asked) -> dict[str, int]:
    """Return how many dead letters of the period are not settled, by point; "" where none is."""
    cursor = await connection.execute(
        "select coalesce(point, ''), count(*) from dead_letter where site = %s"
        " and recorded_at >= %s and recorded_at < %s and discarded_at is null"
        " and (outcome is null or outcome not in ('stored', 'same')) group by 1",
        (asked.site.id, from_us(asked.bound_us[0]), from_us(asked.bound_us[1])),
    )
    return dict(await cursor.fetchall())


# The plan is the same whatever the planner believes of sizes: one look at the index a midnight.
_NEAR: Final = (
    "select b.p, b.m, r.recorded_at from unnest(%(points)s::int[], %(midnights)s::timestamptz[])"
    " b(p, m) cross join lateral (select recorded_at from reading where point_id = b.p"
    " and ts >= b.m - interval '1 minute' and ts <= b.m + interval '1 minute' and quality < 2"
    " order by abs(extract(epoch from ts - b.m)), ts limit 1) r"
)
# Citus hands no LATERAL down (as in store.slotsums); a plain join it does.
_NEAR_ON_CITUS: Final = (
    "select b.p, b.m, min(r.recorded_at) from"
    " unnest(%(points)s::int[], %(midnights)s::timestamptz[]) b(p, m) join reading r"
    " on r.point_id = b.p and r.ts >= b.m - interval '1 minute'"
    " and r.ts <= b.m + interval '1 minute' and r.quality < 2 group by 1, 2"
)
_HEARD: Final = (
    "select p, count(*), count(distinct date_trunc('hour', s, 'UTC')) from (select p, s from"
    " unnest(%(points)s::int[]) p,"
    " generate_series(%(from)s::timestamptz, %(until)s::timestamptz - interval '15 minutes',"
    "  interval '15 minutes') s where (select true from reading r where r.point_id = p"
    "  and r.ts >= s and r.ts < s + interval '15 minutes' and r.quality < 2"
    "  and r.ts >= %(from)s and r.ts < %(until)s limit 1)) h group by p"
)
# Where a look costs more than reading a point's span through: columnstore, workers of Citus.
_HEARD_BY_READING: Final = (
    "select point_id, count(distinct floor(extract(epoch from ts) / 900)),"
    " count(distinct floor(extract(epoch from ts) / 3600)) from reading"
    " where point_id = any(%(points)s) and ts >= %(from)s and ts < %(until)s and quality < 2"
    " group by point_id"
)
