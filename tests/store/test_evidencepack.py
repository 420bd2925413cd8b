"""Promises of the evidence pack, through the real tables: the figure follows from it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.clock import to_us
from store import evidencepack, results, retention
from tests import story
from tests.store.test_closing import OCTOBER, an_october, close, signer, tamper
from tests.story import START, UNIT, Story

if TYPE_CHECKING:
    from pathlib import Path

    from store.closing import Signer
    from store.connection import Pool
    from store.evidencepack import Pack
    from store.results import Result

MONTH_US = 30 * 86_400_000_000
FLAGS = "figure: flags are told by the product and not computed here"


async def versions(told: Story, indicator: str, period: str) -> list[Result]:
    """Return every closed version of the figures of a kind, the newest open one too."""
    async with told.pool.connection() as link:
        newest = await results.read(
            link, (UNIT, indicator, period), (OCTOBER - MONTH_US, OCTOBER + MONTH_US), 50
        )
        found = []
        for one in newest:
            found.append(one)
            for version in await results.history(link, one):
                old = await results.find(link, version.result)
                if old is not None and old.result != one.result:
                    found.append(old)
        return found


async def pack_of(told: Story, result: Result, signs: Signer | None = None) -> Pack:
    async with told.pool.connection() as link:
        return await evidencepack.make(link, result, told.now, signs)


async def the_month(told: Story, indicator: str = "fesi.comprehensive") -> Result:
    found = await versions(told, indicator, "month")
    return next(one for one in found if one.start_us < OCTOBER)


async def test_the_figure_of_a_month_follows_from_what_is_in_the_pack(pool: Pool) -> None:
    told, _ = await an_october(pool)
    pack = await pack_of(told, await the_month(told, "fesi.smelting"))
    assert pack.problems == []
    assert "bytes and signature: the pack is not signed: who made it could have made any other" in (
        pack.report.unchecked
    )
    members = [json.loads(line) for line in pack.data.splitlines()]
    assert {one["member"] for one in members} == {
        "evidence", "declaration", "indicator", "carrier", "limit", "catalogue", "readings", "fact",
        "figure", "versions", "index", "seal",
    }  # fmt: skip
    limits = [one["row"] for one in members if one["member"] == "limit"]
    assert limits
    assert all(limit["clause"] and limit["source"] for limit in limits)
    assert any(limit.get("quote") for limit in limits)


async def test_a_closed_month_is_held_against_the_digests_that_it_was_closed_with(
    pool: Pool, tmp_path: Path
) -> None:
    told, held = await an_october(pool)
    signs = signer(tmp_path)
    await close(told, signs)
    pack = await pack_of(told, await the_month(told), signs)
    assert pack.problems == []
    assert pack.report.unchecked == [FLAGS]
    # A late reading and a late fact make a new version: both versions still follow.
    told.pass_time(timedelta(hours=1))
    await told.record(held)
    await told.tap("tap-2", START + timedelta(hours=12), "4")
    await told.settle()
    both = [
        one for one in await versions(told, "fesi.comprehensive", "month") if one.start_us < OCTOBER
    ]
    assert [one.version for one in both] == [2, 1]
    packs = [await pack_of(told, one, signs) for one in both]
    assert [pack.problems for pack in packs] == [[], []]
    assert packs[0].report.told != packs[1].report.told
    assert packs[1].report.unchecked == [FLAGS]


@pytest.mark.parametrize("seed", [3, 11])
async def test_every_figure_of_a_life_full_of_faults_follows(pool: Pool, seed: int) -> None:
    told = await Story.begin(pool)
    draw = story.seeded(seed)
    for _ in range(6):
        await told.go_on(draw)
        await told.settle()
    told.pass_time(timedelta(seconds=30))
    wrong, tried = [], 0
    for indicator in ("fesi.comprehensive", "fesi.smelting"):
        for period in ("day", "month"):
            for one in await versions(told, indicator, period):
                pack = await pack_of(told, one)
                tried += 1
                wrong += [f"{one.version} {one.closed} {pack.problems}"] if pack.problems else []
    assert wrong == []
    assert tried > 8


async def test_readings_that_wait_to_be_computed_do_not_make_a_figure_wrong(pool: Pool) -> None:
    told, held = await an_october(pool)
    month = await the_month(told)
    told.pass_time(timedelta(hours=1))
    await told.record(held)
    pack = await pack_of(told, month)
    assert pack.problems == []
    head = json.loads(pack.data.splitlines()[0])
    assert head["known_at"] < head["made_at"]


async def test_a_figure_that_somebody_changed_does_not_follow(pool: Pool, tmp_path: Path) -> None:
    told, _ = await an_october(pool)
    signs = signer(tmp_path)
    await close(told, signs)
    await tamper(
        pool,
        "result",
        "update result set figures = jsonb_set(figures, '{intensity,value}', '\"7000\"')"
        " where period = 'month' and closed",
    )
    pack = await pack_of(told, await the_month(told), signs)
    said = " ".join(pack.problems)
    assert "told was 7000" in said
    assert "month close: the figure is not the one that the month was closed with" in said


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("update reading set value = value + 1 where quality = 0", "readings of s.u.ac are not"),
        ("update output_fact set mass_e6 = mass_e6 + 1", "the facts are not those"),
    ],
)
async def test_what_somebody_changed_behind_a_closed_figure_is_found(
    pool: Pool, statement: str, said: str
) -> None:
    told, _ = await an_october(pool)
    await close(told)
    await tamper(pool, statement.split()[1], statement)
    pack = await pack_of(told, await the_month(told))
    assert said in " ".join(pack.problems)


async def test_an_open_period_is_told_as_it_is_now(pool: Pool) -> None:
    told, _ = await an_october(pool)
    (november,) = (
        one for one in await versions(told, "fesi.smelting", "month") if one.start_us > OCTOBER
    )
    assert not november.closed
    pack = await pack_of(told, november)
    assert pack.problems == []
    (figure,) = (
        one for one in map(json.loads, pack.data.splitlines()) if one["member"] == "figure"
    )
    assert figure["closed"] is False


async def test_what_is_archived_is_told_by_slots_and_named_as_unchecked(pool: Pool) -> None:
    told, _ = await an_october(pool)
    await close(told)
    month = await the_month(told)
    async with pool.connection() as link:
        await link.execute("delete from reading")
        await retention.move(link, to_us(told.now), told.now)
    pack = await pack_of(told, month)
    assert pack.problems == []
    for point in story.POINTS:
        assert f"figure: {point}: its readings are archived, its energy is that of slots" in (
            pack.report.unchecked
        )
        assert any(
            f"readings of {point} are not in the pack: the close names" in one
            for one in pack.report.unchecked
        )
