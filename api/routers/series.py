"""Figures of many units side by side, as columns: what a page over a whole company draws."""

from functools import lru_cache
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import answers, problems, requests
from api.access import Action
from api.deps import Caller, Shared, allow, look
from api.requests import Windowed
from api.schemas import Page, SeriesItem
from core import indicators, periods
from core.errors import Rejected
from core.periods import Period
from core.plant import Site
from store import series

router = APIRouter(tags=["intensity"], dependencies=[allow(Action.READ_FIGURES)])

MOST_FIGURES: Final = 250_000  # of one page: some 12 MB of JSON
_SHORTEST_US: Final = {
    Period.HOUR: periods.HOUR_US,
    Period.SHIFT: 8 * periods.HOUR_US,
    Period.DAY: 23 * periods.HOUR_US,
    Period.MONTH: 28 * 23 * periods.HOUR_US,
    Period.YEAR: 365 * 23 * periods.HOUR_US,
}


@router.get("/api/v1/intensity", **answers.documented(Page[SeriesItem]))
async def list_series(
    shared: Shared,
    caller: Caller,
    asked: Windowed,
    indicator: Annotated[str, Query(description="An indicator's id: see /indicators.")],
    period: Period = Period.DAY,
) -> Response:
    """List the units in the caller's scope that have figures of an indicator, one series each.

    `from` and `to` filter the periods' starts as everywhere; a page is cut by units.
    """
    if period is Period.SLOT:
        raise problems.bad_parameter("period", "slots are not stored: ask a unit for them")
    try:
        chosen = indicators.find(indicator)
    except Rejected as error:
        raise problems.bad_parameter("indicator", str(error)) from error
    async with look(shared, caller) as view:
        declaring = [unit for unit in view.units() if chosen.id in unit.indicators]
        sites = {site.id: site for site in view.sites()}
        spans = {site.id: asked.span(view.now_us, site.timezone) for site in sites.values()}
        length_us = max((span.until_us - span.from_us for span in spans.values()), default=0)
        room = max(1, MOST_FIGURES // (length_us // _SHORTEST_US[period] + 1))
        limit = min(asked.limit, room)
        ids = [unit.id for unit in declaring]
        shown, following = requests.page_of_ids(declaring, ids, limit, asked.cursor)
        items: list[dict[str, Any]] = []
        for site in sites.values():
            own = [unit.id for unit in shown if unit.site == site.id]
            span = (spans[site.id].from_us, spans[site.id].until_us)
            found = await series.read(view.connection, own, (chosen.id, period.value), span)
            items += [
                _item(unit, chosen, period, site, found[unit]) for unit in own if unit in found
            ]
    return answers.page(sorted(items, key=lambda item: item["unit"]), following)


def _item(
    unit: str,
    indicator: indicators.Indicator,
    period: Period,
    site: Site,
    found: series.Series,
) -> dict[str, Any]:
    return {
        "unit": unit,
        "indicator": indicator.id,
        "period": period.value,
        "units": {
            "energy": indicator.energy_unit,
            "output": indicator.output_unit,
            "intensity": indicator.unit,
        },
        "period_start": [_rendered(start_us, site.timezone) for start_us in found.start_us],
        "closed": found.closed,
        "energy": found.energy,
        "output": found.output,
        "intensity": found.intensity,
        "completeness": found.completeness,
    }


@lru_cache(maxsize=20_000)
def _rendered(start_us: int, zone: str) -> str:
    """Return a period's start; the units of a site share theirs."""
    return periods.render(start_us, zone)
