"""Conditions on figures: months foreseen beyond a limit, days ill measured, meters in doubt."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from core import conditionfile, indicators, periods, qualityrules, qualityscore
from core import output as facts
from core.alerts import Alert, State
from core.clock import to_us
from core.conditions import Watch
from core.meterchecks.findings import Finding, Kind, Report
from core.periods import Period
from ingest import foreseeing
from store import alerts, figures, forecasts, meterchecks, output, plants, quality, versions
from store.alerts import Key
from tests.ingest.alertworld import channel
from tests.ingest.watchworld import METER, MINUTE, UNIT, Lookout

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from store.connection import Pool

START = datetime.fromisoformat("2026-10-12T00:00:00+08:00")
TODAY = datetime.fromisoformat("2026-11-21T00:00:00+08:00")
DAYS = (TODAY - START).days
METAL_T = 840
LAW = "cn.al.liquid.ac.gb21346-2022.level-3"
TARGET = "cn-qh.al.liquid.ac.target-2020"
ZONE = "Asia/Shanghai"


@dataclass
class World:
    """A lookout over a potline whose days are in the store."""

    at: Lookout

    async def book(
        self, kwh_per_t: float, since: int = 0, share: float = 1.0, until: int = DAYS
    ) -> None:
        """Book the energy of each day from the n-th on anew, and its figure, as ingest does."""
        days = range(since, until)
        await self.at.rows(
            "insert into slot_energy select %s, d.at + n * interval '15 minutes', d.e6, 0,"
            " %s, 0, %s from unnest(%s::timestamptz[], %s::bigint[]) as d(at, e6),"
            " generate_series(0, 95) n on conflict (point_id, slot_start) do update set"
            " energy_e6 = excluded.energy_e6, measured_us = excluded.measured_us",
            (
                self.at.ids[METER],
                round(900_000_000 * share),
                self.at.now,
                [START + timedelta(days=day) for day in days],
                [round(kwh_per_t * METAL_T * swing(day) * 1e6 / 96) for day in days],
            ),
        )
        await self.evaluate(since, until)

    async def tap(self) -> None:
        """Store a tap a day."""
        async with self.at.pool.connection() as connection:
            for day in range(DAYS):
                told = {
                    "id": f"tap-{day}",
                    "unit": UNIT,
                    "kind": "tapping",
                    "at": (START + timedelta(days=day, hours=9)).isoformat(),
                    "mass_t": str(METAL_T),
                }
                fact = facts.from_data(told, to_us(self.at.now))
                await output.write(connection, fact, "scale", self.at.now)

    async def evaluate(self, since: int, until: int) -> None:
        """Compute the results of the days, versions of what they were before."""
        indicator = indicators.find("al.liquid.ac")
        begin_us, until_us = (to_us(START + timedelta(days=day)) for day in (since, until))
        bounds = periods.periods_between(Period.DAY, begin_us, until_us, ZONE)
        async with self.at.pool.connection() as link:
            loaded = await plants.load(link)
            unit = loaded.plant.units[UNIT]
            found = await figures.compute(
                link, loaded.plant, loaded.ids, unit, indicator, bounds, self.at.now
            )
            for bound, item in zip(bounds, found, strict=True):
                key = (UNIT, indicator.id, "day")
                await versions.write(link, key, bound, item, self.at.now)


def swing(day: int) -> float:
    """Return a factor near 1 that differs from day to day, without a random number."""
    return 1 + 0.004 * math.sin(day * 2.3) + 0.002 * math.sin(day * 0.7)


async def world(pool: Pool, *names: str, **more: Any) -> World:
    """Return the potline at 16:00 of the 21st, with forty days at 13,095 kWh/t."""
    at = Lookout(pool, conditions={one: conditionfile.catalogue()[one] for one in names}, **more)
    await at.declare()
    found = World(at)
    await found.tap()
    await found.book(13_095)
    return found


async def test_a_month_foreseen_beyond_a_limit_is_told_before_it_ends(
    pool: Pool, tmp_path: Path
) -> None:
    names = ("forecast_law_month", "forecast_target_month")
    near = await world(pool, *names, channels=[channel(tmp_path)])
    at = near.at
    assert await at.look(3, 2) == {f"forecast_target_month {UNIT}": "pending"}
    assert await at.look(3) == {f"forecast_target_month {UNIT}": "firing"}
    figure = (await at.items())["forecast_target_month"]
    assert figure["facts"]["limit"] == TARGET
    assert figure["facts"]["period_start"] == "2026-11-01T00:00:00+08:00"
    assert Decimal(figure["value"]) >= Decimal("0.9")
    assert figure["sentence"]["en"].startswith("Potline 1 is foreseen to end the month at 13")
    assert "(12750.0 kWh/t) with a chance of" in figure["sentence"]["en"]
    assert at.watcher.counters.seen == 6
    await near.book(13_900, since=20)  # from the first of November on
    assert f"forecast_law_month {UNIT}" not in await at.look(50)  # foreseen once an hour
    assert (await at.look(10, 2))[f"forecast_law_month {UNIT}"] == "firing"
    law = (await at.items())["forecast_law_month"]
    assert law["facts"]["limit"] == LAW
    outlook = await asked(at)
    (row,) = [one for one in outlook["limits"] if one["limit"] == LAW]
    assert Decimal(law["value"]) == Decimal(str(row["chance_exceeds"]))
    assert await at.told() == [("regulator", "alert.firing", each) for each in names[::-1]]
    await near.book(12_500, since=20)
    found = await at.look(31, 3)
    assert set(found.values()) == {"resolved"}


async def test_what_is_beyond_the_limit_already_is_no_forecast(pool: Pool) -> None:
    at = (await world(pool, "forecast_target_month")).at
    async with pool.connection() as link:
        state = Alert(state=State.FIRING, since=at.now, episode=1, raised_at=at.now)
        key = Key(UNIT, "al.liquid.ac", "month", TARGET)
        stood = replace(state, last_start=START)
        kept = await alerts.save(link, key, stood, {}, at.now)
    assert await at.look(10, 3) == {}
    async with pool.connection() as link:
        await alerts.save(link, kept.key, replace(stood, state=State.RESOLVED), {}, at.now)
    foreseen = f"forecast_target_month {UNIT}"
    assert await at.look(10, 2) == {foreseen: "firing"}
    # What was told stands when the limit is exceeded; what was not is not told twice.
    for before, after in (("firing", "firing"), ("pending", "resolved")):
        await at.rows("update alert set state = %s where kind = 'condition'", (before,))
        async with pool.connection() as link:
            await alerts.save(link, kept.key, stood, {}, at.now)
        assert await at.look(10, 2) == {foreseen: after}


async def asked(at: Lookout) -> dict[str, Any]:
    """Return the forecast as the API gives it."""
    async with at.pool.connection() as link:
        unit, indicator = at.plant.units[UNIT], indicators.find("al.liquid.ac")
        question = forecasts.Question(unit, indicator, Period.MONTH, at.now)
        return (await forecasts.now(link, at.plant, at.ids, question)).item()


async def test_figures_are_foreseen_a_few_a_pass_and_what_is_not_yet_is_unknown(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreseeing, "MOST_FORESEEN", 1)
    near = await world(pool, "forecast_target_month", "forecast_law_year")
    found = [len(await near.at.look()) for _ in range(4)]
    assert found[0] <= 1
    memory = near.at.watcher._memory.forecasts
    assert {key[2] for key in memory._known} == {"month", "year"}
    before = dict(memory._known)
    await near.at.look(10)
    assert memory._known == before
    # What could not be foreseen for hours is no outlook any more, and ends nothing.
    states = await near.at.states()
    monkeypatch.setattr(foreseeing, "MOST_FORESEEN", 0)
    assert await near.at.look(60 * 7, 3) == states


async def test_a_day_that_was_not_measured_is_told_by_its_unit(pool: Pool) -> None:
    near = await world(pool, "completeness")
    at = near.at
    looked_at = [(await at.look(2), at.watcher._memory.looked_at[Watch.COMPLETENESS])[1]]
    for _ in range(3):
        await at.look(2)
        looked_at.append(at.watcher._memory.looked_at[Watch.COMPLETENESS])
    assert [each - looked_at[0] for each in looked_at] == [0 * MINUTE] * 3 + [6 * MINUTE]
    assert await at.look(6, 2) == {}
    await near.book(13_095, since=DAYS - 1, share=0.8)
    assert await at.look(6, 2) == {f"completeness {UNIT}": "firing"}
    figure = (await at.items())["completeness"]
    assert (figure["value"], figure["facts"]) == ("0.8", {"day": "2026-11-20"})
    assert figure["sentence"]["en"] == (
        "Potline 1 was measured for 80 % of 2026-11-20, verdicts need 90 %"
    )
    await near.book(13_095, since=DAYS - 1)  # the backlog came
    assert await at.look(6, 2) == {f"completeness {UNIT}": "resolved"}
    # A day is settled an hour after it ended: its last readings may be on their way.
    at.now = TODAY + timedelta(days=1, minutes=30)
    await near.book(13_095, since=DAYS, share=0.8, until=DAYS + 1)
    assert await at.look(6, 4) == {f"completeness {UNIT}": "resolved"}
    assert await at.look(6, 3) == {f"completeness {UNIT}": "firing"}
    assert (await at.items())["completeness"]["facts"] == {"day": "2026-11-21"}


async def test_the_score_of_yesterday_is_told_with_its_weakest_index(pool: Pool) -> None:
    near = await world(pool, "data_quality")
    at = near.at
    day = (to_us(TODAY) - 86_400_000_000, to_us(TODAY))
    async with pool.connection() as link:
        own = quality.Asked(at.plant, at.plant.sites["gh-al"], at.ids, day, to_us(at.now))
        seen = await quality.gather(link, own)
    score = qualityscore.score(seen, qualityrules.shipped())
    assert score.value is not None
    assert score.value < 90  # there are slots, and no reading to check them by
    await at.look(1, 3)
    assert await at.states() == {"data_quality gh-al": "firing"}
    figure = (await at.items())["data_quality"]
    assert Decimal(figure["value"]) == Decimal(round(score.value * 100)) / 10_000
    indices = {index: share for index, share in score.indices.items() if share is not None}
    assert indices[qualityrules.Index(figure["facts"]["index"])] == min(indices.values())


async def test_what_checks_of_meters_found_is_told_until_a_later_run_finds_it_no_more(
    pool: Pool,
) -> None:
    near = await world(pool, "meter_suspect")
    at = near.at

    async def keep(*found: Finding) -> None:
        report = Report("gh-al", to_us(START), to_us(TODAY), found, (), (), {})
        async with pool.connection() as link:
            await meterchecks.keep(link, report, at.now)

    frozen = Finding(Kind.FROZEN, METER, to_us(TODAY), named=METER, sure=0.97)
    past = Finding(Kind.DRIFT, METER, to_us(START), until_us=to_us(TODAY), named=METER)
    bounds = Finding(
        Kind.BOUNDS,
        UNIT,
        to_us(TODAY),
        detail={"indicator": "al.liquid.ac", "value": "9000", "unit": "kWh/t", "bound": "< 12000"},
    )
    await keep(past)
    assert await at.look(6, 2) == {}
    await keep(past, frozen)
    assert await at.look(6, 2) == {f"meter_suspect {METER}": "firing"}
    figure = (await at.items())["meter_suspect"]
    assert figure["facts"] == {"findings": ["frozen"]}
    assert figure["sentence"]["en"].startswith("Checks of meters found 1 fault")
    await keep(frozen, bounds)
    await at.look(6, 2)
    kinds = await at.rows("select subject_kind, subject, state from alert order by 1")
    assert kinds == [("point", METER, "firing"), ("unit", UNIT, "firing")]
    await keep()
    assert set((await at.look(6, 2)).values()) == {"resolved"}


async def test_a_platform_that_lacks_figures_for_a_day_is_told(pool: Pool) -> None:
    near = await world(pool, "report_behind")
    at = near.at
    await at.rows(
        "insert into report_figure (site, item, period, period_start, revision, value, unit,"
        " validity, input, made_at) select 'gh-al', 'x' || g, 'day', %s, 1, '1', 'kWh',"
        " 'measured', 'auto', %s from generate_series(1, 3) g",
        (START, at.now),
    )
    await at.rows(
        "insert into report_session (destination, site, state, since, next_at) values"
        " ('province', 'gh-al', 'ready', %s, %s), ('state', 'gh-al', 'ready', %s, %s)",
        (at.now,) * 4,
    )
    await at.rows(
        "insert into report_delivery (destination, figure, next_at) select 'province', figure, %s"
        " from report_figure",
        (at.now,),
    )
    assert await at.look(60, 23) == {}
    assert await at.look(61, 2) == {"report_behind gh-al": "firing"}
    figure = (await at.items())["report_behind"]
    assert figure["facts"] == {"destination": "province", "waiting": 3}
    await at.rows("update report_delivery set state = 'superseded', settled_at = now()")
    assert await at.look(2, 3) == {"report_behind gh-al": "resolved"}


async def test_a_channel_that_cannot_be_reached_is_told(pool: Pool, tmp_path: Path) -> None:
    channels = [channel(tmp_path, name="a"), channel(tmp_path, name="b")]
    near = await world(pool, "channel_unreachable", channels=channels)
    at = near.at
    for name in ("a", "gone"):
        await at.rows(
            "insert into delivery_circuit (channel, state, failures, failing_since, open_until,"
            " tried_at, detail) values (%s, 'open', 7, %s, %s, %s, 'refused')",
            (name, at.now, at.now, at.now),
        )
    assert await at.look(14) == {}
    assert await at.look(1, 2) == {"channel_unreachable a": "firing"}
    ((body,),) = await at.rows("select body from notification where channel = 'b'")
    told = json.loads(body)["alert"]
    assert told["subject"] == {"kind": "channel", "id": "a"}
    assert told["sentence"]["en"].endswith("(7 in a row): refused")
    assert (told["site"], told["jurisdiction"]) == (None, None)
    await at.rows(
        "update delivery_circuit set failures = 0, failing_since = null, state = 'closed',"
        " open_until = null"
    )
    assert await at.look(1, 2) == {"channel_unreachable a": "resolved"}
