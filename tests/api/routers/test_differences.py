"""Promises of late facts: each touches what it must, says why, and rewrites no older report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio

from api.close_schemas import DifferenceItem
from api.schemas import Page
from core import periods
from core.clock import from_us, to_us
from core.periods import Period
from store import closecheck, closing
from tests import story
from tests.api.told import YEAR, Told, tell
from tests.story import COUNTER, SPAN, START, UNIT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from store.connection import Pool
    from store.readings import Rows

INDICATORS = ("fesi.comprehensive", "fesi.smelting")
KINDS = (Period.HOUR, Period.SHIFT, Period.DAY, Period.MONTH)
DAY_31 = {"from": "2026-10-31T00:00:00+08:00", "to": "2026-11-01T00:00:00+08:00"}
MEASURED = {"from": "2026-10-30T08:00:00+08:00", "to": "2026-11-01T00:00:00+08:00"}
OCTOBER = {"from": "2026-10-01T00:00:00+08:00", "to": "2026-11-01T00:00:00+08:00"}
REPORT = {"hour": MEASURED, "day": MEASURED, "month": OCTOBER}
ZONE = "Asia/Shanghai"
TARGET = "cn-qh.fesi.smelting.target-2020"
EXCHANGED = START + timedelta(hours=29, minutes=2)
EXCHANGE = "exchange = [{{ at = {at}, closing = {closing}, opening = 1000 }}]"
Version = tuple[str, str, int, int]  # indicator, kind, start of the period, version


def exchanged(plot: story.Story, hours: float) -> tuple[Rows, int]:
    """Return steady readings through a change of the meter, and what the old one closed at.

    The meter is changed 2 minutes behind a reading: 80 counts on the old one, which then are on
    no reading, and 120 from 1000 on the new one.
    """
    rows = plot.steady(hours)
    is_new = (rows.point_id == plot.ids[COUNTER]) & (rows.ts_us > to_us(EXCHANGED))
    is_old = (rows.point_id == plot.ids[COUNTER]) & ~is_new
    closing_count = float(rows.value[is_old][-1]) + 80
    value = np.where(is_new, rows.value - closing_count + 1000, rows.value)
    return type(rows)(rows.point_id, rows.ts_us, value, rows.quality), int(closing_count)


@dataclass
class Late:
    """An October that was closed before its facts were whole, and the facts that came later."""

    told: Told
    old_meter: int
    closed_at: datetime

    async def settle(self) -> datetime:
        """Compute what came, and return an instant from which it was known, before the next."""
        plot = self.told.story
        await plot.settle()
        at = plot.now
        plot.pass_time(timedelta(minutes=1))
        return at

    async def grade(self) -> None:
        """Send the laboratory's grade of the first tap."""
        await self.told.story.tap("tap-1", START + timedelta(hours=20), "12", revision=1)

    async def weighing(self) -> None:
        """Correct the weighing of the second tap."""
        await self.told.story.tap("tap-2", START + timedelta(hours=30), "18", revision=1)

    async def stock_taking(self) -> None:
        """Send what stock-taking on the month's last evening found less than was booked."""
        await self.told.story.tell(
            "count-10",
            START + timedelta(hours=39, minutes=30),
            "-1.5",
            kind="correction",
            grades={"Si": "0.741"},
        )

    async def exchange(self) -> None:
        """Declare the change of the meter."""
        line = EXCHANGE.format(at=EXCHANGED.strftime("%Y-%m-%dT%H:%M:%SZ"), closing=self.old_meter)
        await self.told.story.declare(story.plant(exchange=line))

    async def versions(self) -> set[Version]:
        """Return every closed version that there is."""
        async with self.told.story.pool.connection() as link:
            cursor = await link.execute(
                "select indicator, period, period_start, version from result where closed"
            )
            return {
                (indicator, kind, to_us(start), version)
                for indicator, kind, start, version in await cursor.fetchall()
            }

    async def report(self, at: datetime) -> dict[str, Any]:
        """Return the month, and days, hours and energies with readings, as known at an instant."""
        return await self.told.figures(at, REPORT)

    async def differences(self, **asked: Any) -> list[dict[str, Any]]:
        """Return the answer of the route, held to its model."""
        answer = await self.told.ask(f"units/{UNIT}/intensity/difference", **asked)
        assert answer.status_code == 200, answer.text
        Page[DifferenceItem].model_validate_json(answer.content)
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    async def month(self, **asked: Any) -> dict[str, Any]:
        """Return October's difference of smelting."""
        (found,) = await self.differences(indicator="fesi.smelting", **OCTOBER, **asked)
        return found

    async def day(self, **asked: Any) -> dict[str, Any]:
        """Return the difference of smelting of the month's last day."""
        (found,) = await self.differences(
            indicator="fesi.smelting", period="day", **DAY_31, **asked
        )
        return found


@pytest_asyncio.fixture
async def late(database_url: str, pool: Pool) -> AsyncIterator[Late]:
    async with tell(database_url, pool) as told:
        plot = told.story
        plot.pass_time(timedelta(hours=41))
        rows, old_meter = exchanged(plot, 41)
        await plot.record(rows)
        await plot.tell("tap-1", START + timedelta(hours=20), "12")
        await plot.tap("tap-2", START + timedelta(hours=30), "12")
        await plot.settle()
        plot.pass_time(timedelta(minutes=9))
        async with pool.connection() as link:
            await closing.close_month(link, "s", "2026-10", "engineer", plot.now)
        plot.pass_time(timedelta(minutes=1))
        yield Late(told, old_meter, plot.now)


def holding(at: datetime) -> set[tuple[str, str, int]]:
    """Return the closed figures whose period holds an instant."""
    return {
        (indicator, kind.value, periods.period_at(kind, to_us(at), ZONE)[0])
        for indicator in INDICATORS
        for kind in KINDS
    }


# What came, when it happened, the kind of cause, and the key and value of its reference.
EVENTS: dict[str, tuple[datetime, str, str, dict[str, Any]]] = {
    "grade": (START + timedelta(hours=20), "facts", "facts", {"id": "tap-1", "revision": 1}),
    "weighing": (START + timedelta(hours=30), "facts", "facts", {"id": "tap-2", "revision": 1}),
    "stock_taking": (
        START + timedelta(hours=39, minutes=30),
        "facts",
        "facts",
        {"id": "count-10", "revision": 0},
    ),
    "exchange": (EXCHANGED, "declaration", "declaration", {"from": 1, "to": 2}),
}


@pytest.mark.parametrize("event", EVENTS)
async def test_a_late_fact_makes_a_version_of_what_it_touches_and_of_nothing_else(
    late: Late, event: str
) -> None:
    at, kind, name, reference = EVENTS[event]
    before, report = await late.versions(), await late.report(late.closed_at)
    late.told.story.pass_time(timedelta(weeks=3))
    await late.settle()
    assert {version for version in await late.versions() - before if version[3] > 1} == set()
    arrived = late.told.story.now
    before = await late.versions()
    await getattr(late, event)()
    await late.settle()
    new = await late.versions() - before
    assert {version[:3] for version in new} == holding(at)
    assert {version[3] for version in new} == {2}
    month = await late.month(as_of=late.closed_at.isoformat())
    assert month["kinds"] == [kind]
    (cause,) = month["causes"]
    assert (cause["version"], cause["kinds"]) == (2, [kind])
    (told,) = cause[name] if isinstance(cause[name], list) else [cause[name]]
    assert reference.items() <= told.items()
    if kind == "facts":
        assert told["recorded_at"] == periods.render_utc(to_us(arrived))
    assert await late.report(late.closed_at) == report


@pytest.mark.slow
async def test_every_report_between_late_facts_stays_as_it_was_to_the_digit(late: Late) -> None:
    reports = {late.closed_at: await late.report(late.closed_at)}
    for event in EVENTS:
        late.told.story.pass_time(timedelta(weeks=1))
        await getattr(late, event)()
        at = await late.settle()
        reports[at] = await late.report(at)
    months = [report["month fesi.smelting"][0]["intensity"]["value"] for report in reports.values()]
    assert months[0] is None  # a tap without its grade
    assert len(set(months)) == len(EVENTS) + 1
    for at, report in reports.items():
        assert await late.report(at) == report


async def test_the_difference_is_what_the_late_facts_are_worth(late: Late) -> None:
    closed = late.closed_at.isoformat()
    late.told.story.pass_time(timedelta(weeks=1))
    await late.grade()
    graded = (await late.settle()).isoformat()
    await late.weighing()
    weighed = (await late.settle()).isoformat()
    await late.exchange()
    await late.settle()
    day = await late.day(as_of=graded, **{"and": weighed})
    assert (day["before"]["version"], day["after"]["version"], day["kinds"]) == (2, 3, ["facts"])
    # 6 t of 74.1 % are 5.928 t of 75 %.
    assert day["difference"]["output"] == {"value": "5.928", "unit": "t"}
    assert day["difference"]["energy"]["value"] == "0"
    values = [Decimal(day[side]["intensity"]["value"]) for side in ("before", "after")]
    assert Decimal(day["difference"]["intensity"]["value"]) == values[1] - values[0]
    assert {"limit": TARGET, "force": "target", "from": "exceeds", "to": "within"} in day["flips"]
    # The step over the change of the meter: 80 counts and 120, of 2.5 kWh.
    exchanged = await late.day(as_of=weighed)
    assert exchanged["difference"]["energy"] == {"value": "500", "unit": "kWh"}
    assert exchanged["kinds"] == ["declaration"]
    whole = await late.day(as_of=closed)
    assert [cause["version"] for cause in whole["causes"]] == [2, 3, 4]
    assert whole["kinds"] == ["facts", "declaration"]
    assert whole["difference"]["intensity"] == {"value": None, "unit": "kWh/t"}
    same = await late.day(as_of=graded, **{"and": graded})
    assert (same["causes"], same["flips"]) == ([], [])
    assert same["difference"]["energy"]["value"] == "0"


async def test_a_closed_month_is_held_against_what_it_was_closed_with(late: Late) -> None:
    late.told.story.pass_time(timedelta(weeks=1))
    still = await late.month(as_of=late.closed_at.isoformat())
    assert still["close"]["differs"] is False
    assert (still["close"]["kinds"], still["close"]["causes"]) == ([], [])
    await late.grade()
    graded = (await late.settle()).isoformat()
    await late.exchange()
    await late.settle()
    month = await late.month(as_of=graded)
    assert month["kinds"] == ["declaration"]
    against = month["close"]
    assert (against["version"], against["differs"]) == (1, True)
    assert against["kinds"] == ["facts", "declaration"]
    assert [cause["version"] for cause in against["causes"]] == [2, 3]
    assert against["difference"]["energy"] == {"value": "500", "unit": "kWh"}
    day = await late.day(as_of=graded)
    flip = {"limit": TARGET, "force": "target", "from": "incomplete", "to": "exceeds"}
    assert (day["flips"], flip in day["close"]["flips"]) == ([], True)
    # Before the close there was none to be held against.
    before = (late.closed_at - timedelta(minutes=2)).isoformat()
    assert (await late.month(as_of=before, **{"and": before}))["close"] is None


async def test_a_period_that_was_open_went_on_and_late_is_only_what_was_measured_before(
    database_url: str, pool: Pool
) -> None:
    async with tell(database_url, pool) as told:
        plot = told.story
        plot.pass_time(timedelta(hours=30))
        rows = plot.steady(30)
        is_late = (rows.point_id == plot.ids[SPAN]) & (
            rows.ts_us == to_us(START + timedelta(hours=20))
        )
        await plot.record(rows.take(~is_late))
        await plot.settle()
        open_at = plot.now
        plot.pass_time(timedelta(hours=2))
        await plot.record(rows.take(is_late))
        await plot.tap("tap-1", START + timedelta(hours=18), "12")
        plot.pass_time(timedelta(hours=9))
        await plot.record(plot.steady(9))
        await plot.settle()
        plot.pass_time(timedelta(minutes=1))
        late = Late(told, 0, open_at)
        day = await late.day(as_of=open_at.isoformat())
    assert (day["before"]["closed"], day["before"]["version"]) == (False, 0)
    assert (day["after"]["closed"], day["after"]["version"]) == (True, 1)
    assert day["kinds"] == ["period_open", "late_readings", "facts"]
    (cause,) = day["causes"]
    assert (cause["version"], cause["known_from"]) == (None, None)
    (reading,) = cause["readings"]
    assert (reading["point"], reading["count"]) == (SPAN, 1)
    assert reading["from"] == "2026-10-30T20:00:00Z"
    assert [fact["id"] for fact in cause["facts"]] == ["tap-1"]


async def test_before_anything_was_there_nothing_is_compared(late: Late) -> None:
    day = await late.day(as_of=START.isoformat())
    assert (day["before"], day["difference"], day["kinds"]) == (None, None, ["period_open"])
    undeclared = await late.day(as_of=(START - timedelta(days=1)).isoformat())
    assert (undeclared["before"], undeclared["kinds"]) == (None, ["declaration"])
    assert undeclared["causes"][0]["declaration"] == {
        "site": "s",
        "from": None,
        "to": 1,
        "applied_at": "2026-10-30T00:00:00Z",
    }
    nothing = await late.differences(
        as_of=(START - timedelta(days=2)).isoformat(),
        **{"and": (START - timedelta(days=1)).isoformat()},
    )
    assert nothing == []


async def test_slots_are_compared_too(late: Late) -> None:
    late.told.story.pass_time(timedelta(days=1))
    await late.exchange()
    await late.settle()
    hour = {"from": "2026-10-31T13:00:00+08:00", "to": "2026-10-31T14:00:00+08:00"}
    found = await late.differences(
        indicator="fesi.smelting", period="slot", as_of=late.closed_at.isoformat(), **hour
    )
    assert [item["difference"]["energy"]["value"] for item in found] == ["500", "0", "0", "0"]
    assert [item["kinds"] for item in found] == [["declaration"], [], [], []]


async def test_pages_of_periods_follow_one_another(late: Late) -> None:
    asked = {"period": "hour", "indicator": "fesi.smelting", "limit": 5, **YEAR}
    asked |= {"from": "2026-10-30T08:00:00+08:00", "as_of": late.closed_at.isoformat()}
    seen: list[str] = []
    more: dict[str, str] = {}
    for _ in range(3):
        answer = (await late.told.ask(f"units/{UNIT}/intensity/difference", **asked, **more)).json()
        seen += [item["period_start"] for item in answer["items"]]
        more = {"cursor": answer["next"]}
    assert len(seen) == len(set(seen)) == 15
    assert seen == sorted(seen)


async def test_instants_are_checked(late: Late) -> None:
    path = f"units/{UNIT}/intensity/difference"
    now = late.told.story.now
    ahead = (now + timedelta(seconds=1)).isoformat()
    for asked, status, parameter in (
        ({}, 422, "as_of"),
        ({"as_of": "yesterday"}, 422, "as_of"),
        ({"as_of": ahead}, 400, "as_of"),
        ({"as_of": now.isoformat(), "and": ahead}, 400, "and"),
        ({"as_of": now.isoformat(), "and": START.isoformat()}, 422, "and"),
        ({"as_of": now.isoformat(), "indicator": "no.such"}, 422, "indicator"),
    ):
        answer = await late.told.ask(path, **asked)
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (status, parameter)
    assert (await late.told.ask("units/s.none/intensity/difference")).status_code in {404, 422}


async def test_a_stock_taking_weeks_later_gives_the_month_its_output(
    database_url: str, pool: Pool
) -> None:
    async with tell(database_url, pool) as told:
        plot = told.story
        pots = story.plant(indicators='"al.liquid.ac"', output_by='output_by = "pots"')
        await plot.declare(pots)
        plot.pass_time(timedelta(hours=41))
        await plot.record(plot.steady(41))
        stock = {"kind": "stock", "stream": "metal_in_pots"}
        month_start, month_end = periods.parse_month("2026-10", ZONE)
        before_us, half_us = month_start - 30 * story.MINUTE_US, month_end - 30 * story.MINUTE_US
        await plot.tell("pots-9", from_us(before_us), "100", **stock)
        await plot.tap("tap-1", START + timedelta(hours=20), "12")
        await plot.settle()
        plot.pass_time(timedelta(minutes=9))
        async with pool.connection() as link:
            closed = await closing.close_month(link, "s", "2026-10", "engineer", plot.now)
        late = Late(told, 0, plot.now)
        plot.pass_time(timedelta(weeks=3))
        await late.settle()
        versions = await late.versions()
        await plot.tell("pots-10", from_us(half_us), "101.25", **stock)
        await late.settle()
        new = await late.versions() - versions
        # A stock counts at every bound of the day after it; alone it makes no output.
        day_us = 24 * story.HOUR_US
        bounds = {
            (kind, start): periods.period_at(Period(kind), start, ZONE) for _, kind, start, _ in new
        }
        assert all(
            any(half_us <= edge <= half_us + day_us for edge in bound) for bound in bounds.values()
        )
        assert ("month", month_start) in bounds
        days = await late.differences(
            indicator="al.liquid.ac",
            period="day",
            as_of=late.closed_at.isoformat(),
            **{"from": DAY_31["from"], "to": "2026-11-02T00:00:00+08:00"},
        )
        assert [item["after"]["output"]["value"] for item in days] == [None, None]
        assert [item["kinds"] for item in days] == [["facts"], ["period_open", "facts"]]
        (month,) = await late.differences(
            indicator="al.liquid.ac", **OCTOBER, as_of=late.closed_at.isoformat()
        )
        assert month["before"]["output"]["value"] is None
        assert "stock_not_taken" in month["before"]["flags"]
        # What was tapped, and what the pots hold more than a month before.
        assert month["after"]["output"] == {"value": "13.25", "unit": "t"}
        (cause,) = month["causes"]
        assert [fact["id"] for fact in cause["facts"]] == ["pots-10"]
        async with pool.connection() as link:
            assert (await closecheck.verify(link, closed)).well
    # The stock of before the month counts in it, and so it is part of what was closed.
    assert [each["count"] for each in closed.content()["facts"]] == [2]
