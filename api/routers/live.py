"""The live stream of unit views, as server-sent events."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from api import problems, security
from api.access import Action
from api.deps import Caller, Services, Shared, allow
from api.live import FullError
from api.problems import RETRY_AFTER_S
from api.stream import LiveResponse
from store import access as tokens

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
    return LiveResponse(shared.hub, client, shared.ticks, _still_valid(request, shared))


def _still_valid(request: Request, shared: Services) -> Callable[[], Awaitable[bool]]:
    """Return the question whether what opened the stream would still open it."""
    token = security.bearer(request)
    cookie = request.cookies.get(security.COOKIE, "")

    async def ask() -> bool:
        now = shared.clock()
        try:
            async with shared.pool.connection() as connection:
                if token is not None:
                    holder = await tokens.holder_of_token(connection, token, now)
                else:
                    holder = await tokens.holder_of_session(connection, cookie, now)
        except security.STORE_IS_OUT:
            return True  # the page keeps its last figures, marked stale; asked again in a moment
        return holder is not None

    return ask
