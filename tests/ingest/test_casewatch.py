"""Cases behind real alerts: opened when told, escalated when nobody acts, or withdrawn."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from core.cases import Event, Side, State
from ingest.alerting import Alerting
from ingest.casewatch import CaseWatch
from store import cases, notifications
from store.cases import Deed
from store.notifications import Attempt
from tests.ingest.alertworld import LAW, NOVEMBER, OCTOBER, PLANT, Desk, channel, month

if TYPE_CHECKING:
    from pathlib import Path

    from store.cases import KeptCase
    from store.connection import Pool

MONDAY = datetime(2026, 11, 23, 2, tzinfo=UTC)  # ten in the morning in the plant
SEPTEMBER = datetime(2026, 8, 31, 16, tzinfo=UTC)
DAY = timedelta(days=1)


class Office(Desk):
    """A desk whose cases are watched by the same channels."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self.channels = [channel(folder), channel(folder, name="province", least_severity=3)]
        super().__init__(pool, Alerting(self.channels), MONDAY)
        self.watch = CaseWatch(pool, self.channels, lambda: (PLANT, {}), lambda: self.now)

    async def found(self, start: datetime = OCTOBER, verdict: str = "exceeds") -> None:
        """Let a closed month be found so, and the waiting be over."""
        await self.see(month(verdict, LAW, start, closed=True))
        for _ in range(7):
            await self.wait()

    async def case(self) -> KeptCase:
        (kept,) = await self.kept()
        async with self.pool.connection() as connection:
            found = await cases.newest(connection, kept.id)
        assert found is not None
        return found

    async def do(self, event: Event, side: Side = Side.PLANT, **more: Any) -> None:
        async with self.pool.connection() as connection:
            locked = await cases.lock(connection, (await self.case()).id)
            assert locked is not None
            deed = Deed(event, side, "ann", "engineer", {"text": "words"}, **more)
            assert await cases.write(connection, locked[0], deed, self.now) is not None

    async def told(self) -> list[tuple[str, str]]:
        return await self.rows("select channel, kind from notification order by number")


@pytest.fixture
def office(pool: Pool, tmp_path: Path) -> Office:
    return Office(pool, tmp_path)


async def test_an_alert_that_is_told_opens_a_case_and_one_that_is_not_does_not(
    office: Office,
) -> None:
    await office.see(month("exceeds", LAW, OCTOBER, closed=True))
    assert await office.rows("select count(*) from alert_case") == [(0,)]
    for _ in range(3):
        await office.wait()
    case = await office.case()
    assert (case.case.state, case.case.severity, case.site) == (State.RAISED, 2, "gh-al")
    ((body,),) = await office.rows("select body from notification")
    assert json.loads(body)["case"] == str(case.id)
    assert case.clock is not None
    assert case.clock.due_at == datetime(2026, 11, 24, 16, tzinfo=UTC)


async def test_a_receipt_moves_the_case_and_a_failed_attempt_does_not(office: Office) -> None:
    await office.found()
    for receipt, state in ((None, State.RAISED), ("r-1", State.DELIVERED)):
        ((identity,),) = await office.rows("select notification from notification")
        attempt = Attempt(office.now, 5, 200, receipt, "answered")
        async with office.pool.connection() as connection:
            await notifications.settle(connection, identity, attempt, office.now)
        assert (await office.case()).case.state is state


async def test_nobody_acts_so_it_escalates_once_and_whoever_hears_of_graver_ones_hears_it(
    office: Office,
) -> None:
    await office.found()
    assert await office.told() == [("regulator", "firing")]
    office.now = datetime(2026, 11, 24, 15, 59, tzinfo=UTC)
    assert await office.watch.step() == 0
    office.now = datetime(2026, 11, 24, 16, tzinfo=UTC)
    assert [await office.watch.step() for _ in range(3)] == [1, 0, 0]
    case = await office.case()
    assert (case.case.state, case.case.severity) == (State.ESCALATED, 3)
    assert case.clock is not None
    assert case.clock.due_at is None
    assert await office.told() == [
        ("regulator", "firing"),
        ("regulator", "escalated"),
        ("province", "escalated"),
    ]
    ((body,),) = await office.rows(
        "select body from notification where kind = 'escalated' and channel = 'province'"
    )
    said = json.loads(body)
    assert said["type"] == "alert.escalated"
    assert said["case"] == str(case.id)
    assert said["alert"]["severity"] == 3
    assert said["clock"] == {
        "step": "acknowledge",
        "side": "plant",
        "due_at": "2026-11-24T16:00:00Z",
        "working_days": 1,
        "calendar_known": True,
    }
    assert said["escalation"]["reason"] == "overdue"
    notices = await office.rows("select notice from alert_transition order by transition_id")
    assert notices[-1] == ("escalated",)
    assert (office.watch.escalated, office.watch.notifications) == (1, 2)


async def test_who_acts_in_time_is_not_escalated(office: Office) -> None:
    await office.found()
    await office.do(Event.ACKNOWLEDGE)
    office.now += 3 * DAY
    assert await office.watch.step() == 0
    await office.do(Event.EXPLAIN)
    office.now += 8 * DAY
    assert await office.watch.step() == 0
    assert await office.told() == [("regulator", "firing")]


async def test_a_regulator_that_does_not_answer_is_reminded_once_and_nothing_else_happens(
    office: Office,
) -> None:
    await office.found()
    await office.do(Event.EXPLAIN)
    office.now += 20 * DAY
    assert [await office.watch.step() for _ in range(2)] == [1, 0]
    case = await office.case()
    assert (case.case.state, case.case.severity) == (State.EXPLAINED, 2)
    assert await office.told() == [("regulator", "firing"), ("regulator", "overdue")]
    assert office.watch.overdue == 1


async def test_an_overdue_plan_is_formal(office: Office) -> None:
    await office.found()
    await office.do(Event.EXPLAIN)
    await office.do(Event.PLAN, plan_due=office.now.date() + 30 * DAY)
    office.now += 32 * DAY
    assert await office.watch.step() == 1
    case = await office.case()
    assert (case.case.state, case.case.severity) == (State.ESCALATED, 4)


async def test_a_failure_at_any_write_leaves_the_case_as_it_was(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fail the n-th write of the deciding transaction, for every n until it passes untouched."""
    await office.found()
    before = await office.case()
    office.now += 4 * DAY
    execute = psycopg.AsyncConnection.execute
    done = writes = 0
    for fails_at in itertools.count(1):
        writes = 0

        async def failing(
            self: Any, query: Any, *given: Any, fails_at: int = fails_at, **more: Any
        ) -> Any:
            nonlocal writes
            writes += bool(re.search("insert into|update ", str(query)))
            if writes == fails_at:
                raise psycopg.OperationalError("the server went away")
            return await execute(self, query, *given, **more)

        monkeypatch.setattr(psycopg.AsyncConnection, "execute", failing)
        try:
            done = await office.watch.step()
        except psycopg.OperationalError:
            monkeypatch.undo()
            assert await office.case() == before
            assert await office.told() == [("regulator", "firing")]
            continue
        monkeypatch.undo()
        break
    assert (done, writes + 1) == (1, fails_at)
    assert fails_at > 5
    assert (await office.case()).case.state is State.ESCALATED
    assert len(await office.told()) == 3


async def test_late_data_withdraws_the_case_and_whoever_was_told_is_told(office: Office) -> None:
    await office.found()
    await office.do(Event.EXPLAIN)
    case = await office.case()
    await office.found(OCTOBER, "within")
    after = await office.case()
    assert (after.id, after.case.state) == (case.id, State.WITHDRAWN)
    kinds = [kind for _, kind in await office.told()]
    assert kinds[:2] == ["firing", "withdrawn"]
    assert "firing" not in kinds[2:]
    assert await office.rows("select notice from alert_transition where notice = 'withdrawn'")
    ((body,),) = await office.rows("select body from notification where kind = 'withdrawn'")
    said = json.loads(body)
    assert said["case"] == str(case.id)
    assert said["reason"]["en"].startswith("Late data showed that the period from 2026-10-01")
    late = await office.rows("select detail from case_transition where event = 'withdraw'")
    assert late == [({"period_start": OCTOBER.isoformat()},)]


async def test_a_case_that_was_closed_by_both_is_withdrawn_too(office: Office) -> None:
    await office.found()
    await office.do(Event.EXPLAIN)
    await office.do(Event.CLOSE)
    await office.do(Event.CLOSE, Side.REGULATOR)
    await office.found(NOVEMBER, "within")  # a later month ends the alert itself
    assert await office.state() == "resolved"
    assert (await office.case()).case.state is State.CLOSED
    await office.found(OCTOBER, "within")
    assert (await office.case()).case.state is State.WITHDRAWN
    assert [kind for _, kind in await office.told()][-1] == "withdrawn"


async def test_what_still_exceeds_by_another_month_is_told_anew(office: Office) -> None:
    await office.found()
    first = await office.case()
    await office.see(month("exceeds", LAW, NOVEMBER))  # the month that runs
    await office.found(OCTOBER, "within")
    second = await office.case()
    assert await office.state() == "firing"
    assert (second.number, second.case.state) == (2, State.RAISED)
    assert second.id != first.id
    assert [kind for _, kind in await office.told()] == ["firing", "withdrawn", "firing"]


async def test_one_refuted_month_of_two_withdraws_nothing(office: Office) -> None:
    await office.found(SEPTEMBER)
    await office.found(OCTOBER)
    await office.found(OCTOBER, "within")
    assert (await office.case()).case.state is State.RAISED
    await office.found(SEPTEMBER, "within")
    assert (await office.case()).case.state is State.WITHDRAWN


async def test_a_finding_that_is_uncertain_by_late_data_stands(office: Office) -> None:
    await office.found()
    await office.found(OCTOBER, "indeterminate")
    assert (await office.case()).case.state is State.RAISED


async def test_an_early_warning_that_passes_needs_its_person_all_the_same(office: Office) -> None:
    for _ in range(2):
        await office.see(month("exceeds", LAW, NOVEMBER))
    for _ in range(7):
        await office.see(month("within", LAW, NOVEMBER))
    case = await office.case()
    assert await office.state() == "resolved"
    assert case.case.state is State.RAISED
    assert case.clock is not None
    events = await office.rows("select event from case_transition order by position")
    assert events == [("raise",), ("recover",)]


@pytest.mark.slow
async def test_everybody_at_once_neither_blocks_one_another_nor_loses_a_step(
    office: Office,
) -> None:
    """Judge, deliver, act and watch side by side on one alert: locks are taken in one order."""
    await office.found()
    case = (await office.case()).id

    async def judge() -> None:
        async with office.pool.connection() as connection:
            await office.judge(connection, month("exceeds", LAW, NOVEMBER))

    async def deliver() -> None:
        found = await office.rows("select notification from notification where state = 'waiting'")
        for (identity,) in found:
            attempt = Attempt(office.now, 5, 200, "r", "answered")
            async with office.pool.connection() as connection:
                await notifications.settle(connection, identity, attempt, office.now)

    async def act(event: Event, side: Side) -> None:
        async with office.pool.connection() as connection:
            locked = await cases.lock(connection, case)
            assert locked is not None
            deed = Deed(event, side, "ann", "engineer", {}, plan_due=MONDAY.date() + 9 * DAY)
            await cases.write(connection, locked[0], deed, office.now)

    async def watch() -> None:
        await office.watch.step()

    for number in range(12):
        office.now += 3 * DAY
        await asyncio.gather(
            judge(),
            deliver(),
            act(Event.ACKNOWLEDGE, Side.PLANT),
            act(Event.EXPLAIN, Side.PLANT),
            act(Event.DISPUTE if number % 2 else Event.ACCEPT, Side.REGULATOR),
            act(Event.PLAN, Side.PLANT),
            watch(),
            watch(),
        )
    history = await office.rows(
        "select position, from_state, to_state from case_transition order by position"
    )
    assert [position for position, _, _ in history] == list(range(1, len(history) + 1))
    assert all(a[2] == b[1] for a, b in itertools.pairwise(history))
    assert len(history) > 12
    told = [kind for _, kind in await office.told()]
    changes = await office.rows(
        "select count(*) from case_transition where event in ('escalate', 'overdue')"
    )
    assert told.count("escalated") + told.count("overdue") >= changes[0][0]
