"""How a stored case is shown: its clock, what led to each state, what the caller may do. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from api import access
from api.access import Action, Principal, Role
from api.answers import utc
from api.deps import View
from core import calendars, cases, periods
from core.cases import Event, Side
from core.clock import from_us, to_us
from core.errors import Rejected
from store import alerts
from store.alerts import EVIDENCE
from store.caseattachments import Document
from store.caselists import CaseFinding, Listed, Transition
from store.cases import FIRES

# Which action each event of people needs; a role that has it may do it, if the table lets its side.
ACTIONS: Final = {
    Event.ACKNOWLEDGE: Action.ACKNOWLEDGE_ALERT,
    Event.EXPLAIN: Action.EXPLAIN_CASE,
    Event.ACCEPT: Action.ANSWER_CASE,
    Event.DISPUTE: Action.ANSWER_CASE,
    Event.PLAN: Action.PLAN_CASE,
    Event.CLOSE: Action.CLOSE_CASE,
}


def item(listed: Listed, view: View) -> dict[str, Any]:
    """Return a case as a list shows it."""
    kept = listed.case
    described = alerts.describe(listed.alert, view.declared.plant)
    return {
        "id": str(kept.id),
        "number": kept.number,
        "site": kept.site,
        "state": kept.case.state.value,
        "since": utc(kept.case.since),
        "severity": kept.case.severity,
        "closes": kept.case.closes.value,
        "opened_at": utc(kept.opened_at),
        "updated_at": utc(kept.updated_at),
        "plan_due": None if kept.case.plan_due is None else kept.case.plan_due.isoformat(),
        "waiting": _waiting(listed, view.now_us),
        "stages": {
            state: {**stage, "at": utc(datetime.fromisoformat(stage["at"]))}
            for state, stage in listed.stages.items()
        },
        "evidence": described["evidence"],
        "may": may(listed, view.caller),
        "alert": described,
    }


@dataclass(frozen=True, slots=True)
class Belongings:
    """What belongs to one case and is read apart."""

    history: Sequence[Transition]
    findings: Sequence[CaseFinding]
    documents: Sequence[Document]


def whole(listed: Listed, belongs: Belongings, view: View) -> dict[str, Any]:
    """Return a case with everything that belongs to it."""
    return {
        **item(listed, view),
        "history": [
            {
                "position": row.position,
                "at": utc(row.at),
                "from_state": row.from_state,
                "event": row.event,
                "side": row.side,
                "to_state": row.to_state,
                "severity": row.severity,
                "who": row.who,
                "role": row.role,
                "detail": dict(row.detail),
            }
            for row in belongs.history
        ],
        "findings": [
            {
                "period_start": periods.render(to_us(row.period_start), listed.case.timezone),
                "found_at": utc(row.found_at),
                "stands": row.stands,
                "since": utc(row.since),
                "result": row.result,
                "evidence": None if row.result is None else EVIDENCE.format(result=row.result),
            }
            for row in belongs.findings
        ],
        "attachments": [attachment(each) for each in belongs.documents],
    }


def attachment(document: Document) -> dict[str, Any]:
    """Return a document of a case without its content."""
    return {
        "id": str(document.id),
        "at": utc(document.at),
        "who": document.who,
        "side": document.side,
        "name": document.name,
        "media_type": document.media_type,
        "size_bytes": document.size_bytes,
        "sha256": document.sha256.hex(),
    }


def side_of(caller: Principal) -> Side:
    """Return whom a caller speaks for: a regulator for itself, everybody else for the plant."""
    return Side.REGULATOR if caller.role is Role.REGULATOR else Side.PLANT


def may(listed: Listed, caller: Principal) -> Sequence[str]:
    """Return what the caller may do with a case now."""
    fires = listed.alert.alert.state in FIRES
    found = []
    for event in cases.allowed(listed.case.case, side_of(caller)):
        if not access.may(caller, ACTIONS[event]):
            continue
        try:
            cases.check(listed.case.case, event, side_of(caller), fires=fires)
        except Rejected:
            continue
        found.append(event.value)
    return found


def _days_left(due_at: datetime | None, now_us: int, zone: str) -> int | None:
    if due_at is None:
        return None
    return calendars.shipped().calendar.between(now_us, to_us(due_at), zone)


def _waiting(listed: Listed, now_us: int) -> dict[str, Any] | None:
    clock, case = listed.case.clock, listed.case.case
    if clock is None:
        return None
    ran_out = clock.due_at is not None and clock.due_at <= from_us(now_us)
    return {
        "side": clock.side.value,
        "duty": clock.duty.value,
        "due_at": utc(clock.due_at),
        "working_days": clock.working_days,
        "working_days_left": _days_left(clock.due_at, now_us, listed.case.timezone),
        "calendar_known": clock.calendar_known,
        "overdue": ran_out or case.state is cases.State.ESCALATED,
        "told_at": utc(case.lapsed_at),
    }
