"""Energy per unit of product: a unit's results per period, and one result by its id."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import answers, known, problems, requests
from api.access import Action
from api.deps import Caller, Shared, View, allow, look
from api.requests import AsOf, Windowed
from api.schemas import Page, PeriodItem, ResultItem
from core.clock import from_us
from core.indicators import Indicator
from core.periods import Period
from core.plant import Site, Unit
from store import asof, figures, results

router = APIRouter(tags=["intensity"], dependencies=[allow(Action.READ_FIGURES)])


@router.get("/api/v1/units/{unit}/intensity", **answers.documented(Page[PeriodItem]))
async def list_intensity(
    shared: Shared,
    caller: Caller,
    unit: str,
    asked: Windowed,
    indicator: Annotated[str | None, Query(description="Default: the unit's first.")] = None,
    period: Period = Period.MONTH,
    as_of: AsOf = None,
) -> Response:
    """List a unit's figures and verdicts of the periods that begin in [from, to).

    With `as_of`, as they were known then: closed ones by their versions, the others computed
    again from what had been recorded.
    """
    at_us = requests.as_of(as_of, shared.now_us)
    async with look(shared, caller) as view:
        found, site = view.unit(unit)
        chosen = known.indicator_of(found, indicator)
        if at_us is not None:
            return await _as_known(view, found, chosen, period, asked, at_us)
        if period is Period.SLOT:
            return await _slots(view, found, site, chosen, asked)
        left = asked.resumed(view.now_us, site.timezone)
        rows = await results.read(
            view.connection,
            (found.id, chosen.id, period.value),
            (left.from_us, left.until_us),
            asked.limit + 1,
        )
    more = rows[asked.limit :]
    following = requests.encode_cursor(more[0].start_us) if more else None
    return answers.page([row.versioned(site.timezone) for row in rows[: asked.limit]], following)


@router.get("/api/v1/results/{result}", **answers.documented(ResultItem))
async def get_result(shared: Shared, caller: Caller, result: UUID) -> Response:
    """Show one stored figure, any version, with what it was computed from and its versions."""
    async with look(shared, caller) as view:
        row = await results.find(view.connection, result)
        if row is None:
            raise problems.not_found(f"No result has the id {result}.", "unknown_result")
        _, site = view.unit(row.unit)
        history = await results.history(view.connection, row)
    return answers.json(
        {
            **row.versioned(site.timezone),
            "product": row.figures.get("product"),
            "inputs": row.figures.get("inputs", {}),
            "versions": [version.item() for version in history],
        }
    )


async def _as_known(
    view: View, unit: Unit, indicator: Indicator, period: Period, asked: Windowed, at_us: int
) -> Response:
    """Answer with what was known at an instant; whatever came later has no part in it."""
    at = from_us(at_us)
    store = await asof.known_at(view.connection, unit.site, view.declared.point_ids, at)
    if store is None or unit.id not in store.plant.units:
        return answers.page([])
    then = store.plant.units[unit.id]
    zone = store.plant.sites[then.site].timezone
    bounds, following = requests.page_of_periods(period, asked, at_us, zone)
    found = await known.figures_at(store, then, indicator, period, bounds)
    return answers.page([each.item for each in found], following)


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
    when = (site.timezone, view.now_us)
    items = [
        known.computed_item(unit, indicator, Period.SLOT, bound, when, one)
        for bound, one in zip(bounds, found, strict=True)
    ]
    return answers.page(items, following)
