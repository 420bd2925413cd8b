"""What is declared and how far back readings are kept, as one worker knows it: a second old."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from core.plant import Plant
from ingest import declared as declarations
from store import plants, retention

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ingest.declared import Declared
    from store.connection import Pool

log = logging.getLogger(__name__)

WATCH_S: Final = 1.0  # a changed plant is seen within two seconds (design 4.3)


class PlantWatch:
    """The declaration as tables; `wake` is set whenever it changed, `told` is called as well."""

    def __init__(
        self, pool: Pool, clock: Callable[[], datetime], told: Callable[[], None] = lambda: None
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._told = told
        self._loaded = plants.Loaded(Plant(), {}, {})
        self._retention = retention.Retention()
        self._one_at_a_time = asyncio.Lock()
        self.declared: Declared = declarations.build(self._loaded.plant, {}, clock())
        self.wake = asyncio.Event()

    def plants(self) -> tuple[Plant, Mapping[str, int]]:
        """Return the plant, and the number of each point."""
        return self._loaded.plant, self._loaded.ids

    async def load(self) -> None:
        """Read everything anew."""
        async with self._pool.connection() as link:
            self._loaded = await plants.load(link)
            self._retention = await retention.load(link)
        self._build()

    async def renew(self) -> bool:
        """Read anew what has changed; tell whether anything has."""
        async with self._one_at_a_time:
            async with self._pool.connection() as link:
                versions = await plants.versions(link)
                kept = await retention.load(link)
                changed = versions != self._loaded.versions
                if not changed and kept == self._retention:
                    return False
                loaded = await plants.load(link) if changed else self._loaded
            self._loaded, self._retention = loaded, kept
            self._build()
        if changed:
            log.info("the plant changed: %d points", len(loaded.plant.points))
            self.wake.set()
            self._told()
        return True

    async def run(self) -> None:
        """Look every WATCH_S, for ever."""
        while True:
            await asyncio.sleep(WATCH_S)
            await self.renew()

    def _build(self) -> None:
        self.declared = declarations.build(
            self._loaded.plant, self._loaded.ids, self._clock(), self._retention
        )
