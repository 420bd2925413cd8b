"""What a period of a unit is foreseen to end with: band, limits, headroom, cost."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import answers, known, problems, requests
from api.access import Action
from api.deps import Caller, Shared, allow, look
from api.forecast_schemas import ForecastItem
from api.requests import AsOf
from core import periods
from core.clock import from_us
from core.periods import Period
from store import forecasts
from store.forecasts import Question

router = APIRouter(tags=["forecast"], dependencies=[allow(Action.READ_FIGURES)])


@router.get("/api/v1/units/{unit}/forecast", **answers.documented(ForecastItem))
async def get_forecast(
    shared: Shared,
    caller: Caller,
    unit: str,
    indicator: Annotated[str | None, Query(description="Default: the unit's first.")] = None,
    period: Period = Period.MONTH,
    as_of: AsOf = None,
) -> Response:
    """Foresee the month or year that holds the present, or the instant `as_of` by what was known.

    From the unit's day figures: nothing is judged, and nothing is stored.
    """
    if period not in forecasts.PERIODS:
        words = " or ".join(forecasts.PERIODS)
        raise problems.bad_parameter("period", f"a forecast is of a {words}, told from its days")
    at_us = requests.as_of(as_of, shared.now_us)
    async with look(shared, caller) as view:
        found, _ = view.unit(unit)
        chosen = known.indicator_of(found, indicator)
        at = from_us(view.now_us if at_us is None else at_us)
        asked = Question(found, chosen, period, at)
        link, ids = view.connection, view.declared.point_ids
        if at_us is None:
            outlook = await forecasts.now(link, view.declared.plant, ids, asked)
        else:
            then = await forecasts.as_known(link, ids, asked)
            if then is None:
                text = f"{found.id} was not declared at {periods.render_utc(at_us)}."
                raise problems.not_found(text, "unknown_unit")
            outlook = then
    # Half a second of algebra where the days are new: the live stream does not wait for it.
    item = await asyncio.to_thread(outlook.item)
    return answers.json(
        {
            **item,
            "computed_at": periods.render_utc(view.now_us),
            "as_of": None if at_us is None else periods.render_utc(at_us),
        }
    )
