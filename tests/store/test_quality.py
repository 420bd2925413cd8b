"""Promises of the data-quality score over a real store: what is planted in a month's data is found.

Every site is one furnace with one meter and one fault; a month of readings goes the whole way to
slots and results.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core import indicators, periods, plant, qualityrules, qualityscore
from core import output as facts
from core.clock import to_us
from core.periods import Period
from core.qualityrules import RuleId
from ingest import declared
from ingest.calculator import Calculator
from store import figures, output, plants, quality, readings, results, retention, slots, versions
from store.basis import Basis
from store.quality import Asked
from store.readings import Rows

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from core.qualityscore import Score
    from store.connection import Pool

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
ZONE = "Asia/Shanghai"
START = to_us(datetime.fromisoformat("2026-10-01T00:00:00+08:00"))
END = to_us(datetime.fromisoformat("2026-11-01T00:00:00+08:00"))
NOW = datetime.fromisoformat("2026-11-20T12:00:00+08:00")
DAYS = 31
STEPS = np.arange(-4, DAYS * 96 + 5)  # quarters of an hour, a little beyond the month
CARBIDE = indicators.find("cac2.furnace")
R = RuleId
# Site: the rules that its fault breaks, in the order of the rules.
SITES: dict[str, list[RuleId]] = {
    "clean": [],
    "gappy": [R.COMPLETENESS, R.ESTIMATED],
    "seldom": [R.CADENCE],
    "midnight": [R.DAY_BOUNDARY],
    "silent": [R.COMPLETENESS, R.DAY_BOUNDARY, R.ESTIMATED, R.REPAIR],
    "typed": [R.HAND_ENTERED],
    "late": [R.UPLOAD],
    "stale": [R.METERS_IN_DATE],
    "falling": [R.VALIDITY],
    "refused": [R.REJECTED],
    "apart": [R.DAY_MONTH_AGREEMENT],
}
PLANT = "".join(
    f"""
[site.{site}]
name = {{ zh = "厂", en = "Plant" }}
jurisdiction = "cn-qh"
[site.{site}.agent.gw-01]
[site.{site}.unit.u]
name = {{ zh = "单元", en = "Unit" }}
kind = "submerged_arc_furnace"
product = "calcium_carbide"
indicators = ["cac2.furnace"]
[site.{site}.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
verified_until = {"2026-10-30" if site == "stale" else "2027-01-01"}
[site.{site}.unit.u.point.volts]
kind = "gauge"
unit = "V"
"""
    for site in SITES
)


def kept(site: str) -> Any:
    """Tell of each quarter of an hour whether its reading came."""
    hour = STEPS // 4 % 24
    found = np.ones(len(STEPS), bool)
    if site == "gappy":
        found &= (hour < 6) | (hour >= 9)
    if site == "seldom":
        found &= STEPS % 2 == 0
    if site == "silent":  # Wednesday the 14th at noon to Tuesday the 20th at six
        found &= (STEPS < 13 * 96 + 48) | (STEPS >= 19 * 96 + 24)
    return found


def rows_of(site: str, number: int) -> Rows:
    """Return the month's readings of a site's meter, its fault among them."""
    ts_us = START + STEPS * 15 * MINUTE
    if site == "midnight":
        ts_us = ts_us + np.where(STEPS == 7 * 96, 5 * MINUTE, 0)
    value = 1_000_000.0 + STEPS * 100.0
    if site == "falling":
        value -= (STEPS // 70) * 20_000.0
    mask = kept(site)
    size = int(mask.sum())
    return Rows(np.full(size, number), ts_us[mask], value[mask], np.zeros(size, np.int16))


async def build(pool: Pool) -> None:
    """Declare all sites, store their month day by day, compute it, plant what no reading can."""
    async with pool.connection() as link:
        await plants.apply(link, plant.parse(PLANT, "plant.toml"), NOW)
        loaded = await plants.load(link)
        tables = declared.build(loaded.plant, loaded.ids, NOW)
        rows = [(site, rows_of(site, loaded.ids[f"{site}.u.ac"])) for site in SITES]
        for day in range(-1, DAYS + 1):
            until = START + (day + 1) * DAY + HOUR
            for site, one in rows:
                mask = (one.ts_us < until) & (one.ts_us >= until - DAY)
                delay = 3 * DAY if site == "late" and 9 <= day <= 12 else 0
                done = await readings.write(
                    link, one.take(mask), datetime_of(until + delay), None, tables.interval_us
                )
                await slots.touch_rows(link, done.new, tables.gives_energy)
        for site in SITES:
            await tap(link, site)
    calculator = Calculator(pool, lambda: (loaded.plant, loaded.ids), lambda: NOW)
    while await calculator.step():
        pass
    async with pool.connection() as link:
        for site in SITES:
            for kind in (Period.DAY, Period.MONTH):
                await evaluate(link, loaded, f"{site}.u", kind)
        await break_apart(link)
        await link.execute(
            "insert into dead_letter (recorded_at, reason, topic, site, agent, point, detail,"
            " payload, payload_bytes, digest) values (%s, 'conflict', 't', 'refused', 'gw-01',"
            " 'refused.u.ac', 'why', 'x', 1, 'x')",
            (datetime_of(START + 3 * DAY),),
        )


async def evaluate(
    link: AsyncConnection[Any], loaded: plants.Loaded, unit: str, kind: Period
) -> None:
    """Compute the results of a unit's month, as ingest does for every kind of period."""
    bounds = periods.periods_between(kind, START, END, ZONE)
    found = await figures.compute(
        link, loaded.plant, loaded.ids, loaded.plant.units[unit], CARBIDE, bounds, NOW
    )
    rows = [
        versions.Figure(unit, CARBIDE.id, kind.value, *bound, item)
        for bound, item in zip(bounds, found, strict=True)
    ]
    await versions.write_all(link, rows, NOW, NOW, Basis())


def datetime_of(instant_us: int) -> datetime:
    return datetime.fromtimestamp(instant_us / 1e6, tz=NOW.tzinfo)


async def tap(link: AsyncConnection[Any], site: str) -> None:
    """Store a tap a day; a person types every eighth one where that is the fault."""
    for day in range(DAYS):
        body = {
            "id": f"{site}-{day}",
            "unit": f"{site}.u",
            "kind": "tapping",
            "at": datetime_of(START + day * DAY + 5 * HOUR).isoformat(),
            "mass_t": "3.2",
            "grades": {"gas_yield": "300"},
        }
        typed = site == "typed" and day % 8 == 0
        await output.write(
            link, facts.from_data(body, to_us(NOW)), "user:clerk" if typed else "scale", NOW
        )


async def break_apart(link: AsyncConnection[Any]) -> None:
    """Let one site's month be 6 % more than its days are, as a version of its own."""
    key = ("apart.u", "cac2.furnace", "month")
    (found,) = await results.read(link, key, (START, END), 1)
    more = dict(found.figures)
    energy = float(more["energy"]["value"]) * 1.06
    more["energy"] = {**more["energy"], "value": f"{energy:.0f}"}
    assert await versions.write(link, key, (START, END), more, NOW)


async def score_of(
    link: AsyncConnection[Any],
    site: str,
    now: datetime = NOW,
    bound: tuple[int, int] = (START, END),
) -> Score:
    loaded = await plants.load(link)
    asked = Asked(loaded.plant, loaded.plant.sites[site], loaded.ids, bound, to_us(now))
    return qualityscore.score(await quality.gather(link, asked), qualityrules.shipped())


@pytest.mark.slow
async def test_each_planted_violation_is_found_with_the_rule_it_breaks_and_no_other(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await build(pool)
    async with pool.connection() as link:
        scores = {site: await score_of(link, site) for site in SITES}
        broken = {
            site: [one.rule.id for one in found.checked if one.findings]
            for site, found in scores.items()
        }
        assert broken == SITES
        for site, found in scores.items():
            assert found.value is not None
            assert (found.value == 100) is (site == "clean"), site
            unchecked = [one.rule.id for one in found.checked if one.share is None]
            assert unchecked == [R.CLOCK]
        await _says_what_was_planted(scores)
        await _an_open_month_looks_at_clocks(link)
        await _what_is_archived_is_not_looked_at(link)
        monkeypatch.setattr(quality, "MOST_LOOKUPS", 1_000)
        await _too_much_is_said(link)


async def _says_what_was_planted(scores: dict[str, Score]) -> None:
    said = {
        (site, one.rule): one.text["en"] for site, found in scores.items() for one in found.findings
    }
    assert "seldom.u.ac is read about every 30 minutes" in said["seldom", R.CADENCE]
    assert "1 of 32 midnights" in said["midnight", R.DAY_BOUNDARY]
    assert "2026-10-08" in said["midnight", R.DAY_BOUNDARY]
    assert "since 2026-10-14T11:45, for 4 working days" in said["silent", R.REPAIR]
    assert "4 of 32 days" in said["late", R.UPLOAD]
    assert "4 of 31 production facts" in said["typed", R.HAND_ENTERED]
    assert "5.66 % off the month" in said["apart", R.DAY_MONTH_AGREEMENT]
    assert "86.46 % of the time" in said["gappy", R.COMPLETENESS]


async def _an_open_month_looks_at_clocks(link: AsyncConnection[Any]) -> None:
    await link.execute(
        "insert into agent_status values ('clean', 'gw-01', 'online', %s, 'e', 0, null, 90000, %s)",
        (NOW, NOW),
    )
    middle = datetime_of(START + 10 * DAY)
    found = await score_of(link, "clean", middle)
    assert [one.rule for one in found.findings] == [R.CLOCK]
    assert found.findings[0].subject == "clean.gw-01"


async def _what_is_archived_is_not_looked_at(link: AsyncConnection[Any]) -> None:
    await retention.move(link, START + DAY, NOW)
    found = await score_of(link, "midnight")
    unchecked = {one.rule.id: one.unchecked for one in found.checked if one.share is None}
    assert unchecked == {
        R.CADENCE: quality.ARCHIVED,
        R.DAY_BOUNDARY: quality.ARCHIVED,
        R.UPLOAD: quality.ARCHIVED,
        R.CLOCK: "known_of_now_only",
    }
    assert found.findings == []
    await retention.move(link, None, NOW)


async def _too_much_is_said(link: AsyncConnection[Any]) -> None:
    found = await score_of(link, "seldom")
    unchecked = {one.rule.id: one.unchecked for one in found.checked if one.share is None}
    assert unchecked[R.CADENCE] == quality.TOO_MUCH


async def test_a_meter_that_never_spoke_has_not_fallen_silent(pool: Pool) -> None:
    async with pool.connection() as link:
        await plants.apply(link, plant.parse(PLANT, "plant.toml"), NOW)
        found = await score_of(link, "clean")
        assert [one.rule for one in found.findings] == [R.COMPLETENESS, R.DAY_BOUNDARY]
        nothing_yet = await score_of(link, "clean", NOW, (to_us(NOW), to_us(NOW) + DAY))
        assert nothing_yet.findings == []


async def test_a_silence_that_began_before_the_month_is_counted_from_its_begin(pool: Pool) -> None:
    async with pool.connection() as link:
        await plants.apply(link, plant.parse(PLANT, "plant.toml"), NOW)
        number = (await plants.load(link)).ids["clean.u.ac"]
        await link.execute(
            "insert into slot_energy select %s, s, 1, 0, 900000000, 0, %s from"
            " generate_series(%s::timestamptz, %s::timestamptz, interval '15 minutes') s",
            (number, NOW, datetime_of(START - 9 * DAY), datetime_of(START - 6 * DAY)),
        )
        found = await score_of(link, "clean", datetime_of(START + 2 * DAY))
    (late,) = [one for one in found.findings if one.rule is R.REPAIR]
    assert "since 2026-09-25T00:15" in late.text["en"]


def test_the_month_is_as_long_as_the_story_says() -> None:
    assert END - START == DAYS * DAY
    assert datetime_of(START) + timedelta(days=DAYS) == datetime_of(END)
