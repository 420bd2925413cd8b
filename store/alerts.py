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

from core import indicators, limits, names, periods
from core.alerts import Alert, State
from core.clock import to_us
from core.conditions import Subject, SubjectKind
from store import quietness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from core.alerts import Notice
    from core.plant import Plant

EXCEEDANCE: Final = "exceedance"
CONDITION: Final = "condition"
MOST_WAITING: Final = 5_000
MOST_OF_CONDITION: Final = 200_000  # alerts that are not over: every point of a province
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
# What stands behind an alert's last change; where a kind of alert has none of it, it is null.
FIGURE: Final = (
    "force",
    "level",
    "cmp",
    "limit_value",
    "lapsed",
    "verdict",
    "value",
    "uncertainty",
    "value_unit",
    "completeness",
    "figure_period_start",
    "figure_closed",
    "computed_at",
    "result",
    "sentence",
    "raise_at",
    "clear_at",
    "facts",
)
_SELECT: Final = sql.SQL(
    "select alert, unit, indicator, period, limit_id, condition, subject_kind, subject, kind,"
    " delivered_at, acknowledged_at, acknowledged_by, figure, created_at, change, {state},"
    " {deliveries} as deliveries, {quiet} as quiet, {folded} as folded from alert a"
)
# The newest notification of each channel speaks for the channel.
_DELIVERIES: Final = sql.SQL(
    "coalesce((select jsonb_agg(jsonb_build_object('channel', n.channel, 'state', n.state,"
    " 'attempts', n.attempts, 'receipt', n.receipt) order by n.channel) from"
    " (select distinct on (channel) channel, state, attempts, receipt from notification"
    " where alert = a.alert and (episode = a.episode or {hovers})"
    " order by channel, number desc) n), '[]')"
).format(hovers=quietness.HOVERS)
EVIDENCE: Final = "/api/v1/results/{result}/evidence"
_FULL: Final = _SELECT.format(
    state=sql.SQL(", ").join(map(sql.Identifier, _STATE)),
    deliveries=_DELIVERIES,
    quiet=quietness.QUIET,
    folded=quietness.FOLDED,
)


class Key(NamedTuple):
    """What an alert about a limit stands for."""

    unit: str
    indicator: str
    period: str
    limit: str

    @property
    def site(self) -> str:
        """Return the site of the unit."""
        return names.site_of(self.unit)


class Watched(NamedTuple):
    """What an alert about a data condition stands for; it has no figure and no limit."""

    condition: str
    subject: Subject

    @property
    def unit(self) -> str | None:
        """Return the unit that the subject is or lies in."""
        return self.subject.unit

    @property
    def indicator(self) -> None:
        """Return None: a condition is of no indicator."""

    @property
    def period(self) -> None:
        """Return None: a condition has no period."""

    @property
    def limit(self) -> None:
        """Return None: a condition holds nothing against a limit of the law."""

    @property
    def site(self) -> str | None:
        """Return the subject's site, None where it belongs to the store itself."""
        return self.subject.site


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored alert; `figure` stood behind its last change, `deliveries` are its episode's.

    `quiet` is what keeps it from being told now (store.quietness), `folded` how many stand behind.
    """

    id: UUID
    key: Key | Watched
    kind: str
    alert: Alert
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    figure: Mapping[str, Any]
    deliveries: Sequence[Mapping[str, Any]]
    created_at: datetime
    change: int
    quiet: Mapping[str, Any] | None = None
    folded: int = 0

    @property
    def site(self) -> str | None:
        """Return the site it concerns, None where it belongs to the store itself."""
        return self.key.site

    @property
    def condition(self) -> str | None:
        """Return the id of its data condition, None where it is about a limit."""
        return self.key.condition if isinstance(self.key, Watched) else None

    @property
    def subject(self) -> Subject | None:
        """Return whom its data condition is about, None where it is about a limit."""
        return self.key.subject if isinstance(self.key, Watched) else None

    @property
    def is_raised(self) -> bool:
        """Tell whether people were to be told of its present episode."""
        return self.alert.raised_at is not None and self.alert.state is not State.PENDING

    def item(self, timezone: str) -> dict[str, Any]:
        """Return the alert's item of the API (design 4.6), its period's start in plant time.

        A pending alert says nothing yet of the episodes before: they are over.
        """
        subject, result = self.subject, self.figure.get("result")
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
            "condition": self.condition,
            "subject": None if subject is None else {"kind": subject.kind.value, "id": subject.id},
            "period_start": None if first is None else periods.render(to_us(first), timezone),
            "stage": self._stage,
            "raised_at": None if pending else _utc(alert.raised_at),
            "delivered_at": None if pending else _utc(self.delivered_at),
            "acknowledged_at": None if pending else _utc(self.acknowledged_at),
            "acknowledged_by": None if pending else self.acknowledged_by,
            "resolved_at": None if pending else _utc(alert.resolved_at),
            "evidence": None if result is None else EVIDENCE.format(result=result),
            "deliveries": [] if pending else [dict(each) for each in self.deliveries],
            "quiet": None if self.quiet is None else dict(self.quiet),
            "folded": self.folded,
            **dict.fromkeys(FIGURE),
            **self.figure,
        }

    @property
    def _stage(self) -> str | None:
        if isinstance(self.key, Watched):
            return None
        return "early_warning" if self.alert.closed_start is None else "finding"


def is_declared(kept: Kept, plant: Plant) -> bool:
    """Tell whether what the alert concerns is still declared; the store itself always is."""
    unit, site = kept.key.unit, kept.site
    return (unit is None or unit in plant.units) and (site is None or site in plant.sites)


def describe(kept: Kept, plant: Plant) -> dict[str, Any]:
    """Return the alert's item with the names a person reads; it must be declared."""
    unit = None if kept.key.unit is None else plant.units[kept.key.unit]
    site = None if kept.site is None else plant.sites[kept.site]
    limit = limits.catalogue().get(kept.key.limit or "")
    indicator = indicators.catalogue().get(kept.key.indicator or "")
    return {
        **kept.item("UTC" if site is None else site.timezone),
        "site": kept.site,
        "jurisdiction": None if site is None else site.jurisdiction,
        "timezone": None if site is None else site.timezone,
        "site_name": None if site is None else dict(site.name),
        "unit_name": None if unit is None else dict(unit.name),
        "indicator_name": None if indicator is None else dict(indicator.name),
        "limit_name": None if limit is None else dict(limit.name),
    }


async def of_unit(connection: AsyncConnection[Any], unit: str) -> dict[Key, Kept]:
    """Return the alerts of a unit about limits, locked until the caller's transaction ends."""
    where = sql.SQL("where unit = %s and kind = 'exceedance' for update of a")
    found = await read(connection, where, (unit,))
    return {kept.key: kept for kept in found if isinstance(kept.key, Key)}


async def standing(connection: AsyncConnection[Any], condition: str) -> dict[Subject, Alert]:
    """Return how the alerts of a condition stand that are not over; nothing is locked."""
    query = sql.SQL(
        "select subject_kind, subject, {} from alert where condition = %s and state <> 'resolved'"
        " limit %s"
    ).format(_names(_STATE))
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(query, (condition, MOST_OF_CONDITION))
        rows: list[Any] = await cursor.fetchall()
    return {Subject(SubjectKind(row.subject_kind), row.subject): _alert(row) for row in rows}


async def about(
    connection: AsyncConnection[Any], condition: str, subjects: Sequence[Subject]
) -> dict[Subject, Kept]:
    """Return the alerts of a condition about these subjects, over or not, locked."""
    where = sql.SQL(
        "where condition = %s and (subject_kind, subject) in"
        " (select * from unnest(%s::text[], %s::text[])) for update of a"
    )
    kinds, ids = [each.kind.value for each in subjects], [each.id for each in subjects]
    found = await read(connection, where, (condition, kinds, ids))
    return {kept.subject: kept for kept in found if kept.subject is not None}


async def waiting(connection: AsyncConnection[Any]) -> list[Kept]:
    """Return the alerts that time alone may move, locked, longest in their state first."""
    return await read(
        connection,
        sql.SQL(
            "where state in ('pending', 'clearing') and standing order by since limit %s"
            " for update of a"
        ),
        (MOST_WAITING,),
    )


async def find(connection: AsyncConnection[Any], alert: UUID) -> Kept | None:
    """Return one alert by its id, None where there is none."""
    found = await read(connection, sql.SQL("where alert = %s"), (alert,))
    return found[0] if found else None


async def of_ids(connection: AsyncConnection[Any], ids: Sequence[UUID]) -> dict[UUID, Kept]:
    """Return these alerts by their ids."""
    found = await read(connection, sql.SQL("where alert = any(%s)"), (list(ids),))
    return {kept.id: kept for kept in found}


async def save(
    connection: AsyncConnection[Any],
    key: Key | Watched,
    after: Alert,
    figure: Mapping[str, Any],
    at: datetime,
) -> Kept:
    """Store the alert's state with the figure behind it and return it as it is kept now.

    A new episode begins undelivered and unacknowledged, unless it goes on with a story whose end
    nobody was told of.
    """
    state: dict[str, Any] = {name: getattr(after, name) for name in _STATE}
    state |= {"state": after.state.value, "figure": Jsonb(dict(figure)), "updated_at": at}
    kind, about, unique = _about(key)
    row = {**about, **state, "kind": kind, "site": key.site, "unit": key.unit, "created_at": at}
    fresh = sql.SQL("alert.episode = excluded.episode or {}").format(quietness.UNENDED)
    renewed = sql.SQL(", ").join(
        sql.SQL("{0} = case when {1} then alert.{0} end").format(sql.Identifier(name), fresh)
        for name in ("delivered_at", "acknowledged_at", "acknowledged_by")
    )
    statement = sql.SQL(
        "insert into alert ({names}) values ({marks}) on conflict ({unique}) do update set {sets},"
        " {renewed}, change = default returning alert"
    ).format(
        names=_names(row),
        marks=sql.SQL(", ").join(sql.Placeholder() * len(row)),
        unique=_names(unique),
        sets=sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in state
        ),
        renewed=renewed,
    )
    cursor = await connection.execute(statement, list(row.values()))
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


def _about(key: Key | Watched) -> tuple[str, dict[str, Any], Sequence[str]]:
    """Return the kind of an alert, the columns that say what it is about, and which are unique."""
    if isinstance(key, Watched):
        named = {"subject_kind": key.subject.kind.value, "subject": key.subject.id}
        about: dict[str, Any] = {"condition": key.condition, **named}
        return CONDITION, about, tuple(about)
    about = {"indicator": key.indicator, "period": key.period, "limit_id": key.limit}
    return EXCEEDANCE, about, ("unit", *about)


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


async def read(
    connection: AsyncConnection[Any], where: sql.Composable, parameters: Sequence[Any]
) -> list[Kept]:
    """Return the alerts that a clause behind `from alert a` leaves, in its order."""
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(sql.SQL("{} {}").format(_FULL, where), parameters)
        return [_kept(row) for row in await cursor.fetchall()]


def _key(row: Any) -> Key | Watched:
    if row.kind == CONDITION:
        return Watched(row.condition, Subject(SubjectKind(row.subject_kind), row.subject))
    return Key(row.unit, row.indicator, row.period, row.limit_id)


def _alert(row: Any) -> Alert:
    state = {name: getattr(row, name) for name in _STATE}
    state["state"] = State(row.state)
    return Alert(**state)


def _kept(row: Any) -> Kept:
    return Kept(
        id=row.alert,
        key=_key(row),
        kind=row.kind,
        alert=_alert(row),
        delivered_at=row.delivered_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        figure=row.figure,
        deliveries=row.deliveries,
        created_at=row.created_at,
        change=row.change,
        quiet=quietness.item(row.quiet),
        folded=row.folded,
    )


def _utc(at: datetime | None) -> str | None:
    return None if at is None else periods.render_utc(to_us(at))
