"""The bodies that delivery itself writes: a bundle of notifications, and one for a second channel.

Promise: a bundle holds what each of its notifications would have said by itself, under its id; what
a second channel gets says which one did not take it and since when. Bounded in bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from core import periods, severities
from core.clock import to_us

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.delivery import Reason

BODY_VERSION: Final = 1
MOST_BUNDLE_BYTES: Final = 512 << 10  # half of what our own receivers take


def bundle(identity: str, reason: Reason, bodies: Sequence[str], now: datetime) -> tuple[str, int]:
    """Return the body of a bundle and how many of the bodies, from the first on, it holds."""
    items: list[dict[str, Any]] = []
    size = 0
    for each in bodies:
        size += len(each.encode())
        if items and size > MOST_BUNDLE_BYTES:
            break
        item = json.loads(each)
        item.pop("version", None)
        items.append(item)
    said = [item["at"] for item in items]
    whole = {
        "version": BODY_VERSION,
        "id": identity,
        "type": "alert.bundle",
        "at": periods.render_utc(to_us(now)),
        "bundle": {"reason": reason.value, "since": min(said), "until": max(said)},
        "items": items,
    }
    return _written(whole), len(items)


def escalated(
    identity: str, body: str, first: str, second_scheme: str, instants: tuple[datetime, datetime]
) -> str:
    """Return the body for a second channel: what the first has not taken, `instants` since and now.

    The severity is shown in the second one's own scheme.
    """
    since, now = instants
    said = json.loads(body)
    before = said.get("escalation")  # of a channel before that one, where there is a third
    of = before["of"] if before and "of" in before else said["type"].removeprefix("alert.")
    whole = {
        **said,
        "tier": severities.shown(second_scheme, said["alert"]["severity"]),
        "id": identity,
        "type": "alert.escalated",
        "at": periods.render_utc(to_us(now)),
        "escalation": {
            "reason": "unreachable",
            "from": first,
            "since": periods.render_utc(to_us(since)),
            "of": of,
        },
    }
    return _written(whole)


def _written(whole: dict[str, Any]) -> str:
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
