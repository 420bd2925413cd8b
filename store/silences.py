"""Silences as the store keeps them: append-only, an end before its time beside them.

Promise: who asked for quiet, over what, why and until when can be read for ever; an alert is
shelved once at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import sql
from psycopg.rows import namedtuple_row

from core import periods, silences
from core.clock import to_us
from core.silences import Place, Silence, SilenceKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from core.plant import Plant

MOST_IN_FORCE: Final = 10_000  # read at once: what lies beyond does not silence
MOST_PAGE: Final = 5_000
_SELECT: Final = sql.SQL(
    "select s.silence, s.kind, s.site, s.unit, s.alert, s.from_at, s.until_at, s.reason,"
    " s.document, s.created_at, s.created_by, s.created_role, e.ended_at, e.ended_by"
    " from silence s left join silence_end e using (silence) {where}"
)
_IN_FORCE: Final = sql.SQL("s.from_at <= %(at)s and s.until_at > %(at)s and e.silence is null")


async def add(
    connection: AsyncConnection[Any], asked: Mapping[str, Any], who: str, role: str, at: datetime
) -> Silence:
    """Store a silence; `asked` has kind, site, unit, alert, from_at, until_at, reason, document."""
    cursor = await connection.execute(
        "insert into silence (kind, site, unit, alert, from_at, until_at, reason, document,"
        " created_at, created_by, created_role) values (%(kind)s, %(site)s, %(unit)s, %(alert)s,"
        " %(from_at)s, %(until_at)s, %(reason)s, %(document)s, %(at)s, %(who)s, %(role)s)"
        " returning silence",
        {**asked, "at": at, "who": who, "role": role},
    )
    row = await cursor.fetchone()
    assert row is not None, "an insert returns its row"  # noqa: S101 - a belief
    stored = await find(connection, row[0])
    assert stored is not None, "it was written a line above"  # noqa: S101 - a belief
    return stored


async def end(connection: AsyncConnection[Any], silence: UUID, who: str, at: datetime) -> bool:
    """End a silence before its time; False where it was ended already."""
    cursor = await connection.execute(
        "insert into silence_end (silence, ended_at, ended_by) values (%s, %s, %s)"
        " on conflict do nothing",
        (silence, at, who),
    )
    return cursor.rowcount == 1


async def find(connection: AsyncConnection[Any], silence: UUID) -> Silence | None:
    """Return a silence by its id, None where there is none."""
    found = await _read(connection, sql.SQL("where s.silence = %(id)s"), {"id": silence})
    return found[0] if found else None


async def in_force(connection: AsyncConnection[Any], at: datetime) -> list[Silence]:
    """Return what is silenced at an instant, at most MOST_IN_FORCE, what ends last first."""
    where = sql.SQL("where {} order by s.until_at desc limit %(most)s").format(_IN_FORCE)
    return await _read(connection, where, {"at": at, "most": MOST_IN_FORCE})


async def over(connection: AsyncConnection[Any], place: Place, at: datetime) -> list[Silence]:
    """Return the silences of an alert and of its site at an instant."""
    where = sql.SQL(
        "where (s.alert = %(alert)s or (s.site = %(site)s and s.alert is null)) and {}"
        " order by s.until_at desc limit %(most)s"
    ).format(_IN_FORCE)
    given = {"alert": place.alert, "site": place.site, "at": at, "most": MOST_IN_FORCE}
    return await _read(connection, where, given)


async def quieting(
    connection: AsyncConnection[Any], place: Place, plant: Plant, at: datetime
) -> Silence | None:
    """Return the silence that keeps an alert quiet at an instant, None where none does."""
    return silences.quieting(await over(connection, place, at), place, plant, at)


async def shelving(connection: AsyncConnection[Any], alert: UUID, at: datetime) -> Silence | None:
    """Return how an alert is shelved at an instant, None where it is not; locks the alert."""
    await connection.execute("select from alert where alert = %s for update", (alert,))
    where = sql.SQL("where s.alert = %(alert)s and {} order by s.until_at desc limit 1")
    found = await _read(connection, where.format(_IN_FORCE), {"alert": alert, "at": at})
    return found[0] if found else None


async def open_outages(connection: AsyncConnection[Any], site: str, at: datetime) -> int:
    """Return how many outages of a site run or are to come; others cannot be added meanwhile."""
    await connection.execute("select pg_advisory_xact_lock(hashtext('silence ' || %s))", (site,))
    cursor = await connection.execute(
        "select count(*) from silence s left join silence_end e using (silence)"
        " where s.site = %s and s.alert is null and s.until_at > %s and e.silence is null",
        (site, at),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def outages(
    connection: AsyncConnection[Any],
    site: str,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Silence]:
    """Return a site's outages, the newest declared first, older than the key `after`."""
    edge = "and (s.created_at, s.silence) < (%(created)s, %(id)s)" if after else ""
    created, last = after or (None, None)
    return await _read(
        connection,
        sql.SQL(
            "where s.site = %(site)s and s.alert is null {}"
            " order by s.created_at desc, s.silence desc limit %(limit)s"
        ).format(sql.SQL(edge)),
        {"site": site, "created": created, "id": last, "limit": min(limit, MOST_PAGE)},
    )


def item(silence: Silence, now: datetime) -> dict[str, Any]:
    """Return a silence's item of the API."""
    return {
        "silence": str(silence.id),
        "kind": silence.kind.value,
        "state": state(silence, now),
        "site": silence.site,
        "unit": silence.unit,
        "alert": None if silence.alert is None else str(silence.alert),
        "from": _utc(silence.from_at),
        "until": _utc(silence.until_at),
        "reason": silence.reason,
        "document": silence.document,
        "created_at": _utc(silence.created_at),
        "created_by": silence.created_by,
        "ended_at": _utc(silence.ended_at),
        "ended_by": silence.ended_by,
    }


def state(silence: Silence, now: datetime) -> str:
    """Return how a silence stands: `planned`, `running`, `over`, or `ended` before its time."""
    if silence.ended_at is not None:
        return "ended"
    if now < silence.from_at:
        return "planned"
    return "running" if now < silence.until_at else "over"


async def _read(
    connection: AsyncConnection[Any], where: sql.Composable, given: Mapping[str, Any]
) -> list[Silence]:
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(_SELECT.format(where=where), given)
        return [_silence(row) for row in await cursor.fetchall()]


def _silence(row: Any) -> Silence:
    return Silence(
        id=row.silence,
        kind=SilenceKind(row.kind),
        site=row.site,
        unit=row.unit,
        alert=row.alert,
        from_at=row.from_at,
        until_at=row.until_at,
        reason=row.reason,
        document=row.document,
        created_at=row.created_at,
        created_by=row.created_by,
        created_role=row.created_role,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
    )


def _utc(at: datetime | None) -> str | None:
    return None if at is None else periods.render_utc(to_us(at))
