"""`danhao national run`: makes what there is to tell, and a sender a platform, until cancelled.

Promise: a platform has one sender at a time, whichever program started first; a mistake in the
plant's file that appears later stops nothing: the last good one stays in use, and it is told.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg_pool import PoolTimeout

from core.errors import Misconfigured, Retryable, first_line
from ingest.reporting import link as links
from ingest.reporting.maker import Maker, Reach
from ingest.reporting.sender import Sender
from store import connection, migrate, reportqueue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from core.reportplan import Report
    from ingest.reporting.config import Platform
    from store.connection import Pool

LOOK_S: Final = 60.0
PAUSE_S: Final = 1.0  # between two messages, but where data goes through
HELD_S: Final = 10.0  # before asking again for a platform that another program has
WIDE: Final = timedelta(hours=1)
PRUNE: Final = timedelta(hours=6)
OUT: Final = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, Retryable)
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Enterprise:
    """One plant's file, its maker, and the senders that tell it."""

    maker: Maker
    report: Report
    senders: list[Sender] = field(default_factory=list)
    wide_at: datetime | None = None
    pruned_at: datetime | None = None


async def run(url: str, platforms: Sequence[Platform], clock: Callable[[], datetime]) -> None:
    """Serve until cancelled; raises Misconfigured where no waiting will help."""
    if not platforms:
        raise Misconfigured("no platform is named: write [[platform]] into danhao.toml")
    pool = await connection.open_pool(url, application="danhao national", least=2)
    try:
        async with pool.connection() as link:
            missing = await migrate.pending(link)
        if missing:
            told = ", ".join(missing)
            raise Misconfigured(f"the database lacks {told}: run `danhao db migrate` first")
        enterprises = await _enterprises(pool, platforms)
        async with asyncio.TaskGroup() as group:
            for enterprise in enterprises.values():
                group.create_task(_make(pool, enterprise, clock))
            for platform in platforms:
                owner = enterprises[platform.report]
                sender = Sender(pool, platform, owner.report, clock)
                owner.senders.append(sender)
                group.create_task(_send(url, platform, sender))
    finally:
        await pool.close(timeout=1.0)


async def _enterprises(pool: Pool, platforms: Sequence[Platform]) -> dict[Path, _Enterprise]:
    found: dict[Path, _Enterprise] = {}
    for platform in platforms:
        if platform.report not in found:
            maker = Maker(pool, platform.report, platform.names())
            found[platform.report] = _Enterprise(maker, await maker.report())
    return found


async def _make(pool: Pool, owner: _Enterprise, clock: Callable[[], datetime]) -> None:
    while True:
        try:
            await make(pool, owner, clock())
        except OUT as error:
            log.warning("the look at the ledger is made again: %s", first_line(error))
        await asyncio.sleep(LOOK_S)


async def make(pool: Pool, owner: _Enterprise, now: datetime) -> None:
    """Look once, as far as it is time for, and let go of what nobody has to keep."""
    reach = Reach.NEAR
    if owner.wide_at is None or now - owner.wide_at >= WIDE:
        reach = Reach.FULL if owner.wide_at is None else Reach.WIDE
        try:
            owner.report = await owner.maker.report()
        except Misconfigured as error:
            log.error("the report as it was stays in use: %s", first_line(error))  # noqa: TRY400 - a person's mistake has no trace
        for sender in owner.senders:
            sender.report = owner.report
    await owner.maker.look(owner.report, now, reach)
    if reach is not Reach.NEAR:
        owner.wide_at = now
    if owner.pruned_at is None or now - owner.pruned_at >= PRUNE:
        async with pool.connection() as link:
            await reportqueue.prune(link, now)
        owner.pruned_at = now


async def _send(url: str, platform: Platform, sender: Sender) -> None:
    while True:
        try:
            await _hold_and_send(url, platform, sender)
        except OUT as error:
            log.warning("%s: the sender begins anew: %s", platform.name, first_line(error))
        await asyncio.sleep(HELD_S)


async def _hold_and_send(url: str, platform: Platform, sender: Sender) -> None:
    """Send for as long as the platform is ours; return where another program has it."""
    async with AsyncExitStack() as stack:
        holding = await stack.enter_async_context(connection.single(url, "danhao national"))
        if not await reportqueue.hold(holding, platform.name):
            log.info("%s: another program sends to it: waiting", platform.name)
            return
        link = await stack.enter_async_context(links.client(platform))
        while True:
            await reportqueue.still_held(holding)
            went = await sender.step(link)
            await asyncio.sleep(0 if went else PAUSE_S)
