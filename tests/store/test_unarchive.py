"""Days come back with what their figures rest on, and their slots are what they were."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
import pytest_asyncio

from core.clock import from_us
from core.errors import Misconfigured
from store import archive, archivefile, blocks, connection, retention, slots, unarchive
from store.engine import layout
from store.readings import Rows
from tests.store import ledger
from tests.store.ledger import DAY, START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path
    from typing import Any

    from psycopg import AsyncConnection

    from store.connection import Pool

LATER = from_us(START + 100 * DAY)
SILENT = "gh-al.u-1.ac"


@pytest_asyncio.fixture
async def link(database_url: str) -> AsyncIterator[AsyncConnection[Any]]:
    """Yield a connection that commits by itself, as the command has it."""
    pool = await connection.open_pool(database_url, application="test", most=1)
    async with pool.connection() as opened:
        await opened.set_autocommit(True)
        yield opened
    await pool.close()


async def dropped(
    pool: Pool, link: AsyncConnection[Any], folder: Path
) -> tuple[Mapping[str, int], int, int]:
    """Archive and drop six spans through which one meter is silent but for the first and last.

    Returns the points, the first span's start and a span's length.
    """
    span = (await layout(link)).span_us
    first = START - START % span
    ids = await ledger.declare(pool)
    rows = ledger.rows_of(ids, 0, int((first + 6 * span - START) // DAY))
    rows = rows.take(
        np.isin(rows.point_id, [ids[SILENT], ids["qh-fa.u-1.ac"], ids["qh-fa.u-1.fans"]])
    )
    rows = dataclasses.replace(rows, ts_us=rows.ts_us + 100_000_000)
    quiet = (rows.ts_us >= first + span) & (rows.ts_us < first + 5 * span - DAY // 2)
    await ledger.store(pool, rows.take(~quiet | (rows.point_id != ids[SILENT])))
    await ledger.compute_slots(pool)
    await archive.archive(link, first + 5 * span, folder, LATER, drop=True)
    assert await blocks.count(link, first, first + 3 * span) < len(rows)
    return ids, first, span


async def test_slots_amid_a_long_silence_are_computed_from_the_readings_at_its_ends(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    ids, first, span = await dropped(pool, link, tmp_path)
    before = await ledger.all_rows(pool, ledger.SLOTS)
    wanted = (first + 3 * span, first + 4 * span)
    await unarchive.unarchive(link, tmp_path, wanted, LATER)
    await ledger.all_rows(pool, "update slot_energy set energy_e6 = 7 where slot_start >= %s"
                          " and slot_start < %s returning 1", *map(from_us, wanted))  # fmt: skip
    await slots.touch(link, [(number, *wanted) for number in ids.values()])
    await ledger.compute_slots(pool)
    assert await ledger.all_rows(pool, ledger.SLOTS) == before


async def test_late_readings_of_restored_days_find_their_neighbours(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    """At both edges, and of the meter that was silent: as if nothing had been dropped."""
    ids, first, span = await dropped(pool, link, tmp_path)
    low = first + 3 * span
    await unarchive.unarchive(link, tmp_path, (low, low + span), LATER)
    at = np.array([low + 1, low + span - 1, low + DAY // 3])
    points = np.array([ids["qh-fa.u-1.ac"], ids["qh-fa.u-1.fans"], ids[SILENT]])
    late = Rows(points, at, np.array([95_000.0, 7.0, 90_001.0]), np.zeros(3, np.int16))
    await ledger.store(pool, late)
    await ledger.compute_slots(pool)
    found = await ledger.all_rows(pool, ledger.SLOTS)
    await unarchive.unarchive(link, tmp_path, unarchive.EVER, LATER)
    await ledger.compute_slots(pool)
    assert await ledger.all_rows(pool, ledger.SLOTS) == found


async def test_only_what_was_asked_for_is_open_for_late_readings(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    _, first, span = await dropped(pool, link, tmp_path)
    await unarchive.unarchive(link, tmp_path, (first + 3 * span, first + 4 * span), LATER)
    kept = await retention.load(link)
    at = first + np.arange(6) * span + span // 2
    assert kept.archived(at).tolist() == [True, True, True, False, True, False]
    for number in range(6):  # the first one came along for the meter that fell silent in it
        edges = (first + number * span, first + (number + 1) * span)
        assert (await blocks.count(link, *edges) > 0) is (number != 1)


async def test_a_folder_that_lacks_a_day_beside_is_refused_before_anything_is_stored(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    _, first, span = await dropped(pool, link, tmp_path)
    (beside,) = [day for day in archivefile.days(tmp_path) if day.from_us == first + 3 * span - DAY]
    (tmp_path / f"{beside.name}.json").unlink()
    held = await blocks.count(link, first, first + 6 * span)
    with pytest.raises(Misconfigured, match=r"bring its files here first"):
        await unarchive.unarchive(link, tmp_path, (first + 3 * span, first + 4 * span), LATER)
    assert await blocks.count(link, first, first + 6 * span) == held


async def test_slots_stay_where_no_file_holds_the_readings_before_them(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path
) -> None:
    _, first, span = await dropped(pool, link, tmp_path)
    for day in archivefile.days(tmp_path):
        if day.from_us < first + span:  # in which the silent meter told something last
            (tmp_path / f"{day.name}.json").unlink()
    before = await ledger.all_rows(pool, ledger.SLOTS)
    wanted = (first + 3 * span, first + 4 * span)
    # The ledger kept its last readings: without them nothing tells what its slots rest on.
    await link.execute("delete from reading where ts < %s", (from_us(first + span),))
    found = await unarchive.unarchive(link, tmp_path, wanted, LATER)
    assert found.left == [SILENT]
    await ledger.compute_slots(pool)
    assert await ledger.all_rows(pool, ledger.SLOTS) == before


async def test_no_slot_is_marked_before_its_neighbours_are_there(
    pool: Pool, link: AsyncConnection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ingest computes what is marked at once: it must not find half of the readings."""
    _, first, span = await dropped(pool, link, tmp_path)
    seen: list[bool] = []
    marking = unarchive.mark

    async def watched(connection: AsyncConnection[Any], *rest: Any) -> None:
        sides = (first + 2 * span, first + 4 * span)
        counts = [await blocks.count(connection, low, low + span) for low in sides]
        seen.append(min(counts) > 0)
        await marking(connection, *rest)

    monkeypatch.setattr(unarchive, "mark", watched)
    await unarchive.unarchive(link, tmp_path, (first + 3 * span, first + 4 * span), LATER)
    assert seen
    assert all(seen)
