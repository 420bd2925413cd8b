"""Cases as people read them: a page of a scope, what led to each state, the history of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql
from psycopg.rows import namedtuple_row

from store import alerts, cases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from store.alerts import Kept
    from store.cases import KeptCase

MOST_PAGE: Final = 1_000
MOST_HISTORY: Final = 2_000  # of one case; what came before is left out, and the page says so
# What led to each state the last time; what left a state as it was counts where people renewed it.
_STAGES: Final = sql.SQL(
    "coalesce((select jsonb_object_agg(t.to_state, jsonb_build_object('at', t.at, 'who', t.who,"
    " 'role', t.role, 'event', t.event, 'detail', t.detail)) from (select distinct on (to_state)"
    " to_state, at, who, role, event, detail from case_transition where alert_case = c.alert_case"
    " and (from_state <> to_state or event in ('explain', 'plan'))"
    " order by to_state, position desc) t), '{}') as stages"
)
_SELECT: Final = sql.SQL("select {}, {} from alert_case c").format(cases.COLUMNS, _STAGES)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which cases are asked for; None and empty: any."""

    sites: Sequence[str]
    store: bool = False
    states: Sequence[str] = ()
    unit: str | None = None
    alert: UUID | None = None
    waits_for: str | None = None
    overdue_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A case with its alert and with what led to each of its states."""

    case: KeptCase
    alert: Kept
    stages: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of a case's history."""

    position: int
    at: datetime
    from_state: str
    event: str
    side: str
    to_state: str
    severity: int
    who: str
    role: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CaseFinding:
    """A closed period that a case rests on; `result` is the figure's version that was found."""

    period_start: datetime
    found_at: datetime
    stands: bool
    since: datetime
    result: str | None


async def page(
    connection: AsyncConnection[Any],
    asked: Asked,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Listed]:
    """Return cases, the newest first, older than the key `after`."""
    parts = [sql.SQL("(c.site = any(%(sites)s) or (c.site is null and %(store)s))")]
    given: dict[str, Any] = {"sites": list(asked.sites), "store": asked.store}
    if asked.states:
        parts.append(sql.SQL("c.state = any(%(states)s)"))
        given["states"] = list(asked.states)
    if asked.unit is not None:
        parts.append(
            sql.SQL("exists (select from alert a where a.alert = c.alert and a.unit = %(unit)s)")
        )
        given["unit"] = asked.unit
    if asked.alert is not None:
        parts.append(sql.SQL("c.alert = %(alert)s"))
        given["alert"] = asked.alert
    if asked.waits_for is not None:
        parts.append(sql.SQL("c.duty_side = %(side)s"))
        given["side"] = asked.waits_for
    if asked.overdue_at is not None:
        parts.append(sql.SQL("(c.due_at <= %(at)s or c.state = 'escalated')"))
        given["at"] = asked.overdue_at
    if after is not None:
        parts.append(sql.SQL("(c.opened_at, c.alert_case) < (%(opened)s, %(id)s)"))
        given |= {"opened": after[0], "id": after[1]}
    where = sql.SQL("where {} order by c.opened_at desc, c.alert_case desc limit %(limit)s").format(
        sql.SQL(" and ").join(parts)
    )
    return await _read(connection, where, {**given, "limit": min(limit, MOST_PAGE + 1)})


async def find(connection: AsyncConnection[Any], case: UUID) -> Listed | None:
    """Return one case, None where there is none."""
    found = await _read(connection, sql.SQL("where c.alert_case = %(case)s"), {"case": case})
    return found[0] if found else None


async def history(connection: AsyncConnection[Any], case: UUID) -> list[Transition]:
    """Return the newest MOST_HISTORY rows of a case's history, the oldest of them first."""
    cursor = await connection.execute(
        "select position, at, from_state, event, side, to_state, severity, who, role, detail"
        " from case_transition where alert_case = %s order by position desc limit %s",
        (case, MOST_HISTORY),
    )
    return [Transition(*row) for row in reversed(await cursor.fetchall())]


async def findings(connection: AsyncConnection[Any], case: UUID) -> list[CaseFinding]:
    """Return the closed periods that a case rests on, each with the figure it was found by."""
    cursor = await connection.execute(
        "select f.period_start, f.found_at, f.stands, f.at, (select r.result::text from result r"
        " where r.unit = a.unit and r.indicator = a.indicator and r.period = a.period"
        " and r.period_start = f.period_start and r.computed_at <= f.found_at"
        " order by r.version desc limit 1) from (select distinct on (period_start) alert_case,"
        " period_start, stands, at, min(at) over (partition by period_start) as found_at"
        " from case_finding where alert_case = %s order by period_start, case_finding desc) f"
        " join alert_case c using (alert_case) join alert a using (alert) order by f.period_start",
        (case,),
    )
    return [CaseFinding(*row) for row in await cursor.fetchall()]


async def first_plan(connection: AsyncConnection[Any], case: UUID) -> datetime | None:
    """Return when a case was planned for the first time, None where it never was."""
    cursor = await connection.execute(
        "select min(at) from case_transition where alert_case = %s and event = 'plan'", (case,)
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def _read(
    connection: AsyncConnection[Any], where: sql.Composable, given: Mapping[str, Any]
) -> list[Listed]:
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(sql.SQL("{} {}").format(_SELECT, where), given)
        rows: list[Any] = await cursor.fetchall()
    kept = await alerts.of_ids(connection, [row.alert for row in rows])
    return [Listed(cases.of_row(row), kept[row.alert], row.stages) for row in rows]
