"""Writes what must be told of an alert, one notification a channel, in the deciding transaction.

Promise: the bytes that a receiver gets are fixed when it is decided to tell, so that every attempt
sends the same.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from core import limits, periods
from core.clock import to_us
from store import alerts, notifications

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.alerts import Notice
    from core.plant import Plant
    from ingest.channels import Channel
    from store.alerts import Kept

BODY_VERSION: Final = 1


async def tell(
    connection: AsyncConnection[Any],
    channels: Iterable[Channel],
    plant: Plant,
    kept: Kept,
    told: Notice,
    now: datetime,
) -> int:
    """Write one notification for every channel that the alert concerns; return how many."""
    site = plant.sites[plant.units[kept.key.unit].site]
    written = 0
    for channel in channels:
        if channel.concerns(site.jurisdiction, kept.alert.severity):
            identity = uuid4()
            text = body(str(identity), told, kept, plant, now)
            await notifications.add(connection, kept, told, channel.name, (identity, text), now)
            written += 1
    return written


def body(identity: str, told: Notice, kept: Kept, plant: Plant, now: datetime) -> str:
    """Return the JSON that a receiver gets: what happened, the alert, and the law it rests on."""
    item = alerts.describe(kept, plant)
    del item["deliveries"]  # how it was told to others is not the receiver's matter
    limit = limits.catalogue().get(kept.key.limit)
    law = None
    if limit is not None:
        law = {
            "scheme": limit.scheme,
            "jurisdiction": limit.jurisdiction,
            "source": limit.source,
            "clause": limit.clause,
            "quote": limit.quote,
        }
    return json.dumps(
        {
            "version": BODY_VERSION,
            "id": identity,
            "type": f"alert.{told}",
            "at": periods.render_utc(to_us(now)),
            "alert": item,
            "law": law,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )
