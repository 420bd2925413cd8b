"""Whose turn it is in a case and until when: by its state, its severity and the working days. Pure.

A day counts in the plant's time zone; that on which a time begins is not counted, and the last one
counts to its end (`core.workdays`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from core import periods
from core.cases import Closes, Event, Side, State
from core.clock import from_us, to_us

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from core.calendars import WorkCalendar
    from core.caserules import CaseRules, Terms
    from core.cases import Case

DEFAULT_ZONE: Final = "Asia/Shanghai"  # of what belongs to no site
_DAY: Final = timedelta(days=1)


class Duty(StrEnum):
    """What a side is waited for to do."""

    REPAIR = "repair"
    ACKNOWLEDGE = "acknowledge"
    EXPLAIN = "explain"
    PLAN = "plan"  # a corrective plan, or to close
    FINISH = "finish"  # the plan
    ANSWER = "answer"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Clock:
    """Who is to do what; `due_at` None: nothing runs out. `working_days` is the whole time given.

    `calendar_known` is False where it runs into a year whose holidays are not in the calendar.
    """

    duty: Duty
    side: Side
    due_at: datetime | None = None
    working_days: int | None = None
    calendar_known: bool = True


# What runs out and is only told; all else escalates. An authority is not pushed by a program.
TOLD_ONLY: Final = frozenset({Duty.ANSWER, Duty.CLOSE})
_TURN: Final[Mapping[State, tuple[Duty, Side]]] = {
    State.RAISED: (Duty.ACKNOWLEDGE, Side.PLANT),
    State.DELIVERED: (Duty.ACKNOWLEDGE, Side.PLANT),
    State.ACKNOWLEDGED: (Duty.EXPLAIN, Side.PLANT),
    State.EXPLAINED: (Duty.ANSWER, Side.REGULATOR),
    State.DISPUTED: (Duty.EXPLAIN, Side.PLANT),
    State.ACCEPTED: (Duty.PLAN, Side.PLANT),
    State.PLANNED: (Duty.FINISH, Side.PLANT),
    State.PLANT_CLOSED: (Duty.CLOSE, Side.REGULATOR),
    State.REGULATOR_CLOSED: (Duty.CLOSE, Side.PLANT),
    State.ESCALATED: (Duty.EXPLAIN, Side.PLANT),
}
# In these the time goes on from where it began, in the others from when the state was entered.
_ON: Final = frozenset({State.RAISED, State.DELIVERED, State.ACKNOWLEDGED})


def clock(case: Case, rules: CaseRules, calendar: WorkCalendar, zone: str) -> Clock | None:
    """Return what is waited for, None where nothing is: suppressed, ended."""
    turn = _TURN.get(case.state)
    if turn is None:
        return None
    duty, side = turn
    terms = rules.terms[case.severity]
    if case.closes is not Closes.BOTH and case.state is State.EXPLAINED:
        duty, side = Duty.CLOSE, Side.PLANT
    if terms.repair is not None and duty is not Duty.FINISH:
        duty, side = Duty.REPAIR, Side.PLANT
    if case.state is State.ESCALATED:
        return Clock(duty, side)  # it has run out: what follows is the matter of people
    if duty is Duty.FINISH:
        return _finish(case, zone)
    days = _days(duty, terms, case)
    begins = case.clock_from if duty is Duty.REPAIR or case.state in _ON else case.since
    if days is None or begins is None:
        return Clock(duty, side)
    due_us = _deadline(to_us(begins), days, rules, calendar, zone)
    known = calendar.knows(to_us(begins), due_us - 1, zone)
    return Clock(duty, side, from_us(due_us), days, known)


def run_out(found: Clock) -> Event:
    """Return the event of a clock that has run out."""
    return Event.OVERDUE if found.duty in TOLD_ONLY else Event.ESCALATE


def escalated(case: Case, found: Clock, rules: CaseRules) -> int:
    """Return the severity that a case has when its clock has run out."""
    if found.duty in TOLD_ONLY:
        return case.severity
    if found.duty is Duty.FINISH:
        return max(case.severity, rules.plan_overdue_severity)
    return rules.terms[case.severity].escalates_to


def _days(duty: Duty, terms: Terms, case: Case) -> int | None:
    if duty is Duty.CLOSE:
        return terms.answer if case.closes is Closes.BOTH else None
    given: Mapping[Duty, int | None] = {
        Duty.REPAIR: terms.repair,
        Duty.ACKNOWLEDGE: terms.acknowledge,
        Duty.EXPLAIN: terms.explain,
        Duty.PLAN: terms.plan,
        Duty.ANSWER: terms.answer,
    }
    return given[duty]


def _finish(case: Case, zone: str) -> Clock:
    if case.plan_due is None:
        return Clock(Duty.FINISH, Side.PLANT)
    due_us = periods.midnight(case.plan_due + _DAY, zone)
    return Clock(Duty.FINISH, Side.PLANT, from_us(due_us))


def _deadline(
    begins_us: int, days: int, rules: CaseRules, calendar: WorkCalendar, zone: str
) -> int:
    if days > 0:
        return calendar.calendar.deadline(begins_us, days, zone)
    midnight = periods.midnight(periods.day_of(begins_us, zone) + _DAY, zone)
    return max(midnight, begins_us + rules.same_day_least_h * periods.HOUR_US)
