"""The evidence pack of one figure: everything that it was computed from, in one sealed file.

Readings (or slots, where these are archived), facts in all revisions, the declaration, the
indicator, factors and limits with the catalogue's files, the versions, and the month close with its
chain. Promise: what is written was computed anew by the checker just before; where that gives
another figure, the answer says so. Bounded by how many readings and facts one pack takes.
"""

from __future__ import annotations

import asyncio
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import indicators, periods
from core.clock import from_us, to_us
from core.errors import Rejected
from core.facts import MOST_TOLERANCE_H
from core.periods import SLOT_US
from store import (
    arrays,
    asof,
    basis,
    closefile,
    closing,
    evidencefile,
    figures,
    packlines,
    plants,
    results,
    retention,
    slotarrays,
    slotwork,
)
from store.figures import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.plant import Plant, Point
    from store.closing import Signer
    from store.packlines import Member
    from store.results import Result

MOST_READINGS: Final = 1_500_000  # of one pack: the checker takes a gigabyte and 35 s for them
MOST_FACTS: Final = 200_000  # revisions of one unit's facts around a year, many times over
# A version was known some seconds after the readings that it rests on were recorded.
LAG: Final = timedelta(seconds=10)
_AROUND: Final = timedelta(hours=MOST_TOLERANCE_H, days=1)


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack's bytes, and what the checker says of them."""

    data: bytes
    report: Any

    @property
    def problems(self) -> list[str]:
        """Return what does not follow from what is in the pack, one sentence each."""
        found: list[str] = self.report.problems
        return found


@dataclass(frozen=True, slots=True)
class _Rules:
    """The catalogue that a figure was computed with."""

    digest: str
    files: Mapping[str, str]

    def rows(self, indicator: str) -> list[Member]:
        """Return the rows that speak of an indicator, and the files whole."""
        tables = {name: tomllib.loads(text) for name, text in self.files.items()}
        rule = tables["indicators.toml"]["indicator"]
        limits = tables["limits.toml"]["limit"]
        own = sorted(key for key, row in limits.items() if row["indicator"] == indicator)
        carriers = rule[indicator].get("carriers", ())
        return [
            *packlines.rows("indicator", rule, [indicator]),
            *packlines.rows("carrier", tables["carriers.toml"]["carrier"], carriers),
            *packlines.rows("limit", limits, own),
            *(
                {"member": "catalogue", "file": name, "text": text}
                for name, text in sorted(self.files.items())
            ),
        ]


@dataclass(frozen=True, slots=True)
class _Figure:
    """The figure that a pack is of: stored, or of an open period computed now."""

    result: Result
    figures: Mapping[str, Any]
    plant: Plant
    declaration: int
    rules: _Rules
    now_us: int

    @property
    def bound(self) -> tuple[int, int]:
        """Return its begin and end."""
        return self.result.start_us, self.result.end_us


async def make(
    connection: AsyncConnection[Any],
    result: Result,
    now: datetime,
    signs: Signer | None = None,
    most: int = MOST_READINGS,
) -> Pack:
    """Return the pack of a stored figure; of an open period the figure as it is now.

    Raises Rejected where it would hold more than `most` readings, and where the declaration or
    the catalogue of the figure are not kept.
    """
    ids = dict((await plants.load(connection)).ids)
    figure = await _figure(connection, result, ids, now)
    close = await _close(connection, result)
    found: Pack | None = None
    for known_at in await _candidates(connection, result, close, now):
        members = await _members(connection, figure, ids, (known_at, now), most)
        members += close
        sign, key = (None, None) if signs is None else (signs.sign, signs.key)
        data = packlines.seal(members, sign, key)
        # Seconds of plain Python for a month of readings: not in the loop that serves others.
        pack = Pack(data, await asyncio.to_thread(evidencefile.load(), data, key))
        if not pack.problems:
            return pack
        found = found or pack
    assert found is not None, "there is always one instant to try"  # noqa: S101 - a belief
    return found


async def _figure(
    connection: AsyncConnection[Any], result: Result, ids: Mapping[str, int], now: datetime
) -> _Figure:
    site = result.unit.partition(".")[0]
    if not result.closed:
        return await _fresh(connection, result, ids, now)
    if result.declaration is None or result.catalogue is None:
        raise Rejected(
            f"the figure {result.result} does not name the declaration and catalogue that it was"
            " computed with: `danhao recompute --write` makes a version that does",
            "no_basis",
        )
    plant = await basis.declared(connection, site, result.declaration)
    cursor = await connection.execute(
        "select files from catalogue_version where catalogue = %s", (result.catalogue,)
    )
    row = await cursor.fetchone()
    if row is None or site not in plant.sites:
        raise Rejected(f"what {result.result} was computed with is not kept", "no_basis")
    now_us = max(result.computed_us, result.end_us)
    rules = _Rules(result.catalogue, row[0])
    return _Figure(result, result.figures, plant, result.declaration, rules, now_us)


async def _fresh(
    connection: AsyncConnection[Any], result: Result, ids: Mapping[str, int], now: datetime
) -> _Figure:
    """Return an open figure as it is now: what is stored is as old as the last look at it."""
    site = result.unit.partition(".")[0]
    source = await asof.known_at(connection, site, ids, now)
    if source is None or result.unit not in source.plant.units:
        raise Rejected(f"{result.unit} is not declared any more", "unknown_unit")
    asked = Asked(
        source.plant.units[result.unit],
        indicators.find(result.indicator),
        [(result.start_us, result.end_us)],
    )
    ((found,),) = await figures.compute_all(source, source.plant, [asked], now)
    used = basis.catalogue()
    rules = _Rules(used.digest, used.files)
    return _Figure(result, found, source.plant, source.version, rules, to_us(now))


async def _candidates(
    connection: AsyncConnection[Any], result: Result, close: Sequence[Member], now: datetime
) -> list[datetime]:
    """Return the instants of knowledge that may give a figure, the likeliest first.

    A version that a month was closed with is known as the close knew it; the newest one as now.
    """
    computed = from_us(result.computed_us)
    if not result.closed:
        return [now]
    found = [computed, computed - LAG]
    versions = await results.history(connection, result)
    if versions and versions[-1].result == result.result:
        found.insert(0, now)
    if close and close[0]["of_result"] == str(result.result):
        found.insert(0, from_us(periods.parse_instant(close[0]["known_at"])))
    return found


async def _members(
    connection: AsyncConnection[Any],
    figure: _Figure,
    ids: Mapping[str, int],
    instants: tuple[datetime, datetime],
    most: int,
) -> list[Member]:
    known_at, now = instants
    result = figure.result
    unit = figure.plant.units[result.unit]
    zone = figure.plant.sites[unit.site].timezone
    points = sorted(figure.figures["inputs"]["points"])
    begin = periods.render(result.start_us, zone)
    members: list[Member] = [
        {
            "member": "evidence",
            "format": packlines.FORMAT,
            "of": f"{result.unit} {result.indicator} {result.period} {begin}",
            "unit": result.unit,
            "indicator": result.indicator,
            "period": result.period,
            "period_start": begin,
            "period_end": periods.render(result.end_us, zone),
            "begin_us": result.start_us,
            "end_us": result.end_us,
            "now_us": figure.now_us,
            "known_at": periods.render_utc(to_us(known_at)),
            "made_at": periods.render_utc(to_us(now)),
            "store": await plants.store_id(connection),
            "points": points,
        },
        {
            "member": "declaration",
            "site": unit.site,
            "version": figure.declaration,
            "declared": dict(figure.plant.to_json(unit.site)),
        },
        *figure.rules.rows(result.indicator),
    ]
    room = most
    for point in points:
        lines, used = await _metered(
            connection, figure.plant.points[point], ids[point], figure.bound, known_at, room
        )
        members += lines
        room -= used
    members += await _facts(connection, figure, known_at)
    members.append(_told(figure))
    members.append(
        {
            "member": "versions",
            "items": [one.item() for one in await results.history(connection, result)],
        }
    )
    return members


def _told(figure: _Figure) -> Member:
    result = figure.result
    return {
        "member": "figure",
        "result": str(result.result),
        "version": result.version,
        "closed": result.closed,
        "computed_at": periods.render_utc(result.computed_us if result.closed else figure.now_us),
        "declaration": figure.declaration,
        "catalogue": figure.rules.digest,
        "figures": dict(figure.figures),
    }


async def _metered(
    connection: AsyncConnection[Any],
    point: Point,
    number: int,
    bound: tuple[int, int],
    known_at: datetime,
    room: int,
) -> tuple[list[Member], int]:
    """Return the lines of a point and how many readings they hold; slots where it is archived."""
    span = packlines.slots_over(bound)
    kept = await retention.load(connection)
    margin_us = max(point.max_gap_us, point.interval_us or 0) + SLOT_US
    if asof.gone(kept, span[0] - margin_us, span[1]):
        stored = await slotarrays.stored(connection, number, *span)
        if len(stored):
            return list(packlines.slots(point.id, stored)), len(stored)
    cursor = await connection.execute(
        "select count(*) from reading where point_id = %s and ts >= %s and ts < %s",
        (number, from_us(span[0]), from_us(span[1])),
    )
    row = await cursor.fetchone()
    if row is None or row[0] > room:
        raise Rejected(
            f"the readings of {point.id} and the points before it are too many for one file here:"
            " ask for a shorter period, or export with `danhao evidence export`",
            "too_much",
        )
    series = await slotwork.context(connection, point, number, span, known_at)
    if not len(series.ts_us):
        return [], 0
    lines = await _lines(
        connection, point, number, (int(series.ts_us[0]), int(series.ts_us[-1])), known_at
    )
    cursor = await connection.execute(
        "select ts from confirmed_step where point_id = %s and confirmed_at <= %s order by ts",
        (number, known_at),
    )
    confirmed = [to_us(row[0]) for row in await cursor.fetchall()]
    if confirmed:
        lines.append({"member": "confirmed", "point": point.id, "at_us": confirmed})
    return lines, len(series.ts_us)


async def _lines(
    connection: AsyncConnection[Any],
    point: Point,
    number: int,
    reach: tuple[int, int],
    known_at: datetime,
) -> list[Member]:
    """Return the lines of a point's readings, a day at a time."""
    found: list[Member] = []
    for begin_us in range(reach[0] // packlines.DAY_US, reach[1] // packlines.DAY_US + 1):
        cursor = arrays.read_columns(connection.cursor())
        await cursor.execute(
            "select array_agg(ts order by ts), array_agg(value order by ts),"
            " array_agg(quality order by ts), array_agg(recorded_at order by ts) from reading"
            " where point_id = %s and ts >= %s and ts < %s and ts <= %s and recorded_at <= %s",
            (
                number,
                from_us(max(reach[0], begin_us * packlines.DAY_US)),
                from_us((begin_us + 1) * packlines.DAY_US),
                from_us(reach[1]),
                known_at,
            ),
            binary=True,
        )
        row = await cursor.fetchone()
        if row is not None and row[0] is not None:
            found += packlines.readings(point.id, row[0], row[1], row[2].astype(np.int16), row[3])
    return found


async def _facts(
    connection: AsyncConnection[Any], figure: _Figure, known_at: datetime
) -> list[Member]:
    """Return every revision of the facts of which one lay near the period, or is of a base year."""
    begin, end = figure.bound
    cursor = await connection.execute(
        "select id, revision, unit, kind, at, mass_e6, grades, stream, amount_unit, recorded_at"
        " from output_fact where site = %(site)s and recorded_at <= %(known)s and id in ("
        " select id from output_fact where unit = %(unit)s and recorded_at <= %(known)s"
        " and (kind = 'base' or at >= %(from)s and at < %(until)s))"
        ' order by id collate "C", revision limit %(most)s',
        {
            "site": figure.result.unit.partition(".")[0],
            "unit": figure.result.unit,
            "known": known_at,
            "from": from_us(begin) - _AROUND,
            "until": from_us(end) + _AROUND,
            "most": MOST_FACTS + 1,
        },
    )
    rows = await cursor.fetchall()
    if len(rows) > MOST_FACTS:
        raise Rejected(f"more than {MOST_FACTS} production facts stand behind it", "too_much")
    return [
        packlines.fact((*row[:4], to_us(row[4])), row[5], row[6], row[7:9], to_us(row[9]))
        for row in rows
    ]


async def _close(connection: AsyncConnection[Any], result: Result) -> list[Member]:
    """Return the close that speaks of the figure's period, with the chain of its site up to it."""
    cursor = await connection.execute(
        "select month_close, result from closed_figure where unit = %s and indicator = %s"
        " and period = %s and period_start = %s",
        (result.unit, result.indicator, result.period, from_us(result.start_us)),
    )
    row = await cursor.fetchone()
    closed = None if row is None else await closing.find(connection, row[0])
    if row is None or closed is None:
        return []
    chain = [
        {
            "number": one.number,
            "sha256": one.sha256.hex(),
            "previous": None if one.previous is None else one.previous.hex(),
        }
        for one in await closing.read(connection, closed.site)
        if one.number <= closed.number
    ]
    return [
        {
            "member": "close",
            "of_result": str(row[1]),
            "known_at": periods.render_utc(to_us(closed.known_at)),
            **closefile.data(closed.seal),
            "chain": chain,
        }
    ]
