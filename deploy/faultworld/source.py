"""The source of a worker: the simulated broker's messages, settled after the commit."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from core.errors import Retryable
from deploy.faultworld.broker import HOP_S
from deploy.faultworld.schedule import Kind
from ingest.source import Arrival, Bounds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from deploy.faultworld.broker import Broker, Link
    from deploy.faultworld.process import Process
    from deploy.faultworld.schedule import Schedule
    from ingest.source import Publish

CLIENT: Final = "danhao-ingest"  # of whichever worker works: the session is theirs in turn
FILTERS: Final = [f"danhao/v1/+/+/{kind}" for kind in ("readings", "output", "status")]
_BACK_OFF_S: Final = 0.5


class BrokerSource:
    """Stays connected, keeps what has come, and forgets it with the connection."""

    def __init__(
        self,
        broker: Broker,
        process: Process,
        schedule: Schedule,
        outgoing: Callable[[Publish], Awaitable[None]],
    ) -> None:
        self._broker = broker
        self._process = process
        self._schedule = schedule
        self._outgoing = outgoing
        self._backlog: deque[Arrival] = deque()
        self._arrived = asyncio.Event()
        self._link: Link | None = None

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                await self._process.thawed()
                await self._connection()
            except (OSError, Retryable):
                self._schedule.note(f"{self._process.name} has no broker")
            finally:
                self._backlog.clear()
                self._link = None
            await asyncio.sleep(_BACK_OFF_S)

    async def take(self, bounds: Bounds) -> list[Arrival]:
        """Return what has arrived within bounds; waits for the first, and for its company."""
        while not self._backlog:
            self._arrived.clear()
            await self._arrived.wait()
        await asyncio.sleep(bounds.wait_s)
        await self._process.thawed()
        taken: list[Arrival] = []
        while self._backlog and len(taken) < bounds.messages:
            taken.append(self._backlog.popleft())
        return taken or await self.take(bounds)

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish a receipt; raises Retryable where the broker's answer does not come."""
        await self._process.thawed()
        link = self._link
        if link is None or not link.up:
            raise Retryable("there is no connection to the simulated broker")
        self._broker.publish(topic, payload, retain=retain)
        if self._schedule.hit(Kind.ANSWER_OF_BROKER_LOST, self._process.name):
            self._broker.cut(CLIENT)
        await asyncio.sleep(HOP_S)
        await self._process.thawed()
        if not link.up:
            raise Retryable("the simulated broker did not answer")

    async def _connection(self) -> None:
        link = self._broker.connect(CLIENT, persistent=True, arrived=self._fetch)
        self._link = link
        self._broker.subscribe(link, FILTERS)
        lost = asyncio.ensure_future(link.lost.wait())
        outgoing = asyncio.ensure_future(self._outgoing(self.publish))
        try:
            await asyncio.wait((lost, outgoing), return_when=asyncio.FIRST_COMPLETED)
            if outgoing.done():
                outgoing.result()
        finally:
            lost.cancel()
            outgoing.cancel()
            await asyncio.gather(lost, outgoing, return_exceptions=True)
            if self._process.alive and link.up:
                self._broker.cut(CLIENT)

    def _fetch(self) -> None:
        link = self._link
        while link is not None and self._process.alive:
            found = self._broker.fetch(link)
            if found is None:
                return
            number, message = found
            self._backlog.append(
                Arrival(message.topic, message.payload, self._settling(link, number))
            )
            self._arrived.set()

    def _settling(self, link: Link, number: int) -> Callable[[], None]:
        return lambda: self._broker.acknowledge(link, number)
