"""What the agent asks of a driver: one poll of one device. A new protocol is one more module."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.reading import Reading


class Polled(NamedTuple):
    """What one poll gave: the readings that came, and in `faults` why others did not.

    What did not come is a gap; nothing stands in its place. `late` counts that came too slowly
    to say when they were true are left out: they are no fault, the next ones carry their energy.
    `kept` is called once all readings of this poll are on disk (or were dropped by a bound).
    """

    readings: Sequence[Reading]
    faults: tuple[str, ...] = ()
    late: int = 0
    kept: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One point as `danhao edge check` shows it: the words that came, and what they mean.

    `raw` is the hex of what the device sent; `count` is what travels; `value` is what the
    device's own display should show, with its unit; `warnings` say what looks wrong, and how to
    mend it.
    """

    point: str
    name: str
    raw: str = ""
    count: int | float | None = None
    value: str | None = None
    unit: str = ""
    quality: str = "bad"
    latency_ms: float | None = None
    warnings: tuple[str, ...] = ()


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

    async def look(self) -> Sequence[Seen]:
        """Read every point once for a person; a point that did not come has its reason."""

    async def close(self) -> None:
        """Let the connection go."""


@dataclass(frozen=True, slots=True)
class Station:
    """A driver and when it is polled: devices of one `line` one after another, lines in parallel.

    `most_s` is the longest that a poll may take. `title` tells a person what the device is, and
    `where` how it is reached. `same` is equal for two stations that a reload need not part.
    `pushes` says that it publishes by itself: a poll only hands over, so none is ever put off.
    """

    driver: Driver
    line: str
    period_s: float
    most_s: float
    title: str = ""
    where: str = ""
    same: object = field(default=None, compare=False)
    pushes: bool = False
