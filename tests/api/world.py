"""What stands behind the API in its tests, written through the real tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from core import indicators, periods, plant
from core import output as facts
from core.clock import to_us
from core.periods import Period
from store import access, figures, output, partitions, plants, versions

if TYPE_CHECKING:
    from psycopg import AsyncConnection

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)  # noon in Qinghai
MONTH_START = datetime(2026, 10, 31, 16, 0, tzinfo=UTC)
POTLINE = "gh-al.potline-1"
METER = "gh-al.potline-1.ac-import"
VOLTAGE = "gh-al.potline-1.voltage"
FURNACE = "nx-fa.furnace-1"
FURNACE_METER = "nx-fa.furnace-1.ac-import"
ZONE = "Asia/Shanghai"
PLANT = """
[site.gh-al]
name = { zh = "示例铝厂", en = "Demo Aluminium" }
altitude_m = 2400
jurisdiction = "cn-qh"
timezone = "Asia/Shanghai"

[site.gh-al.agent.gw-01]

[site.gh-al.unit.potline-1]
name = { zh = "电解一系列", en = "Potline 1" }
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac"]

[site.gh-al.unit.potline-1.point.ac-import]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
multiplier = [{ from = 2026-01-01T00:00:00Z, value = "660" }]

[site.gh-al.unit.potline-1.point.voltage]
kind = "gauge"
unit = "V"

[site.gh-al.unit.pot-1]
name = { zh = "电解槽", en = "Pot 1" }
kind = "pot"
parent = "potline-1"

[site.nx-fa]
name = { zh = "示例铁合金厂", en = "Demo Ferroalloy" }
jurisdiction = "cn-nx"

[site.nx-fa.agent.gw-01]

[site.nx-fa.unit.furnace-1]
name = { zh = "一号矿热炉", en = "Furnace 1" }
kind = "submerged_arc_furnace"
indicators = ["al.liquid.ac"]

[site.nx-fa.unit.furnace-1.point.ac-import]
kind = "counter"
carrier = "electricity"
unit = "kWh"
"""
SCOPES = {
    "operator": ("site:gh-al",),
    "engineer": ("site:gh-al", "site:nx-fa"),
    "regulator": ("jurisdiction:cn-nx",),
    "admin": ("*",),
}


@dataclass(slots=True)
class Clock:
    """A clock that stands still until it is moved."""

    now: datetime = NOW
    monotonic: float = 1000.0

    def __call__(self) -> datetime:
        return self.now

    def ticks(self) -> float:
        return self.monotonic

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.monotonic += seconds


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def build(connection: AsyncConnection[Any]) -> dict[str, str]:
    """Declare the plants, fill the ledger, and return a token for every role."""
    await plants.apply(connection, plant.parse(PLANT, "plant.toml"), MONTH_START)
    ids = (await plants.load(connection)).ids
    await _slots(connection, ids[METER])
    await _readings(connection, ids[METER], ids[VOLTAGE])
    await _output(connection)
    await evaluate(connection, NOW)
    await connection.execute(
        "insert into agent_status values ('gh-al', 'gw-01', 'online', %s, 'e1', 3, null, 12.5, %s)",
        (NOW, NOW),
    )
    await connection.execute(
        "insert into agent_epoch (site, agent, epoch, committed, missing, first_at, updated_at,"
        " missing_since) values ('gh-al', 'gw-01', 'e1', 1234, '{[1201,1204)}', %s, %s, %s)",
        (NOW, NOW, NOW),
    )
    for site, reason in (("gh-al", "future"), ("nx-fa", "conflict"), ("nowhere", "unknown_agent")):
        await connection.execute(
            "insert into dead_letter (recorded_at, reason, topic, site, agent, detail, payload,"
            " payload_bytes, digest) values (%s, %s, 't', %s, 'gw-01', 'why', 'x', 1, %s)",
            (NOW, reason, site, site.encode()),
        )
    return {
        role: await access.create_token(
            connection, name=f"the {role}", role=role, scope=scope, now=NOW
        )
        for role, scope in SCOPES.items()
    }


async def _slots(connection: AsyncConnection[Any], point_id: int) -> None:
    """Book 1000.5 kWh in every slot of the month so far, wholly measured but for one."""
    await connection.execute(
        "insert into slot_energy select %(p)s, s, 1000500000, 0, 900000000, 0, %(now)s"
        " from generate_series(%(a)s, %(b)s - interval '15 minutes', interval '15 minutes') s",
        {"p": point_id, "a": MONTH_START, "b": NOW, "now": NOW},
    )
    await connection.execute(
        "update slot_energy set estimated_e6 = 500000, measured_us = 450000000, flags = 1024"
        " where slot_start = %s",
        (MONTH_START,),
    )


async def _readings(connection: AsyncConnection[Any], meter: int, voltage: int) -> None:
    await partitions.make_for(connection, np.array([to_us(MONTH_START)]), NOW)
    for second in range(10):
        await connection.execute(
            "insert into reading values (%s, %s, %s, %s, %s)",
            (
                MONTH_START + timedelta(seconds=second),
                NOW,
                float("nan") if second == 9 else 100 + second,
                meter,
                2 if second == 9 else 0,
            ),
        )
    await connection.execute(
        "insert into reading values (%s, %s, 4.125, %s, 1)", (MONTH_START, NOW, voltage)
    )
    await connection.execute(
        "insert into point_latest values (%s, %s, 108, 0, 441234.1)", (meter, NOW)
    )


async def _output(connection: AsyncConnection[Any]) -> None:
    await connection.execute(
        "insert into output_fact values"
        " ('gh-al', 'tap-1', 0, %s, 'tapping', %s, 150000000, '{\"Al\":\"0.998\"}', 'gw-01', %s)",
        (POTLINE, MONTH_START + timedelta(hours=1), NOW),
    )


async def evaluate(connection: AsyncConnection[Any], now: datetime) -> None:
    """Compute the results of this month and its days, as ingest does."""
    declared = await plants.load(connection)
    for unit in declared.plant.units.values():
        for indicator in unit.indicators:
            for kind in (Period.DAY, Period.MONTH):
                bounds = periods.periods_over(kind, to_us(MONTH_START), to_us(now), ZONE)
                found = await figures.compute(
                    connection,
                    declared.plant,
                    declared.ids,
                    unit,
                    indicators.find(indicator),
                    bounds,
                    now,
                )
                for bound, item in zip(bounds, found, strict=True):
                    await versions.write(
                        connection, (unit.id, indicator, kind.value), bound, item, now
                    )


async def tap(connection: AsyncConnection[Any], identifier: str, mass_t: int, at: datetime) -> None:
    """Store one more tapping of the potline."""
    body = (
        f'{{"id":"{identifier}","unit":"{POTLINE}","kind":"tapping","at":"{at.isoformat()}",'
        f'"mass_t":"{mass_t}"}}'
    )
    await output.write(connection, facts.parse(body.encode(), to_us(NOW)), "test", NOW)
