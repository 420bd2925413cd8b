"""What is stored can be computed again to the last bit, and what was falsified is found."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import danhao
from core.clock import from_us, to_us
from core.errors import Misconfigured
from core.plant import EVER
from ingest import recompute
from ingest.comparison import Standing
from ingest.recompute import Chosen, Report
from store import retention
from tests import story
from tests.story import COUNTER, POINTS, START, UNIT, Story

if TYPE_CHECKING:
    from store.connection import Pool

# Everything that a comparison may not change.
CONTENT = (
    "select coalesce(string_agg(t::text, '|' order by t::text), '') from slot_energy t",
    "select coalesce(string_agg(t::text, '|' order by t::text), '') from result t",
    "select count(*)::text from touched",
    "select count(*)::text from touched_unit",
)


async def a_life(pool: Pool, seed: int, steps: int = 8) -> Story:
    """Fill a store by the live path, with late data, corrections and changed declarations."""
    told = await Story.begin(pool)
    draw = story.seeded(seed)
    for _ in range(steps):
        await told.go_on(draw)
        if draw.random() < 0.7:
            await told.settle()
    await told.settle()
    return told


async def again(
    told: Story, *, write: bool = False, span: tuple[int, int] = EVER, points: Any = POINTS
) -> Report:
    units = [
        (unit, [point for point in told.plant.points_of(unit.id) if point.id in points])
        for unit in told.plant.units.values()
    ]
    chosen = Chosen(units, span)
    return await recompute.recompute(
        told.pool, told.plant, told.ids, chosen, lambda: told.now, write=write
    )


async def content(pool: Pool) -> list[str]:
    async with pool.connection() as link:
        found = [await (await link.execute(query)).fetchone() for query in CONTENT]
    return [row[0] for row in found if row is not None]


async def spoil(pool: Pool, *statements: str) -> None:
    """Falsify what is stored, past the triggers that forbid it."""
    async with pool.connection() as link:
        await link.execute("alter table result disable trigger user")
        for statement in statements:
            cursor = await link.execute(statement.encode())
            assert cursor.rowcount == 1, statement
        await link.execute("alter table result enable trigger user")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_what_the_live_path_stored_is_computed_again_bit_for_bit(
    pool: Pool, seed: int
) -> None:
    told = await a_life(pool, seed)
    before = await content(pool)
    report = await again(told)
    assert (report.counts, report.listed) == (dict.fromkeys(Standing, 0), [])
    assert report.points == len(POINTS)
    assert report.slots > 3 * 24 * 4
    assert report.results > 50
    assert await content(pool) == before


def one_slot(told: Story, which: str) -> str:
    """Return the condition for the first or last slot of the counter that has energy."""
    number = told.ids[COUNTER]
    return (
        f"where (point_id, slot_start) = (select {number}, {which}(slot_start)"  # noqa: S608 - ours
        f" from slot_energy where point_id = {number} and energy_e6 > 1)"
    )


FALSE_SLOTS = {
    "energy_e6": "update slot_energy set energy_e6 = energy_e6 + 1",
    "flags": "update slot_energy set flags = flags # 32",
    "measured_us": "update slot_energy set measured_us = measured_us - 1",
    "is missing": "delete from slot_energy",
}


@pytest.mark.parametrize("what", FALSE_SLOTS)
async def test_a_false_slot_is_found_and_put_right(pool: Pool, what: str) -> None:
    told = await a_life(pool, 1, 3)
    truth = await content(pool)
    await spoil(
        pool,
        f"{FALSE_SLOTS[what]} {one_slot(told, 'max')}",
    )
    falsified = await content(pool)
    report = await again(told)
    assert report.counts[Standing.DEFECT] == 1
    (line,) = recompute.lines(report, {"s": "Asia/Shanghai"})[:-1]
    assert line.startswith(f"DEFECT slot {COUNTER} 2026-")
    assert what in line
    assert await content(pool) == falsified
    told.pass_time(timedelta(minutes=1))
    assert (await again(told, write=True)).written == 1
    after = await again(told)
    assert (after.counts[Standing.DEFECT], after.listed) == (0, [])
    await told.settle()
    assert strip_times((await content(pool))[0]) == strip_times(truth[0])


def strip_times(rows: str) -> list[str]:
    """Return slots without the instant at which they were computed."""
    return [row.rpartition(",")[0] for row in rows.split("|")]


async def test_a_slot_that_comes_of_no_reading_is_found_and_removed(pool: Pool) -> None:
    told = await a_life(pool, 1, 3)
    await spoil(
        pool,
        "insert into slot_energy select point_id, '2026-10-29T00:00Z', 5, 0, 9, 0, now()"
        " from point where point = 's.u.ac'",
    )
    report = await again(told)
    assert "comes of nothing" in recompute.lines(report, {"s": "UTC"})[0]
    assert report.counts[Standing.DEFECT] >= 1
    await again(told, write=True)
    assert (await again(told)).counts[Standing.DEFECT] == 0


async def test_a_false_result_is_found_and_gets_its_next_version(pool: Pool) -> None:
    told = await a_life(pool, 2, 4)
    told.pass_time(timedelta(days=1))
    await told.settle()
    await spoil(
        pool,
        "update result set figures = jsonb_set(figures, '{output,value}', '\"77\"')"
        " where result = (select result from result where period = 'day'"
        " and period_start = '2026-10-29T16:00Z' and indicator = 'fesi.smelting'"
        " order by version desc limit 1)",
    )
    report = await again(told)
    (line, _) = recompute.lines(report, {"s": "Asia/Shanghai"})
    assert line.startswith("DEFECT day s.u fesi.smelting 2026-10-30T00:00:00+08:00 output: stored")
    assert '"77"' in line
    told.pass_time(timedelta(minutes=1))
    assert (await again(told, write=True)).written == 1
    assert (await again(told)).listed == []
    async with pool.connection() as link:
        cursor = await link.execute(
            "select cause, computed_at from result where period = 'day' and period_start ="
            " '2026-10-29T16:00Z' and indicator = 'fesi.smelting' order by version desc limit 1"
        )
        assert await cursor.fetchone() == ({"kinds": ["recompute"]}, told.now)
    await told.settle()
    assert (await again(told)).listed == []


async def test_a_missing_result_is_found_and_written(pool: Pool) -> None:
    told = await a_life(pool, 2, 4)
    await spoil(
        pool,
        "delete from result where result = (select result from result where period = 'shift'"
        " and version = 1 and output is not null and indicator = 'fesi.smelting' and not exists"
        " (select from result n where n.period = 'shift' and n.indicator = 'fesi.smelting'"
        "  and n.period_start = result.period_start and n.version > 1) limit 1)",
    )
    report = await again(told)
    assert recompute.lines(report, {"s": "UTC"})[0].endswith("is missing")
    await again(told, write=True)
    assert (await again(told)).listed == []


async def test_what_waits_for_its_figures_is_no_defect(pool: Pool) -> None:
    told = await a_life(pool, 4, 3)
    told.pass_time(timedelta(hours=2))
    await told.record(told.make(story.seeded(4), 2))
    await told.tap("late", told.now - timedelta(minutes=5), "9")
    report = await again(told)
    assert report.counts[Standing.DEFECT] == 0
    assert report.counts[Standing.PENDING] > 0
    assert report.listed == []
    assert (await again(told, write=True)).written == 0
    await told.settle()
    assert sum((await again(told)).counts.values()) == 0


async def test_a_span_and_a_point_limit_what_is_compared(pool: Pool) -> None:
    told = await a_life(pool, 2, 4)
    hour = to_us(START) + 5 * story.HOUR_US
    report = await again(told, span=(hour, hour + story.HOUR_US), points=(COUNTER,))
    assert (report.points, report.slots, report.listed) == (1, 4, [])
    # One of each kind of period and indicator overlaps the hour.
    assert report.results == 10


async def test_the_command_says_what_it_found_and_exits_1_on_a_defect(
    pool: Pool, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = await a_life(pool, 1, 3)

    async def run(*more: str) -> tuple[int, str]:
        given = ["recompute", "--database-url", database_url, *more]
        code = await asyncio.to_thread(danhao.main, given)
        return code, capsys.readouterr().out

    code, said = await run()
    assert (code, said.splitlines()[-1].split(": ")[-1]) == (0, "0 defects")
    await spoil(
        pool,
        f"update slot_energy set energy_e6 = 1 {one_slot(told, 'min')}",  # noqa: S608 - ours
    )
    code, said = await run("--json", "--point", COUNTER)
    answer = json.loads(said)
    assert (code, answer["defects"], answer["points"]) == (1, 1, 1)
    (found,) = answer["differences"]
    assert (found["kind"], found["point"], found["stored"]["energy_e6"]) == ("slot", COUNTER, 1)
    assert answer["slots_per_s"] > 0
    until = from_us(to_us(START) - 9000 * story.HOUR_US).isoformat()
    code, said = await run("--to", until, "--unit", UNIT)
    assert (code, said.splitlines()[-1].split(": ")[-1]) == (0, "0 defects")
    code, said = await run("--write")
    assert code == 1
    assert said.splitlines()[-1] == "1 written"
    code, _ = await run()
    assert code == 0


async def test_wrong_choices_are_named_all_at_once(
    pool: Pool, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await Story.begin(pool)
    given = ["recompute", "--database-url", database_url, "--site", "x", "--point", "y"]
    code = await asyncio.to_thread(danhao.main, given)
    said = capsys.readouterr().err
    assert code == 2
    assert "--site: 'x' is not declared" in said
    assert "--point: 'y' is not declared" in said


def test_spans_are_read_with_all_mistakes() -> None:
    assert recompute.span_of(None, None) == EVER
    with pytest.raises(Misconfigured) as error:
        recompute.span_of("yesterday", "2026-10-01T00:00:00")
    assert [problem.where for problem in error.value.problems] == ["--from", "--to"]
    with pytest.raises(Misconfigured, match="does not lie after"):
        recompute.span_of("2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z")


async def test_slots_that_outlived_their_readings_are_not_compared(pool: Pool) -> None:
    told = await a_life(pool, 2, 6)
    before = await again(told)
    horizon = START + timedelta(hours=6)
    async with pool.connection() as link:
        await link.execute("delete from reading where ts < %s", (horizon,))
        await retention.move(link, to_us(horizon), told.now)
    report = await again(told)
    assert (report.counts, report.listed) == (dict.fromkeys(Standing, 0), [])
    assert report.archived_slots > 0
    assert report.slots + report.archived_slots == before.slots
    assert report.results == before.results
    assert "readings are archived" in recompute.lines(report, {"s": "UTC"})[-1]
