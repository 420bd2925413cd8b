"""The public JSON of estimates and batches: figures for operators, which no limit is held against.

Apart from `schemas`, whose figures the law compares, so that neither is taken for the other.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from api.schemas import Energy, Output, Schema

Holdup = Literal["measured", "interpolated", "unknown"]


class AssumedItem(Schema):
    """A value that an estimate assumes; `declared` by the plant, or else our default."""

    name: str
    value: str
    declared: bool


class EstimateItem(Schema):
    """One estimate: never compared with a limit.

    `value` null: `missing` says for want of what. `uncertainty` (U = 2 x combined standard) null:
    `uncertainty_lacks` names what nobody knows the uncertainty of. `coverage` is the share of the
    period, or of its elapsed part, that it rests on.
    """

    mark: Literal["estimate"]
    estimate: str
    sense: Literal["about", "at_most"]
    value: str | None
    unit: str
    uncertainty: str | None
    uncertainty_lacks: list[str]
    missing: list[str]
    coverage: float
    flags: list[Literal["implausible"]]
    assumed: list[AssumedItem]
    inputs: dict[str, Any]


class EstimatesItem(Schema):
    """The estimates of a unit in one period, computed for this answer and stored nowhere."""

    unit: str
    indicator: str | None = Field(description="By which batches are matched; null: by none.")
    period: str
    period_start: datetime
    period_end: datetime
    closed: bool
    estimates: list[EstimateItem]
    computed_at: datetime


class GradeItem(Schema):
    """The mean grade of what was tapped, by mass."""

    name: str
    value: str


class BatchIntensity(Schema):
    """Energy over what was made; an estimate as long as what is held back is not measured."""

    value: str | None
    unit: str


class MovingMean(Schema):
    """Energy over output of the last `taps` known batches up to this one."""

    value: str | None
    unit: str
    taps: int
    from_: datetime = Field(alias="from")


class BatchItem(Schema):
    """From one tap to the next: energy and output, matched.

    `mass` as weighed; `output` as the indicator counts it; `made` what formed meanwhile: output and
    the change of what the unit holds, where `holdup` says that it is known.
    """

    mark: Literal["estimate"]
    unit: str
    indicator: str
    start: datetime
    end: datetime
    energy: Energy
    mass: Output
    grade: GradeItem | None
    output: Output
    made: Output
    holdup: Holdup
    intensity: BatchIntensity
    moving_mean: MovingMean | None
    facts: list[str]
