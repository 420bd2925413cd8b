"""Receipts on their way out: the newest word for each agent, published after its commit.

Promise: a receipt is published after the commit it speaks of, never before; a newer receipt takes
the place of one that still waits; what could not be published waits for the next connection.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from core import wire
from core.names import Topic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from core.progress import Progress
    from core.wire import Status
    from ingest.source import Publish
    from store.agents import Epoch

MOST_IDS: Final = 1_000  # in one receipt for production facts
MOST_WAITING_IDS: Final = 10_000  # of one source; what is dropped is sent again, and receipted then


class Receipts:
    """Waiting receipts: at most one an agent, and a bounded number of ids a source."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._durable: dict[str, bytes] = {}
        self._facts: dict[str, dict[str, None]] = {}
        self._wake = asyncio.Event()
        self.published = 0
        self.dropped_ids = 0

    def durable(
        self,
        states: Mapping[Epoch, Progress],
        reports: Mapping[tuple[str, str], Status] | None = None,
        at: datetime | None = None,
    ) -> None:
        """Tell agents how far their outboxes are durable; call it after the commit.

        The answer to a report carries the present instant `at`, from which the agent learns how
        far its clock is off.
        """
        for epoch, state in states.items():
            topic = str(Topic(epoch.site, epoch.agent, "ack"))
            receipt = state.receipt(self._store, epoch.epoch)
            report = (reports or {}).get((epoch.site, epoch.agent))
            if report is not None:
                receipt = replace(receipt, at=at, status_at=report.at)
            self._durable[topic] = receipt.to_json()
        self._wake.set()

    def facts(self, site: str, source: str, ids: Iterable[str]) -> None:
        """Tell a source which production facts it need not send again."""
        waiting = self._facts.setdefault(str(Topic(site, source, "ack")), {})
        for each in ids:
            if len(waiting) >= MOST_WAITING_IDS and each not in waiting:
                self.dropped_ids += 1
                continue
            waiting[each] = None
        self._wake.set()

    def waiting(self) -> int:
        """Return how many messages wait to be published, at least."""
        return len(self._durable) + len(self._facts)

    async def run(self, publish: Publish) -> None:
        """Publish what waits, for ever; raises Retryable with nothing lost when it cannot."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._publish(publish)
            except BaseException:
                self._wake.set()  # what still waits goes out on the next connection
                raise

    async def _publish(self, publish: Publish) -> None:
        while self._durable:
            topic, payload = next(iter(self._durable.items()))
            await publish(topic, payload, retain=True)
            if self._durable.get(topic) == payload:
                del self._durable[topic]
            self.published += 1
        while self._facts:
            topic, waiting = next(iter(self._facts.items()))
            ids = tuple(waiting)[:MOST_IDS]
            # Not retained: it would take the place of the receipt for the same agent's readings.
            await publish(topic, wire.OutputReceipt(ids).to_json(), retain=False)
            for each in ids:
                waiting.pop(each, None)
            if not waiting:
                del self._facts[topic]
            self.published += 1
