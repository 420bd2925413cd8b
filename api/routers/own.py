"""What callers see and change of themselves: their sessions, and the password of their account."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import answers, bodies, entering, passwords, problems
from api.access import Action, Principal
from api.deps import Caller, Services, Shared, allow
from api.entry_schemas import NewPasswordIn, OwnSessionItem, SessionItem
from api.schemas import Page
from core.errors import Rejected
from store import access as tokens
from store import accounts, sessions
from store.access import Holder
from store.accounts import Account
from store.sessions import Session

MOST_BODY_BYTES: Final = 4096  # two passwords
router = APIRouter(tags=["session"], dependencies=[allow(Action.KEEP_SESSION)])


@router.get("/api/v1/sessions", **answers.documented(Page[OwnSessionItem]))
async def list_sessions(shared: Shared, caller: Caller) -> Response:
    """List the caller's own sessions, the newest first."""
    async with shared.pool.connection() as connection:
        found = await sessions.sessions_of(
            connection, _holder(caller), shared.clock(), shared.settings.access.life
        )
    current = None if caller.session is None else caller.session.session_id
    return answers.page([_item(each, current) for each in found])


@router.delete("/api/v1/sessions", status_code=204, **answers.documented(None))
async def end_others(shared: Shared, caller: Caller) -> Response:
    """End all of the caller's sessions but the one that asks."""
    current = None if caller.session is None else caller.session.session_id
    async with shared.pool.connection() as connection, connection.transaction():
        ended = await sessions.close_own(connection, _holder(caller), but=current)
        await _record(shared, connection, caller, "end_sessions", "sessions", {"ended": ended})
    return Response(status_code=204)


@router.delete("/api/v1/sessions/{session}", status_code=204, **answers.documented(None))
async def end_one(shared: Shared, caller: Caller, session: UUID) -> Response:
    """End one of the caller's sessions."""
    async with shared.pool.connection() as connection, connection.transaction():
        ended = await sessions.close_own(connection, _holder(caller), only=session)
        if not ended:
            raise problems.not_found(f"You have no session {session}.", "unknown_session")
        await _record(shared, connection, caller, "end_sessions", f"session/{session}", {})
    return Response(status_code=204)


@router.post(
    "/api/v1/account/password",
    openapi_extra=bodies.described(NewPasswordIn),
    **answers.documented(SessionItem, 409, 413, 415, 429),
)
async def change_password(request: Request, shared: Shared, caller: Caller) -> Response:
    """Change one's own password; all sessions end, and the one that asks begins anew."""
    given = await bodies.read(request, NewPasswordIn, MOST_BODY_BYTES, "send old and new")
    holder = _holder(caller)
    if holder.account_id is None or holder.issuer is not None:
        raise problems.ProblemError(
            409, "This is no account with a password here: change it where you signed in."
        )
    entering.check_throttle(request, shared, caller.name)
    async with shared.pool.connection() as connection:
        account = await accounts.find(connection, caller.name)
    hashed = await _new_hash(request, shared, account, given)
    async with shared.pool.connection() as connection, connection.transaction():
        assert account is not None, "its session was just shown"  # noqa: S101 - a belief about our own code
        if not await accounts.set_password(connection, account, hashed, shared.clock()):
            raise problems.ProblemError(409, "The password was changed meanwhile: sign in again.")
        await _record(shared, connection, caller, "change_password", f"account/{caller.name}", {})
        opened = await entering.open_session(request, shared, connection, holder, entering.PASSWORD)
    return entering.answer(request, shared, holder, opened)


async def _new_hash(
    request: Request, shared: Services, account: Account | None, given: NewPasswordIn
) -> str:
    """Check the old password and the new one; raises 401 or 422."""
    kept = None if account is None else account.password_hash
    if not await shared.passwords.matches(kept, given.old) or account is None:
        name = None if account is None else account.name
        entering.failed(request, shared, entering.PASSWORD, name)
        raise problems.ProblemError(403, "The old password is another one.", "wrong_password")
    if given.new == given.old:
        raise Rejected("the new password is the old one: choose another")
    passwords.check_new(given.new, account.name)
    return await shared.passwords.hash(given.new)


def _holder(caller: Principal) -> Holder:
    assert caller.holder is not None, "the shell found one"  # noqa: S101 - a belief about our own code
    return caller.holder


async def _record(
    shared: Services,
    connection: Any,
    caller: Principal,
    action: str,
    subject: str,
    detail: dict[str, Any],
) -> None:
    await tokens.record(
        connection,
        at=shared.clock(),
        who=caller.name,
        role=caller.role,
        action=action,
        subject=subject,
        detail=detail,
    )


def _item(each: Session, current: UUID | None) -> dict[str, Any]:
    return {
        "id": str(each.session_id),
        "created_at": answers.utc(each.created_at),
        "seen_at": answers.utc(each.seen_at),
        "expires_at": answers.utc(each.expires_at),
        "address": each.address,
        "browser": each.browser,
        "current": each.session_id == current,
    }
