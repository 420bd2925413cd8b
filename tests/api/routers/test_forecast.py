"""Promises of the forecast: from stored slots and facts to the answer, for every kind of figure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from api.forecast_schemas import ForecastItem
from core import indicators, ladder, limits, periods, plant
from core import output as booked
from core.clock import to_us
from core.periods import Period
from store import figures, output, plants, versions
from tests.api.routers.test_estimates import START as THEIRS
from tests.api.routers.test_estimates import fact, store
from tests.api.told import tell
from tests.api.world import NOW, ZONE, Clock, bearer
from tests.story import UNIT, seeded
from tests.story import plant as declared_anew

if TYPE_CHECKING:
    import httpx
    from psycopg import AsyncConnection

    from store.connection import Pool

START = datetime.fromisoformat("2026-10-22T00:00:00+08:00")
MONTH = datetime.fromisoformat("2026-11-01T00:00:00+08:00")
TODAY = datetime.fromisoformat("2026-11-21T00:00:00+08:00")
UNITS = ("line-1", "furnace-1", "kiln-1", "slag-1", "stack-1", "industry-1")
LINE, FURNACE, KILN, SLAG, STACK, INDUSTRY = (f"qh-fc.{name}" for name in UNITS)
PLANT = """
[site.qh-fc]
name = { zh = "预测厂", en = "Foreseen" }
jurisdiction = "cn-qh"
altitude_m = 2400
[site.qh-fc.unit.line-1]
name = { zh = "系列", en = "Line" }
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac_comprehensive", "al.liquid.ac"]
output_accuracy_percent = "0.2"
[site.qh-fc.unit.line-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.3"
[site.qh-fc.unit.line-1.point.fans]
kind = "counter"
carrier = "electricity"
unit = "MWh"
role = "auxiliary"
accuracy_percent = "0.5"
[site.qh-fc.unit.furnace-1]
name = { zh = "炉", en = "Furnace" }
kind = "submerged_arc_furnace"
product = "ferrosilicon"
indicators = ["fesi.smelting"]
output_accuracy_percent = "0.4"
sampling_accuracy_percent = "0.1"
ore_grade = [
    { from = 2026-10-22T00:00:00+08:00, value = "0.97" },
    { from = 2026-11-11T00:00:00+08:00, value = "0.99" },
]
[site.qh-fc.unit.furnace-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "MWh"
accuracy_percent = "0.3"
[site.qh-fc.unit.kiln-1]
name = { zh = "窑", en = "Kiln" }
kind = "kiln"
product = "clinker"
indicators = ["clinker.coal"]
output_accuracy_percent = "0.5"
[site.qh-fc.unit.kiln-1.point.coal]
kind = "counter"
carrier = "raw_coal"
unit = "kg"
accuracy_percent = "0.5"
[site.qh-fc.unit.slag-1]
name = { zh = "渣", en = "Slag" }
kind = "plant"
product = "smelting_slag"
indicators = ["steel.slag_use"]
[site.qh-fc.unit.stack-1]
name = { zh = "烟囱", en = "Stack" }
kind = "stack"
indicators = ["ferroalloy.dust_concentration"]
[site.qh-fc.unit.stack-1.point.dust]
kind = "gauge"
carrier = "dust_concentration"
unit = "mg/m3"
[site.qh-fc.unit.industry-1]
name = { zh = "工业", en = "Industry" }
kind = "industry"
product = "value_added"
indicators = ["industry.energy_per_value_added"]
"""
DAYS = (TODAY - START).days
AC_KWH, FANS_KWH, METAL_T = 11_000_000, 264_000, 840
TAPPED_T, FURNACE_KWH, COAL_KG, CLINKER_T = 78, 648_000, 640_000, 4_980


def swing(day: int, size: float) -> float:
    """Return a factor near 1 that differs from day to day, without a random number."""
    return 1 + size * math.sin(day * 2.3) + size / 2 * math.sin(day * 0.7)


async def book(connection: AsyncConnection[Any], point: int, by_day: list[float]) -> None:
    """Book the energy of each day in its slots, wholly measured."""
    await connection.execute(
        "insert into slot_energy select %s, d.at + n * interval '15 minutes', d.e6, 0, 900000000,"
        " 0, %s from unnest(%s::timestamptz[], %s::bigint[]) as d(at, e6),"
        " generate_series(0, 95) n",
        (
            point,
            NOW,
            [START + timedelta(days=day) for day in range(len(by_day))],
            [round(amount * 1_000_000 / 96) for amount in by_day],
        ),
    )


@pytest_asyncio.fixture
async def works(pool: Pool, tokens: dict[str, str]) -> dict[str, str]:
    """Store 51 days of a potline, a furnace and a kiln; October's days have their results."""
    async with pool.connection() as connection:
        await plants.apply(connection, plant.parse(PLANT, "plant.toml"), START)
        ids = (await plants.load(connection)).ids
        days = range(DAYS)
        await book(connection, ids[f"{LINE}.ac"], [AC_KWH * swing(d, 0.004) for d in days])
        await book(connection, ids[f"{LINE}.fans"], [FANS_KWH / 1000 for _ in days])
        furnace = [FURNACE_KWH / 1000 * swing(d, 0.02) for d in days]
        await book(connection, ids[f"{FURNACE}.ac"], furnace)
        await book(connection, ids[f"{KILN}.coal"], [COAL_KG * swing(d, 0.01) for d in days])
        noon = 720
        facts = [fact(LINE, day * 1440 + noon, Fraction(METAL_T)) for day in days]
        facts += [
            fact(FURNACE, d * 1440 + noon, Fraction(TAPPED_T * swing(d, 0.03)), grades=GRADES)
            for d in days
        ]
        facts += [
            fact(KILN, day * 1440 + noon, Fraction(CLINKER_T), kind="weighing") for day in days
        ]
        await book(connection, ids[f"{STACK}.dust"], [24 * (22.1 + d / 10) for d in days])
        for d in days:
            made = fact(SLAG, d * 1440, Fraction(100), kind="weighing", stream="smelting_slag")
            used = made | {"kind": "use", "mass_t": f"{94 + d % 3}", "id": f"used-{d}"}
            facts += [made, used]
        await store(connection, *[shifted(one) for one in facts])
        # Half a tonne of coal equivalent for a unit of value; in the base year it was 0.6.
        await account(connection, "base", datetime.fromisoformat("2020-07-01T00:00:00+08:00"), 600)
        for day in range((MONTH - START).days, DAYS):
            await account(connection, "day", START + timedelta(days=day), 500)
        await evaluate(connection, to_us(START), to_us(MONTH))
    return tokens


GRADES = {"Si": "0.76"}


def shifted(one: dict[str, Any]) -> dict[str, Any]:
    """Move a fact of the estimates' world, which begins elsewhere, to this one."""
    at = datetime.fromisoformat(one["at"]) - THEIRS + START
    return one | {"at": at.isoformat()}


async def evaluate(connection: AsyncConnection[Any], begin_us: int, end_us: int) -> None:
    """Store the day results of a span, as ingest does."""
    declared = await plants.load(connection)
    for unit in (LINE, FURNACE, KILN, SLAG, STACK, INDUSTRY):
        for indicator in declared.plant.units[unit].indicators:
            bounds = periods.periods_between(Period.DAY, begin_us, end_us, ZONE)
            found = await figures.compute(
                connection,
                declared.plant,
                declared.ids,
                declared.plant.units[unit],
                indicators.find(indicator),
                bounds,
                NOW,
            )
            for bound, item in zip(bounds, found, strict=True):
                await versions.write(connection, (unit, indicator, "day"), bound, item, NOW)


async def ask(client: httpx.AsyncClient, secret: str, unit: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(
        f"/api/v1/units/{unit}/forecast", params=params, headers=bearer(secret)
    )
    assert answer.status_code == 200, answer.text
    ForecastItem.model_validate_json(answer.content)
    item: dict[str, Any] = answer.json()
    return item


async def account(connection: AsyncConnection[Any], kind: str, at: datetime, used: int) -> None:
    """Store energy and value added of a day, or of the base year."""
    streams = (
        ("comprehensive_energy", "use", used, "tce"),
        ("value_added", "weighing", 1_000, "10k_cny"),
    )
    for stream, how, amount, unit in streams:
        told = {
            "id": f"{stream}-{at.isoformat()}",
            "unit": INDUSTRY,
            "kind": "base" if kind == "base" else how,
            "stream": stream,
            "at": at.isoformat(),
            "amount": str(amount),
            "amount_unit": unit,
        }
        await output.write(connection, booked.from_data(told, to_us(NOW)), "books", NOW)


def exact(text: str | None) -> Fraction:
    assert text is not None
    return Fraction(text)


def limit_of(item: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in item["limits"] if one["limit"] == name)
    return found


async def test_a_month_is_foreseen_from_its_days_and_its_figure_so_far(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    found = await ask(client, works["admin"], LINE)
    assert found["reasons"] == []
    assert (found["known_until"], found["days_known"]) == ("2026-11-21T00:00:00+08:00", 20)
    answer = await client.get(
        f"/api/v1/units/{LINE}/intensity",
        params={"period": "day", "from": MONTH.isoformat(), "to": TODAY.isoformat()},
        headers=bearer(works["admin"]),
    )
    assert answer.json()["items"] == [], "the days of the month had no stored figure"
    so_far = found["so_far"]
    assert exact(so_far["output"]["value"]) == 20 * METAL_T
    ratio = exact(so_far["energy"]["value"]) / (20 * METAL_T)
    assert abs(exact(so_far["intensity"]["value"]) - ratio) <= Fraction(1, 10**6)
    figure = found["forecast"]
    band = [float(figure[name]) for name in ("p2_5", "p10", "value", "p90", "p97_5")]
    assert band == sorted(band)
    assert band[-1] - band[0] < 40
    assert abs(band[2] - float(ratio)) < 20
    assert (found["ahead"]["by"], found["ahead"]["days"]) == ("pace", 10)
    assert float(found["ahead"]["output"]["value"]) == pytest.approx(10 * METAL_T)


async def test_headroom_is_what_one_computes_by_hand_from_what_is_printed(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    for unit in (LINE, FURNACE, KILN, SLAG):
        found = await ask(client, works["admin"], unit)
        used, made = (exact(found["so_far"][half]["value"]) for half in ("energy", "output"))
        coming = exact(found["ahead"]["output"]["value"])
        factor = 100 if unit == SLAG else 1
        kept = [one for one in found["limits"] if one["headroom"] is not None]
        assert kept, unit
        for one in kept:
            bound = exact(one["limit_value"]) / factor
            left = bound * (made + coming) - used
            # The limit and the halves are printed to a millionth each.
            slack = (made + coming) / 10**6 + Fraction(1, 10**5)
            assert abs(exact(one["headroom"]["energy"]) - left) <= slack
            assert abs(exact(one["headroom"]["value"]) - factor * left / coming) <= (
                factor * (slack / coming + Fraction(1, 10**5))
            )


async def test_a_limit_that_moves_stands_where_ore_past_and_to_come_put_it(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    found = await ask(client, works["admin"], FURNACE)
    one = limit_of(found, "cn.fesi.smelting.gb21341-2022.level-3")
    assert (one["own_value"], one["missing"]) == ("8400", [])
    # Ten days of ore of 97 % at 8,440, twenty of 99 % at 8,360, weighed by base tonnes.
    assert abs(exact(one["limit_value"]) - (8_440 + 2 * 8_360) / Fraction(3)) < 3
    assert one["outlook"] == "within"


async def test_a_lower_limit_mirrors_an_upper_one(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    found = await ask(client, works["admin"], SLAG)
    one = limit_of(found, "cn-qh.steel.slag_use.target-2020")
    assert (one["cmp"], one["limit_value"]) == (">=", "95")
    # 94, 95 and 96 of 100 in turn: a mean of 95, now just below and at the end just about.
    assert abs(exact(found["forecast"]["value"]) - 95) < Fraction(1, 5)
    assert 0.05 < one["chance_exceeds"] < 0.95
    assert one["outlook"] == "indeterminate"
    assert one["over_now"] == (exact(found["so_far"]["intensity"]["value"]) < 95)
    used = exact(found["so_far"]["energy"]["value"])
    assert exact(one["headroom"]["value"]) == (95 * 30 - used) * 100 / 1000
    assert "高于" not in found["sentence"]["zh"] or "不低于" in found["sentence"]["zh"]
    assert "stay above" in found["sentence"]["en"]


async def test_a_mean_over_time_is_foreseen_by_time(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    found = await ask(client, works["admin"], STACK)
    # A tenth of a mg/m3 more each day: 23.1 on the first of the month, 25 on the 20th.
    assert float(found["so_far"]["intensity"]["value"]) == pytest.approx(24.05, abs=0.01)
    assert float(found["forecast"]["value"]) == pytest.approx(24.55, abs=0.2)
    one = limit_of(found, "cn-qh.ferroalloy.dust_concentration.target-2020")
    # 20 days of 24.05 and 10 of h make 25: h = 26.9.
    assert float(one["headroom"]["value"]) == pytest.approx(26.9, abs=0.01)


async def test_a_change_against_a_base_year_is_foreseen_in_its_own_unit(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    found = await ask(client, works["admin"], INDUSTRY)
    assert float(found["forecast"]["value"]) == pytest.approx(100 * (0.5 / 0.6 - 1), abs=0.01)
    assert found["forecast"]["unit"] == "%"
    assert found["limits"] == [], "a path to a target is no limit"


async def test_the_stepped_price_is_that_of_the_figure_as_printed(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    found = await ask(client, works["admin"], LINE)
    cost, figure = found["cost"], exact(found["forecast"]["value"])
    assert (cost["step"]["value"], cost["step"]["mark"]) == ("13300", "from_memory")
    treads = math.ceil(max(Fraction(0), figure - 13_300) / 20)
    assert cost["treads"] == treads > 0
    made = exact(found["so_far"]["output"]["value"]) + exact(found["ahead"]["output"]["value"])
    assert abs(exact(cost["value"]) - Fraction(treads, 100) * figure * made) <= Fraction(1, 10**6)
    assert exact(cost["p10"]) <= exact(cost["value"]) <= exact(cost["p90"])
    assert exact(cost["falls_at"]) == 13_300 + 20 * (treads - 1)
    assert cost["indicative"] is True
    assert found["indicator"] == ladder.INDICATOR
    other = await ask(client, works["admin"], LINE, indicator="al.liquid.ac")
    assert other["cost"] is None, "the rule does not go by this figure"
    year = await ask(client, works["admin"], LINE, period="year")
    assert year["reasons"] == ["low_coverage"], "it was first metered in October"


async def test_a_plan_is_taken_for_what_will_be_made(
    client: httpx.AsyncClient, works: dict[str, str], pool: Pool
) -> None:
    async with pool.connection() as connection:
        text = PLANT.replace(
            'indicators = ["fesi.smelting"]',
            'indicators = ["fesi.smelting"]\n'
            'plan = [{ from = 2026-11-26T00:00:00+08:00, value = "0" }]',
        )
        await plants.apply(connection, plant.parse(text, "plant.toml"), NOW)
    goes_on = (await ask(client, works["admin"], LINE))["ahead"]
    found = (await ask(client, works["admin"], FURNACE))["ahead"]
    assert (goes_on["by"], found["by"]) == ("pace", "plan")
    # Five days as of late, then the planned stop.
    made = TAPPED_T * 76 / 75
    assert float(found["output"]["value"]) == pytest.approx(5 * made, rel=0.03)


async def test_the_first_days_of_a_month_tell_nothing_yet(
    client: httpx.AsyncClient, works: dict[str, str], clock: Clock
) -> None:
    for days in range(3):
        clock.now = MONTH + timedelta(days=days, hours=9)
        found = await ask(client, works["admin"], LINE)
        assert (found["reasons"], found["days_known"]) == (["too_few_days"], days)
        assert (found["forecast"], found["limits"], found["cost"]) == (None, [], None)
        assert "fewer than 3 days" in found["sentence"]["en"]
    clock.now = MONTH + timedelta(days=3, hours=9)
    assert (await ask(client, works["admin"], LINE))["reasons"] == []


async def test_too_little_measured_is_a_reason_and_no_figure(
    client: httpx.AsyncClient, works: dict[str, str], pool: Pool
) -> None:
    async with pool.connection() as connection:
        await connection.execute(
            "delete from slot_energy where point_id = (select point_id from point where point = %s)"
            " and slot_start >= %s and slot_start < %s",
            (f"{KILN}.coal", MONTH + timedelta(days=4), MONTH + timedelta(days=10)),
        )
    found = await ask(client, works["admin"], KILN)
    assert found["reasons"] == ["low_coverage"]
    assert found["so_far"]["completeness"] == 0.7
    assert found["forecast"] is None
    assert found["sentence"]["zh"] == "无预测：本期数据完整率低于 80%。"


async def test_weighings_that_come_late_are_waited_for(
    client: httpx.AsyncClient, works: dict[str, str], pool: Pool
) -> None:
    async with pool.connection() as connection:
        await connection.execute(
            "delete from output_fact where unit = %s and at >= %s",
            (KILN, TODAY - timedelta(days=2)),
        )
    found = await ask(client, works["admin"], KILN)
    assert found["known_until"] == "2026-11-19T00:00:00+08:00"
    assert found["reasons"] == []
    # Not coal without clinker: the figure goes on as if nothing were missing.
    assert float(found["forecast"]["value"]) == pytest.approx(91.8, abs=0.3)


async def test_a_period_other_than_a_month_or_a_year_is_refused(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    answer = await client.get(
        f"/api/v1/units/{LINE}/forecast", params={"period": "day"}, headers=bearer(works["admin"])
    )
    assert answer.status_code == 422
    assert "month or year" in answer.json()["detail"]


async def test_a_unit_outside_the_caller_s_scope_is_refused(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    path = f"/api/v1/units/{LINE}/forecast"
    assert (await client.get(path)).status_code == 401
    assert (await client.get(path, headers=bearer(works["regulator"]))).status_code == 403


async def test_a_forecast_s_month_so_far_is_the_law_s_own_figure(
    client: httpx.AsyncClient, works: dict[str, str], pool: Pool
) -> None:
    found = await ask(client, works["admin"], KILN)
    async with pool.connection() as connection:
        declared = await plants.load(connection)
        (law,) = await figures.compute(
            connection,
            declared.plant,
            declared.ids,
            declared.plant.units[KILN],
            indicators.find("clinker.coal"),
            [(to_us(MONTH), to_us(TODAY))],
            NOW,
        )
    assert {key: law[key] for key in ("energy", "output", "intensity")} == {
        key: found["so_far"][key] for key in ("energy", "output", "intensity")
    }
    held = {one["limit"] for one in found["limits"]}
    judged = {one["limit"] for one in law["verdicts"] if one["verdict"] != "not_applicable"}
    assert held == judged
    assert held <= {one.id for one in limits.of_indicator("clinker.coal")}


async def test_what_was_foreseen_is_foreseen_again_as_of_then(
    database_url: str, pool: Pool
) -> None:
    async with tell(database_url, pool) as told:
        story = told.story
        story.pass_time(timedelta(days=12))
        await story.record(story.steady(12 * 24))
        for day in range(12):
            await story.tap(f"t-{day}", story.now - timedelta(days=day, hours=3), f"{36 + day % 2}")
        await story.settle()
        asked = {"indicator": "fesi.smelting", "period": "month"}
        then = (await told.ask(f"units/{UNIT}/forecast", **asked)).json()
        assert then["reasons"] == []
        at = story.now
        story.pass_time(timedelta(days=2))
        await story.tap("t-9", at - timedelta(days=9, hours=3), "12", revision=1)
        await story.record(story.make(seeded(1), 40))
        await story.declare(declared_anew("7.25"))
        await story.settle()
        now = (await told.ask(f"units/{UNIT}/forecast", **asked)).json()
        again = (await told.ask(f"units/{UNIT}/forecast", as_of=at.isoformat(), **asked)).json()
    ForecastItem.model_validate(again)
    said = {"computed_at", "as_of"}
    assert {key: one for key, one in again.items() if key not in said} == {
        key: one for key, one in then.items() if key not in said
    }
    assert now["so_far"] != then["so_far"]
