"""Delivers what the alerts' outbox holds, one channel each, until there is a receipt.

Promise: at least once, with a key that makes it once; one alert's notifications in their order;
a receiver that is out delays nobody else, loses nothing, and is asked ever more rarely. What
hits its bound is abandoned, with every attempt on record.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core import sending
from ingest import webhook
from store import notifications

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import httpx
    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from ingest.channels import Channel
    from store.notifications import Attempt, Due

PAUSE_S: Final = 1.0  # between two looks at the table
LEAST_BACK_OFF_S: Final = 1.0
MOST_BACK_OFF_S: Final = 300.0
MOST_AGE: Final = timedelta(days=30)
MOST_ATTEMPTS: Final = 10_000  # a month of them, five minutes apart
CIRCUIT_AFTER: Final = 5  # failures in a row, of any notifications
log = logging.getLogger(__name__)


def back_off_s(failures: int) -> float:
    """Return how long to wait after so many failures in a row [s]: 1, 2, 4, ... 300."""
    return sending.back_off_s(failures, LEAST_BACK_OFF_S, MOST_BACK_OFF_S)


class Circuit:
    """Open after failures in a row: then one attempt at a time, ever more rarely."""

    def __init__(self) -> None:
        self.failures = 0
        self._open_until = float("-inf")

    def lets_pass(self, now: float) -> bool:
        """Tell whether a delivery may be tried at a monotonic instant [s]."""
        return now >= self._open_until

    def settle(self, now: float, *, delivered: bool) -> None:
        """Learn how an attempt went."""
        self.failures = 0 if delivered else self.failures + 1
        waits = self.failures >= CIRCUIT_AFTER
        self._open_until = now + back_off_s(self.failures) if waits else float("-inf")


class Notifier:
    """Delivers to one channel; `run` for ever, or `step` once."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        channel: Channel,
        clock: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._channel = channel
        self._clock = clock
        self._circuit = Circuit()
        self.delivered = 0
        self.failed = 0
        self.abandoned = 0

    async def run(self) -> None:
        """Deliver what is due, once a second, until cancelled."""
        async with webhook.client(self._channel) as link:
            while True:
                await self.step(link)
                await asyncio.sleep(PAUSE_S)

    async def step(self, link: httpx.AsyncClient) -> int:
        """Try every notification that is due once, oldest first; return how many were tried."""
        async with self._pool.connection() as connection:
            found = await notifications.due(connection, self._channel.name, self._clock())
        loop = asyncio.get_running_loop()
        for tried, due in enumerate(found):
            if not self._circuit.lets_pass(loop.time()):
                return tried
            attempt = await webhook.post(link, self._channel, due, self._clock)
            self._circuit.settle(loop.time(), delivered=attempt.receipt is not None)
            await self._settle(due, attempt)
        return len(found)

    async def _settle(self, due: Due, attempt: Attempt) -> None:
        next_at = self._next(due, attempt)
        async with self._pool.connection() as connection:
            await notifications.settle(connection, due.id, attempt, next_at)
        if attempt.receipt is not None:
            self.delivered += 1
            return
        self.failed += 1
        what = f"channel {self._channel.name}: notification {due.id}, attempt {due.attempts + 1}"
        if next_at is None:
            self.abandoned += 1
            log.error("%s: %s; given up", what, attempt.detail)
        else:
            log.warning("%s: %s", what, attempt.detail)

    def _next(self, due: Due, attempt: Attempt) -> datetime | None:
        """Return when to try again, None where the bounds are reached."""
        next_at = attempt.ended_at + timedelta(seconds=back_off_s(due.attempts + 1))
        within = next_at - due.created_at <= MOST_AGE and due.attempts + 1 < MOST_ATTEMPTS
        return next_at if within else None
