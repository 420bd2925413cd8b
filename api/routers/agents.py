"""Edge agents and dead letters: whether the path to the meters is sound."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api import access, answers, requests
from api.access import Action
from api.deps import Caller, Shared, allow, look
from api.requests import DEFAULT_LIMIT, Cursor, Limit
from api.schemas import AgentItem, DeadLetterItem, Page
from store import views
from store.views import AgentView, DeadLetterView

router = APIRouter(tags=["path"])


@router.get(
    "/api/v1/agents",
    dependencies=[allow(Action.READ_AGENTS)],
    **answers.documented(Page[AgentItem]),
)
async def list_agents(
    shared: Shared, caller: Caller, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Response:
    """List the declared agents in the caller's scope; one never heard of has state `unknown`."""
    async with look(shared, caller) as view:
        sites = {site.id for site in view.sites()}
        keys = sorted(key for key in view.declared.plant.agents if key[0] in sites)
        ids = [f"{site}/{agent}" for site, agent in keys]
        shown, following = requests.page_of_ids(keys, ids, limit, cursor)
        known = await views.agents(view.connection, shown)
    return answers.page([_agent_item(key, known[key]) for key in shown], following)


@router.get(
    "/api/v1/dead-letters",
    dependencies=[allow(Action.READ_DEAD_LETTERS)],
    **answers.documented(Page[DeadLetterItem]),
)
async def list_dead_letters(
    shared: Shared,
    caller: Caller,
    reason: str | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """List what was not admitted, newest first; what names no declared site needs scope `*`."""
    before = requests.decode_cursor(cursor, int)
    async with look(shared, caller) as view:
        whole = access.sees_everything(caller)
        rows = await views.dead_letters(
            view.connection,
            sites=None if whole else [site.id for site in view.sites()],
            reason=reason,
            before=before[0] if before else None,
            limit=limit + 1,
        )
    following = requests.encode_cursor(rows[limit - 1].id) if len(rows) > limit else None
    return answers.page([_letter_item(row) for row in rows[:limit]], following)


def _agent_item(key: tuple[str, str], view: AgentView) -> dict[str, Any]:
    return {
        "agent": "/".join(key),
        "site": key[0],
        "state": view.state or "unknown",
        "state_at": answers.utc(view.state_at),
        "epoch": view.epoch,
        "depth": view.depth,
        "oldest_at": answers.utc(view.oldest_at),
        "clock_offset_ms": view.clock_offset_ms,
        "last_seen_at": answers.utc(view.last_seen_at),
        "committed": view.committed,
        "missing": view.missing,
        "lost": view.lost,
    }


def _letter_item(row: DeadLetterView) -> dict[str, Any]:
    return {
        "id": row.id,
        "recorded_at": answers.utc(row.recorded_at),
        "reason": row.reason,
        "topic": row.topic,
        "site": row.site,
        "agent": row.agent,
        "point": row.point,
        "measured_at": answers.utc(row.measured_at),
        "detail": row.detail,
        "payload_bytes": row.payload_bytes,
    }
