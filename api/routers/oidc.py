"""Sign-in at an identity provider: there, back with a code, and out again.

The browser comes back by a plain link, so whatever goes wrong ends on the page, which has a
sentence for each word of `oidc_answers.Why` behind `#sign-in=`.
"""

import logging
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query, Request
from psycopg import AsyncConnection
from starlette.responses import RedirectResponse, Response

from api import answers, entering, oidc_flow, problems, requests, security
from api.deps import Services, Shared
from api.oidc import Client, Person
from api.oidc_answers import SignInError, Why
from api.oidc_flow import MOST_PLACE_CHARS, Flow
from api.schemas import Problem
from core.errors import Rejected
from store import access as tokens
from store import accounts
from store.accounts import Account, Vouched
from store.sessions import NewSession

COOKIE: Final = "danhao_sign_in"
SEE_OTHER: Final = 303
MOST_CHARS: Final = 8_192  # of one parameter that a provider hands back
MOST_BODY_BYTES: Final = 128 * 1024  # a logout token
_FOUND: Final[dict[str, Any]] = {
    "status_code": SEE_OTHER,
    "response_class": Response,
    "responses": {
        SEE_OTHER: {"description": "On to the provider, or to the page."},
        **{
            status: {"model": Problem, "description": "Problem document (RFC 9457)"}
            for status in (404, 422, 429)
        },
    },
}
_Handed = Annotated[str | None, Query(max_length=MOST_CHARS)]
log = logging.getLogger(__name__)
router = APIRouter(tags=["session"])


@router.get(f"{entering.OIDC}/{{provider}}", **_FOUND)
async def begin(
    request: Request,
    shared: Shared,
    provider: str,
    to: Annotated[
        str | None, Query(max_length=MOST_PLACE_CHARS, description="A path of the page.")
    ] = None,
) -> Response:
    """Send the browser to the provider; it comes back to the callback with a code."""
    client = _client(shared, provider)
    now_s = int(shared.clock().timestamp())
    flow = Flow(client.id, tokens.new_secret(), now_s, oidc_flow.local(to))
    try:
        address = await client.address(flow)
    except SignInError as error:
        return _on_page(request, shared, flow.place, error)
    answer = _to(address)
    answer.set_cookie(
        COOKIE,
        flow.cookie(),
        max_age=oidc_flow.MOST_AGE_S,
        path=entering.OIDC,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",  # the provider's page leads back here, and the cookie has to come along
    )
    return answer


@router.get(f"{entering.OIDC}/{{provider}}/callback", **_FOUND)
async def callback(
    request: Request,
    shared: Shared,
    provider: str,
    *,
    code: _Handed = None,
    state: _Handed = None,
    error: _Handed = None,
    iss: _Handed = None,
) -> Response:
    """Take the provider's answer, open a session, and lead on to where the person wants to be."""
    client = _client(shared, provider)
    entering.check_throttle(request, shared)
    now = shared.clock()
    flow = oidc_flow.read(request.cookies.get(COOKIE, ""), client.id, int(now.timestamp()))
    handed = {"code": code, "state": state, "error": error, "iss": iss}
    given = {key: value for key, value in handed.items() if value is not None}
    if flow is None:
        stale = SignInError(Why.STALE, "the browser brings no sign-in that was begun")
        return _on_page(request, shared, oidc_flow.HOME, stale)
    try:
        person = await client.finish(given, flow, now)
        answer = await _enter(request, shared, client, person, flow.place)
    except SignInError as trouble:
        answer = _on_page(request, shared, flow.place, trouble)
    answer.delete_cookie(COOKIE, path=entering.OIDC, httponly=True, samesite="lax")
    return answer


@router.get(f"{entering.OIDC}/{{provider}}/leave", **_FOUND)
async def leave(shared: Shared, provider: str) -> Response:
    """Send the browser to sign out at the provider too, where the provider has a place for it."""
    client = _client(shared, provider)
    try:
        address = await client.leaving(f"{shared.settings.access.public_url}/")
    except SignInError as error:
        log.warning("signing out at %s: %s", client.id, error)
        address = None
    return _to(address or oidc_flow.HOME)


@router.post(
    f"{entering.OIDC}/{{provider}}/logout",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "required": ["logout_token"],
                        "properties": {"logout_token": {"type": "string"}},
                    }
                }
            },
        }
    },
    **answers.documented(None, 413, 429),
)
async def logout(request: Request, shared: Shared, provider: str) -> Response:
    """Take the provider's word that a person signed out there: all their sessions here end."""
    client = _client(shared, provider)
    entering.check_throttle(request, shared)
    raw = await requests.body(request, MOST_BODY_BYTES, "send one logout token")
    form = dict(parse_qsl(raw.decode("utf-8", "replace")))
    now = shared.clock()
    try:
        subject = await client.signed_out(form.get("logout_token", ""), now)
    except SignInError as error:
        log.warning("a logout by %s is not taken: %s", client.id, error)
        entering.failed(request, shared, entering.PROVIDER)
        raise problems.ProblemError(400, "The logout token is not taken.", "logout") from error
    async with shared.pool.connection() as connection, connection.transaction():
        ended = await accounts.sign_out(connection, client.provider.issuer, subject)
        if ended is not None and ended[1]:
            account, count = ended
            await tokens.record(
                connection,
                at=now,
                who=account.name,
                role=account.role,
                action="sign_out_by_provider",
                subject="sessions",
                detail={"ended": count, "provider": client.id},
            )
    return answers.json(None, headers={"Cache-Control": "no-store"})


async def _enter(
    request: Request, shared: Services, client: Client, person: Person, place: str
) -> Response:
    """Open a session for somebody the provider vouches for; raises SignInError where none is."""
    granted = client.provider.granted(person.groups)
    if granted is None:
        raise SignInError(Why.NO_GRANT, f"{person.name} is in no group that is granted anything")
    role, scope = granted
    who = Vouched(client.provider.issuer, person.subject, person.name, role, scope)
    now = shared.clock()
    async with shared.pool.connection() as connection, connection.transaction():
        account, opened = await _opened(request, shared, connection, who, now)
        if opened is None:
            await tokens.record(
                connection,
                at=now,
                who=account.name,
                role=account.role,
                action="sign_in_refused",
                subject="session",
                detail={"address": security.address(request), "disabled": True},
            )
    if opened is None:
        raise SignInError(Why.DISABLED, f"the account {account.name} is disabled")
    answer = _to(place)
    entering.hand_over(request, answer, opened, now)
    return answer


async def _opened(
    request: Request,
    shared: Services,
    connection: AsyncConnection[Any],
    who: Vouched,
    now: datetime,
) -> tuple[Account, NewSession | None]:
    """Return the person's account, and a session unless it is disabled."""
    try:
        account = await accounts.vouched(connection, who, now)
    except Rejected as error:
        raise SignInError(Why.DISABLED, str(error)) from error
    if account.disabled_at is not None:
        return account, None
    holder = account.holder()
    return account, await entering.open_session(
        request, shared, connection, holder, entering.PROVIDER
    )


def _client(shared: Services, provider: str) -> Client:
    found = shared.providers.get(provider)
    if found is None:
        raise problems.not_found(
            f"No identity provider has the id {provider[:100]!r}.", "unknown_provider"
        )
    return found


def _on_page(request: Request, shared: Services, place: str, error: SignInError) -> Response:
    """Lead to the page with the word of what went wrong; the sentence is for the log."""
    log.warning("sign-in by %s: %s", request.url.path, error)
    entering.failed(request, shared, entering.PROVIDER)
    return _to(f"{place}#sign-in={error.why.value}")


def _to(address: str) -> Response:
    return RedirectResponse(address, SEE_OTHER, headers={"Cache-Control": "no-store"})
