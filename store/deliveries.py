"""How the channels of alerts fare: what waits, what was told, what was escalated or given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core.circuits import Circuit
from store import circuits

if TYPE_CHECKING:
    from datetime import datetime

    from psycopg import AsyncConnection

LATELY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Fared:
    """One channel: what waits now, and the rest within LATELY; bundles are counted apart."""

    channel: str
    circuit: Circuit
    waiting: int = 0
    oldest_at: datetime | None = None
    delivered: int = 0
    bundles: int = 0
    bundled: int = 0
    escalated: int = 0
    abandoned: int = 0


async def of_channels(connection: AsyncConnection[Any], now: datetime) -> list[Fared]:
    """Return every channel that was ever to be told of something, in the order of their names."""
    known = await circuits.states(connection)
    cursor = await connection.execute(
        "select channel,"
        " count(*) filter (where state = 'waiting' and kind <> 'bundle'),"
        " min(created_at) filter (where state = 'waiting' and kind <> 'bundle'),"
        " count(*) filter (where delivered_at > %(since)s and kind <> 'bundle'),"
        " count(*) filter (where delivered_at > %(since)s and kind = 'bundle'),"
        " count(*) filter (where delivered_at > %(since)s and bundle is not null),"
        " count(*) filter (where escalated_at > %(since)s),"
        " count(*) filter (where state = 'abandoned' and next_at > %(since)s and kind <> 'bundle')"
        " from notification group by channel order by channel",
        {"since": now - LATELY},
    )
    return [
        Fared(row[0], known.get(row[0], Circuit()), *row[1:]) for row in await cursor.fetchall()
    ]
