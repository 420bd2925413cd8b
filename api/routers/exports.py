"""Whole ranges as files: CSV for a spreadsheet, Parquet and Arrow for tools that compute."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from api import answers, exports, problems, requests
from api.access import Action
from api.deps import Caller, Services, Shared, View, allow, look
from api.exports import Encoder, Form
from api.exporttables import Energy, Figures, Output, Range, Readings, Table
from api.problems import RETRY_AFTER_S
from api.requests import From, To
from core import indicators, periods
from core.errors import Rejected
from core.periods import Period
from core.plant import Point, Unit

router = APIRouter(tags=["exports"], dependencies=[allow(Action.READ_FIGURES)])

MOST_NAMED: Final = 500  # points or units named in one request
Named = Annotated[
    list[str] | None,
    Query(max_length=MOST_NAMED, description="May be given again; default: all in your scope."),
]
Asked = Annotated[Form, Query(alias="format", description="csv, parquet or arrow (a stream).")]
_FILE: Final[dict[str, Any]] = {
    "response_class": Response,
    "responses": {
        **{status: answers.documented(Any)["responses"][status] for status in (401, 403, 404, 422)},
        200: {
            "description": "The table, as it is read; a cut answer is not whole.",
            "content": {kind: {} for kind in exports.MEDIA_TYPES.values()},
        },
        503: {"description": "As many exports as this process serves: try again later."},
    },
}


@router.get("/api/v1/export/readings", **_FILE)
async def export_readings(
    shared: Shared,
    caller: Caller,
    point: Named = None,
    unit: Named = None,
    from_: From = None,
    to: To = None,
    form: Asked = Form.CSV,
) -> Response:
    """Export readings measured in [from, to), as they were committed, by point and time."""
    async with look(shared, caller) as view:
        chosen = _points(view, point, unit)
        numbers = {one.id: view.declared.point_ids[one.id] for one in chosen}
        table = Readings(numbers, _range(view, {one.site for one in chosen}, from_, to))
    return _answer(shared, table, "readings", form)


@router.get("/api/v1/export/energy", **_FILE)
async def export_energy(
    shared: Shared,
    caller: Caller,
    point: Named = None,
    unit: Named = None,
    period: Period = Period.DAY,
    from_: From = None,
    to: To = None,
    form: Asked = Form.CSV,
) -> Response:
    """Export energy of points per period that begins in [from, to) and not after the present."""
    async with look(shared, caller) as view:
        chosen = [one for one in _points(view, point, unit) if one.energy_unit is not None]
        sites = view.declared.plant.sites
        known = [(one, view.declared.point_ids[one.id], sites[one.site].timezone) for one in chosen]
        table = Energy(known, period, _range(view, {one.site for one in chosen}, from_, to))
    return _answer(shared, table, "energy", form)


@router.get("/api/v1/export/intensity", **_FILE)
async def export_intensity(
    shared: Shared,
    caller: Caller,
    indicator: Annotated[str, Query(description="An indicator's id: see /indicators.")],
    unit: Named = None,
    period: Period = Period.DAY,
    from_: From = None,
    to: To = None,
    form: Asked = Form.CSV,
) -> Response:
    """Export the newest figures of units per period that begins in [from, to), with verdicts."""
    if period is Period.SLOT:
        raise problems.bad_parameter("period", "slots are not stored: ask a unit for them")
    try:
        known = indicators.find(indicator)
    except Rejected as error:
        raise problems.bad_parameter("indicator", str(error)) from error
    async with look(shared, caller) as view:
        chosen = [one for one in _units(view, unit) if known.id in one.indicators]
        asked = _range(view, {one.site for one in chosen}, from_, to)
        table = Figures([one.id for one in chosen], known, period, asked)
    return _answer(shared, table, f"intensity-{known.id}", form)


@router.get("/api/v1/export/output", **_FILE)
async def export_output(
    shared: Shared,
    caller: Caller,
    unit: Named = None,
    from_: From = None,
    to: To = None,
    form: Asked = Form.CSV,
) -> Response:
    """Export production facts with `at` in [from, to), every revision of each, by time."""
    async with look(shared, caller) as view:
        chosen = _units(view, unit)
        asked = _range(view, {one.site for one in chosen}, from_, to)
        table = Output([one.id for one in chosen], asked)
    return _answer(shared, table, "output", form)


def _units(view: View, named: Sequence[str] | None) -> list[Unit]:
    """Return the units named, or all in scope; raises 404 and 403 as everywhere."""
    if named is None:
        return view.units()
    return [view.unit(one)[0] for one in dict.fromkeys(named)]


def _points(view: View, named: Sequence[str] | None, units: Sequence[str] | None) -> list[Point]:
    """Return the points named and those of the units named, or all in scope, by id."""
    found = {one: view.point(one)[0] for one in named or ()}
    if units is not None or named is None:
        wanted = {one.id for one in _units(view, units)}
        points = view.declared.plant.points.values()
        found |= {one.id: one for one in points if one.unit in wanted}
    return [found[one] for one in sorted(found)]


def _range(view: View, sites: set[str], from_: str | None, to: str | None) -> Range:
    """Return what is asked for; tables of plants in several zones print in UTC."""
    zones = {view.declared.plant.sites[one].timezone for one in sites}
    zone = zones.pop() if len(zones) == 1 else "UTC"
    span = requests.span(from_, to, view.now_us, zone)
    return Range(span.from_us, span.until_us, zone, view.now_us)


def _answer(shared: Services, table: Table, name: str, form: Form) -> Response:
    if shared.exports.locked():
        raise problems.ProblemError(
            503,
            "The server writes as many exports as it does at a time: try again in a few seconds.",
            "exports_full",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    shown = periods.render(table.range.from_us, table.range.zone)[:10]
    headers = {
        "Content-Disposition": f'attachment; filename="danhao-{name}-{shown}.{form.value}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(
        _written(shared, table, form), headers=headers, media_type=exports.MEDIA_TYPES[form]
    )


async def _written(shared: Services, table: Table, form: Form) -> AsyncIterator[bytes]:
    """Yield the file; encoding leaves the loop to the other requests."""
    async with shared.exports:
        encoder = Encoder(form, table.schema())
        yield encoder.begin()
        async for columns in table.batches(shared.pool):
            if part := await asyncio.to_thread(encoder.put, columns):
                yield part
        yield encoder.end()
