"""Alerts on a real store: decided once, told to whom it concerns, both or neither."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from core.periods import Period
from ingest.alerting import Alerting
from tests.ingest.alertworld import (
    ADVANCED,
    LAW,
    NOVEMBER,
    OCTOBER,
    PLANT,
    TARGET,
    UNIT,
    Desk,
    channel,
    computed,
    month,
)

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool


def desk(pool: Pool, folder: Path, **more: Any) -> Desk:
    return Desk(pool, Alerting([channel(folder, **more)]))


async def raised(pool: Pool, folder: Path, **more: Any) -> Desk:
    at = desk(pool, folder, **more)
    assert [await at.see(month("exceeds")) for _ in range(2)] == ["pending", "firing"]
    return at


async def test_an_exceedance_that_lasts_is_raised_and_told_once(pool: Pool, tmp_path: Path) -> None:
    at = await raised(pool, tmp_path)
    for _ in range(5):
        assert await at.see(month("exceeds")) == "firing"
    ((body, state, kind),) = await at.rows("select body, state, kind from notification")
    assert (state, kind) == ("waiting", "firing")
    told = json.loads(body)
    assert told["type"] == "alert.firing"
    assert told["alert"]["state"] == "firing"
    assert told["alert"]["unit"] == UNIT
    assert told["alert"]["period_start"] == "2026-11-01T00:00:00+08:00"
    assert told["alert"]["stage"] == "early_warning"
    assert told["alert"]["unit_name"]["zh"] == "电解二系列"
    assert "deliveries" not in told["alert"]
    assert told["law"]["source"].startswith("seeds/")
    assert await at.rows("select from_state, to_state, notice from alert_transition") == [
        ("absent", "pending", None),
        ("pending", "firing", "firing"),
    ]


async def test_what_proves_nothing_writes_nothing(pool: Pool, tmp_path: Path) -> None:
    at = await raised(pool, tmp_path)
    before = await at.rows("select change from alert")
    for verdict in ("indeterminate", "incomplete", "not_applicable"):
        assert await at.see(month(verdict)) == "firing"
    assert await at.rows("select change from alert") == before


async def test_it_is_over_after_it_was_within_for_long_enough(pool: Pool, tmp_path: Path) -> None:
    at = await raised(pool, tmp_path)
    states = [await at.see(month("within")) for _ in range(6)]
    assert states == ["clearing"] * 5 + ["resolved"]
    kinds = await at.rows("select kind from notification order by number")
    assert kinds == [("firing",), ("resolved",)]


async def test_a_blip_is_told_to_nobody(pool: Pool, tmp_path: Path) -> None:
    at = desk(pool, tmp_path)
    await at.see(month("exceeds"))
    assert await at.see(month("within")) == "resolved"
    assert await at.rows("select count(*) from notification") == [(0,)]


@pytest.mark.parametrize(
    ("seen", "alerts"),
    [
        (computed(Period.DAY, {TARGET: "exceeds"}, NOVEMBER, closed=False), 0),
        (month("exceeds", ADVANCED), 0),
        (month("exceeds", LAW), 1),
        (computed(Period.YEAR, {TARGET: "exceeds", LAW: "exceeds"}, OCTOBER, closed=False), 2),
    ],
    ids=["a day", "a benchmark", "the law", "two limits of a year"],
)
async def test_the_rules_say_what_becomes_an_alert(
    pool: Pool, tmp_path: Path, seen: Any, alerts: int
) -> None:
    at = desk(pool, tmp_path)
    await at.see(seen)
    assert len(await at.kept()) == alerts


async def test_a_closed_month_counts_when_its_figures_are_new(pool: Pool, tmp_path: Path) -> None:
    at = desk(pool, tmp_path)
    old = computed(Period.MONTH, {LAW: "exceeds"}, OCTOBER, closed=True, changed=False)
    assert await at.see(old) == "absent"
    assert await at.see(month("exceeds", LAW, OCTOBER, closed=True)) == "pending"
    assert [await at.wait() for _ in range(2)] == ["firing", "firing"]
    (kept,) = await at.kept()
    assert (kept.alert.severity, kept.item("Asia/Shanghai")["stage"]) == (2, "finding")
    assert await at.rows("select kind from notification") == [("firing",)]


async def test_a_month_that_closes_above_the_law_is_told_as_a_finding(
    pool: Pool, tmp_path: Path
) -> None:
    at = desk(pool, tmp_path)
    for _ in range(2):
        await at.see(month("exceeds", LAW, OCTOBER))
    await at.see(month("exceeds", LAW, OCTOBER, closed=True), month("within", LAW))
    (kept,) = await at.kept()
    assert (kept.alert.state.value, kept.alert.severity) == ("firing", 2)
    kinds = await at.rows("select kind from notification order by number")
    assert kinds == [("firing",), ("finding",)]


async def test_a_new_month_continues_the_alert(pool: Pool, tmp_path: Path) -> None:
    at = desk(pool, tmp_path)
    for start in (OCTOBER, OCTOBER, NOVEMBER, NOVEMBER):
        await at.see(month("exceeds", start=start))
    (kept,) = await at.kept()
    assert kept.item("Asia/Shanghai")["period_start"] == "2026-10-01T00:00:00+08:00"
    assert kept.alert.last_start == NOVEMBER


async def test_each_channel_hears_what_concerns_it(pool: Pool, tmp_path: Path) -> None:
    channels = [
        channel(tmp_path, name="province", jurisdiction="cn-qh"),
        channel(tmp_path, name="neighbour", jurisdiction="cn-nx"),
        channel(tmp_path, name="grave", jurisdiction="cn", least_severity=2),
    ]
    at = Desk(pool, Alerting(channels))
    for _ in range(2):
        await at.see(month("exceeds", LAW, OCTOBER))
    assert await at.rows("select channel from notification") == [("province",)]
    await at.see(month("exceeds", LAW, OCTOBER, closed=True))
    found = await at.rows("select channel, kind from notification order by number")
    assert found == [("province", "firing"), ("province", "finding"), ("grave", "finding")]


async def test_a_new_episode_is_unacknowledged_and_undelivered(pool: Pool, tmp_path: Path) -> None:
    at = await raised(pool, tmp_path)
    async with pool.connection() as link:
        await link.execute(
            "update alert set acknowledged_at = now(), acknowledged_by = 'me', delivered_at = now()"
        )
    for _ in range(6):
        await at.see(month("within"))
    (over,) = await at.kept()
    assert over.acknowledged_by == "me"
    assert await at.see(month("exceeds")) == "pending"
    item = (await at.kept())[0].item("Asia/Shanghai")
    assert (item["raised_at"], item["acknowledged_by"], item["resolved_at"]) == (None, None, None)
    assert await at.see(month("exceeds")) == "firing"
    (again,) = await at.kept()
    assert (again.id, again.alert.episode) == (over.id, 2)
    assert (again.acknowledged_by, again.delivered_at) == (None, None)


class FailingError(Exception):
    """What the store does when the power goes."""


class Failing:
    """A connection whose n-th write fails; reads pass."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], nth: int) -> None:
        self._connection, self._left = connection, nth

    def cursor(self, **more: Any) -> Any:
        return self._connection.cursor(**more)

    async def execute(self, query: Any, parameters: Any = None) -> Any:
        text = query if isinstance(query, str) else query.as_string(self._connection)
        if text.startswith(("insert", "update")):
            self._left -= 1
            if self._left == 0:
                raise FailingError
        return await self._connection.execute(query, parameters)


async def test_state_and_notification_are_there_together_whichever_write_fails(
    pool: Pool, tmp_path: Path
) -> None:
    at = desk(pool, tmp_path)
    await at.see(month("exceeds"))
    before = await at.rows("select * from alert")
    for nth in range(1, 30):
        try:
            async with pool.connection() as link:
                failing: Any = Failing(link, nth)
                await at.judge(failing, month("exceeds"))
        except FailingError:
            assert await at.rows("select * from alert") == before
            assert await at.rows("select count(*) from notification") == [(0,)]
            assert await at.rows("select count(*) from alert_transition") == [(1,)]
            for table in ("fold", "fold_step", "alert_case", "case_transition"):
                query = f"select count(*) from {table}"  # noqa: S608 - a constant's
                assert await at.rows(query) == [(0,)]
        else:
            break
    assert nth > 7  # state, fold, case, each with its history, notification
    assert await at.state() == "firing"
    assert await at.rows("select count(*) from notification") == [(1,)]


async def test_state_and_notification_are_gone_together_when_the_backend_is_killed(
    pool: Pool, tmp_path: Path
) -> None:
    at = desk(pool, tmp_path)
    await at.see(month("exceeds"))

    async def judge_and_be_killed() -> None:
        async with pool.connection() as link:
            await at.judge(link, month("exceeds"))
            async with pool.connection() as other:
                await other.execute("select pg_terminate_backend(%s)", (link.info.backend_pid,))
            await link.execute("select 1")

    with pytest.raises(psycopg.OperationalError):
        await judge_and_be_killed()
    assert await at.state() == "pending"
    assert await at.rows("select count(*) from notification") == [(0,)]
    assert await at.see(month("exceeds")) == "firing"
    assert await at.rows("select count(*) from notification") == [(1,)]


@pytest.mark.parametrize("table", ["alert_transition", "delivery_attempt"])
@pytest.mark.parametrize("statement", ["delete from {}", "update {} set at = now()", "truncate {}"])
async def test_history_is_append_only(pool: Pool, table: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        async with pool.connection() as link:
            await link.execute(statement.format(table).encode())


async def test_a_unit_that_is_declared_no_more_is_left_as_it_was(
    pool: Pool, tmp_path: Path
) -> None:
    at = desk(pool, tmp_path)
    await at.see(month("exceeds", LAW, OCTOBER, closed=True))
    async with pool.connection() as link:
        await at.alerting.tick(link, type(PLANT)(), at.now)
    assert await at.state() == "pending"
