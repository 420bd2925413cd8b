"""Migrations: in order, once, never changed behind our back."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from core.errors import Misconfigured, Retryable
from store import connection, migrate

if TYPE_CHECKING:
    from pathlib import Path

    from store.engine import Engine


def test_an_empty_database_gets_every_migration_once(empty_database_url: str) -> None:
    names = [migration.name for migration in migrate.read_files()]
    assert names[0] == "0001_ledger.sql"
    assert migrate.migrate(empty_database_url) == names
    assert migrate.migrate(empty_database_url) == []
    assert all(m.applied_at is not None for m in migrate.status(empty_database_url))


def test_status_of_an_empty_database_changes_nothing(empty_database_url: str) -> None:
    assert [m.applied_at for m in migrate.status(empty_database_url)] == [None] * len(
        migrate.read_files()
    )
    with psycopg.connect(empty_database_url) as link:
        assert link.execute("select to_regclass('migration')").fetchone() == (None,)


def test_two_programs_that_migrate_at_once_do_it_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda _: migrate.migrate(empty_database_url), range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, len(migrate.read_files())]


def test_a_file_changed_after_it_was_applied_is_refused_by_name(
    database_url: str, engine: Engine
) -> None:
    files = migrate.read_files(engine=engine)
    changed = [dataclasses.replace(files[0], sha256="0" * 64), *files[1:]]
    with pytest.raises(Misconfigured, match=r"0001_ledger\.sql: was changed"):
        migrate.migrate(database_url, changed)


def test_a_database_newer_than_the_program_is_refused(database_url: str) -> None:
    with pytest.raises(Misconfigured, match="older than the database"):
        migrate.migrate(database_url, [])


def test_a_migration_that_fails_leaves_nothing_behind(database_url: str, engine: Engine) -> None:
    broken = migrate.Migration(9000, "9000_x.sql", "x", "create table half (a int); select 1/0")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate.migrate(database_url, [*migrate.read_files(engine=engine), broken])
    with psycopg.connect(database_url) as link:
        assert link.execute("select to_regclass('half')").fetchone() == (None,)


def test_two_files_of_one_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("")
    (tmp_path / "0001_b.sql").write_text("")
    with pytest.raises(Misconfigured, match=r"0001_b\.sql: has the number of 0001_a\.sql"):
        migrate.read_files(tmp_path)


async def test_readiness_names_what_is_pending(
    empty_database_url: str, pool: connection.Pool
) -> None:
    async with pool.connection() as link:
        assert await migrate.pending(link) == []
    empty = await connection.open_pool(empty_database_url)
    async with empty.connection() as link:
        assert "0001_ledger.sql" in await migrate.pending(link)
    await empty.close()


async def test_an_unreachable_server_is_one_sentence_without_the_password() -> None:
    url = "postgresql://someone:hush@127.0.0.1:1/danhao"
    with pytest.raises(Retryable, match=r"danhao at 127\.0\.0\.1:1 does not let us in") as caught:
        await connection.open_pool(url, wait_s=0.3)
    assert "hush" not in str(caught.value)
    with pytest.raises(Retryable, match="does not let us in") as caught:
        migrate.migrate(url)
    assert "hush" not in str(caught.value)


async def test_an_address_that_is_none_is_misconfigured() -> None:
    with pytest.raises(Misconfigured, match="write postgresql://"):
        await connection.open_pool("postgresql//nonsense")
