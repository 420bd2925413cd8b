"""A unit as the page shows it: its declaration, its live power, its open month and day.

Loading is bounded by the units asked for; assembling is pure, so that the list, the single unit
and the live stream show the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any, Final

from psycopg import AsyncConnection

from core import decimals, periods
from core.clock import from_us
from core.indicators import catalogue
from core.periods import Period
from core.plant import Plant, Point, Site, Unit
from store import results, views
from store.results import Result
from store.views import Latest

ALLOWED_AGE_S: Final = 30
POWER_PLACES: Final = 3  # to the watt: a mean over half a minute knows no more
OPEN_KINDS: Final = (Period.MONTH, Period.DAY)
_POWER_CARRIER: Final = "electricity"


def power_points(plant: Plant, units: Iterable[str]) -> dict[str, list[Point]]:
    """Return the points whose rates make the live power of each unit: its own electricity."""
    wanted: dict[str, list[Point]] = {unit: [] for unit in units}
    for point in plant.points.values():
        if point.unit in wanted and point.carrier == _POWER_CARRIER and point.energy_unit:
            wanted[point.unit].append(point)
    return wanted


async def load(
    connection: AsyncConnection[Any],
    plant: Plant,
    point_ids: Mapping[str, int],
    units: Sequence[Unit],
    now_us: int,
) -> list[dict[str, Any]]:
    """Return the views of these units, in their order."""
    points = power_points(plant, [unit.id for unit in units])
    latest = await load_latest(connection, points, point_ids)
    found = await load_open(connection, [unit.id for unit in units], now_us)
    return [
        assemble(
            unit, plant.sites[unit.site], points[unit.id], latest, found.get(unit.id, []), now_us
        )
        for unit in units
    ]


async def load_latest(
    connection: AsyncConnection[Any],
    points: Mapping[str, Sequence[Point]],
    point_ids: Mapping[str, int],
) -> dict[str, Latest]:
    """Return what these points showed last, by point id."""
    by_number = {
        point_ids[point.id]: point.id
        for group in points.values()
        for point in group
        if point.id in point_ids
    }
    latest = await views.latest(connection, list(by_number))
    return {by_number[number]: shown for number, shown in latest.items()}


async def load_open(
    connection: AsyncConnection[Any], units: Sequence[str], now_us: int
) -> dict[str, list[Result]]:
    """Return the results of the open month and day of each unit."""
    found: dict[str, list[Result]] = {}
    if units:
        for result in await results.open_results(connection, units, OPEN_KINDS, from_us(now_us)):
            found.setdefault(result.unit, []).append(result)
    return found


def assemble(
    unit: Unit,
    site: Site,
    points: Sequence[Point],
    latest: Mapping[str, Latest],
    found: Sequence[Result],
    now_us: int,
) -> dict[str, Any]:
    """Put a unit's view together (HTTP contract, `UnitView`)."""
    return {
        "unit": unit.id,
        "site": site.id,
        "site_name": dict(site.name),
        "timezone": site.timezone,
        "jurisdiction": site.jurisdiction,
        "name": dict(unit.name),
        "kind": unit.kind,
        "product": unit.product,
        "parent": unit.parent,
        "indicators": list(unit.indicators),
        "live": live(points, latest),
        "current": _open_items(unit, site, found, Period.MONTH, now_us),
        "today": _open_items(unit, site, found, Period.DAY, now_us),
    }


def live(points: Sequence[Point], latest: Mapping[str, Latest]) -> dict[str, Any]:
    """Return the signed sum of the points' power [kW] and the age it has: the oldest part's.

    One unknown part makes the sum unknown: unknown is not zero.
    """
    shown = [latest[point.id] for point in points if point.id in latest]
    power = [_power(point, latest.get(point.id)) for point in points]
    known = [part for part in power if part is not None]
    complete = bool(power) and len(known) == len(power)
    total_kw = sum(known, Decimal(0))
    interval_s = max((point.interval_us or 0 for point in points), default=0) // 1_000_000
    return {
        "measured_at": (
            periods.render_utc(min(one.measured_us for one in shown)) if shown else None
        ),
        "power_kw": decimals.show(round(total_kw, POWER_PLACES)) if complete else None,
        "allowed_age_s": max(ALLOWED_AGE_S, 2 * interval_s),
    }


def _power(point: Point, shown: Latest | None) -> Decimal | None:
    if shown is None or shown.rate_kw is None or not isfinite(shown.rate_kw):
        return None
    return Decimal(repr(shown.rate_kw)) * point.sign


def _open_items(
    unit: Unit, site: Site, found: Sequence[Result], period: Period, now_us: int
) -> list[dict[str, Any]]:
    by_indicator = {one.indicator: one for one in found if one.period == period}
    bounds = periods.period_at(period, now_us, site.timezone)
    return [
        by_indicator[indicator].item(site.timezone)
        if indicator in by_indicator
        else blank(unit.id, indicator, period, bounds, site.timezone)
        for indicator in unit.indicators
    ]


def blank(
    unit: str, indicator: str, period: Period, bounds: tuple[int, int], timezone: str
) -> dict[str, Any]:
    """Return the item of a period that nobody has computed yet: everything absent is null."""
    known = catalogue().get(indicator)
    return {
        "unit": unit,
        "indicator": indicator,
        "period": period.value,
        "period_start": periods.render(bounds[0], timezone),
        "period_end": periods.render(bounds[1], timezone),
        "closed": False,
        "energy": {
            "value": None,
            "estimated": "0",
            "unit": known.energy_unit if known else None,
        },
        "output": {"value": None, "unit": known.output_unit if known else None},
        "intensity": {
            "value": None,
            "unit": known.unit if known else None,
            "uncertainty": None,
        },
        "completeness": 0.0,
        "flags": [],
        "verdicts": [],
        "formula_version": known.formula_version if known else None,
        "version": 0,
        "computed_at": None,
        "result": None,
    }
