"""Outboxes for tests: one that can be closed and opened again, and what is put into it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from core.reading import Reading
from core.wire import Receipt
from edge.outbox import Outbox

if TYPE_CHECKING:
    from pathlib import Path

    from edge.outlet import Outlet

DAY_US = 86_400_000_000
HALF_A_YEAR_US = 190 * DAY_US


class Box:
    """An outbox in a file, or in memory where there is no path."""

    def __init__(self, path: Path | None, *destinations: str) -> None:
        self.path = path
        self.destinations = destinations or ("main",)
        self.box = self.open()

    def open(self, **limits: Any) -> Outbox:
        limits = {"most_bytes": 8 << 20, "keep_us": HALF_A_YEAR_US, **limits}
        self.box = Outbox(self.path, destinations=self.destinations, **limits)
        return self.box

    def again(self, **limits: Any) -> Outbox:
        self.box.close()
        return self.open(**limits)

    @property
    def main(self) -> Outlet:
        return self.box.outlet("main")


def readings(count: int = 1, value: int = 7) -> list[Reading]:
    return [Reading("a.b.c", n, value) for n in range(count)]


def noisy(count: int) -> list[Reading]:
    """Return readings that no compression makes small."""
    draw = random.Random(count)  # noqa: S311 - bytes that do not compress, no secret
    return [Reading("a.b.c", n * 7_919_993, draw.randrange(10**15)) for n in range(count)]


def receipt(box: Outbox, committed: int, *missing: tuple[int, int], store: str = "s1") -> Receipt:
    return Receipt(store, box.epoch, committed, missing)


def waiting(box: Outbox, destination: str = "main") -> list[int]:
    return [held.sequence for held in box.outlet(destination).peek(0, 10_000, 1 << 30)]
