"""Promises of an excess from a real store: the law's figure, split; limits that move; no past."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core import indicators, limits, output, periods, plant
from core.baseline import Way
from core.clock import from_us, to_us
from core.errors import Rejected
from core.openslots import SlotRows
from core.periods import SLOT_US, Period
from store import excesses, figures, plants, slots
from store import output as facts
from store.excesses import Question

if TYPE_CHECKING:
    from store.connection import Pool
    from store.excesses import Explained

ZONE = "Asia/Shanghai"
NOW = datetime(2026, 11, 2, tzinfo=UTC)
DAY_US = 96 * SLOT_US
PLANT = """
[site.s]
name = {{ zh = "厂", en = "Works" }}
jurisdiction = "cn-qh"
altitude_m = 2400
[site.s.unit.u]
name = {{ zh = "一号炉", en = "Furnace 1" }}
kind = "submerged_arc_furnace"
indicators = ["fesi.smelting", "fesi.comprehensive", "al.ingot.ac_comprehensive"]
output_accuracy_percent = "0.4"
sampling_accuracy_percent = "0.2"
{unit}
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
[site.s.unit.u.point.coke]
kind = "counter"
carrier = "coke"
unit = "kg"
accuracy_percent = "0.5"
[site.s.unit.u.point.fans]
kind = "counter"
carrier = "electricity"
unit = "kWh"
role = "auxiliary"
accuracy_percent = "0.35"
"""
DECLARED = """
fixed_share = [{ from = 2026-01-01T00:00:00Z, value = "0.2" }]
grade_response = [{ from = 2026-01-01T00:00:00Z, value = "0.6" }]
ore_grade = [{ from = 2026-01-01T00:00:00Z, value = "0.98" }]
"""


@dataclass
class Furnace:
    """Days of a furnace: its power, the hours it stands, what it taps, slots that are lost."""

    unit: str = DECLARED
    power_kw: dict[str, float] = field(default_factory=dict)  # by month
    still_h: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    grade: dict[str, str] = field(default_factory=dict)
    months: tuple[str, ...] = ("2026-07", "2026-08", "2026-09", "2026-10")
    until: datetime = NOW


async def fill(pool: Pool, furnace: Furnace) -> plants.Loaded:
    """Store the furnace's slots and taps."""
    async with pool.connection() as link:
        parsed = plant.parse(PLANT.format(unit=furnace.unit), "plant.toml")
        await plants.apply(link, parsed, NOW)
        loaded = await plants.load(link)
        for month in furnace.months:
            begin, end = periods.parse_month(month, ZONE)
            end = min(end, to_us(furnace.until))
            await _slots(link, loaded, furnace, month, (begin, end))
            for day in range(begin, end, DAY_US):
                await _tap(link, furnace, month, day)
    return loaded


async def _slots(
    link: Any, loaded: plants.Loaded, furnace: Furnace, month: str, bound: tuple[int, int]
) -> None:
    starts = np.arange(*bound, SLOT_US, dtype=np.int64)
    power = np.full(len(starts), furnace.power_kw.get(month, 27_000.0))
    power[100 : 100 + 4 * furnace.still_h.get(month, 0)] = 500.0
    lost = np.zeros(len(starts), np.bool_)
    lost[-200 : -200 + furnace.lost.get(month, 0)] = True
    for key, share, gone in (("ac", 1.0, lost), ("coke", 0.4, ~np.ones_like(lost)),
                             ("fans", 0.0, ~np.ones_like(lost))):  # fmt: skip
        kw = power * share if share else np.full(len(starts), 900.0)
        energy = np.rint(kw / 4 * 1e6).astype(np.int64)
        await slots.write(
            link,
            SlotRows(
                np.full(len(starts), loaded.ids[f"s.u.{key}"], np.int64),
                starts,
                np.where(gone, 0, energy),
                ~gone,
                np.zeros_like(starts),
                np.where(gone, 0, SLOT_US),
                np.zeros_like(starts),
            ),
            NOW,
        )


async def _tap(link: Any, furnace: Furnace, month: str, day_us: int) -> None:
    await facts.write(
        link,
        output.from_data(
            {
                "id": f"tap-{day_us}",
                "unit": "s.u",
                "kind": "tapping",
                "at": from_us(day_us + DAY_US // 4).isoformat(),
                "mass_t": "79.125",
                "grades": {"Si": furnace.grade.get(month, "0.752")},
            },
            to_us(NOW),
        ),
        "scale",
        NOW,
    )


async def ask(
    pool: Pool,
    loaded: plants.Loaded,
    indicator: str = "fesi.smelting",
    month: str = "2026-10",
    limit: str | None = None,
    way: Way = Way.MEDIAN,
) -> Explained:
    """Ask why a month is over."""
    asked = Question(
        loaded.plant.units["s.u"],
        indicators.find(indicator),
        Period.MONTH,
        periods.parse_month(month, ZONE),
        None if limit is None else limits.find(limit),
        way,
    )
    async with pool.connection() as link:
        return await excesses.of_period(link, loaded.plant, loaded.ids, asked, NOW)


def causes(explained: Explained) -> dict[str, Fraction | None]:
    """Return the printed amounts, which must sum to the printed excess."""
    item = explained.item()
    rows = {one["cause"]: one["value"] for one in item["parts"]}
    told = [Fraction(one) for one in rows.values() if one is not None]
    if item["remainder"] is not None:
        told.append(Fraction(item["remainder"]["value"]))
    assert sum(told) == Fraction(item["excess"]["value"])
    return {key: None if one is None else Fraction(one) for key, one in rows.items()}


@pytest.mark.parametrize("indicator", ["fesi.smelting", "fesi.comprehensive"])
async def test_energy_output_and_verdict_are_those_of_the_laws_figure(
    pool: Pool, indicator: str
) -> None:
    loaded = await fill(pool, Furnace(still_h={"2026-10": 50}, lost={"2026-10": 40}))
    explained = await ask(pool, loaded, indicator)
    async with pool.connection() as link:
        (law,) = await figures.compute(
            link,
            loaded.plant,
            loaded.ids,
            loaded.plant.units["s.u"],
            indicators.find(indicator),
            [periods.parse_month("2026-10", ZONE)],
            NOW,
        )
    item = explained.item()
    for key in ("energy", "output", "intensity", "completeness"):
        assert item[key] == law[key]
    judged = [one for one in law["verdicts"] if one["verdict"] != "not_applicable"]
    assert len(judged) >= 3
    for one in judged:
        against = (await ask(pool, loaded, indicator, limit=one["limit"])).item()
        assert against["verdict"] == one["verdict"]
        assert against["limit"]["value"] == one["limit_value"]
        assert against["parts"] is not None
    assert causes(explained)["stoppage"] == _idle(indicator)


def _idle(indicator: str) -> Fraction:
    if indicator == "fesi.smelting":
        return Fraction(50 * 500)
    return (50 * 500 + 50 * 900) * Fraction("0.1229") + 50 * 200 * Fraction("0.9714")


async def test_a_month_like_the_others_is_over_by_its_reference_alone(pool: Pool) -> None:
    loaded = await fill(pool, Furnace())
    found = causes(await ask(pool, loaded))
    assert {key for key, amount in found.items() if amount} == {"reference"}


async def test_a_stoppage_and_lost_energy_are_told_apart(pool: Pool) -> None:
    loaded = await fill(pool, Furnace(still_h={"2026-10": 48}, lost={"2026-10": 96}))
    found = causes(await ask(pool, loaded))
    assert found["stoppage"] == 48 * 500
    assert found["doubt"] == -24 * 27_000
    # The taps went on as before: each tonne took fewer hours.
    assert found["mix"] == 0
    assert found["rate"] is not None
    assert found["rate"] < 0


async def test_the_limit_moves_with_the_ore_and_the_split_follows_it(pool: Pool) -> None:
    richer = DECLARED.replace('value = "0.98"', 'value = "0.95"')
    loaded = await fill(pool, Furnace(unit=richer))
    item = (await ask(pool, loaded, limit="cn.fesi.smelting.gb21341-2022.level-3")).item()
    assert item["limit"]["own_value"] == "8400"
    assert item["limit"]["value"] == "8520"
    over = Fraction(item["energy"]["value"]) - 8520 * Fraction(item["output"]["value"])
    assert abs(over - Fraction(item["excess"]["value"])) < Fraction(1, 100)


async def test_a_limit_whose_inputs_nobody_declared_gives_no_split_and_says_what_lacks(
    pool: Pool,
) -> None:
    loaded = await fill(pool, Furnace(unit="", months=("2026-09", "2026-10")))
    item = (await ask(pool, loaded, limit="cn.fesi.smelting.gb21341-2022.level-3")).item()
    assert item["limit"]["value"] is None
    assert item["limit"]["missing"] == ["ore_grade"]
    assert item["parts"] is item["excess"] is item["sentence"] is None
    # Left to choose it takes one that can be told.
    assert (await ask(pool, loaded)).item()["limit"]["value"] is not None


async def test_a_first_month_has_no_reference_and_names_the_remainder(pool: Pool) -> None:
    loaded = await fill(pool, Furnace(months=("2026-10",), still_h={"2026-10": 20}))
    explained = await ask(pool, loaded)
    found = causes(explained)
    assert found["stoppage"] == 20 * 500
    item = explained.item()
    assert item["reference"] is None
    assert item["remainder"]["why"] == ["no_reference"]
    assert len(item["remainder"]["causes"]) == 8


async def test_shares_that_are_not_declared_and_cannot_be_derived_are_unknown(pool: Pool) -> None:
    slow = Furnace(unit="", power_kw={"2026-10": 24_000.0}, grade={"2026-10": "0.741"})
    loaded = await fill(pool, slow)
    item = (await ask(pool, loaded)).item()
    assert item["remainder"]["causes"] == ["rate", "mix", "process"]
    assert item["remainder"]["why"] == ["grade_response_unknown", "fixed_share_unknown"]
    assert [one["origin"] for one in item["reference"]["shares"]] == ["unknown", "unknown"]


async def test_the_best_month_is_another_reference_and_the_excess_is_the_same(pool: Pool) -> None:
    power = {"2026-07": 26_500.0, "2026-08": 27_000.0, "2026-09": 27_500.0, "2026-10": 28_000.0}
    loaded = await fill(pool, Furnace(power_kw=power))
    best, median = (await ask(pool, loaded, way=Way.BEST)), (await ask(pool, loaded))
    assert best.item()["reference"]["period_start"] == "2026-07-01T00:00:00+08:00"
    assert median.item()["reference"]["period_start"] == "2026-08-01T00:00:00+08:00"
    assert best.item()["excess"] == median.item()["excess"]
    assert causes(best) != causes(median)


async def test_an_open_month_is_split_as_far_as_it_has_come(pool: Pool) -> None:
    loaded = await fill(pool, Furnace(months=("2026-09", "2026-10", "2026-11")))
    explained = await ask(pool, loaded, month="2026-11")
    item = explained.item()
    assert item["closed"] is False
    assert item["time"] == {"working_h": "32", "idle_h": "0", "doubtful_h": "0"}
    assert causes(explained)["doubt"] == 0


async def test_an_open_month_that_counts_stock_is_split_up_to_where_it_was_last_taken(
    pool: Pool,
) -> None:
    """Else the energy of today would stand against yesterday's metal, unlike the law's figure."""
    months = ("2026-08", "2026-09", "2026-10", "2026-11")
    loaded = await fill(pool, Furnace(unit='output_by = "pots"', months=months))
    bound = periods.parse_month("2026-11", ZONE)
    async with pool.connection() as link:
        for at_us in (bound[0], bound[0] + 18 * 4 * SLOT_US):
            await facts.write(link, _stock(at_us), "scale", NOW)
        (law,) = await figures.compute(
            link,
            loaded.plant,
            loaded.ids,
            loaded.plant.units["s.u"],
            indicators.find("al.liquid.ac"),
            [bound],
            NOW,
        )
    explained = await ask(pool, loaded, "al.liquid.ac", "2026-11")
    item = explained.item()
    assert law["energy"]["value"] == str(18 * 27_000)
    for key in ("energy", "output", "intensity", "completeness"):
        assert item[key] == law[key]
    assert item["time"]["working_h"] == "18"
    causes(explained)


def _stock(at_us: int) -> output.OutputFact:
    data = {
        "id": f"stock-{at_us}",
        "unit": "s.u",
        "kind": "stock",
        "stream": "metal_in_pots",
        "at": from_us(at_us).isoformat(),
        "mass_t": "300",
    }
    return output.from_data(data, to_us(NOW))


async def test_without_output_there_is_a_head_and_no_split(pool: Pool) -> None:
    loaded = await fill(pool, Furnace(months=("2026-09",)))
    item = (await ask(pool, loaded, month="2026-10")).item()
    assert item["output"]["value"] is None
    assert item["parts"] is None


async def test_what_has_no_limit_or_no_energy_is_refused_with_a_reason(pool: Pool) -> None:
    loaded = await fill(pool, Furnace(months=("2026-10",)))
    with pytest.raises(Rejected, match="sets no upper limit"):
        await ask(pool, loaded, month="2016-01")
    with pytest.raises(Rejected, match=r"not of fesi\.smelting"):
        await ask(pool, loaded, limit="cn.fesi.comprehensive.gb21341-2022.level-1")
    with pytest.raises(Rejected, match="no energy to split"):
        await ask(pool, loaded, "ferroalloy.dust_concentration")


async def test_a_limit_that_begins_inside_a_month_is_held_against_its_part(pool: Pool) -> None:
    loaded = await fill(pool, Furnace(months=("2021-09", "2021-10")))
    limit = "cn.al.liquid.ac.ndrc-2021.baseline"
    explained = await ask(pool, loaded, "al.liquid.ac", "2021-10", limit)
    item = explained.item()
    assert item["part"] == {
        "from": "2021-10-18T00:00:00+08:00",
        "until": "2021-11-01T00:00:00+08:00",
    }
    assert item["output"]["value"] == "1107.75"
    assert item["time"]["working_h"] == "336"
    causes(explained)


async def test_where_no_month_qualifies_a_day_before_is_the_reference(pool: Pool) -> None:
    """A plant's second month: the first began on its last days."""
    loaded = await fill(pool, Furnace(months=("2026-10",), still_h={"2026-10": 20}))
    async with pool.connection() as link:
        bound = periods.parse_month("2026-09", ZONE)
        late = (bound[1] - 4 * DAY_US, bound[1])
        await _slots(link, loaded, Furnace(), "2026-09", late)
        for day in range(*late, DAY_US):
            await _tap(link, Furnace(), "2026-09", day)
    explained = await ask(pool, loaded)
    reference = explained.item()["reference"]
    assert (reference["period"], reference["of"]) == ("day", 4)
    assert reference["working_h"] == "24"
    found = causes(explained)
    assert found["stoppage"] == 20 * 500
    assert found["process"] is not None
    assert explained.item()["remainder"] is None
    assert "基准为 2026-09-" in explained.item()["sentence"]["zh"]
