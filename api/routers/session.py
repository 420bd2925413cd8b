"""The session of a browser: a token or a password is traded for a cookie, which ends here too.

EventSource sends no headers, hence a cookie. Sign-in at an identity provider is `routers.oidc`.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from api import answers, bodies, entering, passwords, problems, security
from api.access import Action
from api.deps import Caller, Services, Shared, allow
from api.entry_schemas import PasswordIn, SessionItem, WaysItem
from store import access as tokens
from store import accounts, sessions
from store.accounts import Account

MOST_BODY_BYTES: Final = 4096  # a name and a password
router = APIRouter(tags=["session"])


@router.post("/api/v1/session", **answers.documented(SessionItem, 429))
async def sign_in(
    request: Request,
    shared: Shared,
    authorization: Annotated[str | None, Header(description="Bearer <token>")] = None,  # noqa: ARG001 - shows in OpenAPI; read by security.bearer
) -> Response:
    """Trade a bearer token for a cookie and a CSRF token; guessing is throttled."""
    security.refuse_foreign(request)
    entering.check_throttle(request, shared)
    token = security.bearer(request)
    async with shared.pool.connection() as connection:
        found = await tokens.holder_of_token(connection, token, shared.clock()) if token else None
        if found is None:
            entering.failed(request, shared, entering.TOKEN)
            raise problems.stranger()
        opened = await entering.open_session(request, shared, connection, found, entering.TOKEN)
    return entering.answer(request, shared, found, opened)


@router.post(
    "/api/v1/session/password",
    openapi_extra=bodies.described(PasswordIn),
    **answers.documented(SessionItem, 413, 415, 429),
)
async def sign_in_by_password(request: Request, shared: Shared) -> Response:
    """Sign in with name and password; failures are throttled by address and by name."""
    security.refuse_foreign(request)
    given = await bodies.read(request, PasswordIn, MOST_BODY_BYTES, "send name and password")
    name = passwords.normal_name(given.name)
    entering.check_throttle(request, shared, name)
    # The connection goes back while the password is checked, which takes a moment.
    async with shared.pool.connection() as connection:
        account = await accounts.find(connection, name)
    kept = None if account is None or account.disabled_at is not None else account.password_hash
    if not await shared.passwords.matches(kept, given.password) or account is None:
        await _refuse(request, shared, name, account)
        raise problems.ProblemError(
            401,
            "Name and password do not belong together: check both, or ask your administrator.",
            "wrong_password",
        )
    newer = await _newer_hash(shared, account, given.password)
    async with shared.pool.connection() as connection:
        # The account is read again by its hash: what was disabled or changed meanwhile stays out.
        current = await accounts.find(connection, name)
        if current is None or current.disabled_at or current.password_hash != kept:
            raise problems.stranger()
        if newer is not None:
            await accounts.rehash(connection, account, newer)
        holder = current.holder()
        opened = await entering.open_session(request, shared, connection, holder, entering.PASSWORD)
    return entering.answer(request, shared, holder, opened)


@router.get("/api/v1/session/ways", **answers.documented(WaysItem))
async def ways(shared: Shared) -> Response:
    """Tell a stranger which ways there are to sign in."""
    async with shared.pool.connection() as connection:
        has_local = await accounts.has_local(connection)
    found = [
        {
            "id": key,
            "name": client.provider.name.model_dump(),
            "begin": f"{entering.OIDC}/{key}",
        }
        for key, client in shared.providers.items()
    ]
    return answers.json({"password": has_local, "token": True, "providers": found})


@router.get(
    "/api/v1/session",
    dependencies=[allow(Action.KEEP_SESSION)],
    **answers.documented(SessionItem),
)
async def get_session(shared: Shared, caller: Caller) -> Response:
    """Tell who is signed in; with a cookie also its CSRF token."""
    csrf = None if caller.session is None else caller.session.csrf
    return answers.json(entering.item(caller, shared, csrf))


@router.delete(
    "/api/v1/session",
    status_code=204,
    dependencies=[allow(Action.KEEP_SESSION)],
    **answers.documented(None),
)
async def sign_out(request: Request, shared: Shared, caller: Caller) -> Response:
    """End the session of the cookie; a bearer token has none to end."""
    if caller.session is not None:
        async with shared.pool.connection() as connection:
            await sessions.close_session(connection, caller.session.session_id)
            await tokens.record(
                connection,
                at=shared.clock(),
                who=caller.name,
                role=caller.role,
                action="sign_out",
                subject=f"session/{caller.session.session_id}",
            )
    answer = Response(status_code=204)
    security.drop(request, answer)
    return answer


async def _refuse(request: Request, shared: Services, name: str, account: Account | None) -> None:
    """Count a wrong password; of somebody's name it is audited, of nobody's only counted."""
    entering.failed(request, shared, entering.PASSWORD, name)
    if account is None:
        return
    async with shared.pool.connection() as connection:
        await tokens.record(
            connection,
            at=shared.clock(),
            who=account.name,
            role=account.role,
            action="sign_in_refused",
            subject="session",
            detail={"address": security.address(request), "disabled": bool(account.disabled_at)},
        )


async def _newer_hash(shared: Services, account: Account, password: str) -> str | None:
    """Hash a right password again where its hash was made with other costs."""
    if not shared.passwords.is_old(account.password_hash or ""):
        return None
    return await shared.passwords.hash(password)
