"""Estimates of a unit per period, and its batches from tap to tap: for operators, not the law."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import answers, problems, requests
from api.access import Action
from api.deps import Caller, Shared, allow, look
from api.estimate_schemas import BatchItem, EstimatesItem
from api.requests import Windowed
from api.schemas import Page
from core import batches, decimals, estimates, indicators, periods
from core.batches import Batch
from core.clock import from_us
from core.decimals import show_known
from core.errors import Rejected
from core.indicators import Indicator
from core.periods import Period
from core.plant import Unit
from store import batches as matching
from store import estimates as gathering

router = APIRouter(tags=["estimates"], dependencies=[allow(Action.READ_FIGURES)])


@router.get("/api/v1/units/{unit}/estimates", **answers.documented(Page[EstimatesItem]))
async def list_estimates(
    shared: Shared,
    caller: Caller,
    unit: str,
    asked: Windowed,
    period: Period = Period.DAY,
) -> Response:
    """List estimates of the periods that begin in [from, to) and not after the present.

    They are marked `estimate`, computed for this answer, stored nowhere and held against no limit.
    """
    if period is Period.SLOT:
        raise problems.bad_parameter("period", "an estimate of a slot says nothing: ask for hours")
    async with look(shared, caller) as view:
        found, site = view.unit(unit)
        bounds, following = requests.page_of_periods(period, asked, view.now_us, site.timezone)
        items = await gathering.of_periods(
            view.connection,
            view.declared.plant,
            view.declared.point_ids,
            found,
            bounds,
            from_us(view.now_us),
        )
    indicator = gathering.batch_indicator(found)
    return answers.page(
        [
            {
                "unit": found.id,
                "indicator": None if indicator is None else indicator.id,
                "period": period.value,
                "period_start": periods.render(bound[0], site.timezone),
                "period_end": periods.render(bound[1], site.timezone),
                "closed": bound[1] <= view.now_us,
                "estimates": [one.item() for one in item],
                "computed_at": periods.render_utc(view.now_us),
            }
            for bound, item in zip(bounds, items, strict=True)
        ],
        following,
    )


@router.get("/api/v1/units/{unit}/batches", **answers.documented(Page[BatchItem]))
async def list_batches(
    shared: Shared,
    caller: Caller,
    unit: str,
    asked: Windowed,
    indicator: Annotated[str | None, Query(description="Default: the unit's first.")] = None,
) -> Response:
    """List the batches that end in [from, to), oldest first: energy from the tap before to theirs.

    A moving mean takes the last eight known batches: one tap is noise.
    """
    async with look(shared, caller) as view:
        found, site = view.unit(unit)
        chosen = _indicator(found, indicator)
        left = asked.resumed(view.now_us, site.timezone)
        held = await matching.read(
            view.connection,
            view.declared.plant,
            view.declared.point_ids,
            found,
            chosen,
            (left.from_us, left.until_us),
            from_us(view.now_us),
        )
    ending = [
        place
        for place, one in enumerate(held.batches)
        if left.from_us <= one.end_us < left.until_us
    ]
    more = ending[asked.limit :]
    following = requests.encode_cursor(held.batches[more[0]].end_us) if more else None
    items = [
        _item(found, chosen, held.batches[place], batches.moving(held.batches, place))
        for place in ending[: asked.limit]
    ]
    return answers.page(items, following)


def _indicator(unit: Unit, asked: str | None) -> Indicator:
    """Return the indicator asked for, else the unit's first whose output is counted in tonnes."""
    if asked is None:
        found = gathering.batch_indicator(unit)
        if found is None:
            text = f"{unit.id} declares none that counts tonnes: name one"
            raise problems.bad_parameter("indicator", text)
        return found
    try:
        found = indicators.find(asked)
    except Rejected as error:
        raise problems.bad_parameter("indicator", str(error)) from error
    if not gathering.can_match(found):
        text = f"{found.id} is not metered energy over the tonnes of taps"
        raise problems.bad_parameter("indicator", text)
    return found


def _item(
    unit: Unit, indicator: Indicator, batch: Batch, mean: batches.Matched | None
) -> dict[str, Any]:
    grade, base = batch.tap.grade, indicator.base_grade
    graded = base is not None and grade is not None
    return {
        "mark": estimates.MARK,
        "unit": unit.id,
        "indicator": indicator.id,
        "start": periods.render_utc(batch.start_us),
        "end": periods.render_utc(batch.end_us),
        "energy": {
            "value": show_known(batch.energy),
            "estimated": decimals.show(batch.estimated),
            "unit": indicator.energy_unit,
        },
        "mass": {"value": show_known(batch.tap.mass_t), "unit": "t"},
        "grade": {"name": base.grade, "value": show_known(grade)} if graded and base else None,
        "output": {"value": show_known(batch.tap.output_t), "unit": indicator.output_unit},
        "made": {"value": show_known(batch.made_t), "unit": indicator.output_unit},
        "holdup": batch.holdup.value,
        "intensity": {"value": show_known(batch.intensity), "unit": indicator.unit},
        "moving_mean": None
        if mean is None
        else {
            "value": show_known(mean.intensity),
            "unit": indicator.unit,
            "taps": mean.taps,
            "from": periods.render_utc(mean.from_us),
        },
        "facts": list(batch.tap.facts),
    }
