"""Reports: a month, a quarter, a ranking or the data's quality as JSON, workbook or PDF."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from psycopg import AsyncConnection
from starlette.responses import Response

from api import access, answers, problems, requests
from api.access import Action
from api.deps import Caller, Shared, View, allow, look
from api.report_schemas import ReportItem
from api.reporting import face, requested
from api.reporting.gather import Asked
from api.reporting.requested import MEDIA, Format, Setting
from api.requests import AsOf
from core.errors import Misconfigured
from core.plant import Site
from core.reports.document import Document, Kind, Language
from core.spans import NamedSpan

# Setting pages takes a processor for seconds: so many at once, and the others are told to wait.
MOST_AT_ONCE: Final = 2
RETRY_AFTER_S: Final = 10
router = APIRouter(tags=["reports"], dependencies=[allow(Action.READ_FIGURES)])

_FILES: Final = {
    MEDIA[form]: {"schema": {"type": "string", "format": "binary"}}
    for form in (Format.XLSX, Format.PDF)
}


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose report is asked for, of which period."""

    period: str
    site: str | None
    unit: str | None


def whose(
    period: Annotated[str, Query(description="2026-10, 2026-Q3 or 2026, as the kind asks.")],
    site: Annotated[str | None, Query(description="Default: every site you may see.")] = None,
    unit: Annotated[str | None, Query(description="Of the kinds intensity and quarter.")] = None,
) -> Whose:
    """Collect `period`, `site` and `unit` of a request."""
    return Whose(period, site, unit)


def setting(
    form: Annotated[Format, Query(alias="format")] = Format.JSON, lang: Language = Language.ZH
) -> Setting:
    """Collect `format` and `lang` of a request."""
    return Setting(form, lang, lambda: face.path(os.environ))


@router.get(
    "/api/v1/reports/{kind}",
    response_model=ReportItem,
    responses={
        **answers.documented(ReportItem)["responses"],
        200: {"description": "The report.", "content": _FILES},
    },
)
async def get_report(
    request: Request,
    shared: Shared,
    caller: Caller,
    kind: Kind,
    asked: Annotated[Whose, Depends(whose)],
    wanted: Annotated[Setting, Depends(setting)],
    as_of: AsOf = None,
) -> Response:
    """Make a report of what the caller may see; the same data make the same report."""
    span = _span(kind, asked.period)
    async with look(shared, caller) as view, one_sight(view.connection):
        sites, unit = _sites(view, asked)
        plant, ids = view.declared.plant, view.declared.point_ids
        known_at = requests.as_of(as_of, view.now_us)
        document = await _document(
            view, kind, Asked(plant, ids, sites, span, view.now_us, known_at, unit)
        )
    made = await _rendered(request, document, wanted)
    form, language = wanted.form, wanted.language
    name = f"danhao-{kind.value}-{span.text}-{language.value}.{form.value}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(made, media_type=MEDIA[form], headers=headers)


@asynccontextmanager
async def one_sight(connection: AsyncConnection[Any]) -> AsyncIterator[None]:
    """Let all that is read inside be of one instant, so that a report agrees with itself."""
    await connection.commit()  # what was read to find the caller's plants is another transaction
    async with connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        yield


async def _document(view: View, kind: Kind, asked: Asked) -> Document:
    def holds(jurisdiction: str) -> bool:
        return access.holds(view.caller.scope, jurisdiction)

    try:
        return await requested.document(view.connection, kind, asked, holds)
    except Misconfigured as error:
        raise _bad(error) from error


def _sites(view: View, asked: Whose) -> tuple[list[Site], str | None]:
    """Return the sites of a report and its unit; raises 404 and 403 as every route does."""
    if asked.unit is not None:
        found, home = view.unit(asked.unit)
        if asked.site not in {None, home.id}:
            raise problems.bad_parameter(
                "site", f"{asked.unit} is not a unit of it: leave one of the two out"
            )
        return [home], found.id
    if asked.site is not None:
        return [view.site(asked.site)], None
    sites = view.sites()
    if not sites:
        raise problems.not_found("No site lies in the scope of your token.", "unknown_site")
    return sites, None


def _span(kind: Kind, period: str) -> NamedSpan:
    try:
        return requested.period(kind, period)
    except Misconfigured as error:
        raise _bad(error) from error


def _bad(error: Misconfigured) -> problems.ProblemError:
    """Return the 422 of the parameter that the command names as an option."""
    problem = error.problems[0]
    name = problem.where.removeprefix("--").replace("-", "_") or "period"
    return problems.bad_parameter(name, problem.message)


async def _rendered(request: Request, document: Document, wanted: Setting) -> bytes:
    """Return the bytes, set beside the event loop; raises 503 where enough are being set."""
    state = request.app.state
    if not hasattr(state, "reports"):
        state.reports = asyncio.Semaphore(MOST_AT_ONCE)
    if state.reports.locked():
        raise problems.ProblemError(
            503,
            f"{MOST_AT_ONCE} reports are being set: try again in {RETRY_AFTER_S} seconds.",
            "busy",
            {"Retry-After": str(RETRY_AFTER_S)},
        )
    async with state.reports:
        return await asyncio.to_thread(wanted.render, document)
