"""The plant as declared: sites, agents, process units and metering points (plant.toml, design 4.5).

`parse` reads a person's file with all its mistakes at once; `Plant` is what programs use.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import corrections, names, plantfile, relations, tomlfile, uncertainty, units
from core.clock import to_us
from core.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from core.corrections import Dated
    from core.plantfile import PlantFile, PointTable, SiteTable, UnitTable
    from core.relations import Known

PointKind = plantfile.PointKind
EVER: Final = (
    to_us(datetime(2000, 1, 1, tzinfo=UTC)),
    to_us(datetime(2200, 1, 1, tzinfo=UTC)),
)


@dataclass(frozen=True, slots=True)
class Site:
    """A site: one time zone, one jurisdiction, one scope of access.

    `values` are dated ones that corrections of limits read (core.corrections), as those of a unit.
    """

    id: str
    name: Mapping[str, str]
    altitude_m: int | None
    jurisdiction: str
    timezone: str
    values: Mapping[str, Dated] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agent:
    """Who may send for a site; with a key its envelopes must be signed."""

    site: str
    agent: str
    key: str | None


@dataclass(frozen=True, slots=True)
class Unit:
    """A process unit: where energy and output meet.

    `output_by` is how its output is known, where an indicator offers several ways; `accounts` are
    carriers that count by facts, each with how they are booked.
    """

    id: str
    site: str
    name: Mapping[str, str]
    kind: str
    product: str | None
    parent: str | None
    indicators: tuple[str, ...]
    output_accuracy_percent: Decimal | None
    sampling_accuracy_percent: Decimal | None = None
    values: Mapping[str, Dated] = field(default_factory=dict)
    output_by: str | None = None
    accounts: Mapping[str, str] = field(default_factory=dict)
    input_accuracy_percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A declared meter exchange: closing count of the old register, opening count of the new."""

    at_us: int
    closing: Decimal
    opening: Decimal


@dataclass(frozen=True, slots=True)
class Point:
    """A metering point; `energy_unit` is None where the point gives no energy.

    `heating_values` are measured lower heating values [kJ per kg or m3] from an instant on;
    `accuracy_percent` is of meter and transformers together, declared or of their classes;
    `verified_until` is the last day of the meter's verification, None where it is not declared;
    `fed_by` is the main meter through which its energy flows, for checks of meters alone.
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
    verified_until: date | None = None
    fed_by: str | None = None


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


def parse(text: str, name: str, known_indicators: Known | None = None) -> Plant:
    """Read a plant file; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    unrelated = relations.problems(document, known_indicators)
    try:
        table = tomlfile.validate(document, plantfile.PlantFile)
    except Misconfigured as error:
        raise Misconfigured([*error.problems, *unrelated]) from error
    if unrelated:
        raise Misconfigured(unrelated)
    return _build(table)


def from_json(declarations: Mapping[str, Mapping[str, Any]]) -> Plant:
    """Rebuild what `to_json` gave, of any number of sites."""
    if not declarations:
        return Plant()
    return _build(plantfile.PlantFile.model_validate({"site": dict(declarations)}))


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


def _build(table: PlantFile) -> Plant:
    sites: dict[str, Site] = {}
    agents: dict[tuple[str, str], Agent] = {}
    unit_map: dict[str, Unit] = {}
    points: dict[str, Point] = {}
    declarations: dict[str, Mapping[str, Any]] = {}
    for site_id, site in table.site.items():
        sites[site_id] = Site(
            site_id,
            site.name.model_dump(),
            site.altitude_m,
            site.jurisdiction,
            site.timezone,
            _values(site, corrections.SITE_VALUES),
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
                unit.sampling_accuracy_percent,
                _values(unit, plantfile.UNIT_VALUES),
                unit.output_by,
                dict(unit.accounts),
                unit.input_accuracy_percent,
            )
            for point_key, point in unit.point.items():
                point_id = f"{unit_id}.{point_key}"
                points[point_id] = _point(point_id, point)
    return Plant(sites, agents, unit_map, points, declarations)


def _point(point_id: str, table: PointTable) -> Point:
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
        accuracy_percent=_accuracy(table),
        sign=table.sign,
        role=table.role,
        parent=f"{names.unit_of(point_id)}.{table.parent}" if table.parent else None,
        max_gap_us=table.max_gap_s * 1_000_000,
        interval_us=None if table.interval_s is None else table.interval_s * 1_000_000,
        exchanges=tuple(Exchange(to_us(e.at), e.closing, e.opening) for e in table.exchange),
        heating_values=tuple((to_us(h.since), Fraction(h.value)) for h in table.heating_value),
        verified_until=table.verified_until,
        fed_by=names.beside(point_id, table.fed_by),
    )


def _accuracy(table: PointTable) -> Decimal | None:
    return uncertainty.of_classes(*table.classes) if table.classes else table.accuracy_percent


def _values(table: SiteTable | UnitTable, keys: Sequence[str]) -> dict[str, Dated]:
    """Return the dated values that are declared."""
    return {
        key: tuple((to_us(entry.since), Fraction(entry.value)) for entry in getattr(table, key))
        for key in keys
        if getattr(table, key)
    }
