"""Migrations: `NNNN_name.sql` files applied in order, forward only, each in a transaction.

A file `NNNN_name.plain|timescale|citus.sql` beside it holds what differs by engine and is applied
right after it, in the same transaction, as one migration. Promise: two programs that migrate at
once do it once; a file that changed after it was applied, and a database newer than this program,
are refused with the file's name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from core.errors import Misconfigured, Problem
from store import connection
from store import engine as engines
from store.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from importlib.resources.abc import Traversable

    import psycopg
    from psycopg import AsyncConnection

_LOCK: Final = 0x64616E68616F  # "danhao", an advisory lock of our own
_FILE: Final = re.compile(r"^(\d{4})_[a-z0-9_]+(?:\.(plain|timescale|citus))?\.sql$")
_TABLE: Final = (
    "create table if not exists migration (number int primary key, name text not null,"
    " sha256 text not null, applied_at timestamptz not null default now())"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; `applied_at` is None while it is pending."""

    number: int
    name: str
    sha256: str
    sql: str
    applied_at: datetime | None = None


def migrate(
    url: str, files: Sequence[Migration] | None = None, engine: Engine | None = None
) -> list[str]:
    """Apply what is pending and return the names; raises Misconfigured, and Retryable when out.

    `engine` is asked for, not found out, where the database has none yet. Blocks: an asyncio
    program calls it before its loop or in a thread.
    """
    done: list[str] = []
    with connection.connect(url, "danhao migrate") as link:
        link.autocommit = True
        link.execute("select pg_advisory_lock(%s)", (_LOCK,))
        chosen = engines.choose(link, engine)
        known = read_files(engine=chosen) if files is None else files
        link.execute(_TABLE)
        for migration in compare(known, _applied(link)):
            if migration.applied_at is None:
                _apply(link, migration)
                done.append(migration.name)
    return done


def create_database(link: psycopg.Connection[Any], name: str) -> None:
    """Create a database where there is none of that name; the link commits by itself."""
    row = link.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
    if row is None:
        link.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


def status(url: str, files: Sequence[Migration] | None = None) -> list[Migration]:
    """Return all migrations in order, those pending without `applied_at`; changes nothing."""
    with connection.connect(url, "danhao migrate") as link:
        engine = engines.recorded(link) or Engine.PLAIN
        known = read_files(engine=engine) if files is None else files
        row = link.execute("select to_regclass('migration')").fetchone()
        applied = _applied(link) if row is not None and row[0] is not None else []
    return compare(known, applied)


async def pending(link: AsyncConnection[Any]) -> list[str]:
    """Return the names of migrations that the database lacks; for the readiness route."""
    cursor = await link.execute("select to_regclass('migration')")
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return [migration.name for migration in read_files()]
    cursor = await link.execute(_SELECT)
    applied = [_Applied(*found) for found in await cursor.fetchall()]
    known = read_files(engine=await engines.recorded_in(link) or Engine.PLAIN)
    return [m.name for m in compare(known, applied) if m.applied_at is None]


@dataclass(frozen=True, slots=True)
class _Applied:
    number: int
    name: str
    sha256: str
    applied_at: datetime


_SELECT: Final = "select number, name, sha256, applied_at from migration order by number"


def compare(known: Sequence[Migration], applied: Iterable[_Applied]) -> list[Migration]:
    """Join files and what was applied; raises Misconfigured with every contradiction."""
    by_number = {migration.number: migration for migration in known}
    problems: list[Problem] = []
    when: dict[int, datetime] = {}
    for row in applied:
        migration = by_number.get(row.number)
        if migration is None:
            problems.append(
                Problem(
                    row.name,
                    "is applied and unknown here: this program is older than the"
                    " database, install the newer one",
                )
            )
        elif migration.sha256 != row.sha256:
            problems.append(
                Problem(
                    row.name,
                    "was changed after it was applied: restore the file and put the"
                    " change into a new migration",
                )
            )
        else:
            when[row.number] = row.applied_at
    if problems:
        raise Misconfigured(problems)
    return [Migration(m.number, m.name, m.sha256, m.sql, when.get(m.number)) for m in known]


def read_files(folder: Traversable | None = None, engine: Engine = Engine.PLAIN) -> list[Migration]:
    """Return the packaged migrations of an engine in order, each with the name of its first file.

    Raises Misconfigured on a number used twice, and on a variant whose common file is missing.
    """
    place = resources.files("store").joinpath("sql") if folder is None else folder
    found: dict[int, Migration] = {}
    variants: list[tuple[str, str]] = []
    for entry in sorted(place.iterdir(), key=lambda each: each.name):
        match = _FILE.match(entry.name)
        if match is None:
            continue
        if match.group(2) is not None:
            if match.group(2) == engine:
                variants.append((entry.name, entry.read_text("utf-8")))
            continue
        number = int(match.group(1))
        if number in found:
            raise Misconfigured([Problem(entry.name, f"has the number of {found[number].name}")])
        found[number] = _migration(number, entry.name, entry.read_text("utf-8"))
    for name, text in variants:
        common = found.get(int(name[:4]))
        if common is None or common.name != name.replace(f".{engine}.sql", ".sql"):
            raise Misconfigured([Problem(name, "has no file of that name for all engines")])
        found[common.number] = _migration(common.number, common.name, common.sql + text)
    return [found[number] for number in sorted(found)]


def _migration(number: int, name: str, text: str) -> Migration:
    return Migration(number, name, hashlib.sha256(text.encode()).hexdigest(), text)


def _applied(link: psycopg.Connection[Any]) -> list[_Applied]:
    return [_Applied(*row) for row in link.execute(_SELECT).fetchall()]


def _apply(link: psycopg.Connection[Any], migration: Migration) -> None:
    with link.transaction():
        link.execute(migration.sql)
        link.execute(
            "insert into migration (number, name, sha256) values (%s, %s, %s)",
            (migration.number, migration.name, migration.sha256),
        )
