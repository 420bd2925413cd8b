"""Metering points: their declaration, their readings, their energy per period."""

from math import isnan
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import answers, problems, requests
from api.access import Action
from api.deps import Caller, Shared, View, allow, look
from api.requests import DEFAULT_LIMIT, AsOf, Cursor, From, Limit, To, Windowed
from api.schemas import EnergyItem, Page, PointItem, ReadingItem, TrendItem
from core import decimals, flags, periods
from core.clock import from_us
from core.intensity import PeriodEnergy
from core.periods import Period
from core.plant import Point, PointKind
from core.quality import Quality
from store import asof, slotsums, trend, views
from store.views import StoredReading

MOST_BUCKETS: Final = 2_000  # more than a wide screen has pixels for
DEFAULT_BUCKETS: Final = 1_000
MOST_TREND_US: Final = (
    400 * 24 * periods.HOUR_US
)  # a point a second for so long takes a minute to read
router = APIRouter(tags=["points"], dependencies=[allow(Action.READ_FIGURES)])


@router.get("/api/v1/points", **answers.documented(Page[PointItem]))
async def list_points(
    shared: Shared,
    caller: Caller,
    unit: str | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """List the metering points in the caller's scope, of one unit where it is named."""
    async with look(shared, caller) as view:
        seen = [view.unit(unit)[0]] if unit is not None else view.units()
        wanted = {one.id for one in seen}
        points = sorted(
            (point for point in view.declared.plant.points.values() if point.unit in wanted),
            key=lambda point: point.id,
        )
    shown, following = requests.page_of_ids(points, [one.id for one in points], limit, cursor)
    return answers.page([_point_item(point) for point in shown], following)


@router.get("/api/v1/points/{point}/readings", **answers.documented(Page[ReadingItem]))
async def list_readings(
    shared: Shared,
    caller: Caller,
    point: str,
    asked: Windowed,
) -> Response:
    """List a point's readings measured in [from, to), oldest first, as they were committed."""
    async with look(shared, caller) as view:
        found, site = view.point(point)
        left = asked.resumed(view.now_us, site.timezone)
        rows = await views.readings(
            view.connection,
            view.declared.point_ids[found.id],
            left.from_us,
            left.until_us,
            asked.limit + 1,
        )
    more = rows[asked.limit :]
    following = requests.encode_cursor(more[0].measured_us) if more else None
    return answers.page([_reading_item(found, row) for row in rows[: asked.limit]], following)


@router.get("/api/v1/points/{point}/trend", **answers.documented(TrendItem))
async def show_trend(
    shared: Shared,
    caller: Caller,
    point: str,
    from_: From = None,
    to: To = None,
    buckets: Annotated[
        int, Query(ge=1, le=MOST_BUCKETS, description="Into so many the range is cut.")
    ] = DEFAULT_BUCKETS,
) -> Response:
    """Show a point's readings in [from, to) drawn together, with the least and the greatest kept.

    Buckets without readings are left out: a gap stays one at every zoom.
    """
    async with look(shared, caller) as view:
        found, site = view.point(point)
        asked = requests.span(from_, to, view.now_us, site.timezone)
        length_us = asked.until_us - asked.from_us
        if length_us > MOST_TREND_US:
            raise problems.bad_parameter("to", "lies more than 400 days after `from`: ask for less")
        bucket_us = max(1_000_000, -(-length_us // buckets))
        number = view.declared.point_ids[found.id]
        drawn = await trend.read(
            view.connection, number, (asked.from_us, asked.until_us), bucket_us
        )
    return answers.json(
        {
            "point": found.id,
            "measured_unit": found.measured_unit,
            "bucket_s": bucket_us / 1_000_000,
            "start": [periods.render(start_us, site.timezone) for start_us in drawn.start_us],
            "min": drawn.least,
            "max": drawn.greatest,
            "readings": drawn.readings,
            "bad": drawn.bad,
        }
    )


@router.get("/api/v1/points/{point}/energy", **answers.documented(Page[EnergyItem]))
async def list_energy(
    shared: Shared,
    caller: Caller,
    point: str,
    asked: Windowed,
    period: Period = Period.DAY,
    as_of: AsOf = None,
) -> Response:
    """List a point's energy per period that begins in [from, to) and not after the present.

    With `as_of`, computed again from what had been recorded and declared at that instant.
    """
    at_us = requests.as_of(as_of, shared.now_us)
    async with look(shared, caller) as view:
        found, site = view.point(point)
        if found.energy_unit is None:
            raise _no_energy(found)
        if at_us is not None:
            return await _as_known(view, found, period, asked, at_us)
        bounds, following = requests.page_of_periods(period, asked, view.now_us, site.timezone)
        number = view.declared.point_ids[found.id]
        spans = [(number, begin, end) for begin, end in bounds]
        energies = await slotsums.energies(view.connection, spans)
    items = [_energy_item(found, period, energy, site.timezone, view.now_us) for energy in energies]
    return answers.page(items, following)


async def _as_known(
    view: View, point: Point, period: Period, asked: Windowed, at_us: int
) -> Response:
    known = await asof.known_at(
        view.connection, point.site, view.declared.point_ids, from_us(at_us)
    )
    then = None if known is None else known.plant.points.get(point.id)
    if known is None or then is None:
        return answers.page([])
    if then.energy_unit is None:
        raise _no_energy(then)
    zone = known.plant.sites[then.site].timezone
    bounds, following = requests.page_of_periods(period, asked, at_us, zone)
    energies = await known.energies([(then.id, begin, end) for begin, end in bounds])
    items = [_energy_item(then, period, energy, zone, at_us) for energy in energies]
    return answers.page(items, following)


def _no_energy(point: Point) -> problems.ProblemError:
    return problems.ProblemError(
        422, f"{point.id} declares no carrier: it gives readings, no energy.", "no_energy"
    )


def _point_item(point: Point) -> dict[str, Any]:
    return {
        "point": point.id,
        "site": point.site,
        "unit": point.unit,
        "kind": point.kind.value,
        "carrier": point.carrier,
        "role": point.role,
        "sign": point.sign,
        "measured_unit": point.measured_unit,
        "energy_unit": point.energy_unit,
        "max_gap_s": point.max_gap_us / 1_000_000,
        "interval_s": None if point.interval_us is None else point.interval_us / 1_000_000,
    }


def _reading_item(point: Point, row: StoredReading) -> dict[str, Any]:
    value: int | float | None = None if isnan(row.value) else row.value
    if value is not None and point.kind is PointKind.COUNTER and float(value).is_integer():
        value = int(value)
    return {
        "measured_at": periods.render_utc(row.measured_us),
        "recorded_at": periods.render_utc(row.recorded_us),
        "value": value,
        "quality": Quality(row.quality).word,
    }


def _energy_item(
    point: Point, period: Period, energy: PeriodEnergy, timezone: str, now_us: int
) -> dict[str, Any]:
    known = energy.energy_e6 is not None
    return {
        "point": point.id,
        "period": period.value,
        "period_start": periods.render(energy.start_us, timezone),
        "period_end": periods.render(energy.end_us, timezone),
        "closed": energy.end_us <= now_us,
        "energy": {
            "value": decimals.show_e6(energy.energy_e6) if energy.energy_e6 is not None else None,
            "estimated": decimals.show_e6(energy.estimated_e6) if known else "0",
            "unit": point.energy_unit,
        },
        "completeness": round(float(energy.completeness(now_us)), 6),
        "flags": flags.words(energy.flags),
        # Summed from slots for this answer: no stored result stands behind it.
        "version": None,
        "computed_at": periods.render_utc(now_us),
        "result": None,
    }
