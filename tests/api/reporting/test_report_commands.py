"""`danhao report` as a person types it: files, exit codes, every mistake at once."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

import danhao
from core import clock
from tests.api.reporting import months

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool


@pytest_asyncio.fixture
async def filled(pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(clock, "utc_now", lambda: months.NOW)
    async with pool.connection() as link:
        await months.build(link, days=31)
    return database_url


async def types(*words: str) -> int:
    return await asyncio.to_thread(danhao.main, ["report", *words])


async def test_each_format_is_written_the_same_each_time_and_bad_news_exits_one(
    filled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for form, begins in (("json", b"{"), ("xlsx", b"PK"), ("pdf", b"%PDF")):
        out = tmp_path / f"report.{form}"
        code = await types(
            "intensity", "--period", "2026-10", "--site", "gh-al", "--format", form,
            "--lang", "en", "--out", str(out), "--json", "--database-url", filled,
        )  # fmt: skip
        assert code == 1  # the potline exceeds a mandatory limit
        said = json.loads(capsys.readouterr().out)
        assert out.read_bytes().startswith(begins)
        assert said["bytes"] == out.stat().st_size
        assert said["bad_news"] is True
    again = tmp_path / "again.xlsx"
    await types(
        "intensity", "--period", "2026-10", "--site", "gh-al", "--format", "xlsx",
        "--lang", "en", "--out", str(again), "--database-url", filled,
    )  # fmt: skip
    assert again.read_bytes() == (tmp_path / "report.xlsx").read_bytes()
    left = await asyncio.to_thread(lambda: sorted(one.name for one in tmp_path.iterdir()))
    assert left == ["again.xlsx", "report.json", "report.pdf", "report.xlsx"]


async def test_good_news_exits_zero_and_json_needs_no_file(
    filled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # The furnace exceeds a lapsed target only: told, no breach.
    code = await types(
        "intensity", "--period", "2026-10", "--unit", "nx-fa.furnace-1", "--database-url", filled
    )
    assert code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["language"] == "zh"
    assert [one["key"] for one in told["sections"]] == [
        "summary", "nx-fa-furnace-1-fesi-smelting", "sources",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("intensity", "--period", "2026-Q3"), "--period: 2026-Q3 is not what"),
        (("quarter", "--period", "2026-10"), "write a quarter such as 2026-Q3"),
        (("intensity", "--period", "October"), "--period: 'October' is no period"),
        (("intensity", "--period", "2026-10", "--as-of", "yesterday"), "no time with an offset"),
        (("intensity", "--period", "2026-10", "--as-of", "2999-01-01T00:00Z"), "lies ahead"),
    ],
)
async def test_a_mistake_exits_two_and_says_what_to_do(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await types(*words, "--database-url", "postgresql://nobody@127.0.0.1:1/none") == 2
    assert said in capsys.readouterr().err


async def test_all_mistakes_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DANHAO_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    assert await types("intensity", "--period", "x", "--as-of", "y") == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


async def test_what_is_not_there_is_told_with_what_is(
    filled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("intensity", "--period", "2026-10", "--database-url", filled)
    assert await types(*asked, "--site", "gh-cu", "--unit", "gh-cu.u") == 2
    said = capsys.readouterr().err
    assert "--site: no site 'gh-cu' is declared, but gh-al, nx-fa" in said
    assert "--unit: no unit 'gh-cu.u' is declared" in said
    assert await types(*asked, "--out", str(tmp_path / "none" / "report.json")) == 2
    assert "cannot be written" in capsys.readouterr().err
