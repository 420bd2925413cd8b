"""The public JSON of an excess and its causes; printed parts sum to the printed excess."""

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas import Comparison, Energy, Force, Intensity, Name, Output, Schema, Verdict
from core.baseline import Origin, Way
from core.excess import Cause, Why


class ExcessLimit(Schema):
    """The limit as it stands in the period; `value` null: it cannot be told for want of inputs."""

    id: str
    force: Force
    cmp: Comparison
    value: str | None
    own_value: str
    missing: list[str]


class ExcessAmount(Schema):
    """E - L x O in the energy unit and per output; below zero: under the limit."""

    value: str
    unit: str
    per_output: str | None
    per_output_unit: str
    uncertainty: str | None


class CauseItem(Schema):
    """One cause; `value` null: it is in the remainder.

    `plus_minus` is how far a derived share may move it (two standard errors); `evidence` holds
    what it was computed from, by name.
    """

    cause: Cause
    name: Name
    value: str | None
    unit: str
    per_output: str | None
    plus_minus: str | None
    why: Why | None
    evidence: dict[str, str | None]


class RemainderItem(Schema):
    """What the causes that are not told apart come to together, and for want of what."""

    causes: list[Cause]
    name: Name
    value: str
    per_output: str | None
    why: list[Why]
    text: Name


class ShareItem(Schema):
    """How the process answers: declared by the plant, derived from periods before, or unknown."""

    name: Literal["fixed_share", "grade_response"]
    value: str | None
    origin: Origin
    standard_error: str | None
    periods: int | None


class ReferenceItem(Schema):
    """The period before that the unit is held against: its producing time.

    `period` is its kind, which is a shorter one where none of the same kind qualifies.
    """

    way: Way
    period: str
    of: int
    period_start: datetime
    period_end: datetime
    intensity: str
    rate: str
    rate_unit: str
    loads: dict[Literal["process", "auxiliary", "recovery"], str]
    load_unit: str
    grade_ratio: str | None
    working_h: str
    idle_h: str
    shares: list[ShareItem]


class TimeItem(Schema):
    """The hours of the period by state; `doubtful` ones are part of the working ones."""

    working_h: str
    idle_h: str
    doubtful_h: str


class ExcessPart(Schema):
    """The part of the period in which the limit holds, where it is not the whole."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    since: datetime = Field(alias="from")
    until: datetime


class ExcessItem(Schema):
    """Why a figure is over its limit; without energy, output or limit all causes are null."""

    unit: str
    indicator: str
    period: str
    period_start: datetime
    period_end: datetime
    closed: bool
    part: ExcessPart | None
    limit: ExcessLimit
    verdict: Verdict
    energy: Energy
    output: Output
    intensity: Intensity
    completeness: float
    computed_at: datetime
    excess: ExcessAmount | None
    parts: list[CauseItem] | None
    remainder: RemainderItem | None
    time: TimeItem | None
    reference: ReferenceItem | None
    sentence: Name | None
    inputs: dict[str, Any] | None
