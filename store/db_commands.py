"""`danhao db migrate|status|archive|unarchive|backup|restore|verify`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import clock
from core.clock import to_us
from core.errors import Misconfigured
from store import (
    archive,
    backup,
    backupfile,
    connection,
    engine,
    migrate,
    proof,
    settings,
    status,
    unarchive,
)
from store.bar import Bar
from store.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from psycopg import AsyncConnection

WELL: Final = 0
BAD_NEWS: Final = 1


def register(database: argparse.ArgumentParser, add_options: Callable[..., None]) -> None:
    """Add the leaves of `db`; `add_options` adds those that say where the store is."""
    leaves = database.add_subparsers(dest="leaf", required=True, metavar="COMMAND")

    def leaf(name: str, purpose: str, run: Callable[..., int]) -> argparse.ArgumentParser:
        found = leaves.add_parser(name, help=purpose, description=purpose)
        add_options(found)
        found.set_defaults(run=run)
        return found

    engines = [each.value for each in Engine]
    found = leaf("migrate", "bring the database to this program's schema", _migrate)
    found.add_argument("--engine", choices=engines, help="of a new database (default: the best)")
    leaf("status", "schema, sizes, growth, days to a full disk, lag; exit 1 on bad news", _status)

    found = leaf("archive", "write readings to Parquet files, one a day", _archive)
    found.add_argument("--before", required=True, type=_day, metavar="DATE", help="whole UTC days")
    found.add_argument("--to", required=True, type=Path, metavar="DIR")
    found.add_argument("--drop", action="store_true", help="then drop what was read back equal")

    found = leaf("unarchive", "bring archived readings back and compute their slots", _unarchive)
    found.add_argument("folder", type=Path, metavar="DIR")
    found.add_argument("--from", dest="first", type=_day, metavar="DATE", help="default: the first")
    found.add_argument(
        "--to", dest="last", type=_day, metavar="DATE", help="up to this day, not it"
    )

    found = leaf("backup", "write one consistent snapshot of everything to FILE", _backup)
    found.add_argument("file", type=Path, metavar="FILE")

    found = leaf(
        "restore", "fill an empty database from a backup, as a store of a new id", _restore
    )
    found.add_argument("file", type=Path, metavar="FILE")
    found.add_argument("--engine", choices=engines, help="of an empty database")

    found = leaf("verify", "check a backup's digest, or prove that a store equals it", _verify)
    found.add_argument("file", type=Path, metavar="FILE", nargs="?")
    found.add_argument("--against", metavar="URL", help="the store to compare with")


def _migrate(options: argparse.Namespace) -> int:
    asked = None if options.engine is None else Engine(options.engine)
    done = migrate.migrate(_url(options), engine=asked)
    _say(options, {"applied": done}, [f"applied {name}" for name in done] or ["nothing to apply"])
    return WELL


def _status(options: argparse.Namespace) -> int:
    found = migrate.status(_url(options))
    items = [
        {"name": m.name, "applied_at": None if m.applied_at is None else m.applied_at.isoformat()}
        for m in found
    ]
    lines = [f"{item['name']}  {item['applied_at'] or 'pending'}" for item in items]
    answer: dict[str, Any] = {"migrations": items}
    known = None
    if all(m.applied_at is not None for m in found):
        known = _run(options, _look)
        answer |= known
        lines += status.lines(known)
    answer["bad_news"] = status.bad_news(found, known)
    _say(options, answer, lines + [f"bad news: {each}" for each in answer["bad_news"]])
    return BAD_NEWS if answer["bad_news"] else WELL


async def _look(link: AsyncConnection[Any]) -> dict[str, Any]:
    folder = await status.data_directory(link)
    return await status.look(link, clock.utc_now(), status.disk_of(folder))


def _archive(options: argparse.Namespace) -> int:
    bar = Bar("archiving")

    async def work(link: AsyncConnection[Any]) -> archive.Done:
        return await archive.archive(
            link,
            to_us(options.before),
            options.to,
            clock.utc_now(),
            bar,
            drop=options.drop,
        )

    done = _run(options, work, bar)
    answer = {
        "written": done.written,
        "unchanged": done.unchanged,
        "readings": done.readings,
        "dropped": done.dropped,
        "kept": done.kept,
        "needed": done.needed,
    }
    lines = [
        (
            f"{len(done.written)} days written, {len(done.unchanged)} as they were,"
            f" {done.readings} readings in {options.to}"
        )
    ]
    if options.drop:
        lines.append(f"{len(done.dropped)} spans dropped")
        lines += [f"kept {each}: readings came meanwhile, archive again" for each in done.kept]
        lines += [f"kept {each}: later readings rest on it" for each in done.needed]
    _say(options, answer, lines)
    return BAD_NEWS if done.kept else WELL


def _unarchive(options: argparse.Namespace) -> int:
    bar = Bar("bringing back")
    first = unarchive.EVER[0] if options.first is None else to_us(options.first)
    last = unarchive.EVER[1] if options.last is None else to_us(options.last)
    if first >= last:
        raise Misconfigured("--to: is not after --from: give the day after the last one wanted")

    async def work(link: AsyncConnection[Any]) -> unarchive.Back:
        return await unarchive.unarchive(link, options.folder, (first, last), clock.utc_now(), bar)

    back = _run(options, work, bar)
    answer = {
        "days": back.days,
        "readings": back.readings,
        "stored": back.stored,
        "contradictions": back.contradictions,
        "conflicts": back.conflicts,
        "left": back.left,
    }
    lines = [
        f"{len(back.days)} days, {back.readings} readings, {back.stored} of them were not there",
        *back.conflicts,
    ]
    lines += [
        f"{each}: no file holds its readings before that time, so its slots stay as they were"
        for each in back.left
    ]
    if back.contradictions > len(back.conflicts):
        lines.append(f"and {back.contradictions - len(back.conflicts)} more contradictions")
    _say(options, answer, lines)
    return BAD_NEWS if back.contradictions else WELL


def _backup(options: argparse.Namespace) -> int:
    bar = Bar("backing up")

    async def work(link: AsyncConnection[Any]) -> dict[str, Any]:
        return await backup.backup(link, options.file, clock.utc_now(), bar)

    manifest = _run(options, work, bar)
    rows = manifest["proof"]["rows"]
    size = options.file.stat().st_size
    answer = {"file": str(options.file), "bytes": size, "store": manifest["store"], "rows": rows}
    _say(
        options,
        answer,
        [f"{options.file}: {size} bytes, {rows['reading']} readings, {len(rows)} tables"],
    )
    return WELL


def _restore(options: argparse.Namespace) -> int:
    url = _url(options)
    checking, bar = Bar("checking the file"), Bar("restoring")
    with backupfile.Reader(options.file, checking) as reader:
        checking.close()
        known = migrate.read_files()
        backup.check_schema(reader.manifest, known, str(options.file))
        _run(options, lambda link: backup.check_empty(link, reader.manifest))
        asked = None if options.engine is None else Engine(options.engine)
        with connection.connect(url, "danhao db") as link:
            link.autocommit = True
            chosen = engine.choose(link, asked)
        files = backup.schema_of(reader.manifest, migrate.read_files(engine=chosen))
        migrate.migrate(url, files, chosen)

        async def work(link: AsyncConnection[Any]) -> str:
            return await backup.restore(link, reader, clock.utc_now(), bar)

        identity = _run(options, work, bar)
        rows = reader.manifest["proof"]["rows"]
    migrate.migrate(url, engine=chosen)
    _say(
        options,
        {"store": identity, "rows": rows},
        [
            f"restored {rows['reading']} readings, {len(rows)} tables, proven equal to the backup",
            f"the store is now {identity}: agents send again what they still hold",
            "start the programs that use this database anew",
        ],
    )
    return WELL


def _verify(options: argparse.Namespace) -> int:
    bar = Bar("checking")
    if options.file is not None:
        with backupfile.Reader(options.file, bar) as reader:
            one = reader.manifest["proof"]
    else:
        if options.against is None:
            raise Misconfigured("name a FILE, --against URL, or both: there is nothing to compare")
        one = _run(options, _prove, bar)
    bar.close()
    found: list[str] = []
    if options.against is not None:
        other = asyncio.run(_alone(options.against, _prove))
        found = proof.differences(one, other)
    compared = "" if options.against is None else ", equal to the store" * (not found)
    well = [f"well: {one['rows']['reading']} readings, {len(one['energy'])} points{compared}"]
    _say(options, {"rows": one["rows"], "differences": found}, found or well)
    return BAD_NEWS if found else WELL


async def _prove(link: AsyncConnection[Any]) -> dict[str, Any]:
    async with link.transaction():
        await link.execute(backup.SNAPSHOT)
        return await proof.of_store(link)


# -- what all leaves share -----------------------------------------------------------------------


def _run(
    options: argparse.Namespace, work: Callable[..., Coroutine[Any, Any, Any]], *bars: Bar
) -> Any:
    try:
        return asyncio.run(_alone(_url(options), work))
    finally:
        for bar in bars:
            bar.close()


async def _alone(url: str, work: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
    async with connection.single(url, "danhao db") as link:
        return await work(link)


def _url(options: argparse.Namespace) -> str:
    return settings.database_of(options, os.environ).url


def _day(text: str) -> datetime:
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("write a day as 2026-10-01") from error
    return datetime(found.year, found.month, found.day, tzinfo=UTC)


def _say(options: argparse.Namespace, answer: object, lines: list[str]) -> None:
    if options.json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))  # noqa: T201 - a command's answer
    else:
        print("\n".join(lines))  # noqa: T201 - a command's answer
