"""Declared values that move limits: a change of one has verdicts computed again, and no energy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from core import plant
from store import plants

if TYPE_CHECKING:
    from store.connection import Pool

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PLANT = """
[site.s]
name = { zh = "厂", en = "Works" }
altitude_m = 2261
jurisdiction = "cn-qh"
ambient_pressure_pa = [{ from = 2026-01-01T00:00:00Z, value = "77500" }]
[site.s.unit.a]
name = { zh = "炉", en = "Furnace" }
kind = "submerged_arc_furnace"
ore_grade = [{ from = 2026-01-01T00:00:00Z, value = "0.98" }]
[site.s.unit.a.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
[site.s.unit.b]
name = { zh = "窑", en = "Kiln" }
kind = "kiln"
"""


@pytest.mark.parametrize(
    ("change", "units"),
    [
        (('value = "0.98"', 'value = "0.97"'), ["s.a"]),
        (('value = "77500"', 'value = "77400"'), ["s.a", "s.b"]),
        (("altitude_m = 2261", "altitude_m = 2262"), ["s.a", "s.b"]),
    ],
)
async def test_what_moves_a_limit_touches_the_results_of_its_units_only(
    pool: Pool, change: tuple[str, str], units: list[str]
) -> None:
    async with pool.connection() as link:
        await plants.apply(link, plant.parse(PLANT, "plant.toml"), NOW)
        changed = plant.parse(PLANT.replace(*change), "plant.toml")
        done = await plants.apply(link, changed, NOW)
        again = await plants.apply(link, changed, NOW)
        kept = (await plants.load(link)).plant
    assert list(done.touched_units) == units
    assert list(done.touched_points) == []
    assert (list(again.sites), list(again.touched_units)) == ([], [])
    assert kept.units["s.a"].values == changed.units["s.a"].values
    assert kept.sites["s"].values == changed.sites["s"].values
