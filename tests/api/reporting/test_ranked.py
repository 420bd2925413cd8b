"""Promises of the two reports on many sites: what the caller may see, from what the store holds."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from api.reporting import ranked, requested
from api.reporting.gather import Asked
from core import spans
from core.clock import to_us
from core.errors import Rejected
from core.reports import document
from core.reports.document import Document, Kind, Table
from store import benchmarks, plants
from tests.store.test_benchmarks import ASKED, NOW, eight, rank

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from store.connection import Pool

OCTOBER = spans.parse("2026-10")


async def asked(link: AsyncConnection[Any], *sites: str, **more: Any) -> Asked:
    loaded = await plants.load(link)
    wanted = [loaded.plant.sites[name] for name in sites] or list(loaded.plant.sites.values())
    return Asked(loaded.plant, loaded.ids, wanted, OCTOBER, to_us(NOW), **more)


def tables(found: Document, key: str) -> list[Table]:
    return [
        block
        for _, block in document.blocks(found)
        if isinstance(block, Table) and block.key == key
    ]


async def test_the_regulator_s_report_has_every_plant_and_how_each_stands(pool: Pool) -> None:
    async with pool.connection() as link:
        await eight(link)
        end_us = OCTOBER.bounds("Asia/Shanghai")[1]
        await benchmarks.record(link, await rank(link, ASKED), end_us, "user:qh", NOW)
        found = document.check(await ranked.benchmark(link, await asked(link), lambda _: True))
    assert (found.kind, found.subject.en) == (Kind.BENCHMARK, "cn-qh")
    (ranking,) = tables(found, "ranked")
    assert len(ranking.rows) == 8
    (standings,) = tables(found, "standings")
    assert [getattr(row[1], "code", None) for row in standings.rows] == [
        *["clear"] * 6,
        "barred",
        "barred",
    ]


async def test_a_plant_s_report_has_its_own_row_and_standing_only(pool: Pool) -> None:
    async with pool.connection() as link:
        await eight(link)
        found = await ranked.benchmark(link, await asked(link, "p3"), lambda _: False)
    (ranking,) = tables(found, "ranked")
    assert len(ranking.rows) == 1
    text = repr(found)
    assert [name for name in (f"'p{n}'" for n in range(8)) if name in text] == []
    assert "concealed" in text
    (standings,) = tables(found, "standings")
    assert len(standings.rows) == 1


async def test_a_ranking_as_known_then_says_nothing_of_records(pool: Pool) -> None:
    async with pool.connection() as link:
        await eight(link)
        before = to_us(datetime.fromisoformat("2026-10-31T00:00:00Z"))
        asked_then = await asked(link, as_of_us=before)
        found = await ranked.benchmark(link, asked_then, lambda _: True, "cn-qh")
    assert tables(found, "ranked") == tables(found, "standings") == []
    (rest,) = tables(found, "unranked")
    assert len(rest.rows) == 8


async def test_the_quality_report_scores_every_site(pool: Pool) -> None:
    async with pool.connection() as link:
        await eight(link)
        found = document.check(await ranked.quality(link, await asked(link)))
        with pytest.raises(Rejected, match="leave out as_of"):
            await ranked.quality(link, await asked(link, as_of_us=to_us(NOW)))
    (scores,) = tables(found, "scores")
    assert len(scores.rows) == 8
    assert not found.bad_news


async def test_who_asks_for_some_sites_sees_no_more_than_those_would(pool: Pool) -> None:
    async with pool.connection() as link:
        await eight(link)
        every = await requested.document(link, Kind.BENCHMARK, await asked(link))
        some = await requested.document(link, Kind.BENCHMARK, await asked(link, "p3", "p4"))
        scores = await requested.document(link, Kind.QUALITY, await asked(link, "p3"))
    assert [len(tables(one, "ranked")[0].rows) for one in (every, some)] == [8, 2]
    assert "concealed" in repr(some)
    assert (scores.kind, len(tables(scores, "scores")[0].rows)) == (Kind.QUALITY, 1)


async def test_a_report_on_too_much_is_refused(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranked, "MOST_RANKINGS", 0)
    monkeypatch.setattr(ranked, "MOST_SCORED", 7)
    async with pool.connection() as link:
        await eight(link)
        with pytest.raises(Rejected, match="1 rankings, at most 0"):
            await ranked.benchmark(link, await asked(link), lambda _: True)
        with pytest.raises(Rejected, match="8 sites, at most 7"):
            await ranked.quality(link, await asked(link))
