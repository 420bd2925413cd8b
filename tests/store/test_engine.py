"""The engine: found out or asked for, refused in one sentence, written down once."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import psycopg
import pytest

from core.errors import Misconfigured
from store import engine as engines
from store import migrate
from store.engine import DAY_US, Engine, Layout, Server

if TYPE_CHECKING:
    from store.connection import Pool

FIT = Server(
    version=150_000,
    available="2.28.3",
    installed=None,
    loaded=True,
    may_create=True,
    nodes=2,
    full=True,
)


async def test_the_best_engine_of_the_server_is_chosen_and_written_down(
    database_url: str, pool: Pool, engine: Engine
) -> None:
    with psycopg.connect(database_url) as link:
        assert engines.recorded(link) is engine
    async with pool.connection() as connection:
        assert await engines.recorded_in(connection) is engine
        days = 7 if engine is Engine.CITUS else 1
        assert await engines.layout(connection) == Layout(engine, days * DAY_US)


def test_a_database_without_tables_has_no_engine_yet(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as link:
        assert engines.recorded(link) is None


@pytest.mark.parametrize("asked", [Engine.PLAIN, Engine.TIMESCALE, Engine.CITUS])
def test_an_engine_stays_what_it_is(database_url: str, engine: Engine, asked: Engine) -> None:
    if asked is engine:
        assert migrate.migrate(database_url, engine=asked) == []
        return
    with pytest.raises(Misconfigured, match="--engine: this database is laid out for"):
        migrate.migrate(database_url, engine=asked)


def test_plain_partitions_can_be_had_on_any_server(empty_database_url: str) -> None:
    migrate.migrate(empty_database_url, engine=Engine.PLAIN)
    with psycopg.connect(empty_database_url) as link:
        assert engines.recorded(link) is Engine.PLAIN
        row = link.execute(
            "select relkind::text from pg_class where relname = 'reading'"
        ).fetchone()
    assert row == ("p",)


@pytest.mark.parametrize(
    ("asked", "told"), [(Engine.TIMESCALE, "no TimescaleDB"), (Engine.CITUS, "no Citus")]
)
def test_an_engine_that_the_server_lacks_is_refused_and_nothing_is_made(
    empty_database_url: str, engine: Engine, asked: Engine, told: str
) -> None:
    if engine is not Engine.PLAIN:
        pytest.skip("asks the server that has neither")
    with pytest.raises(Misconfigured, match=f"--engine: the server has {told}"):
        migrate.migrate(empty_database_url, engine=asked)
    with psycopg.connect(empty_database_url) as link:
        assert link.execute("select to_regclass('migration')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("engine", "change", "told"),
    [
        (Engine.PLAIN, {"version": 140_012}, "PostgreSQL 14, older than 15"),
        (Engine.TIMESCALE, {"version": 140_012}, "PostgreSQL 14, older than 15"),
        (Engine.TIMESCALE, {"available": None}, "has no TimescaleDB"),
        (Engine.TIMESCALE, {"available": "2.19.3"}, "TimescaleDB 2.19.3, older than 2.20"),
        (Engine.TIMESCALE, {"installed": "2.9.1"}, "TimescaleDB 2.9.1, older than 2.20"),
        (Engine.TIMESCALE, {"loaded": False}, "timescaledb to shared_preload_libraries"),
        (Engine.TIMESCALE, {"may_create": False}, "`create extension timescaledb`"),
        (Engine.TIMESCALE, {"full": False}, "Apache licence"),
        (Engine.CITUS, {"available": "11.3-1"}, "Citus 11.3-1, older than 12.0"),
        (Engine.CITUS, {"installed": "13.2-1", "nodes": 0}, "no active node"),
    ],
)
def test_what_a_server_lacks_is_told_in_one_sentence(
    engine: Engine, change: dict[str, object], told: str
) -> None:
    server = dataclasses.replace(
        FIT, available="13.2-1" if engine is Engine.CITUS else FIT.available
    )
    assert engines._lack(engine, server) is None
    lack = engines._lack(engine, dataclasses.replace(server, **change))  # type: ignore[arg-type]
    assert lack is not None
    assert told in lack
    assert "\n" not in lack


def test_what_is_installed_needs_neither_leave_nor_loading() -> None:
    there = dataclasses.replace(FIT, installed="2.23.0-dev", loaded=False, may_create=False)
    assert engines._lack(Engine.TIMESCALE, there) is None
