"""Alerts: their present state, their append-only history, and who acknowledged them.

What is decided here and what must be told of it (`store.notifications`) is written in the
caller's one transaction, so that neither is ever without the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from psycopg import sql
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb

from core import indicators, limits, periods
from core.alerts import Alert, State
from core.clock import to_us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from core.alerts import Notice
    from core.plant import Plant

MOST_PAGE: Final = 5_000
MOST_CHANGED: Final = 1_000
MOST_WAITING: Final = 5_000
_STATE: Final = (
    "state",
    "since",
    "severity",
    "episode",
    "period_start",
    "last_start",
    "closed_start",
    "standing",
    "raised_at",
    "resolved_at",
)
_SELECT: Final = sql.SQL(
    "select alert, unit, indicator, period, limit_id, kind, delivered_at, acknowledged_at,"
    " acknowledged_by, figure, created_at, change, {state}, {deliveries} as deliveries"
    " from alert a"
)
# The newest notification of each channel speaks for the channel.
_DELIVERIES: Final = sql.SQL(
    "coalesce((select jsonb_agg(jsonb_build_object('channel', n.channel, 'state', n.state,"
    " 'attempts', n.attempts, 'receipt', n.receipt) order by n.channel) from"
    " (select distinct on (channel) channel, state, attempts, receipt from notification"
    " where alert = a.alert and episode = a.episode order by channel, number desc) n), '[]')"
)
_FULL: Final = _SELECT.format(
    state=sql.SQL(", ").join(map(sql.Identifier, _STATE)), deliveries=_DELIVERIES
)


class Key(NamedTuple):
    """What an alert stands for."""

    unit: str
    indicator: str
    period: str
    limit: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored alert; `figure` stood behind its last change, `deliveries` are its episode's."""

    id: UUID
    key: Key
    kind: str
    alert: Alert
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    figure: Mapping[str, Any]
    deliveries: Sequence[Mapping[str, Any]]
    created_at: datetime
    change: int

    def item(self, timezone: str) -> dict[str, Any]:
        """Return the alert's item of the API (design 4.6), its period's start in plant time.

        A pending alert says nothing yet of the episodes before: they are over.
        """
        alert = self.alert
        pending = alert.state is State.PENDING
        first = alert.last_start if pending else alert.period_start or alert.last_start
        return {
            "id": str(self.id),
            "kind": self.kind,
            "severity": alert.severity,
            "state": alert.state.value,
            "unit": self.key.unit,
            "indicator": self.key.indicator,
            "period": self.key.period,
            "limit": self.key.limit,
            "period_start": None if first is None else periods.render(to_us(first), timezone),
            "stage": "early_warning" if alert.closed_start is None else "finding",
            "raised_at": None if pending else _utc(alert.raised_at),
            "delivered_at": None if pending else _utc(self.delivered_at),
            "acknowledged_at": None if pending else _utc(self.acknowledged_at),
            "acknowledged_by": None if pending else self.acknowledged_by,
            "resolved_at": None if pending else _utc(alert.resolved_at),
            "evidence": None,
            "deliveries": [] if pending else [dict(each) for each in self.deliveries],
            **self.figure,
        }


def describe(kept: Kept, plant: Plant) -> dict[str, Any]:
    """Return the alert's item with the names a person reads; its unit must be declared."""
    unit = plant.units[kept.key.unit]
    site = plant.sites[unit.site]
    limit = limits.catalogue().get(kept.key.limit)
    indicator = indicators.catalogue().get(kept.key.indicator)
    return {
        **kept.item(site.timezone),
        "site": site.id,
        "jurisdiction": site.jurisdiction,
        "timezone": site.timezone,
        "site_name": dict(site.name),
        "unit_name": dict(unit.name),
        "indicator_name": None if indicator is None else dict(indicator.name),
        "limit_name": None if limit is None else dict(limit.name),
    }


async def of_unit(connection: AsyncConnection[Any], unit: str) -> dict[Key, Kept]:
    """Return the alerts of a unit, locked until the caller's transaction ends."""
    found = await _read(connection, sql.SQL("where unit = %s for update of a"), (unit,))
    return {kept.key: kept for kept in found}


async def waiting(connection: AsyncConnection[Any]) -> list[Kept]:
    """Return the alerts that time alone may move, locked, longest in their state first."""
    return await _read(
        connection,
        sql.SQL(
            "where state in ('pending', 'clearing') and standing order by since limit %s"
            " for update of a"
        ),
        (MOST_WAITING,),
    )


async def find(connection: AsyncConnection[Any], alert: UUID) -> Kept | None:
    """Return one alert by its id, None where there is none."""
    found = await _read(connection, sql.SQL("where alert = %s"), (alert,))
    return found[0] if found else None


async def page(
    connection: AsyncConnection[Any],
    units: Sequence[str],
    states: Sequence[str],
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Kept]:
    """Return the units' alerts of these states, newest first, older than the key `after`.

    What was within again before it was raised is nobody's business and left out.
    """
    edge = sql.SQL("and (created_at, alert) < (%s, %s)") if after else sql.SQL("")
    return await _read(
        connection,
        sql.SQL(
            "where unit = any(%s) and state = any(%s) and (raised_at is not null or"
            " state = 'pending') {edge} order by created_at desc, alert desc limit %s"
        ).format(edge=edge),
        (list(units), list(states), *(after or ()), min(limit, MOST_PAGE)),
    )


async def changed(
    connection: AsyncConnection[Any], after: int, since: datetime
) -> tuple[list[Kept], int]:
    """Return alerts changed after a change number or since an instant, and the newest number.

    At most MOST_CHANGED of each; numbers are committed out of order, so the caller asks again
    for the last moments and compares.
    """
    by_number = await _read(
        connection, sql.SQL("where change > %s order by change limit %s"), (after, MOST_CHANGED)
    )
    lately = await _read(
        connection,
        sql.SQL("where updated_at >= %s order by change desc limit %s"),
        (since, MOST_CHANGED),
    )
    found = {kept.id: kept for kept in (*lately, *by_number)}
    return list(found.values()), max((kept.change for kept in by_number), default=after)


async def save(
    connection: AsyncConnection[Any],
    key: Key,
    after: Alert,
    figure: Mapping[str, Any],
    at: datetime,
) -> Kept:
    """Store the alert's state with the figure behind it and return it as it is kept now.

    A new episode begins undelivered and unacknowledged.
    """
    columns = [*_STATE, "figure", "updated_at"]
    values = [getattr(after, name) for name in _STATE]
    values[0] = after.state.value
    row = [*key, *values, Jsonb(dict(figure)), at]
    names = ["unit", "indicator", "period", "limit_id", *columns]
    fresh = sql.SQL("alert.episode = excluded.episode")
    renewed = sql.SQL(", ").join(
        sql.SQL("{0} = case when {1} then alert.{0} end").format(sql.Identifier(name), fresh)
        for name in ("delivered_at", "acknowledged_at", "acknowledged_by")
    )
    statement = sql.SQL(
        "insert into alert ({names}, created_at) values ({marks}, %s)"
        " on conflict (unit, indicator, period, limit_id) do update set {sets}, {renewed},"
        " change = default returning alert"
    ).format(
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        marks=sql.SQL(", ").join(sql.Placeholder() * len(names)),
        sets=sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns
        ),
        renewed=renewed,
    )
    cursor = await connection.execute(statement, [*row, at])
    stored = await cursor.fetchone()
    assert stored is not None, "an upsert returns its row"  # noqa: S101 - a belief
    kept = await find(connection, stored[0])
    assert kept is not None, "it was written a line above"  # noqa: S101 - a belief
    return kept


async def record(
    connection: AsyncConnection[Any],
    kept: Kept,
    before: State,
    told: Notice | None,
    at: datetime,
) -> None:
    """Append one row to the history of an alert."""
    await connection.execute(
        "insert into alert_transition (alert, at, from_state, to_state, severity, episode, notice,"
        " figure) values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            kept.id,
            at,
            before.value,
            kept.alert.state.value,
            kept.alert.severity,
            kept.alert.episode,
            None if told is None else told.value,
            Jsonb(dict(kept.figure)),
        ),
    )


async def acknowledge(
    connection: AsyncConnection[Any], alert: UUID, who: str, at: datetime
) -> bool:
    """Note who took note of a raised alert; False where somebody had, or where it is not raised."""
    cursor = await connection.execute(
        "update alert set acknowledged_at = %s, acknowledged_by = %s, updated_at = %s,"
        " change = default where alert = %s and acknowledged_at is null and raised_at is not null"
        " and state <> 'pending'",
        (at, who, at, alert),
    )
    return cursor.rowcount == 1


async def result_id(connection: AsyncConnection[Any], key: Key, start: datetime) -> str | None:
    """Return the id of the newest result of the alert's figure in the period that starts then."""
    cursor = await connection.execute(
        "select result::text from result where unit = %s and indicator = %s and period = %s"
        " and period_start = %s order by version desc limit 1",
        (key.unit, key.indicator, key.period, start),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def _read(
    connection: AsyncConnection[Any], where: sql.Composable, parameters: Sequence[Any]
) -> list[Kept]:
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(sql.SQL("{} {}").format(_FULL, where), parameters)
        return [_kept(row) for row in await cursor.fetchall()]


def _kept(row: Any) -> Kept:
    state = {name: getattr(row, name) for name in _STATE}
    state["state"] = State(row.state)
    return Kept(
        id=row.alert,
        key=Key(row.unit, row.indicator, row.period, row.limit_id),
        kind=row.kind,
        alert=Alert(**state),
        delivered_at=row.delivered_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        figure=row.figure,
        deliveries=row.deliveries,
        created_at=row.created_at,
        change=row.change,
    )


def _utc(at: datetime | None) -> str | None:
    return None if at is None else periods.render_utc(to_us(at))
