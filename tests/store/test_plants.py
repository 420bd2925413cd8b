"""Declared plants in the store: idempotent, versioned, and heard of by running programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from core import plant as plants
from store import plants as stored

if TYPE_CHECKING:
    from store.connection import Pool

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
TEXT = """
[site.gh-al]
name = { zh = "示例铝厂", en = "Demo Aluminium" }
jurisdiction = "cn-qh"
[site.gh-al.agent.gw-01]
[site.gh-al.unit.potline-1]
name = { zh = "电解一系列", en = "Potline 1" }
kind = "potline"
indicators = ["al.liquid.ac"]
[site.gh-al.unit.potline-1.point.ac-import]
kind = "counter"
carrier = "electricity"
unit = "kWh"
multiplier = [{ from = 2026-01-01T00:00:00Z, value = "660" }]
"""
_EVERYTHING = (
    "select * from site",
    "select * from site_version",
    "select * from point",
    "select * from touched",
    "select * from touched_unit",
)
OTHER = TEXT.replace("gh-al", "qh-fa")


async def _apply(pool: Pool, text: str) -> stored.Applied:
    async with pool.connection() as connection:
        return await stored.apply(connection, plants.parse(text, "plant.toml"), NOW)


async def _rows(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(query)).fetchall()


async def test_what_is_applied_is_loaded_again(pool: Pool) -> None:
    done = await _apply(pool, TEXT)
    assert done.sites == ["gh-al"]
    assert done.new_points == ["gh-al.potline-1.ac-import"]
    assert any(line.startswith("+ site.gh-al.agent.gw-01") for line in done.difference)
    async with pool.connection() as connection:
        loaded = await stored.load(connection)
    assert loaded.plant == plants.parse(TEXT, "plant.toml")
    assert loaded.versions == {"gh-al": 1}
    assert set(loaded.ids) == {"gh-al.potline-1.ac-import"}


async def test_the_same_declaration_again_changes_nothing(pool: Pool) -> None:
    await _apply(pool, TEXT)
    before = [await _rows(pool, query) for query in _EVERYTHING]
    again = await _apply(pool, TEXT)
    assert again == stored.Applied([], [], [], [], [])
    assert [await _rows(pool, query) for query in _EVERYTHING] == before


async def test_a_changed_multiplier_makes_a_version_and_touches_its_point_and_unit(
    pool: Pool,
) -> None:
    await _apply(pool, TEXT)
    done = await _apply(pool, TEXT.replace('"660"', '"680"'))
    assert done.touched_points == ["gh-al.potline-1.ac-import"]
    assert done.touched_units == ["gh-al.potline-1"]
    [span] = await _rows(pool, "select from_ts from touched")
    assert span == (datetime(2026, 1, 1, tzinfo=UTC),)
    versions = await _rows(pool, "select version from site_version order by version")
    assert versions == [(1,), (2,)]


async def test_another_site_stays_as_it_is(pool: Pool) -> None:
    await _apply(pool, TEXT)
    await _apply(pool, OTHER)
    async with pool.connection() as connection:
        loaded = await stored.load(connection)
    assert loaded.versions == {"gh-al": 1, "qh-fa": 1}


async def test_a_point_that_is_declared_again_keeps_its_number(pool: Pool) -> None:
    await _apply(pool, TEXT)
    async with pool.connection() as connection:
        before = (await stored.load(connection)).ids
    await _apply(pool, TEXT[: TEXT.index("[site.gh-al.unit.potline-1.point")])
    await _apply(pool, TEXT)
    async with pool.connection() as connection:
        assert (await stored.load(connection)).ids == before


async def test_running_programs_hear_of_a_change(pool: Pool, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as listener:
        await listener.execute("listen danhao_plant")
        await _apply(pool, TEXT)
        heard = [note.channel async for note in listener.notifies(timeout=5, stop_after=1)]
    assert heard == ["danhao_plant"]


async def test_a_store_says_the_same_id_every_time(pool: Pool) -> None:
    async with pool.connection() as connection:
        first = await stored.store_id(connection)
        assert await stored.store_id(connection) == first
        assert len(first) == 36
