"""One line: its devices polled one after another, by turns that `edge/schedule.py` gives out."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge.breaker import Event, State
from edge.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edge.driver import Polled, Station
    from edge.schedule import Seat

log = logging.getLogger(__name__)

_ANSWERED: Final = Event.ANSWERED
_SILENT: Final = Event.SILENT
MOST_IDLE_S: Final = 3_600.0  # between two looks at the schedule


@dataclass(slots=True)
class MeterCounts:
    """What one device gave since the agent began, and how it stands; the numbers only grow."""

    polls: int = 0
    failures: int = 0
    readings: int = 0
    late: int = 0
    missed: int = 0  # whole periods in which its turn did not come
    failing: bool = False
    state: State = State.WELL
    answered_s: float | None = None  # when it last gave a reading, on the monotonic clock
    took_s: float = 0.0  # its last poll
    fault: str = ""


class Line:
    """The devices of one line; `run` works until `stop`, and then ends the poll under way."""

    def __init__(
        self,
        stations: Sequence[Station],
        counts: Mapping[str, MeterCounts],
        take: Callable[[Polled], None],
        *,
        now_us: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self.stations = tuple(stations)
        self._counts = counts
        self._take = take
        self._now_us = now_us
        self._monotonic = monotonic
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Let the poll under way be the last."""
        self._stopped.set()

    async def run(self) -> None:
        """Poll by turns; the connections are let go at the end, however it comes."""
        schedule = Schedule(self.stations, self._monotonic())
        try:
            while not self._stopped.is_set():
                now_s = self._monotonic()
                turn = schedule.turn(now_s)
                if turn.seat is None:
                    await self._sleep(min(turn.at_s - now_s, MOST_IDLE_S))
                else:
                    await self._poll(schedule, turn.seat)
        finally:
            for station in self.stations:
                await station.driver.close()

    async def _sleep(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stopped.wait()

    async def _poll(self, schedule: Schedule, seat: Seat) -> None:
        station = seat.station
        counts = self._counts[station.driver.name]
        began_s = self._monotonic()
        if seat.is_well:
            counts.missed += max(0, int((began_s - seat.due_s) / station.period_s))
        polled = await station.driver.poll()
        ended_s = self._monotonic()
        self._count(counts, polled, began_s, ended_s)
        self._take(polled)
        is_silent = polled.faults and not polled.readings and not station.pushes
        event = Event.SILENT if is_silent else Event.ANSWERED
        next_s = ended_s + self._until_next(station.period_s)
        schedule.done(seat, event, began_s, ended_s, next_s)
        counts.state = seat.breaker.state

    def _count(self, counts: MeterCounts, polled: Polled, began_s: float, ended_s: float) -> None:
        counts.polls += 1
        counts.readings += len(polled.readings)
        counts.late += polled.late
        counts.took_s = ended_s - began_s
        if polled.readings:
            counts.answered_s = ended_s
        if polled.faults or counts.failing:
            counts.failures += bool(polled.faults)
            _tell_of_change(counts, polled.faults)
            counts.fault = polled.faults[0] if polled.faults else ""

    def _until_next(self, period_s: float) -> float:
        """Return the seconds to the next full period of the clock: meters are read together."""
        period_us = round(period_s * 1_000_000)
        return (period_us - self._now_us() % period_us) / 1_000_000


def by_line(stations: Iterable[Station]) -> dict[str, list[Station]]:
    """Return the stations of each line, in their order."""
    lines: dict[str, list[Station]] = {}
    for station in stations:
        lines.setdefault(station.line, []).append(station)
    return lines


def _tell_of_change(counts: MeterCounts, faults: Sequence[str]) -> None:
    """Log when a meter falls silent and when it speaks again, not at every poll between."""
    if faults and not counts.failing:
        log.warning("meter %s", "; ".join(faults))
    elif counts.failing and not faults:
        log.info("a meter that failed answers again, after %d failures", counts.failures)
    counts.failing = bool(faults)
