"""How answers leave: JSON encoded once, lists as pages, constant lists with an ETag. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from fastapi import Request
from starlette.responses import Response

from api import schemas
from core import periods
from core.clock import to_us

JSON: Final = "application/json"
Responses = dict[int | str, dict[str, Any]]


def documented(model: Any) -> dict[str, Any]:
    """Return what a route's decorator needs so that OpenAPI shows the answer and its errors."""
    problem = {"model": schemas.Problem, "description": "Problem document (RFC 9457)"}
    responses: Responses = dict.fromkeys((400, 401, 403, 404, 422, 503), problem)
    return {"response_model": model, "responses": responses}


def json(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Encode an answer; the models of `schemas` describe it and the tests hold it to them."""
    return Response(msgspec.json.encode(data), status, headers=headers, media_type=JSON)


def page(items: Sequence[Any], cursor: str | None = None) -> Response:
    """Answer with one page of a list."""
    return json({"items": items, "next": cursor})


def constant(request: Request, data: Any) -> Response:
    """Answer with data that changes with the program only: an ETag, or 304."""
    body = msgspec.json.encode(data)
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    asked = request.headers.get("if-none-match", "")
    if asked == "*" or tag in [one.strip().removeprefix("W/") for one in asked.split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=JSON)


def utc(at: datetime | None) -> str | None:
    """Print an instant with `Z`, null where there is none."""
    return None if at is None else periods.render_utc(to_us(at))
