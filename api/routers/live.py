"""The live stream of unit views, as server-sent events."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from api import answers, problems, security
from api.access import Action, Principal
from api.deps import Caller, Services, Shared, allow
from api.live import FullError
from api.problems import RETRY_AFTER_S
from api.stream import LiveResponse
from store import access as tokens
from store import sessions

router = APIRouter(tags=["live"], dependencies=[allow(Action.READ_FIGURES)])


@router.get(
    "/api/v1/live",
    response_class=Response,
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "units, alerts, heartbeat, resync",
        },
        503: {"description": "As many streams as this process serves: try again later."},
    },
)
async def watch(
    request: Request,
    shared: Shared,
    caller: Caller,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
    accept_encoding: Annotated[str, Header(max_length=200, include_in_schema=False)] = "",
) -> Response:
    """Stream changed units and alerts, a heartbeat every 5 s, `resync` where some were lost."""
    try:
        client = shared.hub.join(caller.scope, last_event_id, shared.ticks())
    except FullError as error:
        raise problems.ProblemError(
            503,
            "The server has as many live streams as it serves: try again in a few seconds.",
            "live_full",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        ) from error
    alive = _still_valid(request, shared, caller)
    return LiveResponse(
        shared.hub, client, shared.ticks, alive, gzip=answers.takes_gzip(accept_encoding)
    )


def _still_valid(
    request: Request, shared: Services, caller: Principal
) -> Callable[[], Awaitable[bool]]:
    """Return the question whether what opened the stream would still open it."""
    token, session, life = security.bearer(request), caller.session, shared.settings.access.life

    async def ask() -> bool:
        now = shared.clock()
        try:
            async with shared.pool.connection() as connection:
                if session is None:
                    return await tokens.holder_of_token(connection, token or "", now) is not None
                return await sessions.is_alive(connection, session.session_id, now, life)
        except security.STORE_IS_OUT:
            return True  # the page keeps its last figures, marked stale; asked again in a moment

    return ask
