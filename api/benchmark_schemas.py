"""The public JSON of benchmarks: the ranking, what is recorded of it, how a plant stands."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import Name, Schema
from core import names
from core.eligibility import MOST_TEXT_CHARS
from store.benchmarks import MOST_CALLED

PositionWord = Literal["leader", "middle", "laggard", "not_comparable", "non_participant"]
Jurisdiction = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z0-9]+)*$", max_length=60)]
Called = Annotated[str, Field(pattern=names.SITE_PATTERN)]
Text = Annotated[str, Field(min_length=1, max_length=MOST_TEXT_CHARS)]


class QuartilesItem(Schema):
    """Quartiles from the best one up; `concealed`: drawn so that they are nobody's figure."""

    first: str
    median: str
    third: str
    concealed: bool


class ClauseItem(Schema):
    """A clause of the source in its own words."""

    clause_id: str
    kind: Literal["duty", "reward", "sanction"]
    name: Name
    jurisdiction: str
    source: str
    clause: str
    quote: str
    mark: str
    note: str | None


class PlantItem(Schema):
    """One plant in the ranking; `why` it has no rank, or null."""

    site: str
    units: list[str]
    value: str | None
    uncertainty: str | None
    completeness: float
    flags: list[str]
    levels: dict[str, str]
    rank: int | None
    rank_best: int | None
    rank_worst: int | None
    quartile: int | None
    gap_to_best_quartile: str | None
    position: PositionWord
    doubtful: bool
    why: str | None
    why_text: Name | None
    follows: Literal["reward", "sanction"] | None
    clause: str | None
    results: list[str]


class BenchmarkItem(Schema):
    """A ranking as far as the caller may see it."""

    indicator: str
    product: str
    sector: str | None
    jurisdiction: str
    period: str
    closed: bool
    unit: str
    higher_is_better: bool
    counts: dict[str, int]
    quartiles: QuartilesItem | None
    plants: list[PlantItem]
    clauses: list[ClauseItem]
    rule: dict[str, Any]


class RecordedBenchmark(Schema):
    """A ranking as the regulator recorded it; the newest version of a question counts."""

    benchmark: UUID
    version: int
    recorded_at: datetime
    recorded_by: str
    body: BenchmarkItem


class BenchmarkIn(BaseModel):
    """What is to be recorded; `called` are enterprises that were called up by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    indicator: str
    jurisdiction: Jurisdiction
    period: str
    called: Annotated[list[Called], Field(max_length=MOST_CALLED)] = []


class FoundItem(Schema):
    """What one recorded benchmark says of a plant, and whether it bars it."""

    benchmark: UUID
    indicator: str
    jurisdiction: str
    period: str
    period_end: datetime
    position: PositionWord
    recorded_at: datetime
    recorded_by: str
    bars: bool
    lifted_by: UUID | None


class RetrofitItem(Schema):
    """A completed retrofit as it was recorded."""

    retrofit: UUID
    site: str
    indicators: list[str]
    completed_at: datetime
    what: str
    document: str
    recorded_at: datetime
    recorded_by: str


class StandingItem(Schema):
    """Whether a plant is barred from public funds and preferences, and by what."""

    site: str
    eligibility: Literal["clear", "barred"]
    clause: str | None
    findings: list[FoundItem]
    retrofits: list[RetrofitItem]


class RetrofitIn(BaseModel):
    """A completed retrofit: when, of which figures, what, and the document that accepted it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    completed_at: str
    indicators: Annotated[list[str], Field(min_length=1, max_length=20)]
    what: Text
    document: Text
