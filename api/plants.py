"""The declared plant as this process knows it: re-read when a site's version changes.

A request sees a declaration at most CHECK_EVERY_S seconds after `danhao plant apply`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from psycopg import AsyncConnection

from core.plant import Plant
from store import plants

CHECK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Declared:
    """One state of the declaration: the plant, the store's numbers of points, site versions."""

    plant: Plant
    point_ids: Mapping[str, int]
    versions: Mapping[str, int]


class PlantCache:
    """Hands out the newest declaration; `ticks` is a monotonic clock in seconds."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._declared = Declared(Plant(), {}, {})
        self._checked = float("-inf")
        self._lock = asyncio.Lock()

    async def get(self, connection: AsyncConnection[Any]) -> Declared:
        """Return the declaration, read again when it is stale and changed."""
        if self._ticks() - self._checked < CHECK_EVERY_S:
            return self._declared
        async with self._lock:
            if self._ticks() - self._checked >= CHECK_EVERY_S:
                at = self._ticks()
                if await plants.versions(connection) != self._declared.versions:
                    self._declared = Declared(*await plants.load(connection))
                self._checked = at
        return self._declared
