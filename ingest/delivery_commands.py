"""`danhao alerts deliveries`: how each channel fares; exits 1 where one is out or gave up."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, Final

from core import circuits, clock, periods
from core.circuits import State
from core.clock import to_us
from store import commands, connection, deliveries, settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from datetime import datetime

    from store.deliveries import Fared

WELL: Final = 0
BAD_NEWS: Final = 1


def add_deliveries(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action `deliveries` to the command `alerts`."""
    purpose = "how each channel fares: what waits, what was told, whether it is asked at all"
    parser = actions.add_parser("deliveries", help=purpose, description=purpose)
    commands.add_database_options(parser)
    parser.set_defaults(run=_deliveries)


def _deliveries(options: argparse.Namespace) -> int:
    url = settings.database_of(options, os.environ).url
    now = clock.utc_now()
    found = asyncio.run(_read(url, now))
    if options.json:
        answer = {"items": [item(each, now) for each in found]}
        print(json.dumps(answer, ensure_ascii=False, indent=2))  # noqa: T201 - a command's answer
    else:
        print("\n".join(lines(found, now)))  # noqa: T201 - a command's answer
    return BAD_NEWS if any(is_bad(each) for each in found) else WELL


async def _read(url: str, now: datetime) -> list[Fared]:
    pool = await connection.open_pool(url, application="danhao deliveries", most=1)
    try:
        async with pool.connection() as link:
            return await deliveries.of_channels(link, now)
    finally:
        await pool.close()


def is_bad(fared: Fared) -> bool:
    """Tell whether a person must look: the receiver is out, or something was given up lately."""
    return fared.circuit.state is not State.CLOSED or fared.abandoned > 0


def item(fared: Fared, now: datetime) -> dict[str, Any]:
    """Return a channel as JSON."""
    circuit = fared.circuit
    return {
        "channel": fared.channel,
        "circuit": circuits.state(circuit, now).value,
        "failures": circuit.failures,
        "failing_since": _utc(circuit.failing_since),
        "open_until": _utc(circuit.open_until),
        "tried_at": _utc(circuit.tried_at),
        "detail": circuit.detail or None,
        "waiting": fared.waiting,
        "oldest_waiting_at": _utc(fared.oldest_at),
        "last_day": {
            "delivered": fared.delivered,
            "bundles": fared.bundles,
            "bundled": fared.bundled,
            "escalated": fared.escalated,
            "abandoned": fared.abandoned,
        },
    }


def lines(found: Sequence[Fared], now: datetime) -> list[str]:
    """Return a table for people, and a sentence for each channel that is out."""
    if not found:
        return ["nothing was ever to be told: is there a [[channel]] in danhao.toml?"]
    head = ("channel", "circuit", "waiting", "delivered", "bundles", "escalated", "abandoned")
    rows: list[tuple[str, ...]] = [head]
    sentences: list[str] = []
    for each in found:
        state = circuits.state(each.circuit, now).value
        counts = (each.waiting, each.delivered, each.bundles, each.escalated, each.abandoned)
        rows.append((each.channel, state, *map(str, counts)))
        if each.circuit.failing_since is not None:
            since = _utc(each.circuit.failing_since)
            sentences.append(
                f"{each.channel}: {each.circuit.failures} failures in a row since {since};"
                f" the last: {each.circuit.detail}"
            )
    widths = [max(len(row[n]) for row in rows) for n in range(len(head))]
    table = ["  ".join(f"{cell:<{w}}" for cell, w in zip(r, widths, strict=True)) for r in rows]
    return [*(line.rstrip() for line in table), "(all but waiting: of the last day)", *sentences]


def _utc(at: datetime | None) -> str | None:
    return None if at is None else periods.render_utc(to_us(at))
