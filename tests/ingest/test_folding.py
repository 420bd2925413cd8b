"""One cause is one alert, a silence has an end, and what hovers is one story: on a real store."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from core import plant as plants
from ingest.alerting import Alerting
from ingest.conditions import Watcher
from store import alertlists, alerts, cases, folds
from store import plants as declared
from store import silences as stored
from tests.ingest.alertworld import LAW, OCTOBER, UNIT, Desk, channel, month

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from core.plant import Plant
    from store.connection import Pool

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
TODAY = datetime(2026, 11, 20, 16, tzinfo=UTC)  # at noon of plant time it is NOW
SITE = "gh-al"
AGENTS = 5


def metered(points: int, agents: int = AGENTS) -> Plant:
    """Return a plant of so many meters, which so many gateways send."""
    text = [f'[site.{SITE}]\nname = {{ zh = "厂", en = "plant" }}\njurisdiction = "cn-qh"']
    text += [f"[site.{SITE}.agent.gw-{number}]" for number in range(agents)]
    text.append(
        f'[site.{SITE}.unit.potline-1]\nname = {{ zh = "一", en = "1" }}\nkind = "potline"\n'
        'product = "aluminium_liquid"\nindicators = ["al.liquid.ac"]'
    )
    text += [
        f'[site.{SITE}.unit.potline-1.point.m-{number}]\nkind = "counter"\n'
        'carrier = "electricity"\nunit = "kWh"'
        for number in range(points)
    ]
    return plants.parse("\n".join(text), "plant.toml")


@dataclass
class Uplink:
    """A plant behind one uplink, watched as the service does; `down` is what sends nothing.

    Agents and points are heard by the rows that ingest writes of them.
    """

    pool: Pool
    alerting: Alerting
    plant: Plant
    now: datetime = NOW
    down: set[str] = field(default_factory=set)
    ids: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.agents = [f"{SITE}.{agent}" for _, agent in sorted(self.plant.agents)]
        self.points = sorted(self.plant.points)
        self.watcher = Watcher(
            self.pool,
            lambda: (self.plant, self.ids),
            lambda: self.now,
            self.alerting,
            lambda: True,
        )

    async def declare(self) -> None:
        """Apply the plant; all of it was heard just now, meters in turn by one gateway each."""
        async with self.pool.connection() as connection:
            await declared.apply(connection, self.plant, NOW)
            self.ids = (await declared.load(connection)).ids
            for site, agent in self.plant.agents:
                await connection.execute(
                    "insert into agent_status (site, agent, state, at, epoch, depth, seen_at)"
                    " values (%s, %s, 'online', %s, 'e', 0, %s)",
                    (site, agent, NOW, NOW),
                )
            for number, point in enumerate(self.points):
                await connection.execute(
                    "insert into point_latest values (%s, %s, 1, 0, null)", (self.ids[point], NOW)
                )
                await connection.execute(
                    "insert into point_sender values (%s, %s, %s, %s)",
                    (self.ids[point], f"gw-{number % len(self.agents)}", NOW, NOW),
                )

    async def minutes(self, minutes: int, step: int = 5) -> None:
        """Let time pass, with a pass of the watcher and of the evaluator every so many minutes."""
        for _ in range(0, minutes, step):
            self.now += step * MINUTE
            await self._listen()
            await self.watcher.step()
            async with self.pool.connection() as connection:
                await self.alerting.tick(connection, self.plant, self.now)

    async def _listen(self) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(
                "update agent_status set seen_at = %s where site || '.' || agent = any(%s)",
                (self.now, [each for each in self.agents if each not in self.down]),
            )
            await connection.execute(
                "update point_latest set ts = %s where point_id = any(%s)",
                (self.now, [self.ids[each] for each in self.points if each not in self.down]),
            )

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query)).fetchall()

    async def told(self) -> list[tuple[str, str]]:
        """Return what was told of whom, in its order."""
        rows = await self.rows(
            "select n.kind, a.subject from notification n join alert a using (alert)"
            " order by n.number"
        )
        return [(kind, subject) for kind, subject in rows]

    async def states(self) -> Counter[tuple[str, str]]:
        rows = await self.rows("select subject_kind, state from alert")
        return Counter((kind, state) for kind, state in rows)


async def uplink(pool: Pool, folder: Path, points: int, agents: int = AGENTS) -> Uplink:
    world = Uplink(pool, Alerting([channel(folder)]), metered(points, agents))
    await world.declare()
    return world


@pytest.mark.slow
async def test_the_cut_uplink_of_a_500_meter_plant_is_one_alert_and_its_end_one_resolution(
    pool: Pool, tmp_path: Path
) -> None:
    world = await uplink(pool, tmp_path, 500)
    await world.minutes(10, step=10)
    world.down = {*world.agents, *world.points}  # the cable is cut
    await world.minutes(120, step=15)
    assert await world.told() == [("firing", SITE)]
    assert await world.states() == {
        ("site", "firing"): 1,
        ("agent", "firing"): AGENTS,
        ("point", "firing"): 500,
    }
    async with pool.connection() as connection:
        scope = alertlists.Scope(sorted(world.plant.units), [SITE])
        (shown,) = await alertlists.page(connection, scope, ["firing"], None, 1_000)
        everything = replace(scope, folded=True)
        assert len(await alertlists.page(connection, everything, ["firing"], None, 1_000)) == 506
    assert (shown.condition, shown.folded) == ("site_silent", 505)
    world.down = set()  # and mended
    await world.minutes(75, step=15)
    assert await world.told() == [("firing", SITE), ("resolved", SITE)]
    assert {state for _, state in await world.states()} == {"resolved"}
    assert await world.rows("select count(*) from alert_case") == [(1,)]
    # Nothing was dropped in silence: what was not told has a row that says why.
    kept_back = await world.rows(
        "select count(distinct alert), count(*) filter (where event = 'raised_kept'),"
        " count(*) filter (where event = 'ended' and told is null) from fold_step"
        " where alert not in (select alert from notification)"
    )
    assert kept_back == [(505, 505, 505)]


async def test_a_dead_gateway_among_five_is_one_alert(pool: Pool, tmp_path: Path) -> None:
    world = await uplink(pool, tmp_path, 20)
    gateway = world.agents[2]
    world.down = {gateway, *world.points[2::AGENTS]}
    await world.minutes(90)
    assert await world.told() == [("firing", gateway)]
    world.down = set()
    await world.minutes(60)
    assert await world.told() == [("firing", gateway), ("resolved", gateway)]


async def test_a_dead_meter_alone_is_told_once_its_gateway_had_its_chance(
    pool: Pool, tmp_path: Path
) -> None:
    world = await uplink(pool, tmp_path, 10)
    world.down = {world.points[3]}
    await world.minutes(45)
    assert await world.states() == {("point", "firing"): 1}
    assert await world.told() == []
    await world.minutes(10)
    assert await world.told() == [("firing", world.points[3])]
    told_after = await world.rows(
        "select created_at - (select raised_at from alert) from notification"
    )
    assert told_after == [(15 * MINUTE,)]


async def test_a_meter_that_stays_dead_after_its_gateway_is_back_is_told_for_itself(
    pool: Pool, tmp_path: Path
) -> None:
    world = await uplink(pool, tmp_path, 10, agents=1)
    world.down = {*world.agents, *world.points}
    await world.minutes(60)
    world.down = {world.points[3]}
    await world.minutes(30)
    assert await world.told() == [("firing", SITE), ("resolved", SITE)]
    await world.minutes(30)
    assert (await world.told())[2:] == [("firing", world.points[3])]
    ((body,),) = await world.rows("select body from notification order by number desc limit 1")
    held = json.loads(body)["held"]
    ((above,),) = await world.rows("select alert::text from alert where condition = 'site_silent'")
    assert (held["kind"], held["alert"]) == ("behind", above)


async def test_a_day_that_its_gateway_spoiled_is_told_once_the_backlog_had_time_to_come(
    pool: Pool, tmp_path: Path
) -> None:
    world = await uplink(pool, tmp_path, 4, agents=2)
    world.down = {world.agents[0], *world.points[::2]}
    await world.minutes(60)
    async with pool.connection() as connection:
        await connection.execute(
            "insert into result (unit, indicator, period, period_start, period_end, closed,"
            " version, figures, computed_at) values (%s, 'al.liquid.ac', 'day', %s, %s, true, 1,"
            " %s, %s)",
            (f"{SITE}.potline-1", TODAY - DAY, TODAY, '{"completeness": 0.4}', NOW),
        )
    await world.minutes(60)
    gateway = world.agents[0]
    assert await world.states() == {
        ("agent", "firing"): 1,
        ("point", "firing"): 2,
        ("unit", "firing"): 1,
    }
    assert await world.told() == [("firing", gateway)]
    world.down = set()
    await world.minutes(5 * 60, step=20)
    assert await world.told() == [("firing", gateway), ("resolved", gateway)]
    await world.minutes(2 * 60, step=20)
    assert (await world.told())[2:] == [("firing", f"{SITE}.potline-1")]


async def test_what_one_pass_has_no_room_for_is_looked_at_by_the_next_and_it_is_said(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await uplink(pool, tmp_path, 6, agents=2)
    world.down = set(world.points)
    await world.minutes(45)
    assert await world.states() == {("point", "firing"): 6}
    monkeypatch.setattr(folds, "MOST_WAITING", 4)
    world.now += 30 * MINUTE
    for told in (4, 6, 6):
        async with pool.connection() as connection:
            await world.alerting.tick(connection, world.plant, world.now)
        assert len(await world.told()) == told
    assert world.alerting.passes_cut == 1
    assert await world.rows("select bound, hits from bound_hit") == [("alerts-kept-back", 1)]


async def test_nothing_severe_hides_behind_a_mere_note(pool: Pool, tmp_path: Path) -> None:
    world = await uplink(pool, tmp_path, 3, agents=1)
    world.down = {*world.agents, *world.points}
    await world.minutes(6 * 24 * 60, step=240)
    rows = await world.rows(
        "select a.condition, a.severity from notification n join alert a using (alert)"
        " order by n.number"
    )
    assert rows == [("site_silent", 0), ("site_gap", 2)], "what lasts for days is told anew, once"


async def silence(pool: Pool, until: datetime, at: datetime, **more: Any) -> Any:
    """Declare a planned outage of the alerts' site, or what `more` says."""
    asked = {
        "kind": "planned_outage",
        "site": SITE,
        "unit": None,
        "alert": None,
        "from_at": at,
        "until_at": until,
        "reason": "the potline is relined",
        "document": "QH-2026-117",
        **more,
    }
    async with pool.connection() as connection:
        return await stored.add(connection, asked, "the engineer", "engineer", at)


async def shelve(at: Desk, hours: int) -> Any:
    (kept,) = await at.kept()
    shelved = {"kind": "shelved", "alert": kept.id, "document": None}
    return await silence(at.pool, at.now + timedelta(hours=hours), at.now, **shelved)


async def kinds(at: Desk) -> list[str]:
    return [kind for (kind,) in await at.rows("select kind from notification order by number")]


async def raised(pool: Pool, folder: Path) -> Desk:
    at = Desk(pool, Alerting([channel(folder)]))
    for _ in range(2):
        await at.see(month("exceeds"))
    return at


async def acknowledge(at: Desk) -> bool:
    (kept,) = await at.kept()
    async with at.pool.connection() as connection:
        return await alerts.acknowledge(connection, kept.id, "the operator", at.now)


async def test_what_is_raised_in_an_outage_is_told_at_its_end_if_it_still_holds(
    pool: Pool, tmp_path: Path
) -> None:
    at = Desk(pool, Alerting([channel(tmp_path)]))
    await silence(pool, at.now + 10 * MINUTE, at.now)
    for _ in range(10):
        await at.see(month("exceeds"))
        await at.wait()
    assert await kinds(at) == ["firing"]
    ((body, created),) = await at.rows("select body, created_at from notification")
    assert created >= NOW + 10 * MINUTE
    held = json.loads(body)["held"]
    assert (held["kind"], held["document"]) == ("planned_outage", "QH-2026-117")
    assert await at.rows("select count(*) from alert_case") == [(1,)]


async def test_what_is_owed_of_a_unit_that_is_not_declared_waits_and_holds_up_nothing(
    pool: Pool, tmp_path: Path
) -> None:
    at = Desk(pool, Alerting([channel(tmp_path)]))
    await silence(pool, at.now + 5 * MINUTE, at.now)
    for _ in range(6):
        await at.see(month("exceeds"))
    async with pool.connection() as connection:
        await at.alerting.tick(connection, plants.Plant(), at.now)
    assert await at.rows("select known from fold") == [("owed",)]
    await at.wait()
    assert await kinds(at) == ["firing"]


async def test_what_begins_and_ends_in_an_outage_is_told_to_nobody_and_kept(
    pool: Pool, tmp_path: Path
) -> None:
    at = Desk(pool, Alerting([channel(tmp_path)]))
    await silence(pool, at.now + 60 * MINUTE, at.now)
    for verdict in ("exceeds", "exceeds", *["within"] * 6):
        await at.see(month(verdict))
    assert await at.state() == "resolved"
    assert await kinds(at) == []
    steps = await at.rows("select event, cover from fold_step order by step")
    assert steps == [("raised_kept", "planned_outage"), ("ended", None)]


async def test_an_alert_that_is_still_raised_when_the_silence_ends_is_told_again(
    pool: Pool, tmp_path: Path
) -> None:
    at = await raised(pool, tmp_path)
    await shelve(at, 1)
    await at.wait()
    ((cover, by),) = await at.rows("select cover, cover_silence from fold")
    assert cover == "shelved"
    async with pool.connection() as connection:
        (kept,) = await at.kept()
        case = await cases.newest(connection, kept.id)
    assert kept.quiet is not None
    assert (kept.quiet["silence"], kept.quiet["by"]) == (str(by), "the engineer")
    assert case is not None
    assert case.case.state == "suppressed"
    at.now += timedelta(minutes=30)
    await at.see(month("exceeds"))
    assert await kinds(at) == ["firing"]
    at.now += timedelta(minutes=30)
    await at.wait()
    assert await kinds(at) == ["firing", "firing"]
    await at.wait()
    assert await kinds(at) == ["firing", "firing"]
    async with pool.connection() as connection:
        case = await cases.newest(connection, kept.id)
    assert case is not None
    assert case.case.state == "raised"


async def test_ending_a_silence_before_its_time_tells_it_then(pool: Pool, tmp_path: Path) -> None:
    at = await raised(pool, tmp_path)
    shelved = await shelve(at, 8)
    await at.wait()
    async with pool.connection() as connection:
        assert await stored.end(connection, shelved.id, "the operator", at.now)
        assert not await stored.end(connection, shelved.id, "somebody else", at.now)
    await at.wait()
    assert await kinds(at) == ["firing", "firing"]


async def test_whoever_heard_of_it_hears_that_it_is_over_though_it_is_shelved(
    pool: Pool, tmp_path: Path
) -> None:
    at = await raised(pool, tmp_path)
    await shelve(at, 8)
    for _ in range(6):
        await at.see(month("within"))
    assert await kinds(at) == ["firing", "resolved"]


async def test_a_finding_is_told_whatever_is_silenced(pool: Pool, tmp_path: Path) -> None:
    at = Desk(pool, Alerting([channel(tmp_path)]))
    await silence(pool, at.now + timedelta(days=30), at.now)
    for _ in range(3):
        await at.see(month("exceeds", LAW, OCTOBER))
    await shelve(at, 100)
    assert await kinds(at) == []
    await at.see(month("exceeds", LAW, OCTOBER, closed=True))
    assert await kinds(at) == ["firing"]


async def test_a_silence_of_another_unit_quiets_nothing(pool: Pool, tmp_path: Path) -> None:
    await silence(pool, NOW + timedelta(days=1), NOW, unit="gh-al.potline-1")
    at = await raised(pool, tmp_path)
    assert await kinds(at) == ["firing"]
    await silence(pool, NOW + timedelta(days=1), NOW, unit=UNIT)
    await at.wait()
    assert await at.rows("select known from fold") == [("stale",)]


async def test_a_furnace_that_hovers_at_its_limit_for_a_day_raises_one_case(
    pool: Pool, tmp_path: Path
) -> None:
    """Every tapping brings the month within its limit, every two hours lift it above again."""
    at = Desk(pool, Alerting([channel(tmp_path)]))
    begin, is_seen = at.now, False
    while at.now < begin + timedelta(days=1):
        minute = int((at.now - begin) / MINUTE) % 120
        verdict = "exceeds" if minute < 80 else "within" if minute >= 100 else "indeterminate"
        await at.see(month(verdict))
        if not is_seen and await kinds(at) == ["firing", "resolved", "firing"]:
            is_seen = await acknowledge(at)
        at.now += 4 * MINUTE
        if minute % 30 == 0:
            await at.wait()
    ((episodes,),) = await at.rows("select episode from alert")
    assert episodes >= 10, "it did come and go all day"
    (kept,) = await at.kept()
    assert kept.acknowledged_by == "the operator", "who took note of it need not do so each time"
    assert [each["channel"] for each in kept.deliveries] == ["regulator"]
    assert await at.rows("select count(*) from alert_case") == [(1,)]
    assert await kinds(at) == ["firing", "resolved", "firing"]
    for _ in range(3):
        await at.see(month("within"))
        at.now += timedelta(hours=12)
        await at.wait()
    assert await kinds(at) == ["firing", "resolved", "firing", "resolved"]
