"""The outermost layer of every request: who asks, safe headers, counting, and the last resort.

Below it nothing has to think of strangers: whatever is not the page, a health route or a way to
sign in gets here 401 without a valid token or session, and a write by cookie needs its CSRF token
(design 4.4). A session's cookie is renewed here while it is in use.
"""

import hmac
import logging
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout, TooManyRequests
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import access, problems
from api.access import Principal
from api.metrics import Metrics
from store import access as tokens
from store import sessions
from store.connection import Pool
from store.sessions import Entered, Life, Stolen

COOKIE: Final = "danhao_session"
# Over TLS the prefix has browsers refuse a cookie that a neighbouring host name set.
HOST_PREFIX: Final = "__Host-"
CSRF_HEADER: Final = "X-CSRF-Token"
GUARDED: Final = ("/api", "/metrics", "/openapi.json", "/docs")
# Open to strangers: each of these judges for itself, and throttles guessing.
SIGN_IN: Final = frozenset(
    {
        ("POST", "/api/v1/session"),
        ("POST", "/api/v1/session/password"),
        ("GET", "/api/v1/session/ways"),
        ("GET", "/api/v1/session/oidc/{provider}"),
        ("GET", "/api/v1/session/oidc/{provider}/callback"),
        ("GET", "/api/v1/session/oidc/{provider}/leave"),
        ("POST", "/api/v1/session/oidc/{provider}/logout"),
    }
)
_SIGN_IN: Final = [
    (method, re.compile(re.sub(r"\{[a-z]+\}", "[^/]+", path))) for method, path in sorted(SIGN_IN)
]
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
STORE_IS_OUT: Final = (psycopg.OperationalError, PoolTimeout, TooManyRequests)
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self'; img-src 'self' data:; object-src 'none';"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
TLS_ONLY: Final = {"Strict-Transport-Security": "max-age=31536000"}
log = logging.getLogger(__name__)


def is_guarded(path: str) -> bool:
    """Tell whether a stranger gets nothing here; everything else is the page or health."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in GUARDED)


def is_sign_in(method: str, path: str) -> bool:
    """Tell whether this is a way to sign in, which a stranger may take."""
    return any(method == one and shape.fullmatch(path) for one, shape in _SIGN_IN)


def cookie_of(request: Request) -> str | None:
    """Return the session cookie of a request, or None."""
    return request.cookies.get(_cookie_name(request))


def keep(request: Request, answer: Response, cookie: str, seconds: int) -> None:
    """Give the browser the session's cookie: no script reads it, no other site sends it."""
    answer.set_cookie(
        _cookie_name(request),
        cookie,
        max_age=seconds,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def drop(request: Request, answer: Response) -> None:
    """Have the browser forget the session's cookie."""
    answer.delete_cookie(
        _cookie_name(request),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _cookie_name(request: Request) -> str:
    return f"{HOST_PREFIX}{COOKIE}" if request.url.scheme == "https" else COOKIE


def refuse_foreign(request: Request) -> None:
    """Raise 403 where another site's page has a browser sign in; programs send no such header."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise problems.ProblemError(
            403, "Another site's page may not sign anybody in: open this service itself.", "csrf"
        )


def bearer(request: Request) -> str | None:
    """Return the bearer token of a request, or None."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


class Shell:
    """The middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        pool: Pool,
        clock: Callable[[], datetime],
        ticks: Callable[[], float],
        metrics: Metrics,
        life: Life,
    ) -> None:
        self._app = app
        self._life = life
        self._pool = pool
        self._clock = clock
        self._ticks = ticks
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; lifespan passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._ticks()
        answer = _Answer(send, is_tls=scope.get("scheme") == "https")
        try:
            await self._enter(scope, receive, answer)
        except Exception as error:
            if answer.status:
                raise  # too late for another answer: the server drops the connection
            await self._last_resort(error, scope, receive, answer)
        finally:
            self._count(scope, answer, self._ticks() - started)

    async def _enter(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        request = Request(scope)
        path = request.url.path
        if is_guarded(path) and not is_sign_in(request.method, path):
            principal = await self._identify(request)
            scope.setdefault("state", {})["principal"] = principal
            if principal.session is not None and principal.session.cookie is not None:
                answer.cookie = self._renewed(request, principal, principal.session.cookie)
        await self._app(scope, receive, answer)

    async def _identify(self, request: Request) -> Principal:
        token, cookie = bearer(request), cookie_of(request)
        now = self._clock()
        if token is not None:
            async with self._pool.connection() as connection:
                holder = await tokens.holder_of_token(connection, token, now)
            if holder is None:
                raise problems.stranger()
            return access.principal_of(holder)
        if cookie is None:
            raise problems.stranger()
        async with self._pool.connection() as connection:
            shown = await sessions.enter(connection, cookie, now, self._life)
            if isinstance(shown, Stolen):
                await self._ended(connection, shown, now, request)
        if not isinstance(shown, Entered):
            raise problems.stranger()
        if request.method not in _SAFE_METHODS and not _same(request, shown.csrf):
            raise problems.ProblemError(
                403, f"A write by cookie needs the session's {CSRF_HEADER} header.", "csrf"
            )
        return access.principal_of(shown.holder, shown)

    async def _ended(
        self, connection: AsyncConnection[Any], stolen: Stolen, now: datetime, request: Request
    ) -> None:
        """Write down that a session was ended because two browsers had it."""
        self._metrics.add("danhao_sessions_stolen_total")
        log.warning("the session %s of %s was shown by two", stolen.session_id, stolen.holder.name)
        await tokens.record(
            connection,
            at=now,
            who=stolen.holder.name,
            role=stolen.holder.role,
            action="session_stolen",
            subject=f"session/{stolen.session_id}",
            detail={"address": address(request)},
        )

    def _renewed(self, request: Request, principal: Principal, cookie: str) -> str:
        """Return the header that hands a renewed cookie to the browser."""
        answer = Response()
        assert principal.expires_at is not None, "sessions end"  # noqa: S101 - a belief about our own code
        keep(request, answer, cookie, int((principal.expires_at - self._clock()).total_seconds()))
        return answer.headers["set-cookie"]

    async def _last_resort(
        self, error: Exception, scope: Scope, receive: Receive, answer: "_Answer"
    ) -> None:
        problem = problems.of_error(error)
        document = problems.document(problem)
        where = f"{scope['method']} {scope['path']}"
        if isinstance(error, STORE_IS_OUT):
            log.warning("%s: the store is out: %s", where, error)
        elif not isinstance(error, problems.ProblemError):
            log.error("%s on %s", document["instance"], where, exc_info=error)
        await problems.render(document, problem)(scope, receive, answer)

    def _count(self, scope: Scope, answer: "_Answer", seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.add(
            "danhao_http_requests_total",
            method=scope["method"] if scope["method"] in _METHODS else "other",
            route=route,
            status=str(answer.status or "aborted"),
        )
        if not answer.is_stream:
            self._metrics.add("danhao_http_seconds_total", seconds, route=route)


def address(request: Request) -> str:
    """Return the address of whoever asks, as far as it is known."""
    return request.client.host if request.client is not None else "unknown"


def _same(request: Request, csrf: str) -> bool:
    given = request.headers.get(CSRF_HEADER, "")
    return hmac.compare_digest(given.encode(), csrf.encode())


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Answer:
    """`send` with the safe headers on, that remembers the status."""

    def __init__(self, send: Send, *, is_tls: bool) -> None:
        self._send = send
        self._is_tls = is_tls
        self.status = 0
        self.cookie: str | None = None
        self.is_stream = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in (HEADERS | (TLS_ONLY if self._is_tls else {})).items():
                headers.setdefault(name, value)
            # A route that set or dropped the cookie itself has the last word.
            if self.cookie is not None and "set-cookie" not in headers:
                headers.append("Set-Cookie", self.cookie)
            headers.setdefault("Cache-Control", "private, no-store")
            self.is_stream = headers.get("content-type", "").startswith("text/event-stream")
        await self._send(message)
