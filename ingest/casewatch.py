"""Watches the times of cases: what a plant left undone escalates, what others left is told.

Promise: each time runs out once, in one transaction with what is told of it, so that a kill at any
moment leaves the case either untouched or escalated and told. One worker watches at a time.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from core import caseclocks, caserules, periods
from core.alerts import Notice
from core.cases import Event, Side
from core.clock import to_us
from ingest import telling
from store import alerts, cases
from store.cases import SYSTEM, Deed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from core.caseclocks import Clock
    from core.plant import Plant
    from ingest.channels import Channel
    from store.cases import KeptCase
    from store.connection import Pool

PAUSE_S: Final = 30.0  # between two looks: what runs out, runs out at a midnight
_NOTICES: Final = {Event.ESCALATE: Notice.ESCALATED, Event.OVERDUE: Notice.OVERDUE}
log = logging.getLogger(__name__)


class CaseWatch:
    """Escalates what has run out; `run` for ever, or `step` once."""

    def __init__(
        self,
        pool: Pool,
        channels: Sequence[Channel],
        plants: Callable[[], tuple[Plant, Mapping[str, int]]],
        clock: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._channels = tuple(channels)
        self._plants = plants
        self._clock = clock
        self.escalated = 0
        self.overdue = 0
        self.notifications = 0

    async def run(self) -> None:
        """Count the times again, as this program's rules may be newer, then watch for ever."""
        await self.begin()
        while True:
            await self.step()
            await asyncio.sleep(PAUSE_S)

    async def begin(self) -> None:
        """Count every running time by the rules and the calendar of this program."""
        after: UUID | None = None
        while True:
            async with self._pool.connection() as connection:
                after = await cases.renew_clocks(connection, after, self._clock())
            if after is None:
                return

    async def step(self) -> int:
        """Do what has run out, longest overdue first; return how many cases were changed."""
        now = self._clock()
        async with self._pool.connection() as connection:
            found = await cases.lapsed(connection, now)
        done = 0
        for case in found:
            async with self._pool.connection() as connection:
                done += await self._run_out(connection, case, now)
        return done

    async def _run_out(self, connection: AsyncConnection[Any], case: UUID, now: datetime) -> bool:
        """Escalate one case, or tell that it is overdue; False where somebody was quicker."""
        locked = await cases.lock(connection, case)
        if locked is None:
            return False
        kept, clock = locked[0], locked[0].clock
        if clock is None or clock.due_at is None or clock.due_at > now:
            return False
        if kept.case.lapsed_at is not None:
            return False
        event = caseclocks.run_out(clock)
        severity = caseclocks.escalated(kept.case, clock, caserules.shipped())
        deed = Deed(event, Side.SYSTEM, *SYSTEM, _told(clock), severity)
        after = await cases.write(connection, kept, deed, now)
        if after is None:
            log.error("case %s: %s has run out and may not %s", case, clock.duty, event)
            return False
        self.escalated += event is Event.ESCALATE
        self.overdue += event is Event.OVERDUE
        await self._tell(connection, after, _NOTICES[event], clock, now)
        return True

    async def _tell(
        self,
        connection: AsyncConnection[Any],
        case: KeptCase,
        notice: Notice,
        clock: Clock,
        now: datetime,
    ) -> None:
        """Tell it as gravely as the case is now, so that whoever hears of graver ones hears it."""
        plant, _ = self._plants()
        kept = await alerts.find(connection, case.alert)
        if kept is None or not alerts.is_declared(kept, plant):
            return
        severity = max(kept.alert.severity, case.case.severity)
        graver = replace(kept, alert=replace(kept.alert, severity=severity))
        await alerts.record(connection, graver, kept.alert.state, notice, now)
        extra: dict[str, Any] = {"case": str(case.id), "clock": _told(clock)}
        if notice is Notice.ESCALATED:
            since = extra["clock"]["due_at"]
            extra["escalation"] = {"reason": "overdue", "from": None, "since": since}
        self.notifications += await telling.tell(
            connection, self._channels, plant, graver, notice, now, extra
        )


def _told(clock: Clock) -> dict[str, Any]:
    """Return the clock that ran out, as the history and a body show it."""
    due = None if clock.due_at is None else periods.render_utc(to_us(clock.due_at))
    return {
        "step": clock.duty.value,
        "side": clock.side.value,
        "due_at": due,
        "working_days": clock.working_days,
        "calendar_known": clock.calendar_known,
    }
