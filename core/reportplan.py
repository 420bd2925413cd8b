"""What a plant tells the national system: its `national.toml`, checked against plant and mapping.

An item is a code and where its figure comes from: metering points that are added up, or figures of
units as the ledger has them. Promise: all mistakes at once, with file, line and key; nothing is
told that the file does not name.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import indicators, periods, tomlfile, units
from core.errors import Misconfigured
from core.names import POINT_PATTERN, SITE_PATTERN, UNIT_PATTERN
from core.periods import Period

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.errors import Problem
    from core.nationalreport import Names, ToldUnit
    from core.plant import Plant
    from core.tomlfile import Document

MOST_ITEMS: Final = 2_000  # a plant of 500 points, each with its day and month, has half of it
MOST_METERS: Final = 2_000
MOST_TERMS: Final = 500  # of one item
# 18 characters of the unified social credit code (GB 32100): no I, O, S, V, Z. From memory.
_ENTERPRISE: Final = r"^[0-9A-HJ-NP-RTUW-Y]{18}$"
_STRICT: Final = ConfigDict(extra="forbid", frozen=True)


class What(StrEnum):
    """Which of a figure's numbers is told."""

    ENERGY = "energy"
    OUTPUT = "output"
    INTENSITY = "intensity"


class _FigureTable(BaseModel):
    model_config = _STRICT
    unit: Annotated[str, Field(pattern=UNIT_PATTERN)]
    indicator: Annotated[str, Field(min_length=1, max_length=100)]


class _ItemTable(BaseModel):
    model_config = _STRICT
    name: Annotated[str, Field(min_length=1, max_length=100)]
    periods: Annotated[tuple[Literal["slot", "day", "month"], ...], Field(min_length=1)]
    points: Annotated[
        tuple[Annotated[str, Field(pattern=POINT_PATTERN)], ...], Field(max_length=MOST_TERMS)
    ] = ()
    figures: Annotated[tuple[_FigureTable, ...], Field(max_length=MOST_TERMS)] = ()
    what: What | None = None
    code: dict[str, str]


class _MeterTable(BaseModel):
    model_config = _STRICT
    name: Annotated[str, Field(min_length=1, max_length=100)]
    point: Annotated[str, Field(pattern=POINT_PATTERN)]
    model: Annotated[str, Field(min_length=1, max_length=100)]
    serial: Annotated[str, Field(min_length=1, max_length=100)]


class _File(BaseModel):
    model_config = _STRICT
    site: Annotated[str, Field(pattern=SITE_PATTERN)]
    enterprise: Annotated[str, Field(pattern=_ENTERPRISE)]
    device: Annotated[str, Field(min_length=1, max_length=100)]
    since: date
    item: Annotated[tuple[_ItemTable, ...], Field(min_length=1, max_length=MOST_ITEMS)]
    meter: Annotated[tuple[_MeterTable, ...], Field(max_length=MOST_METERS)] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One item: its composed code, its unit here and there, and what is added up for it.

    `points` are (point, sign); `figures` are (unit, indicator), of which `what` is told.
    """

    code: str
    name: str
    periods: tuple[Period, ...]
    unit: str
    told: ToldUnit
    points: tuple[tuple[str, int], ...] = ()
    figures: tuple[tuple[str, str], ...] = ()
    what: What | None = None


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter as the platform is told of it; what the plant does not declare is None."""

    name: str
    model: str
    serial: str
    accuracy: str | None
    verified_until: date | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one enterprise tells: who, since when, which items, which meters."""

    site: str
    timezone: str
    enterprise: str
    device: str
    since_us: int
    items: tuple[Item, ...]
    meters: tuple[Meter, ...]

    def of(self, period: Period) -> tuple[Item, ...]:
        """Return the items that are told for a kind of period."""
        return tuple(item for item in self.items if period in item.periods)


def parse(text: str, name: str, plant: Plant, names: Names) -> Report:
    """Read a plant's file; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _File)
    site = plant.sites.get(table.site)
    if site is None:
        raise Misconfigured([document.problem(("site",), f"no site {table.site!r} is declared")])
    problems: list[Problem] = []
    items: list[Item] = []
    for place, each in enumerate(table.item):
        try:
            items.append(_item(each, table.site, plant, names))
        except _WrongError as error:
            problems.append(document.problem(("item", place, error.key), str(error)))
    problems += _twice(document, table, items)
    problems += _meter_problems(document, table, plant)
    if problems:
        raise Misconfigured(problems)
    return Report(
        table.site,
        site.timezone,
        table.enterprise,
        table.device,
        periods.midnight(table.since, site.timezone),
        tuple(items),
        tuple(_meter(each, plant) for each in table.meter),
    )


class _WrongError(Exception):
    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key


def _item(table: _ItemTable, site: str, plant: Plant, names: Names) -> Item:
    if bool(table.points) == bool(table.figures):
        raise _WrongError("name", "give either `points` or `figures`")
    kinds = tuple(Period(each) for each in table.periods)
    if len(set(kinds)) < len(kinds):
        raise _WrongError("periods", "names a period twice")
    if table.points:
        unit, carrier, points = _of_points(table, site, plant)
        figures: tuple[tuple[str, str], ...] = ()
    else:
        unit, carrier, points = _of_figures(table, site, plant, kinds), None, ()
        figures = tuple((each.unit, each.indicator) for each in table.figures)
    try:
        code = names.item_code(table.code, carrier)
    except ValueError as error:
        raise _WrongError("code", str(error)) from error
    return Item(code, table.name, kinds, unit, names.unit_of(unit), points, figures, table.what)


def _of_points(
    table: _ItemTable, site: str, plant: Plant
) -> tuple[str, str, tuple[tuple[str, int], ...]]:
    if table.what is not None:
        raise _WrongError("what", "belongs to `figures`: remove it")
    found = []
    for name in table.points:
        point = plant.points.get(name)
        if point is None or point.site != site:
            raise _WrongError("points", f"no point {name!r} is declared at {site}")
        if point.energy_unit is None or point.carrier is None:
            raise _WrongError("points", f"{name} gives no energy: it has no carrier")
        found.append(point)
    if len(set(table.points)) < len(table.points):
        raise _WrongError("points", "names a point twice: it would be counted twice")
    carriers = {point.carrier for point in found}
    if len(carriers) > 1:
        raise _WrongError("points", "mixes carriers: an item is of one")
    quantities = {units.quantity(str(point.energy_unit)) for point in found}
    first = str(found[0].energy_unit)
    if len(quantities) > 1:
        raise _WrongError("points", "mixes units of different quantities")
    return first, str(found[0].carrier), tuple((point.id, point.sign) for point in found)


def _of_figures(table: _ItemTable, site: str, plant: Plant, kinds: tuple[Period, ...]) -> str:
    if table.what is None:
        raise _WrongError("name", "lacks `what`: write energy, output or intensity")
    if Period.SLOT in kinds:
        raise _WrongError("periods", "no figure of a unit has slots: leave them to points")
    if table.what is What.INTENSITY and len(table.figures) > 1:
        raise _WrongError("figures", "intensities do not add up: give one figure")
    known = indicators.catalogue()
    found = set()
    for each in table.figures:
        unit = plant.units.get(each.unit)
        if unit is None or unit.site != site:
            raise _WrongError("figures", f"no unit {each.unit!r} is declared at {site}")
        if each.indicator not in unit.indicators:
            raise _WrongError("figures", f"{each.unit} does not have {each.indicator}")
        indicator = known[each.indicator]
        found.add(
            {
                What.ENERGY: indicator.energy_unit,
                What.OUTPUT: indicator.output_unit,
                What.INTENSITY: indicator.unit,
            }[table.what]
        )
    if len(found) > 1:
        raise _WrongError("figures", f"mixes units of measure: {', '.join(sorted(found))}")
    return found.pop()


def _twice(document: Document, table: _File, items: list[Item]) -> Iterator[Problem]:
    codes = Counter((item.code, period) for item in items for period in item.periods)
    for (code, period), count in sorted(codes.items()):
        if count > 1:
            told = f"{code} is the code of {count} items for one {period}: give each its own"
            yield document.problem(("item",), told)
    serials = Counter(each.serial for each in table.meter)
    for serial, count in sorted(serials.items()):
        if count > 1:
            yield document.problem(("meter",), f"{count} meters have the number {serial!r}")


def _meter_problems(document: Document, table: _File, plant: Plant) -> Iterator[Problem]:
    for place, each in enumerate(table.meter):
        point = plant.points.get(each.point)
        if point is None or point.site != table.site:
            told = f"no point {each.point!r} is declared at {table.site}"
            yield document.problem(("meter", place, "point"), told)


def _meter(table: _MeterTable, plant: Plant) -> Meter:
    point = plant.points[table.point]
    accuracy = None if point.accuracy_percent is None else str(point.accuracy_percent)
    return Meter(table.name, table.model, table.serial, accuracy, point.verified_until)


def meters_row(meter: Meter) -> Mapping[str, str | None]:
    """Return a meter in our words."""
    until = meter.verified_until
    return {
        "name": meter.name,
        "model": meter.model,
        "serial": meter.serial,
        "accuracy": meter.accuracy,
        "verified_until": None if until is None else until.isoformat(),
    }
