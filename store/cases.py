"""Cases: how each stands, and what happens to it, in the caller's one transaction.

Every change is a row of `core.cases.STEPS`, appended to the case's history with who and when; the
database holds the same rows and refuses others. A case is locked after its alert, always in this
order, so that nobody waits in a circle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb

from core import calendars, caseclocks, caserules, cases
from core.alerts import State as AlertState
from core.caseclocks import Clock, Duty
from core.cases import Case, Closes, Event, Side, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from core.alerts import Notice
    from core.plant import Site
    from store.alerts import Kept

    Link = AsyncConnection[Any]

SYSTEM: Final = ("danhao", "system")  # who did what no person did, and as what
FIRES: Final = frozenset({AlertState.FIRING, AlertState.CLEARING})
MOST_LAPSED: Final = 100  # of one look: the rest is there the next time
MOST_RENEWED: Final = 500  # of one transaction, whose rows are locked meanwhile
_CASE: Final = ("state", "since", "severity", "closes", "clock_from", "plan_due", "lapsed_at")
_CLOCK: Final = ("duty", "duty_side", "due_at", "working_days", "calendar_known")
COLUMNS: Final = sql.SQL(", ").join(
    sql.SQL("c.{}").format(sql.Identifier(name))
    for name in (
        "alert_case",
        "alert",
        "number",
        "site",
        "timezone",
        "position",
        "opened_at",
        "updated_at",
        *_CASE,
        *_CLOCK,
    )
)
_SELECT: Final = sql.SQL("select {} from alert_case c").format(COLUMNS)


@dataclass(frozen=True, slots=True)
class KeptCase:
    """A stored case; `position` is that of its newest transition, `clock` runs now."""

    id: UUID
    alert: UUID
    number: int
    site: str | None
    timezone: str
    position: int
    opened_at: datetime
    updated_at: datetime
    case: Case
    clock: Clock | None


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done to a case, by whom, and what it brought."""

    event: Event
    side: Side
    who: str
    role: str
    detail: Mapping[str, Any]
    severity: int = 0
    plan_due: date | None = None


def of_row(row: Any) -> KeptCase:
    """Return the case of a row that has COLUMNS."""
    given = {name: getattr(row, name) for name in _CASE}
    given |= {"state": State(row.state), "closes": Closes(row.closes)}
    clock = None
    if row.duty is not None:
        running = (row.due_at, row.working_days, row.calendar_known)
        clock = Clock(Duty(row.duty), Side(row.duty_side), *running)
    return KeptCase(
        row.alert_case,
        row.alert,
        row.number,
        row.site,
        row.timezone,
        row.position,
        row.opened_at,
        row.updated_at,
        Case(**given),
        clock,
    )


async def find(connection: Link, case: UUID) -> KeptCase | None:
    """Return one case, None where there is none."""
    return await _one(connection, sql.SQL("where alert_case = %s"), (case,))


async def newest(connection: Link, alert: UUID) -> KeptCase | None:
    """Return the newest case of an alert, which is the open one where there is one."""
    where = sql.SQL("where alert = %s order by number desc limit 1")
    return await _one(connection, where, (alert,))


async def lock(connection: Link, case: UUID) -> tuple[KeptCase, bool] | None:
    """Return a case for change, and whether its alert goes on; None where there is none."""
    cursor = await connection.execute(
        "select state from alert where alert = (select alert from alert_case where alert_case = %s)"
        " for update",
        (case,),
    )
    row = await cursor.fetchone()
    kept = await _one(connection, sql.SQL("where alert_case = %s for update"), (case,))
    return None if row is None or kept is None else (kept, AlertState(row[0]) in FIRES)


async def follow(
    connection: Link, kept: Kept, told: Notice, now: datetime, site: Site | None
) -> UUID | None:
    """Do to an alert's case what a notice of the alert means, in the transaction that tells it.

    Returns the case that the notice speaks of; None where the alert has none.
    """
    before = await _locked(connection, kept.id)
    event = cases.following(None if before is None else before.case, told, kept.alert.severity)
    if event is None:
        return None if before is None else before.id
    found = kept.alert.closed_start
    detail = {"notice": told.value, "episode": kept.alert.episode}
    if found is not None:
        detail["finding"] = found.isoformat()
    deed = _by_system(event, detail, severity=kept.alert.severity)
    if event is Event.RAISE:
        case = await _open(connection, kept.id, site, deed, now)
    else:
        assert before is not None, "only an open case goes on"  # noqa: S101 - a belief
        case = await write(connection, before, deed, now) or before
    if found is not None and event is not Event.RECOVER:
        await _found(connection, case.id, found, now, stands=True)
    return case.id


async def delivered(connection: Link, alert: UUID, told_at: datetime, at: datetime) -> bool:
    """Note that what was told then has its receipt; False where the case went on since."""
    kept = await _locked(connection, alert)
    if kept is None or kept.case.clock_from is None or told_at < kept.case.clock_from:
        return False
    return await write(connection, kept, _by_system(Event.DELIVER, {}), at) is not None


async def unreachable(
    connection: Link, alert: UUID, channel: str, second: str | None, at: datetime
) -> bool:
    """Note that a channel was out for too long and whether a second one was told."""
    detail = {"channel": channel, "second": second}
    return await _by_itself(connection, alert, Event.UNREACHABLE, detail, at)


async def acknowledge(connection: Link, alert: UUID, who: str, role: str, now: datetime) -> bool:
    """Note that a person of the plant took note of the alert; False where the case went further."""
    kept = await _locked(connection, alert)
    if kept is None:
        return False
    deed = Deed(Event.ACKNOWLEDGE, Side.PLANT, who, role, {})
    return await write(connection, kept, deed, now) is not None


async def suppress(
    connection: Link, alert: UUID, now: datetime, who: str, role: str, detail: Mapping[str, Any]
) -> bool:
    """Stop the time of an alert's case; `who` declared why. False where it is too late for it."""
    kept = await _locked(connection, alert)
    if kept is None:
        return False
    deed = Deed(Event.SUPPRESS, Side.SYSTEM, who, role, detail)
    return await write(connection, kept, deed, now) is not None


async def resume(connection: Link, alert: UUID, now: datetime) -> bool:
    """Raise a suppressed case anew, its whole time before it; False where there is none."""
    return await _by_itself(connection, alert, Event.RESUME, {}, now)


async def reconsider(
    connection: Link, alert: UUID, period_start: datetime, now: datetime, *, exceeds: bool
) -> list[UUID]:
    """Note what a closed period was found to be after all; return the cases withdrawn by it.

    A case that rests on closed periods is withdrawn when none of them stands, be it closed or not.
    """
    cursor = await connection.execute(
        "select distinct on (f.alert_case) f.alert_case, f.stands from case_finding f"
        " join alert_case c using (alert_case) where c.alert = %s and f.period_start = %s"
        " and c.state <> 'withdrawn' order by f.alert_case, f.case_finding desc",
        (alert, period_start),
    )
    withdrawn = []
    for case, stood in await cursor.fetchall():
        if stood is not exceeds:
            await _found(connection, case, period_start, now, stands=exceeds)
            if await _withdraw(connection, case, period_start, now):
                withdrawn.append(case)
    return withdrawn


async def lapsed(connection: Link, now: datetime) -> list[UUID]:
    """Return cases whose time has run out and that nobody was told of, longest overdue first."""
    cursor = await connection.execute(
        "select alert_case from alert_case where due_at <= %s and lapsed_at is null"
        " order by due_at limit %s",
        (now, MOST_LAPSED),
    )
    return [row[0] for row in await cursor.fetchall()]


async def renew_clocks(connection: Link, after: UUID | None, now: datetime) -> UUID | None:
    """Count the times that run again, as rules and calendars may have changed since.

    Takes the next MOST_RENEWED cases after an id and returns the last one; None: that was all.
    """
    where = sql.SQL(
        "where c.due_at is not null and c.lapsed_at is null and (%(after)s::uuid is null or"
        " c.alert_case > %(after)s) order by c.alert_case limit %(most)s for update"
    )
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        asked = {"after": after, "most": MOST_RENEWED}
        await cursor.execute(sql.SQL("{} {}").format(_SELECT, where), asked)
        running = [of_row(row) for row in await cursor.fetchall()]
    for kept in running:
        clock = clock_of(kept.case, kept.timezone)
        if clock != kept.clock:
            await _store(connection, replace(kept, clock=clock), now)
    return running[-1].id if len(running) == MOST_RENEWED else None


def clock_of(case: Case, zone: str) -> Clock | None:
    """Return what is waited for by the shipped rules and calendar."""
    return caseclocks.clock(case, caserules.shipped(), calendars.shipped(), zone)


async def write(connection: Link, kept: KeptCase, deed: Deed, at: datetime) -> KeptCase | None:
    """Append what was done and return the case after it; None where the table has no such row.

    The caller has locked the case.
    """
    after = cases.apply(
        kept.case,
        deed.event,
        deed.side,
        at,
        caserules.shipped().closes_at,
        severity=deed.severity,
        plan_due=deed.plan_due,
    )
    if after is None:
        return None
    written = replace(
        kept,
        position=kept.position + 1,
        case=after,
        clock=clock_of(after, kept.timezone),
        updated_at=at,
    )
    await _append(connection, written, kept.case.state, deed, at)
    await _store(connection, written, at)
    return written


async def _open(
    connection: Link, alert: UUID, site: Site | None, deed: Deed, at: datetime
) -> KeptCase:
    """Open a new case of an alert."""
    place = None if site is None else site.id
    zone = caseclocks.DEFAULT_ZONE if site is None else site.timezone
    rules = caserules.shipped()
    after = cases.apply(Case(), deed.event, deed.side, at, rules.closes_at, severity=deed.severity)
    assert after is not None, "every case begins by being raised"  # noqa: S101 - a belief
    cursor = await connection.execute(
        "insert into alert_case (alert, number, site, timezone, state, position, severity, closes,"
        " opened_at, since, clock_from, updated_at) select %(alert)s, coalesce(max(number), 0) + 1,"
        " %(site)s, %(zone)s, %(state)s, 1, %(severity)s, %(closes)s, %(at)s, %(at)s, %(at)s,"
        " %(at)s from alert_case where alert = %(alert)s returning alert_case, number",
        {
            "alert": alert,
            "site": place,
            "zone": zone,
            "state": after.state.value,
            "severity": after.severity,
            "closes": after.closes.value,
            "at": at,
        },
    )
    row = await cursor.fetchone()
    assert row is not None, "an insert returns its row"  # noqa: S101 - a belief
    kept = KeptCase(row[0], alert, row[1], place, zone, 1, at, at, after, clock_of(after, zone))
    await _append(connection, kept, State.ABSENT, deed, at)
    await _store(connection, kept, at)
    return kept


async def _append(
    connection: Link, after: KeptCase, from_state: State, deed: Deed, at: datetime
) -> None:
    await connection.execute(
        "insert into case_transition (alert_case, position, at, closes, from_state, event, side,"
        " to_state, severity, who, role, detail)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            after.id,
            after.position,
            at,
            after.case.closes.value,
            from_state.value,
            deed.event.value,
            deed.side.value,
            after.case.state.value,
            after.case.severity,
            deed.who,
            deed.role,
            Jsonb(dict(deed.detail)),
        ),
    )


async def _store(connection: Link, kept: KeptCase, at: datetime) -> None:
    case, clock = kept.case, kept.clock
    values: dict[str, Any] = {name: getattr(case, name) for name in _CASE}
    values |= {"state": case.state.value, "closes": case.closes.value, "position": kept.position}
    values |= dict.fromkeys(_CLOCK)
    if clock is not None:
        values |= {"duty": clock.duty.value, "duty_side": clock.side.value}
        values |= {"due_at": clock.due_at, "working_days": clock.working_days}
        values |= {"calendar_known": clock.calendar_known}
    values["updated_at"] = at
    sets = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values
    )
    await connection.execute(
        sql.SQL("update alert_case set {}, change = default where alert_case = %(id)s").format(
            sets
        ),
        {**values, "id": kept.id},
    )


async def _withdraw(connection: Link, case: UUID, period_start: datetime, now: datetime) -> bool:
    """Withdraw a case of which no finding stands any more; tell whether that was so."""
    cursor = await connection.execute(
        "select bool_or(stands) from (select distinct on (period_start) stands from case_finding"
        " where alert_case = %s order by period_start, case_finding desc) f",
        (case,),
    )
    row = await cursor.fetchone()
    kept = await _one(connection, sql.SQL("where alert_case = %s for update"), (case,))
    if row is None or row[0] or kept is None:
        return False
    deed = _by_system(Event.WITHDRAW, {"period_start": period_start.isoformat()})
    return await write(connection, kept, deed, now) is not None


async def _found(
    connection: Link, case: UUID, period_start: datetime, now: datetime, *, stands: bool
) -> None:
    await connection.execute(
        "insert into case_finding (alert_case, period_start, at, stands) values (%s, %s, %s, %s)",
        (case, period_start, now, stands),
    )


async def _by_itself(
    connection: Link, alert: UUID, event: Event, detail: Mapping[str, Any], at: datetime
) -> bool:
    """Do to an alert's newest case what no person did; False where the table has no such row."""
    kept = await _locked(connection, alert)
    if kept is None:
        return False
    return await write(connection, kept, _by_system(event, detail), at) is not None


def _by_system(event: Event, detail: Mapping[str, Any], severity: int = 0) -> Deed:
    return Deed(event, Side.SYSTEM, *SYSTEM, detail, severity)


async def _locked(connection: Link, alert: UUID) -> KeptCase | None:
    """Return the newest case of an alert, locked."""
    where = sql.SQL("where alert = %s order by number desc limit 1 for update")
    return await _one(connection, where, (alert,))


async def _one(
    connection: Link, where: sql.Composable, parameters: Sequence[Any]
) -> KeptCase | None:
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(sql.SQL("{} {}").format(_SELECT, where), parameters)
        row = await cursor.fetchone()
    return None if row is None else of_row(row)
