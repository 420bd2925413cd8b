"""What tables a store has, read from its own catalogue: for backups and proofs.

A table that a later migration adds is found here without a line of code. Promise: nothing is left
out but what is named in LEFT_OUT, each with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from core.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg import AsyncConnection

READING: Final = "reading"  # by far the largest: it goes its own way, in blocks of columns
LEFT_OUT: Final = frozenset(
    {
        READING,
        "migration",  # the schema is migrated, not copied
        "case_step",  # a migration lays it down, row by row
        "store_identity",  # a restored store is another store (design 4.2)
        "store_engine",  # how this very database is laid out
        "policy_run",  # what this very database's scheduler did
        "agent_lease",  # of programs that run now, as the next one
        "ingest_worker",
        "session",  # people sign in again; what was signed out must not come back
    }
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is stored, not computed by the server."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table, with its columns in the order of their names."""

    name: str
    columns: tuple[Column, ...]

    def listed(self) -> sql.Composed:
        """Return the columns as SQL lists them."""
        return sql.SQL(", ").join(sql.Identifier(column.name) for column in self.columns)


async def kept(connection: AsyncConnection[Any]) -> list[Table]:
    """Return the tables that a backup holds beside the readings, those referred to first."""
    cursor = await connection.execute(_COLUMNS)
    columns: dict[str, list[Column]] = {}
    for table, column, type_ in await cursor.fetchall():
        if table not in LEFT_OUT:
            columns.setdefault(table, []).append(Column(column, type_))
    cursor = await connection.execute(_REFERENCES)
    references = [(a, b) for a, b in await cursor.fetchall() if a in columns and b in columns]
    return [Table(name, tuple(columns[name])) for name in _ordered(columns, references)]


async def point_names(connection: AsyncConnection[Any]) -> dict[int, str]:
    """Return the name of each point by its number."""
    cursor = await connection.execute("select point_id, point from point")
    return dict(await cursor.fetchall())


async def sequences(connection: AsyncConnection[Any]) -> dict[str, int]:
    """Return the last number that each identity column gave out, by `table.column`."""
    found: dict[str, int] = {}
    cursor = await connection.execute(_IDENTITIES)
    for table, column, sequence in await cursor.fetchall():
        if table in LEFT_OUT:
            continue
        last = sql.SQL("select case when is_called then last_value else 0 end from {}")
        schema, name = sequence.split(".", 1)
        row = await (await connection.execute(last.format(sql.Identifier(schema, name)))).fetchone()
        found[f"{table}.{column}"] = int(row[0]) if row else 0
    return found


async def advance(connection: AsyncConnection[Any], last: dict[str, int]) -> None:
    """Have each identity column go on after these numbers; never back."""
    for key, number in last.items():
        table, column = key.split(".", 1)
        if number > 0:
            await connection.execute(
                "select setval(s, greatest(%s, nextval(s))) from pg_get_serial_sequence(%s, %s) s",
                (number, table, column),
            )


def _ordered(names: Iterable[str], references: Sequence[tuple[str, str]]) -> list[str]:
    """Return names so that each comes after those that it refers to."""
    done: list[str] = []
    left = sorted(names)
    while left:
        free = [
            name for name in left if all(b in done or b == name for a, b in references if a == name)
        ]
        if not free:
            raise Misconfigured(f"the tables {', '.join(left)} refer to one another in a circle")
        done += free
        left = [name for name in left if name not in free]
    return done


_COLUMNS: Final = (
    "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod)"
    " from pg_class c join pg_attribute a on a.attrelid = c.oid"
    " where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')"
    " and not c.relispartition and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''"
    " and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass"
    "  and d.objid = c.oid and d.deptype = 'e')"
    " order by c.relname, a.attname"
)
_REFERENCES: Final = (
    "select conrelid::regclass::text, confrelid::regclass::text from pg_constraint"
    " where contype = 'f' and connamespace = current_schema()::regnamespace"
)
_IDENTITIES: Final = (
    "select c.relname, a.attname, n.nspname || '.' || s.relname from pg_class c"
    " join pg_attribute a on a.attrelid = c.oid and a.attidentity <> ''"
    " join pg_depend d on d.refobjid = c.oid and d.refobjsubid = a.attnum and d.deptype = 'i'"
    "  and d.classid = 'pg_class'::regclass"
    " join pg_class s on s.oid = d.objid and s.relkind = 'S'"
    " join pg_namespace n on n.oid = s.relnamespace"
    " where c.relnamespace = current_schema()::regnamespace and not c.relispartition"
    " order by 1, 2"
)
