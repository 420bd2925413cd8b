"""The life of a case: what was raised, who took it up, how it was explained, how it ended. Pure.

A case is opened when an alert is told, and is about people: a plant explains, a regulator answers,
both close (domain 3.5). One transition table says who may do what when; the database holds the
same table and refuses the rest (store/sql/0014_cases.sql).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from core.alerts import Notice
from core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, datetime


class State(StrEnum):
    """Where a case stands; `absent` is before it was raised and never shown."""

    ABSENT = "absent"
    RAISED = "raised"
    DELIVERED = "delivered"  # a receiver gave its receipt
    ACKNOWLEDGED = "acknowledged"
    EXPLAINED = "explained"
    ACCEPTED = "accepted"
    DISPUTED = "disputed"
    PLANNED = "planned"
    PLANT_CLOSED = "plant_closed"  # the plant holds it for done, the regulator is asked
    REGULATOR_CLOSED = "regulator_closed"
    CLOSED = "closed"
    ESCALATED = "escalated"
    SUPPRESSED = "suppressed"
    WITHDRAWN = "withdrawn"


class Event(StrEnum):
    """What happens to a case."""

    RAISE = "raise"
    DELIVER = "deliver"
    RECUR = "recur"  # told again while the case is open
    GROW = "grow"  # told again, more severe: it begins anew
    RECOVER = "recover"  # the alert is over
    SUPPRESS = "suppress"
    RESUME = "resume"
    ESCALATE = "escalate"  # the plant's time ran out
    OVERDUE = "overdue"  # the other side's did: told, and waited for
    UNREACHABLE = "unreachable"  # a channel was out for too long: its second one was told
    WITHDRAW = "withdraw"  # late data shows that it was wrong
    ACKNOWLEDGE = "acknowledge"
    EXPLAIN = "explain"
    ACCEPT = "accept"
    DISPUTE = "dispute"
    PLAN = "plan"
    CLOSE = "close"


class Side(StrEnum):
    """Who did it."""

    SYSTEM = "system"
    PLANT = "plant"
    REGULATOR = "regulator"


class Closes(StrEnum):
    """What ends a case, by its severity; within a case it only widens."""

    RECOVERY = "recovery"  # the end of the alert, or the plant
    PLANT = "plant"
    BOTH = "both"  # the plant and the regulator, each by itself


class Step(NamedTuple):
    """One row of the transition table, as the database has it."""

    closes: Closes
    from_state: State
    event: Event
    side: Side
    to_state: State


ENDED: Final = frozenset({State.CLOSED, State.WITHDRAWN})
OPEN: Final = tuple(state for state in State if state not in {*ENDED, State.ABSENT})
WIDER: Final = tuple(Closes)
_UNTOUCHED: Final = (State.RAISED, State.DELIVERED)
_EARLY: Final = (*_UNTOUCHED, State.ACKNOWLEDGED)
_BEGUN: Final = (State.EXPLAINED, State.ACCEPTED, State.DISPUTED, State.PLANNED)
_HALF: Final = (State.PLANT_CLOSED, State.REGULATOR_CLOSED)
_OF_BOTH: Final = frozenset({State.ACCEPTED, State.DISPUTED, *_HALF})  # a regulator led there
_Rows = tuple[tuple[tuple[State, ...], Event, Side, State | None], ...]

# Rule 1: every change of state is in these rows. Nothing else moves a case. None: it stays.
_COMMON: Final[_Rows] = (
    ((State.ABSENT,), Event.RAISE, Side.SYSTEM, State.RAISED),
    ((State.RAISED,), Event.DELIVER, Side.SYSTEM, State.DELIVERED),
    ((*_UNTOUCHED, State.ESCALATED), Event.ACKNOWLEDGE, Side.PLANT, State.ACKNOWLEDGED),
    (
        (*_EARLY, State.EXPLAINED, State.DISPUTED, State.ESCALATED),
        Event.EXPLAIN,
        Side.PLANT,
        State.EXPLAINED,
    ),
    (_BEGUN, Event.PLAN, Side.PLANT, State.PLANNED),
    (OPEN, Event.RECUR, Side.SYSTEM, None),
    (OPEN, Event.UNREACHABLE, Side.SYSTEM, None),
    ((*_EARLY, *_BEGUN, *_HALF), Event.GROW, Side.SYSTEM, State.RAISED),
    ((State.ESCALATED, State.SUPPRESSED), Event.GROW, Side.SYSTEM, None),
    ((*_EARLY, *_BEGUN), Event.ESCALATE, Side.SYSTEM, State.ESCALATED),
    (_EARLY, Event.SUPPRESS, Side.SYSTEM, State.SUPPRESSED),
    ((State.SUPPRESSED,), Event.RESUME, Side.SYSTEM, State.RAISED),
    ((State.SUPPRESSED,), Event.RECOVER, Side.SYSTEM, State.CLOSED),
    ((*OPEN, State.CLOSED), Event.WITHDRAW, Side.SYSTEM, State.WITHDRAWN),
)
_PEOPLE_END_IT: Final[_Rows] = (
    ((*_EARLY, *_BEGUN, *_HALF, State.ESCALATED), Event.RECOVER, Side.SYSTEM, None),
)
_BY_CLOSES: Final[Mapping[Closes, _Rows]] = {
    Closes.RECOVERY: (
        ((*_EARLY, *_BEGUN, State.ESCALATED), Event.RECOVER, Side.SYSTEM, State.CLOSED),
        ((State.ACKNOWLEDGED, *_BEGUN), Event.CLOSE, Side.PLANT, State.CLOSED),
    ),
    Closes.PLANT: (
        *_PEOPLE_END_IT,
        ((State.ACKNOWLEDGED, *_BEGUN), Event.CLOSE, Side.PLANT, State.CLOSED),
    ),
    Closes.BOTH: (
        *_PEOPLE_END_IT,
        ((State.EXPLAINED,), Event.ACCEPT, Side.REGULATOR, State.ACCEPTED),
        ((State.PLANNED,), Event.ACCEPT, Side.REGULATOR, None),
        (
            (State.EXPLAINED, State.ACCEPTED, State.PLANNED, State.PLANT_CLOSED),
            Event.DISPUTE,
            Side.REGULATOR,
            State.DISPUTED,
        ),
        (
            (State.EXPLAINED, State.ACCEPTED, State.PLANNED),
            Event.CLOSE,
            Side.PLANT,
            State.PLANT_CLOSED,
        ),
        (
            (State.ACCEPTED, State.PLANNED, State.ESCALATED),
            Event.CLOSE,
            Side.REGULATOR,
            State.REGULATOR_CLOSED,
        ),
        ((State.PLANT_CLOSED,), Event.CLOSE, Side.REGULATOR, State.CLOSED),
        ((State.REGULATOR_CLOSED,), Event.CLOSE, Side.PLANT, State.CLOSED),
        ((State.EXPLAINED, *_HALF), Event.OVERDUE, Side.SYSTEM, None),
    ),
}


def _steps() -> Iterator[Step]:
    for closes, own in _BY_CLOSES.items():
        for states, event, side, to_state in (*_COMMON, *own):
            for state in states:
                if closes is Closes.BOTH or state not in _OF_BOTH:
                    yield Step(closes, state, event, side, to_state or state)


STEPS: Final = tuple(_steps())
_TABLE: Final[Mapping[tuple[Closes, State, Event, Side], State]] = {
    step[:4]: step.to_state for step in STEPS
}
assert len(_TABLE) == len(STEPS), "two rows for one cause"  # noqa: S101 - a belief

# Who has begun anew has the whole time again.
_BEGINS: Final = frozenset({Event.RAISE, Event.GROW, Event.RESUME})
# What people do within a state renews it: who amends an explanation is answered from then on.
_RENEWS: Final = frozenset({Event.EXPLAIN, Event.PLAN, Event.ACCEPT})
_FROM_EVERYWHERE: Final = frozenset({Event.WITHDRAW, Event.GROW})


@dataclass(frozen=True, slots=True)
class Case:
    """What is remembered of a case between two events.

    `severity` is at least its alert's. `clock_from` is when its time began to run, `plan_due` the
    last day of its corrective plan, `lapsed_at` when it was told that the present time ran out.
    """

    state: State = State.ABSENT
    since: datetime | None = None
    severity: int = 0
    closes: Closes = Closes.RECOVERY
    clock_from: datetime | None = None
    plan_due: date | None = None
    lapsed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether somebody may still have to do something."""
        return self.state in OPEN


def following(case: Case | None, told: Notice, severity: int) -> Event | None:
    """Return what a notice of the alert means to its newest case; None: nothing.

    RAISE means a new case. Withdrawing has reasons of its own, by the case's findings.
    """
    is_open = case is not None and case.is_open
    if told in {Notice.FIRING, Notice.FINDING}:
        if case is None or not is_open:
            return Event.RAISE
        return Event.GROW if severity > case.severity else Event.RECUR
    return Event.RECOVER if told is Notice.RESOLVED and is_open else None


def apply(
    case: Case,
    event: Event,
    side: Side,
    at: datetime,
    closes_at: Mapping[int, Closes],
    *,
    severity: int = 0,
    plan_due: date | None = None,
) -> Case | None:
    """Return the case after an event; None where the table has no such row.

    `severity` is what the event gives the case; it only grows, and with it what closes the case,
    which `closes_at` says of each severity (`core.caserules`).
    """
    grown = max(case.severity, severity)
    closes = max(case.closes, closes_at[grown], key=WIDER.index)
    to_state = _TABLE.get((closes, case.state, event, side))
    if to_state is None:
        return None
    renewed = to_state is not case.state or event in _RENEWS
    begins = event in _BEGINS or (case.state is State.ESCALATED and to_state is not case.state)
    return replace(
        case,
        state=to_state,
        since=at if renewed else case.since,
        severity=grown,
        closes=closes,
        clock_from=at if begins else case.clock_from,
        plan_due=plan_due if event is Event.PLAN else case.plan_due,
        lapsed_at=at if event is Event.OVERDUE else None if renewed else case.lapsed_at,
    )


def allowed(case: Case, side: Side) -> tuple[Event, ...]:
    """Return what a side may do with the case as it stands, in the order of Event."""
    return tuple(event for event in Event if (case.closes, case.state, event, side) in _TABLE)


def check(case: Case, event: Event, side: Side, *, fires: bool) -> None:
    """Raise Rejected, with what may be done instead, where people may not do this now.

    One side alone never ends a case whose alert goes on: that would be switching it off.
    """
    if event not in allowed(case, side):
        other = ", ".join(allowed(case, side)) or "nothing"
        raise Rejected(
            f"the {side} cannot {event} a case that is {case.state.replace('_', ' ')}: it may"
            f" {other} now",
            "not_now",
        )
    if event is Event.CLOSE and case.closes is not Closes.BOTH and fires:
        raise Rejected(
            "the case cannot be closed while its alert goes on: mend the cause, or shelve the"
            " alert with an end",
            "still_firing",
        )


def diagram(closes: Closes = Closes.BOTH) -> str:
    """Return the table of one kind of case as a Mermaid state diagram, as docs/cases.md shows it.

    What leaves a state as it is is left out, and so is what comes from nearly everywhere:
    withdrawing, and growth, which raises anew.
    """
    arrows: dict[tuple[State, State], list[str]] = {}
    for step in STEPS:
        stays = step.from_state is step.to_state
        if step.closes is closes and not stays and step.event not in _FROM_EVERYWHERE:
            label = step.event if step.side is Side.SYSTEM else f"{step.event} ({step.side})"
            arrows.setdefault((step.from_state, step.to_state), []).append(label)
    lines = ["stateDiagram-v2", f"    [*] --> {State.ABSENT}"]
    lines += [f"    {a} --> {b}: {', '.join(labels)}" for (a, b), labels in arrows.items()]
    return "\n".join([*lines, f"    {State.CLOSED} --> [*]"])
