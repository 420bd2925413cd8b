"""The raw archive: a Parquet file and a manifest for each day; back by `store.unarchive`.

Promise: nothing is dropped here before its files were read back and found equal to the ledger, nor
what later readings rest on; a file that holds what the ledger lacks is never overwritten; a crash
leaves the file that was there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core.clock import from_us, to_us
from core.errors import Misconfigured
from store import (
    archivefile,
    blocks,
    foregoing,
    parquet,
    partitions,
    proof,
    retention,
    tables,
    waiting,
)
from store.engine import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from psycopg import AsyncConnection

    from store.archivefile import Day
    from store.foregoing import Held
    from store.partitions import Span

LEAST_AGE: Final = timedelta(days=7)  # of what is dropped: agents may have been out for a week
SNAPSHOT: Final = "set transaction isolation level repeatable read, read only"


@dataclass(slots=True)
class Done:
    """What an archiving did: days by name, readings in their files, spans dropped."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    readings: int = 0
    dropped: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    needed: list[str] = field(default_factory=list)  # stay, for what is measured later


async def archive(
    connection: AsyncConnection[Any],
    before_us: int,
    folder: Path,
    now: datetime,
    watch: Callable[[int, int], None] = lambda *_: None,
    *,
    drop: bool = False,
) -> Done:
    """Archive every whole span that ends at or before an instant; `connection` commits by itself.

    With `drop`, the time before the instant is closed for late readings, and a span whose files
    equal the ledger is dropped unless what is measured later rests on it. `watch` hears of (spans
    done, spans to do). Raises Misconfigured where a file holds what the ledger lacks, and where
    slots before the instant still wait.
    """
    place = archivefile.make(folder)
    if drop and before_us > to_us(now - LEAST_AGE):
        raise Misconfigured(
            f"--before: readings of the last {LEAST_AGE.days} days are not dropped, for late ones"
            " still belong to them: give an earlier day, or leave out --drop"
        )
    done = Done()
    names = await tables.point_names(connection)
    old = [span for span in await partitions.spans(connection) if span.until_us <= before_us]
    closed_us = await _close(connection, before_us, now) if drop and old else None
    rows: dict[int, int] = {}
    for number, span in enumerate(old, start=1):
        rows[span.from_us] = 0
        for day in blocks.days(span.from_us, span.until_us):
            rows[span.from_us] += await _archive_day(connection, folder, day, names, done)
        edges = (span.from_us, span.until_us)
        await retention.record_archived(connection, edges, rows[span.from_us], place, now)
        watch(number, len(old))
    if closed_us is not None:
        held = await foregoing.held(connection, closed_us)
        for span in old:
            stay = await waiting.before(connection, closed_us)  # stored as the time was closed
            await _drop(connection, span, -1 if stay else rows[span.from_us], held, done)
    return done


async def _archive_day(
    connection: AsyncConnection[Any],
    folder: Path,
    day_us: int,
    names: Mapping[int, str],
    done: Done,
) -> int:
    """Have a day's readings in its file; return how many the archive holds of it."""
    name = f"{from_us(day_us):%Y-%m-%d}"
    known = archivefile.known(folder, name)
    async with connection.transaction():
        await connection.execute(SNAPSHOT)
        if known is not None:
            there = proof.Tallies(names)
            async for block in blocks.read(connection, day_us, day_us + blocks.DAY_US):
                there.add(block)
            if there.rows == 0 or there.figures() == known.points:
                _check_file(folder, known, names, known.points)
                done.unchanged.append(name)
                done.readings += known.rows
                return known.rows
            await _refuse_loss(connection, folder, known, names)
        rows = await _write_day(connection, folder, name, known, names)
    if rows:
        done.written.append(name)
        done.readings += rows
    return rows


async def _write_day(
    connection: AsyncConnection[Any],
    folder: Path,
    name: str,
    before: Day | None,
    names: Mapping[int, str],
) -> int:
    """Write a day's file and manifest; what was there before stays until both are on the disk."""
    part = folder / f"{name}.parquet.part"
    tallies = proof.Tallies(names)
    day_us = archivefile.start_of(name)
    try:
        with part.open("wb") as file, parquet.Writer(file, names) as writer:
            async for block in blocks.read(connection, day_us, day_us + blocks.DAY_US):
                tallies.add(block)
                writer.write(block)
        if not tallies.rows:
            part.unlink()
            return 0
        digest = archivefile.digest(part)
        file_name = f"{name}.parquet" if before is None else f"{name}.{digest[:8]}.parquet"
        day = archivefile.Day(name, file_name, digest, tallies.rows, tallies.figures())
        _check(part, day, names, day.points)
        archivefile.sync(part)
        part.replace(folder / file_name)
        archivefile.write_manifest(folder, day)
        if before is not None and before.file != file_name:
            (folder / before.file).unlink()
    except OSError as error:
        raise Misconfigured(f"{part}: cannot be written: {error.strerror}") from error
    return tallies.rows


def _check_file(
    folder: Path, day: Day, names: Mapping[int, str], figures: Mapping[str, Any]
) -> None:
    path = folder / day.file
    if archivefile.digest(path) != day.sha256:
        raise Misconfigured(
            f"{path}: is damaged: its digest is not the manifest's; remove {day.name}.json to have"
            " the day archived anew while the ledger still holds it"
        )
    _check(path, day, names, figures)


def _check(path: Path, day: Day, names: Mapping[int, str], figures: Mapping[str, Any]) -> None:
    """Read a file back and compare it with the ledger's figures."""
    ids = {point: number for number, point in names.items()}
    found = proof.Tallies(names)
    for block in parquet.read(path, ids, str(path)):
        found.add(block)
    if found.figures() != figures:
        raise Misconfigured(f"{path}: what was read back of {day.name} is not what was written")


async def _refuse_loss(
    connection: AsyncConnection[Any], folder: Path, day: Day, names: Mapping[int, str]
) -> None:
    """Refuse to overwrite a file that holds readings which the ledger lacks."""
    ids = {point: number for number, point in names.items()}
    for block in archivefile.read_day(folder, day, ids):
        lacking = int((await blocks.contradicted(connection, block)).sum())
        if lacking:
            raise Misconfigured(
                f"{folder / day.file}: holds readings of {day.name} that the ledger lacks: run"
                f" `danhao db unarchive {folder} --from {day.name}` first, then archive again"
            )


async def _close(connection: AsyncConnection[Any], before_us: int, now: datetime) -> int:
    """Close the time before an instant for late readings; return how far it is closed."""
    closed_us = (await layout(connection)).span_of(before_us)
    if await waiting.before(connection, closed_us):
        raise Misconfigured(
            "--drop: figures from before that day wait to be computed: let `danhao ingest` do that"
            " first (`danhao db status` tells), or leave out --drop"
        )
    closed_us = max(closed_us, (await retention.load(connection)).horizon_us)
    await retention.move(connection, closed_us, now)
    return closed_us


async def _drop(
    connection: AsyncConnection[Any], span: Span, rows: int, held: Held, done: Done
) -> None:
    """Drop a span where it holds what was archived and nothing later rests on it."""
    name = f"{from_us(span.from_us):%Y-%m-%d}"
    if held.why(span) is not None:
        done.needed.append(name)
    elif await partitions.drop(connection, span, rows):
        done.dropped.append(name)
    else:
        done.kept.append(name)
