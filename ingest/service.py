"""The ingest worker: it keeps its leases and works, round after round, on the sites they give it.

Several workers share the sites out among themselves; what one worker does for all (figures of
units, alerts, policies) goes with a lease of its own. Promise: a clean stop takes under two seconds
and leaves nothing leased; a dead worker's sites are taken over within eight.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from typing import TYPE_CHECKING, Final

from core.errors import Misconfigured
from ingest import crew
from ingest.leases import Leases
from ingest.plantwatch import PlantWatch
from ingest.work import OUT, Round
from store import connection, leases, migrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from ingest.config import Settings
    from store.connection import Pool

log = logging.getLogger(__name__)

IDLE_IN_TRANSACTION_MS: Final = 10_000  # a frozen worker's open transaction holds up nobody longer
RESTART_S: Final = 1.0


class Service:
    """One worker; `run` until cancelled. `ready` once its first round is connected."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        clock: Callable[[], datetime],
        worker: UUID | None = None,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._clock = clock
        self.leases = Leases(pool, worker or uuid.uuid4())
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Work on whatever sites this worker gets; raises what a round raises."""
        try:
            await self.leases.step()
            await crew.until_one_ends([self.leases.keep(), self._rounds()])
        finally:
            with contextlib.suppress(*OUT, TimeoutError):
                async with asyncio.timeout(0.5):
                    await self.leases.release()

    async def _rounds(self) -> None:
        watch = PlantWatch(self._pool, self._clock, self.leases.look_now)
        while True:
            await self.leases.give_up()
            share = self.leases.share
            if share.idle:
                log.info("other workers have all sites: waiting")
                await self.leases.until(share)
            else:
                work = Round(self._settings, self._pool, self._clock, self.leases, watch)
                await work.run(self.ready)


async def run(settings: Settings, clock: Callable[[], datetime]) -> None:
    """Serve until cancelled; raises Misconfigured where no waiting will help."""
    worker = uuid.uuid4()
    pool = await connection.open_pool(
        settings.database.url,
        application=leases.application(worker),
        least=2,
        idle_in_transaction_ms=IDLE_IN_TRANSACTION_MS,
    )
    try:
        async with pool.connection() as link:
            missing = await migrate.pending(link)
        if missing:
            raise Misconfigured(
                f"the database lacks {', '.join(missing)}: run `danhao db migrate` first"
            )
        while True:
            try:
                await Service(settings, pool, clock, worker).run()
            except (ExceptionGroup, *OUT) as error:
                log.warning("the worker begins anew: %s", _passing(error))
            await asyncio.sleep(RESTART_S)
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await pool.close(timeout=0.5)


def _passing(error: Exception) -> str:
    """Say what went wrong where it may pass; else raise what will not."""
    if not isinstance(error, ExceptionGroup):
        return str(error).partition("\n")[0]
    first: Exception | None = error.subgroup(Misconfigured)
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    if first is not None:
        raise first
    _, others = error.split(OUT)
    if others is not None:
        raise others
    return "; ".join(str(each).partition("\n")[0] for each in _leaves(error))


def _leaves(group: ExceptionGroup) -> list[Exception]:
    found: list[Exception] = []
    for each in group.exceptions:
        found += _leaves(each) if isinstance(each, ExceptionGroup) else [each]
    return found
