"""`danhao limits try`: a draft held against the closed months of a real store, nothing written."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

import danhao
from core import indicators, plant
from core import output as facts
from core.clock import to_us
from store import connection, figures, output, plants, versions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from psycopg import AsyncConnection

MONTHS = [datetime(2026, month, 1, tzinfo=UTC) - timedelta(hours=8) for month in (3, 4, 5, 6)]
NOW = datetime(2026, 7, 1, tzinfo=UTC)
UNIT = "qh-fa.furnace-1"
PLANT = """
[site.qh-fa]
name = { zh = "铁合金厂", en = "Ferroalloy" }
jurisdiction = "cn-qh"
[site.qh-fa.unit.furnace-1]
name = { zh = "一号炉", en = "Furnace 1" }
kind = "submerged_arc_furnace"
product = "ferrosilicon"
indicators = ["fesi.smelting"]
ore_grade = [
    { from = 2026-03-01T00:00:00+08:00, value = "0.98" },
    { from = 2026-04-16T00:00:00+08:00, value = "0.96" },
]
[site.qh-fa.unit.furnace-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0"
[site.other]
name = { zh = "厂", en = "Other" }
jurisdiction = "cn-qh"
"""
DRAFT = """
[limit."draft"]
indicator = "fesi.smelting"
name = { zh = "草案", en = "draft" }
value = "8000"
cmp = "<="
unit = "kWh/t"
force = "target"
scheme = "draft"
jurisdiction = "cn-qh"
valid_from = 2028-01-01
source = "a draft"
clause = "1"
"""
CORRECTED = 'correction = { kind = "ore_grade", of = "SiO2", reference = "0.98", per_point = "40" }'


@asynccontextmanager
async def linked(url: str) -> AsyncIterator[AsyncConnection[Any]]:
    """Open a connection and commit at the end."""
    pool = await connection.open_pool(url, application="test", most=1)
    try:
        async with pool.connection() as link:
            yield link
    finally:
        await pool.close()


async def build(url: str) -> None:
    """Store three closed months: 8,000 then 8,040 kWh/t, then a month without any meter."""
    async with linked(url) as link:
        await plants.apply(
            link, plant.parse(PLANT, "plant.toml", indicators.computing()), MONTHS[0]
        )
        loaded = await plants.load(link)
        number = loaded.ids[f"{UNIT}.ac"]
        for month, kwh in ((0, 800_000), (1, 804_000)):
            await _book(link, number, MONTHS[month], MONTHS[month + 1], kwh)
        for month in (0, 1, 2):
            for half in (5, 20):
                at = MONTHS[month] + timedelta(days=half)
                data = {
                    "id": f"{month}-{half}",
                    "unit": UNIT,
                    "kind": "tapping",
                    "at": at.isoformat(),
                    "mass_t": "50",
                    "grades": {"Si": "0.75"},
                }
                fact = facts.from_data(data, to_us(NOW))
                await output.write(link, fact, "scale", NOW)
        bounds = [(to_us(first), to_us(last)) for first, last in pairwise(MONTHS)]
        smelting = indicators.find("fesi.smelting")
        unit = loaded.plant.units[UNIT]
        made = await figures.compute(link, loaded.plant, loaded.ids, unit, smelting, bounds, NOW)
        for bound, item in zip(bounds, made, strict=True):
            await versions.write(link, (UNIT, smelting.id, "month"), bound, item, NOW)


async def _book(
    link: AsyncConnection[Any], number: int, begin: datetime, end: datetime, kwh: int
) -> None:
    """Spread the energy evenly over the slots of a month, wholly measured."""
    slots = int((end - begin) / timedelta(minutes=15))
    each, rest = divmod(kwh * 1_000_000, slots)
    await link.execute(
        "insert into slot_energy select %(p)s, %(a)s + n * interval '15 minutes',"
        " %(e)s + case when n < %(r)s then 1 else 0 end, 0, 900000000, 0, %(a)s"
        " from generate_series(0, %(n)s - 1) n",
        {"p": number, "e": each, "r": rest, "a": begin, "n": slots},
    )


async def counts(url: str) -> list[int]:
    """Return how many rows the tables have that a computation could write."""
    tables = ("result", "touched_unit", "touched", "catalogue_version", "slot_energy")
    async with linked(url) as link:
        found = []
        for table in tables:
            cursor = await link.execute(
                sql.SQL("select count(*) from {}").format(sql.Identifier(table))
            )
            row = await cursor.fetchone()
            assert row is not None
            found.append(row[0])
        return found


@pytest.fixture
def store(database_url: str) -> str:
    """Return the address of a store that holds three closed months."""
    asyncio.run(build(database_url))
    return database_url


def run(path: Path, url: str, *more: str) -> int:
    return danhao.main(["limits", "try", str(path), "--database-url", url, *more])


def draft(tmp_path: Path, text: str = DRAFT) -> Path:
    path = tmp_path / "draft.toml"
    path.write_text(text, "utf-8")
    return path


def words(answer: dict[str, Any]) -> Sequence[str]:
    return [row["verdict"] for row in answer["figures"]]


def test_a_draft_of_the_future_is_held_against_the_past_and_nothing_is_written(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = asyncio.run(counts(store))
    assert run(draft(tmp_path), store, "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert words(answer) == ["within", "exceeds", "incomplete"]
    assert answer["limits"] == [
        {
            "limit": "draft",
            "within": 1,
            "exceeds": 1,
            "indeterminate": 0,
            "incomplete": 1,
            "not_applicable": 0,
        }
    ]
    assert answer["figures"][1]["period_start"] == "2026-04-01T00:00:00+08:00"
    assert answer["figures"][1]["value"] == "8040"
    assert asyncio.run(counts(store)) == before


def test_corrections_of_a_draft_are_applied_with_their_pieces(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # April has half its output from ore of 98 %, half from 96 %: 8,000 and 8,080, so 8,040.
    assert run(draft(tmp_path, DRAFT + CORRECTED), store, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert words(answer) == ["within", "within", "incomplete"]
    april = answer["figures"][1]
    assert (april["own_value"], april["limit_value"]) == ("8000", "8040")
    assert [piece["output"] for piece in april["pieces"]] == ["50", "50"]


def test_a_person_is_told_how_many_and_which(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(draft(tmp_path), store) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == [
        "limit",
        "within",
        "exceeds",
        "indeterminate",
        "incomplete",
        "not_applicable",
    ]
    assert told[1].split() == ["draft", "1", "1", "0", "1", "0"]
    assert "exceeds" in told[2]
    assert "qh-fa.furnace-1 month 2026-04-01 8040 kWh/t" in told[2]
    assert "against <= 8000 (draft)" in told[2]
    assert "no figure" in told[3]
    assert len(told) == 4


def test_time_and_site_narrow_it_and_a_dated_draft_is_silent_before_its_day(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = draft(tmp_path)
    span = ("--from", "2026-03-01T00:00:00+08:00", "--to", "2026-04-01T00:00:00+08:00")
    assert run(path, store, "--json", *span) == 0
    assert words(json.loads(capsys.readouterr().out)) == ["within"]
    assert run(path, store, "--json", "--as-dated") == 0
    assert set(words(json.loads(capsys.readouterr().out))) == {"not_applicable"}
    assert run(path, store, "--site", "other") == 0
    assert "no closed month or year" in capsys.readouterr().out
    assert run(path, store, "--site", "nobody") == 2
    assert "'nobody' is not declared" in capsys.readouterr().err


def test_a_part_of_a_month_is_held_against_the_row_that_holds_then(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = DRAFT.replace("2028-01-01", "2026-01-01\nvalid_to = 2026-04-16")
    new = DRAFT.replace("2028-01-01", "2026-04-16").replace('"draft"]', '"later"]')
    new = new.replace('value = "8000"', 'value = "8100"')
    span = ("--from", "2026-04-01T00:00:00+08:00", "--to", "2026-05-01T00:00:00+08:00")
    assert run(draft(tmp_path, old + new), store, "--json", "--as-dated", *span) == 1
    rows = {row["limit"]: row for row in json.loads(capsys.readouterr().out)["figures"]}
    assert {key: row["verdict"] for key, row in rows.items()} == {
        "draft": "exceeds",
        "later": "within",
    }
    assert rows["draft"]["part"]["until"] == rows["later"]["part"]["from"]
    # 402,000 kWh and 50 t in each half, but for what does not divide by the slots.
    assert round(float(rows["draft"]["value"])) == 8040
    whole = sum(float(row["part"]["energy"]) for row in rows.values())
    assert whole == pytest.approx(804_000)


def test_a_wrong_draft_is_refused_with_every_mistake_before_any_store_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = DRAFT.replace("fesi.smelting", "fesi.what").replace('source = "a draft"\n', "")
    path = draft(tmp_path, text)
    assert run(path, "postgresql://nobody@127.0.0.1:1/none") == 2
    told = capsys.readouterr().err
    assert "limit.draft.source: is required" in told
    assert "unknown indicator 'fesi.what'" in told
