"""The tables of a plant file (plant.toml, design 4.5): shapes, ranges, and what belongs together.

What a file says about other tables, its own or ours, is in core.relations; `core.plant` makes of
these tables what programs use.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from core import corrections, decimals, names, periods, uncertainty, units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEFAULT_MAX_GAP_S: Final = 1800
DEFAULT_ROLE: Final = "process"
MOST_MODULUS: Final = 2**53
MOST_EXCHANGED: Final = 4 * 10**12  # counts, so that millionths of them fit int64
FED_BY: Final = rf"^{names.SLUG}(\.{names.SLUG})?$"  # a point of the unit, or unit.point
MOST_PLANNED: Final = 1_000_000  # a day: more is a month's or a wrong unit
MOST_DATED: Final = 4000  # dated values of one key: ten years of daily ones
# Dated values of a unit that estimates read (core.estimates); no figure of the law does.
ESTIMATE_VALUES: Final = ("pots", "current_efficiency", "rectifier_efficiency")
# Those by which an excess is split into causes (core.baseline).
SPLIT_VALUES: Final = ("fixed_share", "grade_response", "idle_share")
PLAN: Final = "plan"  # output a day that forecasts take for granted (core.headroom)
UNIT_VALUES: Final = (*corrections.UNIT_VALUES, *ESTIMATE_VALUES, *SPLIT_VALUES, PLAN)


class PointKind(StrEnum):
    """What a point's value means (design 4.6)."""

    COUNTER = "counter"
    GAUGE = "gauge"
    INTERVAL = "interval"


def _decimal(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError('write the number as a string such as "660" so that it stays exact')  # noqa: TRY004 - pydantic wants ValueError
    return decimals.parse(str(value))


def _aware(value: object) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("write a time with an offset such as 2026-01-01T00:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is outside the years 1 to 9999") from error


def _zone(value: str) -> str:
    periods.zone(value)
    return value


def _class(value: str) -> str:
    if value not in uncertainty.CLASSES:
        raise ValueError(f"no accuracy class is called so: {', '.join(uncertainty.CLASSES)}")
    return value


def _fraction(value: Decimal) -> Decimal:
    if not 0 <= value <= 1:
        raise ValueError('a grade or share is a fraction: write "0.37" for 37 %')
    return value


# Printed plainly, never as 1E-7, so that what is written can be read again.
Exact = Annotated[
    Decimal, BeforeValidator(_decimal), PlainSerializer(lambda number: f"{number:f}", str, "json")
]
Positive = Annotated[Exact, Field(gt=0)]
Percent = Annotated[Exact, Field(ge=0, le=100)]
Instant = Annotated[datetime, BeforeValidator(_aware)]
Slug = Annotated[str, Field(pattern=names.SITE_PATTERN)]
Zone = Annotated[str, AfterValidator(_zone)]
AccuracyClass = Annotated[str, AfterValidator(_class)]
_STRICT = ConfigDict(extra="forbid", frozen=True)
_DATED = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Name(BaseModel):
    """A name in the languages of the page."""

    model_config = _STRICT
    zh: str
    en: str


class Multiplier(BaseModel):
    """A multiplier from an instant on."""

    model_config = _DATED
    since: Instant = Field(alias="from")
    value: Exact


class PositiveFrom(BaseModel):
    """A heating value or a ratio from an instant on."""

    model_config = _DATED
    since: Instant = Field(alias="from")
    value: Positive


class ShareFrom(BaseModel):
    """A grade or a share from an instant on: a fraction, as grades are everywhere."""

    model_config = _DATED
    since: Instant = Field(alias="from")
    value: Annotated[Exact, AfterValidator(_fraction)]


class PlanFrom(BaseModel):
    """A planned output a day from an instant on; 0 while a unit is to stand still."""

    model_config = _DATED
    since: Instant = Field(alias="from")
    value: Annotated[Exact, Field(ge=0, le=MOST_PLANNED)]


class EfficiencyFrom(BaseModel):
    """An efficiency from an instant on: a fraction above 0."""

    model_config = _DATED
    since: Instant = Field(alias="from")
    value: Annotated[Exact, Field(gt=0, le=1)]


class PressureFrom(BaseModel):
    """A site's ambient pressure from an instant on, within what there is on the ground."""

    model_config = _DATED
    since: Instant = Field(alias="from")
    value: Annotated[Exact, Field(ge=30_000, le=110_000)]


class Exchange(BaseModel):
    """A declared meter exchange."""

    model_config = _STRICT
    at: Instant
    closing: Annotated[Exact, Field(ge=0, le=MOST_EXCHANGED)]
    opening: Annotated[Exact, Field(ge=0, le=MOST_EXCHANGED)]


Shares = Annotated[tuple[ShareFrom, ...], Field(max_length=MOST_DATED)]
Efficiencies = Annotated[tuple[EfficiencyFrom, ...], Field(max_length=MOST_DATED)]


class PointTable(BaseModel):
    """A metering point."""

    model_config = _STRICT
    kind: PointKind
    name: Name | None = None
    carrier: str | None = None
    unit: str
    modulus: Annotated[int, Field(gt=0, le=MOST_MODULUS)] | None = None
    rated_power_kw: Positive | None = None
    multiplier: tuple[Multiplier, ...] = ()
    accuracy_percent: Percent | None = None
    meter_class: AccuracyClass | None = None
    ct_class: AccuracyClass | None = None
    vt_class: AccuracyClass | None = None
    sign: Literal[1, -1] = 1
    role: Slug = DEFAULT_ROLE
    parent: Slug | None = None
    fed_by: Annotated[str, Field(pattern=FED_BY)] | None = None
    max_gap_s: Annotated[int, Field(gt=0, le=31 * 86_400)] = DEFAULT_MAX_GAP_S
    interval_s: Annotated[int, Field(gt=0, le=366 * 86_400)] | None = None
    exchange: tuple[Exchange, ...] = ()
    heating_value: tuple[PositiveFrom, ...] = ()
    verified_until: date | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> PointTable:
        wrong = [*_misfits(self), *_of_accuracy(self), *_unsorted(self, _POINT_DATED)]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the declared accuracy classes of meter and transformers."""
        given = (self.meter_class, self.ct_class, self.vt_class)
        return tuple(one for one in given if one is not None)


_POINT_DATED = ("multiplier", "heating_value")


def _misfits(point: PointTable) -> Iterator[str]:
    if (point.kind is PointKind.INTERVAL) != (point.interval_s is not None):
        yield 'interval_s belongs to kind = "interval", which needs it'
    if point.kind is not PointKind.COUNTER:
        for key in ("modulus", "exchange", "rated_power_kw"):
            if getattr(point, key):
                yield f'{key} belongs to kind = "counter" only: remove it or change the kind'
    if point.carrier is not None:
        known = units.RATES if point.kind is PointKind.GAUGE else units.AMOUNTS
        if point.unit not in known:
            yield f"unit {point.unit!r} is not one of {', '.join(known)}"
    moments = [exchange.at for exchange in point.exchange]
    if moments != sorted(set(moments)):
        yield "exchange entries must be sorted by `at`, each with its own"


def _of_accuracy(point: PointTable) -> Iterator[str]:
    if point.classes and point.accuracy_percent is not None:
        yield "accuracy_percent and classes say the same twice: keep one of them"
    if point.classes and point.meter_class is None:
        yield "ct_class and vt_class are those of a meter: add its meter_class"


def _unsorted(table: BaseModel, keys: Sequence[str]) -> Iterator[str]:
    for key in keys:
        starts = [entry.since for entry in getattr(table, key)]
        if starts != sorted(set(starts)):
            yield f"{key} entries must be sorted by `from`, each with its own"


class UnitTable(BaseModel):
    """A process unit, with the dated values that corrections of limits and estimates read."""

    model_config = _STRICT
    name: Name
    kind: Slug | Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    product: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] | None = None
    parent: Slug | None = None
    indicators: tuple[str, ...] = ()
    output_accuracy_percent: Percent | None = None
    sampling_accuracy_percent: Percent | None = None
    input_accuracy_percent: Percent | None = None
    output_by: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")] | None = None
    accounts: dict[str, Literal["balance", "charge", "use"]] = Field(default_factory=dict)
    ore_grade: Shares = ()
    cr_fe_ratio: Annotated[tuple[PositiveFrom, ...], Field(max_length=MOST_DATED)] = ()
    clinker_share: Shares = ()
    feed_grade: Shares = ()
    scrap_share: Shares = ()
    rare_earth_ore_share: Shares = ()
    vanadium_titanium_ore_share: Shares = ()
    laterite_ore_share: Shares = ()
    pots: Annotated[tuple[PositiveFrom, ...], Field(max_length=MOST_DATED)] = ()
    current_efficiency: Efficiencies = ()
    rectifier_efficiency: Efficiencies = ()
    fixed_share: Shares = ()
    grade_response: Shares = ()
    idle_share: Shares = ()
    plan: Annotated[tuple[PlanFrom, ...], Field(max_length=MOST_DATED)] = ()
    point: dict[Slug, PointTable] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_sorted(self) -> UnitTable:
        wrong = list(_unsorted(self, UNIT_VALUES))
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class AgentTable(BaseModel):
    """Who may send for a site."""

    model_config = _STRICT
    key: Annotated[str, Field(pattern=r"^ed25519:[A-Za-z0-9+/]{43}=$")] | None = None


class SiteTable(BaseModel):
    """A site, with the dated values that corrections of limits read."""

    model_config = _STRICT
    name: Name
    altitude_m: Annotated[int, Field(ge=-500, le=9000)] | None = None
    ambient_pressure_pa: Annotated[tuple[PressureFrom, ...], Field(max_length=MOST_DATED)] = ()
    jurisdiction: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z0-9]+)*$")]
    timezone: Zone = "Asia/Shanghai"
    agent: dict[Slug, AgentTable] = Field(default_factory=dict)
    unit: dict[Slug, UnitTable] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_sorted(self) -> SiteTable:
        wrong = list(_unsorted(self, corrections.SITE_VALUES))
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class PlantFile(BaseModel):
    """A whole file."""

    model_config = _STRICT
    site: Annotated[dict[Slug, SiteTable], Field(min_length=1)]
