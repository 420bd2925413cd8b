"""A rehearsal finds what the live path found, or would have found, at every look."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core import alerts, pastfindings, rehearsal
from core.clock import from_us, to_us
from core.limits import Force
from core.periods import SLOT_US, Period
from core.verdicts import Verdict
from store import figures, rehearsals
from store.rehearsals import Chosen
from tests.store import pastworld
from tests.store.pastworld import BEGIN, HOUR_US, NOVEMBER, UNTIL

if TYPE_CHECKING:
    from datetime import datetime

    from core.alerts import Finding
    from store.connection import Pool
    from store.rehearsals import Series

SPAN = (to_us(BEGIN), to_us(UNTIL))
FORCES = (Force.MANDATORY, Force.TARGET)


def chosen(force: Force = Force.MANDATORY, period: Period = Period.MONTH) -> Chosen:
    return Chosen(force, period, SPAN)


@pytest.mark.parametrize(
    ("period", "since"), [(Period.MONTH, BEGIN), (Period.YEAR, BEGIN + timedelta(hours=31))]
)
async def test_columns_give_what_the_live_path_gives_look_by_look(
    pool: Pool, period: Period, since: datetime
) -> None:
    """Of a year the span holds the end only: what was before it is in every sum."""
    span = (to_us(since), SPAN[1])
    both = 0
    async with pool.connection() as link:
        world = await pastworld.begin(link)
        await world.fill(UNTIL)
        for force in FORCES:
            asked = Chosen(force, period, span)
            series = [
                without_completeness(one)
                for one in rehearsals.series_of(world.loaded.plant, asked)
                if one.made is not None
            ]
            fast = await rehearsals.in_columns(link, world.loaded, series, span)
            plain = [replace(one, made=None, standings=()) for one in series]
            slow = await rehearsals.one_by_one(link, world.loaded, plain, span, SLOT_US)
            for one, columns, looked in zip(series, fast, slow, strict=True):
                assert np.array_equal(columns, looked), one.unit.id
                both += len(np.unique(columns)) > 1
    assert both >= 2  # the world is not so tame that every look finds the same


def without_completeness(one: Series) -> Series:
    """Return a figure whose limits are judged however little of the period is measured."""
    assert one.made is not None
    rows = tuple(replace(row, completeness=Decimal(0)) for row in one.rows)
    bounds = [bound for bound, _ in one.calendar.runs()]
    stands = [pastfindings.standings(one.made, rows, bound) for bound in bounds]
    return replace(one, rows=rows, standings=[each for each in stands if each is not None])


async def test_a_look_finds_what_was_found_then(pool: Pool) -> None:
    """The store is filled step by step; what it said of the month then is what is replayed."""
    stops = [BEGIN + timedelta(hours=hours) for hours in (3, 30, 77, 120)]
    stops += [NOVEMBER + timedelta(hours=hours) for hours in (9, 40)]
    then: dict[datetime, dict[tuple[str, str], Finding]] = {}
    async with pool.connection() as link:
        world = await pastworld.begin(link)
        for stop in stops:
            await world.fill(stop)
            then[stop] = await found_live(world, stop)
        await world.fill(UNTIL)
        pasts = [await rehearsals.of_limits(link, world.loaded, chosen(each)) for each in FORCES]
    assert {what.subject for what in pasts[0].watched} == {"s.furnace", "s.line", "s.pots"}
    for stop, expected in then.items():
        replayed = {
            (what.subject, what.about): rehearsal.FINDINGS[found]
            for past in pasts
            for what, found in zip(
                past.watched, past.looks.finding[past.looks.at_us == to_us(stop)][0], strict=True
            )
        }
        assert replayed == expected, stop
    assert len({found for each in then.values() for found in each.values()}) == 3


async def found_live(world: pastworld.Past, at: datetime) -> dict[tuple[str, str], Finding]:
    """Return the findings on the running month, as the evaluator computes them at that instant."""
    plant, found = world.loaded.plant, {}
    for one in (each for force in FORCES for each in rehearsals.series_of(plant, chosen(force))):
        bound = next(b for b, _ in one.calendar.runs() if b[0] < to_us(at) <= b[1])
        (item,) = await figures.compute(
            world.link, plant, world.loaded.ids, one.unit, one.indicator, [bound], at
        )
        rows = {row.id for row in one.rows}
        for verdict in item["verdicts"]:
            if verdict["limit"] in rows:
                key = (one.unit.id, verdict["limit"])
                found[key] = alerts.finding(Verdict(verdict["verdict"]))
    return found


async def test_a_month_is_closed_once_and_its_successor_begins_anew(pool: Pool) -> None:
    async with pool.connection() as link:
        world = await pastworld.begin(link)
        await world.fill(UNTIL)
        past = await rehearsals.of_limits(link, world.loaded, chosen())
    closings = past.looks.closings()
    assert {one.end_us for one in closings} == {to_us(NOVEMBER)}
    assert len(closings) == len(past.watched)
    assert past.every_us == HOUR_US
    assert 0 < past.hourly < len(past.watched)


async def test_what_was_measured_later_is_not_known_at_a_look(pool: Pool) -> None:
    async with pool.connection() as link:
        world = await pastworld.begin(link)
        await world.fill(UNTIL)
        before = await rehearsals.of_limits(link, world.loaded, chosen())
        cut = to_us(NOVEMBER) + 40 * HOUR_US
        for unit in ("furnace", "line", "pots"):
            grades = {"Si": "0.75"} if unit == "furnace" else {}
            await world.book(unit, "weighing", cut + 1, "9000", grades=grades)
        after = await rehearsals.of_limits(link, world.loaded, chosen())
    known = before.looks.at_us <= cut
    assert np.array_equal(before.looks.finding[known], after.looks.finding[known])
    assert not np.array_equal(before.looks.finding[~known], after.looks.finding[~known])


async def test_one_unit_may_be_asked_for(pool: Pool) -> None:
    async with pool.connection() as link:
        world = await pastworld.begin(link)
        await world.fill(BEGIN + timedelta(days=1))
        span = (to_us(BEGIN), to_us(BEGIN) + 24 * HOUR_US)
        some = Chosen(Force.MANDATORY, Period.MONTH, span, frozenset({"s.line"}))
        past = await rehearsals.of_limits(link, world.loaded, some)
        none = Chosen(Force.MANDATORY, Period.MONTH, span, frozenset())
        empty = await rehearsals.of_limits(link, world.loaded, none)
    assert {what.subject for what in past.watched} == {"s.line"}
    assert len(past.looks.at_us) == 96
    assert from_us(past.looks.until_us) == BEGIN + timedelta(days=1)
    assert empty.watched == []
    assert empty.looks.closings() == []


def test_very_many_figures_are_looked_at_less_often() -> None:
    span = (0, 90 * 24 * HOUR_US)
    assert rehearsals.spacing(1, span) == HOUR_US
    assert rehearsals.spacing(92, span) == HOUR_US
    for count in (93, 1_000, 20_000):
        every_us = rehearsals.spacing(count, span)
        assert every_us % HOUR_US == 0
        assert count * span[1] / every_us <= rehearsals.MOST_LOOKS
        assert count * span[1] / (every_us - HOUR_US or 1) > rehearsals.MOST_LOOKS
