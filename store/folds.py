"""How the telling of each alert stands: what receivers know, what is kept from them, and why.

Promise: every notice has a row that says whether it was told, and if not, what kept it back; two
who step the same alert do it one after the other: whoever writes its fold has locked the alert.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql
from psycopg.rows import namedtuple_row

from core import folding
from core.alerts import Notice, State
from core.conditions import Subject, SubjectKind
from core.dependencies import Above
from core.folding import Cover, CoverKind, Known, Standing
from core.silences import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from core.conditions import Watch
    from core.folding import Step
    from store.alerts import Kept

MOST_WAITING: Final = 5_000  # of one pass: readings of this process wait a tenth of a second
MOST_ABOVE: Final = 20_000  # raised or lately so: every meter of a province, newest first
RAISED: Final = (State.FIRING, State.CLEARING)
_STANDING: Final = (
    "f.known, f.since, f.owed, f.cover, f.cover_until, f.cover_alert, f.cover_silence, f.over_at,"
    " f.hovers"
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An alert that time or the end of a silence may move; `raised` tells that it still is."""

    standing: Standing
    place: Place
    condition: str | None
    subject: Subject | None
    raised: bool
    raised_at: datetime | None


def place_of(kept: Kept) -> Place:
    """Return where an alert belongs and how grave it is, for silences."""
    found = kept.condition is None and kept.alert.closed_start is not None
    return Place(kept.id, kept.site, kept.key.unit, kept.alert.severity, found)


async def lock(connection: AsyncConnection[Any], kept: Kept, *, new: bool) -> Standing:
    """Return how the telling of an alert stands, locked until the caller's transaction ends.

    Without a row an alert that is raised was told before rows were kept, unless it is `new`.
    """
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(
            sql.SQL(
                "select {} from alert a left join fold f using (alert) where alert = %s"
                " for update of a"
            ).format(sql.SQL(_STANDING)),
            (kept.id,),
        )
        row: Any = await cursor.fetchone()
    if row is not None and row.known is not None:
        return _standing(row)
    if new or kept.alert.raised_at is None:
        return Standing()
    return Standing(Known.TOLD, kept.alert.raised_at)


async def silenced(
    connection: AsyncConnection[Any], kept: Kept, cover: Cover, at: datetime
) -> None:
    """Note at once that somebody asked for quiet over a raised alert."""
    before = await lock(connection, kept, new=False)
    step = folding.wait(before, cover, at, timedelta.max, raised=True)
    if step is not None:
        await save(connection, kept.id, before, step, at)


async def save(
    connection: AsyncConnection[Any], alert: UUID, before: Standing, step: Step, at: datetime
) -> None:
    """Store how an alert stands after a step, and the step itself in its history."""
    after, cover = step.standing, step.standing.cover
    by = (
        (None, None, None, None)
        if cover is None
        else (cover.kind.value, cover.until, cover.alert, cover.silence)
    )
    await connection.execute(
        "insert into fold (alert, known, since, owed, cover, cover_until, cover_alert,"
        " cover_silence, over_at, hovers) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (alert) do update set known = excluded.known, since = excluded.since,"
        " owed = excluded.owed, cover = excluded.cover, cover_until = excluded.cover_until,"
        " cover_alert = excluded.cover_alert, cover_silence = excluded.cover_silence,"
        " over_at = excluded.over_at, hovers = excluded.hovers",
        (alert, after.known.value, after.since or at, after.owed, *by, after.over_at, after.hovers),
    )
    if after.cover != before.cover:  # lists and the live stream show it
        await connection.execute(
            "update alert set change = default, updated_at = greatest(updated_at, %s)"
            " where alert = %s",
            (at, alert),
        )
    if step.event is None:
        return
    await connection.execute(
        "insert into fold_step (alert, at, event, from_known, to_known, told, cover, cover_alert,"
        " cover_silence) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            alert, at, step.event.value, before.known.value, after.known.value, step.told,
            by[0], by[2], by[3],
        ),
    )  # fmt: skip


async def waiting(
    connection: AsyncConnection[Any], after: UUID | None = None, *, silenced: bool = False
) -> list[Waiting]:
    """Return what time may move, by ids after this one, at most MOST_WAITING.

    With `silenced` also what is told and still raised.
    """
    told = "or (f.known = 'told' and a.state = any(%(raised)s))" if silenced else ""
    query = sql.SQL(
        "select a.alert, a.site, a.unit, a.severity, a.closed_start, a.condition, a.subject_kind,"
        " a.subject, a.state, a.raised_at, {} from fold f join alert a using (alert)"
        " where (f.known in ('owed', 'stale', 'ending') {}) and (%(after)s::uuid is null or"
        " a.alert > %(after)s) order by a.alert limit %(most)s"
    ).format(sql.SQL(_STANDING), sql.SQL(told))
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        raised = [state.value for state in RAISED]
        await cursor.execute(query, {"raised": raised, "after": after, "most": MOST_WAITING})
        return [_waiting(row) for row in await cursor.fetchall()]


async def still(connection: AsyncConnection[Any], one: Waiting) -> bool:
    """Lock what was read without a lock, and tell whether it is unchanged.

    What somebody else steps at this moment is left to them: nobody waits, so nobody waits in a
    circle.
    """
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(
            sql.SQL(
                "select a.state, {} from fold f join alert a using (alert) where a.alert = %s"
                " for update skip locked"
            ).format(sql.SQL(_STANDING)),
            (one.place.alert,),
        )
        row: Any = await cursor.fetchone()
    if row is None:
        return False
    return _standing(row) == one.standing and (State(row.state) in RAISED) is one.raised


async def above(
    connection: AsyncConnection[Any],
    watches: Mapping[str, Watch],
    since: datetime,
    subjects: Iterable[Subject] | None = None,
) -> list[Above]:
    """Return the alerts of these conditions that are raised, may be, or ended since an instant.

    About all subjects, or these only.
    """
    about = sql.SQL("")
    given: dict[str, Any] = {"ids": list(watches), "since": since, "most": MOST_ABOVE}
    if subjects is not None:
        wanted = sorted(subjects)
        given |= {"kinds": [s.kind.value for s in wanted], "subjects": [s.id for s in wanted]}
        about = sql.SQL(
            "and (subject_kind, subject) in"
            " (select * from unnest(%(kinds)s::text[], %(subjects)s::text[]))"
        )
    cursor = await connection.execute(
        sql.SQL(
            "select alert, condition, subject_kind, subject, severity, state, resolved_at"
            " from alert where condition = any(%(ids)s) {} and (state <> 'resolved' or"
            " resolved_at >= %(since)s) order by resolved_at desc nulls first limit %(most)s"
        ).format(about),
        given,
    )
    return [
        Above(
            row[0],
            watches[row[1]],
            Subject(SubjectKind(row[2]), row[3]),
            row[4],
            State(row[5]),
            row[6],
        )
        for row in await cursor.fetchall()
    ]


def _standing(row: Any) -> Standing:
    cover = None
    if row.cover is not None:
        kind = CoverKind(row.cover)
        cover = Cover(kind, row.cover_until, row.cover_alert, row.cover_silence)
    return Standing(
        known=Known(row.known),
        since=row.since,
        owed=None if row.owed is None else Notice(row.owed),
        cover=cover,
        over_at=row.over_at,
        hovers=row.hovers,
    )


def _waiting(row: Any) -> Waiting:
    subject = None
    if row.subject is not None:
        subject = Subject(SubjectKind(row.subject_kind), row.subject)
    found = row.condition is None and row.closed_start is not None
    return Waiting(
        standing=_standing(row),
        place=Place(row.alert, row.site, row.unit, row.severity, found),
        condition=row.condition,
        subject=subject,
        raised=State(row.state) in RAISED,
        raised_at=row.raised_at,
    )
