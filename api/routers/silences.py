"""Silences: an alert put aside for a while, and outages of a site, each with an end and a name."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import answers, bodies, problems, requests
from api.access import Action
from api.deps import Caller, Shared, View, allow, look
from api.requests import DEFAULT_LIMIT, Cursor, Limit
from api.routers import alerts as alert_routes
from api.schemas import Page
from api.silence_schemas import OutageIn, ShelveIn, SilenceItem
from core import silences as rules
from core.clock import to_us
from core.folding import Cover, CoverKind
from core.silences import Silence, SilenceKind
from store import access as tokens
from store import cases, folds, silences
from store.alerts import Kept

MOST_BODY_BYTES: Final = 8_192  # a reason, a file number and two instants
_ADVICE: Final = "one silence has a reason of at most 500 characters"
router = APIRouter(tags=["silences"])


@router.post(
    "/api/v1/alerts/{alert}/shelve",
    status_code=201,
    dependencies=[allow(Action.SHELVE_ALERT)],
    openapi_extra=bodies.described(ShelveIn),
    **answers.documented(SilenceItem, 409, 413, 415),
)
async def shelve(request: Request, shared: Shared, caller: Caller, alert: UUID) -> Response:
    """Put an alert aside until an instant at most 7 days ahead; again: the new end counts.

    It is told again when that is over and it still holds. What a closed period found, and what is
    serious (severity 3 and 4), cannot be put aside.
    """
    asked = await bodies.read(request, ShelveIn, MOST_BODY_BYTES, _ADVICE)
    now = shared.clock()
    _refuse(rules.shelving_problems(now, asked.until))
    async with look(shared, caller) as view, view.connection.transaction():
        kept = await alert_routes.own_alert(view, alert)
        _check_shelvable(kept)
        before = await silences.shelving(view.connection, alert, now)
        if before is not None:
            await silences.end(view.connection, before.id, caller.name, now)
        given = {
            "kind": SilenceKind.SHELVED.value,
            "site": kept.site,
            "alert": alert,
            "from_at": now,
            "until_at": asked.until,
            "reason": asked.reason,
        }
        silence = await _add(view, given, now)
        await _begin(view, kept, silence, now)
        item = silences.item(silence, now)
        await _record(view, "shelve", f"alert/{alert}", item, now)
    return answers.json(item, 201)


@router.delete(
    "/api/v1/alerts/{alert}/shelve",
    dependencies=[allow(Action.SHELVE_ALERT)],
    **answers.documented(SilenceItem, 409),
)
async def unshelve(shared: Shared, caller: Caller, alert: UUID) -> Response:
    """Take a shelved alert back before its time: it is told again within moments if it holds."""
    now = shared.clock()
    async with look(shared, caller) as view:
        await alert_routes.own_alert(view, alert)
        async with view.connection.transaction():
            silence = await silences.shelving(view.connection, alert, now)
            if silence is None:
                raise problems.ProblemError(
                    409, "The alert is not shelved now: there is nothing to take back."
                )
            item = await _end(view, silence, "unshelve", f"alert/{alert}", now)
    return answers.json(item)


@router.get(
    "/api/v1/sites/{site}/outages",
    dependencies=[allow(Action.READ_FIGURES)],
    **answers.documented(Page[SilenceItem]),
)
async def list_outages(
    shared: Shared,
    caller: Caller,
    site: str,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """List the outages of a site, the one declared last first: running, planned, over, ended."""
    after = requests.created_key(cursor)
    now = shared.clock()
    async with look(shared, caller) as view:
        found = view.site(site)
        rows = await silences.outages(view.connection, found.id, after, limit + 1)
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        following = requests.encode_cursor(to_us(last.created_at), str(last.id))
    return answers.page([silences.item(row, now) for row in rows[:limit]], following)


@router.post(
    "/api/v1/sites/{site}/outages",
    status_code=201,
    dependencies=[allow(Action.DECLARE_OUTAGE)],
    openapi_extra=bodies.described(OutageIn),
    **answers.documented(SilenceItem, 409, 413, 415),
)
async def declare_outage(request: Request, shared: Shared, caller: Caller, site: str) -> Response:
    """Declare a planned outage, a start-up or force majeure with its file number and end.

    Early warnings and alerts about data below it are kept back until then, and told if they still
    hold. What a closed period finds is told in any case.
    """
    asked = await bodies.read(request, OutageIn, MOST_BODY_BYTES, _ADVICE)
    now = shared.clock()
    _refuse(rules.outage_problems(now, asked.from_, asked.until))
    async with look(shared, caller) as view:
        found = view.site(site)
        if asked.unit is not None and view.unit(asked.unit)[1] is not found:
            raise problems.bad_parameter("unit", f"{asked.unit!r} is no unit of {site}")
        async with view.connection.transaction():
            if await silences.open_outages(view.connection, found.id, now) >= rules.MOST_OUTAGES:
                raise problems.ProblemError(
                    409,
                    f"The site has {rules.MOST_OUTAGES} outages that run or are to come: end one"
                    " that is not needed any more.",
                )
            given = {
                "kind": asked.kind,
                "site": found.id,
                "unit": asked.unit,
                "from_at": asked.from_,
                "until_at": asked.until,
                "reason": asked.reason,
                "document": asked.document,
            }
            silence = await _add(view, given, now)
            item = silences.item(silence, now)
            await _record(view, "declare_outage", f"site/{site}", item, now)
    return answers.json(item, 201)


@router.delete(
    "/api/v1/sites/{site}/outages/{outage}",
    dependencies=[allow(Action.DECLARE_OUTAGE)],
    **answers.documented(SilenceItem, 409),
)
async def end_outage(shared: Shared, caller: Caller, site: str, outage: UUID) -> Response:
    """End an outage now, or call off one that is to come; it stays in the list with who did it."""
    now = shared.clock()
    async with look(shared, caller) as view:
        found = view.site(site)
        async with view.connection.transaction():
            silence = await silences.find(view.connection, outage)
            if silence is None or silence.alert is not None or silence.site != found.id:
                raise problems.not_found(f"{site} has no outage {outage}.", "unknown_outage")
            if silence.until_at <= now:
                raise problems.ProblemError(409, "The outage is over: there is nothing to end.")
            item = await _end(view, silence, "end_outage", f"site/{site}", now)
    return answers.json(item)


async def _add(view: View, given: dict[str, Any], now: datetime) -> Silence:
    empty: dict[str, Any] = dict.fromkeys(("site", "unit", "alert", "document"))
    role = view.caller.role.value
    return await silences.add(view.connection, {**empty, **given}, view.caller.name, role, now)


async def _end(
    view: View, silence: Silence, action: str, subject: str, now: datetime
) -> dict[str, Any]:
    if not await silences.end(view.connection, silence.id, view.caller.name, now):
        raise problems.ProblemError(409, "Somebody ended it already.")
    ended = await silences.find(view.connection, silence.id)
    assert ended is not None, "it was read a moment ago"  # noqa: S101 - a belief
    item = silences.item(ended, now)
    await _record(view, action, subject, item, now)
    return item


async def _begin(view: View, kept: Kept, silence: Silence, now: datetime) -> None:
    """Show at once that the alert is quiet, and stop the clock of its case."""
    cover = Cover(CoverKind.SHELVED, silence.until_at, silence=silence.id)
    await folds.silenced(view.connection, kept, cover, now)
    detail = silences.item(silence, now)
    who, role = view.caller.name, view.caller.role.value
    await cases.suppress(view.connection, kept.id, now, who, role, detail)


async def _record(
    view: View, action: str, subject: str, item: dict[str, Any], now: datetime
) -> None:
    await tokens.record(
        view.connection,
        at=now,
        who=view.caller.name,
        role=view.caller.role,
        action=action,
        subject=subject,
        detail=item,
    )


def _check_shelvable(kept: Kept) -> None:
    if kept.alert.state not in folds.RAISED:
        raise problems.ProblemError(
            409, "The alert is not raised, so there is nothing to put aside: wait until it is."
        )
    place = folds.place_of(kept)
    if not rules.may_quiet(place):
        what = "a closed period found it" if place.finding else "it is serious"
        raise problems.ProblemError(
            409, f"The alert cannot be put aside, as {what}: explain its case instead."
        )


def _refuse(found: list[tuple[str, str]]) -> None:
    if found:
        detail = "; ".join(f"Parameter `{field}` {message}" for field, message in found)
        errors = [{"parameter": field, "message": message} for field, message in found]
        raise problems.ProblemError(422, f"{detail}.", extra={"errors": errors})
