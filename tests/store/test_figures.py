"""Figures of furnaces and kiln from stored slots and facts, on a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from core import indicators, plant
from core import output as facts
from core.clock import to_us
from core.intensity import PeriodOutput
from store import figures, output, plants

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from store.connection import Pool

START = datetime(2026, 9, 30, 16, tzinfo=UTC)  # 2026-10-01 in the plant
SECOND = START + timedelta(hours=1)
NOW = START + timedelta(hours=2)
HOURS = [(to_us(START), to_us(SECOND)), (to_us(SECOND), to_us(NOW))]
PLANT = """
[site.qh-fa]
name = { zh = "铁合金厂", en = "Ferroalloy" }
jurisdiction = "cn-qh"
[site.qh-fa.unit.furnace-1]
name = { zh = "一号炉", en = "Furnace 1" }
kind = "submerged_arc_furnace"
product = "ferrosilicon"
indicators = ["fesi.smelting", "fesi.comprehensive"]
ore_grade = [{ from = 2026-01-01T00:00:00+08:00, value = "0.98" }]
[site.qh-fa.unit.furnace-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
[site.qh-fa.unit.furnace-1.point.semi-coke]
kind = "counter"
carrier = "semi_coke"
unit = "kg"
heating_value = [
    { from = 2026-10-01T00:00:00+08:00, value = "29307.6" },
    { from = 2026-10-01T01:30:00+08:00, value = "26376.84" },
]
"""
UNIT = "qh-fa.furnace-1"


async def slot(
    connection: AsyncConnection[Any], number: int, amount: int, start: datetime = START
) -> None:
    """Book the amount in each slot of two hours, wholly measured."""
    await connection.execute(
        "insert into slot_energy select %(p)s, %(a)s + n * interval '15 minutes', %(e)s, 0,"
        " 900000000, 0, %(a)s from generate_series(0, 7) n",
        {"p": number, "e": amount * 1_000_000, "a": start},
    )


async def tap(
    connection: AsyncConnection[Any],
    name: str,
    minute: int,
    mass: str,
    grades: dict[str, str],
    revision: int = 0,
) -> None:
    data = {
        "id": name,
        "revision": revision,
        "unit": UNIT,
        "kind": "tapping",
        "at": (START + timedelta(minutes=minute)).isoformat(),
        "mass_t": mass,
        "grades": grades,
    }
    await output.write(connection, facts.from_data(data, to_us(NOW)), "scale-01", NOW)


async def compute(connection: AsyncConnection[Any], indicator: str) -> list[dict[str, Any]]:
    loaded = await plants.load(connection)
    unit = loaded.plant.units[UNIT]
    definition = indicators.find(indicator)
    return await figures.compute(connection, loaded.plant, loaded.ids, unit, definition, HOURS, NOW)


async def build(connection: AsyncConnection[Any]) -> None:
    await plants.apply(connection, plant.parse(PLANT, "plant.toml", indicators.computing()), START)
    ids = (await plants.load(connection)).ids
    await slot(connection, ids[f"{UNIT}.ac"], 160_000)
    await slot(connection, ids[f"{UNIT}.semi-coke"], 10_000)


async def test_output_is_summed_with_its_grade_to_the_last_digit(pool: Pool) -> None:
    async with pool.connection() as connection:
        await tap(connection, "a", 5, "6.125001", {"Si": "0.7411111111111111111111"})
        await tap(connection, "b", 55, "7", {"Si": ".75", "Al": "0.01"})
        await tap(connection, "c", 65, "6", {"Al": "0.01"})
        await tap(connection, "d", 70, "0", {})
        found = await output.sums(connection, UNIT, ["tapping"], HOURS, "Si")
        plain = await output.sums(connection, UNIT, ["tapping"], HOURS)
        other = await output.sums(connection, UNIT, ["weighing"], HOURS, "Si")
    graded = 6_125_001 * Fraction("0.7411111111111111111111") + 7_000_000 * Fraction("0.75")
    assert found[0] == PeriodOutput(13_125_001, graded, 0)
    assert found[1] == PeriodOutput(6_000_000, Fraction(0), 1)
    assert [one and one.mass_e6 for one in plain] == [13_125_001, 6_000_000]
    assert other == [None, None]


async def test_a_correction_that_brings_the_grade_makes_the_output_known(pool: Pool) -> None:
    async with pool.connection() as connection:
        await build(connection)
        await tap(connection, "a", 5, "80", {})
        before = (await compute(connection, "fesi.smelting"))[0]
        await tap(connection, "a", 5, "80", {"Si": "0.725"}, revision=1)
        after = (await compute(connection, "fesi.smelting"))[0]
    assert (before["output"]["value"], before["intensity"]["value"]) == (None, None)
    assert "grade_missing" in before["flags"]
    assert {row["verdict"] for row in before["verdicts"]} == {"incomplete"}
    assert before["inputs"]["output"]["facts_without_grade"] == 1
    assert after["output"] == {"value": "77.333333", "unit": "t"}
    assert after["intensity"]["value"] == "8275.862069"
    assert after["inputs"]["output"] == {
        "mass": "80",
        "base_grade": "Si",
        "reference": "0.75",
        "facts_without_grade": 0,
    }
    verdicts = {row["limit"]: row["verdict"] for row in after["verdicts"]}
    assert verdicts["cn-qh.fesi.smelting.target-2020"] == "exceeds"
    assert verdicts["cn.fesi.smelting.gb21341-2022.level-1"] == "exceeds"
    assert verdicts["cn.fesi.smelting.gb21341-2022.level-2"] == "within"
    assert verdicts["cn.fesi.smelting.gb21341-2022.level-3"] == "within"


async def test_a_figure_in_coal_equivalent_names_every_factor_it_used(pool: Pool) -> None:
    async with pool.connection() as connection:
        await build(connection)
        await tap(connection, "a", 65, "100", {"Si": "0.75"})
        second = (await compute(connection, "fesi.comprehensive"))[1]
    # Two slots of 10 t at 1 kgce/kg, two at 0.9; 640,000 kWh at 0.1229.
    assert second["energy"]["value"] == "116656"
    assert second["energy"]["unit"] == "kgce"
    assert second["intensity"]["value"] == "1166.56"
    used = second["inputs"]["points"][f"{UNIT}.semi-coke"]
    assert [(one["value"], one["energy"]) for one in used["factors"]] == [
        ("1", "20000"),
        ("0.9", "20000"),
    ]
    electricity = second["inputs"]["points"][f"{UNIT}.ac"]["factors"]
    assert [(one["value"], one["unit"], one["mark"]) for one in electricity] == [
        ("0.1229", "kgce/kWh", "verified")
    ]


async def test_an_indicator_without_facts_of_its_own_product_gives_no_figure(pool: Pool) -> None:
    async with pool.connection() as connection:
        await build(connection)
        await tap(connection, "a", 5, "80", {"Si": "0.725"})
        found = await compute(connection, "polysilicon.electricity")
    assert found[0]["intensity"]["value"] is None
    assert {row["verdict"] for row in found[0]["verdicts"]} == {"incomplete"}
