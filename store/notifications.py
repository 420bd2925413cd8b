"""The outbox of what must be told: written with the alert's state, emptied by the notifier.

Promise: a notification leaves `waiting` only with a receipt, its own or its bundle's, or abandoned
after its bounds with every attempt on record; one alert's notifications on one channel are told in
their order; each is told by itself or in one bundle, never both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core.delivery import Waiting
from store import cases

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from core.alerts import Notice
    from store.alerts import Kept

CASE_KINDS: Final = frozenset({"firing", "finding", "escalated"})  # whose receipt a case notes
MOST_WAITING: Final = 2_000  # looked at together: twice what may wait for a digest


@dataclass(frozen=True, slots=True)
class Due:
    """A notification whose turn has come; `alert` is None for a bundle."""

    id: UUID
    alert: UUID | None
    channel: str
    body: str
    created_at: datetime
    attempts: int
    kind: str


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
        "insert into notification (notification, alert, episode, channel, kind, severity, body,"
        " created_at, next_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            content[0],
            kept.id,
            kept.alert.episode,
            channel,
            told.value,
            kept.alert.severity,
            content[1],
            at,
            at,
        ),
    )


async def waiting(connection: AsyncConnection[Any], channel: str) -> list[Waiting]:
    """Return what a channel has to tell, oldest first: at most MOST_WAITING.

    What a bundle tells is left out, and so is what its alert may say only after that.
    """
    cursor = await connection.execute(
        "select notification, number, alert, severity, created_at, tried_at is not null, attempts,"
        " next_at from notification n where channel = %s and state = 'waiting' and bundle is null"
        " and not exists (select from notification before where before.alert = n.alert"
        " and before.channel = n.channel and before.state = 'waiting'"
        " and before.bundle is not null and before.number < n.number) order by number limit %s",
        (channel, MOST_WAITING),
    )
    return [Waiting(*row) for row in await cursor.fetchall()]


async def sent(connection: AsyncConnection[Any], channel: str, since: datetime) -> int:
    """Return how many messages a channel took since an instant; a bundle is one."""
    cursor = await connection.execute(
        "select count(*) from notification where channel = %s and state = 'delivered'"
        " and bundle is null and delivered_at > %s",
        (channel, since),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def claim(connection: AsyncConnection[Any], notification: UUID, at: datetime) -> Due | None:
    """Note that an attempt begins and return what is sent; None where it waits no more.

    Commit before the attempt: from then on no bundle takes it, whatever becomes of the attempt.
    """
    cursor = await connection.execute(
        "update notification set tried_at = coalesce(tried_at, %s)"
        " where notification = %s and state = 'waiting' and bundle is null"
        " returning notification, alert, channel, body, created_at, attempts, kind",
        (at, notification),
    )
    row = await cursor.fetchone()
    return None if row is None else Due(*row)


async def bundle(
    connection: AsyncConnection[Any],
    channel: str,
    members: Sequence[UUID],
    compose: Callable[[Sequence[str]], tuple[UUID, str, int]],
    at: datetime,
) -> UUID | None:
    """Put notifications into one bundle and return it; None where one of them waits no more.

    `compose` takes their bodies in order, and returns the bundle's id, its body and how many of
    them, from the first on, that body holds.
    """
    cursor = await connection.execute(
        "select notification, body, severity from notification where notification = any(%s)"
        " and state = 'waiting' and bundle is null and tried_at is null order by number for update",
        (list(members),),
    )
    rows = await cursor.fetchall()
    if not rows or len(rows) != len(members):
        return None
    identity, body, held = compose([row[1] for row in rows])
    await connection.execute(
        "insert into notification (notification, channel, kind, severity, body, created_at,"
        " next_at) values (%s, %s, 'bundle', %s, %s, %s, %s)",
        (identity, channel, max(row[2] for row in rows[:held]), body, at, at),
    )
    await connection.execute(
        "update notification set bundle = %s where notification = any(%s)",
        (identity, [row[0] for row in rows[:held]]),
    )
    return identity


async def settle(
    connection: AsyncConnection[Any],
    notification: UUID,
    attempt: Attempt,
    next_at: datetime | None,
) -> None:
    """Record an attempt: delivered with its receipt, else due again at `next_at`, else abandoned.

    The caller's transaction holds all of it, what a bundle tells included. A notification that
    was delivered stays so.
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
        " delivered_at = %s, next_at = %s where (notification = %s or bundle = %s)"
        " and state = 'waiting' returning alert, number, episode, kind, created_at",
        (
            state,
            attempt.receipt,
            attempt.ended_at if delivered else None,
            next_at or attempt.at,
            notification,
            notification,
        ),
    )
    # Alerts are locked in the order of their ids, as whoever decides on them does.
    told = sorted(row for row in await cursor.fetchall() if row[0] is not None)
    for alert, _, episode, kind, created_at in told:
        await connection.execute(
            "update alert set delivered_at = case when %s then coalesce(delivered_at, %s)"
            " else delivered_at end, updated_at = greatest(updated_at, %s), change = default"
            " where alert = %s and episode = %s",
            (delivered, attempt.ended_at, attempt.ended_at, alert, episode),
        )
        if delivered and kind in CASE_KINDS:
            await cases.delivered(connection, alert, created_at, attempt.ended_at)


async def counts(connection: AsyncConnection[Any]) -> dict[str, int]:
    """Return how many notifications are in each state; for health routes."""
    cursor = await connection.execute("select state, count(*) from notification group by state")
    return dict(await cursor.fetchall())
