"""Cases: what people do about alerts, whose turn it is and until when, and what they say."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from api import access, answers, bodies, case_views, problems, requests
from api.access import Action, Principal
from api.case_schemas import (
    AcceptIn,
    AttachmentItem,
    CaseItem,
    CauseItem,
    ExplainIn,
    PlanIn,
    SayIn,
    WholeCase,
)
from api.case_views import Belongings, side_of
from api.deps import Caller, Services, Shared, View, allow, look
from api.requests import Cursor
from api.routers.alerts import own_alert
from api.schemas import Page
from core import attachments, caserules, cases, periods
from core.cases import Event, Side
from core.clock import from_us, to_us
from core.errors import Rejected
from store import access as tokens
from store import alerts, caseattachments, caselists
from store import cases as kept_cases
from store.caselists import MOST_PAGE, Asked, Listed
from store.cases import Deed

MOST_BODY_BYTES: Final = 64 * 1024  # four thousand characters, and ids
DEFAULT_LIMIT: Final = 100
WORDS: Final = ("open", *(str(state) for state in cases.State if state is not cases.State.ABSENT))
_SAID: Final = answers.documented(WholeCase, 409, 413, 415)
Limit = Annotated[int, Query(ge=1, le=MOST_PAGE, description="Items of one page, at most 1000.")]
router = APIRouter(tags=["cases"])


@router.get(
    "/api/v1/case-causes",
    dependencies=[allow(Action.READ_LAW)],
    **answers.documented(Page[CauseItem]),
)
async def list_causes() -> Response:
    """List the causes that a plant may give in an explanation."""
    return answers.page([cause.item() for cause in caserules.shipped().causes.values()])


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of the cases in reach are asked for."""

    states: list[str]
    waits_for: str | None
    overdue: bool
    site: str | None
    unit: str | None
    alert: UUID | None


def filtered(
    state: Annotated[
        list[str] | None,
        Query(description="Of the states, or `open`; several by commas or repeated."),
    ] = None,
    waits_for: Annotated[
        Literal["plant", "regulator"] | None, Query(description="Whose turn it is.")
    ] = None,
    overdue: Annotated[
        bool | None, Query(description="True: whose time ran out, the escalated ones included.")
    ] = None,
    site: str | None = None,
    unit: str | None = None,
    alert: UUID | None = None,
) -> Filter:
    """Collect what a list of cases is filtered by."""
    return Filter(_states(state), waits_for, bool(overdue), site, unit, alert)


@router.get(
    "/api/v1/cases",
    dependencies=[allow(Action.READ_FIGURES)],
    **answers.documented(Page[CaseItem]),
)
async def list_cases(
    shared: Shared,
    caller: Caller,
    asked: Annotated[Filter, Depends(filtered)],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """List the cases in the caller's scope with their clocks, the newest first."""
    after = requests.created_key(cursor)
    async with look(shared, caller) as view:
        rows = await caselists.page(view.connection, _asked(view, asked), after, limit + 1)
        items = [
            case_views.item(row, view)
            for row in rows[:limit]
            if alerts.is_declared(row.alert, view.declared.plant)
        ]
    following = None
    if len(rows) > limit:
        last = rows[limit - 1].case
        following = requests.encode_cursor(to_us(last.opened_at), str(last.id))
    return answers.page(items, following)


@router.get(
    "/api/v1/cases/{case}",
    dependencies=[allow(Action.READ_FIGURES)],
    **answers.documented(WholeCase),
)
async def get_case(shared: Shared, caller: Caller, case: UUID) -> Response:
    """Show one case with its history and its documents."""
    async with look(shared, caller) as view:
        return answers.json(await _whole(view, case))


@router.post(
    "/api/v1/cases/{case}/acknowledge",
    dependencies=[allow(Action.ACKNOWLEDGE_ALERT)],
    **answers.documented(WholeCase, 409),
)
async def acknowledge_case(shared: Shared, caller: Caller, case: UUID) -> Response:
    """Take note of a case for the plant; its alert is acknowledged with it."""
    return await _do(shared, caller, case, Event.ACKNOWLEDGE, {})


@router.post(
    "/api/v1/cases/{case}/explain",
    dependencies=[allow(Action.EXPLAIN_CASE)],
    openapi_extra=bodies.described(ExplainIn),
    **_SAID,
)
async def explain_case(request: Request, shared: Shared, caller: Caller, case: UUID) -> Response:
    """Give the cause; who explains has taken note as well. Said again, it is amended."""
    return await _explain(request, shared, caller, case)


@router.post(
    "/api/v1/alerts/{alert}/explain",
    dependencies=[allow(Action.EXPLAIN_CASE)],
    openapi_extra=bodies.described(ExplainIn),
    **_SAID,
)
async def explain_alert(request: Request, shared: Shared, caller: Caller, alert: UUID) -> Response:
    """Give the cause of an alert: it is said of the alert's newest case."""
    async with look(shared, caller) as view:
        await own_alert(view, alert)
        newest = await kept_cases.newest(view.connection, alert)
    if newest is None:
        text = f"The alert {alert} has no case, as nobody was told of it: wait until it is raised."
        raise problems.ProblemError(409, text, "no_case")
    return await _explain(request, shared, caller, newest.id)


@router.post(
    "/api/v1/cases/{case}/accept",
    dependencies=[allow(Action.ANSWER_CASE)],
    openapi_extra=bodies.described(AcceptIn),
    **_SAID,
)
async def accept_case(request: Request, shared: Shared, caller: Caller, case: UUID) -> Response:
    """Accept an explanation, or a plan, for the regulator."""
    body = await _read(request, AcceptIn)
    return await _do(shared, caller, case, Event.ACCEPT, _said(body), body.attachments)


@router.post(
    "/api/v1/cases/{case}/dispute",
    dependencies=[allow(Action.ANSWER_CASE)],
    openapi_extra=bodies.described(SayIn),
    **_SAID,
)
async def dispute_case(request: Request, shared: Shared, caller: Caller, case: UUID) -> Response:
    """Dispute an explanation, a plan or that it is done: the plant explains again."""
    body = await _read(request, SayIn)
    return await _do(shared, caller, case, Event.DISPUTE, _said(body), body.attachments)


@router.post(
    "/api/v1/cases/{case}/plan",
    dependencies=[allow(Action.PLAN_CASE)],
    openapi_extra=bodies.described(PlanIn),
    **_SAID,
)
async def plan_case(request: Request, shared: Shared, caller: Caller, case: UUID) -> Response:
    """Say what will be done and by when; said again, it is amended, within the same bound."""
    body = await _read(request, PlanIn)
    return await _do(
        shared, caller, case, Event.PLAN, _said(body), body.attachments, plan_due=body.due
    )


@router.post(
    "/api/v1/cases/{case}/close",
    dependencies=[allow(Action.CLOSE_CASE)],
    openapi_extra=bodies.described(SayIn),
    **_SAID,
)
async def close_case(request: Request, shared: Shared, caller: Caller, case: UUID) -> Response:
    """Close a case for the caller's side; a case of both sides ends when both have."""
    body = await _read(request, SayIn)
    return await _do(shared, caller, case, Event.CLOSE, _said(body), body.attachments)


@router.post(
    "/api/v1/cases/{case}/attachments",
    status_code=201,
    dependencies=[allow(Action.ATTACH_TO_CASE)],
    response_model=AttachmentItem,
    responses={
        **answers.documented(AttachmentItem, 409, 413)["responses"],
        200: {"model": AttachmentItem, "description": "The case has it already."},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in attachments.KINDS
            },
        }
    },
)
async def attach(
    request: Request,
    shared: Shared,
    caller: Caller,
    case: UUID,
    name: Annotated[str, Query(max_length=1000, description="The file's name.")],
) -> Response:
    """Attach a document, the body, to an open case; 200 where the case has it already."""
    content = await requests.body(request, attachments.MOST_BYTES, "split or compress the document")
    try:
        kind = attachments.check(request.headers.get("content-type", ""), content)
        shown = attachments.name(name)
    except Rejected as error:
        raise problems.ProblemError(422, _sentence(error), "bad_document") from error
    now = shared.clock()
    async with look(shared, caller) as view:
        await _own(view, case)
        async with view.connection.transaction():
            locked = await kept_cases.lock(view.connection, case)
            if locked is None or not locked[0].case.is_open:
                text = "The case has ended, so nothing can be attached to it any more."
                raise problems.ProblemError(409, text, "not_now")
            try:
                document, is_new = await caseattachments.add(
                    view.connection,
                    case,
                    (caller.name, side_of(caller)),
                    (shown, kind, content),
                    now,
                )
            except Rejected as error:
                raise problems.ProblemError(409, _sentence(error), error.reason) from error
            await _audit(view, now, "attach_to_case", case, {"sha256": document.sha256.hex()})
    return answers.json(case_views.attachment(document), 201 if is_new else 200)


@router.get(
    "/api/v1/cases/{case}/attachments/{attachment}",
    dependencies=[allow(Action.READ_FIGURES)],
    response_class=Response,
    responses={
        **answers.documented(None)["responses"],
        200: {"content": {kind: {} for kind in attachments.KINDS}, "description": "The document."},
    },
)
async def get_attachment(shared: Shared, caller: Caller, case: UUID, attachment: UUID) -> Response:
    """Give a document of a case, to be saved and not shown."""
    async with look(shared, caller) as view:
        await _own(view, case)
        found = await caseattachments.content(view.connection, case, attachment)
    if found is None:
        raise problems.not_found(f"The case has no document {attachment}.", "unknown_document")
    document, content = found
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(document.name, safe='')}",
        "Cache-Control": "private, no-store",
    }
    return Response(content, headers=headers, media_type=document.media_type)


async def _explain(request: Request, shared: Services, caller: Principal, case: UUID) -> Response:
    body = await _read(request, ExplainIn)
    cause = caserules.shipped().causes.get(body.cause)
    if cause is None:
        known = ", ".join(caserules.shipped().causes)
        raise problems.bad_parameter("cause", f"{body.cause!r} is no cause: use one of {known}")
    if cause.proof and not body.attachments:
        text = f"the cause {cause.id} asks for proof: attach a document to the case first"
        raise problems.bad_parameter("attachments", text)
    detail = {"cause": cause.id, **_said(body)}
    return await _do(shared, caller, case, Event.EXPLAIN, detail, body.attachments)


async def _do(
    shared: Services,
    caller: Principal,
    case: UUID,
    event: Event,
    detail: dict[str, Any],
    attached: Iterable[UUID] = (),
    *,
    plan_due: date | None = None,
) -> Response:
    """Do it for the caller's side, in one transaction with the audit, and show the case after."""
    now, side = shared.clock(), side_of(caller)
    async with look(shared, caller) as view:
        listed = await _own(view, case)
        async with view.connection.transaction():
            locked = await kept_cases.lock(view.connection, case)
            assert locked is not None, "a case is never deleted"  # noqa: S101 - a belief
            kept, fires = locked
            try:
                cases.check(kept.case, event, side, fires=fires)
            except Rejected as error:
                raise problems.ProblemError(409, _sentence(error), error.reason) from error
            await _check_attached(view, case, attached, side)
            if plan_due is not None:
                await _check_due(view, kept.id, plan_due, kept.timezone)
            deed = Deed(event, side, caller.name, caller.role, detail, plan_due=plan_due)
            if await kept_cases.write(view.connection, kept, deed, now) is None:
                text = "The case cannot go there from where it stands: load it again."
                raise problems.ProblemError(409, text, "not_now")
            if event in {Event.ACKNOWLEDGE, Event.EXPLAIN}:
                await alerts.acknowledge(view.connection, listed.alert.id, caller.name, now)
            await _audit(view, now, f"{event}_case", case, {"position": kept.position + 1})
        return answers.json(await _whole(view, case))


async def _check_attached(view: View, case: UUID, attached: Iterable[UUID], side: Side) -> None:
    foreign = await caseattachments.missing(view.connection, case, attached, side)
    if foreign:
        text = f"{foreign[0]} is no document that your side attached to this case: attach it first"
        raise problems.bad_parameter("attachments", text)


async def _check_due(view: View, case: UUID, due: date, zone: str) -> None:
    """Refuse a plan that ends before it begins, or beyond the bound counted from the first one."""
    today = periods.day_of(view.now_us, zone)
    earlier = await caselists.first_plan(view.connection, case)
    first = today if earlier is None else periods.day_of(to_us(earlier), zone)
    most = caserules.shipped().most_plan_days
    if due <= today:
        raise problems.bad_parameter("due", f"{due} is not after today, {today}")
    if (due - first).days > most:
        text = f"{due} is more than {most} days after {first}, when the case was first planned"
        raise problems.bad_parameter("due", text)


async def _whole(view: View, case: UUID) -> dict[str, Any]:
    listed = await _own(view, case)
    belongs = Belongings(
        await caselists.history(view.connection, case),
        await caselists.findings(view.connection, case),
        await caseattachments.of_case(view.connection, case),
    )
    return case_views.whole(listed, belongs, view)


def _asked(view: View, given: Filter) -> Asked:
    """Return the question to the store; raises 404 and 403 for what the caller cannot ask about."""
    if given.unit is not None:
        view.unit(given.unit)
    sites = view.sites() if given.site is None else [view.site(given.site)]
    return Asked(
        sites=[one.id for one in sites],
        store=given.site is None and access.sees_everything(view.caller),
        states=given.states,
        unit=given.unit,
        alert=given.alert,
        waits_for=given.waits_for,
        overdue_at=from_us(view.now_us) if given.overdue else None,
    )


async def _own(view: View, case: UUID) -> Listed:
    """Return a case; raises 404 for an unknown and 403 for one of a foreign alert."""
    listed = await caselists.find(view.connection, case)
    if listed is None:
        raise problems.not_found(f"No case has the id {case}.", "unknown_case")
    await own_alert(view, listed.case.alert)
    return listed


async def _audit(
    view: View, now: datetime, action: str, case: UUID, detail: dict[str, Any]
) -> None:
    await tokens.record(
        view.connection,
        at=now,
        who=view.caller.name,
        role=view.caller.role,
        action=action,
        subject=f"case/{case}",
        detail=detail,
    )


async def _read(request: Request, model: type[bodies.Model]) -> bodies.Model:
    return await bodies.read(request, model, MOST_BODY_BYTES, "say it shorter")


def _said(body: ExplainIn | PlanIn | SayIn | AcceptIn) -> dict[str, Any]:
    """Return what was said as the history keeps it."""
    given = body.model_dump(mode="json", exclude={"cause"}, exclude_none=True)
    if not given["attachments"]:
        del given["attachments"]
    return given


def _sentence(error: Rejected) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _states(given: list[str] | None) -> list[str]:
    words = {word.strip() for text in given or () for word in text.split(",")}
    unknown = sorted(words - set(WORDS))
    if unknown:
        message = f"{unknown[0][:40]!r} is no state: use {', '.join(WORDS)}"
        raise problems.bad_parameter("state", message)
    if "open" in words:
        words |= {str(state) for state in cases.OPEN}
    return sorted(words - {"open"})
