"""The store on a real TimescaleDB: hypertable, columnstore, late rows into it, our own policies.

Runs on the server that DANHAO_TEST_TIMESCALE_URL names, else on TimescaleDB in WebAssembly, which
serves one session and a few dozen chunks: races and lock waits are tested on servers only.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest

from core.clock import from_us, to_us
from core.errors import Rejected
from store import engine as engines
from store import migrate, partitions, policies, readings, retention, slots, slotsums
from store.engine import DAY_US, Engine
from store.policies import Keep
from store.readings import Rows, Watermarks

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from store.connection import Pool

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
NOW_US = to_us(NOW)
OLD_US = to_us(datetime(2026, 11, 2, tzinfo=UTC))  # two full days, past the late window
SECOND = 1_000_000
POINTS = 5
NO_INTERVALS = np.zeros(100, np.int64)
Row = tuple[int, int, float, int]


def columns(rows: list[Row]) -> Rows:
    return Rows(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        np.array([row[3] for row in rows], np.int16),
    )


def old_rows() -> list[Row]:
    """Return a reading a minute of each point on two days."""
    return [
        (point, OLD_US + minute * 60 * SECOND, float(minute), 0)
        for minute in range(2 * 1440)
        for point in range(1, POINTS + 1)
    ]


async def write(
    connection: AsyncConnection[Any], rows: list[Row], marks: Watermarks | None
) -> readings.Stored:
    done = await readings.write(connection, columns(rows), NOW, marks, NO_INTERVALS)
    await connection.commit()
    return done


async def packed(connection: AsyncConnection[Any]) -> list[tuple[bool, bool]]:
    found = [(span.compressed, span.stale) for span in await partitions.spans(connection)]
    await connection.commit()
    return found


async def everything(connection: AsyncConnection[Any]) -> set[Row]:
    cursor = await connection.execute("select point_id, ts, value, quality from reading")
    found = {(point, to_us(ts), value, q) for point, ts, value, q in await cursor.fetchall()}
    await connection.commit()
    return found


async def pack(pool: Pool, now: datetime = NOW) -> str:
    done = {each.policy: each for each in await policies.run(pool, Keep(), now)}
    assert done["compress"].error is None
    return done["compress"].did


def test_a_plain_ledger_with_readings_becomes_a_hypertable(timescale_database: str) -> None:
    files = migrate.read_files(engine=Engine.TIMESCALE)
    migrate.migrate(timescale_database, files[:2])
    with psycopg.connect(timescale_database, autocommit=True, prepare_threshold=None) as link:
        link.execute(
            "insert into reading select timestamptz '2018-03-01Z' + g * interval '5 hours', now(),"
            " g, p, 0 from generate_series(0, 19) g, generate_series(1, 5) p"
        )
    assert migrate.migrate(timescale_database) == [file.name for file in files[2:]]
    with psycopg.connect(timescale_database, autocommit=True, prepare_threshold=None) as link:
        assert engines.recorded(link) is Engine.TIMESCALE
        row = link.execute("select count(*), sum(value), max(point_id) from reading").fetchone()
        assert row == (100, 5 * 190, 5)
        chunks = link.execute(
            "select count(*) from timescaledb_information.chunks"
            " where hypertable_schema = current_schema()"
        ).fetchone()
        assert chunks == (4,)
        found = link.execute(
            "select segmentby, orderby from timescaledb_information.hypertable_columnstore_settings"
            " where hypertable = 'reading'::regclass"
        ).fetchone()
        assert found == ("point_id", "ts")


async def test_rows_go_in_by_copy_and_by_upsert_and_come_out_by_arrays(
    timescale_pool: Pool,
) -> None:
    dice = random.Random(7)  # noqa: S311 - a test's dice
    oracle: dict[tuple[int, int], tuple[float, int]] = {}
    marks = Watermarks.empty()
    async with timescale_pool.connection() as connection:
        for _ in range(12):
            rows = [
                (dice.randrange(1, 5), NOW_US - dice.randrange(50) * SECOND, float(value), 0)
                for value in range(dice.randrange(1, 60))
            ]
            conflicts = 0
            for point, ts_us, value, quality in rows:
                kept = oracle.setdefault((point, ts_us), (value, quality))
                conflicts += kept != (value, quality)
            try:
                done = await write(connection, rows, marks)
            except (psycopg.errors.UniqueViolation, readings.LostRaceError):
                await connection.rollback()
                done = await write(connection, rows, None)
            assert len(done.conflicts) == conflicts
            if dice.random() < 0.6:
                marks.advance(done.new, NOW_US)
        assert await everything(connection) == {(*key, *kept) for key, kept in oracle.items()}
        series = await readings.read_series(connection, 1, NOW_US - 20 * SECOND, NOW_US, 1, 1)
        wanted = sorted(at for point, at in oracle if point == 1)
    inside = [at for at in wanted if NOW_US - 20 * SECOND <= at < NOW_US]
    before = [at for at in wanted if at < NOW_US - 20 * SECOND][-1:]
    after = [at for at in wanted if at >= NOW_US][:1]
    assert series.ts_us.tolist() == [*before, *inside, *after]


async def test_late_rows_into_packed_chunks_are_stored_once_and_packed_again(
    timescale_pool: Pool,
) -> None:
    rows = old_rows()
    async with timescale_pool.connection() as connection:
        await write(connection, [*rows, (1, NOW_US, 1.0, 0)], Watermarks.empty())
        assert await pack(timescale_pool) == "2 chunks packed, 0 wait"
        assert await packed(connection) == [(True, False), (True, False), (False, False)]
        assert await everything(connection) == {*rows, (1, NOW_US, 1.0, 0)}

        late = [(point, OLD_US + 30 * SECOND, 0.5, 0) for point in range(1, POINTS + 1)]
        again = rows[:400]
        other = [(2, OLD_US, 99.0, 0)]
        done = await write(connection, [*late, *again, *other], None)
        assert len(done.new) == len(late)
        assert done.conflicts.tolist() == [len(late) + len(again)]
        assert done.kept_value.tolist() == [0.0]
        assert await packed(connection) == [(True, True), (True, False), (False, False)]

        fresh = [(9, OLD_US + DAY_US + n * SECOND, float(n), 0) for n in range(100)]
        await write(connection, fresh, Watermarks.empty())  # a point's first rows go by COPY
        with pytest.raises(psycopg.errors.UniqueViolation):  # a mark that lags is found out
            await write(connection, fresh[50:51], Watermarks.empty())
        await connection.rollback()

        assert await pack(timescale_pool, NOW + timedelta(hours=1)) == "2 chunks packed, 0 wait"
        assert await packed(connection) == [(True, False), (True, False), (False, False)]
        assert await everything(connection) == {*rows, *late, *fresh, (1, NOW_US, 1.0, 0)}
        assert await pack(timescale_pool, NOW + timedelta(hours=2)) == "0 chunks packed, 0 wait"


async def test_what_is_packed_is_read_as_before(timescale_pool: Pool) -> None:
    async with timescale_pool.connection() as connection:
        await connection.execute(
            "insert into point (point) select 'p' || g from generate_series(1, 6) g"
        )
        await write(connection, old_rows(), Watermarks.empty())
        noon = OLD_US + DAY_US // 2
        before = await readings.read_series(connection, 3, noon, noon + 600 * SECOND, 4, 4)
        newest = await readings.newest(connection)
        await connection.commit()
        await pack(timescale_pool)
        after = await readings.read_series(connection, 3, noon, noon + 600 * SECOND, 4, 4)
        assert after.ts_us.tolist() == before.ts_us.tolist()
        assert after.value.tolist() == list(range(716, 734))
        again = await readings.newest(connection)
        assert (
            sorted(again.point_id.tolist()) == sorted(newest.point_id.tolist()) == [1, 2, 3, 4, 5]
        )
        assert set(again.ts_us.tolist()) == {OLD_US + (2 * 1440 - 1) * 60 * SECOND}
        assert await slots.extent(connection, 2) == (OLD_US, int(again.ts_us[0]))
        assert await slots.neighbours(connection, 2, noon, noon + 1) == (
            noon - 60 * SECOND,
            noon + 60 * SECOND,
        )


async def test_a_chunk_behind_the_horizon_is_dropped_when_archived_and_closed_for_late_rows(
    timescale_pool: Pool,
) -> None:
    keep = Keep(raw_days=17)  # the second day ends at the horizon and stays for what comes after it
    later = NOW + timedelta(hours=1)
    async with timescale_pool.connection() as connection:
        await write(connection, old_rows(), Watermarks.empty())
        (first, second) = await partitions.spans(connection)
        edges = (first.from_us, first.until_us)
        await retention.record_archived(connection, edges, 1440 * POINTS, "a", NOW)
        await connection.commit()
        await policies.run(timescale_pool, keep, NOW)
        done = {each.policy: each for each in await policies.run(timescale_pool, keep, later)}
        assert done["retain"].did == "1 dropped, 1 wait for their archive, 0 in use"
        assert [span.from_us for span in await partitions.spans(connection)] == [second.from_us]
        with pytest.raises(Rejected) as told:
            await write(connection, [(1, OLD_US, 5.0, 0)], None)
        assert told.value.reason == "archived"
        await connection.rollback()
        await retention.record_restored(connection, edges, NOW)
        assert len((await write(connection, [(1, OLD_US, 5.0, 0)], None)).new) == 1
        assert len(await partitions.spans(connection)) == 2


async def test_a_job_of_the_servers_own_on_our_table_is_watched(timescale_pool: Pool) -> None:
    async with timescale_pool.connection() as connection:
        await write(connection, old_rows()[:10], Watermarks.empty())
        await connection.set_autocommit(True)
        cursor = await connection.execute(
            "select add_compression_policy('reading', compress_after => interval '7 days')"
        )
        row = await cursor.fetchone()
        assert row is not None
        await connection.execute(f"call run_job({row[0]})")
        await connection.set_autocommit(False)
        assert await packed(connection) == [(True, False)]
        found = {each.policy: each for each in await policies.watched(connection)}
        assert found[f"timescaledb job {row[0]}"].did == "policy_compression"


async def test_slots_are_written_and_summed_beside_a_hypertable(timescale_pool: Pool) -> None:
    async with timescale_pool.connection() as connection:
        await connection.execute(
            "insert into slot_energy select 1, %s + g * interval '15 minutes', 1000, 0, 900000000,"
            " 0, now() from generate_series(0, 95) g",
            (from_us(OLD_US),),
        )
        (day,) = await slotsums.energies(connection, [(1, OLD_US, OLD_US + DAY_US)])
    assert day.energy_e6 == 96_000
