"""The outbox of alerts seen whole: read to be checked and emptied; for drills and their databases.

For databases of a drill's own, never for a plant's: `open_history` takes away what keeps history
append-only, and `clear` leaves nothing of what was there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from psycopg import Connection

_ROW: Final = (
    "notification, number, alert, episode, channel, kind, severity, state, attempts, created_at,"
    " tried_at, delivered_at, receipt, bundle, origin, escalated_at"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A notification as it lies in the table."""

    id: UUID
    number: int
    alert: UUID | None
    episode: int | None
    channel: str
    kind: str
    severity: int
    state: str
    attempts: int
    created_at: datetime
    tried_at: datetime | None
    delivered_at: datetime | None
    receipt: str | None
    bundle: UUID | None
    origin: UUID | None
    escalated_at: datetime | None


def open_history(link: Connection[Any]) -> None:
    """Let this database's history be emptied."""
    found = link.execute(
        "select c.relname, t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid"
        " where not t.tgisinternal and t.tgtype & 32 <> 0"  # those that answer a truncate
    ).fetchall()
    for table, trigger in found:
        statement = sql.SQL("alter table {} disable trigger {}")
        link.execute(statement.format(sql.Identifier(table), sql.Identifier(trigger)))


def clear(link: Connection[Any]) -> None:
    """Empty the alerts and everything that hangs on them."""
    link.execute("truncate alert, notification, delivery_circuit restart identity cascade")


def notifications(link: Connection[Any]) -> list[Row]:
    """Return every notification in the order of its number."""
    found = link.execute(f"select {_ROW} from notification order by number").fetchall()  # noqa: S608 - a constant
    return [Row(*row) for row in found]


def decided(link: Connection[Any]) -> list[tuple[UUID, int, str, int]]:
    """Return (alert, episode, notice, severity) of everything that had to be told, in order."""
    return link.execute(
        "select alert, episode, notice, severity from alert_transition where notice is not null"
        " order by transition_id"
    ).fetchall()


def attempts(link: Connection[Any]) -> dict[UUID, int]:
    """Return how many attempts are on record, by notification."""
    return dict(
        link.execute(
            "select notification, count(*) from delivery_attempt group by notification"
        ).fetchall()
    )


def untold_alerts(link: Connection[Any]) -> list[UUID]:
    """Return alerts of which a receipt is there and that do not say so."""
    rows = link.execute(
        "select a.alert from alert a where delivered_at is null and exists (select from"
        " notification n where n.alert = a.alert and n.episode = a.episode"
        " and n.state = 'delivered') order by a.alert"
    ).fetchall()
    return [row[0] for row in rows]


def cases(link: Connection[Any]) -> int:
    """Return how many cases there are."""
    row = link.execute("select count(*) from alert_case").fetchone()
    return int(row[0]) if row else 0


def unaware_cases(link: Connection[Any]) -> list[UUID]:
    """Return alerts whose open case does not know that its notice was delivered, or escalated."""
    rows = link.execute(
        "select c.alert from alert_case c where c.state = 'raised' and exists (select from"
        " notification n where n.alert = c.alert and n.state = 'delivered'"
        " and n.kind in ('firing', 'finding', 'escalated') and n.created_at >= c.clock_from)"
        " union select n.alert from notification n where n.escalated_at is not null"
        " and not exists (select from alert_case c join case_transition t using (alert_case)"
        " where c.alert = n.alert and (t.event = 'unreachable'"
        " or t.to_state in ('closed', 'withdrawn') and t.at <= n.escalated_at))"
    ).fetchall()
    return [row[0] for row in rows]
