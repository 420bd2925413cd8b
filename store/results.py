"""Results: a figure with its verdicts; overwritten while open, a new version once closed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from core import periods
from core.clock import from_us, to_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

MOST_MARKS: Final = 5_000
CHANNEL: Final = sql.Identifier("danhao_live")  # who listens looks for what has changed
MOST_CLOSINGS: Final = 1_000
_COLUMNS: Final = (
    "result, unit, indicator, period, period_start, period_end, closed, version, figures,"
    " computed_at, change"
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
        row[0],
        row[1],
        row[2],
        row[3],
        to_us(row[4]),
        to_us(row[5]),
        row[6],
        row[7],
        row[8],
        to_us(row[9]),
        row[10],
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


async def touched(connection: AsyncConnection[Any]) -> list[tuple[int, str, int, int]]:
    """Return the oldest marks (id, unit, from, until), at most MOST_MARKS."""
    cursor = await connection.execute(
        "select touched_id, unit, from_ts, until_ts from touched_unit order by touched_id limit %s",
        (MOST_MARKS,),
    )
    return [(row[0], row[1], to_us(row[2]), to_us(row[3])) for row in await cursor.fetchall()]


async def settle(connection: AsyncConnection[Any], ids: Sequence[int]) -> None:
    """Drop marks whose results have been computed; commit together with the results."""
    await connection.execute("delete from touched_unit where touched_id = any(%s)", (list(ids),))


async def extent(
    connection: AsyncConnection[Any], unit: str, point_ids: Sequence[int]
) -> tuple[int, int] | None:
    """Return [first, last) instants at which a unit has slots or production facts."""
    cursor = await connection.execute(
        "select min(a), max(b) from (select min(slot_start) a,"
        " max(slot_start) + interval '15 minutes' b from slot_energy where point_id = any(%s)"
        " union all select min(at), max(at) + interval '1 microsecond' from output_fact"
        " where unit = %s) x",
        (list(point_ids), unit),
    )
    row = await cursor.fetchone()
    return None if row is None or row[0] is None else (to_us(row[0]), to_us(row[1]))


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


async def write(
    connection: AsyncConnection[Any],
    key: tuple[str, str, str],
    bounds_us: tuple[int, int],
    figures: dict[str, Any],
    now: datetime,
) -> bool:
    """Store figures of (unit, indicator, period); tell whether anything changed.

    An open result is overwritten. At its close it becomes version 1. A closed one is never
    touched: other figures make the next version (design 5, invariant 6).
    """
    start, end = from_us(bounds_us[0]), from_us(bounds_us[1])
    closed = end <= now
    cursor = await connection.execute(
        "select result, closed, version, figures from result where unit = %s and indicator = %s"
        " and period = %s and period_start = %s order by version desc limit 1 for update",
        (*key, start),
    )
    row = await cursor.fetchone()
    text = json.dumps(figures, ensure_ascii=False, sort_keys=True)
    if row is not None and row[1] == closed and row[3] == json.loads(text):
        return False
    if row is not None and not row[1]:
        await connection.execute(
            "update result set closed = %s, version = %s, figures = %s, computed_at = %s,"
            " change = default where result = %s",
            (closed, 1 if closed else 0, text, now, row[0]),
        )
        return True
    version = (row[2] + 1) if row is not None else (1 if closed else 0)
    await connection.execute(
        "insert into result (unit, indicator, period, period_start, period_end, closed, version,"
        " figures, computed_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (*key, start, end, closed or row is not None, version, text, now),
    )
    return True


async def read(
    connection: AsyncConnection[Any],
    unit: str,
    indicator: str,
    period: str,
    span_us: tuple[int, int],
    most: int,
) -> list[Result]:
    """Return the newest version of each result whose start lies in the span, oldest first."""
    cursor = await connection.execute(
        f"select distinct on (period_start) {_COLUMNS} from result where unit = %s"  # noqa: S608 - constants only
        " and indicator = %s and period = %s and period_start >= %s and period_start < %s"
        " order by period_start, version desc limit %s",
        (unit, indicator, period, from_us(span_us[0]), from_us(span_us[1]), most),
    )
    return [_result(row) for row in await cursor.fetchall()]


async def find(connection: AsyncConnection[Any], result: UUID) -> Result | None:
    """Return one result by its id, None where there is none."""
    cursor = await connection.execute(
        f"select {_COLUMNS} from result where result = %s",  # noqa: S608 - constants only
        (result,),
    )
    row = await cursor.fetchone()
    return None if row is None else _result(row)


async def open_results(
    connection: AsyncConnection[Any], units: Sequence[str], kinds: Sequence[str], now: datetime
) -> list[Result]:
    """Return the newest results of the periods that hold `now`, of the given kinds."""
    cursor = await connection.execute(
        f"select distinct on (unit, indicator, period) {_COLUMNS} from result"  # noqa: S608 - constants only
        " where unit = any(%s) and period = any(%s) and period_start <= %s and period_end > %s"
        " order by unit, indicator, period, version desc",
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
