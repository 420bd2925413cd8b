"""What month closes and differences between two instants look like in answers."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field, field_validator

from api.schemas import Cause, FlipItem, PeriodItem, Schema
from core import periods


class CloseIn(Schema):
    """Which month to close."""

    month: str = Field(description="Such as 2026-10, in the site's time zone.")

    @field_validator("month")
    @classmethod
    def _is_month(cls, value: str) -> str:
        periods.parse_month(value, "UTC")
        return value


class MovedItem(Schema):
    """A closed figure of which a verdict has flipped since, and why."""

    unit: str
    indicator: str
    period: str
    period_start: datetime
    version: int
    newest: UUID
    newest_version: int
    causes: list[Cause]
    verdicts: list[FlipItem]


class MonthCloseItem(Schema):
    """A site's month as it was closed, and how it stands now.

    `differing` figures have a newer version, of `flipped` of them a verdict is another one; at
    most 100 are listed in `flips`.
    """

    close: UUID
    site: str
    number: int
    month: str
    month_start: datetime
    month_end: datetime
    known_at: datetime
    closed_at: datetime
    closed_by: str
    sha256: str
    previous: str | None
    signed: bool
    key: str | None
    figures: int
    differing: int
    flipped: int
    flips: list[MovedItem]


class SealedClose(MonthCloseItem):
    """A close with the text that `sha256` and `signature` (base64) are over."""

    body: str
    signature: str | None


class Amount(Schema):
    """A difference; null where one of the two is unknown."""

    value: str | None
    unit: str | None


class Difference(Schema):
    """The later figure minus the earlier one."""

    energy: Amount
    output: Amount
    intensity: Amount


Kind = Cause | Literal["period_open"]


class CauseItem(Schema):
    """One cause with its references; `version` is the one that it made, null without one."""

    model_config = ConfigDict(extra="allow", frozen=True)
    version: int | None
    known_from: datetime | None
    kinds: list[Kind]


class Came(Schema):
    """What came between two figures, and what it did to them."""

    difference: Difference | None
    flips: list[FlipItem]
    kinds: list[Kind]
    causes: list[CauseItem]


class AgainstClose(Came):
    """The later figure against the one that its month was closed with."""

    close: UUID
    closed_at: datetime
    closed_by: str
    signed: bool
    result: UUID
    version: int
    differs: bool


class DifferenceItem(Came):
    """One period as known at two instants; `before` is null where there was no figure yet."""

    unit: str
    indicator: str
    period: str
    period_start: datetime
    period_end: datetime
    before: PeriodItem | None
    after: PeriodItem
    close: AgainstClose | None
