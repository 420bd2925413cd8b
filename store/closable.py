"""What stands in the way of closing a month: all of it at once, one sentence each.

Promise: it is looked for in the caller's transaction, so what is found free under the locks of
`store.closing` stays free until the snapshot is committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core import periods
from core.clock import from_us, to_us
from core.errors import Rejected
from core.periods import Period
from store import waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.plant import Plant

KINDS: Final = (Period.DAY, Period.MONTH)  # whose figures a snapshot names
# Longer than any transaction of ours may take: what was recorded before then is committed.
QUIET: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason why a month cannot be closed now, as a word and as a sentence."""

    reason: str
    sentence: str


class NotClosable(Rejected):
    """A month that cannot be closed now; carries every obstacle, not the first."""

    def __init__(self, obstacles: Sequence[Obstacle]) -> None:
        super().__init__("; ".join(each.sentence for each in obstacles), obstacles[0].reason)
        self.obstacles = tuple(obstacles)


@dataclass(frozen=True, slots=True)
class Month:
    """A month of a site in its time zone, and until when what was recorded counts."""

    site: str
    bounds: tuple[int, int]
    zone: str
    known_at: datetime

    @property
    def start(self) -> str:
        """Return the first instant with the plant's offset."""
        return periods.render(self.bounds[0], self.zone)

    @property
    def end(self) -> str:
        """Return the first instant after it with the plant's offset."""
        return periods.render(self.bounds[1], self.zone)


def check_over(month: Month) -> None:
    """Refuse a month that has not been over for QUIET."""
    if from_us(month.bounds[1]) > month.known_at:
        raise NotClosable(
            [
                Obstacle(
                    "month_not_over",
                    f"the month of {month.site} that ends at {month.end} can be closed"
                    f" {_minutes()} minutes after its end",
                )
            ]
        )


async def check(
    connection: AsyncConnection[Any], month: Month, plant: Plant, ids: Mapping[str, int]
) -> None:
    """Refuse a month that is closed already, that waits for figures, or that is not quiet."""
    closed = await _closed(connection, month)
    if closed is not None:
        raise NotClosable([closed])
    found = [*await _waits(connection, month, plant, ids), *await _restless(connection, month)]
    if found:
        raise NotClosable(found)


async def _closed(connection: AsyncConnection[Any], month: Month) -> Obstacle | None:
    cursor = await connection.execute(
        "select closed_by, closed_at from month_close where site = %s and month_start = %s",
        (month.site, from_us(month.bounds[0])),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Obstacle(
        "month_closed",
        f"the month of {month.site} that begins at {month.start} was closed by {row[0]} at"
        f" {periods.render_utc(to_us(row[1]))}: a snapshot is never made anew",
    )


async def _waits(
    connection: AsyncConnection[Any], month: Month, plant: Plant, ids: Mapping[str, int]
) -> list[Obstacle]:
    """Tell of readings or facts of the month that wait for their figures."""
    points = [
        ids[point.id]
        for point in plant.points.values()
        if point.site == month.site and point.id in ids
    ]
    units = [unit.id for unit in plant.units.values() if unit.site == month.site]
    if not await waiting.any_in(connection, points, units, month.bounds):
        return []
    return [
        Obstacle(
            "month_not_computed",
            f"readings or facts of {month.site} in this month wait for their figures: close it"
            " once `danhao ingest run` has computed them",
        )
    ]


async def _restless(connection: AsyncConnection[Any], month: Month) -> list[Obstacle]:
    """Tell of figures that are missing, open, or newer than what counts."""
    cursor = await connection.execute(
        "with newest as (select distinct on (unit, indicator, period, period_start) unit, period,"
        " period_start, closed, computed_at from result where starts_with(unit, %(of)s)"
        " and period = any(%(kinds)s) and period_start >= %(from)s and period_end <= %(until)s"
        " order by unit, indicator, period, period_start, version desc)"
        " select not closed, count(*),"
        " (array_agg(period order by period_start, unit))[1],"
        " (array_agg(unit order by period_start, unit))[1],"
        " (array_agg(period_start order by period_start, unit))[1]"
        " from newest where not closed or computed_at > %(known_at)s group by 1 order by 1 desc",
        {
            "of": f"{month.site}.",
            "kinds": list(KINDS),
            "from": from_us(month.bounds[0]),
            "until": from_us(month.bounds[1]),
            "known_at": month.known_at,
        },
    )
    return list(_sentences(month, await cursor.fetchall()))


def _sentences(month: Month, rows: Sequence[Sequence[Any]]) -> Iterator[Obstacle]:
    for is_open, count, period, unit, start in rows:
        which = f"the {period} of {unit} that begins at {periods.render(to_us(start), month.zone)}"
        among = which if count == 1 else f"{count} figures of {month.site}, {which} among them,"
        if is_open:
            yield Obstacle(
                "month_not_computed",
                f"{among} {_of(count, 'is', 'are')} still open: close the month once `danhao"
                " ingest run` has computed its end",
            )
        else:
            yield Obstacle(
                "month_not_quiet",
                f"{among} {_of(count, 'has', 'have')} changed since"
                f" {periods.render_utc(to_us(month.known_at))}: close the month once nothing has"
                f" changed for {_minutes()} minutes",
            )


def none_at_all(month: Month) -> NotClosable:
    """Return the refusal of a month without any figure."""
    return NotClosable(
        [
            Obstacle(
                "month_not_computed",
                f"{month.site} has no figures in the month that begins at {month.start}: there is"
                " nothing to close",
            )
        ]
    )


def _of(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _minutes() -> int:
    return int(QUIET.total_seconds()) // 60
