"""Which of three engines holds the readings: plain PostgreSQL, TimescaleDB or Citus.

Chosen once, when a database is migrated, and written down in it: the same queries run on all
three, only the tables are laid out differently. Promise: a server that cannot be the engine asked
for is refused with one sentence that says what it lacks; a database never changes its engine.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql

from core.errors import Misconfigured, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import AsyncConnection, Connection

DAY_US: Final = 86_400_000_000
LEAST_SERVER: Final = 150_000  # PostgreSQL 15, as server_version_num writes it
_FLAG: Final = "--engine"


class Engine(StrEnum):
    """What lays out the table of readings."""

    PLAIN = "plain"
    TIMESCALE = "timescale"
    CITUS = "citus"


_EXTENSION: Final = {Engine.TIMESCALE: "timescaledb", Engine.CITUS: "citus"}
_LEAST: Final = {Engine.TIMESCALE: (2, 20), Engine.CITUS: (12, 0)}
_NAME: Final = {
    Engine.PLAIN: "plain PostgreSQL",
    Engine.TIMESCALE: "TimescaleDB",
    Engine.CITUS: "Citus",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How `reading` is laid out: by which engine, in spans of how many microseconds."""

    engine: Engine
    span_us: int

    def span_of(self, ts_us: int) -> int:
        """Return the first microsecond of the span that holds the instant."""
        return ts_us - ts_us % self.span_us


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself and of one extension; None where it has none of it."""

    version: int
    available: str | None
    installed: str | None
    loaded: bool
    may_create: bool
    nodes: int
    full: bool


def choose(link: Connection[Any], asked: Engine | None = None) -> Engine:
    """Return the engine of this database: the recorded one, else the one asked for, else the best.

    Raises Misconfigured where the database has another one than is asked for, or the server cannot
    be it. Creates TimescaleDB's extension where that is what a new database gets.
    """
    found = recorded(link)
    if found is not None:
        if asked is not None and asked is not found:
            raise Misconfigured(
                [
                    Problem(
                        _FLAG,
                        f"this database is laid out for {_NAME[found]} and stays so: to change,"
                        " migrate a new database and restore a backup into it",
                    )
                ]
            )
        return found
    if asked is not None:
        lack = _lack(asked, _look(link, asked))
        if lack is not None:
            raise Misconfigured([Problem(_FLAG, lack)])
        _create_extension(link, asked)
        return asked
    for engine in (Engine.TIMESCALE, Engine.CITUS):
        server = _look(link, engine)
        lack = _lack(engine, server)
        if lack is None and (server.installed is not None or engine is Engine.TIMESCALE):
            _create_extension(link, engine)
            return engine
    lack = _lack(Engine.PLAIN, _look(link, Engine.PLAIN))
    if lack is not None:
        raise Misconfigured(lack)
    return Engine.PLAIN


def recorded(link: Connection[Any]) -> Engine | None:
    """Return the engine that is written down in the database, None before its migration."""
    row = link.execute("select to_regclass('store_engine')").fetchone()
    if row is None or row[0] is None:
        return None
    row = link.execute("select engine from store_engine").fetchone()
    return None if row is None else Engine(row[0])


async def recorded_in(connection: AsyncConnection[Any]) -> Engine | None:
    """Return what `recorded` returns, for a program that waits."""
    cursor = await connection.execute("select to_regclass('store_engine')")
    row = await cursor.fetchone()
    return None if row is None or row[0] is None else (await layout(connection)).engine


async def layout(connection: AsyncConnection[Any]) -> Layout:
    """Return how the readings are laid out; asked once a connection, for it never changes."""
    known = _LAYOUTS.get(connection)
    if known is None:
        cursor = await connection.execute("select engine, span_days from store_engine")
        row = await cursor.fetchone()
        assert row is not None, "migration 5 writes it"  # noqa: S101 - a belief
        known = _LAYOUTS[connection] = Layout(Engine(row[0]), row[1] * DAY_US)
    return known


_LAYOUTS: weakref.WeakKeyDictionary[AsyncConnection[Any], Layout] = weakref.WeakKeyDictionary()

# shared_preload_libraries is for superusers' eyes; a loaded library shows by its own setting.
_LOADED: Final = {Engine.TIMESCALE: "timescaledb.disable_load", Engine.CITUS: "citus.version"}
_LOOK: Final = (
    "select current_setting('server_version_num')::int,"
    " (select default_version from pg_available_extensions where name = %(x)s),"
    " (select extversion from pg_extension where extname = %(x)s),"
    " current_setting(%(loaded)s, true) is not null,"
    " coalesce((select bool_or(u.rolsuper or (v.trusted and"
    "   has_database_privilege(current_database(), 'create')))"
    "  from pg_available_extension_versions v, pg_roles u"
    "  where v.name = %(x)s and u.rolname = current_user), false)"
)


def _look(link: Connection[Any], engine: Engine) -> Server:
    row = link.execute(
        _LOOK, {"x": _EXTENSION.get(engine, ""), "loaded": _LOADED.get(engine, "no.setting")}
    ).fetchone()
    assert row is not None  # noqa: S101 - a select without a table has one row
    version, available, installed, loaded, may_create = row
    nodes, full = 0, True
    if engine is Engine.CITUS and installed is not None:
        found = link.execute(
            "select count(*) from pg_dist_node where isactive and shouldhaveshards"
        ).fetchone()
        nodes = 0 if found is None else found[0]
    if engine is Engine.TIMESCALE:
        found = link.execute("select current_setting('timescaledb.license', true)").fetchone()
        full = found is None or found[0] in {None, "timescale"}
    return Server(version, available, installed, loaded, may_create, nodes, full)


def _lack(engine: Engine, server: Server) -> str | None:
    """Return what the server lacks to be this engine, in one sentence; None when it is fit."""
    return next(_lacks(engine, server), None)


def _lacks(engine: Engine, server: Server) -> Iterator[str]:
    """Yield what is missing; the sentences that follow the first one may not hold."""
    if server.version < LEAST_SERVER:
        yield (
            f"the server is PostgreSQL {server.version // 10_000}, older than 15: install a newer"
            " one"
        )
    if engine is Engine.PLAIN:
        return
    name, extension = _NAME[engine], _EXTENSION[engine]
    version = server.installed or server.available
    if version is None:
        yield f"the server has no {name}: install its package on the server, or leave this out"
        return
    if _numbers(version) < _LEAST[engine]:
        least = ".".join(map(str, _LEAST[engine]))
        yield f"the server has {name} {version}, older than {least}: install a newer one"
    if server.installed is None and not server.loaded:
        yield (
            f"{name} is installed and not loaded: add {extension} to shared_preload_libraries and"
            " restart the server"
        )
    if server.installed is None and not server.may_create:
        yield (
            f"this account may not create {name} in this database: have an administrator run"
            f" `create extension {extension}` in it"
        )
    if not server.full:
        yield (
            f"{name} runs under its Apache licence, without the columnstore: install the community"
            " edition, or leave this out for native partitions"
        )
    if engine is Engine.CITUS and server.nodes == 0:
        yield (
            "Citus has no active node for shards: run `create extension citus` here and on each"
            " worker, then citus_set_coordinator_host and citus_add_node"
        )


def _numbers(version: str) -> tuple[int, ...]:
    """Return major and minor of a version such as 2.23.0-dev or 13.2-1."""
    parts = version.replace("-", ".").split(".")[:2]
    return tuple(int(part) if part.isdecimal() else 0 for part in parts)


def _create_extension(link: Connection[Any], engine: Engine) -> None:
    name = _EXTENSION.get(engine)
    if name is None:
        return
    try:
        link.execute(sql.SQL("create extension if not exists {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        first = (str(error) or "no reason").splitlines()[0]
        raise Misconfigured(
            [Problem(_FLAG, f"{_NAME[engine]} cannot be created in this database: {first}")]
        ) from error
