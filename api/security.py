"""The outermost layer of every request: who asks, safe headers, counting, and the last resort.

Below it nothing has to think of strangers: whatever is not the page or a health route gets here
401 without a valid token or session, and a write by cookie needs its CSRF token (design 4.4).
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import access, problems
from api.access import Principal
from api.metrics import Metrics
from store import access as tokens
from store.connection import Pool

COOKIE: Final = "danhao_session"
CSRF_HEADER: Final = "X-CSRF-Token"
GUARDED: Final = ("/api", "/metrics", "/openapi.json", "/docs")
SIGN_IN: Final = ("POST", "/api/v1/session")  # judges its own token, to throttle guessing
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
}
log = logging.getLogger(__name__)


def is_guarded(path: str) -> bool:
    """Tell whether a stranger gets nothing here; everything else is the page or health."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in GUARDED)


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
    ) -> None:
        self._app = app
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
        answer = _Answer(send)
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
        if is_guarded(request.url.path) and (request.method, request.url.path) != SIGN_IN:
            principal = await self._identify(request)
            scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, answer)

    async def _identify(self, request: Request) -> Principal:
        token, cookie = bearer(request), request.cookies.get(COOKIE)
        if token is None and cookie is None:
            raise problems.stranger()
        now = self._clock()
        async with self._pool.connection() as connection:
            if token is not None:
                holder = await tokens.holder_of_token(connection, token, now)
            else:
                holder = await tokens.holder_of_session(connection, cookie or "", now)
            if holder is None:
                raise problems.stranger()
            if token is None and request.method not in _SAFE_METHODS:
                csrf = request.headers.get(CSRF_HEADER, "")
                if not await tokens.csrf_matches(connection, cookie or "", csrf):
                    raise problems.ProblemError(
                        403, f"A write by cookie needs the session's {CSRF_HEADER} header.", "csrf"
                    )
        return access.principal_of(holder, by_cookie=token is None)

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


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Answer:
    """`send` with the safe headers on, that remembers the status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.is_stream = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "private, no-store")
            self.is_stream = headers.get("content-type", "").startswith("text/event-stream")
        await self._send(message)
