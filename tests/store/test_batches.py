"""What batches are matched from, on a real store: newest revisions, streams, units, slots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from core import indicators, plant
from core import output as facts
from core.batches import Holdup
from core.clock import to_us
from core.flags import Flag
from core.periods import HOUR_US, SLOT_US
from store import batches, output, plants

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from store.batches import Matching
    from store.connection import Pool

START = datetime(2026, 9, 30, 16, tzinfo=UTC)
NOW = START + timedelta(days=2)
HOURS = 24
FURNACE, LINE = "qh-fa.furnace-1", "qh-fa.line-1"
PLANT = """
[site.qh-fa]
name = { zh = "厂", en = "Works" }
jurisdiction = "cn-qh"
[site.qh-fa.unit.furnace-1]
name = { zh = "一号炉", en = "Furnace 1" }
kind = "submerged_arc_furnace"
indicators = ["fesi.smelting", "fesi.comprehensive"]
output_accuracy_percent = "0.3"
sampling_accuracy_percent = "0.4"
[site.qh-fa.unit.furnace-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.4"
[site.qh-fa.unit.furnace-1.point.returned]
kind = "counter"
carrier = "electricity"
unit = "MWh"
sign = -1
accuracy_percent = "0.3"
[site.qh-fa.unit.furnace-1.point.semi-coke]
kind = "counter"
carrier = "semi_coke"
unit = "kg"
heating_value = [
    { from = 2026-10-01T00:00:00+08:00, value = "29307.6" },
    { from = 2026-10-01T03:00:00+08:00, value = "26376.84" },
]
[site.qh-fa.unit.line-1]
name = { zh = "系列", en = "Line 1" }
kind = "potline"
indicators = ["al.liquid.ac"]
[site.qh-fa.unit.line-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
"""
SILICON = {"Si": "0.75"}


async def slots(connection: AsyncConnection[Any], point: int, amount: int) -> None:
    await connection.execute(
        "insert into slot_energy select %(p)s, %(a)s + n * interval '15 minutes', %(e)s, 0,"
        " 900000000, 0, %(a)s from generate_series(0, %(n)s) n",
        {"p": point, "e": amount, "a": START, "n": HOURS * 4 - 1},
    )


async def build(connection: AsyncConnection[Any]) -> None:
    """Declare the works; the furnace takes 26,000 kWh an hour and gives back 2 MWh."""
    await plants.apply(connection, plant.parse(PLANT, "plant.toml", indicators.computing()), START)
    ids = (await plants.load(connection)).ids
    await slots(connection, ids[f"{FURNACE}.ac"], 6_500_000_000)
    await slots(connection, ids[f"{FURNACE}.returned"], 500_000)
    await slots(connection, ids[f"{FURNACE}.semi-coke"], 1_000_000_000)
    await slots(connection, ids[f"{LINE}.ac"], 6_000_000_000)


async def fact(
    connection: AsyncConnection[Any], name: str, hour: float, mass_t: str | None, **more: Any
) -> None:
    data = {
        "id": name,
        "unit": FURNACE,
        "kind": "tapping",
        "at": (START + timedelta(hours=hour)).isoformat(),
        "grades": SILICON,
    }
    if mass_t is not None:
        data["mass_t"] = mass_t
    await output.write(connection, facts.from_data(data | more, to_us(NOW)), "scale-01", NOW)


async def read(
    connection: AsyncConnection[Any],
    first: float = 0,
    last: float = HOURS,
    indicator: str = "fesi.smelting",
    unit: str = FURNACE,
) -> Matching:
    loaded = await plants.load(connection)
    span = (to_us(START + timedelta(hours=first)), to_us(START + timedelta(hours=last)))
    return await batches.read(
        connection,
        loaded.plant,
        loaded.ids,
        loaded.plant.units[unit],
        indicators.find(indicator),
        span,
        NOW,
    )


async def test_a_batch_is_the_signed_energy_of_all_meters_between_two_taps(pool: Pool) -> None:
    async with pool.connection() as connection:
        await build(connection)
        await fact(connection, "a", 1, "6")
        await fact(connection, "b", 3.1, "6.3")
        found = await read(connection)
    (batch,) = found.batches
    assert (batch.energy, batch.intensity) == (Fraction(50_400), Fraction(8_000))
    assert batch.tap.facts == ("b",)
    # 0.4 % of 26 parts and 0.3 % of -2, of 24: root of squares.
    name, share = found.doubts[0]
    assert name == "energy"
    assert share is not None
    exact = (Fraction("0.104") ** 2 + Fraction("0.006") ** 2) / 24**2
    assert abs(share**2 - exact) < Fraction(1, 10**30)
    assert found.doubts[1:] == (
        ("output_accuracy", Fraction(3, 1000)),
        ("sampling_accuracy", Fraction(4, 1000)),
    )


async def test_the_newest_revision_counts_wherever_it_moves_a_tap(pool: Pool) -> None:
    async with pool.connection() as connection:
        await build(connection)
        await fact(connection, "a", 1, "6")
        await fact(connection, "b", 3, "9")
        await fact(connection, "b", 4, "9", revision=1)
        await fact(connection, "c", 5, "3")
        await fact(connection, "d", 6, "3")
        await fact(connection, "d", 6, "3", revision=1, unit=LINE)
        found = await read(connection)
    assert [one.tap.facts for one in found.batches] == [("b",), ("c",)]
    assert {one.intensity for one in found.batches} == {Fraction(8_000)}


async def test_facts_of_other_streams_are_no_taps_and_kilograms_are_tonnes(pool: Pool) -> None:
    async with pool.connection() as connection:
        await build(connection)
        await fact(connection, "a", 1, "6")
        await fact(connection, "slag", 2, "6", stream="slag")
        await fact(connection, "b", 3, None, amount="6000", amount_unit="kg")
        await fact(connection, "named", 4, "3", stream="ferrosilicon")
        await fact(connection, "power", 5, None, amount="3", amount_unit="MW")
        found = await read(connection)
    assert [one.tap.facts[0] for one in found.batches] == ["b", "named", "power"]
    assert [one.intensity for one in found.batches] == [8_000, 8_000, None]
    assert [one.made_t for one in found.batches] == [6, 3, None]


async def test_a_span_reaches_to_the_taps_on_either_side_of_it(pool: Pool) -> None:
    """Else what lies at a period's ends would depend on the range that is asked for."""
    async with pool.connection() as connection:
        await build(connection)
        for number in range(12):
            await fact(connection, f"{number}", 2 * number, "6")
        whole = await read(connection)
        part = await read(connection, 7, 9)
    assert part.batches == whole.batches[: len(part.batches)]
    assert part.batches[-1].end_us == to_us(START) + 10 * HOUR_US
    assert {one.intensity for one in part.batches} == {Fraction(8_000)}


async def test_surveys_count_of_the_metal_held_and_never_of_what_lies_in_store(pool: Pool) -> None:
    async with pool.connection() as connection:
        await build(connection)
        for number in range(5):
            await fact(connection, f"{number}", 2 * number, "6" if number != 2 else "5")
        await fact(connection, "store", 2, "900", kind="stock")
        await fact(connection, "store-2", 4, "100", kind="stock", stream="ferrosilicon")
        plain = await read(connection)
        await fact(connection, "h1", 2, "8", kind="stock", stream="metal_held")
        await fact(connection, "h2", 4, "9", kind="stock", stream="metal_held")
        held = await read(connection)
        later = await read(connection, 3, 4)
    assert [one.made_t for one in plain.batches] == [6, 5, 6, 6]
    assert {one.holdup for one in plain.batches} == {Holdup.UNKNOWN}
    assert [one.made_t for one in held.batches] == [6, 6, 6, 6]
    assert [one.holdup for one in held.batches] == [
        Holdup.UNKNOWN, Holdup.MEASURED, Holdup.UNKNOWN, Holdup.UNKNOWN,
    ]  # fmt: skip
    assert later.batches[1] == held.batches[1]


async def test_fuels_are_added_at_the_factor_of_their_time(pool: Pool) -> None:
    async with pool.connection() as connection:
        await build(connection)
        for hour in (1, 2, 4, 5):
            await fact(connection, f"{hour}", hour, "6")
        found = await read(connection, indicator="fesi.comprehensive")
    electricity = 24_000 * Fraction("0.1229")
    # The heating value falls by a tenth at the third hour.
    assert [one.energy for one in found.batches] == [
        electricity + 4_000,
        2 * electricity + 4_000 + 3_600,
        electricity + 3_600,
    ]
    assert found.doubts[0] == (f"accuracy of {FURNACE}.semi-coke", None)


async def test_a_slot_is_known_when_measured_or_booked_across_a_gap(pool: Pool) -> None:
    async with pool.connection() as connection:
        await build(connection)
        for hour in range(6):
            await fact(connection, f"{hour}", hour, "3")
        number = (await plants.load(connection)).ids[f"{FURNACE}.ac"]
        for hour, energy, measured_us, flags in (
            (0, 6_500_000_000, 0, Flag.GAP | Flag.ESTIMATED),
            (1, 6_500_000_000, SLOT_US // 2, 0),
            (2, 6_500_000_000, 0, Flag.GAP | Flag.ESTIMATED | Flag.RESET),
            (3, None, SLOT_US, 0),
        ):
            await connection.execute(
                "update slot_energy set energy_e6 = %s, measured_us = %s, flags = %s,"
                " estimated_e6 = 1000000 where point_id = %s and slot_start = %s",
                (energy, measured_us, int(flags), number, START + timedelta(hours=hour)),
            )
        found = await read(connection)
    assert [one.energy is None for one in found.batches] == [False, True, True, True, False]
    assert found.batches[0].estimated == 1


async def test_a_unit_without_meters_or_taps_has_batches_of_nothing(pool: Pool) -> None:
    async with pool.connection() as connection:
        await build(connection)
        nothing = await read(connection, unit=LINE, indicator="al.liquid.ac")
        await fact(connection, "a", 1, "6", unit=LINE, grades={})
        await fact(connection, "b", 3, "6", unit=LINE, grades={})
        missing = await read(connection, unit=LINE, indicator="fesi.comprehensive")
    assert nothing.batches == []
    assert [(one.energy, one.made_t) for one in missing.batches] == [(None, None)]
