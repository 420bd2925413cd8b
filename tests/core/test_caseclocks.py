"""Whose turn it is and until when: by hand-counted days of real calendars."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import calendars, caseclocks, caserules, cases
from core.caseclocks import Clock, Duty
from core.cases import Case, Closes, Event, Side, State

if TYPE_CHECKING:
    from core.caserules import CaseRules

RULES = caserules.shipped()
CLOSES_AT = RULES.closes_at
CALENDAR = calendars.shipped()
ZONE = "Asia/Shanghai"
MONDAY_NOON = datetime(2026, 11, 2, 4, tzinfo=UTC)


def plant_midnight(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC) - timedelta(hours=8)


def case(state: State, severity: int, at: datetime = MONDAY_NOON, **more: object) -> Case:
    closes = RULES.terms[severity].closes
    return replace(Case(state, at, severity, closes, at), **more)  # type: ignore[arg-type]


def of(found: Case, rules: CaseRules = RULES) -> Clock:
    clock = caseclocks.clock(found, rules, CALENDAR, ZONE)
    assert clock is not None
    return clock


@pytest.mark.parametrize(
    ("state", "severity", "duty", "side", "due"),
    [
        # Tuesday, Wednesday, Thursday: over when Friday begins.
        (State.RAISED, 0, Duty.REPAIR, Side.PLANT, plant_midnight(2026, 11, 6)),
        (State.ACKNOWLEDGED, 0, Duty.REPAIR, Side.PLANT, plant_midnight(2026, 11, 6)),
        (State.EXPLAINED, 0, Duty.REPAIR, Side.PLANT, plant_midnight(2026, 11, 6)),
        (State.DELIVERED, 1, Duty.ACKNOWLEDGE, Side.PLANT, plant_midnight(2026, 11, 5)),
        (State.ACKNOWLEDGED, 1, Duty.EXPLAIN, Side.PLANT, None),
        (State.EXPLAINED, 1, Duty.CLOSE, Side.PLANT, None),
        (State.RAISED, 2, Duty.ACKNOWLEDGE, Side.PLANT, plant_midnight(2026, 11, 4)),
        # Ten working days after Monday the 2nd end with Monday the 16th.
        (State.ACKNOWLEDGED, 2, Duty.EXPLAIN, Side.PLANT, plant_midnight(2026, 11, 17)),
        (State.EXPLAINED, 2, Duty.ANSWER, Side.REGULATOR, plant_midnight(2026, 11, 17)),
        (State.DISPUTED, 2, Duty.EXPLAIN, Side.PLANT, plant_midnight(2026, 11, 17)),
        (State.ACCEPTED, 2, Duty.PLAN, Side.PLANT, plant_midnight(2026, 11, 17)),
        (State.PLANT_CLOSED, 2, Duty.CLOSE, Side.REGULATOR, plant_midnight(2026, 11, 17)),
        (State.REGULATOR_CLOSED, 2, Duty.CLOSE, Side.PLANT, plant_midnight(2026, 11, 17)),
        (State.RAISED, 3, Duty.ACKNOWLEDGE, Side.PLANT, plant_midnight(2026, 11, 3)),
        (State.RAISED, 4, Duty.ACKNOWLEDGE, Side.PLANT, None),
        (State.ESCALATED, 2, Duty.EXPLAIN, Side.PLANT, None),
    ],
)
def test_who_is_waited_for_and_until_when(
    state: State, severity: int, duty: Duty, side: Side, due: datetime | None
) -> None:
    found = of(case(state, severity))
    assert (found.duty, found.side, found.due_at) == (duty, side, due)
    assert found.calendar_known


@pytest.mark.parametrize("state", [State.SUPPRESSED, State.CLOSED, State.WITHDRAWN])
def test_what_is_suppressed_or_over_waits_for_nobody(state: State) -> None:
    assert caseclocks.clock(case(state, 2), RULES, CALENDAR, ZONE) is None


def test_every_open_state_says_whose_turn_it_is() -> None:
    for closes in Closes:
        for step in cases.STEPS:
            if step.closes is closes and step.to_state in cases.OPEN:
                found = replace(case(step.to_state, 2), closes=closes)
                waits = caseclocks.clock(found, RULES, CALENDAR, ZONE)
                assert (waits is None) is (step.to_state is State.SUPPRESSED)


def test_national_day_does_not_count_and_the_saturday_worked_for_it_does() -> None:
    # Wednesday 30 September 2026; 1 to 7 October rest; 8, 9 work, Saturday the 10th is worked.
    found = of(case(State.RAISED, 0, datetime(2026, 9, 30, 2, tzinfo=UTC)))
    assert found.due_at == plant_midnight(2026, 10, 11)


def test_a_time_that_runs_into_a_year_without_calendar_says_so() -> None:
    known = of(case(State.RAISED, 1, datetime(2026, 12, 29, 4, tzinfo=UTC)))
    assert (known.due_at, known.calendar_known) == (plant_midnight(2027, 1, 1), True)
    unknown = of(case(State.RAISED, 1, datetime(2026, 12, 30, 4, tzinfo=UTC)))
    assert (unknown.due_at, unknown.calendar_known) == (plant_midnight(2027, 1, 2), False)


def test_the_same_day_is_never_less_than_some_hours() -> None:
    late = datetime(2026, 11, 2, 15, 50, tzinfo=UTC)  # ten to midnight in the plant
    assert of(case(State.RAISED, 3, late)).due_at == late + timedelta(hours=4)


def test_a_plan_lasts_to_the_end_of_its_last_day() -> None:
    found = of(case(State.PLANNED, 2, plan_due=date(2027, 3, 31)))
    assert (found.duty, found.due_at) == (Duty.FINISH, plant_midnight(2027, 4, 1))


def test_who_took_note_still_has_the_time_that_began_when_it_was_raised() -> None:
    raised = case(State.RAISED, 2)
    later = MONDAY_NOON + timedelta(days=5)
    taken = cases.apply(raised, Event.ACKNOWLEDGE, Side.PLANT, later, CLOSES_AT)
    assert taken is not None
    assert of(taken).due_at == plant_midnight(2026, 11, 17)


def test_what_comes_back_from_escalation_has_its_whole_time_again() -> None:
    escalated = case(State.ESCALATED, 3)
    friday = datetime(2026, 11, 20, 4, tzinfo=UTC)
    taken = cases.apply(escalated, Event.ACKNOWLEDGE, Side.PLANT, friday, CLOSES_AT)
    assert taken is not None
    assert of(taken).due_at == plant_midnight(2026, 12, 5)


@pytest.mark.parametrize(
    ("state", "severity", "event", "grave"),
    [
        (State.RAISED, 0, Event.ESCALATE, 2),
        (State.RAISED, 1, Event.ESCALATE, 2),
        (State.ACKNOWLEDGED, 2, Event.ESCALATE, 3),
        (State.RAISED, 3, Event.ESCALATE, 3),
        (State.PLANNED, 2, Event.ESCALATE, 4),
        (State.EXPLAINED, 2, Event.OVERDUE, 2),
        (State.PLANT_CLOSED, 2, Event.OVERDUE, 2),
        (State.REGULATOR_CLOSED, 2, Event.OVERDUE, 2),
    ],
)
def test_a_plant_that_lets_its_time_run_out_escalates_and_a_regulator_is_only_reminded(
    state: State, severity: int, event: Event, grave: int
) -> None:
    found = case(state, severity, plan_due=date(2026, 12, 1))
    clock = of(found)
    assert caseclocks.run_out(clock) is event
    assert caseclocks.escalated(found, clock, RULES) == grave


def test_whatever_runs_out_is_in_the_table() -> None:
    for step in cases.STEPS:
        for severity in caserules.SEVERITIES:
            found = case(step.to_state, severity, plan_due=date(2026, 12, 1))
            if (step.to_state, found.closes) not in _reachable():
                continue
            clock = caseclocks.clock(found, RULES, CALENDAR, ZONE)
            if clock is None or clock.due_at is None:
                continue
            grave = caseclocks.escalated(found, clock, RULES)
            event = caseclocks.run_out(clock)
            after = cases.apply(found, event, Side.SYSTEM, MONDAY_NOON, CLOSES_AT, severity=grave)
            assert after is not None, (step.to_state, severity)
            following = of(after)
            assert following.due_at is None or after.lapsed_at is not None


def _reachable() -> set[tuple[State, Closes]]:
    return {(step.from_state, step.closes) for step in cases.STEPS}


@given(
    minutes=st.integers(0, 2 * 366 * 24 * 60),
    severity=st.sampled_from([0, 1, 2]),
)
def test_a_deadline_is_a_midnight_after_as_many_working_days_as_were_given(
    minutes: int, severity: int
) -> None:
    begins = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    found = of(case(State.RAISED, severity, begins))
    assert found.due_at is not None
    local = found.due_at + timedelta(hours=8)
    assert (local.hour, local.minute) == (0, 0)
    first = (begins + timedelta(hours=8)).date() + timedelta(days=1)
    between = [first + timedelta(days=n) for n in range((local.date() - first).days)]
    # Counted by another road: the calendar's own lists, day by day.
    rest, worked = CALENDAR.calendar.holidays, CALENDAR.calendar.worked
    works = [d for d in between if d in worked or (d.isoweekday() <= 5 and d not in rest)]
    assert len(works) == found.working_days
    assert works[-1] == between[-1]
