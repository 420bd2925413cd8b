"""The youngest backup is found by what it says of itself, and judged by age, store and room."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import danhao
from core.errors import Misconfigured
from deploy.doctor import backups
from deploy.doctor.backups import Backup
from deploy.doctor.page import Grade
from store import backupfile, plants
from tests.deploy.doctor.looks import HOUR, NOW, bad

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool


def write(path: Path, made_at: datetime, store: str = "s-1") -> None:
    with backupfile.Writer(path) as writer:
        writer.finish({"format": backupfile.FORMAT, "made_at": made_at.isoformat(), "store": store})


def test_the_youngest_is_the_one_that_was_made_last_whatever_its_file_says(tmp_path: Path) -> None:
    write(tmp_path / "a", NOW - HOUR)
    write(tmp_path / "b", NOW - 9 * HOUR)
    (tmp_path / "notes.txt").write_text("no backup")
    (tmp_path / "folder").mkdir()
    os.utime(tmp_path / "a", (1, 1))  # copied without its time
    found = backups.youngest(tmp_path)
    assert found is not None
    assert (found.path.name, found.made_at, found.store) == ("a", NOW - HOUR, "s-1")
    assert found.size_bytes == (tmp_path / "a").stat().st_size


def test_a_folder_without_a_backup_is_told_and_one_that_is_not_there_is_a_mistake(
    tmp_path: Path,
) -> None:
    assert backups.youngest(tmp_path) is None
    [(topic, grade, seen)] = bad(backups.judge(None, "s-1", NOW, None))
    assert (topic, grade, seen) == ("backups", Grade.BROKEN, "the folder holds no backup")
    with pytest.raises(Misconfigured, match="cannot be read"):
        backups.youngest(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("age", "store", "free", "told"),
    [
        (timedelta(hours=26), "s-1", 200, []),
        (timedelta(hours=26, seconds=1), "s-1", 200, [(Grade.BROKEN, "b, is 26 h old")]),
        (HOUR, "s-2", 200, [(Grade.BROKEN, "is of the store s-2, not of this one")]),
        (HOUR, "s-1", 199, [(Grade.WARNING, "no room for two more")]),
        (HOUR, "s-1", None, []),
    ],
)
def test_age_store_and_room_have_their_bounds(
    tmp_path: Path, age: timedelta, store: str, free: int | None, told: list[tuple[Grade, str]]
) -> None:
    found = Backup(tmp_path / "b", NOW - age, store, 100)
    seen = bad(backups.judge(found, "s-1", NOW, free))
    assert len(seen) == len(told)
    for (_, grade, words), (expected, part) in zip(seen, told, strict=True):
        assert grade is expected
        assert part in words


async def test_a_real_backup_is_recognised(
    pool: Pool, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio  # noqa: PLC0415 - the command runs a loop of its own

    async with pool.connection() as link:
        store = await plants.store_id(link)
    words = ["db", "backup", str(tmp_path / "b.danhao"), "--database-url", database_url]
    assert await asyncio.to_thread(danhao.main, words) == 0
    capsys.readouterr()
    found = backups.youngest(tmp_path)
    assert found is not None
    assert found.store == store
    now = datetime.now(UTC)  # noqa: TID251 - the command read the real clock
    assert bad(backups.judge(found, store, now, backups.free_of(tmp_path))) == []
