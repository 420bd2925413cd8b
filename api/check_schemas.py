"""The public JSON of checks on meters: a run over a site's window, and what it found."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from api.schemas import Name, Schema
from core.meterchecks.findings import Kind, Witness


class Explained(Schema):
    """A cause that gives this factor: a hint where to look, the nearest first."""

    cause: Literal[
        "digit", "unit", "secondary_current", "phase", "line_voltage", "current_transformer"
    ]
    factor: float


class FindingItem(Schema):
    """One fault: the meter that is meant, or those that may be it, since when, how large.

    `error` is relative to the truth with its expanded uncertainty `doubt`; `factor` is what is
    shown over what is true; `sure` the share of likelihood on the first of the meters.
    """

    kind: Kind
    subject: str
    named: str | None = Field(description="The meter that is meant; null: one of `candidates`.")
    candidates: list[str]
    since: datetime
    until: datetime | None
    sure: float | None
    error: float | None
    doubt: float | None
    factor: float | None
    explained: list[Explained]
    excess_kwh: int | None = Field(description="Shown too much since then; negative: too little.")
    grows: bool
    witnesses: list[Witness]
    detail: dict[str, str]
    text: Name


class UncheckedItem(Schema):
    """What could not be looked at."""

    subject: str
    reason: str
    text: Name


class SharpItem(Schema):
    """From which relative error on a meter would be found, and told from the others."""

    point: str
    found_from: float
    named_from: float


class CheckItem(Schema):
    """One run of all checks over whole days of a site, as it was kept."""

    check: str
    site: str
    from_: datetime = Field(alias="from")
    until: datetime
    checked_at: datetime
    findings: list[FindingItem]
    unchecked: list[UncheckedItem]
    sharpness: list[SharpItem]
    checked: dict[str, int]
