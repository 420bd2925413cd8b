"""How far back raw readings reach: the horizon, what is archived, what was restored.

Promise: a reading behind the horizon is told apart before anything of it is stored, so slots that
outlived their readings are never computed again from what little came late, nor from a changed
declaration; a restored span is open for both until it is archived anew. Slots and results stay for
ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.clock import from_us, to_us

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray
    from psycopg import AsyncConnection

    from core.exactmath import Int64s

    Mask = NDArray[np.bool_]

NEVER_US: Final = -(2**63)


@dataclass(frozen=True, slots=True)
class Retention:
    """The first instant [us] whose readings are kept, and restored spans [from, until) before it.

    `horizon_us` is NEVER_US where readings are kept for ever. `whole_us` is where the horizon was
    when something was dropped last: all that the slots from there on are computed from is there.
    """

    horizon_us: int = NEVER_US
    restored: tuple[tuple[int, int], ...] = ()
    whole_us: int = NEVER_US

    def archived(self, ts_us: Int64s) -> Mask:
        """Return which instants lie behind the horizon: dead letters `archived`."""
        behind = np.asarray(ts_us < self.horizon_us, np.bool_)
        for begin, end in self.restored:
            behind &= (ts_us < begin) | (ts_us >= end)
        return behind

    def whole(self, begin_us: int, end_us: int) -> list[tuple[int, int]]:
        """Return the parts of a span in which readings may be looked at to compute slots."""
        parts = [(begin_us, min(end_us, self.whole_us))]
        found = [(max(begin_us, self.whole_us), end_us)]
        for low, high in self.restored:
            found += [(max(a, low), min(b, high)) for a, b in parts]
        return [(low, high) for low, high in sorted(found) if low < high]


@dataclass(frozen=True, slots=True)
class ArchivedSpan:
    """One span [from, until) of readings that an archive holds whole."""

    from_us: int
    until_us: int
    row_count: int
    archive: str
    archived_at: datetime
    restored_at: datetime | None


async def load(connection: AsyncConnection[Any]) -> Retention:
    """Return what is kept now; small enough to be read every second."""
    cursor = await connection.execute(
        "select r.horizon, array_agg(a.from_ts) filter (where a.from_ts is not null),"
        " array_agg(a.until_ts) filter (where a.from_ts is not null), r.dropped_until"
        " from retention r left join archived_span a on a.restored_at is not null"
        " group by r.horizon, r.dropped_until"
    )
    row = await cursor.fetchone()
    if row is None:
        return Retention()
    starts, ends = row[1] or [], row[2] or []
    return Retention(
        NEVER_US if row[0] is None else to_us(row[0]),
        tuple(sorted((to_us(a), to_us(b)) for a, b in zip(starts, ends, strict=True))),
        NEVER_US if row[3] is None else to_us(row[3]),
    )


async def move(connection: AsyncConnection[Any], horizon_us: int | None, now: datetime) -> bool:
    """Move the horizon to an instant, None: for ever; tell whether it moved.

    It goes back no further than to where it was when something was dropped: of what lies before
    that only what later readings need is there.
    """
    wanted = None if horizon_us is None else from_us(horizon_us)
    cursor = await connection.execute(
        "update retention set horizon = greatest(%(to)s::timestamptz, dropped_until),"
        " moved_at = %(now)s where horizon is distinct from"
        " greatest(%(to)s::timestamptz, dropped_until) returning 1",
        {"to": wanted, "now": now},
    )
    return await cursor.fetchone() is not None


async def moved_at(connection: AsyncConnection[Any]) -> datetime | None:
    """Return when the horizon moved last, None where it never did."""
    cursor = await connection.execute("select moved_at from retention")
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def record_dropped(connection: AsyncConnection[Any], until_us: int) -> None:
    """Write down, in the transaction that drops a span, where it ended and the horizon is."""
    await connection.execute(
        "update retention set dropped_until = greatest(dropped_until, horizon, %s)",
        (from_us(until_us),),
    )


async def archived_spans(connection: AsyncConnection[Any]) -> dict[int, ArchivedSpan]:
    """Return what archives hold, by the first microsecond of the span."""
    cursor = await connection.execute(
        "select from_ts, until_ts, row_count, archive, archived_at, restored_at from archived_span"
        " order by from_ts"
    )
    return {
        to_us(row[0]): ArchivedSpan(to_us(row[0]), to_us(row[1]), *row[2:])
        for row in await cursor.fetchall()
    }


async def record_archived(
    connection: AsyncConnection[Any],
    span: tuple[int, int],
    row_count: int,
    archive: str,
    now: datetime,
) -> None:
    """Write down that an archive holds every reading of a span [from, until); anew after a restore.

    The caller commits it once the archive is durable, and never before.
    """
    await connection.execute(
        "insert into archived_span (from_ts, until_ts, row_count, archive, archived_at)"
        " values (%s, %s, %s, %s, %s) on conflict (from_ts) do update set"
        " until_ts = excluded.until_ts, row_count = excluded.row_count,"
        " archive = excluded.archive, archived_at = excluded.archived_at, restored_at = null",
        (from_us(span[0]), from_us(span[1]), row_count, archive, now),
    )


async def record_restored(
    connection: AsyncConnection[Any], span: tuple[int, int], now: datetime
) -> None:
    """Open an archived span for its readings, from the archive and late ones, until archived anew.

    The caller stores the readings in the same transaction.
    """
    await connection.execute(
        "insert into archived_span"
        " (from_ts, until_ts, row_count, archive, archived_at, restored_at)"
        " values (%(a)s, %(b)s, 0, '', %(now)s, %(now)s)"
        " on conflict (from_ts) do update set restored_at = excluded.restored_at",
        {"a": from_us(span[0]), "b": from_us(span[1]), "now": now},
    )


async def record_beside(
    connection: AsyncConnection[Any], span: tuple[int, int], now: datetime
) -> None:
    """Note that readings of a span are back for those beside it: no late ones, no drop meanwhile.

    It counts as archived with nothing in it, so it stays until it is archived anew; one that is
    open stays open.
    """
    await connection.execute(
        "insert into archived_span (from_ts, until_ts, row_count, archive, archived_at)"
        " values (%s, %s, 0, '', %s) on conflict (from_ts) do update set row_count = case"
        " when archived_span.restored_at is null then 0 else archived_span.row_count end",
        (from_us(span[0]), from_us(span[1]), now),
    )
