"""Promises of `as_of`: the store as it was known at an instant, whatever came later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from api.schemas import ResultItem
from core.clock import to_us
from store import closing, retention, slots
from tests import story
from tests.api.told import RANGE, YEAR, Told, tell
from tests.story import COUNTER, POINTS, START, UNIT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from store.connection import Pool


@pytest_asyncio.fixture
async def told(database_url: str, pool: Pool) -> AsyncIterator[Told]:
    async with tell(database_url, pool) as found:
        yield found


def known_by(live: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, dict[str, Any]]]:
    return {name: {item["period_start"]: item for item in items} for name, items in live.items()}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
async def test_what_was_answered_at_an_instant_is_answered_for_it_for_ever(
    told: Told, seed: int
) -> None:
    draw = story.seeded(seed)
    answered: list[tuple[datetime, dict[str, Any], dict[str, Any]]] = []
    for number in range(8):
        await told.story.go_on(draw)
        await told.story.settle()
        if number % 3 == 1:
            at = told.story.now
            answered.append((at, await told.figures(), await told.figures(at)))
            told.story.pass_time(timedelta(seconds=1))
    versions = 0
    for at, live, then in answered:
        assert await told.figures(at) == then
        for name, items in known_by(live).items():
            again = known_by(then)[name]
            for start, item in items.items():
                expected = dict(item)
                if not item["closed"] and name not in POINTS:
                    # An open figure is computed again: it has no stored result.
                    expected |= {"result": None}
                assert again[start] == expected, (name, start)
                versions = max(versions, item["version"] or 0)
    assert versions > 1, "this seed tells of no late data: it proves nothing"


async def test_late_readings_change_no_answer_for_an_instant_before_they_were_recorded(
    told: Told,
) -> None:
    draw = story.seeded(9)
    told.story.pass_time(timedelta(hours=30))
    rows = told.story.make(draw, 30)
    late = rows.ts_us % (7 * story.HOUR_US) < story.HOUR_US
    await told.story.record(rows.take(~late))
    await told.story.settle()
    before = told.story.now
    then = await told.figures(before)
    told.story.pass_time(timedelta(microseconds=1))
    await told.story.record(rows.take(late))
    assert await told.figures(before) == then
    await told.story.settle()
    assert await told.figures(before) == then
    now = await told.figures(told.story.now)
    changed = [name for name in then if then[name] != now[name]]
    assert {"hour fesi.smelting", "day fesi.comprehensive", COUNTER} <= set(changed)


async def test_a_version_says_why_it_is_there_and_how_long_it_was_known(told: Told) -> None:
    plot = told.story
    plot.pass_time(timedelta(hours=30))
    rows = plot.make(story.seeded(3), 30)
    late = (rows.point_id == plot.ids[COUNTER]) & (rows.ts_us % (6 * story.HOUR_US) < story.HOUR_US)
    await plot.record(rows.take(~late))
    await plot.tap("tap-1", START + timedelta(hours=10), "40")
    await plot.settle()
    plot.pass_time(timedelta(hours=1))
    await plot.record(rows.take(late))
    await plot.settle()
    recorded = plot.now
    plot.pass_time(timedelta(hours=1))
    await plot.tap("tap-1", START + timedelta(hours=10), "44", revision=1)
    await plot.settle()
    plot.pass_time(timedelta(hours=1))
    await plot.declare(story.plant(multiplier="3"))
    await plot.settle()
    day = {"period": "day", "from": "2026-10-30T00:00:00+08:00", "to": "2026-10-31T00:00:00+08:00"}
    (newest,) = await told.items(f"units/{UNIT}/intensity", indicator="fesi.smelting", **day)
    assert newest["version"] == 4
    assert newest["causes"] == ["declaration"]
    answer = await told.ask(f"results/{newest['result']}")
    ResultItem.model_validate_json(answer.content)
    versions = answer.json()["versions"]
    assert [version["cause"]["kinds"] for version in versions] == [
        ["period_end"],
        ["late_readings"],
        ["facts"],
        ["declaration"],
    ]
    assert [version["superseded_at"] for version in versions] == [
        *[version["known_from"] for version in versions[1:]],
        None,
    ]
    (reading,) = versions[1]["cause"]["readings"]
    assert reading["point"] == COUNTER
    assert reading["recorded_from"] == reading["recorded_until"] == f"{recorded:%Y-%m-%dT%H:%M:%SZ}"
    begin, end = (to_us(START) + hours * story.HOUR_US for hours in (-8, 16))
    assert reading["count"] == sum(begin <= ts < end for ts in rows.ts_us[late].tolist())
    assert versions[2]["cause"]["facts"] == [
        {
            "id": "tap-1",
            "revision": 1,
            "at": "2026-10-30T10:00:00Z",
            "recorded_at": f"{recorded + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
            "source": "scale",
        }
    ]
    declaration = versions[3]["cause"]["declaration"]
    assert (declaration["from"], declaration["to"]) == (1, 2)


async def test_an_instant_ahead_is_a_400_that_says_so(told: Told) -> None:
    ahead = told.story.now + timedelta(seconds=1)
    for path in (f"units/{UNIT}/intensity", f"points/{COUNTER}/energy"):
        answer = await told.ask(path, as_of=ahead.isoformat())
        assert answer.status_code == 400
        assert answer.json()["type"] == "urn:danhao:problem:as-of-ahead"
        assert "ahead of 2026-10-30T00:00:00Z" in answer.json()["detail"]
        unreadable = await told.ask(path, as_of="yesterday")
        assert (unreadable.status_code, unreadable.json()["errors"][0]["parameter"]) == (
            422,
            "as_of",
        )


async def test_before_anything_was_declared_nothing_is_known(told: Told) -> None:
    before = (START - timedelta(days=1)).isoformat()
    assert await told.items(f"units/{UNIT}/intensity", as_of=before) == []
    assert await told.items(f"points/{COUNTER}/energy", as_of=before) == []


async def test_an_instant_before_the_first_reading_shows_periods_without_figures(
    told: Told,
) -> None:
    at = told.story.now
    told.story.pass_time(timedelta(days=3))
    await told.story.record(told.story.make(story.seeded(1), 60))
    await told.story.settle()
    (month,) = await told.items(f"units/{UNIT}/intensity", as_of=at.isoformat())
    assert month["period_start"] == "2026-10-01T00:00:00+08:00"
    assert month["energy"]["value"] is None
    assert month["completeness"] == 0
    assert month["computed_at"] == "2026-10-30T00:00:00Z"


async def test_more_than_a_year_of_readings_is_refused(told: Told) -> None:
    told.story.pass_time(timedelta(days=1200))
    answer = await told.ask(
        f"points/{COUNTER}/energy",
        period="month",
        as_of=told.story.now.isoformat(),
        **{"from": "2026-10-01T00:00:00+08:00", "to": "2030-01-01T00:00:00+08:00"},
    )
    assert answer.status_code == 422
    assert "400 days" in answer.json()["detail"]


async def test_a_closed_month_shows_its_snapshot_and_whether_it_still_stands(told: Told) -> None:
    plot = told.story
    plot.pass_time(timedelta(hours=42))
    await plot.record(plot.make(story.seeded(3), 42))
    await plot.tap("tap-1", START + timedelta(hours=10), "40")
    await plot.settle()
    plot.pass_time(timedelta(minutes=9))
    async with plot.pool.connection() as link:
        closed = await closing.close_month(link, "s", "2026-10", "engineer", plot.now)
    at = plot.now
    plot.pass_time(timedelta(hours=1))
    await plot.tap("tap-2", START + timedelta(hours=12), "3")
    await plot.settle()
    asked = {"period": "month", "indicator": "fesi.smelting", **YEAR}
    months = {
        name: (await told.items(f"units/{UNIT}/intensity", **asked, **params))[-2:]
        for name, params in (
            ("now", {}),
            ("then", {"as_of": at.isoformat()}),
            ("before", {"as_of": (at - timedelta(seconds=1)).isoformat()}),
        )
    }
    now, then, before = (months[name][0] for name in ("now", "then", "before"))
    assert (now["version"], then["version"], before["version"]) == (2, 1, 1)
    assert now["close"] == {
        "close": str(closed.id),
        "closed_at": closed.content()["closed_at"],
        "closed_by": "engineer",
        "signed": False,
        "result": then["result"],
        "version": 1,
        "differs": True,
        "flips": [],
    }
    assert then["close"] == now["close"] | {"differs": False}
    assert before["close"] is None
    assert [items[1]["close"] for items in months.values()] == [None, None, None]


async def test_a_step_confirmed_later_was_not_booked_then(told: Told) -> None:
    plot = told.story
    plot.pass_time(timedelta(hours=6))
    number, begin = plot.ids[COUNTER], to_us(START)
    # A rise of 40 000 counts in five minutes is beyond the rated power: it is held.
    rise = [(n * 100 + (40_000 if n >= 30 else 0)) for n in range(72)]
    step_us = 5 * story.MINUTE_US
    await plot.record(
        story.rows_of([(number, begin + n * step_us, float(at), 0) for n, at in enumerate(rise)])
    )
    await plot.settle()
    held = plot.now
    asked = {"period": "month", **YEAR}
    path = f"points/{COUNTER}/energy"
    (before,) = (await told.items(path, **asked, as_of=held.isoformat()))[-1:]
    plot.pass_time(timedelta(minutes=1))
    async with plot.pool.connection() as link:
        await slots.confirm(link, number, begin + 30 * step_us, "engineer", plot.now)
    await plot.settle()
    (after,) = (await told.items(path, **asked, as_of=plot.now.isoformat()))[-1:]
    (again,) = (await told.items(path, **asked, as_of=held.isoformat()))[-1:]
    assert again == before
    assert "implausible" in before["flags"]
    assert "confirmed" in after["flags"]
    gained = float(after["energy"]["value"]) - float(before["energy"]["value"])
    assert gained == 40_100 * 2.5


async def test_what_archived_readings_alone_could_tell_is_refused(told: Told) -> None:
    plot = told.story
    plot.pass_time(timedelta(hours=42))
    await plot.record(plot.make(story.seeded(3), 42))
    await plot.settle()
    at, horizon = plot.now.isoformat(), START + timedelta(hours=20)
    path = f"units/{UNIT}/intensity"
    closed = await told.items(path, period="day", as_of=at, **RANGE)
    async with plot.pool.connection() as link:
        await link.execute("delete from reading where ts < %s", (horizon,))
        await retention.move(link, to_us(horizon), plot.now)
    for asked in (path, f"points/{COUNTER}/energy"):
        answer = await told.ask(asked, period="year", as_of=at, **YEAR)
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:danhao:problem:archived"
        assert "before 2026-10-30T20:00:00Z are archived" in answer.json()["detail"]
    # Closed figures need no readings, nor do periods behind the horizon.
    assert await told.items(path, period="day", as_of=at, **RANGE) == closed
    assert [item["version"] for item in closed] == [1, 1, 0]
