"""How each kind of channel is told: one way to open a transport, one way to send by it.

Promise: whatever happens on the way is an `Attempt` with a sentence; `send` raises nothing but
cancellation, is bounded in time, and tells of a receipt only where the receiver has taken the
notification on.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from ingest import chat, mail, webhook
from ingest.addresses import AS_IT_IS
from ingest.channels import Mail, Webhook
from store.notifications import Attempt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from ingest.addresses import Environment
    from ingest.channels import Channel
    from store.notifications import Due

log = logging.getLogger(__name__)


class Transport(Protocol):
    """An open way to one receiver."""

    async def send(self, due: Due, clock: Callable[[], datetime]) -> Attempt:
        """Send a notification once and return how it went; raises nothing but cancellation."""


@asynccontextmanager
async def open_transport(
    channel: Channel, environment: Environment = AS_IT_IS
) -> AsyncIterator[Transport]:
    """Open the way to a channel's receiver; it is closed at the end.

    Raises Misconfigured where what the channel names cannot be used.
    """
    async with _opening(channel, environment) as link:
        yield Guarded(link, channel.name)


class Guarded:
    """A transport whose surprises are attempts, too: one channel's fault stops no other's."""

    def __init__(self, inner: Transport, name: str) -> None:
        self.inner = inner
        self._name = name

    async def send(self, due: Due, clock: Callable[[], datetime]) -> Attempt:
        """Send a notification once and return how it went; raises nothing but cancellation."""
        try:
            return await self.inner.send(due, clock)
        except Exception as error:  # noqa: BLE001 - libraries of others; what is foreseen is told above
            # Neither its words nor its frames are shown: an address may be a secret.
            kind = type(error).__name__
            log.error("channel %s: %s while sending %s", self._name, kind, due.id)  # noqa: TRY400
            return Attempt(clock(), 0, None, None, f"not sent: {kind}, which nobody foresaw")


def _opening(channel: Channel, environment: Environment) -> AbstractAsyncContextManager[Transport]:
    if isinstance(channel, Webhook):
        return webhook.open_link(channel, environment)
    if isinstance(channel, Mail):
        return mail.open_link(channel, environment)
    return chat.open_link(channel, environment)
