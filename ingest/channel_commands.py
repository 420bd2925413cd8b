"""`danhao alerts try CHANNEL`: one notice on trial through a channel, and what its receiver says.

For the day on which a channel is set up: the same road as an alert's, without an alert and without
the database. Exits 1 where the receiver did not take it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from core import clock, periods
from core.errors import Misconfigured, Problem
from ingest import channels, transports
from ingest.addresses import AS_IT_IS
from store import settings
from store.notifications import Due

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from datetime import datetime

    from ingest.addresses import Environment
    from ingest.channels import Channel
    from store.notifications import Attempt

WELL: Final = 0
BAD_NEWS: Final = 1
BODY_VERSION: Final = 1


def add_try(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action `try` to the command `alerts`."""
    parser = actions.add_parser(
        "try",
        help="send a notice on trial through a channel",
        description="Send a notice on trial through a channel of danhao.toml; there is no alert.",
    )
    parser.add_argument("channel", metavar="CHANNEL", help="the channel's name")
    parser.add_argument("--config", type=Path, help="default: DANHAO_CONFIG, else danhao.toml")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_try)


def find(name: str, config: Path | None) -> Channel:
    """Return a channel of danhao.toml by its name; raises Misconfigured where there is none."""
    document = settings.read_file(os.environ, config)
    known = {channel.name: channel for channel in channels.load(document)}
    if name not in known:
        names = ", ".join(known) or "none"
        message = f"has no channel {name!r}: there is {names}"
        raise Misconfigured([Problem(document.name, message)])
    return known[name]


async def attempt(
    channel: Channel, now: Callable[[], datetime], environment: Environment = AS_IT_IS
) -> Attempt:
    """Send one notice on trial and return how it went.

    Raises Misconfigured where what the channel names cannot be used.
    """
    async with transports.open_transport(channel, environment) as link:
        return await link.send(_due(channel, now()), now)


def _due(channel: Channel, at: datetime) -> Due:
    identity = uuid4()
    body = {
        "version": BODY_VERSION,
        "id": str(identity),
        "type": "test",
        "at": periods.render_utc(clock.to_us(at)),
        "channel": channel.name,
    }
    return Due(
        id=identity,
        alert=None,
        channel=channel.name,
        body=json.dumps(body),
        created_at=at,
        attempts=0,
        kind="test",
    )


def _try(options: argparse.Namespace) -> int:
    channel = find(options.channel, options.config)
    made = asyncio.run(attempt(channel, clock.utc_now))
    delivered = made.receipt is not None
    if options.json:
        answer: dict[str, Any] = {
            "channel": channel.name,
            "kind": channel.kind,
            "delivered": delivered,
            "status": made.status,
            "receipt": made.receipt,
            "detail": made.detail,
            "took_ms": made.took_ms,
        }
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    else:
        told = f"delivered in {made.took_ms} ms, receipt {made.receipt}"
        what = told if delivered else f"not delivered: {made.detail}"
        sys.stdout.write(f"{channel.name}: {what}\n")
    return WELL if delivered else BAD_NEWS
