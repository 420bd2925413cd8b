"""What silences look like in questions and answers: shelved alerts, and outages of plants."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints

from api.schemas import Schema
from core.silences import MOST_DOCUMENT_CHARS, MOST_REASON_CHARS

PRINTABLE: Final = r"^[^\x00-\x1f\x7f]*$"  # one line that a store and a page can show
Reason = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=3, max_length=MOST_REASON_CHARS, pattern=PRINTABLE
    ),
]
Document = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=MOST_DOCUMENT_CHARS, pattern=PRINTABLE
    ),
]


class ShelveIn(Schema):
    """Why an alert is put aside, and until when: at most 7 days."""

    reason: Reason
    until: AwareDatetime


class OutageIn(Schema):
    """An outage of a site, or of a unit with all below it: at most 92 days at a time."""

    kind: Literal["planned_outage", "start_up", "force_majeure"]
    unit: str | None = Field(None, description="Its id; null: the whole site with its agents.")
    from_: AwareDatetime = Field(alias="from")
    until: AwareDatetime
    reason: Reason
    document: Document = Field(description="Its file number, by which others find the papers.")


class SilenceItem(Schema):
    """A silence: who asked for it, over what, why, and until when."""

    silence: UUID
    kind: Literal["shelved", "planned_outage", "start_up", "force_majeure"]
    state: Literal["planned", "running", "over", "ended"]
    site: str | None
    unit: str | None
    alert: UUID | None
    from_: datetime = Field(alias="from")
    until: datetime
    reason: str
    document: str | None
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    ended_by: str | None
