"""Lists of alerts: a page of what a scope may see, and what changed since somebody looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from store import alerts, quietness

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from store.alerts import Kept

MOST_PAGE: Final = 5_000
MOST_CHANGED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose alerts are asked for: of units, of sites where no unit is concerned, of the store.

    With `folded` also those that nobody was told of, as they stand behind another one.
    """

    units: Sequence[str]
    sites: Sequence[str] = ()
    store: bool = False
    kinds: Sequence[str] = (alerts.EXCEEDANCE, alerts.CONDITION)
    folded: bool = False


async def page(
    connection: AsyncConnection[Any],
    scope: Scope,
    states: Sequence[str],
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Kept]:
    """Return alerts of a scope and of these states, newest first, older than the key `after`.

    What was within again before it was raised is nobody's business and left out.
    """
    edge = sql.SQL("and (created_at, alert) < (%s, %s)") if after else sql.SQL("")
    return await alerts.read(
        connection,
        sql.SQL(
            "where (unit = any(%s) or (unit is null and site = any(%s)) or (site is null and %s))"
            " and kind = any(%s) and state = any(%s) and (raised_at is not null or"
            " state = 'pending') and {shown} {edge} order by created_at desc, alert desc limit %s"
        ).format(edge=edge, shown=sql.SQL("true") if scope.folded else quietness.SHOWN),
        (
            list(scope.units),
            list(scope.sites),
            scope.store,
            list(scope.kinds),
            list(states),
            *(after or ()),
            min(limit, MOST_PAGE),
        ),
    )


async def changed(
    connection: AsyncConnection[Any], after: int, since: datetime
) -> tuple[list[Kept], int]:
    """Return alerts changed after a change number or since an instant, and the newest number.

    At most MOST_CHANGED of each; numbers are committed out of order, so the caller asks again
    for the last moments and compares.
    """
    by_number = await alerts.read(
        connection, sql.SQL("where change > %s order by change limit %s"), (after, MOST_CHANGED)
    )
    lately = await alerts.read(
        connection,
        sql.SQL("where updated_at >= %s order by change desc limit %s"),
        (since, MOST_CHANGED),
    )
    found = {kept.id: kept for kept in (*lately, *by_number)}
    return list(found.values()), max((kept.change for kept in by_number), default=after)
