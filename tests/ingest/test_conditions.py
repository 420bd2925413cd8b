"""Data conditions on a real store: what is told, what is not, and that it is over when it is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from core import conditionfile
from ingest import conditions
from store import watched
from tests.ingest.alertworld import channel
from tests.ingest.watchworld import (
    DEMAND,
    FOREIGN,
    GW_1,
    GW_2,
    METER,
    MINUTE,
    SLOW,
    TEXT,
    Lookout,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from core.conditions import Condition
    from store.connection import Pool

SITE = 'name = { zh = "示例铝厂"'


def only(*names: str) -> Mapping[str, Condition]:
    """Return some of the shipped conditions."""
    return {name: conditionfile.catalogue()[name] for name in names}


async def lookout(pool: Pool, *names: str, **more: Any) -> Lookout:
    """Return a lookout that has listened for an hour in which both agents were heard."""
    at = Lookout(pool, conditions=only(*names) if names else None, **more)
    await at.declare()
    await at.look()
    at.now += 60 * MINUTE
    await at.hear(GW_1, GW_2, FOREIGN)
    return at


async def test_an_agent_is_missed_after_half_an_hour_and_told_until_it_is_back(
    pool: Pool, tmp_path: Path
) -> None:
    at = await lookout(pool, "agent_silent", channels=[channel(tmp_path)])
    for _ in range(14):  # half an hour, in which the second one goes on
        await at.hear(GW_2, FOREIGN)
        assert await at.look(2) == {}
    states: list[tuple[str, str]] = []
    for _ in range(3):
        await at.hear(GW_2, FOREIGN)
        states += (await at.look(2)).items()
    missed = f"agent_silent {GW_1}"
    assert states == [(missed, "pending"), (missed, "firing"), (missed, "firing")]
    figure = (await at.items())["agent_silent"]
    assert figure["sentence"]["en"].startswith(f"The agent {GW_1} has not been heard for 3")
    assert figure["sentence"]["zh"].startswith(f"采集网关 {GW_1} 已 3")
    assert (figure["raise_at"], figure["clear_at"], figure["value_unit"]) == ("1800", "600", "s")
    await at.hear(GW_1, GW_2, FOREIGN)
    assert [(await at.look())[f"agent_silent {GW_1}"] for _ in range(2)] == ["clearing", "resolved"]
    over = (await at.items())["agent_silent"]
    assert over["sentence"] == figure["sentence"]  # it tells what is over
    assert int(over["value"]) < 600


async def test_an_agent_that_comes_and_goes_within_half_an_hour_is_not_missed(pool: Pool) -> None:
    at = await lookout(pool, "agent_silent", "site_silent")
    for _ in range(6):
        assert await at.look(29) == {}
        await at.hear(GW_1, GW_2, FOREIGN)


async def test_who_was_silent_before_we_listened_is_missed_once_we_have(pool: Pool) -> None:
    at = await lookout(pool, "agent_silent")
    at.now += timedelta(days=1)  # our own night
    at.restart()
    assert await at.look(1, 29) == {}
    await at.hear(GW_2, FOREIGN)
    found = await at.look(1, 6)
    assert found == {f"agent_silent {GW_1}": "firing"}
    assert (await at.items())["agent_silent"]["sentence"]["en"].startswith(
        f"The agent {GW_1} has not been heard for 25 hours"
    )


async def test_while_the_broker_is_out_nobody_is_silent_and_nobody_is_back(pool: Pool) -> None:
    at = await lookout(pool, "agent_silent", "site_silent", "point_silent")
    for point in (METER, DEMAND):
        await at.read(point)
    at.hears = False
    assert await at.look(30, 6) == {}
    at.hears = True
    assert await at.look(1, 29) == {}  # listening again, and not for long
    firing = await at.look(1, 12)
    assert set(firing.values()) == {"firing"}
    at.hears = False
    assert await at.look(30, 6) == firing


async def test_a_status_that_the_broker_only_repeats_is_no_sign_of_life(pool: Pool) -> None:
    at = await lookout(pool, "agent_silent")
    said = at.now
    for _ in range(20):
        await at.hear(GW_1, at=said)  # retained: sent again to whoever connects
        await at.hear(GW_2, FOREIGN)
        await at.look(2)
    assert await at.states() == {f"agent_silent {GW_1}": "firing"}


async def test_an_envelope_is_a_sign_of_life_without_any_status(pool: Pool) -> None:
    at = await lookout(pool, "agent_silent")
    for committed in range(1, 30):
        await at.progress(GW_1, committed=committed)
        await at.hear(GW_2, FOREIGN)
        assert await at.look(2) == {}


async def test_who_was_never_heard_is_unknown_not_silent(pool: Pool) -> None:
    at = Lookout(pool)
    await at.declare()
    assert await at.look(30, 12) == {}


async def test_a_cut_uplink_is_told_before_what_stands_behind_it(pool: Pool) -> None:
    at = await lookout(pool, "site_silent", "agent_silent", "point_silent")
    for point in (METER, DEMAND):
        await at.read(point)
    await at.look(25)
    at.hears = True
    raised: list[str] = []
    for _ in range(30):
        await at.hear(FOREIGN)
        states = await at.look()
        raised += [key for key, state in states.items() if state == "firing" and key not in raised]
    assert raised == [
        "site_silent gh-al",
        f"agent_silent {GW_1}",
        f"agent_silent {GW_2}",
        f"point_silent {METER}",
    ]
    figure = (await at.items())["site_silent"]
    assert figure["sentence"]["en"].startswith("None of the 2 agents of Demo Aluminium has been")
    assert figure["facts"]["agents"] == 2


async def test_a_point_is_silent_by_its_own_measure(pool: Pool) -> None:
    at = await lookout(pool, "point_silent", "data_gap")
    for point in (METER, SLOW, DEMAND):
        await at.read(point)
    await at.look(1)
    await at.look(33, 2)  # 67 minutes
    assert await at.look(6, 2) == {f"point_silent {METER}": "firing"}
    # An hour's interval covers the hour: it is missed half an hour later.
    assert f"point_silent {DEMAND}" not in await at.look(2)
    assert (await at.look(15, 3))[f"point_silent {DEMAND}"] == "firing"
    # What may be quiet for a day is not missed before.
    assert f"point_silent {SLOW}" not in await at.look(60, 20)
    assert (await at.look(60, 4))[f"point_silent {SLOW}"] == "firing"
    await at.read(METER)
    assert (await at.look(1, 2))[f"point_silent {METER}"] == "resolved"
    # Three working days later it is a matter of its own.
    assert (await at.look(60 * 24, 6))[f"data_gap {METER}"] == "firing"
    severities = dict(await at.rows("select condition, max(severity) from alert group by 1"))
    assert severities == {"point_silent": 0, "data_gap": 2}


async def test_a_point_that_is_being_caught_up_with_is_not_silent(pool: Pool) -> None:
    at = await lookout(pool, "point_silent")
    behind = timedelta(hours=9)
    await at.read(METER, at.now - behind)
    await at.look()
    for _ in range(60):  # a backlog, ten times as fast as it grew
        behind -= 9 * MINUTE
        at.now += MINUTE
        await at.read(METER, at.now - behind)
        assert await at.look(0) == {}
    assert await at.look(1) == {}


async def test_a_clock_that_is_off_is_told_and_of_a_silent_agent_it_is_not_known(
    pool: Pool,
) -> None:
    at = await lookout(pool, "agent_clock")

    async def run(offset_ms: float, minutes: int) -> dict[str, str]:
        for _ in range(minutes):
            await at.hear(GW_1, clock_offset_ms=offset_ms)
            await at.look()
        return await at.states()

    assert await run(59_000, 15) == {}
    assert await run(-61_000, 5) == {f"agent_clock {GW_1}": "pending"}
    assert await at.look(60, 5) == {f"agent_clock {GW_1}": "pending"}  # it is silent itself
    assert await run(0, 1) == {f"agent_clock {GW_1}": "resolved"}
    assert await run(-61_000, 10) == {f"agent_clock {GW_1}": "pending"}
    assert await run(-61_000, 1) == {f"agent_clock {GW_1}": "firing"}
    assert await run(45_000, 20) == {f"agent_clock {GW_1}": "firing"}  # proves nothing
    assert await at.look(60, 5) == {f"agent_clock {GW_1}": "firing"}
    assert await run(29_000, 11) == {f"agent_clock {GW_1}": "resolved"}


async def test_an_outbox_that_fills_while_its_agent_is_there_is_told(pool: Pool) -> None:
    at = await lookout(pool, "agent_outbox")
    oldest = at.now

    async def run(minutes: int, **status: Any) -> dict[str, str]:
        for _ in range(minutes):
            await at.hear(GW_1, **status)
            await at.look()
        return await at.states()

    assert await run(59, depth=9, oldest_at=oldest) == {}
    assert (await run(7, depth=400, oldest_at=oldest)) == {f"agent_outbox {GW_1}": "firing"}
    figure = (await at.items())["agent_outbox"]
    assert figure["facts"]["depth"] == 400
    assert "400 wait" in figure["sentence"]["en"]
    assert await run(7) == {f"agent_outbox {GW_1}": "resolved"}


async def test_lost_and_put_aside_envelopes_are_told_when_they_become_more(pool: Pool) -> None:
    at = await lookout(pool, "agent_losing", "agent_aside")
    await at.progress(GW_1, committed=9, lost=((1, 4),))
    assert await at.look(1, 3) == {}  # before we looked: no news
    await at.progress(GW_1, committed=20, lost=((1, 4), (12, 13)))
    await at.hear(GW_2, troubles={"set_aside": 3, "withheld": 8})
    assert await at.look(1, 2) == {
        f"agent_aside {GW_2}": "firing",
        f"agent_losing {GW_1}": "firing",
    }
    items = await at.items()
    assert (items["agent_losing"]["value"], items["agent_losing"]["facts"]) == ("2", {"in_all": 6})
    assert items["agent_aside"]["value"] == "3"
    # A new epoch counts anew, and so does a program that begins anew.
    await at.progress(GW_1, epoch="e2", committed=5, lost=((2, 2),))
    await at.look()
    grown = await at.rows("select counted, grown from watched_count where subject = %s", (GW_1,))
    assert sorted(grown) == [(0, 0), (1, 3)]
    assert set((await at.look(60 * 11, 2)).values()) == {"firing"}
    assert set((await at.look(60, 4)).values()) == {"resolved"}  # quiet for a day
    await at.hear(GW_2, troubles={"set_aside": 4})
    assert (await at.look(1, 2))[f"agent_aside {GW_2}"] == "firing"
    assert (await at.items())["agent_aside"]["value"] == "1"


async def test_a_failing_disk_and_a_clock_that_cannot_be_trusted_are_told(pool: Pool) -> None:
    at = await lookout(pool, "agent_disk", "agent_withholds")

    async def run(minutes: int, **troubles: int) -> dict[str, str]:
        for _ in range(minutes):
            await at.hear(GW_1, troubles=troubles)
            await at.look()
        return await at.states()

    assert await run(2, corrupt_files=3, damaged=1) == {}  # before we looked: no news
    assert await run(2, corrupt_files=4, damaged=1) == {f"agent_disk {GW_1}": "firing"}
    figure = (await at.items())["agent_disk"]
    assert (figure["value"], figure["facts"]) == ("1", {"corrupt_files": 4, "damaged": 1})
    assert (await at.look(60, 26))[f"agent_disk {GW_1}"] == "resolved"
    assert (await run(2, in_memory=1))[f"agent_disk {GW_1}"] == "firing"
    assert (await run(3))[f"agent_disk {GW_1}"] == "resolved"
    assert f"agent_withholds {GW_1}" in await run(10, withheld=40)
    assert (await run(2, withheld=80))[f"agent_withholds {GW_1}"] == "firing"
    # Once it is silent itself nobody knows.
    assert (await at.look(60, 3))[f"agent_withholds {GW_1}"] == "firing"
    assert (await run(3))[f"agent_withholds {GW_1}"] == "resolved"


async def test_a_hole_that_does_not_close_for_a_day_is_told(pool: Pool) -> None:
    at = await lookout(pool, "agent_holes")
    await at.progress(GW_1, committed=9, missing=((3, 4),))
    for _ in range(49):
        await at.hear(GW_1)
        assert await at.look(29) == {}
    await at.hear(GW_1)
    assert await at.look(29, 2) == {f"agent_holes {GW_1}": "pending"}
    await at.hear(GW_1)
    assert await at.look() == {f"agent_holes {GW_1}": "firing"}
    assert "2 envelopes" in (await at.items())["agent_holes"]["sentence"]["en"]
    await at.progress(GW_1, committed=9)
    assert await at.look(2, 2) == {f"agent_holes {GW_1}": "resolved"}


async def letters(at: Lookout, count: int, site: str = "gh-al", reason: str = "conflict") -> None:
    await at.rows(
        "insert into dead_letter (recorded_at, reason, topic, site, agent, detail, payload,"
        " payload_bytes, digest) select %s, %s, 't', %s, 'gw-01', 'why', 'x', 1,"
        " sha256((%s || g)::bytea) from generate_series(1, %s) g",
        (at.now, reason, site, f"{at.now} {reason} {site}", count),
    )


async def test_dead_letters_that_grow_are_told_with_their_reason(pool: Pool) -> None:
    at = await lookout(pool, "dead_letters")
    await letters(at, 60, reason="conflict")
    await letters(at, 30, reason="future")
    await letters(at, 300, site="nowhere")
    assert await at.look(1, 3) == {}
    await letters(at, 15, reason="future")
    assert await at.look(1, 2) == {"dead_letters gh-al": "firing"}
    figure = (await at.items())["dead_letters"]
    assert (figure["value"], figure["facts"]) == ("105", {"reason": "conflict"})
    assert (await at.look(31, 3))["dead_letters gh-al"] == "resolved"


async def test_a_meter_is_told_when_its_verification_has_ended(pool: Pool) -> None:
    at = await lookout(pool, "meter_verification")
    assert await at.look(60 * 24, 8) == {}  # the 29th; it holds until the end of the 30th
    at.now += timedelta(hours=30)
    assert await at.look(15, 2) == {}
    at.now += timedelta(hours=24)  # in China it is the 1st
    assert await at.look(15, 2) == {f"meter_verification {METER}": "firing"}
    said = (await at.items())["meter_verification"]["sentence"]["en"]
    assert said.startswith("The verification of the point Potline 1 ac-import ended on 2026-11-30")
    await at.declare(TEXT.replace("2026-11-30", "2027-11-30"))
    assert await at.look(15, 2) == {f"meter_verification {METER}": "resolved"}


async def test_what_is_declared_no_more_is_over_and_with_its_unit_it_is_left(pool: Pool) -> None:
    at = await lookout(pool, "agent_silent", "meter_verification")
    at.now += timedelta(days=20)
    await at.look(31, 4)
    assert set((await at.states()).values()) == {"firing"}
    await at.declare(TEXT.replace("[site.gh-al.agent.gw-02]\n", ""))
    found = await at.look(15, 3)
    assert found[f"agent_silent {GW_2}"] == "resolved"
    assert found[f"meter_verification {METER}"] == "firing"
    at.plant = type(at.plant)()
    assert await at.look(15, 3) == found


async def test_a_bound_that_was_hit_is_told_to_whom_the_whole_store_is_open(
    pool: Pool, tmp_path: Path
) -> None:
    channels = [
        channel(tmp_path, name="country", jurisdiction="cn"),
        channel(tmp_path, name="province", jurisdiction="cn-qh"),
    ]
    at = await lookout(pool, "bound_hit", channels=channels)

    async def hit(hits: int) -> None:
        async with pool.connection() as connection:
            await watched.hit(connection, bound="live-streams", hits=hits, detail="full", at=at.now)

    assert await at.look(5, 2) == {}
    await hit(5)
    await at.look(5)
    await hit(2)
    assert await at.look(5) == {"bound_hit live-streams": "firing"}
    figure = (await at.items())["bound_hit"]
    assert (figure["value"], figure["facts"]) == ("7", {"in_all": 7})
    assert await at.told() == [("country", "alert.firing", "bound_hit")]
    assert await at.look(31, 4) == {"bound_hit live-streams": "resolved"}


async def test_what_was_given_up_counts_as_a_bound_and_its_deletion_does_not(
    pool: Pool, tmp_path: Path
) -> None:
    both = [channel(tmp_path, name="a"), channel(tmp_path, name="b")]
    at = await lookout(pool, "bound_hit", "dead_letters", channels=both)
    await letters(at, 200)
    await at.look(5, 2)
    assert len(await at.told()) == 2
    await at.rows("update notification set state = 'abandoned'")
    assert (await at.look(5, 2))["bound_hit notification-attempts"] == "firing"
    figure = dict(await at.rows("select condition, figure from alert where kind = 'condition'"))
    assert figure["bound_hit"]["value"] == "2"
    await at.rows("update notification set state = 'waiting' where channel = 'a'")
    assert (await at.look(31, 4))["bound_hit notification-attempts"] == "resolved"


async def test_a_pass_is_bounded_and_the_next_one_takes_the_rest(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = "".join(
        f'[site.gh-al.unit.potline-1.point.m{i}]\nkind = "counter"\ncarrier = "electricity"\n'
        'unit = "kWh"\n'
        for i in range(10)
    )
    at = Lookout(pool, conditions=only("point_silent"))
    await at.declare(TEXT.replace("[site.nx-fa]", points + "[site.nx-fa]"))
    await at.look()
    for i in range(10):
        await at.read(f"gh-al.potline-1.m{i}")
    monkeypatch.setattr(conditions, "MOST_STEPS", 4)
    counts = [len(await at.look(31))]
    counts += [len(await at.look()) for _ in range(3)]
    assert counts == [4, 8, 10, 10]
    assert at.watcher.counters.left == 6 + 2
    assert set((await at.look(6, 3)).values()) == {"firing"}


async def test_of_several_workers_one_judges(pool: Pool) -> None:
    at = await lookout(pool, "agent_silent")
    await at.look(31)
    async with pool.connection() as other:
        assert await watched.alone(other)
        assert await at.look(1, 5) == {f"agent_silent {GW_1}": "pending"} | {
            f"agent_silent {each}": "pending" for each in (GW_2, FOREIGN)
        }
    assert set((await at.look()).values()) == {"firing"}


async def test_a_look_that_fails_changes_nothing_and_blinds_no_other(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    at = await lookout(pool, "agent_silent", "agent_holes", "dead_letters")
    await at.look(31)
    await letters(at, 200)
    before = await at.rows("select * from alert where condition = 'agent_silent' order by 1")
    await at.rows("alter table agent_epoch rename to gone")
    assert (await at.look(5, 2))["dead_letters gh-al"] == "firing"
    assert at.watcher.counters.failed == 2 * 2
    assert "agent_silence could not be looked at" in caplog.text
    await at.rows("alter table gone rename to agent_epoch")
    after = await at.rows("select * from alert where condition = 'agent_silent' order by 1")
    assert after == before
    assert set((await at.look()).values()) == {"firing"}


async def test_a_store_that_is_out_ends_the_pass_and_the_next_one_goes_on(pool: Pool) -> None:
    at = await lookout(pool, "agent_silent")
    await at.look(31)
    await at.rows(
        "create function shut() returns void language plpgsql as $$ begin raise"
        " sqlstate '57P01'; end $$"
    )
    await at.rows("alter table agent_status rename to gone")
    await at.rows("create view agent_status as select g.* from gone g, lateral shut()")
    with pytest.raises(psycopg.OperationalError):
        await at.look(5)
    await at.rows("drop view agent_status")
    await at.rows("alter table gone rename to agent_status")
    assert set((await at.look()).values()) == {"firing"}


BOOM = """
create sequence boom;
create function boom() returns trigger language plpgsql as $$
begin
    if nextval('boom') = {nth} then raise sqlstate '57P01'; end if;
    return new;
end $$;
create trigger boom before insert on {table} for each row execute function boom();
"""


@pytest.mark.parametrize("table", ["alert", "alert_transition", "notification"])
@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_whichever_write_fails_each_silent_site_is_told_once(
    pool: Pool, tmp_path: Path, table: str, nth: int
) -> None:
    at = await lookout(pool, "site_silent", channels=[channel(tmp_path)])
    await at.rows(BOOM.format(table=table, nth=nth))
    failed = 0
    for _ in range(40):
        try:
            await at.look()
        except psycopg.errors.AdminShutdown:
            failed += 1
    assert failed == (nth <= (6 if table == "alert" else 4 if table == "alert_transition" else 2))
    assert set((await at.states()).values()) == {"firing"}
    assert len(await at.states()) == 2
    assert await at.told() == [("regulator", "alert.firing", "site_silent")] * 2
    steps = await at.rows(
        "select to_state, notice, count(*) from alert_transition group by 1, 2 order by 1"
    )
    assert steps == [("firing", "firing", 2), ("pending", None, 2)]
