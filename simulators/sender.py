"""Sends envelopes of readings and stays until the store's receipt covers every one of them.

The source of envelopes is a function of the first sequence wanted, so nothing is kept but the
window: a new store is served by asking the source again from the start.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from core import names, wire
from core.clock import to_us
from core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from datetime import datetime

    from core.reading import Reading
    from simulators.link import Link
    from simulators.window import Window

    Source = Callable[[int], Iterator[Sequence[Reading]]]
    Pace = Callable[[Sequence[Reading]], Awaitable[None]]
    Progress = Callable[[int], None]
    _Numbered = Iterator[tuple[int, Sequence[Reading]]]

MOST_RESTARTS: Final = 5
LONGEST_PUBLISH_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: names on the wire, epoch, clock; `first` is the lowest sequence still held."""

    site: str
    agent: str
    epoch: str
    clock: Callable[[], datetime]
    first: int = 1

    def topic(self, kind: str) -> str:
        """Return a topic of this agent."""
        return str(names.Topic(self.site, self.agent, kind))

    def status(self, state: wire.AgentState, depth: int = 0) -> bytes:
        """Return the status message of design 4.2."""
        return wire.Status(state=state, at=self.clock(), epoch=self.epoch, depth=depth).to_json()


@dataclass(frozen=True, slots=True)
class _Plan:
    source: Source
    stop: asyncio.Event
    patience_s: float | None
    pace: Pace | None
    progress: Progress | None


class Delivery:
    """One run: open envelopes from the source, send, send again, settle by receipts."""

    def __init__(self, sender: Sender, link: Link, window: Window) -> None:
        self.sender = sender
        self.window = window
        self.unreadable_receipts = 0
        self.done = 0
        self.idle_since_s = 0.0
        self._link = link
        self._news = asyncio.Event()
        self._restart = False
        link.listen(sender.topic("ack"), self._receipt)
        link.greet(sender.topic("status"), self._online)
        link.wake(self._news.set)

    async def run(
        self,
        source: Source,
        *,
        stop: asyncio.Event,
        start: int | None = None,
        patience_s: float | None = None,
        pace: Pace | None = None,
        progress: Progress | None = None,
    ) -> bool:
        """Deliver the source from sequence `start` on; a new store is given all of it again.

        Returns False when stopped, or when nothing was settled for patience_s [s].
        """
        loop = asyncio.get_running_loop()
        plan = _Plan(source, stop, patience_s, pace, progress)
        first = self.sender.first if start is None else start
        for _ in range(MOST_RESTARTS):
            self._restart = False
            self.window.clear()
            self.idle_since_s = loop.time()
            if await self._once(plan, first):
                return True
            if not self._restart:
                return False
            first = self.sender.first
        return False

    async def _once(self, plan: _Plan, first: int) -> bool:
        loop = asyncio.get_running_loop()
        pending = zip(count(first), plan.source(first), strict=False)
        exhausted = False
        while not (plan.stop.is_set() or self._restart):
            self._news.clear()
            exhausted = exhausted or await self._open(pending, plan)
            await self._send_due(plan.stop)
            if plan.progress is not None:
                plan.progress(self.window.settled_readings)
            if exhausted and not len(self.window) and not self._restart:
                return True
            if plan.patience_s is not None and (loop.time() - self.idle_since_s > plan.patience_s):
                return False
            if plan.pace is None or exhausted or not self.window.has_room:
                await self._wait(plan.stop)
        return False

    async def _open(self, pending: _Numbered, plan: _Plan) -> bool:
        """Fill the window, or add one envelope at its time; tell whether none is left."""
        while self.window.has_room:
            item = next(pending, None)
            if item is None:
                return True
            if plan.pace is None:
                self.window.add(*item)
                continue
            await plan.pace(item[1])
            self.idle_since_s = asyncio.get_running_loop().time()
            self.window.add(*item)
            break
        return False

    async def _send_due(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        for item in self.window.due(loop.time()):
            if stop.is_set() or self._restart or not self._link.is_up:
                return
            payload = self._encode(item.sequence, item.readings)
            publishing = asyncio.ensure_future(
                self._link.publish(self.sender.topic("readings"), payload)
            )
            stopping = asyncio.ensure_future(stop.wait())
            try:
                await asyncio.wait(
                    {publishing, stopping},
                    timeout=LONGEST_PUBLISH_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                stopping.cancel()
                if not publishing.done():
                    publishing.cancel()
            if not (publishing.done() and not publishing.cancelled() and publishing.result()):
                return
            self.window.sent(item.sequence, loop.time())

    def _encode(self, sequence: int, readings: Sequence[Reading]) -> bytes:
        return wire.encode(
            readings,
            agent=self.sender.agent,
            epoch=self.sender.epoch,
            sequence=sequence,
            oldest=self.sender.first,
            sent_us=to_us(self.sender.clock()),
            sign=None,
            key="",
        )

    async def _wait(self, stop: asyncio.Event) -> None:
        """Wait for a receipt, a stop, or a second."""
        waits = {
            asyncio.ensure_future(self._news.wait()),
            asyncio.ensure_future(stop.wait()),
        }
        try:
            await asyncio.wait(waits, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _online(self) -> bytes:
        return self.sender.status(wire.AgentState.ONLINE, len(self.window))

    def _receipt(self, payload: bytes) -> None:
        try:
            receipt = wire.Receipt.from_json(payload)
        except Rejected:
            self.unreadable_receipts += 1
            return
        before = self.window.settled
        if self.window.receive(receipt):
            self._restart = True
        if self.window.settled != before:
            self.idle_since_s = asyncio.get_running_loop().time()
        self._news.set()
