"""Results: a figure with its verdicts, and the marks of those that must be computed.

Open ones are overwritten, closed ones are versions (store.versions writes them). A version is
known from the instant it was computed until the next one is; what was known at an instant is read
from the versions alone, so that whatever comes later changes nothing about it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from core import periods
from core.clock import from_us, to_us
from store import differences, slotsums

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from store.differences import Flip

CHANNEL: Final = sql.Identifier("danhao_live")  # who listens looks for what has changed
MOST_CLOSINGS: Final = 1_000
_LOCK: Final = 0x726573756C74  # "result"
_COLUMNS: Final = (
    "r.result, r.unit, r.indicator, r.period, r.period_start, r.period_end, r.closed, r.version,"
    " r.figures, r.computed_at, r.change, r.declaration, r.catalogue, r.cause"
)
SHOWN: Final = (
    "energy",
    "output",
    "intensity",
    "completeness",
    "flags",
    "verdicts",
    "formula_version",
)


@dataclass(frozen=True, slots=True)
class Close:
    """The snapshot that a month was closed with, and the version of a figure it speaks of."""

    month_close: UUID
    closed_us: int
    closed_by: str
    signed: bool
    result: UUID
    version: int
    flips: tuple[Flip, ...] = ()  # verdicts of the newest version that are others

    def item(self, newest: UUID) -> dict[str, Any]:
        """Return what a period item says of it; `differs` from the newest version's figure."""
        return {
            "close": str(self.month_close),
            "closed_at": periods.render_utc(self.closed_us),
            "closed_by": self.closed_by,
            "signed": self.signed,
            "result": str(self.result),
            "version": self.version,
            "differs": self.result != newest,
            "flips": [flip.item() for flip in self.flips],
        }


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a closed figure; known until `superseded_us`, None: still."""

    result: UUID
    version: int
    known_from_us: int
    superseded_us: int | None
    declaration: int | None
    catalogue: str | None
    cause: Mapping[str, Any] | None

    def item(self) -> dict[str, Any]:
        """Return the version as JSON carries it."""
        until = self.superseded_us
        return {
            "result": str(self.result),
            "version": self.version,
            "known_from": periods.render_utc(self.known_from_us),
            "superseded_at": None if until is None else periods.render_utc(until),
            "declaration": self.declaration,
            "catalogue": self.catalogue,
            "cause": self.cause,
        }


@dataclass(frozen=True, slots=True)
class Result:
    """A stored figure; `version` is 0 while its period is open."""

    result: UUID
    unit: str
    indicator: str
    period: str
    start_us: int
    end_us: int
    closed: bool
    version: int
    figures: dict[str, Any]
    computed_us: int
    change: int
    declaration: int | None = None
    catalogue: str | None = None
    cause: Mapping[str, Any] | None = None
    close: Close | None = None

    def versioned(self, timezone: str) -> dict[str, Any]:
        """Return the period item with what its version rests on and what it was closed with."""
        known = self.closed and self.version > 0
        return {
            **self.item(timezone),
            "known_from": periods.render_utc(self.computed_us) if known else None,
            "causes": list((self.cause or {}).get("kinds", ())),
            "close": None if self.close is None else self.close.item(self.result),
        }

    def item(self, timezone: str) -> dict[str, Any]:
        """Return the period item of the API (design 4.4), bounds in plant time."""
        return {
            "unit": self.unit,
            "indicator": self.indicator,
            "period": self.period,
            "period_start": periods.render(self.start_us, timezone),
            "period_end": periods.render(self.end_us, timezone),
            "closed": self.closed,
            **{key: self.figures[key] for key in SHOWN},
            "version": self.version,
            "computed_at": periods.render_utc(self.computed_us),
            "result": str(self.result),
        }


def _result(row: Sequence[Any]) -> Result:
    return Result(
        result=row[0],
        unit=row[1],
        indicator=row[2],
        period=row[3],
        start_us=to_us(row[4]),
        end_us=to_us(row[5]),
        closed=row[6],
        version=row[7],
        figures=row[8],
        computed_us=to_us(row[9]),
        change=row[10],
        declaration=row[11],
        catalogue=row[12],
        cause=row[13],
    )


async def touch(connection: AsyncConnection[Any], spans: Iterable[tuple[str, int, int]]) -> None:
    """Mark spans (unit, from, until in microseconds) whose results must be computed."""
    rows = list(spans)
    if rows:
        await connection.execute(
            "insert into touched_unit (unit, from_ts, until_ts)"
            " select * from unnest(%s::text[], %s::timestamptz[], %s::timestamptz[])",
            (
                [unit for unit, _, _ in rows],
                [from_us(begin) for _, begin, _ in rows],
                [from_us(end) for _, _, end in rows],
            ),
        )


@dataclass(frozen=True, slots=True)
class Touched:
    """A unit whose results of [from, until) must be computed, and the marks that say so."""

    unit: str
    from_us: int
    until_us: int
    marks: Sequence[int]


async def touched(connection: AsyncConnection[Any], most: int) -> tuple[list[Touched], int]:
    """Return the units that wait longest, at most so many, and how many wait in all."""
    cursor = await connection.execute(
        "select unit, min(from_ts), max(until_ts), array_agg(touched_id), count(*) over ()"
        " from touched_unit group by unit order by min(touched_id) limit %s",
        (most,),
    )
    rows = await cursor.fetchall()
    units = [Touched(unit, to_us(low), to_us(high), ids) for unit, low, high, ids, _ in rows]
    return units, rows[0][4] if rows else 0


async def waiting(connection: AsyncConnection[Any]) -> set[str]:
    """Return the units with marks."""
    cursor = await connection.execute("select distinct unit from touched_unit")
    return {row[0] for row in await cursor.fetchall()}


async def settle(connection: AsyncConnection[Any], ids: Sequence[int]) -> None:
    """Drop marks whose results have been computed; commit together with the results."""
    await connection.execute("delete from touched_unit where touched_id = any(%s)", (list(ids),))


async def extents(
    connection: AsyncConnection[Any], points: Mapping[str, Sequence[int]]
) -> dict[str, tuple[int, int]]:
    """Return [first, last) instants at which units have slots or facts; left out where none.

    `points` holds the numbers of each unit's points.
    """
    numbers = [number for each in points.values() for number in each]
    of_points = await slotsums.extents(connection, numbers)
    found: dict[str, list[tuple[int, int]]] = {
        unit: [of_points[number] for number in each if number in of_points]
        for unit, each in points.items()
    }
    cursor = await connection.execute(
        "select k.unit, s.* from unnest(%s::text[]) as k(unit) cross join lateral (select"
        "  (select at from output_fact where unit = k.unit and kind <> 'base'"
        "   order by at limit 1) as first,"
        "  (select at from output_fact where unit = k.unit and kind <> 'base'"
        "   order by at desc limit 1) as last) s"
        " where s.first is not null",
        (list(points),),
    )
    for unit, first, last in await cursor.fetchall():
        found[unit].append((to_us(first), to_us(last) + 1))
    return {
        unit: (min(span[0] for span in spans), max(span[1] for span in spans))
        for unit, spans in found.items()
        if spans
    }


async def alone(connection: AsyncConnection[Any], *, wait: bool = False) -> bool:
    """Let nobody else compute results until the transaction ends; False where somebody does.

    With `wait`, wait for the other one instead. Two who compute the same period at once could
    each write what the other has overtaken.
    """
    if wait:
        await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        return True
    cursor = await connection.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK,))
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def announce(connection: AsyncConnection[Any]) -> None:
    """Tell who listens that there may be something new; never inside a write's transaction."""
    await connection.execute(sql.SQL("notify {}").format(CHANNEL))


async def listen(connection: AsyncConnection[Any]) -> None:
    """Hear of every announcement on this connection."""
    await connection.execute(sql.SQL("listen {}").format(CHANNEL))


async def overdue(connection: AsyncConnection[Any], now: datetime) -> list[tuple[str, int, int]]:
    """Return spans (unit, from, until) of results still open though their period has ended."""
    cursor = await connection.execute(
        "select unit, period_start, period_end from result where not closed and period_end <= %s"
        " order by period_end limit %s",
        (now, MOST_CLOSINGS),
    )
    return [(row[0], to_us(row[1]), to_us(row[2])) for row in await cursor.fetchall()]


async def read(
    connection: AsyncConnection[Any],
    key: tuple[str, str, str],
    span_us: tuple[int, int],
    most: int,
    known_at: datetime | None = None,
) -> list[Result]:
    """Return the newest version of each result of (unit, indicator, period), oldest first.

    Their starts lie in the span. With `known_at` they are the closed versions known then.
    """
    cursor = await connection.execute(
        f"select distinct on (r.period_start) {_COLUMNS}, m.month_close, m.closed_at, m.closed_by,"  # noqa: S608 - constants only
        " m.key is not null, c.result, c.version, z.figures -> 'verdicts' from result r"
        " left join closed_figure c using (unit, indicator, period, period_start)"
        " left join month_close m on m.month_close = c.month_close"
        "  and (%(at)s::timestamptz is null or m.closed_at <= %(at)s)"
        " left join result z on z.result = c.result and z.result <> r.result"
        " where r.unit = %(unit)s and r.indicator = %(indicator)s and r.period = %(period)s"
        " and r.period_start >= %(from)s and r.period_start < %(until)s"
        " and (%(at)s::timestamptz is null or (r.closed and r.computed_at <= %(at)s))"
        " order by r.period_start, r.version desc limit %(most)s",
        {
            "unit": key[0],
            "indicator": key[1],
            "period": key[2],
            "from": from_us(span_us[0]),
            "until": from_us(span_us[1]),
            "at": known_at,
            "most": most,
        },
    )
    return [_with_close(row) for row in await cursor.fetchall()]


def _with_close(row: Sequence[Any]) -> Result:
    """Return a result with the close that speaks of it, and what has flipped since."""
    found = _result(row)
    if row[14] is None:
        return found
    flips = () if row[20] is None else differences.flips(row[20], found.figures["verdicts"])
    return replace(
        found,
        close=Close(row[14], to_us(row[15]), row[16], row[17], row[18], row[19], tuple(flips)),
    )


async def find(connection: AsyncConnection[Any], result: UUID) -> Result | None:
    """Return one result by its id, None where there is none."""
    cursor = await connection.execute(
        f"select {_COLUMNS} from result r where r.result = %s",  # noqa: S608 - constants only
        (result,),
    )
    row = await cursor.fetchone()
    return None if row is None else _result(row)


async def history(connection: AsyncConnection[Any], of: Result) -> list[Version]:
    """Return every version of a closed figure, the first one first."""
    cursor = await connection.execute(
        "select result, version, computed_at, lead(computed_at) over (order by version),"
        " declaration, catalogue, cause from result where unit = %s and indicator = %s"
        " and period = %s and period_start = %s and closed order by version",
        (of.unit, of.indicator, of.period, from_us(of.start_us)),
    )
    return [
        Version(row[0], row[1], to_us(row[2]), None if row[3] is None else to_us(row[3]), *row[4:])
        for row in await cursor.fetchall()
    ]


async def open_results(
    connection: AsyncConnection[Any], units: Sequence[str], kinds: Sequence[str], now: datetime
) -> list[Result]:
    """Return the open results of the periods that hold `now`, of the given kinds."""
    cursor = await connection.execute(
        f"select {_COLUMNS} from result r where not r.closed and r.unit = any(%s)"  # noqa: S608 - constants only
        " and r.period = any(%s) and r.period_start <= %s and r.period_end > %s"
        " order by r.unit, r.indicator, r.period",
        (list(units), list(kinds), now, now),
    )
    return [_result(row) for row in await cursor.fetchall()]


async def changed_units(connection: AsyncConnection[Any], after: int) -> tuple[set[str], int]:
    """Return the units whose results changed after a change number, and the newest number."""
    cursor = await connection.execute(
        "select unit, max(change) from result where change > %s group by unit", (after,)
    )
    rows = await cursor.fetchall()
    return {row[0] for row in rows}, max((row[1] for row in rows), default=after)
