"""A backup and an archive are the same on every engine: plain PostgreSQL, TimescaleDB, back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from store import archive, backup, backupfile, blocks, partitions, proof, status, unarchive
from tests.store import ledger
from tests.store.ledger import DAY, NOW, START

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool

pytestmark = [pytest.mark.timescale, pytest.mark.slow]


async def test_a_plain_backup_restores_into_timescaledb_and_back(
    pool: Pool, timescale_pool: Pool, tmp_path: Path
) -> None:
    await ledger.fill(pool)
    there, again = tmp_path / "there", tmp_path / "again"
    async with pool.connection() as link:
        await link.set_autocommit(True)
        ours = (await backup.backup(link, there, NOW))["proof"]
        await link.set_autocommit(False)
    async with timescale_pool.connection() as link:
        await link.set_autocommit(True)
        with backupfile.Reader(there) as reader:
            await backup.restore(link, reader, NOW)
        found = (await backup.backup(link, again, NOW))["proof"]
        assert (await status.look(link, NOW, None))["engine"]["name"] == "timescale"
        await link.set_autocommit(False)
    assert proof.differences(ours, found) == ["rows of audit: 1 and 2"]


async def test_chunks_are_archived_dropped_and_brought_back(
    timescale_pool: Pool, tmp_path: Path
) -> None:
    await ledger.fill(timescale_pool, days=3)
    before = await ledger.all_rows(timescale_pool, ledger.READINGS)
    async with timescale_pool.connection() as link:
        await link.set_autocommit(True)
        first = (await partitions.spans(link))[0]
        await partitions.compress(link, first)
        done = await archive.archive(link, START + 2 * DAY, tmp_path, NOW, drop=True)
        assert (done.dropped, done.needed) == (["2026-11-01"], ["2026-11-02"])
        assert await blocks.count(link, START, START + DAY) == 0
        back = await unarchive.unarchive(link, tmp_path, (START, START + DAY), NOW)
        assert back.readings == done.readings
        assert 0 < back.stored < back.readings
        await link.set_autocommit(False)
    assert repr(await ledger.all_rows(timescale_pool, ledger.READINGS)) == repr(before)
