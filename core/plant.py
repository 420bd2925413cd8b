"""The plant as declared: sites, agents, process units and metering points (plant.toml, design 4.5).

`parse` reads a person's file with all its mistakes at once; `Plant` is what programs use.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from core import decimals, names, periods, relations, tomlfile, units
from core.clock import to_us
from core.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DEFAULT_MAX_GAP_S: Final = 1800
DEFAULT_ROLE: Final = "process"
MOST_MODULUS: Final = 2**53
MOST_EXCHANGED: Final = 4 * 10**12  # counts, so that millionths of them fit int64
EVER: Final = (
    to_us(datetime(2000, 1, 1, tzinfo=UTC)),
    to_us(datetime(2200, 1, 1, tzinfo=UTC)),
)


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


# Printed plainly, never as 1E-7, so that what is written can be read again.
Exact = Annotated[
    Decimal, BeforeValidator(_decimal), PlainSerializer(lambda number: f"{number:f}", str, "json")
]
Positive = Annotated[Exact, Field(gt=0)]
Instant = Annotated[datetime, BeforeValidator(_aware)]
Slug = Annotated[str, Field(pattern=names.SITE_PATTERN)]
Zone = Annotated[str, AfterValidator(_zone)]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Name(BaseModel):
    """A name in the languages of the page."""

    model_config = _STRICT
    zh: str
    en: str


class _Multiplier(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    since: Instant = Field(alias="from")
    value: Exact


class _HeatingValue(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    since: Instant = Field(alias="from")
    value: Positive


class _Exchange(BaseModel):
    model_config = _STRICT
    at: Instant
    closing: Annotated[Exact, Field(ge=0, le=MOST_EXCHANGED)]
    opening: Annotated[Exact, Field(ge=0, le=MOST_EXCHANGED)]


class _PointTable(BaseModel):
    model_config = _STRICT
    kind: PointKind
    name: Name | None = None
    carrier: str | None = None
    unit: str
    modulus: Annotated[int, Field(gt=0, le=MOST_MODULUS)] | None = None
    rated_power_kw: Positive | None = None
    multiplier: tuple[_Multiplier, ...] = ()
    accuracy_percent: Annotated[Exact, Field(ge=0, le=100)] | None = None
    sign: Literal[1, -1] = 1
    role: Slug = DEFAULT_ROLE
    parent: Slug | None = None
    max_gap_s: Annotated[int, Field(gt=0, le=31 * 86_400)] = DEFAULT_MAX_GAP_S
    interval_s: Annotated[int, Field(gt=0, le=366 * 86_400)] | None = None
    exchange: tuple[_Exchange, ...] = ()
    heating_value: tuple[_HeatingValue, ...] = ()

    @model_validator(mode="after")
    def _fits_its_kind(self) -> _PointTable:
        wrong = list(_misfits(self))
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def _misfits(point: _PointTable) -> Iterator[str]:
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
    for key in ("multiplier", "heating_value"):
        starts = [entry.since for entry in getattr(point, key)]
        if starts != sorted(set(starts)):
            yield f"{key} entries must be sorted by `from`, each with its own"
    moments = [exchange.at for exchange in point.exchange]
    if moments != sorted(set(moments)):
        yield "exchange entries must be sorted by `at`, each with its own"


class _UnitTable(BaseModel):
    model_config = _STRICT
    name: Name
    kind: Slug | Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    product: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] | None = None
    parent: Slug | None = None
    indicators: tuple[str, ...] = ()
    output_accuracy_percent: Annotated[Exact, Field(ge=0, le=100)] | None = None
    point: dict[Slug, _PointTable] = Field(default_factory=dict)


class _AgentTable(BaseModel):
    model_config = _STRICT
    key: Annotated[str, Field(pattern=r"^ed25519:[A-Za-z0-9+/]{43}=$")] | None = None


class _SiteTable(BaseModel):
    model_config = _STRICT
    name: Name
    altitude_m: Annotated[int, Field(ge=-500, le=9000)] | None = None
    jurisdiction: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z0-9]+)*$")]
    timezone: Zone = "Asia/Shanghai"
    agent: dict[Slug, _AgentTable] = Field(default_factory=dict)
    unit: dict[Slug, _UnitTable] = Field(default_factory=dict)


class _PlantFile(BaseModel):
    model_config = _STRICT
    site: Annotated[dict[Slug, _SiteTable], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Site:
    """A site: one time zone, one jurisdiction, one scope of access."""

    id: str
    name: Mapping[str, str]
    altitude_m: int | None
    jurisdiction: str
    timezone: str


@dataclass(frozen=True, slots=True)
class Agent:
    """Who may send for a site; with a key its envelopes must be signed."""

    site: str
    agent: str
    key: str | None


@dataclass(frozen=True, slots=True)
class Unit:
    """A process unit: where energy and output meet."""

    id: str
    site: str
    name: Mapping[str, str]
    kind: str
    product: str | None
    parent: str | None
    indicators: tuple[str, ...]
    output_accuracy_percent: Decimal | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A declared meter exchange: closing count of the old register, opening count of the new."""

    at_us: int
    closing: Decimal
    opening: Decimal


@dataclass(frozen=True, slots=True)
class Point:
    """A metering point; `energy_unit` is None where the point gives no energy.

    `heating_values` are measured lower heating values [kJ per kg or m3] from an instant on.
    """

    id: str
    site: str
    unit: str
    kind: PointKind
    carrier: str | None
    measured_unit: str
    energy_unit: str | None
    modulus: int | None
    rated_power_kw: Decimal | None
    multipliers: tuple[tuple[int, Fraction], ...]
    accuracy_percent: Decimal | None
    sign: int
    role: str
    parent: str | None
    max_gap_us: int
    interval_us: int | None
    exchanges: tuple[Exchange, ...]
    heating_values: tuple[tuple[int, Fraction], ...] = ()


@dataclass(frozen=True, slots=True)
class Plant:
    """Everything declared, of one site or many."""

    sites: Mapping[str, Site] = field(default_factory=dict)
    agents: Mapping[tuple[str, str], Agent] = field(default_factory=dict)
    units: Mapping[str, Unit] = field(default_factory=dict)
    points: Mapping[str, Point] = field(default_factory=dict)
    declarations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _of_unit: Mapping[str, list[Point]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        of_unit: dict[str, list[Point]] = {}
        for _, point in sorted(self.points.items()):
            of_unit.setdefault(point.unit, []).append(point)
        object.__setattr__(self, "_of_unit", of_unit)

    def to_json(self, site: str) -> Mapping[str, Any]:
        """Return the declaration of a site in a normal form: what the store keeps."""
        return self.declarations[site]

    def counted(self, unit: str, counts: Callable[[Point], bool]) -> list[Point]:
        """Return the unit's own points that count; a sub-meter not where its main meter does."""
        own = [point for point in self.points_of(unit) if counts(point)]
        mains = {point.id for point in own}
        return [point for point in own if point.parent not in mains]

    def points_of(self, unit: str) -> list[Point]:
        """Return the unit's own points, sorted by id."""
        return list(self._of_unit.get(unit, ()))


def parse(text: str, name: str, known_indicators: frozenset[str] | None = None) -> Plant:
    """Read a plant file; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    unrelated = relations.problems(document, known_indicators)
    try:
        table = tomlfile.validate(document, _PlantFile)
    except Misconfigured as error:
        raise Misconfigured([*error.problems, *unrelated]) from error
    if unrelated:
        raise Misconfigured(unrelated)
    return _build(table)


def from_json(declarations: Mapping[str, Mapping[str, Any]]) -> Plant:
    """Rebuild what `to_json` gave, of any number of sites."""
    if not declarations:
        return Plant()
    return _build(_PlantFile.model_validate({"site": dict(declarations)}))


def difference(before: Plant, after: Plant) -> list[str]:
    """Say in lines what applying `after` changes: sites, agents, units, points and their keys."""
    lines: list[str] = []
    for site in after.declarations:
        old = _flat(before.declarations.get(site, {}))
        new = _flat(after.declarations[site])
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                where = f"site.{site}.{key}"
                if key not in old:
                    lines.append(f"+ {where} = {new[key]}")
                elif key not in new:
                    lines.append(f"- {where} = {old[key]}")
                else:
                    lines.append(f"~ {where} = {old[key]} -> {new[key]}")
    return lines


def touched(before: Plant, after: Plant) -> dict[str, tuple[int, int]]:
    """Return the spans of points whose energy a change of declaration may change: from, until.

    A changed multiplier touches from the first instant at which the old and new list differ; any
    other change of what computes energy touches all of the point's past.
    """
    spans: dict[str, tuple[int, int]] = {}
    for point_id, new in after.points.items():
        old = before.points.get(point_id)
        if old is None or _computing(old) == _computing(new):
            continue
        since = EVER[0]
        if _computing(old)[1:] == _computing(new)[1:]:
            differing = set(old.multipliers) ^ set(new.multipliers)
            if old.multipliers and new.multipliers:
                since = max(since, min(at_us for at_us, _ in differing))
        spans[point_id] = (since, EVER[1])
    return spans


def _computing(point: Point) -> tuple[Any, ...]:
    return (
        point.multipliers,
        point.kind,
        point.carrier,
        point.energy_unit,
        point.modulus,
        point.rated_power_kw,
        point.max_gap_us,
        point.interval_us,
        point.exchanges,
    )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = json.dumps(value, ensure_ascii=False)
    return flat


def _build(table: _PlantFile) -> Plant:
    sites: dict[str, Site] = {}
    agents: dict[tuple[str, str], Agent] = {}
    unit_map: dict[str, Unit] = {}
    points: dict[str, Point] = {}
    declarations: dict[str, Mapping[str, Any]] = {}
    for site_id, site in table.site.items():
        sites[site_id] = Site(
            site_id, site.name.model_dump(), site.altitude_m, site.jurisdiction, site.timezone
        )
        declarations[site_id] = site.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for agent_id, agent in site.agent.items():
            agents[site_id, agent_id] = Agent(site_id, agent_id, agent.key)
        for key, unit in site.unit.items():
            unit_id = f"{site_id}.{key}"
            unit_map[unit_id] = Unit(
                unit_id,
                site_id,
                unit.name.model_dump(),
                unit.kind,
                unit.product,
                f"{site_id}.{unit.parent}" if unit.parent else None,
                unit.indicators,
                unit.output_accuracy_percent,
            )
            for point_key, point in unit.point.items():
                point_id = f"{unit_id}.{point_key}"
                points[point_id] = _point(point_id, point)
    return Plant(sites, agents, unit_map, points, declarations)


def _point(point_id: str, table: _PointTable) -> Point:
    if table.carrier is None:
        energy_unit = None
    elif table.kind is PointKind.GAUGE:
        energy_unit = units.RATES[table.unit]
    else:
        energy_unit = table.unit
    return Point(
        id=point_id,
        site=names.site_of(point_id),
        unit=names.unit_of(point_id),
        kind=table.kind,
        carrier=table.carrier,
        measured_unit=table.unit,
        energy_unit=energy_unit,
        modulus=table.modulus,
        rated_power_kw=table.rated_power_kw,
        multipliers=tuple((to_us(m.since), Fraction(m.value)) for m in table.multiplier),
        accuracy_percent=table.accuracy_percent,
        sign=table.sign,
        role=table.role,
        parent=f"{names.unit_of(point_id)}.{table.parent}" if table.parent else None,
        max_gap_us=table.max_gap_s * 1_000_000,
        interval_us=None if table.interval_s is None else table.interval_s * 1_000_000,
        exchanges=tuple(Exchange(to_us(e.at), e.closing, e.opening) for e in table.exchange),
        heating_values=tuple((to_us(h.since), Fraction(h.value)) for h in table.heating_value),
    )
