"""Backup and restore: one consistent snapshot of everything that must run again, on any engine.

Logical, so a backup of plain PostgreSQL restores into TimescaleDB and back. Promise: a backup is
one repeatable-read snapshot and carries the proof of what it holds; a restore is one transaction
that commits only when the new store gives the same proof; the restored store has a new id, so
agents send again what they still hold (design 4.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from core.clock import from_us
from core.errors import Misconfigured, Problem
from store import access, backupfile, blocks, parquet, partitions, plants, proof, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from psycopg import AsyncConnection

    from store.backupfile import Reader, Writer
    from store.migrate import Migration
    from store.tables import Table

    Watch = Callable[[int, int], None]

MOST_PART_BLOCKS: Final = 8  # of one member: two million readings, some 20 MB in memory
# A new installation has these rows of its own; a restore's are put beside them, or in their place.
OWN_ROWS: Final = frozenset({"access_token", "catalogue_version"})
SEEDED: Final = frozenset({"retention"})
# What says which readings are behind the horizon comes after the readings.
AFTER_READINGS: Final = frozenset({"retention", "archived_span"})
SNAPSHOT: Final = "set transaction isolation level repeatable read, read only"
_LOCK: Final = 0x726573746F7265  # "restore": one at a time


def _unwatched(_done: int, _all: int) -> None:
    return


async def backup(
    connection: AsyncConnection[Any], path: Path, now: datetime, watch: Watch = _unwatched
) -> dict[str, Any]:
    """Write a backup of one snapshot and return its manifest; `connection` commits by itself."""
    with backupfile.Writer(path) as writer:
        async with connection.transaction():
            await connection.execute(SNAPSHOT)
            manifest = await _contents(connection, writer, watch)
        manifest |= {"format": backupfile.FORMAT, "made_at": now.isoformat()}
        writer.finish(manifest)
    return manifest


async def _contents(
    connection: AsyncConnection[Any], writer: Writer, watch: Watch
) -> dict[str, Any]:
    names = await tables.point_names(connection)
    tallies = proof.Tallies(names)
    parts: list[dict[str, Any]] = []
    days = await blocks.stored_days(connection)
    for number, day in enumerate(days, start=1):
        parts += await _day(connection, writer, day, tallies)
        watch(number, len(days) + 1)
    kept = await tables.kept(connection)
    for table in kept:
        await _copy_out(connection, writer, table)
    cursor = await connection.execute("select number, name from migration order by number")
    manifest = {
        "store": await plants.store_id(connection),
        "server": connection.info.server_version,
        "schema": [list(row) for row in await cursor.fetchall()],
        "tables": [
            {"name": table.name, "columns": [[c.name, c.type] for c in table.columns]}
            for table in kept
        ],
        "readings": parts,
        "sequences": await tables.sequences(connection),
        "proof": await proof.with_tallies(connection, tallies),
    }
    watch(len(days) + 1, len(days) + 1)
    return manifest


async def _day(
    connection: AsyncConnection[Any], writer: Writer, day_us: int, tallies: proof.Tallies
) -> list[dict[str, Any]]:
    """Write a day's readings in parts of bounded size."""
    parts: list[dict[str, Any]] = []
    held: list[blocks.Block] = []

    def flush() -> None:
        sink = parquet.buffer()
        with parquet.Writer(sink, tallies.names) as file:
            for block in held:
                file.write(block)
        name = f"reading/{from_us(day_us):%Y-%m-%d}.{len(parts):03d}.parquet"
        writer.add(name, sink.getvalue().to_pybytes())
        parts.append({"name": name, "rows": sum(map(len, held))})
        held.clear()

    async for block in blocks.read(connection, day_us, day_us + blocks.DAY_US):
        tallies.add(block)
        held.append(block)
        if len(held) == MOST_PART_BLOCKS:
            flush()
    if held:
        flush()
    return parts


async def _copy_out(connection: AsyncConnection[Any], writer: Writer, table: Table) -> None:
    # A query, not the table: of a hypertable the table itself is empty.
    statement = sql.SQL("copy (select {} from {}) to stdout (format binary)").format(
        table.listed(), sql.Identifier(table.name)
    )
    with writer.compressed(f"table/{table.name}.copy.zst") as write:
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            held = bytearray()
            async for row in copy:
                held += row
                if len(held) >= backupfile.MOST_CHUNK_BYTES:
                    write(bytes(held))
                    held.clear()
            write(bytes(held))


def check_schema(manifest: dict[str, Any], known: Sequence[Migration], where: str) -> None:
    """Raise Misconfigured where a backup's schema is newer than this program, or another one."""
    by_number = {migration.number: migration.name for migration in known}
    for number, name in manifest["schema"]:
        if number not in by_number:
            raise Misconfigured(
                f"{where}: was made by a newer program (it has {name}): install that one, then"
                " restore"
            )
        if by_number[number] != name:
            raise Misconfigured(f"{where}: has {name} where this program has {by_number[number]}")


async def check_empty(connection: AsyncConnection[Any], manifest: dict[str, Any]) -> None:
    """Raise Misconfigured unless a backup may be restored into this database."""
    cursor = await connection.execute("select to_regclass('migration')")
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        if await tables.kept(connection):
            raise Misconfigured("the database holds tables that are not ours: give an empty one")
        return
    holding = [
        table
        for table in [tables.READING, *(each.name for each in await tables.kept(connection))]
        if table not in OWN_ROWS | SEEDED and await _holds_rows(connection, table)
    ]
    if holding:
        raise Misconfigured(
            f"the database is not empty ({', '.join(holding)}): give a new one, nothing was changed"
        )
    cursor = await connection.execute("select number, name from migration order by number")
    if [list(each) for each in await cursor.fetchall()] != manifest["schema"]:
        raise Misconfigured(
            "the database has another schema than the backup: give an empty database, which is"
            " brought to the right one"
        )


async def restore(
    connection: AsyncConnection[Any], reader: Reader, now: datetime, watch: Watch = _unwatched
) -> str:
    """Fill a migrated, empty database in one transaction and return its new store id.

    Raises Misconfigured where it is not empty, or does not give the backup's own proof.
    """
    manifest = reader.manifest
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        await check_empty(connection, manifest)
        there = {table.name: table for table in await tables.kept(connection)}
        wanted = _tables(manifest, there)
        shared = [name for name in OWN_ROWS & set(there) if await _holds_rows(connection, name)]
        for name in SEEDED & set(there):
            await connection.execute(sql.SQL("delete from {}").format(sql.Identifier(name)))
        for table in wanted:
            if table.name not in AFTER_READINGS:
                await _copy_in(connection, reader, table, beside=table.name in shared)
        await _readings_in(connection, reader, now, watch)
        for table in wanted:
            if table.name in AFTER_READINGS:
                await _copy_in(connection, reader, table, beside=False)
        await tables.advance(connection, manifest["sequences"])
        # What was just filled has no statistics: the proof, and whoever comes next, would crawl.
        for name in (tables.READING, *there):
            await connection.execute(sql.SQL("analyze {}").format(sql.Identifier(name)))
        await _prove(connection, manifest, shared)
        await connection.execute(
            "update store_identity set store = gen_random_uuid(), created_at = %s", (now,)
        )
        identity = await plants.store_id(connection)
        await access.record(
            connection,
            at=now,
            who="danhao db restore",
            role="admin",
            action="restore",
            subject=f"store/{identity}",
            detail={"from_store": manifest["store"], "made_at": manifest["made_at"]},
        )
    return identity


def _tables(manifest: dict[str, Any], there: dict[str, Table]) -> list[Table]:
    """Return the backup's tables in an order that references allow, as they are here too."""
    wanted = {each["name"]: [tuple(c) for c in each["columns"]] for each in manifest["tables"]}
    found = {name: [(c.name, c.type) for c in table.columns] for name, table in there.items()}
    odd = sorted(
        name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
    )
    if odd:
        raise Misconfigured(
            f"the tables {', '.join(odd)} are others here than in the backup: restore with the"
            " program that made it"
        )
    return list(there.values())


async def _readings_in(
    connection: AsyncConnection[Any], reader: Reader, now: datetime, watch: Watch
) -> None:
    ids = {point: number for number, point in (await tables.point_names(connection)).items()}
    parts = reader.manifest["readings"]
    for number, part in enumerate(parts, start=1):
        source = parquet.source(reader.data(part["name"]))
        for block in parquet.read(source, ids, part["name"]):
            await partitions.make_for(connection, block.ts_us, now)
            await blocks.copy_in(connection, block)
        watch(number, len(parts))


async def _copy_in(
    connection: AsyncConnection[Any], reader: Reader, table: Table, *, beside: bool
) -> None:
    """Fill a table; `beside` the rows that are there, which stay."""
    target = sql.Identifier(table.name)
    if beside:
        target = sql.Identifier(f"restored_{table.name}")
        await connection.execute(
            sql.SQL("create temporary table {} (like {}) on commit drop").format(
                target, sql.Identifier(table.name)
            )
        )
    statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(target, table.listed())
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in reader.pieces(f"table/{table.name}.copy.zst"):
            await copy.write(piece)
    if beside:
        await connection.execute(
            sql.SQL("insert into {} ({columns}) select {columns} from {} on conflict do nothing")
            .format(sql.Identifier(table.name), target, columns=table.listed())
        )  # fmt: skip


async def _prove(
    connection: AsyncConnection[Any], manifest: dict[str, Any], shared: Sequence[str]
) -> None:
    found = proof.differences(manifest["proof"], await proof.of_store(connection))
    wrong = [line for line in found if not any(line.startswith(f"rows of {s}:") for s in shared)]
    if wrong:
        told = ["the restored store is not what was backed up, so nothing was kept", *wrong]
        raise Misconfigured([Problem("", sentence) for sentence in told])


async def _holds_rows(connection: AsyncConnection[Any], table: str) -> bool:
    statement = sql.SQL("select exists (select 1 from {})").format(sql.Identifier(table))
    row = await (await connection.execute(statement)).fetchone()
    return bool(row and row[0])


def schema_of(manifest: dict[str, Any], known: Sequence[Migration]) -> list[Migration]:
    """Return the migrations that bring an empty database to a backup's schema."""
    numbers = {number for number, _ in manifest["schema"]}
    return [migration for migration in known if migration.number in numbers]
