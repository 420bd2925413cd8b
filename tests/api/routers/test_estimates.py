"""Promises of estimates and batches: from stored readings, slots and facts to the answer."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio

from api.estimate_schemas import BatchItem, EstimatesItem
from api.schemas import Page
from core import output as facts
from core import plant
from core.clock import from_us, to_us
from store import batches, estimates, plants, readings
from store.readings import Rows
from tests.api.world import NOW, POTLINE, bearer

if TYPE_CHECKING:
    import httpx
    from psycopg import AsyncConnection

    from store.connection import Pool

START = datetime.fromisoformat("2026-11-18T00:00:00+08:00")
DAYS = 3
LINE, POT, FURNACE, KILN = (f"qh-ee.{name}" for name in ("line-1", "pot-1", "furnace-1", "kiln-1"))
PLANT = """
[site.qh-ee]
name = { zh = "估算厂", en = "Estimated" }
jurisdiction = "cn-qh"
[site.qh-ee.unit.line-1]
name = { zh = "系列", en = "Line" }
kind = "potline"
indicators = ["al.liquid.ac"]
output_accuracy_percent = "0.4"
pots = [{ from = 2026-01-01T00:00:00Z, value = "288" }]
[site.qh-ee.unit.line-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.3"
[site.qh-ee.unit.line-1.point.current]
kind = "gauge"
unit = "A"
role = "line-current"
accuracy_percent = "0.3"
[site.qh-ee.unit.line-1.point.voltage]
kind = "gauge"
unit = "V"
role = "line-voltage"
[site.qh-ee.unit.pot-1]
name = { zh = "槽", en = "Pot" }
kind = "pot"
parent = "line-1"
[site.qh-ee.unit.pot-1.point.voltage]
kind = "gauge"
unit = "mV"
role = "cell-voltage"
[site.qh-ee.unit.furnace-1]
name = { zh = "炉", en = "Furnace" }
kind = "submerged_arc_furnace"
product = "ferrosilicon"
indicators = ["fesi.smelting"]
output_accuracy_percent = "0.4"
sampling_accuracy_percent = "0"
[site.qh-ee.unit.furnace-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "MWh"
accuracy_percent = "0.3"
[site.qh-ee.unit.kiln-1]
name = { zh = "窑", en = "Kiln" }
kind = "kiln"
product = "clinker"
indicators = ["clinker.coal"]
output_accuracy_percent = "0.5"
[site.qh-ee.unit.kiln-1.point.coal]
kind = "counter"
carrier = "raw_coal"
unit = "kg"
accuracy_percent = "0.5"
"""
DAY = {"from": "2026-11-19T00:00:00+08:00", "to": "2026-11-20T00:00:00+08:00"}
LINE_KA, CELL_V, PER_T = 400, Fraction("3.95"), Fraction("0.3356") / 1000
METAL_T_PER_H = LINE_KA * 288 * PER_T * Fraction("0.94")


async def slots(connection: AsyncConnection[Any], point: int, energy_e6: int) -> None:
    """Book the same energy in every slot of the days, wholly measured."""
    await connection.execute(
        "insert into slot_energy select %s, s, %s, 0, 900000000, 0, %s from"
        " generate_series(%s, %s - interval '15 minutes', interval '15 minutes') s",
        (point, energy_e6, NOW, START, START + timedelta(days=DAYS)),
    )


async def gauge(connection: AsyncConnection[Any], point: int, value: float) -> None:
    """Store a reading each ten minutes."""
    ts_us = to_us(START) + np.arange(DAYS * 144 + 1) * 600_000_000
    size = len(ts_us)
    rows = Rows(np.full(size, point), ts_us, np.full(size, value), np.zeros(size, np.int16))
    await readings.write(connection, rows, NOW, None, np.zeros(1_000, np.int64))


async def store(connection: AsyncConnection[Any], *given: dict[str, Any]) -> None:
    """Store facts as they are written: checked first, in their columns after."""
    rows = [facts.from_data(one, to_us(NOW)) for one in given]
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "insert into output_fact (site, id, revision, unit, kind, at, mass_e6, grades, source,"
            " recorded_at, stream) values (%s, %s, 0, %s, %s, %s, %s, %s, 'scale', %s, %s)",
            [
                (one.site, one.id, one.unit, one.kind, from_us(one.at_us), one.mass_e6,
                 json.dumps(one.grades), NOW, one.stream)
                for one in rows
            ],
        )  # fmt: skip


def fact(unit: str, minute: int, mass_t: Fraction, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{unit}-{minute}-{more.get('kind', 'tapping')}",
        "unit": unit,
        "kind": "tapping",
        "at": (START + timedelta(minutes=minute)).isoformat(),
        "mass_t": f"{float(mass_t):.3f}",
    } | more


@pytest_asyncio.fixture
async def works(pool: Pool, tokens: dict[str, str]) -> dict[str, str]:
    """Store a line of 12,777 kWh/t, a furnace of 8,000 tapped as it comes, a kiln at work."""
    async with pool.connection() as connection:
        await plants.apply(connection, plant.parse(PLANT, "plant.toml"), START)
        ids = (await plants.load(connection)).ids
        ac_kw = LINE_KA * CELL_V * 288 / Fraction("0.98")
        await slots(connection, ids[f"{LINE}.ac"], round(ac_kw * 250_000))
        await slots(connection, ids[f"{FURNACE}.ac"], 6_000_000)
        await slots(connection, ids[f"{KILN}.coal"], 6_625_000_000)
        await gauge(connection, ids[f"{LINE}.current"], LINE_KA * 1000.0)
        await gauge(connection, ids[f"{LINE}.voltage"], float(CELL_V * 288))
        await gauge(connection, ids[f"{POT}.voltage"], 4_050.0)
        hours = range(DAYS * 24)
        hauls = [fact(LINE, hour * 60 + 30, METAL_T_PER_H) for hour in hours]
        burnt = [fact(KILN, hour * 60 + 59, Fraction(182), kind="weighing") for hour in hours]
        pauses = [90, 210, 75, 180, 100, 225, 120, 80]
        minutes = [0]
        while minutes[-1] < DAYS * 1440 - 240:
            minutes.append(minutes[-1] + pauses[len(minutes) % len(pauses)])
        taps = [
            fact(FURNACE, minute, Fraction(minute - before, 60) * 3, grades={"Si": "0.75"})
            for before, minute in pairwise([-100, *minutes])
        ]
        await store(connection, *hauls, *burnt, *taps)
    return tokens


async def ask(
    client: httpx.AsyncClient, secret: str, path: str, **params: Any
) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/v1/units/{path}", params=params, headers=bearer(secret))
    assert answer.status_code == 200, answer.text
    model = Page[BatchItem] if path.endswith("batches") else Page[EstimatesItem]
    model.model_validate_json(answer.content)
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def one_day(client: httpx.AsyncClient, secret: str, unit: str) -> dict[str, dict[str, Any]]:
    (item,) = await ask(client, secret, f"{unit}/estimates", **DAY)
    return {one["estimate"]: one for one in item["estimates"]}


async def test_a_potline_s_day_is_estimated_from_its_current_and_voltage(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    found = await one_day(client, works["admin"], LINE)
    shown = {name: one["value"] and round(float(one["value"]), 1) for name, one in found.items()}
    assert shown == {
        "al.faraday.metal": 872.2,
        "al.faraday.dc": 12_521.2,
        "al.faraday.ac": 12_776.8,
        "al.current_efficiency.charge": 94.0,
        "al.current_efficiency.energy": 94.0,
        "batch_matched": 12_776.9,  # of hauls weighed to the kilogram
    }
    assert {one["coverage"] for one in found.values()} == {1.0}
    assert {one["mark"] for one in found.values()} == {"estimate"}
    assert {tuple(one["flags"]) for one in found.values()} == {()}
    metal = found["al.faraday.metal"]
    assert metal["inputs"]["charge_kah"] == "2764800"
    assert metal["uncertainty_lacks"] == ["current_efficiency"]
    assert metal["assumed"] == [{"name": "current_efficiency", "value": "0.94", "declared": False}]
    assert found["batch_matched"]["uncertainty_lacks"] == ["holdup"]
    assert found["al.faraday.dc"]["uncertainty_lacks"] == [
        f"accuracy of {LINE}.voltage",
        "current_efficiency",
    ]


async def test_nothing_of_the_law_stands_beside_an_estimate(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    for unit in (LINE, FURNACE, KILN):
        for path in ("estimates", "batches"):
            answer = await client.get(
                f"/api/v1/units/{unit}/{path}", params=DAY, headers=bearer(works["admin"])
            )
            assert "verdict" not in answer.text
            assert "limit" not in answer.text


async def test_a_pot_takes_its_line_s_current_and_its_own_voltage(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    found = await one_day(client, works["admin"], POT)
    assert set(found) == {"al.faraday.metal", "al.faraday.dc", "al.faraday.ac"}
    assert round(float(found["al.faraday.metal"]["value"]), 2) == 3.03
    assert found["al.faraday.dc"]["inputs"]["cell_voltage_v"] == "4.05"


async def test_surveys_of_the_metal_in_the_pots_make_the_uncertainty_known(
    client: httpx.AsyncClient, works: dict[str, str], pool: Pool
) -> None:
    async with pool.connection() as connection:
        found = [
            fact(LINE, minute, Fraction(2_000), kind="stock", stream="metal_in_pots")
            for minute in (30, 4 * 60 + 1440 * 2 + 30)
        ]
        await store(connection, *found)
    matched = (await one_day(client, works["admin"], LINE))["batch_matched"]
    assert matched["inputs"]["holdup"] == "interpolated"
    # Of 0.3 and 0.4 percent: twice 0.5.
    assert float(matched["uncertainty"]) == pytest.approx(127.77, abs=0.01)


async def test_a_furnace_looks_steady_however_it_is_tapped(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    found = await one_day(client, works["admin"], FURNACE)
    assert found["batch_matched"]["value"] == "8000"
    assert found["batch_matched"]["coverage"] == 1.0
    assert found["tap_to_tap"]["value"] == "8000"
    assert found["tap_to_tap"]["inputs"]["taps"] >= 8
    most = found["ferrosilicon.output_at_most"]
    assert (most["sense"], round(float(most["value"]), 3)) == ("at_most", 82.286)
    assert found["batch_matched"]["uncertainty_lacks"] == []
    assert float(found["batch_matched"]["uncertainty"]) > 800
    clock = await client.get(
        f"/api/v1/units/{FURNACE}/intensity",
        params=DAY | {"period": "slot"},
        headers=bearer(works["admin"]),
    )
    assert clock.status_code == 200


async def test_a_day_says_the_same_in_every_range_that_holds_it(
    client: httpx.AsyncClient, works: dict[str, str], pool: Pool
) -> None:
    async with pool.connection() as connection:
        more = {"kind": "stock", "stream": "metal_held", "grades": {"Si": "0.75"}}
        held = ((200, 9), (1_700, 12), (3_300, 8))
        await store(connection, *(fact(FURNACE, at, Fraction(t), **more) for at, t in held))
    for unit in (LINE, FURNACE, KILN):
        (alone,) = await ask(client, works["admin"], f"{unit}/estimates", **DAY)
        days = await ask(client, works["admin"], f"{unit}/estimates", **{"from": START.isoformat()})
        assert days[1] == alone
        hours = await ask(client, works["admin"], f"{unit}/batches", **DAY)
        every = await ask(client, works["admin"], f"{unit}/batches", **{"from": START.isoformat()})
        assert hours == [one for one in every if one in hours]
        assert len(hours) > 5


async def test_batches_name_energy_mass_grade_and_intensity_of_every_tap(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    found = await ask(client, works["admin"], f"{FURNACE}/batches", **DAY)
    assert {one["intensity"]["value"] for one in found} == {"8000"}
    assert [one["start"] for one in found[1:]] == [one["end"] for one in found[:-1]]
    first = found[0]
    assert first["facts"] == [first["facts"][0]]
    assert first["grade"] == {"name": "Si", "value": "0.75"}
    assert first["energy"]["unit"] == "kWh"
    assert first["mass"] == first["output"] == first["made"]
    assert first["holdup"] == "unknown"
    assert {one["moving_mean"]["value"] for one in found} == {"8000"}
    assert {one["moving_mean"]["taps"] for one in found} == {8}
    energy = sum(Fraction(one["energy"]["value"]) for one in found)
    mass = sum(Fraction(one["mass"]["value"]) for one in found)
    assert energy == 8_000 * mass


async def test_pages_of_batches_follow_one_another(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    whole = await ask(client, works["admin"], f"{FURNACE}/batches", **DAY)
    params: dict[str, Any] = DAY | {"limit": 4}
    paged: list[dict[str, Any]] = []
    while True:
        answer = await client.get(
            f"/api/v1/units/{FURNACE}/batches", params=params, headers=bearer(works["admin"])
        )
        paged += answer.json()["items"]
        if answer.json()["next"] is None:
            break
        params["cursor"] = answer.json()["next"]
    assert paged == whole


async def test_a_kiln_s_heat_is_that_of_its_fuel(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    found = await one_day(client, works["admin"], KILN)
    heat = Fraction("0.7143") * Fraction("29307.6") * 26_500 / 182_000
    assert float(found["clinker.heat"]["value"]) == pytest.approx(float(heat))
    assert float(found["clinker.output_at_most"]["value"]) == pytest.approx(
        float(heat * 182 * 24 / 2_700)
    )
    assert found["clinker.heat"]["flags"] == []
    assert float(found["clinker.heat"]["uncertainty"]) == pytest.approx(
        float(heat) * 0.0141421, 1e-4
    )


async def test_what_is_not_metered_is_unknown_and_says_what_for(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    found = await one_day(client, tokens["operator"], POTLINE)
    metal = found["al.faraday.metal"]
    assert (metal["value"], metal["missing"]) == (None, ["line_current"])
    assert found["al.faraday.dc"]["missing"] == ["cell_voltage"]
    assert found["batch_matched"]["value"] is None
    assert found["batch_matched"]["missing"] == ["taps"]


async def test_an_open_day_is_told_as_far_as_it_has_gone(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    """Noon of the 21st: readings end with the 20th, so that nothing of the day is covered."""
    (item,) = await ask(
        client, works["admin"], f"{LINE}/estimates", **{"from": "2026-11-21T00:00:00+08:00"}
    )
    assert item["closed"] is False
    assert {one["value"] for one in item["estimates"]} == {None}
    assert {one["coverage"] for one in item["estimates"]} == {0.0}


async def test_a_question_that_reads_too_much_is_refused_in_one_sentence(
    client: httpx.AsyncClient, works: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, path in (
        (estimates, "MOST_READINGS", f"{LINE}/estimates"),
        (batches, "MOST_SLOTS", f"{FURNACE}/batches"),
        (batches, "MOST_FACTS", f"{FURNACE}/batches"),
    ):
        with monkeypatch.context() as bounded:
            bounded.setattr(module, name, 10)
            answer = await client.get(
                f"/api/v1/units/{path}", params=DAY, headers=bearer(works["admin"])
            )
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:danhao:problem:too-much"
        assert "shorter" in answer.json()["detail"]


async def test_role_and_scope_are_those_of_figures(
    client: httpx.AsyncClient, works: dict[str, str]
) -> None:
    for path in ("estimates", "batches"):
        stranger = await client.get(f"/api/v1/units/{LINE}/{path}")
        foreign = await client.get(
            f"/api/v1/units/{LINE}/{path}", headers=bearer(works["operator"])
        )
        unknown = await client.get(
            f"/api/v1/units/qh-ee.none/{path}", headers=bearer(works["admin"])
        )
        assert [one.status_code for one in (stranger, foreign, unknown)] == [401, 403, 404]


@pytest.mark.parametrize(
    ("path", "params", "parameter"),
    [
        (f"{POTLINE}/estimates", {"period": "slot"}, "period"),
        (f"{POTLINE}/estimates", {"from": "yesterday"}, "from"),
        (f"{POTLINE}/batches", {"indicator": "none"}, "indicator"),
        (f"{POTLINE}/batches", {"indicator": "steel.dust"}, "indicator"),
        ("gh-al.pot-1/batches", {}, "indicator"),
    ],
)
async def test_a_wrong_parameter_is_named(
    client: httpx.AsyncClient,
    tokens: dict[str, str],
    path: str,
    params: dict[str, str],
    parameter: str,
) -> None:
    answer = await client.get(
        f"/api/v1/units/{path}", params=params, headers=bearer(tokens["operator"])
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == parameter


async def test_a_slot_that_is_not_wholly_known_leaves_its_batch_out(
    client: httpx.AsyncClient, works: dict[str, str], pool: Pool
) -> None:
    async with pool.connection() as connection:
        ids = (await plants.load(connection)).ids
        await connection.execute(
            "update slot_energy set measured_us = 450000000 where point_id = %s"
            " and slot_start = %s",
            (ids[f"{FURNACE}.ac"], START + timedelta(days=1, hours=6)),
        )
    found = await ask(client, works["admin"], f"{FURNACE}/batches", **DAY)
    assert [one["energy"]["value"] for one in found].count(None) == 1
    day = (await one_day(client, works["admin"], FURNACE))["batch_matched"]
    assert (day["value"], day["inputs"]["left_out"]) == ("8000", 1)
    assert 0.8 < day["coverage"] < 1
