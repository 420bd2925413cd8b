"""Process units: the list the page opens with, and one of them."""

from fastapi import APIRouter
from starlette.responses import Response

from api import answers, requests, unit_views
from api.access import Action
from api.deps import Caller, Shared, allow, look
from api.requests import DEFAULT_LIMIT, Cursor, Limit
from api.schemas import Page, UnitView

router = APIRouter(tags=["units"], dependencies=[allow(Action.READ_FIGURES)])


@router.get("/api/v1/units", **answers.documented(Page[UnitView]))
async def list_units(
    shared: Shared,
    caller: Caller,
    site: str | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """List the units in the caller's scope with their live power, open month and open day."""
    async with look(shared, caller) as view:
        units = [unit for unit in view.units() if site in (None, unit.site)]
        shown, following = requests.page_of_ids(units, [unit.id for unit in units], limit, cursor)
        declared = view.declared
        items = await unit_views.load(
            view.connection, declared.plant, declared.point_ids, shown, view.now_us
        )
    return answers.page(items, following)


@router.get("/api/v1/units/{unit}", **answers.documented(UnitView))
async def get_unit(shared: Shared, caller: Caller, unit: str) -> Response:
    """Show one unit as the list does."""
    async with look(shared, caller) as view:
        found, _ = view.unit(unit)
        declared = view.declared
        items = await unit_views.load(
            view.connection, declared.plant, declared.point_ids, [found], view.now_us
        )
    return answers.json(items[0])
