"""Says in the store which bounds this process ran into, so that an alert tells of it (invariant 9).

Promise: what could not be said while the store was out is said later; a hit is said once.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests

from api.deps import Services
from api.metrics import OVERFLOW
from store import watched

EVERY_S: Final = 60.0
# Counters that stand for somebody turned away or something no longer counted.
SAID: Final[Mapping[str, tuple[str, str]]] = {
    "danhao_live_refused_total": (
        "live-streams",
        "pages were refused their live stream: raise [api] most_live or close some",
    ),
    "danhao_sign_in_throttled_total": (
        "sign-in-attempts",
        "sign-ins were refused after too many failures: somebody guesses, or a token is old",
    ),
    OVERFLOW: ("metric-series", "numbers of this service are no longer counted one by one"),
}
_OUT: Final = (psycopg.Error, PoolTimeout, TooManyRequests)
log = logging.getLogger(__name__)


class Bounds:
    """Remembers what it has said of each counter."""

    def __init__(self, shared: Services) -> None:
        self._shared = shared
        self._said: dict[str, float] = {}

    async def run(self) -> None:
        """Say what is new once a minute, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.say()
            except _OUT as error:
                log.warning("which bounds were hit could not be said yet: %s", error)

    async def say(self) -> int:
        """Say what was hit since the last time; return how many bounds that were."""
        counted = {name: self._shared.metrics.value(name) for name in SAID}
        fresh = {name: now - self._said.get(name, 0) for name, now in counted.items()}
        fresh = {name: more for name, more in fresh.items() if more > 0}
        if not fresh:
            return 0
        async with self._shared.pool.connection() as connection:
            for name, more in fresh.items():
                bound, detail = SAID[name]
                at = self._shared.clock()
                await watched.hit(connection, bound=bound, hits=int(more), detail=detail, at=at)
        self._said |= {name: counted[name] for name in fresh}
        return len(fresh)
