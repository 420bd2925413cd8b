"""The seam where readings come in: whatever hands over arrivals and settles them after a commit.

MQTT with our own topics is the first source; others of the same shape (Sparkplug B) join here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it came; `settle` tells the source that it is durable, and never raises."""

    topic: str
    payload: bytes
    settle: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a batch may grow, and how long its first message waits for company."""

    messages: int = 256
    payload_bytes: int = 512 << 10  # 20 to 40 thousand readings of the packed encoding
    wait_s: float = 0.1


class Source(Protocol):
    """Hands over arrivals in bounded batches; what is not settled comes again some day."""

    async def run(self) -> None:
        """Stay connected until cancelled."""

    async def take(self, bounds: Bounds) -> list[Arrival]:
        """Wait for at least one arrival and return it with what else is there, within bounds."""


class Publish(Protocol):
    """Sends one message to the agents' side and returns once it is handed over."""

    async def __call__(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Raise Retryable where the message was not handed over."""
