"""The agent: one task per line, one that keeps, one that publishes; composed, bounded, stoppable.

poll -> queue -> batch (a second or 500 readings) -> outbox -> publisher. A dead meter costs other
lines nothing and its own line a bounded share of its time. Between the register and the disk a
reading is in memory for about a second; what the queue or the backlog of a full disk cannot hold is
dropped oldest first and counted.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core.errors import Misconfigured, Rejected, Retryable
from edge import clockwatch, machineclock, outboxfile, reload
from edge import outbox as outboxes
from edge.clockwatch import ClockWatch, Trust
from edge.lines import Line, MeterCounts, by_line
from edge.linksettings import Identity
from edge.outbox import Withheld
from edge.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from core.reading import Reading
    from edge.config import Configuration
    from edge.driver import Polled, Station

log = logging.getLogger(__name__)

MOST_BATCH_READINGS: Final = 500
BATCH_S: Final = 1.0
MOST_WAITING_READINGS: Final = 20_000  # in memory, while the disk refuses or is slow
FIRST_BACKOFF_S: Final = 1.0
TRIM_S: Final = 60.0
CLOCK_S: Final = 1.0
US_PER_DAY: Final = 86_400_000_000


@dataclass(slots=True)
class Counts:
    """What the agent did since it began; numbers only grow."""

    readings: int = 0
    kept: int = 0
    envelopes: int = 0
    dropped: int = 0
    disk_errors: int = 0
    reloads: int = 0
    refused_reloads: int = 0
    meters: dict[str, MeterCounts] = field(default_factory=dict)


class Agent:
    """Everything of one configuration; `run` it once."""

    def __init__(
        self,
        config: Configuration,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        stations: Sequence[Station] | None = None,
    ) -> None:
        self.config = config
        self._monotonic = monotonic
        outbox = config.settings.outbox
        self.outbox = outboxes.opened(
            config.outbox_path,
            most_bytes=outbox.max_mb << 20,
            keep_us=int(outbox.keep_days * US_PER_DAY),
            destinations=[destination.name for destination in config.destinations],
        )
        self.watch = ClockWatch(
            wall=clock,
            monotonic=monotonic,
            synchronised=machineclock.synchronised,
            most_offset_s=config.settings.clock.most_offset_s,
            newest_us=self.outbox.newest_us(),
        )
        self._clock = self.watch.now
        self._boot = machineclock.boot_id() or outboxfile.new_epoch()
        self._withholding = True  # until it is seen that nothing of this boot waits for the clock
        self.stations = list(config.stations(self._clock) if stations is None else stations)
        settings = config.settings
        identity = Identity(settings.site, settings.agent, config.sign, config.key)
        self.publishers = tuple(
            Publisher(
                identity,
                destination,
                self.outbox,
                watch=self.watch,
                monotonic=monotonic,
                rand=random.random,
            )
            for destination in config.destinations
        )
        self.counts = Counts()
        self._counters = frozenset[str]()
        self._lines: dict[str, Line] = {}
        self._polling: dict[str, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._promises: deque[tuple[int, Callable[[], None]]] = deque()
        self._waiting: deque[Reading] = deque()
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._writing: asyncio.Task[bool] | None = None
        self._begin(self.stations)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then keep what is in memory, say goodbye, and return."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._begin(self.stations)
                working = [
                    tasks.create_task(self._keep(), name="keep"),
                    tasks.create_task(self._trim(), name="trim"),
                    tasks.create_task(self._watch_clock(), name="clock"),
                    *(
                        tasks.create_task(publisher.run(), name=f"publish {publisher.name}")
                        for publisher in self.publishers
                    ),
                ]
                await stop.wait()
                for line in self._lines.values():
                    line.stop()
                for task in (*working, *self._polling.values()):
                    task.cancel()
        finally:
            self._tasks = None
            if self._writing is not None:
                await self._writing
            while self._waiting and self._keep_some():
                pass
            self._settle()
            self.outbox.close()

    async def reload(self, config: Configuration) -> tuple[str, ...]:
        """Take over a checked configuration; returns the lines that were begun anew.

        A line on which nothing changed goes on; another finishes its poll first, and what was read
        stays in memory or on disk. Raises Misconfigured for what only a new start can change.
        """
        problems = reload.problems(self.config, config)
        if problems:
            raise Misconfigured(problems)
        stations = config.stations(self._clock)
        old, new = by_line(self.stations), by_line(stations)
        changed = reload.changed(old, new)
        for name in changed & old.keys():
            self._lines[name].stop()
        await asyncio.gather(*(self._polling[name] for name in changed & old.keys()))
        for name in changed & old.keys():
            del self._lines[name], self._polling[name]
        self.config = config
        self.stations = [
            station for name in new for station in (new if name in changed else old)[name]
        ]
        self._begin([station for station in self.stations if station.line in changed])
        return tuple(sorted(changed))

    def _begin(self, stations: Sequence[Station]) -> None:
        """Begin the lines of stations that no line polls yet."""
        meters = self.counts.meters
        for station in stations:
            meters.setdefault(station.driver.name, MeterCounts())
        for name in meters.keys() - {station.driver.name for station in self.stations}:
            del meters[name]
        # What is a count stays one while readings of the former configuration wait.
        self._counters |= frozenset[str]().union(*(s.driver.counters for s in stations))
        if self._tasks is None:
            return
        for name, members in by_line(stations).items():
            line = Line(
                members, meters, self._take, now_us=self.watch.now_us, monotonic=self._monotonic
            )
            self._lines[name] = line
            self._polling[name] = self._tasks.create_task(line.run(), name=name)

    def _take(self, polled: Polled) -> None:
        readings = polled.readings
        self._waiting.extend(readings)
        self.counts.readings += len(readings)
        if polled.kept is not None:
            self._promises.append((self.counts.readings, polled.kept))
        excess = len(self._waiting) - MOST_WAITING_READINGS
        for _ in range(excess):
            self._waiting.popleft()
        if excess > 0:
            self.counts.dropped += excess
        if readings:
            self._announce()
        else:
            self._settle()

    def _announce(self) -> None:
        """Wake the keeper where something waits, and at once where that fills an envelope."""
        if self._waiting:
            self._arrived.set()
        if len(self._waiting) >= MOST_BATCH_READINGS:
            self._full.set()

    def _settle(self) -> None:
        """Tell drivers which of their polls are on disk, or were dropped by a bound."""
        gone = self.counts.kept + self.counts.dropped
        while self._promises and self._promises[0][0] <= gone:
            self._promises.popleft()[1]()

    async def _keep(self) -> None:
        """Write what arrived as envelopes, at most a second late."""
        while True:
            await self._arrived.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(BATCH_S):
                    await self._full.wait()
            self._arrived.clear()
            self._full.clear()
            # A stop must not part the write from its outcome: `run` waits for the one under way.
            self._writing = asyncio.create_task(asyncio.to_thread(self._keep_full))
            if not await asyncio.shield(self._writing):
                await asyncio.sleep(FIRST_BACKOFF_S)
            self._settle()
            self._announce()
            self._wake()

    def _keep_full(self) -> bool:
        """Keep an envelope, and more while what waits fills one; tell whether the disk took all."""
        while self._keep_some():
            if len(self._waiting) < MOST_BATCH_READINGS:
                return True
        return False

    def _keep_some(self) -> bool:
        """Keep one envelope of what waits; tell whether the disk took it."""
        batch = [
            self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_BATCH_READINGS))
        ]
        if not batch:
            return True
        watch = self.watch
        wrong = watch.trust is Trust.WRONG
        up_us = watch.up_us()
        try:
            self.outbox.append(
                clockwatch.flagged(batch, watch.trust),
                watch.at_us(up_us),
                self._counters,
                Withheld(self._boot, up_us) if wrong else None,
            )
        except Retryable as error:
            self.counts.disk_errors += 1
            self._waiting.extendleft(reversed(batch))
            log.error("%s; %d readings wait in memory", error, len(self._waiting))  # noqa: TRY400 - expected
            return False
        except Rejected as error:
            self.counts.dropped += len(batch)
            log.error("outbox: %s", error)  # noqa: TRY400 - the message says it all
            return True
        self._withholding |= wrong
        self.counts.envelopes += 1
        self.counts.kept += len(batch)
        return True

    async def _trim(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.outbox.reserve)
                if self.watch.tells_age:
                    lost = await asyncio.to_thread(self.outbox.trim, self.watch.now_us())
                    if lost:
                        log.warning("outbox: %d envelopes too old, and somebody lacked them", lost)
            except Retryable as error:
                log.warning("%s", error)
            await asyncio.sleep(TRIM_S)

    async def _watch_clock(self) -> None:
        """Look at the clock once a second, and let go what waited for it once it is right."""
        await self._settle_clock(self.outbox.abandon, self._boot)
        while True:
            while self._writing is not None and not self._writing.done():
                await asyncio.wait({self._writing})  # a batch is stamped by one clock only
            self._look_at_clock()
            if self._withholding and self.watch.trust is not Trust.WRONG:
                boot_us = self.watch.at_us(0)
                self._withholding = False
                await self._settle_clock(
                    self.outbox.place, self._boot, boot_us, clockwatch.restamped
                )
                self._wake()
            await asyncio.sleep(CLOCK_S)

    def _look_at_clock(self) -> None:
        tick = self.watch.tick()
        if tick.moved_us:
            self._waiting = deque(clockwatch.moved(self._waiting, tick.moved_us))
        if tick.changed:
            log.warning("clock: %s", tick.doubt or "it is right")
            for publisher in self.publishers:
                publisher.report()

    async def _settle_clock(self, work: Callable[..., int], *values: object) -> None:
        """Run what the clock asks of the outbox; where the disk refuses, it is done later."""
        try:
            done = await asyncio.to_thread(work, *values)
        except Retryable as error:
            self._withholding = True
            log.warning("%s", error)
            return
        if done:
            log.warning("outbox: %d envelopes that waited for the clock: %s", done, work.__name__)

    def _wake(self) -> None:
        for publisher in self.publishers:
            publisher.wake()
