"""What a channel could not be told for too long goes to a second one: once, and remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from psycopg import AsyncConnection

MOST_ESCALATED: Final = 100  # in one transaction; the rest follows in the next
# When the first attempt on it began, its own, its bundle's, or that of what its alert says before.
_TRIED: Final = (
    "(select min(coalesce(e.tried_at, b.tried_at)) from notification e"
    " left join notification b on b.notification = e.bundle where e.alert = n.alert"
    " and e.channel = n.channel and e.state = 'waiting' and e.number <= n.number)"
)


@dataclass(frozen=True, slots=True)
class Untold:
    """A notification that its channel has not taken since an instant."""

    id: UUID
    alert: UUID
    body: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a channel may be out, and what of it waits for a digest still.

    `digest` is the newest hour of a digest; what is less grave than `digest_below` and was decided
    after it is not overdue, whatever the channel does.
    """

    wait: timedelta
    digest_below: int
    digest: datetime | None


async def untold(
    connection: AsyncConnection[Any], channel: str, patience: Patience, now: datetime
) -> list[Untold]:
    """Return, locked and oldest first, what must go to a second channel now.

    Tried for too long without a receipt; or not tried, because the channel has failed for too
    long, and still did after it was written; or given up.
    """
    limit = now - patience.wait
    cursor = await connection.execute(
        f"select notification, alert, body, coalesce({_TRIED}, c.failing_since, n.created_at)"  # noqa: S608 - constants only
        " from notification n left join delivery_circuit c using (channel)"
        " where n.channel = %(channel)s and n.kind <> 'bundle' and n.escalated_at is null"
        " and (n.state = 'abandoned' and n.next_at >= %(limit)s or n.state = 'waiting' and ("
        f" {_TRIED} <= %(limit)s or c.failing_since <= %(limit)s and c.tried_at >= n.created_at"
        " and (n.tried_at is not null or %(digest)s::timestamptz is null"
        " or n.severity >= %(below)s or n.created_at <= %(digest)s)))"
        " order by n.number limit %(most)s for update of n",
        {
            "channel": channel,
            "limit": limit,
            "digest": patience.digest,
            "below": patience.digest_below,
            "most": MOST_ESCALATED,
        },
    )
    return [Untold(*row) for row in await cursor.fetchall()]


async def write(
    connection: AsyncConnection[Any],
    what: Untold,
    second: str,
    content: tuple[UUID, str],
    at: datetime,
) -> bool:
    """Tell a second channel, `content` the id and body; False where it was told of this before.

    Either way it is remembered that this notification was escalated.
    """
    cursor = await connection.execute(
        "insert into notification (notification, alert, episode, channel, kind, severity, body,"
        " created_at, next_at, origin) select %s, alert, episode, %s, 'escalated', severity, %s,"
        " %s, %s, coalesce(origin, notification) from notification where notification = %s"
        " on conflict (coalesce(origin, notification), channel) do nothing",
        (content[0], second, content[1], at, at, what.id),
    )
    await connection.execute(
        "update notification set escalated_at = %s where notification = %s", (at, what.id)
    )
    return cursor.rowcount == 1
