"""Alerts: which limits are exceeded, who was told, and who took note of it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import answers, problems, requests
from api.access import Action
from api.deps import Caller, Shared, View, allow, look
from api.requests import DEFAULT_LIMIT, Cursor, Limit
from api.schemas import AlertItem, Page
from core.alerts import State
from core.clock import from_us, to_us
from store import access as tokens
from store import alerts
from store.alerts import Kept

router = APIRouter(tags=["alerts"])
SHOWN = (State.FIRING, State.CLEARING, State.PENDING, State.RESOLVED)


@router.get(
    "/api/v1/alerts",
    dependencies=[allow(Action.READ_FIGURES)],
    **answers.documented(Page[AlertItem]),
)
async def list_alerts(
    shared: Shared,
    caller: Caller,
    state: Annotated[
        list[str] | None,
        Query(description="pending, firing, clearing, resolved; several by commas or repeated."),
    ] = None,
    unit: str | None = None,
    site: str | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """List the alerts of units in the caller's scope, newest first."""
    states = _states(state)
    after = _after(cursor)
    async with look(shared, caller) as view:
        units = [view.unit(unit)[0]] if unit is not None else view.units()
        wanted = [one.id for one in units if site in (None, one.site)]
        rows = await alerts.page(view.connection, wanted, states, after, limit + 1)
        items = [alerts.describe(row, view.declared.plant) for row in rows[:limit]]
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        following = requests.encode_cursor(to_us(last.created_at), str(last.id))
    return answers.page(items, following)


@router.get(
    "/api/v1/alerts/{alert}",
    dependencies=[allow(Action.READ_FIGURES)],
    **answers.documented(AlertItem),
)
async def get_alert(shared: Shared, caller: Caller, alert: UUID) -> Response:
    """Show one alert as the list does."""
    async with look(shared, caller) as view:
        kept = await _own(view, alert)
        return answers.json(alerts.describe(kept, view.declared.plant))


@router.post(
    "/api/v1/alerts/{alert}/acknowledge",
    dependencies=[allow(Action.ACKNOWLEDGE_ALERT)],
    **answers.documented(AlertItem),
)
async def acknowledge(shared: Shared, caller: Caller, alert: UUID) -> Response:
    """Take note of a raised alert; who did it first stays named, a second time changes nothing."""
    now = shared.clock()
    async with look(shared, caller) as view:
        await _own(view, alert)
        async with view.connection.transaction():
            first = await alerts.acknowledge(view.connection, alert, caller.name, now)
            if first:
                await tokens.record(
                    view.connection,
                    at=now,
                    who=caller.name,
                    role=caller.role,
                    action="acknowledge",
                    subject=f"alert/{alert}",
                )
        kept = await _own(view, alert)
        item = alerts.describe(kept, view.declared.plant)
    if item["acknowledged_at"] is None:
        raise problems.ProblemError(
            409, "The alert is not raised, so there is nothing to take note of: wait until it is."
        )
    return answers.json(item)


async def _own(view: View, alert: UUID) -> Kept:
    """Return an alert; raises 404 for an unknown and 403 for a foreign one."""
    kept = await alerts.find(view.connection, alert)
    if kept is None:
        raise problems.not_found(f"No alert has the id {alert}.", "unknown_alert")
    view.unit(kept.key.unit)
    return kept


def _states(given: list[str] | None) -> list[str]:
    words = [word.strip() for text in given or () for word in text.split(",")]
    unknown = sorted(set(words) - {str(state) for state in SHOWN})
    if unknown:
        message = f"{unknown[0][:40]!r} is no state: use {', '.join(SHOWN)}"
        raise problems.bad_parameter("state", message)
    return sorted(set(words)) or [str(state) for state in SHOWN]


def _after(cursor: str | None) -> tuple[Any, UUID] | None:
    key = requests.decode_cursor(cursor, int, str)
    if key is None:
        return None
    try:
        return from_us(key[0]), UUID(key[1])
    except (ValueError, OverflowError) as error:
        raise problems.bad_parameter(
            "cursor", "is not one of ours: use `next` of the page before, as it was given"
        ) from error
