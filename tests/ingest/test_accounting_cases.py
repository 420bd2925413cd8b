"""Twelve hours at a true 100 kWh an hour, seven ways: the figure in the store is the true one.

The cases are those on which another system's accounting was measured; each goes the real way, from
an agent's messages to the stored figures of the hours and of the day.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from core import plant as plants
from core.clock import to_us
from core.periods import Period
from tests.ingest.ledgerroad import Road

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.plant import Plant
    from store.connection import Pool

TEXT = """
[site.s]
name = {{ zh = "厂", en = "Works" }}
jurisdiction = "cn-qh"
[site.s.agent.gw-01]
[site.s.unit.u]
name = {{ zh = "电解", en = "Potline" }}
kind = "potline"
indicators = ["al.liquid.ac"]
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
modulus = 1_000_000
{more}
"""
UNIT, POINT, INDICATOR = "s.u", "s.u.ac", "al.liquid.ac"
START = datetime(2026, 11, 19, 16, tzinfo=UTC)  # midnight in the plant
NOON = START + timedelta(hours=12)
AFTER = START + timedelta(hours=30)
QUARTER_US = 900_000_000
HOUR = 4  # readings
# What the peers' accounting took for the highest plausible hour, as our rated power.
RATED = "rated_power_kw = 150"
TRUE_HOURS = [Decimal(100)] * 12
DAY = Decimal(1_200)

Counts = dict[int, float]  # by number of the quarter


def declared(more: str = RATED) -> Plant:
    return plants.parse(TEXT.format(more=more), "cases.toml")


def running(first: float = 500_000, kwh_per_h: float = 100) -> Counts:
    """Return a register that runs steadily for twelve hours, read every quarter."""
    return {n: first + n * kwh_per_h / HOUR for n in range(12 * HOUR + 1)}


def rows(counts: Counts, which: Iterable[int]) -> list[tuple[str, int, float, int]]:
    return [(POINT, to_us(START) + n * QUARTER_US, counts[n], 0) for n in which if n in counts]


async def begin(pool: Pool, more: str = RATED) -> Road:
    """Return a road on whose day 100 kg of metal were tapped."""
    road = await Road.begin(pool, declared(more), AFTER)
    at = (START + timedelta(hours=5)).isoformat()
    fact = {"id": "t", "unit": UNIT, "kind": "tapping", "at": at, "mass_t": "0.1"}
    await road.send_fact(fact)
    return road


async def live(road: Road, counts: Counts, quarters: Iterable[int]) -> None:
    """Send an hour's readings a message, computing after each, as time passes."""
    quarters = list(quarters)
    for first in range(0, len(quarters), HOUR):
        await road.send(rows(counts, quarters[first : first + HOUR]))
        await road.compute()


async def hours(road: Road) -> list[dict[str, Any]]:
    """Return the figures of the first twelve hours."""
    await road.compute()
    found = await road.figures(UNIT, INDICATOR, Period.HOUR, to_us(START))
    return [dict(each.figures) for each in found if each.start_us < to_us(NOON)]


async def energies(road: Road) -> list[Decimal | None]:
    told = [hour["energy"]["value"] for hour in await hours(road)]
    return [None if one is None else Decimal(one) for one in told]


async def day(road: Road) -> dict[str, Any]:
    await road.compute()
    (found,) = await road.figures(UNIT, INDICATOR, Period.DAY, to_us(START))
    return dict(found.figures)


async def assert_true(road: Road, kwh: Decimal = DAY, hourly: Sequence[Decimal] = ()) -> None:
    """Assert that hours and day are true to the last digit, and so is the energy per tonne."""
    assert await energies(road) == list(hourly or TRUE_HOURS)
    whole = await day(road)
    assert Decimal(whole["energy"]["value"]) == kwh
    assert Decimal(whole["intensity"]["value"]) == kwh * 10


async def flags(road: Road) -> list[set[str]]:
    return [set(hour["flags"]) for hour in await hours(road)]


async def test_nothing_happens(pool: Pool) -> None:
    road, counts = await begin(pool), running()
    await live(road, counts, counts)
    await assert_true(road)
    assert (await day(road))["energy"]["estimated"] == "0"
    assert all("gap" not in words for words in await flags(road))


@pytest.mark.parametrize("rated", [RATED, "rated_power_kw = 1_000_000", ""])
async def test_the_link_is_out_for_six_hours_and_the_meter_counts_on(
    pool: Pool, rated: str
) -> None:
    road, counts = await begin(pool, rated), running()
    away = range(3 * HOUR + 1, 9 * HOUR)
    await live(road, counts, [n for n in counts if n not in away])
    # No energy is lost, and it stands in the hours in which it was used, said to be estimated.
    await assert_true(road)
    assert (await day(road))["energy"]["estimated"] == "600"
    told = await flags(road)
    assert all({"gap", "estimated"} <= words for words in told[3:9])
    assert all("gap" not in words for words in told[:3] + told[9:])


async def test_the_buffered_readings_of_the_outage_come_later(pool: Pool) -> None:
    road, counts = await begin(pool), running()
    away = range(3 * HOUR + 1, 9 * HOUR)
    await live(road, counts, [n for n in counts if n not in away])
    before = await day(road)
    road.now += timedelta(hours=1)
    # Newest first, doubled, and in messages of their own: what a gateway does after an outage.
    for n in reversed(away):
        await road.send(rows(counts, [n, n, n - 1]))
    await assert_true(road)
    after = await day(road)
    assert (before["energy"]["estimated"], after["energy"]["estimated"]) == ("600", "0")
    assert (before["completeness"], after["completeness"]) == (0.25, 0.5)
    assert all("gap" not in words for words in await flags(road))


async def test_the_buffered_readings_carry_another_load_than_the_straight_line(pool: Pool) -> None:
    road, counts = await begin(pool), running()
    # It stood still for two of the six hours and ran at 150 kW in the other four.
    for n in range(3 * HOUR, 9 * HOUR + 1):
        counts[n] = 500_300 + max(0, n - 5 * HOUR) * 150 / HOUR
    away = range(3 * HOUR + 1, 9 * HOUR)
    await live(road, counts, [n for n in counts if n not in away])
    assert (await energies(road))[3:9] == TRUE_HOURS[3:9]
    await road.send(rows(counts, away))
    hourly = [Decimal(one) for one in (100, 100, 100, 0, 0, 150, 150, 150, 150, 100, 100, 100)]
    await assert_true(road, hourly=hourly)


async def test_the_counter_rolls_over(pool: Pool) -> None:
    road = await begin(pool)
    counts = {n: count % 1_000_000 for n, count in running(999_400).items()}
    assert counts[12 * HOUR] == 600
    await live(road, counts, counts)
    await assert_true(road)
    told = await flags(road)
    assert [n for n, words in enumerate(told) if "rollover" in words] == [5]


async def test_the_counter_rolls_over_while_the_link_is_out(pool: Pool) -> None:
    road = await begin(pool)
    counts = {n: count % 1_000_000 for n, count in running(999_400).items()}
    away = range(3 * HOUR + 1, 9 * HOUR)
    await live(road, counts, [n for n in counts if n not in away])
    await assert_true(road)


SWAPPED = (
    RATED + '\nexchange = [{ at = 2026-11-19T21:30:00Z, closing = "500550", opening = "600000" }]'
)


def exchanged() -> Counts:
    """Return counts of a meter that is swapped at half past five for one that shows 600,000."""
    at = 22  # quarters
    return {n: count if n < at else 600_000 + (n - at) * 25 for n, count in running().items()}


async def test_the_meter_is_swapped_and_the_exchange_was_declared(pool: Pool) -> None:
    road, counts = await begin(pool, SWAPPED), exchanged()
    await live(road, counts, counts)
    await assert_true(road)
    assert [n for n, words in enumerate(await flags(road)) if "exchange" in words] == [5]


async def test_the_meter_is_swapped_and_the_exchange_is_declared_weeks_later(pool: Pool) -> None:
    road, counts = await begin(pool), exchanged()
    await live(road, counts, counts)
    # Until then the step is held: the quarter is unknown, never 99,475 kWh and never zero.
    whole = await day(road)
    assert Decimal(whole["energy"]["value"]) == DAY - 25
    assert "implausible" in whole["flags"]
    assert whole["completeness"] == round(47 / 96, 6)
    road.now += timedelta(days=21)
    await road.declare(declared(SWAPPED))
    await assert_true(road)
    assert "implausible" not in (await day(road))["flags"]


async def test_the_real_load_is_above_what_was_thought_plausible(pool: Pool) -> None:
    road, counts = await begin(pool), running(kwh_per_h=160)
    await live(road, counts, counts)
    await assert_true(road, Decimal(1_920), [Decimal(160)] * 12)


async def test_a_load_that_no_declaration_allows_is_unknown_until_it_is_confirmed(
    pool: Pool,
) -> None:
    road, counts = await begin(pool, "rated_power_kw = 125"), running(kwh_per_h=160)
    await live(road, counts, counts)
    # 40 kWh a quarter with one count to spare: 1.2 x 125 kW allows 38.5.
    assert await energies(road) == [None] * 12
    whole = await day(road)
    assert (whole["energy"]["value"], whole["intensity"]["value"]) == (None, None)
    assert "implausible" in whole["flags"]
    await road.confirm(POINT, [to_us(START) + n * QUARTER_US for n in counts])
    await assert_true(road, Decimal(1_920), [Decimal(160)] * 12)
    assert "confirmed" in (await day(road))["flags"]


async def test_a_load_that_no_declaration_allowed_counts_once_the_declaration_is_right(
    pool: Pool,
) -> None:
    road, counts = await begin(pool, "rated_power_kw = 125"), running(kwh_per_h=160)
    await live(road, counts, counts)
    await road.declare(declared("rated_power_kw = 160"))
    await assert_true(road, Decimal(1_920), [Decimal(160)] * 12)
