"""The public JSON of forecasts: what is foreseen of a period, apart from what the law judges."""

from datetime import date, datetime
from typing import Literal

from pydantic import ConfigDict, Field

from api.schemas import Comparison, Energy, Force, Intensity, Name, Output, Schema

Reason = Literal["too_few_days", "low_coverage", "figure_unknown", "not_computed"]


class SoFar(Schema):
    """The figure of the period until `known_until`, computed as every figure is."""

    energy: Energy
    output: Output
    intensity: Intensity
    completeness: float
    flags: list[str]


class Ahead(Schema):
    """The rest of the period: the output it will bring, by the plan or as of late (`pace`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    since: datetime = Field(alias="from")
    days: float
    output: Output
    by: Literal["plan", "pace"]


class Figure(Schema):
    """The figure at the end: as likely higher as lower, with 95 % and 80 % bands."""

    value: str
    unit: str
    p2_5: str
    p10: str
    p90: str
    p97_5: str


class Headroom(Schema):
    """The figure that the rest must keep so that the whole keeps the limit, exactly.

    `guarded` is for a verdict `within` beyond the uncertainty so far; `energy` is what the rest may
    still use, of a lower limit what it must. Not `reachable`: not even by using nothing.
    """

    value: str
    guarded: str
    unit: str
    energy: str
    energy_unit: str
    output: str
    output_unit: str
    reachable: bool


class Crossing(Schema):
    """When the running figure comes to stand on the other side of the limit.

    `at` at the present pace, on the day `on` of plant time; with 80 % between `earliest` and
    `latest`; null where it is not to be within the period.
    """

    to: Literal["exceeds", "within"]
    at: datetime | None
    on: date | None
    earliest: datetime | None
    latest: datetime | None


class LimitOutlook(Schema):
    """The outlook on one limit over the part of the period in which it holds.

    `limit_value` is where it will stand at the end, moved by what is declared and expected; null
    where `missing` names what nobody declared. `outlook` is `within` or `exceeds` from a chance of
    90 % on. `over_now` tells of the figure so far at full value, null where nothing was made yet.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    limit: str
    force: Force
    level: int | None
    cmp: Comparison
    own_value: str
    limit_value: str | None
    unit: str
    lapsed: bool
    since: datetime = Field(alias="from")
    until: datetime
    value: str | None
    over_now: bool | None
    outlook: Literal["within", "exceeds", "indeterminate", "incomplete"]
    chance_exceeds: float | None
    headroom: Headroom | None
    crossing: Crossing | None
    missing: list[str]


class PriceStep(Schema):
    """The step above which electricity costs more, its rule, and how well it is known."""

    value: str
    unit: str
    source: str
    mark: str


class Cost(Schema):
    """What the stepped price adds at the figure foreseen: `treads` parts of 0.01 yuan/kWh each.

    The rule goes by a year: of a month it is `indicative`. Null where no step is known of the day.
    `falls_at` is the figure at which there is one part less.
    """

    goes_by: Literal["year"]
    indicative: bool
    step: PriceStep | None
    treads: int | None
    surcharge: str | None
    surcharge_unit: Literal["CNY/kWh"]
    value: str | None
    p10: str | None
    p90: str | None
    falls_at: str | None
    unit: Literal["CNY"]


class ForecastItem(Schema):
    """A period of a unit as it is foreseen; `reasons` says why it is not, where `forecast` is null.

    Computed for this answer from the days until `known_until` and stored nowhere.
    """

    unit: str
    indicator: str
    period: Literal["month", "year"]
    period_start: datetime
    period_end: datetime
    known_until: datetime
    days_known: float
    reasons: list[Reason]
    so_far: SoFar | None
    ahead: Ahead | None
    forecast: Figure | None
    limits: list[LimitOutlook]
    cost: Cost | None
    sentence: Name
    computed_at: datetime
    as_of: datetime | None
