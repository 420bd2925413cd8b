"""The raw archive: equal to the ledger, restartable, and back without a figure that changes."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from core.clock import from_us, to_us
from core.errors import Misconfigured
from store import archive, archivefile, blocks, connection, proof, retention, unarchive
from store.engine import layout
from tests.store import ledger
from tests.store.ledger import DAY, NOW, START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from psycopg import AsyncConnection

    from store.archive import Done
    from store.connection import Pool
    from store.unarchive import Back

BEFORE = START + 10 * DAY
LATER = NOW + timedelta(days=21)


@pytest_asyncio.fixture
async def link(database_url: str) -> AsyncIterator[AsyncConnection[Any]]:
    """Yield a connection that commits by itself, as the command has it."""
    pool = await connection.open_pool(database_url, application="test", most=1)
    async with pool.connection() as opened:
        await opened.set_autocommit(True)
        yield opened
    await pool.close()


async def put(
    link: AsyncConnection[Any],
    folder: Path,
    before: int = BEFORE,
    *,
    drop: bool = False,
    now: datetime = NOW,
) -> Done:
    return await archive.archive(link, before, folder, now, drop=drop)


async def back(link: AsyncConnection[Any], folder: Path, low: int, high: int) -> Back:
    return await unarchive.unarchive(link, folder, (low, high), NOW)


async def test_a_file_holds_each_reading_of_its_day_to_the_bit(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    ids = await ledger.readings_only(pool)
    done = await put(link, tmp_path)
    assert done.written == ["2026-11-01", "2026-11-02"]
    assert done.readings == (await ledger.all_rows(pool, "select count(*) from reading"))[0][0]
    stored = await ledger.all_rows(
        pool,
        "select point, ts, recorded_at, value, quality from reading join point using (point_id)"
        " where ts < %s order by point_id, ts",
        blocks.bounded(START + DAY),
    )
    table = pq.read_table(tmp_path / "2026-11-01.parquet")
    found = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    assert [repr(row[3]) for row in found] == [repr(row[3]) for row in stored]
    assert [(*row[:3], row[4]) for row in found] == [(*row[:3], row[4]) for row in stored]
    assert {row[0] for row in found} == set(ids)


async def test_a_manifest_tells_counts_counter_ends_and_the_digest(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    await ledger.readings_only(pool)
    await put(link, tmp_path)
    manifest = json.loads((tmp_path / "2026-11-02.json").read_text())
    counter = manifest["points"]["gh-al.u-1.ac"]
    [(rows, first, last, total)] = await ledger.all_rows(
        pool,
        "select count(*), (array_agg(value order by ts))[1],"
        " (array_agg(value order by ts desc))[1],"
        " sum(value::numeric) filter (where value <> 'NaN') from reading"
        " join point using (point_id) where point = 'gh-al.u-1.ac' and ts >= %s",
        blocks.bounded(START + DAY),
    )
    assert (counter["rows"], float(counter["sum"])) == (rows, float(total))
    assert [repr(counter[end][1] or float("nan")) for end in ("first", "last")] == [
        repr(first),
        repr(last),
    ]
    assert manifest["sha256"] == archivefile.digest(tmp_path / manifest["file"])


async def test_a_second_run_changes_nothing_and_a_broken_off_one_is_finished(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    await ledger.readings_only(pool)
    await put(link, tmp_path)
    before = ledger.contents(tmp_path)
    done = await put(link, tmp_path)
    assert (done.written, done.unchanged) == ([], ["2026-11-01", "2026-11-02"])
    (tmp_path / "2026-11-02.json").unlink()
    (tmp_path / "2026-11-02.parquet").write_bytes(b"half")
    (tmp_path / "2026-11-02.parquet.part").write_bytes(b"half")
    assert (await put(link, tmp_path)).written == ["2026-11-02"]
    assert ledger.contents(tmp_path) == before


async def test_a_day_with_late_readings_is_written_anew(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    ids = await ledger.readings_only(pool)
    await put(link, tmp_path)
    late = ledger.rows_of(ids, 0, 1).take(np.arange(3))
    late = dataclasses.replace(late, ts_us=late.ts_us + 1)
    await ledger.store(pool, late)
    done = await put(link, tmp_path)
    assert (done.written, done.unchanged) == (["2026-11-01"], ["2026-11-02"])
    [day] = [each for each in archivefile.days(tmp_path) if each.name == "2026-11-01"]
    assert pq.read_metadata(tmp_path / day.file).num_rows == day.rows
    files = [name for name in ledger.contents(tmp_path) if name.endswith(".parquet")]
    assert sorted(files) == [day.file, "2026-11-02.parquet"]


async def test_what_the_ledger_lacks_is_never_overwritten(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    await ledger.readings_only(pool)
    await put(link, tmp_path)
    await link.execute(
        "delete from reading where ts = (select max(ts) from reading where ts < %s)",
        (blocks.bounded(START + DAY),),
    )
    before = (tmp_path / "2026-11-01.parquet").read_bytes()
    with pytest.raises(Misconfigured, match=r"2026-11-01 that the ledger lacks: run `danhao db un"):
        await put(link, tmp_path)
    assert (tmp_path / "2026-11-01.parquet").read_bytes() == before


async def test_dropped_days_come_back_with_identical_readings_and_figures(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    """Two spans go, the last one before the horizon stays; the first one comes back."""
    span = (await layout(link)).span_us
    first = START - START % span
    await ledger.readings_only(pool, days=(first + 3 * span - START) // DAY)
    await ledger.compute_slots(pool)
    readings = await ledger.all_rows(pool, ledger.READINGS)
    slots = await ledger.all_rows(pool, ledger.SLOTS)
    edges = [first, first + span, first + 2 * span, first + 3 * span]
    names = [f"{from_us(edge):%Y-%m-%d}" for edge in edges]
    done = await put(link, tmp_path, edges[3], drop=True, now=LATER)
    assert (done.dropped, done.needed, done.kept) == (names[:2], names[2:3], [])
    assert await blocks.count(link, edges[0], edges[2]) == 0
    assert await blocks.count(link, edges[2], edges[3]) > 0
    assert await ledger.all_rows(pool, ledger.SLOTS) == slots
    day = max(edges[1] - DAY, START)
    found = await back(link, tmp_path, day, day + DAY)
    assert found.days == [each.name for each in archivefile.days(tmp_path)][: len(found.days)]
    assert found.days[-1] == f"{from_us(edges[2] - DAY):%Y-%m-%d}"
    assert found.stored == found.readings
    assert repr(await ledger.all_rows(pool, ledger.READINGS)) == repr(readings)
    query = (
        "select sum(l - f + 1), min(from_ts), max(until_ts) from touched,"
        " unnest(first_points, last_points) x(f, l)"
    )
    [(points, low, high)] = await ledger.all_rows(pool, query)
    assert points == 3 * 3  # of each plant's three points that give energy
    assert low >= blocks.bounded(day)
    assert high <= blocks.bounded(day + DAY)
    await ledger.all_rows(pool, "update slot_energy set computed_at = now() returning 1")
    await ledger.compute_slots(pool)
    assert await ledger.all_rows(pool, ledger.SLOTS) == slots
    again = await back(link, tmp_path, day, day + DAY)
    assert (again.stored, again.contradictions) == (0, 0)
    assert await ledger.all_rows(pool, "select count(*) from touched") == [(0,)]
    assert (await put(link, tmp_path, edges[3])).written == []


async def test_a_dropped_day_is_closed_for_late_readings_until_it_is_back(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    """What comes along for its neighbours stays closed."""
    span = (await layout(link)).span_us
    first = START - START % span
    await ledger.readings_only(pool, days=(first + 3 * span - START) // DAY)
    await ledger.compute_slots(pool)
    await put(link, tmp_path, first + 3 * span, drop=True, now=LATER)
    at = np.arange(3) * span + first + span // 2
    assert (await retention.load(link)).archived(at).all()
    await back(link, tmp_path, first, first + span)
    assert (await retention.load(link)).archived(at).tolist() == [False, True, True]
    assert await blocks.count(link, first + span, first + 2 * span) > 0


async def test_nothing_is_dropped_before_its_slots_are_computed(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    span = (await layout(link)).span_us
    first = START - START % span
    await ledger.readings_only(pool, days=(first + 3 * span - START) // DAY)
    with pytest.raises(Misconfigured, match="figures from before that day wait to be computed"):
        await put(link, tmp_path, first + 3 * span, drop=True, now=LATER)
    assert not (await retention.load(link)).archived(np.array([first])).any()
    await ledger.compute_slots(pool)
    assert (await put(link, tmp_path, first + 3 * span, drop=True, now=LATER)).dropped


async def test_a_contradiction_is_told_and_the_ledger_stays(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    await ledger.readings_only(pool)
    await put(link, tmp_path)
    await link.execute(
        "update reading set value = 7.5 where (point_id, ts) ="
        " (select point_id, min(ts) from reading where quality = 0 group by 1 order by 1 limit 1)"
    )
    found = await back(link, tmp_path, START, START + DAY)
    assert (found.stored, found.contradictions) == (0, 1)
    assert "the ledger has another value and keeps it" in found.conflicts[0]
    assert await ledger.all_rows(pool, "select count(*) from reading where value = 7.5") == [(1,)]


async def test_a_reading_that_comes_while_a_day_comes_back_is_no_obstacle(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day looked empty and is not: what is there stays, the others come back."""
    await ledger.readings_only(pool)
    await put(link, tmp_path)
    before = await ledger.all_rows(pool, ledger.READINGS)
    await link.execute("delete from reading where point_id > 3")

    async def none(*_: object) -> int:
        return 0

    monkeypatch.setattr(blocks, "count", none)
    found = await back(link, tmp_path, START, START + DAY)
    assert 0 < found.stored < found.readings
    assert repr(await ledger.all_rows(pool, ledger.READINGS)) == repr(before)


@pytest.mark.parametrize("place", [4, 900, -9])
async def test_a_flipped_byte_is_refused_before_anything_is_stored(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path, place: int
) -> None:
    await ledger.readings_only(pool)
    await put(link, tmp_path)
    await link.execute("delete from reading")
    path = tmp_path / "2026-11-01.parquet"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(Misconfigured, match=r"2026-11-01\.parquet: is damaged"):
        await back(link, tmp_path, START, START + DAY)
    assert await blocks.count(link, START, START + DAY) == 0


async def test_the_last_week_is_not_dropped(link: AsyncConnection[Any], tmp_path: Path) -> None:
    week = to_us(NOW - archive.LEAST_AGE)
    with pytest.raises(Misconfigured, match="last 7 days are not dropped"):
        await put(link, tmp_path, week + 1, drop=True)
    assert (await put(link, tmp_path, week, drop=True)).dropped == []


async def test_blocks_of_any_size_are_the_same_readings(
    pool: Pool, link: AsyncConnection[Any]
) -> None:
    ids = await ledger.readings_only(pool)
    names = {number: point for point, number in ids.items()}
    figures = []
    for most in (7, 288, blocks.MOST_BLOCK_ROWS):
        tallies = proof.Tallies(names)
        async for block in blocks.read(link, START, START + 2 * DAY, most):
            assert len(block) <= most
            tallies.add(block)
        figures.append(tallies.figures())
    assert figures[0] == figures[1] == figures[2]
    assert sum(each["rows"] for each in figures[0].values()) == await blocks.count(
        link, START, START + 2 * DAY
    )
