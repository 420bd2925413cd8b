"""Withdraws a case when late data shows that the closed periods it rests on were within after all.

Promise: what was told is never taken back in silence: the case is kept, and whoever was told of the
finding is told that it is withdrawn. What still exceeds by another period is told as a case anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core import periods
from core.alerts import Finding, Notice, State
from core.caseclocks import DEFAULT_ZONE
from core.clock import to_us
from ingest import telling
from store import alerts, cases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.alerts import Observation
    from core.plant import Plant
    from ingest.channels import Channel
    from store.alerts import Kept


async def reconsider(
    connection: AsyncConnection[Any],
    channels: Sequence[Channel],
    plant: Plant,
    kept: Kept,
    seen: Observation,
    now: datetime,
) -> int:
    """Hold a closed period's new finding against the alert's cases; return how many were told."""
    exceeds = seen.finding is Finding.EXCEEDS
    start = seen.period_start
    withdrawn = await cases.reconsider(connection, kept.id, start, now, exceeds=exceeds)
    told = 0
    for case in withdrawn:
        extra = {"case": str(case), "reason": _reason(kept, plant, start)}
        told += await _tell(connection, channels, plant, kept, Notice.WITHDRAWN, now, extra)
    newest = await cases.newest(connection, kept.id) if withdrawn else None
    if newest is not None and not newest.case.is_open and kept.alert.state is State.FIRING:
        told += await _tell(connection, channels, plant, kept, Notice.FIRING, now, {})
    return told


async def _tell(
    connection: AsyncConnection[Any],
    channels: Sequence[Channel],
    plant: Plant,
    kept: Kept,
    notice: Notice,
    now: datetime,
    extra: Mapping[str, Any],
) -> int:
    await alerts.record(connection, kept, kept.alert.state, notice, now)
    return await telling.tell(connection, channels, plant, kept, notice, now, extra)


def _reason(kept: Kept, plant: Plant, start: datetime) -> dict[str, str]:
    """Return why a case was withdrawn, for people; a period is named by its first day."""
    zone = DEFAULT_ZONE if kept.site is None else plant.sites[kept.site].timezone
    day = periods.day_of(to_us(start), zone).isoformat()
    return {
        "zh": f"迟到数据表明，自 {day} 起的统计期并未超限",
        "en": f"Late data showed that the period from {day} did not exceed the limit",
    }
