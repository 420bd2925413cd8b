"""Energy per unit of product: a unit's results per period, and one result by its id."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import answers, problems, requests
from api.access import Action
from api.deps import Caller, Shared, View, allow, look
from api.requests import Windowed
from api.schemas import Page, PeriodItem, ResultItem
from core import indicators, periods
from core.clock import from_us
from core.errors import Rejected
from core.indicators import Indicator
from core.periods import Period
from core.plant import Site, Unit
from store import figures, results

router = APIRouter(tags=["intensity"], dependencies=[allow(Action.READ_FIGURES)])


@router.get("/api/v1/units/{unit}/intensity", **answers.documented(Page[PeriodItem]))
async def list_intensity(
    shared: Shared,
    caller: Caller,
    unit: str,
    asked: Windowed,
    indicator: Annotated[str | None, Query(description="Default: the unit's first.")] = None,
    period: Period = Period.MONTH,
) -> Response:
    """List a unit's figures and verdicts of the periods that begin in [from, to)."""
    async with look(shared, caller) as view:
        found, site = view.unit(unit)
        chosen = _indicator(found, indicator)
        if period is Period.SLOT:
            return await _slots(view, found, site, chosen, asked)
        left = asked.resumed(view.now_us, site.timezone)
        rows = await results.read(
            view.connection,
            found.id,
            chosen.id,
            period.value,
            (left.from_us, left.until_us),
            asked.limit + 1,
        )
    more = rows[asked.limit :]
    following = requests.encode_cursor(more[0].start_us) if more else None
    return answers.page([row.item(site.timezone) for row in rows[: asked.limit]], following)


@router.get("/api/v1/results/{result}", **answers.documented(ResultItem))
async def get_result(shared: Shared, caller: Caller, result: UUID) -> Response:
    """Show one stored figure, any version, with what it was computed from."""
    async with look(shared, caller) as view:
        row = await results.find(view.connection, result)
        if row is None:
            raise problems.not_found(f"No result has the id {result}.", "unknown_result")
        _, site = view.unit(row.unit)
    return answers.json(
        {
            **row.item(site.timezone),
            "product": row.figures.get("product"),
            "inputs": row.figures.get("inputs", {}),
        }
    )


def _indicator(unit: Unit, asked: str | None) -> Indicator:
    if asked is None:
        if not unit.indicators:
            raise problems.bad_parameter("indicator", f"{unit.id} declares none: name one")
        asked = unit.indicators[0]
    try:
        return indicators.find(asked)
    except Rejected as error:
        raise problems.bad_parameter("indicator", str(error)) from error


async def _slots(
    view: View, unit: Unit, site: Site, indicator: Indicator, asked: Windowed
) -> Response:
    """Slots have no stored results: the same pure functions compute them for this answer."""
    bounds, following = requests.page_of_periods(Period.SLOT, asked, view.now_us, site.timezone)
    found = await figures.compute(
        view.connection,
        view.declared.plant,
        view.declared.point_ids,
        unit,
        indicator,
        bounds,
        from_us(view.now_us),
    )
    items: list[dict[str, Any]] = [
        {
            "unit": unit.id,
            "indicator": indicator.id,
            "period": Period.SLOT.value,
            "period_start": periods.render(start_us, site.timezone),
            "period_end": periods.render(end_us, site.timezone),
            "closed": end_us <= view.now_us,
            **{key: one[key] for key in results.SHOWN},
            "version": 0,
            "computed_at": periods.render_utc(view.now_us),
            "result": None,
        }
        for (start_us, end_us), one in zip(bounds, found, strict=True)
    ]
    return answers.page(items, following)
