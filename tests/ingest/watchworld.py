"""What tests of data conditions share: a plant and a lookout that looks when told."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from core import plant as plants
from core.clock import to_us
from core.progress import Progress
from core.wire import AgentState, Status
from ingest.alerting import Alerting
from ingest.conditions import Watcher
from store import agents, readings
from store import plants as stored
from store.agents import Epoch
from store.readings import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.conditions import Condition
    from core.plant import Plant
    from ingest.channels import Channel
    from store.connection import Pool

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)  # 16:00 in Qinghai
MINUTE = timedelta(minutes=1)
UNIT = "gh-al.potline-1"
METER, SLOW, DEMAND = f"{UNIT}.ac-import", f"{UNIT}.weekly", f"{UNIT}.demand"
TEXT = """
[site.gh-al]
name = { zh = "示例铝厂", en = "Demo Aluminium" }
jurisdiction = "cn-qh"
timezone = "Asia/Shanghai"
[site.gh-al.agent.gw-01]
[site.gh-al.agent.gw-02]
[site.gh-al.unit.potline-1]
name = { zh = "电解一系列", en = "Potline 1" }
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac"]
[site.gh-al.unit.potline-1.point.ac-import]
kind = "counter"
carrier = "electricity"
unit = "kWh"
verified_until = 2026-11-30
[site.gh-al.unit.potline-1.point.weekly]
kind = "gauge"
unit = "kA"
max_gap_s = 86400
[site.gh-al.unit.potline-1.point.demand]
kind = "interval"
carrier = "raw_coal"
unit = "kg"
interval_s = 3600
[site.nx-fa]
name = { zh = "示例铁合金厂", en = "Demo Ferroalloy" }
jurisdiction = "cn-nx"
timezone = "Asia/Shanghai"
[site.nx-fa.agent.gw-01]
[site.nx-fa.unit.furnace-1]
name = { zh = "一号矿热炉", en = "Furnace 1" }
kind = "submerged_arc_furnace"
"""
GW_1, GW_2, FOREIGN = "gh-al.gw-01", "gh-al.gw-02", "nx-fa.gw-01"


@dataclass
class Lookout:
    """Watches a plant in the store by a clock that the test moves."""

    pool: Pool
    channels: Sequence[Channel] = ()
    conditions: Mapping[str, Condition] | None = None
    now: datetime = NOW
    hears: bool = True
    plant: Plant = field(default_factory=lambda: plants.parse(TEXT, "plant.toml"))
    ids: Mapping[str, int] = field(default_factory=dict)
    watcher: Watcher = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin with an empty memory, as a program does."""
        self.watcher = Watcher(
            self.pool,
            lambda: (self.plant, self.ids),
            lambda: self.now,
            Alerting(self.channels),
            lambda: self.hears,
            self.conditions,
        )

    async def declare(self, text: str = TEXT) -> None:
        """Declare the plant in the store."""
        async with self.pool.connection() as connection:
            await stored.apply(connection, plants.parse(text, "plant.toml"), self.now)
            loaded = await stored.load(connection)
        self.plant, self.ids = plants.parse(text, "plant.toml"), loaded.ids

    async def look(self, minutes: float = 1, times: int = 1) -> dict[str, str]:
        """Move on and look, so many times; return the states by `condition subject`."""
        for _ in range(times):
            self.now += minutes * MINUTE
            await self.watcher.step()
        return await self.states()

    async def states(self) -> dict[str, str]:
        found = await self.rows(
            "select condition || ' ' || subject, state from alert where condition is not null"
        )
        return dict(found)

    async def items(self) -> dict[str, Any]:
        """Return the figure behind the last change of each alert, by condition."""
        return dict(await self.rows("select condition, figure from alert"))

    async def hear(self, *names: str, state: str = "online", **more: Any) -> None:
        """Take a status of agents as it comes from the broker now."""
        for name in names:
            site, _, agent = name.partition(".")
            given = {"at": self.now, "epoch": "e1", "depth": 0, **more}
            async with self.pool.connection() as connection:
                status = Status(AgentState(state), **given)
                await agents.report(connection, site, agent, status, self.now)

    async def progress(self, name: str, **more: Any) -> None:
        """Take an envelope of an agent: how far its outbox is durable."""
        site, _, agent = name.partition(".")
        async with self.pool.connection() as connection:
            epoch = Epoch(site, agent, more.pop("epoch", "e1"))
            await agents.save(connection, {epoch: Progress(**more)}, self.now)

    async def read(self, point: str, at: datetime | None = None) -> None:
        """Show a reading of a point, measured now unless said otherwise."""
        ts = np.array([to_us(at or self.now)])
        rows = Rows(
            np.array([self.ids[point]], np.int32), ts, np.array([1.0]), np.array([0], np.int16)
        )
        async with self.pool.connection() as connection:
            await readings.write_latest(connection, rows, np.array([np.nan]))

    async def rows(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(query.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    async def told(self) -> list[tuple[str, str, str]]:
        """Return every notification: channel, type, and what its alert is about."""
        found = await self.rows("select channel, body from notification order by number")
        bodies = [(channel, json.loads(body)) for channel, body in found]
        return [(channel, one["type"], one["alert"]["condition"]) for channel, one in bodies]
