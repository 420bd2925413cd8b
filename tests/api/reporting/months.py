"""Two plants with four months of history, written through the real tables, some of it amiss.

The potline burns a little too much, more so in October; the furnace is silent on three days.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from core import indicators, periods, plant
from core import output as facts
from core.clock import to_us
from core.periods import Period
from store import access, figures, output, plants, versions
from store import basis as bases

if TYPE_CHECKING:
    from psycopg import AsyncConnection

ZONE = "Asia/Shanghai"
START = datetime(2026, 6, 30, 16, 0, tzinfo=UTC)  # 1 July in plant time
OCTOBER = datetime(2026, 9, 30, 16, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 3, 4, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
DAY = timedelta(days=1)
POTLINE, FURNACE = "gh-al.potline-1", "nx-fa.furnace-1"
PLANT = """
[site.gh-al]
name = { zh = "示例铝厂", en = "Demo Aluminium" }
altitude_m = 2400
jurisdiction = "cn-qh"

[site.gh-al.unit.potline-1]
name = { zh = "电解一系列", en = "Potline 1" }
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac", "al.liquid.ac_comprehensive"]
output_accuracy_percent = "0.5"

[site.gh-al.unit.potline-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
multiplier = [{ from = 2026-01-01T00:00:00Z, value = "1" }]

[site.gh-al.unit.potline-1.point.aux]
kind = "counter"
carrier = "electricity"
unit = "kWh"
role = "auxiliary"
accuracy_percent = "0.5"
multiplier = [{ from = 2026-01-01T00:00:00Z, value = "1" }]

[site.nx-fa]
name = { zh = "示例铁合金厂", en = "Demo Ferroalloy" }
jurisdiction = "cn-qh"

[site.nx-fa.unit.furnace-1]
name = { zh = "一号矿热炉", en = "Furnace 1" }
kind = "submerged_arc_furnace"
product = "ferrosilicon"
indicators = ["fesi.smelting"]

[site.nx-fa.unit.furnace-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.5"
multiplier = [{ from = 2026-01-01T00:00:00Z, value = "1" }]
"""


# Of each point the energy of a day [kWh]; of each unit the output of a day [t] and its grades.
DAILY = {
    f"{POTLINE}.ac": 4_030_000,
    f"{POTLINE}.aux": 130_000,
    f"{FURNACE}.ac": 405_000,
}
OUTPUT = {POTLINE: (300, {}), FURNACE: (50, {"Si": "0.752"})}
SILENT = {f"{FURNACE}.ac": (OCTOBER + 11 * DAY, OCTOBER + 14 * DAY)}


async def build(connection: AsyncConnection[Any], now: datetime = NOW, days: int = 123) -> None:
    """Declare the plants, fill the days before November, and compute their results."""
    await plants.apply(connection, plant.parse(PLANT, "plant.toml"), START)
    chance = random.Random(7)  # noqa: S311 - data, no secret
    first = START + (123 - days) * DAY
    ids = (await plants.load(connection)).ids
    for point, level in DAILY.items():
        rows = []
        for number in range(days):
            begin = first + number * DAY
            low, high = SILENT.get(point, (now, now))
            if low <= begin < high:
                continue
            worse = 1.03 if begin >= OCTOBER else 1.0
            daily = int(level * worse * chance.gauss(1, 0.012))
            rows.append((begin, daily * 1_000_000 // 96))
        await _book(connection, ids[point], rows, now)
    for unit, (mass, grades) in OUTPUT.items():
        for number in range(days):
            at = first + number * DAY + timedelta(hours=10)
            await tap(
                connection, unit, f"{unit}-{number}", mass + chance.randint(-4, 4), at, grades
            )
    await evaluate(connection, first, now)


async def _book(
    connection: AsyncConnection[Any], point: int, rows: list[tuple[datetime, int]], now: datetime
) -> None:
    await connection.execute(
        "insert into slot_energy select %s, d + n * interval '15 minutes', e, 0, 900000000, 0, %s"
        " from unnest(%s::timestamptz[], %s::bigint[]) as t(d, e), generate_series(0, 95) n",
        (point, now, [begin for begin, _ in rows], [energy for _, energy in rows]),
    )


async def tap(
    connection: AsyncConnection[Any],
    unit: str,
    identifier: str,
    mass_t: int,
    at: datetime,
    grades: dict[str, str],
) -> None:
    """Store one tapping."""
    body = json.dumps(
        {
            "id": identifier,
            "unit": unit,
            "kind": "tapping",
            "at": at.isoformat(),
            "mass_t": str(mass_t),
            "grades": grades,
        }
    )
    await output.write(connection, facts.parse(body.encode(), to_us(NOW)), "test", NOW)


async def evaluate(connection: AsyncConnection[Any], first: datetime, now: datetime) -> None:
    """Compute the results of days and months, as ingest does."""
    declared = await plants.load(connection)
    for unit in declared.plant.units.values():
        for indicator in unit.indicators:
            for kind in (Period.DAY, Period.MONTH):
                # Days of older months are shown by no report.
                since = max(first, OCTOBER) if kind is Period.DAY else first
                bounds = periods.periods_over(kind, to_us(since), to_us(now), ZONE)
                found = await figures.compute(
                    connection,
                    declared.plant,
                    declared.ids,
                    unit,
                    indicators.find(indicator),
                    bounds,
                    now,
                )
                rows = [
                    versions.Figure(unit.id, indicator, kind.value, *bound, item)
                    for bound, item in zip(bounds, found, strict=True)
                ]
                basis = await bases.of_plant(connection, declared.plant, now)
                await versions.write_all(connection, rows, now, now, basis)


async def token(connection: AsyncConnection[Any], role: str, *scope: str) -> str:
    """Return the secret of a token."""
    return await access.create_token(connection, name=role, role=role, scope=scope, now=NOW)
