"""The public JSON, for OpenAPI and for the tests; answers are built as plain data for speed.

Decimal figures that people or the law compare are strings; what is absent is null.
"""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
Verdict = Literal["within", "exceeds", "indeterminate", "incomplete", "not_applicable"]
Force = Literal["mandatory", "target", "reference"]
Comparison = Literal["<=", "<", ">=", ">"]
Policy = Literal["guarded", "simple"]


class Schema(BaseModel):
    """A closed object: a key more or less is a bug of ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Page(Schema, Generic[T]):
    """One page of a list; `next` is the cursor of the page after, or null."""

    items: list[T]
    next: str | None


class Name(Schema):
    """A name in the languages of the page."""

    zh: str
    en: str


class Energy(Schema):
    """Energy of a period; `estimated` is the part booked across gaps."""

    value: str | None
    estimated: str
    unit: str | None


class Output(Schema):
    """Output of a period."""

    value: str | None
    unit: str | None


class Intensity(Schema):
    """Energy over output with U = 2 x combined standard uncertainty."""

    value: str | None
    unit: str | None
    uncertainty: str | None


class CorrectionStep(Schema):
    """One correction of a limit as it was applied: from where to where, by which inputs."""

    kind: str
    inputs: dict[str, str]
    from_value: str
    to_value: str
    why: str | None = None


class LimitPiece(Schema):
    """A stretch of a period with inputs of its own, by whose output the limit is weighed."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    since: datetime = Field(alias="from")
    until: datetime
    output: str
    limit_value: str
    corrections: list[CorrectionStep]


class LimitPart(Schema):
    """The part of a period in which a limit holds, with the figure that it was compared with."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    since: datetime = Field(alias="from")
    until: datetime
    energy: str | None
    output: str | None
    value: str | None
    uncertainty: str | None
    completeness: float


class LimitVerdict(Schema):
    """The finding against one limit; `lapsed` means past the target's due date.

    `limit_value` is what was compared: `own_value` moved by `corrections`, or by those of `pieces`
    where inputs change inside the period. `missing` names inputs that nobody declared, `part` the
    part of the period in which the limit holds. What has nothing to say is left out.
    """

    limit: str
    force: Force
    level: int | None
    cmp: Comparison
    limit_value: str
    verdict: Verdict
    lapsed: bool
    own_value: str | None = None
    policy: Policy | None = None
    missing: list[str] = []
    corrections: list[CorrectionStep] = []
    pieces: list[LimitPiece] = []
    more_pieces: int = 0
    part: LimitPart | None = None


class FlipItem(Schema):
    """A limit with another verdict than before."""

    limit: str
    force: Force
    from_: Verdict = Field(alias="from")
    to: Verdict


class CloseItem(Schema):
    """The snapshot of a month close that speaks of this figure.

    `result` and `version` are what it was closed with; `differs` from the newest version here,
    and `flips` are the verdicts that are others now.
    """

    close: UUID
    closed_at: datetime
    closed_by: str
    signed: bool
    result: UUID
    version: int
    differs: bool
    flips: list[FlipItem]


Cause = Literal[
    "period_end",
    "late_readings",
    "facts",
    "declaration",
    "confirmed_steps",
    "catalogue",
    "recompute",
    "unexplained",
]


class PeriodItem(Schema):
    """A unit's figures of one indicator in one period; version 0 while it is open.

    In lists of a unit: since when a closed version was known, why there is that version, and the
    month close that speaks of it.
    """

    unit: str
    indicator: str
    period: str
    period_start: datetime
    period_end: datetime
    closed: bool
    energy: Energy
    output: Output
    intensity: Intensity
    completeness: float
    flags: list[str]
    verdicts: list[LimitVerdict]
    formula_version: int | None
    version: int
    computed_at: datetime | None
    result: UUID | None
    known_from: datetime | None = None
    causes: list[Cause] = []
    close: CloseItem | None = None


class SeriesUnits(Schema):
    """In what a series' figures are given."""

    energy: str
    output: str
    intensity: str


class SeriesItem(Schema):
    """One unit's newest figures of an indicator as columns, in order of time."""

    unit: str
    indicator: str
    period: str
    units: SeriesUnits
    period_start: list[datetime]
    closed: list[bool]
    energy: list[str | None]
    output: list[str | None]
    intensity: list[str | None]
    completeness: list[float]


class EnergyItem(Schema):
    """A point's energy in one period, summed from slots when it is asked for."""

    point: str
    period: str
    period_start: datetime
    period_end: datetime
    closed: bool
    energy: Energy
    completeness: float
    flags: list[str]
    version: int | None
    computed_at: datetime | None
    result: UUID | None


class InputPoint(Schema):
    """What one point gave to a figure."""

    energy: str | None
    unit: str | None
    sign: int
    measured_us: int
    carrier: str | None = None
    factors: list[dict[str, Any] | None] | None = None


class InputOutput(Schema):
    """How mass became base tonnes, where the indicator asks for them."""

    mass: str
    base_grade: str
    reference: str
    facts_without_grade: int


class Inputs(Schema):
    """What a figure was computed from, by point; factors where energies are coal equivalent.

    `conditions` is what was declared that moves limits; the rest is what facts gave to either half,
    the parameters of the formula, the base year, and where an even path to a target stands.
    """

    points: dict[str, InputPoint] = {}
    output: InputOutput | None = None
    accounts: dict[str, dict[str, Any]] | None = None
    numerator: list[dict[str, Any]] | None = None
    denominator: list[dict[str, Any]] | None = None
    parameters: dict[str, dict[str, Any]] | None = None
    base: dict[str, Any] | None = None
    path: list[dict[str, Any]] | None = None
    conditions: dict[str, Any] | None = None


class VersionItem(Schema):
    """One version of a closed figure: known until the next one, and why there is it.

    `cause.kinds` are the words of `causes`; beside them stand the references.
    """

    result: UUID
    version: int
    known_from: datetime
    superseded_at: datetime | None
    declaration: int | None
    catalogue: str | None
    cause: dict[str, Any] | None


class ResultItem(PeriodItem):
    """A stored figure by its id, with what it was computed from and all its versions."""

    product: str | None
    inputs: Inputs
    versions: list[VersionItem]


class Live(Schema):
    """A unit's power now; older than `allowed_age_s` it is stale."""

    measured_at: datetime | None
    power_kw: str | None
    allowed_age_s: int


class UnitView(Schema):
    """A unit as the page shows it: `current` is the open month, `today` the open day."""

    unit: str
    site: str
    site_name: Name
    timezone: str
    jurisdiction: str
    name: Name
    kind: str
    product: str | None
    parent: str | None
    indicators: list[str]
    live: Live
    current: list[PeriodItem]
    today: list[PeriodItem]


class PointItem(Schema):
    """A metering point; `energy_unit` is null where it gives no energy."""

    point: str
    site: str
    unit: str
    kind: Literal["counter", "gauge", "interval"]
    carrier: str | None
    role: str
    sign: int
    measured_unit: str
    energy_unit: str | None
    max_gap_s: float
    interval_s: float | None


class ReadingItem(Schema):
    """One reading as it was committed; the value is null only where the quality is bad."""

    measured_at: datetime
    recorded_at: datetime
    value: int | float | None
    quality: Literal["good", "uncertain", "bad"]


class TrendItem(Schema):
    """Readings drawn together in buckets of `bucket_s` that begin at `start`; bad ones apart."""

    point: str
    measured_unit: str | None
    bucket_s: float
    start: list[str]
    min: list[float | None]
    max: list[float | None]
    readings: list[int]
    bad: list[int]


class StepItem(Schema):
    """A held step that a person confirmed; `at` is the instant of the reading it ends with."""

    point: str
    at: datetime
    confirmed_by: str
    confirmed_at: datetime


class AgentItem(Schema):
    """A declared agent: its own last word, and how far its outbox is durable here."""

    agent: str
    site: str
    state: str
    state_at: datetime | None
    epoch: str | None
    depth: int | None
    oldest_at: datetime | None
    clock_offset_ms: float | None
    last_seen_at: datetime | None
    committed: int | None
    missing: int | None
    missing_ranges: list[tuple[int, int]] | None
    missing_since: datetime | None
    lost: int | None


class DeadLetterItem(Schema):
    """A message or reading that was not admitted, and why."""

    id: int
    recorded_at: datetime
    reason: str
    topic: str
    site: str
    agent: str
    point: str | None
    measured_at: datetime | None
    detail: str
    payload_bytes: int
    state: str
    mended_at: datetime | None
    replayed_at: datetime | None
    replayed_by: str | None
    outcome: str | None


class Delivery(Schema):
    """How the newest notification of an alert stands on one channel."""

    channel: str
    state: Literal["waiting", "delivered", "abandoned"]
    attempts: int
    receipt: str | None


class AlertSubject(Schema):
    """Whom or what a data condition is about; an agent's id is `<site>.<agent>`."""

    kind: Literal["unit", "point", "agent", "site", "channel", "store"]
    id: str


class Quiet(Schema):
    """What keeps an alert from being told: a silence over it, or an alert that it stands behind."""

    kind: Literal["waiting", "behind", "shelved", "planned_outage", "start_up", "force_majeure"]
    told: bool = Field(description="Whether receivers know of the alert all the same.")
    since: datetime
    until: datetime | None
    alert: UUID | None
    silence: UUID | None
    document: str | None
    reason: str | None
    by: str | None


class AlertItem(Schema):
    """An alert; what it shows of a figure stood behind its last change.

    `exceedance` is about a limit: `period_start` is the first period that exceeded; `stage` is a
    finding once a closed one did. `condition` is about data, agents or the service itself: it has
    a `subject` and a `sentence` and is there at `raise_at`, over at `clear_at`. What does not apply
    is null.
    """

    id: UUID
    kind: Literal["exceedance", "condition"]
    severity: int = Field(ge=0, le=4)
    state: Literal["pending", "firing", "clearing", "resolved"]
    unit: str | None
    indicator: str | None
    period: str | None
    limit: str | None
    condition: str | None
    subject: AlertSubject | None
    sentence: Name | None
    period_start: datetime | None
    stage: Literal["early_warning", "finding"] | None
    raised_at: datetime | None
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    evidence: str | None
    deliveries: list[Delivery]
    quiet: Quiet | None
    folded: int = Field(ge=0, description="How many alerts stand behind this one.")
    force: Force | None
    level: int | None
    cmp: Comparison | None
    limit_value: str | None
    lapsed: bool | None
    verdict: Verdict | None
    value: str | None
    uncertainty: str | None
    value_unit: str | None
    raise_at: str | None
    clear_at: str | None
    facts: dict[str, Any] | None
    completeness: float | None
    figure_period_start: datetime | None
    figure_closed: bool | None
    computed_at: datetime
    result: UUID | None
    site: str | None
    jurisdiction: str | None
    timezone: str | None
    site_name: Name | None
    unit_name: Name | None
    indicator_name: Name | None
    limit_name: Name | None


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str
    instance: str
