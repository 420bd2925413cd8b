"""Energy per unit of product: a unit's results per period, and one result by its id."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import answers, problems, requests
from api.access import Action
from api.deps import Caller, Shared, View, allow, look
from api.requests import AsOf, Windowed
from api.schemas import Page, PeriodItem, ResultItem
from core import indicators, periods
from core.clock import from_us
from core.errors import Rejected
from core.indicators import Indicator
from core.periods import Period
from core.plant import Site, Unit
from store import asof, figures, results
from store.figures import Asked

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
        chosen = _indicator(found, indicator)
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


def _indicator(unit: Unit, asked: str | None) -> Indicator:
    if asked is None:
        if not unit.indicators:
            raise problems.bad_parameter("indicator", f"{unit.id} declares none: name one")
        asked = unit.indicators[0]
    try:
        return indicators.find(asked)
    except Rejected as error:
        raise problems.bad_parameter("indicator", str(error)) from error


async def _as_known(
    view: View, unit: Unit, indicator: Indicator, period: Period, asked: Windowed, at_us: int
) -> Response:
    """Answer with what was known at an instant; whatever came later has no part in it."""
    at = from_us(at_us)
    known = await asof.known_at(view.connection, unit.site, view.declared.point_ids, at)
    if known is None or unit.id not in known.plant.units:
        return answers.page([])
    then = known.plant.units[unit.id]
    zone = known.plant.sites[then.site].timezone
    bounds, following = requests.page_of_periods(period, asked, at_us, zone)
    versions: dict[int, dict[str, Any]] = {}
    if bounds and period is not Period.SLOT:
        key = (unit.id, indicator.id, period.value)
        span = (bounds[0][0], bounds[-1][1])
        rows = await results.read(view.connection, key, span, len(bounds) + 1, at)
        versions = {row.start_us: row.versioned(zone) for row in rows}
    missing = [bound for bound in bounds if bound[0] not in versions]
    computed = await figures.compute_all(known, known.plant, [Asked(then, indicator, missing)], at)
    for bound, one in zip(missing, computed[0], strict=True):
        versions[bound[0]] = _computed_item(then, indicator, period, bound, (zone, at_us), one)
    return answers.page([versions[bound[0]] for bound in bounds], following)


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
        _computed_item(unit, indicator, Period.SLOT, bound, when, one)
        for bound, one in zip(bounds, found, strict=True)
    ]
    return answers.page(items, following)


def _computed_item(
    unit: Unit,
    indicator: Indicator,
    period: Period,
    bound: tuple[int, int],
    when: tuple[str, int],
    one: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the item of a figure that was computed for this answer; `when` is (zone, instant)."""
    zone, now_us = when
    return {
        "unit": unit.id,
        "indicator": indicator.id,
        "period": period.value,
        "period_start": periods.render(bound[0], zone),
        "period_end": periods.render(bound[1], zone),
        "closed": bound[1] <= now_us,
        **{key: one[key] for key in results.SHOWN},
        "version": 0,
        "computed_at": periods.render_utc(now_us),
        "result": None,
        "known_from": None,
        "causes": [],
        "close": None,
    }
