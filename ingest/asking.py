"""One look of the watcher: what it asks, and what every look needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from core import periods
from core.clock import from_us, to_us
from core.conditions import Seen, Subject, Watch
from core.periods import Period
from store import watched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import AsyncConnection

    from core.plant import Plant

PROOF: Final = timedelta(minutes=30)  # listened so long, a silence that began before is one
SETTLED: Final = timedelta(hours=1)  # after midnight: late readings of the day are in
DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Asking:
    """One look: at which store and plant, when, and since when we have heard anything at all."""

    connection: AsyncConnection[Any]
    plant: Plant
    point_ids: Mapping[str, int]
    now: datetime
    heard_since: datetime | None  # None: we hear nothing now
    channels: frozenset[str] = frozenset()  # that are told of alerts

    def quiet(self, heard_at: datetime) -> bool | None:
        """Tell whether a silence since then is one; None: we may not have been listening."""
        since = self.heard_since
        if since is None or (heard_at < since and self.now - since < PROOF):
            return None
        return True

    def midnight(self, site: str) -> datetime:
        """Return when the newest whole day of a site ended, late readings allowed for."""
        zone = self.plant.sites[site].timezone
        return from_us(periods.period_at(Period.DAY, to_us(self.now - SETTLED), zone)[0])


async def growing(
    asking: Asking,
    watch: Watch,
    counts: Mapping[Subject, int],
    window: timedelta,
    details: Mapping[Subject, str] | None = None,
) -> list[Seen]:
    """Return by how much each counter grew in a growth that went on within the window."""
    link, restarts = asking.connection, watch is not Watch.BOUND_HITS
    grown = await watched.grown(link, watch.value, counts, asking.now, window, restarts=restarts)
    return [
        Seen(
            subject,
            Decimal(count),
            words={} if details is None else {"detail": details[subject]},
            facts={"in_all": counts[subject]},
        )
        for subject, count in grown.items()
        if count
    ]


def seconds(span: timedelta) -> Decimal:
    """Return a span in whole seconds."""
    return Decimal(span // timedelta(seconds=1))


def utc(at: datetime | None) -> str | None:
    """Print an instant with `Z`, None where there is none."""
    return None if at is None else periods.render_utc(to_us(at))
