"""The outbox of what must be told: written with the alert's state, emptied by the notifier.

Promise: a notification leaves `waiting` only with a receipt, or abandoned after its bounds with
every attempt on record; one alert's notifications on one channel are due in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from core.alerts import Notice
    from store.alerts import Kept

MOST_DUE: Final = 100


@dataclass(frozen=True, slots=True)
class Due:
    """A notification whose turn has come."""

    id: UUID
    alert: UUID
    channel: str
    body: str
    created_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one delivery went; a receipt tells that it arrived."""

    at: datetime
    took_ms: int
    status: int | None
    receipt: str | None
    detail: str

    @property
    def ended_at(self) -> datetime:
        """Return when the answer was there, or the waiting was over."""
        return self.at + timedelta(milliseconds=self.took_ms)


async def add(
    connection: AsyncConnection[Any],
    kept: Kept,
    told: Notice,
    channel: str,
    content: tuple[UUID, str],
    at: datetime,
) -> None:
    """Put one notification, `content` its id and body, into the caller's transaction."""
    await connection.execute(
        "insert into notification (notification, alert, episode, channel, kind, body, created_at,"
        " next_at) values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (content[0], kept.id, kept.alert.episode, channel, told.value, content[1], at, at),
    )


async def due(connection: AsyncConnection[Any], channel: str, now: datetime) -> list[Due]:
    """Return what the channel may send now, oldest first: of each alert the first that waits."""
    cursor = await connection.execute(
        "select notification, alert, channel, body, created_at, attempts from notification n"
        " where channel = %s and state = 'waiting' and next_at <= %s and not exists"
        " (select from notification before where before.alert = n.alert"
        " and before.channel = n.channel and before.state = 'waiting'"
        " and before.number < n.number) order by number limit %s",
        (channel, now, MOST_DUE),
    )
    return [Due(*row) for row in await cursor.fetchall()]


async def settle(
    connection: AsyncConnection[Any],
    notification: UUID,
    attempt: Attempt,
    next_at: datetime | None,
) -> None:
    """Record an attempt: delivered with its receipt, else due again at `next_at`, else abandoned.

    The caller's transaction holds all of it. A notification that was delivered stays so.
    """
    delivered = attempt.receipt is not None
    await connection.execute(
        "insert into delivery_attempt (notification, at, took_ms, status, outcome, detail)"
        " values (%s, %s, %s, %s, %s, %s)",
        (
            notification,
            attempt.at,
            attempt.took_ms,
            attempt.status,
            "delivered" if delivered else "failed",
            attempt.detail,
        ),
    )
    state = "delivered" if delivered else "waiting" if next_at is not None else "abandoned"
    cursor = await connection.execute(
        "update notification set attempts = attempts + 1, state = %s, receipt = %s,"
        " delivered_at = %s, next_at = %s where notification = %s and state = 'waiting'"
        " returning alert, episode",
        (
            state,
            attempt.receipt,
            attempt.ended_at if delivered else None,
            next_at or attempt.at,
            notification,
        ),
    )
    row = await cursor.fetchone()
    if row is not None:
        await connection.execute(
            "update alert set delivered_at = case when %s then coalesce(delivered_at, %s)"
            " else delivered_at end, updated_at = greatest(updated_at, %s), change = default"
            " where alert = %s and episode = %s",
            (delivered, attempt.ended_at, attempt.ended_at, *row),
        )


async def counts(connection: AsyncConnection[Any]) -> dict[str, int]:
    """Return how many notifications are in each state; for health routes."""
    cursor = await connection.execute("select state, count(*) from notification group by state")
    return dict(await cursor.fetchall())
