"""The queue towards national platforms: figures by revision, deliveries a platform, sessions.

Promise: a figure that was told differs from the ledger for as long as one look only, then a new
revision goes; each platform has a progress of its own; a platform that is out holds at most
MOST_WAITING deliveries, what lies beyond waits in report_figure and is lost nowhere. States change
by the tables of core.reportsession alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core.clock import from_us, to_us
from core.reportsession import FIGURES, Outcome, State, Told

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from store.reportfigures import Figure

MOST_WAITING: Final = 200_000  # deliveries of one platform: 500 items by the quarter hour, 4 days
MOST_DUE: Final = 100  # figures of one message
MOST_ENQUEUED: Final = 20_000  # of one step
# How long figures are kept: six months is the duty. Longer than any look back of the maker, which
# would make and send anew what is gone; days and months are few.
KEPT: Final = {
    "slot": timedelta(days=200),
    "day": timedelta(days=800),
    "month": timedelta(days=800),
}
KEPT_UPLOADS: Final = timedelta(days=400)
MOST_AGE: Final = timedelta(days=184)  # of what waits: the retention that the rules ask for
MOST_PRUNED: Final = 50_000  # of one run
_MAKING: Final = 0x7265706F7274  # "report": figures get their numbers in the order of commits
_SENDING: Final = 0x73656E64  # "send": one program a platform


@dataclass(frozen=True, slots=True)
class Due:
    """A figure whose turn has come at one platform."""

    figure: int
    item: str
    period: str
    start_us: int
    revision: int
    value: str
    unit: str
    validity: str
    input: str
    refusals: int


@dataclass(frozen=True, slots=True)
class Session:
    """How far the sender has come with a platform."""

    destination: str
    site: str
    state: State
    since: datetime
    failures: int
    next_at: datetime
    enqueued: int
    tables_version: str | None
    meters_sha256: bytes | None
    heard_at: datetime | None
    detail: str


@dataclass(frozen=True, slots=True)
class Upload:
    """One message and what came back."""

    id: UUID
    destination: str
    operation: str
    at: datetime
    took_ms: int
    status: int | None
    event: str
    figures: int
    detail: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What a person wants to know of a platform."""

    session: Session
    waiting: int
    refused: int  # of those that wait: how many the platform has refused at least once
    accepted: int
    superseded: int
    expired: int
    behind: int  # figures that have no delivery yet
    oldest_us: int | None  # start of the oldest period that waits


async def hold(connection: AsyncConnection[Any], destination: str) -> bool:
    """Take a platform for this connection until it closes; False where another has it."""
    cursor = await connection.execute(
        "select pg_try_advisory_lock(%s, hashtext(%s))", (_SENDING, destination)
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def still_held(connection: AsyncConnection[Any]) -> None:
    """Raise psycopg.OperationalError where the connection that holds a platform is gone."""
    await connection.execute("select 1")


async def record(
    connection: AsyncConnection[Any], site: str, figures: Sequence[Figure], now: datetime
) -> int:
    """Keep figures that are new or differ from what was told last; return how many.

    What a person entered by hand stands until a person enters another.
    """
    if not figures:
        return 0
    await connection.execute("select pg_advisory_xact_lock(%s)", (_MAKING,))
    cursor = await connection.execute(
        _RECORD,
        (
            site,
            now,
            [each.item for each in figures],
            [each.period for each in figures],
            [from_us(each.start_us) for each in figures],
            [each.value for each in figures],
            [each.unit for each in figures],
            [each.validity for each in figures],
            site,
        ),
    )
    return cursor.rowcount


async def enter(
    connection: AsyncConnection[Any], site: str, figure: Figure, who: str, now: datetime
) -> int:
    """Keep a figure that a person enters, as the newest revision; return its revision."""
    await connection.execute("select pg_advisory_xact_lock(%s)", (_MAKING,))
    key = (site, figure.item, figure.period, from_us(figure.start_us))
    cursor = await connection.execute(
        "insert into report_figure (site, item, period, period_start, revision, value, unit,"
        " validity, input, made_by, made_at) select %s, %s, %s, %s, coalesce(max(revision), 0) + 1,"
        " %s, %s, %s, 'manual', %s, %s from report_figure where site = %s and item = %s"
        " and period = %s and period_start = %s returning revision",
        (*key, figure.value, figure.unit, figure.validity, who, now, *key),
    )
    row = await cursor.fetchone()
    assert row is not None, "an aggregate gives a row"  # noqa: S101 - a belief
    return int(row[0])


async def session(
    connection: AsyncConnection[Any], destination: str, site: str, now: datetime
) -> Session:
    """Return a platform's session, a stranger's where it has none yet.

    A platform that is new is told what was made in the last MOST_AGE.
    """
    cursor = await connection.execute(f"{_SESSION} where destination = %s", (destination,))
    row = await cursor.fetchone()
    if row is None:
        await connection.execute(
            "insert into report_session (destination, site, state, since, next_at, enqueued)"
            " values (%s, %s, %s, %s, %s, (select coalesce(max(figure), 0) from report_figure"
            " where site = %s and made_at < %s)) on conflict (destination) do nothing",
            (destination, site, State.STRANGER.value, now, now, site, now - MOST_AGE),
        )
        cursor = await connection.execute(f"{_SESSION} where destination = %s", (destination,))
        row = await cursor.fetchone()
    assert row is not None, "it is there, or was just made"  # noqa: S101 - a belief
    return _session(row)


async def save(connection: AsyncConnection[Any], changed: Session) -> None:
    """Write a session back, all but how far deliveries were made."""
    await connection.execute(
        "update report_session set state = %s, since = %s, failures = %s, next_at = %s,"
        " tables_version = %s, meters_at = case when meters_sha256 is distinct from %s"
        " then %s else meters_at end, meters_sha256 = %s, heard_at = %s, detail = %s"
        " where destination = %s",
        (
            changed.state.value,
            changed.since,
            changed.failures,
            changed.next_at,
            changed.tables_version,
            changed.meters_sha256,
            changed.heard_at,
            changed.meters_sha256,
            changed.heard_at,
            changed.detail,
            changed.destination,
        ),
    )


async def enqueue(connection: AsyncConnection[Any], of: Session, now: datetime) -> int:
    """Give a platform its deliveries of new figures, as many as there is room for; return these."""
    waiting = await _waiting(connection, of.destination)
    room = min(MOST_WAITING - waiting, MOST_ENQUEUED)
    if room <= 0:
        return 0
    cursor = await connection.execute(
        _ENQUEUE, (of.destination, of.site, room, of.destination, now, of.destination)
    )
    row = await cursor.fetchone()
    first, count = row if row is not None else (None, 0)
    if count:
        await connection.execute(
            _SUPERSEDE, (_next(Told.WAITING, Outcome.NEWER), now, of.destination, first)
        )
    return int(count)


async def due(connection: AsyncConnection[Any], destination: str, now: datetime) -> list[Due]:
    """Return what the next message carries, oldest first; what was refused once goes alone."""
    query = (
        "select f.figure, f.item, f.period, f.period_start, f.revision, f.value, f.unit,"
        " f.validity, f.input, d.refusals from report_delivery d join report_figure f"
        " using (figure) where d.destination = %s and d.state = 'waiting' and d.next_at <= %s"
        " and {} order by d.figure limit %s"
    )
    for which, most in (("d.refusals = 0", MOST_DUE), ("d.refusals > 0", 1)):
        cursor = await connection.execute(query.format(which), (destination, now, most))
        rows = await cursor.fetchall()
        if rows:
            return [Due(row[0], row[1], row[2], to_us(row[3]), *row[4:]) for row in rows]
    return []


async def settle(
    connection: AsyncConnection[Any],
    upload: Upload,
    figures: Sequence[int],
    outcome: Outcome,
    next_at: datetime,
) -> None:
    """Record what became of a message's figures; those refused are due again at `next_at`."""
    if outcome is Outcome.ACCEPTED:
        await connection.execute(
            "update report_delivery set state = %s, settled_at = %s, upload = %s"
            " where destination = %s and figure = any(%s) and state <> 'accepted'",
            (
                _next(Told.WAITING, outcome),
                upload.at + timedelta(milliseconds=upload.took_ms),
                upload.id,
                upload.destination,
                list(figures),
            ),
        )
    elif outcome is Outcome.REFUSED:
        await connection.execute(
            "update report_delivery set refusals = refusals + 1, next_at = %s"
            " where destination = %s and figure = any(%s) and state = 'waiting'",
            (next_at, upload.destination, list(figures)),
        )


async def note(connection: AsyncConnection[Any], upload: Upload) -> None:
    """Keep what was sent and what came back."""
    await connection.execute(
        "insert into report_upload (upload, destination, operation, at, took_ms, status, event,"
        " figures, detail) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            upload.id,
            upload.destination,
            upload.operation,
            upload.at,
            upload.took_ms,
            upload.status,
            upload.event,
            upload.figures,
            upload.detail,
        ),
    )


async def expire(connection: AsyncConnection[Any], destination: str, now: datetime) -> int:
    """Give up what has waited for MOST_AGE; return how many, which is to be told."""
    cursor = await connection.execute(
        "update report_delivery d set state = %s, settled_at = %s from report_figure f"
        " where f.figure = d.figure and d.destination = %s and d.state = 'waiting'"
        " and f.made_at < %s",
        (_next(Told.WAITING, Outcome.AGED), now, destination, now - MOST_AGE),
    )
    return cursor.rowcount


async def prune(connection: AsyncConnection[Any], now: datetime) -> int:
    """Delete figures older than KEPT with their deliveries, and old messages; return how many."""
    count = 0
    for period, kept in KEPT.items():
        cursor = await connection.execute(
            "delete from report_figure where figure in (select figure from report_figure"
            " where period = %s and made_at < %s limit %s)",
            (period, now - kept, MOST_PRUNED),
        )
        count += cursor.rowcount
    cursor = await connection.execute(
        "delete from report_upload where upload in (select upload from report_upload"
        " where at < %s limit %s)",
        (now - KEPT_UPLOADS, MOST_PRUNED),
    )
    return count + cursor.rowcount


async def progress(connection: AsyncConnection[Any]) -> list[Progress]:
    """Return how each platform stands."""
    cursor = await connection.execute(f"{_SESSION} order by destination")
    sessions = [_session(row) for row in await cursor.fetchall()]
    found: list[Progress] = []
    for each in sessions:
        cursor = await connection.execute(_COUNTS, (each.destination,))
        counts = await cursor.fetchone()
        cursor = await connection.execute(
            "select count(*) from report_figure where site = %s and figure > %s",
            (each.site, each.enqueued),
        )
        behind = await cursor.fetchone()
        assert counts is not None, "an aggregate gives a row"  # noqa: S101 - a belief
        assert behind is not None, "an aggregate gives a row"  # noqa: S101 - a belief
        oldest = None if counts[5] is None else to_us(counts[5])
        waiting, refused, accepted, superseded, expired = counts[:5]
        found.append(
            Progress(each, waiting, refused, accepted, superseded, expired, behind[0], oldest)
        )
    return found


def _next(state: Told, outcome: Outcome) -> str:
    return FIGURES[state, outcome].value


async def _waiting(connection: AsyncConnection[Any], destination: str) -> int:
    cursor = await connection.execute(
        "select count(*) from report_delivery where destination = %s and state = 'waiting'",
        (destination,),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row is not None else 0


def _session(row: Sequence[Any]) -> Session:
    return Session(row[0], row[1], State(row[2]), *row[3:])


_SESSION: Final = (
    "select destination, site, state, since, failures, next_at, enqueued, tables_version,"
    " meters_sha256, heard_at, detail from report_session"
)
_RECORD: Final = (
    "insert into report_figure (site, item, period, period_start, revision, value, unit, validity,"
    " input, made_at) select %s, n.item, n.period, n.start, coalesce(old.revision, 0) + 1, n.value,"
    " n.unit, n.validity, 'auto', %s from unnest(%s::text[], %s::text[], %s::timestamptz[],"
    " %s::text[], %s::text[], %s::text[]) as n(item, period, start, value, unit, validity)"
    " left join lateral (select revision, value, unit, validity, input from report_figure f"
    "  where f.site = %s and f.item = n.item and f.period = n.period and f.period_start = n.start"
    "  order by revision desc limit 1) old on true"
    " where old.revision is null or (old.input = 'auto'"
    "  and (old.value, old.unit, old.validity) is distinct from (n.value, n.unit, n.validity))"
    " order by n.start, n.period, n.item"
)
_ENQUEUE: Final = (
    "with given as (select figure from report_figure where figure > (select enqueued"
    "  from report_session where destination = %s) and site = %s order by figure limit %s),"
    " made as (insert into report_delivery (destination, figure, next_at)"
    "  select %s, figure, %s from given on conflict do nothing),"
    " moved as (update report_session set enqueued = (select max(figure) from given)"
    "  where destination = %s and exists (select from given))"
    " select min(figure), count(*) from given"
)
# Of the figures that were just given, what is older of the same key is not sent any more.
_SUPERSEDE: Final = (
    "update report_delivery d set state = %s, settled_at = %s from report_figure old,"
    " report_delivery newer join report_figure f on f.figure = newer.figure"
    " where d.destination = %s and d.state = 'waiting' and old.figure = d.figure"
    " and newer.destination = d.destination and newer.figure >= %s and f.revision > 1"
    " and f.site = old.site and f.item = old.item and f.period = old.period"
    " and f.period_start = old.period_start and f.revision > old.revision"
)
_COUNTS: Final = (
    "select count(*) filter (where d.state = 'waiting'),"
    " count(*) filter (where d.state = 'waiting' and refusals > 0),"
    " count(*) filter (where d.state = 'accepted'),"
    " count(*) filter (where d.state = 'superseded'), count(*) filter (where d.state = 'expired'),"
    " min(f.period_start) filter (where d.state = 'waiting')"
    " from report_delivery d join report_figure f using (figure) where d.destination = %s"
)
