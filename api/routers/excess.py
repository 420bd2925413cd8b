"""Why a unit's figure is over its limit, split into causes that sum to the excess exactly."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import answers, known, problems, requests
from api.access import Action
from api.deps import Caller, Shared, allow, look
from api.excess_schemas import ExcessItem
from core import limits, periods
from core.baseline import Way
from core.clock import from_us
from core.errors import Rejected
from core.limits import Limit
from core.periods import Period
from store import excesses
from store.excesses import Question

router = APIRouter(tags=["excess"], dependencies=[allow(Action.READ_FIGURES)])
At = Annotated[
    str | None,
    Query(alias="from", description="RFC 3339 with offset, in the period; default: now."),
]


@router.get("/api/v1/units/{unit}/excess", **answers.documented(ExcessItem))
async def get_excess(
    shared: Shared,
    caller: Caller,
    unit: str,
    indicator: Annotated[str | None, Query(description="Default: the unit's first.")] = None,
    period: Period = Period.MONTH,
    limit: Annotated[
        str | None, Query(description="Default: the gravest that is exceeded, else the nearest.")
    ] = None,
    at: At = None,
    reference: Annotated[
        Way, Query(description="Which of the unit's previous periods it is held against.")
    ] = Way.MEDIAN,
) -> Response:
    """Split the excess of the period that holds `from` over a limit into causes.

    Computed for this answer and stored nowhere. What is not known is a remainder by name.
    """
    if period is Period.SLOT:
        raise problems.bad_parameter("period", "a slot has no output of its own: ask for days")
    async with look(shared, caller) as view:
        found, site = view.unit(unit)
        at_us = view.now_us if at is None else requests.instant("from", at)
        bound = periods.period_at(period, at_us, site.timezone)
        if bound[0] > view.now_us:
            raise problems.bad_parameter("from", "lies ahead: nothing has been used yet")
        explained = await excesses.of_period(
            view.connection,
            view.declared.plant,
            view.declared.point_ids,
            Question(
                found,
                known.indicator_of(found, indicator),
                period,
                bound,
                _limit(limit),
                reference,
            ),
            from_us(view.now_us),
        )
    return answers.json(explained.item())


def _limit(asked: str | None) -> Limit | None:
    if asked is None:
        return None
    try:
        return limits.find(asked)
    except Rejected as error:
        raise problems.bad_parameter("limit", str(error)) from error
