"""Production facts on a real PostgreSQL: streams, units, stocks, samples, and what they make."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core import facts, indicators, plant
from core.clock import from_us, to_us
from core.facts import Span, Way
from core.output import KINDS, OutputFact
from store import asof, figures, output, plants
from tests.core import factbook

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from store.connection import Pool

START = datetime(2026, 9, 30, 16, tzinfo=UTC)  # 2026-10-01 in the plant
END = datetime(2026, 10, 31, 16, tzinfo=UTC)
NOW = datetime(2026, 11, 2, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
MONTH = [(to_us(START), to_us(END))]
UNIT = "s.u"
PLANT = """
[site.s]
name = { zh = "厂", en = "Works" }
jurisdiction = "cn-qh"
[site.s.unit.u]
name = { zh = "窑", en = "Kiln" }
kind = "kiln"
product = "clinker"
output_by = "survey"
accounts = { anthracite = "balance" }
indicators = ["clinker.comprehensive", "clinker.electricity", "steel.slag_use"]
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
[site.s.unit.u.point.coal]
kind = "counter"
carrier = "raw_coal"
unit = "kg"
"""
SLOTS = 31 * 96


async def declare(connection: AsyncConnection[Any]) -> plants.Loaded:
    """Declare the kiln; a kWh and a kilogram of coal in every slot of October."""
    known = indicators.computing()
    await plants.apply(connection, plant.parse(PLANT, "plant.toml", known), START)
    loaded = await plants.load(connection)
    for point in ("ac", "coal"):
        await connection.execute(
            "insert into slot_energy select %(p)s, %(a)s + n * interval '15 minutes', 1000000, 0,"
            " 900000000, 0, %(a)s from generate_series(0, %(n)s - 1) n",
            {"p": loaded.ids[f"{UNIT}.{point}"], "a": START, "n": SLOTS},
        )
    return loaded


async def book(connection: AsyncConnection[Any], *booked: OutputFact, at: datetime = NOW) -> None:
    for one in booked:
        await output.write(connection, one, "user:test", at)


async def compute(
    connection: AsyncConnection[Any], indicator: str, source: figures.Source | None = None
) -> dict[str, Any]:
    loaded = await plants.load(connection)
    asked = [figures.Asked(loaded.plant.units[UNIT], indicators.find(indicator), MONTH)]
    held = source or figures.Stored(connection, loaded.ids)
    return (await figures.compute_all(held, loaded.plant, asked, NOW))[0][0]


def fact(day: float, kind: str, amount: str, stream: str, **grades: str) -> OutputFact:
    return factbook.fact(START + timedelta(days=day), kind, amount, stream, None, **grades)


SURVEY = (
    fact(-1, "stock", "900", "clinker"),
    fact(30.5, "stock", "1100", "clinker"),
    fact(9, "shipment", "650", "clinker"),
    fact(12, "charge", "150", "clinker"),
)
COAL = (
    fact(-0.5, "stock", "30", "anthracite"),
    fact(30.9, "stock", "20", "anthracite"),
    fact(3, "receipt", "60", "anthracite", lhv_kj_per_kg="29307.6"),
    fact(20, "receipt", "20", "anthracite", lhv_kj_per_kg="14653.8"),
)


async def test_clinker_by_survey_coal_by_account_and_the_day_s_sample(pool: Pool) -> None:
    async with pool.connection() as connection:
        await declare(connection)
        await book(connection, *SURVEY, *COAL)
        await book(connection, fact(10.2, "charge", "1", "raw_coal", lhv_kj_per_kg="29307.6"))
        found = await compute(connection, "clinker.comprehensive")
    # 90 t of anthracite at (60 * 1 + 20 * 0.5) / 80; one day of coal at 1, thirty at the default.
    kgce = 90_000 * Fraction(7, 8) + 96 + (SLOTS - 96) * Fraction("0.7143")
    kgce += SLOTS * Fraction("0.1229")
    assert found["output"] == {"value": "1000", "unit": "t"}
    assert Fraction(found["energy"]["value"]) == kgce
    assert Fraction(found["intensity"]["value"]) == pytest.approx(kgce / 1000, abs=1e-6)
    account = found["inputs"]["accounts"]["anthracite"]
    assert (account["amount"], account["opening"]["amount"]) == ("90000", "30000")
    assert account["factors"][0]["value"] == "0.875"
    coal = found["inputs"]["points"][f"{UNIT}.coal"]["factors"]
    assert [(step["value"], step["energy"]) for step in coal] == [
        ("0.7143", "960"),
        ("1", "96"),
        ("0.7143", "1920"),
    ]


async def test_a_missing_stock_taking_makes_it_unknown_until_it_comes(pool: Pool) -> None:
    async with pool.connection() as connection:
        await declare(connection)
        await book(connection, *SURVEY[:1], *SURVEY[2:], *COAL)
        before = await compute(connection, "clinker.electricity")
        await book(connection, SURVEY[1], at=LATER)
        after = await compute(connection, "clinker.electricity")
        loaded = await plants.load(connection)
        then = await asof.known_at(connection, "s", loaded.ids, NOW + timedelta(hours=1))
        assert then is not None
        spans = indicators.find("clinker.electricity").output_by["survey"]
        scope = facts.Scope(UNIT, "clinker", *MONTH[0], "Asia/Shanghai")
        asked = [span for term in spans for span in facts.questions(term, scope, "t")]
        known = dict(zip(asked, await then.outputs(asked), strict=True))
    assert (before["output"]["value"], before["intensity"]["value"]) == (None, None)
    assert "stock_not_taken" in before["flags"]
    assert after["output"]["value"] == "1000"
    assert "stock_not_taken" not in after["flags"]
    assert facts.amount(spans[0], scope, "t", known).value is None


async def test_a_share_of_two_streams_and_a_unit_that_does_not_fit(pool: Pool) -> None:
    async with pool.connection() as connection:
        await declare(connection)
        await book(
            connection,
            fact(1, "use", "19", "smelting_slag"),
            fact(2, "weighing", "20", "smelting_slag"),
            fact(2, "weighing", "1000", "clinker"),
        )
        found = await compute(connection, "steel.slag_use")
        wrong = factbook.fact(START, "use", "5", "smelting_slag", "m3")
        await book(connection, wrong)
        other = await compute(connection, "steel.slag_use")
    assert found["intensity"] == {"value": "95", "unit": "%", "uncertainty": "0"}
    assert found["completeness"] == 1
    assert other["intensity"]["value"] is None
    assert "unit_unfit" in other["flags"]


async def test_the_same_again_is_the_same_and_other_content_a_conflict(pool: Pool) -> None:
    one = dataclasses.replace(COAL[2], amount_unit="kg")
    async with pool.connection() as connection:
        await declare(connection)
        outcomes = [
            await output.write(connection, each, "user:test", NOW)
            for each in (
                one,
                one,
                dataclasses.replace(one, amount_unit=None),
                dataclasses.replace(one, stream="raw_coal"),
                dataclasses.replace(one, stream=None),
            )
        ]
    assert outcomes == ["stored", "same", "conflict", "conflict", "conflict"]


@pytest.mark.parametrize(
    ("one", "until"),
    [
        (fact(5, "stock", "1", "clinker"), timedelta(hours=facts.MOST_TOLERANCE_H)),
        (fact(5, "charge", "1", "raw_coal", lhv_kj_per_kg="20000"), timedelta(days=1)),
        (fact(5, "base", "1", "value_added"), timedelta(days=3650)),
        (fact(5, "use", "1", "solid_waste"), timedelta(0)),
    ],
)
async def test_a_fact_marks_every_period_that_it_may_change(
    pool: Pool, one: OutputFact, until: timedelta
) -> None:
    async with pool.connection() as connection:
        await declare(connection)
        await connection.execute("delete from touched_unit")
        await book(connection, one)
        cursor = await connection.execute("select unit, from_ts, until_ts from touched_unit")
        ((unit, begin, end),) = await cursor.fetchall()
    assert unit == UNIT
    assert begin <= from_us(one.at_us)
    assert end > from_us(one.at_us) + until


async def test_the_store_answers_as_a_plain_list_of_facts_does(pool: Pool) -> None:
    draw = np.random.default_rng(20261121)
    booked: list[OutputFact] = []
    streams = [None, "clinker", "raw_coal", "metal_in_pots"]
    for number in range(400):
        kind = str(draw.choice(KINDS))
        grades = {
            name: str(Fraction(int(draw.integers(1, 1000)), 1000).limit_denominator(10).numerator)
            for name in ("gas_yield", "feed_per_product")
            if draw.random() < 0.7
        }
        booked.append(
            OutputFact(
                f"f-{number % 300}",
                number // 300,
                UNIT,
                kind,
                to_us(START) + int(draw.integers(-48, 24 * 31)) * facts.HOUR_US,
                int(draw.integers(0, 10**9)),
                grades,
                streams[int(draw.integers(len(streams)))],
                [None, None, "kg", "MW"][int(draw.integers(4))],
            )
        )
    asked = [
        Span(
            UNIT,
            kinds,
            grade,
            to_us(START) + day * facts.DAY_US,
            to_us(START) + (day + days) * facts.DAY_US,
            stream,
            own,
            amount_unit,
            way,
            "Asia/Shanghai",
        )
        for (kinds, grade, stream, own), amount_unit, way, (day, days) in itertools.product(
            (
                (("tapping", "weighing"), None, "clinker", True),
                (("stock",), None, "metal_in_pots", False),
                (("charge", "receipt", "use"), "gas_yield", "raw_coal", False),
                (("charge", "use", "weighing"), "feed_per_product", None, True),
            ),
            ("t", "kg", "MW"),
            Way,
            ((-2, 33), (0, 1), (3, 4)),
        )
    ]
    async with pool.connection() as connection:
        await declare(connection)
        await book(connection, *booked)
        found = await output.sums_of(connection, asked)
    wanted = [factbook.answer(span, booked) for span in asked]
    for span, one, other in zip(asked, found, wanted, strict=True):
        assert (one is None) == (other is None), span
        if one is not None and other is not None:
            assert sorted(one.parts, key=repr) == sorted(other.parts, key=repr), span
            assert dataclasses.replace(one, parts=()) == dataclasses.replace(other, parts=()), span
    assert sum(one is not None for one in found) > len(asked) / 2
