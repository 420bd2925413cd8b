"""What an alert's item shows of its quiet: what keeps it from being told, and what it stands for.

Promise: SQL and names of one place, for lists, single alerts and the live stream alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from core import periods

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of a row of `alert a`.
QUIET: Final = sql.SQL(
    "(select jsonb_build_object('kind', f.cover, 'told', f.known <> 'owed', 'since', {since},"
    " 'until', {until},"
    " 'alert', f.cover_alert, 'silence', f.cover_silence, 'document', s.document,"
    " 'reason', s.reason, 'by', s.created_by)"
    " from fold f left join silence s on s.silence = f.cover_silence"
    " where f.alert = a.alert and f.cover is not null)"
).format(
    since=sql.SQL("(extract(epoch from f.since) * 1000000)::bigint"),
    until=sql.SQL("(extract(epoch from coalesce(s.until_at, f.cover_until)) * 1000000)::bigint"),
)
FOLDED: Final = sql.SQL("(select count(*) from fold f where f.cover_alert = a.alert)")
SHOWN: Final = sql.SQL(
    "not exists (select from fold f where f.alert = a.alert and f.known = 'owed'"
    " and f.cover in ('waiting', 'behind'))"
)
HOVERS: Final = sql.SQL("exists (select from fold f where f.alert = a.alert and f.hovers)")
# Of the row of `alert` that is written: its episode is over, and receivers do not know.
UNENDED: Final = sql.SQL(
    "exists (select from fold f where f.alert = alert.alert and f.known = 'ending')"
)


def item(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what QUIET found as the item shows it, with its instants in words."""
    if found is None:
        return None
    return {**found, "since": _utc(found["since"]), "until": _utc(found["until"])}


def _utc(at_us: int | None) -> str | None:
    return None if at_us is None else periods.render_utc(at_us)
