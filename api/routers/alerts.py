"""Alerts: which limits are exceeded, who was told, and who took note of it."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from api import access, answers, problems, requests
from api.access import Action
from api.deps import Caller, Shared, View, allow, look
from api.requests import DEFAULT_LIMIT, Cursor, Limit
from api.schemas import AlertItem, Page
from core.alerts import State
from core.clock import to_us
from store import access as tokens
from store import alertlists, alerts, cases
from store.alerts import Kept

router = APIRouter(tags=["alerts"])
SHOWN = (State.FIRING, State.CLEARING, State.PENDING, State.RESOLVED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts a list is asked for."""

    unit: str | None
    site: str | None
    kind: str | None
    folded: bool


def wanted(
    unit: str | None = None,
    site: str | None = None,
    kind: Annotated[
        Literal["exceedance", "condition"] | None,
        Query(description="exceedance: about limits; condition: about data, agents, the service."),
    ] = None,
    *,
    folded: Annotated[
        bool, Query(description="Also alerts that stand behind another: it was told for them.")
    ] = False,
) -> Wanted:
    """Collect `unit`, `site`, `kind` and `folded` of a request."""
    return Wanted(unit, site, kind, folded)


@router.get(
    "/api/v1/alerts",
    dependencies=[allow(Action.READ_FIGURES)],
    **answers.documented(Page[AlertItem]),
)
async def list_alerts(
    shared: Shared,
    caller: Caller,
    asked: Annotated[Wanted, Depends(wanted)],
    state: Annotated[
        list[str] | None,
        Query(description="pending, firing, clearing, resolved; several by commas or repeated."),
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """List the alerts in the caller's scope, newest first; the store's own to whom it is open."""
    states = _states(state)
    after = requests.created_key(cursor)
    async with look(shared, caller) as view:
        scope = _scope(view, asked)
        rows = await alertlists.page(view.connection, scope, states, after, limit + 1)
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
        kept = await own_alert(view, alert)
        return answers.json(alerts.describe(kept, view.declared.plant))


@router.post(
    "/api/v1/alerts/{alert}/acknowledge",
    dependencies=[allow(Action.ACKNOWLEDGE_ALERT)],
    **answers.documented(AlertItem, 409),
)
async def acknowledge(shared: Shared, caller: Caller, alert: UUID) -> Response:
    """Take note of a raised alert; who did it first stays named, a second time changes nothing."""
    now = shared.clock()
    async with look(shared, caller) as view:
        before = await own_alert(view, alert)
        async with view.connection.transaction():
            first = await alerts.acknowledge(view.connection, alert, caller.name, now)
            moved = before.is_raised and await cases.acknowledge(
                view.connection, alert, caller.name, caller.role, now
            )
            if first or moved:
                await tokens.record(
                    view.connection,
                    at=now,
                    who=caller.name,
                    role=caller.role,
                    action="acknowledge",
                    subject=f"alert/{alert}",
                )
        kept = await own_alert(view, alert)
        item = alerts.describe(kept, view.declared.plant)
    if item["acknowledged_at"] is None:
        raise problems.ProblemError(
            409, "The alert is not raised, so there is nothing to take note of: wait until it is."
        )
    return answers.json(item)


async def own_alert(view: View, alert: UUID) -> Kept:
    """Return an alert; raises 404 for an unknown and 403 for a foreign one."""
    kept = await alerts.find(view.connection, alert)
    if kept is None:
        raise problems.not_found(f"No alert has the id {alert}.", "unknown_alert")
    if kept.site is None:
        if not access.sees_everything(view.caller):
            raise problems.forbidden("The alert is the service's own: your token has a scope.")
    elif kept.key.unit is not None:
        view.unit(kept.key.unit)
    else:
        view.site(kept.site)
    return kept


def _scope(view: View, asked: Wanted) -> alertlists.Scope:
    """Return whose alerts a caller asks for; one unit's are those of its points as well."""
    site, folded = asked.site, asked.folded
    kinds = [asked.kind] if asked.kind is not None else [alerts.EXCEEDANCE, alerts.CONDITION]
    if asked.unit is not None:
        own = view.unit(asked.unit)[0]
        mine = [own.id] if site in (None, own.site) else []
        return alertlists.Scope(mine, kinds=kinds, folded=folded)
    units = [one.id for one in view.units() if site in (None, one.site)]
    sites = [one.id for one in view.sites() if site in (None, one.id)]
    is_whole = site is None and access.sees_everything(view.caller)
    return alertlists.Scope(units, sites, is_whole, kinds, folded)


def _states(given: list[str] | None) -> list[str]:
    words = [word.strip() for text in given or () for word in text.split(",")]
    unknown = sorted(set(words) - {str(state) for state in SHOWN})
    if unknown:
        message = f"{unknown[0][:40]!r} is no state: use {', '.join(SHOWN)}"
        raise problems.bad_parameter("state", message)
    return sorted(set(words)) or [str(state) for state in SHOWN]
