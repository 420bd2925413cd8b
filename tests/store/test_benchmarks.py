"""Promises of stored benchmarks: figures as results have them, what is recorded, what lifts it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from core import benchmarking, benchmarkrules, decimals, indicators, periods, plant, spans
from core.benchmarking import Position, Question
from core.clock import to_us
from core.eligibility import Eligibility, Retrofit
from core.periods import Period
from core.plantfigures import Why
from store import benchmarks, plants, versions

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from core.benchmarking import Benchmark
    from store.connection import Pool

NOW = datetime.fromisoformat("2027-01-10T12:00:00+08:00")
ZONE = "Asia/Shanghai"
LIQUID = indicators.find("al.liquid.ac")
RULES = benchmarkrules.shipped()
OCTOBER = spans.parse("2026-10")
ASKED = Question(LIQUID, "cn-qh", "2026-10")


def site(name: str, jurisdiction: str = "cn-qh", *, declares: bool = True, lines: int = 1) -> str:
    units = "".join(
        f"""
[site.{name}.unit.line-{n}]
name = {{ zh = "系列", en = "Line" }}
kind = "potline"
product = "aluminium_liquid"
{'indicators = ["al.liquid.ac"]' if declares else ""}
"""
        for n in range(1, lines + 1)
    )
    return f"""
[site.{name}]
name = {{ zh = "厂", en = "Plant" }}
jurisdiction = "{jurisdiction}"
{units}"""


def figures(energy: int, output: int | None, **more: Any) -> dict[str, Any]:
    value = None if output is None else Fraction(energy, output)
    return {
        "energy": {"value": str(energy), "estimated": "0", "unit": "kWh"},
        "output": {"value": None if output is None else str(output), "unit": "t"},
        "intensity": {
            "value": None if value is None else decimals.show(value),
            "unit": "kWh/t",
            "uncertainty": "60",
        },
        "completeness": 1.0,
        "flags": [],
        "verdicts": [
            {"level": 2, "limit": "l-2", "verdict": "exceeds"},
            {"level": 3, "limit": "l-3", "verdict": "within"},
        ],
        "formula_version": 2,
        "inputs": {"points": {}},
    } | more


async def store(
    link: AsyncConnection[Any],
    unit: str,
    found: dict[str, Any],
    month: str = "2026-10",
    now: datetime = NOW,
) -> None:
    key = (unit, "al.liquid.ac", Period.MONTH.value)
    assert await versions.write(link, key, periods.parse_month(month, ZONE), found, now)


async def declare(link: AsyncConnection[Any], *sites: str) -> None:
    await plants.apply(link, plant.parse("".join(sites), "plant.toml"), NOW)


async def rank(
    link: AsyncConnection[Any], asked: Question = ASKED, known_at: datetime | None = None
) -> Benchmark:
    loaded = await plants.load(link)
    span = spans.parse(asked.period)
    return await benchmarks.gather(link, loaded.plant, asked, span, RULES, known_at)


def of(found: Benchmark) -> dict[str, benchmarking.Row]:
    return {row.figure.site: row for row in found.rows}


async def test_plants_of_the_jurisdiction_are_ranked_and_no_others(pool: Pool) -> None:
    async with pool.connection() as link:
        await declare(
            link,
            site("a"),
            site("b", "cn-qh-xn"),
            site("c", "cn-nx"),
            site("d", "cn-qhx"),
            site("e", declares=False),
            site("f"),
        )
        for name, energy in (("a", 1_310_000), ("b", 1_300_000), ("c", 1), ("d", 1)):
            await store(link, f"{name}.line-1", figures(energy, 100))
        rows = of(await rank(link, replace(ASKED, called=("z", "f"))))
    assert list(rows) == ["b", "a", "e", "f", "z"]
    assert (rows["b"].rank, rows["b"].figure.value) == (1, Fraction(13_000))
    assert rows["e"].figure.why is Why.NOT_DECLARED
    assert rows["f"].figure.why is Why.NO_DATA
    assert rows["z"].figure.why is Why.NOT_CONNECTED
    assert {rows[name].position for name in "efz"} == {Position.NON_PARTICIPANT}


async def test_lines_of_a_plant_and_months_of_a_quarter_add_up(pool: Pool) -> None:
    async with pool.connection() as link:
        await declare(link, site("a", lines=2), site("b"))
        expected = Fraction(0)
        for place, month in enumerate(("2026-07", "2026-08", "2026-09")):
            for line in (1, 2):
                energy = 1_300_000 + 10_000 * line * (place + 1)
                await store(link, f"a.line-{line}", figures(energy, 100 * line), month)
                expected += energy
            if month != "2026-08":
                await store(link, "b.line-1", figures(1_300_000, 100), month)
        rows = of(await rank(link, Question(LIQUID, "cn-qh", "2026-Q3")))
    assert rows["a"].figure.value == expected / 900
    assert len(rows["a"].figure.results) == 6
    assert rows["b"].figure.why is Why.INCOMPLETE


async def test_a_ranking_as_known_at_an_instant_knows_no_later_version(pool: Pool) -> None:
    first = datetime.fromisoformat("2026-11-02T12:00:00+08:00")
    async with pool.connection() as link:
        await declare(link, site("a"))
        await store(link, "a.line-1", figures(1_300_000, 100), now=first)
        await store(link, "a.line-1", figures(1_400_000, 100))
        now = of(await rank(link))["a"]
        then = of(await rank(link, known_at=first))["a"]
        before = of(await rank(link, known_at=datetime.fromisoformat("2026-11-01T00:00:00Z")))["a"]
    assert [now.figure.value, then.figure.value] == [14_000, 13_000]
    assert before.figure.why is Why.NO_DATA


async def eight(link: AsyncConnection[Any]) -> None:
    await declare(link, *(site(f"p{n}") for n in range(8)))
    for n in range(8):
        await store(link, f"p{n}.line-1", figures(1_290_000 + 20_000 * n, 100))


async def test_a_record_bars_and_only_a_completed_retrofit_clears(pool: Pool) -> None:
    end_us = OCTOBER.bounds(ZONE)[1]
    async with pool.connection() as link:
        await eight(link)
        before = await benchmarks.standings(link, ["p7", "p0"])
        assert {one.eligibility for one in before.values()} == {Eligibility.CLEAR}
        found = await rank(link, replace(ASKED, called=("z",)))
        identifier, version = await benchmarks.record(link, found, end_us, "user:qh", NOW)
        assert version == 1
        stands = await benchmarks.standings(link, ["p7", "p0", "z"])
        assert {name: one.eligibility for name, one in stands.items()} == {
            "p7": Eligibility.BARRED,
            "p0": Eligibility.CLEAR,
            "z": Eligibility.BARRED,
        }
        (barring,) = stands["p7"].barring
        assert (barring.benchmark, barring.position) == (identifier, Position.LAGGARD)
        # Better the month after: still barred.
        for n in range(8):
            await store(link, f"p{n}.line-1", figures(1_290_000 + 20_000 * (7 - n), 100), "2026-11")
        later = await rank(link, Question(LIQUID, "cn-qh", "2026-11"))
        november = spans.parse("2026-11").bounds(ZONE)[1]
        await benchmarks.record(link, later, november, "user:qh", NOW)
        stands = await benchmarks.standings(link, ["p7", "p0"])
        assert stands["p7"].eligibility is stands["p0"].eligibility is Eligibility.BARRED
        done = Retrofit("", "p7", ("al.liquid.ac",), end_us, "cathodes", "No. 7", 0, "user:qh")
        await benchmarks.add_retrofit(link, replace(done, completed_us=end_us - 1), NOW)
        assert (await benchmarks.standings(link, ["p7"]))["p7"].eligibility is Eligibility.BARRED
        lifting = await benchmarks.add_retrofit(link, done, NOW)
        stands = await benchmarks.standings(link, ["p7", "p0"])
    assert stands["p7"].eligibility is Eligibility.CLEAR
    lifted = [stands["p7"].lifted_by(one) for one in stands["p7"].findings if one == barring]
    assert [one and one.retrofit for one in lifted] == [lifting]
    assert stands["p0"].eligibility is Eligibility.BARRED


async def test_a_benchmark_recorded_again_is_another_version_and_the_newest_counts(
    pool: Pool,
) -> None:
    end_us = OCTOBER.bounds(ZONE)[1]
    async with pool.connection() as link:
        await eight(link)
        first, _ = await benchmarks.record(link, await rank(link), end_us, "user:qh", NOW)
        await store(link, "p7.line-1", figures(1_280_000, 100))
        second, version = await benchmarks.record(link, await rank(link), end_us, "user:qh", NOW)
        assert version == 2
        stands = await benchmarks.standings(link, ["p7"])
        (kept,) = await benchmarks.recorded(link)
        cursor = await link.execute("select count(*) from benchmark")
        assert await cursor.fetchone() == (2,)
    assert [one.benchmark for one in stands["p7"].findings] == [second]
    assert (kept.benchmark, kept.version) == (second, 2)
    assert first != second
    assert kept.body["plants"][0]["site"] == "p7"


@pytest.mark.parametrize("table", ["benchmark", "benchmark_finding", "retrofit"])
async def test_what_is_recorded_is_never_rewritten(pool: Pool, table: str) -> None:
    async with pool.connection() as link:
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            await link.execute(f"delete from {table}")  # noqa: S608 - names of the test


async def test_recorded_benchmarks_are_listed_by_jurisdiction(pool: Pool) -> None:
    async with pool.connection() as link:
        await declare(link, site("a", "cn-qh-xn"), site("b", "cn-nx"))
        for place in ("cn-qh", "cn-qh-xn", "cn-nx"):
            asked = Question(LIQUID, place, "2026-10")
            await benchmarks.record(link, await rank(link, asked), to_us(NOW), "user:x", NOW)
        found = await benchmarks.recorded(link, ["cn-qh"])
    assert [one.jurisdiction for one in found] == ["cn-qh", "cn-qh-xn"]


async def test_every_store_has_a_secret_of_its_own(pool: Pool) -> None:
    async with pool.connection() as link:
        secret = await benchmarks.secret(link)
        assert secret == await benchmarks.secret(link)
        cursor = await link.execute("select store::text from store_identity")
        row = await cursor.fetchone()
    assert len(secret) == 32
    assert row is not None
    assert secret.hex() not in row[0].replace("-", "")
