"""Backup and restore: equal to the last bit, or refused with one sentence."""

from __future__ import annotations

import asyncio
import json
import stat
import zipfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import danhao
from core import wire
from core.clock import to_us
from core.errors import Misconfigured
from ingest import batch, declared
from ingest.source import Arrival
from store import backup, backupfile, connection, migrate, plants, proof
from store.engine import Engine
from tests.store import ledger
from tests.store.ledger import NOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from psycopg import AsyncConnection

    from store.connection import Pool


@asynccontextmanager
async def alone(url: str) -> AsyncIterator[AsyncConnection[Any]]:
    pool = await connection.open_pool(url, application="test", most=1)
    async with pool.connection() as opened:
        await opened.set_autocommit(True)
        yield opened
    await pool.close()


@pytest_asyncio.fixture
async def saved(pool: Pool, database_url: str, tmp_path: Path) -> Path:
    """Fill this test's store and return its backup."""
    await ledger.fill(pool)
    path = tmp_path / "plants.danhao"
    async with alone(database_url) as link:
        await backup.backup(link, path, NOW)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Hold the backup that tests share which need no store beside it."""
    return {"folder": tmp_path_factory.mktemp("backup")}


@pytest_asyncio.fixture
async def file(made: dict[str, Path], database_url: str) -> Path:
    """Return a backup that is made once."""
    path = made["folder"] / "plants.danhao"
    if made.get("file") is None:
        opened = await connection.open_pool(database_url)
        await ledger.fill(opened)
        await opened.close()
        async with alone(database_url) as link:
            await backup.backup(link, path, NOW)
        made["file"] = path
    return path


async def restored(url: str, path: Path) -> str:
    migrate.migrate(url)
    with backupfile.Reader(path) as reader:
        async with alone(url) as link:
            return await backup.restore(link, reader, NOW)


async def test_a_restored_store_is_equal_in_everything_and_has_a_new_id(
    pool: Pool, saved: Path, empty_database_url: str
) -> None:
    identity = await restored(empty_database_url, saved)
    with backupfile.Reader(saved) as reader:
        manifest = reader.manifest
    assert identity != manifest["store"]
    there = await connection.open_pool(empty_database_url)
    for query in (ledger.READINGS, ledger.SLOTS):
        assert repr(await ledger.all_rows(there, query)) == repr(await ledger.all_rows(pool, query))
    for table in manifest["tables"]:
        if table["name"] == "audit":
            continue
        columns = ", ".join(name for name, _ in table["columns"])
        query = f"select {columns} from {table['name']}"  # noqa: S608
        ours, theirs = await ledger.all_rows(pool, query), await ledger.all_rows(there, query)
        # Whole rows decide: nodes answer in any order, and two columns may be alike in many rows.
        assert sorted(theirs, key=repr) == sorted(ours, key=repr), table["name"]
    assert len(manifest["proof"]["readings"]) == 3 * len(ledger.POINTS)
    assert manifest["proof"]["rows"]["dead_letter"] == 1
    audit = await ledger.all_rows(there, "select action, detail from audit order by audit_id")
    assert audit[-1][0] == "restore"
    assert audit[-1][1]["from_store"] == manifest["store"]
    await there.close()


async def test_numbers_go_on_where_they_were(
    pool: Pool, saved: Path, empty_database_url: str
) -> None:
    await restored(empty_database_url, saved)
    query = (
        "insert into touched_unit (unit, from_ts, until_ts) values ('u', now(), now())"
        " returning touched_id"
    )
    there = await connection.open_pool(empty_database_url)
    [(ours,)], [(theirs,)] = await ledger.all_rows(pool, query), await ledger.all_rows(there, query)
    assert theirs >= ours > 1
    await there.close()


async def test_after_the_agents_send_again_both_stores_have_the_same_figures(
    pool: Pool, saved: Path, empty_database_url: str
) -> None:
    """What came after the backup comes again, with what the backup holds already."""
    ids = dict(await ledger.all_rows(pool, "select point, point_id from point"))
    await restored(empty_database_url, saved)
    there = await connection.open_pool(empty_database_url)
    await ledger.store(pool, ledger.rows_of(ids, 2, 1))
    await ledger.compute(pool)
    done = await ledger.store(there, ledger.rows_of(ids, 0, 3))
    assert len(done.conflicts) == 0
    await ledger.compute(there)
    for query in (ledger.SLOTS, ledger.READINGS):
        assert repr(await ledger.all_rows(there, query)) == repr(await ledger.all_rows(pool, query))
    await there.close()


async def test_an_outbox_goes_on_after_what_the_backup_holds(
    file: Path, empty_database_url: str
) -> None:
    await restored(empty_database_url, file)
    there = await connection.open_pool(empty_database_url)
    payload = wire.encode(
        [], agent="gw-01", epoch="e1", sequence=1235, oldest=1, sent_us=to_us(NOW)
    )
    async with there.connection() as link:
        loaded = await plants.load(link)
        tables = declared.build(loaded.plant, loaded.ids, NOW)
        arrival = Arrival("danhao/v1/gh-al/gw-01/readings", payload, lambda: None)
        done = await batch.write(link, batch.admit([arrival], tables, NOW), tables, None, NOW)
    [progress] = done.progress.values()
    assert (progress.committed, progress.missing) == (1235, ((1201, 1203),))
    await there.close()


def test_any_flipped_byte_is_refused(file: Path, tmp_path: Path) -> None:
    data = file.read_bytes()
    with backupfile.Reader(file) as reader:
        assert reader.manifest["format"] == backupfile.FORMAT
    step = max(1, len(data) // 97)
    for place in [*range(0, len(data), step), len(data) - 1, len(data) - 65]:
        broken = bytearray(data)
        broken[place] ^= 1 << (place % 8)
        path = tmp_path / "broken"
        path.write_bytes(broken)
        with pytest.raises(Misconfigured, match="is damaged or cut short"):
            backupfile.Reader(path)
    for part in (data[:-1], data[: len(data) // 2], b"", data + b"x"):
        (tmp_path / "broken").write_bytes(part)
        with pytest.raises(Misconfigured, match="is damaged or cut short"):
            backupfile.Reader(tmp_path / "broken")


def test_a_backup_is_a_zip_that_only_its_owner_reads(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with zipfile.ZipFile(file) as found:
        assert found.testzip() is None
        assert "reading/2026-11-01.000.parquet" in found.namelist()
        assert "table/slot_energy.copy.zst" in found.namelist()
        assert not {"table/session.copy.zst", "table/agent_lease.copy.zst"} & set(found.namelist())


def test_a_backup_never_overwrites(
    file: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file.read_bytes()
    assert danhao.main(["db", "backup", str(file), "--database-url", database_url]) == 2
    assert "is there already: give another name" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_a_given_up_backup_leaves_nothing(tmp_path: Path) -> None:
    def give_up(writer: backupfile.Writer) -> None:
        with writer:
            writer.add("a", b"b")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        give_up(backupfile.Writer(tmp_path / "x"))
    assert list(tmp_path.iterdir()) == []


async def test_a_database_with_readings_or_plants_is_refused_and_stays(
    pool: Pool, saved: Path, database_url: str
) -> None:
    before = await ledger.all_rows(pool, ledger.READINGS)
    with pytest.raises(Misconfigured, match=r"not empty \(reading, .*site.*nothing was changed"):
        await restored(database_url, saved)
    assert repr(await ledger.all_rows(pool, ledger.READINGS)) == repr(before)


async def test_tokens_of_a_new_installation_stay_beside_the_restored_ones(
    file: Path, empty_database_url: str
) -> None:
    migrate.migrate(empty_database_url)
    there = await connection.open_pool(empty_database_url)
    insert = (
        "insert into access_token (sha256, name, role, scope, created_at)"
        " values ('x', 'local admin', 'admin', '{*}', now()) returning 1"
    )
    await ledger.all_rows(there, insert)
    await restored(empty_database_url, file)
    names = await ledger.all_rows(there, "select name from access_token order by name")
    assert names == [("local admin",), ("op",)]
    await there.close()


async def test_a_backup_of_a_newer_program_is_refused(file: Path) -> None:
    with backupfile.Reader(file) as reader:
        manifest = reader.manifest | {
            "schema": [*reader.manifest["schema"], [9000, "9000_later.sql"]]
        }
    with pytest.raises(Misconfigured, match=r"newer program \(it has 9000_later\.sql\)"):
        backup.check_schema(manifest, migrate.read_files(), "b")
    backup.check_schema(manifest | {"schema": [[1, "0001_ledger.sql"]]}, migrate.read_files(), "b")


async def test_a_store_that_is_not_what_was_backed_up_keeps_nothing(
    file: Path, empty_database_url: str
) -> None:
    migrate.migrate(empty_database_url)
    with backupfile.Reader(file) as reader:
        reader.manifest["proof"]["energy"]["gh-al.u-1.ac"]["sum"] = "1"
        async with alone(empty_database_url) as link:
            with pytest.raises(Misconfigured, match=r"energy of gh-al\.u-1\.ac: sum 1 and"):
                await backup.restore(link, reader, NOW)
            assert not await backup._holds_rows(link, "site")


CHANGES = (
    ("delete from reading where ts = (select min(ts) from reading)", "readings of gh-al"),
    ("update reading set quality = 1 where quality = 0", "the same number with other contents"),
    ("update slot_energy set energy_e6 = energy_e6 + 1", "energy of gh-al.u-1.ac: sum"),
    (
        (
            "insert into result (unit, indicator, period, period_start, period_end, closed,"
            " version, figures, computed_at) values ('u', 'i', 'day', now(), now(), false, 0,"
            " '{}', now())"
        ),
        "results of u i: none and results 1",
    ),
    ("delete from dead_letter", "rows of dead_letter: 1 and 0"),
)


async def test_a_proof_tells_what_differs(saved: Path, database_url: str) -> None:
    with backupfile.Reader(saved) as reader:
        kept = reader.manifest["proof"]
    async with alone(database_url) as link:
        for change, told in CHANGES:
            async with link.transaction(force_rollback=True):
                assert proof.differences(kept, await proof.of_store(link)) == []
                await link.execute(change)
                found = proof.differences(kept, await proof.of_store(link))
                assert any(told in line for line in found), found


def test_commands_back_up_restore_and_verify(
    saved: Path,
    database_url: str,
    empty_database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where, empty = ["--database-url", database_url], ["--database-url", empty_database_url]
    path = tmp_path / "by-hand.danhao"
    assert danhao.main(["db", "backup", str(path), "--json", *where]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["bytes"] == path.stat().st_size
    assert danhao.main(["db", "restore", str(path), *empty]) == 0
    told = capsys.readouterr().out
    assert "proven equal to the backup" in told
    assert danhao.main(["db", "restore", str(saved), *empty]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert danhao.main(["db", "verify", str(path)]) == 0
    assert danhao.main(["db", "verify", str(saved), "--against", database_url]) == 0
    capsys.readouterr()
    # The restore itself is on record in the audit, and nothing else differs.
    assert danhao.main(["db", "verify", "--against", empty_database_url, *where]) == 1
    assert capsys.readouterr().out == "rows of audit: 1 and 2\n"
    assert danhao.main(["db", "verify"]) == 2


async def test_a_backup_of_an_older_program_is_restored_and_migrated_forward(
    empty_database_url: str, engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if engine is not Engine.PLAIN:
        pytest.skip("dropping the schema would drop the engine's extension with it")
    known = migrate.read_files()
    migrate.migrate(empty_database_url, known[:-1])
    path = tmp_path / "old"
    async with alone(empty_database_url) as link:
        await link.execute("insert into site values ('gh-al', '{}', 1, now())")
        await backup.backup(link, path, NOW)
        await link.execute("drop schema public cascade")
        await link.execute("create schema public")
    restore = ["db", "restore", str(path), "--database-url", empty_database_url]
    assert await asyncio.to_thread(danhao.main, restore) == 0
    assert "proven equal" in capsys.readouterr().out
    assert all(m.applied_at is not None for m in migrate.status(empty_database_url))
    async with alone(empty_database_url) as link:
        cursor = await link.execute("select site, version from site")
        assert await cursor.fetchall() == [("gh-al", 1)]


async def test_days_are_cut_into_parts_of_bounded_size(
    pool: Pool, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await ledger.declare(pool)
    await ledger.store(pool, ledger.rows_of(ids, 0, 1))
    monkeypatch.setattr("store.blocks.MOST_BLOCK_ROWS", 100)
    monkeypatch.setattr("store.blocks.read.__defaults__", (100,))
    async with alone(database_url) as link:
        manifest = await backup.backup(link, tmp_path / "b", NOW)
    parts = manifest["readings"]
    assert all(part["rows"] <= 100 * backup.MOST_PART_BLOCKS for part in parts)
    assert len(parts) > 1
    assert sum(part["rows"] for part in parts) == manifest["proof"]["rows"]["reading"]
