"""The status tells what is wrong and what to do, and never takes unknown for zero."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import danhao
from core.clock import to_us
from store import migrate, status
from store.engine import Engine
from store.partitions import Span
from tests.store import ledger
from tests.store.ledger import DAY, NOW

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool

NOW_US = to_us(NOW)
TODAY = NOW_US - NOW_US % DAY


def span(days_ago: int, length: int = 1) -> Span:
    start = TODAY - days_ago * DAY
    return Span(f"s{days_ago}", start, start + length * DAY)


def test_growth_is_that_of_the_last_whole_days() -> None:
    spans = [span(n) for n in (30, 8, 7, 2, 1, 0, -1)]
    sizes = {"s30": 10**9, "s8": 10**9, "s7": 100, "s2": 200, "s1": 600, "s0": 10**9, "s-1": 8}
    assert status.growth_per_day(spans, sizes, NOW) == 300
    assert status.growth_per_day([span(7, length=7)], {"s7": 700}, NOW) == 100
    for days_ago in range(7, 14):  # a week that ended on any day of the last seven
        name = f"s{days_ago}"
        assert status.growth_per_day([span(days_ago, length=7)], {name: 700}, NOW) == 100
    assert status.growth_per_day([span(14, length=7)], {"s14": 700}, NOW) is None
    assert status.growth_per_day([span(0)], {"s0": 5}, NOW) is None
    assert status.growth_per_day([], {}, NOW) is None


def found(**parts: Any) -> dict[str, Any]:
    lag = {"oldest_mark_s": parts.get("age")}
    return {
        "disk": {"days_left": parts.get("left")},
        "lag": lag,
        "policies": {"items": [], "problems": parts.get("problems", [])},
    }


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({}, []),
        ({"left": 13.9}, ["the disk is full in 14 days"]),
        ({"left": 14.0, "age": 300.0}, []),
        ({"age": 301.0}, ["figures are 5 minutes behind"]),
        ({"problems": ["policy retain failed"]}, ["policy retain failed"]),
    ],
)
def test_bad_news_has_its_bounds(parts: dict[str, Any], told: list[str]) -> None:
    news = status.bad_news([], found(**parts))
    assert len(news) == len(told)
    assert all(line.startswith(start) for line, start in zip(news, told, strict=True))


def test_pending_migrations_are_the_first_thing_to_mend() -> None:
    news = status.bad_news(migrate.read_files(), None)
    assert news == [f"{len(migrate.read_files())} migrations are pending: run `danhao db migrate`"]


async def test_a_store_tells_sizes_lag_and_partitions(pool: Pool, engine: Engine) -> None:
    await ledger.fill(pool)
    await ledger.store(pool, ledger.rows_of(await ledger.declare(pool), 16, 4))
    async with pool.connection() as link:
        await link.execute("insert into point_latest select point_id, max(ts), 1, 0, null"
                           " from reading group by point_id")  # fmt: skip
        await link.execute("analyze")
        [(rows,)] = await ledger.all_rows(pool, "select count(*) from reading")
        await link.execute("update touched set marked_at = %s", (NOW - timedelta(minutes=6),))
        await link.commit()  # Citus tells no sizes in a transaction that wrote
        seen = await status.look(link, NOW, status.Disk(10**12, 10**9))
    table = {each["name"]: each for each in seen["tables"]}["reading"]
    # Citus keeps no estimate of spread rows on the coordinator: unknown, and never zero.
    assert table["rows_estimated"] == (None if engine is Engine.CITUS else rows)
    assert table["bytes"] > 50 * rows
    assert table["index_bytes"] > 0
    assert seen["growth_bytes_per_day"] > 0
    assert seen["disk"]["days_left"] == 10**9 / seen["growth_bytes_per_day"]
    assert seen["lag"]["touched"] > 0
    assert seen["lag"]["newest_recorded_at"] == "2026-11-21T08:00:00Z"
    assert seen["lag"]["newest_measured_at"] == "2026-11-20T23:45:00Z"
    assert seen["partitions"]["horizon"] is None
    assert seen["dead_letters"] == {"all": 1, "open": 1}
    assert any("6 minutes behind" in line for line in status.bad_news([], seen))
    assert any("dead letters: 1 open of 1" in line for line in status.lines(seen))


async def test_what_cannot_be_asked_is_unknown(pool: Pool, tmp_path: Path) -> None:
    async with pool.connection() as link:
        seen = await status.look(link, NOW, status.disk_of(str(tmp_path / "nowhere")))
    assert seen["disk"] == {"total_bytes": None, "free_bytes": None, "days_left": None}
    assert "growth: unknown a day" in status.lines(seen)
    assert "disk: unknown free, full in unknown" in status.lines(seen)
    real = status.disk_of(str(tmp_path))
    assert real is not None
    assert 0 < real.free_bytes <= real.total_bytes


def test_the_command_is_bad_news_until_migrated_and_then_tells_all(
    empty_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--database-url", empty_database_url]
    assert danhao.main(["db", "status", "--json", *where]) == 1
    assert "pending" in json.loads(capsys.readouterr().out)["bad_news"][0]
    assert danhao.main(["db", "migrate", *where]) == 0
    capsys.readouterr()
    code = danhao.main(["db", "status", "--json", *where])
    answer = json.loads(capsys.readouterr().out)
    assert code == (1 if answer["bad_news"] else 0)
    assert answer["engine"]["name"] in {"plain", "timescale", "citus"}
    assert {each["name"] for each in answer["migrations"]} >= {"0001_ledger.sql"}
    assert answer["policies"]["items"] == []
