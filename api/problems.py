"""Every error as a problem document (RFC 9457), made in one place from one table.

`type` is `urn:danhao:problem:<word>`, `instance` a fresh id that the log carries too where the
fault is ours. A detail is one sentence: what is wrong, where, and what to do.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import msgspec
import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout, TooManyRequests
from starlette.exceptions import HTTPException
from starlette.responses import Response

from core.errors import DanhaoError, Misconfigured, Rejected, Retryable

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5
MOST_ERRORS_SHOWN: Final = 50
log = logging.getLogger(__name__)

# What a status means where the raiser gave no word of its own.
_WORDS: Final = {
    400: "bad_request",
    401: "stranger",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    422: "bad_parameter",
    429: "too_many_attempts",
    500: "fault",
    503: "unavailable",
}


class ProblemError(Exception):
    """An answer that is a problem document; raised by routes, rendered here."""

    def __init__(
        self,
        status: int,
        detail: str,
        word: str = "",
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.word = word
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def stranger() -> ProblemError:
    """401: nobody we know."""
    return ProblemError(
        401,
        "This needs a valid token: send it as `Authorization: Bearer <token>`, or sign in.",
        headers={"WWW-Authenticate": 'Bearer realm="danhao"'},
    )


def forbidden(detail: str) -> ProblemError:
    """403: somebody we know, who may not do this."""
    return ProblemError(403, detail)


def not_found(detail: str, word: str = "", near: Sequence[str] = ()) -> ProblemError:
    """404: there is no such thing; `near` are the ids that look like it."""
    if near:
        detail = f"{detail} Did you mean {' or '.join(near)}?"
    return ProblemError(404, detail, word, extra={"near": list(near)} if near else {})


def bad_parameter(parameter: str, message: str) -> ProblemError:
    """422: one parameter is wrong; the detail names it."""
    return ProblemError(
        422,
        f"Parameter `{parameter}`: {message}",
        extra={"errors": [{"parameter": parameter, "message": message}]},
    )


def document(problem: ProblemError) -> dict[str, Any]:
    """Return the problem document's members."""
    word = problem.word or _WORDS.get(problem.status, "problem")
    return {
        "type": f"urn:danhao:problem:{word.replace('_', '-')}",
        "title": _title(problem.status),
        "status": problem.status,
        "detail": problem.detail,
        "instance": f"urn:uuid:{uuid4()}",
        **problem.extra,
    }


def response(problem: ProblemError) -> Response:
    """Render the problem as an HTTP answer."""
    return render(document(problem), problem)


def install(app: FastAPI) -> None:
    """Let every foreseen error become a problem document; the rest is `security.Shell`'s."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    for kind in (DanhaoError, psycopg.OperationalError, PoolTimeout, TooManyRequests):
        app.add_exception_handler(kind, _on_foreseen)


def of_error(error: Exception) -> ProblemError:
    """Sort an error by what the caller may do: repair the request, try later, or tell us."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, Rejected):
        return ProblemError(422, str(error), error.reason)
    if isinstance(error, (Retryable, psycopg.OperationalError, PoolTimeout, TooManyRequests)):
        return ProblemError(
            503,
            "The store does not answer now: try again in a few seconds.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    if isinstance(error, Misconfigured):
        return ProblemError(503, f"The service is misconfigured: {error}", "misconfigured")
    return ProblemError(
        500, "The service failed on this request; its log has the same instance id."
    )


def render(members: dict[str, Any], problem: ProblemError) -> Response:
    """Render a document as the HTTP answer of its problem."""
    return Response(
        msgspec.json.encode(members),
        problem.status,
        headers={"Cache-Control": "no-store", **problem.headers},
        media_type=MEDIA_TYPE,
    )


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Problem"


def _on_problem(_request: Request, error: Exception) -> Response:
    return response(of_error(error))


def _on_foreseen(request: Request, error: Exception) -> Response:
    problem = of_error(error)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("%s %s: %s", request.method, request.url.path, error)
    return response(problem)


def _on_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    detail = {
        404: f"There is nothing at {request.url.path}: /docs lists what there is.",
        405: f"{request.method} is not offered at {request.url.path}: /docs lists what is.",
    }.get(status, str(getattr(error, "detail", error)))
    return response(ProblemError(status, detail, headers=headers))


def _on_validation(_request: Request, error: Exception) -> Response:
    raw = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [
        {"parameter": ".".join(str(part) for part in entry["loc"][1:]), "message": entry["msg"]}
        for entry in raw[:MOST_ERRORS_SHOWN]
    ]
    detail = "; ".join(f"Parameter `{one['parameter']}`: {one['message']}" for one in errors)
    return response(ProblemError(422, f"{detail}.", extra={"errors": errors}))
