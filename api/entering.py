"""What all ways to sign in share: throttled attempts, a session opened and written down, a cookie.

Promise: guessing is slowed by address and by name, in tables that are bounded; who signs in gets a
new session and the browser's old one ends; each sign-in, and each refused password, is audited.
"""

from datetime import datetime
from typing import Any, Final

from fastapi import Request
from psycopg import AsyncConnection
from starlette.responses import Response

from api import access, answers, problems, security
from api.access import Principal
from api.deps import Services
from store import access as tokens
from store import accounts, sessions
from store.access import Holder
from store.sessions import NewSession, Origin

TOKEN: Final = "token"  # noqa: S105 - a word, not a secret
PASSWORD: Final = "password"  # noqa: S105 - as above
PROVIDER: Final = "provider"
OIDC: Final = "/api/v1/session/oidc"


def check_throttle(request: Request, shared: Services, name: str | None = None) -> None:
    """Raise 429 where this address, or this name, had too many failures."""
    now_s = shared.ticks()
    wait_s = shared.throttle.wait_s(security.address(request), now_s)
    if name is not None:
        wait_s = max(wait_s, shared.names.wait_s(name, now_s))
    if wait_s > 0:
        shared.metrics.add("danhao_sign_in_throttled_total")
        raise problems.ProblemError(
            429,
            "Too many failed sign-ins from this address or for this name: wait"
            f" {int(wait_s) + 1} s.",
            headers={"Retry-After": str(int(wait_s) + 1)},
        )


def failed(request: Request, shared: Services, how: str, name: str | None = None) -> None:
    """Count a failure against the address, and against the name that was tried."""
    shared.metrics.add("danhao_sign_ins_total", how=how, outcome="refused")
    shared.throttle.failed(security.address(request), shared.ticks())
    if name is not None:
        shared.names.failed(name, shared.ticks())


async def open_session(
    request: Request,
    shared: Services,
    connection: AsyncConnection[Any],
    holder: Holder,
    how: str,
) -> NewSession:
    """Open a session in the caller's connection, end the browser's old one, and audit it."""
    now = shared.clock()
    origin = Origin(security.address(request), request.headers.get("user-agent", ""))
    async with connection.transaction():
        old = security.cookie_of(request)
        if old is not None:
            await sessions.close_replaced(connection, old)
        opened = await sessions.open_session(
            connection, holder, now, shared.settings.access.life, origin
        )
        if holder.account_id is not None:
            await accounts.signed_in(connection, holder.account_id, now)
        await tokens.record(
            connection,
            at=now,
            who=holder.name,
            role=holder.role,
            action="sign_in",
            subject=f"session/{opened.session_id}",
            detail={"address": origin.address, "how": how},
        )
    shared.metrics.add("danhao_sign_ins_total", how=how, outcome="opened")
    return opened


def answer(request: Request, shared: Services, holder: Holder, opened: NewSession) -> Response:
    """Answer with who is signed in, and the session's cookie."""
    found = answers.json(
        {
            **item(access.principal_of(holder), shared, opened.csrf),
            "expires_at": answers.utc(opened.expires_at),
        }
    )
    hand_over(request, found, opened, shared.clock())
    return found


def hand_over(request: Request, found: Response, opened: NewSession, now: datetime) -> None:
    """Put the session's cookie on an answer."""
    security.keep(request, found, opened.cookie, int((opened.expires_at - now).total_seconds()))


def item(who: Principal, shared: Services, csrf: str | None) -> dict[str, object]:
    """Return how a caller is shown to the page."""
    provider = _provider(who, shared)
    return {
        "name": who.name,
        "role": who.role.value,
        "scope": sorted(who.scope),
        "csrf": csrf,
        "expires_at": answers.utc(who.expires_at),
        "how": how_of(who),
        "leave": None if provider is None else f"{OIDC}/{provider}/leave",
    }


def how_of(who: Principal) -> str:
    """Return by which way somebody signed in."""
    if who.holder is None or who.holder.account_id is None:
        return TOKEN
    return PASSWORD if who.holder.issuer is None else PROVIDER


def _provider(who: Principal, shared: Services) -> str | None:
    issuer = None if who.holder is None else who.holder.issuer
    found = [key for key, one in shared.providers.items() if one.provider.issuer == issuer]
    return found[0] if found else None
