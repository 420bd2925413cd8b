"""The raw archive: a Parquet file and a manifest for each day, and back into the ledger.

Promise: nothing is dropped here before its files were read back and found equal to the ledger; a
file that holds what the ledger lacks is never overwritten; a crash leaves the file that was there;
bringing days back twice changes nothing.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from psycopg import errors

from core import periods
from core.clock import from_us, to_us
from core.errors import Misconfigured
from store import archivefile, blocks, parquet, partitions, plants, proof, retention, slots, tables
from store.engine import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from psycopg import AsyncConnection

    from store.archivefile import Day
    from store.blocks import Block
    from store.partitions import Span

LEAST_AGE: Final = timedelta(days=7)  # of what is dropped: agents may have been out for a week
EVER: Final = (946_684_800_000_000, 4_102_444_800_000_000)  # 2000 to 2100
MOST_TOLD: Final = 20  # contradictions told one by one
SNAPSHOT: Final = "set transaction isolation level repeatable read, read only"


@dataclass(slots=True)
class Done:
    """What an archiving did: days by name, readings in their files, spans dropped."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    readings: int = 0
    dropped: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


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

    With `drop`, a span whose files equal the ledger is dropped and its time closed for late
    readings. `watch` hears of (spans done, spans to do). Raises Misconfigured where a file holds
    what the ledger lacks.
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
    for number, span in enumerate(old, start=1):
        rows = 0
        for day in blocks.days(span.from_us, span.until_us):
            rows += await _archive_day(connection, folder, day, names, done)
        await retention.record_archived(connection, (span.from_us, span.until_us), rows, place, now)
        if drop:
            await _drop(connection, span, rows, now, done)
        watch(number, len(old))
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


async def _drop(
    connection: AsyncConnection[Any], span: Span, rows: int, now: datetime, done: Done
) -> None:
    """Close a span's time for late readings, then drop it where it holds what was archived."""
    await retention.move(connection, span.until_us, now)
    dropped = await partitions.drop(connection, span, rows)
    (done.dropped if dropped else done.kept).append(f"{from_us(span.from_us):%Y-%m-%d}")


@dataclass(slots=True)
class Back:
    """What an unarchiving did; `conflicts` are sentences, at most MOST_TOLD of them."""

    days: list[str] = field(default_factory=list)
    readings: int = 0
    stored: int = 0
    conflicts: list[str] = field(default_factory=list)
    contradictions: int = 0


async def unarchive(
    connection: AsyncConnection[Any],
    folder: Path,
    wanted_us: tuple[int, int],
    now: datetime,
    watch: Callable[[int, int], None] = lambda *_: None,
) -> Back:
    """Bring the days of [from, until) back and have their slots computed again.

    The spans beside them come along, for the first and last slot need their neighbours. What the
    ledger holds stays, and a reading that contradicts it is told. Commits span by span.
    """
    plan = await layout(connection)
    ids = {point: number for number, point in (await tables.point_names(connection)).items()}
    loaded = await plants.load(connection)
    metered = {loaded.ids[p] for p, point in loaded.plant.points.items() if point.energy_unit}
    low = plan.span_of(wanted_us[0]) - plan.span_us
    high = plan.span_of(wanted_us[1] - 1) + 2 * plan.span_us
    by_span: dict[int, list[Day]] = {}
    for day in archivefile.days(folder):
        if low <= day.from_us < high:
            by_span.setdefault(plan.span_of(day.from_us), []).append(day)
    back = Back()
    for number, (start, its_days) in enumerate(by_span.items(), start=1):
        async with connection.transaction():
            await retention.record_restored(connection, (start, start + plan.span_us), now)
            for day in its_days:
                touched = await _bring_back(connection, folder, day, ids, back, now)
                await mark(connection, touched, metered, wanted_us)
        back.days += [day.name for day in its_days]
        watch(number, len(by_span))
    return back


async def mark(
    connection: AsyncConnection[Any],
    touched: Mapping[int, tuple[int, int]],
    metered: set[int],
    within_us: tuple[int, int],
) -> None:
    """Have the slots of points that give energy computed again, as far as they were asked for."""
    spans = [
        (point, max(low, within_us[0]), min(high, within_us[1]))
        for point, (low, high) in touched.items()
        if point in metered
    ]
    await slots.touch(connection, [(p, low, high) for p, low, high in spans if low < high])


async def _bring_back(
    connection: AsyncConnection[Any],
    folder: Path,
    day: Day,
    ids: Mapping[str, int],
    back: Back,
    now: datetime,
) -> dict[int, tuple[int, int]]:
    """Store a day's readings that the ledger lacks; return the span of each point with new ones."""
    empty = await blocks.count(connection, day.from_us, day.from_us + blocks.DAY_US) == 0
    touched: dict[int, tuple[int, int]] = {}
    names = {number: point for point, number in ids.items()}
    for block in archivefile.read_day(folder, day, ids):
        back.readings += len(block)
        await partitions.make_for(connection, block.ts_us, now)
        stored = await _store(connection, block, empty=empty)
        back.stored += stored
        if stored < len(block):
            _tell(block.take(await blocks.contradicted(connection, block)), names, back)
        if stored:
            for number, rows in block.runs():
                first, last = int(block.ts_us[rows][0]), int(block.ts_us[rows][-1])
                low, high = touched.get(number, (first, last + 1))
                touched[number] = (min(low, first), max(high, last + 1))
    return touched


async def _store(connection: AsyncConnection[Any], block: Block, *, empty: bool) -> int:
    """Store what is not there; a late reading may come in between, though the day was empty."""
    if empty:
        with contextlib.suppress(errors.UniqueViolation):
            async with connection.transaction():
                await blocks.copy_in(connection, block)
            return len(block)
    return await blocks.merge_in(connection, block)


def _tell(wrong: Block, names: Mapping[int, str], back: Back) -> None:
    back.contradictions += len(wrong)
    room = max(0, MOST_TOLD - len(back.conflicts))
    for row in range(min(room, len(wrong))):
        at = periods.render_utc(int(wrong.ts_us[row]))
        back.conflicts.append(
            f"{names[int(wrong.point_id[row])]} at {at}: the ledger has another value and keeps"
            f" it; the archive's is {float(wrong.value[row])!r}"
        )
