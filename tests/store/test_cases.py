"""Cases on a real store: the database holds the table of the core, and refuses all else."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from core import caserules
from core import cases as rules
from core import plant as plants
from core.alerts import Alert, Notice
from core.alerts import State as AlertState
from core.cases import STEPS, Closes, Event, Side, State
from store import alerts, backup, cases
from store.alerts import Kept, Key
from store.cases import Deed, KeptCase

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from store.connection import Pool

NOW = datetime(2026, 11, 2, 4, tzinfo=UTC)  # a Monday, noon in the plant
OCTOBER = datetime(2026, 9, 30, 16, tzinfo=UTC)
SEPTEMBER = datetime(2026, 8, 31, 16, tzinfo=UTC)
SITE = plants.parse(
    """
[site.gh-al]
name = { zh = "示例铝厂", en = "Demo Aluminium" }
jurisdiction = "cn-qh"
timezone = "Asia/Shanghai"
""",
    "plant.toml",
).sites["gh-al"]
KEY = Key("gh-al.potline-1", "al.liquid.ac", "month", "cn.al.liquid.ac.gb21346-2022.level-3")


def alert(severity: int = 2, **more: Any) -> Alert:
    given = {
        "state": AlertState.FIRING,
        "since": NOW,
        "severity": severity,
        "episode": 1,
        "last_start": OCTOBER,
        "period_start": OCTOBER,
        "raised_at": NOW,
        **more,
    }
    return Alert(**given)


async def keep(connection: AsyncConnection[Any], severity: int = 2, **more: Any) -> Kept:
    figure = {"limit_value": "12750"}
    return await alerts.save(connection, KEY, alert(severity, **more), figure, NOW)


async def told(
    connection: AsyncConnection[Any],
    notice: Notice = Notice.FIRING,
    now: datetime = NOW,
    severity: int = 2,
    **more: Any,
) -> KeptCase:
    """Tell the one alert, and return the newest case that it has then."""
    kept = await keep(connection, severity, **more)
    await cases.follow(connection, kept, notice, now, SITE)
    found = await cases.newest(connection, kept.id)
    assert found is not None
    return found


async def do(
    connection: AsyncConnection[Any], case: KeptCase, event: Event, side: Side, now: datetime = NOW
) -> KeptCase:
    locked = await cases.lock(connection, case.id)
    assert locked is not None
    due = date(2026, 12, 31) if event is Event.PLAN else None
    deed = Deed(event, side, "somebody", "engineer", {"text": "words"}, plan_due=due)
    after = await cases.write(connection, locked[0], deed, now)
    assert after is not None, f"{case.case.state} {event} {side}"
    return after


async def rows(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(query)).fetchall()


async def test_the_table_of_the_database_is_the_table_of_the_core(pool: Pool) -> None:
    found = await rows(pool, "select closes, from_state, event, side, to_state from case_step")
    assert sorted(found) == sorted(tuple(map(str, step)) for step in STEPS)
    for statement in (
        "delete from case_step",
        "update case_step set to_state = 'closed'",
        "truncate case_step cascade",
        "insert into case_step values ('both', 'raised', 'close', 'plant', 'closed')",
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            await rows(pool, statement)


async def test_the_database_refuses_every_change_that_is_not_in_the_table(pool: Pool) -> None:
    """From one state of one case, every (closes, event, side, state): only the table's pass."""
    async with pool.connection() as connection:
        case = await told(connection)
    allowed = {
        (step.event, step.side, step.to_state)
        for step in STEPS
        if (step.closes, step.from_state) == (Closes.BOTH, State.RAISED)
    }
    passed = set()
    async with pool.connection() as connection:
        for event, side, to_state in itertools.product(Event, Side, State):
            try:
                async with connection.transaction(force_rollback=True):
                    await _append(connection, case.id, 2, (event, side, to_state))
                    passed.add((event, side, to_state))
            except psycopg.errors.ForeignKeyViolation:
                continue
    assert passed == allowed


async def test_a_case_cannot_be_moved_beside_its_history(pool: Pool) -> None:
    async with pool.connection() as connection:
        case = await told(connection)
    for statement, kind in (
        ("update alert_case set state = 'closed'", psycopg.errors.CheckViolation),
        ("update alert_case set position = 2", psycopg.errors.CheckViolation),
        ("update alert_case set severity = 1", psycopg.errors.CheckViolation),
        ("update alert_case set closes = 'plant'", psycopg.errors.CheckViolation),
        ("update alert_case set number = 7", psycopg.errors.CheckViolation),
        ("update alert_case set site = null", psycopg.errors.CheckViolation),
        ("delete from alert_case", psycopg.errors.RaiseException),
        ("update case_transition set who = 'somebody else'", psycopg.errors.RaiseException),
        ("delete from case_transition", psycopg.errors.RaiseException),
    ):
        with pytest.raises(kind):
            await rows(pool, f"{statement} returning 1")
    async with pool.connection() as connection:
        assert await cases.find(connection, case.id) == case


async def test_a_history_has_no_gap_no_branch_and_no_other_beginning(pool: Pool) -> None:
    async with pool.connection() as connection:
        case = await told(connection)
    steps = {
        "a gap": (3, (Event.DELIVER, Side.SYSTEM, State.DELIVERED)),
        "a branch": (1, (Event.DELIVER, Side.SYSTEM, State.DELIVERED)),
        "from a state it is not in": (2, (Event.ACCEPT, Side.REGULATOR, State.ACCEPTED)),
        "without the case that goes with it": (2, (Event.DELIVER, Side.SYSTEM, State.DELIVERED)),
    }
    for words, (position, step) in steps.items():
        from_state = State.EXPLAINED if "state" in words else State.RAISED
        with pytest.raises(psycopg.errors.IntegrityError):
            await _commit(pool, case.id, position, step, from_state)


async def test_there_is_no_case_without_a_history(pool: Pool) -> None:
    async with pool.connection() as connection:
        await keep(connection)
    insert = (
        "insert into alert_case (alert, number, timezone, state, position, severity, closes,"
        " opened_at, since, clock_from, updated_at) select alert, 1, 'UTC', 'raised', 1, 2, 'both',"
        " now(), now(), now(), now() from alert returning 1"
    )
    with pytest.raises(psycopg.errors.CheckViolation):
        await rows(pool, insert)


async def _commit(pool: Pool, case: UUID, *step: Any) -> None:
    async with pool.connection() as connection:
        await _append(connection, case, *step)


async def _append(
    connection: AsyncConnection[Any],
    case: UUID,
    position: int,
    step: tuple[Event, Side, State],
    from_state: State = State.RAISED,
) -> None:
    await connection.execute(
        "insert into case_transition (alert_case, position, at, closes, from_state, event, side,"
        " to_state, severity, who, role, detail)"
        " values (%s, %s, %s, 'both', %s, %s, %s, %s, 2, 'x', 'y', '{}')",
        (case, position, NOW, from_state.value, *(each.value for each in step)),
    )


async def test_a_case_goes_from_the_alert_to_its_end_with_who_and_when(pool: Pool) -> None:
    async with pool.connection() as connection:
        case = await told(connection)
        assert (case.case.state, case.number, case.case.closes) == (State.RAISED, 1, Closes.BOTH)
        assert case.clock is not None
        assert case.clock.due_at == datetime(2026, 11, 3, 16, tzinfo=UTC)
        assert await cases.delivered(connection, case.alert, NOW, NOW)
        for event, side in (
            (Event.ACKNOWLEDGE, Side.PLANT),
            (Event.EXPLAIN, Side.PLANT),
            (Event.ACCEPT, Side.REGULATOR),
            (Event.PLAN, Side.PLANT),
            (Event.CLOSE, Side.REGULATOR),
            (Event.CLOSE, Side.PLANT),
        ):
            case = await do(connection, case, event, side)
    assert (case.case.state, case.clock, case.case.plan_due) == (
        State.CLOSED,
        None,
        date(2026, 12, 31),
    )
    history = await rows(
        pool, "select position, to_state, who, role from case_transition order by position"
    )
    assert [row[1] for row in history] == [
        "raised",
        "delivered",
        "acknowledged",
        "explained",
        "accepted",
        "planned",
        "regulator_closed",
        "closed",
    ]
    assert history[0][2:] == ("danhao", "system")
    assert history[-1][2:] == ("somebody", "engineer")


async def test_an_alert_has_one_open_case_however_often_it_is_told(pool: Pool) -> None:
    async with pool.connection() as connection:
        first = await told(connection)
        for episode in range(2, 6):
            again = await told(connection, episode=episode)
            assert again.id == first.id
            await told(connection, Notice.RESOLVED)
    assert await rows(pool, "select count(*) from alert_case") == [(1,)]
    events = await rows(pool, "select event from case_transition order by position")
    assert [row[0] for row in events] == ["raise", *["recur", "recover"] * 4]
    insert = (
        "insert into alert_case (alert, number, timezone, state, position, severity, closes,"
        " opened_at, since, clock_from, updated_at) select alert, 2, 'UTC', 'raised', 1, 2, 'both',"
        " now(), now(), now(), now() from alert_case"
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        await rows(pool, insert)


async def test_after_its_end_the_alert_opens_a_new_case(pool: Pool) -> None:
    async with pool.connection() as connection:
        first = await told(connection, severity=0)
        ended = await told(connection, Notice.RESOLVED, severity=0)
        second = await told(connection, severity=0, episode=2)
    assert (ended.id, ended.case.state) == (first.id, State.CLOSED)
    assert (second.number, second.case.state) == (2, State.RAISED)


async def test_a_graver_finding_raises_the_open_case_anew(pool: Pool) -> None:
    async with pool.connection() as connection:
        case = await do(
            connection, await told(connection, severity=1), Event.ACKNOWLEDGE, Side.PLANT
        )
        later = NOW + timedelta(days=1)
        grown = await told(connection, Notice.FINDING, later, 2, closed_start=OCTOBER)
    assert (grown.id, grown.case.state, grown.case.severity) == (case.id, State.RAISED, 2)
    assert (grown.case.closes, grown.case.clock_from) == (Closes.BOTH, later)


@pytest.mark.parametrize("state", ["open", "closed"])
async def test_a_case_is_withdrawn_when_none_of_its_closed_periods_stands(
    pool: Pool, state: str
) -> None:
    async with pool.connection() as connection:
        await told(connection, Notice.FIRING, closed_start=SEPTEMBER)
        case = await told(connection, Notice.FINDING, closed_start=OCTOBER)
        if state == "closed":
            case = await do(connection, case, Event.EXPLAIN, Side.PLANT)
            case = await do(connection, case, Event.CLOSE, Side.PLANT)
            case = await do(connection, case, Event.CLOSE, Side.REGULATOR)
    async with pool.connection() as connection:
        assert not await cases.reconsider(connection, case.alert, SEPTEMBER, NOW, exceeds=False)
        assert not await cases.reconsider(connection, case.alert, SEPTEMBER, NOW, exceeds=True)
        assert not await cases.reconsider(connection, case.alert, OCTOBER, NOW, exceeds=False)
        gone = await cases.reconsider(connection, case.alert, SEPTEMBER, NOW, exceeds=False)
        assert gone == [case.id]
        assert not await cases.reconsider(connection, case.alert, SEPTEMBER, NOW, exceeds=False)
        found = await cases.find(connection, case.id)
    assert found is not None
    assert (found.case.state, found.clock) == (State.WITHDRAWN, None)
    assert await rows(pool, "select count(*) from case_finding") == [(6,)]


async def test_an_early_warning_is_not_withdrawn_by_a_month_that_ends_within(pool: Pool) -> None:
    async with pool.connection() as connection:
        case = await told(connection)
        assert not await cases.reconsider(connection, case.alert, OCTOBER, NOW, exceeds=False)


async def test_a_suppressed_case_waits_for_nobody_and_begins_anew(pool: Pool) -> None:
    detail = {"kind": "planned_outage", "document": "检字 12", "until": "2026-11-09T00:00:00Z"}
    async with pool.connection() as connection:
        case = await told(connection)
        assert await cases.suppress(connection, case.alert, NOW, "ann", "engineer", detail)
        stopped = await cases.newest(connection, case.alert)
        assert stopped is not None
        assert (stopped.case.state, stopped.clock) == (State.SUPPRESSED, None)
        assert not await cases.suppress(connection, case.alert, NOW, "ann", "engineer", detail)
        later = NOW + timedelta(days=7)
        assert await cases.resume(connection, case.alert, later)
        again = await cases.newest(connection, case.alert)
        assert again is not None
        assert (again.case.state, again.case.clock_from) == (State.RAISED, later)
        assert again.clock is not None
    (row,) = await rows(pool, "select who, role, detail from case_transition where position = 2")
    assert row == ("ann", "engineer", detail)


async def test_a_late_receipt_of_what_was_told_before_says_nothing_of_the_case_anew(
    pool: Pool,
) -> None:
    async with pool.connection() as connection:
        case = await told(connection, severity=1)
        later = NOW + timedelta(days=1)
        await told(connection, Notice.FINDING, later, 2, closed_start=OCTOBER)
        assert not await cases.delivered(connection, case.alert, NOW, later)
        assert await cases.delivered(connection, case.alert, later, later)
        assert not await cases.delivered(connection, case.alert, later, later)


async def test_an_unreachable_channel_is_in_the_history_of_the_case(pool: Pool) -> None:
    async with pool.connection() as connection:
        case = await told(connection)
        assert await cases.unreachable(connection, case.alert, "province", "city", NOW)
    (row,) = await rows(pool, "select to_state, detail from case_transition where position = 2")
    assert row == ("raised", {"channel": "province", "second": "city"})


async def test_what_has_no_case_is_left_alone(pool: Pool) -> None:
    async with pool.connection() as connection:
        kept = await keep(connection)
        await cases.follow(connection, kept, Notice.RESOLVED, NOW, SITE)
        await cases.follow(connection, kept, Notice.ESCALATED, NOW, SITE)
        for nothing in (
            cases.delivered(connection, kept.id, NOW, NOW),
            cases.unreachable(connection, kept.id, "a", None, NOW),
            cases.suppress(connection, kept.id, NOW, "a", "b", {}),
            cases.resume(connection, kept.id, NOW),
            cases.reconsider(connection, kept.id, OCTOBER, NOW, exceeds=False),
        ):
            assert not await nothing
        assert await cases.lock(connection, uuid4()) is None
    assert await rows(pool, "select count(*) from alert_case") == [(0,)]


async def test_what_belongs_to_no_site_has_a_case_too(pool: Pool) -> None:
    async with pool.connection() as connection:
        kept = await keep(connection, 0)
        await cases.follow(connection, kept, Notice.FIRING, NOW, None)
        found = await cases.newest(connection, kept.id)
    assert found is not None
    assert (found.site, found.timezone) == (None, "Asia/Shanghai")
    assert found.clock is not None


async def test_times_are_counted_again_by_new_rules(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool.connection() as connection:
        case = await told(connection)
    shipped = caserules.shipped()
    longer = replace(shipped.terms[2], acknowledge=2)
    changed = replace(shipped, terms={**shipped.terms, 2: longer})
    monkeypatch.setattr(caserules, "shipped", lambda: changed)
    async with pool.connection() as connection:
        assert await cases.renew_clocks(connection, None, NOW) is None
        found = await cases.find(connection, case.id)
    assert found is not None
    assert found.clock is not None
    assert found.clock.due_at == datetime(2026, 11, 4, 16, tzinfo=UTC)
    assert found.case == case.case


async def test_two_at_once_do_one_thing_after_the_other(pool: Pool) -> None:
    async with pool.connection() as connection:
        case = await told(connection)

    async def explain() -> bool:
        async with pool.connection() as connection:
            locked = await cases.lock(connection, case.id)
            assert locked is not None
            deed = Deed(Event.EXPLAIN, Side.PLANT, "p", "operator", {})
            return await cases.write(connection, locked[0], deed, NOW) is not None

    async def receipt() -> bool:
        async with pool.connection() as connection:
            return await cases.delivered(connection, case.alert, NOW, NOW)

    await asyncio.gather(explain(), explain(), receipt(), receipt())
    history = await rows(pool, "select position, to_state from case_transition order by position")
    assert [position for position, _ in history] == list(range(1, len(history) + 1))
    assert history[-1][1] == "explained"


class Life(RuleBasedStateMachine):
    """Plays any events into the store and holds each case against the pure table.

    One transaction an example, its deferred checks asked for after every step, undone at the end.
    """

    url: ClassVar[str]
    seen: ClassVar[set[State]]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.connection = self.runner.run(psycopg.AsyncConnection.connect(self.url))
        self.now = NOW
        self.case = self.runner.run(told(self.connection, severity=0))
        self.model = self.case.case
        self.steps = 1

    def teardown(self) -> None:
        self.runner.run(self.connection.rollback())
        self.runner.run(self.connection.close())
        self.runner.close()

    @rule(
        event=st.sampled_from(Event),
        side=st.sampled_from(Side),
        severity=st.integers(0, 4),
        hours=st.integers(0, 500),
    )
    def try_anything(self, event: Event, side: Side, severity: int, hours: int) -> None:
        self.do(event, side, severity, hours)

    @rule(number=st.integers(0, 1_000), severity=st.integers(0, 2), hours=st.integers(0, 50))
    def do_what_is_allowed(self, number: int, severity: int, hours: int) -> None:
        steps = [
            step
            for step in STEPS
            if (step.closes, step.from_state) == (self.model.closes, self.model.state)
            and step.event is not Event.WITHDRAW
        ]
        if steps:
            step = steps[number % len(steps)]
            self.do(step.event, step.side, severity, hours)

    def do(self, event: Event, side: Side, severity: int, hours: int) -> None:
        self.now += timedelta(hours=hours)
        due = date(2026, 12, 1)
        wanted = rules.apply(
            self.model,
            event,
            side,
            self.now,
            caserules.shipped().closes_at,
            severity=severity,
            plan_due=due,
        )
        deed = Deed(event, side, "w", "r", {}, severity, due)
        found = self.runner.run(self.write(deed))
        assert (found is None) is (wanted is None)
        if wanted is not None:
            self.model = wanted
            self.steps += 1
            self.seen.add(wanted.state)

    async def write(self, deed: Deed) -> KeptCase | None:
        locked = await cases.lock(self.connection, self.case.id)
        assert locked is not None
        return await cases.write(self.connection, locked[0], deed, self.now)

    @invariant()
    def the_store_has_what_the_table_says(self) -> None:
        self.runner.run(self.connection.execute("set constraints all immediate"))
        self.runner.run(self.connection.execute("set constraints all deferred"))
        kept = self.runner.run(cases.find(self.connection, self.case.id))
        assert kept is not None
        assert (kept.case, kept.position) == (self.model, self.steps)
        assert kept.clock == cases.clock_of(self.model, "Asia/Shanghai")
        note(f"{self.model.closes} {self.model.state}")


@pytest.mark.slow
def test_any_life_of_a_case_in_the_store_is_one_of_the_table(database_url: str) -> None:
    class Here(Life):
        url = database_url
        seen: ClassVar[set[State]] = set()

    run_state_machine_as_test(
        Here, settings=settings(max_examples=12, stateful_step_count=25, deadline=None)
    )
    assert len(Here.seen) >= 8


async def test_a_backup_carries_cases_with_their_history(
    pool: Pool, database_url: str, empty_database_url: str, tmp_path: Any
) -> None:
    from store import backupfile, connection as links, migrate  # noqa: PLC0415, I001 - only here

    async with pool.connection() as connection:
        case = await told(connection, closed_start=OCTOBER)
        case = await do(connection, case, Event.EXPLAIN, Side.PLANT)
    async with pool.connection() as connection:
        await connection.set_autocommit(True)
        await backup.backup(connection, tmp_path / "b.backup", NOW)
        await connection.set_autocommit(False)
    migrate.migrate(empty_database_url)
    other = await links.open_pool(empty_database_url, application="danhao test")
    try:
        with backupfile.Reader(tmp_path / "b.backup") as reader:
            async with other.connection() as connection:
                await backup.restore(connection, reader, NOW)
                assert await cases.find(connection, case.id) == case
                after = await do(connection, case, Event.ACCEPT, Side.REGULATOR)
        assert after.position == 3
    finally:
        await other.close()
    assert database_url != empty_database_url
