"""Edge agents: whether the path to the meters is sound."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api import answers, requests
from api.access import Action
from api.deps import Caller, Shared, allow, look
from api.requests import DEFAULT_LIMIT, Cursor, Limit
from api.schemas import AgentItem, Page
from store import views
from store.views import AgentView

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
        "missing_ranges": view.holes,
        "missing_since": answers.utc(view.missing_since),
        "lost": view.lost,
    }
