"""Watches the store for the live stream: one LISTEN connection, polling where it is silent.

Polls hardly more than once a second and only while somebody watches. What it publishes is the
difference to what it published last: a lost notification or an outage of the store loses nothing.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout, TooManyRequests

from api import unit_views
from api.deps import Services
from api.live import HEARTBEAT_S, View
from api.plants import Declared
from core import periods
from core.clock import from_us
from core.periods import Period
from store import alertlists, alerts, results
from store import connection as connections
from store.results import Result

# Less than the second between two announcements: else a poll that once began just before one
# would begin just before every one, and tell what it announces a second late.
POLL_S: Final = 0.8
SILENT_POLL_S: Final = 3.0  # while notifications come they set the pace
# A change number may be committed after a higher one: what the numbers missed is read again.
REREAD_US: Final = 30_000_000
# Digits of open figures move with every reading; a changed verdict or period is told at once.
FIGURES_S: Final = 5.0
BACK_OFF_S: Final = (1.0, 2.0, 5.0, 15.0)
_OPEN: Final = ("current", "today")
# Also a store that lacks its tables: it is migrated while this process waits.
_OUT: Final = (psycopg.Error, PoolTimeout, TooManyRequests)
log = logging.getLogger(__name__)


class Feed:
    """Keeps the last view of every unit and publishes what differs."""

    def __init__(self, shared: Services) -> None:
        self._shared = shared
        self._declared: Declared | None = None
        self._views: dict[str, View] = {}
        self._figures_at: dict[str, float] = {}
        self._open: dict[str, list[Result]] = {}
        self._open_until_us: dict[str, int] = {}
        self._change = 0
        self._alerts: dict[str, View] = {}
        self._alert_change = 0
        self._wake = asyncio.Event()
        self._notified_at = float("-inf")

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._poll())
            group.create_task(self._beat())

    async def _listen(self) -> None:
        attempt = 0
        while True:
            try:
                url = self._shared.settings.database_url
                parameters = connections.parameters(url, "danhao api live")
                async with await AsyncConnection.connect(
                    url, autocommit=True, **parameters
                ) as connection:
                    await results.listen(connection)
                    attempt = 0
                    async for _ in connection.notifies():
                        self._notified_at = self._shared.ticks()
                        self._wake.set()
            except _OUT as error:
                log.warning("the live stream cannot listen and polls instead: %s", error)
            await asyncio.sleep(BACK_OFF_S[min(attempt, len(BACK_OFF_S) - 1)])
            attempt += 1

    async def _poll(self) -> None:
        while True:
            await self._shared.hub.wanted.wait()
            started = self._shared.ticks()
            try:
                await self.poll_once()
            except _OUT as error:
                self._shared.metrics.add("danhao_live_failures_total")
                log.warning("the live stream could not read the store: %s", error)
            # At most one poll in POLL_S; a notification that came meanwhile is served then.
            await asyncio.sleep(max(0.0, started + POLL_S - self._shared.ticks()))
            notified = self._shared.ticks() - self._notified_at < SILENT_POLL_S
            if notified and not self._wake.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), SILENT_POLL_S - POLL_S)
            self._wake.clear()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            self._shared.hub.heartbeat(self._shared.now_us)

    async def poll_once(self) -> None:
        """Read what may have changed and publish what did."""
        shared = self._shared
        now_us = shared.now_us
        async with shared.pool.connection() as connection:
            declared = await shared.plants.get(connection)
            views = await self._read(connection, declared, now_us)
            raised = await self._read_alerts(connection, declared, now_us)
        gone = self._views.keys() - views.keys()
        if gone:
            shared.hub.forget_units(set(gone))
            for unit in gone:
                self._figures_at.pop(unit, None)
        views = {unit: self._paced(view, shared.ticks()) for unit, view in views.items()}
        changed = {unit: view for unit, view in views.items() if self._views.get(unit) != view}
        self._views = views
        shared.hub.publish(changed, shared.ticks())
        shared.hub.publish_alerts(raised, shared.ticks())

    def _paced(self, view: View, now: float) -> View:
        """Keep the figures told last, where only their digits moved since, and not long ago."""
        unit = view["unit"]
        told = self._views.get(unit)
        if told is not None and _figures(view) == _figures(told):
            return view
        recent = now - self._figures_at.get(unit, float("-inf")) < FIGURES_S
        if told is not None and recent and _outline(view) == _outline(told):
            return view | {name: told[name] for name in _OPEN}
        self._figures_at[unit] = now
        return view

    async def _read_alerts(
        self, connection: AsyncConnection[Any], declared: Declared, now_us: int
    ) -> dict[str, View]:
        """Return the alerts that differ from what was published, and remember them."""
        since = from_us(now_us - REREAD_US)
        found, self._alert_change = await alertlists.changed(connection, self._alert_change, since)
        changed: dict[str, View] = {}
        for kept in found:
            if alerts.is_declared(kept, declared.plant):
                item = alerts.describe(kept, declared.plant)
                if self._alerts.get(item["id"]) != item:
                    self._alerts[item["id"]] = changed[item["id"]] = item
        return changed

    async def _read(
        self, connection: AsyncConnection[Any], declared: Declared, now_us: int
    ) -> dict[str, View]:
        plant = declared.plant
        if declared is not self._declared:
            self._declared = declared
            self._open_until_us = {}
        # The number is taken before the results: what changes between is read again.
        touched, newest = await results.changed_units(connection, self._change)
        stale = [
            unit
            for unit in plant.units
            if unit in touched or now_us >= self._open_until_us.get(unit, 0)
        ]
        found = await unit_views.load_open(connection, stale, now_us)
        for unit in stale:
            self._open[unit] = found.get(unit, [])
            zone = plant.sites[plant.units[unit].site].timezone
            day_end = periods.period_at(Period.DAY, now_us, zone)[1]
            self._open_until_us[unit] = min(day_end, now_us + REREAD_US)
        self._change = newest
        points = unit_views.power_points(plant, plant.units)
        latest = await unit_views.load_latest(connection, points, declared.point_ids)
        return {
            unit.id: unit_views.assemble(
                unit,
                plant.sites[unit.site],
                points[unit.id],
                latest,
                self._own(unit.id),
                now_us,
            )
            for unit in plant.units.values()
        }

    def _own(self, unit: str) -> Sequence[Result]:
        return self._open.get(unit, [])


def _figures(view: View) -> list[Any]:
    return [view[name] for name in _OPEN]


def _outline(view: View) -> list[Any]:
    """Return which periods a view shows and how they are judged, without their digits."""
    return [
        (
            item["indicator"],
            item["period_start"],
            item["flags"],
            item["intensity"] is None,
            [(one["limit"], one["verdict"], one["lapsed"]) for one in item["verdicts"]],
        )
        for name in _OPEN
        for item in view[name]
    ]
