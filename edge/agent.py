"""The agent: one task per meter, one that keeps, one that publishes; composed, bounded, stoppable.

poll -> queue -> batch (a second or 500 readings) -> outbox -> publisher. A dead meter costs the
others nothing. Between the register and the disk a reading is in memory for about a second; what
the queue or the backlog of a full disk cannot hold is dropped oldest first and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core.clock import to_us
from core.errors import Rejected, Retryable
from edge.modbus import ModbusMeter
from edge.outbox import Outbox
from edge.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from core.reading import Reading
    from edge.config import Configuration
    from edge.driver import Driver

log = logging.getLogger(__name__)

MOST_BATCH_READINGS: Final = 500
BATCH_S: Final = 1.0
MOST_WAITING_READINGS: Final = 20_000  # in memory, while the disk refuses or is slow
FIRST_BACKOFF_S: Final = 1.0
MOST_BACKOFF_S: Final = 30.0
TRIM_S: Final = 60.0
MOST_DOUBT: Final = 1 / 8  # of the period: keeps a step's rate right to a quarter
US_PER_DAY: Final = 86_400_000_000


@dataclass(slots=True)
class MeterCounts:
    """What one meter gave since the agent began."""

    polls: int = 0
    failures: int = 0
    readings: int = 0
    late: int = 0
    failing: bool = False


@dataclass(slots=True)
class Counts:
    """What the agent did since it began; numbers only grow."""

    readings: int = 0
    envelopes: int = 0
    dropped: int = 0
    disk_errors: int = 0
    meters: dict[str, MeterCounts] = field(default_factory=dict)


class Agent:
    """Everything of one configuration; `run` it once."""

    def __init__(
        self,
        config: Configuration,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        drivers: Sequence[tuple[Driver, float]] | None = None,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._drivers = meters(config, clock) if drivers is None else drivers
        outbox = config.settings.outbox
        self.outbox = Outbox(
            config.outbox_path,
            most_bytes=outbox.max_mb << 20,
            keep_us=int(outbox.keep_days * US_PER_DAY),
        )
        self.publisher = Publisher(config, self.outbox, clock=clock, monotonic=monotonic)
        self.counts = Counts(meters={driver.name: MeterCounts() for driver, _ in self._drivers})
        self._counters = frozenset[str]().union(*(driver.counters for driver, _ in self._drivers))
        self._waiting: deque[Reading] = deque()
        self._arrived = asyncio.Event()
        self._writing: asyncio.Task[bool] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then keep what is in memory, say goodbye, and return."""
        try:
            async with asyncio.TaskGroup() as tasks:
                working = [
                    tasks.create_task(self._poll(driver, period_s), name=driver.name)
                    for driver, period_s in self._drivers
                ]
                working.append(tasks.create_task(self._keep(), name="keep"))
                working.append(tasks.create_task(self._trim(), name="trim"))
                working.append(tasks.create_task(self.publisher.run(), name="publish"))
                await stop.wait()
                for task in working:
                    task.cancel()
        finally:
            for driver, _ in self._drivers:
                await driver.close()
            if self._writing is not None:
                await self._writing
            while self._waiting and self._keep_some():
                pass
            self.outbox.close()

    async def _poll(self, driver: Driver, period_s: float) -> None:
        counts = self.counts.meters[driver.name]
        backoff_s = FIRST_BACKOFF_S
        while True:
            polled = await driver.poll()
            counts.polls += 1
            counts.failures += bool(polled.faults)
            counts.readings += len(polled.readings)
            counts.late += polled.late
            self._take(polled.readings)
            _tell_of_change(counts, polled.faults)
            if polled.faults and not polled.readings:
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, MOST_BACKOFF_S)
                continue
            backoff_s = FIRST_BACKOFF_S
            await asyncio.sleep(self._until_next(period_s))

    def _until_next(self, period_s: float) -> float:
        """Return the seconds to the next full period of the clock: meters are read together."""
        period_us = round(period_s * 1_000_000)
        return (period_us - to_us(self._clock()) % period_us) / 1_000_000

    def _take(self, readings: Sequence[Reading]) -> None:
        self._waiting.extend(readings)
        self.counts.readings += len(readings)
        excess = len(self._waiting) - MOST_WAITING_READINGS
        for _ in range(excess):
            self._waiting.popleft()
        if excess > 0:
            self.counts.dropped += excess
        if readings:
            self._arrived.set()

    async def _keep(self) -> None:
        """Write what arrived as envelopes, at most a second late."""
        while True:
            await self._arrived.wait()
            begun = self._monotonic()
            while len(self._waiting) < MOST_BATCH_READINGS:
                left_s = begun + BATCH_S - self._monotonic()
                if left_s <= 0:
                    break
                self._arrived.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(left_s):
                        await self._arrived.wait()
            self._arrived.clear()
            # A stop must not part the write from its outcome: `run` waits for the one under way.
            self._writing = asyncio.create_task(asyncio.to_thread(self._keep_some))
            if not await asyncio.shield(self._writing):
                await asyncio.sleep(FIRST_BACKOFF_S)
            if self._waiting:
                self._arrived.set()
            self.publisher.wake()

    def _keep_some(self) -> bool:
        """Keep one envelope of what waits; tell whether the disk took it."""
        batch = [
            self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_BATCH_READINGS))
        ]
        if not batch:
            return True
        try:
            self.outbox.append(batch, to_us(self._clock()), self._counters)
        except Retryable as error:
            self.counts.disk_errors += 1
            self._waiting.extendleft(reversed(batch))
            log.error("%s; %d readings wait in memory", error, len(self._waiting))  # noqa: TRY400 - expected
            return False
        except Rejected as error:
            self.counts.dropped += len(batch)
            log.error("outbox: %s", error)  # noqa: TRY400 - the message says it all
            return True
        self.counts.envelopes += 1
        return True

    async def _trim(self) -> None:
        while True:
            try:
                lost = await asyncio.to_thread(self.outbox.trim, to_us(self._clock()))
                if lost:
                    log.warning("outbox: %d envelopes too old, and nobody had received them", lost)
            except Retryable as error:
                log.warning("%s", error)
            await asyncio.sleep(TRIM_S)


def meters(config: Configuration, clock: Callable[[], datetime]) -> list[tuple[ModbusMeter, float]]:
    """Return the driver and the period of every device of a configuration."""
    return [
        (
            ModbusMeter(
                device.name,
                host=device.host,
                port=device.port,
                unit_id=device.unit_id,
                timeout_s=device.timeout_s,
                meter=config.maps[device.model],
                points=config.quantities(device),
                clock=clock,
                most_doubt_s=device.period_s * MOST_DOUBT,
            ),
            device.period_s,
        )
        for device in config.settings.device
    ]


def _tell_of_change(counts: MeterCounts, faults: Sequence[str]) -> None:
    """Log when a meter falls silent and when it speaks again, not at every poll between."""
    if faults and not counts.failing:
        log.warning("meter %s", "; ".join(faults))
    elif counts.failing and not faults:
        log.info("a meter that failed answers again, after %d failures", counts.failures)
    counts.failing = bool(faults)
