"""How a unit's gauges are found and read: roles, units, pots, gaps, on a real store."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from core import plant
from core.clock import to_us
from core.periods import HOUR_US
from store import estimates, plants, readings
from store.readings import Rows

if TYPE_CHECKING:
    from core.estimates import Estimate
    from store.connection import Pool

START = datetime(2026, 10, 1, tzinfo=UTC)
DAY = (to_us(START), to_us(START) + 24 * HOUR_US)
NOW = START + timedelta(days=2)
MINUTE = 60_000_000
HEAD = """
[site.gh]
name = { zh = "厂", en = "Plant" }
jurisdiction = "cn-qh"
[site.gh.unit.line]
name = { zh = "系列", en = "Line" }
kind = "potline"
"""
PER_T = Fraction("0.3356") / 1000 * Fraction("0.94")


@dataclass
class Shown:
    """A gauge of the line: how it is declared and what it shows all day, but for a gap."""

    name: str
    unit: str
    value: float
    role: str
    more: str = ""
    gap_h: tuple[float, float] = (0, 0)
    bad: set[int] = field(default_factory=set)

    def declared(self) -> str:
        return (
            f'[site.gh.unit.line.point.{self.name}]\nkind = "gauge"\nunit = "{self.unit}"\n'
            f'role = "{self.role}"\n{self.more}\n'
        )

    def rows(self, number: int) -> Rows:
        minute = np.arange(0, 24 * 60 + 1, 10)
        low, high = self.gap_h
        minute = minute[(minute <= low * 60) | (minute >= high * 60)]
        quality = np.where(np.isin(minute, sorted(self.bad)), 2, 0).astype(np.int16)
        size = len(minute)
        ts_us = DAY[0] + minute * MINUTE
        return Rows(np.full(size, number), ts_us, np.full(size, self.value), quality)


async def day(pool: Pool, *shown: Shown, head: str = HEAD) -> dict[str, Estimate]:
    """Return the day's estimates of the line with these gauges."""
    text = head + "".join(one.declared() for one in shown)
    async with pool.connection() as connection:
        await plants.apply(connection, plant.parse(text, "plant.toml"), START)
        loaded = await plants.load(connection)
        for one in shown:
            rows = one.rows(loaded.ids[f"gh.line.{one.name}"])
            await readings.write(connection, rows, NOW, None, np.zeros(1_000, np.int64))
        (found,) = await estimates.of_periods(
            connection, loaded.plant, loaded.ids, loaded.plant.units["gh.line"], [DAY], NOW
        )
    return {one.id: one for one in found}


def with_pots(*rows: tuple[int, str]) -> str:
    dated = ", ".join(
        f'{{ from = "{(START + timedelta(hours=hour)).isoformat()}", value = "{pots}" }}'
        for hour, pots in rows
    )
    return f"{HEAD}pots = [{dated}]\n"


CURRENT = Shown("current", "kA", 400, "line-current")
LINE_V = Shown("voltage", "V", 1_137.6, "line-voltage")


async def test_a_cell_s_own_voltage_goes_before_the_line_s(pool: Pool) -> None:
    cell = Shown("cell", "mV", 4_050, "cell-voltage")
    found = await day(pool, CURRENT, LINE_V, cell, head=with_pots((-1, "288")))
    assert found["al.faraday.dc"].amount == Fraction("4.05") / PER_T
    assert found["al.faraday.metal"].amount == PER_T * 400 * 24 * 288


async def test_a_line_of_undeclared_pots_gives_neither_metal_nor_a_cell_s_voltage(
    pool: Pool,
) -> None:
    found = await day(pool, CURRENT, LINE_V)
    assert {one.amount for one in found.values()} == {None}
    assert {one.missing for one in found.values()} == {("pots",)}
    assert {one.coverage for one in found.values()} == {0}


async def test_pots_that_stop_at_noon_stop_to_count_at_noon(pool: Pool) -> None:
    head = with_pots((-1, "288"), (12, "144"))
    found = await day(pool, CURRENT, LINE_V, head=head)
    metal = found["al.faraday.metal"].amount
    assert metal is not None
    # Between two readings, ten minutes apart, it is a slope.
    assert abs(metal - PER_T * 400 * 12 * (288 + 144)) < PER_T * 400 * 144 / 6


async def test_without_a_meter_of_the_current_voltage_is_a_mean_by_time(pool: Pool) -> None:
    found = await day(pool, LINE_V, head=with_pots((-1, "288")))
    assert found["al.faraday.dc"].amount == Fraction("3.95") / PER_T
    assert found["al.faraday.metal"].missing == ("line_current",)


async def test_a_gap_is_left_out_and_seen_in_the_coverage(pool: Pool) -> None:
    gapped = Shown("current", "A", 400_000, "line-current", gap_h=(6, 12))
    voltage = Shown("voltage", "V", 3.95, "cell-voltage", gap_h=(12, 15))
    found = await day(pool, gapped, voltage, head=with_pots((-1, "1")))
    metal, dc = found["al.faraday.metal"], found["al.faraday.dc"]
    assert (metal.coverage, dc.coverage) == (Fraction(18, 24), Fraction(15, 24))
    assert metal.amount == PER_T * 400 * 18
    assert dc.amount == Fraction("3.95") / PER_T


async def test_bad_readings_count_as_absent_and_multipliers_are_applied(pool: Pool) -> None:
    doubled = 'multiplier = [{ from = 2026-01-01T00:00:00Z, value = "2" }]'
    current = Shown("current", "kA", 200, "line-current", doubled, bad={600, 610, 620, 630, 640})
    found = await day(pool, current, head=with_pots((-1, "1")))
    metal = found["al.faraday.metal"]
    # Five bad readings leave 60 minutes between neighbours: more than the longest gap.
    assert metal.coverage == Fraction(23, 24)
    assert metal.amount == PER_T * 400 * 23


async def test_a_gauge_in_a_unit_that_is_none_of_its_role_is_not_taken(pool: Pool) -> None:
    wrong = Shown("current", "kW", 400, "line-current")
    found = await day(pool, wrong, LINE_V, head=with_pots((-1, "288")))
    assert found["al.faraday.metal"].missing == ("line_current",)


async def test_no_periods_are_no_question(pool: Pool) -> None:
    async with pool.connection() as connection:
        await plants.apply(connection, plant.parse(HEAD, "plant.toml"), START)
        loaded = await plants.load(connection)
        unit = loaded.plant.units["gh.line"]
        assert await estimates.of_periods(connection, loaded.plant, {}, unit, [], NOW) == []
