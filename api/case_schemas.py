"""What cases look like in answers, and what people may say of one."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field

from api.schemas import AlertItem, Name, Schema
from core.attachments import MOST_OF_A_CASE

MOST_TEXT_CHARS: Final = 4000
# No control characters but tabs and ends of lines: nobody means them, and jsonb holds no NUL.
PLAIN: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
Text = Annotated[str, Field(min_length=3, max_length=MOST_TEXT_CHARS, pattern=PLAIN)]
Attached = Annotated[
    tuple[UUID, ...],
    Field(max_length=MOST_OF_A_CASE, description="Ids of documents attached to the case before."),
]
Side = Literal["plant", "regulator"]
CaseState = Literal[
    "raised",
    "delivered",
    "acknowledged",
    "explained",
    "accepted",
    "disputed",
    "planned",
    "plant_closed",
    "regulator_closed",
    "closed",
    "escalated",
    "suppressed",
    "withdrawn",
]
Doing = Literal["acknowledge", "explain", "accept", "dispute", "plan", "close"]
Duty = Literal["repair", "acknowledge", "explain", "plan", "finish", "answer", "close"]


class ExplainIn(Schema):
    """Why it happened: a cause of the list, in words, with proof where the cause asks for it."""

    cause: str = Field(max_length=40, description="An id of GET /api/v1/case-causes.")
    text: Text
    attachments: Attached = ()


class PlanIn(Schema):
    """What will be done about it, and the last day by which it is done."""

    text: Text
    due: date = Field(description="In the plant's calendar.")
    attachments: Attached = ()


class SayIn(Schema):
    """What a side says when it disputes or closes."""

    text: Text
    attachments: Attached = ()


class AcceptIn(Schema):
    """What a regulator adds to its acceptance, if anything."""

    text: Text | None = None
    attachments: Attached = ()


class CauseItem(Schema):
    """A cause that a plant may give; `proof` asks for an attachment."""

    cause: str
    name: Name
    proof: bool


class WaitingItem(Schema):
    """Who is to do what; `due_at` null: no time runs.

    `working_days_left` counts those that begin before the time is out, today not counted.
    `calendar_known` is false where the time runs into a year whose holidays are not known yet:
    then it was counted by weekdays alone.
    """

    side: Side
    duty: Duty
    due_at: datetime | None
    working_days: int | None
    working_days_left: int | None
    calendar_known: bool
    overdue: bool
    told_at: datetime | None


class StageItem(Schema):
    """What led to a state the last time: when, who, and what was said."""

    at: datetime
    who: str
    role: str
    event: str
    detail: dict[str, Any]


class CaseItem(Schema):
    """What people do about an alert; `may` is what the caller may do with it now.

    `severity` is at least the alert's: a case whose time ran out is graver. `stages` has what led
    to each state, by its name.
    """

    id: UUID
    number: int
    site: str | None
    state: CaseState
    since: datetime
    severity: int = Field(ge=0, le=4)
    closes: Literal["recovery", "plant", "both"]
    opened_at: datetime
    updated_at: datetime
    plan_due: date | None
    waiting: WaitingItem | None
    stages: dict[CaseState, StageItem]
    evidence: str | None
    may: list[Doing]
    alert: AlertItem


class TransitionItem(Schema):
    """One row of a case's history; nothing of it is ever changed."""

    position: int
    at: datetime
    from_state: str
    event: str
    side: Literal["system", "plant", "regulator"]
    to_state: CaseState
    severity: int
    who: str
    role: str
    detail: dict[str, Any]


class AttachmentItem(Schema):
    """A document of a case; its content is at `GET …/attachments/{id}`."""

    id: UUID
    at: datetime
    who: str
    side: Side
    name: str
    media_type: str
    size_bytes: int
    sha256: str


class CaseFindingItem(Schema):
    """A closed period that the case rests on, whether it stands, and the figure it was found by."""

    period_start: datetime
    found_at: datetime
    stands: bool
    since: datetime
    result: UUID | None
    evidence: str | None


class WholeCase(CaseItem):
    """A case with its history, the oldest row first, its findings and its documents."""

    findings: list[CaseFindingItem]
    history: list[TransitionItem]
    attachments: list[AttachmentItem]
