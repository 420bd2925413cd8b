"""The life of a case: an exhaustive walk over its table, and laws of every way through it."""

from __future__ import annotations

from collections import deque
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import caserules, cases
from core.alerts import Notice
from core.cases import ENDED, OPEN, STEPS, Case, Closes, Event, Side, State
from core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

AT = datetime(2026, 11, 2, 1, tzinfo=UTC)
RULES = caserules.shipped()
CLOSES_AT = RULES.closes_at
SEVERITY_OF = {Closes.RECOVERY: 0, Closes.PLANT: 1, Closes.BOTH: 2}
BY_PEOPLE = {
    Event.ACKNOWLEDGE: {Side.PLANT},
    Event.EXPLAIN: {Side.PLANT},
    Event.PLAN: {Side.PLANT},
    Event.ACCEPT: {Side.REGULATOR},
    Event.DISPUTE: {Side.REGULATOR},
    Event.CLOSE: {Side.PLANT, Side.REGULATOR},
}


def raised(closes: Closes = Closes.BOTH) -> Case:
    found = cases.apply(
        Case(), Event.RAISE, Side.SYSTEM, AT, CLOSES_AT, severity=SEVERITY_OF[closes]
    )
    assert found is not None
    return found


def play(case: Case, *deeds: tuple[Event, Side]) -> Case:
    for event, side in deeds:
        after = cases.apply(case, event, side, AT, CLOSES_AT, plan_due=date(2026, 12, 31))
        assert after is not None, f"{case.state} {event} {side}"
        case = after
    return case


def walk(start: Iterable[tuple[Closes, State]]) -> set[tuple[Closes, State]]:
    """Return everything that the table leads to; a severity that grows widens what closes."""
    seen = set(start)
    todo = deque(seen)
    while todo:
        closes, state = todo.popleft()
        for step in STEPS:
            wider = cases.WIDER.index(step.closes) >= cases.WIDER.index(closes)
            grows = step.closes is closes or step.event in {Event.GROW, Event.ESCALATE}
            found = (step.closes, step.to_state)
            if step.from_state is state and wider and grows and found not in seen:
                seen.add(found)
                todo.append(found)
    return seen


BEGINNINGS = {(closes, State.ABSENT) for closes in Closes}


def test_every_row_of_the_table_can_happen_and_every_state_is_reached() -> None:
    reached = walk(BEGINNINGS)
    assert {state for _, state in reached} == set(State)
    assert [step for step in STEPS if (step.closes, step.from_state) not in reached] == []


def test_a_case_that_is_open_can_always_be_ended_and_an_ended_one_is_not_opened() -> None:
    for closes, state in walk(BEGINNINGS):
        ends = {found for _, found in walk({(closes, state)})}
        if state in OPEN:
            assert ends >= ENDED, (closes, state)
        if state in ENDED:
            assert ends <= ENDED, (closes, state)


def test_each_event_is_somebodys_and_nobody_elses() -> None:
    for step in STEPS:
        assert step.side in BY_PEOPLE.get(step.event, {Side.SYSTEM}), step


def test_two_sides_close_each_by_itself_whatever_way_a_case_took() -> None:
    """Walk over (state, who has closed since it was last anew): CLOSED needs both or the law."""
    start = (State.RAISED, frozenset[Side]())
    seen, todo = {start}, deque([start])
    while todo:
        state, sides = todo.popleft()
        for step in STEPS:
            if step.closes is not Closes.BOTH or step.from_state is not state:
                continue
            after = sides | {step.side} if step.event is Event.CLOSE else sides
            if step.event in {Event.DISPUTE, Event.GROW}:
                after = frozenset()
            if step.to_state is State.CLOSED:
                assert after == {Side.PLANT, Side.REGULATOR} or step.event is Event.RECOVER, step
                assert step.event is not Event.RECOVER or state is State.SUPPRESSED
            found = (step.to_state, frozenset(after))
            if found not in seen:
                seen.add(found)
                todo.append(found)
    assert (State.CLOSED, frozenset({Side.PLANT, Side.REGULATOR})) in seen


def test_a_case_of_both_sides_from_the_alert_to_its_end() -> None:
    case = play(
        raised(),
        (Event.DELIVER, Side.SYSTEM),
        (Event.ACKNOWLEDGE, Side.PLANT),
        (Event.EXPLAIN, Side.PLANT),
        (Event.DISPUTE, Side.REGULATOR),
        (Event.EXPLAIN, Side.PLANT),
        (Event.ACCEPT, Side.REGULATOR),
        (Event.PLAN, Side.PLANT),
        (Event.CLOSE, Side.PLANT),
    )
    assert case.state is State.PLANT_CLOSED
    assert play(case, (Event.CLOSE, Side.REGULATOR)).state is State.CLOSED
    assert cases.apply(case, Event.CLOSE, Side.PLANT, AT, CLOSES_AT) is None


def test_the_end_of_the_alert_ends_only_what_needs_no_person() -> None:
    ends = {closes: play(raised(closes), (Event.RECOVER, Side.SYSTEM)).state for closes in Closes}
    assert ends == {
        Closes.RECOVERY: State.CLOSED,
        Closes.PLANT: State.RAISED,
        Closes.BOTH: State.RAISED,
    }


@pytest.mark.parametrize("state", [state for state in State if state in {*OPEN, State.CLOSED}])
def test_late_data_withdraws_a_case_wherever_it_stands(state: State) -> None:
    after = cases.apply(
        Case(state=state, severity=2, closes=Closes.BOTH),
        Event.WITHDRAW,
        Side.SYSTEM,
        AT,
        CLOSES_AT,
    )
    assert after is not None
    assert after.state is State.WITHDRAWN


def test_a_graver_finding_raises_the_case_anew_and_asks_both_sides_from_then_on() -> None:
    case = play(raised(Closes.PLANT), (Event.ACKNOWLEDGE, Side.PLANT))
    later = AT + timedelta(days=20)
    grown = cases.apply(case, Event.GROW, Side.SYSTEM, later, CLOSES_AT, severity=2)
    assert grown is not None
    assert (grown.state, grown.severity, grown.closes) == (State.RAISED, 2, Closes.BOTH)
    assert grown.clock_from == later
    less = cases.apply(grown, Event.RECUR, Side.SYSTEM, later, CLOSES_AT, severity=0)
    assert less is not None
    assert (less.severity, less.closes) == (2, Closes.BOTH)


def test_growth_hides_neither_an_escalation_nor_a_suppression() -> None:
    escalated = play(raised(), (Event.ESCALATE, Side.SYSTEM), (Event.GROW, Side.SYSTEM))
    suppressed = play(raised(), (Event.SUPPRESS, Side.SYSTEM), (Event.GROW, Side.SYSTEM))
    assert (escalated.state, suppressed.state) == (State.ESCALATED, State.SUPPRESSED)


@pytest.mark.parametrize(
    ("state", "told", "severity", "event"),
    [
        (None, Notice.FIRING, 1, Event.RAISE),
        (State.CLOSED, Notice.FIRING, 1, Event.RAISE),
        (State.WITHDRAWN, Notice.FINDING, 1, Event.RAISE),
        (State.PLANNED, Notice.FIRING, 1, Event.RECUR),
        (State.PLANNED, Notice.FINDING, 2, Event.GROW),
        (State.RAISED, Notice.RESOLVED, 1, Event.RECOVER),
        (State.CLOSED, Notice.RESOLVED, 1, None),
        (None, Notice.RESOLVED, 1, None),
    ],
)
def test_what_is_told_of_an_alert_means_this_to_its_case(
    state: State | None, told: Notice, severity: int, event: Event | None
) -> None:
    case = None if state is None else Case(state=state, severity=1)
    assert cases.following(case, told, severity) is event


def test_one_side_cannot_end_a_case_whose_alert_goes_on() -> None:
    alone = play(raised(Closes.PLANT), (Event.ACKNOWLEDGE, Side.PLANT))
    with pytest.raises(Rejected, match="shelve the alert") as caught:
        cases.check(alone, Event.CLOSE, Side.PLANT, fires=True)
    assert caught.value.reason == "still_firing"
    cases.check(alone, Event.CLOSE, Side.PLANT, fires=False)
    agreed = play(raised(), (Event.EXPLAIN, Side.PLANT))
    cases.check(agreed, Event.CLOSE, Side.PLANT, fires=True)


def test_what_cannot_be_done_says_what_can() -> None:
    with pytest.raises(Rejected) as caught:
        cases.check(raised(), Event.ACCEPT, Side.REGULATOR, fires=True)
    assert str(caught.value) == (
        "the regulator cannot accept a case that is raised: it may nothing now"
    )
    with pytest.raises(Rejected, match="it may acknowledge, explain now"):
        cases.check(raised(), Event.CLOSE, Side.PLANT, fires=False)


def test_amending_an_explanation_renews_the_time_of_the_answer() -> None:
    explained = play(raised(), (Event.EXPLAIN, Side.PLANT), (Event.OVERDUE, Side.SYSTEM))
    assert explained.lapsed_at == AT
    later = AT + timedelta(days=3)
    amended = cases.apply(explained, Event.EXPLAIN, Side.PLANT, later, CLOSES_AT)
    assert amended is not None
    assert (amended.since, amended.lapsed_at) == (later, None)


@given(
    start=st.sampled_from(list(Closes)),
    deeds=st.lists(
        st.tuples(st.sampled_from(list(Event)), st.sampled_from(list(Side)), st.integers(0, 4)),
        max_size=30,
    ),
)
def test_whatever_is_tried_severity_grows_what_closes_widens_and_the_end_stays(
    start: Closes, deeds: list[tuple[Event, Side, int]]
) -> None:
    case = raised(start)
    for number, (event, side, severity) in enumerate(deeds):
        at = AT + timedelta(hours=number)
        given_severity = severity if side is Side.SYSTEM else 0  # people set none
        after = cases.apply(case, event, side, at, CLOSES_AT, severity=given_severity)
        if after is None:
            continue
        assert after.severity >= case.severity
        assert cases.WIDER.index(after.closes) >= cases.WIDER.index(case.closes)
        assert case.is_open or after.state is State.WITHDRAWN
        assert after.since in (case.since, at)
        if side is not Side.SYSTEM:
            assert event in cases.allowed(case, side)
        case = after


def test_the_pictures_and_times_in_the_manual_are_those_of_the_table() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "cases.md"
    text = page.read_text("utf-8")
    for closes in Closes:
        assert f"```mermaid\n{cases.diagram(closes)}\n```" in text, closes
    for severity, terms in RULES.terms.items():
        times = (terms.repair, terms.acknowledge, terms.explain, terms.plan, terms.answer)
        cells = ["-" if days is None else str(days or "same day") for days in times]
        row = " | ".join([str(severity), terms.closes, *cells, str(terms.escalates_to)])
        assert f"| {row} |" in text
    named = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert set(State) <= named
    assert set(Event) <= named
