"""What the agent asks of a driver: one poll of one device. A new protocol is one more module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.reading import Reading


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll gave: the readings that came, and in `faults` why others did not.

    What did not come is a gap; nothing stands in its place. `late` counts that came too slowly
    to say when they were true are left out: they are no fault, the next ones carry their energy.
    """

    readings: Sequence[Reading]
    faults: tuple[str, ...] = ()
    late: int = 0


class Driver(Protocol):
    """One device behind one protocol; `counters` are the points whose values are counts."""

    @property
    def name(self) -> str:
        """Return the device's name, for people."""

    @property
    def counters(self) -> frozenset[str]:
        """Return the points whose values are counts."""

    async def poll(self) -> Polled:
        """Read every point once, within the device's own deadline; never raises for the device."""

    async def close(self) -> None:
        """Let the connection go."""
