"""Signing in: a bearer token is traded for a cookie, because EventSource sends no headers."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from api import access, answers, problems, security
from api.access import Action, Principal
from api.deps import Caller, Services, Shared, allow
from api.schemas import SessionItem
from store import access as tokens

COOKIE_PATH: Final = "/"
router = APIRouter(tags=["session"])


@router.post("/api/v1/session", **answers.documented(SessionItem))
async def sign_in(
    request: Request,
    shared: Shared,
    authorization: Annotated[str | None, Header(description="Bearer <token>")] = None,  # noqa: ARG001 - shows in OpenAPI; read by security.bearer
) -> Response:
    """Trade a bearer token for a cookie of 12 h and a CSRF token; guessing is throttled."""
    address = request.client.host if request.client is not None else "unknown"
    wait_s = shared.throttle.wait_s(address, shared.ticks())
    if wait_s > 0:
        shared.metrics.add("danhao_sign_in_throttled_total")
        raise problems.ProblemError(
            429,
            "Too many failed sign-ins from this address: wait a minute.",
            headers={"Retry-After": str(int(wait_s) + 1)},
        )
    token = security.bearer(request)
    now = shared.clock()
    async with shared.pool.connection() as connection:
        holder = await tokens.holder_of_token(connection, token, now) if token else None
        if holder is None:
            shared.throttle.failed(address, shared.ticks())
            raise problems.stranger()
        opened = await tokens.open_session(connection, holder, now)
        await tokens.record(
            connection,
            at=now,
            who=holder.name,
            role=holder.role,
            action="sign_in",
            subject="session",
            detail={"address": address},
        )
    who = access.principal_of(holder, by_cookie=True)
    answer = answers.json({**_item(who, opened.csrf), "expires_at": answers.utc(opened.expires_at)})
    answer.set_cookie(
        security.COOKIE,
        opened.cookie,
        max_age=int((opened.expires_at - now).total_seconds()),
        path=COOKIE_PATH,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


@router.get(
    "/api/v1/session",
    dependencies=[allow(Action.KEEP_SESSION)],
    **answers.documented(SessionItem),
)
async def get_session(request: Request, caller: Caller) -> Response:
    """Tell who is signed in; with a cookie also its CSRF token."""
    csrf = tokens.csrf_of(_cookie(request)) if caller.by_cookie else None
    return answers.json(_item(caller, csrf))


@router.delete(
    "/api/v1/session",
    status_code=204,
    dependencies=[allow(Action.KEEP_SESSION)],
    **answers.documented(None),
)
async def sign_out(request: Request, shared: Shared, caller: Caller) -> Response:
    """End the session of the cookie; a bearer token has none to end."""
    if caller.by_cookie:
        await _close(request, shared, caller)
    answer = Response(status_code=204)
    answer.delete_cookie(security.COOKIE, path=COOKIE_PATH, httponly=True, samesite="strict")
    return answer


async def _close(request: Request, shared: Services, caller: Principal) -> None:
    async with shared.pool.connection() as connection:
        await tokens.close_session(connection, _cookie(request))
        await tokens.record(
            connection,
            at=shared.clock(),
            who=caller.name,
            role=caller.role,
            action="sign_out",
            subject="session",
        )


def _cookie(request: Request) -> str:
    return request.cookies.get(security.COOKIE, "")


def _item(who: Principal, csrf: str | None) -> dict[str, object]:
    return {
        "name": who.name,
        "role": who.role.value,
        "scope": sorted(who.scope),
        "csrf": csrf,
        "expires_at": answers.utc(who.expires_at),
    }
